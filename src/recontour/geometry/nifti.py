"""Voxels on a Grid as a NIfTI file, and back.

DICOM's x and y grow to the patient's left and back (LPS), NIfTI's to the right and front (RAS): the affine says so, and
voxels stay where and in the order they are.
"""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError, LabelsError
from recontour.geometry.grid import Grid

SAME_PLACE_MM = 0.1  # how far a corner of the voxels may lie from the CT's: files round, and nothing is resampled


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


def read_labels(path: Path, grid: Grid) -> npt.NDArray[np.integer[Any]]:
    """The whole numbers of a NIfTI file that lies on a grid, as (slice, row, column); its axes may be turned.

    Raises: LabelsError: damaged, no NIfTI, or not whole numbers. GridMismatchError: voxels elsewhere than the grid's.
    """
    import nibabel
    from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

    expected = affine_ras(grid)
    try:
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image) or sorted(image.shape) != sorted(grid.shape):
            raise GridMismatchError(f"{path}: voxels of {getattr(image, 'shape', ())[::-1]}, the CT's {grid.shape}")
        axes = io_orientation(image.affine)
        if not np.isfinite(axes).all():
            raise LabelsError(f"{path}: its header does not say where its voxels lie; save it again")
        turned = image.as_reoriented(ornt_transform(axes, axcodes2ornt("LPS")))
        voxels = np.asanyarray(turned.dataobj).transpose(2, 1, 0)
    except (GridMismatchError, LabelsError, MemoryError):
        raise
    except Exception as error:  # nibabel and zlib raise almost anything on damaged files
        raise LabelsError(f"{path}: cannot be read as NIfTI ({type(error).__name__}); save it again") from error
    corners = np.array([(*at, 1) for at in product(*((0, length - 1) for length in grid.shape[::-1]))])
    apart_mm = float(np.abs(corners @ (turned.affine - expected).T).max())
    if voxels.shape != grid.shape or not apart_mm <= SAME_PLACE_MM:
        raise GridMismatchError(
            f"{path}: voxels of {voxels.shape}, up to {apart_mm:.1f} mm from the CT's, of {grid.shape}; "
            "give labels on the CT's own grid: nothing is resampled"
        )
    if voxels.dtype.kind not in "iu":
        whole: npt.NDArray[np.integer[Any]] = np.nan_to_num(np.rint(voxels), nan=-1).astype(np.int32)
        if not np.array_equal(whole, voxels):
            raise LabelsError(f"{path}: labels are whole numbers, and its voxels are not; give the label map or mask")
        return whole
    labels: npt.NDArray[np.integer[Any]] = voxels
    return labels


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
