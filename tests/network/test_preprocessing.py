from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recontour.errors import SettingsError
from recontour.geometry import Grid
from recontour.network import Architecture
from recontour.network.body import body_centre_mm
from recontour.network.findings import WrongSliceCount
from recontour.network.preprocessing import Preprocessing, Similarity, view

PLAIN = Preprocessing(pixel_mm=1.0, crop_px=33, window_hu=(-200.0, 400.0))


def grid(
    rows: int,
    columns: int,
    spacing: tuple[float, float] = (1.0, 1.0),
    origin: tuple[float, float] = (0.0, 0.0),
) -> Grid:
    return Grid((1, rows, columns), spacing, (0.0,), origin)


def ramp(g: Grid) -> torch.Tensor:
    """A plane whose value is x + 1000 y in mm: any sample tells where it was taken."""
    _, rows, columns = g.shape
    x = g.origin_mm[0] + g.spacing_mm[1] * np.arange(columns)
    y = g.origin_mm[1] + g.spacing_mm[0] * np.arange(rows)
    return torch.from_numpy((x[None, :] + 1000 * y[:, None]).astype(np.float32))[None]


@given(st.floats(0.4, 3.0), st.floats(0.4, 3.0), st.floats(-5, 5), st.floats(-5, 5))
@settings(max_examples=30, deadline=None)
def test_a_view_samples_where_it_says(row_mm: float, column_mm: float, x: float, y: float) -> None:
    g = grid(int(80 / row_mm), int(80 / column_mm), (row_mm, column_mm), (-40.0, -40.0))
    seen = view(ramp(g), g, (x, y), PLAIN)[0]
    offsets = np.arange(-16, 17)
    expected = (x + offsets)[None, :] + 1000 * (y + offsets)[:, None]
    # float32 at 20 000: steps of 0.002, and a few of them
    assert np.allclose(seen.numpy(), expected, atol=0.05)


def test_a_view_turns_and_zooms_about_the_centre() -> None:
    g = grid(161, 161, origin=(-80.0, -80.0))
    seen = view(ramp(g), g, (3.0, -2.0), PLAIN, Similarity(degrees=90.0, zoom=2.0))[0]
    assert seen[16, 16] == pytest.approx(3.0 - 2000.0, abs=0.01)
    # right of the centre is now below, 16 px = 8 mm
    assert seen[16, 32] == pytest.approx(3.0 + 1000 * (-2.0 + 8.0), abs=0.01)
    assert seen[32, 16] == pytest.approx(3.0 - 8.0 - 2000.0, abs=0.01)


def test_a_coarser_view_averages_and_stays_in_place() -> None:
    g = grid(241, 241, (0.25, 0.25), (-30.0, -30.0))
    seen = view(ramp(g), g, (0.0, 0.0), PLAIN)[0]
    assert seen[16, 16] == pytest.approx(0.0, abs=0.02)
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 241, 241)).astype(np.float32))
    # a mean of 16 has a standard deviation of 1/4
    assert float(view(noise, g, (0.0, 0.0), PLAIN).std()) < 0.35


def test_a_ct_smaller_than_one_pixel_of_the_view_is_still_seen() -> None:
    g = grid(8, 8, (0.1, 0.1))
    assert torch.allclose(
        view(torch.full((1, 8, 8), 7.0), g, (0.35, 0.35), PLAIN), torch.tensor(7.0)
    )


def test_the_body_is_found_beside_a_couch_and_in_spite_of_an_empty_slice() -> None:
    g = Grid((3, 100, 120), (2.0, 2.0), (0.0, 3.0, 6.0), (-120.0, -100.0))
    yy, xx = np.mgrid[:100, :120]
    hu = np.full(g.shape, -1000, dtype=np.int16)
    hu[:2, (xx - 70) ** 2 + (yy - 40) ** 2 < 20**2] = 40
    hu[:, 85:88] = 100  # couch
    hu[2] = -1000
    x, y = body_centre_mm(hu, g)
    assert (x, y) == pytest.approx((-120 + 2 * 70, -100 + 2 * 40), abs=4.0)  # the search's pixel


def test_a_ct_of_air_has_its_middle_in_the_middle() -> None:
    assert body_centre_mm(np.full((1, 11, 21), -1000), grid(11, 21)) == (10.0, 5.0)


def test_the_window_goes_to_minus_one_and_one() -> None:
    hu = torch.tensor([-1000.0, -200.0, 100.0, 400.0, 3000.0])
    assert PLAIN.windowed(hu).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("crop", [16, 224, 9])
def test_a_crop_that_the_network_cannot_take_is_refused(crop: int) -> None:
    with pytest.raises(SettingsError, match="8n"):
        Preprocessing(1.0, crop, (-200.0, 400.0))


def seen_with(*neighbours_mm: float) -> Preprocessing:
    return replace(PLAIN, neighbours_mm=neighbours_mm)


def heights(*z_mm: float) -> Grid:
    return Grid((len(z_mm), 4, 4), (1.0, 1.0), z_mm, (0.0, 0.0))


def test_without_neighbours_a_slice_is_seen_alone() -> None:
    assert PLAIN.slices == 1
    assert PLAIN.planes_seen(heights(0.0, 3.0, 6.0), 1) == (1,)


def test_neighbours_follow_the_slice_in_the_order_of_their_distances() -> None:
    even = heights(*(3.0 * index for index in range(11)))
    seen = seen_with(4.0, -4.0, 12.0, -12.0)
    assert seen.slices == 5
    assert seen.planes_seen(even, 5) == (5, 6, 4, 9, 1)


@pytest.mark.parametrize("step_mm", [0.8, 1.5, 3.0, 5.0])
def test_distances_are_in_mm_whatever_the_spacing(step_mm: float) -> None:
    grid = heights(*(step_mm * index for index in range(80)))
    _, above, below = seen_with(12.0, -4.0).planes_seen(grid, 40)
    assert abs((above - 40) * step_mm - 12.0) <= step_mm / 2
    assert abs((below - 40) * step_mm + 4.0) <= step_mm / 2


def test_at_the_ends_of_a_ct_the_nearest_slice_there_is_stands_in() -> None:
    grid = heights(0.0, 3.0, 6.0)
    seen = seen_with(4.0, -4.0, 100.0)
    assert seen.planes_seen(grid, 0) == (0, 1, 0, 2)
    assert seen.planes_seen(grid, 2) == (2, 2, 1, 2)
    assert seen.planes_seen(heights(7.0), 0) == (0, 0, 0, 0)


def test_where_spacing_changes_each_slice_s_own_z_counts() -> None:
    grid = heights(-50.0, -45.0, -40.0, -39.0, -38.0, -37.0, -36.0)
    seen = seen_with(4.0, -4.0)
    assert seen.planes_seen(grid, 2) == (2, 6, 1)
    assert seen.planes_seen(grid, 0) == (0, 1, 0)


@pytest.mark.parametrize("shift_mm", [0.0, -123.4, 0.1])
def test_of_two_slices_that_are_equally_near_the_farther_one_is_seen(shift_mm: float) -> None:
    """Rounding does not decide: 4 mm lies between 0 and 8 mm, wherever the CT begins."""
    grid = heights(*(shift_mm + 8.0 * index for index in range(5)))
    assert seen_with(4.0, -4.0, 12.0).planes_seen(grid, 2) == (2, 3, 1, 4)


def test_a_network_that_takes_another_number_of_slices_is_refused() -> None:
    with pytest.raises(SettingsError) as refused:
        seen_with(4.0, -4.0).refuse_other_input(Architecture())
    assert refused.value.finding == WrongSliceCount(slices=1, neighbours=2)
    seen_with(4.0, -4.0).refuse_other_input(Architecture(slices=3))
