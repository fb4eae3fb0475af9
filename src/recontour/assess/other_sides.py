"""Whether a model's left is a case's right: swapped sides show in a score of nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from recontour.assess.findings import SidesExchanged
from recontour.cohort import Case
from recontour.evaluation import CaseScore
from recontour.evaluation.metrics import dice
from recontour.findings import Finding
from recontour.geometry.arrays import Mask
from recontour.organs import organ_of

# An organ with a higher DSC lies on its own side.
LOW_DSC = 0.5


class Exchanged(NamedTuple):
    """A model whose left is a case's right, and the organ on the left."""

    model: str
    left: str


class OtherSides:
    """Compares what models draw on one side of a case with the case's contour on the other.

    Masks come organ by organ, all of one model one after another.
    exchanged: what was found so far.
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[CaseScore, Mask]] = {}  # of one model, by organ
        self.exchanged: list[Exchanged] = []

    def look(self, case: Case, row: CaseScore, mask: Mask) -> None:
        """Look at a model's mask of one organ, (slice, row, column). row: its score."""
        twin = organ_of(row.organ).twin
        if twin is None or row.dsc > LOW_DSC:
            return
        earlier = self._before.pop(twin, None)
        if earlier is None or earlier[0].model != row.model:
            self._before[row.organ] = row, mask
            return
        other_row, other_mask = earlier
        if _fits_better(case, twin, mask, row.dsc) and _fits_better(
            case, row.organ, other_mask, other_row.dsc
        ):
            left = row.organ if organ_of(row.organ).side == "L" else twin
            self.exchanged.append(Exchanged(row.model, left))


def sides_exchanged(by_case: Mapping[str, Sequence[Exchanged]]) -> tuple[Finding, ...]:
    """Return a finding for each model and pair of organs that lie on each other's side.

    by_case: what was found in each case, by its id.
    """
    cases_of: defaultdict[Exchanged, list[str]] = defaultdict(list)
    for case_id, exchanged in by_case.items():
        for one in exchanged:
            cases_of[one].append(case_id)
    found = []
    for (model, left), cases in cases_of.items():
        right = organ_of(left).twin
        assert right is not None
        found.append(SidesExchanged(model=model, left=left, right=right, cases=tuple(cases)))
    return tuple(found)


def _fits_better(
    case: Case,
    twin: str,
    mask: Mask,
    own_dsc: float,
) -> bool:
    """Return whether a mask overlaps the contour on the other side more than its own."""
    scored = case.where_known(twin, mask)
    return dice(case.mask(twin), scored, case.grid) > own_dsc
