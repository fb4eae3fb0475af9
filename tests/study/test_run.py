"""A study's folder, before any cell is run."""

import csv
import errno
import json
import os
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from tests.conftest import fill
from tests.evaluation.conftest import scored
from tests.study.test_study_report import a_result

from recontour.cohort import Cohort, case_id_of
from recontour.errors import FaultError, OutputError, ScoresError, SettingsError
from recontour.executors import DeadWorker, Place
from recontour.files import ExistingOutput, MachineFault
from recontour.findings import HIDDEN, Finding, words
from recontour.network.model import versions
from recontour.processes import held
from recontour.progress import quiet
from recontour.study import run
from recontour.study.cells import Cell
from recontour.study.declared import read_declared
from recontour.study.estimate import Forecast
from recontour.study.findings import (
    DifferentRecipes,
    DifferentStudy,
    FailedCell,
    FailedParentCell,
    FileInsteadOfStudy,
    LinkedFolder,
    UnlearnableOrgans,
)
from recontour.study.folder import open_workspace, prepare, study_plan
from recontour.study.perform import Report, Workspace, recipe_of
from recontour.study.results import cell_folder, is_finished, write_result
from recontour.study.settings import CentreSettings, ModelsSettings, SeparatelySettings, Study
from recontour.study.study import dry_run, report_study
from recontour.training.presets import PRESETS
from recontour.transfer.findings import ImpossibleDepth

Kind = TypeVar("Kind", bound=Finding)


def logged(caplog: pytest.LogCaptureFixture, kind: type[Kind]) -> list[Kind]:
    """Findings of one kind; `prepare` also says what is odd about the cohorts."""
    findings = [getattr(record, "finding", None) for record in caplog.records]
    return [finding for finding in findings if isinstance(finding, kind)]


def test_what_a_kill_left_between_split_and_declaration_is_replaced(
    north: Cohort, south: Cohort, tmp_path: Path
) -> None:
    source, target = (
        CentreSettings(cohort=north.path, test=1),
        CentreSettings(cohort=south.path, test=1),
    )
    study = Study(source=source, target=target, models=ModelsSettings(iterations=1))
    (tmp_path / "split.csv").write_text("centre,case,fold\nsource,half of a na")
    prepare(study, tmp_path, resume=False)
    workspace = open_workspace(tmp_path)
    settled = {"organs": ("Brainstem", "Lens_L", "Lens_R"), "precision": "float32"}
    assert workspace.study == replace(study, **settled)  # type: ignore[arg-type]
    assert sorted(
        len(workspace.cases("source", fold)) for fold in ("train", "validation", "test")
    ) == [0, 1, 2]


HERE = Place("local", 1)
Shown = tuple[str, int, int, str]
BOTH_HAVE = ("Brainstem", "Lens_R")
TOO_MANY_LAYERS = ImpossibleDepth(
    setting="models.retrain_last",
    retrain_last=99,
    preset="compact",
    layers=29,
)


@pytest.fixture
def study(north: Cohort, tmp_path: Path) -> Study:
    """A study whose only training patient of the target lacks the left lens."""
    target = fill(
        Cohort.open_or_create(tmp_path / "target", "target"), 2, without={1: "Lens_L"}, growth_px=1
    )
    tested, trained = (case_id_of("target", f"1.2.{number}") for number in range(2))
    (tmp_path / "target.csv").write_text(f"case,fold\n{trained},train\n{tested},test\n")
    (tmp_path / "source.csv").write_text(
        "case,fold\n" + "".join(f"{name},train\n" for name in north.case_ids[:2])
    )
    with (tmp_path / "source.csv").open("a") as file:
        file.write(f"{north.case_ids[2]},test\n")
    return Study(
        source=CentreSettings(cohort=north.path, split=tmp_path / "source.csv"),
        target=CentreSettings(cohort=target.path, split=tmp_path / "target.csv"),
        models=ModelsSettings(iterations=1),
    )


def test_all_organs_are_those_that_both_centres_can_learn(study: Study, tmp_path: Path) -> None:
    whole = replace(study, separately=SeparatelySettings(iterations=1))
    prepare(whole, tmp_path / "out", resume=False)
    laid = study_plan(open_workspace(tmp_path / "out"))
    assert laid.models[0].t.organs == ("Brainstem", "Lens_R")
    assert list(laid.separately) == ["Brainstem", "Lens_R"]


def test_a_report_counts_patients_as_the_study_began_with_them(
    north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of the target's four CTs are one patient's; the source's patients are unknown."""
    case = north[north.case_ids[0]]
    target = Cohort.open_or_create(tmp_path / "target", "target")
    masks = {organ: case.mask(organ) for organ in case.organs}
    for number, key in enumerate(("0", "1", "1", "2")):
        target.add(
            f"t{number}", case.hu + number, case.grid, masks, "hash", patient=f"0123abcd-{key * 16}"
        )
    (tmp_path / "split.csv").write_text("case,fold\nt0,train\nt1,test\nt2,test\nt3,test\n")
    study = Study(
        source=CentreSettings(cohort=north.path, test=1),
        target=CentreSettings(cohort=target.path, split=tmp_path / "split.csv"),
        models=ModelsSettings(iterations=1),
    )
    out = tmp_path / "out"
    prepare(study, out, resume=False)
    for cell in study_plan(open_workspace(out)).cells:
        rows = [
            scored(f"t{number}", organ, cell.id, 0.5 + number / 10)
            for number in (1, 2, 3)
            for organ in cell.organs
        ]
        write_result(out, replace(a_result(cell), scores={"target test": rows, "source test": []}))
    caplog.clear()  # of what `prepare` says of the cohorts
    report_study(out)
    scores = csv.DictReader((out / "tables" / "scores.csv").read_text().splitlines())
    assert {(row["case"], row["patient"]) for row in scores} == {
        ("t1", "t1"),
        ("t2", "t1"),
        ("t3", "t3"),
    }
    models = list(csv.DictReader((out / "tables" / "models.csv").read_text().splitlines()))
    assert {row["n"] for row in models} == {"2"}
    assert {round(float(row["dsc_mean"]), 9) for row in models} == {0.725}  # of 0.65 and 0.8
    page = (out / "report.html").read_text()
    assert "<td>2 (3 CTs)</td>" in page
    assert "Source: 3 of 3 CTs have no patient key" in page
    assert "target: " not in page
    assert "0123abcd" not in page
    assert not caplog.messages


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


def test_a_study_that_grows_is_looked_at_again(study: Study, tmp_path: Path) -> None:
    prepare(study, tmp_path / "out", resume=False)
    grown = replace(study, models=ModelsSettings(1, retrain_last=99))
    with pytest.raises(SettingsError) as error:
        prepare(grown, tmp_path / "out", resume=True)
    assert error.value.finding == TOO_MANY_LAYERS
    settled = {"organs": ("Brainstem", "Lens_R"), "precision": "float32"}
    assert read_declared(tmp_path / "out") == replace(study, **settled)  # type: ignore[arg-type]


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
    study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    prepare(study, out, resume=False)
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


def test_a_report_says_that_cells_trained_in_two_precisions(study: Study, tmp_path: Path) -> None:
    out, mixed = tmp_path / "out", "Not all models are known to be trained by one recipe"
    prepare(study, out, resume=False)
    s, t, st = study_plan(open_workspace(out)).models[0]

    def report(cell: Cell, precision: str) -> str:
        trained_with = {**recipe_of(study), **versions(), "precision": precision}
        write_result(out, replace(a_result(cell), scores={}, trained_with=trained_with))
        report_study(out)
        return (out / "report.html").read_text()

    for cell in (s, t):
        assert mixed not in report(cell, "bf16")
    page = report(st, "float32")
    assert mixed in page
    assert f'">bf16; but float32 in {st.id}</td>' in page


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


def test_a_case_that_was_replaced_is_not_scored_beside_what_it_was(
    study: Study, tmp_path: Path
) -> None:
    prepare(study, tmp_path / "out", resume=False)
    prepare(study, tmp_path / "out", resume=True)
    cohort = Cohort.open(study.target.cohort)
    name = open_workspace(tmp_path / "out").splits["target"]["test"][0]
    case = cohort[name]
    hu, masks = np.array(case.hu), {organ: case.mask(organ) for organ in case.organs}
    masks["Brainstem"][:, :, 1:] |= masks["Brainstem"][:, :, :-1]
    shutil.rmtree(case.path)
    cohort.add(name, hu, case.grid, masks, "hash")
    with pytest.raises(
        SettingsError, match=f"split.csv: .* imported again since the study began, .*: {name};"
    ):
        prepare(replace(study, seeds=(0, 1)), tmp_path / "out", resume=True)
    assert read_declared(tmp_path / "out").seeds == (0,)


def test_a_report_tells_of_contours_that_are_recontour_s_own(study: Study, tmp_path: Path) -> None:
    about = next(study.target.cohort.glob("cases/*/case.json"))
    about.write_text(json.dumps(json.loads(about.read_text()) | {"draft": True}))
    prepare(study, tmp_path / "out", resume=False)
    report_study(tmp_path / "out")
    assert (
        "recontour&#39;s own: a model learns nothing from them"
        in (tmp_path / "out" / "report.html").read_text()
    )


def test_a_split_file_that_was_edited_is_not_passed_over(study: Study, tmp_path: Path) -> None:
    prepare(study, tmp_path / "out", resume=False)
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
            prepare(study, tmp_path / "out", resume=True)
    file.write_text("\n".join(["case,fold", third, second, first]))  # the order says nothing
    prepare(study, tmp_path / "out", resume=True)
    file.unlink()  # as on another machine: the folder keeps it
    prepare(study, tmp_path / "out", resume=True)


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


def test_a_file_is_no_study(north: Cohort, south: Cohort, tmp_path: Path) -> None:
    source, target = (
        CentreSettings(cohort=north.path, test=1),
        CentreSettings(cohort=south.path, test=1),
    )
    (tmp_path / "mine.txt").write_text("mine")
    study = Study(source=source, target=target, models=ModelsSettings(iterations=1))
    with pytest.raises(OutputError) as error:
        prepare(study, tmp_path / "mine.txt", resume=False)
    assert error.value.finding == FileInsteadOfStudy(path=tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def finish(out: Path, job: run.Job = run.compute) -> list[Shown]:
    """Run a study's cells in this process; return what progress was shown."""
    shown: list[Shown] = []
    cells = study_plan(open_workspace(out)).cells
    with ThreadPoolExecutor(1) as executor:
        jobs = run.Jobs(out, cells, job, torch.get_num_threads(), executor, 1)
        jobs.finish(lambda *words: shown.append(words))
    run._show(out, cells, lambda *words: shown.append(words))
    return shown


def keep_result(out: Path, cell: Cell, _threads: int) -> run.Outcome:
    """Be done with a cell."""
    write_result(out, replace(a_result(cell), scores={}))
    return run.Outcome(is_held=False, found=())


def test_a_cell_starts_when_its_parent_is_finished_and_the_others_in_the_plan_s_order(
    study: Study, tmp_path: Path
) -> None:
    out, started = tmp_path / "out", []

    def note(out: Path, cell: Cell, threads: int) -> run.Outcome:
        assert not cell.parent or is_finished(out, cell.parent)
        started.append(cell.id)
        return keep_result(out, cell, threads)

    prepare(replace(study, seeds=(0, 1)), out, resume=False)
    cells = study_plan(open_workspace(out)).cells
    write_result(out, replace(a_result(cells[1]), scores={}))
    assert finish(out, note)[-1] == ("cells", 6, 6, "")
    assert started == [cell.id for cell in cells if cell != cells[1]]


def test_a_cell_whose_processes_died_fails_with_its_children(
    study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    prepare(study, out, resume=False)
    s, t, st = study_plan(open_workspace(out)).cells
    died = DeadWorker(times=3, exit_code=-9)

    def die(out: Path, cell: Cell, threads: int) -> run.Outcome:
        if cell != s:
            return keep_result(out, cell, threads)
        (cell_folder(out, cell) / "at").write_text("250/2200")
        raise FaultError(died)

    for cell in (s, t, st):
        cell_folder(out, cell).mkdir(parents=True)
    assert finish(out, die)[-1] == ("cells", 1, 3, "2 failed")
    found = {failed.cell: failed.why for failed in logged(caplog, FailedCell)}
    assert found == {s.id: died, st.id: FailedParentCell(parent=s.id)}
    assert not list(out.rglob("at"))


def test_a_cell_that_another_study_holds_is_looked_at_again(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, answers = tmp_path / "out", []
    prepare(study, out, resume=False)
    s, t, st = study_plan(open_workspace(out)).cells
    cell_folder(out, s).mkdir(parents=True)
    other = ExitStack()
    other.enter_context(held(cell_folder(out, s) / "lock"))

    def ask(out: Path, cell: Cell, threads: int) -> run.Outcome:
        outcome = run.compute(out, cell, threads)
        answers.append((cell.id, outcome.is_held))
        if answers.count((s.id, True)) == 2:
            other.close()
        return outcome

    monkeypatch.setattr(run, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(run, "perform", lambda cell, *_: keep_result(out, cell, 1))
    finish(out, ask)
    assert sorted(answers) == sorted(
        [(s.id, True), (s.id, True), (s.id, False), (t.id, False), (st.id, False)]
    )


def test_a_cell_that_failed_is_not_shown_as_going_on(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is its child, which a kill has left with a note of what it was doing."""

    def fill_the_disk(_cell: Cell, _workspace: Workspace, report: Report) -> None:
        report("250/2200")
        raise FaultError(MachineFault(number=errno.ENOSPC, done="written"))

    out = tmp_path / "out"
    prepare(study, out, resume=False)
    s, t, st = study_plan(open_workspace(out)).cells
    cell_folder(out, st).mkdir(parents=True)
    (cell_folder(out, st) / "at").write_text("2000/2200")
    monkeypatch.setattr(run, "perform", fill_the_disk)
    assert finish(out)[-1] == ("cells", 0, 3, "3 failed")
    assert not any((cell_folder(out, cell) / "at").exists() for cell in (s, t))


def test_a_crash_is_stored_without_its_words_and_logged_with_them(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_cell: object) -> None:
        raise LookupError("DOE^JANE")

    out = tmp_path / "out"
    prepare(study, out, resume=False)
    s, _, st = study_plan(open_workspace(out)).cells
    monkeypatch.setattr(run, "perform", crash)
    finish(out)
    stored = (cell_folder(out, s) / "failed.txt").read_text()
    assert stored.startswith(f"LookupError: {HIDDEN}\nrecontour.study.run, line ")
    assert stored.endswith(", in crash\n")
    assert str(tmp_path) not in stored
    found = {failed.cell: failed for failed in logged(caplog, FailedCell)}
    assert f"cell {s.id} failed: LookupError: DOE^JANE" in words(found[s.id])
    assert found[st.id] == FailedCell(cell=st.id, why=FailedParentCell(parent=s.id))
    assert "JANE" not in caplog.text


def test_a_worker_s_findings_come_whole_to_the_process_that_shows_them(
    study: Study, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker's cell fails, since a folder is where its model should be."""
    out = tmp_path / "out"
    prepare(replace(study, threads=1), out, resume=False)
    s, t, st = study_plan(open_workspace(out)).cells
    for cell in (s, t):
        (cell_folder(out, cell) / "model").mkdir(parents=True)
    environment = dict(os.environ)
    failed = run.run(out, quiet, HERE)
    assert dict(os.environ) == environment
    assert failed.keys() == {s.id, t.id, st.id}
    found = {failed.cell: failed for failed in logged(caplog, FailedCell)}
    assert found.keys() == failed.keys()
    assert found[s.id].path == cell_folder(out, s) / "model"
    assert str(tmp_path) not in caplog.text
    assert not any(str(tmp_path) in why for why in failed.values())


def test_a_report_says_why_a_cell_failed_and_not_where_it_lies(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_cell: object) -> None:
        raise OutputError(ExistingOutput(path=tmp_path / "DOE^JANE" / "model"))

    out = tmp_path / "out"
    prepare(study, out, resume=False)
    workspace = open_workspace(out)
    cell = study_plan(workspace).models[0].t
    monkeypatch.setattr(run, "perform", refuse)
    assert run._take(cell, workspace)
    why = report_study(out)[cell.id]
    assert why.startswith("exists")
    assert f"failed: {why}<" in (out / "report.html").read_text()
    for path in out.rglob("*.*"):
        assert b"JANE" not in path.read_bytes()


def test_a_report_states_what_the_cells_were_trained_with(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two cells are trained, and a third by a recontour 9.9 with another learning rate."""
    out, mixed = tmp_path / "out", "Not all models are known to be trained by one recipe"
    study = replace(study, seeds=(0, 1, 2))
    prepare(study, out, resume=False)
    one, two, three = (triple.s for triple in study_plan(open_workspace(out)).models)

    def trained(cell: Cell, **with_what: str) -> None:
        write_result(out, replace(a_result(cell), scores={}, trained_with=with_what))

    def report() -> str:
        report_study(out)
        return (out / "report.html").read_text()

    for cell in (one, two):
        trained(cell, **recipe_of(study), recontour="0.1")
    before = PRESETS["compact"]
    monkeypatch.setitem(
        PRESETS, "compact", replace(before, train=replace(before.train, learning_rate=0.5))
    )
    monkeypatch.setattr("recontour.study.study.versions", lambda: {"recontour": "9.9"})
    page = report()
    assert '">0.1</td>' in page
    assert "learning_rate=0.5" not in page
    assert mixed not in page
    assert not logged(caplog, DifferentRecipes)
    prepare(study, out, resume=True)
    assert logged(caplog, DifferentRecipes) == [DifferentRecipes(cells=2)]

    trained(three, **recipe_of(study), recontour="9.9")
    page = report()
    assert f'">0.1; but 9.9 in {three.id}</td>' in page
    assert re.search(rf"learning_rate=0.003.*; but .*learning_rate=0.5.* in {three.id}</td>", page)
    assert mixed in page
    trained(
        three, **(recipe_of(study) | {"preset compact: train": str(before.train)}), recontour="9.9"
    )
    assert mixed not in report()  # another version alone is no other recipe
    trained(three)  # as an earlier recontour wrote it
    page = report()
    assert f'">0.1; but unknown in {three.id}</td>' in page
    assert mixed in page


@pytest.mark.parametrize("name", ["cells", "tables", "cells/S"])
def test_a_study_writes_through_no_link(study: Study, tmp_path: Path, name: str) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    prepare(study, out, resume=False)
    elsewhere.mkdir()
    (elsewhere / "models.csv").write_text("mine")
    link = (
        cell_folder(out, study_plan(open_workspace(out)).models[0].s)
        if name == "cells/S"
        else out / name
    )
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    for use in (report_study, lambda out: run.run(out, quiet, HERE)):
        with pytest.raises(OutputError) as error:
            use(out)
        assert error.value.finding == LinkedFolder(path=link)
    assert {path.name: path.read_text() for path in elsewhere.iterdir()} == {"models.csv": "mine"}


def test_what_a_cell_is_at_is_not_written_through_a_link(study: Study, tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine"
    prepare(study, out, resume=False)
    workspace = open_workspace(out)
    cell = study_plan(workspace).models[0].t
    mine.write_text("mine")
    cell_folder(out, cell).mkdir(parents=True)
    (cell_folder(out, cell) / "at").symlink_to(mine)
    assert run._take(cell, workspace)
    assert mine.read_text() == "mine"


def test_a_reason_that_cannot_be_read_is_still_a_failure(study: Study, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(study, out, resume=False)
    s, t, st = study_plan(open_workspace(out)).cells
    for cell, content in ((s, b""), (t, b"\xff\x1b[2J[/]\nmore"), (st, b"")):
        cell_folder(out, cell).mkdir(parents=True)
        (cell_folder(out, cell) / "failed.txt").write_bytes(content)
    (cell_folder(out, st) / "failed.txt").unlink()
    (cell_folder(out, st) / "failed.txt").mkdir()
    assert report_study(out) == {
        s.id: "",
        t.id: "\ufffd\ufffd[2J[/]",
        st.id: "the file failed.txt cannot be read (it is a folder)",
    }


def test_scores_of_a_case_that_is_not_in_the_split_are_refused(
    study: Study, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    prepare(study, out, resume=False)
    write_result(out, a_result(study_plan(open_workspace(out)).models[0].s))
    with pytest.raises(
        ScoresError,
        match=r"scores\.csv: split\.csv does not list .* in target test \('t0'\)",
    ):
        report_study(out)


def test_a_finished_study_starts_no_workers(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare(study, out, resume=False)
    for cell in study_plan(open_workspace(out)).cells:
        write_result(out, replace(a_result(cell), scores={}))
    monkeypatch.setattr(
        "recontour.executors.local._start", lambda _: pytest.fail("nothing is left")
    )
    assert run.run(out, quiet, HERE) == {}
    assert dry_run(study, out) == Forecast([], {}, 1)
