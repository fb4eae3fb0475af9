import warnings
from collections.abc import Sequence
from itertools import pairwise
from math import hypot, inf, nan

import numpy as np
import pytest
import surface_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.spatial import cKDTree
from tests.evaluation.conftest import box, ellipsoid, make_grid

from recontour.errors import GridMismatchError
from recontour.evaluation import (
    Scores,
    apl_mm,
    dice,
    hd95_mm,
    msd_mm,
    score,
    surface_dice,
    volume_bias_percent,
)
from recontour.evaluation.metrics import ROUND_OFF_MM
from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask

SHAPE = (12, 16, 16)
CUBE = box(SHAPE, (2, 3, 3), (8, 8, 8))
GRID = make_grid(SHAPE)
NOTHING = np.zeros(SHAPE, dtype=bool)


def millimetres(low: float, high: float) -> st.SearchStrategy[float]:
    """Whole 1024ths of a mm: their sums and differences do not round."""
    return st.integers(round(low * 1024), round(high * 1024)).map(lambda parts: parts / 1024)


@st.composite
def masks_on_grids(draw: st.DrawFn) -> tuple[Mask, Mask, Grid]:
    """Two masks that are not empty, on any grid."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)))
    steps = draw(st.lists(millimetres(0.5, 6), min_size=shape[0], max_size=shape[0]))
    spacing = draw(st.tuples(millimetres(0.4, 3), millimetres(0.4, 3)))
    masks = arrays(np.bool_, shape).filter(np.any)
    return draw(masks), draw(masks), make_grid(shape, spacing, [float(z) for z in np.cumsum(steps)])


def test_a_cube_against_itself_is_perfect() -> None:
    assert score(CUBE, CUBE, GRID, 0.0) == Scores(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shifted_cube_is_as_computed_by_hand(axis: int) -> None:
    shifted = np.roll(CUBE, 1, axis=axis)
    scores = score(CUBE, shifted, GRID, tolerance_mm=0.9)
    assert scores.dsc == pytest.approx(2 * 7 * 64 / (2 * 512))
    # Each cube has 6 x 64 faces. Off the other's surface lie: its outer end, 64 faces by 1 mm; its
    # inner end, by 1 mm but for the 28 along the edges, sqrt(1/2) mm from the other's sides; the 4
    # x 8 side faces next to its outer end, sqrt(1/2) mm from the other's end.
    assert scores.surface_dsc == pytest.approx(1 - 2 * (64 + 64 - 28) / (2 * 384))
    assert scores.hd95_mm == pytest.approx(1.0)
    # The 64 by 1 mm at one end, 36 at the other and 28 along its edges, and 32 side faces; both
    # ways alike.
    assert scores.msd_mm == pytest.approx((64 + 36 + (28 + 32) * np.sqrt(0.5)) / 384)
    assert scores.volume_bias_percent == 0


def test_the_tolerance_includes_the_distance_itself() -> None:
    """Three pixels of 0.97 mm are 2.91 mm, in spite of the round-off of their positions."""
    grid = make_grid((1, 9, 9), (0.97, 0.97))
    plane, shifted = box((1, 9, 9), (0, 0, 0), (1, 4, 9)), box((1, 9, 9), (0, 0, 0), (1, 7, 9))
    assert surface_dice(plane, shifted, grid, 2.91) == 1
    assert surface_dice(plane, shifted, grid, 2.90) < 1


def test_a_slab_that_is_too_thick() -> None:
    """2 mm against 4 mm of 60 x 60 mm, lower faces shared."""
    shape = (12, 60, 60)
    grid = make_grid(shape)
    thin, thick = box(shape, (4, 0, 0), (2, 60, 60)), box(shape, (4, 0, 0), (4, 60, 60))
    assert hd95_mm(thin, thick, grid) == 2
    assert volume_bias_percent(thin, thick, grid) == 100
    assert volume_bias_percent(thick, thin, grid) == -50
    # beyond 1 mm: the thin one's upper face but for the 4 x 59 along its edge, which the thick
    # one's rim passes; all of the thick one's upper face; the upper of its four layers of rim
    beyond = (3600 - 236) + 3600 + 240
    assert surface_dice(thin, thick, grid, 1.0) == pytest.approx(
        1 - beyond / (4 * 3600 + (2 + 4) * 240)
    )


def test_slices_count_as_much_as_they_stand_for() -> None:
    """Planes at 0, 2 and 8 mm stand for 2, 4 and 6 mm."""
    shape = (3, 20, 20)
    grid = make_grid(shape, z_mm=(0.0, 2.0, 8.0))
    first, last, whole = (
        box(shape, (k, 0, 0), (size, 20, 20)) for k, size in ((0, 1), (2, 1), (0, 3))
    )
    assert volume_bias_percent(first, last, grid) == pytest.approx(200)
    assert dice(first, whole, grid) == pytest.approx(2 * 2 / (2 + 12))
    assert hd95_mm(first, whole, grid) == 10  # from the uppermost face, z = 11 mm, to z = 1 mm


def test_the_border_of_the_scan_is_a_surface() -> None:
    """An organ ends at the last slice, so a prediction that stops one slice short is 1 mm off."""
    shape = (4, 20, 20)
    whole, short = np.ones(shape, dtype=bool), box(shape, (0, 0, 0), (3, 20, 20))
    assert hd95_mm(whole, short, make_grid(shape)) == 1


@pytest.mark.parametrize(
    ("reference", "predicted", "expected"),
    [
        (NOTHING, NOTHING, Scores(nan, nan, 2.0, nan, nan, nan, nan, nan, nan)),
        (CUBE, NOTHING, Scores(0.0, 0.0, 2.0, inf, -100.0, inf, 8 * 28.0, 0.0, 0.0)),
        (NOTHING, CUBE, Scores(0.0, 0.0, 2.0, inf, inf, inf, 0.0, 0.0, 0.0)),
    ],
)
def test_empty_masks_follow_the_stated_rule(
    reference: Mask, predicted: Mask, expected: Scores
) -> None:
    scores = score(reference, predicted, GRID, 2.0)
    for name in Scores.__dataclass_fields__:
        assert getattr(scores, name) == pytest.approx(getattr(expected, name), nan_ok=True), name


def test_each_measure_by_itself_equals_score() -> None:
    other = box(SHAPE, (3, 2, 4), (7, 9, 6))
    assert score(CUBE, other, GRID, 1.5) == Scores(
        dice(CUBE, other, GRID),
        surface_dice(CUBE, other, GRID, 1.5),
        1.5,
        hd95_mm(CUBE, other, GRID),
        volume_bias_percent(CUBE, other, GRID),
        msd_mm(CUBE, other, GRID),
        apl_mm(CUBE, other, GRID, 1.5),
        surface_dice(CUBE, other, GRID, 1.0),
        surface_dice(CUBE, other, GRID, 2.0),
    )


def test_an_end_that_is_a_slice_off_shows_at_1_mm_and_hides_at_2_mm() -> None:
    """8 x 8 pixels of 1 mm, six slices of 1.5 mm against five."""
    shape = (8, 12, 12)
    grid = make_grid(shape, z_mm=[1.5 * k for k in range(8)])
    whole, short = box(shape, (1, 2, 2), (6, 8, 8)), box(shape, (1, 2, 2), (5, 8, 8))
    scores = score(whole, short, grid, tolerance_mm=2.5)
    # By 1.5 mm: the whole one's upper face, and the short one's but for the 28 along its edge,
    # which the whole one's rim passes.
    beyond = 64 + 36
    assert scores.surface_dsc_1mm == pytest.approx(1 - beyond / (4 * 64 + 32 * (9 + 7.5)))
    assert scores.surface_dsc_2mm == scores.surface_dsc == 1


@pytest.mark.parametrize("wrong", ["reference", "predicted"])
def test_a_mask_of_another_grid_is_refused(wrong: str) -> None:
    masks = {"reference": CUBE, "predicted": CUBE} | {wrong: CUBE[:5]}
    with pytest.raises(GridMismatchError, match=rf"the {wrong} mask has shape \(5, 16, 16\)"):
        score(masks["reference"], masks["predicted"], GRID, 1.0)


@given(masks_on_grids())
def test_a_mask_against_itself_is_perfect(case: tuple[Mask, Mask, Grid]) -> None:
    mask, _, grid = case
    assert score(mask, mask, grid, 0.0) == Scores(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)


@given(masks_on_grids(), st.floats(0, 5))
def test_overlap_and_distance_are_symmetric(
    case: tuple[Mask, Mask, Grid], tolerance_mm: float
) -> None:
    a, b, grid = case
    there, back = score(a, b, grid, tolerance_mm), score(b, a, grid, tolerance_mm)
    assert there.dsc == pytest.approx(back.dsc)
    assert there.surface_dsc == pytest.approx(back.surface_dsc)
    assert there.hd95_mm == back.hd95_mm
    assert 0 <= there.dsc <= 1
    assert 0 <= there.surface_dsc <= 1


@given(masks_on_grids(), st.integers(0, 3), st.integers(0, 3))
def test_moving_both_masks_changes_nothing(
    case: tuple[Mask, Mask, Grid], down: int, right: int
) -> None:
    a, b, grid = case
    moved = [np.pad(mask, ((0, 0), (down, 1), (right, 2))) for mask in (a, b)]
    z_mm = [z + 100.0 for z in grid.slice_z_mm]
    elsewhere = make_grid(
        (moved[0].shape[0], moved[0].shape[1], moved[0].shape[2]), grid.spacing_mm, z_mm
    )
    assert score(moved[0], moved[1], elsewhere, 1.7) == score(a, b, grid, 1.7)


@given(masks_on_grids())
def test_a_wider_tolerance_never_lowers_the_surface_dsc(case: tuple[Mask, Mask, Grid]) -> None:
    a, b, grid = case
    shares = [
        surface_dice(a, b, grid, tolerance_mm) for tolerance_mm in (0.0, 0.5, 1.0, 2.0, 4.0, 100.0)
    ]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("pixel_mm", [1.0, 2.0])
def test_the_added_path_of_a_shifted_square_is_as_counted_by_hand(pixel_mm: float) -> None:
    """Of the 12 contour pixels of a 4 x 4 square, 6 stay when it moves right by one."""
    grid = make_grid((2, 6, 7), (pixel_mm, pixel_mm))
    square, shifted = box(grid.shape, (0, 1, 1), (2, 4, 4)), box(grid.shape, (0, 1, 2), (2, 4, 4))
    assert apl_mm(square, shifted, grid, 0.0) == 2 * 6 * pixel_mm
    assert apl_mm(square, shifted, grid, pixel_mm) == 0
    shifted[1] = False  # a slice that lacks: its whole contour
    assert apl_mm(square, shifted, grid, 0.0) == (6 + 12) * pixel_mm
    assert apl_mm(square, shifted, grid, pixel_mm) == 12 * pixel_mm
    # what is too much is erased, not added
    assert apl_mm(shifted, square, grid, 0.0) == 6 * pixel_mm


@given(masks_on_grids())
@settings(max_examples=50)
def test_the_added_path_equals_a_brute_force_count(case: tuple[Mask, Mask, Grid]) -> None:
    a, b, grid = case
    contour_a, contour_b = (_contour_by_hand(mask) for mask in (a, b))
    row_mm, column_mm = grid.spacing_mm
    far = sum(
        all(
            hypot((i - m) * row_mm, (j - n) * column_mm) > 1.7 + ROUND_OFF_MM
            for h, m, n in contour_b
            if h == k
        )
        for k, i, j in contour_a
    )
    assert apl_mm(a, b, grid, 1.7) == pytest.approx(far * np.sqrt(row_mm * column_mm))


def _contour_by_hand(mask: Mask) -> list[tuple[int, int, int]]:
    """The (slice, row, column) of each pixel inside that has a side on the outside."""
    inside = {(int(k), int(i), int(j)) for k, i, j in np.argwhere(mask)}
    return [
        (k, i, j)
        for k, i, j in inside
        if not {(k, i - 1, j), (k, i + 1, j), (k, i, j - 1), (k, i, j + 1)} <= inside
    ]


@given(masks_on_grids())
@settings(max_examples=50)
def test_distances_equal_a_brute_force_search(case: tuple[Mask, Mask, Grid]) -> None:
    """Every voxel's six sides, one at a time, and every distance between two of them."""
    a, b, grid = case
    (at_a, area_a), (at_b, area_b) = (_faces_by_hand(mask, grid) for mask in (a, b))
    distance = np.linalg.norm(at_a[:, None] - at_b[None], axis=2)
    a_to_b, b_to_a = distance.min(axis=1), distance.min(axis=0)
    within = 1.7 + ROUND_OFF_MM  # two ways to compute a distance may fall on either side of 1.7
    near = area_a[a_to_b <= within].sum() + area_b[b_to_a <= within].sum()
    assert surface_dice(a, b, grid, 1.7) == pytest.approx(near / (area_a.sum() + area_b.sum()))
    total = (a_to_b * area_a).sum() + (b_to_a * area_b).sum()
    assert msd_mm(a, b, grid) == pytest.approx(total / (area_a.sum() + area_b.sum()))
    # no more than 5 % of either area lies beyond the HD95, and it is the distance of one face
    found = hd95_mm(a, b, grid)
    for distances, areas in ((a_to_b, area_a), (b_to_a, area_b)):
        assert areas[distances > found + 1e-9].sum() <= 0.05 * areas.sum() * (1 + 1e-9)
    assert np.abs(np.concatenate([a_to_b, b_to_a]) - found).min() < 1e-9


def _faces_by_hand(mask: Mask, grid: Grid) -> tuple[Floats, Floats]:
    """The centres (n, 3) and areas (n,) of a mask's faces, voxel by voxel."""
    z, thickness = grid.slice_z_mm, grid.slice_thickness_mm
    low = [z[0] - thickness[0] / 2] + [(a + b) / 2 for a, b in pairwise(z)]
    high = [*low[1:], z[-1] + thickness[-1] / 2]
    row_mm, col_mm = grid.spacing_mm
    centres, areas = [], []
    for k, i, j in np.argwhere(mask):
        size = np.array([high[k] - low[k], row_mm, col_mm])
        middle = np.array([(low[k] + high[k]) / 2, i * row_mm, j * col_mm])
        for axis in range(3):
            for side in (-1, 1):
                neighbour = np.array([k, i, j])
                neighbour[axis] += side
                within = bool(np.all(neighbour >= 0) and np.all(neighbour < mask.shape))
                if within and mask[tuple(neighbour)]:
                    continue
                step = np.zeros(3)
                step[axis] = side * size[axis] / 2
                centres.append(middle + step)
                areas.append(size.prod() / size[axis])
    return np.array(centres), np.array(areas)


def border_voxels_hd95_mm(reference: Mask, predicted: Mask) -> float:
    """Return MedPy's reading on voxels of 1 mm.

    All border voxels count alike, and both directions share one percentile.
    """
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (reference, predicted)]
    far = [ndimage.distance_transform_edt(~border) for border in borders]
    return float(np.percentile(np.concatenate([far[1][borders[0]], far[0][borders[1]]]), 95))


@pytest.mark.parametrize(
    ("side", "ours", "patches", "voxels"),
    [
        # 6 of 60 faces are the lone voxel's, 1.7 of 39 mm2 of patches, 1 of 53 border voxels
        (
            3,
            9.0,
            0.0,
            0.0,
        ),
        (4, 9.0, 0.0, 0.0),  # 6 of 102 faces
        (5, 0.0, 0.0, 0.0),  # 6 of 156: less than 5 %
    ],
)
def test_three_readings_of_a_lone_voxel_far_from_a_small_organ(
    side: int, ours: float, patches: float, voxels: float
) -> None:
    """A lone voxel counts with its six faces; other tools give it less, and do not see it (decision
    036).

    From the lone voxel's near face to the organ's are 9 mm; the other five are at most half a voxel
    further.
    """
    grid = make_grid((9, 9, 24))
    reference = box(grid.shape, (2, 2, 2), (side,) * 3)
    predicted = reference | box(grid.shape, (2, 2, 1 + side + 10), (1, 1, 1))
    assert ours <= hd95_mm(reference, predicted, grid) <= ours + 1
    theirs = surface_distance.compute_robust_hausdorff(deepmind(reference, predicted, grid), 95)
    assert theirs == patches
    assert border_voxels_hd95_mm(reference, predicted) == voxels


@pytest.mark.parametrize("slice_mm", [1.0, 3.0])
@pytest.mark.parametrize(
    ("shift_mm", "growth"), [((0, 0, 0), 1.15), ((0, 2, 3), 1.0), ((3, -1, 2), 0.9)]
)
class TestTwoEllipsoids:
    """Smooth bodies whose true distances are known, and which DeepMind's package measures too."""

    @staticmethod
    def measured(
        slice_mm: float, shift_mm: Sequence[float], growth: float
    ) -> tuple[Mask, Mask, Grid]:
        grid = make_grid((60, 50, 50), (1.0, 1.0), [slice_mm * k for k in range(60)])
        (centre, radii), (moved, grown) = ellipsoids(slice_mm, shift_mm, growth)
        return ellipsoid(grid, centre, radii), ellipsoid(grid, moved, grown), grid

    def test_hd95_is_the_bodies_own(
        self, slice_mm: float, shift_mm: Sequence[float], growth: float
    ) -> None:
        """A voxel's centre decides whether it is inside, so no face strays further than half a
        voxel's diagonal.

        That happens on both surfaces: a whole diagonal. Weights move the percentile far less than
            that leaves.
        """
        body, other = ellipsoids(slice_mm, shift_mm, growth)
        there, back = true_distances(body, other), true_distances(other, body)
        true = max(
            np.percentile(distances, 95, weights=areas, method="inverted_cdf")
            for distances, areas in (there, back)
        )
        reference, predicted, grid = self.measured(slice_mm, shift_mm, growth)
        assert abs(hd95_mm(reference, predicted, grid) - true) <= np.sqrt(slice_mm**2 + 1 + 1)

    def test_no_further_from_the_truth_than_surface_distance(
        self, slice_mm: float, shift_mm: Sequence[float], growth: float
    ) -> None:
        """There, surfaces half a voxel apart share corners, and count as one."""
        body, other = ellipsoids(slice_mm, shift_mm, growth)
        distances, areas = np.concatenate(
            [true_distances(body, other), true_distances(other, body)], axis=1
        )
        reference, predicted, grid = self.measured(slice_mm, shift_mm, growth)
        theirs = deepmind(reference, predicted, grid)
        for tolerance_mm in (1.0, 2.0):
            true = areas[distances <= tolerance_mm].sum() / areas.sum()
            ours = surface_dice(reference, predicted, grid, tolerance_mm)
            their = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance_mm)
            assert abs(ours - true) <= abs(their - true)

    def test_hd95_agrees_with_surface_distance(
        self, slice_mm: float, shift_mm: Sequence[float], growth: float
    ) -> None:
        """Face centres and the corners there lie within half a face's diagonal of one another, on
        both surfaces.
        """
        reference, predicted, grid = self.measured(slice_mm, shift_mm, growth)
        their = surface_distance.compute_robust_hausdorff(deepmind(reference, predicted, grid), 95)
        assert abs(hd95_mm(reference, predicted, grid) - their) <= np.hypot(slice_mm, 1.0)


Body = tuple[Floats, Floats]  # centre and radii, mm: z, y, x


def ellipsoids(slice_mm: float, shift_mm: Sequence[float], growth: float) -> tuple[Body, Body]:
    """A body the size of a parotid in the middle of the grid, and another moved and grown."""
    centre, radii = np.array([30 * slice_mm, 25.0, 25.0]), np.array([18.0, 14.0, 10.0])
    return (centre, radii), (centre + shift_mm, radii * growth)


def on_surface(body: Body, steps: int = 80) -> tuple[Floats, Floats]:
    """Points of an ellipsoid's surface (n, 3) and the area each stands for (n,)."""
    polar, around = np.meshgrid(
        (np.arange(steps) + 0.5) / steps * np.pi, np.arange(2 * steps) / steps * np.pi
    )
    sphere = np.stack(
        [np.cos(polar), np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)], axis=-1
    )
    centre, radii = body
    # times a constant: det(A) |A^-1 n| dA
    areas = np.sin(polar) * np.linalg.norm(sphere / radii, axis=-1)
    return (sphere * radii + centre).reshape(-1, 3), areas.ravel() * radii.prod()


def true_distances(body: Body, other: Body) -> tuple[Floats, Floats]:
    """How far each point of a body's surface lies from the other's, and the area it stands for."""
    points, areas = on_surface(body)
    distances, _ = cKDTree(on_surface(other)[0]).query(points)
    return np.asarray(distances), areas


def deepmind(reference: Mask, predicted: Mask, grid: Grid) -> dict[str, Floats]:
    """surface-distance's distances; that package still asks scipy for its old namespaces."""
    slice_mm = grid.slice_z_mm[1] - grid.slice_z_mm[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found: dict[str, Floats] = surface_distance.compute_surface_distances(
            reference, predicted, (slice_mm, *grid.spacing_mm)
        )
    return found
