"""What may be wrong with a CT series, or worth knowing about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recontour.dicom.findings import EXPORT_AGAIN
from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words
from recontour.wording import plural

ONE_ACQUISITION = "give the files of one CT acquisition"
EXAMPLES_SHOWN = 12  # in one line: as many as the phases of a 4D CT
SMALL_NUMBERS = {2: "two", 3: "three"}


def several(count: int, things: str) -> str:
    """Return two or more things in words.

    >>> several(2, "acquisitions"), several(4, "acquisitions")
    ('two acquisitions', '4 acquisitions')
    """
    return f"{SMALL_NUMBERS.get(count, count)} {things}"


def stretch(from_mm: float, to_mm: float) -> str:
    """Return a stretch of z in words.

    >>> stretch(1.0, 4.0), stretch(1.0, 1.0)
    ('from z = 1.0 to 4.0 mm', 'at z = 1.0 mm')
    """
    if f"{from_mm:.1f}" == f"{to_mm:.1f}":
        return f"at z = {from_mm:.1f} mm"
    return f"from z = {from_mm:.1f} to {to_mm:.1f} mm"


def _examples(found: Sequence[Finding]) -> str:
    """Return the first few of several things in words, and dots for the others."""
    more = ["..."] if len(found) > EXAMPLES_SHOWN else []
    return "; ".join([*map(words, found[:EXAMPLES_SHOWN]), *more])


# ------------------------------------------------------------ which files make up the series


@finding
class OneSeries(Finding):
    """One of several CT series. path: its first file, relative to the folder of all."""

    images: int

    def sentence(self) -> str:
        return plural(self.images, "image")


@finding
class SeveralSeries(Finding):
    """Several CT series where one is expected.

    are_parts: whether they look like parts of one CT.
    """

    are_parts: bool
    series: tuple[OneSeries, ...]

    def sentence(self) -> str:
        like = ""
        if self.are_parts:
            like = ", no two images at one position, as in the parts of one CT"
        return f"{len(self.series)} CT series{like} ({_examples(self.series)})"

    def remedy(self) -> str:
        one = "give a folder with just one (`contour` takes several series if --out is a folder)"
        if self.are_parts:
            return f"export that CT again as one series, or {one}"
        return one


@finding
class TooManyVoxels(Finding):
    """A CT that is larger than any of a head and neck."""

    most: int

    def sentence(self) -> str:
        return f"more than {self.most:,} voxels"

    def remedy(self) -> str:
        return "give the CT of the head and neck alone"


@finding
class DifferingFiles(Finding):
    """Two files of one series differ in an attribute that all its files share."""

    other: ScreenOnly[Path]
    keyword: FitToStore[str]
    of_one: Literal["patient", "CT series"]

    def sentence(self) -> str:
        return f"two files of one series differ in {self.keyword} ({self.other})"

    def remedy(self) -> str:
        return f"give the files of one {self.of_one}, or export them again"


# ------------------------------------------------------------ one file


@finding
class NotOneGreyImage(Finding):
    """The pixels of a single-frame CT are not one grey image. shape: of the decoded pixels."""

    shape: tuple[int, ...]

    def sentence(self) -> str:
        return f"pixels of shape {self.shape}; one grey image is expected"

    def remedy(self) -> str:
        return "export it as a grey image"


@finding
class MismatchedFrames(Finding):
    """A multi-frame file describes other frames than it holds."""

    described: int
    shape: tuple[int, ...]

    def sentence(self) -> str:
        return f"{plural(self.described, 'frame')} described, but pixels of shape {self.shape}"

    def remedy(self) -> str:
        return EXPORT_AGAIN


@finding
class ImpossiblePixelSpacing(Finding):
    """A pixel spacing that no scanner has. spacing_mm: of rows, of columns."""

    spacing_mm: tuple[float, float]

    def sentence(self) -> str:
        rows, columns = self.spacing_mm
        return f"PixelSpacing is {rows} and {columns} mm"

    def remedy(self) -> str:
        return EXPORT_AGAIN


@finding
class NoHounsfieldUnits(Finding):
    """The pixel values cannot be turned into Hounsfield units.

    unit: what they are rescaled to, if it is a unit that DICOM names.
    """

    why: Literal["another unit", "no rescale", "slope 0"]
    unit: FitToStore[str] = ""

    def sentence(self) -> str:
        if self.why == "no rescale":
            return "RescaleSlope or RescaleIntercept is missing, so there are no Hounsfield units"
        if self.why == "slope 0":
            return "RescaleSlope is 0, so there are no Hounsfield units"
        unit = f"'{self.unit}'" if self.unit else "another unit"
        return f"the pixels are rescaled to {unit}; Hounsfield units are expected"

    def remedy(self) -> str:
        return "give the plain CT" if self.why == "another unit" else EXPORT_AGAIN


# ------------------------------------------------------------ the stored pixels


@finding
class ContradictoryBits(Finding):
    """HighBit and BitsStored contradict each other."""

    def sentence(self) -> str:
        return "HighBit is not BitsStored - 1, so the pixel values are unclear"

    def remedy(self) -> str:
        return EXPORT_AGAIN


@finding
class UndecodablePixels(Finding):
    """The pixels are damaged, or fewer than the header says. reason: the error's class."""

    reason: FitToStore[str]
    is_compressed: bool

    def sentence(self) -> str:
        return f"the pixels cannot be decoded, or are fewer than the header says ({self.reason})"

    def remedy(self) -> str:
        how = ", uncompressed" if self.is_compressed else ""
        return f"copy or export the file again{how}"


@finding
class FractionalPixels(Finding):
    """Pixels that are not whole numbers. kind: their type."""

    kind: FitToStore[str]

    def sentence(self) -> str:
        return f"pixels of type {self.kind}; whole numbers of at most 32 bits are expected"

    def remedy(self) -> str:
        return "give the plain CT"


@finding
class NoPixels(Finding):
    """An image file without pixels."""

    def sentence(self) -> str:
        return "the file has no pixels"

    def remedy(self) -> str:
        return "export it again, with its pixels and uncompressed"


@finding
class HugeImage(Finding):
    """An image that claims to be larger than any CT."""

    frames: int
    pixels: int

    def sentence(self) -> str:
        images = plural(self.frames, "image")
        return f"{images} of {self.pixels:,} pixels; no CT is that large"

    def remedy(self) -> str:
        return EXPORT_AGAIN


# ------------------------------------------------------------ how the slices lie


@finding
class ObliqueSlice(Finding):
    """A slice that is not axial. cosines: of its rows and columns. axial, slices: how many of all
    slices are axial.
    """

    cosines: tuple[float, ...]
    axial: int
    slices: int

    def sentence(self) -> str:
        seen = ", ".join(f"{cosine:.3f}" for cosine in self.cosines)
        return f"its axes point along ({seen}); axial slices without tilt are expected"

    def remedy(self) -> str:
        if 2 * self.axial > self.slices:
            return (
                f"{self.axial} of {self.slices} slices are axial; remove the others if they are "
                "scouts or reformatted pictures"
            )
        return "export the axial series, or resample it where it was planned"


@finding
class OnePass(Finding):
    """One of several acquisitions or reconstructions. path: the file of its lowest slice."""

    slices: int
    from_mm: float
    to_mm: float

    def sentence(self) -> str:
        return f"{plural(self.slices, 'slice')} {stretch(self.from_mm, self.to_mm)}"


@finding
class OverlappingPasses(Finding):
    """Acquisitions or reconstructions in one series that overlap.

    from_mm, to_mm: where they overlap. told_by: what tells them apart; empty if only their
    positions do.
    """

    kind: Literal["acquisitions", "reconstructions"]
    from_mm: float
    to_mm: float
    told_by: FitToStore[str]
    passes: tuple[OnePass, ...]
    share_a_file: bool

    def sentence(self) -> str:
        by = f"differ in {self.told_by}" if self.told_by else "differ only in position"
        where = stretch(self.from_mm, self.to_mm)
        passes = several(len(self.passes), self.kind)
        return f"{passes} in one series overlap {where} and {by} ({_examples(self.passes)})"

    def remedy(self) -> str:
        if self.share_a_file:
            return "export one of them alone, since they share a file"
        return "give a folder with the files of just one"


@finding
class DifferingSlices(Finding):
    """Slices that cannot be stacked into one CT. files: two that differ."""

    differ_in: Literal["matrix", "pixel spacing", "orientation", "position in plane"]
    files: ScreenOnly[tuple[Path, Path]]

    def sentence(self) -> str:
        files = " and ".join(map(str, self.files))
        return f"slices differ in {self.differ_in} ({files})"

    def remedy(self) -> str:
        return ONE_ACQUISITION


@finding
class DriftingSlices(Finding):
    """Slices that shift in plane from one to the next, as under a tilted gantry."""

    drift_mm: float

    def sentence(self) -> str:
        return (
            f"slices shift in plane from one to the next, by {self.drift_mm:.1f} mm in all, as "
            "under a tilted gantry"
        )

    def remedy(self) -> str:
        return "export the series without tilt"


@finding
class MissingSlice(Finding):
    """No slice where one is expected. step_mm: the smaller of the gaps beside it."""

    below_mm: float
    above_mm: float
    step_mm: float

    def sentence(self) -> str:
        return (
            f"no slice between z = {self.below_mm:.1f} and {self.above_mm:.1f} mm "
            f"(every {self.step_mm:.1f} mm beside it)"
        )

    def remedy(self) -> str:
        return "export the series again; recontour does not invent slices"


@finding
class SlicesAtOnePosition(Finding):
    """Two slices at each of several positions.

    are_equal: whether the two have the same pixels, so one slice is stored twice. other: the file
    of the second slice at the lowest position.
    """

    positions: int
    first_mm: float
    last_mm: float
    are_equal: bool
    other: ScreenOnly[Path]

    def sentence(self) -> str:
        where = stretch(self.first_mm, self.last_mm)
        if self.are_equal:
            slices = plural(self.positions, "slice")
            return f"{slices} stored twice, under two SOPInstanceUIDs, {where} ({self.other})"
        if self.positions == 1:
            return f"two slices {where} ({self.other})"
        return (
            f"two slices at each of {self.positions} positions {where}: acquisitions or phases "
            f"overlap ({self.other})"
        )

    def remedy(self) -> str:
        if self.are_equal:
            return "give one copy of each"
        return "give one acquisition, or one phase of it"


# ------------------------------------------------------------ worth knowing


@finding
class PaddingInsideImage(Finding):
    """Pixels inside the image hold the padding value; they may be tissue.

    share: of all voxels, from 0 to 1. hu: the lowest HU that counts as padding. became_hu: the
    HU that these voxels got; None if they stay as stored.
    """

    voxels: int
    share: float
    hu: float
    became_hu: int | None

    def sentence(self) -> str:
        became = "left as stored"
        if self.became_hu is not None:
            became = f"set to air ({self.became_hu} HU)"
        return (
            f"{self.voxels:,} voxels inside the image ({100 * self.share:.2g} %) hold the "
            f"PixelPaddingValue ({self.hu:g} HU) and may be tissue; they are {became}"
        )

    def remedy(self) -> str:
        return "check PixelPaddingValue"


@finding
class NoAirInCt(Finding):
    """Nothing in the CT is as thin as air."""

    lowest_hu: float

    def sentence(self) -> str:
        return f"the lowest value is {self.lowest_hu:g} HU, so the CT shows no air"

    def remedy(self) -> str:
        return "check RescaleIntercept"


@finding
class DenseStretch(Finding):
    """Slices lie closer together in one stretch, though their thickness stays the same."""

    from_mm: float
    to_mm: float

    def sentence(self) -> str:
        return (
            f"slices lie closer together {stretch(self.from_mm, self.to_mm)}, but SliceThickness "
            "stays the same; they may be two acquisitions that overlap"
        )

    def remedy(self) -> str:
        return "check these slices"


@finding
class SkippedPictures(Finding):
    """Images in the folder of a CT that are not slices, such as localisers."""

    what: FitToStore[str]
    count: int

    def sentence(self) -> str:
        return f"skipped: {self.count} x {self.what}"


# ------------------------------------------------------------ writing


@finding
class UnwritableVoxels(Finding):
    """Hounsfield units that do not lie on the grid they are written with. kind: their type."""

    kind: FitToStore[str]
    shape: tuple[int, ...]
    expected: tuple[int, ...]

    def sentence(self) -> str:
        return (
            f"the HU are {self.kind} of shape {self.shape}; int16 of shape {self.expected} is "
            "expected"
        )
