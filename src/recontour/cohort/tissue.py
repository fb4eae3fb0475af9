"""The tissue profile of a CT: it recognises the CT again after a new export.

A hash of the voxels changes with one voxel. The profile is the mean HU of the tissue on each slice,
rounded. It hardly changes if some voxels, the UIDs, the matrix's margins or the air around the
patient change, and only shifts if HU get another offset or slices are missing at an end. No picture
can be made of it.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.geometry.arrays import Floats

Profile = tuple[int, ...]  # HU by slice, from the feet to the head

LEAST_TISSUE_HU = -300
SOFT_HU = (-200.0, 300.0)  # HU beyond count as these: metal and lung would outweigh the rest
NO_TISSUE = -200  # of a slice that shows only air
# Measured on 183 CTs of three centres: docs/decisions/049-near-equal-cts.md.
MOST_DEVIATION_HU = 3.0
LEAST_CONTRAST = 3.0  # how much more the profile itself must vary; a flat one says nothing
LEAST_SLICES = 10
LEAST_OVERLAP = 0.8  # of the shorter CT
REMEMBERED_PAIRS = 1 << 18


def tissue_profile(hu: npt.NDArray[Any]) -> Profile:
    """Return the mean HU of the tissue on each slice. hu: (slice, row, column).

    >>> tissue_profile(np.array([[[-1000, 40], [50, 3000]], [[-1000, -1000], [-900, -900]]]))
    (130, -200)
    """
    profile = []
    for plane in hu:
        tissue = plane[plane > LEAST_TISSUE_HU]
        mean = np.clip(tissue, *SOFT_HU).mean(dtype=np.float64) if tissue.size else NO_TISSUE
        profile.append(round(float(mean)))
    return tuple(profile)


@lru_cache(maxsize=REMEMBERED_PAIRS)
def nearly_equal(one: Profile, other: Profile) -> bool:
    """Return whether two profiles are so alike that they are of one CT, or of one patient.

    They are compared at every position in which at least ten slices, and 80 % of the shorter CT,
    lie over the other. What counts is the standard deviation of their difference in HU, so that a
    constant offset does not.

    >>> slices = tuple(range(0, 100, 5))
    >>> brighter = tuple(hu + 20 for hu in slices[2:])
    >>> nearly_equal(slices, brighter), nearly_equal(slices, slices[::-1])
    (True, False)
    """
    short, long = sorted((one, other), key=len)
    least = max(LEAST_SLICES, int(np.ceil(LEAST_OVERLAP * len(short))))
    if len(short) < least:
        return False
    deviation, spread = _compared(np.array(short, float), np.array(long, float), least)
    alike = deviation <= MOST_DEVIATION_HU
    tells = LEAST_CONTRAST * deviation < spread
    return bool(np.any(alike & tells))


def _compared(short: Floats, long: Floats, least: int) -> tuple[Floats, Floats]:
    """Compare two profiles at every position in which enough slices overlap.

    Returns: by position, standard deviation of the difference, and of the shorter profile, in HU.
    """
    middle = short.mean()
    short, long = short - middle, long - middle
    shifts = np.arange(least - len(short), len(long) - least + 1)
    first = np.maximum(0, -shifts)
    last = np.minimum(len(short), len(long) - shifts)
    slices = last - first
    sums, squares = _sums(short, first, last)
    other_sums, other_squares = _sums(long, first + shifts, last + shifts)
    products = np.correlate(long, short, "full")[shifts + len(short) - 1]
    offset = (other_sums - sums) / slices
    mean_square = (squares + other_squares - 2 * products) / slices
    variance = squares / slices - (sums / slices) ** 2
    return _root(mean_square - offset**2), _root(variance)


def _sums(profile: Floats, first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]) -> Any:
    """Return the sums, and the sums of squares, of profile[first:last]."""
    sums = np.concatenate(([0.0], np.cumsum(profile)))
    squares = np.concatenate(([0.0], np.cumsum(profile**2)))
    return sums[last] - sums[first], squares[last] - squares[first]


def _root(squares: Floats) -> Floats:
    """Return square roots; 0 where rounding left less than 0."""
    return np.sqrt(np.maximum(squares, 0.0))
