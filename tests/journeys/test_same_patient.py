"""The same patient in training and test, exported twice: on the phantom's DICOM."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.dicom import Authorship, ScanIdentity, write_scan, write_structure_set
from recontour.geometry import StructureSet
from recontour.phantom.centre import SOURCE, PhantomCase, make_case

SHORT = ["--iterations", "1", "--precision", "float32", "--organs", "Brainstem"]
NOTHING = "their scores say nothing about new patients"
STUDY = """
preset = "compact"
precision = "float32"
[source]
cohort = "{source}"
split = "split.csv"
[target]
cohort = "{target}"
split = "split.csv"
[models]
iterations = 1
"""


def export(folder: Path, case: PhantomCase, seed: str, patient_id: str) -> None:
    """Write a case with UIDs of its own, and its brain stem."""
    identity = ScanIdentity(seed, patient_id=patient_id, patient_name="Doe^Jane")
    stem = [one for one in case.structures.structures if one.name == "Brain Stem"]
    assert stem
    scan = write_scan(folder / seed / "CT", case.hu, case.grid, identity)
    made_by = Authorship("clinic", "HN", seed=seed)
    write_structure_set(folder / seed / "RS.dcm", StructureSet(tuple(stem)), scan, made_by)


def again(case: PhantomCase) -> PhantomCase:
    """The case as a second export might give it: a voxel differs, and a slice is missing."""
    hu = case.hu[1:].copy()
    hu[10, 50, 50] += 30
    slices, rows, columns = case.grid.shape
    grid = replace(
        case.grid,
        shape=(slices - 1, rows, columns),
        slice_z_mm=case.grid.slice_z_mm[1:],
    )
    return replace(case, hu=hu, grid=grid)


@pytest.fixture(scope="module")
def phantoms() -> list[PhantomCase]:
    return [make_case(SOURCE, number) for number in range(3)]


@pytest.fixture(scope="module")
def trained(phantoms: list[PhantomCase], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cohort of two patients, and a model that was trained on it."""
    folder = tmp_path_factory.mktemp("trained")
    for number in range(2):
        export(folder / "dicom", phantoms[number], f"first{number}", f"4711{number}")
    assert main(["import", str(folder / "dicom"), str(folder / "north")]) == 0
    assert main(["train", str(folder / "north"), "--out", str(folder / "T"), *SHORT]) == 0
    return folder


def said_of(folder: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Import a folder's archive, evaluate there, and return what the screen and the report say."""
    assert main(["import", str(folder / "dicom"), str(folder / "test"), "--centre", "north"]) == 0
    capsys.readouterr()
    out = folder / "evaluation"
    assert main(["evaluate", str(folder / "test"), str(trained / "T"), "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    page = " ".join((out / "report.html").read_text(encoding="utf-8").split())
    notice = "used to train T"
    assert (notice in said) == (notice in page)
    return said


def declared(folder: Path, trained: Path) -> Path:
    """Declare a study that trains on the first export of a patient and tests on the second."""
    tested, other = sorted(Cohort.open(folder / "test"), key=lambda case: len(case.hu))
    rows = ["centre,case,fold", f"target,{tested.id},test", f"target,{other.id},train"]
    for case in Cohort.open(trained / "north"):
        is_first_export = np.mean(case.hu[1:] == tested.hu) > 0.99
        rows.append(f"source,{case.id},{'train' if is_first_export else 'test'}")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
    study = folder / "STUDY.toml"
    study.write_text(STUDY.format(source=trained / "north", target=folder / "test"))
    return study


def test_a_new_export_without_an_id_is_known_by_its_ct(
    phantoms: list[PhantomCase],
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export(tmp_path / "dicom", again(phantoms[0]), "second", "")
    export(tmp_path / "dicom", phantoms[2], "new", "4713")
    said = said_of(tmp_path, trained, capsys)
    assert "1 of 2 patients (north-" in said
    assert ") has a CT that nearly equals one used to train T" in said
    assert NOTHING in said
    a_study = declared(tmp_path, trained)
    assert main(["study", str(a_study), "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "1 test patient of the target has the PatientID, or nearly the CT, of someone" in said


def test_another_ct_is_known_by_the_id_in_any_folder_of_the_user(
    phantoms: list[PhantomCase],
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export(tmp_path / "dicom", phantoms[2], "second", "47110")
    told = "1 of 1 patient shares a PatientID with someone whose other CT was used to train T"
    assert told in said_of(tmp_path, trained, capsys)


def test_new_patients_raise_no_alarm(
    phantoms: list[PhantomCase],
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export(tmp_path / "dicom", phantoms[2], "new", "4713")
    assert "used to train" not in said_of(tmp_path, trained, capsys)


def test_a_model_holds_nothing_that_gives_away_an_id(trained: Path) -> None:
    content = (trained / "T").read_bytes()
    keys = [case.patient for case in Cohort.open(trained / "north")]
    assert all(key and key.encode() in content for key in keys)
    for number in range(2):
        assert f"4711{number}".encode() not in content
