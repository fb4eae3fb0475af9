"""Compare a CT and what was found on it with what a model's own patients measured.

docs/decisions/050-unlike-patients.md has the measurements behind the margins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from recontour.contouring.findings import (
    BodyUnlikeTraining,
    ContourInParts,
    Deviation,
    OrganUnlikeTraining,
)
from recontour.geometry.arrays import Mask
from recontour.geometry.tracing import box_of
from recontour.network.ranges import Range, Ranges
from recontour.network.traits import (
    BodyTrait,
    BodyTraits,
    OrganTrait,
    OrganTraits,
    parts_of_mask,
)

FEW_CTS = 2  # the margin is (1 + FEW_CTS / CTs) times as wide: after one CT, three times
LEAST_MARKED = 2  # contours; a single one that is unlike training does not speak against the CT

AnyTrait = TypeVar("AnyTrait", BodyTrait, OrganTrait)


@dataclass(frozen=True, slots=True)
class Margin:
    """How far beyond the ends of a range a value may lie: a share of the end, and so much more."""

    share: float
    more: float

    def at(self, end: float, cts: int) -> float:
        """Return the margin at one end of a range that so many CTs have.

        >>> Margin(0.5, 0.3).at(4.0, cts=2)
        4.6
        """
        return (1 + FEW_CTS / cts) * (self.share * abs(end) + self.more)


BODY_MARGINS: Mapping[BodyTrait, Margin] = {
    "narrow_width_mm": Margin(0.4, 0),
    "narrow_area_cm2": Margin(0.4, 0),
}
ORGAN_MARGINS: Mapping[OrganTrait, Margin] = {
    "volume_cc": Margin(0.5, 0.3),
    "width_mm": Margin(0.4, 6),
    "depth_mm": Margin(0.4, 8),
    "height_mm": Margin(0.4, 8),
    "from_middle_x_mm": Margin(0, 15),
    "from_middle_y_mm": Margin(0, 18),
    "mean_hu": Margin(0.25, 75),
    "body_area_cm2": Margin(0.4, 20),
}


def body_unlike(ranges: Ranges, traits: BodyTraits) -> BodyUnlikeTraining | None:
    """Return how a body differs from those of training; None if it does not."""
    found = tuple(_deviations(ranges.body, traits, BODY_MARGINS))
    return BodyUnlikeTraining(deviations=found) if found else None


def organ_unlike(ranges: Ranges, organ: str, traits: OrganTraits) -> OrganUnlikeTraining | None:
    """Return how a contour differs from those of training; None if it does not.

    >>> ranges = Ranges({}, {"Lens_L": {"volume_cc": Range(0.15, 0.29, 20)}})
    >>> organ_unlike(ranges, "Lens_L", {"volume_cc": 0.4}) is None
    True
    >>> organ_unlike(ranges, "Lens_L", {"volume_cc": 4.0}).details()
    'volume 4 cc, in training 0.15 to 0.29'
    """
    found = tuple(_deviations(ranges.organs.get(organ, {}), traits, ORGAN_MARGINS))
    return OrganUnlikeTraining(organ=organ, deviations=found) if found else None


def is_unlike_as_a_whole(marked: int, found: int) -> bool:
    """Say whether so many contours are unlike training that the model does not suit the CT.

    >>> is_unlike_as_a_whole(marked=1, found=1), is_unlike_as_a_whole(marked=2, found=3)
    (False, True)
    """
    return marked >= LEAST_MARKED and 2 * marked > found


def in_parts(organ: str, mask: Mask) -> ContourInParts | None:
    """Return in how many parts an organ was found; None if it is one.

    mask: (slice, row, column).
    """
    box = box_of(mask)
    parts = parts_of_mask(mask)
    if box is None or parts < 2:
        return None
    is_shown = mask[box].any(axis=(1, 2))
    return ContourInParts(organ=organ, parts=parts, between=int((~is_shown).sum()))


def _deviations(
    ranges: Mapping[AnyTrait, Range],
    traits: Mapping[AnyTrait, float],
    margins: Mapping[AnyTrait, Margin],
) -> Iterator[Deviation]:
    for trait, value in traits.items():
        if trait not in ranges:
            continue
        known = ranges[trait]
        lowest = known.low - margins[trait].at(known.low, known.cts)
        highest = known.high + margins[trait].at(known.high, known.cts)
        if not lowest <= value <= highest:
            yield Deviation(
                trait=trait,
                seen=value,
                low=known.low,
                high=known.high,
                cts=known.cts,
            )
