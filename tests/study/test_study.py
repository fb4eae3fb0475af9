"""A study's report, from what lies in its folder."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.evaluation.conftest import scored
from tests.study.conftest import logged
from tests.study.test_study_report import a_result

from recontour.cohort import Cohort
from recontour.errors import OutputError, ScoresError
from recontour.files import ExistingOutput
from recontour.network.model import versions
from recontour.study import run
from recontour.study.cells import Cell
from recontour.study.findings import (
    DifferentRecipes,
)
from recontour.study.folder import open_workspace, prepare, study_plan
from recontour.study.perform import recipe_of
from recontour.study.results import cell_folder, write_result
from recontour.study.settings import CentreSettings, ModelsSettings, Study
from recontour.study.study import report_study
from recontour.training.presets import PRESETS


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


def test_a_report_says_that_cells_trained_in_two_precisions(out: Path, study: Study) -> None:
    mixed = "Not all models are known to be trained by one recipe"
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


def test_a_report_tells_of_contours_that_are_recontour_s_own(study: Study, tmp_path: Path) -> None:
    about = next(study.target.cohort.glob("cases/*/case.json"))
    about.write_text(json.dumps(json.loads(about.read_text()) | {"draft": True}))
    prepare(study, tmp_path / "out", resume=False)
    report_study(tmp_path / "out")
    assert (
        "recontour&#39;s own: a model learns nothing from them"
        in (tmp_path / "out" / "report.html").read_text()
    )


def test_a_report_says_why_a_cell_failed_and_not_where_it_lies(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_cell: object) -> None:
        raise OutputError(ExistingOutput(path=tmp_path / "DOE^JANE" / "model"))

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


def test_a_reason_that_cannot_be_read_is_still_a_failure(out: Path) -> None:
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


def test_scores_of_a_case_that_is_not_in_the_split_are_refused(out: Path) -> None:
    write_result(out, a_result(study_plan(open_workspace(out)).models[0].s))
    with pytest.raises(
        ScoresError,
        match=r"scores\.csv: split\.csv does not list .* in target test \('t0'\)",
    ):
        report_study(out)
