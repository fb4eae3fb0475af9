from dataclasses import replace

import pytest
import torch
from torch import nn

from recontour.network import Model
from recontour.network.model import part_sha256
from recontour.transfer.depth import freeze_all_but_last
from recontour.transfer.inherit import ask_parent, inherit


@pytest.fixture(params=["paper", "unet"])
def either(request: pytest.FixtureRequest, model: Model, unet_model: Model) -> Model:
    """A model of either family."""
    return model if request.param == "paper" else unet_model


def test_organs_are_matched_by_name_not_by_place(either: Model) -> None:
    model = either
    network, fresh = inherit(model, ("Lens_L", "Brainstem"))
    assert fresh == ()
    ct_N1HW = torch.randn(1, 1, 33, 33)
    parent = model.network.eval()(ct_N1HW)
    assert torch.allclose(network.eval()(ct_N1HW), parent[:, [1, 0]], atol=1e-6)


def test_a_new_organ_starts_fresh_and_the_others_do_not_notice(either: Model) -> None:
    model = either
    network, fresh = inherit(model, ("Brainstem", "Larynx"))
    assert fresh == ("Larynx",)
    ct_N1HW = torch.randn(1, 1, 33, 33)
    child = network.eval()(ct_N1HW)
    assert torch.allclose(child[:, 0], model.network.eval()(ct_N1HW)[:, 0], atol=1e-6)


def test_the_parent_stays_as_it_was(model: Model) -> None:
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    network, _ = inherit(model, ("Brainstem",))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items()
    )


# from SPP alone, Conv5, within Conv3, all
@pytest.mark.parametrize("retrain_last", [1, 10, 14, 20])
def test_the_parent_has_its_say_where_it_knows_the_organ_and_only_when_nothing_learns(
    model: Model, retrain_last: int
) -> None:
    organs = ("Lens_L", "Larynx", "Brainstem")
    network, _ = inherit(model, organs)
    freeze_all_but_last(network, retrain_last)
    ct_N1HW = torch.randn(2, 1, 33, 33)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:  # it has learnt something else
                parameter.add_(0.01)
        own = network.eval()(ct_N1HW)
        parent = model.network.eval()(ct_N1HW)
        ask_parent(network, model, {"Lens_L": 0.25, "Larynx": 0.9, "Brainstem": 0.75})
        both = network.eval()(ct_N1HW)
        assert not torch.allclose(own[:, 0], parent[:, 1], atol=1e-3)
        assert torch.allclose(both[:, 0], 0.75 * own[:, 0] + 0.25 * parent[:, 1], atol=1e-5)
        assert torch.allclose(both[:, 1], own[:, 1], atol=1e-6)
        assert torch.allclose(both[:, 2], 0.25 * own[:, 2] + 0.75 * parent[:, 0], atol=1e-5)
        lone, _ = inherit(model, organs)
        nn.ModuleDict(lone.path).load_state_dict(nn.ModuleDict(network.path).state_dict())
        assert torch.equal(network.train()(ct_N1HW), lone.train()(ct_N1HW))


def test_of_a_model_that_asks_its_parent_its_own_layers_are_inherited(model: Model) -> None:
    network, _ = inherit(model, model.organs)
    ask_parent(network, model, dict.fromkeys(model.organs, 0.5))
    with torch.no_grad():
        for parameter in network.own_head.parameters():
            parameter.add_(1.0)
    child = replace(model, network=network, asked=model.heads)
    own = network.own_head.state_dict()["spp.scores.bias"]
    grandchild, _ = inherit(child, model.organs)
    assert len(grandchild.heads) == 1
    assert torch.equal(grandchild.own_head.state_dict()["spp.scores.bias"], own)
    ask_parent(grandchild, child, dict.fromkeys(model.organs, 0.5))
    _, asked = grandchild.heads
    assert torch.equal(asked.state_dict()["spp.scores.bias"], own)


def test_the_parent_s_head_keeps_the_organs_that_the_network_does_not_have(model: Model) -> None:
    """It stays the same head in any network that asks it."""
    network, _ = inherit(model, ("Larynx", "Lens_L"))
    freeze_all_but_last(network, 10)
    ask_parent(network, model, {"Larynx": 0.5, "Lens_L": 0.5})
    _, asked = network.heads
    assert part_sha256(asked) == part_sha256(model.network.own_head)
    assert torch.equal(network.share_HK, torch.tensor([[1.0, 0.5], [0.0, 0.5]]))
