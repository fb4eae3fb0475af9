"""Which planes of a CT a report shows, and how they are cut from its voxels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from recontour.geometry import Grid
from recontour.geometry.arrays import Mask

View = Literal["axial", "sagittal", "coronal"]
VIEWS: tuple[View, ...] = ("axial", "sagittal", "coronal")
# Of arrays (slice, row, column): what one plane of the view has a single one of.
AXES: dict[View, int] = {"axial": 0, "coronal": 1, "sagittal": 2}
# Rows of an upright picture are at least this high, whatever two slices lie closer together.
LOWEST_ROW_MM = 0.5


@dataclass(frozen=True, slots=True)
class Plane:
    """One plane of a CT's voxels. index: of its slice (axial), row (coronal) or column (sagittal).

    >>> Plane("sagittal", 2).cut(np.arange(12).reshape(1, 3, 4)).tolist()
    [[2, 6, 10]]
    """

    view: View
    index: int

    def cut(self, volume: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Cut the plane from a volume, (slice, row, column).

        Returns: (row, column) if axial, (slice, column) if coronal, (slice, row) if sagittal.
        """
        along: npt.NDArray[Any] = np.moveaxis(volume, AXES[self.view], 0)
        return np.asarray(along[self.index])

    def at_mm(self, grid: Grid) -> float:
        """Return where the plane lies, in the DICOM patient frame: its z, y or x."""
        if self.view == "axial":
            return grid.slice_z_mm[self.index]
        x_mm, y_mm = grid.origin_mm
        row_mm, column_mm = grid.spacing_mm
        if self.view == "coronal":
            return y_mm + self.index * row_mm
        return x_mm + self.index * column_mm


def largest_plane(reference: Mask, view: View) -> Plane:
    """Return the plane on which the reference is largest; of an empty mask, the middle one.

    reference: (slice, row, column).
    """
    axis = AXES[view]
    others = tuple(other for other in range(3) if other != axis)
    areas = np.count_nonzero(reference, axis=others)
    index = int(np.argmax(areas)) if areas.any() else len(areas) // 2
    return Plane(view, index)


def slice_to_show(reference: Mask) -> int:
    """Return the slice on which the reference is largest; of an empty mask, the middle slice."""
    return largest_plane(reference, "axial").index


def planes_to_show(reference: Mask, predicted: Mask | None = None) -> Iterator[Plane]:
    """Yield the planes to show of an organ: of each view the one where the reference is largest.

    reference, predicted: (slice, row, column). Last comes the slice where the prediction, if there
    is one, differs from the reference in most voxels, unless that is the axial plane.
    """
    for view in VIEWS:
        yield largest_plane(reference, view)
    if predicted is None:
        return
    differing = np.count_nonzero(reference != predicted, axis=(1, 2))
    most = int(np.argmax(differing))
    if differing[most] > differing[slice_to_show(reference)]:
        yield Plane("axial", most)


def upright(grid: Grid) -> tuple[npt.NDArray[np.intp], float]:
    """Return how to draw a sagittal or coronal plane with the head up and in its true proportions.

    Returns: the slice that each row of the picture shows, from the head down, and the height of a
    row in mm. Slices at irregular distances take as many rows as they are thick.

    >>> slices, row_mm = upright(Grid((3, 4, 4), (1.0, 1.0), (0.0, 2.0, 6.0), (0.0, 0.0)))
    >>> slices.tolist(), row_mm
    ([2, 2, 1, 0], 2.25)
    """
    z_mm = np.asarray(grid.slice_z_mm)
    thickness_mm = grid.slice_thickness_mm
    bottom_mm = z_mm[0] - thickness_mm[0] / 2
    top_mm = z_mm[-1] + thickness_mm[-1] / 2
    row_mm = max(float(thickness_mm.min()), LOWEST_ROW_MM)
    rows = max(1, round((top_mm - bottom_mm) / row_mm))
    row_mm = float(top_mm - bottom_mm) / rows
    centres_mm = top_mm - (np.arange(rows) + 0.5) * row_mm
    half_way_mm = (z_mm[:-1] + z_mm[1:]) / 2
    return np.searchsorted(half_way_mm, centres_mm), row_mm
