"""What import finds: why a patient is left out, what to note about a case, and what is stored."""

from typing import Literal

from recontour.cohort.findings import MOVE_AWAY, listed
from recontour.dicom.contour_findings import RoiFinding
from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words
from recontour.wording import plural

# Archives


@finding
class NothingImported(Finding):
    """An archive in which no patient can be used.

    reasons: the most common ones, each with the facts of the first patient. counts: of each.
    """

    left_out: int
    counts: tuple[int, ...]
    reasons: tuple[Finding, ...]

    def sentence(self) -> str:
        counted = zip(self.counts, self.reasons, strict=True)
        said = [f"{count} x {words(reason)}" for count, reason in counted]
        return f"no patient could be imported, {self.left_out} left out: {' | '.join(said)}"


# Why a patient is left out


@finding
class NoKnownOrgan(Finding):
    """A structure set without a known organ on its CT.

    roi_names: of its structures that enclose an area. notes: what was noted about it.
    """

    roi_names: ScreenOnly[tuple[str, ...]]
    notes: tuple[Finding, ...] = ()

    def sentence(self) -> str:
        seen = "; ".join([f"ROIs: {listed(self.roi_names)}", *map(words, self.notes)])
        return f"no known organ is contoured on the CT ({seen})"

    def remedy(self) -> str:
        return "if an organ has another name here, map it with --names"


@finding
class NoContouredArea(Finding):
    """A structure set without an area that can be used. notes: what was noted about it."""

    notes: tuple[Finding, ...] = ()

    def sentence(self) -> str:
        seen = "; ".join(map(words, self.notes))
        details = f" ({seen})" if seen else ""
        return f"no area is drawn in the structure set{details}"

    def remedy(self) -> str:
        return "export it again with the organs' closed contours"


@finding
class TooFewSlices(Finding):
    """A CT that is only a part of one."""

    slices: int

    def sentence(self) -> str:
        return f"a CT of {plural(self.slices, 'slice')}"

    def remedy(self) -> str:
        return "export the whole CT as one series"


@finding
class CaseOfAnotherPatient(Finding):
    """The cohort's case of the same series is of another patient."""

    def sentence(self) -> str:
        return "the cohort has another patient's CT (PatientID) under this SeriesInstanceUID"

    def remedy(self) -> str:
        return "pseudonymise this patient again, with other UIDs"


# Notes on cases that are there already


@finding
class UnusableSource(Finding):
    """The source of a case cannot be used any more; the case stays."""

    what: Literal["CT", "structure set"]
    why: Finding

    def sentence(self) -> str:
        reason = words(self.why)
        return f"stays as imported; its {self.what} can no longer be used ({reason})"


@finding
class ChangedSource(Finding):
    """The archive has other data than the case; the case stays. organs: those that changed."""

    what: Literal["CT", "structure set", "contours"]
    organs: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        match self.what:
            case "CT":
                return "its CT has other values now, under the same UIDs"
            case "structure set":
                return "its structure set has changed since the import"
            case "contours":
                organs = ", ".join(self.organs)
                return f"contours changed under the same SOPInstanceUID: {organs}"

    def remedy(self) -> str:
        return MOVE_AWAY


@finding
class AdditionalOrgans(Finding):
    """A case could have more organs today; it stays."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"now also has {', '.join(self.organs)}"

    def remedy(self) -> str:
        return MOVE_AWAY


# Notes on structures


@finding
class MissingImages(Finding):
    """Images that a structure set references are not in the archive."""

    missing: int
    referenced: int

    def sentence(self) -> str:
        return f"{self.missing} of the {self.referenced} images it references are missing"


@finding
class UnusableContours(Finding):
    """An organ whose contours cannot be used."""

    why: Finding

    def sentence(self) -> str:
        return f"unknown ({words(self.why)})"


@finding
class DrawnOnEverySecondSlice(RoiFinding):
    """An organ that was drawn on every second slice at most; it counts as unknown."""

    shown: int
    between: int

    def what(self) -> str:
        return f"unknown: drawn on {self.shown} slices, but not on {self.between} between them"

    def remedy(self) -> str:
        return "interpolate it where it was drawn, and export it again"


@finding
class NoContourOnSlices(RoiFinding):
    """Contours that show on no slice."""

    def what(self) -> str:
        return "none of its contours shows on the CT's slices"


@finding
class EmptySlicesBetween(RoiFinding):
    """Slices between an organ's first and last that do not show it."""

    between: int

    def what(self) -> str:
        slices = plural(self.between, "slice")
        return f"nothing on {slices} between its first and last; imported as it is"


@finding
class ContoursBeyondCt(RoiFinding):
    """Contours that lie on no slice of the CT."""

    beyond: int
    contours: int

    def what(self) -> str:
        return f"{self.beyond} of {self.contours} contours lie on no slice; is the CT complete?"


@finding
class EmptySlicesWithContours(RoiFinding):
    """Slices on which contours leave no pixel."""

    slices: int

    def what(self) -> str:
        slices = plural(self.slices, "slice")
        return f"empty on {slices} with contours that cancel out or are smaller than a pixel"


@finding
class OmittedPlanes(Finding):
    """Planes of contours that are left out because another is nearer to the slice."""

    left_out: int
    planes: int

    def sentence(self) -> str:
        return (
            f"{self.left_out} of {self.planes} planes of contours are left out: "
            "another is nearer to the slice"
        )


@finding
class PlanesOffSlices(Finding):
    """Planes of contours that do not lie exactly on their slices."""

    off: int
    planes: int
    typical_mm: float

    def sentence(self) -> str:
        return (
            f"{self.off} of {self.planes} planes of contours lie off their slices, "
            f"typically by {self.typical_mm:.2f} mm"
        )


# Notes on patients


@finding
class SeveralCasesOfOneCt(Finding):
    """Several cases with one CT to the voxel."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"the same CT, to the voxel: {', '.join(self.cases)}"

    def remedy(self) -> str:
        return "if it is one patient twice, move the folder of one out of the cohort"


@finding
class SeveralCtsOfOnePatient(Finding):
    """Several cases with one PatientID."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        count = len(self.cases)
        return (
            f"{count} CTs under one PatientID count as one patient, and a study keeps them on one "
            f"side of its split: {', '.join(self.cases)}"
        )

    def remedy(self) -> str:
        return "do not train on one of them and test on another"


@finding
class UninformativePatientIds(Finding):
    """New CTs whose PatientID is missing, a stand-in, or shared by different people."""

    cts: int
    new: int

    def sentence(self) -> str:
        return (
            f"{self.cts} of {self.new} new CTs have a PatientID that does not tell patients apart "
            "(none, a stand-in, or the same for all or for different people); each CT counts as a "
            "patient of its own"
        )


# Tables


@finding
class ForeignTable(Finding):
    """A table in the cohort that cannot be read, or that recontour did not write.

    why: if it cannot be read. columns: those that were expected.
    """

    columns: FitToStore[tuple[str, ...]]
    why: Finding | None = None

    def sentence(self) -> str:
        if self.why:
            return f"cannot be read, and is not overwritten ({self.why.sentence()})"
        columns = ", ".join(self.columns)
        return f"not a table that recontour wrote, and is not overwritten (expected {columns})"

    def remedy(self) -> str:
        return "move it away, then repeat: a new one is written"
