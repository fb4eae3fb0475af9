"""Voxels on a Grid as a NIfTI file.

DICOM's x and y grow to the patient's left and back (LPS), NIfTI's to the right and front (RAS): the affine says so, and
voxels stay where and in the order they are.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError
from recontour.geometry.grid import Grid


def write_nifti(path: Path, voxels: npt.NDArray[Any], grid: Grid) -> None:
    """Write an array (slice, row, column) as a NIfTI-1 file, indexed (column, row, slice) as all NIfTI is.

    bool becomes uint8, any other type stays. The path ends with .nii or .nii.gz; what is there is replaced.
    Raises: GridMismatchError: the array does not lie on the grid, or the grid's slices are not evenly spaced.
    """
    import nibabel  # here: it takes half a second, and few runs need it

    if voxels.shape != grid.shape:
        raise GridMismatchError(f"{path.name}: voxels of {voxels.shape} do not lie on a grid of {grid.shape}")
    stored = voxels.view(np.uint8) if voxels.dtype == bool else voxels
    affine = affine_ras(grid)
    image = nibabel.Nifti1Image(np.asarray(stored).transpose(2, 1, 0), affine)
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def affine_ras(grid: Grid) -> npt.NDArray[np.float64]:
    """(column, row, slice) as indices -> mm to the right, front and head (RAS), as a 4 x 4 matrix.

    Raises: GridMismatchError: the slices are not evenly spaced, which no such matrix can say.
    """
    step_mm = grid.slice_step_mm
    if step_mm is None:
        gaps = np.diff(grid.slice_z_mm)
        raise GridMismatchError(
            f"slices {gaps.min():.2f} to {gaps.max():.2f} mm apart: NIfTI knows only one spacing, and slices are not "
            "invented; RTSTRUCT and DICOM SEG keep them as they are"
        )
    row_mm, column_mm = grid.spacing_mm
    x, y = grid.origin_mm
    affine = np.diag([-column_mm, -row_mm, step_mm, 1.0])
    affine[:3, 3] = -x, -y, grid.slice_z_mm[0]
    return affine
