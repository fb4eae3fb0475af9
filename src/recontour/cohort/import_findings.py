"""What import finds: why a patient is left out, what to note about a case, and what is stored."""

from pathlib import Path
from typing import Literal

from recontour.cohort.findings import END_WORDS, READ_AGAIN, End, listed, typed_path
from recontour.dicom.contour_findings import RoiFinding
from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words
from recontour.wording import agreeing, did_you_mean, plural

# With which a person says how far an organ is contoured.
ExtentOption = Literal["--partial", "--whole"]

FEW = 3  # scanners or lengths in one line

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


@finding
class FromElsewhere(Finding):
    """Patients to import come from elsewhere than the cohort's.

    patients: how many, of all that are new. by_institution: they name another institution;
    otherwise an institution is not known, and they have another scanner. The other fields compare
    one of them, which `example` is the place of, with the cohort's cases; `known_...`: what occurs
    there, the most frequent first. organs: whose spelling can be compared.
    """

    example: ScreenOnly[Path]
    patients: int
    new: int
    by_institution: bool
    scanner: ScreenOnly[str]
    known_scanners: ScreenOnly[tuple[str, ...]]
    pixel_mm: float | None
    known_pixel_mm: tuple[float, ...]
    slice_mm: float | None
    known_slice_mm: tuple[float, ...]
    organs: int
    spelt_otherwise: int
    spelt: ScreenOnly[tuple[str, ...]]
    known_spelt: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        of = f"{self.patients} of {plural(self.new, 'new patient')}"
        where = "another institution" if self.by_institution else "another scanner"
        differences = list(filter(None, (self._scanner(), *self._lengths(), self._spelling())))
        compared = f", where {'; '.join(differences)}" if differences else ""
        come = agreeing(self.patients, "comes", "come")
        return f"{of} {come} from {where} than the cohort's cases: {self.example}{compared}"

    def _scanner(self) -> str:
        if not self.scanner or self.scanner in self.known_scanners or not self.known_scanners:
            return ""
        return f"the scanner is {self.scanner}, not {listed(self.known_scanners, FEW)}"

    def _lengths(self) -> list[str]:
        found = []
        compared = (
            ("pixels are", self.pixel_mm, self.known_pixel_mm),
            ("slices are every", self.slice_mm, self.known_slice_mm),
        )
        for what, here_mm, known_mm in compared:
            if here_mm is not None and known_mm and round(here_mm, 2) not in known_mm:
                there = listed(tuple(f"{length:g}" for length in known_mm), FEW)
                found.append(f"{what} {here_mm:g} mm, not {there}")
        return found

    def _spelling(self) -> str:
        if not self.spelt_otherwise:
            return ""
        names = "".join(f" ({here}, not {there})" for here, there in self._names())
        are = agreeing(self.spelt_otherwise, "is", "are")
        organs = f"{self.spelt_otherwise} of {plural(self.organs, 'organ')}"
        return f"{organs} {are} spelt otherwise{names}"

    def _names(self) -> list[tuple[str, str]]:
        return list(zip(self.spelt, self.known_spelt, strict=True))

    def remedy(self) -> str:
        return (
            "import them into a cohort of their own, or, if they belong in this one, "
            "repeat with --also-from-elsewhere"
        )


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
        return READ_AGAIN


@finding
class AdditionalOrgans(Finding):
    """A case could have more organs today; it stays."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"now also has {', '.join(self.organs)}"

    def remedy(self) -> str:
        return READ_AGAIN


@finding
class NotReadAgain(Finding):
    """A case was to be read again and could not; it stays."""

    why: Finding

    def sentence(self) -> str:
        return f"stays as imported; it cannot be read again ({words(self.why)})"


@finding
class NotInArchive(Finding):
    """Cases were to be read again, and are not in the archive; they stay."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        count = plural(len(self.cases), "case")
        return (
            f"{count} of the cohort not in this archive, and not read again: {listed(self.cases)}"
        )


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
    """Several cases with one CT, or nearly."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"the same CT, or nearly: {', '.join(self.cases)}"

    def remedy(self) -> str:
        return "if it is one patient twice, take one out with `recontour remove`"


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


# Notes on the whole import


@finding
class OrgansLacking(Finding):
    """Some cases lack organs that other cases of the cohort have; there, they are unknown.

    cases: those of the import that lack any. of: how many the import has. organs, counts: which,
    and in how many cases each is lacking; the fewest first.
    """

    cases: FitToStore[tuple[str, ...]]
    of: int
    organs: FitToStore[tuple[str, ...]]
    counts: tuple[int, ...]

    def sentence(self) -> str:
        cases = f"{len(self.cases)} of {plural(self.of, 'case')} ({listed(self.cases, FEW)})"
        lack = agreeing(len(self.cases), "lacks", "lack")
        counted: list[str] = []
        for organ, count in zip(self.organs, self.counts, strict=True):
            missing = "in" if counted else "is missing in"
            counted.append(f"{organ} {missing} {count}")
        return (
            f"{cases} {lack} organs that other cases of the cohort have: "
            f"{listed(tuple(counted))}; "
            "where an organ is not contoured, it counts as unknown"
        )


@finding
class NamesNotMapped(Finding):
    """ROI names of an import that are no known organ's, or may be several organs'.

    Their structures are not stored. path: the archive. unknown, ambiguous: how many names.
    """

    unknown: int
    ambiguous: int

    def sentence(self) -> str:
        counted = []
        if self.unknown:
            counted.append(plural(self.unknown, "unknown ROI name"))
        if self.ambiguous:
            counted.append(plural(self.ambiguous, "ambiguous ROI name"))
        them = agreeing(self.unknown + self.ambiguous, "it", "them")
        return f"{' and '.join(counted)}: what is drawn under {them} was not imported"

    def remedy(self) -> str:
        archive = typed_path(self.path, "DICOM_DIR")
        return (
            f"if these are organs, `recontour import {archive} --draft-map MAP.toml` writes a map "
            "of them to fill in; give it to --names, and add --again for cases that are already in "
            "the cohort"
        )


# Organs that are partly contoured


@finding
class UnknownPartialOrgan(Finding):
    """An organ that was said to be partly contoured, or whole, has a name that nobody knows.

    option: with which it was said. meant: the organs that it may stand for.
    """

    option: ExtentOption
    seen: ScreenOnly[str]
    meant: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        return f"{self.option}: no organ is called {self.seen}"

    def remedy(self) -> str:
        if self.meant:
            return did_you_mean(self.meant)
        return "write a TG-263 name, or one that the map or --new-organ gives"


@finding
class PartialNotMet(Finding):
    """No patient has some of the organs that were said to be partly contoured."""

    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"--partial: no patient here has {listed(self.organs)}"

    def remedy(self) -> str:
        return "check the organ's name, and the names that are not mapped"


@finding
class PartialWithoutEffect(Finding):
    """An organ was said to be partly contoured, and no slice becomes unknown.

    In every case it reaches the end of the scan where it was said to go on. ends: which.
    cases: how many have the organ.
    """

    ends: FitToStore[tuple[End, ...]]
    cases: int

    def sentence(self) -> str:
        reached = " and ".join(f"the {END_WORDS[end]} end" for end in self.ends)
        where = "the only case" if self.cases == 1 else f"all {self.cases} cases"
        return (
            f"--partial has no effect: it reaches {reached} of the scan in {where} with this organ"
        )

    def remedy(self) -> str:
        return "what lies beyond the scan is unknown in any case"


@finding
class PartialForeseen(Finding):
    """An organ that is said to be partly contoured would be unknown beyond its contours.

    ends: where it is said to go on. structure_sets: in how many it would be. of: that have it.
    """

    ends: FitToStore[tuple[End, ...]]
    structure_sets: int
    of: int

    def sentence(self) -> str:
        ends = " or ".join(self.ends)
        sets = f"{self.structure_sets} of {plural(self.of, 'structure set')} with this organ"
        return f"--partial: unknown {ends} its contours, as far as the CT goes on, in {sets}"


@finding
class PartialNotApplied(Finding):
    """Cases stay as they are, although organs of theirs were said to be partly contoured."""

    cases: FitToStore[tuple[str, ...]]
    organs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        organs = listed(self.organs)
        return f"--partial: not applied to {organs} in {cases}, which stay as they are"

    def remedy(self) -> str:
        return READ_AGAIN


# Notes on where patients come from


@finding
class NewScanners(Finding):
    """New cases from scanners that no case of the cohort is from."""

    patients: int
    scanners: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        of = plural(self.patients, "new patient")
        return f"{of} from a scanner that the cohort did not have ({listed(self.scanners)})"


@finding
class UnknownOrigins(Finding):
    """New cases that nothing compares with those of the cohort."""

    patients: int
    new: int

    def sentence(self) -> str:
        of = f"{self.patients} of {plural(self.new, 'new patient')}"
        come = agreeing(self.patients, "comes", "come")
        return (
            f"whether {of} {come} from where the cohort's cases do is not known: the CTs name no "
            "institution or scanner that can be compared"
        )

    def remedy(self) -> str:
        return "if they do not, take them out again with `recontour import --undo`"


@finding
class SpeltOtherwise(Finding):
    """New cases from an unknown place spell no organ as any case of the cohort does.

    path: the cohort's. organs: how many both have. spelt, known_spelt: one organ's ROI name in a
    new case and in the cohort.
    """

    patients: int
    organs: int
    spelt: ScreenOnly[str]
    known_spelt: ScreenOnly[str]

    def sentence(self) -> str:
        new = plural(self.patients, "new patient")
        example = f"{self.spelt}, not {self.known_spelt}"
        return (
            f"{new} may come from another centre: nothing in the CTs says from where, and none of "
            f"{self.organs} organs is spelt as in the cohort ({example})"
        )

    def remedy(self) -> str:
        cohort = typed_path(self.path, "COHORT")
        return f"if so, take them out again with `recontour import --undo {cohort}`"


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
