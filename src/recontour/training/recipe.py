"""How a network is trained: plain settings, kept in the model file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is drawn anew for each slice.

    Never a left-right flip: the organs' sides would no longer be true.
    """

    zooms: tuple[float, ...] = ()  # one of these, or ...
    zoom_range: tuple[float, float] = (1.0, 1.0)  # ... log-uniform between these
    degrees: float = 10.0  # rotation, uniform in -degrees ... degrees
    shift_mm: float = 0.0  # crop: shift of its centre, uniform in -shift ... shift along x and y
    hu_offset: float = (
        0.0  # standard deviation of an offset of all HU (scanners' calibrations differ)
    )
    hu_gain: float = 0.0  # standard deviation of a relative change of contrast


@dataclass(frozen=True, slots=True)
class Recipe:
    """One run of stochastic gradient descent."""

    iterations: int
    batch: int  # slices an iteration and device
    optimiser: str  # "sgd" or "adamw"
    learning_rate: float  # falls to 0 as (1 - iteration / iterations) ** power ("poly")
    power: float
    warm_up: int  # iterations over which it rises first; 0: the paper's
    momentum: float  # of SGD
    weight_decay: float
    dice_weight: float  # weight of the soft Dice loss beside cross-entropy; 0: the paper's loss
    inside_weight: (
        float  # first weight of the mean cross-entropy inside each organ shown; 0 from half-time on
    )
    organ_share: (
        float  # share of slices drawn to show a given organ; the rest are drawn from all slices
    )
    augmentation: Augmentation
    # where the trunk is frozen: each slice has that many, drawn once, seen once by it; 0: always
    # new
    views: int = 0
    # Where views are fixed: rows and columns of the trunk's features that a step sees, but for the
    # last iterations, which see whole slices; (0, 0): all do.
    window: tuple[int, int] = (0, 0)
    whole_iterations: int = 0
    parent_patients: float = (
        0.0  # how many patients an adapted model's parent has as much say as; 0: the paper's
    )
    frozen_statistics: bool = False  # of normalisation over a batch: as they were at the start
