"""Outlines in one plane: which are copies of each other, and which cross."""

from collections.abc import Iterator, Sequence

import numpy as np

from recontour.geometry.arrays import Points
from recontour.geometry.contours import Contour

ROUNDED_MM = 0.006  # a coordinate rounded to 0.01 mm lies nearer to what it was
MOST_COMPARED = 1_000_000  # pairs of contours of one plane, and pairs of edges of two contours


def without_copies(plane: list[Contour]) -> list[Contour]:
    """The contours of one plane without copies of one before, which may be rounded, turned round or
    closed by hand.
    """
    if len(plane) < 2:
        return plane
    distinct = {
        np.sort(contour.points_mm @ (1, 1j)).tobytes(): contour for contour in reversed(plane)
    }
    kept = list(distinct.values())[::-1]
    outlines = [contour.points_mm for contour in kept]
    copies = {b for a, b in _near(outlines) if _alike(outlines[a], outlines[b])}
    return [contour for index, contour in enumerate(kept) if index not in copies]


def _alike(a: Points, b: Points) -> bool:
    """Whether two outlines, (n, 2) each, have the same points and area but for rounding;

    of very many points, some.
    """
    ends_a, ends_b = (np.array([one.min(axis=0), one.max(axis=0)]) for one in (a, b))
    room = ROUNDED_MM * np.abs(_edges(a)).sum()
    if np.abs(ends_a - ends_b).max() > ROUNDED_MM or abs(_area(a) - _area(b)) > room:
        return False
    step = len(a) * len(b) // MOST_COMPARED + 1
    return all(
        (np.abs(these[::step, None] - those).max(axis=2).min(axis=1) <= ROUNDED_MM).all()
        for these, those in ((a, b), (b, a))
    )


def _edges(outline: Points) -> Points:
    return np.roll(outline, -1, axis=0) - outline


def _area(outline: Points) -> float:
    return abs(float(_turn(outline - outline[0], _edges(outline)).sum())) / 2


def _turn(first: Points, second: Points) -> Points:
    found: Points = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return found


def some_cross(outlines: Sequence[Points]) -> bool:
    return any(_cross(outlines[a], outlines[b]) for a, b in _near(outlines))


def _near(outlines: Sequence[Points]) -> Iterator[tuple[int, int]]:
    """The pairs of outlines whose boxes overlap, unless there are too many to compare."""
    if len(outlines) < 2 or len(outlines) ** 2 > MOST_COMPARED:
        return
    low = np.array([points.min(axis=0) for points in outlines])
    high = np.array([points.max(axis=0) for points in outlines])
    reaches = (low[:, None] < high).all(axis=2)
    yield from map(tuple, np.argwhere(np.triu(reaches & reaches.T, 1)).tolist())


def _cross(a: Points, b: Points) -> bool:
    """Whether two outlines, (n, 2) each, overlap and neither holds the other; to touch is not to
    cross.

    False where they have too many points to compare.
    """
    if len(a) * len(b) > MOST_COMPARED:
        return False
    along_a, along_b = _edges(a), _edges(b)
    between = b - a[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        parallel = _turn(along_a[:, None], along_b)
        on_a, on_b = _turn(between, along_b) / parallel, _turn(between, along_a[:, None]) / parallel
    passes = ((on_a > 0) & (on_a < 1) & (on_b > 0) & (on_b < 1)).any()
    return bool(passes) or _runs_in_and_out(a, b) or _runs_in_and_out(b, a)


def _runs_in_and_out(a: Points, b: Points) -> bool:
    """Whether of an outline's corners and its edges' middles some lie within another and some
    without, none on it.

    Along pixels' edges two outlines cross at corners, or run together for a while, and no edge
    passes through another.
    """
    probes, along = np.concatenate([a, a + _edges(a) / 2]), _edges(b)
    x, y = (probes[:, None, axis] - b[:, axis] for axis in (0, 1))
    spans = (y > 0) != (y > along[:, 1])
    probe, edge = np.nonzero(spans)
    right, up = along[edge].T
    is_left = (right * y[spans] > up * x[spans]) == (up > 0)
    is_in = np.bincount(probe, is_left, len(probes)) % 2 == 1
    if is_in.all() or not is_in.any():
        return False
    share = (x * along[:, 0] + y * along[:, 1]) / np.maximum((along**2).sum(axis=1), 1e-12)
    offset = np.stack([x, y], axis=2) - share.clip(0, 1)[..., None] * along
    is_off = (np.abs(offset) > ROUNDED_MM).any(axis=2).all(axis=1)
    return bool((is_in & is_off).any() and (~is_in & is_off).any())
