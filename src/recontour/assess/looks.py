"""A closer look at a model's contour than scores: mm by direction, and whether it looks usual."""

from dataclasses import dataclass

from recontour.assess.case_offsets import unknown_ends
from recontour.cohort import Case
from recontour.contouring.findings import OrganUnlikeTraining
from recontour.contouring.likeness import organ_unlike
from recontour.geometry.arrays import Mask
from recontour.geometry.offsets import Offsets, offsets
from recontour.network.ranges import Ranges
from recontour.network.traits import Body, body_of, organ_traits


@dataclass(frozen=True, slots=True)
class Look:
    """What a model's contour of one organ of a case looks like.

    offsets: how much further out it lies than the case's own contour. unlike: how it differs from
    those that the model learnt from; None if it does not, or if nobody knows.
    """

    case: str
    organ: str
    model: str
    offsets: Offsets
    unlike: OrganUnlikeTraining | None


class Looker:
    """Looks at the contours of one case; the body is sought once, when it is first needed."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._body: Body | None = None

    def look(
        self,
        organ: str,
        model: str,
        mask: Mask,
        ranges: Ranges | None,
    ) -> Look:
        """Look at one mask, (slice, row, column). ranges: of the model's own patients, if known."""
        case = self._case
        return Look(
            case=case.id,
            organ=organ,
            model=model,
            offsets=offsets(mask, case.mask(organ), case.grid, unknown_ends(case, organ)),
            unlike=self._unlike(organ, mask, ranges),
        )

    def _unlike(
        self,
        organ: str,
        mask: Mask,
        ranges: Ranges | None,
    ) -> OrganUnlikeTraining | None:
        if ranges is None or not mask.any():
            return None
        if self._body is None:
            self._body = body_of(self._case.hu, self._case.grid)
        traits = organ_traits(self._case.hu, self._case.grid, mask, self._body)
        return organ_unlike(ranges, organ, traits)
