"""In which order to look at the contours of a CT: first those that most likely need correction.

docs/decisions/060-look-here-first.md has the measurements.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from recontour.contouring.findings import OrganNotFound
from recontour.findings import Finding

Logits = npt.NDArray[np.float32]


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


def soft_dice(logits_VNhw: Sequence[Logits]) -> float:
    """Return the Dice of an organ's probability with what it decides: 2 sum(pm) / sum(p + m).

    logits_VNhw: of each view, (N, h, w), as coarse as the network gives them.
    Returns: 0 to 1; 0 where nothing is decided.

    >>> far_out, far_in, undecided = np.float32(-20), np.float32(20), np.float32(0.1)
    >>> round(soft_dice([np.array([[[far_in, far_out]]])]), 3)
    1.0
    >>> round(soft_dice([np.array([[[undecided, far_out]]])]), 3)
    0.689
    """
    inside = expected = within = 0.0
    for logits_Nhw in logits_VNhw:
        decided = logits_Nhw > 0
        p = expit(logits_Nhw)
        inside += float(np.count_nonzero(decided))
        expected += float(p.sum(dtype=np.float64))
        within += float(p[decided].sum(dtype=np.float64))
    return 2 * within / (expected + inside) if inside else 0.0
