"""Series that a scanner or an archive got wrong, through the commands a person gives."""

from collections.abc import Callable
from pathlib import Path
from shutil import copy, copytree

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from tests.dicom.conftest import edit
from tests.journeys.conftest import Journey, write_patient

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.exchange.nifti import write_nifti

OVERLAP = "two acquisitions in one series overlap from z = 10.5 to 15.0 mm"


def add_pass(folder: Path, **says: object) -> None:
    """A second pass of the CT, half a step off, that begins within the first."""
    for file in sorted(folder.iterdir()):

        def later(image: Dataset) -> None:
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            image.ImagePositionPatient[2] += 10.5
            for keyword, value in says.items():
                setattr(image, keyword, value)

        other = Path(copy(file, folder / f"later{file.name}"))
        edit(other, later)


def add_page(folder: Path) -> None:
    """A page of a screen under the series' UID."""

    def page(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            delattr(image, keyword)

    first = sorted(folder.iterdir())[0]
    edit(Path(copy(first, folder / "page.dcm")), page)


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; gives its exit code, and what it said, in one line."""
    monkeypatch.setenv("COLUMNS", "1000")

    def command(*words: str | Path) -> tuple[int, str]:
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, f"{said.out}{said.err}".replace("\n", " ")

    return command


@pytest.mark.parametrize(
    "says", [{"AcquisitionNumber": 2}, {"AcquisitionTime": "130000"}, {"KVP": 80}], ids=str
)
def test_two_passes_that_overlap(
    tmp_path: Path, run: Run, says: dict[str, object], journey: Journey
) -> None:
    write_patient(tmp_path / "in", 0)
    add_pass(tmp_path / "in" / "CT", **says)
    code, said = run("import", tmp_path / "in", tmp_path / "cohort")
    assert (code, OVERLAP in said) == (2, True)
    assert not (tmp_path / "cohort").exists()

    model = journey.model_s
    code, said = run("contour", model, tmp_path / "in", "--out", tmp_path / "rs.dcm")
    assert (code, OVERLAP in said) == (2, True)
    code, said = run(
        "convert", tmp_path / "in" / "RS.dcm", tmp_path / "in" / "CT", "--out", tmp_path / "rs.dcm"
    )
    assert (code, OVERLAP in said) == (2, True)
    assert not (tmp_path / "rs.dcm").exists()

    code, said = run("deidentify", tmp_path / "in", tmp_path / "out")
    assert (code, f"{OVERLAP}, and import will refuse it" in said) == (0, True)
    code, said = run("import", tmp_path / "out", tmp_path / "cohort")
    assert (code, OVERLAP in said) == (2, True)
    written = [pydicom.dcmread(file) for file in (tmp_path / "out").rglob("CT*.dcm")]
    assert {image.AcquisitionNumber for image in written} == {1, 2}
    assert not any(image.get("AcquisitionTime") for image in written)


def test_a_deidentified_series_without_overlap_still_reads(tmp_path: Path, run: Run) -> None:
    """Also where the files had no number, and lay in an order of their own."""
    write_patient(tmp_path / "in", 0)
    for number, file in enumerate(sorted((tmp_path / "in" / "CT").iterdir())):
        edit(file, lambda image: image.__delattr__("InstanceNumber"))
        file.rename(file.with_name(f"{number * 5 % 6}.dcm"))
    assert run("deidentify", tmp_path / "in", tmp_path / "out")[0] == 0
    assert run("import", tmp_path / "out", tmp_path / "cohort")[0] == 0
    written = [pydicom.dcmread(file) for file in (tmp_path / "out").rglob("CT*.dcm")]
    written.sort(key=lambda image: image.InstanceNumber)
    assert [image.ImagePositionPatient[2] for image in written] == [0, 3, 6, 9, 12, 15]


def test_a_page_of_a_screen_in_the_series(tmp_path: Path, run: Run, journey: Journey) -> None:
    write_patient(tmp_path / "in", 0)
    copytree(tmp_path / "in", tmp_path / "plain")
    add_page(tmp_path / "in" / "CT")
    passed_over = ": 1 x picture of a screen or report"
    assert run("import", tmp_path / "plain", tmp_path / "plain-cohort", "--centre", "A")[0] == 0
    code, said = run("import", tmp_path / "in", tmp_path / "cohort", "--centre", "A")
    assert (code, passed_over in said) == (0, True)
    (case,), (plain,) = Cohort.open(tmp_path / "cohort"), Cohort.open(tmp_path / "plain-cohort")
    np.testing.assert_array_equal(case.hu, plain.hu)

    (tmp_path / "masks").mkdir()
    write_nifti(tmp_path / "masks" / "Brainstem.nii.gz", case.mask("Brainstem"), case.grid)
    code, said = run("convert", tmp_path / "masks", tmp_path / "in", "--out", tmp_path / "rs.dcm")
    assert (code, passed_over in said) == (0, True)
    code, said = run("deidentify", tmp_path / "in", tmp_path / "out")
    assert (code, passed_over in said) == (0, True)
    assert len(list((tmp_path / "out").rglob("CT*.dcm"))) == 6
    model = journey.model_s
    code, said = run("contour", model, tmp_path / "in", "--out", tmp_path / "drawn.dcm")
    assert code in (0, 2)  # a model of two steps may find nothing
    assert code == 2 or passed_over in said


def test_padding_within_the_body_is_said(tmp_path: Path, run: Run) -> None:
    write_patient(tmp_path / "in", 0)
    edit(tmp_path / "in" / "CT", lambda image: image.add_new("PixelPaddingValue", "SS", 30))
    code, said = run("import", tmp_path / "in", tmp_path / "cohort")
    assert code == 0
    assert "voxels" in said
    assert "hold the PixelPaddingValue (30 HU) and may be tissue" in said
    (case,) = Cohort.open(tmp_path / "cohort")
    written = np.stack(
        [pydicom.dcmread(file).pixel_array for file in sorted((tmp_path / "in" / "CT").iterdir())]
    )
    np.testing.assert_array_equal(case.hu, written)


def test_a_private_transfer_syntax(tmp_path: Path, run: Run) -> None:
    write_patient(tmp_path / "in", 0)
    for file in (tmp_path / "in" / "CT").iterdir():
        image = pydicom.dcmread(file)
        image.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.113619.5.2")
        pydicom.dcmwrite(file, image, implicit_vr=True, little_endian=True)
    syntax = "transfer syntax 1.2.840.113619.5.2 (GE private, pixels in big endian)"
    told = f"{syntax} is not supported; export it uncompressed"
    code, said = run("import", tmp_path / "in", tmp_path / "cohort")
    assert (code, said.count(told)) == (2, 1)
    code, said = run("deidentify", tmp_path / "in", tmp_path / "out")
    assert (code, told in said) == (2, True)
