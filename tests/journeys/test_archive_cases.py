"""If an archive's UIDs or paths mislead, no command chooses silently, and the advice helps."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.dicom.conftest import edit
from tests.journeys.conftest import Journey, write_patient

from recontour.cli import main
from recontour.cohort import Cohort

LONG_NAME = "脳" * 81  # 243 bytes
Runs = Callable[..., str]


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Runs:
    """Run a command; give all it says, its lines joined."""

    def run(*arguments: object, code: int) -> str:
        assert main([str(argument) for argument in arguments]) == code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return said.out + said.err

    return run


def commands(journey: Journey, dicom: Path, out: Path) -> dict[str, list[object]]:
    """The commands that read an archive or a CT, each with an output of its own."""
    labels = out / "labels"
    labels.mkdir(parents=True, exist_ok=True)
    return {
        "import": ["import", dicom, out / "cohort"],
        "deidentify": ["deidentify", dicom, out / "clean"],
        "contour": ["contour", journey.model_s, dicom, "--out", out / "rs.dcm"],
        "convert": ["convert", labels, dicom, "--out", out / "rs.dcm"],
    }


def written(out: Path) -> set[str]:
    return {path.name for path in out.iterdir() if not path.name.startswith(".")} - {"labels"}


def another_patient(folder: Path) -> None:
    for part in ("CT", "RS.dcm"):
        edit(folder / part, lambda dataset: setattr(dataset, "PatientID", "SOMEONE ELSE"))


def another_density(folder: Path) -> None:
    edit(folder / "CT", lambda image: setattr(image, "RescaleIntercept", "500"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_patient, "images of two patients (PatientID) share one SOPInstanceUID"),
        (another_density, "images that share one SOPInstanceUID differ in RescaleIntercept"),
    ],
)
@pytest.mark.parametrize("command", ["import", "deidentify", "contour", "convert"])
def test_two_cts_under_the_same_uids_are_both_named_by_every_command(
    says: Runs,
    journey: Journey,
    tmp_path: Path,
    change: Callable[[Path], None],
    reason: str,
    command: str,
) -> None:
    for name in ("one", "two"):
        write_patient(tmp_path / "dicom" / name, 0)
    change(tmp_path / "dicom" / "two")
    said = says(*commands(journey, tmp_path / "dicom", tmp_path / "out")[command], code=2)
    assert reason in said
    for name in ("one", "two"):
        assert str(tmp_path / "dicom" / name / "CT" / "CT0001.dcm") in said
    assert written(tmp_path / "out") == set()


def test_two_patients_under_the_same_uids_do_not_cost_a_third(
    says: Runs, journey: Journey, tmp_path: Path
) -> None:
    for name, number in (("one", 0), ("two", 0), ("three", 1)):
        write_patient(tmp_path / "dicom" / name, number)
    another_patient(tmp_path / "dicom" / "two")
    every = commands(journey, tmp_path / "dicom", tmp_path / "out")
    assert "1 added, 0 there already, 2 left out" in says(*every["import"], code=0)
    assert "1 CT series of 1 patient, 1 structure set, " in (
        said := says(*every["deidentify"], code=0)
    )
    assert said.count("\nleft out: ") == 2


def test_a_patient_whose_uids_are_those_of_an_earlier_import_is_left_out(
    says: Runs, tmp_path: Path
) -> None:
    write_patient(tmp_path / "first", 0)
    write_patient(tmp_path / "second", 0)
    another_patient(tmp_path / "second")
    says("import", tmp_path / "first", tmp_path / "cohort", code=0)
    said = says("import", tmp_path / "second", tmp_path / "cohort", code=2)
    assert "the cohort has another patient's CT (PatientID) under this SeriesInstanceUID" in said


def test_a_corrected_structure_set_under_the_same_uid_is_noticed_in_a_later_import(
    says: Runs, tmp_path: Path
) -> None:
    write_patient(tmp_path / "first", 0)
    write_patient(tmp_path / "second", 0, ("Brain Stem", "Lens OS"))
    swapped = {"Brain Stem": "Lens OS", "Lens OS": "Brain Stem"}

    def correct(dataset: object) -> None:
        for roi in dataset.StructureSetROISequence:  # type: ignore[attr-defined]
            roi.ROIName = swapped.get(roi.ROIName, roi.ROIName)

    edit(tmp_path / "second" / "RS.dcm", correct)
    says("import", tmp_path / "first", tmp_path / "cohort", code=0)
    again = says("import", tmp_path / "first", tmp_path / "cohort", code=0)
    assert "SOPInstanceUID" not in again
    said = says("import", tmp_path / "second", tmp_path / "cohort", code=0)
    assert "contours changed under the same SOPInstanceUID: " in said


def test_a_ct_whose_slices_are_series_is_refused_by_every_command(
    says: Runs, journey: Journey, tmp_path: Path
) -> None:
    write_patient(tmp_path / "dicom", 0)
    for number, path in enumerate(sorted((tmp_path / "dicom" / "CT").iterdir())):
        edit(
            path,
            lambda image, number=number: setattr(image, "SeriesInstanceUID", f"1.2.{number}"),  # type: ignore[misc]
        )
    every = commands(journey, tmp_path / "dicom", tmp_path / "out")
    cause = "6 CT series that look like parts of one CT"
    remedy = "export that CT again as one series"
    said = says(*every["import"], code=2)
    assert cause in said
    assert remedy in said
    for command in ("contour", "convert"):
        said = says(*every[command], code=2)
        assert "no two images at one position, as in the parts of one CT" in said
        assert "export that CT again as one series" in said
    assert written(tmp_path / "out") == set()
    assert cause in " ".join(says(*every["deidentify"], code=0).split())


def test_a_ct_of_one_slice_is_no_case(says: Runs, tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)
    for path in sorted((tmp_path / "dicom" / "CT").iterdir())[:-1]:
        path.unlink()
    assert "a CT of 1 slice; export the whole CT as one series" in says(
        "import", tmp_path / "dicom", tmp_path / "cohort", code=2
    )
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize("command", ["import", "deidentify", "contour", "convert"])
def test_paths_that_lead_nowhere_are_named(
    says: Runs, journey: Journey, tmp_path: Path, command: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "astray").symlink_to(tmp_path / "gone")

    def said(dicom: Path) -> str:
        return says(*commands(journey, dicom, tmp_path / "out")[command], code=2)

    assert f"{tmp_path / 'link'}: no CT" in said(tmp_path / "link")
    assert f"this is a link to nothing ({tmp_path / 'gone'})" in said(tmp_path / "astray")
    assert "this path is too long" in said(tmp_path / ("a" * 300))
    assert written(tmp_path / "out") == set()


@pytest.mark.parametrize("command", ["import", "deidentify", "contour", "convert"])
@pytest.mark.parametrize(
    ("words", "why"),
    [("", "an empty path names no file or folder"), ("a" * 5000, "a path of 5000 bytes")],
)
def test_a_path_that_is_empty_or_longer_than_any_is_refused_before_the_work(
    journey: Journey,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    words: str,
    why: str,
) -> None:
    arguments = list(map(str, commands(journey, tmp_path / "dicom", tmp_path / "out")[command]))
    arguments[arguments.index(str(tmp_path / "dicom"))] = words
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert why in capsys.readouterr().err
    assert written(tmp_path / "out") == set()


def test_long_names_of_folders_and_files_are_read(
    says: Runs, journey: Journey, tmp_path: Path
) -> None:
    write_patient(tmp_path / "made", 0)
    dicom = tmp_path / LONG_NAME / LONG_NAME
    dicom.mkdir(parents=True)
    for number, path in enumerate(
        [*sorted((tmp_path / "made" / "CT").iterdir()), tmp_path / "made" / "RS.dcm"]
    ):
        path.rename(dicom / f"{LONG_NAME}{number}")
    every = commands(journey, dicom, tmp_path / "out")
    assert "1 added" in says(*every["import"], code=0)
    assert "1 CT series of 1 patient, 1 structure set" in says(*every["deidentify"], code=0)
    assert LONG_NAME not in "".join(os.fspath(path) for path in (tmp_path / "out").rglob("*"))


def test_contours_that_name_the_absent_of_two_cts_are_on_no_case(
    says: Runs, tmp_path: Path
) -> None:
    """The structure set of an absent contrast CT also lists the plain CT that is there."""
    plain = write_patient(tmp_path / "dicom", 0)
    write_patient(tmp_path / "contrast", 1)
    shutil.rmtree(tmp_path / "contrast" / "CT")
    (tmp_path / "dicom" / "RS.dcm").unlink()
    (tmp_path / "contrast" / "RS.dcm").rename(tmp_path / "dicom" / "RS.dcm")

    def list_plain(dataset: object) -> None:
        (frame,) = dataset.ReferencedFrameOfReferenceSequence  # type: ignore[attr-defined]
        frame.FrameOfReferenceUID = plain.source.frame_of_reference_uid
        for roi in dataset.StructureSetROISequence:  # type: ignore[attr-defined]
            roi.ReferencedFrameOfReferenceUID = plain.source.frame_of_reference_uid
        frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[
            0
        ].SeriesInstanceUID = plain.source.series_instance_uid

    edit(tmp_path / "dicom" / "RS.dcm", list_plain)
    said = says("import", tmp_path / "dicom", tmp_path / "cohort", code=2)
    assert "the images that its contours are drawn on are not here" in said
    write_patient(tmp_path / "dicom" / "other", 2)
    says("import", tmp_path / "dicom", tmp_path / "cohort", code=0)
    assert len(Cohort.open(tmp_path / "cohort")) == 1
