"""What bodies and organs measured in the patients that a model learnt from: lowest and highest.

A model file holds these numbers beside its provenance, and `contour` compares a CT with them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, TypeVar

from pydantic import ConfigDict, Field, Strict

from recontour.network.traits import BodyTrait, BodyTraits, OrganTrait, OrganTraits
from recontour.organs import OrganName
from recontour.validation import ExpectedError

MOST_ORGANS = 1000  # of a model and its parents
DIGITS = 3  # kept of each number: no more of a patient than is needed

Number = Annotated[float, Strict(), Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Cts = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Trait = TypeVar("Trait", bound=str)
# What one CT measures: its body, and organs by name.
Measured = tuple[BodyTraits, Mapping[str, OrganTraits]]


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and the highest of a trait's values, in so many CTs."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    low: Number
    high: Number
    cts: Cts

    def __post_init__(self) -> None:
        """Raise ExpectedError if the ends are swapped."""
        if self.low > self.high:
            raise ExpectedError("a range from low to high")

    def joined(self, other: "Range") -> "Range":
        """Return the range of both groups of CTs; a CT in both counts twice."""
        return Range(
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            cts=self.cts + other.cts,
        )


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges of every trait, of bodies and by organ; a trait that was never measured has none.

    >>> Ranges({}, {"Lens_L": {"volume_cc": Range(0.15, 0.29, 20)}}).organs["Lens_L"]
    {'volume_cc': Range(low=0.15, high=0.29, cts=20)}
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    body: Mapping[BodyTrait, Range]
    organs: Annotated[Mapping[OrganName, Mapping[OrganTrait, Range]], Field(max_length=MOST_ORGANS)]

    def joined(self, other: "Ranges") -> "Ranges":
        """Return the ranges of both groups of CTs; a CT in both counts twice."""
        organs = dict(self.organs)
        for organ, ranges in other.organs.items():
            organs[organ] = _joined(organs.get(organ, {}), ranges)
        return Ranges(_joined(self.body, other.body), organs)


def ranges_of(measured: Iterable[Measured]) -> Ranges:
    """Return the ranges of several CTs."""
    body: dict[BodyTrait, Range] = {}
    organs: dict[str, dict[OrganTrait, Range]] = {}
    for body_traits, of_organs in measured:
        _widen(body, body_traits)
        for organ, traits in of_organs.items():
            _widen(organs.setdefault(organ, {}), traits)
    return Ranges(body, organs)


def _widen(ranges: dict[Trait, Range], traits: Mapping[Trait, float]) -> None:
    """Make each range include one more CT."""
    for trait, value in traits.items():
        rounded = float(f"{value:.{DIGITS}g}")
        one = Range(rounded, rounded, 1)
        ranges[trait] = ranges[trait].joined(one) if trait in ranges else one


def _joined(these: Mapping[Trait, Range], those: Mapping[Trait, Range]) -> dict[Trait, Range]:
    joined = dict(these)
    for trait, range in those.items():
        joined[trait] = joined[trait].joined(range) if trait in joined else range
    return joined
