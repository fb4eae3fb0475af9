import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.geometry.conftest import make_grid

from recontour.errors import GridMismatchError
from recontour.geometry import Grid

# as planning CT are often taken: fine round the target, coarse beyond
MIXED = (
    0.0,
    3.0,
    6.0,
    12.0,
    18.0,
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shape": (0, 4, 4), "slice_z_mm": ()}, "at least 1"),
        ({"shape": (4, 4), "slice_z_mm": ()}, "slices, rows, columns"),
        ({"slice_z_mm": (0.0, 3.0)}, "3 slices need as many z positions; got 2"),
        ({"slice_z_mm": (0.0, 3.0, 3.0)}, "ascend"),
        ({"slice_z_mm": (6.0, 3.0, 0.0)}, "ascend"),
        ({"slice_z_mm": (0.0, 3.0, float("nan"))}, "finite"),
        ({"spacing_mm": (1.0, 0.0)}, "> 0"),
        ({"spacing_mm": (-1.0, 1.0)}, "> 0"),
        ({"origin_mm": (float("inf"), 0.0)}, "finite"),
    ],
)
def test_a_grid_that_contradicts_itself_is_refused(change: dict[str, object], told: str) -> None:
    good = {
        "shape": (3, 4, 4),
        "spacing_mm": (1.0, 1.0),
        "slice_z_mm": (0.0, 3.0, 6.0),
        "origin_mm": (0.0, 0.0),
    }
    with pytest.raises(GridMismatchError, match=told):
        Grid(**(good | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("z_mm", "expected"),
    [
        (-1.5, 0),  # outermost slices reach as far outwards as inwards
        (-1.6, None),
        (0.0, 0),
        (1.4, 0),
        (1.6, 1),
        (4.4, 1),
        (6.0, 2),
        (8.9, 2),  # towards the coarse side a slice reaches 3 mm,
        (4.6, 2),  # towards the fine side 1.5 mm
        (9.1, 3),
        (21.0, 4),
        (21.1, None),
    ],
)
def test_a_plane_belongs_to_the_slice_within_half_the_local_spacing(
    z_mm: float, expected: int | None
) -> None:
    assert make_grid((5, 4, 4), z_mm=MIXED).slice_at(z_mm) == expected


@given(st.floats(-1.5, 21.0))
def test_every_plane_within_the_scan_belongs_to_its_nearest_slice(z_mm: float) -> None:
    index = make_grid((5, 4, 4), z_mm=MIXED).slice_at(z_mm)
    assert index is not None
    assert abs(MIXED[index] - z_mm) == min(abs(z - z_mm) for z in MIXED)


def test_a_lone_slice_stands_for_one_millimetre() -> None:
    grid = make_grid((1, 4, 4), z_mm=(10.0,))
    assert [grid.slice_at(z) for z in (9.4, 9.5, 10.0, 10.5, 10.6)] == [None, 0, 0, 0, None]
    assert grid.slice_thickness_mm.tolist() == [1.0]


def test_mixed_spacing_gives_each_slice_its_own_thickness() -> None:
    assert make_grid((5, 4, 4), z_mm=MIXED).slice_thickness_mm.tolist() == [3.0, 3.0, 4.5, 6.0, 6.0]


@pytest.mark.parametrize(
    ("z_mm", "step_mm"),
    [
        ((7.0,), 1.0),
        ((0.0, 2.5, 5.0), 2.5),
        ((-100.0, -97.7, -95.3, -93.0), 7 / 3),  # every 2.33 mm, rounded to 0.1 mm
        ((0.0, 3.0, 6.11), None),  # the middle slice is 0.055 mm off
        (MIXED, None),
    ],
)
def test_one_step_between_slices_or_none(z_mm: tuple[float, ...], step_mm: float | None) -> None:
    assert make_grid((len(z_mm), 4, 4), z_mm=z_mm).slice_step_mm == pytest.approx(step_mm)


def test_a_volume_counts_each_slice_as_thick_as_it_is() -> None:
    grid = make_grid((5, 4, 4), spacing_mm=(2.0, 0.5), z_mm=MIXED)
    mask = np.zeros(grid.shape, dtype=bool)
    mask[2, 0, :2] = mask[4, 1, 1] = True
    assert grid.volume_cc(mask) == pytest.approx((2 * 4.5 + 1 * 6.0) * 1.0 / 1000)


def test_a_volume_on_another_grid_is_refused() -> None:
    with pytest.raises(GridMismatchError, match=r"\(1, 2, 2\)"):
        make_grid((5, 4, 4), z_mm=MIXED).volume_cc(np.zeros((1, 2, 2), dtype=bool))


def test_the_middle_of_a_mask_is_that_of_its_columns() -> None:
    grid = make_grid((1, 8, 8), spacing_mm=(2.0, 0.5), origin_mm=(-10.0, 40.0))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[0, 2, 4] = mask[0, 5, 6] = True
    assert grid.middle_x_mm(mask) == -7.5


def test_the_first_voxel_centre_is_the_origin_and_rows_are_y() -> None:
    grid = make_grid((1, 8, 8), spacing_mm=(2.0, 0.5), origin_mm=(-10.0, 40.0))
    assert grid.to_mm(np.array([[0.0, 0.0], [3.0, 1.0]])).tolist() == [[-10.0, 40.0], [-8.5, 42.0]]
    assert grid.to_pixels(np.array([[-8.5, 42.0]])).tolist() == [[3.0, 1.0]]
