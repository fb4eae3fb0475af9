"""In which order to look at the contours of a CT: first those that most likely need correction.

docs/decisions/060-look-here-first.md has the measurements.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recontour.contouring.findings import OrganNotFound
from recontour.findings import Finding


@dataclass(frozen=True, slots=True)
class ToReview:
    """One organ in the order in which to look at a patient's contours.

    Attributes:
        organ: A TG-263 name.
        failures: What marks its contour as a gross failure; empty if nothing does.
        soft_dice: How decided the network is about it, 0 to 1; it is neither a probability nor the
            DSC to expect, and only its order says something. None if the organ was not found.

    Examples:
        >>> ToReview("Larynx", (), 0.87).failures
        ()
    """

    organ: str
    failures: tuple[Finding, ...]
    soft_dice: float | None


def review_order(
    organs: Sequence[str],
    soft_dice: Mapping[str, float],
    failures: Mapping[str, Sequence[Finding]],
) -> tuple[ToReview, ...]:
    """Return organs in the order in which to look at them: gross failures, then by soft Dice.

    organs: all that were searched for. soft_dice: of those that were found. failures: by organ.
    An organ that was not found is a gross failure.

    >>> order = review_order(["Larynx", "Brainstem", "Lens_L"], {"Larynx": 0.9, "Lens_L": 0.7}, {})
    >>> [one.organ for one in order]
    ['Brainstem', 'Lens_L', 'Larynx']
    """
    order = []
    for organ in organs:
        against = tuple(failures.get(organ, ()))
        if organ not in soft_dice:
            against = (OrganNotFound(organ=organ), *against)
        order.append(ToReview(organ, against, soft_dice.get(organ)))
    return tuple(sorted(order, key=_place))


def _place(one: ToReview) -> tuple[bool, float]:
    soft_dice = -math.inf if one.soft_dice is None else one.soft_dice
    return (not one.failures, soft_dice)
