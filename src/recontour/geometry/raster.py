"""Contours -> mask and mask -> contours: one sub-pixel convention, each the inverse of the other.

A pixel belongs to a structure when at least half of its area lies inside the contours (even-odd
over all contours of the plane); where it is exactly half, unless the pixel's centre lies outside.
Coverage is exact along rows and sampled on SUBLINES lines across them. The way back follows level
0.5 between the pixels' centres, smoothed no further than leaves every pixel's majority where it is,
so mask -> contours -> mask is the identity.

All slices of a structure are worked on at once, stacked into one tall plane: NumPy's cost is by the
call.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import cast

import contourpy
import numpy as np
import numpy.typing as npt

from recontour.errors import ContoursError, GridMismatchError
from recontour.geometry.arrays import Floats, Indices, Mask, Points
from recontour.geometry.contours import Contour, Structure, StructureSet, height_mm, planes
from recontour.geometry.grid import Grid

Filled = tuple[list[Points], list[npt.NDArray[np.uint32]], list[npt.NDArray[np.uint32]]]

SUBLINES = 8  # even: then the half-pixel diamonds around lone pixels are measured without error
# of outlines and lines at a time; a checkerboard of 1024 x 1024 pixels has 8.4 million
MOST_CROSSINGS = 10_000_000
# of a pixel: so near to a half, or to an edge, counts as just there, for files round their
# coordinates
TIE = 0.005
PIXELS_AT_ONCE = 2**20  # of the tall plane
PASSES = 4  # of smoothing
GIVEN_BACK = (
    1.2  # of what blurring took from the bends: then discs from lens to neck keep their area
)
BLUR = np.convolve([1, 2, 1], [1, 2, 1]) / 16
SMOOTH = np.pad(BLUR, 2) * (1 + GIVEN_BACK) - GIVEN_BACK * np.convolve(
    BLUR, BLUR
)  # weights of a point's neighbours
FARTHEST_SLIDE = 0.4  # of a pixel: how far smoothing moves a point towards the centre of a pixel
SLIDES = (
    0.0,
    0.4,
    0.35,
    0.25,
    0.0,
)  # how far in sum, by the number of the pixel's four sides that have a point


def rasterise(contours: Iterable[Contour], grid: Grid) -> Mask:
    """Fill contours on a grid.

    A contour belongs to the slice whose plane lies within half the local spacing of it; where
    contours of several planes would fall on one slice, those of the nearest plane count. What lies
    outside the grid is cut off.

    Returns: bool (slice, row, column).
    Raises: ContoursError: contours that run to and fro more often than any outline does.
    """
    mask = np.zeros(grid.shape, dtype=bool)
    nearest = {index: on_slice[0] for index, on_slice in planes_by_slice(contours, grid).items()}
    drawn = [
        (index, [contour.points_mm for contour in nearest[index]]) for index in sorted(nearest)
    ]
    if not drawn:
        return mask
    corners = grid.to_pixels(
        np.concatenate([polygon for _, polygons in drawn for polygon in polygons])
    )
    first_row, first_col = np.maximum(np.floor(corners.min(axis=0)[::-1] + 0.5).astype(int), 0)
    last_row, last_col = np.minimum(
        np.ceil(corners.max(axis=0)[::-1] + 0.5).astype(int) + 1, grid.shape[1:]
    )
    shape = (last_row - first_row, last_col - first_col)
    if min(shape) < 1:
        return mask
    slices_at_once = max(PIXELS_AT_ONCE // (shape[0] * shape[1]), 1)
    for start in range(0, len(drawn), slices_at_once):
        slices, planes = zip(*drawn[start : start + slices_at_once], strict=True)
        filled = _fill(
            planes, shape, lambda points_mm: grid.to_pixels(points_mm) - (first_col, first_row)
        )
        mask[slices, first_row:last_row, first_col:last_col] = filled
    return mask


def planes_by_slice(contours: Iterable[Contour], grid: Grid) -> dict[int, list[list[Contour]]]:
    """Planes of contours by the slice they fall on, its nearest plane first;

    of equally near ones the lower.
    """
    found: dict[int, list[list[Contour]]] = {}
    for plane in planes(contour for contour in contours if len(contour.points_mm) >= 3):
        if (index := grid.slice_at(height_mm(plane))) is not None:
            found.setdefault(index, []).append(plane)
    for index, on_slice in found.items():
        z_mm = grid.slice_z_mm[index]
        on_slice.sort(key=lambda plane: round(abs(height_mm(plane) - z_mm), 3))
    return found


def trace(mask: Mask, grid: Grid) -> tuple[Contour, ...]:
    """Outline a mask (slice, row, column), slice by slice.

    Islands are contours of their own. A part with holes is one keyhole contour: planning systems
    that do not combine contours even-odd keep the hole. `rasterise` gives the mask back.
    """
    if mask.shape != grid.shape:
        raise GridMismatchError(
            f"a mask of shape {mask.shape} does not lie on a grid of {grid.shape}"
        )
    return tuple(
        Contour(polygon, grid.slice_z_mm[index]) for index, polygon in outlines(mask, grid.to_mm)
    )


def traced(masks: Iterable[tuple[str, Mask]], grid: Grid) -> StructureSet:
    """Masks by name as a structure set; as `trace`, one mask at a time."""
    return StructureSet(tuple(Structure(name, trace(mask, grid)) for name, mask in masks))


def outlines(
    mask: Mask, placed: Callable[[Points], Points] = lambda points: points
) -> Iterator[tuple[int, Points]]:
    """As `rings`, with each part's holes joined by keyholes: (slice, polygon)."""
    for index, (outer, *holes) in rings(mask, placed):
        yield index, _keyhole(outer, holes)


def rings(
    mask: Mask, placed: Callable[[Points], Points] = lambda points: points
) -> Iterator[tuple[int, list[Points]]]:
    """The parts of a mask as (slice, rings): the outer one, then its holes, each (n, 2) as column
    and row.

    placed: puts points elsewhere, without turning or mirroring them.
    """
    box = box_of(mask)
    if box is None:
        return
    first_slice, first_row, first_column = (of_axis.start for of_axis in box)
    window = mask[box]
    slices_at_once = max(PIXELS_AT_ONCE // window[0].size, 1)
    for start in range(0, len(window), slices_at_once):
        some = window[start : start + slices_at_once]
        padded = np.pad(some, ((0, 0), (1, 1), (1, 1 + some.shape[2] % 2)))
        slices = np.flatnonzero(padded.reshape(len(padded), -1).any(axis=1))
        if not len(slices):
            continue
        points, starts, parts = _rings(padded[slices].reshape(-1, padded.shape[2]))
        above = points[starts[:-1], 1].astype(np.intp) // padded.shape[1]
        points[:, 1] -= np.repeat(above * padded.shape[1], np.diff(starts))
        points = placed(points + np.array([first_column - 1, first_row - 1]))
        for first, last in pairwise(parts):
            part = [points[starts[ring] : starts[ring + 1]] for ring in range(first, last)]
            yield first_slice + start + int(slices[above[first]]), part


def box_of(mask: Mask) -> tuple[slice, slice, slice] | None:
    """Where a mask (slice, row, column) lies, None if it is empty.

    By its shadow on one slice, as a pass over a whole CT takes a while.
    """
    shadow = np.logical_or.reduce(mask, axis=0)
    rows, columns = (
        _span(np.logical_or.reduce(shadow, axis=1)),
        _span(np.logical_or.reduce(shadow, axis=0)),
    )
    if rows is None or columns is None:
        return None
    slices = _span(np.logical_or.reduce(mask[:, rows, columns], axis=(1, 2)))
    return None if slices is None else (slices, rows, columns)


def _span(line: npt.NDArray[np.bool_]) -> slice | None:
    """From the first True to the last."""
    found = np.flatnonzero(line)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else None


def _fill(
    planes: Sequence[Sequence[Points]], shape: tuple[int, int], placed: Callable[[Points], Points]
) -> Mask:
    """Planes of polygons, filled even-odd:

    bool (plane, row, column). placed: gives columns and rows.
    """
    polygons = [polygon for plane in planes for polygon in plane]
    points = [sum(len(polygon) for polygon in plane) for plane in planes]
    starts = placed(np.concatenate(polygons))
    last = np.cumsum([len(polygon) for polygon in polygons]) - 1
    ends = np.roll(starts, -1, axis=0)
    ends[last] = starts[[0, *(last[:-1] + 1)]]
    edges = (starts, ends, np.repeat(np.arange(len(planes)), points))
    tall = (len(planes) * shape[0], shape[1])
    covered = _coverage(edges, shape[0], tall)
    inside = covered > 0.5 + TIE
    if (tie := np.abs(covered - 0.5) <= TIE).any():
        inside |= tie & _holds_centre(edges, shape[0], tall)
    return inside.reshape(len(planes), *shape)


Edges = tuple[Points, Points, Indices]  # where they start, where they end, in which plane they lie


def _crossings(edges: Edges, lines: Points, cols: int) -> tuple[Indices, Points]:
    """Where edges cross horizontal lines, the same ascending ones in every plane: (line, column),
    in that order.

    Lines are numbered on from plane to plane; columns beyond the plane are moved to its border. An
    edge owns its upper but not its lower end, so every line is crossed an even number of times.
    """
    starts, ends, plane = edges
    first = np.searchsorted(lines, np.minimum(starts[:, 1], ends[:, 1]), side="left")
    last = np.searchsorted(lines, np.maximum(starts[:, 1], ends[:, 1]), side="left")
    count = last - first
    if count.sum() > MOST_CROSSINGS:
        raise ContoursError(
            f"contours of one slice or a few cross its rows {count.sum():,} times, and no organ's do; "
            "export the structure set again"
        )
    edge = np.repeat(np.arange(len(starts)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x, y), (right, down) = starts.T, (ends - starts).T
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = right / down
    column = x[edge] + (lines[line] - y[edge]) * slope[edge]
    span = (
        cols + 2.0
    )  # line and column as one number: sorting those is many times faster than by two keys
    both = np.sort((line + plane[edge] * len(lines)) * span + np.clip(column + 0.5, 0, cols) + 0.5)
    line = (both / span).astype(np.intp)
    return line, both - line * span - 1


def _coverage(edges: Edges, rows: int, tall: tuple[int, int]) -> Points:
    """The share of each pixel's area inside:

    exact along rows, mean of SUBLINES lines across them.
    """
    cols = tall[1]
    line, column = _crossings(edges, (np.arange(rows * SUBLINES) + 0.5) / SUBLINES - 0.5, cols)
    sign = np.where(np.arange(len(line)) % 2 == 0, 1.0, -1.0)  # in, out, in, out along every line
    from_edge = column + 0.5
    pixel = np.minimum(from_edge.astype(np.intp), cols - 1)
    beyond = sign * (from_edge - pixel)  # how far into its pixel the crossing lies
    flat = (line // SUBLINES) * (cols + 1) + pixel
    change = np.bincount(flat, sign - beyond, tall[0] * (cols + 1))
    change += np.bincount(flat + 1, beyond, tall[0] * (cols + 1))
    return np.cumsum(change.reshape(-1, cols + 1), axis=1)[:, :cols] / SUBLINES


def _holds_centre(edges: Edges, rows: int, tall: tuple[int, int]) -> Mask:
    """Whether each pixel's centre lies inside or on an edge."""
    cols = tall[1]
    held = np.zeros(tall, dtype=bool)
    for nudge in (
        -TIE,
        TIE,
    ):  # just above and just below the centres, for edges that run along the row
        line, column = _crossings(edges, np.arange(rows, dtype=np.float64) + nudge, cols)
        goes_in = np.arange(len(line)) % 2 == 0
        first = np.where(goes_in, np.ceil(column - TIE), np.floor(column + TIE) + 1).astype(np.intp)
        flat = line * (cols + 1) + np.clip(first, 0, cols)
        change = np.bincount(flat, np.where(goes_in, 1, -1), tall[0] * (cols + 1)).reshape(
            -1, cols + 1
        )
        held |= np.cumsum(change, axis=1)[:, :cols] > 0.5
    return held


def _rings(plane: Mask) -> tuple[Points, Indices, list[int]]:
    """Smooth rings: points, (n, 2) as column and row; the point each ring starts at; the ring each
    part starts at.

    A part's outer ring comes first, its holes follow; either list ends with the end. plane: of an
    even number of columns, nothing on its border.
    """
    number = _numbers(plane.size).reshape(
        plane.shape
    )  # stands for x and for y: so nothing has to be made for them
    generator = contourpy.SerialContourGenerator(
        number,
        number,
        plane.astype(np.float64),
        None,  # type: ignore[arg-type]  # no mask, which the stub leaves out
        line_type=contourpy.LineType.ChunkCombinedOffset,
        fill_type=contourpy.FillType.ChunkCombinedOffsetOffset,
        x_chunk_size=0,
        y_chunk_size=0,
        corner_mask=True,
        quad_as_tri=False,
        z_interp=contourpy.ZInterp.Linear,
    )
    (points,), (offsets,), (parts,) = cast("Filled", generator.filled(0.5, np.inf))
    closing = offsets[1:].astype(np.intp) - 1  # the first point of each ring again
    starts = offsets.astype(np.intp) - np.arange(len(offsets))
    return _smoothed(np.delete(points[:, 0], closing), starts, plane), starts, parts.tolist()


def _numbers(count: int) -> Floats:
    """The numbers from 0 on; those that are mostly asked for are made once."""
    return (
        _first_numbers()[:count]
        if count <= 2 * PIXELS_AT_ONCE
        else np.arange(count, dtype=np.float64)
    )


@cache
def _first_numbers() -> Floats:
    return np.arange(2 * PIXELS_AT_ONCE, dtype=np.float64)  # padding adds to the pixels of a window


def _smoothed(half_way: Floats, starts: Indices, plane: Mask) -> Points:
    """Rings of points half way between a pixel inside and one outside, each point slid along that
    way to smooth them.

    half_way: the mean of both pixels' numbers, which count row by row. A point never passes a
        centre, and the points around one pixel take no more from it, or give no more to it, than
        leaves its majority where it is.
    """
    width = plane.shape[1]
    low = half_way.astype(np.intp)
    across = half_way > low  # columns, and not rows, for their number is even
    low -= np.where(across, 0, width // 2)
    high = low + np.where(across, 1, width)
    low_is_in = plane.ravel()[low]
    inner, outer = (
        _renumbered(np.where(low_is_in, *ends), plane.size) for ends in ((low, high), (high, low))
    )
    inner_may, outer_may = (
        np.asarray(SLIDES)[np.bincount(pixel)[pixel]] for pixel in (inner, outer)
    )
    row, column = np.divmod(low, width)
    middle = np.array([column + 0.5 * across, row + 0.5 * ~across])
    outwards = np.array([across, ~across]) * np.where(low_is_in, 1.0, -1.0)
    around, inside = _with_halo(starts, len(SMOOTH) // 2)

    def smooth(line: Floats) -> Floats:
        return np.convolve(line.take(around), SMOOTH, mode="same").take(inside)

    pull = sum((smooth(at) - at) * out for at, out in zip(middle, outwards, strict=True))
    slide = np.zeros(len(low))
    for _ in range(PASSES):
        slide = pull + sum(smooth(slide * out) * out for out in outwards)
        slide = slide.clip(-FARTHEST_SLIDE, FARTHEST_SLIDE)
        taken = np.bincount(inner, np.maximum(-slide, 0))[inner]
        given = np.bincount(outer, np.maximum(slide, 0))[outer]
        may, moved = np.where(slide < 0, (inner_may, taken), (outer_may, given))
        slide *= may / np.maximum(moved, np.maximum(may, 1e-9))
    return np.ascontiguousarray((middle + slide * outwards).T)


def _with_halo(starts: Indices, reach: int) -> tuple[Indices, Indices]:
    """The points of rings one after another, each ring led in by its last and out by its first
    points.

    Returns: which point stands at each place, and at which place each point stands.
    """
    sizes = np.diff(starts)
    begins = np.arange(len(sizes)) * (2 * reach) + starts[:-1]  # of each ring with its halo
    step = (
        np.arange(starts[-1] + 2 * reach * len(sizes))
        - np.repeat(begins, sizes + 2 * reach)
        - reach
    )
    around = step % np.repeat(sizes, sizes + 2 * reach) + np.repeat(starts[:-1], sizes + 2 * reach)
    return around, np.arange(starts[-1]) + np.repeat((np.arange(len(sizes)) * 2 + 1) * reach, sizes)


def _renumbered(pixel: Indices, most: int) -> Indices:
    """Pixels' numbers, all below `most`, as numbers below their count:

    what is counted by them then stays small.
    """
    number = np.empty(most, dtype=np.intp)
    number[pixel] = np.arange(len(pixel))
    return number[pixel]


def _keyhole(outer: Points, holes: list[Points]) -> Points:
    """Join holes to the ring around them, each by a channel of no width, walked once each way."""
    waiting = sorted(holes, key=lambda ring: float(ring[:, 0].max()), reverse=True)
    ring = outer
    for hole in (
        waiting
    ):  # rightmost first: a ray to the right then meets the ring before any hole not yet joined
        start = int(hole[:, 0].argmax())
        at = hole[start]
        here, there = ring, np.roll(ring, -1, axis=0)
        low, high = np.minimum(here[:, 1], there[:, 1]), np.maximum(here[:, 1], there[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            along = np.where(high > low, (at[1] - here[:, 1]) / (there[:, 1] - here[:, 1]), 0.0)
        column = here[:, 0] + along * (there[:, 0] - here[:, 0])
        hit = (low <= at[1]) & (at[1] <= high) & (column >= at[0])
        edge = int(np.where(hit, column, np.inf).argmin())
        door = np.array([column[edge], at[1]])
        around = np.concatenate([hole[start:], hole[: start + 1]])
        ring = np.concatenate([ring[: edge + 1], door[None], around, door[None], ring[edge + 1 :]])
    return ring
