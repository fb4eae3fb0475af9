import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from tests.conftest import fill

from recontour.cohort import Cohort
from recontour.cohort.history import write_history
from recontour.cohort.records import ImportsRecord
from recontour.network import Model, load_model, save_model
from recontour.network.card import card
from recontour.network.model import sha256_of
from recontour.training.presets import preset_of
from recontour.transfer.models import (
    begin,
    fit,
    precision_of,
    take_over,
    with_precision,
    with_sisters,
)


@pytest.mark.parametrize(
    ("retrain_last", "first"),
    [(1, "spp"), (10, "conv5"), (11, "conv4"), (14, "conv3"), (20, "conv1")],
)
def test_the_parent_is_asked_from_the_first_stage_on_that_learns(
    model: Model, south: Cohort, retrain_last: int, first: str
) -> None:
    recipe = replace(preset_of("compact").adapt, parent_patients=3.0)
    cases = [south[case_id] for case_id in south.case_ids]
    child = take_over(model, south, cases, model.organs, recipe, retrain_last, seed=0)
    own, asked = child.network.heads
    begins = [next(name for name, _ in head.named_children()) for head in (own, asked)]
    assert child.network.branch == first
    assert begins == [first, first]
    assert not any(p.requires_grad for p in asked.parameters())
    of_two_patients_here_and_three_there = torch.tensor([0.6, 0.6])
    assert torch.equal(child.network.share_HK[1], of_two_patients_here_and_three_there)
    assert child.asked == model.heads


@pytest.mark.parametrize(("worth", "organ"), [(0.0, "Brainstem"), (3.0, "Larynx")])
def test_no_parent_is_asked_as_in_the_paper_or_where_it_knows_no_organ(
    model: Model, south: Cohort, worth: float, organ: str
) -> None:
    recipe = replace(preset_of("compact").adapt, parent_patients=worth)
    cases = [south[case_id] for case_id in south.case_ids]
    child = take_over(model, south, cases, [organ], recipe, 10, seed=0)
    assert child.network.branch == "conv5"
    assert len(child.network.heads) == 1
    assert child.asked == ()


FROM_ELSEWHERE = "Cohort south: 1 of 2 training cases comes from elsewhere than the others."
OLD_NAMES = "Cohort south: the names of the last import were not applied to 1 of 2 training cases."


def test_a_model_keeps_the_doubts_of_its_cohort(model: Model, tmp_path: Path) -> None:
    south = fill(Cohort.open_or_create(tmp_path / "south", "south"), 2)
    settings = preset_of("compact")

    def notices() -> tuple[str, ...]:
        begun = begin(south, list(south), model.organs, "compact", settings, seed=0)
        return begun.provenance.notices

    assert notices() == ()
    first, second = south.case_ids
    write_history(south.path, ImportsRecord(not_applied=[first]))
    place = south.path / "cases" / second / "case.json"
    about = json.loads(place.read_text())
    place.write_text(json.dumps(about | {"origin": {"elsewhere": True}}))
    assert notices() == (FROM_ELSEWHERE, OLD_NAMES)
    child = adapted(model, south, 10)
    save_model(child, tmp_path / "child")
    kept = load_model(tmp_path / "child")
    assert kept.provenance.notices == (FROM_ELSEWHERE, OLD_NAMES)
    said = card(kept).sections()["3 Training"]["notices"]
    assert FROM_ELSEWHERE in said
    assert OLD_NAMES in said
    north = fill(Cohort.open_or_create(tmp_path / "north", "north"), 2)
    grandchild = adapted(kept, north, 10)
    assert grandchild.provenance.notices == (FROM_ELSEWHERE, OLD_NAMES)


def adapted(parent: Model, south: Cohort, last: int, organ: str = "Brainstem") -> Model:
    return take_over(parent, south, list(south), [organ], preset_of("compact").adapt, last, seed=0)


def test_a_recipe_names_fixed_views_only_where_the_trunk_is_frozen(
    model: Model, unet_model: Model, south: Cohort
) -> None:
    usual = preset_of("compact").adapt
    assert adapted(model, south, 10).recipe == asdict(usual)
    new_views = asdict(usual) | {"views": 0, "window": (0, 0), "whole_iterations": 0}
    assert adapted(model, south, 20).recipe == new_views
    assert adapted(unet_model, south, 1).recipe == new_views  # its trunk gives several maps
    assert asdict(usual.plain()) == new_views | {"parent_patients": 0.0}


def test_a_recipe_names_the_parent_only_where_it_is_asked(model: Model, south: Cohort) -> None:
    assert adapted(model, south, 10).recipe["parent_patients"] == 3.0
    assert adapted(model, south, 10, "Larynx").recipe["parent_patients"] == 0.0


@pytest.mark.parametrize("retrain_last", [1, 10, 20])
def test_before_it_has_learnt_a_child_contours_as_its_parent(
    model: Model, south: Cohort, retrain_last: int
) -> None:
    recipe = replace(preset_of("compact").adapt, parent_patients=2.0)
    cases = [south[case_id] for case_id in south.case_ids]
    child = take_over(model, south, cases, model.organs, recipe, retrain_last, seed=0)
    ct_N1HW = torch.randn(1, 1, 33, 33)
    assert torch.allclose(child.network.eval()(ct_N1HW), model.network.eval()(ct_N1HW), atol=1e-5)


def test_what_a_model_was_trained_in_is_in_its_file(
    model: Model, south: Cohort, tmp_path: Path
) -> None:
    """A run that is broken off goes on in what it began with, whatever a timing would say now."""
    recipe = replace(preset_of("compact").adapt, iterations=4, batch=2)
    cases = list(south)

    def child() -> Model:
        return take_over(model, south, cases, model.organs, recipe, 10, seed=0)

    whole, broken, again = tmp_path / "whole", tmp_path / "broken", tmp_path / "float32"
    for out, precision in ((whole, "bf16"), (again, "float32")):
        asked = with_precision(child(), recipe, out, precision)  # type: ignore[arg-type]
        list(fit(asked, cases, recipe, out, resume=False))
        assert precision_of(load_model(out)) == precision
    begun = with_precision(child(), recipe, broken, "bf16")
    with closing(fit(begun, cases, recipe, broken, resume=False)) as steps:
        next(steps)
    # "auto" means float32 here; bf16 counts, which the run began with.
    list(fit(with_precision(child(), recipe, broken), cases, recipe, broken, resume=True))
    assert load_model(broken).recipe["precision"] == "bf16"
    shas = [sha256_of(load_model(out).network) for out in (whole, broken, again)]
    assert shas[0] == shas[1] != shas[2]


def test_a_file_of_an_earlier_version_was_trained_in_float32(model: Model) -> None:
    assert "precision" not in model.recipe
    assert precision_of(model) == "float32"


def test_sisters_say_together_as_much_as_the_child_and_nothing_of_what_they_do_not_know(
    model: Model, south: Cohort
) -> None:
    recipe = replace(preset_of("compact").adapt, parent_patients=3.0)
    alone = replace(recipe, parent_patients=0.0)
    cases = [south[case_id] for case_id in south.case_ids]
    child = take_over(model, south, cases, model.organs, recipe, 10, seed=0)
    sister = take_over(model, south, cases[:1], model.organs, alone, 10, seed=0)
    knows_one = take_over(model, south, cases[1:], ["Lens_L"], alone, 10, seed=0)
    asking = with_sisters(child, [sister, knows_one])
    assert asking.organs == ("Brainstem", "Lens_L")
    expected = torch.tensor([[0.3, 0.2], [0.6, 0.6], [0.1, 0.1], [0.0, 0.1]])
    assert torch.allclose(asking.network.share_HK, expected)
    assert [head.provenance.cases for head in asking.heads[2:]] == [1, 1]
    learning = [
        head for head in asking.network.heads if any(p.requires_grad for p in head.parameters())
    ]
    assert learning == [asking.network.own_head]
