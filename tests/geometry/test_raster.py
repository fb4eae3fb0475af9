import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.geometry.conftest import (
    area_mm2,
    distance_to_outline,
    ellipse,
    make_grid,
    masks_on_grids,
    turned,
    winding,
)

from recontour.errors import ContoursError
from recontour.geometry import Contour, Grid, rasterise, trace
from recontour.geometry.arrays import Mask, Points
from recontour.geometry.raster import SUBLINES


def test_contours_that_run_to_and_fro_without_end_are_refused() -> None:
    """A million lines across 64 rows; filling them would take the memory of a thousand organs."""
    up_and_down = np.column_stack([np.linspace(-30, 30, 100_000), np.tile([-30.0, 30.0], 50_000)])
    with pytest.raises(ContoursError, match="cross its rows"):
        rasterise([Contour(up_and_down, 0.0)], make_grid((1, 64, 64)))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (0.8, 1.7)])
@pytest.mark.parametrize("radius_mm", [3, 5, 12, 30])
def test_a_filled_circle_has_its_area(radius_mm: float, spacing_mm: tuple[float, float]) -> None:
    grid = make_grid((1, 128, 128), spacing_mm, origin_mm=(-50.3, -50.6))
    area_mm2 = (
        rasterise([Contour(ellipse((radius_mm, radius_mm)), 0.0)], grid).sum() * grid.pixel_mm2
    )
    half = grid.pixel_diagonal_mm / 2  # no pixel reaches further from its centre
    assert np.pi * (radius_mm - half) ** 2 <= area_mm2 <= np.pi * (radius_mm + half) ** 2


def test_a_filled_sphere_has_its_volume() -> None:
    """The circle's bounds hold slice by slice, and so do the ball's with half a diagonal more or
    less.

    The sum over slices itself is the trapezoid rule on pi (r^2 - z^2): h^2 / 12 * 4 pi r = 3 mm3,
    far below the bounds.
    """
    radius_mm, z_mm = 12.0, tuple(np.arange(-12.5, 13.0, 0.5))
    grid = make_grid((len(z_mm), 64, 64), z_mm=z_mm)
    contours = [
        Contour(ellipse((r, r), corners=360), z)
        for z in z_mm
        if (r := float(np.sqrt(max(radius_mm**2 - z**2, 0))))
    ]
    half = grid.pixel_diagonal_mm / 2
    low, high = (4 / 3 * np.pi * (radius_mm + sign * half) ** 3 / 1000 for sign in (-1, 1))
    assert low <= grid.volume_cc(rasterise(contours, grid)) <= high


BLOCKS = SUBLINES * 2  # blocks per pixel along a row; across it one per line of the rasteriser


def coverage_bounds(polygon: Points, shape: tuple[int, int]) -> tuple[Points, Points]:
    """Brute force: the least and most of each pixel that a polygon can cover, seen by blocks of 1/8
    x 1/16 pixel.

    A block whose centre is further from the outline than its half diagonal lies wholly inside or
    wholly outside. The true coverage, and any sum over one line through each row of blocks, lies
    between the bounds.
    """
    rows, cols = shape
    y, x = np.mgrid[0 : rows * SUBLINES, 0 : cols * BLOCKS]
    centres = np.column_stack(
        [(x.ravel() + 0.5) / BLOCKS - 0.5, (y.ravel() + 0.5) / SUBLINES - 0.5]
    )
    cut = distance_to_outline(polygon, centres) <= np.hypot(0.5 / BLOCKS, 0.5 / SUBLINES)
    inside = winding(polygon, centres) % 2 == 1

    def share(blocks: Mask) -> Points:
        return np.asarray(blocks.reshape(rows, SUBLINES, cols, BLOCKS).mean(axis=(1, 3)))

    return share(inside & ~cut), share(inside | cut)


@st.composite
def stars(draw: st.DrawFn) -> Points:
    """A polygon of nine corners about the middle of 12 x 12 pixels."""
    radii = draw(arrays(np.float64, 9, elements=st.floats(0.5, 5.5)))
    angle = np.radians(draw(st.floats(0, 40)) + np.arange(9) * 40)
    centre = draw(st.tuples(st.floats(4, 7), st.floats(4, 7)))
    return np.asarray(np.column_stack([np.cos(angle), np.sin(angle)]) * radii[:, None] + centre)


@settings(max_examples=25, deadline=None)
@given(stars())
def test_a_pixel_is_in_when_more_than_half_of_it_is(polygon: Points) -> None:
    grid = make_grid((1, 12, 12), origin_mm=(0.0, 0.0))
    mask = rasterise([Contour(polygon, 0.0)], grid)[0]
    least, most = coverage_bounds(polygon, (12, 12))
    assert mask[least > 0.5].all()
    assert not mask[most < 0.5].any()


def test_brute_force_leaves_few_pixels_undecided() -> None:
    """The oracle above can fail: it decides two thirds even of the pixels on the rim."""
    least, most = coverage_bounds(ellipse((5.2, 4.7), (5.6, 5.3), corners=60), (12, 12))
    edge = (most > 0) & (least < 1)
    assert np.count_nonzero((least <= 0.5) & (most >= 0.5)) < 0.35 * np.count_nonzero(edge)


@pytest.mark.parametrize(("right_edge", "expected"), [(3.49, 3), (3.51, 4)])
def test_more_than_half_of_a_pixel_counts(right_edge: float, expected: int) -> None:
    square = np.array(
        [[-0.5, -0.5], [right_edge - 0.5, -0.5], [right_edge - 0.5, 0.5], [-0.5, 0.5]]
    )
    assert (
        rasterise([Contour(square, 0.0)], make_grid((1, 3, 8), origin_mm=(0.0, 0.0))).sum()
        == expected
    )


def test_of_exactly_half_a_pixel_the_centre_decides() -> None:
    """Diamonds through the midpoints of its edges cover half of a pixel and its centre.

    The other half is without the centre.
    """
    grid = make_grid((1, 3, 3), origin_mm=(0.0, 0.0))
    diamond = np.array([[1.0, 0.5], [1.5, 1.0], [1.0, 1.5], [0.5, 1.0]])
    frame = np.array([[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5]])
    assert rasterise([Contour(diamond, 0.0)], grid)[0, 1, 1]
    assert not rasterise([Contour(frame, 0.0), Contour(diamond, 0.0)], grid)[0, 1, 1]


@pytest.mark.parametrize("decimals", [2, 3, 9])
@pytest.mark.parametrize("spacing", [1.0, 0.9765625])
def test_contours_through_pixel_centres_lose_no_side(spacing: float, decimals: int) -> None:
    """Some tools trace through pixel centres: sides cover half of their pixels, corners less."""
    grid = make_grid((1, 12, 12), (spacing, spacing), origin_mm=(-120.7, 33.1))
    box = np.array([[2.0, 3.0], [9.0, 3.0], [9.0, 8.0], [2.0, 8.0]])
    expected = np.zeros((12, 12), dtype=bool)
    expected[3:9, 2:10] = True
    expected[np.ix_([3, 8], [2, 9])] = False
    mask = rasterise([Contour(np.round(grid.to_mm(box), decimals), 0.0)], grid)
    assert np.array_equal(mask[0], expected)


@settings(max_examples=20, deadline=None)
@given(stars())
def test_the_area_converges_to_the_polygons(polygon: Points) -> None:
    """Each pixel on the outline is off by half of it at most, and a length h of outline meets at
    most 3 pixels of h.
    """
    length = float(np.linalg.norm(polygon - np.roll(polygon, 1, axis=0), axis=1).sum())
    for step in (1.0, 0.5, 0.25, 0.125, 0.0625):
        size = round(14 / step)
        grid = make_grid((1, size, size), (step, step), origin_mm=(-1.03, -1.01))
        found = rasterise([Contour(polygon, 0.0)], grid).sum() * step**2
        # a corner may meet 3 pixels more
        assert abs(found - area_mm2(polygon)) <= 1.5 * (length + 9 * step) * step


@given(masks_on_grids(), st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_scaled_contours_fill_a_scaled_grid_alike(case: tuple[Mask, Grid], scale: float) -> None:
    """Powers of two, which no rounding disturbs."""
    mask, grid = case
    row_step, column_step = grid.spacing_mm
    large = Grid(
        grid.shape,
        (row_step * scale, column_step * scale),
        grid.slice_z_mm,
        (grid.origin_mm[0] * scale, grid.origin_mm[1] * scale),
    )
    scaled = [Contour(contour.points_mm * scale, contour.z_mm) for contour in trace(mask, grid)]
    assert np.array_equal(rasterise(scaled, large), mask)


def test_contours_that_touch_themselves_or_one_another() -> None:
    """At a corner, along a side walked twice, and along a side that two contours share."""
    grid = make_grid((1, 10, 10), origin_mm=(0.0, 0.0))
    low, high = (
        [[0.5, 0.5], [3.5, 0.5], [3.5, 3.5], [0.5, 3.5]],
        [[3.5, 3.5], [7.5, 3.5], [7.5, 7.5], [3.5, 7.5]],
    )
    beside = [[3.5, 0.5], [7.5, 0.5], [7.5, 3.5], [3.5, 3.5]]
    expected = np.zeros((10, 10), dtype=bool)
    expected[1:4, 1:4] = expected[4:8, 4:8] = True
    eight = [low[2], low[3], low[0], low[1], low[2], high[1], high[2], high[3]]
    assert np.array_equal(rasterise([Contour(np.array(eight), 0.0)], grid)[0], expected)
    # out and back along a line of no width
    slit = [
        *low[:2],
        [3.5, 2.0],
        [6.5, 2.0],
        [3.5, 2.0],
        low[2],
        low[3],
    ]
    assert rasterise([Contour(np.array(slit), 0.0)], grid)[0].sum() == 9
    expected[4:8, 4:8] = False
    expected[1:4, 1:8] = True
    assert np.array_equal(
        rasterise([Contour(np.array(one), 0.0) for one in (low, beside)], grid)[0], expected
    )


def test_planes_thinner_than_the_slices_and_between_them() -> None:
    """Of planes every 0.75 mm, the nearest counts on slices 3 mm apart between them."""
    grid = make_grid((5, 32, 32), z_mm=(0.0, 3.0, 6.0, 9.0, 12.0), origin_mm=(-16.0, -16.0))
    planes_mm = [0.25 + 0.75 * k for k in range(16)]
    cone = [Contour(ellipse((14 - z, 14 - z)), z) for z in planes_mm]
    mask = rasterise(cone, grid)
    for index, z_mm in enumerate(grid.slice_z_mm):
        nearest = min(cone, key=lambda contour: abs(contour.z_mm - z_mm))
        assert np.array_equal(
            mask[index], rasterise([Contour(nearest.points_mm, z_mm)], grid)[index]
        )


@given(st.integers(-7, 7), st.integers(-7, 7))
def test_contours_moved_by_whole_pixels_move_the_mask(down: int, right: int) -> None:
    grid = make_grid((1, 48, 48), spacing_mm=(2.0, 0.75), origin_mm=(-18.0, -48.0))
    bean = turned(ellipse((9.3, 5.1), (1.7, 0.2), corners=90), 31)
    still = rasterise([Contour(bean, 0.0)], grid)
    moved = rasterise([Contour(bean + np.array([right * 0.75, down * 2.0]), 0.0)], grid)
    assert np.array_equal(moved, np.roll(still, (down, right), axis=(1, 2)))


def test_contours_turned_by_a_quarter_turn_the_mask() -> None:
    grid = make_grid((1, 64, 64))
    bean = ellipse((17.3, 6.1), (3.7, -5.2), corners=90)
    still = rasterise([Contour(bean, 0.0)], grid)[0]
    quarter = rasterise([Contour(turned(bean, 90), 0.0)], grid)[0]
    assert np.array_equal(quarter, np.rot90(still, -1))


@pytest.mark.parametrize("degrees", [0, 17, 45, 73])
def test_the_order_and_direction_of_points_do_not_matter(degrees: float) -> None:
    grid = make_grid()
    points = turned(ellipse((11.2, 3.4), corners=50), degrees)
    still = rasterise([Contour(points, 0.0)], grid)
    for same in (points[::-1], np.roll(points, 13, axis=0), np.concatenate([points, points[:1]])):
        assert np.array_equal(rasterise([Contour(same, 0.0)], grid), still)


@given(st.floats(-30, 40), st.floats(-30, 40))
def test_what_lies_outside_the_grid_is_cut_off(x: float, y: float) -> None:
    """A small grid shows a window of what a large one shows."""
    large = make_grid((1, 100, 100), origin_mm=(-45.0, -45.0))
    small = make_grid((1, 10, 12), origin_mm=(0.0, 0.0))
    contour = Contour(ellipse((9.3, 12.1), (x, y), corners=40), 0.0)
    assert np.array_equal(rasterise([contour], small), rasterise([contour], large)[:, 45:55, 45:57])


def test_contours_beyond_the_first_and_last_slice_are_left_out() -> None:
    grid = make_grid((2, 8, 8), z_mm=(0.0, 3.0), origin_mm=(-4.0, -4.0))
    disc = ellipse((2.0, 2.0))
    assert not rasterise([Contour(disc, -1.6), Contour(disc, 4.6)], grid).any()


@pytest.mark.parametrize(("near_mm", "far_mm"), [(5.0, 8.0), (7.0, 4.0), (6.0, 3.1)])
def test_of_several_planes_on_one_slice_the_nearest_counts(near_mm: float, far_mm: float) -> None:
    grid = make_grid((3, 32, 32), z_mm=(0.0, 6.0, 12.0), origin_mm=(-16.0, -16.0))
    near, far = Contour(ellipse((4.0, 4.0)), near_mm), Contour(ellipse((9.0, 9.0)), far_mm)
    mask = rasterise([far, near], grid)
    assert np.array_equal(mask, rasterise([near], grid))
    assert mask.any(axis=(1, 2)).tolist() == [False, True, False]


def test_of_equally_near_planes_the_lower_counts() -> None:
    grid = make_grid((3, 32, 32), z_mm=(0.0, 6.0, 12.0), origin_mm=(-16.0, -16.0))
    lower, upper = Contour(ellipse((4.0, 4.0)), 5.0), Contour(ellipse((9.0, 9.0)), 7.0)
    assert np.array_equal(rasterise([upper, lower], grid), rasterise([lower], grid))


def test_contours_of_one_plane_combine_even_odd() -> None:
    grid = make_grid((1, 64, 64))
    rings = [Contour(ellipse((r, r)), 0.0) for r in (20.0, 12.0, 5.0)]
    outer, hole, island = (rasterise([ring], grid) for ring in rings)
    assert np.array_equal(rasterise(rings, grid), outer & ~hole | island)


@pytest.mark.parametrize("points", [0, 1, 2])
def test_fewer_than_three_points_enclose_nothing(points: int) -> None:
    assert not rasterise([Contour(np.zeros((points, 2)), 0.0)], make_grid()).any()


@pytest.mark.parametrize("radius_mm", [4.0, 6.0, 10.0])
def test_a_ball_drawn_on_a_fine_grid_keeps_its_volume_on_a_coarse_one(radius_mm: float) -> None:
    """From 0.25 mm to 1 mm, within 1 % on average over places.

    One place may be off by more, as whole voxels are.
    """
    rng, half = np.random.default_rng(0), round(radius_mm) + 2
    fine_mm, coarse_mm = (np.arange(-half + step / 2, half, step) for step in (0.25, 1.0))
    fine, coarse = (
        Grid((len(at), len(at), len(at)), (step, step), tuple(at), (at[0], at[0]))
        for at, step in ((fine_mm, 0.25), (coarse_mm, 1.0))
    )
    z, y, x = np.meshgrid(fine_mm, fine_mm, fine_mm, indexing="ij", sparse=True)
    volumes = []
    for middle in rng.uniform(-0.5, 0.5, (60, 3)):
        ball = (x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2 <= radius_mm**2
        volumes.append(np.count_nonzero(rasterise(trace(ball, fine), coarse)))
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.01)


def test_contours_whose_plane_was_written_with_a_jitter_belong_together() -> None:
    grid = Grid((1, 12, 12), (1.0, 1.0), (0.0,), (0.0, 0.0))
    one = np.array([[1.0, 1.0], [4.0, 1.0], [4.0, 4.0], [1.0, 4.0]])
    mask = rasterise([Contour(one, 0.0), Contour(one + 6, 0.01)], grid)
    assert mask[0, 2, 2]
    assert mask[0, 8, 8]
