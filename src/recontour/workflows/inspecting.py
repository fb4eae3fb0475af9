"""Look into a cohort folder or a model file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cohort import Case, Cohort
from recontour.cohort.store import DamagedCase
from recontour.progress import Progress, quiet

# A cohort is inspected without torch.
if TYPE_CHECKING:
    from recontour.network import ModelCard


@dataclass(frozen=True, slots=True)
class CohortContents:
    """What a cohort holds. cases: those that can be used. damaged: those that cannot."""

    cohort: Cohort
    cases: list[Case]
    damaged: list[DamagedCase]


def inspect(path: Path | str, *, progress: Progress = quiet) -> "CohortContents | ModelCard":
    """Look into a cohort folder, or read a model's card.

    Args:
        path: A cohort folder, a model file, or TRUNK+HEAD.
        progress: As for `train`.

    Returns:
        A cohort's sound and damaged cases, or a model's card.

    Raises:
        CohortError: There is neither, or the cohort cannot be read.
        ModelFileError: The model cannot be read.

    Examples:
        >>> recontour.inspect("south.safetensors").organs  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_file() or (not path.exists() and "+" in str(path)):
        from recontour.network import card, load_model

        return card(load_model(path))
    cohort = Cohort.open(path)
    cases, damaged = cohort.examined(progress)
    return CohortContents(cohort, list(cases), list(damaged))
