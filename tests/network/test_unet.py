"""The U-Net: its way from the CT to the scores, and its model files."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY, TINY_UNET
from tests.network.test_heads import child_of, joined
from tests.network.test_model_file import description_of, said_of, with_setting
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.flop_counter import FlopCounterMode

from recontour.errors import SettingsError
from recontour.files import UnreadableError
from recontour.network import (
    AnyArchitecture,
    Model,
    Network,
    Preprocessing,
    UNet,
    load_model,
    save_head,
    save_model,
)
from recontour.network.card import card
from recontour.network.cost import cost_of
from recontour.network.description import decoded
from recontour.network.findings import UnfitCrop
from recontour.network.model import sha256_of
from recontour.network.views import VIEWS_OF_A_SLICE
from recontour.validation import Invalid

CT_NSHW = torch.randn(2, 1, 33, 33, generator=torch.Generator().manual_seed(0))
STAGES = ["stem", "down4", "down8", "down16", "down32", "up16", "up8", "up4", "scores"]


def plainly(network: Network, ct_NSHW: torch.Tensor) -> torch.Tensor:
    """Logits by the way that is drawn in every paper, with PyTorch's own interpolation."""
    part = network.path
    at2 = part["stem"](ct_NSHW)
    at4 = part["down4"](at2)
    at8 = part["down8"](at4)
    at16 = part["down16"](at8)
    x = part["down32"](at16)
    for name, fine in (("up16", at16), ("up8", at8), ("up4", at4)):
        as_fine = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=True)
        stage = part[name]
        x = stage.b(stage.a(torch.cat([as_fine, fine], 1)))  # type: ignore[operator]
    scores = part["scores"](x)
    logits = scores[:, 1::2] - scores[:, 0::2]
    return F.interpolate(logits, ct_NSHW.shape[2:], mode="bilinear", align_corners=True)


@pytest.mark.parametrize("side", [33, 65, 97])
@torch.no_grad()
def test_the_maps_go_the_way_of_a_u(unet_model: Model, side: int) -> None:
    network = unet_model.network.eval()
    assert list(network.path) == STAGES == list(TINY_UNET.strides)
    assert (list(network.trunk), network.branch) == (STAGES[:5], "up16")
    ct_NSHW = torch.randn(1, 1, side, side)
    assert [m.shape[-1] for m in network.trunk(ct_NSHW)] == [
        side // stride + 1 for stride in (2, 4, 8, 16, 32)
    ]
    assert network.scores(ct_NSHW).shape == (1, 4, side // 4 + 1, side // 4 + 1)
    found = network(ct_NSHW)
    assert found.shape == (1, 2, side, side)
    assert torch.allclose(found, plainly(network, ct_NSHW), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("decoder", "stride"), [((8,), 16), ((8, 8), 8), ((8, 8, 8, 8), 2)])
def test_the_decoder_ends_where_its_channels_do(decoder: tuple[int, ...], stride: int) -> None:
    network = Network(replace(TINY_UNET, decoder=decoder, slices=3), 2)
    scores = network.scores(torch.zeros(1, 3, 65, 65))
    assert scores.shape[2:] == (64 // stride + 1, 64 // stride + 1)


@pytest.mark.parametrize("branch", STAGES)
@torch.no_grad()
def test_a_head_may_begin_with_any_stage(unet_model: Model, branch: str) -> None:
    network = unet_model.network.eval()
    expected = network(CT_NSHW)
    features = network.features(CT_NSHW)
    network.branch_at(branch)
    assert network.branch == branch
    assert torch.equal(network(CT_NSHW), expected)
    assert torch.equal(network.logits(features, (33, 33)), expected)


@pytest.mark.parametrize("decoder", [(16, 12, 8), (16, 12, 8, 8)])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_cost_is_what_a_slice_takes(decoder: tuple[int, ...], norm: str) -> None:
    network = Network(replace(TINY_UNET, decoder=decoder, norm=norm), 3).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.scores(CT_NSHW[:1])
    flops_of_a_slice = VIEWS_OF_A_SLICE * counter.get_total_flops()
    assert 2 * cost_of(network, 33).multiply_adds == flops_of_a_slice


def test_the_card_counts_its_layers(unet_model: Model) -> None:
    shown = card(unet_model)
    counts = {stage.name: stage.layers for stage in shown.stages}
    assert counts == {
        "stem": 1, "down4": 2, "down8": 4, "down16": 2, "down32": 2,
        "up16": 2, "up8": 2, "up4": 2, "scores": 1,
    }  # fmt: skip
    assert [stage.name for stage in shown.stages if stage.shared] == STAGES[:5]
    assert "U-Net" in shown.sections()["2 Technical"]["architecture"]


def test_a_crop_that_does_not_meet_the_coarsest_map_is_refused(unet_model: Model) -> None:
    unfit = Preprocessing(2.0, 41, (-200.0, 400.0))
    with pytest.raises(SettingsError) as refused:
        replace(unet_model, preprocessing=unfit)
    assert refused.value.finding == UnfitCrop(crop_px=41, stride=32)


# Model files


@pytest.fixture
def path(unet_model: Model, tmp_path: Path) -> Path:
    save_model(unet_model, tmp_path / "m")
    return tmp_path / "m"


def test_what_is_loaded_is_what_was_saved(unet_model: Model, path: Path) -> None:
    loaded = load_model(path)
    assert loaded.network.architecture == TINY_UNET
    assert description_of(path)["architecture"]["family"] == "unet"
    assert sha256_of(loaded.network) == sha256_of(unet_model.network)
    assert torch.equal(loaded.network(CT_NSHW), unet_model.network.eval()(CT_NSHW))


def test_the_paper_s_files_name_no_family(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    assert "family" not in description_of(tmp_path / "m")["architecture"]
    assert load_model(tmp_path / "m").network.architecture == TINY


@pytest.mark.parametrize("family", [TINY, TINY_UNET])
def test_beside_an_unknown_setting_stand_the_known_ones_of_its_family(
    model: Model, tmp_path: Path, family: AnyArchitecture
) -> None:
    save_model(replace(model, network=Network(family, 2)), tmp_path / "m")
    about = description_of(tmp_path / "m")
    known = tuple(about["architecture"])
    about["architecture"]["wings"] = 2
    with pytest.raises(UnreadableError) as refused:
        decoded(about)
    unknown = Invalid(problem="unknown", field="architecture", key="wings", known=known)
    assert refused.value.finding == unknown


@pytest.mark.parametrize("last", [1, 4, 7, 8, 10, 18])
@pytest.mark.parametrize("share", [0.0, 0.25])
def test_a_head_with_its_model_is_the_whole_adapted_model(
    unet_model: Model, tmp_path: Path, last: int, share: float
) -> None:
    child = child_of(unet_model, "south", last=last, organs=("Larynx", "Lens_L"), share=share)
    save_model(unet_model, tmp_path / "north")
    save_head(child, tmp_path / "head")
    both = load_model(joined(tmp_path / "north", tmp_path / "head"))
    assert torch.equal(both.network(CT_NSHW), child.network.eval()(CT_NSHW))
    assert both.heads == child.heads


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("architecture.widths", [8, 8, 8], "architecture.widths"),
        ("architecture.widths", [8, 10**6, 8, 8], "architecture.widths.1: .*, found 1000000"),
        ("architecture.blocks", [0, 1, 1, 1], "architecture.blocks.0: .*, found 0"),
        ("architecture.decoder", [], "architecture.decoder: .*, found"),
        ("architecture.decoder", [8] * 5, "architecture.decoder: .*, found"),
        ("architecture.decoder", "wide", "architecture.decoder: .*, found 'wide'"),
        ("architecture.norm", "none", "architecture.norm: .*, found 'none'"),
        ("architecture.spp_channels", 8, "unknown name in architecture: spp_channels"),
        ("architecture.family", "big", "newer .* unknown name in architecture.family: 'big'; upd"),
        ("architecture.family", ["unet"], "unknown name in architecture.family"),
        ("architecture", "unet", "architecture: .*, found 'unet'"),
        ("branch", "conv5", "branch: expected a stage of this network .*up16.*, found 'conv5'"),
        ("preprocessing.crop_px", 41, r"needs a crop_px of 32n \+ 1; got 41"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_file(
    path: Path, place: str, value: object, says: str
) -> None:
    line = said_of(with_setting(path, place, value))
    assert re.search(says, line), line


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"widths": [4096] * 4}, "million parameters"),
        ({"stem_channels": 512, "decoder": [8]}, "MiB of memory"),
    ],
)
def test_a_network_that_costs_too_much_is_refused(
    path: Path, change: dict[str, object], says: str
) -> None:
    about = description_of(path)["architecture"] | change
    with_setting(path, "preprocessing.crop_px", 833)
    assert says in said_of(with_setting(path, "architecture", about))


def test_the_weights_are_drawn_as_the_paper_s() -> None:
    wide = Network(UNet(), 7).requires_grad_(requires_grad=False)
    scores = wide.own_head.last_layer.weight
    assert scores.std() == pytest.approx(0.01, rel=0.2)
    for module in wide.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 10_000:
            fan_out = module.weight[:, 0].numel()
            assert module.weight.std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
