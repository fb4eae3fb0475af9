"""What may be wrong with the contours of an RTSTRUCT or SEG, or worth knowing about them.

Notes on contours carry no path: whoever asked for the notes knows the file.
"""

from dataclasses import dataclass

from recontour.findings import Finding, FitToStore, ScreenOnly
from recontour.wording import plural

KINDS = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiFinding(Finding):
    """Something about one ROI. roi: its name as the centre spells it."""

    roi: ScreenOnly[str]

    def sentence(self) -> str:
        """Say what was seen, then the ROI's name."""
        return f"{self.what()} (ROI {self.roi})"

    def what(self) -> str:
        """Say what was seen."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
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
        """Say how many, of which types, and of which ROIs."""
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
        """Name the type that is used."""
        return "CLOSED_PLANAR is expected" if self.is_all else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFrame(RoiFinding):
    """An ROI that was drawn in another frame of reference than its CT's."""

    def what(self) -> str:
        """Say what becomes of its contours."""
        return "drawn in another frame of reference; its contours are ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNumber(RoiFinding):
    """An ROI whose number another ROI has as well."""

    def what(self) -> str:
        """Say what becomes of its contours."""
        return "two ROIs share one number, so whose contours these are is unknown; ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayContours(Finding):
    """Contours under ROI numbers that no ROI has."""

    numbers: int

    def sentence(self) -> str:
        """Say how many numbers."""
        return f"ignored contours under {plural(self.numbers, 'ROI number')} that no ROI has"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortContours(RoiFinding):
    """Contours of fewer than 3 points, which enclose nothing."""

    count: int

    def what(self) -> str:
        """Say how many."""
        return f"{plural(self.count, 'contour')} with fewer than 3 points ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedContours(RoiFinding):
    """Contours that are in the file twice."""

    count: int

    def what(self) -> str:
        """Say how many."""
        return f"{plural(self.count, 'contour')} drawn twice and used once"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossingContours(RoiFinding):
    """Contours of one plane that cross each other."""

    planes: int

    def what(self) -> str:
        """Say in how many planes, and what that means for the mask."""
        return (
            f"contours cross in {plural(self.planes, 'plane')}; "
            "where two overlap is outside, as in a hole"
        )
