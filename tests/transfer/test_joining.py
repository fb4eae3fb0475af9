"""A model organ by organ: each organ is contoured to the voxel as by the model it comes from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import TINY
from tests.network.test_heads import child_of

from recontour.cohort import Cohort
from recontour.contouring.contourer import Contourer
from recontour.errors import SettingsError
from recontour.network import Model, Network, load_model, save_model
from recontour.network.baseline import Baseline, Spreads
from recontour.network.card import card
from recontour.network.check import Check, CheckedDsc
from recontour.network.spread import Spread
from recontour.transfer.findings import Unjoinable
from recontour.transfer.joining import organ_by_organ

CT_N1HW = torch.randn(2, 1, 33, 33, generator=torch.Generator().manual_seed(0))
DSC = CheckedDsc(patients=6, parent=0.7, adapted=0.8, difference=0.1, low=0.05, high=0.15)
CHECK = Check(folds=3, patients=6, iterations=2200, organs={"Lens_L": DSC}, mean=DSC)
ORGANS = ("Lens_L", "Larynx", "Brainstem")


@torch.no_grad()
def logits(model: Model) -> torch.Tensor:
    """What the model answers."""
    answer: torch.Tensor = model.network.eval()(CT_N1HW)
    return answer


@pytest.mark.parametrize("last", [1, 10, 20])
@pytest.mark.parametrize("share", [0.0, 0.25])
def test_each_organ_answers_as_its_own_model(
    model: Model, tmp_path: Path, last: int, share: float
) -> None:
    child = child_of(model, "south", last=last, organs=ORGANS, share=share)
    joined = organ_by_organ(child, model, ("Brainstem",))
    save_model(joined, tmp_path / "joined")
    for one in (joined, load_model(tmp_path / "joined")):
        both = logits(one)
        assert torch.equal(both[:, :2], logits(child)[:, :2])
        assert torch.allclose(both[:, 2], logits(model)[:, 0], atol=1e-6)
        assert len(one.heads) == 2


def test_a_parent_that_asks_its_own_parent_is_taken_over_as_it_is(
    model: Model, tmp_path: Path
) -> None:
    child = child_of(model, "south", share=0.3)
    grandchild = child_of(child, "west", share=0.4)
    joined = organ_by_organ(grandchild, child, ("Lens_L",))
    save_model(joined, tmp_path / "joined")
    read = load_model(tmp_path / "joined")
    assert torch.allclose(logits(read)[:, 1], logits(child)[:, 1], atol=1e-6)
    assert torch.equal(logits(read)[:, 0], logits(grandchild)[:, 0])
    save_model(read, tmp_path / "again")
    assert load_model(tmp_path / "again").organs == grandchild.organs


def test_only_the_heads_that_an_organ_needs_come_along(model: Model) -> None:
    first = organ_by_organ(child_of(model, "south", share=0.0), model, ("Lens_L",))
    assert len(first.heads) == 2  # the child's, and the model's for the lens
    second = child_of(model, "west", share=0.0)
    for parameter in second.network.own_parameters():
        if parameter.requires_grad:  # the trunk stays what all three share
            parameter.data.mul_(1.1)
    joined = organ_by_organ(second, first, ("Lens_L",))
    assert [joined.share_of(head) for head in range(len(joined.heads))] == [
        {"Brainstem": 1.0},
        {"Lens_L": 1.0},
    ]
    assert torch.allclose(logits(joined)[:, 1], logits(model)[:, 1], atol=1e-6)


def test_masks_are_those_of_its_own_model(model: Model, north: Cohort) -> None:
    child = child_of(model, "south", share=0.25)
    joined = organ_by_organ(child, model, ("Brainstem",))
    for case in north:
        found = dict(Contourer(joined).contour(case.hu, case.grid))
        of_parent = dict(Contourer(model).contour(case.hu, case.grid))
        of_child = dict(Contourer(child).contour(case.hu, case.grid))
        assert np.array_equal(found["Brainstem"], of_parent["Brainstem"])
        assert np.array_equal(found["Lens_L"], of_child["Lens_L"])


def test_nothing_or_everything_can_come_from_the_parent(model: Model) -> None:
    child = child_of(model, "south")
    assert torch.equal(logits(organ_by_organ(child, model, ())), logits(child))
    of_parent = logits(organ_by_organ(child, model, model.organs))
    assert torch.allclose(of_parent, logits(model), atol=1e-6)


def test_the_card_says_whose_each_organ_is(model: Model) -> None:
    child = child_of(model, "south", share=0.0)
    own, parents = card(organ_by_organ(child, model, ("Brainstem",))).heads
    assert own.share == {"Lens_L": 1.0}
    assert parents.share == {"Brainstem": 1.0}


def test_the_candidate_stays_as_it_was(model: Model) -> None:
    child = child_of(model, "south")
    before = logits(child)
    organ_by_organ(child, model, model.organs)
    assert torch.equal(logits(child), before)


def test_the_patients_of_both_are_named(model: Model) -> None:
    of_parent = replace(model.provenance, trained_on=("a" * 16,), trained_on_tissue_hu=((1, 2),))
    of_child = replace(model.provenance, trained_on=("b" * 16,))
    parent = replace(model, provenance=of_parent)
    child = child_of(parent, "south")
    child = replace(child, provenance=of_child)
    joined = organ_by_organ(child, parent, ("Brainstem",))
    assert joined.provenance.trained_on == ("a" * 16, "b" * 16)
    assert joined.provenance.trained_on_tissue_hu == ((1, 2),)


@pytest.mark.parametrize("same_patients", [True, False])
def test_what_the_candidate_measured_of_an_organ_goes_with_it(
    model: Model, same_patients: bool
) -> None:
    """Else `compare` would subtract the candidate's offsets from contours of the parent."""
    spread = Spread(mean=0.25, sd=0.5, patients=20)
    offsets: dict[str, Spreads] = {"Brainstem": {"right": spread}, "Lens_L": {"right": spread}}
    child = child_of(model, "south")
    known = replace(child.provenance, baseline=Baseline(offsets), check=CHECK)
    if not same_patients:
        known = replace(known, trained_on=("b" * 16,))
        of_parent = replace(model.provenance, trained_on=("a" * 16,))
        model = replace(model, provenance=of_parent)
    child = replace(child, provenance=known)
    joined = organ_by_organ(child, model, ("Brainstem",)).provenance
    assert joined.baseline == Baseline({"Lens_L": {"right": spread}})
    assert joined.check is None
    assert organ_by_organ(child, model, model.organs).provenance.baseline is None
    untouched = organ_by_organ(child, model, ()).provenance
    assert (untouched.baseline, untouched.check) == (known.baseline, CHECK)


def test_what_shares_no_trunk_is_refused(model: Model) -> None:
    torch.manual_seed(7)
    stranger = replace(model, network=Network(TINY, 2))
    with pytest.raises(SettingsError) as refused:
        organ_by_organ(child_of(model, "south"), stranger, ("Brainstem",))
    assert refused.value.finding == Unjoinable(why="trunk")


def test_another_sight_or_architecture_is_refused(model: Model, unet_model: Model) -> None:
    wider = replace(model, preprocessing=replace(model.preprocessing, pixel_mm=3.0))
    with pytest.raises(SettingsError, match="other pixels") as refused:
        organ_by_organ(model, wider, ())
    assert refused.value.finding == Unjoinable(why="preprocessing")
    other = replace(unet_model, preprocessing=model.preprocessing)
    with pytest.raises(SettingsError, match="different architectures"):
        organ_by_organ(model, other, ())
