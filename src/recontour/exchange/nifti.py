"""Voxels on a Grid as a NIfTI file, and back.

DICOM's x and y grow to the patient's left and back (LPS), NIfTI's to the right and front (RAS): the
affine says so, and voxels stay where and in the order they are.
"""

import gzip
import io
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError, LabelsError
from recontour.geometry.grid import GRIDS_AGREE_MM, Grid

GZIP = b"\x1f\x8b"
MOST_VOXELS = 1 << 28  # of a label map: no CT has more
ON_THE_GRID = (
    "nothing is resampled: export the labels on the CT's own grid, with the CT as reference volume "
    "(3D Slicer: Segmentations, Export to files, Reference volume)"
)
# how far a corner of the voxels may lie from the CT's: files round, and nothing is resampled


def write_nifti(path: Path, voxels: npt.NDArray[Any], grid: Grid) -> None:
    """Write an array (slice, row, column) as a NIfTI-1 file, indexed (column, row, slice) as all
    NIfTI is.

    bool becomes uint8, any other type stays. The path ends with .nii or .nii.gz; what is there is
    replaced.
    Raises: GridMismatchError: the array does not lie on the grid, or the grid's slices are not
        evenly spaced.
    """
    import nibabel  # here: it takes half a second, and few runs need it

    if voxels.shape != grid.shape:
        raise GridMismatchError(
            f"{path.name}: voxels of {voxels.shape} do not lie on a grid of {grid.shape}"
        )
    stored = voxels.view(np.uint8) if voxels.dtype == bool else voxels
    affine = affine_ras(grid)
    image = nibabel.Nifti1Image(np.asarray(stored).transpose(2, 1, 0), affine)
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def is_nifti(path: Path) -> bool:
    """Whether a file holds NIfTI, compressed or not, whatever it is called."""
    try:
        with _opened(path) as file:
            return _header_size(file.read(4)) is not None
    except (OSError, EOFError, zlib.error):
        return False


def read_labels(path: Path, grid: Grid) -> npt.NDArray[np.integer[Any]]:
    """The whole numbers of a NIfTI file whose voxels are the grid's, as (slice, row, column), 0
    where it has none.

    Its axes may be turned. It may be cropped, or reach beyond the grid where nothing is marked;
    nothing is resampled.
    Raises: LabelsError: damaged, no NIfTI, or not whole numbers. GridMismatchError: voxels
        elsewhere than the grid's, or marked ones beyond it.
    """
    try:
        with _opened(path) as file:
            voxels, affine = _turned(file, path)
    except (GridMismatchError, LabelsError, MemoryError):
        raise
    except Exception as error:  # nibabel and zlib raise almost anything on damaged files
        raise LabelsError(
            f"{path}: cannot be read as NIfTI ({type(error).__name__}); save it again, as .nii.gz"
        ) from error
    return _placed(_whole(voxels, path), affine, grid, path)


def _opened(path: Path) -> io.BufferedIOBase:
    """A file's bytes, decompressed if it is compressed, whatever its name says."""
    with path.open("rb") as file:
        is_compressed = file.read(len(GZIP)) == GZIP
    return gzip.open(path) if is_compressed else path.open("rb")


def _header_size(start: bytes) -> int | None:
    """348 of NIfTI-1 and 540 of NIfTI-2, in either order of bytes; None of anything else."""
    sizes = {int.from_bytes(start, "little"), int.from_bytes(start, "big")} & {348, 540}
    return next(iter(sizes), None)


def _turned(
    file: io.BufferedIOBase, path: Path
) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """The voxels of a NIfTI file as (slice, row, column), and (column, row, slice) -> mm as
    `affine_ras` has it.
    """
    import nibabel
    from nibabel.orientations import (
        apply_orientation,
        axcodes2ornt,
        inv_ornt_aff,
        io_orientation,
        ornt_transform,
    )

    size = _header_size(file.read(4))
    file.seek(0)
    image = (nibabel.Nifti2Image if size == 540 else nibabel.Nifti1Image).from_stream(file)
    shape = _three_axes(image.shape, path)
    if np.prod(shape, dtype=float) > MOST_VOXELS:
        raise LabelsError(
            f"{path}: {' x '.join(map(str, shape))} voxels, more than any CT has; save it again"
        )
    axes = io_orientation(image.affine)
    if not np.isfinite(axes).all() or not np.isfinite(image.affine).all():
        raise LabelsError(f"{path}: its header does not say where its voxels lie; save it again")
    turn = ornt_transform(axes, axcodes2ornt("LPS"))
    voxels = apply_orientation(np.asanyarray(image.dataobj).reshape(shape), turn)
    return voxels.transpose(2, 1, 0), image.affine @ inv_ornt_aff(turn, shape)


def _three_axes(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """A shape without axes of one entry behind the third, and with one where the third is missing."""
    if len(shape) < 2 or any(length != 1 for length in shape[3:]):
        raise LabelsError(
            f"{path}: voxels of {len(shape)} axes, {' x '.join(map(str, shape))}; three are expected. "
            "Save one label map, or a folder with a mask of three axes for each structure"
        )
    columns, rows, slices = (*shape, 1)[:3]
    return columns, rows, slices


def _whole(voxels: npt.NDArray[Any], path: Path) -> npt.NDArray[np.integer[Any]]:
    if voxels.dtype.kind in "iu":
        return voxels
    if voxels.dtype.kind != "f":
        raise LabelsError(
            f"{path}: voxels of type {voxels.dtype}; labels are whole numbers. Give the label map or mask"
        )
    whole: npt.NDArray[np.integer[Any]] = np.nan_to_num(np.rint(voxels), nan=-1).astype(np.int32)
    if not np.array_equal(whole, voxels):
        raise LabelsError(
            f"{path}: labels are whole numbers, and its voxels are not; give the label map or mask"
        )
    return whole


def _placed(
    voxels: npt.NDArray[np.integer[Any]], affine: npt.NDArray[np.float64], grid: Grid, path: Path
) -> npt.NDArray[np.integer[Any]]:
    """Voxels (slice, row, column) where they lie on a grid.

    affine: of (column, row, slice), in RAS.
    """
    indices, apart_mm = _indices(voxels.shape, affine, grid)
    if not apart_mm <= GRIDS_AGREE_MM:
        raise GridMismatchError(
            f"{path}: voxels of {voxels.shape}, up to {apart_mm:.1f} mm from the CT's, of {grid.shape}; {ON_THE_GRID}"
        )
    if voxels.shape == grid.shape:
        return voxels
    inside = [
        (axis >= 0) & (axis < length) for axis, length in zip(indices, grid.shape, strict=True)
    ]
    kept = voxels[np.ix_(*inside)]
    if beyond := np.count_nonzero(voxels) - np.count_nonzero(kept):
        raise GridMismatchError(
            f"{path}: {beyond} marked voxels lie beyond the CT; give the CT they were drawn on, whole, or {ON_THE_GRID}"
        )
    placed = np.zeros(grid.shape, dtype=voxels.dtype)
    placed[np.ix_(*(axis[is_in] for axis, is_in in zip(indices, inside, strict=True)))] = kept
    return placed


def _indices(
    shape: tuple[int, ...], affine: npt.NDArray[np.float64], grid: Grid
) -> tuple[list[npt.NDArray[np.intp]], float]:
    """Which slices, rows and columns of a grid voxels are, and how far from them they lie, mm.

    Those beyond the grid are counted on, as if it went on. As many voxels as the grid has must be
    the grid's.
    """
    x, y, z = (affine[:3, 3] * (-1, -1, 1)).tolist()
    step_z = float(affine[2, 2])
    heights = z + step_z * np.arange(shape[0])
    if shape == grid.shape:
        first = (0, 0, 0)
    else:
        first_row, first_column = (
            round((place - origin) / step)
            for place, origin, step in zip(
                (y, x), grid.origin_mm[::-1], grid.spacing_mm, strict=True
            )
        )
        first = (_slice_before(heights, grid), first_row, first_column)
    indices = [start + np.arange(length) for start, length in zip(first, shape, strict=True)]
    expected_z = _heights(indices[0], grid)
    apart = [float(np.abs(heights - expected_z).max())]
    for slice_, row, column in product(*((0, length - 1) for length in shape)):
        found = (affine @ (column, row, slice_, 1))[:3] * (-1, -1, 1)
        expected = (
            grid.origin_mm[0] + grid.spacing_mm[1] * indices[2][column],
            grid.origin_mm[1] + grid.spacing_mm[0] * indices[1][row],
            expected_z[slice_],
        )
        apart.append(float(np.abs(found - expected).max()))
    return indices, max(apart)


def _slice_before(heights: npt.NDArray[np.float64], grid: Grid) -> int:
    """Which slice of a grid the first of some heights is, counted from the nearest pair;

    negative: below the grid.
    """
    z = np.asarray(grid.slice_z_mm)
    apart = np.abs(heights[:, None] - z)
    nearest, slice_ = np.unravel_index(int(apart.argmin()), apart.shape)
    first, last = _end_steps(grid)
    beyond = float(heights[nearest] - z[slice_])  # many steps where all heights lie beyond the grid
    return int(slice_) - int(nearest) + round(beyond / (first if beyond < 0 else last))


def _heights(indices: npt.NDArray[np.intp], grid: Grid) -> npt.NDArray[np.float64]:
    """The z of slices of a grid, which goes on beyond its ends as it ended."""
    z = np.asarray(grid.slice_z_mm)
    first, last = _end_steps(grid)
    inside = z[np.clip(indices, 0, len(z) - 1)]
    below, above = np.minimum(indices, 0), np.maximum(indices - (len(z) - 1), 0)
    heights: npt.NDArray[np.float64] = inside + below * first + above * last
    return heights


def _end_steps(grid: Grid) -> tuple[float, float]:
    """The lowest and the highest step from slice to slice; 1 mm of a lone one."""
    z = grid.slice_z_mm
    return (z[1] - z[0], z[-1] - z[-2]) if len(z) > 1 else (1.0, 1.0)


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
