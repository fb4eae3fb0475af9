import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from tests.conftest import TINY_UNET
from torch import nn

from recontour.contouring import engine
from recontour.contouring.engine import SLICES_THAT_PAY, engine_of, has_openvino
from recontour.network import AnyArchitecture, Architecture, Model, Network

MANY = SLICES_THAT_PAY
CT_N1HW = torch.rand(5, 1, 33, 33, generator=torch.Generator().manual_seed(0)) * 2 - 1


PAPER = Architecture(16, (16, 16, 16, 16), (1, 2, 1), expansion=2, spp_channels=16)
FAMILIES = [PAPER, TINY_UNET, replace(TINY_UNET, decoder=(16, 16, 8, 8))]


def lived_in(model: Model, norm: str, family: AnyArchitecture = PAPER) -> Model:
    """A model whose normalisation has statistics of its own."""
    torch.manual_seed(0)
    architecture = replace(family, norm=norm)
    network = Network(architecture, 2).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
        if (
            isinstance(module, nn.BatchNorm2d)
            and module.running_mean is not None
            and module.running_var is not None
        ):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return replace(model, network=network, preprocessing=replace(model.preprocessing, crop_px=33))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("slices", [1, MANY])
def test_every_engine_s_scores_are_the_network_s(
    model: Model, norm: str, slices: int, family: AnyArchitecture
) -> None:
    model = lived_in(model, norm, family)
    scores = engine_of(model, slices)
    with torch.no_grad():
        expected = model.network.scores(CT_N1HW)
    close = 1e-4 * float(expected.abs().max())  # float32, some thousand products a score
    # the last batch is smaller
    for ct_N1HW, there in ((CT_N1HW, expected), (CT_N1HW[:3], expected[:3])):
        assert torch.allclose(scores(ct_N1HW), there, rtol=0, atol=close)


@pytest.mark.parametrize("slices", [1, MANY])
@pytest.mark.parametrize(
    ("family", "stage"),
    [
        (PAPER, "conv1"),
        (PAPER, "conv3"),
        (PAPER, "conv5"),
        (TINY_UNET, "stem"),
        (TINY_UNET, "down16"),
        (TINY_UNET, "up16"),
        (TINY_UNET, "up4"),
    ],
)
@torch.no_grad()
def test_a_parent_has_its_say_in_every_engine(
    model: Model, slices: int, family: AnyArchitecture, stage: str
) -> None:
    model = lived_in(model, "batch", family)
    own = model.network.scores(CT_N1HW)
    model.network.branch_at(stage)
    head = deepcopy(model.network.own_head)
    for parameter in head.parameters():
        parameter.mul_(1.5)
    model.network.ask(head, [1, None], [0.5, 0.5])
    expected = model.network.eval().scores(CT_N1HW)
    theirs = head(model.network.trunk(CT_N1HW))
    assert torch.equal(expected[:, :2], 0.5 * own[:, :2] + 0.5 * theirs[:, :2])
    assert not torch.allclose(expected[:, :2], own[:, :2])
    assert torch.allclose(expected[:, 2:], own[:, 2:], atol=1e-5)
    found = engine_of(model, slices)(CT_N1HW)
    assert torch.allclose(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_many_slices_are_openvino_s_and_few_are_not(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_on_openvino", lambda *_: "OpenVINO")
    monkeypatch.setattr(engine, "_on_pytorch", lambda *_: "PyTorch")
    chosen = [str(engine_of(model, slices)) for slices in (1, MANY - 1, MANY)]
    assert chosen == ["PyTorch", "PyTorch", "OpenVINO"]


def test_without_openvino_pytorch_does_it(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lived_in(model, "batch")
    expected = engine_of(model, MANY)(CT_N1HW)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not has_openvino()
    assert torch.allclose(
        engine_of(model, MANY)(CT_N1HW), expected, rtol=0, atol=1e-4 * float(expected.abs().max())
    )


def test_an_engine_leaves_the_network_as_it_was_and_stays_as_it_is(model: Model) -> None:
    model = lived_in(model, "batch")
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    engines = [engine_of(model, slices) for slices in (1, MANY)]
    after = model.network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    found = [scores(CT_N1HW) for scores in engines]
    with torch.no_grad():
        model.network.own_head.last_layer.weight.add_(100)
    assert all(
        torch.equal(scores(CT_N1HW), there) for scores, there in zip(engines, found, strict=True)
    )


def test_what_an_engine_gave_is_not_overwritten_by_the_next_batch(model: Model) -> None:
    scores = engine_of(lived_in(model, "batch"), MANY)
    first = scores(CT_N1HW)
    kept = first.clone()
    scores(-CT_N1HW)
    assert torch.equal(first, kept)


def test_a_layer_that_has_no_translation_is_named(model: Model) -> None:
    conv1 = model.network.path["conv1"]
    assert isinstance(conv1, nn.Sequential)
    conv1[2] = nn.Sigmoid()
    with pytest.raises(NotImplementedError, match=r"Sigmoid\(\) has no translation"):
        engine_of(model, MANY)
