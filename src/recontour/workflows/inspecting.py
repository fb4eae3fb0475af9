"""Look into a cohort folder or a model file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cohort import Case, Cohort
from recontour.cohort.store import DamagedCase
from recontour.cohort.traits import notes_on_traits
from recontour.errors import CohortError
from recontour.files import NotFound
from recontour.findings import Finding
from recontour.progress import Progress, quiet

# A cohort is inspected without torch.
if TYPE_CHECKING:
    from recontour.network import ModelCard


@dataclass(frozen=True, slots=True)
class CohortContents:
    """What a cohort holds: the answer of `inspect` for a cohort folder.

    Attributes:
        cohort: The cohort itself.
        cases: The cases that can be used.
        damaged: The cases that cannot be used, each with the reason.

    Examples:
        >>> import recontour
        >>> contents = recontour.inspect("south")
        >>> len(contents.cases), contents.damaged
        (2, [])
    """

    cohort: Cohort
    cases: list[Case]
    damaged: list[DamagedCase]

    @property
    def notes(self) -> list[Finding]:
        """Return what a person should know of the contours."""
        return notes_on_traits(self.cases)


def inspect(path: Path | str, *, progress: Progress = quiet) -> "CohortContents | ModelCard":
    """Look into a cohort folder, or read a model's card.

    Args:
        path: A cohort folder, a model file, or TRUNK+HEAD.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The cohort's contents, or the model's card.

    Raises:
        CohortError: There is neither, or the cohort cannot be read.
        ModelFileError: The model cannot be read.

    Examples:
        >>> import recontour
        >>> card = recontour.inspect("north.safetensors")
        >>> [head.centres for head in card.heads]
        [('south', 'north'), ('south',)]
    """
    path = Path(path)
    if _is_model(path):
        from recontour.network import card, load_model

        return card(load_model(path))
    cohort = _opened(path)
    cases, damaged = cohort.examined(progress)
    return CohortContents(cohort, list(cases), list(damaged))


def _opened(path: Path) -> Cohort:
    try:
        return Cohort.open(path)
    except CohortError as error:
        missing = error.finding
        if not isinstance(missing, NotFound):
            raise
        either = replace(missing, expected="a cohort or a model file", otherwise="check the path")
        raise CohortError(either) from error


def _is_model(path: Path) -> bool:
    """Return whether a path is a file, or two as in TRUNK+HEAD."""
    try:
        return path.is_file() or (not path.exists() and "+" in str(path))
    except OSError:  # a name that is too long, because it is two
        return "+" in str(path)
