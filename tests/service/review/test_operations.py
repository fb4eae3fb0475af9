"""Strokes, with areas that are known by hand."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from recontour.geometry import Contour, Grid, rasterise
from recontour.service.review.operations import (
    QUARTER,
    between,
    changed,
    mask_of,
    operations,
    traced_rings,
)
from recontour.service.review.planes import (
    LEAST_PIXELS,
    STEP_MM,
    Rings,
    area_of,
    contours_of,
    rings_of,
    slices_of,
)

GRID = Grid((7, 64, 64), (1.0, 1.0), tuple(2.0 * index for index in range(7)), (-32.0, -32.0))
SQUARE: Rings = [[[10.0, -10.0], [-10.0, -10.0], [-10.0, 10.0], [10.0, 10.0]]]
# a circle's polygon of so many edges holds so much of its area
SHARE = math.sin(math.pi / (2 * QUARTER)) / (math.pi / (2 * QUARTER))


def do(slices: dict[int, Rings], **operation: Any) -> dict[int, Rings]:
    """Return all slices after an operation."""
    after = changed(operations.validate_python(operation), slices, GRID)
    return {index: rings for index, rings in (slices | after).items() if rings}


def brush(slices: dict[int, Rings], *, add: bool, **more: Any) -> dict[int, Rings]:
    given = {"slice": 3, "path_mm": [[0.0, 0.0]], "radius_mm": 5.0} | more
    return do(slices, kind="brush", add=add, **given)


def area(slices: dict[int, Rings], index: int = 3) -> float:
    return float(area_of(slices.get(index, [])).area)


def slack_mm2(slices: dict[int, Rings], index: int = 3) -> float:
    """By how much rounding may change an area: the perimeter, half a step wide."""
    return float(area_of(slices[index]).length) * STEP_MM + 1e-9


def are_valid(rings: Rings) -> bool:
    outlines = [shapely.Polygon(ring) for ring in rings]
    crossings = [one.overlaps(other) for one, other in pairwise(outlines)]
    areas = [outline.area for outline in outlines]
    is_large = not areas or min(areas) >= LEAST_PIXELS * GRID.pixel_mm2
    return all(one.is_valid for one in outlines) and not any(crossings) and is_large


def test_a_dab_is_a_disc_and_a_stroke_a_stadium() -> None:
    dab = brush({}, add=True)
    assert area(dab) == pytest.approx(math.pi * 25 * SHARE, abs=slack_mm2(dab))
    line = brush({}, add=True, path_mm=[[0.0, 0.0], [12.0, 0.0]])
    stadium = 12 * 10 + math.pi * 25 * SHARE
    assert area(line) == pytest.approx(stadium, abs=slack_mm2(line))


def test_the_eraser_cuts_a_hole_and_the_hole_is_kept_even_odd() -> None:
    with_hole = brush({3: SQUARE}, add=False)
    assert len(with_hole[3]) == 2
    hole = math.pi * 25 * SHARE
    assert area(with_hole) == pytest.approx(400 - hole, abs=slack_mm2(with_hole))
    assert area(brush(with_hole, add=True)) == pytest.approx(400, abs=slack_mm2(with_hole))


def test_a_ball_s_discs_follow_from_each_slice_s_height() -> None:
    ball = brush({}, add=True, reach=6)
    assert sorted(ball) == [1, 2, 3, 4, 5]  # 4 mm away there is a disc, 6 mm away none
    for index in ball:
        away_mm = GRID.slice_z_mm[index] - GRID.slice_z_mm[3]
        disc = math.pi * (25 - away_mm**2) * SHARE
        assert area(ball, index) == pytest.approx(disc, abs=slack_mm2(ball, index))
    assert sorted(brush({}, add=True, reach=1)) == [2, 3, 4]


def test_a_line_by_hand_adds_what_it_goes_around_and_takes_it_away() -> None:
    corners = [[0.0, 0.0], [20.0, 0.0], [20.0, 5.0], [0.0, 5.0]]
    added = do({3: SQUARE}, kind="polygon", add=True, slice=3, points_mm=corners)
    assert area(added) == pytest.approx(400 + 50)
    assert area(do({3: SQUARE}, kind="polygon", add=False, slice=3, points_mm=corners)) == 350
    crossed = [[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0]]
    assert area(do({}, kind="polygon", add=True, slice=3, points_mm=crossed)) == pytest.approx(2)


def test_a_stroke_that_touches_nothing_changes_nothing() -> None:
    inside = {"slice": 3, "path_mm": [[0.0, 0.0]], "radius_mm": 2.0}
    assert changed(operations.validate_python({"kind": "brush", "add": True, **inside}),
                   {3: SQUARE}, GRID) == {}  # fmt: skip
    outside = {"slice": 3, "path_mm": [[30.0, 0.0]], "radius_mm": 2.0}
    assert changed(operations.validate_python({"kind": "brush", "add": False, **outside}),
                   {3: SQUARE}, GRID) == {}  # fmt: skip
    assert brush({3: SQUARE}, add=True, slice=70) == {3: SQUARE}


def test_a_stroke_leaves_the_other_points_where_they_are() -> None:
    jagged = [[[9.1234, 0.0001], [5.5, -9.9999], [-8.1, -3.3333], [-7.7, 8.8888], [2.2, 9.1]]]
    after = brush({3: jagged}, add=True, path_mm=[[12.0, 0.0]], radius_mm=4.0)
    untouched = [point for point in jagged[0] if point[0] < 5]
    assert all(point in after[3][0] for point in untouched)


def test_deleting_here_above_and_below() -> None:
    all_slices = dict.fromkeys(range(1, 6), SQUARE)
    for where, left in (("here", [1, 2, 4, 5]), ("above", [1, 2]), ("below", [4, 5])):
        assert sorted(do(all_slices, kind="delete", slice=3, where=where)) == left


def test_copying_takes_another_layer_s_slices() -> None:
    other = {2: SQUARE, 4: SQUARE}
    copy = operations.validate_python({"kind": "copy", "layer": "draft-1", "slices": None})
    assert changed(copy, {3: SQUARE}, GRID, other) == {2: SQUARE, 3: [], 4: SQUARE}
    some = operations.validate_python({"kind": "copy", "layer": "draft-1", "slices": [4, 4, 5]})
    assert changed(some, {3: SQUARE}, GRID, other) == {4: SQUARE}


def test_half_way_between_two_squares_lies_a_square_half_as_far() -> None:
    small: Rings = [[[4.5, -4.5], [-4.5, -4.5], [-4.5, 4.5], [4.5, 4.5]]]
    large: Rings = [[[12.5, -12.5], [-12.5, -12.5], [-12.5, 12.5], [12.5, 12.5]]]
    found = between({1: small, 5: large}, 5, 1, GRID)
    assert sorted(found) == [2, 3, 4]
    widths = [int(mask_of(found[index], GRID)[32].sum()) for index in (2, 3, 4)]
    assert widths == [13, 17, 21]  # of 9 and 25 pixels
    same = between({1: small, 5: small}, 1, 5, GRID)
    assert (mask_of(same[3], GRID) == mask_of(small, GRID)).all()
    assert between({1: small}, 1, 5, GRID) == {}


def test_slivers_are_left_out() -> None:
    thin = shapely.box(0, 0, 0.099, 0.1)  # just below a hundredth of a pixel
    wide = shapely.box(0, 0, 0.101, 0.1)
    assert rings_of(thin, GRID) == []
    assert len(rings_of(wide, GRID)) == 1
    with_tiny_hole = shapely.box(-5, -5, 5, 5).difference(shapely.box(0, 0, 0.09, 0.1))
    assert len(rings_of(with_tiny_hole, GRID)) == 1


def test_traced_rings_give_the_mask_back() -> None:
    rng = np.random.default_rng(5)
    mask = rng.uniform(size=(64, 64)) < 0.5
    assert (mask_of(traced_rings(mask, GRID), GRID) == mask).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "brush", "add": True, "slice": 1, "path_mm": [], "radius_mm": 3},
        {"kind": "brush", "add": True, "slice": 1, "path_mm": [[0, 0]], "radius_mm": 0},
        {"kind": "brush", "add": True, "slice": -1, "path_mm": [[0, 0]], "radius_mm": 3},
        {"kind": "brush", "add": True, "slice": 1, "path_mm": [[0, float("nan")]], "radius_mm": 3},
        {"kind": "brush", "add": True, "slice": 1, "path_mm": [[0, 1e9]], "radius_mm": 3},
        {"kind": "polygon", "add": True, "slice": 1, "points_mm": [[0, 0], [1, 1]]},
        {"kind": "nudge", "slice": 1, "by_mm": [1, 2], "far": True},
        {"kind": "delete", "slice": 1, "where": "everywhere"},
        {"kind": "melt", "slice": 1},
        {"slice": 1},
    ],
)
def test_what_no_page_sends_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        operations.validate_python(wrong)


coordinate = st.floats(-14, 14).map(lambda value: round(value, 4))
point = st.tuples(coordinate, coordinate)
path = st.lists(point, min_size=1, max_size=5)
radius = st.floats(0.5, 8).map(lambda value: round(value, 3))


def some_contours(draw_path: list[tuple[float, float]], radius_mm: float) -> dict[int, Rings]:
    """Return a stroke on a square, with whatever holes it leaves."""
    return brush({3: SQUARE}, add=False, path_mm=draw_path, radius_mm=radius_mm)


@settings(max_examples=40)
@given(path, radius, path, radius)
def test_strokes_give_valid_rings_and_undo_one_another(
    first: list[tuple[float, float]],
    first_mm: float,
    second: list[tuple[float, float]],
    second_mm: float,
) -> None:
    before = some_contours(first, first_mm)
    stroke: dict[str, Any] = {"path_mm": second, "radius_mm": second_mm}
    added = brush(before, add=True, **stroke)
    twice = brush(added, add=True, **stroke)
    erased = brush(added, add=False, **stroke)
    only_erased = brush(before, add=False, **stroke)
    for slices in (before, added, twice, erased):
        assert are_valid(slices.get(3, []))
    # Each of three roundings moves an outline by a step at most, and slivers may go.
    length = area_of(added[3]).length + shapely.LineString([(0, 0), *second]).length
    slack = 3 * STEP_MM * (length + 2 * math.pi * second_mm) + 4 * LEAST_PIXELS
    union_twice = area_of(twice[3]).symmetric_difference(area_of(added[3])).area
    assert union_twice <= slack
    left = area_of(erased.get(3, [])).symmetric_difference(area_of(only_erased.get(3, []))).area
    assert left <= slack


@settings(max_examples=40)
@given(path, radius, point)
def test_a_nudge_and_back_is_the_identity(
    drawn: list[tuple[float, float]], radius_mm: float, by_mm: tuple[float, float]
) -> None:
    before = some_contours(drawn, radius_mm)
    there = do(before, kind="nudge", slice=None, by_mm=by_mm)
    x_mm, y_mm = by_mm
    assert do(there, kind="nudge", slice=3, by_mm=(-x_mm, -y_mm)) == before


@settings(max_examples=60)
@given(path, radius)
def test_what_is_written_encloses_the_voxels_that_the_page_shows(
    drawn: list[tuple[float, float]], radius_mm: float
) -> None:
    rings = some_contours(drawn, radius_mm).get(3, [])
    z_mm = GRID.slice_z_mm[3]
    shown = rasterise([Contour(np.array(ring), z_mm) for ring in rings], GRID)
    written = contours_of(rings, z_mm)
    assert (rasterise(written, GRID) == shown).all()
    again = slices_of(written, GRID).get(3, [])
    assert area_of(again).equals(area_of(rings))
