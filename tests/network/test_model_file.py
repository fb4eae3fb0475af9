import hashlib
import json
import os
import struct
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tests.conftest import TINY, largest_file
from torch import Tensor

from recontour.errors import FaultError, ModelFileError, OutputError, SettingsError
from recontour.network import Architecture, Model, Network, Preprocessing, load_model, save_model
from recontour.network.model import sha256_of
from recontour.network.model_file import refuse_unwritable


def header(path: Path) -> dict[str, dict[str, str]]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    described: dict[str, dict[str, str]] = json.loads(raw[8 : 8 + length])
    return described


def description_of(path: Path) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(header(path)["__metadata__"]["recontour"])
    return described


def rewritten(path: Path, change: dict[str, object]) -> Path:
    """The file with other entries in its description, weights as they were."""
    about = description_of(path) | change
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights, path, metadata={"recontour": json.dumps(about)})
    return path


@torch.no_grad()
def asking(model: Model, stage: str, shares: list[float]) -> Model:
    """A child of a model that asks it, too; its own head has learnt something else."""
    network = deepcopy(model.network)
    network.branch_at(stage)
    parents = deepcopy(network.own_head)
    for parameter in network.own_head.parameters():
        parameter.mul_(1.5)
    network.ask(parents, [0, 1], shares)
    provenance = replace(
        model.provenance,
        centre="child's",
        parent_centres=("north",),
        parent_sha256=sha256_of(model.network),
        retrained_layers=10,
    )
    return replace(model, network=network, provenance=provenance, asked=model.heads)


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_what_is_loaded_is_what_was_saved(model: Model, path: Path) -> None:
    loaded = load_model(path)
    assert sha256_of(loaded.network) == sha256_of(model.network)
    assert replace(loaded, network=model.network).provenance == model.provenance
    assert (loaded.organs, loaded.network.architecture, loaded.preprocessing) == (
        model.organs, model.network.architecture, model.preprocessing,
    )  # fmt: skip
    assert loaded.recipe == model.recipe
    ct = torch.randn(1, 1, 33, 33)
    assert torch.equal(loaded.network(ct), model.network.eval()(ct))


@pytest.mark.parametrize("stage", ["conv2", "spp"])
def test_a_parent_is_saved_with_its_share(model: Model, tmp_path: Path, stage: str) -> None:
    child = asking(model, stage, [0.5, 0.25])
    save_model(child, tmp_path / "child")
    ct_N1HW = torch.randn(1, 1, 33, 33)
    loaded = load_model(tmp_path / "child")
    assert loaded.network.branch == stage
    assert loaded.heads == child.heads
    assert torch.equal(loaded.network.share_HK[1], torch.tensor([0.5, 0.25]))
    assert torch.equal(loaded.network(ct_N1HW), child.network.eval()(ct_N1HW))


def test_a_file_from_before_the_fingerprints_is_read(path: Path) -> None:
    heads = description_of(path)["heads"]
    del heads[0]["provenance"]["trained_on"]
    assert load_model(rewritten(path, {"heads": heads})).provenance.trained_on == ()


def test_a_model_s_neighbours_are_part_of_its_file(neighbourly: Model, tmp_path: Path) -> None:
    save_model(neighbourly, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.preprocessing == neighbourly.preprocessing
    assert loaded.network.architecture.slices == 4
    assert sha256_of(loaded.network) == sha256_of(neighbourly.network)


@pytest.mark.parametrize(
    "change",
    [
        {"neighbours_mm": [4.0, -4.0]},
        {"neighbours_mm": []},
    ],
)
def test_a_network_and_a_view_that_disagree_are_refused(
    neighbourly: Model, tmp_path: Path, change: dict[str, object]
) -> None:
    save_model(neighbourly, tmp_path / "m")
    view = description_of(tmp_path / "m")["preprocessing"] | change
    line = said_of(rewritten(tmp_path / "m", {"preprocessing": view}))
    assert "architecture.slices must be one more" in line
    view = replace(neighbourly.preprocessing, neighbours_mm=())
    with pytest.raises(SettingsError, match="must be one more"):
        replace(neighbourly, preprocessing=view)


def test_tensors_of_a_network_that_sees_one_slice_do_not_fit(path: Path) -> None:
    view = description_of(path)["preprocessing"] | {"neighbours_mm": [4.0]}
    with_setting(path, "architecture.slices", 2)
    line = said_of(rewritten(path, {"preprocessing": view}))
    assert "'trunk.conv1.0.weight': 'F32' of shape (16, 1, 7, 7) seen" in line


def test_a_recipe_of_an_earlier_recontour_is_read(path: Path) -> None:
    """Nothing is computed from it, so that a setting that has gone, or had another form, is no
    harm.
    """
    earlier = {
        "iterations": 2200, "window": 13, "window_share": 0.9, "parent_share": 0.25,
        "augmentation": {"zooms": [], "zoom_range": [0.8, 1.25], "hu_gain": 0.02},
    }  # fmt: skip
    assert load_model(with_setting(path, "recipe", earlier)).recipe == earlier


def test_the_file_carries_a_card_in_plain_json(path: Path) -> None:
    about = description_of(path)
    assert list(about["card"]) == [
        "0 Card",
        "1 Model",
        "2 Technical",
        "3 Training",
        "4 Evaluation",
        "5 Other",
    ]
    assert "north" in about["card"]["3 Training"]["centre"]


def test_an_existing_file_is_not_overwritten(model: Model, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["m.safetensors"]


def test_a_disk_that_is_full_is_told_and_nothing_is_left(model: Model, tmp_path: Path) -> None:
    with (
        largest_file(1000),
        pytest.raises(FaultError, match=r"m: could not be written \(File too large\)"),
    ):
        save_model(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"nothing\.safetensors: not found; a model file is expected"
    ):
        load_model(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, 2000, -1])
def test_a_truncated_file_is_damaged(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(path)


def test_a_flipped_bit_in_the_weights_is_seen(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_model(path)


def test_a_text_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello, world: not a model at all")
    with pytest.raises(ModelFileError, match="not a recontour model file; check the path"):
        load_model(tmp_path / "x")


def test_another_tool_s_safetensors_is_foreign(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "x")
    with pytest.raises(ModelFileError, match="not a model of recontour"):
        load_model(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "update recontour"),
        ({"format": 1}, r"model format 1; this recontour reads format 2; train or adapt"),
        ({"format": "first"}, "damaged"),
        ({"format": 10**4000}, "damaged"),
        ({"head_only": "no"}, "damaged"),
        (
            {"architecture": {"wings": 2}},
            r"newer recontour: unknown name in architecture: wings; update recontour",
        ),
        ({"heads": []}, "damaged"),
        ({"branch": "conv9"}, "damaged"),
        ({"preprocessing": {"pixel_mm": 1.0, "crop_px": 20, "window_hu": [0.0, 1.0]}}, "8n"),
    ],
)
def test_a_description_that_cannot_be_is_refused(
    path: Path, change: dict[str, object], says: str
) -> None:
    with pytest.raises(ModelFileError, match=says):
        load_model(rewritten(path, change))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("recipe", 5, "damaged"),
        ("organs", ["Brainstem"], "damaged"),
        ("organs", ["Brainstem", "../Lens_L"], "expected a TG-263 name"),  # it would be a path
        ("organs", ["Brainstem", "Lens\x1b[31m"], "expected a TG-263 name"),
        ("organs", ["Brainstem", "Brainstem"], "expected each organ once"),
        ("organs", ["Brainstem", "BRAINSTEM"], "expected each organ once"),  # a file on Windows
        ("provenance", {}, r"provenance\.preset is missing"),
    ],
)
def test_a_head_that_cannot_be_is_refused(path: Path, place: str, value: object, says: str) -> None:
    with pytest.raises(ModelFileError, match=says):
        load_model(with_setting(path, place, value))


def test_a_description_with_a_gap_is_refused(path: Path) -> None:
    heads = description_of(path)["heads"]
    del heads[0]["organs"]
    with pytest.raises(ModelFileError, match=r"heads\.0\.organs is missing"):
        load_model(rewritten(path, {"heads": heads}))


def forged(path: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    """The file with other tensors, and with the SHA-256 that these have."""
    tensors = safetensors.torch.load_file(path)
    change(tensors)
    about = description_of(path)
    about["trunk_sha256"] = true_sha256(tensors, "trunk.")
    for place, head in enumerate(about["heads"]):
        head["sha256"] = true_sha256(tensors, f"heads.{place}.")
    parts = [about["trunk_sha256"], *(head["sha256"] for head in about["heads"])]
    about["weights_sha256"] = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    safetensors.torch.save_file(tensors, path, metadata={"recontour": json.dumps(about)})
    return path


def true_sha256(tensors: dict[str, Tensor], prefix: str) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        if name.startswith(prefix):
            digest.update(f"{name[len(prefix) :]} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


OF_A_HEAD = ("organs", "share", "recipe", "provenance", "sha256")


def with_setting(path: Path, place: str, value: object) -> Path:
    """The file with one value of its description replaced; place: such as `architecture.norm`.

    What belongs to a head is replaced in the first.
    """
    about = description_of(path)
    holder: Any = about
    *sections, last = place.split(".")
    if (*sections, last)[0] in OF_A_HEAD:
        holder = about["heads"][0]
    for name in sections:
        holder = holder[name]
    holder[last] = value
    return rewritten(path, about)


def said_of(path: Path) -> str:
    """What is said of a file that cannot be loaded: one line."""
    with pytest.raises(ModelFileError) as refused:
        load_model(path)
    (line,) = str(refused.value).splitlines()
    assert len(line) < 600
    assert line.isprintable()
    return line


def test_a_forged_file_is_else_as_good_as_a_true_one(path: Path, model: Model) -> None:
    """Else what is refused below might be refused for the forging."""
    forged(path, lambda tensors: None)
    assert sha256_of(load_model(path).network) == sha256_of(model.network)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("asked_from", [None, "conv1", "conv5"])
def test_every_tensor_comes_back_to_the_bit(
    model: Model, tmp_path: Path, norm: str, asked_from: str | None
) -> None:
    architecture = replace(model.network.architecture, norm=norm)
    model = replace(model, network=Network(architecture, 2))
    if asked_from:
        model = asking(model, asked_from, [0.5, 1.0])
    network = model.network
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.uniform_(0.5, 1.5)
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m").network
    assert list(loaded.state_dict()) == list(network.state_dict())
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
        assert loaded.state_dict()[name].dtype == tensor.dtype
    assert all(parameter.requires_grad for parameter in loaded.own_parameters())


def test_loading_draws_nothing(path: Path) -> None:
    before = torch.random.get_rng_state()
    load_model(path)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("architecture.spp_channels", 10**6, "architecture.spp_channels: .*, found 1000000"),
        ("architecture.spp_channels", "16", "architecture.spp_channels: .*, found '16'"),
        ("architecture.spp_channels", True, "architecture.spp_channels: .*, found True"),
        ("architecture.stem_channels", 0, "architecture.stem_channels: .*, found 0"),
        ("architecture.widths", [], "architecture.widths"),
        ("architecture.widths", [16, 16, 16], "architecture.widths"),
        ("architecture.widths", "wide", "architecture.widths: .*, found 'wide'"),
        ("architecture.blocks", [1, 10**6, 1], "architecture.blocks.1: .*, found 1000000"),
        ("architecture.cac_rates", [0, 8, 16], "architecture.cac_rates.0: .*, found 0"),
        ("architecture.cac_rates", [-1, 8, 16], "architecture.cac_rates.0: .*, found -1"),
        ("architecture.spp_rates", [1, 1e30, 1], r"architecture.spp_rates.1: .*, found 1e\+30"),
        ("architecture.conv4_rate", [2], r"architecture.conv4_rate: .*, found \[2\]"),
        ("architecture.norm", "none", "architecture.norm: .*, found 'none'"),
        ("branch", "../conv1", "branch"),
        ("preprocessing.pixel_mm", 0, "preprocessing.pixel_mm: .*, found 0"),
        ("preprocessing.pixel_mm", 1e30, "preprocessing.pixel_mm"),
        ("preprocessing.crop_px", 0, "preprocessing.crop_px: .*, found 0"),
        ("preprocessing.crop_px", -7, "preprocessing.crop_px: .*, found -7"),
        ("preprocessing.crop_px", 10**9 + 1, "preprocessing.crop_px"),
        ("preprocessing.window_hu", [400, -200], "window"),
        ("preprocessing.window_hu", [0, 1e-9], "window"),
        ("preprocessing.window_hu", [-1e30, 1e30], "preprocessing.window_hu.0"),
        ("preprocessing.window_hu", [10**400, 1], "preprocessing.window_hu.0"),
        ("preprocessing.window_hu", [], "preprocessing.window_hu"),
        ("preprocessing.neighbours_mm", [4.0, 101], "preprocessing.neighbours_mm.1: .*, found 101"),
        ("preprocessing.neighbours_mm", [-1e30], "preprocessing.neighbours_mm.0"),
        ("preprocessing.neighbours_mm", ["4"], "preprocessing.neighbours_mm.0: .*, found '4'"),
        ("preprocessing.neighbours_mm", [4.0] * 17, "preprocessing.neighbours_mm: .*at most 16"),
        ("preprocessing.neighbours_mm", 4.0, "preprocessing.neighbours_mm: .*, found 4.0"),
        ("preprocessing.neighbours_mm", [4.0], "slices must be one more .* got 1, and 1 of these"),
        ("architecture.slices", 2, "slices must be one more .* got 2, and 0 of these"),
        ("architecture.slices", 0, "architecture.slices: .*, found 0"),
        ("architecture.slices", 18, "architecture.slices: .*, found 18"),
        ("architecture.slices", True, "architecture.slices: .*, found True"),
        ("provenance.centre", "../elsewhere", "provenance.centre"),
        ("provenance.centre", "a/b", "provenance.centre"),
        ("provenance.centre", "\x1b[2J", "provenance.centre"),
        ("provenance.centre", "x" * 65, "provenance.centre"),
        ("provenance.centre", " ", "provenance.centre"),
        ("provenance.parent_centres", ["a", "b\nc"], "provenance.parent_centres.1"),
        ("provenance.notices", ["\x1b]0;owned\x07"], "provenance.notices.0"),
        ("provenance.notices", ["A" * 70_000], "provenance.notices.0"),
        ("provenance.notices", ["\u202egpj.exe"], "provenance.notices.0"),
        ("provenance.created", "yesterday", "provenance.created"),
        ("provenance.versions", {"recontour": "1\n2"}, "provenance.versions"),
        ("provenance.versions", {"torch": "2"}, "provenance.versions"),
        ("provenance.cases", -1, "provenance.cases: .*, found -1"),
        ("provenance.cases_per_organ", {"../x": 1}, "provenance.cases_per_organ"),
        ("provenance.seed", 2**64, "provenance.seed"),
        ("provenance.trained_on", ["zz"], "provenance.trained_on.0"),
        ("provenance.fresh_organs", ["=cmd|' /C calc'!A0"], "provenance.fresh_organs.0"),
        ("organs", ["Lens_L"] * 1000, "organs"),
        ("organs", [], "organs"),
        ("recipe.iterations", "\x1b[2J", "recipe.iterations"),
        ("recipe.iterations", 1e30, "recipe.iterations"),
        ("recipe.iterations", [[1]], "recipe.iterations"),
        ("weights_sha256", "short", "weights_sha256"),
        ("weights_sha256", None, "weights_sha256"),
        ("weights_sha256", "0" * 64, "the weights of the model do not have the SHA-256"),
        ("trunk_sha256", "short", "trunk_sha256"),
        ("sha256", None, "heads.0.sha256"),
        ("share", {"Brainstem": 0.5, "Lens_L": 1.0}, "shares that add up to 1"),
        ("share", {"Brainstem": 1.0, "Lens_L": -0.1}, "heads.0.share.Lens_L"),
        ("share", {"Brainstem": 1.0, "Lens_L": 1.1}, "heads.0.share.Lens_L"),
        ("share", {"Brainstem": 1.0, "Lens_L": 1.0, "Larynx": 0.5}, "shares only of organs"),
        ("provenance", [], "provenance"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_named_with_its_place(
    path: Path, place: str, value: object, says: str
) -> None:
    with pytest.raises(ModelFileError, match=says):
        load_model(with_setting(path, place, value))
    said_of(path)


@pytest.mark.parametrize(
    "word", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 1000 + "]" * 1000]
)
def test_a_number_that_is_none_is_refused(path: Path, word: str) -> None:
    description = header(path)["__metadata__"]["recontour"].replace(
        '"pixel_mm": 2.0', f'"pixel_mm": {word}'
    )
    assert word in description
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights, path, metadata={"recontour": description})
    assert "damaged" in said_of(path)


def test_a_description_that_says_one_thing_twice_is_refused(path: Path) -> None:
    description = header(path)["__metadata__"]["recontour"].replace(
        '"format": 2', '"format": 2, "format": 2'
    )
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights, path, metadata={"recontour": description})
    assert "one key occurs twice" in said_of(path)


def test_channels_that_the_tensors_do_not_have_take_no_memory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is compared with the file's tensors before any of them is read."""
    with_setting(path, "architecture.spp_channels", 4096)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("the weights were read"))
    line = said_of(path)
    assert (
        "('heads.0.spp.branches.0.0.weight': 'F32' of shape (16, 16, 1, 1) seen, "
        "'F32' of shape (4096, 16, 1, 1) expected)" in line
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda t: t.pop("heads.0.spp.scores.bias"),
            "'heads.0.spp.scores.bias': none seen, 'F32' of shape (4,) expected",
        ),
        (
            lambda t: t.update(more=torch.zeros(2)),
            "'more': 'F32' of shape (2,) seen, none expected",
        ),
        (
            lambda t: t.update({"heads.0.spp.scores.bias": torch.zeros(4).double()}),
            "'F64' of shape (4,) seen",
        ),
        (
            lambda t: t.update({"heads.0.spp.scores.bias": torch.zeros(1)}),
            "'F32' of shape (1,) seen",
        ),
        (lambda t: t.update({"\x1b[2J": torch.zeros(1)}), r"'\x1b[2J'"),
        (
            lambda t: t["heads.0.spp.scores.bias"].fill_(float("nan")),
            "heads.0.spp.scores.bias holds numbers that are not finite",
        ),
        (
            lambda t: t["trunk.conv1.0.weight"][0].fill_(float("inf")),
            "trunk.conv1.0.weight holds numbers that are not finite",
        ),
        (
            lambda t: t["trunk.conv1.1.running_var"][0].fill_(-1),
            "trunk.conv1.1.running_var holds variances below 0",
        ),
    ],
)
def test_tensors_that_are_not_the_network_s_are_named(
    path: Path, change: Callable[[dict[str, Tensor]], None], says: str
) -> None:
    assert says in said_of(forged(path, change))


def test_channels_that_group_normalisation_cannot_part_are_refused(path: Path) -> None:
    with_setting(path, "architecture.norm", "group")
    assert "num_channels (50) must be divisible" in said_of(
        with_setting(path, "architecture.spp_channels", 50)
    )


@pytest.mark.parametrize(
    ("architecture", "crop_px", "says"),
    [
        (Architecture(spp_channels=4096, widths=(64, 128, 256, 4096)), 417, "million parameters"),
        (Architecture(blocks=(3, 4, 60)), 833, "multiply-adds"),
        (replace(TINY, stem_channels=256, widths=(512, 16, 16, 16)), 833, "MiB of memory"),
    ],
)
def test_a_network_that_costs_too_much_is_refused_before_it_is_made(
    path: Path, architecture: Architecture, crop_px: int, says: str
) -> None:
    with_setting(path, "architecture", asdict(architecture))
    line = said_of(with_setting(path, "preprocessing.crop_px", crop_px))
    assert says in line
    assert "are accepted" in line


def test_a_name_that_is_not_utf_8_is_read(path: Path, model: Model) -> None:
    latin_1 = Path(os.fsdecode(os.fsencode(path.parent) + b"/caf\xe9.safetensors"))
    path.rename(latin_1)
    assert sha256_of(load_model(latin_1).network) == sha256_of(model.network)


def test_a_pipe_is_no_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a plain file" in said_of(tmp_path / "pipe")


def test_a_path_of_five_kilobytes_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model(tmp_path / ("x" * 5000))


def test_weights_that_diverged_are_not_written(model: Model, tmp_path: Path) -> None:
    model.network.state_dict()["trunk.conv1.0.weight"][0] = float("nan")
    with pytest.raises(FaultError, match=r"diverged: trunk\.conv1\.0\.weight"):
        save_model(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_read_again_is_refused_before_the_training(model: Model) -> None:
    refuse_unwritable(model)
    talkative = replace(model.provenance, notices=("A" * 2001,))
    with pytest.raises(
        SettingsError, match=r"could not be read again \(heads\.0\.provenance\.notices\.0"
    ):
        refuse_unwritable(replace(model, provenance=talkative))
    with pytest.raises(SettingsError, match=r"could not be read again \(preprocessing\.pixel_mm"):
        refuse_unwritable(replace(model, preprocessing=Preprocessing(40.0, 33, (-200.0, 400.0))))
