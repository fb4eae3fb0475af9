"""What a person changed of an organ's contours, in numbers that `monitor` and people can use."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from recontour.evaluation.metrics import apl_mm, msd_mm
from recontour.geometry import Contour, Grid, rasterise
from recontour.geometry.arrays import Mask
from recontour.geometry.tracing import box_of

DIGITS = 3


def unchanged() -> dict[str, Any]:
    """Return the numbers of an organ that nobody edited."""
    return {"edited": False, "mean_mm": 0.0, "max_mm": 0.0, "added_path_mm": 0.0, "volume_cc": 0.0}


def changes_of(
    drafted: Iterable[Contour], approved: Iterable[Contour], grid: Grid
) -> dict[str, Any]:
    """Return how far an organ's contours were moved.

    mean_mm: the mean distance of both surfaces. max_mm: how far from the draft's surface a voxel
    lies that was added or taken away, at most. added_path_mm: how much of the contours had to be
    drawn. volume_cc: by how much the organ grew. Distances are null where the draft has no contour,
    or nothing is left.
    """
    before, after = rasterise(drafted, grid), rasterise(approved, grid)
    numbers: dict[str, Any] = {"edited": True, "mean_mm": None, "max_mm": None}
    if before.any() and after.any():
        numbers["mean_mm"] = round(msd_mm(after, before, grid), DIGITS)
        numbers["max_mm"] = round(farthest_mm(before, after, grid), DIGITS)
    added_mm = apl_mm(after, before, grid, 0.0) if after.any() else 0.0
    numbers["added_path_mm"] = round(added_mm, DIGITS)
    numbers["volume_cc"] = round(grid.volume_cc(after) - grid.volume_cc(before), DIGITS)
    return numbers


def farthest_mm(before: Mask, after: Mask, grid: Grid) -> float:
    """Return how far a voxel that was added or taken away lies from where the border was.

    before, after: bool, (slice, row, column), neither empty. Slices count as evenly spaced.
    """
    box = box_of(before | after)
    assert box is not None  # neither is empty
    was, is_now = before[box], after[box]
    step_mm = float(grid.slice_thickness_mm.mean())
    sampling = (step_mm, *grid.spacing_mm)
    added_mm = distance_transform_edt(~was, sampling=sampling)[is_now & ~was]
    # What is outside the box is outside the organ, but the transform does not know it.
    deep = distance_transform_edt(_framed(was), sampling=sampling)[1:-1, 1:-1, 1:-1]
    taken_mm = deep[was & ~is_now]
    return float(max(added_mm.max(initial=0.0), taken_mm.max(initial=0.0)))


def _framed(mask: Mask) -> Mask:
    """Return a mask with a voxel of nothing around it."""
    return np.pad(mask, 1)
