"""Images that are stored as CT but are no slices: a scanner's overviews, pages of a screen,
renderings.

Only what an image says of itself counts. A slice that merely lost an attribute is a slice: that it
cannot be read is an error, so that no slice is missed in silence.
"""

import re

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from recontour.dicom.reading import sop_class_uid, text

KIND_OF_PICTURE = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "ImageType",
    "ConversionType",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "PhotometricInterpretation",
)
LOCALISER = "CT localiser"
SCREEN = "picture of a screen or report"
COLOUR = "picture in colour"
RENDERING = "picture without a place in the patient"
PICTURES = (LOCALISER, SCREEN, COLOUR, RENDERING)
SCREEN_WORDS = re.compile(r"SCREEN|CAPTURE|(^|[ _])SAVE($|[ _])")
REPORT_WORDS = re.compile(
    r"(^|[ _])(DOSE|DOSE ?REPORT|DOSE_?INFO|REPORT|PROT|PROTOCOL|PATIENT PROTOCOL|SUMMARY|PAGE|GRAPH|TEXT)($|[ _])"
)
COLOURS = ("RGB", "YBR", "PALETTE", "HSV", "ARGB", "CMYK")  # how PhotometricInterpretation begins
PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


def kind_of_picture(header: Dataset) -> str:
    """What an image stored as CT is, if it is no slice; empty if it is one, or ought to be."""
    kinds = [word.strip() for word in re.split(r"[\\,\[\]']+", text(header, "ImageType").upper())]
    if any("LOCALIZER" in word for word in kinds):
        return LOCALISER
    if any(SCREEN_WORDS.search(word) for word in kinds):
        return SCREEN
    if text(header, "PhotometricInterpretation").upper().startswith(COLOURS):
        return COLOUR
    is_derived = bool({"DERIVED", "SECONDARY"} & set(kinds))
    if is_derived and "AXIAL" not in kinds and any(REPORT_WORDS.search(word) for word in kinds):
        return SCREEN
    if (
        sop_class_uid(header) == CTImageStorage
        and _has_no_place(header)
        and (is_derived or _is_converted(header))
    ):
        return RENDERING
    return ""


def _has_no_place(header: Dataset) -> bool:
    """Whether an image has no position and lacks more of its place than that:

    to lose one attribute is damage.
    """
    absent = [keyword for keyword in PLACE if not text(header, keyword)]
    return "ImagePositionPatient" in absent and len(absent) > 1


def _is_converted(header: Dataset) -> bool:
    """Whether an image says, as secondary captures do, what it was made from."""
    return bool(text(header, "ConversionType"))
