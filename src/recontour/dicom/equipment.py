"""Where and how a CT says that it was made: institution, scanner, and how the scanner was set.

The attributes are of the modules General Equipment, CT Image and Contrast/Bolus (PS3.3).
docs/reference/files.md says what of it a cohort keeps, and how.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

from pydicom import Dataset
from pydicom.multival import MultiValue

from recontour.dicom.clean_attributes import is_known
from recontour.dicom.pairing import CtSeries
from recontour.dicom.person import is_stand_in
from recontour.dicom.reading import numbers, read_header, reading, text, value
from recontour.dicom.silence import silence
from recontour.errors import DicomError
from recontour.wording import printable

MAKER, MODEL = "Manufacturer", "ManufacturerModelName"
KVP, THICKNESS, DIAMETER = "KVP", "SliceThickness", "ReconstructionDiameter"
KERNEL, AGENT = "ConvolutionKernel", "ContrastBolusAgent"
KEYWORDS = (
    "SpecificCharacterSet",
    MAKER,
    MODEL,
    "InstitutionName",
    "PixelSpacing",
    KVP,
    THICKNESS,
    DIAMETER,
    KERNEL,
    AGENT,
)
# How scanners' users write, in small letters, that no contrast medium was given.
NO_AGENT = {
    "false",
    "nein",
    "nil",
    "no",
    "no contrast",
    "non",
    "none",
    "not given",
    "w/o",
    "without",
    "without contrast",
}


@dataclass(frozen=True, slots=True)
class Equipment:
    """Where and how a CT says that it was made; each part is empty where it does not say.

    institution: it never leaves memory. maker, model: free text, too; see `is_known_maker` and
    `is_known_model`. pixel_mm: the row step. slice_mm: the usual distance of two slices. Both are
    None where the headers do not say.
    kvp: the tube's voltage. thickness_mm: of a slice. diameter_mm: of the circle that was
    reconstructed. kernel: free text, too; see `is_known_kernel`. contrast: whether a contrast
    medium was given.
    """

    institution: str = ""
    maker: str = ""
    model: str = ""
    pixel_mm: float | None = None
    slice_mm: float | None = None
    kvp: float | None = None
    thickness_mm: float | None = None
    diameter_mm: float | None = None
    kernel: str = ""
    contrast: Literal["given", "none"] | None = None

    @property
    def is_known_maker(self) -> bool:
        """Return whether the maker consists of known words, and so names no person or place."""
        return is_known(MAKER, self.maker)

    @property
    def is_known_model(self) -> bool:
        """Return whether the model consists of known words, and so names no person or place."""
        return is_known(MODEL, self.model)

    @property
    def is_known_kernel(self) -> bool:
        """Return whether the kernel consists of known words, and so names no person or place."""
        return is_known(KERNEL, self.kernel)


def equipment_of(series: CtSeries) -> Equipment:
    """Return where and how a series says that it was made, by its first file.

    A damaged file says nothing here; reading the series reports it.

    >>> from pathlib import Path
    >>> from recontour.dicom import read_archive
    >>> archive = read_archive(Path("dicom/south"))
    >>> equipment_of(archive.pairs[0].series).slice_mm
    3.0
    """
    first = series.files[0]
    with suppress(DicomError), silence(), reading(first):
        header = read_header(first, KEYWORDS)
        spacing = text(header, "PixelSpacing")
        return Equipment(
            institution=text(header, "InstitutionName"),
            maker=text(header, MAKER),
            model=text(header, MODEL),
            pixel_mm=numbers(header, "PixelSpacing", 2, first)[0] if spacing else None,
            slice_mm=_usual_step_mm(place[2] for place in series.image_places if len(place) == 3),
            kvp=_number(header, KVP, first),
            thickness_mm=_number(header, THICKNESS, first),
            diameter_mm=_number(header, DIAMETER, first),
            kernel=_words(header, KERNEL),
            contrast=_contrast(text(header, AGENT)),
        )
    return Equipment()


def _number(header: Dataset, keyword: str, path: Path) -> float | None:
    """Return a number of a header; None if it is absent or none."""
    with suppress(DicomError):
        return numbers(header, keyword, 1, path)[0]
    return None


def _words(header: Dataset, keyword: str) -> str:
    """Return a text; several values become one line."""
    found = value(header, keyword)
    if isinstance(found, MultiValue):
        return printable(" ".join(map(str, found))).strip()
    return text(header, keyword)


def _contrast(agent: str) -> Literal["given", "none"] | None:
    """Return what the name of a contrast medium says; an empty one, or a stand-in, nothing.

    >>> _contrast("Ultravist 370"), _contrast("NONE"), _contrast("ANONYMIZED")
    ('given', 'none', None)
    """
    if agent.casefold().strip() in NO_AGENT:
        return "none"
    return None if is_stand_in(agent) else "given"


def _usual_step_mm(heights_mm: Iterable[float]) -> float | None:
    """Return the usual distance of two images, from the heights of all; None for a single one.

    >>> _usual_step_mm([6.0, 0.0, 3.0, 7.5])
    3.0
    """
    steps = [above - below for below, above in pairwise(sorted(set(heights_mm)))]
    return round(median(steps), 3) if steps else None
