from dataclasses import replace

import numpy as np
import pytest
import torch

from recontour.cohort import Cohort
from recontour.network import Preprocessing
from recontour.training.batches import Batches, SliceView, draw_view
from recontour.training.presets import PRESETS
from recontour.training.recipe import Augmentation, Recipe

RECIPE = replace(PRESETS["compact"].train, iterations=20, batch=4)
STILL = replace(RECIPE, augmentation=Augmentation(degrees=0.0))
PREPROCESSING = Preprocessing(pixel_mm=4.0, crop_px=41, window_hu=(-200.0, 400.0))
ORGANS = ("Lens_L", "Brainstem")


def test_a_batch_is_a_function_of_seed_and_iteration(north: Cohort) -> None:
    one, other = (Batches(list(north), ORGANS, PREPROCESSING, RECIPE, seed=3) for _ in range(2))
    later = [other[7] for _ in range(2)]  # asked in another order, and twice
    for batch in later:
        assert all(torch.equal(a, b) for a, b in zip(one[7], batch, strict=True))
    assert not torch.equal(one[7].ct_NSHW, one[8].ct_NSHW)
    reseeded = Batches(list(north), ORGANS, PREPROCESSING, RECIPE, seed=4)
    assert not torch.equal(one[7].ct_NSHW, reseeded[7].ct_NSHW)


def test_processes_that_train_together_see_different_batches(north: Cohort) -> None:
    one, other = (Batches(list(north), ORGANS, PREPROCESSING, RECIPE, seed=3) for _ in range(2))
    other.rank = 1
    assert not torch.equal(one[0].ct_NSHW, other[0].ct_NSHW)


def test_an_organ_without_contours_is_unknown_not_background(north: Cohort) -> None:
    lensless = next(case for case in north if "Lens_L" not in case.organs)
    batch = Batches([lensless], ORGANS, PREPROCESSING, replace(STILL, organ_share=0.0), seed=0)[0]
    assert batch.known_NK.tolist() == [[False, True]] * 4


def test_masks_lie_where_the_organ_looks_bright(north: Cohort) -> None:
    batches = Batches(list(north), ORGANS, PREPROCESSING, replace(RECIPE, organ_share=1.0), seed=0)
    for iteration in range(5):
        batch = batches[iteration]
        for k, ct in enumerate(batch.ct_NSHW[:, 0]):
            stem = batch.organs_NKHW[k, 1]
            if stem.sum() > 20:
                assert ct[stem].mean() > ct[~stem].mean() + 0.3


def test_every_organ_gets_its_share_of_slices(north: Cohort) -> None:
    batches = Batches(list(north), ORGANS, PREPROCESSING, replace(STILL, organ_share=1.0), seed=0)
    shown = torch.cat([batches[i].organs_NKHW.any(dim=(2, 3)) for i in range(20)])
    assert shown.any(dim=1).all()
    # Half are drawn for the lens. Some that are drawn for the stem show it too.
    assert 0.3 < shown[:, 0].float().mean() < 0.9


def test_left_stays_left(north: Cohort) -> None:
    """No view is mirrored: the left lens stays right of the right one, however the slice turns."""
    lenses = ("Lens_L", "Lens_R")
    recipe = replace(RECIPE, organ_share=1.0)
    batches = Batches(list(north), lenses, PREPROCESSING, recipe, seed=1)
    seen = 0
    for iteration in range(20):
        for left, right in batches[iteration].organs_NKHW:
            if left.any() and right.any():
                seen += 1
                assert left.nonzero()[:, 1].float().mean() > right.nonzero()[:, 1].float().mean()
    assert seen > 10


def test_the_paper_s_zooms_are_drawn_from_its_list() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_view(PRESETS["paper"].train.augmentation, rng) for _ in range(200)]
    assert {transform.zoom for transform, _, _ in drawn} == {0.5, 0.75, 1.0, 1.25, 1.5}
    degrees = [transform.degrees for transform, _, _ in drawn]
    assert -10 <= min(degrees) < -8
    assert 8 < max(degrees) <= 10
    assert {(offset, gain) for _, offset, gain in drawn} == {(0.0, 1.0)}


def test_a_batch_holds_windowed_hu(north: Cohort) -> None:
    case = next(iter(north))
    batch = Batches([case], ORGANS, Preprocessing(4.0, 41, (-1024.0, 3072.0)), STILL, seed=0)[0]
    body = batch.ct_NSHW[batch.ct_NSHW > -0.9]
    hu = (body + 1) * 2048 - 1024
    # The phantom's tissue, with noise of 8 HU over thousands of pixels.
    assert hu.median() == pytest.approx(40, abs=5)


def test_fixed_views_come_back_and_differ(north: Cohort) -> None:
    fixed = Batches(
        list(north), ORGANS, PREPROCESSING, replace(RECIPE, views=3, iterations=200), seed=0
    )
    seen: dict[SliceView, torch.Tensor] = {}
    for iteration in range(40):
        chosen, batch = fixed.slice_views(iteration), fixed[iteration]
        for one, ct_SHW in zip(chosen, batch.ct_NSHW, strict=True):
            assert torch.equal(seen.setdefault(one, ct_SHW), ct_SHW)
    assert len(seen) < 40 * RECIPE.batch  # some came back
    assert {one.view for one in seen} == {0, 1, 2}
    one = next(iter(seen))
    views = [seen[other] for other in seen if other[:2] == one[:2]]
    assert len(views) > 1
    assert not any(torch.equal(views[0], other) for other in views[1:])
    reseeded = Batches(list(north), ORGANS, PREPROCESSING, replace(RECIPE, views=3), seed=1)
    assert not torch.equal(reseeded.sample(one, reseeded.fixed_view(one))[0], seen[one])


TOGETHER = replace(PREPROCESSING, neighbours_mm=(4.0, -4.0, 9.0))


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, views=3)])
def test_a_slice_looks_the_same_with_and_without_neighbours(north: Cohort, recipe: Recipe) -> None:
    alone = Batches(list(north), ORGANS, PREPROCESSING, recipe, seed=3)[7]
    together = Batches(list(north), ORGANS, TOGETHER, recipe, seed=3)[7]
    assert together.ct_NSHW.shape == (4, 4, 41, 41)
    assert torch.equal(together.ct_NSHW[:, :1], alone.ct_NSHW)
    assert torch.equal(together.organs_NKHW, alone.organs_NKHW)
    assert torch.equal(together.known_NK, alone.known_NK)


def test_neighbours_go_through_the_same_view_offset_and_gain(north: Cohort) -> None:
    batches = Batches(list(north), ORGANS, TOGETHER, RECIPE, seed=0)
    (case, *_) = batches.cases
    for plane in range(len(case.hu)):
        drawn = np.random.default_rng(5)
        ct_SHW, *_ = batches.sample(SliceView(0, plane, 0), drawn)
        seen_with = TOGETHER.planes_seen(case.grid, plane)
        for neighbour, ct_HW in zip(seen_with, ct_SHW, strict=True):
            drawn_again = np.random.default_rng(5)
            own_SHW, *_ = batches.sample(SliceView(0, neighbour, 0), drawn_again)
            assert torch.equal(ct_HW, own_SHW[0])
