from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from recontour.contouring.findings import NonFiniteScores, OrgansNotInModel
from recontour.contouring.predict import predict
from recontour.errors import ModelFileError, OrganError
from recontour.geometry import Grid
from recontour.network import Model, Network, Preprocessing


class Threshold(Network):
    """Stands in for a trained network: organ k is what lies above 100 k windowed HU."""

    def scores(self, ct_N1HW: Tensor) -> Tensor:
        hu = (ct_N1HW + 1) * 300 - 200
        return torch.cat([0 * hu, hu - 100, 0 * hu, hu - 200], dim=1)


@pytest.fixture
def threshold(model: Model) -> Model:
    return replace(
        model,
        network=Threshold(model.architecture, 2),
        preprocessing=Preprocessing(1.0, 65, (-200.0, 400.0)),
    )


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
