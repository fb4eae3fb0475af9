"""What the numbers of `train`, `adapt` and `accept` ask for; nothing here loads torch.

The command line calls this before it loads the rest, and each step of the Python API calls it
again.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recontour.errors import SettingsError
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.training.recipe import Recipe
from recontour.wording import shown
from recontour.workflows.check_folder import USUAL_FOLDS

if TYPE_CHECKING:
    from recontour.evaluation.gate import Margins

# `paper` has 200 000.
MOST_ITERATIONS = 10_000_000
LARGEST_MARGIN = 0.5  # of a DSC


@finding
class ImpossibleIterations(Finding):
    """The number of iterations is out of range. seen: as text, since it may have any length."""

    seen: ScreenOnly[str]
    most: int

    def sentence(self) -> str:
        """Say the range."""
        return f"--iterations: at least 1 and at most {self.most} are expected (found {self.seen})"


@finding
class ImpossibleMargin(Finding):
    """A margin that is no part of a DSC, or so large that everything would be promoted."""

    option: FitToStore[str]
    margin: float
    most: float

    def sentence(self) -> str:
        """Say what was given."""
        return f"{self.option} {self.margin:g}: 0 to {self.most:g} is expected"

    def remedy(self) -> str:
        """Say what is usual."""
        return "0.02 is the default"


@finding
class FoldsWithoutCheck(Finding):
    """A number of folds was given for an adaptation that is not to be checked."""

    def sentence(self) -> str:
        """Say what is missing."""
        return "--folds is the number of folds of --check, which is missing"

    def remedy(self) -> str:
        """Say what may be meant."""
        return "add --check, or leave out --folds"


@finding
class TooFewFolds(Finding):
    """An adaptation is to be checked in fewer than two folds."""

    folds: int

    def sentence(self) -> str:
        """Say what was given."""
        return f"--folds {self.folds}: a check needs at least 2 folds"

    def remedy(self) -> str:
        """Say what is usual."""
        return f"without --folds there are {USUAL_FOLDS}"


@finding
class TooFewFoldsForGain(Finding):
    """The patients are to be dealt out into fewer than two folds."""

    folds: int

    def sentence(self) -> str:
        """Say what was given."""
        return f"--folds {self.folds}: at least 2 folds are expected"

    def remedy(self) -> str:
        """Say what is usual."""
        return f"without --folds there are {USUAL_FOLDS}"


@finding
class ImpossibleUsefulGain(Finding):
    """The gain that is worth further patients is out of range."""

    useful: float

    def sentence(self) -> str:
        """Say the range."""
        return (
            f"--useful {self.useful:g}: a gain in mean DSC above 0 and at most 1 is expected, such "
            "as 0.01"
        )


@dataclass(frozen=True, slots=True)
class Extent:
    """How thorough a check is.

    is_short: each fold learns for half as long as the model itself will.
    """

    folds: int
    is_short: bool

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe of a fold. recipe: of an adaptation to as many patients."""
        alone = replace(recipe, parent_patients=0.0)
        if not self.is_short:
            return alone
        return replace(alone, iterations=-(-recipe.iterations // 2))


SHORT = Extent(folds=2, is_short=True)


def wanted_extent(folds: int | None, check: bool | None) -> Extent | None:
    """Return how thoroughly an adaptation is to be checked; None: not at all.

    folds, check: as the user said; None: nothing.
    Raises: SettingsError: fewer than two folds, or folds without a check.

    >>> wanted_extent(folds=4, check=True)
    Extent(folds=4, is_short=False)
    """
    if not check:
        if folds is not None:
            raise SettingsError(FoldsWithoutCheck())
        return SHORT if check is None else None
    if folds is None:
        return Extent(USUAL_FOLDS, is_short=False)
    if folds < 2:
        raise SettingsError(TooFewFolds(folds=folds))
    return Extent(folds, is_short=False)


def refuse_iterations(iterations: int | None) -> None:
    """Raise SettingsError for a number of iterations that is out of range. None: the preset's.

    >>> refuse_iterations(200)
    """
    if iterations is not None and not 1 <= iterations <= MOST_ITERATIONS:
        raise SettingsError(ImpossibleIterations(seen=shown(iterations), most=MOST_ITERATIONS))


def refuse_folds(folds: int | None) -> None:
    """Raise SettingsError for fewer than two folds. None: the usual number.

    >>> refuse_folds(2)
    """
    if folds is not None and folds < 2:
        raise SettingsError(TooFewFoldsForGain(folds=folds))


def refuse_useful(useful: float) -> None:
    """Raise SettingsError for a useful gain in mean DSC that is out of range.

    >>> refuse_useful(0.01)
    """
    if not 0 < useful <= 1:  # also NaN
        raise SettingsError(ImpossibleUsefulGain(useful=useful))


def wanted_margins(dsc: float, surface_dsc: float) -> "Margins":
    """Return by how much a candidate may be worse. Raises: SettingsError: a margin is impossible.

    >>> wanted_margins(0.02, 0.03).surface_dsc
    0.03
    """
    for option, value in (("--margin-dsc", dsc), ("--margin-surface-dsc", surface_dsc)):
        if not 0 <= value <= LARGEST_MARGIN:
            raise SettingsError(ImpossibleMargin(option=option, margin=value, most=LARGEST_MARGIN))
    # Here, since it loads SciPy, which the other commands' settings can do without.
    from recontour.evaluation.gate import Margins

    return Margins(dsc, surface_dsc)
