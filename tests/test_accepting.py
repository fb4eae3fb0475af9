"""`accept`: who is counted, what is written, and what a script can tell."""

import csv
import errno
import html
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import fill
from tests.network.test_heads import child_of

from recontour import accept, load_model, words
from recontour.cli.main import main
from recontour.cohort import Cohort
from recontour.cohort.findings import UnknownPatients
from recontour.contouring.contourer import Contourer
from recontour.errors import CohortError, RecontourError, SettingsError
from recontour.evaluation.figures import colour_of
from recontour.evaluation.gate import Decision, Reason
from recontour.evaluation.limits import read_limits
from recontour.geometry.arrays import Mask
from recontour.network import Model, save_model
from recontour.workflows import accepting
from recontour.workflows.findings import (
    NobodyToJudgeBy,
    NotCounted,
    SameModel,
)
from recontour.workflows.paths import OnePathForBoth
from recontour.workflows.wanted import ImpossibleMargin

FILES = {
    "decision.csv",
    "decision.json",
    "limits.json",
    "model_offsets.csv",
    "report.html",
    "scores.csv",
}


@pytest.fixture
def west(tmp_path: Path) -> Cohort:
    """Eight cases that no model was trained on."""
    return fill(Cohort.open_or_create(tmp_path / "west", "west"), 8)


@pytest.fixture
def in_use(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "in_use.safetensors")
    return tmp_path / "in_use.safetensors"


@pytest.fixture
def candidate(model: Model, tmp_path: Path) -> Path:
    child = child_of(model, "south", organs=("Brainstem", "Lens_L", "Lens_R"), share=0.0)
    save_model(child, tmp_path / "candidate.safetensors")
    return tmp_path / "candidate.safetensors"


@pytest.fixture
def drawn(west: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    """The candidate draws brain stems better than the model in use, and loses the lens."""

    def contour(
        self: Contourer, hu: Any, grid: object, organs: Sequence[str] | None = None
    ) -> list[tuple[str, Mask]]:
        case = next(one for one in west if np.array_equal(one.hu, hu))
        is_candidate = "Lens_R" in self.model.organs
        found = []
        for organ in organs or ():
            mask = case.mask(organ).copy()
            if is_candidate and organ == "Lens_L":
                mask[:] = False
            if not is_candidate and organ == "Brainstem":
                mask[1] = False
            found.append((organ, mask))
        return found

    monkeypatch.setattr(Contourer, "contour", contour)


@pytest.mark.usefixtures("drawn")
def test_each_organ_has_its_decision(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path
) -> None:
    out, joined = tmp_path / "out", tmp_path / "joined.safetensors"
    found = accept(west.path, candidate, out, against=in_use, per_organ=joined)
    decided = {one.organ: (one.decision, one.reason) for one in found.organs}
    assert decided == {
        "Brainstem": (Decision.PROMOTE, Reason.NOT_INFERIOR),
        "Lens_L": (Decision.KEEP, Reason.MISSED_MORE),
        "Lens_R": (Decision.UNDECIDED, Reason.NO_PARENT),
    }
    assert not found.is_promoted
    assert found.from_parent == ("Lens_L",)
    assert {path.name for path in out.iterdir()} == FILES
    assert [one.what for one in found.failures] == ["missed"] * 8
    read = load_model(joined)
    assert read.share_of(0) == {"Brainstem": 1.0, "Lens_R": 1.0}
    assert read.share_of(1) == {"Lens_L": 1.0}
    assert "From the model in use: Lens_L; from the candidate:" in read.provenance.notices[-1]


@pytest.mark.usefixtures("drawn")
def test_the_files_say_the_same(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path
) -> None:
    own = tmp_path / "tolerances.toml"
    own.write_text("Brainstem = 1.5\n")
    found = accept(west.path, candidate, tmp_path / "out", against=in_use, tolerances=own)
    with (tmp_path / "out" / "decision.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["decision"] for row in rows[:2]] == ["promote", "promote"]
    shifts = found.organs[0].shifts
    assert shifts
    assert float(rows[0]["difference"]) == pytest.approx(shifts["dsc"].mean)
    about = json.loads((tmp_path / "out" / "decision.json").read_text())
    assert about["candidate"]["sha256"] == found.candidate.sha256
    assert about["organs"][1]["reason"] == "missed more often"
    limits = json.loads((tmp_path / "out" / "limits.json").read_text())
    assert limits["model_sha256"] == found.candidate.sha256
    assert limits["organs"]["Brainstem"]["dsc"] == {"mean": 1.0, "sd": 0.0, "patients": 8}
    assert limits["tolerances_mm"] == {"Brainstem": 1.5, "Lens_L": 0.98, "Lens_R": 0.98}
    assert read_limits(tmp_path / "out" / "limits.json").tolerances_mm == limits["tolerances_mm"]
    assert limits["organs"]["Lens_L"]["dsc"]["mean"] == 0.0
    assert "right" not in limits["organs"]["Lens_L"]  # nothing was drawn
    page = (tmp_path / "out" / "report.html").read_text()
    for word in ("Keep the model in use</b>: Lens_L", "Reviewer", "How to go back", "missed"):
        assert word in page


@pytest.mark.usefixtures("drawn")
def test_with_a_joined_model_the_limits_are_those_of_the_parent_where_it_goes_on(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path
) -> None:
    joined = tmp_path / "joined.safetensors"
    accept(west.path, candidate, tmp_path / "out", against=in_use, per_organ=joined)
    limits = json.loads((tmp_path / "out" / "limits.json").read_text())
    assert limits["organs"]["Lens_L"]["dsc"]["mean"] == 1.0


@pytest.mark.usefixtures("drawn")
def test_if_nothing_is_promoted_the_limits_are_those_of_the_model_in_use(
    west: Cohort, model: Model, in_use: Path, tmp_path: Path
) -> None:
    better = tmp_path / "better"
    save_model(child_of(model, "south", organs=("Brainstem", "Lens_R")), better)
    found = accept(west.path, in_use, tmp_path / "out", against=better)
    assert not found.by_decision[Decision.PROMOTE]
    limits = json.loads((tmp_path / "out" / "limits.json").read_text())
    assert limits["model_sha256"] == found.parent.sha256
    assert limits["organs"]["Brainstem"]["dsc"]["mean"] == 1.0  # in_use has less
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'They are for monitoring <span class="name">better</span>' in page


@pytest.mark.usefixtures("drawn")
def test_offsets_are_of_the_model_against_the_reference(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path
) -> None:
    found = accept(west.path, candidate, tmp_path / "out", against=in_use)
    lower_end = found.offsets["Brainstem", "in_use", "caudal"]
    assert (lower_end.mean, lower_end.sd, lower_end.patients) == (-3.0, 0.0, 8)
    assert found.offsets["Brainstem", "candidate", "caudal"].mean == 0.0
    page = (tmp_path / "out" / "report.html").read_text()
    panels = page.partition("Millimetres by direction")[2].partition("<table>")[0]
    assert "mm further out than the reference" in panels
    for colour in colour_of(["in_use", "candidate"]).values():
        assert f"stroke: {colour.lower()}" in panels


def test_a_script_can_tell(
    west: Cohort,
    candidate: Path,
    in_use: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    drawn: None,
) -> None:
    """Exit code 3, and all facts in JSON."""
    command = ["accept", str(west.path), str(candidate), "--against", str(in_use), "--json"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["error"] == "NotPromotedError"
    assert said["error"]["facts"]["keep"] == ["Lens_L"]
    assert said["result"]["decision"]["organs"][0]["decision"] == "promote"
    assert said["result"]["limits"]["model_sha256"]


def test_a_person_sees_why(
    west: Cohort,
    candidate: Path,
    in_use: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    drawn: None,
) -> None:
    command = ["accept", str(west.path), str(candidate), "--against", str(in_use)]
    command += ["--per-organ", str(tmp_path / "joined.safetensors")]
    assert main([*command, "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert "May candidate replace in_use?" in said.out
    assert "with Lens_L from in_use" in said.out
    (missed,) = [line for line in said.out.splitlines() if line.startswith("missed: ")]
    assert missed.startswith("missed: Lens_L in 8 cases by candidate (west-")
    assert missed.endswith(" and 2 more)")
    assert "1 of 3 organs promoted; keep the model in use for Lens_L" in said.err


def test_all_promoted_is_exit_code_0(
    west: Cohort, model: Model, in_use: Path, tmp_path: Path, drawn: None
) -> None:
    """Equal contours are not inferior."""
    save_model(child_of(model, "south"), tmp_path / "child")
    command = ["accept", str(west.path), str(tmp_path / "child"), "--against", str(in_use)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0


def test_a_candidate_that_lacks_an_organ_is_not_promoted(
    west: Cohort,
    model: Model,
    in_use: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    drawn: None,
) -> None:
    """Else a script would put a model to use that no longer contours it."""
    save_model(child_of(model, "south", organs=("Brainstem",)), tmp_path / "child")
    command = ["accept", str(west.path), str(tmp_path / "child"), "--against", str(in_use)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert "1 of 1 organ promoted; the candidate does not contour Lens_L" in said
    assert "--per-organ" not in said


def test_elsewhere_is_the_same(west: Cohort, candidate: Path, in_use: Path, tmp_path: Path) -> None:
    """With real contours, in other processes."""
    here = accept(west.path, candidate, tmp_path / "here", against=in_use)
    there = accept(west.path, candidate, tmp_path / "there", against=in_use, on="local:2")
    for name in ("scores.csv", "model_offsets.csv", "decision.csv", "limits.json"):
        first = (tmp_path / "here" / name).read_text()
        assert (tmp_path / "there" / name).read_text() == first
    assert here.is_promoted == there.is_promoted


def test_patients_of_the_training_and_drafts_do_not_count(
    west: Cohort, model: Model, in_use: Path, tmp_path: Path
) -> None:
    first, second, *_ = west
    child = child_of(model, "south")
    seen = replace(child.provenance, trained_on=(first.fingerprint,))
    save_model(replace(child, provenance=seen), tmp_path / "child")
    about = json.loads((second.path / "case.json").read_text())
    (second.path / "case.json").write_text(json.dumps({**about, "draft": True}))
    found = accept(west.path, tmp_path / "child", tmp_path / "out", against=in_use)
    assert found.not_counted == {
        first.id: "child was trained on the patient (same CT)",
        second.id: "a draft of recontour's own",
    }
    assert {row.case for row in found.scores}.isdisjoint({first.id, second.id})
    assert NotCounted(cases=tuple(found.not_counted), of=8) in found.warnings
    assert "was trained on the patient" in (tmp_path / "out" / "report.html").read_text()


def test_if_nobody_is_left_nothing_is_decided(
    west: Cohort, model: Model, in_use: Path, tmp_path: Path
) -> None:
    child = child_of(model, "south")
    seen = replace(child.provenance, trained_on=tuple(case.fingerprint for case in west))
    save_model(replace(child, provenance=seen), tmp_path / "child")
    with pytest.raises(CohortError, match="can be counted") as refused:
        accept(west.path, tmp_path / "child", tmp_path / "out", against=in_use)
    assert refused.value.finding == NobodyToJudgeBy(path=west.path, cases=8)
    assert not (tmp_path / "out").exists()


def test_a_model_cannot_replace_itself(west: Cohort, in_use: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    shutil.copy(in_use, copy)
    with pytest.raises(SettingsError) as refused:
        accept(west.path, copy, tmp_path / "out", against=in_use)
    assert refused.value.finding == SameModel(path=copy)
    with pytest.raises(SettingsError) as refused:
        accept(west.path, in_use, tmp_path / "out", against=in_use)
    assert refused.value.finding == SameModel(path=in_use)


@pytest.mark.parametrize("margin", [-0.01, 0.6, float("nan")])
def test_impossible_margins_are_refused(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path, margin: float
) -> None:
    with pytest.raises(SettingsError, match=r"0 to 0\.5 is expected") as refused:
        accept(west.path, candidate, tmp_path / "out", against=in_use, margin_dsc=margin)
    assert isinstance(refused.value.finding, ImpossibleMargin)


def test_what_cannot_be_joined_is_refused_before_the_work(
    west: Cohort, unet_model: Model, in_use: Path, tmp_path: Path
) -> None:
    save_model(unet_model, tmp_path / "stranger")
    joined = tmp_path / "joined"
    with pytest.raises(SettingsError, match="cannot be joined"):
        accept(west.path, tmp_path / "stranger", tmp_path / "out", against=in_use, per_organ=joined)
    assert not joined.exists()


def test_one_path_for_both_outputs_is_refused(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(SettingsError) as refused:
        accept(west.path, candidate, out, against=in_use, per_organ=out)
    assert refused.value.finding == OnePathForBoth(path=out)


@pytest.mark.usefixtures("drawn")
def test_without_a_report_there_is_no_model(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(accepting, "write_limits", fail)
    out, joined = tmp_path / "out", tmp_path / "joined"
    with pytest.raises(RecontourError, match="could not be written"):
        accept(west.path, candidate, out, against=in_use, per_organ=joined)
    assert not out.exists()
    assert not joined.exists()


def test_outputs_are_never_replaced(
    west: Cohort, candidate: Path, in_use: Path, tmp_path: Path
) -> None:
    (tmp_path / "joined").write_text("mine")
    for out, joined in (("west", "new"), ("new", "joined")):
        with pytest.raises(RecontourError) as refused:
            accept(
                west.path,
                candidate,
                tmp_path / out,
                against=in_use,
                per_organ=tmp_path / joined,
            )
        assert "exists" in words(refused.value.finding)
    assert (tmp_path / "joined").read_text() == "mine"


@pytest.mark.usefixtures("drawn")
def test_the_report_repeats_what_the_models_say_of_themselves(
    west: Cohort, model: Model, candidate: Path, tmp_path: Path
) -> None:
    said = "Learnt from two centres <by intent>."
    provenance = replace(model.provenance, notices=(said,))
    save_model(replace(model, provenance=provenance), tmp_path / "in_use.safetensors")

    found = accept(west.path, candidate, tmp_path / "out", against=tmp_path / "in_use.safetensors")

    assert found.notices == (said,)
    assert html.escape(said) in (tmp_path / "out" / "report.html").read_text()
    decision = json.loads((tmp_path / "out" / "decision.json").read_text())
    assert decision["notices"] == [said]
    assert UnknownPatients(unknown=8, cts=8) in found.warnings
