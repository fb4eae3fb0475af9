"""What a body and an organ measure, on shapes that can be measured by hand."""

from dataclasses import replace

import numpy as np
import pytest

from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.network.traits import body_of, organ_traits, parts_of_mask

# Pixels of 4 mm are those on which the body is sought.
GRID = Grid((5, 40, 50), (4.0, 4.0), (0.0, 3.0, 6.0, 9.0, 12.0), (-100.0, -80.0))
AIR_HU, TISSUE_HU = -1000, 40


@pytest.fixture
def hu() -> np.ndarray:
    """A body of 30 x 20 pixels with a lung of 10 x 10, and a narrow slice of 10 x 20."""
    body = np.full(GRID.shape, AIR_HU, dtype=np.int16)
    body[:4, 10:30, 10:40] = TISSUE_HU
    body[4, 10:30, 20:30] = TISSUE_HU
    body[:4, 15:25, 15:25] = -800
    return body


@pytest.fixture
def organ() -> Mask:
    """A block of 2 slices, 5 rows and 4 columns."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[1:3, 12:17, 30:34] = True
    return mask


def test_a_body_encloses_its_lungs(hu: np.ndarray) -> None:
    body = body_of(hu, GRID)
    assert body.width_mm.tolist() == [120.0] * 4 + [40.0]
    assert body.area_cm2.tolist() == [96.0] * 4 + [32.0]
    # The middle of columns 10 to 39, and of rows 10 to 29.
    assert body.middle_x_mm.tolist() == [-2.0] * 5
    assert body.middle_y_mm.tolist() == [-2.0] * 5
    # The tenth percentile of 5 slices lies 0.4 of the way from the lowest to the next.
    assert body.traits()["narrow_width_mm"] == pytest.approx(40 + 0.4 * 80)
    assert body.traits()["narrow_area_cm2"] == pytest.approx(32 + 0.4 * 64)


def test_slices_of_air_do_not_count(hu: np.ndarray) -> None:
    hu[0] = AIR_HU
    body = body_of(hu, GRID)
    assert np.isnan(body.area_cm2[0])
    assert body.traits()["narrow_width_mm"] == pytest.approx(40 + 0.3 * 80)
    hu[:] = AIR_HU
    assert body_of(hu, GRID).traits() == {}


def test_an_organ_measures_what_it_is(hu: np.ndarray, organ: Mask) -> None:
    hu[1, 12:17, 30:34] = 100
    traits = organ_traits(hu, GRID, organ, body_of(hu, GRID))
    assert traits == {
        "volume_cc": pytest.approx(2 * 5 * 4 * 48 / 1000),
        "width_mm": 16.0,
        "depth_mm": 20.0,
        "height_mm": 6.0,
        # Columns 30 to 33 and rows 12 to 16 have their middles at x 26 and y -24.
        "from_middle_x_mm": pytest.approx(28.0),
        "from_middle_y_mm": pytest.approx(-22.0),
        "mean_hu": 70.0,
        "body_area_cm2": pytest.approx(96.0),
    }
    shifted = replace(GRID, origin_mm=(300.0, -7.0))
    elsewhere = organ_traits(hu, shifted, organ, body_of(hu, shifted))
    assert elsewhere == pytest.approx(dict(traits))


@pytest.mark.parametrize("end", [0, -1])
def test_an_organ_cut_by_the_end_of_the_scan_has_no_size_and_no_height(
    hu: np.ndarray, organ: Mask, end: int
) -> None:
    organ[end, 12, 30] = True
    assert set(organ_traits(hu, GRID, organ, body_of(hu, GRID))) == {
        "from_middle_x_mm",
        "from_middle_y_mm",
        "mean_hu",
    }


def test_an_organ_on_a_slice_without_a_body_has_no_place(hu: np.ndarray, organ: Mask) -> None:
    body = body_of(np.full_like(hu, AIR_HU), GRID)
    assert "from_middle_x_mm" not in organ_traits(hu, GRID, organ, body)


def test_parts_touch_at_corners_or_are_apart(organ: Mask) -> None:
    assert parts_of_mask(organ) == 1
    organ[3, 17, 34] = True
    assert parts_of_mask(organ) == 1
    organ[3, 30, 5] = True
    assert parts_of_mask(organ) == 2
    assert parts_of_mask(np.zeros_like(organ)) == 0
