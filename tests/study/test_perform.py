"""One cell: what it is trained on, and how."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY
from torch import Tensor, nn

from recontour.cohort import Cohort
from recontour.errors import OrganError, ResumeError
from recontour.network import Network, Preprocessing, load_model
from recontour.network.model import versions
from recontour.study.cells import Cell
from recontour.study.findings import ModelOfAnotherRecipe, NoTrainingCase
from recontour.study.perform import Workspace, perform, recipe_of
from recontour.study.results import cell_folder, is_finished, read_mask, read_result
from recontour.study.settings import CentreSettings, ModelsSettings, Study
from recontour.training.batches import Batch
from recontour.training.presets import PRESETS, preset_of
from recontour.training.profile import StepSeconds
from recontour.training.recipe import Precision, Recipe

ORGANS = ("Brainstem", "Lens_L")
S = Cell("S", ORGANS, 2, seed=0)


STATISTICS = "conv1.1.running_mean"


@pytest.fixture
def workspace(
    north: Cohort, south: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    """Two source cases to train on and one to test, one target case of each; a tiny preset."""
    small = replace(
        preset_of("compact"),
        architecture=TINY,
        preprocessing=Preprocessing(4.0, 49, (-200.0, 400.0)),
    )
    monkeypatch.setitem(PRESETS, "tiny", small)
    study = Study(
        preset="tiny",
        source=CentreSettings(cohort=north.path),
        target=CentreSettings(cohort=south.path),
        models=ModelsSettings(iterations=2),
        retention_cases=1,
    )
    first, second, third = north.case_ids
    splits = {
        "source": {"train": [first, second], "validation": [], "test": [third]},
        "target": {
            "train": [south.case_ids[0]],
            "validation": [south.case_ids[0]],
            "test": [south.case_ids[1]],
        },
    }
    return Workspace(study, tmp_path / "study", {"source": north, "target": south}, splits)


def weights_of(workspace: Workspace, cell: Cell) -> dict[str, Tensor]:
    network = load_model(cell_folder(workspace.out, cell) / "model").network
    return nn.ModuleDict(network.path).state_dict()


def test_a_cell_keeps_its_model_its_scores_and_its_time(workspace: Workspace) -> None:
    watched = replace(S, validate_every=1)
    made = perform(watched, workspace)
    assert is_finished(workspace.out, watched)
    kept = read_result(workspace.out, watched)
    assert kept == made
    recipe = load_model(cell_folder(workspace.out, watched) / "model").recipe
    computed_in = {"precision": recipe["precision"]}
    assert kept.trained_with == recipe_of(workspace.study) | versions() | computed_in
    assert kept.training.iterations == 2
    assert [point.iteration for point in kept.training.validation] == [1, 2]
    assert kept.training.waiting + kept.training.trunk + kept.training.head == pytest.approx(1)
    assert {fold: len({row.case for row in rows}) for fold, rows in kept.scores.items()} == {
        "target test": 1,
        "source test": 1,
    }
    case = workspace.cases("target", "test")[0]
    mask = read_mask(workspace.out, watched, case.id, "Brainstem", case.grid.shape)
    assert mask is not None
    assert mask.shape == case.grid.shape


def test_a_processor_times_a_model_begun_in_fp16_in_float32(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has gone on in float32, too, but the model says what it began in."""
    timed_in = []

    def timed(_: Network, __: Batch, ___: Recipe, precision: Precision) -> StepSeconds:
        timed_in.append(precision)
        return StepSeconds(whole=2.0, head=1.0)

    monkeypatch.setattr("recontour.study.perform.precision_of", lambda _: "fp16")
    monkeypatch.setattr("recontour.study.perform.time_step", timed)
    perform(replace(S, validate_every=1), workspace)
    assert timed_in == ["float32"]


def test_a_model_without_its_result_counts_if_its_recipe_is_the_same(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = perform(S, workspace)
    result = cell_folder(workspace.out, S) / "result.json"
    result.unlink()
    assert perform(S, workspace).scores == made.scores
    result.unlink()
    tiny = PRESETS["tiny"]
    monkeypatch.setitem(
        PRESETS, "tiny", replace(tiny, train=replace(tiny.train, learning_rate=0.5))
    )
    with pytest.raises(ResumeError) as error:
        perform(S, workspace)
    assert error.value.finding == ModelOfAnotherRecipe(path=result.with_name("model"))


def test_adaptation_starts_from_its_parent_and_keeps_the_trunk(workspace: Workspace) -> None:
    perform(S, workspace)
    st = Cell("ST", ORGANS, 2, seed=0, parent=S, retrain_last=1)
    result = perform(st, workspace)
    after = weights_of(workspace, st)
    for name, weight in weights_of(workspace, S).items():
        assert torch.equal(weight, after[name]) == (not name.startswith("spp"))
    assert load_model(cell_folder(workspace.out, st) / "model").provenance.centre == "south"
    assert result.training.retrained_parameters < result.training.parameters


def test_random_weights_are_calibrated_but_not_trained(workspace: Workspace) -> None:
    drawn = Cell("random", ORGANS, 0, seed=3)
    assert perform(drawn, workspace).scores == {}
    kept = weights_of(workspace, drawn)
    torch.manual_seed(3)
    fresh = nn.ModuleDict(Network(TINY, len(ORGANS)).path)
    assert all(torch.equal(weight, kept[name]) for name, weight in fresh.named_parameters())
    assert not torch.equal(kept[STATISTICS], fresh.state_dict()[STATISTICS])


def test_frozen_statistics_stay_as_calibrated(workspace: Workspace) -> None:
    start = Cell("S", ORGANS, 1, seed=0, norm="frozen", batch=2)
    perform(start, workspace)
    longer = replace(start, iterations=2)
    perform(longer, workspace)
    one, two = weights_of(workspace, start), weights_of(workspace, longer)
    assert torch.equal(one[STATISTICS], two[STATISTICS])
    assert not torch.equal(one["conv1.0.weight"], two["conv1.0.weight"])


def test_a_draw_of_few_cases_is_the_same_for_both_models_and_grows(workspace: Workspace) -> None:
    perform(S, workspace)
    north = workspace.cohorts["source"]
    wide = replace(
        workspace,
        cohorts={"source": north, "target": north},
        splits=dict.fromkeys(("source", "target"), workspace.splits["source"]),
    )
    t = Cell("T", ORGANS, 1, seed=0, cases=1, draw=1)
    st = Cell("ST", ORGANS, 1, seed=0, parent=S, retrain_last=10, cases=1, draw=1)
    seen = [perform(cell, wide).train_cases for cell in (t, st)]
    trained = [load_model(wide.out / "cells" / cell.id / "model").provenance for cell in (t, st)]
    assert seen == [1, 1]
    # S's own cases are in the second, too.
    assert set(trained[0].trained_on) <= set(trained[1].trained_on)


def test_organs_that_no_training_case_has_are_an_error(workspace: Workspace) -> None:
    with pytest.raises(OrganError) as error:
        perform(Cell("S", ("Pituitary",), 1, seed=0), workspace)
    assert error.value.finding == NoTrainingCase(organs=("Pituitary",), cases=2)


def test_an_adapted_model_lets_its_patients_choose_its_parents_say(
    workspace: Workspace, north: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recontour.workflows.checking.FEWEST_PATIENTS", 3)
    splits = {**workspace.splits, "source": {"train": list(north.case_ids), "test": []}}
    splits["target"] = {"train": list(north.case_ids), "test": []}
    cohorts = {"source": north, "target": north}
    three = replace(workspace, cohorts=cohorts, splits=splits)
    perform(S, three)
    chosen = Cell("ST", ORGANS, 2, seed=0, parent=S, retrain_last=20)
    result = perform(chosen, three)
    folder = cell_folder(three.out, chosen)
    check = load_model(folder / "model").provenance.check
    assert check
    assert (check.folds, check.iterations, len(check.says)) == (2, 1, 4)
    assert result.training.choosing > 0
    kept = read_result(three.out, chosen)
    assert kept
    assert kept.training.choosing == result.training.choosing
    assert not (folder / "model.check").exists()
    plain = replace(chosen, plain=True)
    assert perform(plain, three).training.choosing == 0
    assert not load_model(cell_folder(three.out, plain) / "model").provenance.check
