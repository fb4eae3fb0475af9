from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from recontour.network import Architecture, Network
from recontour.network.cost import (
    MOST_MIB,
    MOST_MULTIPLY_ADDS,
    MOST_PARAMETERS,
    SLICES_OF_A_CT,
    cost_of,
)
from recontour.training.presets import PRESETS


def multiply_adds_of(network: Network, crop_px: int) -> int:
    """Count as a slice goes through: each output point of a convolution uses its weights once."""
    counted = []

    def count(module: nn.Module, _given: object, made: torch.Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        counted.append(module.weight.numel() * made.shape[2] * made.shape[3])

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    network.eval()(torch.zeros(1, 1, crop_px, crop_px))
    return sum(counted)


def test_the_cost_is_what_a_slice_takes() -> None:
    architecture = Architecture(8, (8, 12, 16, 20), (1, 2, 3), 2, spp_channels=24)
    network = Network(architecture, 3)
    network.branch_at("conv4")
    asked = deepcopy(network.own_head)
    network.ask(asked, range(3), [0.5] * 3)
    # as an engine does, so that a convolution makes its scores
    asked.last_layer.forget_other_organs()
    cost = cost_of(network, 41)
    assert cost.multiply_adds == 2 * multiply_adds_of(network, 41)  # a slice is seen twice
    assert cost.parameters == sum(parameter.numel() for parameter in network.parameters())


def test_scores_are_kept_of_both_views() -> None:
    mib = {}
    for organs in (10, 40):
        with torch.device("meta"):
            network = Network(PRESETS["paper"].architecture, organs)
        mib[organs] = cost_of(network, 417).mib
    kept_of_an_organ = 2 * SLICES_OF_A_CT * 53**2 * 4 / 2**20
    # both costs are rounded down to whole MiB
    assert mib[40] - mib[10] == pytest.approx(30 * kept_of_an_organ, abs=1)


def test_shapes_are_enough() -> None:
    with torch.device("meta"):
        without_weights = Network(PRESETS["compact"].architecture, 12)
    assert cost_of(without_weights, 225) == cost_of(
        Network(PRESETS["compact"].architecture, 12), 225
    )


def test_both_presets_are_far_below_the_limits() -> None:
    for preset in PRESETS.values():
        with torch.device("meta"):
            network = Network(preset.architecture, 45)
        cost = cost_of(network, preset.preprocessing.crop_px)
        assert 4 * cost.parameters < MOST_PARAMETERS
        assert 4 * cost.multiply_adds < MOST_MULTIPLY_ADDS
        assert 2 * cost.mib < MOST_MIB
        assert cost.excess() is None


def test_neighbours_cost_what_they_take() -> None:
    compact = PRESETS["compact"]
    crop_px = compact.preprocessing.crop_px
    alone = cost_of(Network(compact.architecture, 12), crop_px)
    network = Network(replace(compact.architecture, slices=5), 12)
    together = cost_of(network, crop_px)
    assert together.parameters == sum(parameter.numel() for parameter in network.parameters())
    conv1_weights = 7 * 7 * compact.architecture.stem_channels
    outputs = ((crop_px + 1) // 2) ** 2
    more = together.multiply_adds - alone.multiply_adds
    assert more % (4 * conv1_weights * outputs) == 0
    assert more > 0
    views_mib = 300 * crop_px**2 * 4 / 2**20  # of the longest CT that is reckoned with
    assert together.mib - alone.mib == pytest.approx(views_mib, abs=1)
