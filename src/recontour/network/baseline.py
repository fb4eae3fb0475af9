"""How far a centre's own contours lie from what its model draws, and what its images measure.

A model file holds these means and standard deviations, and how its CTs were acquired. `recontour
compare` sets another centre's contours of its own CTs beside them: what the model itself gets wrong
is in both, and cancels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from pydantic import ConfigDict, Field, Strict

from recontour.geometry.offsets import Measure
from recontour.network.acquired import Acquired
from recontour.network.image_traits import ImageTrait
from recontour.organs import OrganName

MOST_ORGANS = 128
DIGITS = 4  # kept of each number: no more of a patient than is needed

Number = Annotated[float, Strict(), Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Size = Annotated[float, Strict(), Field(ge=0, le=1e6, allow_inf_nan=False)]
Count = Annotated[int, Strict(), Field(ge=2, le=1_000_000)]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of so many patients' values."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    mean: Number
    sd: Size
    patients: Count


Spreads = Mapping[Measure, Spread]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a centre's own patients measure.

    offsets: of their contours from the model's, by organ. image: of their CTs, by trait. acquired:
    how the CTs were acquired; None in a model from before this was kept.

    >>> spread = Spread(mean=0.25, sd=0.5, patients=20)
    >>> Baseline({"SpinalCord": {"right": spread}}).offsets["SpinalCord"]["right"].mean
    0.25
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    offsets: Annotated[Mapping[OrganName, Spreads], Field(max_length=MOST_ORGANS)]
    image: Mapping[ImageTrait, Spread] = field(default_factory=dict)
    acquired: Acquired | None = None


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return the spread of several patients' values; None of fewer than two.

    >>> spread_of([1.0, 3.0])
    Spread(mean=2.0, sd=1.414, patients=2)
    """
    measured = list(values)
    if len(measured) < 2:
        return None
    return Spread(
        mean=_rounded(np.mean(measured)),
        sd=_rounded(np.std(measured, ddof=1)),
        patients=len(measured),
    )


def _rounded(value: np.floating) -> float:
    return float(f"{value:.{DIGITS}g}")
