"""How a CT was acquired, as far as its headers say; nothing of it names anybody."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Contrast = Literal["given", "none"]

# What a header may say; anything beyond is an error of the header, and counts as unknown.
KVP = (1.0, 1000.0)
SLICE_THICKNESS_MM = (0.01, 100.0)
FIELD_OF_VIEW_MM = (1.0, 5000.0)
MOST_KERNEL_LETTERS = 64


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How a CT was acquired; None, or an empty kernel, where its headers do not say.

    slice_thickness_mm: how thick the scanner's slices are, not how far apart they lie.
    field_of_view_mm: the diameter of the circle that was reconstructed. kernel: in clear if it
    consists of known words, otherwise a salted hash. contrast: whether a contrast medium was given.
    """

    kvp: float | None = None
    slice_thickness_mm: float | None = None
    field_of_view_mm: float | None = None
    kernel: str = ""
    contrast: Contrast | None = None

    def known(self) -> Mapping[str, Any]:
        """Return what is known, by field.

        >>> Acquisition(kvp=120.0, kernel="").known()
        {'kvp': 120.0}
        """
        return {name: value for name, value in asdict(self).items() if value}


UNKNOWN_ACQUISITION = Acquisition()


def within(number: float | None, limits: tuple[float, float]) -> float | None:
    """Return a number, or None if it lies beyond its limits.

    >>> within(120.0, KVP), within(0.0, KVP), within(None, KVP)
    (120.0, None, None)
    """
    if number is None:
        return None
    low, high = limits
    return number if low <= number <= high else None
