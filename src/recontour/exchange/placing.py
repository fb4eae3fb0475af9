"""Where the voxels of a label map lie on a CT's grid. Nothing is resampled."""

from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError
from recontour.exchange.findings import LabelsBeyondCt, LabelsOffGrid
from recontour.geometry import Grid
from recontour.geometry.grid import GRIDS_AGREE_MM

Affine: TypeAlias = npt.NDArray[np.float64]  # (4, 4): (column, row, slice) -> mm in RAS
Labels: TypeAlias = npt.NDArray[np.integer[Any]]  # (slice, row, column)
Indices: TypeAlias = npt.NDArray[np.intp]  # along one axis of a grid; may lie beyond it
Heights: TypeAlias = npt.NDArray[np.float64]  # z in mm

RAS_TO_LPS = (-1, -1, 1)


def placed(
    voxels: Labels,
    affine: Affine,
    grid: Grid,
    path: Path,
) -> Labels:
    """Return labels on a grid: 0 where they have no voxel.

    path: of the file that the labels come from, for errors.
    Raises: GridMismatchError: voxels that do not lie on the grid's, or marked ones beyond it.
    """
    shape = voxels.shape
    indices, apart_mm = _indices(shape, affine, grid)
    if not apart_mm <= GRIDS_AGREE_MM:
        off = LabelsOffGrid(
            path=path,
            shape=shape,
            grid_shape=grid.shape,
            apart_mm=apart_mm,
        )
        raise GridMismatchError(off)
    if shape == grid.shape:
        return voxels
    is_inside = []
    target = []
    for along, length in zip(indices, grid.shape, strict=True):
        inside = (along >= 0) & (along < length)
        is_inside.append(inside)
        target.append(along[inside])
    kept = voxels[np.ix_(*is_inside)]
    beyond = np.count_nonzero(voxels) - np.count_nonzero(kept)
    if beyond:
        raise GridMismatchError(LabelsBeyondCt(path=path, marked=int(beyond)))
    result = np.zeros(grid.shape, dtype=voxels.dtype)
    result[np.ix_(*target)] = kept
    return result


def covers(
    shape: tuple[int, ...],
    affine: Affine,
    grid: Grid,
) -> bool:
    """Return whether voxels of a shape are those of a grid, one by one."""
    if shape != grid.shape:
        return False
    _, apart_mm = _indices(shape, affine, grid)
    return apart_mm <= GRIDS_AGREE_MM


def _indices(
    shape: tuple[int, ...], affine: Affine, grid: Grid
) -> tuple[tuple[Indices, Indices, Indices], float]:
    """Return which slices, rows and columns of a grid voxels are, and how far from them they lie.

    The distance is the farthest of all slices and corners, in mm. Voxels beyond the grid are
    counted as if it went on. As many voxels as the grid has must be the grid's.
    """
    x, y, z = (affine[:3, 3] * RAS_TO_LPS).tolist()
    step_mm = float(affine[2, 2])
    heights = z + step_mm * np.arange(shape[0])
    origin_x, origin_y = grid.origin_mm
    row_mm, column_mm = grid.spacing_mm
    first_slice = first_row = first_column = 0
    if shape != grid.shape:
        first_slice = _slice_before(heights, grid)
        first_row = round((y - origin_y) / row_mm)
        first_column = round((x - origin_x) / column_mm)
    slices = first_slice + np.arange(shape[0])
    rows = first_row + np.arange(shape[1])
    columns = first_column + np.arange(shape[2])
    expected_z = _heights(slices, grid)
    apart_mm = _farthest(heights, expected_z)
    for slice_, row, column in product(*map(_ends, shape)):
        found = affine @ (column, row, slice_, 1)
        expected = (
            origin_x + column_mm * columns[column],
            origin_y + row_mm * rows[row],
            expected_z[slice_],
        )
        corner_mm = _farthest(found[:3] * RAS_TO_LPS, expected)
        apart_mm = max(apart_mm, corner_mm)
    return (slices, rows, columns), apart_mm


def _ends(length: int) -> tuple[int, int]:
    """Return the first and the last index along an axis."""
    return 0, length - 1


def _farthest(found: npt.ArrayLike, expected: npt.ArrayLike) -> float:
    """Return the largest distance between two lists of coordinates."""
    return float(np.abs(np.subtract(found, expected)).max())


def _slice_before(heights: Heights, grid: Grid) -> int:
    """Return the slice of a grid at which the first of some heights lies.

    It is counted from the nearest pair of a height and a slice; below the grid it is negative.
    """
    z = np.asarray(grid.slice_z_mm)
    apart = np.abs(heights[:, None] - z)
    nearest, slice_ = np.unravel_index(int(apart.argmin()), apart.shape)
    lowest_step, highest_step = _end_steps(grid)
    beyond = float(heights[nearest] - z[slice_])  # many steps where all heights lie beyond the grid
    step = lowest_step if beyond < 0 else highest_step
    return int(slice_) - int(nearest) + round(beyond / step)


def _heights(slices: Indices, grid: Grid) -> Heights:
    """Return the z of slices of a grid, which goes on beyond its ends as it ended."""
    z = np.asarray(grid.slice_z_mm)
    last = len(z) - 1
    lowest_step, highest_step = _end_steps(grid)
    inside = z[np.clip(slices, 0, last)]
    below = np.minimum(slices, 0)
    above = np.maximum(slices - last, 0)
    heights: Heights = inside + below * lowest_step + above * highest_step
    return heights


def _end_steps(grid: Grid) -> tuple[float, float]:
    """Return the lowest and the highest step between slices in mm; 1 for a lone slice."""
    z = grid.slice_z_mm
    if len(z) == 1:
        return 1.0, 1.0
    steps = np.diff(z).tolist()
    return steps[0], steps[-1]
