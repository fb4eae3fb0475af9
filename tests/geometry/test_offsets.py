"""Offsets are those that the masks were made with."""

import numpy as np
import pytest

from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.geometry.offsets import MEASURES, SIDES, Measure, offsets

GRID = Grid((12, 40, 40), (2.0, 2.0), tuple(3.0 * index for index in range(12)), (0.0, 0.0))


def box(slices: slice, rows: slice, columns: slice) -> Mask:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[slices, rows, columns] = True
    return mask


OTHER = box(slice(3, 9), slice(10, 20), slice(10, 20))


def test_equal_masks_have_no_offset() -> None:
    found = offsets(OTHER, OTHER, GRID)

    assert set(found) == set(MEASURES)
    assert all(value == pytest.approx(0) for value in found.values())


@pytest.mark.parametrize(
    ("drawn", "side"),
    [
        (box(slice(3, 9), slice(10, 20), slice(8, 20)), "right"),
        (box(slice(3, 9), slice(10, 20), slice(10, 22)), "left"),
        (box(slice(3, 9), slice(8, 20), slice(10, 20)), "anterior"),
        (box(slice(3, 9), slice(10, 22), slice(10, 20)), "posterior"),
    ],
)
def test_two_pixels_more_on_one_side_are_four_millimetres_there(drawn: Mask, side: Measure) -> None:
    found = offsets(drawn, OTHER, GRID)

    assert found[side] == pytest.approx(4)
    for other_side in set(SIDES) - {side}:
        assert abs(found[other_side]) < 0.5


def test_a_wider_mask_is_as_much_wider_as_the_narrower_is_narrower() -> None:
    wider = box(slice(3, 9), slice(9, 21), slice(9, 21))

    out, back = offsets(wider, OTHER, GRID), offsets(OTHER, wider, GRID)

    for side in SIDES:
        assert out[side] == pytest.approx(2, abs=0.15)
        assert back[side] == pytest.approx(-2)
    assert out["volume"] == -back["volume"] > 0


def test_ends_are_measured_in_whole_slices() -> None:
    longer = box(slice(1, 10), slice(10, 20), slice(10, 20))

    found = offsets(longer, OTHER, GRID)

    assert (found["cranial"], found["caudal"]) == (3.0, 6.0)
    assert found["left"] == pytest.approx(0)


def test_an_end_at_the_scans_end_is_unknown_in_either_mask() -> None:
    cut = box(slice(3, 12), slice(10, 20), slice(10, 20))

    for found in (offsets(cut, OTHER, GRID), offsets(OTHER, cut, GRID)):
        assert "cranial" not in found
        assert "volume" not in found
        assert found["caudal"] == 0


def test_an_end_beyond_which_nothing_was_contoured_is_unknown() -> None:
    found = offsets(OTHER, OTHER, GRID, unknown_ends=["caudal"])

    assert set(found) == {*SIDES, "around", "cranial"}


def test_masks_without_a_common_slice_have_ends_but_no_sides() -> None:
    above = box(slice(9, 11), slice(10, 20), slice(10, 20))

    assert set(offsets(above, OTHER, GRID)) == {"cranial", "caudal", "volume"}


def test_an_empty_mask_has_no_offsets() -> None:
    assert offsets(OTHER, np.zeros(GRID.shape, dtype=bool), GRID) == {}
