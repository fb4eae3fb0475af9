"""The README's commands, one after the other, on a small archive."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from tests.journeys.conftest import NAME, PATIENT_ID, Journey, write_patient
from torch import nn

from recontour import adapt, contour, evaluate, import_dicom, train
from recontour.cli import main
from recontour.cohort import Cohort
from recontour.evaluation import read_scores
from recontour.network import load_model


def test_import_maps_names_and_says_what_it_ignored(
    journey: Journey, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = Cohort.open(journey.cohort)
    assert len(cohort) == 3
    assert cohort.centre == "north"
    assert cohort.organs == ("Brainstem", "Lens_L")
    assert main(["inspect", str(journey.cohort)]) == 0
    said = capsys.readouterr().out
    assert "Brain Stem" in said
    assert "PTV 70" in said
    assert "ignored" in said


def test_importing_twice_adds_nothing(journey: Journey) -> None:
    before = {case.id for case in Cohort.open(journey.cohort)}
    report = import_dicom(journey.archive, journey.cohort)
    assert report.added == ()
    assert set(report.already_there) == before == set(Cohort.open(journey.cohort).case_ids)


def test_export_tells_what_it_wrote(
    journey: Journey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "Dataset001_North"
    assert (
        main(
            [
                "export",
                str(journey.cohort),
                str(out),
                "--format",
                "nnunet",
                "--organs",
                "Brainstem,Lens_L",
            ]
        )
        == 0
    )
    assert f"3 cases, 0 left out: {out}" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"imagesTr", "labelsTr", "dataset.json"}
    assert main(["export", str(journey.cohort), str(out), "--format", "nifti"]) == 2
    assert "does not overwrite" in capsys.readouterr().err


def test_a_de_identified_archive_imports_and_the_user_is_told_what_to_look_at(
    journey: Journey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            [
                "deidentify",
                str(journey.archive),
                str(tmp_path / "out"),
                "--key",
                str(tmp_path / "key"),
            ]
        )
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "3 CT series of 3 patients, 3 structure sets, 3 ROIs without an organ's name dropped"
        in said
    )
    assert "text burned into them" in said
    assert "rendered to a face" in said
    assert main(["import", str(tmp_path / "out"), str(tmp_path / "clean")]) == 0
    before, after = Cohort.open(journey.cohort), Cohort.open(tmp_path / "clean")
    assert after.organs == before.organs
    assert sorted(case.fingerprint for case in after) == sorted(case.fingerprint for case in before)


def test_an_adaptation_is_checked_and_its_card_keeps_the_numbers(
    journey: Journey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "checked")
    given = [str(journey.model_s), str(journey.cohort), "--out", out, "--iterations", "1"]
    assert main(["adapt", "--check", *given]) == 0
    said, heard = capsys.readouterr()
    assert "Mean DSC by cross-validation in 3 folds" in said
    assert "checking in 3 folds of 3 patients" in heard
    assert "used to train the parent" in heard  # and so the parent is flattered
    assert main(["inspect", out, "--json"]) == 0
    card = json.loads(capsys.readouterr().out)["result"]["card"]
    assert (card["check"]["folds"], card["check"]["patients"]) == (3, 3)
    assert main(["inspect", out]) == 0
    assert "cross-validation" in capsys.readouterr().out


def test_the_adapted_model_knows_its_parents(journey: Journey) -> None:
    parent, child = load_model(journey.model_s), load_model(journey.model_st)
    assert child.provenance.lineage == "north -> north"
    assert (
        child.provenance.parent_sha256
        == json.loads(_description(journey.model_s))["weights_sha256"]
    )
    assert child.preprocessing == parent.preprocessing
    # All layers retrain, and the parent's stay beside them.
    own, asked = child.network.heads
    before = nn.ModuleDict(parent.network.path).state_dict()
    for name, weights in asked.state_dict().items():
        assert torch.equal(weights, before[name]), name
    is_same = {name: torch.equal(after, before[name]) for name, after in own.state_dict().items()}
    assert not any(same for name, same in is_same.items() if name.endswith("weight"))


def test_contour_writes_an_rtstruct_on_the_ct_s_own_slices(
    journey: Journey, tmp_path: Path
) -> None:
    scan = write_patient(tmp_path / "patient", 7)
    out = tmp_path / "RS.dcm"
    code = main(["contour", str(journey.model_st), str(tmp_path / "patient"), "--out", str(out)])
    if code == 2:  # two steps of training may well find nothing: then there must be no file
        assert not out.exists()
        pytest.skip("this little training finds no organ")
    written = pydicom.dcmread(out)
    assert written.FrameOfReferenceUID == scan.source.frame_of_reference_uid
    assert {roi.ROIName for roi in written.StructureSetROISequence} <= {"Brainstem", "Lens_L"}
    for roi in written.ROIContourSequence:
        for item in roi.ContourSequence:
            assert float(item.ContourData[2]) in scan.grid.slice_z_mm
            assert (
                item.ContourImageSequence[0].ReferencedSOPInstanceUID
                in scan.source.sop_instance_uids
            )


def test_evaluate_writes_scores_statistics_and_a_report(journey: Journey, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    assert (
        main(
            [
                "evaluate",
                str(journey.cohort),
                str(journey.model_s),
                str(journey.model_st),
                "--out",
                str(out),
            ]
        )
        == 0
    )
    assert sorted(entry.name for entry in out.iterdir()) == [
        "report.html",
        "scores.csv",
        "statistics.csv",
    ]
    scores = read_scores(out / "scores.csv")
    assert {(row.organ, row.model) for row in scores} == {
        (organ, model) for organ in ("Brainstem", "Lens_L") for model in ("S", "ST")
    }
    assert len(scores) == 3 * 2 * 2
    with (out / "statistics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["organ"], row["model_a"], row["model_b"], row["n"]) for row in rows] == [
        ("Brainstem", "S", "ST", "3"),
        ("Lens_L", "S", "ST", "3"),
    ]
    page = (out / "report.html").read_text()
    assert "research use" in page.lower()
    needed = re.findall(r"""(?:src|href)=["'](?!data:|#)|@import|url\((?!#|["']?data:)""", page)
    assert not needed  # it stands by itself


def test_nothing_that_was_made_names_the_patient(journey: Journey, tmp_path: Path) -> None:
    evaluate(journey.cohort, [journey.model_s], tmp_path / "evaluation")
    secrets = [b"Zebedee", b"Quentin", PATIENT_ID.encode(), NAME.encode()]
    uids = [
        pydicom.dcmread(path, stop_before_pixels=True) for path in journey.archive.rglob("*.dcm")
    ]
    secrets += [str(ds.SeriesInstanceUID).encode() for ds in uids] + [
        str(ds.StudyInstanceUID).encode() for ds in uids
    ]
    made = [
        journey.model_s,
        journey.model_st,
        *tmp_path.rglob("*"),
        *journey.cohort.parent.rglob("*"),
    ]
    for path in made:
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret in content], path


def test_the_python_api_does_the_same(archive: Path, tmp_path: Path) -> None:
    """The README's example, with little training."""
    report = import_dicom(archive, tmp_path / "cohort", centre="here")
    assert len(report.added) == 3
    model = train(tmp_path / "cohort", tmp_path / "s", organs=["Lens_L"], iterations=1)
    assert model.organs == ("Lens_L",)
    child = adapt(
        tmp_path / "s", tmp_path / "cohort", tmp_path / "st", retrain_last=4, iterations=1
    )
    assert child.provenance.retrained_layers == 4
    scores = evaluate(tmp_path / "cohort", [tmp_path / "s", tmp_path / "st"], tmp_path / "scores")
    assert len(scores) == 6
    assert all(np.isfinite(row.dsc) for row in scores)
    assert callable(contour)


def _description(path: Path) -> str:
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return str(header["__metadata__"]["recontour"])
