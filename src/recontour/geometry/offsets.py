"""How much further out one contour of an organ lies than another, by direction, in mm.

The differences of two masks on one grid, (slice, row, column), as a person would say them:

- right, left, anterior, posterior: on the slices that both masks have, the mean distance of the
  first mask's pixel edges that face this way from the second mask's outline, in the plane of the
  slice. Above 0, they lie outside it.
- cranial, caudal: how much further the first mask reaches at this end.
- around: the mean of the four sides.
- volume: by how much the first mask is larger.

An end counts only if it is known. It is not where one of the masks reaches the scan's first or last
slice, or where the organ goes on without contours. The volume needs both ends.
"""

from collections.abc import Collection, Mapping
from typing import Literal, get_args

import numpy as np
from scipy.ndimage import distance_transform_edt

from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask
from recontour.geometry.tracing import box_of

Measure = Literal[
    "right",
    "left",
    "anterior",
    "posterior",
    "cranial",
    "caudal",
    "around",
    "volume",
]
MEASURES: tuple[Measure, ...] = get_args(Measure)
SIDES: tuple[Measure, ...] = ("right", "left", "anterior", "posterior")
ENDS: tuple[Measure, ...] = ("cranial", "caudal")
DIRECTIONS: tuple[Measure, ...] = (*SIDES, *ENDS)
UNITS: Mapping[Measure, str] = {**dict.fromkeys(MEASURES, "mm"), "volume": "cc"}

# By measure; what cannot be measured is missing.
Offsets = Mapping[Measure, float]

# From a pixel to its neighbour on each side: rows run to the back, columns to the left.
_STEPS: Mapping[Measure, tuple[int, int]] = {
    "right": (0, -1),
    "left": (0, 1),
    "anterior": (-1, 0),
    "posterior": (1, 0),
}


def offsets(
    drawn: Mask,
    other: Mask,
    grid: Grid,
    unknown_ends: Collection[Measure] = (),
) -> Offsets:
    """Return how much further out a mask lies than another, in mm, and its volume's surplus, in cc.

    drawn, other: bool, (slice, row, column). unknown_ends: at which the organ goes on, but was not
    contoured.

    Returns: nothing if a mask is empty; no sides if no slice has both.

    >>> grid = Grid((3, 5, 7), (1.0, 1.0), (0.0, 2.0, 4.0), (0.0, 0.0))
    >>> drawn, other = np.zeros((2, *grid.shape), dtype=bool)
    >>> drawn[1, 2, 1:5] = True
    >>> other[1, 2, 2:5] = True
    >>> found = offsets(drawn, other, grid)
    >>> found["right"], found["left"], found["caudal"], found["volume"]
    (1.0, 0.0, 0.0, 0.002)
    """
    if not drawn.any() or not other.any():
        return {}
    found = _of_sides(drawn, other, grid)
    if len(found) == len(SIDES):
        found["around"] = sum(found.values()) / len(SIDES)
    ends = _of_ends(drawn, other, grid)
    for end in unknown_ends:
        ends.pop(end, None)
    found.update(ends)
    if len(ends) == 2:
        found["volume"] = grid.volume_cc(drawn) - grid.volume_cc(other)
    return found


def _of_ends(drawn: Mask, other: Mask, grid: Grid) -> dict[Measure, float]:
    """Return how much further a mask reaches at each end that the scan shows."""
    first, last = _ends_of(drawn)
    other_first, other_last = _ends_of(other)
    z_mm = grid.slice_z_mm
    found: dict[Measure, float] = {}
    if max(last, other_last) < len(z_mm) - 1:
        found["cranial"] = z_mm[last] - z_mm[other_last]
    if min(first, other_first) > 0:
        found["caudal"] = z_mm[other_first] - z_mm[first]
    return found


def _ends_of(mask: Mask) -> tuple[int, int]:
    """Return the first and the last slice of a mask that is not empty."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    return int(shown[0]), int(shown[-1])


def _of_sides(drawn: Mask, other: Mask, grid: Grid) -> dict[Measure, float]:
    """Return how much further out a mask's edges lie on each side, over the slices of both."""
    box = box_of(drawn | other)
    assert box is not None  # neither is empty
    outline, cut = drawn[box], other[box]
    both = np.flatnonzero(outline.any(axis=(1, 2)) & cut.any(axis=(1, 2)))
    thickness_mm = grid.slice_thickness_mm[box[0]]
    totals = dict.fromkeys(SIDES, 0.0)
    weights = dict.fromkeys(SIDES, 0.0)
    for index in both:
        plane = np.pad(outline[index], 1)
        outside_mm = _outside_mm(np.pad(cut[index], 1), grid.spacing_mm)
        for side, step in _STEPS.items():
            at_edges_mm = _at_edges(plane, outside_mm, step)
            totals[side] += thickness_mm[index] * float(at_edges_mm.sum())
            weights[side] += thickness_mm[index] * len(at_edges_mm)
    return {side: float(totals[side] / weights[side]) for side in SIDES if weights[side]}


def _outside_mm(plane: Mask, spacing_mm: tuple[float, float]) -> Floats:
    """Return how far each pixel's centre lies outside the outline of a mask; below 0: inside it.

    plane: bool, (row, column). The outline runs half a pixel from the centres beside it.
    """
    half_mm = sum(spacing_mm) / 4
    without_mm = distance_transform_edt(~plane, sampling=spacing_mm)
    within_mm = distance_transform_edt(plane, sampling=spacing_mm)
    signed_mm: Floats = np.where(plane, half_mm - within_mm, without_mm - half_mm)
    return signed_mm


def _at_edges(plane: Mask, outside_mm: Floats, step: tuple[int, int]) -> Floats:
    """Return the distances at those edges of a mask's pixels that face one way, (edges,).

    step: from a pixel to the neighbour behind such an edge.
    """
    back = (-step[0], -step[1])
    neighbours = np.roll(plane, back, axis=(0, 1))
    beyond_mm = np.roll(outside_mm, back, axis=(0, 1))
    is_edge = plane & ~neighbours
    at_edges_mm: Floats = (outside_mm[is_edge] + beyond_mm[is_edge]) / 2
    return at_edges_mm
