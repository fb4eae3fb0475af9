"""The voxels of one axial CT."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError

# how far a slice may lie from where an even spacing has it: positions are often rounded to 0.1 mm
EVEN_MM = 0.05
GRIDS_AGREE_MM = 0.1  # two grids whose voxels lie closer than this are one grid


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of one axial CT lie in the patient.

    Arrays are (slice, row, column); points are (x, y, z) mm in the DICOM patient frame (LPS). Rows
    run to the patient's back (+y), columns to the patient's left (+x), slices to the head (+z),
    however the scanner stored them. Index (0, 0, 0) is the *centre* of the first voxel.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float]  # row step (y), column step (x)
    slice_z_mm: tuple[float, ...]  # each slice's own z, ascending: the spacing may be irregular
    origin_mm: tuple[float, float]  # x, y of the first voxel's centre

    def __post_init__(self) -> None:
        """Raise GridMismatchError where the fields contradict each other."""
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GridMismatchError(
                f"a grid is (slices, rows, columns), each at least 1; got {self.shape}"
            )
        if len(self.slice_z_mm) != self.shape[0]:
            raise GridMismatchError(
                f"{self.shape[0]} slices need as many z positions; got {len(self.slice_z_mm)}"
            )
        if (
            not all(np.isfinite([*self.spacing_mm, *self.origin_mm, *self.slice_z_mm]))
            or min(self.spacing_mm) <= 0
        ):
            raise GridMismatchError(
                f"spacing {self.spacing_mm}, origin {self.origin_mm}: not finite or not > 0"
            )
        if any(above <= below for below, above in pairwise(self.slice_z_mm)):
            raise GridMismatchError("the slices' z positions must ascend")

    @property
    def pixel_mm2(self) -> float:
        """Area of one pixel."""
        return self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def pixel_diagonal_mm(self) -> float:
        """Distance between opposite corners of one pixel."""
        return float(np.hypot(*self.spacing_mm))

    @property
    def slice_thickness_mm(self) -> npt.NDArray[np.float64]:
        """The stretch of z that each slice stands for: half way to each neighbour. Shape (slices,).

        The first and last slice reach as far outwards as inwards; a lone slice counts as 1 mm.
        """
        z = np.asarray(self.slice_z_mm)
        if len(z) == 1:
            return np.ones(1)
        gaps = np.diff(z)
        below = np.concatenate([gaps[:1], gaps])
        above = np.concatenate([gaps, gaps[-1:]])
        thickness: npt.NDArray[np.float64] = (below + above) / 2
        return thickness

    @property
    def slice_step_mm(self) -> float | None:
        """The distance from each slice to the next, or None where it changes;

        1 mm for a lone slice.
        """
        z = np.asarray(self.slice_z_mm)
        even = np.linspace(z[0], z[-1], len(z))
        if np.abs(z - even).max() > EVEN_MM:
            return None
        return float((z[-1] - z[0]) / (len(z) - 1)) if len(z) > 1 else 1.0

    def slice_at(self, z_mm: float) -> int | None:
        """The slice whose plane lies within half the local spacing of z, or None."""
        z = self.slice_z_mm
        if len(z) == 1:
            return 0 if abs(z[0] - z_mm) <= 0.5 + 1e-6 else None
        above = min(
            max(bisect_left(z, z_mm), 1), len(z) - 1
        )  # of the gap that z_mm lies in, or beyond which it lies
        nearest = above - 1 if z_mm - z[above - 1] <= z[above] - z_mm else above
        return nearest if abs(z[nearest] - z_mm) <= (z[above] - z[above - 1]) / 2 + 1e-6 else None

    def to_pixels(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n, 2) points as x, y mm -> (n, 2) as fractional column, row."""
        columns_rows: npt.NDArray[np.float64] = (points_mm - self.origin_mm) / self.spacing_mm[::-1]
        return columns_rows

    def to_mm(self, points_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n, 2) points as fractional column, row -> (n, 2) as x, y mm."""
        x_y: npt.NDArray[np.float64] = points_px * self.spacing_mm[::-1] + np.asarray(
            self.origin_mm
        )
        return x_y

    def volume_cc(self, mask: npt.NDArray[np.bool_]) -> float:
        """Volume of a mask (slice, row, column), each slice as thick as it stands for."""
        if mask.shape != self.shape:
            raise GridMismatchError(
                f"a mask of shape {mask.shape} does not lie on a grid of {self.shape}"
            )
        counts = [
            np.count_nonzero(plane) for plane in mask
        ]  # many times faster than of axis=(1, 2)
        return float(np.sum(counts * self.slice_thickness_mm)) * self.pixel_mm2 / 1000.0

    def middle_x_mm(self, mask: npt.NDArray[np.bool_]) -> float:
        """Where a mask (slice, row, column) that is not empty lies from right to left:

        the mean of its columns.
        """
        columns = np.flatnonzero(mask.any(axis=0).any(axis=0))
        return self.origin_mm[0] + self.spacing_mm[1] * float(columns.mean())
