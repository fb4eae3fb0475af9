"""`gain`: nested subsets of a cohort's patients, folds that never saw whom they are scored on."""

import csv
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import fill

import recontour
from recontour.cli import main
from recontour.cohort import Cohort
from recontour.contouring.contourer import Contourer
from recontour.errors import CohortError, OutputError, ResumeError, SettingsError
from recontour.network import Model, save_model
from recontour.training.findings import UnfinishedRun
from recontour.transfer.models import fit as fit_model
from recontour.workflows import checking
from recontour.workflows.findings import (
    GainBySeveral,
    ImpossibleSizes,
    OtherCheck,
    PlannedGain,
    TooFewForGain,
)
from recontour.workflows.parents_say import FoldDsc, fold_dsc


@pytest.fixture
def parent(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "south")
    return tmp_path / "south"


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The fewest patients of which anything can be said."""
    return fill(Cohort.open_or_create(tmp_path_factory.mktemp("cohorts") / "four", "north"), 4)


def quick(parent: Path, cohort: Cohort, out: Path, **how: Any) -> Any:
    return recontour.gain(parent, cohort.path, out, iterations=1, **how)


def test_every_patient_is_scored_once_per_number_by_models_that_never_saw_it(
    parent: Path, four: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: dict[int, list[str]] = {}
    learnt_by_fold: dict[tuple[str, ...], list[set[str]]] = {}

    def score(adapted: Contourer, *rest: Any) -> FoldDsc:
        _, tested, others, *_ = rest
        learnt = {case.fingerprint for case in others}
        assert learnt == {*adapted.model.provenance.trained_on}
        assert not {case.fingerprint for case in tested} & learnt
        fold = tuple(case.id for case in tested)
        scored.setdefault(len(others), []).extend(fold)
        learnt_by_fold.setdefault(fold, []).append(learnt)
        return fold_dsc(adapted, *rest)

    monkeypatch.setattr(checking, "fold_dsc", score)
    out = tmp_path / "gain"
    gains = quick(parent, four, out)
    assert {number: sorted(ids) for number, ids in scored.items()} == {
        1: list(four.case_ids),
        2: list(four.case_ids),
    }
    for fewer, more in learnt_by_fold.values():
        assert fewer < more
    assert list(gains.dsc) == [0, 1, 2]
    assert (gains.last.fewer, gains.last.more, gains.last.patients) == (1, 2, 4)
    assert {path.name for path in out.iterdir()} == {
        "gains.csv",
        "learnt_scores.csv",
        "report.html",
    }
    assert not (tmp_path / "gain.check").exists()
    with (out / "learnt_scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["patient"] for row in rows} == set(four.case_ids)
    page = (out / "report.html").read_text()
    assert "Little is known from 4 scored patients" in page


def test_the_parent_is_no_number_if_it_does_not_know_every_organ(
    parent: Path, four: Cohort, tmp_path: Path
) -> None:
    gains = quick(parent, four, tmp_path / "gain", organs=["Brainstem", "Lens_R"])
    assert list(gains.dsc) == [1, 2]


def test_sizes_and_folds_are_as_asked(
    parent: Path, four: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "recontour")
    gains = quick(parent, four, tmp_path / "gain", sizes=[3, 1], folds=4)
    assert (gains.last.fewer, gains.last.more, gains.next_patients) == (1, 3, 9)
    found = [getattr(record, "finding", None) for record in caplog.records]
    (plan,) = [one for one in found if isinstance(one, PlannedGain)]
    assert (plan.numbers, plan.folds, plan.left, plan.patients) == ((1, 3), 4, 8, 4)
    assert plan.sentence().startswith(
        "8 adaptations, each in 1 iteration, to 1 and 3 patients in 4 folds of 4 patients"
    )


@pytest.mark.parametrize("sizes", [(), (2,), (2, 2), (0, 2), (1, 3)])
def test_sizes_that_do_not_fit_are_refused(
    parent: Path, four: Cohort, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    with pytest.raises(SettingsError) as caught:
        quick(parent, four, tmp_path / "gain", sizes=sizes)
    assert caught.value.finding == ImpossibleSizes(sizes=sizes, most=2)
    assert {path.name for path in tmp_path.iterdir()} == {"south"}


@pytest.mark.parametrize("how", [{"seed": -1}, {"retrain_last": 0}, {"retrain_last": 1000}])
def test_an_impossible_seed_or_depth_leaves_nothing_behind(
    parent: Path, four: Cohort, tmp_path: Path, how: dict[str, int]
) -> None:
    with pytest.raises(SettingsError):
        quick(parent, four, tmp_path / "gain", **how)
    assert {path.name for path in tmp_path.iterdir()} == {"south"}


@pytest.mark.parametrize(("folds", "needed"), [(2, 4), (3, 3), (5, 5)])
def test_too_few_patients_are_refused(
    parent: Path, north: Cohort, tmp_path: Path, folds: int, needed: int
) -> None:
    cohort = north if folds == 2 else Cohort.open_or_create(tmp_path / "two", "north")
    if folds != 2:
        fill(cohort, 2)
    with pytest.raises(CohortError) as caught:
        quick(parent, cohort, tmp_path / "gain", folds=folds)
    assert caught.value.finding == TooFewForGain(
        path=cohort.path, patients=len(cohort), folds=folds, needed=needed
    )


def test_several_processes_are_refused_before_anything_is_written(
    parent: Path, four: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchrun = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "29500"}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        quick(parent, four, tmp_path / "gain")
    assert caught.value.finding == GainBySeveral(processes=2)
    assert not (tmp_path / "gain").exists()
    assert not (tmp_path / "gain.check").exists()


def test_an_interrupted_run_goes_on_and_another_one_is_not_mixed_with_it(
    parent: Path, four: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "gain"
    fitted = list[str]()

    def fit(*given: Any, **named: Any) -> Any:
        fitted.append(given[3].name)
        if len(fitted) == 3:
            raise KeyboardInterrupt
        return fit_model(*given, **named)

    monkeypatch.setattr(checking, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        quick(parent, four, out, folds=2)
    with pytest.raises(SettingsError) as caught:
        quick(parent, four, out, folds=2)
    assert caught.value.finding == UnfinishedRun(path=tmp_path / "gain.check")
    with pytest.raises(ResumeError) as other:
        quick(parent, four, out, folds=2, seed=1, resume=True)
    assert other.value.finding == OtherCheck(path=tmp_path / "gain.check")
    assert not out.exists()
    gains = quick(parent, four, out, folds=2, resume=True)
    assert fitted[3:] == ["fold-3.safetensors", "fold-4.safetensors"]
    monkeypatch.undo()
    assert quick(parent, four, tmp_path / "whole", folds=2) == gains
    with pytest.raises(OutputError):
        quick(parent, four, out)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--folds", "1"], "--folds 1: at least 2 folds are expected"),
        (["--useful", "0"], "--useful 0: a gain in mean DSC above 0"),
        (["--useful", "nan"], "--useful nan: a gain in mean DSC above 0"),
        (["--iterations", "0"], "--iterations: at least 1"),
        (["--sizes", "2,9"], "--sizes 2,9: at least two different numbers of patients from 1 to 2"),
    ],
)
def test_bad_numbers_end_with_one_line(
    parent: Path,
    four: Cohort,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    out = tmp_path / "gain"
    assert main(["gain", str(parent), str(four.path), "--out", str(out), *options]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not out.exists()


@pytest.mark.parametrize("typed", ["", "a", "3,", "-1,2", "3;6", "1234567,2"])
def test_sizes_that_are_no_numbers_are_a_usage_error(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["gain", "M", "C", "--out", "O", f"--sizes={typed}"])
    assert "is no list of whole numbers; write them as in 3,6" in capsys.readouterr().err


def test_the_screen_shows_steps_advice_and_how_little_is_known(
    parent: Path, four: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gain"
    words = ["gain", str(parent), str(four.path), "--out", str(out), "--iterations", "1"]
    assert main(words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "4 patients, not measured" in shown
    assert "learning from 2 patients rather than 1" in shown
    assert "little is known from 4 scored patients" in shown
    assert f"report: {out / 'report.html'}" in shown
