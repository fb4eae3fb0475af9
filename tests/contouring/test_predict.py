from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from recontour.contouring import engine
from recontour.contouring.contourer import Contourer
from recontour.contouring.findings import NonFiniteScores, OrgansNotInModel
from recontour.contouring.predict import predict
from recontour.errors import ModelFileError, OrganError, SettingsError
from recontour.evaluation import dice
from recontour.geometry import Grid
from recontour.network import Model, Network, Preprocessing
from recontour.validation import NotAChoice


class Threshold(Network):
    """Stands in for a trained network: organ k is what lies above 100 k windowed HU."""

    def scores(self, ct_N1HW: Tensor) -> Tensor:
        hu = (ct_N1HW + 1) * 300 - 200
        return torch.cat([0 * hu, hu - 100, 0 * hu, hu - 200], dim=1)


class EveryEighth(Threshold):
    """The same, but on points 8 pixels apart, as a trained network's output."""

    def scores(self, ct_N1HW: Tensor) -> Tensor:
        return super().scores(ct_N1HW[..., ::8, ::8])


@pytest.fixture
def threshold(model: Model) -> Model:
    return replace(
        model,
        network=Threshold(model.network.architecture, 2),
        preprocessing=Preprocessing(1.0, 65, (-200.0, 400.0)),
    )


@pytest.fixture
def every_eighth(threshold: Model) -> Model:
    return replace(threshold, network=EveryEighth(threshold.network.architecture, 2))


GRID = Grid((11, 60, 60), (1.0, 1.0), tuple(3.0 * i for i in range(11)), (-30.0, -30.0))


def blob(hu: int, side: int = 4) -> np.ndarray:
    image = np.full(GRID.shape, 0, dtype=np.int16)
    image[2:9, 30 - side : 30 + side, 20 - side : 20 + side] = hu
    return image


def test_masks_lie_on_the_ct_s_own_voxels(threshold: Model) -> None:
    found = dict(predict(threshold, blob(150), GRID))
    assert (found["Brainstem"] == (blob(150) > 100)).all()
    assert not found["Lens_L"].any()


def test_only_the_organs_asked_for_in_their_order(threshold: Model) -> None:
    found = list(predict(threshold, blob(350), GRID, ["Lens_L", "Lens_L", "Brainstem"]))
    assert [organ for organ, _ in found] == ["Lens_L", "Brainstem"]
    assert all((mask == (blob(350) > 200)).all() for _, mask in found)


def test_islands_are_gone(threshold: Model) -> None:
    image = blob(150)
    image[9, 50:52, 50:52] = 150
    assert (dict(predict(threshold, image, GRID))["Brainstem"] == (blob(150) > 100)).all()


def test_outside_the_network_s_view_there_is_no_organ(threshold: Model) -> None:
    small = replace(threshold, preprocessing=Preprocessing(1.0, 17, (-200.0, 400.0)))
    mask = dict(predict(small, np.full(GRID.shape, 150, dtype=np.int16), GRID))["Brainstem"]
    rows, columns = (np.flatnonzero(mask[0].any(axis=axis)) for axis in (1, 0))
    # 17 mm about a centre between pixels
    assert (len(rows), len(columns)) in {
        (16, 16),
        (17, 17),
        (16, 17),
        (17, 16),
    }


def test_both_views_agree_where_they_lie(every_eighth: Model) -> None:
    """HU that grow to the right and below: any shift of a view's contour would show."""
    _, yy, xx = np.mgrid[:11, :60, :60]
    ramp = (4 * xx + 2 * yy + 1).astype(np.int16)  # odd, so never exactly 100
    # Beyond the CT its edge continues: between points there and points in the CT nothing grows.
    inside = (slice(None), slice(8, 52), slice(8, 52))
    for views in (1, 2):
        found = dict(predict(every_eighth, ramp, GRID, views=views))
        assert (found["Brainstem"][inside] == (ramp > 100)[inside]).all()


def test_the_second_view_finds_what_lies_between_the_points_of_the_first(
    every_eighth: Model,
) -> None:
    hu = np.full(GRID.shape, -100, dtype=np.int16)
    # The body, sought on every fourth pixel, has its middle at 28. The points of the first view lie
    # there and every 8 pixels from there, those of the second at 32.
    hu[2:9, 31:34, 31:34] = 390
    once = dict(predict(every_eighth, hu, GRID, views=1))["Brainstem"]
    twice = dict(predict(every_eighth, hu, GRID))["Brainstem"]
    assert not once.any()
    assert twice[2:9, 32, 32].all()
    assert not twice[:2].any()
    assert not twice[9:].any()


def noisy(model: Model, slices: int) -> tuple[np.ndarray, Grid]:
    """A CT of noise, with the model's scores shifted so that both organs fill half of it."""
    z_mm = tuple(3.0 * index for index in range(slices))
    grid = Grid((slices, 48, 48), (2.0, 2.0), z_mm, (-47.0, -47.0))
    hu = np.random.default_rng(0).normal(40, 100, grid.shape).astype(np.int16)
    windowed = model.preprocessing.windowed(torch.from_numpy(hu[:, 8:41, 8:41]).float())
    with torch.no_grad():
        scores_N2Khw = model.network.eval().scores(windowed[:, None])
        logits_KNhw = (scores_N2Khw[:, 1::2] - scores_N2Khw[:, 0::2]).transpose(0, 1)
        bias = model.network.own_head.last_layer.bias
        assert bias is not None
        bias[1::2] -= logits_KNhw.flatten(1).median(dim=1).values
    return hu, grid


def test_every_engine_sees_both_views(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    hu, grid = noisy(model, 30)
    by_openvino = dict(predict(model, hu, grid))
    once = dict(predict(model, hu, grid, views=1))
    monkeypatch.setattr(engine, "SLICES_THAT_PAY", 31)
    by_pytorch = dict(predict(model, hu, grid))
    for organ, mask in by_openvino.items():
        # the bar of benchmarks/contour_speed.py
        assert dice(mask, by_pytorch[organ], grid) >= 0.999
        assert dice(mask, once[organ], grid) < 0.98


def test_some_organs_are_contoured_as_among_all(model: Model) -> None:
    hu, grid = noisy(model, 5)
    organs = dict(predict(model, hu, grid))
    ((organ, mask),) = predict(model, hu, grid, ["Lens_L"])
    assert organ == "Lens_L"
    assert mask.any()
    assert (mask == organs["Lens_L"]).all()


@pytest.mark.parametrize("views", [0, 3])
def test_there_are_one_or_two_views(model: Model, views: int) -> None:
    refused = NotAChoice(name="views", choices=("1", "2"), seen=str(views))
    with pytest.raises(SettingsError) as by_predict:
        predict(model, blob(150), GRID, views=views)
    with pytest.raises(SettingsError) as by_contourer:
        Contourer(model, views=views)
    assert by_predict.value.finding == by_contourer.value.finding == refused


def test_an_organ_the_model_does_not_know_is_named(threshold: Model) -> None:
    with pytest.raises(OrganError) as refused:
        list(predict(threshold, blob(150), GRID, ["Larynx"]))
    known = ("Brainstem", "Lens_L")
    assert refused.value.finding == OrgansNotInModel(asked=("Larynx",), known=known)
    assert str(refused.value) == (
        "the model does not contour this organ (Larynx); choose from Brainstem, Lens_L"
    )
    with pytest.raises(OrganError, match="did you mean Lens_L"):
        list(predict(threshold, blob(150), GRID, ["Lens_Left"]))


@pytest.mark.parametrize("slices", [3, 30])  # PyTorch's and OpenVINO's
def test_scores_that_are_no_numbers_are_a_bad_model_not_an_empty_ct(
    model: Model, slices: int
) -> None:
    """Weights that are finite one by one may still overflow: no organ found would be a lie."""
    weights = model.network.state_dict()
    weights["trunk.conv1.0.weight"].mul_(1e30)
    weights["heads.0.spp.scores.weight"].fill_(1e38)
    grid = Grid((slices, 48, 48), (2.0, 2.0), tuple(3.0 * i for i in range(slices)), (0.0, 0.0))
    with pytest.raises(ModelFileError) as refused:
        list(predict(model, np.full(grid.shape, 40, np.int16), grid))
    assert refused.value.finding == NonFiniteScores()
