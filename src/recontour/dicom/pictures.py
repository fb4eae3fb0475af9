"""Images that are stored as CT but are no slices: localisers, pages of a screen, renderings.

Only what an image says about itself counts. A slice that merely lost an attribute is a slice: that
it cannot be read is an error, so that no slice goes missing unnoticed.
"""

import re
from collections.abc import Sequence

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from recontour.dicom.reading import sop_class_uid, text

POSITION = "ImagePositionPatient"
PLACE_KEYWORDS = (POSITION, "ImageOrientationPatient", "PixelSpacing")
KIND_OF_PICTURE = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "ImageType",
    "ConversionType",
    *PLACE_KEYWORDS,
    "PhotometricInterpretation",
)
LOCALISER = "CT localiser"
SCREEN = "picture of a screen or report"
COLOUR = "picture in colour"
RENDERING = "picture without a place in the patient"
PICTURES = (LOCALISER, SCREEN, COLOUR, RENDERING)
SCREEN_WORDS = re.compile(r"SCREEN|CAPTURE|(^|[ _])SAVE($|[ _])")
REPORT_WORDS = re.compile(
    r"(^|[ _])"
    r"(DOSE|DOSE ?REPORT|DOSE_?INFO|REPORT|PROT|PROTOCOL|PATIENT PROTOCOL|SUMMARY|PAGE|GRAPH|TEXT)"
    r"($|[ _])"
)
# How PhotometricInterpretation begins.
IN_COLOUR = ("RGB", "YBR", "PALETTE", "HSV", "ARGB", "CMYK")


def kind_of_picture(header: Dataset) -> str:
    """Return the kind of an image stored as CT; empty if it is a slice, or should be one."""
    words = re.split(r"[\\,\[\]']+", text(header, "ImageType").upper())
    image_type = list(map(str.strip, words))
    if any("LOCALIZER" in word for word in image_type):
        return LOCALISER
    if any(map(SCREEN_WORDS.search, image_type)):
        return SCREEN
    if text(header, "PhotometricInterpretation").upper().startswith(IN_COLOUR):
        return COLOUR
    if _is_report(image_type):
        return SCREEN
    is_made = _is_derived(image_type) or _is_converted(header)
    return RENDERING if is_made and _lost_its_place(header) else ""


def _is_derived(image_type: Sequence[str]) -> bool:
    """Return whether an image was made from other images."""
    return "DERIVED" in image_type or "SECONDARY" in image_type


def _is_report(image_type: Sequence[str]) -> bool:
    """Return whether an image says that it is a report."""
    if not _is_derived(image_type) or "AXIAL" in image_type:
        return False
    return any(map(REPORT_WORDS.search, image_type))


def _lost_its_place(header: Dataset) -> bool:
    """Return whether a single image lacks its position and more of its place than that.

    An image that lost a single attribute is damaged.
    """
    if sop_class_uid(header) != CTImageStorage:
        return False
    absent = [keyword for keyword in PLACE_KEYWORDS if not text(header, keyword)]
    return POSITION in absent and len(absent) > 1


def _is_converted(header: Dataset) -> bool:
    """Return whether an image says, as secondary captures do, what it was made from."""
    return bool(text(header, "ConversionType"))
