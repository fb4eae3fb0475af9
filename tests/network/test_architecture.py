from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from recontour.network import Architecture, Network
from recontour.network.layers import interpolated
from recontour.training.loop import optimiser_of
from recontour.training.presets import preset_of
from recontour.transfer.depth import freeze_all_but_last

TINY = Architecture(
    stem_channels=16, widths=(16, 16, 16, 16), blocks=(1, 1, 1), expansion=1, spp_channels=16
)


@pytest.fixture(scope="module")
def paper() -> Network:
    with torch.device("meta"):  # shapes and costs need no numbers
        return Network(Architecture(), organs=1)


def outputs(network: Network, side: int) -> dict[str, tuple[int, ...]]:
    """What each part of each stage gives for one slice; network: what the whole gives."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str, module: nn.Module) -> None:
        module.register_forward_hook(
            lambda _m, _i, result: shapes.update({name: tuple(result.shape[1:])})
        )

    note("network", network)
    for name, module in nn.ModuleDict(network.path).named_modules():
        if name:
            note(name, module)
    network(torch.empty(1, 1, side, side, device="meta"))
    return shapes


def test_the_paper_preset_has_the_sizes_of_table_1(paper: Network) -> None:
    shapes = outputs(paper, 417)
    assert shapes["conv1.2"] == (64, 209, 209)
    assert shapes["conv1.3"] == shapes["conv1"] == (64, 105, 105)
    for stage, blocks, width, channels, side in (
        ("conv2", 3, 64, 256, 105),
        ("conv3", 4, 128, 512, 53),
        ("conv4", 23, 256, 1024, 53),
        ("conv5", 3, 512, 2048, 53),
    ):
        assert len(list(paper.path[stage].children())) == blocks
        for block in range(blocks):
            assert shapes[f"{stage}.{block}.a"] == (width, side, side)
            assert shapes[f"{stage}.{block}.b"] == (width, side, side)
            assert shapes[f"{stage}.{block}.c"] == (channels, side, side)
    assert shapes["spp"] == (2, 53, 53)
    assert shapes["network"] == (1, 417, 417)


# weights x positions
GMAC_AT_417 = {
    "conv1": 0.1,
    "conv2": 2.3,
    "conv3": 3.4,
    "conv4": 73.1,
    "conv5": 42.0,
    "spp": 41.2,
}


def test_every_stage_has_its_share_of_162_gmac(paper: Network) -> None:
    shapes = outputs(paper, 417)
    gmac = dict.fromkeys(GMAC_AT_417, 0.0)
    for name, module in nn.ModuleDict(paper.path).named_modules():
        if isinstance(module, nn.Conv2d):
            _, height, width = shapes[name]
            gmac[name.split(".")[0]] += module.weight.numel() * height * width / 1e9
    assert {stage: round(cost, 1) for stage, cost in gmac.items()} == GMAC_AT_417
    assert round(sum(gmac[stage] for stage in ("conv1", "conv2", "conv3", "conv4")), 1) == 79.0
    assert round(sum(gmac.values())) == 162


def test_every_stage_has_the_parameters_of_resnet_101(paper: Network) -> None:
    count = {name: sum(p.numel() for p in paper.path[name].parameters()) for name in GMAC_AT_417}
    # layer1 to layer4
    published = {
        "conv2": 215_808,
        "conv3": 1_219_584,
        "conv4": 26_090_496,
        "conv5": 14_964_736,
    }
    # branches, their normalisation, scores
    spp = (1 + 3 * 9) * 2048 * 256 + 4 * 2 * 256 + (4 * 256 * 2 + 2)
    # one channel of CT, not three of colour
    assert count == published | {
        "conv1": 64 * 7 * 7 + 2 * 64,
        "spp": spp,
    }


def test_a_frozen_step_costs_two_thirds_of_a_full_one() -> None:
    with torch.device("meta"):
        network = Network(Architecture(), organs=1)
    ct_N1HW = torch.empty(1, 1, 417, 417, device="meta")

    def cost() -> int:
        with FlopCounterMode(display=False) as counter:
            network(ct_N1HW).sum().backward()
        return int(counter.get_total_flops())

    whole = cost()
    freeze_all_but_last(network, 10)
    assert cost() / whole == pytest.approx(0.67, abs=0.01)  # the paper: training took 33 % less


def test_the_paper_s_network_makes_a_real_step_on_a_cpu() -> None:
    torch.manual_seed(0)
    network = Network(Architecture(), organs=1)
    recipe = preset_of("paper").train
    optimiser = optimiser_of(network, replace(recipe, learning_rate=0.01))
    ct_N1HW, organ = torch.randn(1, 1, 65, 65), torch.zeros(1, 1, 65, 65)
    organ[..., 20:40, 20:40] = 1
    losses = []
    for _ in range(2):
        loss = nn.functional.binary_cross_entropy_with_logits(network(ct_N1HW), organ)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_the_difference_of_scores_may_be_taken_before_the_interpolation() -> None:
    network = Network(TINY, organs=2).eval()
    ct_N1HW = torch.randn(2, 1, 65, 65)
    with torch.no_grad():
        scores = network.own_scores(network.features(ct_N1HW))
        full = nn.functional.interpolate(scores, size=(65, 65), mode="bilinear", align_corners=True)
        by_softmax = full.reshape(2, 2, 2, 65, 65).softmax(dim=2)[:, :, 1]
        assert torch.allclose(network(ct_N1HW).sigmoid(), by_softmax, atol=1e-6)


def test_organs_are_independent_outputs() -> None:
    network = Network(TINY, organs=3)
    logits = network(torch.randn(1, 1, 33, 33))
    logits[:, 1].sum().backward()
    gradient = network.own_head.last_layer.weight.grad
    assert gradient is not None
    assert gradient[2:4].abs().sum() > 0
    assert gradient[[0, 1, 4, 5]].abs().sum() == 0


@pytest.mark.parametrize(("short", "long"), [((29, 29), (225, 225)), ((5, 3), (33, 17))])
def test_interpolation_by_matrices_is_bilinear(
    short: tuple[int, int], long: tuple[int, int]
) -> None:
    maps = torch.randn(2, 3, *short, dtype=torch.float64)
    ours = interpolated(maps, long)
    plain = nn.functional.interpolate(maps, size=long, mode="bilinear", align_corners=True)
    assert torch.allclose(ours, plain, rtol=1e-12, atol=1e-12)
    # the corners, and every eighth pixel
    assert torch.allclose(ours[..., ::8, ::8], maps, rtol=1e-12, atol=1e-12)
    assert ours.is_contiguous()
