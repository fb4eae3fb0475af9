"""Mask -> contours; `raster` is the way back, by the same sub-pixel convention.

The border is followed at level 0.5 between the pixels' centres, and smoothed no further than leaves
every pixel's majority where it is. So mask -> contours -> mask is the identity.

All slices are worked on at once, stacked into one tall plane, since NumPy's cost is per call.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import cast

import contourpy
import numpy as np
import numpy.typing as npt

from recontour.errors import GridMismatchError
from recontour.geometry.arrays import PIXELS_AT_ONCE, Floats, Indices, Mask, Points
from recontour.geometry.contours import Contour, Structure, StructureSet
from recontour.geometry.findings import WrongShape
from recontour.geometry.grid import Grid
from recontour.geometry.polygons import keyhole

PASSES = 4  # of smoothing
# of what blurring took from the bends: then discs from lens to neck keep their area
GIVEN_BACK = 1.2
BLUR = np.convolve([1, 2, 1], [1, 2, 1]) / 16
# weights of a point's neighbours
SMOOTH = np.pad(BLUR, 2) * (1 + GIVEN_BACK) - GIVEN_BACK * np.convolve(BLUR, BLUR)
FARTHEST_SLIDE = 0.4  # of a pixel: how far smoothing moves a point towards the centre of a pixel
# the sum of slides, by how many of the pixel's four sides have a point
SLIDES = (0.0, 0.4, 0.35, 0.25, 0.0)

Box = tuple[slice, slice, slice]
Placed = Callable[[Points], Points]  # puts points elsewhere, without turning or mirroring them
Filled = tuple[list[Points], list[npt.NDArray[np.uint32]], list[npt.NDArray[np.uint32]]]


def as_they_are(points: Points) -> Points:
    """Leave points where they are."""
    return points


def trace(mask: Mask, grid: Grid) -> tuple[Contour, ...]:
    """Outline a mask (slice, row, column), slice by slice.

    Islands are contours of their own. A part with holes is one keyhole contour: planning systems
    that do not combine contours even-odd keep the hole. `rasterise` gives the mask back.

    Raises: GridMismatchError: the mask has another shape.

    >>> grid = Grid((1, 4, 4), (1.0, 1.0), (0.0,), (0.0, 0.0))
    >>> mask = np.zeros(grid.shape, dtype=bool)
    >>> mask[0, 1:3, 1:3] = True
    >>> (contour,) = trace(mask, grid)
    >>> contour.z_mm, contour.points_mm.shape[1]
    (0.0, 2)
    """
    if mask.shape != grid.shape:
        raise GridMismatchError(WrongShape(what="mask", shape=mask.shape, expected=grid.shape))
    contours = []
    for index, polygon in outlines(mask, grid.to_mm):
        contours.append(Contour(polygon, grid.slice_z_mm[index]))
    return tuple(contours)


def traced(masks: Iterable[tuple[str, Mask]], grid: Grid) -> StructureSet:
    """Outline masks by name, one at a time, into a structure set.

    >>> grid = Grid((1, 4, 4), (1.0, 1.0), (0.0,), (0.0, 0.0))
    >>> traced([("Lens_L", np.ones(grid.shape, dtype=bool))], grid).names
    ('Lens_L',)
    """
    structures = []
    for name, mask in masks:
        structures.append(Structure(name, trace(mask, grid)))
    return StructureSet(tuple(structures))


def outlines(mask: Mask, placed: Placed = as_they_are) -> Iterator[tuple[int, Points]]:
    """Yield the parts of a mask as (slice, polygon), holes joined by keyholes; see `rings`."""
    for index, (outer, *holes) in rings(mask, placed):
        yield index, keyhole(outer, holes)


def rings(mask: Mask, placed: Placed = as_they_are) -> Iterator[tuple[int, list[Points]]]:
    """Yield the parts of a mask as (slice, rings): the outer one, then its holes.

    mask: (slice, row, column). Each ring is (n, 2) as column and row, unless `placed` puts it
    elsewhere.
    """
    box = box_of(mask)
    if box is None:
        return
    window = mask[box]
    corner = (box[0].start, box[1].start, box[2].start)
    slices_at_once = max(PIXELS_AT_ONCE // window[0].size, 1)
    for start in range(0, len(window), slices_at_once):
        first_slice, first_row, first_column = corner
        chunk = window[start : start + slices_at_once]
        yield from _rings_of(chunk, (first_slice + start, first_row, first_column), placed)


def box_of(mask: Mask) -> Box | None:
    """Return where a mask (slice, row, column) lies; None if it is empty.

    It is found from the mask's projection on one slice: a pass over a whole CT is slow.
    """
    shadow = np.logical_or.reduce(mask, axis=0)
    rows = _span(np.logical_or.reduce(shadow, axis=1))
    columns = _span(np.logical_or.reduce(shadow, axis=0))
    if rows is None or columns is None:
        return None
    slices = _span(np.logical_or.reduce(mask[:, rows, columns], axis=(1, 2)))
    return None if slices is None else (slices, rows, columns)


def _span(line: Mask) -> slice | None:
    """Return the stretch from the first True to the last."""
    where = np.flatnonzero(line)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else None


def _rings_of(
    mask: Mask,
    corner: tuple[int, int, int],
    placed: Placed,
) -> Iterator[tuple[int, list[Points]]]:
    """Yield the parts of a mask as `rings` does. corner: where the mask begins."""
    first_slice, first_row, first_column = corner
    # nothing may lie on the border, and the number of columns must be even
    padded = np.pad(mask, ((0, 0), (1, 1), (1, 1 + mask.shape[2] % 2)))
    _, rows, columns = padded.shape
    slices = np.flatnonzero(padded.reshape(len(padded), -1).any(axis=1))
    if not len(slices):
        return
    points, starts, parts = _smooth_rings(padded[slices].reshape(-1, columns))
    plane = points[starts[:-1], 1].astype(np.intp) // rows  # of each ring
    points[:, 1] -= np.repeat(plane * rows, np.diff(starts))
    points = placed(points + np.array([first_column - 1, first_row - 1]))
    for first, last in pairwise(parts):
        part = [points[starts[ring] : starts[ring + 1]] for ring in range(first, last)]
        yield first_slice + int(slices[plane[first]]), part


def _smooth_rings(plane: Mask) -> tuple[Points, Indices, list[int]]:
    """Return the smooth rings of a plane, a part's outer ring first, its holes after it.

    plane: of an even number of columns, nothing on its border.
    Returns: points, (n, 2) as column and row; the point each ring starts at; the ring each part
        starts at. Either list ends with the end.
    """
    # stands for x and for y, so that nothing has to be made for them
    number = _numbers(plane.size).reshape(plane.shape)
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
    half_way = np.delete(points[:, 0], closing)
    return _smoothed(half_way, starts, plane), starts, parts.tolist()


def _numbers(count: int) -> Floats:
    """Return the numbers from 0 on; the usual ranges are made only once."""
    if count <= 2 * PIXELS_AT_ONCE:
        return _first_numbers()[:count]
    return np.arange(count, dtype=np.float64)


@cache
def _first_numbers() -> Floats:
    return np.arange(2 * PIXELS_AT_ONCE, dtype=np.float64)  # padding adds to the pixels of a window


def _smoothed(half_way: Floats, starts: Indices, plane: Mask) -> Points:
    """Slide points half way between a pixel inside and one outside along that way.

    half_way: the mean of both pixels' numbers, which count row by row. starts: of each ring. A
    point never passes a centre, and the points around one pixel take no more from it, or give no
    more to it, than leaves its majority where it is.
    """
    width = plane.shape[1]
    low = half_way.astype(np.intp)
    is_across = half_way > low  # between columns, not rows, since the number of columns is even
    low -= np.where(is_across, 0, width // 2)
    high = low + np.where(is_across, 1, width)
    is_low_inside = plane.ravel()[low]
    inner = _renumbered(np.where(is_low_inside, low, high), plane.size)
    outer = _renumbered(np.where(is_low_inside, high, low), plane.size)
    row, column = np.divmod(low, width)
    middle = np.array([column + 0.5 * is_across, row + 0.5 * ~is_across])
    outwards = np.array([is_across, ~is_across]) * np.where(is_low_inside, 1.0, -1.0)
    slide = _slides(middle, outwards, inner, outer, starts)
    return np.ascontiguousarray((middle + slide * outwards).T)


def _slides(
    middle: Floats,
    outwards: Floats,
    inner: Indices,
    outer: Indices,
    starts: Indices,
) -> Floats:
    """Return how far each point slides outwards.

    middle, outwards: (2, n), where points start and which way is out. inner, outer: the pixels on
    either side, numbered from 0.
    """
    around, inside = _with_halo(starts, len(SMOOTH) // 2)

    def smooth(line: Floats) -> Floats:
        smoothed: Floats = np.convolve(line.take(around), SMOOTH, mode="same").take(inside)
        return smoothed

    inner_may = np.asarray(SLIDES)[np.bincount(inner)[inner]]
    outer_may = np.asarray(SLIDES)[np.bincount(outer)[outer]]
    pull = np.zeros(len(inner))
    for at, out in zip(middle, outwards, strict=True):
        pull = pull + (smooth(at) - at) * out
    slide = np.zeros(len(inner))
    for _ in range(PASSES):
        back = np.zeros(len(inner))
        for out in outwards:
            back = back + smooth(slide * out) * out
        slide = (pull + back).clip(-FARTHEST_SLIDE, FARTHEST_SLIDE)
        taken = np.bincount(inner, np.maximum(-slide, 0))[inner]
        given = np.bincount(outer, np.maximum(slide, 0))[outer]
        is_inwards = slide < 0
        may = np.where(is_inwards, inner_may, outer_may)
        moved = np.where(is_inwards, taken, given)
        slide *= may / np.maximum(moved, np.maximum(may, 1e-9))
    return slide


def _with_halo(starts: Indices, reach: int) -> tuple[Indices, Indices]:
    """Lead each ring in by its last and out by its first points.

    Returns: which point stands at each place, and at which place each point stands.
    """
    sizes = np.diff(starts)
    padded_sizes = sizes + 2 * reach
    begins = np.cumsum(padded_sizes) - padded_sizes  # of each ring with its halo
    places = np.arange(padded_sizes.sum())
    step = places - np.repeat(begins, padded_sizes) - reach  # from the ring's first point
    within = step % np.repeat(sizes, padded_sizes)
    around = within + np.repeat(starts[:-1], padded_sizes)
    halos_before = (np.arange(len(sizes)) * 2 + 1) * reach
    inside = np.arange(starts[-1]) + np.repeat(halos_before, sizes)
    return around, inside


def _renumbered(pixel: Indices, most: int) -> Indices:
    """Return pixels' numbers, all below `most`, as numbers below their count.

    Arrays that are indexed by them then stay small.
    """
    number = np.empty(most, dtype=np.intp)
    number[pixel] = np.arange(len(pixel))
    return number[pixel]
