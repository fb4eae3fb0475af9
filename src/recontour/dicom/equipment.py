"""Where a CT says that it was made: institution, maker and scanner (General Equipment Module).

docs/reference/files.md says what of it a cohort keeps, and how.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from recontour.dicom.clean_attributes import is_known
from recontour.dicom.pairing import CtSeries
from recontour.dicom.reading import numbers, read_header, reading, text
from recontour.dicom.silence import silence
from recontour.errors import DicomError

MAKER, MODEL = "Manufacturer", "ManufacturerModelName"
KEYWORDS = ("SpecificCharacterSet", MAKER, MODEL, "InstitutionName", "PixelSpacing")


@dataclass(frozen=True, slots=True)
class Equipment:
    """Where a CT says that it was made; each part is empty where it does not say.

    institution: it never leaves memory. maker, model: free text, too; see `is_known_maker` and
    `is_known_model`. pixel_mm: the row step. slice_mm: the usual distance of two slices. Both are
    None where the headers do not say.
    """

    institution: str = ""
    maker: str = ""
    model: str = ""
    pixel_mm: float | None = None
    slice_mm: float | None = None

    @property
    def is_known_maker(self) -> bool:
        """Return whether the maker consists of known words, and so names no person or place."""
        return is_known(MAKER, self.maker)

    @property
    def is_known_model(self) -> bool:
        """Return whether the model consists of known words, and so names no person or place."""
        return is_known(MODEL, self.model)


def equipment_of(series: CtSeries) -> Equipment:
    """Return where a series says that it was made, by its first file.

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
        )
    return Equipment()


def _usual_step_mm(heights_mm: Iterable[float]) -> float | None:
    """Return the usual distance of two images, from the heights of all; None for a single one.

    >>> _usual_step_mm([6.0, 0.0, 3.0, 7.5])
    3.0
    """
    steps = [above - below for below, above in pairwise(sorted(set(heights_mm)))]
    return round(median(steps), 3) if steps else None
