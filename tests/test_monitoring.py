"""`monitor` says when drafts are no longer what is approved."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from tests.conftest import fill
from tests.dicom.conftest import edit
from tests.exchange.test_approvals import GRID, Clinic, box, on_day
from tests.network.test_heads import child_of

from recontour import accept, monitor
from recontour.cli import main
from recontour.cohort import Cohort
from recontour.contouring.contourer import Contourer
from recontour.dicom import Authorship, write_structure_set
from recontour.errors import RecontourError
from recontour.evaluation.findings import Drifted
from recontour.exchange.findings import NotMonitored
from recontour.findings import words
from recontour.geometry import Grid, traced
from recontour.geometry.arrays import Mask
from recontour.network import Model, save_model
from recontour.workflows.findings import (
    CtsOfOnePatient,
    LimitsOfThesePatients,
    LimitsWithoutTheseOrgans,
    OrgansNotApproved,
    OrgansNotDrafted,
    PatientsLeftOut,
    TooFewToMonitor,
    UnchangedDrafts,
)

STEADY = "abcdefgh"
DRIFTED = "ijkl"


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """Eight patients whose drafts stay nearly as they are, and four with another protocol."""
    made = Clinic(tmp_path)
    for day, patient in enumerate(STEADY + DRIFTED, start=1):
        made.draft(patient, day)
        made.approve(patient, day + 10, shift=4 if patient in DRIFTED else day % 2)
    return made


def test_a_changed_protocol_is_an_alarm(clinic: Clinic, tmp_path: Path) -> None:
    found = monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=8)
    by_organ = {one.organ: one for one in found.statements}
    stem = by_organ["Brainstem"]
    assert found.has_drifted
    assert isinstance(stem, Drifted)
    assert stem.first == 9
    assert stem.since == found.cases[8]
    assert found.unchanged == len(STEADY) // 2
    assert UnchangedDrafts(unchanged=4, of=12) in found.findings


def test_nothing_is_said_without_a_change(clinic: Clinic, tmp_path: Path) -> None:
    for patient in DRIFTED:
        for path in (clinic.approved / patient).glob("approved*.dcm"):
            path.unlink()
    found = monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=6)
    assert not found.has_drifted
    assert found.watched == 2


def test_the_exit_code_says_whether_there_is_an_alarm(
    clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(clinic.drafts), str(clinic.approved)]
    out = tmp_path / "out"
    assert main(["monitor", *folders, "--baseline", "8", "--out", str(out), "--json"]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["error"]["error"] == "DriftError"
    assert answer["result"]["drifted"] == ["mean over organs", "Brainstem"]
    with (out / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["measure"] for row in rows if row["organ"] == "Brainstem"} >= {"dsc", "right"}
    written = (out / "report.html").read_text() + (out / "points.csv").read_text()
    assert "Doe" not in written
    assert "2026-03" not in written
    assert "202603" not in written


def test_limits_of_an_acceptance_replace_the_baseline(clinic: Clinic, tmp_path: Path) -> None:
    limits = tmp_path / "limits.json"
    usual = {
        "dsc": {"mean": 0.95, "sd": 0.05, "patients": 12},
        "hd95": {"mean": 1, "sd": 1, "patients": 12},
    }
    organs = {"Brainstem": usual}
    limits.write_text(json.dumps({"model_sha256": "0" * 64, "organs": organs, "made": "today"}))
    found = monitor(clinic.drafts, clinic.approved, tmp_path / "out", limits=limits)
    assert found.baseline == 0
    assert found.has_drifted
    by_organ = {one.organ: one for one in found.statements}
    stem = by_organ["Brainstem"]
    assert isinstance(stem, Drifted)
    assert stem.first == 9


@pytest.mark.parametrize("mean", [1.01, -0.5])
def test_limits_with_an_impossible_score_are_refused(
    clinic: Clinic, tmp_path: Path, mean: float
) -> None:
    limits = tmp_path / "limits.json"
    usual = {"dsc": {"mean": mean, "sd": 0.05, "patients": 12}}
    limits.write_text(json.dumps({"model_sha256": "0" * 64, "organs": {"Brainstem": usual}}))
    with pytest.raises(RecontourError, match="Brainstem: expected a mean of dsc from 0 to 1"):
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", limits=limits)


def test_limits_of_the_very_same_patients_are_pointed_out(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `accept` measures them, not as `monitor` does."""
    monkeypatch.setattr(Contourer, "contour", _roughly)
    in_use, candidate = tmp_path / "in_use", tmp_path / "candidate"
    save_model(model, in_use)
    save_model(child_of(model, "south", organs=("Brainstem",)), candidate)
    same = fill(Cohort.open_or_create(tmp_path / "same", "west"), 6)
    fewer = fill(Cohort.open_or_create(tmp_path / "fewer", "west"), 5)
    accepted = accept(same.path, candidate, tmp_path / "accepted", against=in_use)
    watched = in_use if accepted.watched == accepted.parent else candidate
    limits = tmp_path / "accepted" / "limits.json"
    found = monitor(watched, same.path, tmp_path / "of-same", limits=limits)
    assert LimitsOfThesePatients() in found.findings
    found = monitor(watched, fewer.path, tmp_path / "of-fewer", limits=limits)
    assert LimitsOfThesePatients() not in found.findings


def _roughly(
    _contourer: Contourer, hu: Any, _grid: Grid, organs: Sequence[str]
) -> Iterator[tuple[str, Mask]]:
    """Contour what is bright; noise decides of how many voxels."""
    for organ in organs:
        yield organ, np.asarray(hu) > 185


@pytest.mark.parametrize("words", ["", "{}", '{"model_sha256": 1, "organs": {}}', "\x00"])
def test_damaged_limits_are_refused(clinic: Clinic, tmp_path: Path, words: str) -> None:
    limits = tmp_path / "limits.json"
    limits.write_text(words)
    with pytest.raises(RecontourError, match="the file of limits cannot be read"):
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", limits=limits)
    assert not (tmp_path / "out").exists()


def test_too_few_patients_are_refused(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(RecontourError) as caught:
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=12)
    assert caught.value.finding == TooFewToMonitor(patients=12, baseline=12)
    with pytest.raises(RecontourError, match="at least 5 patients"):
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=4)


def test_two_folders_of_approved_contours_are_refused(
    clinic: Clinic, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folders = [str(clinic.drafts), str(clinic.approved), str(clinic.approved)]
    assert main(["monitor", *folders, "--out", str(tmp_path / "out")]) == 2
    assert "takes one folder of approved contours" in capsys.readouterr().err


def test_an_organ_that_a_draft_lacks_scores_nothing(clinic: Clinic, tmp_path: Path) -> None:
    last = DRIFTED[-1]
    for path in clinic.drafts.glob(f"{last}*.dcm"):
        path.unlink()
    lens = np.roll(box(0), 8, axis=1)
    author = Authorship("north", is_draft=True, made=on_day(1))
    drawn = traced([("Lens_L", lens)], GRID)
    write_structure_set(clinic.drafts / f"{last}.dcm", drawn, clinic.scans[last], author)
    found = monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=8)
    (chart,) = [one for one in found.charts if (one.organ, one.measure) == ("Brainstem", "dsc")]
    assert chart.values[-1] == 0
    assert OrgansNotDrafted(organs=("Brainstem",), counts=(1,)) in found.findings
    assert OrgansNotApproved(organs=("Lens_L",), counts=(1,)) in found.findings
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Drafted, but not in the approved contours, so not compared: Lens_L (1 CT)." in page


def test_a_model_is_replayed_on_cohorts(model: Model, tmp_path: Path) -> None:
    provenance = replace(model.provenance, notices=("All of this is synthetic.",))
    save_model(replace(model, provenance=provenance), tmp_path / "model.safetensors")
    cohorts = []
    for name, growth in (("early", 0), ("late", 1)):
        cohort = Cohort.open_or_create(tmp_path / name, name)
        fill(cohort, 6, growth_px=growth)
        cohorts.append(tmp_path / name)
    found = monitor(tmp_path / "model.safetensors", cohorts, tmp_path / "out", baseline=6)
    assert [case.split("-")[0] for case in found.cases] == ["early"] * 6 + ["late"] * 6
    assert found.unchanged is None
    assert found.watched == 6
    assert (tmp_path / "out" / "report.html").is_file()
    assert not any(isinstance(one, PatientsLeftOut) for one in found.findings)
    assert "All of this is synthetic." in (tmp_path / "out" / "report.html").read_text()


def test_a_patient_counts_once(clinic: Clinic, tmp_path: Path) -> None:
    """Four bad CTs of one patient are no drift, and a second approved draft replaces the first."""
    for patient in DRIFTED:
        _belongs_to(clinic, patient, DRIFTED[0])
    clinic.draft(STEADY[0], 15)
    clinic.approve(STEADY[0], 16)
    found = monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=8)
    assert len(found.cases) == len(set(found.cases)) == len(STEADY) + 1
    assert not found.has_drifted
    assert CtsOfOnePatient(cts=12, patients=9) in found.findings
    why = [one.why for one in found.findings if isinstance(one, NotMonitored)]
    assert why == ["drawn again"]


def _belongs_to(clinic: Clinic, patient: str, person: str) -> None:
    def same_person(dataset: Dataset) -> None:
        dataset.PatientID = person

    drafts = clinic.drafts.glob(f"{patient}*.dcm")
    for path in (*drafts, *(clinic.approved / patient).glob("*.dcm")):
        edit(path, same_person)


def test_a_replayed_patient_counts_once(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model.safetensors")
    cohort = Cohort.open_or_create(tmp_path / "early", "early")
    fill(cohort, 7)
    twice = [tmp_path / "early", tmp_path / "early"]
    found = monitor(tmp_path / "model.safetensors", twice, tmp_path / "out", baseline=6)
    assert len(found.cases) == 7
    assert CtsOfOnePatient(cts=14, patients=7) in found.findings


def test_limits_of_other_organs_are_refused(clinic: Clinic, tmp_path: Path) -> None:
    limits = tmp_path / "limits.json"
    organs = {"Lens_L": {"dsc": {"mean": 0.9, "sd": 0.05, "patients": 12}}}
    limits.write_text(json.dumps({"model_sha256": "0" * 64, "organs": organs}))
    with pytest.raises(RecontourError) as caught:
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", limits=limits, baseline=1)
    assert caught.value.finding == LimitsWithoutTheseOrgans(fewest=5)


def test_nobody_to_watch_is_said() -> None:
    said = words(TooFewToMonitor(patients=0, baseline=0))
    assert said.startswith("no patient is left to watch; ")


def test_drafts_left_out_for_one_reason_are_one_notice(clinic: Clinic, tmp_path: Path) -> None:
    for patient in DRIFTED[:3]:
        for path in (clinic.approved / patient).glob("approved*.dcm"):
            path.unlink()
    found = monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=8)
    why = [one.why for one in found.findings if isinstance(one, NotMonitored)]
    assert why == ["not approved"] * 3
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("nothing that was approved belongs to") == 1
    assert "3 drafts: nothing that was approved belongs to them." in page


def test_only_what_needs_a_look_is_a_warning(
    clinic: Clinic, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=8)
    levels = {record.getMessage(): record.levelname for record in caplog.records}
    news = [
        level
        for line, level in levels.items()
        if "unchanged" in line or "approved contours, " in line
    ]
    assert news == ["INFO", "INFO"]


def test_the_tolerances_of_limits_count(clinic: Clinic, tmp_path: Path) -> None:
    usual = {"surface_dsc": {"mean": 0.95, "sd": 0.05, "patients": 12}}
    facts = {"model_sha256": "0" * 64, "organs": {"Brainstem": usual}}
    values = []
    for name, more in (("own", {}), ("wide", {"tolerances_mm": {"Brainstem": 20}})):
        limits = tmp_path / f"{name}.json"
        limits.write_text(json.dumps({**facts, **more}))
        found = monitor(clinic.drafts, clinic.approved, tmp_path / name, limits=limits)
        (chart,) = [one for one in found.charts if one.organ == "Brainstem"]
        values.append(chart.values[-1])
    own, wide = values
    assert own < wide == 1


def test_too_few_patients_are_explained(
    clinic: Clinic, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """ROI names without a map are the usual reason: they are said, all of them once."""

    def named_as_at_home(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROIName = "Stamm"

    for path in clinic.approved.rglob("approved*.dcm"):
        edit(path, named_as_at_home)
    with pytest.raises(RecontourError, match="no organ is contoured in enough of 12 patients"):
        monitor(clinic.drafts, clinic.approved, tmp_path / "out", baseline=8)
    said = [record.getMessage() for record in caplog.records]
    assert len([one for one in said if "map those that are organs with --names" in one]) == 1


def test_a_model_that_is_not_there_is_called_a_model(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(RecontourError, match="not found; a model file is expected"):
        monitor(tmp_path / "nort.safetensors", clinic.approved, tmp_path / "out")
