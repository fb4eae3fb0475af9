import json
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tests.conftest import largest_file

from recontour.errors import FaultError, ModelFileError, OutputError
from recontour.network import Model, Network, load_model, save_model
from recontour.network.model_file import sha256_of


def header(path: Path) -> dict[str, dict[str, str]]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    described: dict[str, dict[str, str]] = json.loads(raw[8 : 8 + length])
    return described


def rewritten(path: Path, change: dict[str, object]) -> Path:
    """The file with other entries in its description, weights as they were."""
    about = json.loads(header(path)["__metadata__"]["recontour"]) | change
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights, path, metadata={"recontour": json.dumps(about)})
    return path


@pytest.fixture
def path(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_what_is_loaded_is_what_was_saved(model: Model, path: Path) -> None:
    loaded = load_model(path)
    assert sha256_of(loaded.network) == sha256_of(model.network)
    assert replace(loaded, network=model.network).provenance == model.provenance
    assert (loaded.organs, loaded.architecture, loaded.preprocessing) == (
        model.organs, model.architecture, model.preprocessing,
    )  # fmt: skip
    assert loaded.recipe == model.recipe
    ct = torch.randn(1, 1, 33, 33)
    assert torch.equal(loaded.network(ct), model.network.eval()(ct))


@pytest.mark.parametrize("stage", ["conv2", "spp"])
def test_a_parent_is_saved_with_its_share(model: Model, tmp_path: Path, stage: str) -> None:
    model = replace(model, architecture=replace(model.architecture, parent_from=stage))
    model = replace(model, network=Network(model.architecture, 2))
    with torch.no_grad():
        for parameter in model.network.parent.parameters():
            parameter.mul_(1.5)
    model.network.parent_share_K.copy_(torch.tensor([0.5, 0.25]))
    save_model(model, tmp_path / "child")
    ct_N1HW = torch.randn(1, 1, 33, 33)
    loaded = load_model(tmp_path / "child")
    assert torch.equal(loaded.network.parent_share_K, torch.tensor([0.5, 0.25]))
    assert torch.equal(loaded.network(ct_N1HW), model.network.eval()(ct_N1HW))


def test_a_file_from_before_the_fingerprints_is_read(path: Path) -> None:
    provenance = json.loads(header(path)["__metadata__"]["recontour"])["provenance"]
    del provenance["trained_on"]
    assert load_model(rewritten(path, {"provenance": provenance})).provenance.trained_on == ()


@pytest.mark.parametrize(("name", "unused", "used"), [("refine_channels", 0, 32), ("parent_head", False, True)])
def test_a_file_that_speaks_of_what_is_gone_is_read_if_it_did_not_use_it(
    path: Path, model: Model, name: str, unused: object, used: object
) -> None:
    architecture = json.loads(header(path)["__metadata__"]["recontour"])["architecture"]
    assert (
        load_model(rewritten(path, {"architecture": architecture | {name: unused}})).architecture == model.architecture
    )
    with pytest.raises(ModelFileError, match=rf"older recontour \({name}\); train or adapt it again"):
        load_model(rewritten(path, {"architecture": architecture | {name: used}}))


def test_the_file_carries_a_card_in_plain_json(path: Path) -> None:
    about = json.loads(header(path)["__metadata__"]["recontour"])
    assert list(about["card"]) == ["0 Card", "1 Model", "2 Technical", "3 Training", "4 Evaluation", "5 Other"]
    assert "north" in about["card"]["3 Training"]["centre"]


def test_an_existing_file_is_not_overwritten(model: Model, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["m.safetensors"]


def test_a_disk_that_is_full_is_told_and_nothing_is_left(model: Model, tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(FaultError, match=r"m could not be written \(File too large\)"):
        save_model(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"nothing\.safetensors: no such model file"):
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
    with pytest.raises(ModelFileError, match="not a model file"):
        load_model(tmp_path / "x")


def test_another_tool_s_safetensors_is_foreign(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "x")
    with pytest.raises(ModelFileError, match="not a model of recontour"):
        load_model(tmp_path / "x")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 99}, "update recontour"),
        ({"format": "first"}, "damaged"),
        ({"architecture": {"wings": 2}}, r"newer recontour \(it says wings of its architecture\)"),
        ({"recipe": 5}, "damaged"),
        ({"organs": ["Brainstem"]}, "damaged"),
        ({"organs": ["Brainstem", "../Lens_L"]}, "no TG-263 name"),  # it would become a path
        ({"organs": ["Brainstem", "Lens\x1b[31m"]}, "no TG-263 name"),
        ({"organs": ["Brainstem", "Brainstem"]}, "each once"),
        ({"organs": ["Brainstem", "BRAINSTEM"]}, "each once"),  # one file on Windows
        ({"preprocessing": {"pixel_mm": 1, "crop_px": 20, "window_hu": [0, 1]}}, "8n"),
        ({"provenance": {}}, r"lacks provenance\.preset"),
    ],
)
def test_a_description_that_cannot_be_is_refused(path: Path, change: dict[str, object], says: str) -> None:
    with pytest.raises(ModelFileError, match=says):
        load_model(rewritten(path, change))


def test_a_description_with_a_gap_is_refused(path: Path) -> None:
    about = json.loads(header(path)["__metadata__"]["recontour"])
    del about["organs"]
    safetensors.torch.save_file(safetensors.torch.load_file(path), path, metadata={"recontour": json.dumps(about)})
    with pytest.raises(ModelFileError, match="lacks organs"):
        load_model(path)
