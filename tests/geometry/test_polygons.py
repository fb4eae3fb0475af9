"""Copies and crossings that tests/dicom/test_rtstruct_in.py does not reach through a file."""

import numpy as np
import pytest

from recontour.geometry import Contour, polygons
from recontour.geometry.arrays import Points
from recontour.geometry.polygons import keyhole, some_cross, without_copies

SQUARE = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]])
HOLE = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 1.0]])


def area(polygon: Points) -> float:
    """By the shoelace formula, positive if it runs round against the clock."""
    x, y = polygon.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_the_first_of_several_copies_is_kept() -> None:
    first, other = Contour(SQUARE, 0.0), Contour(HOLE, 0.0)
    copies = [Contour(SQUARE[::-1].copy(), 0.0), Contour(SQUARE + 0.004, 0.01)]
    assert without_copies([first, *copies, other]) == [first, other]
    assert without_copies([]) == []


def test_an_outline_a_rounding_further_away_is_no_copy() -> None:
    both = [Contour(SQUARE, 0.0), Contour(SQUARE + 0.02, 0.0)]
    assert without_copies(both) == both


def test_too_many_outlines_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert some_cross([SQUARE, SQUARE + 1])
    monkeypatch.setattr(polygons, "MOST_COMPARISONS", 3)
    assert not some_cross([SQUARE, SQUARE + 1])


def test_a_keyhole_has_the_area_of_the_ring_without_its_holes() -> None:
    holes = [HOLE, HOLE + 1.5]
    joined = keyhole(SQUARE, holes)
    assert area(joined) == pytest.approx(16 - 1 - 1)
    assert len(joined) == len(SQUARE) + 2 * (len(HOLE) + 1 + 2)
