"""Voxels on a Grid as a NIfTI file, and back.

In DICOM x and y grow to the patient's left and back (LPS), in NIfTI to the right and front (RAS).
The affine says so; voxels stay where they are and in their order.
"""

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError, LabelsError
from recontour.exchange.findings import (
    FractionalLabels,
    NoPositionInHeader,
    NotNifti,
    OversizedLabelMap,
    UnevenSlices,
    WrongNumberOfAxes,
)
from recontour.exchange.placing import Affine, Labels, covers, placed
from recontour.geometry import Grid
from recontour.geometry.findings import WrongShape

GZIP = b"\x1f\x8b"
NIFTI_1, NIFTI_2 = 348, 540  # the header's length, with which each begins
MOST_VOXELS = 1 << 28  # of a label map: no CT has more


def write_nifti(
    path: Path,
    voxels: npt.NDArray[Any],
    grid: Grid,
) -> None:
    """Write an array (slice, row, column) as a NIfTI-1 file, indexed (column, row, slice).

    bool becomes uint8, any other type stays. The path ends with .nii or .nii.gz; a file that is
    there is replaced.
    Raises: GridMismatchError: the array does not lie on the grid, or the slices are not evenly
        spaced.
    """
    import nibabel  # here: it takes half a second, and few runs need it

    if voxels.shape != grid.shape:
        wrong = WrongShape(
            path=path,
            what="array",
            shape=voxels.shape,
            expected=grid.shape,
        )
        raise GridMismatchError(wrong)
    stored = np.asarray(voxels)
    if stored.dtype == bool:
        stored = stored.view(np.uint8)
    affine = affine_ras(grid)
    image = nibabel.Nifti1Image(stored.transpose(2, 1, 0), affine)
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def affine_ras(grid: Grid) -> Affine:
    """Return the matrix (4, 4) that takes (column, row, slice) to mm in RAS.

    Raises: GridMismatchError: the slices are not evenly spaced, which no such matrix can express.
    """
    step_mm = grid.slice_step_mm
    if step_mm is None:
        raise GridMismatchError(uneven_slices(grid))
    row_mm, column_mm = grid.spacing_mm
    x, y = grid.origin_mm
    affine = np.diag([-column_mm, -row_mm, step_mm, 1.0])
    affine[:3, 3] = -x, -y, grid.slice_z_mm[0]
    return affine


def uneven_slices(grid: Grid, case: str | None = None) -> UnevenSlices:
    """Return how far the slices of a grid lie apart, as a finding."""
    gaps_mm = np.diff(grid.slice_z_mm).tolist()
    return UnevenSlices(
        case=case,
        least_mm=min(gaps_mm),
        most_mm=max(gaps_mm),
    )


def is_nifti(path: Path) -> bool:
    """Say whether a file holds NIfTI, compressed or not, by its first bytes alone."""
    try:
        with _opened(path) as file:
            return _header_size(file.read(4)) is not None
    except (OSError, EOFError, zlib.error):
        return False


def read_labels(path: Path, grid: Grid) -> Labels:
    """Read the labels of a NIfTI file onto a CT's grid, as whole numbers (slice, row, column).

    The file's axes may be turned. It may be cropped, or reach beyond the grid where nothing is
    marked; what it does not cover is 0. Nothing is resampled.
    Raises: LabelsError: damaged, not NIfTI, or not whole numbers. GridMismatchError: voxels that do
        not lie on the grid's, or marked ones beyond it.
    """
    voxels, affine = _read(path)
    return placed(_whole(voxels, path), affine, grid, path)


def grids_covered(path: Path, grids: Iterable[Grid]) -> list[Grid]:
    """Return those of some grids whose voxels are those of a NIfTI file, one by one.

    Raises: LabelsError: damaged, or not NIfTI.
    """
    voxels, affine = _read(path)
    return [grid for grid in grids if covers(voxels.shape, affine, grid)]


def _read(path: Path) -> tuple[npt.NDArray[Any], Affine]:
    """Return the voxels and the affine of a NIfTI file as `_turned` does."""
    try:
        with _opened(path) as file:
            return _turned(file, path)
    except (GridMismatchError, LabelsError, MemoryError):
        raise
    except Exception as error:  # nibabel and zlib raise almost anything on damaged files
        raise LabelsError(NotNifti(path=path, error=type(error).__name__)) from error


def _opened(path: Path) -> io.BufferedIOBase:
    """Open a file, and decompress it if its first bytes say so; its name does not count."""
    with path.open("rb") as file:
        is_compressed = file.read(len(GZIP)) == GZIP
    return gzip.open(path) if is_compressed else path.open("rb")


def _header_size(start: bytes) -> int | None:
    """Return the number that NIfTI begins with, in either byte order; None for another file."""
    for size in (int.from_bytes(start, "little"), int.from_bytes(start, "big")):
        if size in (NIFTI_1, NIFTI_2):
            return size
    return None


def _turned(file: io.BufferedIOBase, path: Path) -> tuple[npt.NDArray[Any], Affine]:
    """Return the voxels of a NIfTI file as (slice, row, column) in LPS, and their affine.

    The affine takes (column, row, slice) to mm in RAS, as that of `affine_ras`.
    """
    import nibabel
    from nibabel import orientations

    size = _header_size(file.read(4))
    file.seek(0)
    kind = nibabel.Nifti2Image if size == NIFTI_2 else nibabel.Nifti1Image
    image = kind.from_stream(file)
    shape = _three_axes(image.shape, path)
    if np.prod(shape, dtype=float) > MOST_VOXELS:
        raise LabelsError(OversizedLabelMap(path=path, shape=shape))
    axes = orientations.io_orientation(image.affine)
    has_place = np.isfinite(axes).all() and np.isfinite(image.affine).all()
    if not has_place:
        raise LabelsError(NoPositionInHeader(path=path))
    turn = orientations.ornt_transform(axes, orientations.axcodes2ornt("LPS"))
    stored = np.asanyarray(image.dataobj).reshape(shape)
    voxels = orientations.apply_orientation(stored, turn)
    affine: Affine = image.affine @ orientations.inv_ornt_aff(turn, shape)
    return voxels.transpose(2, 1, 0), affine


def _three_axes(shape: tuple[int, ...], path: Path) -> tuple[int, int, int]:
    """Drop axes of length 1 behind the third; add the third where it is missing."""
    behind = set(shape[3:])
    if len(shape) < 2 or not behind <= {1}:
        raise LabelsError(WrongNumberOfAxes(path=path, shape=shape))
    columns, rows, slices = (*shape, 1)[:3]
    return columns, rows, slices


def _whole(voxels: npt.NDArray[Any], path: Path) -> Labels:
    """Return voxels as whole numbers; NaN is refused."""
    kind = voxels.dtype.kind
    if kind in "iu":
        return voxels
    if kind == "f":
        rounded = np.nan_to_num(np.rint(voxels), nan=-1)
        whole: Labels = rounded.astype(np.int32)
        if np.array_equal(whole, voxels):
            return whole
    raise LabelsError(FractionalLabels(path=path, type=str(voxels.dtype)))
