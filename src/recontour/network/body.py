"""Where the body lies on a CT. Nothing here loads torch."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recontour.geometry import Grid
from recontour.geometry.arrays import Mask

Voxels = npt.NDArray[np.generic]  # Hounsfield units, (slice, row, column)
PointMm = tuple[float, float]  # x, y

BODY_HU = -250.0  # above: tissue; below: air and most couches
BODY_STEP_MM = 4.0  # the body is sought on pixels of about this size


def body_centre_mm(hu: Voxels, grid: Grid) -> PointMm:
    """Return the middle of the body, x and y mm.

    It is the median, over the slices, of the centroid of the largest tissue region. Slices without
    tissue do not count; a CT without any has its middle at the middle of its grid.
    """
    row_step, column_step = coarse_steps(grid)
    centroids = []
    for plane in hu:
        region = largest_tissue(plane, grid)
        if region is not None:
            centroids.append(ndimage.center_of_mass(region))
    _, height, width = grid.shape
    row = (height - 1) / 2
    column = (width - 1) / 2
    if centroids:
        row, column = np.median(centroids, axis=0) * (row_step, column_step)
    middle = np.array([[column, row]])
    ((x, y),) = grid.to_mm(middle)
    return float(x), float(y)


def coarse_steps(grid: Grid) -> tuple[int, int]:
    """Return how many rows and columns make up one pixel on which the body is sought."""
    row_mm, column_mm = grid.spacing_mm
    row_step = max(1, round(BODY_STEP_MM / row_mm))
    column_step = max(1, round(BODY_STEP_MM / column_mm))
    return row_step, column_step


def largest_tissue(plane: Voxels, grid: Grid) -> Mask | None:
    """Return the largest tissue region of a slice, on every `coarse_steps`-th row and column.

    plane: Hounsfield units, (row, column). Returns: bool; None if the slice shows no tissue.
    """
    row_step, column_step = coarse_steps(grid)
    coarse = np.asarray(plane[::row_step, ::column_step], dtype=np.float32)
    tissue = coarse > BODY_HU
    if not tissue.any():
        return None
    labels, _ = ndimage.label(tissue)
    sizes = np.bincount(labels.ravel())
    largest = 1 + int(np.argmax(sizes[1:]))
    region: Mask = labels == largest
    return region
