"""What an image says about its acquisition: the attributes that tell acquisitions apart.

docs/decisions/026-passes.md gives the reasons.
"""

import re
from collections.abc import Mapping

from pydicom import Dataset
from pydicom.datadict import dictionary_VR

from recontour.dicom.plain import tag_of
from recontour.dicom.reading import text

Marks = Mapping[str, str]  # what an image says about its acquisition, by keyword

# Images that differ in one of these were acquired apart.
ACQUIRED = (
    "AcquisitionNumber",
    "AcquisitionUID",
    "IrradiationEventUID",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "FrameAcquisitionNumber",
    "NominalPercentageOfCardiacPhase",
    "StackID",
    "KVP",
    "ScanOptions",
    "SpiralPitchFactor",
    "ContrastBolusAgent",
    "ProtocolName",
    "SeriesNumber",
    "SeriesDescription",
    "SeriesTime",
    "ImageComments",
    "PatientPosition",
    "DeviceSerialNumber",
)
# Images that differ in one of these may be two reconstructions of one acquisition.
RECONSTRUCTED = (
    "ConvolutionKernel",
    "FilterType",
    "ImageType",
    "SliceThickness",
    "ReconstructionDiameter",
    "PixelSpacing",
    "Rows",
    "Columns",
)
# Marks that are made of several attributes; the first that is there counts.
ACQUISITION_TIME = "acquisition time"
CONTENT_TIME = "content time"
TIMES = {
    ACQUISITION_TIME: (
        ("AcquisitionDateTime",),
        ("FrameAcquisitionDateTime",),
        ("AcquisitionDate", "AcquisitionTime"),
    ),
    CONTENT_TIME: (("ContentDate", "ContentTime"),),
}
ATTRIBUTES = (
    *ACQUIRED,
    *RECONSTRUCTED,
    "AcquisitionDateTime",
    "FrameAcquisitionDateTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "ContentDate",
    "ContentTime",
    "InstanceNumber",
)
# The time and number an image was stored with; they say little about its acquisition.
STORED = frozenset({CONTENT_TIME, "ContentDate", "ContentTime", "InstanceNumber"})


def _is_decimal(keyword: str) -> bool:
    return dictionary_VR(keyword) in ("DS", "FD", "FL")


DECIMAL_KEYWORDS = frozenset(filter(_is_decimal, ATTRIBUTES))


def marks_of(image: Dataset, frame: Dataset | None = None) -> Marks:
    """Return what an image says about its acquisition.

    frame: a frame's own FrameContentSequence, of a multi-frame image.
    """
    found: dict[str, str] = {}
    for source in (image,) if frame is None else (image, frame):
        present = source.keys()  # asking for forty attributes, most of them absent, is slow
        for keyword in ATTRIBUTES:
            if tag_of(keyword) in present and (said := text(source, keyword)):
                found[keyword] = _rounded(said) if keyword in DECIMAL_KEYWORDS else said
    for name, ways in TIMES.items():
        found[name] = _first_time(found, ways)
    return found


def _first_time(found: Marks, ways: tuple[tuple[str, ...], ...]) -> str:
    """Return the first time that an image gives, made of its date and time of day."""
    for way in ways:
        time = "".join(found.get(keyword, "") for keyword in way)
        if time:
            return time
    return ""


def _rounded(said: str) -> str:
    """Return the numbers of a text to two decimals, so that 3, 3.0 and 2.9999 are equal."""
    rounded = []
    for number in re.findall(r"-?[0-9.]*[0-9]", said):
        if number.count(".") <= 1:
            rounded.append(f"{float(number):.2f}")
    return " ".join(rounded)


def acquired_alike(one: Marks, other: Marks) -> bool:
    """Return whether two images say the same about their acquisition."""
    said = (one.keys() | other.keys()) - STORED
    return all(one.get(name, "") == other.get(name, "") for name in said)
