"""Look into a cohort folder or a model file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recontour.cohort import Case, Cohort
from recontour.cohort.doubts import draft_warnings
from recontour.cohort.findings import NoCases
from recontour.cohort.lengths import LengthDoubt, length_doubts, lengths_settled
from recontour.cohort.sizes import Sizes, sizes_of, unusual_sizes
from recontour.cohort.store import DamagedCase
from recontour.cohort.traits import notes_on_traits, too_few_to_compare
from recontour.errors import CohortError, SettingsError
from recontour.files import NotFound
from recontour.findings import Finding
from recontour.network.findings import OnlyOfCohorts
from recontour.network.paths import refuse_no_model
from recontour.progress import Progress, quiet
from recontour.workflows.paths import is_model_path

# A cohort is inspected without torch, and without Matplotlib unless a page is written.
if TYPE_CHECKING:
    from recontour.network import ModelCard


@dataclass(frozen=True, slots=True)
class CohortContents:
    """What a cohort holds: the answer of `inspect` for a cohort folder.

    Attributes:
        cohort: The cohort itself.
        cases: The cases that can be used.
        damaged: The cases that cannot be used, each with the reason.
        sizes: How large the organs of each usable case are, by case and organ.
        lengths: Contours that are short, or stop early.

    Examples:
        >>> import recontour
        >>> contents = recontour.inspect("south")
        >>> len(contents.cases), contents.damaged
        (2, [])
        >>> first = contents.cases[0]
        >>> contents.sizes[first.id]["Brainstem"].extent_mm
        15.0
    """

    cohort: Cohort
    cases: list[Case]
    damaged: list[DamagedCase]
    sizes: Mapping[str, Sizes] = field(default_factory=dict)
    lengths: Sequence[LengthDoubt] = ()

    @property
    def notes(self) -> list[Finding]:
        """Return what a person should know of the contours, or that there are none."""
        if not self.cases and not self.damaged:
            return [NoCases(path=self.cohort.path)]
        return [
            *notes_on_traits(self.cases, self.cases, self.lengths),
            *draft_warnings(self.cases),
            *too_few_to_compare(self.cases),
            *unusual_sizes(self.sizes, lengths_settled(self.cases, self.lengths)),
        ]


def inspect(
    path: Path | str,
    *,
    html: Path | str | None = None,
    progress: Progress = quiet,
) -> "CohortContents | ModelCard":
    """Look into a cohort folder, or read a model's card.

    Args:
        path: A cohort folder, a model file, or TRUNK+HEAD.
        html: A page to write of every case of the cohort with its contours, the unusual ones first.
            It is for browsers, and names nobody. If it exists, it must be the cohort's earlier
            page, as recontour wrote it, and is replaced.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The cohort's contents, or the model's card.

    Raises:
        CohortError: There is neither, or the cohort cannot be read.
        ModelFileError: The model cannot be read.
        SettingsError: A page is asked for, but the path is a model's.
        OutputError: Something else exists there, or the page cannot be written.

    Examples:
        >>> import recontour
        >>> card = recontour.inspect("north.safetensors")
        >>> [head.centres for head in card.heads]
        [('south', 'north'), ('south',)]
    """
    path = Path(path)
    if is_model_path(path):
        if html is not None:
            raise SettingsError(OnlyOfCohorts(path=path, option="--html"))
        refuse_no_model(path)
        from recontour.network import load_model
        from recontour.network.card import card

        return card(load_model(path))
    cohort = _opened(path)
    if html is not None:
        from recontour.assess.own_page import own_page_at

        own_page_at(Path(html), cohort.id)  # refuses other files before the work, not after
    cases, damaged = cohort.examined(progress)
    sizes = {case.id: sizes_of(case) for case in cases}
    lengths = length_doubts(cases, cases)
    if html is not None:
        from recontour.assess.cohort_page import write_cohort_page

        write_cohort_page(Path(html), cohort, cases, damaged, sizes, lengths, progress)
    return CohortContents(cohort, list(cases), list(damaged), sizes, lengths)


def _opened(path: Path) -> Cohort:
    try:
        return Cohort.open(path)
    except CohortError as error:
        missing = error.finding
        if not isinstance(missing, NotFound):
            raise
        either = replace(missing, expected="a cohort or a model file", otherwise="check the path")
        raise CohortError(either) from error
