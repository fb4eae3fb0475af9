"""Contours -> mask; `tracing` is the way back, by the same sub-pixel convention.

A pixel belongs to a structure if at least half of its area lies inside the contours (even-odd over
all contours of the plane); if it is exactly half, unless the pixel's centre lies outside. Coverage
is exact along rows and sampled on SUBLINES lines across them.

All slices of a structure are worked on at once, stacked into one tall plane, since NumPy's cost is
per call.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from recontour.errors import ContoursError
from recontour.geometry.arrays import PIXELS_AT_ONCE, Floats, Indices, Mask, Points
from recontour.geometry.contours import Contour, height_mm, planes
from recontour.geometry.findings import EndlessContours
from recontour.geometry.grid import Grid

SUBLINES = 8  # even: then the half-pixel diamonds around lone pixels are measured without error
# of outlines and lines at a time; a checkerboard of 1024 x 1024 pixels has 8.4 million
MOST_CROSSINGS = 10_000_000
# Of a pixel. An area so close to a half, or a point so close to an edge, counts as on it: files
# round their coordinates.
TIE = 0.005

Polygons = Sequence[Points]  # of one plane


class _Window(NamedTuple):
    """The part of a slice that contours touch, each pair from first to last + 1."""

    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Return the number of rows and columns."""
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]


class _Edges(NamedTuple):
    """The edges of polygons.

    starts, ends: (n, 2) as column and row. plane: the number of the plane that each lies in.
    """

    starts: Points
    ends: Points
    plane: Indices


def rasterise(contours: Iterable[Contour], grid: Grid) -> Mask:
    """Fill contours on a grid.

    A contour belongs to the slice whose plane lies within half the local spacing of it. Where
    contours of several planes would fall on one slice, those of the nearest plane count. What lies
    outside the grid is cut off.

    Returns: bool (slice, row, column).
    Raises: ContoursError: contours that zigzag more than any outline does.

    >>> square = np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 2.5], [0.5, 2.5]])
    >>> grid = Grid((1, 4, 4), (1.0, 1.0), (0.0,), (0.0, 0.0))
    >>> int(rasterise([Contour(square, 0.0)], grid).sum())
    4
    """
    mask = np.zeros(grid.shape, dtype=bool)
    by_slice = planes_by_slice(contours, grid)
    slices = sorted(by_slice)
    if not slices:
        return mask
    drawn = []
    for index in slices:
        nearest_plane = by_slice[index][0]
        drawn.append([contour.points_mm for contour in nearest_plane])
    window = _window(drawn, grid)
    rows, columns = window.shape
    if min(rows, columns) < 1:
        return mask
    slices_at_once = max(PIXELS_AT_ONCE // (rows * columns), 1)
    for start in range(0, len(drawn), slices_at_once):
        end = start + slices_at_once
        filled = _fill(_edges(drawn[start:end], grid, window), window.shape)
        mask[slices[start:end], slice(*window.rows), slice(*window.columns)] = filled
    return mask


def planes_by_slice(contours: Iterable[Contour], grid: Grid) -> dict[int, list[list[Contour]]]:
    """Group planes of contours by the slice they fall on, its nearest plane first.

    Of equally near planes, the lower one comes first.

    >>> square = np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 2.5], [0.5, 2.5]])
    >>> grid = Grid((2, 4, 4), (1.0, 1.0), (0.0, 3.0), (0.0, 0.0))
    >>> planes = planes_by_slice([Contour(square, 0.0), Contour(square, 1.0)], grid)
    >>> {index: [plane[0].z_mm for plane in on_slice] for index, on_slice in planes.items()}
    {0: [0.0, 1.0]}
    """
    areas = [contour for contour in contours if len(contour.points_mm) >= 3]
    by_slice: dict[int, list[list[Contour]]] = {}
    for plane in planes(areas):
        index = grid.slice_at(height_mm(plane))
        if index is not None:
            by_slice.setdefault(index, []).append(plane)
    for index, on_slice in by_slice.items():
        z_mm = grid.slice_z_mm[index]
        on_slice.sort(key=lambda plane: round(abs(height_mm(plane) - z_mm), 3))
    return by_slice


def _joined(drawn: Sequence[Polygons]) -> Points:
    """Return the points of all polygons, one after another."""
    points: list[Points] = []
    for polygons in drawn:
        points += polygons
    return np.concatenate(points)


def _window(drawn: Sequence[Polygons], grid: Grid) -> _Window:
    _, rows, columns = grid.shape
    points = grid.to_pixels(_joined(drawn))
    first_column, first_row = np.floor(points.min(axis=0) + 0.5).astype(int).tolist()
    last_column, last_row = (np.ceil(points.max(axis=0) + 0.5).astype(int) + 1).tolist()
    return _Window(
        (max(first_row, 0), min(last_row, rows)), (max(first_column, 0), min(last_column, columns))
    )


def _edges(
    drawn: Sequence[Polygons],
    grid: Grid,
    window: _Window,
) -> _Edges:
    """Return the edges of polygons, in pixels from the corner of a window."""
    corner = (window.columns[0], window.rows[0])
    starts = grid.to_pixels(_joined(drawn)) - corner
    counts: list[int] = []
    plane: list[int] = []
    for number, polygons in enumerate(drawn):
        counts += map(len, polygons)
        plane += [number] * len(polygons)
    last = np.cumsum(counts) - 1
    first = last + 1 - counts
    ends = np.roll(starts, -1, axis=0)
    ends[last] = starts[first]
    return _Edges(starts, ends, np.repeat(plane, counts))


def _fill(edges: _Edges, shape: tuple[int, int]) -> Mask:
    """Fill planes of polygons even-odd: bool (plane, row, column). shape: of one plane."""
    rows, columns = shape
    planes = int(edges.plane[-1]) + 1
    tall = (planes * rows, columns)
    covered = _coverage(edges, rows, tall)
    inside = covered > 0.5 + TIE
    tie = np.abs(covered - 0.5) <= TIE
    if tie.any():
        inside |= tie & _holds_centre(edges, rows, tall)
    return inside.reshape(planes, rows, columns)


def _coverage(
    edges: _Edges,
    rows: int,
    tall: tuple[int, int],
) -> Floats:
    """Return the share of each pixel's area that lies inside.

    It is exact along rows, and the mean of SUBLINES lines across them.
    """
    columns = tall[1]
    lines = (np.arange(rows * SUBLINES) + 0.5) / SUBLINES - 0.5
    line, column = _crossings(edges, lines, columns)
    is_way_in = np.arange(len(line)) % 2 == 0  # in, out, in, out along every line
    sign = np.where(is_way_in, 1.0, -1.0)
    from_edge = column + 0.5
    pixel = np.minimum(from_edge.astype(np.intp), columns - 1)
    beyond = sign * (from_edge - pixel)  # how far into its pixel the crossing lies
    flat = (line // SUBLINES) * (columns + 1) + pixel
    size = tall[0] * (columns + 1)
    change = np.bincount(flat, sign - beyond, size)
    change += np.bincount(flat + 1, beyond, size)
    covered: Floats = np.cumsum(change.reshape(-1, columns + 1), axis=1)[:, :columns] / SUBLINES
    return covered


def _holds_centre(
    edges: _Edges,
    rows: int,
    tall: tuple[int, int],
) -> Mask:
    """Return whether each pixel's centre lies inside or on an edge."""
    columns = tall[1]
    size = tall[0] * (columns + 1)
    held = np.zeros(tall, dtype=bool)
    # just above and just below the centres, for edges that run along the row
    for nudge in (-TIE, TIE):
        lines = np.arange(rows, dtype=np.float64) + nudge
        line, column = _crossings(edges, lines, columns)
        is_way_in = np.arange(len(line)) % 2 == 0
        first = np.where(is_way_in, np.ceil(column - TIE), np.floor(column + TIE) + 1)
        flat = line * (columns + 1) + np.clip(first.astype(np.intp), 0, columns)
        change = np.bincount(flat, np.where(is_way_in, 1, -1), size)
        held |= np.cumsum(change.reshape(-1, columns + 1), axis=1)[:, :columns] > 0.5
    return held


def _crossings(
    edges: _Edges,
    lines: Floats,
    columns: int,
) -> tuple[Indices, Floats]:
    """Return where edges cross horizontal lines, in order: (line, column).

    lines: their rows, ascending and the same in every plane; they are numbered on from plane to
    plane. Columns beyond the plane are moved to its border. An edge owns its upper but not its
    lower end, so every line is crossed an even number of times.
    """
    (x, y), (end_x, end_y) = edges.starts.T, edges.ends.T
    first = np.searchsorted(lines, np.minimum(y, end_y), side="left")
    last = np.searchsorted(lines, np.maximum(y, end_y), side="left")
    counts = last - first
    crossings = int(counts.sum())
    if crossings > MOST_CROSSINGS:
        raise ContoursError(EndlessContours(crossings=crossings))
    edge = np.repeat(np.arange(len(y)), counts)
    before = np.cumsum(counts) - counts  # the crossings of the edges before each edge
    line = np.arange(crossings) - np.repeat(before, counts) + first[edge]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (end_x - x) / (end_y - y)
    column = x[edge] + (lines[line] - y[edge]) * slope[edge]
    # line and column as one number: sorting those is many times faster than sorting by two keys
    span = columns + 2.0
    numbered_line = line + edges.plane[edge] * len(lines)
    keys = numbered_line * span + np.clip(column + 0.5, 0, columns) + 0.5
    keys.sort()
    sorted_line = (keys / span).astype(np.intp)
    return sorted_line, keys - sorted_line * span - 1
