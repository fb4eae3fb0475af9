"""Outlines in one plane: which of them are copies, which cross, and holes joined to their rings.

An outline is (n, 2) points in mm; the last joins the first. Why shapely finds crossings and not
copies: docs/decisions/038-polygons-and-seg.md.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from shapely import Polygon

from recontour.geometry.arrays import Points
from recontour.geometry.contours import Contour

ROUNDED_MM = 0.006  # a coordinate rounded to 0.01 mm lies nearer to what it was
MOST_COMPARISONS = 1_000_000  # of the contours of one plane, and of the points of two contours


def without_copies(plane: Sequence[Contour]) -> list[Contour]:
    """Return the contours of one plane without copies of an earlier one.

    A copy may be rounded to 0.01 mm, start elsewhere, run the other way round, or have its first
    point again at the end.
    """
    if len(plane) < 2:
        return list(plane)
    first_of: dict[bytes, Contour] = {}
    for contour in plane:
        points = np.sort(contour.points_mm @ (1, 1j))  # as complex numbers, in any order
        first_of.setdefault(points.tobytes(), contour)
    distinct = list(first_of.values())
    outlines = [contour.points_mm for contour in distinct]
    copies = set()
    for first, second in _near(outlines):
        if _are_alike(outlines[first], outlines[second]):
            copies.add(second)
    return [contour for index, contour in enumerate(distinct) if index not in copies]


def some_cross(outlines: Sequence[Points]) -> bool:
    """Return whether any two outlines cross: they overlap, and neither holds the other.

    Outlines that only touch do not cross.

    >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    >>> some_cross([square, square + 1]), some_cross([square, square + 2])
    (True, False)
    """
    areas = list(map(Polygon, outlines))
    return any(areas[first].overlaps(areas[second]) for first, second in _near(outlines))


def _near(outlines: Sequence[Points]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of outlines whose boxes overlap, unless there are too many to compare."""
    if len(outlines) < 2 or len(outlines) ** 2 > MOST_COMPARISONS:
        return
    low = np.array([points.min(axis=0) for points in outlines])
    high = np.array([points.max(axis=0) for points in outlines])
    reaches = (low[:, None] < high).all(axis=2)
    pairs = np.argwhere(np.triu(reaches & reaches.T, 1))
    yield from map(tuple, pairs.tolist())


def _are_alike(one: Points, other: Points) -> bool:
    """Return whether two outlines have the same points and the same area, but for rounding.

    If there are very many points, only some are compared.
    """
    if np.abs(_box(one) - _box(other)).max() > ROUNDED_MM:
        return False
    perimeter_mm = np.abs(_edges(one)).sum()
    if abs(_area(one) - _area(other)) > ROUNDED_MM * perimeter_mm:
        return False
    step = len(one) * len(other) // MOST_COMPARISONS + 1
    return _are_among(one[::step], other) and _are_among(other[::step], one)


def _are_among(some: Points, points: Points) -> bool:
    """Return whether each of some points is one of the others, but for rounding."""
    apart_mm = np.abs(some[:, None] - points).max(axis=2)
    return bool((apart_mm.min(axis=1) <= ROUNDED_MM).all())


def _box(outline: Points) -> Points:
    return np.array([outline.min(axis=0), outline.max(axis=0)])


def _edges(outline: Points) -> Points:
    """Return each point's way to the next."""
    return np.roll(outline, -1, axis=0) - outline


def _area(outline: Points) -> float:
    (x, y), (right, down) = (outline - outline[0]).T, _edges(outline).T
    return abs(float((x * down - y * right).sum())) / 2


def keyhole(outer: Points, holes: Sequence[Points]) -> Points:
    """Join holes to the ring around them, each by a channel of no width, walked once each way.

    outer, holes: (n, 2) each, as column and row. Returns: one polygon.
    """
    ring = outer
    # rightmost first: a ray to the right then meets the ring before any hole not yet joined
    for hole in sorted(holes, key=_rightmost, reverse=True):
        start = int(hole[:, 0].argmax())
        edge, door = _door(hole[start], ring)
        around = np.concatenate([hole[start:], hole[: start + 1]])
        before, after = ring[: edge + 1], ring[edge + 1 :]
        ring = np.concatenate([before, door[None], around, door[None], after])
    return ring


def _rightmost(ring: Points) -> float:
    return float(ring[:, 0].max())


def _door(point: Points, ring: Points) -> tuple[int, Points]:
    """Return the edge of a ring that a ray from a point to the right meets first, and where."""
    column, row = point
    following = np.roll(ring, -1, axis=0)
    (x, y), (next_x, next_y) = ring.T, following.T
    low, high = np.minimum(y, next_y), np.maximum(y, next_y)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(high > low, (row - y) / (next_y - y), 0.0)
    met = x + share * (next_x - x)
    is_met = (low <= row) & (row <= high) & (met >= column)
    edge = int(np.where(is_met, met, np.inf).argmin())
    return edge, np.array([met[edge], row])
