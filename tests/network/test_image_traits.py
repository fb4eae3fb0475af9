"""What a CT's image measures, on images whose sharpness, noise and HU are known."""

import numpy as np
import pytest
from scipy import ndimage

from recontour.geometry import Grid
from recontour.network.image_traits import ImageTrait, image_traits

SHAPE = (6, 128, 128)
PIXEL_MM = 2.0
GRID = Grid(SHAPE, (PIXEL_MM, PIXEL_MM), (0.0, 3.0, 6.0, 9.0, 12.0, 15.0), (0.0, 0.0))
AIR_HU, MUSCLE_HU, BONE_HU = -1000.0, 50.5, 1000.0
NOISE_HU = 20.0
# Of a Gaussian's integral, from a quarter to three quarters, in its SD.
QUARTERS = 2 * 0.6745


def disc(radius_px: float, row: float = 63.5, column: float = 63.5) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[1], : SHAPE[2]]
    return np.hypot(rows - row, columns - column) < radius_px


def body(
    blur_px: float = 0.0,
    noise_hu: float = 0.0,
    offset_hu: float = 0.0,
    vessels: bool = False,
) -> np.ndarray:
    """A round body with a round bone in it, at its middle."""
    plane = np.full(SHAPE[1:], AIR_HU)
    plane[disc(45)] = MUSCLE_HU
    plane[disc(8)] = BONE_HU
    if vessels:
        plane[disc(4, column=40)] = MUSCLE_HU + 110
    hu = np.broadcast_to(plane, SHAPE)
    hu = ndimage.gaussian_filter(hu, (0, blur_px, blur_px))
    noise = np.random.default_rng(0).normal(0, noise_hu, SHAPE)
    return hu + noise + offset_hu


@pytest.mark.parametrize("blur_px", [1.0, 1.5])
def test_an_edge_is_as_wide_as_the_blur_says(blur_px: float) -> None:
    width_mm = image_traits(body(blur_px), GRID)["edge_width_mm"]
    # A pixel shows the mean over its width, and lines are drawn between pixels: both widen a bit.
    expected_mm = QUARTERS * blur_px * PIXEL_MM
    assert expected_mm * 0.95 < width_mm < expected_mm * 1.15


def test_an_edge_as_wide_as_what_is_looked_at_is_underestimated_but_still_wider() -> None:
    narrow, wide = (image_traits(body(blur), GRID)["edge_width_mm"] for blur in (1.5, 2.5))
    assert wide > narrow * 1.2


def test_the_edge_hardly_depends_on_noise_offset_or_vessels() -> None:
    width_mm = image_traits(body(1.0), GRID)["edge_width_mm"]
    for changed in (body(1.0, NOISE_HU), body(1.0, 0, 30), body(1.0, vessels=True)):
        assert image_traits(changed, GRID)["edge_width_mm"] == pytest.approx(width_mm, rel=0.04)


def test_a_couch_and_hair_have_no_say_in_the_edge() -> None:
    hu = body(1.0)
    hu[:, 118:121, :] = -100.0  # a couch beneath the body, which does not touch it
    hu[:2, 17:19, 40:60] = -600.0
    assert image_traits(hu, GRID) == pytest.approx(image_traits(body(1.0), GRID), rel=0.02)


@pytest.mark.parametrize("noise_hu", [5.0, 20.0, 40.0])
def test_noise_is_that_of_soft_tissue(noise_hu: float) -> None:
    assert image_traits(body(0, noise_hu), GRID)["noise_hu"] == pytest.approx(noise_hu, rel=0.06)


def test_a_slope_is_no_noise() -> None:
    hu = body() + np.linspace(-30, 30, SHAPE[2])
    assert image_traits(hu, GRID)["noise_hu"] == pytest.approx(0.0, abs=1e-3)


def test_hu_are_those_of_air_muscle_and_bone_and_move_with_an_offset() -> None:
    plain = image_traits(body(0, NOISE_HU), GRID)
    moved = image_traits(body(0, NOISE_HU, 30.0), GRID)
    assert plain["air_hu"] == pytest.approx(AIR_HU, abs=1)
    assert plain["muscle_hu"] == pytest.approx(MUSCLE_HU, abs=2)
    # Three quarters of the bone's voxels are darker; the noise is 20 HU.
    assert plain["bone_hu"] == pytest.approx(BONE_HU + 0.6745 * NOISE_HU, abs=3)
    keys: tuple[ImageTrait, ...] = ("air_hu", "muscle_hu", "bone_hu")
    for key in keys:
        assert moved[key] - plain[key] == pytest.approx(30, abs=1.5)


def test_bright_vessels_are_counted_but_not_around_bone() -> None:
    without = image_traits(body(1.0), GRID)["vessel_percent"]
    given = image_traits(body(1.0, vessels=True), GRID)["vessel_percent"]
    assert without == 0.0
    # A disc of radius 4 of one of 45, less the bone and its surroundings; its rim is not bright.
    assert 100 * (3 / 45) ** 2 < given < 100 * (4.5 / 43) ** 2


def test_lengths_are_those_of_the_grid() -> None:
    grid = Grid((4, 30, 40), (1.5, 2.0), (0.0, 2.0, 4.0, 10.0), (0.0, 0.0))
    traits = image_traits(np.full(grid.shape, AIR_HU), grid)
    assert traits["pixel_mm"] == 1.5
    assert traits["field_of_view_mm"] == 80.0
    assert traits["slice_mm"] == 2.0


@pytest.mark.parametrize("hu", [AIR_HU, 50.0, 3000.0, -3024.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 40), (3, 40, 1), (2, 5, 5), (1, 40, 40)])
def test_what_cannot_be_measured_is_missing(hu: float, shape: tuple[int, int, int]) -> None:
    grid = Grid(shape, (1.0, 1.0), tuple(map(float, range(shape[0]))), (0.0, 0.0))
    traits = image_traits(np.full(shape, hu, dtype=np.int16), grid)
    assert "edge_width_mm" not in traits
    assert "bone_hu" not in traits or hu == 3000.0
    assert ("slice_mm" in traits) == (shape[0] > 1)
    assert np.isfinite(list(traits.values())).all()


def test_a_ct_without_margin_has_no_edge() -> None:
    hu = np.full(SHAPE, MUSCLE_HU)
    traits = image_traits(hu, GRID)
    assert "edge_width_mm" not in traits
    assert "air_hu" not in traits
    assert traits["muscle_hu"] == pytest.approx(MUSCLE_HU, abs=1)
