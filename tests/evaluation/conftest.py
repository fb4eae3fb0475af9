from collections.abc import Sequence

import numpy as np

from recontour.evaluation import CaseScore
from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask


def make_grid(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    z_mm: Sequence[float] | None = None,
) -> Grid:
    """A grid whose slices lie every mm unless z_mm says otherwise."""
    return Grid(shape, spacing_mm, tuple(z_mm or map(float, range(shape[0]))), (0.0, 0.0))


def box(shape: tuple[int, int, int], first: Sequence[int], size: Sequence[int]) -> Mask:
    """A mask that is one box: its first voxel and its size, (slice, row, column)."""
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(start, start + length) for start, length in zip(first, size, strict=True))] = (
        True
    )
    return mask


def ellipsoid(grid: Grid, centre_mm: Floats, radii_mm: Floats) -> Mask:
    """A mask of the voxels whose centres lie in an ellipsoid: z, y, x in mm."""
    z = np.asarray(grid.slice_z_mm)[:, None, None]
    y = np.arange(grid.shape[1])[None, :, None] * grid.spacing_mm[0]
    x = np.arange(grid.shape[2])[None, None, :] * grid.spacing_mm[1]
    parts = [((at - c) / r) ** 2 for at, c, r in zip((z, y, x), centre_mm, radii_mm, strict=True)]
    return np.asarray(parts[0] + parts[1] + parts[2] <= 1)


def scored(case: str, organ: str, model: str, dsc: float, **others: float) -> CaseScore:
    """Return a row of scores; only its DSC matters."""
    measures = {
        "surface_dsc": 0.9,
        "tolerance_mm": 2.5,
        "hd95_mm": 3.0,
        "volume_bias_percent": 1.0,
    } | others
    return CaseScore(case, organ, model, dsc, patient="", trained_on="", **measures)
