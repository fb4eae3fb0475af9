"""Two views of a slice, half a stride apart, and the way back to the CT's pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 (the name that PyTorch's users know)

from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask
from recontour.network.body import PointMm
from recontour.network.preprocessing import Preprocessing
from recontour.network.views import Logits, centres_mm_of, unview, unview_softly

PLAIN = Preprocessing(pixel_mm=1.0, crop_px=33, window_hu=(-200.0, 400.0))
HALF_MM = 16  # from a view's centre to the centre of its last pixel


def grid(
    rows: int,
    columns: int,
    spacing: tuple[float, float] = (1.0, 1.0),
    origin: tuple[float, float] = (0.0, 0.0),
) -> Grid:
    return Grid((1, rows, columns), spacing, (0.0,), origin)


def offsets_mm(g: Grid, centre: PointMm) -> tuple[Floats, Floats]:
    """How far each column lies right of a view's centre, and each row below it."""
    _, rows, columns = g.shape
    x = g.origin_mm[0] + g.spacing_mm[1] * np.arange(columns, dtype=np.float64)
    y = g.origin_mm[1] + g.spacing_mm[0] * np.arange(rows, dtype=np.float64)
    return x - centre[0], y - centre[1]


def seen_in(g: Grid, centre: PointMm) -> Mask:
    """The pixels that a view sees."""
    right, down = offsets_mm(g, centre)
    return np.logical_and(abs(right)[None, :] <= HALF_MM, abs(down)[:, None] <= HALF_MM)


def at_the_edge(g: Grid, centre: PointMm) -> Mask:
    """The pixels of which rounding decides whether a view sees them."""
    right, down = offsets_mm(g, centre)
    close_x = abs(abs(right) - HALF_MM) < 1e-4
    close_y = abs(abs(down) - HALF_MM) < 1e-4
    return np.logical_or(close_x[None, :], close_y[:, None])


def by_pytorch(logits: Logits, g: Grid, centre: PointMm) -> Logits:
    """One view's logit at each pixel that it sees, by way of a view of every pixel."""
    right, down = offsets_mm(g, centre)
    across, along = np.broadcast_arrays(right[None, :] / HALF_MM, down[:, None] / HALF_MM)
    every_pixel = F.interpolate(
        torch.from_numpy(logits)[None], (PLAIN.crop_px,) * 2, mode="bilinear", align_corners=True
    )
    places = torch.tensor(np.stack([across, along], axis=-1)[None], dtype=torch.float32)
    found: Logits = F.grid_sample(every_pixel, places, align_corners=True)[0].numpy()
    return found


@given(
    st.floats(0.5, 3.0),
    st.integers(20, 60),
    st.integers(20, 60),
    st.floats(-10, 10),
    st.sampled_from([33, 5]),
    st.sampled_from([1, 2]),
    st.floats(-2, 0.5),
    st.integers(0, 99),
)
@settings(max_examples=100, deadline=None)
def test_unview_is_the_mean_of_what_sees_and_nothing_beyond(
    spacing: float,
    rows: int,
    columns: int,
    shift: float,
    points: int,
    views: int,
    level: float,
    seed: int,
) -> None:
    g = grid(rows, columns, (spacing, 1.1 * spacing), (-spacing * columns / 2, -spacing * rows / 2))
    random = np.random.default_rng(seed)
    logits = random.normal(level, 1.0, (views, 3, points, points)).astype(np.float32)
    logits[:, 1] = -1.0  # a slice on which no view shows anything
    centres = centres_mm_of((shift, 0.0), PLAIN, points, views)
    total = np.zeros((3, rows, columns))
    views_that_see = np.zeros((rows, columns))
    doubtful = np.zeros((3, rows, columns), dtype=bool)
    for of_view, centre in zip(logits, centres, strict=True):
        seen = seen_in(g, centre)
        total += np.where(seen, by_pytorch(of_view, g, centre), 0)
        views_that_see += seen
        doubtful |= at_the_edge(g, centre)
    mean = total / np.maximum(views_that_see, 1)
    # rounding may decide here, and at an edge whether a view sees a pixel at all
    doubtful |= (np.abs(mean) < 1e-4) & (views_that_see > 0)
    assert (doubtful | (unview(list(logits), g, centres, PLAIN) == (mean > 0))).all()


@pytest.mark.parametrize(("points", "stride_mm"), [(5, 8.0), (9, 4.0), (17, 2.0), (33, 1.0)])
def test_the_second_view_lies_half_a_stride_right_and_below(points: int, stride_mm: float) -> None:
    first, second = centres_mm_of((3.0, -7.0), PLAIN, points, views=2)
    assert first == (3.0, -7.0)
    assert second == (3.0 + stride_mm / 2, -7.0 + stride_mm / 2)
    assert centres_mm_of((3.0, -7.0), PLAIN, points, views=1) == [first]


def plane(centre: PointMm, points: int, x_share: float, y_share: float, level: float) -> Logits:
    """Logits of one slice that depend on the place in mm linearly."""
    offsets = np.linspace(-HALF_MM, HALF_MM, points)
    x = centre[0] + offsets
    y = centre[1] + offsets
    logits = x_share * x[None, :] + y_share * y[:, None] - level
    return logits[None].astype(np.float32)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-8, 8), st.sampled_from([5, 9, 33]))
@settings(max_examples=50, deadline=None)
def test_linear_logits_are_the_same_in_both_views_and_their_mean(
    x_share: float, y_share: float, level: float, points: int
) -> None:
    g = grid(50, 45, (0.9, 1.1), (-24.0, -22.0))
    x, y = offsets_mm(g, (0.0, 0.0))
    expected = x_share * x[None, :] + y_share * y[:, None] - level
    centres = centres_mm_of((1.0, -2.0), PLAIN, points, views=2)
    logits = [plane(centre, points, x_share, y_share, level) for centre in centres]
    both = unview(logits, g, centres, PLAIN)[0]
    # float32, sums of a few products of up to 30
    doubtful = np.abs(expected) < 1e-4
    seen_by_any = np.zeros(both.shape, dtype=bool)
    for logits_Nhw, centre in zip(logits, centres, strict=True):
        alone = unview([logits_Nhw], g, [centre], PLAIN)[0]
        seen = seen_in(g, centre)
        doubtful |= at_the_edge(g, centre)
        seen_by_any |= seen
        assert (doubtful | (alone == (seen & (expected > 0)))).all()
    assert (doubtful | (both == (seen_by_any & (expected > 0)))).all()


def test_a_pixel_that_one_view_sees_takes_that_view_s_logit_alone() -> None:
    g = grid(60, 60, origin=(-30.0, -30.0))
    centres = centres_mm_of((0.0, 0.0), PLAIN, 5, views=2)  # the second 4 mm right and below
    yes = np.full((1, 5, 5), 1.0, dtype=np.float32)
    no = np.full((1, 5, 5), -3.0, dtype=np.float32)
    first, second = [seen_in(g, centre) for centre in centres]
    assert (unview([yes, no], g, centres, PLAIN)[0] == (first & ~second)).all()
    assert (unview([no, yes], g, centres, PLAIN)[0] == (second & ~first)).all()
    assert (unview([yes, yes], g, centres, PLAIN)[0] == (first | second)).all()


def test_a_doubtful_view_does_not_outweigh_a_sure_one() -> None:
    g = grid(33, 33, origin=(-16.0, -16.0))
    centres = centres_mm_of((0.0, 0.0), PLAIN, 5, views=2)
    sure = np.full((1, 5, 5), 3.0, dtype=np.float32)
    doubtful = np.full((1, 5, 5), -1.0, dtype=np.float32)
    assert unview([sure, doubtful], g, centres, PLAIN)[0, 4:, 4:].all()
    assert not unview([-sure, -doubtful], g, centres, PLAIN)[0, 4:, 4:].any()


def test_a_ct_of_one_pixel_and_a_ct_beside_the_views() -> None:
    centres = centres_mm_of((0.0, 0.0), PLAIN, 5, views=2)
    yes = np.full((1, 5, 5), 1.0, dtype=np.float32)
    assert unview([yes, yes], grid(1, 1), centres, PLAIN).tolist() == [[[True]]]
    beside = grid(10, 10, origin=(21.0, 0.0))
    assert not unview([yes, yes], beside, centres, PLAIN).any()


def seen_once(*p: float) -> tuple[Mask, float]:
    """What comes of one view with these probabilities in its middle row, and 0 elsewhere.

    The CT's pixels are the points of the view.
    """
    points = np.full((1, 5, 5), -80, dtype=np.float32)
    points[0, 2, : len(p)] = np.log(np.array(p) / (1 - np.array(p)))
    g = Grid((1, 5, 5), (8.0, 8.0), (0.0,), (-16.0, -16.0))
    return unview_softly([points], g, [(0.0, 0.0)], PLAIN)


def test_soft_dice_by_hand() -> None:
    """Inside: 0.8 and 0.6; expected: 0.8 + 0.6 + 0.4 = 1.8."""
    mask, soft_dice = seen_once(0.8, 0.6, 0.4)
    assert np.count_nonzero(mask) == 2
    assert soft_dice == pytest.approx(2 * 1.4 / (1.8 + 2), abs=1e-6)


def test_the_less_decided_the_lower() -> None:
    decided, doubtful = seen_once(0.99, 0.01), seen_once(0.6, 0.4)
    assert decided[1] > doubtful[1]
    assert np.array_equal(decided[0], doubtful[0])


def test_nothing_decided_has_a_soft_dice_of_0() -> None:
    mask, soft_dice = seen_once(0.4, 0.3)
    assert not mask.any()
    assert soft_dice == 0


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
def test_the_soft_way_back_gives_the_same_pixels(seed: int, views: int) -> None:
    rng = np.random.default_rng(seed)
    points = [rng.normal(0, 3, (2, 5, 5)).astype(np.float32) for _ in range(views)]
    g = Grid((2, 40, 40), (1.0, 0.9), (0.0, 3.0), (-20.0, -18.0))
    centres = [(0.0, 0.0), (4.0, 4.0)][:views]
    mask, soft_dice = unview_softly(points, g, centres, PLAIN)
    assert mask.tobytes() == unview(points, g, centres, PLAIN).tobytes()
    assert 0 <= soft_dice <= 1
