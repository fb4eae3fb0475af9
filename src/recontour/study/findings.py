"""What can be found in a study: in its file, its split, its folder and its results."""

from typing import Literal

from recontour.cohort.findings import listed
from recontour.files import system_words
from recontour.findings import Finding, FitToStore, ScreenOnly, finding, words
from recontour.network.findings import FOLDS_SHARE_PATIENTS
from recontour.validation import Invalid
from recontour.wording import MOST_SHOWN, plural, shown

Role = Literal["source", "target"]
Fold = Literal["train", "validation", "test"]

FOLDS: tuple[Fold, ...] = ("train", "validation", "test")
MOST_MISTAKES = 5  # of a study file that one line names
EXAMPLE = "`recontour study --example` prints a study file"
BEGIN_AGAIN = "put the file back as it was, or begin the study in another --out"
NOT_OF_NEW_PATIENTS = "the scores would not be those of new patients"


# STUDY.toml


@finding
class WrongSettings(Finding):
    """Settings of a study are missing, unknown or impossible."""

    mistakes: tuple[Invalid, ...]

    def sentence(self) -> str:
        named = list(map(words, self.mistakes[:MOST_MISTAKES]))
        more = len(self.mistakes) - len(named)
        if more:
            named.append(f"{more} more")
        return "; ".join(named)


# The split


@finding
class EmptyFold(Finding):
    """A split leaves no case for training or for testing. cases: how many the cohort has."""

    folds: tuple[Fold, ...]
    cases: int

    def sentence(self) -> str:
        return f"no case for {' and '.join(self.folds)}, of {plural(self.cases, 'case')}"

    def remedy(self) -> str:
        return "leave at least one for each"


@finding
class CasesInSeveralFolds(Finding):
    """Cases that are one CT, or one patient, would be in several folds. folds: of each case."""

    shared: Literal["CT", "patient"]
    cases: FitToStore[tuple[str, ...]]
    folds: tuple[Fold, ...]

    def sentence(self) -> str:
        placed = zip(self.cases, self.folds, strict=True)
        where = ", ".join(f"{case} for {fold}" for case, fold in placed)
        return f"one {self.shared} would be in several folds ({where}): {NOT_OF_NEW_PATIENTS}"

    def remedy(self) -> str:
        if self.shared == "CT":
            return "give them one fold in a split file, or delete one case's folder in the cohort"
        return "these CTs have one PatientID; give them one fold in the split file"


@finding
class CtOfBothCentres(Finding):
    """A case that is tested on is a CT that the other centre trains on."""

    trainer: Role
    trained_on: FitToStore[str]

    def sentence(self) -> str:
        return (
            f"is for testing, and the {self.trainer} trains on the same CT "
            f"({self.trained_on}): {NOT_OF_NEW_PATIENTS}"
        )

    def remedy(self) -> str:
        return "take it out of one of the two cohorts, or leave it out of one split"


@finding
class EditedSplitFile(Finding):
    """A split file no longer says what it said when the study began."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return (
            "when the study began these cases had another fold, or none, and its models learnt "
            f"accordingly: {', '.join(self.cases)}"
        )

    def remedy(self) -> str:
        return BEGIN_AGAIN


@finding
class CasesSince(Finding):
    """Cases came into a centre's cohort since the study drew its split."""

    centre: Role
    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return (
            f"cases came into the cohort of the {self.centre} since the study began, and take no "
            f"part: {', '.join(self.cases)}"
        )

    def remedy(self) -> str:
        return "begin a study in another --out to use them"


@finding
class ReplacedCases(Finding):
    """Cases were imported again since the study began."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return (
            "these cases were imported again since the study began, and models would be scored "
            f"against different contours: {', '.join(self.cases)}"
        )

    def remedy(self) -> str:
        return "put the cases back as they were, or begin the study in another --out"


@finding
class WrongSplitColumns(Finding):
    """The first line of a split file does not name the columns case and fold."""

    columns: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        first_line = shown(",".join(self.columns)[:MOST_SHOWN]) if self.columns else "empty"
        return f"expected columns case and fold, with commas (the first line is {first_line})"


@finding
class RowsOfNeitherCentre(Finding):
    """A split file whose column centre names neither the source nor the target."""

    centre: ScreenOnly[str]

    def sentence(self) -> str:
        return f"no row has the centre source or target (one has {shown(self.centre)})"

    def remedy(self) -> str:
        return "write source or target into that column, or leave the column out"


@finding
class UnknownCase(Finding):
    """A split file names a case that the cohort does not have."""

    line: int
    name: ScreenOnly[str]

    def sentence(self) -> str:
        return f"line {self.line}: the cohort has no such case ({shown(self.name)})"

    def remedy(self) -> str:
        return "`recontour inspect` lists its cases"


@finding
class UnknownFold(Finding):
    """A split file names a fold that does not exist."""

    line: int
    fold: ScreenOnly[str]

    def sentence(self) -> str:
        return f"line {self.line}: unknown fold ({shown(self.fold)})"

    def remedy(self) -> str:
        return f"choose {', '.join(FOLDS)}"


@finding
class RepeatedCase(Finding):
    """A split file names a case twice. fold: that of the first line."""

    line: int
    fold: Fold

    def sentence(self) -> str:
        return f"line {self.line}: this case is in {self.fold} already; a case has one fold"


# What a reader of the report must know


@finding
class CrossValidated(Finding):
    """A centre's patients are tested in turns. folds: how many; patients: all of the centre's."""

    centre: Role
    folds: int
    patients: int

    def sentence(self) -> str:
        return (
            f"a cross-validation: each of the {plural(self.patients, 'patient')} of the "
            f"{self.centre} is tested once, in one of {self.folds} folds, on models that learnt "
            f"from the rest; {FOLDS_SHARE_PATIENTS}, and so do p values"
        )


@finding
class PatientsInTwoFolds(Finding):
    """Patients of one centre are both learnt from and tested on, by their keys or CTs.

    pairs: the first case on each side.
    """

    centre: Role
    patients: int
    pairs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        have = "has" if self.patients == 1 else "have"
        return (
            f"{plural(self.patients, 'patient')} of the {self.centre} {have} a CT for training or "
            "validation and another, or nearly the same, for testing "
            f"({listed(self.pairs)}): these scores say nothing about new patients"
        )

    def remedy(self) -> str:
        return "give all CTs of a patient one fold; a split that is drawn does"


@finding
class PatientsOfBothCentres(Finding):
    """Patients are tested on at one centre and trained on at the other, by their keys or CTs.

    pairs: the first case on each side.
    """

    tester: Role
    trainer: Role
    patients: int
    pairs: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        have = "has" if self.patients == 1 else "have"
        return (
            f"{plural(self.patients, 'test patient')} of the {self.tester} {have} the PatientID, "
            f"or nearly the CT, of someone the {self.trainer} trains on ({listed(self.pairs)}): "
            "unless both centres gave out that ID, these scores say nothing about new patients"
        )


@finding
class PatientsInDoubt(Finding):
    """Some CTs of one centre may be of one patient, although they count as several."""

    centre: Role
    why: Finding

    def sentence(self) -> str:
        return f"{self.centre}: {self.why.sentence()}"


@finding
class SeveralRecipes(Finding):
    """Not all models of a study are known to be trained by one recipe."""

    def sentence(self) -> str:
        return (
            "not all models are known to be trained by one recipe: "
            "see Settings and versions, at the end"
        )


# The folder


@finding
class ForeignScores(Finding):
    """A cell has scores of a case that it cannot have been scored on."""

    fold: FitToStore[str]
    name: ScreenOnly[str]

    def sentence(self) -> str:
        return f"split.csv does not list a case of these scores in {self.fold} ({shown(self.name)})"

    def remedy(self) -> str:
        return "put split.csv back, or delete result.json beside it and go on with --resume"


# The study's folder


@finding
class FileInsteadOfStudy(Finding):
    """A file is where a study's folder should be."""

    def sentence(self) -> str:
        return "this is a file, and a study is a folder"

    def remedy(self) -> str:
        return "choose another --out"


@finding
class NonEmptyFolder(Finding):
    """A folder with other contents is where a study should begin."""

    def sentence(self) -> str:
        return "this folder is not empty, and holds no study"

    def remedy(self) -> str:
        return "choose a new folder"


@finding
class ExistingStudy(Finding):
    """A study is in the folder, and nobody asked to resume it."""

    def sentence(self) -> str:
        return "this folder holds a study"

    def remedy(self) -> str:
        return "go on with --resume, or choose another --out"


@finding
class NoStudy(Finding):
    """A folder has no study.json that can be opened. number: errno."""

    number: int | None

    def sentence(self) -> str:
        return f"no study is here (study.json: {system_words(self.number)})"

    def remedy(self) -> str:
        return (
            "check the path, or run `recontour study` first; the report of `recontour evaluate` is "
            "made already: report.html in its folder"
        )


@finding
class DifferentStudy(Finding):
    """A folder holds a study that is declared differently. changed: settings that must stay."""

    changed: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        return f"the study in this folder has another {', '.join(self.changed)}"

    def remedy(self) -> str:
        return "choose another --out for this one"


@finding
class DamagedStudy(Finding):
    """A study.json cannot be read, or is wrong."""

    why: Finding

    def sentence(self) -> str:
        return f"the study's settings are damaged: {self.why.sentence()}"

    def remedy(self) -> str:
        return BEGIN_AGAIN


@finding
class UnlearnableOrgans(Finding):
    """Organs cannot be learnt, since no training patient of one of the centres has them.

    unknown: those organs; empty if the centres have no organ in common. known: what both have.
    """

    setting: Literal["organs", "separately.organs"]
    unknown: FitToStore[tuple[str, ...]]
    known: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        needed = ", ".join(self.unknown) or "one organ or more"
        known = ", ".join(self.known) or "none"
        return (
            f"{self.setting}: training patients of both centres must have {needed}; "
            f"both have {known}"
        )


@finding
class DifferentRecipes(Finding):
    """Finished cells were trained with another recipe than this recontour has."""

    cells: int

    def sentence(self) -> str:
        were = "was" if self.cells == 1 else "were"
        return (
            f"{plural(self.cells, 'finished cell')} {were} trained with another recipe "
            "than this recontour's; the report tells them apart"
        )


@finding
class LinkedFolder(Finding):
    """A folder of a study is a link. What is written through it would land elsewhere."""

    def sentence(self) -> str:
        return "this is a link, and a study writes only into its own folder"

    def remedy(self) -> str:
        return "put the folder itself there"


# Cells


@finding
class NoTrainingCase(Finding):
    """No training case has an organ of a cell."""

    organs: FitToStore[tuple[str, ...]]
    cases: int

    def sentence(self) -> str:
        return f"none of the {self.cases} training cases has {', '.join(self.organs)}"


@finding
class ModelOfAnotherRecipe(Finding):
    """A cell has a model, but no result, and the model was trained with another recipe."""

    def sentence(self) -> str:
        return "the cell's model was trained with another recipe"

    def remedy(self) -> str:
        return "delete the cell's folder and go on with --resume"


@finding
class FailedParentCell(Finding):
    """A cell cannot start, since its parent failed. parent: the parent's id."""

    parent: FitToStore[str]

    def sentence(self) -> str:
        return f"{self.parent}, which it starts from, failed"


@finding
class CrashedCell(Finding):
    """A library, or recontour itself, raised an error that nobody foresaw.

    error: its class. calls: where it was raised, the innermost call last. reason: its text.
    """

    error: FitToStore[str]
    calls: FitToStore[tuple[str, ...]]
    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"{self.error}: {self.reason}"


@finding
class FailedCell(Finding):
    """A cell failed; the others go on. cell: its id."""

    cell: FitToStore[str]
    why: Finding

    def sentence(self) -> str:
        return f"cell {self.cell} failed: {self.why.sentence()}"

    def remedy(self) -> str:
        return self.why.remedy()


@finding
class NoThreads(Finding):
    """Jobs run elsewhere, and nobody has said with how many threads."""

    def sentence(self) -> str:
        return "threads is 0, which shares out the cores of this machine; the workers are elsewhere"

    def remedy(self) -> str:
        return "set threads in the study file to what each worker may use"


@finding
class KeptCells(Finding):
    """A study was interrupted. begun: unfinished cells that have a checkpoint. cells: all."""

    finished: int
    begun: int
    cells: int

    def sentence(self) -> str:
        finished = f"{self.finished} of {plural(self.cells, 'cell')} finished"
        return f"{finished}, and a checkpoint of {self.begun} more"


# A cell's files


@finding
class DamagedResult(Finding):
    """A cell's result.json or scores.csv cannot be what a cell has written."""

    why: Finding

    def sentence(self) -> str:
        return f"the result cannot be used: {self.why.sentence()}"

    def remedy(self) -> str:
        return (
            "delete this file and go on with --resume: the cell's model is kept, and scored again"
        )


@finding
class WrongNumberOfIterations(Finding):
    """A result tells of another number of iterations than its cell has."""

    found: int
    expected: int

    def sentence(self) -> str:
        return f"{self.found} iterations instead of {self.expected}"


@finding
class WrongNumberOfRows(Finding):
    """scores.csv has more rows, or fewer, than result.json says."""

    found: int
    expected: int

    def sentence(self) -> str:
        return f"scores.csv has {self.found} rows instead of {self.expected}"


@finding
class RowOfAnotherCell(Finding):
    """A row of scores.csv belongs to another model, or to an organ that the cell does not learn."""

    row: int
    model: ScreenOnly[str]
    scored_organ: ScreenOnly[str]

    def sentence(self) -> str:
        what = f"model {shown(self.model)}, organ {shown(self.scored_organ)}"
        return f"row {self.row} of scores.csv belongs to another cell ({what})"


@finding
class ImpossibleScore(Finding):
    """A row of scores.csv holds a number that no score can be."""

    row: int
    why: Finding

    def sentence(self) -> str:
        return f"row {self.row} of scores.csv: {self.why.sentence()}"


@finding
class RepeatedScore(Finding):
    """scores.csv has two rows for one organ of one case."""

    fold: FitToStore[str]

    def sentence(self) -> str:
        return f"scores.csv scores an organ of a case twice in {self.fold}"


@finding
class DifferentScoredCases(Finding):
    """scores.csv and result.json do not name the same cases."""

    fold: FitToStore[str]

    def sentence(self) -> str:
        return f"scores.csv has other cases than result.json in {self.fold}"


@finding
class DamagedMasks(Finding):
    """A cell's masks.npz cannot be read, or holds something else."""

    why: Finding

    def sentence(self) -> str:
        return f"the contours cannot be used: {self.why.sentence()}"

    def remedy(self) -> str:
        return "delete this file; the report then shows no contours of this cell"


@finding
class MisfitMask(Finding):
    """One of the masks does not fit its CT."""

    problem: Literal["larger than its CT", "no array", "on another grid than its CT", "cut off"]

    def sentence(self) -> str:
        return f"a mask is {self.problem}"


@finding
class DamagedDiary(Finding):
    """A diary.csv cannot be read, or has a line that no training has written."""

    line: int | None = None
    why: Finding | None = None

    def sentence(self) -> str:
        if self.why:
            return f"the training's diary cannot be read: {self.why.sentence()}"
        return f"line {self.line} of the training's diary is damaged"

    def remedy(self) -> str:
        return "delete this file and go on with --resume: the model is kept, its times are lost"
