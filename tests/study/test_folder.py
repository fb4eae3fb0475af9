"""A study's folder: begun, gone on with, or refused before anything is written."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.study.conftest import logged
from tests.study.test_study_report import a_result

from recontour.cohort import Cohort
from recontour.errors import OutputError, SettingsError
from recontour.findings import Finding
from recontour.study.declared import read_declared
from recontour.study.findings import (
    DifferentRecipes,
    DifferentStudy,
    FileInsteadOfStudy,
    UnlearnableOrgans,
)
from recontour.study.folder import open_workspace, prepare, study_plan
from recontour.study.perform import recipe_of
from recontour.study.results import write_result
from recontour.study.settings import CentreSettings, ModelsSettings, SeparatelySettings, Study
from recontour.study.study import dry_run
from recontour.transfer.findings import ImpossibleDepth

BOTH_HAVE = ("Brainstem", "Lens_R")
TOO_MANY_LAYERS = ImpossibleDepth(
    setting="models.retrain_last",
    retrain_last=99,
    preset="compact",
    layers=29,
)


def test_what_a_kill_left_between_split_and_declaration_is_replaced(
    study: Study, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    out.mkdir()
    (out / "split.csv").write_text("centre,case,fold\nsource,half of a na")
    prepare(study, out, resume=False)
    workspace = open_workspace(out)
    assert workspace.study == replace(study, organs=BOTH_HAVE, precision="float32")
    folds = ("train", "validation", "test")
    assert [len(workspace.cases("source", fold)) for fold in folds] == [2, 0, 1]


def test_all_organs_are_those_that_both_centres_can_learn(study: Study, tmp_path: Path) -> None:
    whole = replace(study, separately=SeparatelySettings(iterations=1))
    prepare(whole, tmp_path / "out", resume=False)
    laid = study_plan(open_workspace(tmp_path / "out"))
    assert laid.models[0].t.organs == BOTH_HAVE
    assert tuple(laid.separately) == BOTH_HAVE


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            {"organs": ("Lens_L",)},
            UnlearnableOrgans(setting="organs", unknown=("Lens_L",), known=BOTH_HAVE),
        ),
        (
            {"organs": ("Brainstem", "Parotid_Left")},
            UnlearnableOrgans(setting="organs", unknown=("Parotid_Left",), known=BOTH_HAVE),
        ),
        (
            {"separately": SeparatelySettings(1, ("Parotid_Left",))},
            UnlearnableOrgans(
                setting="separately.organs", unknown=("Parotid_Left",), known=BOTH_HAVE
            ),
        ),
        ({"models": ModelsSettings(1, retrain_last=99)}, TOO_MANY_LAYERS),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    study: Study, tmp_path: Path, change: Mapping[str, Any], finding: Finding
) -> None:
    wrong, out = replace(study, **change), tmp_path / "out"
    with pytest.raises(SettingsError) as error:
        dry_run(wrong)
    assert error.value.finding == finding
    with pytest.raises(SettingsError) as error:
        prepare(wrong, out, resume=False)
    assert error.value.finding == finding
    assert not out.exists()


def test_a_study_that_grows_is_looked_at_again(study: Study, out: Path) -> None:
    grown = replace(study, models=ModelsSettings(1, retrain_last=99))
    with pytest.raises(SettingsError) as error:
        prepare(grown, out, resume=True)
    assert error.value.finding == TOO_MANY_LAYERS
    settled = replace(study, organs=BOTH_HAVE, precision="float32")
    assert read_declared(out) == settled


def test_all_cells_of_a_study_train_in_what_paid_when_it_began(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is timed once, with the threads that a worker has."""
    threads: list[int] = []

    def timed(*_: object) -> float:
        threads.append(torch.get_num_threads())
        return 1.7

    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr("recontour.training.precision.gain_of_bf16", timed)
    study, before = replace(study, threads=3), torch.get_num_threads()
    prepare(study, tmp_path / "out", resume=False)
    assert (threads, torch.get_num_threads()) == ([3], before)
    assert read_declared(tmp_path / "out").precision == "bf16"
    prepare(study, tmp_path / "out", resume=True)
    assert len(threads) == 1
    with pytest.raises(SettingsError) as error:
        prepare(replace(study, precision="float32"), tmp_path / "out", resume=True)
    expected = DifferentStudy(path=tmp_path / "out", changed=("precision",))
    assert error.value.finding == expected


def test_cells_scored_before_their_views_were_stated_are_told_apart(
    out: Path, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    cell = study_plan(open_workspace(out)).models[0].s
    stated = recipe_of(study)
    write_result(out, replace(a_result(cell), scores={}, trained_with=stated))
    prepare(study, out, resume=True)
    assert not logged(caplog, DifferentRecipes)
    del stated["views of a slice"]
    write_result(out, replace(a_result(cell), scores={}, trained_with=stated))
    prepare(study, out, resume=True)
    assert logged(caplog, DifferentRecipes) == [DifferentRecipes(cells=1)]


def test_with_gpus_each_worker_s_own_decides(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    prepare(study, tmp_path / "out", resume=False)
    assert read_declared(tmp_path / "out").precision == "auto"


def test_a_study_begun_on_a_gpu_lets_a_processor_finish_its_cells(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fixed precision would be another than that of an interrupted cell."""
    with monkeypatch.context() as with_gpu:
        with_gpu.setattr("torch.accelerator.is_available", lambda: True)
        prepare(study, tmp_path / "out", resume=False)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    prepare(study, tmp_path / "out", resume=True)
    assert read_declared(tmp_path / "out").precision == "auto"


def test_patients_imported_later_change_no_cell(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(study.source.cohort, tmp_path / "source")
    study = replace(study, source=replace(study.source, cohort=tmp_path / "source"))
    prepare(study, tmp_path / "out", resume=False)
    cells = [cell.id for cell in study_plan(open_workspace(tmp_path / "out")).cells]
    for centre in (study.source, study.target):
        cohort = Cohort.open(centre.cohort)
        case = cohort[cohort.case_ids[0]]
        cohort.add("later", case.hu, case.grid, {"Pituitary": case.mask("Brainstem")}, "hash")
    prepare(study, tmp_path / "out", resume=True)
    assert [cell.id for cell in study_plan(open_workspace(tmp_path / "out")).cells] == cells
    monkeypatch.setattr("recontour.study.study.estimate", lambda _cells, _workspace: {})
    assert [cell.id for cell in dry_run(study, tmp_path / "out").cells] == cells
    with pytest.raises(SettingsError) as error:
        dry_run(replace(study, retention_cases=1), tmp_path / "out")
    expected = DifferentStudy(path=tmp_path / "out", changed=("retention_cases",))
    assert error.value.finding == expected


def test_a_case_that_was_replaced_is_not_scored_beside_what_it_was(study: Study, out: Path) -> None:
    prepare(study, out, resume=True)
    cohort = Cohort.open(study.target.cohort)
    name = open_workspace(out).splits["target"]["test"][0]
    case = cohort[name]
    hu, masks = np.array(case.hu), {organ: case.mask(organ) for organ in case.organs}
    masks["Brainstem"][:, :, 1:] |= masks["Brainstem"][:, :, :-1]
    shutil.rmtree(case.path)
    cohort.add(name, hu, case.grid, masks, "hash")
    with pytest.raises(
        SettingsError, match=f"split.csv: .* imported again since the study began, .*: {name};"
    ):
        prepare(replace(study, seeds=(0, 1)), out, resume=True)
    assert read_declared(out).seeds == (0,)


def test_a_split_file_that_was_edited_is_not_passed_over(study: Study, out: Path) -> None:
    file = study.source.split
    assert file
    first, second, third = file.read_text().splitlines()[1:]
    name = second.partition(",")[0]
    for edited in ([first, f"{name},test", third], [first, third]):
        file.write_text("\n".join(["case,fold", *edited]))
        with pytest.raises(
            SettingsError,
            match=f"source.csv: when the study began .* had another fold, or none, .*: {name};",
        ):
            prepare(study, out, resume=True)
    file.write_text("\n".join(["case,fold", third, second, first]))  # the order says nothing
    prepare(study, out, resume=True)
    file.unlink()  # as on another machine: the folder keeps it
    prepare(study, out, resume=True)


def test_centres_that_share_no_organ_are_no_study(north: Cohort, tmp_path: Path) -> None:
    target = Cohort.open_or_create(tmp_path / "target", "target")
    for number, case in enumerate(north):
        target.add(
            f"target-{number}",
            case.hu + number + 1,
            case.grid,
            {"Larynx": case.mask("Brainstem")},
            "hash",
        )
    study = Study(
        CentreSettings(north.path, test=1),
        CentreSettings(target.path, test=1),
        ModelsSettings(iterations=1),
    )
    with pytest.raises(SettingsError, match=r"must have one organ or more; both .* none") as error:
        prepare(study, tmp_path / "out", resume=False)
    assert error.value.finding == UnlearnableOrgans(setting="organs", unknown=(), known=())


def test_a_file_is_no_study(study: Study, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError) as error:
        prepare(study, tmp_path / "mine.txt", resume=False)
    assert error.value.finding == FileInsteadOfStudy(path=tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"
