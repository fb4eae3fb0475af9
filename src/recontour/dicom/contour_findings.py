"""What may be wrong with the contours of an RTSTRUCT or SEG, or worth knowing about them.

Notes on contours carry no path: the caller knows the file.
"""

from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import plural

EXPORT_STRUCTURES_AGAIN = "export the structure set again"
# the geometric types of contours that DICOM defines (PS3.3 C.8.8.6.1)
KINDS = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@finding
class RoiFinding(Finding):
    """Something about one ROI. roi: its name as the centre spells it; empty if it is not known."""

    roi: ScreenOnly[str] = ""

    def sentence(self) -> str:
        """Say what was seen, then the ROI's name."""
        return f"{self.what()} (ROI {self.roi})" if self.roi else self.what()

    def what(self) -> str:
        """Say what was seen."""
        raise NotImplementedError


@finding
class OpenContours(Finding):
    """Contours that are not closed; they are ignored.

    kinds: their geometric types, those that DICOM defines. other_kinds: types that DICOM does not
    define. is_all: whether these ROIs have no closed contour at all.
    """

    count: int
    kinds: FitToStore[tuple[str, ...]]
    other_kinds: ScreenOnly[tuple[str, ...]] = ()
    rois: ScreenOnly[tuple[str, ...]]
    is_all: bool

    def sentence(self) -> str:
        kinds = [*self.kinds]
        seen = [f"ROI {', '.join(self.rois)}"]
        if "" in self.other_kinds:
            kinds.append("no type")
        if any(self.other_kinds):
            kinds.append("unknown type")
            seen.append(f"type {', '.join(filter(None, self.other_kinds))}")
        contours = plural(self.count, "open contour")
        return f"{contours} ignored: {', '.join(kinds)} ({'; '.join(seen)})"

    def remedy(self) -> str:
        return "CLOSED_PLANAR is expected" if self.is_all else ""


@finding
class RoiInAnotherFrame(RoiFinding):
    """An ROI that was drawn in another frame of reference than its CT's."""

    def what(self) -> str:
        return "drawn in another frame of reference; its contours are ignored"


@finding
class SharedNumber(RoiFinding):
    """An ROI whose number another ROI has as well."""

    def what(self) -> str:
        return "two ROIs share one number, so whose contours these are is unknown; ignored"


@finding
class StrayContours(Finding):
    """Contours under ROI numbers that no ROI has."""

    numbers: int

    def sentence(self) -> str:
        return f"ignored contours under {plural(self.numbers, 'ROI number')} that no ROI has"


@finding
class ShortContours(RoiFinding):
    """Contours of fewer than 3 points, which enclose nothing."""

    count: int

    def what(self) -> str:
        return f"{plural(self.count, 'contour')} with fewer than 3 points ignored"


@finding
class RepeatedContours(RoiFinding):
    """Contours that are in the file twice."""

    count: int

    def what(self) -> str:
        return f"{plural(self.count, 'contour')} drawn twice and used once"


@finding
class CrossingContours(RoiFinding):
    """Contours of one plane that cross each other."""

    planes: int

    def what(self) -> str:
        return (
            f"contours cross in {plural(self.planes, 'plane')}; "
            "what two of them cover counts as outside, as in a hole"
        )


# ------------------------------------------------------------ contours that cannot be used


@finding
class MalformedContour(RoiFinding):
    """A contour that is not a polygon on an axial plane."""

    def remedy(self) -> str:
        return EXPORT_STRUCTURES_AGAIN


@finding
class CoordinatesNotNumbers(MalformedContour):
    """A contour with coordinates that are not numbers."""

    def what(self) -> str:
        return "a contour has coordinates that are not numbers"


@finding
class IncompletePoint(MalformedContour):
    """A contour whose coordinates do not come in threes."""

    numbers: int

    def what(self) -> str:
        return f"a contour has {plural(self.numbers, 'number')}; three per point are expected"


@finding
class MissingPoints(MalformedContour):
    """A contour with fewer points than the file states."""

    points: int
    stated: int

    def what(self) -> str:
        return f"a contour has {self.points} of {self.stated} points"


@finding
class CoordinateOutOfRange(MalformedContour):
    """A contour with a coordinate that cannot lie in a patient. most_mm: the largest that can."""

    most_mm: float

    def what(self) -> str:
        return f"a contour has a coordinate that is not within {self.most_mm:,.0f} mm"


@finding
class NonAxialContour(MalformedContour):
    """A contour whose points lie at different heights."""

    lowest_mm: float
    highest_mm: float

    def what(self) -> str:
        return (
            f"a contour spans z = {self.lowest_mm:.1f} to {self.highest_mm:.1f} mm; one drawn on "
            "an axial slice is expected"
        )


# ------------------------------------------------------------ whether they belong to the CT


@finding
class NotStructureSet(Finding):
    """A DICOM file that is not an RTSTRUCT."""

    def sentence(self) -> str:
        return "not an RT structure set"

    def remedy(self) -> str:
        return "give the RTSTRUCT file"


@finding
class ContoursOfAnotherCt(Finding):
    """Contours that were drawn on another CT. by: what says so."""

    by: Literal["frame of reference", "images", "some images", "series"]

    def sentence(self) -> str:
        match self.by:
            case "frame of reference":
                return "drawn in another frame of reference than this CT's"
            case "images":
                return "its contours are drawn on images of another CT"
            case "some images":
                return (
                    "some of its contours are drawn on images of another CT, where this CT has "
                    "images of its own"
                )
            case "series":
                return "it references another CT series"

    def remedy(self) -> str:
        if self.by == "some images":
            return "export a structure set of this CT alone"
        return "give the CT it was drawn on"


# ------------------------------------------------------------ writing


@finding
class MissingCtUids(Finding):
    """A CT without the UIDs that an object drawn on it must reference."""

    missing: Literal["frame of reference", "series or study"]

    def sentence(self) -> str:
        return f"the CT has no {self.missing} UID, and recontour does not invent one"

    def remedy(self) -> str:
        return "export the CT again"


@finding
class MalformedUid(Finding):
    """A CT with a UID that is not one."""

    def sentence(self) -> str:
        return "a UID of the CT does not consist of at most 64 digits and points"

    def remedy(self) -> str:
        return "export the CT again"


@finding
class UnsuitableName(Finding):
    """A label or a name that DICOM does not hold."""

    what: Literal["structure set label", "structure name"]
    label: ScreenOnly[str]

    def sentence(self) -> str:
        expected = "1 to 16 characters are expected"
        if self.what == "structure name":
            expected = "1 to 64 printable characters without a backslash are expected"
        return f"unsuitable {self.what}: {expected} ({self.label})"


@finding
class NoStructureToWrite(Finding):
    """A structure set without a structure; DICOM asks for at least one."""

    def sentence(self) -> str:
        return "no structure to write, and DICOM asks for one; nothing was written"


@finding
class UnwritableContour(RoiFinding):
    """A contour that cannot be written: on none of the CT's slices, or of too few points."""

    points: int
    z_mm: float

    def what(self) -> str:
        return (
            f"a contour of {plural(self.points, 'point')} at z = {self.z_mm:.1f} mm; at least 3 "
            "points on one of the CT's slices are expected"
        )


# ------------------------------------------------------------ SEG


@finding
class NotSeg(Finding):
    """A DICOM file that is not a SEG. kind: what it is, as the standard calls it."""

    kind: FitToStore[str]

    def sentence(self) -> str:
        return f"not a DICOM SEG, but {self.kind}"

    def remedy(self) -> str:
        return "give a SEG, a NIfTI label map, or a folder of NIfTI masks"


@finding
class UnsupportedSeg(Finding):
    """A SEG of a kind that is not read."""

    why: Literal["fractional", "unknown type", "compressed"]

    def sentence(self) -> str:
        match self.why:
            case "fractional":
                return (
                    "a FRACTIONAL segmentation gives each voxel a share or a probability, and does "
                    "not say where the border lies"
                )
            case "unknown type":
                return "its SegmentationType is not supported"
            case "compressed":
                return "a compressed BINARY segmentation is not supported"

    def remedy(self) -> str:
        match self.why:
            case "fractional":
                return "set a threshold where it was made, and export it as BINARY or LABELMAP"
            case "unknown type":
                return "export it as BINARY or LABELMAP"
            case "compressed":
                return "export it uncompressed"


@finding
class SegWithoutFrame(Finding):
    """A SEG that does not say its frame of reference."""

    def sentence(self) -> str:
        return "no frame of reference, so whether it lies on this CT is unknown"

    def remedy(self) -> str:
        return "export it again"


@finding
class SegOffGrid(Finding):
    """A SEG whose images are not the CT's slices.

    shape, expected: (rows, columns), if these differ. z_mm, apart_mm: otherwise an image's height,
    and how far it lies from the CT's slice.
    """

    shape: tuple[int, ...] = ()
    expected: tuple[int, ...] = ()
    z_mm: float = 0.0
    apart_mm: float = 0.0

    def sentence(self) -> str:
        if self.shape:
            return f"its images are {self.shape}, the CT's {self.expected}; nothing is resampled"
        return (
            f"the image at z = {self.z_mm:.1f} mm lies {self.apart_mm:.1f} mm from the CT's slice; "
            "nothing is resampled"
        )

    def remedy(self) -> str:
        return "export the segmentation on the CT's own grid, with the CT as its reference"


@finding
class UnknownSegLabel(Finding):
    """A label in the pixels of a SEG that no segment has."""

    label: int

    def sentence(self) -> str:
        return f"label {self.label} belongs to no segment"

    def remedy(self) -> str:
        return "export it again"


@finding
class SharedSegmentLabel(Finding):
    """Two segments of a SEG with one label."""

    def sentence(self) -> str:
        return "two segments have the same label"

    def remedy(self) -> str:
        return "rename one"


@finding
class SegOfMultiFrameCt(Finding):
    """A SEG of a multi-frame CT, which is not written."""

    def sentence(self) -> str:
        return "a SEG of a multi-frame CT is not supported"

    def remedy(self) -> str:
        return "write an RTSTRUCT, or give single-frame images"
