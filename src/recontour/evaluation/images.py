"""How a centre's images differ from those of a model's centre.

A model draws on the image it is shown. If another centre's images are less sharp, its contours move
although nobody contours otherwise, and a comparison of contours would blame the protocol. So each
trait of the images is compared, too, patient by patient: by how many of the home centre's standard
deviations the other centre's mean lies away.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.network.image_traits import ImageTrait
from recontour.network.spread import Spread

# Of the home centre's patients' SD. docs/decisions/062-what-differs.md has the measurements.
FAR_SDS = 2.0
LEAST_PATIENTS = 3
# Smaller differences are none: scanners give the same numbers again, rounded.
LEAST_SD: Mapping[ImageTrait, float] = {
    "pixel_mm": 0.02,
    "slice_mm": 0.1,
    "field_of_view_mm": 10.0,
    "edge_width_mm": 0.1,
    "noise_hu": 1.0,
    "air_hu": 5.0,
    "muscle_hu": 5.0,
    "bone_hu": 20.0,
    "vessel_percent": 0.2,
}
# Blur moved a model's contours in every trial, noise in many; HU and contrast medium in few.
MOVE_CONTOURS: Collection[ImageTrait] = ("edge_width_mm", "noise_hu")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDifference:
    """By how much a centre's images differ from the home centre's, by one trait.

    own, home: the means, in the trait's unit. home_sd: over the home centre's patients. z: of the
    difference, in such SDs, each at least LEAST_SD.
    """

    trait: ImageTrait
    patients: int
    own: float
    home: float
    home_sd: float
    z: float

    @property
    def is_far(self) -> bool:
        """Return whether the images differ more than the home centre's do among themselves."""
        return abs(self.z) >= FAR_SDS


def image_differences(
    values: Mapping[ImageTrait, Sequence[float]],
    home: Mapping[ImageTrait, Spread],
) -> list[ImageDifference]:
    """Compare a centre's images with the home centre's, trait by trait.

    values: by trait, one of each patient. Traits of fewer than three patients, or without a spread
    at home, are left out.

    >>> at_home = {"noise_hu": Spread(mean=10.0, sd=2.0, patients=40)}
    >>> (found,) = image_differences({"noise_hu": [15.0, 16.0, 14.0]}, at_home)
    >>> found.z, found.is_far
    (2.5, True)
    """
    found = []
    for trait, measured in values.items():
        spread = home.get(trait)
        if spread is None or len(measured) < LEAST_PATIENTS:
            continue
        own = float(np.mean(measured))
        different = ImageDifference(
            trait=trait,
            patients=len(measured),
            own=own,
            home=spread.mean,
            home_sd=spread.sd,
            z=(own - spread.mean) / max(spread.sd, LEAST_SD[trait]),
        )
        found.append(different)
    return found


def may_move_contours(found: Iterable[ImageDifference]) -> bool:
    """Return whether the images may differ so much in sharpness or noise that contours move.

    They may, too, where nobody knows, because a trait could not be compared.
    """
    is_near = {one.trait: not one.is_far for one in found}
    return not all(is_near.get(trait, False) for trait in MOVE_CONTOURS)
