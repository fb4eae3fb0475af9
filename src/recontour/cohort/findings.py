"""What can be found in a cohort folder: in its files, its arrays and its patients' keys."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import agreeing, did_you_mean, plural, shown

NAMES_SHOWN = 12
WHERE_THEY_ARE = "name the folder that has them with --who-from DICOM_DIR, which may be repeated"
MOVE_AWAY = "take the case out with `recontour remove`, then import the patient again"
READ_AGAIN = "to read the patients again, repeat the import with --again"
RESTORE = "restore it from a copy, or import into a new cohort"

Shape = tuple[int, ...]
End = Literal["below", "above"]  # of a scan
END_WORDS: dict[End, str] = {"below": "lower", "above": "upper"}


def listed(names: tuple[str, ...], most: int = NAMES_SHOWN) -> str:
    """Return names as an enumeration that stays short.

    >>> listed(("a", "b", "c"), most=2)
    'a, b, ...'
    """
    more = ["..."] if len(names) > most else []
    return ", ".join([*names[:most], *more])


def typed_path(path: Path | None, stand_in: str) -> str:
    """Return a path as it is typed in a command; without one, what stands for it.

    >>> typed_path(Path("my cohort"), "COHORT"), typed_path(None, "COHORT")
    ("'my cohort'", 'COHORT')
    """
    return shlex.quote(str(path)) if path else stand_in


def _typed(cases: tuple[str, ...]) -> str:
    """Return cases as they are typed in a command."""
    return " ".join(cases) if len(cases) <= NAMES_SHOWN else "CASE..."


# Folders


@finding
class NotACohort(Finding):
    """A folder holds no cohort. is_taken: it holds something else, where a new one should go."""

    is_taken: bool = False

    def sentence(self) -> str:
        return "exists and is not a cohort" if self.is_taken else "not a cohort"

    def remedy(self) -> str:
        if self.is_taken:
            return "choose a new folder"
        dicom = typed_path(self.path, "DICOM_DIR")
        return f"make one with `recontour import {dicom} COHORT`"


@finding
class FileInsteadOfCohort(Finding):
    """A file where a cohort's folder is expected."""

    def sentence(self) -> str:
        return "this is a file, and a cohort is a folder"

    def remedy(self) -> str:
        return "check the order of the arguments (--help)"


@finding
class UnsupportedCohortFormat(Finding):
    """A cohort in a format that this recontour does not read."""

    version: int
    readable: int

    def sentence(self) -> str:
        return f"cohort format {self.version}, but this recontour reads {self.readable}"

    def remedy(self) -> str:
        return "import the DICOM again, or use the recontour that wrote it"


@finding
class WrongCentre(Finding):
    """A cohort of another centre than the one that was named."""

    centre: ScreenOnly[str]
    wanted: ScreenOnly[str]

    def sentence(self) -> str:
        return f"the cohort of another centre ('{self.centre}', not '{self.wanted}')"

    def remedy(self) -> str:
        return "keep one folder per centre, or omit --centre"


@finding
class InvalidCentreLabel(Finding):
    """A centre's label that cannot become part of file names."""

    label: ScreenOnly[str]

    def sentence(self) -> str:
        return (
            "a centre's label becomes part of file names and DICOM attributes, "
            f"which this one cannot ({shown(self.label)})"
        )

    def remedy(self) -> str:
        return "choose another --centre"


# Cases


@finding
class InvalidCaseName(Finding):
    """A case's name that cannot be a folder's. is_new: nobody has stored the case yet."""

    name: ScreenOnly[str]
    is_new: bool = False

    def sentence(self) -> str:
        return f"not a valid name for a case ({shown(self.name)})"

    def remedy(self) -> str:
        return "choose another name" if self.is_new else "move it out of the cohort"


@finding
class NoSuchCase(Finding):
    """A cohort lacks a case. present: those that it has. meant: the one that is alike, if any."""

    name: ScreenOnly[str]
    present: FitToStore[tuple[str, ...]] = ()
    meant: FitToStore[str] = ""

    def sentence(self) -> str:
        return f"no such case ({shown(self.name)})"

    def remedy(self) -> str:
        if self.meant:
            return did_you_mean([self.meant])
        return f"choose from {listed(self.present)}" if self.present else "the cohort is empty"


@finding
class ExistingCase(Finding):
    """A cohort has a case of that name already."""

    def sentence(self) -> str:
        return "already in the cohort"

    def remedy(self) -> str:
        return "take it out with `recontour remove` to replace it"


@finding
class NothingContoured(Finding):
    """A case to be stored shows no organ at all, or not one that it is said to have.

    empty: the organs whose masks mark no voxel; none if there is no mask.
    """

    empty: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        if not self.empty:
            return "no mask was given, and a case has at least one organ"
        organs = listed(self.empty)
        if len(self.empty) == 1:
            return f"the mask of {organs} marks no voxel"
        return f"the masks of {organs} mark no voxel"

    def remedy(self) -> str:
        if not self.empty:
            return "give the mask of each contoured organ"
        return "leave out an organ that is not contoured: it is unknown, not absent"


@finding
class NoSuchCases(Finding):
    """Cases to remove that a cohort lacks. wanted: how many were named. meant: instead of them."""

    names: ScreenOnly[tuple[str, ...]]
    wanted: int
    present: FitToStore[tuple[str, ...]]
    meant: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        missing = f"{len(self.names)} of {plural(self.wanted, 'case')} to remove"
        are = agreeing(len(self.names), "is", "are")
        return f"{missing} {are} not in the cohort ({listed(self.names)}); none was removed"

    def remedy(self) -> str:
        if self.meant:
            return did_you_mean(self.meant, "and")
        return f"choose from {listed(self.present)}" if self.present else "the cohort is empty"


@finding
class NoCaseNamed(Finding):
    """No case was named."""

    def sentence(self) -> str:
        return "no case is named"

    def remedy(self) -> str:
        return "`recontour inspect` lists them"


# Changes of several cases


@finding
class UnfinishedChange(Finding):
    """A change of a cohort was interrupted, and must not be finished here."""

    def sentence(self) -> str:
        return "a change to this cohort was interrupted, and you have no permission to finish it"

    def remedy(self) -> str:
        return "ask someone who may write here to run `recontour inspect` on it"


@finding
class NothingToUndo(Finding):
    """No case is left of an import that is known. cases: that are in the cohort nevertheless."""

    cases: int = 0

    def sentence(self) -> str:
        if not self.cases:
            return "there is no import to undo: the cohort has no cases"
        return (
            f"there is no import to undo; {plural(self.cases, 'case')} came in before recontour "
            "kept a record of imports, or in other ways"
        )

    def remedy(self) -> str:
        return "take out single cases with `recontour remove`" if self.cases else ""


@finding
class CasesReadAgain(Finding):
    """The last import replaced cases, and what they were is gone. cases: how many."""

    cases: int

    def sentence(self) -> str:
        return (
            f"the last import cannot be undone: it read {plural(self.cases, 'case')} again "
            "(--again), and their earlier versions are gone"
        )

    def remedy(self) -> str:
        return "repeat it with --again and the earlier map"


@finding
class NoCases(Finding):
    """A cohort without a case."""

    def sentence(self) -> str:
        return "no case is in this cohort"

    def remedy(self) -> str:
        return f"add patients with `recontour import DICOM_DIR {typed_path(self.path, 'COHORT')}`"


@finding
class NoContouredCase(Finding):
    """A cohort without a case that has an organ."""

    def sentence(self) -> str:
        return "no contoured case"

    def remedy(self) -> str:
        return "import some with `recontour import`"


@finding
class OrgansNotInCohort(Finding):
    """Organs that no case has. missing: as a person spelt them. meant: what they may stand for."""

    present: FitToStore[tuple[str, ...]]
    missing: ScreenOnly[tuple[str, ...]]
    meant: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        these = "this organ" if len(self.missing) == 1 else "these organs"
        return f"no case has {these} ({listed(self.missing)})"

    def remedy(self) -> str:
        choose = f"choose from {', '.join(self.present)}"
        question = did_you_mean(self.meant)
        return f"{question} {choose}" if question else choose


# Names


@finding
class MapNotApplied(Finding):
    """A map of names would give cases other organs than they have. organs: which.

    is_kept: whether this is what an earlier import found.
    """

    cases: int
    of: int
    organs: FitToStore[tuple[str, ...]] = ()
    is_kept: bool = False

    def sentence(self) -> str:
        of = f"{self.cases} of {plural(self.of, 'case')}"
        which = f" ({listed(self.organs)})" if self.organs else ""
        if self.is_kept:
            return f"the names of the last import were not applied to {of}, which it did not change"
        stay = agreeing(self.cases, "stays as it is", "stay as they are")
        them = agreeing(self.cases, "it", "them")
        return f"not applied to {of}, which {stay}; the current names would change {them}{which}"

    def remedy(self) -> str:
        return READ_AGAIN


# Where cases come from


@finding
class MixedOrigins(Finding):
    """Some cases come from elsewhere than most, by their institution or by what the user said.

    institutions: how many are known. others: the cases that come from elsewhere.
    """

    institutions: int
    others: FitToStore[tuple[str, ...]]
    cases: int

    def sentence(self) -> str:
        of = f"{len(self.others)} of {plural(self.cases, 'case')}"
        known = f" ({self.institutions} institutions)" if self.institutions > 1 else ""
        come = agreeing(len(self.others), "comes", "come")
        return f"{of} {come} from elsewhere than the others{known}: {listed(self.others)}"

    def remedy(self) -> str:
        return "if they do not belong here, take them out with `recontour remove`"


# Contours


@finding
class DoubtfulSides(Finding):
    """In some cases, organs lie on the other side than their names say.

    on_the_right: left organs that lie to the right of their right twins, or of the middle.
    on_the_left: right organs that lie to the left of the middle. left_out: the cases are not used
    for this.
    """

    cases: FitToStore[tuple[str, ...]]
    on_the_right: FitToStore[tuple[str, ...]] = ()
    on_the_left: FitToStore[tuple[str, ...]] = ()
    left_out: bool = False

    def sentence(self) -> str:
        sides = (("right", self.on_the_right), ("left", self.on_the_left))
        lie = []
        for side, organs in sides:
            if organs:
                verb = agreeing(len(organs), "lies", "lie")
                lie.append(f"{', '.join(organs)} {verb} on the patient's {side}")
        what = " and ".join(lie)
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        used = ", so nothing is learnt from them" if self.left_out else ""
        return f"left and right look swapped in {cases}: {what}{used}"

    def remedy(self) -> str:
        cohort = typed_path(self.path, "COHORT")
        return (
            "correct the contours or their names in these structure sets, or the map if it is "
            "wrong, and import with --again; if the names are right, "
            f"`recontour confirm-sides {cohort} {_typed(self.cases)}`"
        )

    def brief(self) -> str:
        """Say it in a few words."""
        return "left and right look swapped"


@finding
class SidesNotInDoubt(Finding):
    """Left and right of a case do not look swapped, so there is nothing to confirm."""

    def sentence(self) -> str:
        return "left and right do not look swapped, so there is nothing to confirm"

    def remedy(self) -> str:
        return "check the case's name with `recontour inspect`"


@finding
class CutByScan(Finding):
    """An organ reaches the first or the last slice in some cases. of: how many cases have it."""

    end: End
    cases: FitToStore[tuple[str, ...]]
    of: int

    def sentence(self) -> str:
        cases = f"{len(self.cases)} of {plural(self.of, 'case')} ({listed(self.cases)})"
        end = f"the {END_WORDS[self.end]} end of the scan"
        return f"reaches {end} in {cases}; what lies beyond is unknown"


@finding
class PartlyContoured(Finding):
    """A person said that an organ is partly contoured in some cases: it goes on beyond.

    of: how many cases have it.
    """

    cases: FitToStore[tuple[str, ...]]
    of: int

    def sentence(self) -> str:
        cases = f"{len(self.cases)} of {plural(self.of, 'case')} ({listed(self.cases)})"
        return f"partly contoured in {cases}; beyond, it counts as unknown"


@finding
class ShortOrgan(Finding):
    """An organ's contour is much shorter in some cases than in the others, and the CT goes on.

    path: the cohort. extents_mm: in each of the cases, from the lowest to the highest slice.
    usual_mm: the median of the whole contours.
    """

    cases: FitToStore[tuple[str, ...]]
    extents_mm: tuple[float, ...]
    usual_mm: float

    def sentence(self) -> str:
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        return (
            f"only {_range_mm(self.extents_mm)} long in {cases}, usually {self.usual_mm:.0f} mm; "
            "what lies beyond counts as free of it"
        )

    def remedy(self) -> str:
        return _ask_for_extent(self, str(self.organ))

    def brief(self) -> str:
        """Say it in a few words."""
        return f"{self.organ}: short"

    def of_case(self, case: str) -> "ShortOrgan":
        """Return what is said of one of the cases."""
        extent_mm = self.extents_mm[self.cases.index(case)]
        return replace(self, cases=(case,), extents_mm=(extent_mm,))


@finding
class EarlyEnd(Finding):
    """The contour of a long organ stops early in some cases, and the CT goes on.

    path: the cohort. end: at which it stops. further_mm: nearly all other cases go on at least so
    much further, measured from the ends of other organs.
    """

    end: End
    cases: FitToStore[tuple[str, ...]]
    further_mm: float

    def sentence(self) -> str:
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        return (
            f"the contour stops early at its {END_WORDS[self.end]} end in {cases}, although the CT "
            f"goes on; in nearly all other cases it reaches at least {self.further_mm:.0f} mm "
            "further, measured from other organs; the slices beyond count as free of it"
        )

    def remedy(self) -> str:
        return _ask_for_extent(self, f"{self.organ}={self.end}")

    def brief(self) -> str:
        """Say it in a few words."""
        return f"{self.organ}: stops early {self.end}"

    def of_case(self, case: str) -> "EarlyEnd":
        """Return what is said of one of the cases."""
        return replace(self, cases=(case,))


def _ask_for_extent(doubt: ShortOrgan | EarlyEnd, answer: str) -> str:
    """Say how a person settles how far an organ is contoured. answer: as for --partial."""
    confirm = f"confirm-extent {typed_path(doubt.path, 'COHORT')} {_typed(doubt.cases)}"
    return (
        f"look at the contours; where it goes on, `recontour {confirm} --partial {answer}`; where "
        f"this is all of it, use `--whole {answer}` instead of `--partial {answer}`"
    )


def _range_mm(lengths_mm: tuple[float, ...]) -> str:
    shortest, longest = f"{min(lengths_mm):.0f}", f"{max(lengths_mm):.0f}"
    return f"{shortest} mm" if shortest == longest else f"{shortest} to {longest} mm"


@finding
class OrganNotContoured(Finding):
    """An organ is not contoured in a case. present: those that are."""

    present: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return "not contoured in this case"

    def remedy(self) -> str:
        return f"choose from {', '.join(self.present)}"


@finding
class NothingBeyond(Finding):
    """An organ is said to go on where it reaches the end of the scan. ends: which."""

    ends: FitToStore[tuple[End, ...]]

    def sentence(self) -> str:
        reached = " and ".join(f"the {END_WORDS[end]} end" for end in self.ends)
        return f"it reaches {reached} of the scan, so no slice lies beyond that could be unknown"

    def remedy(self) -> str:
        return (
            "leave this case out: what lies beyond the scan is unknown in any case; nothing was "
            "changed"
        )


@finding
class OneExtentAnswer(Finding):
    """Neither or both of the answers were given: that an organ goes on, or that it does not."""

    def sentence(self) -> str:
        return "say either which organ is partly contoured, or which is contoured whole"

    def remedy(self) -> str:
        return "give one of partial and whole"


@finding
class UnusualSize(Finding):
    """An organ of a case is far larger or smaller than in the cohort's other cases.

    value: of this case. median, low, high: of the others, in the same unit. z_score: how far the
    logarithm lies from that of the others' median, in the deviations that `unusual_sizes` expects.
    """

    measure: Literal["volume", "extent"]
    value: float
    unit: FitToStore[str]
    median: float
    low: float
    high: float
    others: int
    z_score: float

    def sentence(self) -> str:
        """Compare the value with the others'."""
        unit = self.unit
        far = "above" if self.value > self.median else "below"
        others = f"{self.others} other cases"
        return (
            f"{self.measure} {self.value:.3g} {unit} is far {far} the median of {others}, "
            f"{self.median:.3g} {unit} ({self.low:.3g} to {self.high:.3g} {unit}; "
            f"z {self.z_score:+.1f})"
        )

    def remedy(self) -> str:
        """Say how a person settles that an organ is as small as that."""
        if self.z_score > 0:
            return "look at the contour"
        return (
            "look at the contour; if this is all of the organ, "
            f"`recontour confirm-extent COHORT {self.case} --whole {self.organ}`"
        )

    def brief(self) -> str:
        """Say it in a few words."""
        size = "large" if self.z_score > 0 else "small"
        return f"{self.organ}: {size} {self.measure}"


@finding
class DraftContours(Finding):
    """Contours to learn from, or to score against, were drawn by recontour itself.

    drafts: the cases. cases: how many are used.
    """

    drafts: FitToStore[tuple[str, ...]]
    cases: int

    def sentence(self) -> str:
        """Say in which cases, and why it matters."""
        cases = f"{len(self.drafts)} of {plural(self.cases, 'case')} ({listed(self.drafts)})"
        return (
            f"the contours of {cases} are recontour's own: "
            "a model learns nothing from them, and scores against them prove nothing"
        )

    def brief(self) -> str:
        """Say it in a few words."""
        return "recontour's own contours"


@finding
class CordCalledCanal(Finding):
    """The structure that became the spinal cord is called a canal in some cases.

    path: the cohort.
    """

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        return f"the structure set calls it a canal in {cases}"

    def remedy(self) -> str:
        return _ask_for_cord(self)

    def brief(self) -> str:
        """Say it in a few words."""
        return f"{self.organ}: called a canal"


@finding
class CordLikeCanal(Finding):
    """What is called the spinal cord is as wide as the spinal canal in some cases.

    path: the cohort. of: how many cases have a cord. median_mm2: its area on a slice in the wide
    cases. limit_mm2: up to which it may be the cord.
    """

    cases: FitToStore[tuple[str, ...]]
    of: int
    median_mm2: float
    limit_mm2: float

    def sentence(self) -> str:
        cases = f"{len(self.cases)} of {plural(self.of, 'case')} ({listed(self.cases)})"
        area = f"{self.median_mm2:.0f} mm2 on a slice, more than {self.limit_mm2:.0f}"
        return f"as wide as the spinal canal in {cases}: {area}"

    def remedy(self) -> str:
        return _ask_for_cord(self)

    def brief(self) -> str:
        """Say it in a few words."""
        return f"{self.organ}: as wide as the canal"


def _ask_for_cord(doubt: CordCalledCanal | CordLikeCanal) -> str:
    """Say what to do if the canal was drawn, and how a person settles that it was the cord."""
    cohort = typed_path(doubt.path, "COHORT")
    return (
        "if the canal was drawn in these cases, map its name to SpinalCanal and import with "
        "--again; the others may stay (what follows: docs/reference/names.md, Cord and canal); if "
        f"it is the cord, `recontour confirm-cord {cohort} {_typed(doubt.cases)}`"
    )


@finding
class CordNotInDoubt(Finding):
    """A case's cord does not look like the canal, or there is none: nothing is to confirm."""

    def sentence(self) -> str:
        return (
            "no SpinalCord is called a canal or as wide as one here, so there is nothing to confirm"
        )

    def remedy(self) -> str:
        return "check the case's name with `recontour inspect`"


@finding
class SharedSourceUid(Finding):
    """In some cases, another structure set had the UID of the one taken, and other content."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        cases = f"{plural(len(self.cases), 'case')} ({listed(self.cases)})"
        return (
            "another structure set had the SOPInstanceUID of the one taken, and other content, in "
            f"{cases}"
        )

    def remedy(self) -> str:
        return (
            "look at the contours (`recontour inspect --html`); if they are the wrong ones, leave "
            "only the right structure set in the archive and import with --again"
        )

    def brief(self) -> str:
        """Say it in a few words."""
        return "another structure set had the same UID"


@finding
class TooFewToCompare(Finding):
    """A cohort has too few cases to compare how long and large contours are. needed: how many."""

    cases: int
    needed: int

    def sentence(self) -> str:
        return (
            f"{plural(self.cases, 'case')}: too few to compare the contours' lengths and sizes "
            f"({self.needed} are needed)"
        )

    def remedy(self) -> str:
        return "look at them yourself"

    def brief(self) -> str:
        """Say it in a few words."""
        return "too few cases to compare lengths and sizes"


@finding
class WhoseCases(Finding):
    """What was said names cases, and another command says whose these are. cohort: its folder."""

    cohort: ScreenOnly[Path]

    def sentence(self) -> str:
        return f"whose these are: `recontour inspect {typed_path(self.cohort, 'COHORT')} --who`"


def cases_named(note: Finding) -> set[str]:
    """Return the cases that a finding is about, by name; none if it only counts them.

    >>> sorted(cases_named(CordCalledCanal(organ="SpinalCord", cases=("north-1", "north-2"))))
    ['north-1', 'north-2']
    """
    cases = getattr(note, "cases", ())
    named = set(cases) if isinstance(cases, tuple) else set()
    if note.case:
        named.add(note.case)
    return named


# Files


@finding
class DamagedCohortFile(Finding):
    """A file of a cohort is not what recontour wrote. path: the folder it lies in."""

    file: FitToStore[str]
    why: Finding

    def sentence(self) -> str:
        return f"{self.file} is damaged ({self.why.sentence()})"

    def remedy(self) -> str:
        if self.file == "imports.json":
            return "move it away; afterwards, only the last import can no longer be undone"
        return MOVE_AWAY if self.case else RESTORE


@finding
class NoReadPermission(Finding):
    """Permissions forbid reading a file or folder."""

    def sentence(self) -> str:
        return "no permission to read it"

    def remedy(self) -> str:
        return "check its permissions, and those of the folders above it"


@finding
class UnreadableFolder(Finding):
    """The operating system does not open a folder, for a reason that the path has."""

    why: Finding

    def sentence(self) -> str:
        return f"cannot be opened ({self.why.sentence()})"

    def remedy(self) -> str:
        return "check the path"


@finding
class ImpossibleGrid(Finding):
    """A grid that no CT can have."""

    why: Finding

    def sentence(self) -> str:
        return self.why.sentence()


# Arrays


@finding
class NotAnArray(Finding):
    """A file does not begin as recontour begins an array."""

    seen: Literal["nothing", "another beginning", "another header"]

    def sentence(self) -> str:
        match self.seen:
            case "nothing":
                return "it is empty"
            case "another beginning":
                return "it does not begin like an array that recontour writes"
            case "another header":
                return "its header is not one that recontour writes"


@finding
class WrongNumberType(Finding):
    """An array of another kind of numbers; kinds as in NumPy's header, such as "<i2"."""

    kind: FitToStore[str]
    expected: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"it holds {self.kind} numbers, expected {' or '.join(self.expected)}"


@finding
class WrongArraySize(Finding):
    """An array's file with too many or too few bytes."""

    size: int
    expected: int

    def sentence(self) -> str:
        return f"it has {self.size} bytes, expected {self.expected}"


@finding
class ChangedVoxels(Finding):
    """Voxels whose checksum is not the one that import stored."""

    def sentence(self) -> str:
        return "its voxels changed after the import: the checksum differs"


@finding
class NonFiniteVoxels(Finding):
    """Voxels that are infinite or not a number."""

    def sentence(self) -> str:
        return "some of its voxels are not finite numbers"


# Patients


@finding
class UnusableSalt(Finding):
    """The file of the salt can be neither read nor made."""

    why: Finding
    done: Literal["read", "made"]

    def sentence(self) -> str:
        return (
            f"the salt cannot be {self.done}, so only nearly equal CTs are known to be of one "
            f"patient ({self.why.sentence()})"
        )

    def remedy(self) -> str:
        return self.why.remedy()


@finding
class NotASalt(Finding):
    """A file in the salt's place that recontour did not write."""

    def sentence(self) -> str:
        return "not a salt that recontour wrote"

    def remedy(self) -> str:
        return (
            "put the old one back, or move it away: with a new salt, patients who are imported "
            "from now on cannot be compared with the others"
        )


@finding
class ArchiveNotThere(Finding):
    """The DICOM files that a cohort was imported from are not where they were."""

    def sentence(self) -> str:
        return "the DICOM files are not there any more"

    def remedy(self) -> str:
        return WHERE_THEY_ARE


@finding
class UnknownArchive(Finding):
    """It is not known where the DICOM files lie that a cohort was imported from.

    unknown: how many of the folders. of: all that the cohort knows of; 0 in an older one.
    """

    unknown: int
    of: int

    def sentence(self) -> str:
        some = f" ({self.unknown} of {plural(self.of, 'folder')})" if self.of > 1 else ""
        return (
            f"where its DICOM files lie is not known{some}: another user imported them, or an "
            "earlier recontour did"
        )

    def remedy(self) -> str:
        return WHERE_THEY_ARE


@finding
class CasesNotInArchives(Finding):
    """Some cases are not among the DICOM files. of: how many cases there are."""

    cases: FitToStore[tuple[str, ...]]
    of: int

    def sentence(self) -> str:
        cases = f"{len(self.cases)} of {plural(self.of, 'case')} ({listed(self.cases)})"
        return f"these DICOM files do not show who is who in {cases}"

    def remedy(self) -> str:
        return WHERE_THEY_ARE


@finding
class NewSalt(Finding):
    """A new salt."""

    def sentence(self) -> str:
        return "a new salt, with which recontour recognises CTs of one patient"

    def remedy(self) -> str:
        return "keep it there, and give it to nobody"


@finding
class ExposedSalt(Finding):
    """Others than its owner may read or change the salt. mode: the file's permissions."""

    mode: int

    def sentence(self) -> str:
        return (
            f"the salt is open to others than its owner (mode {self.mode:03o}); with it, patient "
            "keys can be traced to PatientIDs"
        )

    def remedy(self) -> str:
        return (
            "run chmod 600 on it or, if the file system has no permissions, let nobody else into "
            "its folder"
        )


@finding
class KeysOfAnotherSalt(Finding):
    """Cases whose patient keys were made with another salt. path: the salt's."""

    cases: int

    def sentence(self) -> str:
        return (
            f"{plural(self.cases, 'case')} of the cohort have patient keys of another salt, so "
            "they cannot be compared with new ones"
        )

    def remedy(self) -> str:
        return "put the old salt back if you have it"


@finding
class UnknownPatients(Finding):
    """Some CTs have no patient key. cts: all of them; unknown: those without."""

    unknown: int
    cts: int

    def sentence(self) -> str:
        have = agreeing(self.unknown, "has", "have")
        return (
            f"{self.unknown} of {plural(self.cts, 'CT')} {have} no patient key, so some may be of "
            "one patient; each counts as a patient of its own, unless it nearly equals another"
        )


@finding
class SeveralSalts(Finding):
    """Patient keys that were made with several salts."""

    cts: int
    salts: int

    def sentence(self) -> str:
        return (
            f"the patient keys of these {self.cts} CTs were made with {self.salts} salts and "
            "cannot be compared; a patient with keys of two salts counts as two"
        )


@finding
class TooFewPatientsForFolds(Finding):
    """A cross-validation in more folds than there are patients."""

    patients: int
    folds: int

    def sentence(self) -> str:
        there = plural(self.patients, "patient")
        return f"{there} cannot be dealt out into {self.folds} folds, with at least one in each"

    def remedy(self) -> str:
        if self.patients < 2:
            return "import more patients: one alone cannot be both learnt from and tested on"
        return f"ask for at most {self.patients} folds"
