"""Contours -> mask and mask -> contours: one sub-pixel convention, each the inverse of the other.

A pixel belongs to a structure when more than half of its area lies inside the contours (even-odd over all contours of
the plane); where exactly half does, its centre decides. Coverage is exact along rows and sampled on SUBLINES lines
across them. The way back follows the pixels' midlines at level 0.5, so mask -> contours -> mask is the identity.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import contourpy
import numpy as np
import numpy.typing as npt

from recontour.errors import DicomError, GridMismatchError
from recontour.geometry.contours import Contour
from recontour.geometry.grid import Grid

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

SUBLINES = 8  # even: then the half-pixel diamonds that `trace` draws are measured without error
SAME_PLANE_MM = 0.05  # contours closer than this in z were drawn in one plane
MOST_CROSSINGS = 10_000_000  # of outlines and lines in one plane; a checkerboard of 1024 x 1024 pixels has 8.4 million
TIE = 1e-6  # coverage this close to a half counts as exactly half


def rasterise(contours: Iterable[Contour], grid: Grid) -> Mask:
    """Fill contours on a grid.

    A contour belongs to the slice whose plane lies within half the local spacing of it; where contours of several
    planes would fall on one slice, those of the nearest plane count. What lies outside the grid is cut off.

    Returns: bool (slice, row, column).
    Raises: DicomError: contours that run to and fro more often than any outline does.
    """
    mask = np.zeros(grid.shape, dtype=bool)
    for index, polygons in _by_slice(contours, grid).items():
        fill_polygons(mask[index], polygons)
    return mask


def fill_polygons(plane: Mask, polygons: Sequence[Points]) -> None:
    """Set the pixels of a plane (row, column) that polygons, (n, 2) as column and row, cover; even-odd."""
    corners = np.concatenate(polygons)
    first_row, first_col = np.maximum(np.floor(corners.min(axis=0)[::-1] + 0.5).astype(int), 0)
    last_row, last_col = np.minimum(np.ceil(corners.max(axis=0)[::-1] + 0.5).astype(int) + 1, plane.shape)
    if last_row <= first_row or last_col <= first_col:
        return
    window = (slice(first_row, last_row), slice(first_col, last_col))
    shape = plane[window].shape
    starts = corners - (first_col, first_row)
    ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons]) - (first_col, first_row)

    covered = _coverage(starts, ends, shape)
    inside = covered > 0.5 + TIE
    if (tie := np.abs(covered - 0.5) <= TIE).any():
        inside |= tie & _holds_centre(starts, ends, shape)
    plane[window] |= inside


def trace(mask: Mask, grid: Grid) -> tuple[Contour, ...]:
    """Outline a mask (slice, row, column), slice by slice.

    Islands are contours of their own. A part with holes is one keyhole contour: planning systems that do not combine
    contours even-odd keep the hole. `rasterise` gives the mask back.
    """
    if mask.shape != grid.shape:
        raise GridMismatchError(f"a mask of shape {mask.shape} does not lie on a grid of {grid.shape}")
    return tuple(
        Contour(grid.to_mm(polygon), grid.slice_z_mm[index])
        for index in np.flatnonzero(mask.any(axis=(1, 2)))
        for polygon in outline(mask[index])
    )


def outline(plane: Mask) -> list[Points]:
    """The parts of a plane (row, column) as polygons, (n, 2) as column and row; holes are joined by keyholes."""
    rows, cols = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not len(rows):
        return []
    window = plane[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    padded = np.pad(window, 1).astype(np.float64)
    filled = contourpy.contour_generator(z=padded, fill_type="OuterOffset").filled(0.5, np.inf)
    parts, offsets = cast("tuple[list[Points], list[npt.NDArray[np.uint32]]]", filled)
    shift = np.array([cols[0] - 1, rows[0] - 1], dtype=np.float64)
    polygons = []
    for points, offset in zip(parts, offsets, strict=True):
        rings = [points[start : stop - 1] + shift for start, stop in pairwise(offset)]
        polygons.append(_keyhole(rings[0], rings[1:]))
    return polygons


def _by_slice(contours: Iterable[Contour], grid: Grid) -> dict[int, list[Points]]:
    """Polygons in pixels by slice; of several planes on one slice the nearest, of equally near ones the lower."""
    found: dict[int, list[Contour]] = {}
    for contour in contours:
        index = grid.slice_at(contour.z_mm)
        if index is not None and len(contour.points_mm) >= 3:
            found.setdefault(index, []).append(contour)
    polygons = {}
    for index, drawn in found.items():
        z_mm = grid.slice_z_mm[index]
        nearest = min((c.z_mm for c in drawn), key=lambda z: (round(abs(z - z_mm), 3), z))
        polygons[index] = [grid.to_pixels(c.points_mm) for c in drawn if abs(c.z_mm - nearest) <= SAME_PLANE_MM]
    return polygons


def _crossings(starts: Points, ends: Points, lines: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.intp], Points]:
    """Where edges cross horizontal lines (ascending): (line index, column), ordered by line and column.

    An edge owns its upper but not its lower end, so every line is crossed an even number of times.
    """
    first = np.searchsorted(lines, np.minimum(starts[:, 1], ends[:, 1]), side="left")
    last = np.searchsorted(lines, np.maximum(starts[:, 1], ends[:, 1]), side="left")
    count = last - first
    if count.sum() > MOST_CROSSINGS:
        raise DicomError(
            f"contours of one plane cross its rows {count.sum():,} times, and no organ's do; "
            "export the structure set again"
        )
    edge = np.repeat(np.arange(len(starts)), count)
    line = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x0, y0), (x1, y1) = starts[edge].T, ends[edge].T
    column = x0 + (lines[line] - y0) * ((x1 - x0) / (y1 - y0))
    order = np.lexsort((column, line))
    return line[order], column[order]


def _coverage(starts: Points, ends: Points, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The share of each pixel's area inside: exact along rows, mean of SUBLINES lines across them."""
    rows, cols = shape
    lines = (np.arange(rows * SUBLINES) + 0.5) / SUBLINES - 0.5
    line, column = _crossings(starts, ends, lines)
    sign = np.where(np.arange(len(line)) % 2 == 0, 1.0, -1.0)  # in, out, in, out along every line
    from_edge = np.clip(column + 0.5, 0, cols)
    pixel = np.minimum(from_edge.astype(np.intp), cols - 1)
    beyond = from_edge - pixel  # how far into its pixel the crossing lies
    flat = (line // SUBLINES) * (cols + 1) + pixel
    change = np.bincount(flat, sign * (1 - beyond), rows * (cols + 1))
    change += np.bincount(flat + 1, sign * beyond, rows * (cols + 1))
    return np.cumsum(change.reshape(rows, cols + 1), axis=1)[:, :cols] / SUBLINES


def _holds_centre(starts: Points, ends: Points, shape: tuple[int, int]) -> Mask:
    """Whether each pixel's centre lies inside; a centre on an edge belongs to what lies right of or below the edge."""
    rows, cols = shape
    line, column = _crossings(starts, ends, np.arange(rows, dtype=np.float64))
    first = np.clip(np.ceil(column), 0, cols).astype(np.intp)
    toggles = np.bincount(line * (cols + 1) + first, minlength=rows * (cols + 1)).reshape(rows, cols + 1)
    return np.asarray(np.cumsum(toggles, axis=1)[:, :cols] % 2 == 1)


def _keyhole(outer: Points, holes: list[Points]) -> Points:
    """Join holes to the ring around them, each by a channel of no width, walked once each way."""
    waiting = sorted(holes, key=lambda ring: float(ring[:, 0].max()), reverse=True)
    ring = outer
    for hole in waiting:  # rightmost first: a ray to the right then meets the ring before any hole not yet joined
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
