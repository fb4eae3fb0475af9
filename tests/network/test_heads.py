"""A head in a file of its own, and the model that it belongs to."""

from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY
from tests.network.test_model_file import rewritten

from recontour.errors import ModelFileError
from recontour.network import Model, Network, load_model, name_of, save_head, save_model
from recontour.network.findings import HeadWithoutTrunk, NotAHead, WrongTrunk
from recontour.network.model import part_sha256, sha256_of
from recontour.network.paths import parts_of
from recontour.transfer.depth import freeze_all_but_last
from recontour.transfer.inherit import ask_parent, inherit

CT_N1HW = torch.randn(2, 1, 33, 33, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def child_of(
    parent: Model, centre: str, *, last: int = 10, organs: tuple[str, ...] = (), share: float = 0.25
) -> Model:
    """A model adapted from a parent; it has learnt something else."""
    organs = organs or parent.organs
    network, fresh = inherit(parent, organs)
    freeze_all_but_last(network, last)
    network.branch_at(network.first_that_learns)
    if share:
        ask_parent(network, parent, dict.fromkeys(organs, share))
    for parameter in network.own_parameters():
        if parameter.requires_grad:
            parameter.add_(0.01)
    provenance = replace(
        parent.provenance,
        centre=centre,
        parent_sha256=sha256_of(parent.network),
        parent_centres=(*parent.provenance.parent_centres, parent.provenance.centre),
        fresh_organs=fresh,
    )
    asked = parent.heads[:1] if share else ()
    return replace(parent, network=network, organs=organs, provenance=provenance, asked=asked)


def joined(trunk: Path, head: Path) -> Path:
    """TRUNK+HEAD, as it is typed."""
    return Path(f"{trunk}+{head}")


@pytest.mark.parametrize("last", [1, 10, 12, 20])
@pytest.mark.parametrize("share", [0.0, 0.25])
@pytest.mark.parametrize("organs", [("Lens_L", "Brainstem"), ("Larynx", "Lens_L")])
def test_a_head_with_its_model_is_the_whole_adapted_model(
    model: Model, tmp_path: Path, last: int, share: float, organs: tuple[str, ...]
) -> None:
    child = child_of(model, "south", last=last, organs=organs, share=share)
    save_model(model, tmp_path / "north")
    save_model(child, tmp_path / "south")
    save_head(child, tmp_path / "south.head")
    whole = load_model(tmp_path / "south")
    both = load_model(joined(tmp_path / "north", tmp_path / "south.head"))
    assert both.heads == whole.heads
    assert both.organs == organs
    assert sha256_of(both.network) == sha256_of(whole.network)
    assert torch.equal(both.network.share_HK, whole.network.share_HK)
    assert torch.equal(both.network(CT_N1HW), whole.network(CT_N1HW))
    assert torch.equal(both.network(CT_N1HW), child.network.eval()(CT_N1HW))


def test_a_head_file_holds_what_was_learnt_and_nothing_else(model: Model, tmp_path: Path) -> None:
    child = child_of(model, "south")
    save_model(child, tmp_path / "whole")
    save_head(child, tmp_path / "head")
    head_bytes = sum(t.numel() * 4 for t in child.network.own_head.state_dict().values())
    text_bytes = 16 * 1024
    assert (tmp_path / "head").stat().st_size < head_bytes + text_bytes
    assert (tmp_path / "whole").stat().st_size > 2 * head_bytes


def refuses_other_trunk(child: Model, folder: Path) -> None:
    """A folder's head, of a child, cannot be joined to the other model there."""
    with pytest.raises(ModelFileError) as refused:
        load_model(joined(folder / "other", folder / "head"))
    assert refused.value.finding == WrongTrunk(
        path=folder / "head",
        centres=("north",),
        model="north",
        part="trunk",
        sha256=part_sha256(child.network.trunk),
    )


def test_a_head_refuses_another_trunk(model: Model, tmp_path: Path) -> None:
    torch.manual_seed(2)
    other = replace(model, network=Network(TINY, 2))
    save_model(other, tmp_path / "other")
    child = child_of(model, "south")
    save_head(child, tmp_path / "head")
    refuses_other_trunk(child, tmp_path)


@pytest.mark.parametrize(("trunk", "parent"), [("model", "unet_model"), ("unet_model", "model")])
def test_a_head_refuses_a_trunk_of_the_other_family(
    request: pytest.FixtureRequest, tmp_path: Path, trunk: str, parent: str
) -> None:
    save_model(request.getfixturevalue(trunk), tmp_path / "other")
    child = child_of(request.getfixturevalue(parent), "south")
    save_head(child, tmp_path / "head")
    refuses_other_trunk(child, tmp_path)


def test_a_head_refuses_a_model_without_the_head_that_it_asks(model: Model, tmp_path: Path) -> None:
    child = child_of(model, "south")
    alike = replace(model, network=deepcopy(model.network))
    with torch.no_grad():
        for parameter in alike.network.own_head.parameters():
            parameter.add_(1.0)
    save_model(alike, tmp_path / "alike")
    save_head(child, tmp_path / "head")
    with pytest.raises(ModelFileError, match=r"whose head has SHA-256"):
        load_model(joined(tmp_path / "alike", tmp_path / "head"))


def test_any_model_with_the_trunk_and_the_asked_head_will_do(model: Model, tmp_path: Path) -> None:
    """A sister asks the same parent, so it holds both."""
    save_model(child_of(model, "west"), tmp_path / "west")
    child = child_of(model, "south")
    save_head(child, tmp_path / "head")
    both = load_model(joined(tmp_path / "west", tmp_path / "head"))
    assert torch.equal(both.network(CT_N1HW), child.network.eval()(CT_N1HW))


def test_a_grandchild_s_head_goes_with_the_child(model: Model, tmp_path: Path) -> None:
    child = child_of(model, "south", last=12)
    grandchild = child_of(child, "east", last=10)
    save_model(model, tmp_path / "north")
    save_model(child, tmp_path / "south")
    save_head(grandchild, tmp_path / "head")
    both = load_model(joined(tmp_path / "south", tmp_path / "head"))
    assert torch.equal(both.network(CT_N1HW), grandchild.network.eval()(CT_N1HW))
    assert both.provenance.lineage == "north -> south -> east"
    save_head(child, tmp_path / "south.head")
    chain = joined(joined(tmp_path / "north", tmp_path / "south.head"), tmp_path / "head")
    assert name_of(chain) == "north+south+head"
    assert sha256_of(load_model(chain).network) == sha256_of(both.network)
    with pytest.raises(ModelFileError, match=r"to another model, whose .* \(that of north -> "):
        load_model(joined(tmp_path / "north", tmp_path / "head"))


def test_a_head_alone_is_refused_with_what_it_needs(model: Model, tmp_path: Path) -> None:
    save_head(child_of(model, "south"), tmp_path / "head")
    with pytest.raises(ModelFileError) as refused:
        load_model(tmp_path / "head")
    assert refused.value.finding == HeadWithoutTrunk(path=tmp_path / "head", centres=("north",))


def test_a_whole_model_is_no_head(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a")
    with pytest.raises(ModelFileError) as refused:
        load_model(joined(tmp_path / "a", tmp_path / "a"))
    assert refused.value.finding == NotAHead(path=tmp_path / "a")


def test_a_flipped_bit_in_a_head_is_seen(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "north")
    save_head(child_of(model, "south"), tmp_path / "head")
    raw = bytearray((tmp_path / "head").read_bytes())
    raw[-5] ^= 1
    (tmp_path / "head").write_bytes(raw)
    with pytest.raises(ModelFileError, match="SHA-256"):
        load_model(joined(tmp_path / "north", tmp_path / "head"))


def test_a_head_that_describes_another_trunk_is_damaged(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "north")
    save_head(child_of(model, "south"), tmp_path / "head")
    rewritten(tmp_path / "head", {"architecture": asdict(replace(TINY, stem_channels=32))})
    with pytest.raises(ModelFileError, match="its tensors cannot be used"):
        load_model(joined(tmp_path / "north", tmp_path / "head"))


def test_the_files_that_exist_decide_what_a_plus_sign_means(tmp_path: Path) -> None:
    for name in ("a+b", "a", "b+c", "c+d"):
        (tmp_path / name).touch()
    at = str(tmp_path)
    assert parts_of(Path(f"{at}/a+b")) == (Path(f"{at}/a+b"),)
    assert parts_of(Path(f"{at}/a+{at}/b+c")) == (Path(f"{at}/a"), Path(f"{at}/b+c"))
    assert parts_of(Path(f"{at}/a+b+{at}/c+d")) == (Path(f"{at}/a+b"), Path(f"{at}/c+d"))
    assert parts_of(Path(f"{at}/a+{at}/nothing")) == (Path(f"{at}/a"), Path(f"{at}/nothing"))
    assert parts_of(Path(f"{at}/no+thing+")) == (Path(f"{at}/no+thing+"),)
    three = (Path(f"{at}/a"), Path(f"{at}/b+c"), Path(f"{at}/c+d"))
    assert parts_of(Path(f"{at}/a+{at}/b+c+{at}/c+d")) == three


def test_a_missing_head_is_named(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "north")
    with pytest.raises(ModelFileError, match=r"nothing: not found; a model file is expected"):
        load_model(joined(tmp_path / "north", tmp_path / "nothing"))
