import pytest
import torch
from tests.conftest import TINY_UNET
from torch import nn

from recontour.errors import SettingsError
from recontour.network import Architecture, Network
from recontour.transfer.depth import freeze_all_but_last, layers
from recontour.transfer.findings import ImpossibleDepth


@pytest.fixture(scope="module")
def paper() -> Network:
    with torch.device("meta"):
        return Network(Architecture(), organs=1)


def learning(network: Network) -> set[str]:
    """The parts, such as conv5.0.a or spp, of which something retrains."""
    parts = {
        name.rsplit(".", 2)[0]
        for name, tensor in nn.ModuleDict(network.path).named_parameters()
        if tensor.requires_grad
    }
    return {"spp" if part.startswith("spp") else part for part in parts}


def test_the_paper_counts_91_layers_before_its_last_10(paper: Network) -> None:
    assert len(layers(paper)) == 91 + 10


def test_every_parameter_belongs_to_exactly_one_layer(paper: Network) -> None:
    counted = [
        id(p) for _, modules in layers(paper) for module in modules for p in module.parameters()
    ]
    assert sorted(counted) == sorted(id(p) for p in paper.parameters())


def test_the_last_10_are_conv5_and_spp(paper: Network) -> None:
    names = freeze_all_but_last(paper, 10)
    assert len(names) == 10
    assert {p for p in learning(paper) if p != "spp"} == {
        "conv5.0.a", "conv5.0.b", "conv5.0.c", "conv5.0.connection",
        "conv5.1.a", "conv5.1.b", "conv5.1.c",
        "conv5.2.a", "conv5.2.b", "conv5.2.c",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, {"spp"}),
        (4, {"spp", "conv5.2.a", "conv5.2.b", "conv5.2.c"}),
        (
            9,
            {"spp"}
            | {f"conv5.{b}.{x}" for b in (1, 2) for x in "abc"}
            | {"conv5.0.b", "conv5.0.c"},
        ),
    ],
)
def test_shallower_depths(paper: Network, count: int, expected: set[str]) -> None:
    freeze_all_but_last(paper, count)
    assert learning(paper) == expected


def test_all_layers_is_everything(paper: Network) -> None:
    freeze_all_but_last(paper, 101)
    assert all(parameter.requires_grad for parameter in paper.parameters())


@pytest.mark.parametrize("count", [0, -1, 102])
def test_an_impossible_depth_is_refused(paper: Network, count: int) -> None:
    with pytest.raises(SettingsError) as refused:
        freeze_all_but_last(paper, count)
    assert refused.value.finding == ImpossibleDepth(retrain_last=count, layers=101)


def test_a_u_net_s_layers_are_counted_from_its_scores() -> None:
    names = [name for name, _ in layers(Network(TINY_UNET, 1))]
    assert names == [
        "Stem", "Down4-b1 3x3", "Down4-b1 3x3 out",
        "Down8-b1 3x3", "Down8-b1 3x3 out", "Down8-b2 3x3", "Down8-b2 3x3 out",
        "Down16-b1 3x3", "Down16-b1 3x3 out", "Down32-b1 3x3", "Down32-b1 3x3 out",
        "Up16 3x3", "Up16 3x3 out", "Up8 3x3", "Up8 3x3 out", "Up4 3x3", "Up4 3x3 out", "Scores",
    ]  # fmt: skip


@pytest.mark.parametrize("count", range(1, 19))
def test_of_a_u_net_only_the_last_layers_get_a_gradient(count: int) -> None:
    network = Network(TINY_UNET, 1)
    freeze_all_but_last(network, count)
    network(torch.randn(2, 1, 65, 65)).square().sum().backward()
    counted = 0
    for place, (_, modules) in enumerate(layers(network)):
        learns = place >= 18 - count
        for parameter in nn.ModuleList(modules).parameters():
            counted += 1
            gradient = parameter.grad
            assert (gradient is not None and bool(gradient.any())) == learns
    assert counted == len(list(network.parameters()))  # each in one layer


def test_the_last_7_of_a_u_net_are_its_head() -> None:
    network = Network(TINY_UNET, 1)
    freeze_all_but_last(network, 7)
    assert network.first_that_learns == network.branch == "up16"
