import pytest
import torch
from torch import nn

from recontour.network.architecture import Architecture, Network

TINY = Architecture(stem_channels=16, widths=(16, 16, 16, 16), blocks=(1, 1, 1), expansion=1, spp_channels=16)


@pytest.fixture(scope="module")
def paper() -> Network:
    with torch.device("meta"):  # shapes and costs need no numbers
        return Network(Architecture(), organs=1)


def outputs(network: Network, side: int) -> dict[str, tuple[int, ...]]:
    """What each module gives for one slice, and nothing else."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, result, name=name: shapes.update({name: tuple(result.shape[1:])}))
    network(torch.empty(1, 1, side, side, device="meta"))
    return shapes


def test_the_paper_preset_has_the_sizes_of_table_1(paper: Network) -> None:
    shapes = outputs(paper, 417)
    assert shapes["conv1"] == (64, 209, 209)
    assert shapes["pool1"] == (64, 105, 105)
    for stage, blocks, width, channels, side in (
        ("conv2", 3, 64, 256, 105),
        ("conv3", 4, 128, 512, 53),
        ("conv4", 23, 256, 1024, 53),
        ("conv5", 3, 512, 2048, 53),
    ):
        assert len(getattr(paper, stage)) == blocks
        for block in range(blocks):
            assert shapes[f"{stage}.{block}.a"] == (width, side, side)
            assert shapes[f"{stage}.{block}.b"] == (width, side, side)
            assert shapes[f"{stage}.{block}.c"] == (channels, side, side)
    assert shapes["spp"] == (2, 53, 53)
    assert shapes[""] == (1, 417, 417)


def test_the_trunk_costs_79_of_162_gmac(paper: Network) -> None:
    shapes = outputs(paper, 417)
    gmac = {"trunk": 0.0, "head": 0.0}
    for name, module in paper.named_modules():
        if isinstance(module, nn.Conv2d):
            _, height, width = shapes[name]
            part = "head" if name.startswith(("conv5", "spp")) else "trunk"
            gmac[part] += module.weight.numel() * height * width / 1e9
    assert round(gmac["trunk"], 1) == 79.0
    assert round(sum(gmac.values())) == 162


def test_the_difference_of_scores_may_be_taken_before_the_interpolation() -> None:
    network = Network(TINY, organs=2).eval()
    ct_N1HW = torch.randn(2, 1, 65, 65)
    with torch.no_grad():
        scores = network.head(network.features(ct_N1HW))
        full = nn.functional.interpolate(scores, size=(65, 65), mode="bilinear", align_corners=True)
        by_softmax = full.reshape(2, 2, 2, 65, 65).softmax(dim=2)[:, :, 1]
        assert torch.allclose(network(ct_N1HW).sigmoid(), by_softmax, atol=1e-6)


def test_organs_are_independent_outputs() -> None:
    network = Network(TINY, organs=3)
    logits = network(torch.randn(1, 1, 33, 33))
    logits[:, 1].sum().backward()
    gradient = network.spp.scores.weight.grad
    assert gradient is not None
    assert gradient[2:4].abs().sum() > 0
    assert gradient[[0, 1, 4, 5]].abs().sum() == 0
