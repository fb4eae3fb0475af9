"""The main job on a few real patients, by way of DICOM and the command line."""

import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.evaluation import read_scores


def dicom(shared_data: Path, out: Path, *words: str) -> Path:
    subprocess.run(
        [sys.executable, str(shared_data / "make_dicom.py"), str(out), *words],
        check=True,
        capture_output=True,
    )
    return out


def test_source_to_target(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = dicom(
        shared_data, tmp_path / "source-dicom", "--role", "source", "--fold", "val", "--limit", "2"
    )
    target = dicom(
        shared_data, tmp_path / "target-dicom", "--role", "target2", "--fold", "val", "--limit", "2"
    )
    assert main(["import", str(source), str(tmp_path / "source")]) == 0
    assert main(["import", str(target), str(tmp_path / "target")]) == 0
    organs = set(Cohort.open(tmp_path / "target").organs)
    assert {
        "Brainstem",
        "SpinalCord",
        "Parotid_L",
        "Parotid_R",
        "Bone_Mandible",
        "Larynx",
    } <= organs  # named in French

    s, st = tmp_path / "Model_S", tmp_path / "Model_ST"
    assert (
        main(
            [
                "train",
                str(tmp_path / "source"),
                "--out",
                str(s),
                "--preset",
                "compact",
                "--organs",
                "Parotid_L",
                "Parotid_R",
                "--iterations",
                "100",
            ]
        )
        == 0
    )
    assert (
        main(["adapt", str(s), str(tmp_path / "target"), "--out", str(st), "--iterations", "4"])
        == 0
    )
    assert (
        main(
            [
                "evaluate",
                str(tmp_path / "target"),
                str(s),
                str(st),
                "--out",
                str(tmp_path / "report"),
            ]
        )
        == 0
    )
    scores = read_scores(tmp_path / "report" / "scores.csv")
    assert len({row.case for row in scores}) == 2
    assert max(row.dsc for row in scores) > 0.1  # a hundred steps are enough to find something

    patient = next((target / "target2").iterdir())
    assert main(["contour", str(st), str(patient), "--out", str(tmp_path / "RS.dcm")]) == 0
    written = pydicom.dcmread(tmp_path / "RS.dcm")
    assert written.StructureSetROISequence
    assert "must be reviewed" in capsys.readouterr().out
