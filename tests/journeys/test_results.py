"""Tables of docs/results.md are made of scores that lie beside it, and of nothing else."""

import importlib
import json
from dataclasses import replace
from math import isnan
from pathlib import Path
from types import ModuleType

import pytest
from tests.study.test_study_report import all_results, the_plan, written

from recontour.cohort import Cohort
from recontour.network import Model
from recontour.study.tables import MODELS
from recontour.study.tables.models import models_table

REPO = Path(__file__).resolve().parents[2]
RESULTS = REPO / "docs" / "results"
PAGE = (REPO / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """A benchmark by its name."""
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    return importlib.import_module(request.param)


@pytest.mark.parametrize("script", ["metric_readings"], indirect=True)
def test_the_tables_of_metric_readings_are_those_of_its_rows(script: ModuleType) -> None:
    rows = script.read(RESULTS / "metric_readings.csv")
    assert "\n".join(script.tables(rows)).replace("\n\n", "\n").splitlines() == [
        line for line in script.tables(rows) if line and line in PAGE
    ]


@pytest.mark.parametrize("script", ["metric_readings"], indirect=True)
def test_metric_readings_writes_what_it_reads(script: ModuleType, tmp_path: Path) -> None:
    row = dict.fromkeys(script.COLUMNS, 1) | {
        "kind": "organ",
        "true": 0.25,
        "faces": 0.5,
        "patches": 0.75,
        "voxels": 0.0,
    }
    script.write(tmp_path / "rows.csv", [row, row | {"faces": 0.0}])
    read = script.read(tmp_path / "rows.csv")
    assert [one["faces"] for one in read] == ["0.5", "0"]
    assert [line for line in script.tables(read) if line.startswith("| 1 x 1")] == [
        "| 1 x 1 | 2 | 0.250 | 0.250 | 0.750 | 0.000 | -0.500 | 0.250 | 0.500 | 0.250 |"
    ]


SCRIPTS = (
    "candidates",
    "ablation",
    "cached_against_plain",
    "parent_share",
    "normalisation",
    "against_nnunet",
)


def raw(
    scores: ModuleType, row: str, part: str, seed: int, case: str, organ: str, dsc: float
) -> object:
    return scores.RawScore(
        row, part, seed, case, organ, dsc, 0.9, 2.5, 3.0, 1.0, 0.5, 10.0, 0.625, 0.75
    )


@pytest.mark.parametrize("script", ["raw_scores"], indirect=True)
def test_scores_of_a_benchmark_come_back(
    script: ModuleType, model: Model, north: Cohort, tmp_path: Path
) -> None:
    """An untrained model finds nothing, or nonsense, but every case and organ has its row."""
    scores = script.score_cases(model, north, "one", "test", 3)
    shared = [(case.id, organ) for case in north for organ in model.organs if organ in case.organs]
    assert [(one.case, one.organ) for one in scores] == shared
    assert {(one.row, one.part, one.seed) for one in scores} == {("one", "test", 3)}
    script.write(tmp_path / "scores.csv", scores)
    assert repr(script.read(tmp_path / "scores.csv")) == repr(scores)
    assert repr(script.of_json(script.to_json(scores))) == repr(scores)
    assert all(0 <= one.surface_dsc_1mm <= one.surface_dsc_2mm <= 1 for one in scores)


@pytest.mark.parametrize("script", ["raw_scores"], indirect=True)
def test_raw_scores_of_before_all_columns_are_read(script: ModuleType, tmp_path: Path) -> None:
    """Surface DSC at 1 mm and at 2 mm, the last two columns, came later."""
    score = raw(script, "w", "fold 0", 0, "x", "A", 0.25)
    path = tmp_path / "scores.csv"
    script.write(path, [score])
    older = [line.rsplit(",", 2)[0] for line in path.read_text().splitlines()]
    path.write_text("\n".join(older) + "\n")
    (read,) = script.read(path)
    (kept,) = script.of_json([row[:-2] for row in script.to_json([score])])
    for one in (read, kept):
        assert (one.dsc, one.apl_mm) == (0.25, 10.0)
        assert isnan(one.surface_dsc_1mm)
        assert isnan(script.mean_of([one], "surface_dsc_2mm"))


@pytest.mark.parametrize("script", ["raw_scores"], indirect=True)
def test_means_of_raw_scores(script: ModuleType) -> None:
    """The mean by hand is (0.4 + 0.8) / 2.

    Organ A: patient x 0.2 and 0.4 with two seeds, patient y 0.5. Organ B: 0.8.
    """
    one = [
        raw(script, "w", "fold 0", 0, "x", "A", 0.2),
        raw(script, "w", "fold 0", 1, "x", "A", 0.4),
        raw(script, "w", "fold 0", 0, "y", "A", 0.5),
        raw(script, "w", "fold 0", 0, "x", "B", 0.8),
    ]
    other = [raw(script, "w", "fold 1", 0, "z", "A", 0.3)]
    assert script.mean_dsc(one) == pytest.approx(0.6)
    assert script.mean_dsc(one, ["B"]) == pytest.approx(0.8)
    assert script.mean_of(one, "surface_dsc_1mm") == 0.625
    assert script.mean_of_folds([*one, *other]) == pytest.approx((2 * 0.6 + 0.3) / 3)


@pytest.mark.parametrize("script", SCRIPTS, indirect=True)
def test_a_benchmarks_table_is_made_of_its_scores_alone(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = importlib.import_module("raw_scores")
    part = {"candidates": "source", "normalisation": "source"}.get(script.__name__, "fold 0")
    rows = [
        raw(scores, row, part, 0, case, "Brainstem", dsc + more)
        for row, more in (("plain", 0.0), ("cached", 0.125))
        for case, dsc in (("a", 0.25), ("b", 0.5))
    ]
    rows += [
        raw(scores, row, "target1", 0, "t", "Brainstem", 0.5)
        for row in ("plain", "cached")
        if part == "source"
    ]
    (tmp_path / "results").mkdir()
    for name in ("SCORES", "RESULTS"):
        place = (
            tmp_path / "results" / ("" if name == "RESULTS" else f"{script.__name__}_scores.csv")
        )
        monkeypatch.setattr(script, name, place, raising=False)
    scores.write(tmp_path / "results" / f"{script.__name__}_scores.csv", rows)
    monkeypatch.setattr("sys.argv", [script.__name__, "--table"])
    script.main()
    plain, cached = capsys.readouterr().out.splitlines()
    if script.__name__ == "normalisation":
        assert ("0.4167" in plain, "0.5000" in cached) == (True, True)  # (0.25 + 0.5 + 0.5) / 3
    else:
        assert ("0.375" in plain, "0.500" in cached) == (True, True)


@pytest.mark.parametrize("script", ["real_centres"], indirect=True)
def test_the_main_table_of_a_study_is_made_of_its_scores_alone(
    script: ModuleType, tmp_path: Path
) -> None:
    """The report's own numbers, from tables/scores.csv, which holds the cells of all other
    experiments, too.
    """
    plan = the_plan()
    results = all_results(plan)
    written(tmp_path, plan, results)
    main = models_table(plan, results)
    assert main
    lines = list(script.main_table(tmp_path / "tables" / "scores.csv"))
    end = lines.index("")
    head, *rows, last = lines[:end]
    assert head.split(" | ")[2:5] == list(MODELS)
    assert {row.split(" | ")[0] for row in rows} == set(main.organs)
    for row in rows:
        organ, n, *cells = row.split(" | ")
        assert n == "10"
        assert cells[:3] == [f"{main.rows[organ, model].dsc.mean:.3f}" for model in MODELS]
        assert cells[3:] == ["0.002 (0.004)"] * 3  # 2 / 2^10, two organs
    assert last.split(" | ")[-3:] == [f"{main.mean(model).mean:.3f}" for model in MODELS]
    over_t = main.gain("Model_T", "Model_ST")
    (said,) = [line for line in lines[end:] if line.startswith("Model_ST - Model_T, DSC:")]
    assert f" {over_t.mean:+.3f} " in said
    assert "at 1 mm" not in "".join(lines), "no cell was scored at 1 mm"


@pytest.mark.parametrize("script", ["real_centres"], indirect=True)
@pytest.mark.parametrize("last_column", ["surface_dsc_2mm", "patient"])
def test_the_main_table_shows_the_surface_measures_that_there_are(
    script: ModuleType, tmp_path: Path, last_column: str
) -> None:
    plan = the_plan()
    results = {}
    for cell, result in all_results(plan).items():
        rows = result.scores["target test"]
        millimetres = [replace(row, surface_dsc_1mm=row.dsc / 2) for row in rows]
        results[cell] = replace(result, scores={"target test": millimetres})
    written(tmp_path, plan, results)
    path = tmp_path / "tables" / "scores.csv"
    lines = path.read_text().splitlines()
    columns = 1 + lines[0].split(",").index(last_column)
    path.write_text("\n".join(",".join(line.split(",")[:columns]) for line in lines) + "\n")
    head = "Model_ST - Model_S, surface DSC at 1 mm: +0.050 "
    said = [line for line in script.main_table(path) if line.startswith(head)]
    assert len(said) == (last_column == "surface_dsc_2mm")


@pytest.mark.parametrize("script", ["how_many_more"], indirect=True)
def test_what_foretold_the_next_number_of_patients_is_that_of_the_studies(
    script: ModuleType,
) -> None:
    """No curve beats "it stays as it is", as decision 061 says."""
    found = script.errors_of(script.study_curves())
    errors = found["mean absolute error"]
    kept = json.loads((RESULTS / "how_many_more.json").read_text())
    assert kept["foretold, the studies' Model_T and Model_ST"]["next numbers"] == 16
    assert min(errors, key=errors.__getitem__) == "it stays as it is"
    decision = (REPO / "docs" / "decisions" / "061-how-many-more.md").read_text()
    shown = [f"{errors[name]:.3f}" for name in ("as much again", "power law", "arctan")]
    assert f"| **{errors['it stays as it is']:.3f}** | {' | '.join(shown)} |" in decision


@pytest.mark.parametrize("script", ["how_many_more"], indirect=True)
def test_a_next_step_that_was_foretold_as_it_came_is_held(script: ModuleType) -> None:
    """Every doubling brings every patient an eighth, so nothing else can come."""
    rows = []
    for size in script.SIZES:
        dsc = 0.25 + 0.125 * script.SIZES.index(size)
        rows += [script.Row("t", 0, size, f"p{case}", "Brainstem", dsc) for case in range(9)]
    found = script.judged(list(script.trials(rows, 6, None)))
    assert found["trials"] == 2 * script.TRIALS
    assert found["next step's 90 % interval held what came"] == 1.0
    assert found["said go on"] == found["trials"]
    assert found["said go on and nothing or less came"] == 0
