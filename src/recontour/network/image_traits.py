"""What a CT's image measures, whoever lies in it: numbers that tell how it was acquired.

A header says what a scanner was asked for; these numbers say what came out. They are measured on
a few slices, spread evenly over the CT, and need no contours. What cannot be measured is missing.
docs/results/image_traits.json has the measurements behind the choice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask
from recontour.network.body import BODY_HU

ImageTrait = Literal[
    "pixel_mm",
    "slice_mm",
    "field_of_view_mm",
    "edge_width_mm",
    "noise_hu",
    "air_hu",
    "muscle_hu",
    "bone_hu",
    "vessel_percent",
]
ImageTraits = Mapping[ImageTrait, float]
Voxels = npt.NDArray[Any]  # Hounsfield units, (slice, row, column)
Plane = npt.NDArray[np.float32]  # (row, column)

MOST_SLICES = 24  # are measured
LEAST_VALUES = 100  # voxels or edges; fewer say nothing
LEAST_BODY = 0.01  # of a slice
AIR_HU = -700.0  # air is below
FROM_BODY_MM = 10.0  # air is measured at least so far from the body
WITHIN_CIRCLE = 0.95  # of the radius: scanners reconstruct a circle, and pad the corners
MUSCLE_HU = (-20, 160)  # muscle's peak lies between
PEAK_HU = 10.0  # the histogram is smoothed by a Gaussian as wide as this (SD)
SOFT_HU = 40.0  # soft tissue lies within so much of muscle
BONE_HU = 250.0  # bone lies above muscle by so much
PARTLY_BONE_HU = 150.0  # what is brighter than muscle by so much may be bone in part
BONE_PERCENT = 75  # of bone's voxels that are darker than what counts as cortical
VESSEL_HU = 75.0  # a vessel with contrast medium is brighter than muscle by at least so much
FROM_BONE_MM = 8.0  # nearer to bone, voxels are bright because they are partly bone
EDGE_MM = 8.0  # from the skin, into the air and into the body; at least three pixels
LEAST_STEP_HU = 500.0  # from air to tissue
STEEPEST_TILT = 0.6  # of the skin against the pixels' axis, as a tangent
SHARP_PERCENT = 25  # of the edges: the others are of hair, a mask, clothes or tilted skin
SECOND_DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6.0
MAD_PER_SD = 0.6745  # the median of |x| of a normal distribution with an SD of one


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """A slice with a body. smooth: means of 3 x 3 pixels. body: with what it encloses."""

    hu: Plane
    smooth: Plane
    body: Mask


def image_traits(hu: Voxels, grid: Grid) -> ImageTraits:
    """Measure a CT's image.

    hu: Hounsfield units, (slice, row, column). pixel_mm: the row step. slice_mm: the usual distance
    of two slices. field_of_view_mm: from the image's right to its left. edge_width_mm: over how
    many mm, across the skin in the plane, HU rise from a quarter to three quarters of the step from
    air to tissue. noise_hu: the SD of soft tissue from pixel to pixel, without its texture. air_hu:
    the median outside the body. muscle_hu: the peak of soft tissue. bone_hu: of dense bone.
    vessel_percent: how much of the soft tissue away from bone is as bright as vessels are with
    contrast medium.

    >>> grid = Grid((2, 40, 40), (4.0, 4.0), (0.0, 3.0), (0.0, 0.0))
    >>> hu = np.full(grid.shape, -1000.0)
    >>> hu[:, 10:30, 8:32] = 50.0
    >>> traits = image_traits(hu, grid)
    >>> traits["field_of_view_mm"], traits["air_hu"], traits["noise_hu"], traits["edge_width_mm"]
    (160.0, -1000.0, 0.0, 2.0)
    """
    traits: dict[ImageTrait, float] = {
        "pixel_mm": grid.spacing_mm[0],
        "field_of_view_mm": grid.spacing_mm[1] * grid.shape[2],
    }
    if len(grid.slice_z_mm) > 1:
        traits["slice_mm"] = float(np.median(np.diff(grid.slice_z_mm)))
    slices = list(_slices_of(hu))
    air = _joined(_air(one, grid) for one in slices)
    if len(air) >= LEAST_VALUES:
        traits["air_hu"] = float(np.median(air))
    edges_mm = _joined(_edges_mm(one, grid) for one in slices)
    if len(edges_mm) >= LEAST_VALUES:
        traits["edge_width_mm"] = float(np.percentile(edges_mm, SHARP_PERCENT))
    traits.update(_tissues(slices, grid))
    return traits


def _slices_of(hu: Voxels) -> Iterator[_Slice]:
    """Yield slices, spread evenly, that show a body."""
    count = min(len(hu), MOST_SLICES)
    indices = np.linspace(0, len(hu) - 1, count).round().astype(int)
    for index in indices:
        plane = np.asarray(hu[index], dtype=np.float32)
        labels, parts = ndimage.label(plane > BODY_HU)
        if not parts:
            continue
        sizes = np.bincount(labels.ravel())
        largest = 1 + int(np.argmax(sizes[1:]))
        if sizes[largest] < LEAST_BODY * plane.size:
            continue
        body = ndimage.binary_fill_holes(labels == largest)
        yield _Slice(plane, ndimage.uniform_filter(plane, 3), body)


def _joined(arrays: Iterator[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate([np.empty(0), *arrays])


def _widened(mask: Mask, by_mm: float, grid: Grid) -> Mask:
    """Return a slice's mask, wider by so much along rows and columns, and by at least a pixel."""
    row_px, column_px = (max(1, round(by_mm / step_mm)) for step_mm in grid.spacing_mm)
    size = (2 * row_px + 1, 2 * column_px + 1)
    return np.asarray(ndimage.maximum_filter(mask.view(np.uint8), size)).view(np.bool_)


def _air(one: _Slice, grid: Grid) -> Plane:
    """Return the HU of the air around the body, within the circle that scanners reconstruct."""
    rows, columns = one.hu.shape
    height = np.linspace(-1, 1, rows)[:, None]
    width = np.linspace(-1, 1, columns)[None, :]
    is_within = height**2 + width**2 < WITHIN_CIRCLE**2
    near = _widened(one.body, FROM_BODY_MM, grid)
    outside = one.hu[is_within & ~near]
    return outside[outside < AIR_HU]


def _edges_mm(one: _Slice, grid: Grid) -> Floats:
    """Return how wide the edge from air to skin is, from the right, the left and the front.

    Not from the back: the patient lies on it.
    """
    row_mm, column_mm = grid.spacing_mm
    from_right = _widths_mm(one.hu, one.body, row_mm, column_mm)
    from_left = _widths_mm(one.hu[:, ::-1], one.body[:, ::-1], row_mm, column_mm)
    from_front = _widths_mm(one.hu.T, one.body.T, column_mm, row_mm)
    return np.concatenate([from_right, from_left, from_front])


def _widths_mm(hu: Plane, body: Mask, row_mm: float, column_mm: float) -> Floats:
    """Return the edge's width where each row enters the body; rows in which it is unclear lack.

    Where the skin is tilted, what a row crosses is longer than the edge is wide.
    """
    reach = max(3, round(EDGE_MM / column_mm)) + 2
    first = body.argmax(axis=1)
    has_room = (first >= reach) & (first + reach < body.shape[1])
    rows = np.flatnonzero(body.any(axis=1) & has_room)
    if len(rows) < 2:
        return np.empty(0)
    profiles = hu[rows[:, None], first[rows, None] + np.arange(-reach, reach + 1)]
    air = np.median(profiles[:, :3], axis=1)
    tissue = np.median(profiles[:, -3:], axis=1)
    step = tissue - air
    is_step = step > LEAST_STEP_HU
    share = (profiles - air[:, None]) / np.where(is_step, step, 1.0)[:, None]
    width = _crossing(share, 0.75) - _crossing(share, 0.25)
    place = np.full(len(body), np.nan)
    place[rows] = first[rows] + _crossing(share, 0.5)
    tilt = np.gradient(place)[rows] * column_mm / row_mm
    is_clear = is_step & (np.abs(tilt) < STEEPEST_TILT) & (width >= 0)
    widths_mm: Floats = (width * column_mm / np.sqrt(1 + tilt**2))[is_clear]
    return widths_mm


def _crossing(share: Floats, level: float) -> Floats:
    """Return where each profile first rises beyond a level, in pixels; NaN where it never does."""
    rises = (share[:, :-1] < level) & (share[:, 1:] >= level)
    before = rises.argmax(axis=1)
    each = np.arange(len(share))
    low = share[each, before]
    high = share[each, before + 1]
    has_risen = rises.any(axis=1)
    climb = np.where(has_risen, high - low, 1.0)
    return np.where(has_risen, before + (level - low) / climb, np.nan)


def _tissues(slices: Sequence[_Slice], grid: Grid) -> dict[ImageTrait, float]:
    """Measure noise and HU within the body; nothing if there is no soft tissue."""
    smooth = _joined(one.smooth[one.body] for one in slices)
    low, high = MUSCLE_HU
    counts, _ = np.histogram(smooth, np.arange(low, high + 1))
    if counts.sum() < LEAST_VALUES:
        return {}
    peak = ndimage.gaussian_filter1d(counts.astype(float), PEAK_HU).argmax()
    muscle_hu = low + float(peak) + 0.5
    traits: dict[ImageTrait, float] = {"muscle_hu": muscle_hu}
    differences = _joined(_soft_differences(one, muscle_hu) for one in slices)
    if len(differences) >= LEAST_VALUES:
        traits["noise_hu"] = float(np.median(np.abs(differences))) / MAD_PER_SD
    bone = _joined(one.hu[one.body & (one.hu > muscle_hu + BONE_HU)] for one in slices)
    if len(bone) >= LEAST_VALUES:
        traits["bone_hu"] = float(np.percentile(bone, BONE_PERCENT))
    vessels, soft = np.sum([_vessels(one, muscle_hu, grid) for one in slices], axis=0)
    if soft >= LEAST_VALUES:
        traits["vessel_percent"] = 100 * float(vessels) / float(soft)
    return traits


def _soft_differences(one: _Slice, muscle_hu: float) -> Floats:
    """Return second differences of soft tissue, whose SD is the noise's.

    Source: J. Immerkaer, "Fast noise variance estimation", CVIU 64 (1996) 300-302.
    """
    is_soft = one.body & (np.abs(one.smooth - muscle_hu) < SOFT_HU)
    inside = ndimage.binary_erosion(is_soft)
    return np.asarray(ndimage.convolve(one.hu, SECOND_DIFFERENCES)[inside], dtype=np.float64)


def _vessels(one: _Slice, muscle_hu: float, grid: Grid) -> tuple[int, int]:
    """Count the pixels away from bone that are as bright as vessels, and all of soft tissue.

    A vessel that is as bright as what is partly bone does not count: a blurred CT, whose bone is
    darker, would seem to have vessels otherwise.
    """
    bone = one.body & (one.smooth > muscle_hu + PARTLY_BONE_HU)
    near_bone = _widened(bone, FROM_BONE_MM, grid)
    above_muscle = one.smooth[one.body & ~near_bone] - muscle_hu
    is_bright = above_muscle > VESSEL_HU
    is_soft = above_muscle > -SOFT_HU
    return int(np.count_nonzero(is_bright)), int(np.count_nonzero(is_soft))
