"""Outlines in one plane: which of them are copies, which cross, and holes joined to their rings.

An outline is (n, 2) points in mm; the last joins the first. Why this is our own code:
docs/decisions/038-polygons-and-seg.md.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from recontour.geometry.arrays import Mask, Points
from recontour.geometry.contours import Contour

ROUNDED_MM = 0.006  # a coordinate rounded to 0.01 mm lies nearer to what it was
MOST_COMPARISONS = 1_000_000  # of the contours of one plane, and of the edges of two contours


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

    Outlines that only touch do not cross. Those with too many points to compare are not found.

    >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    >>> some_cross([square, square + 1]), some_cross([square, square + 2])
    (True, False)
    """
    return any(_cross(outlines[first], outlines[second]) for first, second in _near(outlines))


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

    Of very many points, some are compared.
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
    return abs(float(_turn(outline - outline[0], _edges(outline)).sum())) / 2


def _turn(first: Points, second: Points) -> Points:
    """Return the cross products of vectors."""
    turn: Points = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return turn


def _cross(one: Points, other: Points) -> bool:
    if len(one) * len(other) > MOST_COMPARISONS:
        return False
    if _some_edges_cross(one, other):
        return True
    return _runs_in_and_out(one, other) or _runs_in_and_out(other, one)


def _some_edges_cross(one: Points, other: Points) -> bool:
    """Return whether an edge of one outline passes through an edge of the other."""
    along_one, along_other = _edges(one)[:, None], _edges(other)
    between = other - one[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        parallel = _turn(along_one, along_other)
        on_one = _turn(between, along_other) / parallel
        on_other = _turn(between, along_one) / parallel
    passes = (on_one > 0) & (on_one < 1) & (on_other > 0) & (on_other < 1)
    return bool(passes.any())


def _runs_in_and_out(one: Points, other: Points) -> bool:
    """Return whether parts of an outline lie inside another one and parts outside.

    Its corners and the middles of its edges are looked at; those that lie on the other do not
    count. Along the edges of pixels two outlines meet at corners or run together for a while, and
    no edge passes through another.
    """
    probes, along = np.concatenate([one, one + _edges(one) / 2]), _edges(other)
    x = probes[:, None, 0] - other[:, 0]
    y = probes[:, None, 1] - other[:, 1]
    is_inside = _are_inside(x, y, along)
    if is_inside.all() or not is_inside.any():
        return False
    share = (x * along[:, 0] + y * along[:, 1]) / np.maximum((along**2).sum(axis=1), 1e-12)
    offset = np.stack([x, y], axis=2) - share.clip(0, 1)[..., None] * along
    is_off = (np.abs(offset) > ROUNDED_MM).any(axis=2).all(axis=1)
    return bool((is_inside & is_off).any() and (~is_inside & is_off).any())


def _are_inside(x: Points, y: Points, along: Points) -> Mask:
    """Return which probes lie inside an outline, even-odd.

    x, y: (probe, edge), from the edge's start to the probe. along: the edges.
    """
    spans = (y > 0) != (y > along[:, 1])
    probe, edge = np.nonzero(spans)
    right, up = along[edge].T
    is_left = (right * y[spans] > up * x[spans]) == (up > 0)
    crossings = np.bincount(probe, is_left, len(x))
    is_inside: Mask = crossings % 2 == 1
    return is_inside


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
