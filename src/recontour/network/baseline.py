"""How far a centre's own contours lie from what its model draws, and what its images measure.

A model file holds these means and standard deviations, and how its CTs were acquired. `recontour
compare` sets another centre's contours of its own CTs beside them: what the model itself gets wrong
is in both, and cancels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, TypeVar

from pydantic import ConfigDict, Field

from recontour.geometry.offsets import Measure
from recontour.network.acquired import Acquired
from recontour.network.image_traits import ImageTrait
from recontour.network.spread import Spread
from recontour.organs import OrganName

MOST_ORGANS = 128
Name = TypeVar("Name", bound=str)


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
