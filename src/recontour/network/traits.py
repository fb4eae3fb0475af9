"""What a body and an organ measure on a CT: numbers that tell whose patients a model knows.

Heights within the scan say nothing, since scans begin and end anywhere. So an organ's place is that
within the body on its own slices, and the region shows in how much body there is on those slices.
docs/decisions/050-unlike-patients.md has the measurements behind the choice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.geometry.tracing import box_of
from recontour.network.body import Voxels, coarse_steps, largest_tissue

BodyTrait = Literal["narrow_width_mm", "narrow_area_cm2"]
OrganTrait = Literal[
    "volume_cc",
    "width_mm",
    "depth_mm",
    "height_mm",
    "from_middle_x_mm",
    "from_middle_y_mm",
    "mean_hu",
    "body_area_cm2",
]
BodyTraits = Mapping[BodyTrait, float]
OrganTraits = Mapping[OrganTrait, float]
PerSlice = npt.NDArray[np.float64]

NARROW_PERCENT = 10  # of the slices: a long scan has narrow ones, too, if it shows the neck
TOUCHING = np.ones((3, 3, 3))  # voxels that share a face, an edge or a corner are one part


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """The body on each slice: arrays (slice,), NaN where a slice shows no tissue.

    middle_x_mm, middle_y_mm: its centroid. width_mm: from right to left. area_cm2: lungs and
    airways included.
    """

    middle_x_mm: PerSlice
    middle_y_mm: PerSlice
    width_mm: PerSlice
    area_cm2: PerSlice

    def traits(self) -> BodyTraits:
        """Return how wide and large the body is where it is narrow; nothing without tissue."""
        shown = ~np.isnan(self.area_cm2)
        if not shown.any():
            return {}
        return {
            "narrow_width_mm": float(np.percentile(self.width_mm[shown], NARROW_PERCENT)),
            "narrow_area_cm2": float(np.percentile(self.area_cm2[shown], NARROW_PERCENT)),
        }


def body_of(hu: Voxels, grid: Grid) -> Body:
    """Find the body on each slice: the largest tissue region, with what it encloses.

    hu: Hounsfield units, (slice, row, column).

    >>> grid = Grid((1, 8, 8), (4.0, 4.0), (0.0,), (0.0, 0.0))
    >>> hu = np.full(grid.shape, -1000.0)
    >>> hu[0, 2:6, 1:7] = 40.0
    >>> body_of(hu, grid).width_mm.tolist(), body_of(hu, grid).area_cm2.tolist()
    ([24.0], [3.84])
    """
    row_step, column_step = coarse_steps(grid)
    row_mm = row_step * grid.spacing_mm[0]
    column_mm = column_step * grid.spacing_mm[1]
    found = np.full((4, len(hu)), np.nan)
    for index, plane in enumerate(hu):
        region = largest_tissue(plane, grid)
        if region is None:
            continue
        filled = ndimage.binary_fill_holes(region)
        rows, columns = np.nonzero(filled)
        x_mm = grid.origin_mm[0] + column_mm * columns.mean()
        y_mm = grid.origin_mm[1] + row_mm * rows.mean()
        width_mm = column_mm * (np.ptp(columns) + 1)
        area_cm2 = row_mm * column_mm * len(rows) / 100
        found[:, index] = x_mm, y_mm, width_mm, area_cm2
    return Body(*found)


def organ_traits(
    hu: Voxels,
    grid: Grid,
    mask: Mask,
    body: Body,
    *,
    is_partial: bool = False,
) -> OrganTraits:
    """Measure an organ.

    hu: Hounsfield units, (slice, row, column). mask: the organ's, of the same shape, not empty.
    An organ that touches the first or last slice may go on beyond it: it has no size, and the body
    around the part that is seen may be that of another height. is_partial: the same holds for an
    organ that is partly contoured.
    """
    box = box_of(mask)
    assert box is not None
    slices, rows, columns = box
    inside = mask[box]
    shown = slices.start + np.flatnonzero(inside.any(axis=(1, 2)))
    _, row_indices, column_indices = np.nonzero(inside)
    row_mm, column_mm = grid.spacing_mm
    x_mm = grid.origin_mm[0] + column_mm * (columns.start + column_indices.mean())
    y_mm = grid.origin_mm[1] + row_mm * (rows.start + row_indices.mean())
    traits: dict[OrganTrait, float] = {
        "mean_hu": float(hu[box][inside].astype(np.float64).mean()),
    }
    has_body = not np.isnan(body.area_cm2[shown]).any()
    is_whole = not is_partial and slices.start > 0 and slices.stop < len(mask)
    if has_body:
        traits["from_middle_x_mm"] = float(x_mm - body.middle_x_mm[shown].mean())
        traits["from_middle_y_mm"] = float(y_mm - body.middle_y_mm[shown].mean())
    if has_body and is_whole:
        traits["body_area_cm2"] = float(body.area_cm2[shown].mean())
    if is_whole:
        thickness_mm = grid.slice_thickness_mm[slices]
        per_slice = np.count_nonzero(inside, axis=(1, 2))
        volume_mm3 = row_mm * column_mm * float(per_slice @ thickness_mm)
        traits["volume_cc"] = volume_mm3 / 1000
        traits["width_mm"] = column_mm * inside.shape[2]
        traits["depth_mm"] = row_mm * inside.shape[1]
        traits["height_mm"] = float(thickness_mm.sum())
    return traits


def parts_of_mask(mask: Mask) -> int:
    """Count the parts of a mask that do not touch each other.

    >>> parts_of_mask(np.array([[[True, False, True]]]))
    2
    """
    box = box_of(mask)
    if box is None:
        return 0
    _, parts = ndimage.label(mask[box], structure=TOUCHING)
    return int(parts)
