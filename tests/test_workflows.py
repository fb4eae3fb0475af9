"""What the steps promise beyond their parts."""

import csv
import html
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
import torch
from pydicom import dcmread
from tests.conftest import drafting, fill
from tests.dicom.conftest import edit

from recontour.assess.findings import PhantomAndPatient
from recontour.cli import main, tell
from recontour.cohort import PHANTOM_NOTICE, Cohort, case_id_of
from recontour.cohort.changes import remove
from recontour.cohort.findings import DraftContours
from recontour.contouring.contourer import Contourer
from recontour.contouring.findings import (
    BodyUnlikeTraining,
    ContourInParts,
    OrganNotFound,
    OrganUnlikeTraining,
)
from recontour.contouring.review import ToReview, review_order
from recontour.dicom import (
    PHANTOM_STUDY,
    ScanIdentity,
    read_archive,
    read_scan,
    read_structure_set,
    write_scan,
)
from recontour.errors import (
    CohortError,
    FrameOfReferenceError,
    GridMismatchError,
    ModelFileError,
    NamesError,
    OrganError,
    RecontourError,
    ResumeError,
    SettingsError,
    UnlikeTrainingError,
)
from recontour.evaluation import CaseScore
from recontour.evaluation.figures import Overlay
from recontour.evaluation.page import as_notice
from recontour.evaluation.planes import slice_to_show
from recontour.findings import stored_words
from recontour.geometry import Grid, rasterise
from recontour.geometry.arrays import Mask
from recontour.network import Model, Network, load_model, save_model
from recontour.network.baseline import Baseline
from recontour.network.findings import WrongTrunk
from recontour.network.model import part_sha256, sha256_of
from recontour.network.ranges import Range, Ranges
from recontour.network.traits import OrganTrait
from recontour.organs import Template, read_template
from recontour.organs.findings import AmbiguousOutputNames, SwappedSides
from recontour.training import presets
from recontour.training.findings import EmulatedBf16, NothingToResume, UnfinishedRun
from recontour.transfer.models import fit as fit_model
from recontour.validation import NotAChoice
from recontour.workflows import (
    Contoured,
    SeriesContoured,
    adapt,
    checking,
    contour,
    contouring,
    evaluate,
    evaluating,
    train,
)
from recontour.workflows.check_folder import CheckFolder
from recontour.workflows.checking import Checked, check_adaptation
from recontour.workflows.contouring import ContourFormat
from recontour.workflows.findings import (
    HeadIsWholeModel,
    HeadOfAllLayers,
    ModelNotice,
    MostOrgansNotFound,
    NoCommonOrgan,
    NoRanges,
    NothingToCheck,
    NothingToCompare,
    OrgansDropped,
    OrgansNotChecked,
    OrgansNotFoundAfterTraining,
    OtherCheck,
    PlannedAdaptation,
    PlannedCheck,
    SharedModelName,
    UnknownPreset,
)
from recontour.workflows.learning import _found_where_largest
from recontour.workflows.parents_say import FoldDsc, fold_dsc


@pytest.fixture
def phantom_model(model: Model, tmp_path: Path) -> Path:
    provenance = replace(model.provenance, notices=("drawn by a computer",))
    save_model(replace(model, provenance=provenance), tmp_path / "phantom")
    return tmp_path / "phantom"


def test_a_notice_follows_a_model_to_its_children_and_their_reports(
    phantom_model: Path, south: Cohort, tmp_path: Path
) -> None:
    adapt(phantom_model, south.path, tmp_path / "child", iterations=1)
    assert load_model(tmp_path / "child").provenance.notices == ("drawn by a computer",)
    evaluate(south.path, [tmp_path / "child"], tmp_path / "report")
    assert "drawn by a computer" in (tmp_path / "report" / "report.html").read_text()


def test_a_check_scores_each_patient_by_a_model_that_did_not_see_it_and_beside_the_parent(
    phantom_model: Path, north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def score(adapted: Contourer, *rest: Any) -> FoldDsc:
        _, tested, others, *_ = rest
        scored.extend(case.id for case in tested)
        learnt = {case.fingerprint for case in others}
        assert learnt == {*adapted.model.provenance.trained_on}
        assert not {case.fingerprint for case in tested} & learnt
        return fold_dsc(adapted, *rest)

    monkeypatch.setattr(checking, "fold_dsc", score)
    child = tmp_path / "child"
    adapt(phantom_model, north.path, child, iterations=1, check=True)
    assert sorted(scored) == list(north.case_ids)
    check = load_model(child).provenance.check
    assert check
    assert (check.folds, check.patients, check.iterations) == (3, 3, 1)
    assert {organ: dsc.patients for organ, dsc in check.organs.items()} == {
        "Brainstem": 3,
        "Lens_L": 2,  # the third patient's is unknown
    }
    rows = evaluate(north.path, [phantom_model], tmp_path / "report")
    of_parent = np.mean([row.dsc for row in rows if row.organ == "Brainstem"])
    assert check.organs["Brainstem"].parent == pytest.approx(of_parent, abs=1e-6)
    assert not child.with_name("child.check").exists()


@pytest.mark.parametrize("best", [0.0, 1.0, 3.0, 10.0])
def test_the_parent_says_as_much_as_was_best_on_patients_held_out(
    phantom_model: Path,
    north: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    best: float,
) -> None:
    caplog.set_level(logging.INFO, "recontour")

    def score(*given: Any) -> FoldDsc:
        *_, worths, names = given
        (who, *_) = names.values()
        dsc = {worth: {(who, "Brainstem"): 0.75 if worth == best else 0.5} for worth in worths}
        return FoldDsc({(who, "Brainstem"): 0.25}, dsc)

    monkeypatch.setattr(checking, "fold_dsc", score)
    monkeypatch.setattr(checking, "FEWEST_PATIENTS", 3)
    child, ruled = tmp_path / "child", tmp_path / "ruled"
    adapt(phantom_model, north.path, child, iterations=5)
    model = load_model(child)
    check = model.provenance.check
    assert check
    assert (check.folds, check.iterations) == (2, 3)
    assert {say.parent_patients: say.dsc for say in check.says}[best] == 0.75
    assert check.mean.adapted == 0.75
    assert model.recipe["parent_patients"] == best
    assert [head.provenance.patients for head in model.asked] == ([None, 1, 2] if best else [])
    found = [getattr(record, "finding", None) for record in caplog.records]
    (plan,) = [one for one in found if isinstance(one, PlannedAdaptation)]
    assert (plan.parent_patients, plan.is_chosen) == (best, True)
    assert ", which scored best on patients held out" in plan.sentence()
    assert ("2 models of the check will be asked, too" in plan.sentence()) == bool(best)
    # the adapted weights do not depend on it
    adapt(phantom_model, north.path, ruled, iterations=5, check=False)
    rule = load_model(ruled)
    assert rule.provenance.check is None
    assert rule.recipe["parent_patients"] == 3.0
    assert part_sha256(rule.network.own_head) == part_sha256(model.network.own_head)


def test_an_interrupted_check_goes_on_after_its_last_fold(
    phantom_model: Path,
    north: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "recontour")
    out = tmp_path / "child"
    fitted = list[str]()

    def fit(*given: Any, **named: Any) -> Any:
        fitted.append(given[3].name)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return fit_model(*given, **named)

    monkeypatch.setattr(checking, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        adapt(phantom_model, north.path, out, iterations=1, check=True)
    with pytest.raises(SettingsError) as caught:
        adapt(phantom_model, north.path, out, iterations=1, check=True)
    assert caught.value.finding == UnfinishedRun(path=tmp_path / "child.check")
    with pytest.raises(ResumeError) as other:
        adapt(phantom_model, north.path, out, iterations=2, check=True, resume=True)
    assert other.value.finding == OtherCheck(path=tmp_path / "child.check")
    record = next(iter(north)).path / "case.json"
    as_it_was = record.read_text()
    record.write_text(as_it_was + "\n")  # as if it had been imported again
    with pytest.raises(ResumeError) as changed:
        adapt(phantom_model, north.path, out, iterations=1, check=True, resume=True)
    assert changed.value.finding == OtherCheck(path=tmp_path / "child.check")
    record.write_text(as_it_was)
    caplog.clear()
    adapt(phantom_model, north.path, out, iterations=1, check=True, resume=True)
    assert fitted[2:] == ["fold-2.safetensors", "fold-3.safetensors"]
    assert load_model(out).provenance.check
    found = [getattr(record, "finding", None) for record in caplog.records]
    (plan,) = [one for one in found if isinstance(one, PlannedCheck)]
    assert (plan.folds, plan.left, plan.patients) == (3, 2, 3)
    assert "checking in the last 2 of 3 folds of 3 patients" in plan.sentence()


def test_what_an_interrupted_check_left_goes_when_the_model_is_written_without_it(
    phantom_model: Path, north: Cohort, tmp_path: Path
) -> None:
    out = tmp_path / "child"
    folder = CheckFolder.beside(out)
    assert not folder.has_begun()

    def interrupt(what: str, *_: object) -> None:
        if what.startswith("checking, fold 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(phantom_model, north.path, out, iterations=3, check=True, progress=interrupt)
    assert {path.name for path in folder.path.iterdir()} == {
        "cases.json",
        "fold-1.safetensors",
        "fold-2.safetensors.run",
    }
    assert folder.has_begun()
    (folder.path / "notes").touch()
    adapt(phantom_model, north.path, out, iterations=1)
    assert {path.name for path in folder.path.iterdir()} == {"notes"}


def test_doubts_about_the_cases_are_said_once_and_before_a_check_begins(
    phantom_model: Path,
    north: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(north.path, tmp_path / "cohort")
    about = next((tmp_path / "cohort").glob("cases/*/case.json"))
    about.write_text(json.dumps(json.loads(about.read_text()) | {"draft": True}))
    told = stored_words(DraftContours(drafts=(about.parent.name,), cases=3))

    def check(*given: Any, **named: Any) -> Checked:
        assert caplog.messages.count(told) == 1
        return check_adaptation(*given, **named)

    monkeypatch.setattr(checking, "check_adaptation", check)
    adapt(phantom_model, tmp_path / "cohort", tmp_path / "child", iterations=1, check=True)
    assert caplog.messages.count(told) == 1


def test_a_check_needs_two_folds_and_a_patient_for_each(
    phantom_model: Path, north: Cohort, tmp_path: Path
) -> None:
    out = tmp_path / "child"
    with pytest.raises(SettingsError, match="--folds 1: a check needs at least 2 folds"):
        adapt(phantom_model, north.path, out, iterations=1, check=True, folds=1)
    with pytest.raises(SettingsError, match="add --check, or leave out --folds"):
        adapt(phantom_model, north.path, out, iterations=1, folds=3)
    with pytest.raises(CohortError, match="3 patients cannot be dealt out into 4 folds"):
        adapt(phantom_model, north.path, out, iterations=1, check=True, folds=4)
    assert {path.name for path in tmp_path.iterdir()} == {"phantom"}


def test_a_check_that_can_score_nothing_is_refused_before_anything_is_learnt(
    phantom_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "cohort", "north")
    fill(cohort, 2, without={0: "Lens_L", 1: "Brainstem"})
    monkeypatch.delattr(checking, "fit")
    organs = ["Brainstem", "Lens_L"]
    with pytest.raises(CohortError) as caught:
        adapt(phantom_model, cohort.path, tmp_path / "x", organs=organs, check=True, folds=2)
    assert caught.value.finding == NothingToCheck(path=cohort.path, organs=tuple(organs))
    assert {path.name for path in tmp_path.iterdir()} == {"phantom", "cohort"}


def test_organs_that_a_check_cannot_score_or_compare_are_said_before_anything_is_learnt(
    phantom_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cohort = Cohort.open_or_create(tmp_path / "cohort", "north")
    fill(cohort, 3, without={0: "Lens_L", 1: "Lens_L"})
    found: list[object] = []

    def stop(*_: object, **__: object) -> None:
        found.extend(getattr(record, "finding", None) for record in caplog.records)
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "fit", stop)
    for organs in (["Brainstem", "Lens_L"], ["Lens_L", "Lens_R"]):
        with pytest.raises(KeyboardInterrupt):
            adapt(phantom_model, cohort.path, tmp_path / "x", organs=organs, check=True)
    assert OrgansNotChecked(organs=("Lens_L",)) in found
    assert found.count(NothingToCompare(organs=("Lens_R",))) == 1


def test_a_model_knows_what_its_patients_and_those_of_its_parents_measured(
    north: Cohort, south: Cohort, tmp_path: Path
) -> None:
    train(south.path, tmp_path / "parent", iterations=1)
    adapt(tmp_path / "parent", north.path, tmp_path / "child", iterations=1)
    of_parent = load_model(tmp_path / "parent").provenance.ranges
    of_child = load_model(tmp_path / "child").provenance.ranges
    assert of_parent is not None
    assert of_child is not None
    hu = {}
    for cohort in (south, north):
        hu[cohort.centre] = [case.hu[case.mask("Brainstem")].mean() for case in cohort]
    parent, child = (of.organs["Brainstem"]["mean_hu"] for of in (of_parent, of_child))
    everyone = [*hu["south"], *hu["north"]]
    assert parent.cts == len(south)
    assert child.cts == len(south) + len(north)
    # Three digits are kept.
    assert parent.high == pytest.approx(max(hu["south"]), rel=0.005)
    assert child.low == pytest.approx(min(everyone), rel=0.005)
    assert child.high == pytest.approx(max(everyone), rel=0.005)


def test_the_phantoms_models_know_that_they_are(
    north: Cohort, model: Model, tmp_path: Path
) -> None:
    case = next(iter(north))
    masks = {organ: case.mask(organ) for organ in case.organs}
    phantom = Cohort.open_or_create(tmp_path / "phantom", "phantom")
    phantom.add("phantom-1", case.hu, case.grid, masks, "", is_phantom=True)
    train(phantom.path, tmp_path / "m", iterations=1)
    assert load_model(tmp_path / "m").provenance.notices == (PHANTOM_NOTICE,)
    evaluate(phantom.path, [tmp_path / "m"], tmp_path / "report")
    assert html.escape(PHANTOM_NOTICE) in (tmp_path / "report" / "report.html").read_text()


def test_organs_are_matched_by_name_fresh_or_dropped(
    model: Model, south: Cohort, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "parent")
    adapt(
        tmp_path / "parent",
        south.path,
        tmp_path / "child",
        organs=["Lens_R", "Lens_L"],
        iterations=1,
    )
    provenance = load_model(tmp_path / "child").provenance
    assert (provenance.fresh_organs, provenance.dropped_organs) == (("Lens_R",), ("Brainstem",))


def test_a_head_alone_and_its_model_are_the_adapted_model(
    model: Model, south: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    parent, whole, head = (tmp_path / name for name in ("parent.x", "whole.x", "south.head.x"))
    save_model(model, parent)
    adapt(parent, south.path, whole, retrain_last=10, iterations=1)
    adapt(parent, south.path, head, retrain_last=10, iterations=1, head_only=True)
    assert head.stat().st_size < whole.stat().st_size / 2
    assert stored_words(HeadOfAllLayers()) not in caplog.messages
    both = f"{parent}+{head}"
    assert sha256_of(load_model(Path(both)).network) == sha256_of(load_model(whole).network)
    scores = evaluate(south.path, [whole, both], tmp_path / "report")
    by_model: dict[str, list[CaseScore]] = {"whole": [], "parent+south.head": []}
    for row in scores:
        by_model[row.model].append(replace(row, model=""))
    assert by_model["whole"] == by_model["parent+south.head"] != []
    assert "parent.x+south.head.x" in (tmp_path / "report" / "report.html").read_text()


def test_only_organs_that_were_contoured_are_scored(
    model: Model, north: Cohort, tmp_path: Path
) -> None:
    save_model(model, tmp_path / "m")
    scores = evaluate(north.path, [tmp_path / "m"], tmp_path / "report")
    lensless = next(case.id for case in north if "Lens_L" not in case.organs)
    assert [row.organ for row in scores if row.case == lensless] == ["Brainstem"]


def test_a_cohort_that_changed_is_not_resumed_on(north: Cohort, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    shutil.copytree(north.path, cohort)
    stepped = train(cohort, tmp_path / "m", iterations=1)
    assert stepped.organs == ("Brainstem", "Lens_L", "Lens_R")
    (tmp_path / "m").unlink()
    with pytest.raises(KeyboardInterrupt):
        train(cohort, tmp_path / "m", iterations=1, progress=_interrupt)
    about = next(cohort.glob("cases/*/case.json"))
    changed = json.loads(about.read_text())
    changed["volumes_cc"]["Brainstem"] += 0.5
    about.write_text(json.dumps(changed))
    with pytest.raises(ResumeError, match="differs in cases;"):
        train(cohort, tmp_path / "m", iterations=1, resume=True)


def test_a_run_that_is_resumed_names_the_cases_that_came_since(
    north: Cohort, tmp_path: Path
) -> None:
    cohort = Cohort.open(shutil.copytree(north.path, tmp_path / "cohort"))
    with pytest.raises(KeyboardInterrupt):
        train(cohort.path, tmp_path / "m", iterations=1, progress=_interrupt)
    case = cohort[cohort.case_ids[0]]
    masks = {organ: case.mask(organ) for organ in case.organs}
    cohort.add("north-0later", case.hu, case.grid, masks, "hash")
    with pytest.raises(ResumeError, match="since it began, north-0later came into the cohort"):
        train(cohort.path, tmp_path / "m", iterations=1, resume=True)
    remove(cohort.path, "north-0later")
    train(cohort.path, tmp_path / "m", iterations=1, resume=True)


def test_a_run_is_not_resumed_with_other_iterations(north: Cohort, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(north.path, tmp_path / "m", iterations=1, progress=_interrupt)
    with pytest.raises(ResumeError, match="differs in iterations;"):
        train(north.path, tmp_path / "m", iterations=2, resume=True)


def test_a_run_goes_on_in_the_precision_that_it_began_with(
    north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(north.path, tmp_path / "m", iterations=1, precision="bf16", progress=_interrupt)
    with pytest.raises(ResumeError, match="differs in precision;"):
        train(north.path, tmp_path / "m", iterations=1, precision="float32", resume=True)
    caplog.clear()
    model = train(north.path, tmp_path / "m", iterations=1, resume=True)
    assert model.recipe["precision"] == load_model(tmp_path / "m").recipe["precision"] == "bf16"
    # The tests' processor has no instructions for it.
    found = [getattr(record, "finding", None) for record in caplog.records]
    assert EmulatedBf16() in found


@pytest.mark.parametrize("step", [train, partial(adapt, "parent")])
def test_an_unknown_precision_is_refused_first(tmp_path: Path, step: Callable[..., Model]) -> None:
    with pytest.raises(SettingsError) as refused:
        step(tmp_path / "none", tmp_path / "m", precision="half")
    choices = ("auto", "float32", "bf16")
    assert refused.value.finding == NotAChoice(name="precision", choices=choices, seen="half")


def _interrupt(_what: str, _done: int, _total: int, _words: str) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_an_impossible_seed_is_refused(north: Cohort, tmp_path: Path, seed: int) -> None:
    with pytest.raises(SettingsError, match="--seed"):
        train(north.path, tmp_path / "m", seed=seed, iterations=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("iterations", [0, -1, 10_000_001, 10**30, -(10**400)])
def test_an_impossible_number_of_iterations_is_refused(
    north: Cohort, tmp_path: Path, iterations: int
) -> None:
    with pytest.raises(SettingsError, match="at least 1 and at most 10000000 are expected"):
        train(north.path, tmp_path / "m", iterations=iterations)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("depth", [0, -1, 10**30])
def test_an_impossible_depth_is_refused(
    north: Cohort, phantom_model: Path, tmp_path: Path, depth: int
) -> None:
    with pytest.raises(SettingsError, match="this network has 20 layers; choose 1"):
        adapt(phantom_model, north.path, tmp_path / "child", retrain_last=depth, iterations=1)
    assert not (tmp_path / "child").exists()


@pytest.mark.parametrize(
    ("options", "layers", "asked"), [({}, 20, 1), ({"retrain_last": 10, "plain": True}, 10, 0)]
)
def test_adapt_retrains_everything_and_asks_the_parent_unless_told_otherwise(
    north: Cohort,
    phantom_model: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, Any],
    layers: int,
    asked: int,
) -> None:
    caplog.set_level("INFO", "recontour")
    child = adapt(phantom_model, north.path, tmp_path / "child", iterations=1, **options)
    assert child.provenance.retrained_layers == layers
    assert len(child.asked) == asked
    assert child.provenance.patients
    planned = PlannedAdaptation(
        layers=layers,
        of_layers=20,
        iterations=1,
        patients=child.provenance.patients,
        cases=child.provenance.cases,
        organs=child.organs,
        counts=tuple(child.provenance.cases_per_organ.values()),
        parent_patients=3.0 * asked,
    )
    assert planned in [getattr(record, "finding", None) for record in caplog.records]


def test_a_model_of_another_recontour_s_preset_is_contoured_with_but_not_adapted(
    north: Cohort, model: Model, tmp_path: Path
) -> None:
    later = replace(model.provenance, preset="large")
    save_model(replace(model, provenance=later), tmp_path / "m")
    assert evaluate(north.path, [tmp_path / "m"], tmp_path / "scores")
    with pytest.raises(ModelFileError) as refused:
        adapt(tmp_path / "m", north.path, tmp_path / "child", iterations=1)
    assert refused.value.finding == UnknownPreset(
        path=tmp_path / "m", preset="large", known=("accurate", "compact", "paper")
    )


def test_a_notice_that_no_model_file_may_carry_is_refused_before_the_training(
    north: Cohort, tmp_path: Path
) -> None:
    cohort = tmp_path / "cohort"
    shutil.copytree(north.path, cohort)
    about = json.loads((cohort / "cohort.json").read_text())
    (cohort / "cohort.json").write_text(json.dumps(about | {"notices": ["A" * 5000]}))
    with pytest.raises(RecontourError, match="notice"):
        train(cohort, tmp_path / "m", iterations=10_000_000)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cohort"]


def test_files_whose_names_are_not_utf_8_go_all_the_way(north: Cohort, tmp_path: Path) -> None:
    """As an archive from an older system has them: bytes of Latin-1 under a locale of UTF-8."""

    def called(name: bytes) -> Path:
        return Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))

    cohort, model, child, out = (
        called(name) for name in (b"caf\xe9", b"s\xfcd", b"s\xfcd2", b"\xe9valuation")
    )
    shutil.copytree(north.path, cohort)
    train(cohort, model, iterations=1)
    adapt(model, cohort, child, iterations=1)
    assert load_model(child).provenance.parent_sha256 == sha256_of(load_model(model).network)
    scores = evaluate(cohort, [model, child], out)
    assert {row.model for row in scores} == {"s\ufffdd", "s\ufffdd2"}
    assert "s\ufffdd2" in (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def found(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Mask]:
    """Write a model file and a CT; the model will find a brain stem, and no lens."""
    save_model(model, tmp_path / "m")
    grid = Grid((5, 48, 48), (4.0, 4.0), (0.0, 3.0, 6.0, 9.0, 12.0), (-94.0, -94.0))
    write_scan(tmp_path / "ct", np.full(grid.shape, -1000, np.int16), grid, ScanIdentity("formats"))
    masks = {
        "Brainstem": np.zeros(grid.shape, dtype=bool),
        "Lens_L": np.zeros(grid.shape, dtype=bool),
    }
    masks["Brainstem"][1:4, 10:20, 30:40] = True
    monkeypatch.setattr(Contourer, "drafts", drafting(lambda *_: iter(masks.items())))
    return masks


def test_one_contouring_in_three_formats(found: dict[str, Mask], tmp_path: Path) -> None:
    said = [
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / name, format=name)
        for name in contouring.WRITERS
    ]
    assert all(one.not_found == ("Lens_L",) and one == said[0] for one in said)
    scan = read_scan(tmp_path / "ct")
    drawn = read_structure_set(tmp_path / "rtstruct", scan)
    assert drawn.names == ("Brainstem",)
    np.testing.assert_array_equal(
        rasterise(drawn["Brainstem"].contours, scan.grid), found["Brainstem"]
    )
    volume = highdicom.seg.segread(tmp_path / "seg").get_volume(segment_numbers=[1])
    assert volume.array.sum() == found["Brainstem"].sum()
    assert [path.name for path in (tmp_path / "nifti").iterdir()] == ["Brainstem.nii.gz"]
    image = sitk.ReadImage(str(tmp_path / "nifti" / "Brainstem.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), found["Brainstem"])
    assert image.GetOrigin() == (-94.0, -94.0, 0.0)
    words = [
        "contour",
        str(tmp_path / "m"),
        str(tmp_path / "ct"),
        "--format",
        "nifti",
        "--out",
        str(tmp_path / "cli"),
    ]
    assert main(words) == 0
    assert [path.read_bytes() for path in (tmp_path / "cli").iterdir()] == [
        path.read_bytes() for path in (tmp_path / "nifti").iterdir()
    ]


def test_contours_get_the_centre_s_own_names_colours_and_labels(
    found: dict[str, Mask], tmp_path: Path
) -> None:
    names = tmp_path / "map.toml"
    names.write_text(
        'names = {"Hirnstamm" = "Brainstem"}\n'
        'output = {suffix = "_KI", label = "Entwurf", description = "für H&N", '
        "colours = {Brainstem = [1, 2, 3]}}"
    )
    for name in contouring.WRITERS:
        said = contour(
            tmp_path / "m",
            tmp_path / "ct",
            tmp_path / name,
            format=name,
            template=read_template(names),
        )
        assert said.names == {"Brainstem": "Hirnstamm_KI"}
    scan = read_scan(tmp_path / "ct")
    assert read_structure_set(tmp_path / "rtstruct", scan).names == ("Hirnstamm_KI",)
    drawn = pydicom.dcmread(tmp_path / "rtstruct")
    assert drawn.StructureSetLabel == "Entwurf"
    assert drawn.StructureSetDescription == "für H&N"
    assert drawn.ROIContourSequence[0].ROIDisplayColor == [1, 2, 3]
    assert drawn.RTROIObservationsSequence[0].RTROIInterpretedType == "ORGAN"
    segmented = pydicom.dcmread(tmp_path / "seg")
    assert segmented.ContentLabel == "ENTWURF"
    assert segmented.ContentDescription == "für H&N"
    assert segmented.SegmentSequence[0].SegmentLabel == "Hirnstamm_KI"
    masks = [path.name for path in (tmp_path / "nifti").iterdir()]
    assert masks == ["Hirnstamm_KI.nii.gz"]


def test_a_map_with_several_names_of_an_organ_writes_nothing(
    found: dict[str, Mask], tmp_path: Path
) -> None:
    template = Template(spellings={"Brainstem": ("Hirnstam", "Stamm")})
    with pytest.raises(NamesError) as caught:
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / "out.dcm", template=template)
    assert isinstance(caught.value.finding, AmbiguousOutputNames)
    assert not (tmp_path / "out.dcm").exists()


def test_a_line_of_the_output_for_an_unknown_organ_writes_nothing(
    found: dict[str, Mask], tmp_path: Path
) -> None:
    template = Template(lines={"output.names": ("Brainsteam",)})
    with pytest.raises(NamesError, match="did you mean Brainstem"):
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / "out.dcm", template=template)
    assert not (tmp_path / "out.dcm").exists()


def test_a_line_of_the_output_for_another_model_s_organ_is_said(
    found: dict[str, Mask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template = Template(lines={"output.names": ("Glottis",)})
    with caplog.at_level("INFO", "recontour"):
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / "out.dcm", template=template)
    assert "Glottis, which the model does not contour" in caplog.text


@pytest.mark.parametrize("name", ["rtstruct", "seg"])
def test_a_draft_with_a_label_of_its_own_is_still_a_draft(
    found: dict[str, Mask], tmp_path: Path, name: ContourFormat
) -> None:
    names = tmp_path / "map.toml"
    names.write_text('output = {label = "ours (new)"}')
    contour(
        tmp_path / "m",
        tmp_path / "ct",
        tmp_path / "ct" / "rs",
        format=name,
        template=read_template(names),
    )
    (pair,) = read_archive(tmp_path / "ct").pairs
    assert pair.structure_set.is_draft


def test_most_organs_missing_is_a_reason_to_look(
    model: Model, found: dict[str, Mask], tmp_path: Path
) -> None:
    """A network shown a chest finds specks of one organ or two, and no more."""
    assert contour(tmp_path / "m", tmp_path / "ct", tmp_path / "half.dcm").warnings == (NoRanges(),)
    organs = ("Brainstem", "Lens_L", "Lens_R")
    more = replace(model.provenance, cases_per_organ=dict.fromkeys(organs, 4))
    network = Network(model.network.architecture, len(organs))
    save_model(replace(model, organs=organs, network=network, provenance=more), tmp_path / "three")
    warnings = contour(tmp_path / "three", tmp_path / "ct", tmp_path / "third.dcm").warnings
    assert warnings == (NoRanges(), MostOrgansNotFound(found=1, not_found=2))


# The fixture `found` has a brain stem of 14 cc, and no body.
TINY: Mapping[OrganTrait, Range] = {"volume_cc": Range(0.1, 0.2, 50)}
TINY_ORGANS = Ranges({}, {"Brainstem": TINY, "Lens_L": TINY})
OTHER_BODY = Ranges({"narrow_area_cm2": Range(30.0, 40.0, 50)}, {})
NOTICE = "Made for a test."


def learnt_from(
    model: Model, path: Path, ranges: Ranges | None, notices: tuple[str, ...] = ()
) -> None:
    """Write a model file whose training had these ranges."""
    about = replace(model.provenance, ranges=ranges, notices=notices)
    save_model(replace(model, provenance=about), path)


def make_tissue(folder: Path, study: str = "") -> None:
    """Replace the fixture's CT of air by one with a body of 256 cm2."""
    shutil.rmtree(folder)
    grid = Grid((5, 48, 48), (4.0, 4.0), (0.0, 3.0, 6.0, 9.0, 12.0), (-94.0, -94.0))
    hu = np.full(grid.shape, -1000, np.int16)
    hu[:, 4:44, 4:44] = 40
    write_scan(folder, hu, grid, ScanIdentity("tissue", study_description=study))


def test_a_contour_unlike_training_is_marked_wherever_it_is_described(
    model: Model, found: dict[str, Mask], tmp_path: Path
) -> None:
    """One contour alone does not stop it."""
    learnt_from(model, tmp_path / "marked", TINY_ORGANS, (NOTICE,))
    said = contour(tmp_path / "marked", tmp_path / "ct", tmp_path / "rs.dcm")
    assert said.unlike_training == ("Brainstem",)
    assert said.notices == (NOTICE,)
    assert [type(warning) for warning in said.warnings] == [ModelNotice, OrganUnlikeTraining]
    drawn = dcmread(tmp_path / "rs.dcm")
    (roi,) = drawn.StructureSetROISequence
    volume = said.volumes_cc["Brainstem"]
    assert roi.ROIDescription == (
        f"unlike what the model learnt from (volume {volume:.0f} cc, in training 0.1 to 0.2)"
    )
    assert drawn.StructureSetDescription.splitlines() == [
        NOTICE,
        "Read the descriptions of these contours: Brainstem",
    ]
    contour(tmp_path / "marked", tmp_path / "ct", tmp_path / "seg.dcm", format="seg")
    (segment,) = dcmread(tmp_path / "seg.dcm").SegmentSequence
    assert segment.SegmentDescription.splitlines() == [roi.ROIDescription, NOTICE]


def test_a_contour_like_training_bears_no_mark(
    model: Model, found: dict[str, Mask], tmp_path: Path
) -> None:
    ranges = Ranges({}, {"Brainstem": {"volume_cc": Range(5.0, 20.0, 50)}})
    learnt_from(model, tmp_path / "fits", ranges)
    said = contour(tmp_path / "fits", tmp_path / "ct", tmp_path / "rs.dcm")
    assert said.warnings == ()
    drawn = dcmread(tmp_path / "rs.dcm")
    assert "StructureSetDescription" not in drawn
    assert "ROIDescription" not in drawn.StructureSetROISequence[0]


def test_a_contour_in_parts_is_said(found: dict[str, Mask], model: Model, tmp_path: Path) -> None:
    found["Brainstem"][2] = False
    learnt_from(model, tmp_path / "fits", Ranges({}, {}))
    said = contour(tmp_path / "fits", tmp_path / "ct", tmp_path / "rs.dcm")
    assert said.warnings == (ContourInParts(organ="Brainstem", parts=2, between=1),)
    (roi,) = dcmread(tmp_path / "rs.dcm").StructureSetROISequence
    assert roi.ROIDescription == said.warnings[0].sentence()


def test_every_organ_has_a_place_in_the_review_order(
    found: dict[str, Mask], model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lens that was not found comes first, then a brain stem in parts."""
    found["Brainstem"][2] = False
    torn = ContourInParts(organ="Brainstem", parts=2, between=1)
    said = contour(tmp_path / "m", tmp_path / "ct", tmp_path / "rs.dcm")
    assert said.review_order == (
        ToReview("Lens_L", (OrganNotFound(organ="Lens_L"),), None),
        ToReview("Brainstem", (torn,), 0.9),
    )
    words = ["contour", str(tmp_path / "m"), str(tmp_path / "ct"), "--out"]
    assert main([*words, str(tmp_path / "again.dcm")]) == 0
    line = "look here first: Lens_L (not found on this CT), Brainstem (in 2 parts). An order"
    assert line in " ".join(capsys.readouterr().out.split())
    assert main([*words, str(tmp_path / "json.dcm"), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["result"]["review_order"]
    assert (first["organ"], first["soft_dice"]) == ("Lens_L", None)
    assert [one["kind"] for one in second["failures"]] == ["contour_in_parts"]


def test_of_many_organs_only_the_first_are_named_and_all_gross_failures() -> None:
    torn = ContourInParts(organ="Larynx", parts=2, between=0)
    order = review_order(
        ["Brainstem", "Parotid_L", "Parotid_R", "Esophagus", "Larynx"],
        {"Brainstem": 0.9, "Parotid_L": 0.7, "Parotid_R": 0.6, "Esophagus": 0.5, "Larynx": 0.8},
        {"Larynx": [torn]},
    )
    series = SeriesContoured(
        Path("ct"), Path("out/ct.dcm"), Contoured({}, (), (), review_order=order)
    )
    line = tell.series_contoured(series)
    assert line.endswith("look here first: Larynx (in 2 parts), Esophagus, Parotid_R")


def test_swapped_sides_mark_both_organs() -> None:
    swapped = SwappedSides(left="Lens_L", right="Lens_R")
    assert contouring._by_organ([swapped]) == {"Lens_L": [swapped], "Lens_R": [swapped]}


@pytest.mark.parametrize("name", contouring.WRITERS)
def test_most_contours_unlike_training_stop_it(
    model: Model, found: dict[str, Mask], tmp_path: Path, name: ContourFormat
) -> None:
    found["Lens_L"][1:3, 10:20, 10:20] = True
    learnt_from(model, tmp_path / "other", TINY_ORGANS)
    with pytest.raises(UnlikeTrainingError, match="2 of 2 contours are unlike") as refused:
        contour(tmp_path / "other", tmp_path / "ct", tmp_path / "out", format=name)
    assert refused.value.exit_code == 2
    assert "--anyway" in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == {"m", "other", "ct"}
    said = contour(tmp_path / "other", tmp_path / "ct", tmp_path / "out", format=name, anyway=True)
    assert said.unlike_training == ("Brainstem", "Lens_L")
    assert (tmp_path / "out").exists()


def test_another_body_stops_it_before_anything_is_contoured(
    model: Model, found: dict[str, Mask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tissue(tmp_path / "ct")
    learnt_from(model, tmp_path / "other", OTHER_BODY)
    said = contour(tmp_path / "other", tmp_path / "ct", tmp_path / "rs.dcm", anyway=True)
    assert [type(warning) for warning in said.warnings] == [BodyUnlikeTraining]
    description = dcmread(tmp_path / "rs.dcm").StructureSetDescription
    assert description == f"{said.warnings[0].sentence()}."
    monkeypatch.setattr(Contourer, "drafts", lambda *_: pytest.fail("that takes minutes"))
    with pytest.raises(UnlikeTrainingError, match="256 cm2, in training 30 to 40"):
        contour(tmp_path / "other", tmp_path / "ct", tmp_path / "out.dcm")


@pytest.mark.parametrize("is_phantom_model", [False, True])
def test_the_phantom_and_people_do_not_mix(
    model: Model, found: dict[str, Mask], tmp_path: Path, is_phantom_model: bool
) -> None:
    """Neither needs ranges: older models have none."""
    for name, study in (("phantom", PHANTOM_STUDY), ("person", "")):
        shutil.copytree(tmp_path / "ct", tmp_path / name)
        make_tissue(tmp_path / name, study)
    learnt_from(model, tmp_path / "model", None, (PHANTOM_NOTICE,) if is_phantom_model else ())
    own, other = ("phantom", "person") if is_phantom_model else ("person", "phantom")
    contour(tmp_path / "model", tmp_path / own, tmp_path / "own.dcm")
    with pytest.raises(UnlikeTrainingError, match="phantom"):
        contour(tmp_path / "model", tmp_path / other, tmp_path / "other.dcm")
    mixed = PhantomAndPatient(model_of_phantom=is_phantom_model)
    said = contour(tmp_path / "model", tmp_path / other, tmp_path / "other.dcm", anyway=True)
    assert mixed in said.warnings
    assert mixed.sentence() in dcmread(tmp_path / "other.dcm").StructureSetDescription


def test_the_command_line_marks_stops_and_goes_on_anyway(
    model: Model, found: dict[str, Mask], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found["Lens_L"][1:3, 10:20, 38:48] = True
    learnt_from(model, tmp_path / "other", TINY_ORGANS, (NOTICE,))
    words = ["contour", str(tmp_path / "other"), str(tmp_path / "ct"), "--out"]
    assert main([*words, str(tmp_path / "rs.dcm")]) == 2
    assert "repeat with --anyway" in capsys.readouterr().err
    assert not (tmp_path / "rs.dcm").exists()
    assert main([*words, str(tmp_path / "rs.dcm"), "--anyway"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("   unlike training") == 2
    assert f"warning: of the model: {NOTICE}" in shown
    assert main([*words, str(tmp_path / "again.dcm"), "--anyway", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["result"]["unlike_training"] == ["Brainstem", "Lens_L"]
    assert answer["result"]["notices"] == [NOTICE]
    kinds = [warning["kind"] for warning in answer["warnings"]]
    assert kinds == ["model_notice", "organ_unlike_training", "organ_unlike_training"]


@pytest.mark.parametrize("name", ["rtstruct", "seg"])
def test_a_ct_that_cannot_be_referenced_is_refused_before_it_is_contoured(
    found: dict[str, Mask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: ContourFormat
) -> None:
    edit(tmp_path / "ct", lambda image: delattr(image, "FrameOfReferenceUID"))
    monkeypatch.setattr(Contourer, "drafts", lambda *_: pytest.fail("that takes minutes"))
    with pytest.raises(FrameOfReferenceError):
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / "out", format=name)


@pytest.mark.parametrize("name", contouring.WRITERS)
def test_nothing_is_written_where_nothing_is_found(
    found: dict[str, Mask], tmp_path: Path, name: ContourFormat
) -> None:
    found["Brainstem"][:] = False
    with pytest.raises(OrganError, match="none of Brainstem, Lens_L found"):
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / "out", format=name)
    assert {path.name for path in tmp_path.iterdir()} == {"m", "ct"}


def test_an_unknown_format_is_refused_before_the_work(
    found: dict[str, Mask], tmp_path: Path
) -> None:
    unknown: Any = "dxf"
    with pytest.raises(SettingsError) as refused:
        contour(tmp_path / "m", tmp_path / "nowhere", tmp_path / "out", format=unknown)
    assert refused.value.finding == NotAChoice(
        name="--format", choices=("rtstruct", "seg", "nifti"), seen="dxf"
    )


def test_uneven_slices_are_no_nifti(found: dict[str, Mask], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "ct")
    grid = Grid((5, 48, 48), (4.0, 4.0), (0.0, 3.0, 6.0, 12.0, 18.0), (-94.0, -94.0))
    write_scan(tmp_path / "ct", np.zeros(grid.shape, dtype=np.int16), grid, ScanIdentity("uneven"))
    with pytest.raises(GridMismatchError, match="RTSTRUCT and DICOM SEG keep them"):
        contour(tmp_path / "m", tmp_path / "ct", tmp_path / "out", format="nifti")
    contour(tmp_path / "m", tmp_path / "ct", tmp_path / "seg", format="seg")
    assert {path.name for path in tmp_path.iterdir()} == {"m", "ct", "seg"}


def test_models_of_other_organs_have_nothing_to_score(
    model: Model, north: Cohort, tmp_path: Path
) -> None:
    save_model(replace(model, organs=("Larynx", "Pituitary")), tmp_path / "m")
    with pytest.raises(OrganError) as refused:
        evaluate(north.path, [tmp_path / "m"], tmp_path / "report")
    assert refused.value.finding == NoCommonOrgan(
        path=north.path, present=north.organs, known=("Larynx", "Pituitary"), purpose="score"
    )


def test_the_pictures_show_an_end_that_the_last_model_overshoots(
    south: Cohort, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Model a draws too little on every slice, model b, the last, is right but for a slice too many
    at the end.
    """
    case = next(iter(south))
    pictured: list[tuple[float, dict[str, int]]] = []

    def contoured(
        contourer: Contourer, _hu: object, _grid: Grid, _organs: list[str]
    ) -> Iterator[tuple[str, Mask]]:
        mask = case.mask("Brainstem")
        if contourer.model.provenance.preset == "a":
            mask = mask & (np.arange(mask.shape[2]) % 2 > 0)
        else:
            mask[0] = mask[1]
        yield "Brainstem", mask

    def kept(
        _path: Path,
        _scores: object,
        _compared: object,
        overlays: Callable[..., Iterator[Overlay]],
        _: object,
    ) -> None:
        for overlay in overlays(case.id, "Brainstem"):
            if overlay.view != "axial":
                continue
            sizes = {name: int(np.count_nonzero(mask)) for name, mask in overlay.predicted.items()}
            pictured.append(
                (overlay.at_mm, sizes | {"reference": int(np.count_nonzero(overlay.reference))})
            )

    monkeypatch.setattr(Contourer, "contour", contoured)
    monkeypatch.setattr(evaluating, "write_report", kept)
    for name in "ab":
        save_model(
            replace(model, provenance=replace(model.provenance, preset=name)), tmp_path / name
        )
    scores = evaluate(south.path, [tmp_path / "a", tmp_path / "b"], tmp_path / "report")
    assert [(row.case, row.model) for row in scores] == [
        (case, name) for case in south.case_ids for name in "ab"
    ]
    whole = int(np.count_nonzero(case.slice_mask("Brainstem", 1)))
    assert [z for z, _ in pictured] == [case.grid.slice_z_mm[1], case.grid.slice_z_mm[0]]
    assert [sizes["b"] for _, sizes in pictured] == [whole, whole]
    assert [sizes["reference"] for _, sizes in pictured] == [whole, 0]
    assert pictured[0][1]["a"] > pictured[1][1]["a"] == 0


@pytest.mark.parametrize("is_absolute", [False, True])
def test_the_report_says_how_to_repeat_it_without_any_folder(
    is_absolute: bool, model: Model, north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report travels, and folders may be called after a patient, given from here or from the
    root.
    """
    shutil.copytree(north.path, tmp_path / "Zebedee" / "Quentin")
    save_model(model, tmp_path / "Zebedee" / "m")
    monkeypatch.chdir(tmp_path)
    place = (tmp_path if is_absolute else Path()) / "Zebedee"
    evaluate(place / "Quentin", [place / "m"], place / "MRN-4711")
    page = (tmp_path / "Zebedee" / "MRN-4711" / "report.html").read_text()
    assert "<code>recontour evaluate COHORT m --out OUT</code>" in page
    for name in ("Zebedee", "Quentin", "MRN-4711", str(tmp_path)):
        assert name not in page


def test_one_model_twice_is_refused(model: Model, north: Cohort, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m")
    with pytest.raises(SettingsError) as refused:
        evaluate(north.path, [tmp_path / "m", tmp_path / "m"], tmp_path / "report")
    assert refused.value.finding == SharedModelName(names=("m",))


def test_a_run_says_where_it_goes_on(
    north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "recontour")
    with pytest.raises(KeyboardInterrupt):
        train(north.path, tmp_path / "m", iterations=1, resume=True, progress=_interrupt)
    found = [getattr(record, "finding", None) for record in caplog.records]
    assert NothingToResume(path=tmp_path / "m.run") in found
    train(north.path, tmp_path / "m", iterations=1, resume=True)
    assert "going on from iteration 1" in caplog.text


def test_a_training_says_which_model_it_makes(north: Cohort, tmp_path: Path) -> None:
    told: list[str] = []
    train(
        north.path,
        tmp_path / "Model_T.safetensors",
        iterations=2,
        progress=lambda what, *_: told.append(what),
    )
    assert told == ["training Model_T"] * 2 + ["comparing Model_T with its centre"]


def test_organs_that_only_the_model_has_are_said_to_be_dropped(
    model: Model, south: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(replace(model, organs=("Brainstem", "Larynx")), tmp_path / "parent")
    child = adapt(tmp_path / "parent", south.path, tmp_path / "child", iterations=1)
    assert child.organs == ("Brainstem",)
    warnings = [getattr(record, "finding", None) for record in caplog.records]
    assert OrgansDropped(dropped=("Larynx",)) in warnings
    caplog.clear()
    adapt(tmp_path / "parent", south.path, tmp_path / "same", organs=["Brainstem"], iterations=1)
    assert "will not contour" not in caplog.text


def test_organs_that_only_the_cohort_has_are_told_with_how_to_learn_them(
    model: Model, south: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "recontour")
    save_model(model, tmp_path / "parent")
    adapt(tmp_path / "parent", south.path, tmp_path / "child", iterations=1)
    assert "does not know Lens_R" in caplog.text
    (organs,) = re.findall(r"--organs ([\w ]+)$", caplog.text, flags=re.MULTILINE)
    caplog.clear()
    child = adapt(
        tmp_path / "parent", south.path, tmp_path / "all", organs=organs.split(), iterations=1
    )
    assert child.organs == ("Brainstem", "Lens_L", "Lens_R")
    assert "does not know" not in caplog.text


def test_organs_that_are_still_not_found_are_told(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The lens on the left is drawn in two of three patients, and found in the second of them
    alone.
    """
    looked: list[list[str]] = []

    def found(
        _contourer: Contourer, hu: Mask, grid: Grid, organs: list[str]
    ) -> Iterator[tuple[str, Mask]]:
        assert hu.shape == grid.shape
        looked.append(organs)
        for organ in organs:
            yield (
                organ,
                np.full(
                    grid.shape, organ == "Brainstem" or (organ == "Lens_L" and len(looked) == 3)
                ),
            )

    monkeypatch.setattr(Contourer, "contour", found)
    monkeypatch.setattr("recontour.workflows.learning.baseline_of", lambda *_: Baseline({}))
    train(north.path, tmp_path / "m", iterations=1)
    with_lens = [["Lens_L"] * ("Lens_L" in case.organs) for case in north]
    assert looked == [
        ["Brainstem"] * (n == 0) + lens + ["Lens_R"] for n, lens in enumerate(with_lens)
    ]
    assert stored_words(OrgansNotFoundAfterTraining(organs=("Lens_R",))) in caplog.messages


def test_a_preset_with_neighbours_is_trained_and_adapted(
    north: Cohort,
    south: Cohort,
    neighbourly: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compact = presets.PRESETS["compact"]
    together = replace(
        compact,
        architecture=neighbourly.network.architecture,
        preprocessing=neighbourly.preprocessing,
    )
    monkeypatch.setitem(presets.PRESETS, "compact", together)
    parent = train(south.path, tmp_path / "parent", preset="compact", iterations=2)
    child = adapt(tmp_path / "parent", north.path, tmp_path / "child", iterations=2)
    assert child.preprocessing == parent.preprocessing == neighbourly.preprocessing
    assert child.network.architecture.slices == 4
    case = next(iter(north))
    masks = dict(Contourer.load(tmp_path / "child").contour(case.hu, case.grid))
    assert {mask.shape for mask in masks.values()} == {case.grid.shape}
    with pytest.raises(SettingsError, match="must be one more"):
        replace(together, preprocessing=compact.preprocessing)


def test_the_last_look_shows_a_slice_with_its_neighbours_in_the_whole_ct(
    north: Cohort, neighbourly: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only slices count whose neighbours are there; the others are contoured for nothing."""
    case = next(iter(north))
    organs = ("Brainstem", "Lens_R")
    largest = {slice_to_show(case.mask(organ)) for organ in organs}
    preprocessing = neighbourly.preprocessing
    shown: list[tuple[float, ...]] = []

    def found_beside(
        _contourer: Contourer, hu: Mask, grid: Grid, organs: list[str]
    ) -> Iterator[tuple[str, Mask]]:
        at = {z_mm: plane for plane, z_mm in enumerate(grid.slice_z_mm)}
        for index in largest:
            in_ct = preprocessing.planes_seen(case.grid, index)
            here = preprocessing.planes_seen(grid, at[case.grid.slice_z_mm[index]])
            assert np.array_equal(case.hu[list(in_ct)], hu[list(here)])
        counted = np.isin(grid.slice_z_mm, [case.grid.slice_z_mm[index] for index in largest])
        shown.append(grid.slice_z_mm)
        for organ in organs:
            mask = np.zeros(grid.shape, dtype=bool)
            mask[counted if organ == "Lens_R" else ~counted] = True
            yield organ, mask

    monkeypatch.setattr(Contourer, "contour", found_beside)
    assert _found_where_largest(Contourer(neighbourly), case, organs) == {"Lens_R"}
    assert len(largest) < len(shown[0])


def copied(cohort: Cohort, centre: str, path: Path) -> Cohort:
    """The same CTs as another centre's, with one more patient."""
    other = Cohort.open_or_create(path, centre)
    for number, case in enumerate(cohort):
        masks = {organ: case.mask(organ) for organ in case.organs}
        other.add(case_id_of(centre, str(number)), case.hu, case.grid, masks, source_hash="another")
    new = next(iter(other))
    masks = {organ: new.mask(organ) for organ in new.organs}
    other.add(case_id_of(centre, "new"), np.asarray(new.hu) + 1, new.grid, masks, source_hash="new")
    return other


def test_patients_a_model_was_trained_on_are_told_wherever_they_come_from(
    south: Cohort, north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(south.path, tmp_path / "S", iterations=1)
    adapt(tmp_path / "S", north.path, tmp_path / "ST", iterations=1)
    for model, patients in (("S", south), ("ST", [*south, *north])):
        fingerprints = tuple(sorted(case.fingerprint for case in patients))
        assert load_model(tmp_path / model).provenance.trained_on == fingerprints
    caplog.clear()
    test = copied(south, "west", tmp_path / "west")
    scores = evaluate(test.path, [tmp_path / "S", tmp_path / "ST"], tmp_path / "report")
    known = sorted(case_id_of("west", str(number)) for number in range(2))
    page = (tmp_path / "report" / "report.html").read_text()
    for name in ("S", "ST"):
        told = (
            f"2 of 3 patients ({', '.join(known)}) were used to train {name}; "
            "their scores say nothing about new patients"
        )
        assert told in caplog.text
        assert told in page
        noted = {row.case for row in scores if row.model == name and row.trained_on == "same CT"}
        assert sorted(noted) == known


def keyed(
    cohort: Cohort, folder: Path, centre: str, keys: list[str | None], *, brighter: int = 0
) -> Cohort:
    """The first case of a cohort, each time on another CT, under the patients' keys."""
    other = Cohort.open_or_create(folder, centre)
    like = next(iter(cohort))
    masks = {organ: like.mask(organ) for organ in like.organs}
    for number, key in enumerate(keys):
        hu = np.asarray(like.hu) + np.int16(brighter + number)
        other.add(
            case_id_of(centre, f"{brighter + number}"), hu, like.grid, masks, "hash", patient=key
        )
    return other


def test_a_patient_trained_on_one_ct_and_tested_on_another_is_told(
    north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jane, john, joan = (f"0123abcd-{number:016x}" for number in range(3))
    learnt = keyed(north, tmp_path / "train", "north", [jane, None])
    train(learnt.path, tmp_path / "T", iterations=1)
    adapt(
        tmp_path / "T",
        keyed(north, tmp_path / "more", "north", [john], brighter=20).path,
        tmp_path / "TT",
        iterations=1,
    )
    assert load_model(tmp_path / "T").provenance.trained_on_patients == (jane,)
    assert load_model(tmp_path / "TT").provenance.trained_on_patients == (jane, john)
    test = keyed(north, tmp_path / "test", "north", [jane, joan, john, joan], brighter=50)
    caplog.clear()
    evaluate(test.path, [tmp_path / "T", tmp_path / "TT"], tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    of_jane, of_john = (case_id_of("north", number) for number in ("50", "52"))
    both = ", ".join(sorted([of_jane, of_john]))
    someone = "with someone whose other CT was used to train"
    for told in (
        f"1 of 3 patients ({of_jane}) shares a PatientID {someone} T; ",
        f"2 of 3 patients ({both}) share a PatientID {someone} TT; ",
    ):
        assert told in caplog.text
        assert told in page
    assert "0123abcd" not in page + (tmp_path / "report" / "scores.csv").read_text()


def test_a_ct_that_is_there_twice_is_one_patient(
    model: Model, north: Cohort, tmp_path: Path
) -> None:
    """With five patients, one of them twice, p cannot fall below 0.062; with six pairs it could."""
    five = keyed(north, tmp_path / "five", "five", [None] * 5)
    save_model(model, tmp_path / "S")
    train(north.path, tmp_path / "T", iterations=2)

    def statistics(name: str) -> list[dict[str, str]]:
        evaluate(five.path, [tmp_path / "S", tmp_path / "T"], tmp_path / name)
        return list(csv.DictReader((tmp_path / name / "statistics.csv").read_text().splitlines()))

    before = statistics("before")
    first = next(iter(five))
    masks = {organ: first.mask(organ) for organ in first.organs}
    five.add("five-zz", first.hu, first.grid, masks, "again")
    after = statistics("after")
    compared = [row for row in after if int(row["n"])]
    assert compared
    assert {(row["n"], row["cts"]) for row in compared} == {("5", "6")}
    assert [{**row, "cts": "5"} for row in compared] == [row for row in before if int(row["n"])]
    assert all(float(row["p"]) >= 2 / 2**5 for row in compared)
    page = (tmp_path / "after" / "report.html").read_text()
    assert "5 patients (6 CTs)" in page
    assert "6 of 6 CTs have no patient key, so some may be of one patient" in page
    rows = csv.DictReader((tmp_path / "after" / "scores.csv").read_text().splitlines())
    assert {row["patient"] for row in rows if row["case"] == "five-zz"} == {first.id}


def test_contours_of_recontour_itself_are_told_wherever_they_are_used(
    south: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """But not those of a person: a training on them, between, says nothing."""
    shutil.copytree(south.path, tmp_path / "cohort")
    about = next((tmp_path / "cohort").glob("cases/*/case.json"))
    about.write_text(json.dumps(json.loads(about.read_text()) | {"draft": True}))
    warning = DraftContours(drafts=(about.parent.name,), cases=2)
    told = stored_words(warning)
    train(tmp_path / "cohort", tmp_path / "S", iterations=1)
    assert caplog.messages.count(told) == 1
    train(south.path, tmp_path / "person", iterations=1)
    assert caplog.messages.count(told) == 1
    adapt(tmp_path / "S", tmp_path / "cohort", tmp_path / "ST", iterations=1)
    assert caplog.messages.count(told) == 2
    evaluate(tmp_path / "cohort", [tmp_path / "ST"], tmp_path / "report")
    assert caplog.messages.count(told) == 3
    page = html.unescape((tmp_path / "report" / "report.html").read_text())
    assert as_notice(warning) in page


def test_a_head_that_would_be_the_whole_model_is_refused_before_the_training(
    model: Model, south: Cohort, tmp_path: Path
) -> None:
    parent, head = tmp_path / "parent", tmp_path / "head"
    save_model(model, parent)
    with pytest.raises(SettingsError) as refused:
        adapt(parent, south.path, head, plain=True, iterations=1, head_only=True)
    assert refused.value.finding == HeadIsWholeModel()
    assert not list(tmp_path.glob("head*"))
    adapt(parent, south.path, head, plain=True, retrain_last=10, iterations=1, head_only=True)
    assert head.exists()


def test_a_head_of_all_layers_still_belongs_to_the_parent_that_it_asks(
    model: Model, south: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    parent, other, head = tmp_path / "parent", tmp_path / "other", tmp_path / "head"
    save_model(model, parent)
    torch.manual_seed(2)
    save_model(replace(model, network=Network(model.network.architecture, 2)), other)
    adapt(parent, south.path, head, iterations=1, head_only=True)
    assert stored_words(HeadOfAllLayers()) in caplog.messages
    child = load_model(f"{parent}+{head}")
    assert child.provenance.retrained_layers == 20
    with pytest.raises(ModelFileError) as refused:
        load_model(f"{other}+{head}")
    assert isinstance(refused.value.finding, WrongTrunk)


def test_new_patients_are_no_cause_for_a_warning(
    model: Model, south: Cohort, north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(model, tmp_path / "older")  # it does not say
    train(south.path, tmp_path / "S", iterations=1)
    evaluate(north.path, [tmp_path / "older", tmp_path / "S"], tmp_path / "report")
    assert "used to train" not in caplog.text + (tmp_path / "report" / "report.html").read_text()


def test_the_steps_load_without_what_only_training_and_reports_need() -> None:
    code = (
        "import sys; from recontour.workflows import adapt, contour, evaluate; "
        "print({'lightning_fabric', 'matplotlib', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.fixture
def long_pair(model: Model, south: Cohort, tmp_path: Path) -> Path:
    """TRUNK+HEAD whose names together are longer than the name of any file."""
    trunk = tmp_path / ("t" * 150)
    head = tmp_path / ("h" * 150)
    save_model(model, trunk)
    adapt(trunk, south.path, head, iterations=1, head_only=True)
    return Path(f"{trunk.name}+{head.name}")


@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "PAIR"],
        ["evaluate", "COHORT", "PAIR", "--out", "out"],
        ["adapt", "PAIR", "COHORT", "--out", "out", "--iterations", "1"],
    ],
)
def test_two_long_names_are_two_files(
    long_pair: Path,
    south: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"PAIR": str(long_pair), "COHORT": str(south.path)}
    assert main([given.get(word, word) for word in command]) == 0
    assert Path("out").exists() is ("out" in command)


@pytest.mark.usefixtures("found")
def test_two_long_names_contour_as_one_model(
    long_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["contour", str(long_pair), "ct", "--out", "rs.dcm"]) == 0
    assert Path("rs.dcm").exists()


def test_of_two_long_names_the_missing_one_is_named(
    long_pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, _, head = str(long_pair).partition("+")
    Path(head).unlink()
    with pytest.raises(ModelFileError) as error:
        load_model(long_pair)
    assert error.value.finding.path == Path(head)


def test_inspect_takes_a_cohort_or_a_model(
    phantom_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tmp_path / "nosuch")]) == 2
    assert "not found; a cohort or a model file is expected; check the path" in said(capsys)
    assert main(["inspect", str(tmp_path / "phantm")]) == 2
    assert f"did you mean {phantom_model}?" in said(capsys)
    (tmp_path / "map.toml").write_text('[names]\n"Brain Stem" = "Brainstem"\n')
    assert main(["inspect", str(tmp_path / "map.toml")]) == 2
    assert "not a recontour model file; check the path" in said(capsys)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command printed on standard error, as one line."""
    return " ".join(capsys.readouterr().err.split())


def test_an_impossible_depth_is_refused_before_anything_is_noted(
    model: Model, north: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cohort has an organ more than the model, which would be noted."""
    save_model(model, tmp_path / "m")
    command = [
        "adapt",
        tmp_path / "m",
        north.path,
        "--out",
        tmp_path / "n",
        "--retrain-last",
        "400",
    ]
    assert main(list(map(str, command))) == 2
    refusal = said(capsys)
    assert "400" in refusal
    assert "Lens_R" not in refusal
