"""What can be found in a study: in its file, its split, its folder and its results."""

from dataclasses import dataclass
from typing import Literal

from recontour.findings import Finding, FitToStore, ScreenOnly, words
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableStudyFile(Finding):
    """A study file is not TOML, or cannot be read."""

    why: Finding

    def sentence(self) -> str:
        """Say why."""
        return f"cannot be read: {self.why.sentence()}"

    def remedy(self) -> str:
        """Point to the example."""
        return "correct it, or start from `recontour study --example`"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSettings(Finding):
    """Settings of a study are missing, unknown or impossible."""

    mistakes: tuple[Invalid, ...]

    def sentence(self) -> str:
        """Name the first mistakes, and how many more there are."""
        named = list(map(words, self.mistakes[:MOST_MISTAKES]))
        more = len(self.mistakes) - len(named)
        if more:
            named.append(f"{more} more")
        return "; ".join(named)


# The split


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyFold(Finding):
    """A split leaves no case for training or for testing. cases: how many the cohort has."""

    folds: tuple[Fold, ...]
    cases: int

    def sentence(self) -> str:
        """Name the empty folds."""
        return f"no case for {' and '.join(self.folds)}, of {plural(self.cases, 'case')}"

    def remedy(self) -> str:
        """Say what is needed."""
        return "leave at least one for each"


@dataclass(frozen=True, slots=True, kw_only=True)
class InSeveralFolds(Finding):
    """Cases that are one CT, or one patient, would be in several folds. folds: of each case."""

    shared: Literal["CT", "patient"]
    cases: FitToStore[tuple[str, ...]]
    folds: tuple[Fold, ...]

    def sentence(self) -> str:
        """Name each case and its fold."""
        placed = zip(self.cases, self.folds, strict=True)
        where = ", ".join(f"{case} for {fold}" for case, fold in placed)
        return f"one {self.shared} would be in several folds ({where}): {NOT_OF_NEW_PATIENTS}"

    def remedy(self) -> str:
        """Say how to put them into one fold."""
        if self.shared == "CT":
            return "give them one fold in a split file, or delete one case's folder in the cohort"
        return "these CTs have one PatientID; give them one fold in the split file"


@dataclass(frozen=True, slots=True, kw_only=True)
class CtOfBothCentres(Finding):
    """A case that is tested on is a CT that the other centre trains on."""

    trainer: Role
    trained_on: FitToStore[str]

    def sentence(self) -> str:
        """Name both cases."""
        return (
            f"is for testing, and the {self.trainer} trains on the same CT ({self.trained_on}): "
            f"{NOT_OF_NEW_PATIENTS}"
        )

    def remedy(self) -> str:
        """Say what to change."""
        return "take it out of one of the two cohorts, or leave it out of one split"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFileEdited(Finding):
    """A split file no longer says what it said when the study began."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name the cases that moved."""
        return (
            "when the study began these cases had another fold, or none, and its models learnt "
            f"accordingly: {', '.join(self.cases)}"
        )

    def remedy(self) -> str:
        """Offer both ways out."""
        return BEGIN_AGAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class CasesReplaced(Finding):
    """Cases were imported again since the study began."""

    cases: FitToStore[tuple[str, ...]]

    def sentence(self) -> str:
        """Name them, and say why it matters."""
        return (
            "these cases were imported again since the study began, and models would be scored "
            f"against different contours: {', '.join(self.cases)}"
        )

    def remedy(self) -> str:
        """Offer both ways out."""
        return "put the cases back as they were, or begin the study in another --out"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableSplit(Finding):
    """A split file is not a table."""

    why: Finding

    def sentence(self) -> str:
        """Say why, and what is expected."""
        return (
            f"expected a table with columns case and fold; cannot read it ({self.why.sentence()})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSplitColumns(Finding):
    """The first line of a split file does not name the columns case and fold."""

    columns: ScreenOnly[tuple[str, ...]]

    def sentence(self) -> str:
        """Compare the columns."""
        first_line = shown(",".join(self.columns)[:MOST_SHOWN]) if self.columns else "empty"
        return f"expected columns case and fold, with commas; the first line is {first_line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsOfNeitherCentre(Finding):
    """A split file whose column centre names neither the source nor the target."""

    centre: ScreenOnly[str]

    def sentence(self) -> str:
        """Show one of the names."""
        return f"no row has the centre source or target; one has {shown(self.centre)}"

    def remedy(self) -> str:
        """Say what to write."""
        return "write source or target into that column, or leave the column out"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownCase(Finding):
    """A split file names a case that the cohort does not have."""

    line: int
    name: ScreenOnly[str]

    def sentence(self) -> str:
        """Say where, and show the name."""
        return f"line {self.line}: the cohort has no case {shown(self.name)}"

    def remedy(self) -> str:
        """Say how to see the cases."""
        return "`recontour inspect` lists its cases"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFold(Finding):
    """A split file names a fold that does not exist."""

    line: int
    fold: ScreenOnly[str]

    def sentence(self) -> str:
        """Say where, and show the name."""
        return f"line {self.line}: unknown fold {shown(self.fold)}"

    def remedy(self) -> str:
        """List the folds."""
        return f"choose {', '.join(FOLDS)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTwice(Finding):
    """A split file names a case twice. fold: that of the first line."""

    line: int
    fold: Fold

    def sentence(self) -> str:
        """Say where, and which fold it has."""
        return f"line {self.line}: this case is in {self.fold} already; a case has one fold"


# What a reader of the report must know


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientsInTwoFolds(Finding):
    """Patients of one centre are both learnt from and tested on, by their keys."""

    centre: Role
    patients: int

    def sentence(self) -> str:
        """Say how many, and what the scores are worth."""
        return (
            f"{plural(self.patients, 'patient')} of the {self.centre} had one CT for training or "
            "validation and another for testing when this study began: these scores say nothing "
            "about new patients"
        )

    def remedy(self) -> str:
        """Say what a new study does."""
        return "a study that begins now splits by patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientsOfBothCentres(Finding):
    """Patients are tested on at one centre and trained on at the other, by their keys."""

    tester: Role
    trainer: Role
    patients: int

    def sentence(self) -> str:
        """Say how many, and what the scores are worth."""
        have = "has" if self.patients == 1 else "have"
        return (
            f"{plural(self.patients, 'test patient')} of the {self.tester} {have} the PatientID of "
            f"someone the {self.trainer} trains on: unless both centres gave out that ID, these "
            "scores say nothing about new patients"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientsInDoubt(Finding):
    """Some CTs of one centre may be of one patient, although they count as several."""

    centre: Role
    why: Finding

    def sentence(self) -> str:
        """Say whose, and why."""
        return f"{self.centre}: {self.why.sentence()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralRecipes(Finding):
    """Not all models of a study are known to be trained by one recipe."""

    def sentence(self) -> str:
        """Say where the report lists them."""
        return (
            "not all models are known to be trained by one recipe: "
            "see Settings and versions, at the end"
        )


# The folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignScores(Finding):
    """A cell has scores of a case that it cannot have been scored on."""

    fold: FitToStore[str]
    name: ScreenOnly[str]

    def sentence(self) -> str:
        """Show the case."""
        return f"split.csv does not list a case of these scores in {self.fold} ({shown(self.name)})"

    def remedy(self) -> str:
        """Offer both ways out."""
        return "put split.csv back, or delete result.json beside it and go on with --resume"
