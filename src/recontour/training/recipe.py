"""How a network is trained: plain settings, kept in the model file."""

from dataclasses import dataclass, replace
from typing import Literal

# In what a network computes while it learns; weights, loss and optimiser are float32 in any case.
Precision = Literal["float32", "bf16", "fp16"]
# What a user may ask for; "auto" is what pays on this machine.
WantedPrecision = Literal["auto", "float32", "bf16"]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is drawn at random for each slice.

    There is no left-right flip: it would swap the sides of the organs.

    zooms: one of these. zoom_range: else log-uniform between these two.
    degrees: rotation, uniform in -degrees ... degrees.
    shift_mm: shift of the crop's centre, uniform in -shift_mm ... shift_mm along x and y.
    hu_offset: standard deviation of an offset of all HU, since scanners' calibrations differ.
    hu_gain: standard deviation of a relative change of contrast.
    """

    zooms: tuple[float, ...] = ()
    zoom_range: tuple[float, float] = (1.0, 1.0)
    degrees: float = 10.0
    shift_mm: float = 0.0
    hu_offset: float = 0.0
    hu_gain: float = 0.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run of stochastic gradient descent.

    batch: slices per iteration and device. optimiser: "sgd" or "adamw". momentum: SGD's.
    learning_rate: falls to 0 as (1 - iteration / iterations) ** power ("poly").
    warm_up: iterations in which it rises first.
    dice_weight: weight of the soft Dice loss beside cross-entropy.
    inside_weight: weight, at first, of the mean cross-entropy inside each organ that is shown; it
        falls to 0 until half-time.
    organ_share: share of the slices that are drawn to show a given organ; the rest are drawn from
        all slices.
    views: if the trunk is frozen, how many fixed views each slice has, so that the trunk sees each
        of them only once; 0: each view is new.
    window: if views are fixed, rows and columns of the trunk's features that a step sees; (0, 0):
        all of them. whole_iterations: the last iterations, which see all of them in any case.
    parent_patients: an adapted model's parent counts as much as this many patients.
    frozen_statistics: batch normalisation keeps the statistics that it began with.

    The paper has no warm-up, Dice loss, inside_weight or parent_patients: they are 0 there.
    """

    iterations: int
    batch: int
    optimiser: str
    learning_rate: float
    power: float
    warm_up: int
    momentum: float
    weight_decay: float
    dice_weight: float
    inside_weight: float
    organ_share: float
    augmentation: Augmentation
    views: int = 0
    window: tuple[int, int] = (0, 0)
    whole_iterations: int = 0
    parent_patients: float = 0.0
    frozen_statistics: bool = False

    def plain(self) -> "Recipe":
        """Return the recipe of fine-tuning as in the paper.

        The parent has no say, and each view is new.
        """
        return replace(self.with_new_views(), parent_patients=0.0)

    def with_new_views(self) -> "Recipe":
        """Return the recipe with each view new, and whole; nothing is kept that could be cached."""
        return replace(self, views=0, window=(0, 0), whole_iterations=0)
