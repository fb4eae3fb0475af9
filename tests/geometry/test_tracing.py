from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from tests.geometry.conftest import (
    area_mm2,
    dice,
    ellipse,
    make_grid,
    masks_on_grids,
    pixel_centres,
    turned,
    winding,
)

from recontour.errors import GridMismatchError
from recontour.geometry import Contour, Grid, raster, rasterise, trace, tracing
from recontour.geometry.arrays import Mask, Points
from recontour.geometry.tracing import outlines


def outline(plane: Mask) -> list[Points]:
    return [polygon for _, polygon in outlines(plane[None])]


planes = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def test_a_checkerboard_is_no_such_contour() -> None:
    grid = make_grid((1, 512, 512))
    mask = np.indices(grid.shape).sum(axis=0) % 2 == 0
    np.testing.assert_array_equal(rasterise(trace(mask, grid), grid), mask)


def drawn(*rows: str) -> Mask:
    return np.array([[letter == "#" for letter in row] for row in rows])


NESTED = drawn(
    "#########",
    "#.......#",
    "#.#####.#",
    "#.#...#.#",
    "#.#.#.#.#",
    "#.#...#.#",
    "#.#####.#",
    "#.......#",
    "#########",
)


TWO_HOLES = drawn("#######", "#.##..#", "#.#.#.#", "#######", "##.#.##", "#######")


CHESS = drawn("#.#.#", ".#.#.", "#.#.#")


LONE = drawn("#")


DIAGONAL_RING = drawn(".#.", "#.#", ".#.")


@given(masks_on_grids())
def test_tracing_then_filling_gives_the_mask_back(case: tuple[Mask, Grid]) -> None:
    mask, grid = case
    assert np.array_equal(rasterise(trace(mask, grid), grid), mask)


@pytest.mark.parametrize("pixels_at_once", [1, 250, 2**20])
def test_slices_traced_in_pieces_give_the_same_contours(
    monkeypatch: pytest.MonkeyPatch, pixels_at_once: int
) -> None:
    """Pieces of one slice, of two, and of all; the third slice is empty, and so is a piece."""
    mask = np.random.default_rng(0).random((6, 9, 13)) < 0.6
    mask[[2, 3]] = False
    grid = make_grid(mask.shape)
    whole = trace(mask, grid)
    monkeypatch.setattr(raster, "PIXELS_AT_ONCE", pixels_at_once)
    monkeypatch.setattr(tracing, "PIXELS_AT_ONCE", pixels_at_once)
    pieces = trace(mask, grid)
    assert [contour.z_mm for contour in pieces] == [contour.z_mm for contour in whole]
    for piece, same in zip(pieces, whole, strict=True):
        np.testing.assert_allclose(piece.points_mm, same.points_mm, atol=1e-9)
    np.testing.assert_array_equal(rasterise(pieces, grid), mask)


def test_a_ring_is_smoothed_across_the_point_it_begins_at() -> None:
    """A disc looks alike from all sides, and so does its outline, wherever contourpy begins."""
    rows, cols = np.mgrid[-8:9, -8:9]
    (points,) = outline(rows**2 + cols**2 < 60)
    # a quarter turn about the centre
    turned_points = np.column_stack([16 - points[:, 1], points[:, 0]])
    apart = np.abs(points[:, None] - turned_points[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-9


@pytest.mark.parametrize(
    "plane", [NESTED, TWO_HOLES, CHESS, LONE, DIAGONAL_RING, ~NESTED, ~CHESS, ~DIAGONAL_RING]
)
def test_awkward_masks_come_back(plane: Mask) -> None:
    grid = make_grid((1, *plane.shape), spacing_mm=(0.7, 1.3))
    assert np.array_equal(rasterise(trace(plane[None], grid), grid)[0], plane)


def test_rings_within_rings_are_one_keyhole_each() -> None:
    assert len(outline(NESTED)) == 3


@given(planes)
def test_each_part_stands_alone_whatever_the_fill_rule(plane: Mask) -> None:
    """Nonzero and even-odd fill agree on each polygon, and the parts add up to the mask once."""
    # off the keyholes' channels, nearer to the centre than any outline
    probes = pixel_centres(plane.shape) + np.array([0.02, 0.01])
    total = np.zeros(plane.size, dtype=np.int64)
    for polygon in outline(plane):
        turns = winding(polygon, probes)
        assert set(np.unique(turns)) <= {0, 1}
        total += turns
    assert np.array_equal(total.reshape(plane.shape), plane.astype(np.int64))


@given(planes)
def test_a_keyhole_channel_stays_within_its_part(plane: Mask) -> None:
    """Only a channel runs along a row; outlines take half rows, half columns and diagonals."""
    for polygon in outline(plane):
        for (x0, y0), (x1, y1) in pairwise([*polygon, polygon[0]]):
            if y0 == y1 and y0 == round(y0):
                first, last = sorted((x0, x1))
                assert plane[round(y0), int(np.ceil(first)) : int(np.floor(last)) + 1].all()


def test_an_empty_mask_has_no_contours_and_no_contours_make_an_empty_mask() -> None:
    grid = make_grid((2, 5, 6))
    empty = np.zeros(grid.shape, dtype=bool)
    assert trace(empty, grid) == ()
    assert np.array_equal(rasterise((), grid), empty)


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(GridMismatchError, match=r"\(1, 3, 3\)"):
        trace(np.ones((1, 3, 3), dtype=bool), make_grid((1, 5, 5)))


@given(planes, st.integers(1, 3), st.booleans())
def test_a_mask_that_is_turned_or_mirrored_has_its_contours_turned_or_mirrored(
    plane: Mask, quarters: int, mirrored: bool
) -> None:
    """Without holes, whose keyholes always lead to the right."""
    plane = ndimage.binary_fill_holes(plane)
    other = np.rot90(plane.T if mirrored else plane, quarters)
    grid, other_grid = (make_grid((1, *one.shape), origin_mm=(0.0, 0.0)) for one in (plane, other))
    found = np.concatenate(
        [*(contour.points_mm for contour in trace(other[None], other_grid)), np.zeros((0, 2))]
    )
    points = np.concatenate(
        [*(contour.points_mm for contour in trace(plane[None], grid)), np.zeros((0, 2))]
    )
    if mirrored:
        points = points[:, ::-1]
    shape = plane.T.shape if mirrored else plane.shape
    # np.rot90 takes column c of the last row-major plane to row (columns - 1 - c)
    for _ in range(quarters):
        points = np.column_stack([points[:, 1], shape[1] - 1 - points[:, 0]])
        shape = shape[::-1]
    assert sorted(map(tuple, np.round(points, 6) + 0.0)) == sorted(
        map(tuple, np.round(found, 6) + 0.0)
    )


def lens(grid: Grid, centre_mm: tuple[float, float]) -> list[Contour]:
    """A ball of 4 mm radius, cut by the grid's slices."""
    radii = [(float(np.sqrt(16 - z**2)), z) for z in grid.slice_z_mm if abs(z) < 4]
    return [Contour(ellipse((r, r), centre_mm), z) for r, z in radii]


def optic_nerve(grid: Grid, degrees: float) -> list[Contour]:
    """A band 3 mm wide and 25 mm long across three slices."""
    band = np.array([[-12.5, -1.5], [12.5, -1.5], [12.5, 1.5], [-12.5, 1.5]])
    return [Contour(turned(band, degrees) + np.array([0.3, 0.2]), z) for z in grid.slice_z_mm[4:7]]


@pytest.mark.parametrize("degrees", [15, 30, 41, 60])
def test_small_organs_survive_the_way_out_and_back(degrees: float) -> None:
    """The project's bar is a DSC of 0.99; the inverse pair reaches 1."""
    grid = make_grid((11, 64, 64), z_mm=tuple(float(z) for z in range(-5, 6)))
    for contours in (lens(grid, (0.37, -0.21)), optic_nerve(grid, degrees)):
        mask = rasterise(contours, grid)
        assert mask.any()
        assert dice(rasterise(trace(mask, grid), grid), mask) >= 0.99


def test_a_small_organ_keeps_its_volume() -> None:
    """Rounding vertices to whole pixels, as other tools do, makes a 4 mm lens a third larger."""
    grid = make_grid((1, 64, 64))
    rng = np.random.default_rng(1)
    areas = [
        rasterise([Contour(ellipse((4.0, 4.0), tuple(rng.uniform(-0.5, 0.5, 2))), 0.0)], grid).sum()
        for _ in range(200)
    ]
    # A pixel on the rim is off by less than half; some 28 are, uncorrelated over 200 positions: one
    # standard error of the mean is below 0.5 * sqrt(28 / 200) = 0.19 mm2. Four of them.
    assert abs(np.mean(areas) - 16 * np.pi) < 0.75


@given(masks_on_grids())
def test_contours_rounded_by_another_program_still_give_the_mask(case: tuple[Mask, Grid]) -> None:
    """To a thousandth of a pixel: no pixel lies nearer to a half than the tie's width."""
    mask, grid = case
    rounded = [
        Contour(grid.to_mm(np.round(grid.to_pixels(contour.points_mm), 3)), contour.z_mm)
        for contour in trace(mask, grid)
    ]
    assert np.array_equal(rasterise(rounded, grid), mask)


@pytest.mark.parametrize("radius", [2.5, 4.0, 12.0, 30.0])
def test_traced_discs_are_round(radius: float) -> None:
    """The staircase at level 0.5 lies 0.19 pixels from the circle on average.

    A lens of it has 1 % less area.
    """
    rng = np.random.default_rng(0)
    grid = make_grid((1, 80, 80), origin_mm=(-39.5, -39.5))
    away, area, pixels = [], 0.0, 0
    for middle in rng.uniform(-0.5, 0.5, (20, 2)):
        mask = rasterise([Contour(ellipse((radius, radius), tuple(middle)), 0.0)], grid)
        (contour,) = trace(mask, grid)
        away.append(np.abs(np.linalg.norm(contour.points_mm - middle, axis=1) - radius).mean())
        area, pixels = area + area_mm2(contour.points_mm), pixels + mask.sum()
    assert np.mean(away) < 0.16
    assert area == pytest.approx(pixels, rel=0.01)


@given(planes)
def test_a_contour_has_no_more_points_than_the_mask_has_pixel_sides(plane: Mask) -> None:
    padded = np.pad(plane, 1)
    sides = sum(np.count_nonzero(np.diff(padded, axis=axis)) for axis in (0, 1))
    holes = ndimage.label(~padded)[1] - 1
    assert sum(len(polygon) for polygon in outline(plane)) <= sides + 3 * holes


def test_traced_contours_lie_on_the_slices_and_are_closed_polygons() -> None:
    grid = make_grid((3, 12, 12), z_mm=(1.0, 4.0, 10.0))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[0, 2:6, 3:9] = mask[2, 5:7, 5:7] = True
    contours = trace(mask, grid)
    assert [contour.z_mm for contour in contours] == [1.0, 10.0]
    for contour in contours:
        assert all((a != b).any() for a, b in pairwise([*contour.points_mm, contour.points_mm[0]]))
