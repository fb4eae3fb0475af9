"""The voxels of one axial CT."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from recontour.errors import GridMismatchError
from recontour.geometry.arrays import Floats, Mask, Points
from recontour.geometry.findings import ContradictoryGrid, WrongShape

# how far a slice may lie from an even spacing: positions are often rounded to 0.1 mm
EVEN_MM = 0.05
LONE_SLICE_MM = 1.0  # the stretch of z that a lone slice stands for
SLACK_MM = 1e-6  # for rounding, at the border between two slices
GRIDS_AGREE_MM = 0.1  # two grids whose voxels lie closer than this are one grid


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of one axial CT lie in the patient.

    Arrays are (slice, row, column); points are (x, y, z) mm in the DICOM patient frame (LPS). Rows
    run to the patient's back (+y), columns to the patient's left (+x), slices to the head (+z),
    however the scanner stored them. Index (0, 0, 0) is the *centre* of the first voxel.

    >>> grid = Grid((2, 4, 4), (1.0, 1.5), (0.0, 3.0), (-10.0, -20.0))
    >>> grid.slice_step_mm, grid.to_mm(np.array([[2.0, 1.0]])).tolist()
    (3.0, [[-7.0, -19.0]])
    >>> grid.volume_cc(np.ones(grid.shape, dtype=bool))
    0.144
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float]  # row step (y), column step (x)
    slice_z_mm: tuple[float, ...]  # each slice's own z, ascending: the spacing may be irregular
    origin_mm: tuple[float, float]  # x, y of the first voxel's centre

    def __post_init__(self) -> None:
        """Raise GridMismatchError if the fields contradict each other."""
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise GridMismatchError(self._contradiction("shape"))
        if len(self.slice_z_mm) != self.shape[0]:
            raise GridMismatchError(self._contradiction("positions"))
        lengths_mm = (*self.spacing_mm, *self.origin_mm, *self.slice_z_mm)
        if not np.isfinite(lengths_mm).all() or min(self.spacing_mm) <= 0:
            raise GridMismatchError(self._contradiction("numbers"))
        if any(above <= below for below, above in pairwise(self.slice_z_mm)):
            raise GridMismatchError(self._contradiction("order"))

    def _contradiction(
        self, why: Literal["shape", "positions", "numbers", "order"]
    ) -> ContradictoryGrid:
        return ContradictoryGrid(
            why=why,
            shape=self.shape,
            positions=len(self.slice_z_mm),
        )

    @property
    def pixel_mm2(self) -> float:
        """Return the area of one pixel."""
        return self.spacing_mm[0] * self.spacing_mm[1]

    @property
    def pixel_diagonal_mm(self) -> float:
        """Return the distance between opposite corners of one pixel."""
        return float(np.hypot(*self.spacing_mm))

    @property
    def slice_thickness_mm(self) -> Floats:
        """Return the stretch of z that each slice stands for, (slices,).

        It reaches half way to each neighbour. The first and last slice reach as far outwards as
        inwards; a lone slice counts as 1 mm.
        """
        z_mm = np.asarray(self.slice_z_mm)
        if len(z_mm) == 1:
            return np.full(1, LONE_SLICE_MM)
        gaps_mm = np.diff(z_mm)
        below_mm = np.concatenate([gaps_mm[:1], gaps_mm])
        above_mm = np.concatenate([gaps_mm, gaps_mm[-1:]])
        thickness_mm: Floats = (below_mm + above_mm) / 2
        return thickness_mm

    @property
    def slice_step_mm(self) -> float | None:
        """Return the distance between slices; None where it changes, 1 mm for a lone slice."""
        z_mm = np.asarray(self.slice_z_mm)
        if len(z_mm) == 1:
            return LONE_SLICE_MM
        even_mm = np.linspace(z_mm[0], z_mm[-1], len(z_mm))
        if np.abs(z_mm - even_mm).max() > EVEN_MM:
            return None
        return float((z_mm[-1] - z_mm[0]) / (len(z_mm) - 1))

    def slice_at(self, z_mm: float) -> int | None:
        """Return the slice whose plane lies within half the local spacing of z, or None.

        >>> grid = Grid((3, 1, 1), (1.0, 1.0), (0.0, 3.0, 6.0), (0.0, 0.0))
        >>> grid.slice_at(4.0), grid.slice_at(8.0)
        (1, None)
        """
        heights_mm = self.slice_z_mm
        if len(heights_mm) == 1:
            is_near = abs(heights_mm[0] - z_mm) <= LONE_SLICE_MM / 2 + SLACK_MM
            return 0 if is_near else None
        # the gap that z lies in, or the outermost one
        above = min(max(bisect_left(heights_mm, z_mm), 1), len(heights_mm) - 1)
        below = above - 1
        is_lower_nearer = z_mm - heights_mm[below] <= heights_mm[above] - z_mm
        nearest = below if is_lower_nearer else above
        half_gap_mm = (heights_mm[above] - heights_mm[below]) / 2
        is_near = abs(heights_mm[nearest] - z_mm) <= half_gap_mm + SLACK_MM
        return nearest if is_near else None

    def to_pixels(self, points_mm: Points) -> Points:
        """Turn points (n, 2) as x, y in mm into points as fractional column, row."""
        columns_rows: Points = (points_mm - self.origin_mm) / self.spacing_mm[::-1]
        return columns_rows

    def to_mm(self, points_px: Points) -> Points:
        """Turn points (n, 2) as fractional column, row into points as x, y in mm."""
        x_y: Points = points_px * self.spacing_mm[::-1] + np.asarray(self.origin_mm)
        return x_y

    def volume_cc(self, mask: Mask) -> float:
        """Return the volume of a mask (slice, row, column), each slice as thick as it stands for.

        Raises: GridMismatchError: the mask has another shape.
        """
        if mask.shape != self.shape:
            raise GridMismatchError(WrongShape(what="mask", shape=mask.shape, expected=self.shape))
        # plane by plane: many times faster than over axis=(1, 2)
        counts = list(map(np.count_nonzero, mask))
        return float(np.sum(counts * self.slice_thickness_mm)) * self.pixel_mm2 / 1000.0

    def middle_x_mm(self, mask: Mask) -> float:
        """Return where a mask that is not empty lies from right to left: the mean of its columns.

        mask: (slice, row, column).
        """
        columns = np.flatnonzero(mask.any(axis=0).any(axis=0))
        return self.origin_mm[0] + self.spacing_mm[1] * float(columns.mean())
