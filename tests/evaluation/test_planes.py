"""Which planes a report shows, and how they lie."""

import numpy as np
import pytest
from tests.evaluation.conftest import make_grid

from recontour.evaluation.planes import (
    VIEWS,
    Plane,
    largest_plane,
    planes_to_show,
    slice_to_show,
    upright,
)
from recontour.geometry import Grid


def test_the_largest_slice_is_shown() -> None:
    reference = np.zeros((5, 4, 4), dtype=bool)
    assert slice_to_show(reference) == 2
    reference[1, 0, 0] = reference[3, :2, :2] = True
    assert slice_to_show(reference) == 3


def test_each_view_shows_where_the_reference_is_largest() -> None:
    """A cross of three bars: each view is cut where most of it lies in the plane."""
    reference = np.zeros((7, 8, 9), dtype=bool)
    reference[1, 2, :] = reference[1, :, 3] = reference[:, 2, 3] = True
    assert [largest_plane(reference, view) for view in VIEWS] == [
        Plane("axial", 1),
        Plane("sagittal", 3),
        Plane("coronal", 2),
    ]
    assert [largest_plane(np.zeros_like(reference), view).index for view in VIEWS] == [3, 4, 4]


def test_a_plane_lies_where_its_voxels_do() -> None:
    grid = Grid((3, 4, 5), (2.0, 1.5), (-3.0, 0.0, 5.0), (-10.0, -20.0))
    z_mm, y_mm, x_mm = np.meshgrid(
        grid.slice_z_mm, -20.0 + 2.0 * np.arange(4), -10.0 + 1.5 * np.arange(5), indexing="ij"
    )
    for plane, of_voxels in (
        (Plane("axial", 2), z_mm),
        (Plane("coronal", 3), y_mm),
        (Plane("sagittal", 4), x_mm),
    ):
        np.testing.assert_array_equal(plane.cut(of_voxels), plane.at_mm(grid))


def test_the_slice_of_most_difference_is_shown_beside_them() -> None:
    """On slice 1, where the reference is largest, 2 voxels are missing; slice 3 has 3 too many."""
    reference, predicted = np.zeros((2, 5, 4, 4), dtype=bool)
    reference[1], reference[2, :2] = True, True
    predicted[...] = reference
    predicted[1, 0, :2] = False
    three = [largest_plane(reference, view) for view in VIEWS]
    assert list(planes_to_show(reference)) == three
    assert list(planes_to_show(reference, predicted)) == three
    predicted[3, 0, :2] = True
    # no more than on the slice that is shown anyway
    assert list(planes_to_show(reference, predicted)) == three
    predicted[3, 0, 2] = True
    assert list(planes_to_show(reference, predicted)) == [*three, Plane("axial", 3)]


@pytest.mark.parametrize(
    ("z_mm", "slices", "row_mm"),
    [
        ((0.0, 3.0, 6.0), [2, 1, 0], 3.0),
        # The upper two slices stand for 6 mm each, the middle one for 4.5 mm.
        ((0.0, 3.0, 9.0, 15.0), [3, 3, 2, 2, 1, 0], 19.5 / 6),
        # Hardly apart: two rows of 0.5 mm at least, not a hundred.
        ((0.0, 0.01, 2.0), [2, 2, 2, 2, 1, 1], 0.5),
        ((7.0,), [0], 1.0),
    ],
)
def test_upright_the_head_is_up_and_each_slice_as_high_as_it_is_thick(
    z_mm: tuple[float, ...], slices: list[int], row_mm: float
) -> None:
    shown, height_mm = upright(make_grid((len(z_mm), 4, 4), z_mm=z_mm))
    assert shown.tolist() == slices
    assert height_mm == pytest.approx(row_mm)
