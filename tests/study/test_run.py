"""A study's cells, as jobs: in which order, and what becomes of those that fail."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.study.conftest import logged
from tests.study.test_study_report import a_result

from recontour.errors import FaultError, OutputError
from recontour.executors import DeadWorker, Place
from recontour.files import MachineFault
from recontour.findings import HIDDEN, words
from recontour.processes import held
from recontour.progress import quiet
from recontour.study import run
from recontour.study.cells import Cell
from recontour.study.estimate import Forecast
from recontour.study.findings import (
    FailedCell,
    FailedParentCell,
    LinkedFolder,
)
from recontour.study.folder import open_workspace, prepare, study_plan
from recontour.study.perform import Report, Workspace
from recontour.study.results import cell_folder, is_finished, write_result
from recontour.study.settings import Study
from recontour.study.study import dry_run, report_study

HERE = Place("local", 1)
Shown = tuple[str, int, int, str]


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
    out: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
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
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is its child, which a kill has left with a note of what it was doing."""

    def fill_the_disk(_cell: Cell, _workspace: Workspace, report: Report) -> None:
        report("250/2200")
        raise FaultError(MachineFault(number=errno.ENOSPC, done="written"))

    s, t, st = study_plan(open_workspace(out)).cells
    cell_folder(out, st).mkdir(parents=True)
    (cell_folder(out, st) / "at").write_text("2000/2200")
    monkeypatch.setattr(run, "perform", fill_the_disk)
    assert finish(out)[-1] == ("cells", 0, 3, "3 failed")
    assert not any((cell_folder(out, cell) / "at").exists() for cell in (s, t))


def test_a_crash_is_stored_without_its_words_and_logged_with_them(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_cell: object) -> None:
        raise LookupError("DOE^JANE")

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


@pytest.mark.parametrize("name", ["cells", "tables", "cells/S"])
def test_a_study_writes_through_no_link(out: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
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


def test_what_a_cell_is_at_is_not_written_through_a_link(out: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    workspace = open_workspace(out)
    cell = study_plan(workspace).models[0].t
    mine.write_text("mine")
    cell_folder(out, cell).mkdir(parents=True)
    (cell_folder(out, cell) / "at").symlink_to(mine)
    assert run._take(cell, workspace)
    assert mine.read_text() == "mine"


def test_a_finished_study_starts_no_workers(
    out: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cell in study_plan(open_workspace(out)).cells:
        write_result(out, replace(a_result(cell), scores={}))
    monkeypatch.setattr(
        "recontour.executors.local._start", lambda _: pytest.fail("nothing is left")
    )
    assert run.run(out, quiet, HERE) == {}
    assert dry_run(study, out) == Forecast([], {}, 1)
