"""What a stroke does to the contours of one organ: pure functions on rings in mm.

Each returns the slices that it changes, with all their rings afterwards, none if nothing is left.
A stroke touches nothing outside itself: other points stay as they are, to the last digit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import shapely
from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter
from pydantic.dataclasses import dataclass
from scipy.ndimage import distance_transform_edt
from shapely.geometry.base import BaseGeometry

from recontour.geometry import Contour, Grid, rasterise, tracing
from recontour.geometry.arrays import Floats, Mask
from recontour.service.review.planes import (
    DIGITS,
    Ring,
    Rings,
    Slices,
    area_of,
    filled,
    rings_of,
)

FARTHEST_MM = 10_000.0  # no point of a patient lies further from the origin
LARGEST_MM = 200.0  # a brush's radius
MOST_POINTS = 20_000  # of a stroke
MOST_REACH = 50  # slices
QUARTER = 16  # edges of a quarter of a brush's circle
# Of a brush's path: a mouse says where it is far more often than matters.
PATH_PIXELS = 0.05

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Mm = Annotated[float, Field(ge=-FARTHEST_MM, le=FARTHEST_MM)]
Point = tuple[Mm, Mm]
Index = Annotated[int, Strict(), Field(ge=0, le=100_000)]


# What the page asks


@dataclass(frozen=True, config=_STRICT)
class Brush:
    """A disc along a path; on neighbouring slices, what a ball along it cuts from them."""

    kind: Literal["brush"]
    add: bool
    slice: Index
    path_mm: Annotated[tuple[Point, ...], Field(min_length=1, max_length=MOST_POINTS)]
    radius_mm: Annotated[float, Field(gt=0, le=LARGEST_MM)]
    reach: Annotated[int, Strict(), Field(ge=0, le=MOST_REACH)] = 0


@dataclass(frozen=True, config=_STRICT)
class Outline:
    """Everything that a line goes around."""

    kind: Literal["polygon"]
    add: bool
    slice: Index
    points_mm: Annotated[tuple[Point, ...], Field(min_length=3, max_length=MOST_POINTS)]


@dataclass(frozen=True, config=_STRICT)
class Nudge:
    """Move the contours of a slice, or of all."""

    kind: Literal["nudge"]
    slice: Index | None
    by_mm: Point


@dataclass(frozen=True, config=_STRICT)
class Interpolate:
    """Fill the slices between two that are drawn."""

    kind: Literal["interpolate"]
    first: Index
    last: Index


@dataclass(frozen=True, config=_STRICT)
class Delete:
    """Delete the contours of a slice, or also of all above, or below it."""

    kind: Literal["delete"]
    slice: Index
    where: Literal["here", "above", "below"]


def _each_once(slices: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if slices is None else tuple(sorted(set(slices)))


@dataclass(frozen=True, config=_STRICT)
class Copy:
    """Take the contours of another layer, on some slices or on all."""

    kind: Literal["copy"]
    layer: Annotated[str, Field(max_length=40)]
    slices: Annotated[
        tuple[Index, ...] | None, Field(max_length=100_000), AfterValidator(_each_once)
    ] = None


Operation = Brush | Outline | Nudge | Interpolate | Delete | Copy
operations: TypeAdapter[Operation] = TypeAdapter(Annotated[Operation, Field(discriminator="kind")])


# What becomes of it


def changed(
    operation: Operation,
    slices: Slices,
    grid: Grid,
    other: Slices | None = None,
) -> dict[int, Rings]:
    """Return the slices that an operation changes, with their rings afterwards.

    other: the layer that is copied.

    >>> grid = Grid((3, 9, 9), (1.0, 1.0), (0.0, 3.0, 6.0), (0.0, 0.0))
    >>> square = [[[2.0, 0.0], [0.0, 0.0], [0.0, 2.0], [2.0, 2.0]]]
    >>> changed(Delete("delete", 1, "above"), {0: square, 2: square}, grid)
    {2: []}
    >>> changed(Nudge("nudge", 0, (0.5, 0.0)), {0: square, 2: square}, grid)
    {0: [[[2.5, 0.0], [0.5, 0.0], [0.5, 2.0], [2.5, 2.0]]]}
    """
    match operation:
        case Brush():
            after = _brushed(operation, slices, grid)
        case Outline():
            area = filled([list(point) for point in operation.points_mm])
            after = _drawn({operation.slice: area}, operation.add, slices, grid)
        case Nudge():
            after = _nudged(operation, slices)
        case Interpolate():
            after = between(slices, operation.first, operation.last, grid)
        case Delete():
            after = {index: [] for index in slices if _is_deleted(index, operation)}
        case Copy():
            wanted = range(grid.shape[0]) if operation.slices is None else operation.slices
            source = other or {}
            after = {index: source.get(index, []) for index in wanted}
    inside = {index: rings for index, rings in after.items() if index < grid.shape[0]}
    return {index: rings for index, rings in inside.items() if rings != slices.get(index, [])}


def _is_deleted(index: int, delete: Delete) -> bool:
    if delete.where == "above":
        return index >= delete.slice
    if delete.where == "below":
        return index <= delete.slice
    return index == delete.slice


def _brushed(brush: Brush, slices: Slices, grid: Grid) -> dict[int, Rings]:
    if brush.slice >= grid.shape[0]:
        return {}
    strokes = {}
    for index, radius_mm in _discs(brush, grid):
        strokes[index] = stroke(brush.path_mm, radius_mm, grid)
    return _drawn(strokes, brush.add, slices, grid)


def _discs(brush: Brush, grid: Grid) -> Iterator[tuple[int, float]]:
    """Yield the slices that a ball reaches, and the radius of the disc it cuts from each."""
    first = max(brush.slice - brush.reach, 0)
    last = min(brush.slice + brush.reach, grid.shape[0] - 1)
    for index in range(first, last + 1):
        away_mm = grid.slice_z_mm[index] - grid.slice_z_mm[brush.slice]
        if abs(away_mm) < brush.radius_mm:
            yield index, float(np.sqrt(brush.radius_mm**2 - away_mm**2))


def stroke(
    path_mm: tuple[Point, ...],
    radius_mm: float,
    grid: Grid,
) -> BaseGeometry:
    """Return the area that a disc passes over.

    >>> grid = Grid((1, 9, 9), (1.0, 1.0), (0.0,), (0.0, 0.0))
    >>> round(stroke(((0.0, 0.0), (10.0, 0.0)), 2.0, grid).area)  # 10 * 4 + pi * 4
    53
    """
    line = shapely.LineString(path_mm) if len(path_mm) > 1 else shapely.Point(path_mm[0])
    fine_mm = PATH_PIXELS * min(grid.spacing_mm)
    return line.simplify(fine_mm).buffer(radius_mm, quad_segs=QUARTER)


def _drawn(
    strokes: Mapping[int, BaseGeometry],
    add: bool,
    slices: Slices,
    grid: Grid,
) -> dict[int, Rings]:
    """Add areas to slices, or take them away."""
    after = {}
    for index, area in strokes.items():
        before = area_of(slices.get(index, []))
        both = before.union(area) if add else before.difference(area)
        is_touched = not shapely.equals(both, before)
        if is_touched:
            after[index] = rings_of(both, grid)
    return after


def _nudged(nudge: Nudge, slices: Slices) -> dict[int, Rings]:
    x_mm, y_mm = (round(step, DIGITS) for step in nudge.by_mm)
    wanted = slices if nudge.slice is None else {nudge.slice}
    after = {}
    for index in wanted:
        after[index] = [_moved(ring, x_mm, y_mm) for ring in slices.get(index, [])]
    return after


def _moved(ring: Ring, x_mm: float, y_mm: float) -> Ring:
    return [[round(x + x_mm, DIGITS), round(y + y_mm, DIGITS)] for x, y in ring]


def between(
    slices: Slices,
    first: int,
    last: int,
    grid: Grid,
) -> dict[int, Rings]:
    """Return the contours of the slices between two, half way where they lie half way.

    In between, a pixel belongs to the organ if its signed distance from the outlines of both,
    weighted by how near they are, says that it is inside.
    """
    first, last = min(first, last), max(first, last)
    if last >= grid.shape[0] or not slices.get(first) or not slices.get(last):
        return {}
    masks = np.array([mask_of(slices[index], grid) for index in (first, last)])
    window = _window_of(masks)
    if window is None:
        return {}
    below_mm, above_mm = (_inside_mm(mask[window], grid) for mask in masks)
    from_mm, to_mm = grid.slice_z_mm[first], grid.slice_z_mm[last]
    after = {}
    for index in range(first + 1, last):
        share = (grid.slice_z_mm[index] - from_mm) / (to_mm - from_mm)
        mask = np.zeros_like(masks[0])
        mask[window] = (1 - share) * below_mm + share * above_mm > 0
        after[index] = traced_rings(mask, grid)
    return after


def _window_of(masks: Mask) -> tuple[slice, slice] | None:
    """Return where both of two slices' masks lie, and a pixel around; None if one is empty.

    Distances inside that window do not depend on what lies outside it.
    """
    if not masks.any(axis=(1, 2)).all():
        return None
    rows, columns = np.nonzero(masks.any(axis=0))
    window = []
    for used in (rows, columns):
        window.append(slice(max(int(used.min()) - 1, 0), int(used.max()) + 2))
    return window[0], window[1]


def _inside_mm(mask: Mask, grid: Grid) -> Floats:
    """Return how deep each pixel lies inside a slice's mask, (row, column); below 0: outside."""
    inside_mm: Floats = distance_transform_edt(mask, sampling=grid.spacing_mm)
    outside_mm: Floats = distance_transform_edt(~mask, sampling=grid.spacing_mm)
    return inside_mm - outside_mm


def mask_of(rings: Rings, grid: Grid) -> Mask:
    """Return the pixels of a slice, (row, column), that rings enclose."""
    one_slice = replace(grid, shape=(1, *grid.shape[1:]), slice_z_mm=(0.0,))
    contours = [Contour(np.array(ring), 0.0) for ring in rings]
    mask: Mask = rasterise(contours, one_slice)[0]
    return mask


def traced_rings(mask: Mask, grid: Grid) -> Rings:
    """Return the rings of the pixels of a slice, (row, column)."""
    rings: list[Ring] = []
    for _, part in tracing.rings(mask[None], grid.to_mm):
        rings += [ring.tolist() for ring in part]
    return rings_of(area_of(rings), grid)
