"""Whether a model's left is a case's right: swapped sides show in a score of nothing."""

from collections import defaultdict

from recontour.assess.findings import SidesExchanged
from recontour.cohort import Case
from recontour.evaluation import CaseScore
from recontour.evaluation.metrics import dice
from recontour.findings import Finding
from recontour.geometry.arrays import Mask
from recontour.organs import organ_of

# An organ with a higher DSC lies on its own side.
LOW_DSC = 0.5


class OtherSides:
    """Compares what a model draws on one side with the case's contour on the other.

    Masks come organ by organ, all of one model and case one after another.
    """

    def __init__(self) -> None:
        self._before: dict[str, tuple[CaseScore, Mask]] = {}  # of one model and case, by organ
        # By model and left organ, the cases.
        self._exchanged: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def look(self, case: Case, row: CaseScore, mask: Mask) -> None:
        """Look at a model's mask of one organ, (slice, row, column). row: its score."""
        twin = organ_of(row.organ).twin
        if twin is None or row.dsc > LOW_DSC:
            return
        earlier = self._before.pop(twin, None)
        if earlier is None or (earlier[0].case, earlier[0].model) != (row.case, row.model):
            self._before[row.organ] = row, mask
            return
        other_row, other_mask = earlier
        if _fits_better(case, twin, mask, row.dsc) and _fits_better(
            case, row.organ, other_mask, other_row.dsc
        ):
            left = row.organ if organ_of(row.organ).side == "L" else twin
            self._exchanged[row.model, left].append(case.id)

    def warnings(self) -> tuple[Finding, ...]:
        """Return a finding for each model and pair of organs that lie on each other's side."""
        found = []
        for (model, left), cases in self._exchanged.items():
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
