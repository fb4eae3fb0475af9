import errno
import os
from pathlib import Path
from shutil import copy

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    generate_uid,
)
from tests.dicom.conftest import (
    PATIENT,
    edit,
    make_scan,
)

from recontour.dicom import (
    read_scan,
    read_series,
)
from recontour.dicom.ct_findings import (
    NoAirInCt,
    OneSeries,
    SeveralSeries,
)
from recontour.errors import (
    DicomError,
    FaultError,
    MixedSeriesError,
    NoSeriesError,
    NotDicomError,
)


def test_the_source_keeps_order_and_patient_and_no_pixels(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    shuffled = read_series(sorted((tmp_path / "ct").iterdir(), reverse=True))
    assert shuffled.source.sop_instance_uids == scan.source.sop_instance_uids
    assert str(scan.source.header.PatientName) == PATIENT[0]
    assert "PixelData" not in scan.source.header


def test_a_localiser_among_the_slices_of_its_series_is_passed_over(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    copy(tmp_path / "ct" / "CT0001.dcm", tmp_path / "ct" / "scout.dcm")

    def overview(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.ImageType, image.ImageOrientationPatient = (
            ["ORIGINAL", "PRIMARY", "LOCALIZER"],
            [1, 0, 0, 0, 0, -1],
        )
        image.Rows, image.PixelData = 2, image.PixelData[:32]

    edit(tmp_path / "ct" / "scout.dcm", overview)
    assert read_scan(tmp_path / "ct").grid == scan.grid
    assert read_series(sorted((tmp_path / "ct").iterdir())).grid == scan.grid


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_fault_of_the_machine_is_not_the_file_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make_scan(tmp_path / "ct")

    def fail(*_: object) -> None:
        raise OSError(number, "of the machine")

    monkeypatch.setattr("recontour.dicom.reading.io.FileIO", fail)
    with pytest.raises(
        FaultError, match=rf"CT0001\.dcm: could not be read \({os.strerror(number)}\)"
    ):
        read_scan(tmp_path / "ct")


def test_two_series_are_refused_and_one_among_other_files_is_found(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "tree" / "deep" / "ct")
    (tmp_path / "tree" / "readme.txt").write_text("no DICOM, and does not claim to be")
    make_scan(tmp_path / "tree" / "scout", seed="scout")
    edit(
        tmp_path / "tree" / "scout",
        lambda image: setattr(image, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    )
    assert read_scan(tmp_path / "tree").grid == scan.grid
    make_scan(tmp_path / "tree" / "other", seed="b")
    with pytest.raises(MixedSeriesError) as error:
        read_scan(tmp_path / "tree")
    assert error.value.finding == SeveralSeries(
        path=tmp_path / "tree",
        are_parts=False,
        series=(
            OneSeries(path=Path("deep/ct/CT0001.dcm"), images=5),
            OneSeries(path=Path("other/CT0001.dcm"), images=5),
        ),
    )
    with pytest.raises(MixedSeriesError, match="SeriesInstanceUID"):
        read_series(
            [
                *(tmp_path / "tree" / "deep" / "ct").iterdir(),
                *(tmp_path / "tree" / "other").iterdir(),
            ]
        )


def test_a_folder_without_ct_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSeriesError, match="not found; a folder of DICOM files is expected"):
        read_scan(tmp_path / "nowhere")
    (tmp_path / "CT0001.dcm").touch()
    with pytest.raises(NoSeriesError, match=f"give its folder, {tmp_path}$"):
        read_scan(tmp_path / "CT0001.dcm")
    (tmp_path / "CT0001.dcm").unlink()
    with pytest.raises(NoSeriesError, match="no CT series"):
        read_scan(tmp_path)
    with pytest.raises(NoSeriesError, match="no CT series"):
        read_series([])


def test_a_ct_without_air_is_doubted(tmp_path: Path) -> None:
    assert make_scan(tmp_path / "ct").notes == ()
    edit(tmp_path / "ct", lambda image: setattr(image, "RescaleIntercept", 1000))
    assert read_scan(tmp_path / "ct").notes == (NoAirInCt(lowest_hu=0),)


def test_a_text_file_named_dcm_is_named(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    (tmp_path / "ct" / "notes.dcm").write_text("Dear colleague, " * 40)
    with pytest.raises(NotDicomError, match=r"notes.dcm: not a DICOM file"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_file_cut_off_anywhere_is_named(tmp_path: Path, share: float) -> None:
    make_scan(tmp_path / "ct")
    file = tmp_path / "ct" / "CT0003.dcm"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DicomError, match=r"CT0003.dcm: "):
        read_scan(tmp_path / "ct")


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        file.write_bytes(file.read_bytes()[132:])
    assert read_scan(tmp_path / "ct").grid == scan.grid


@pytest.mark.parametrize("implicit", [False, True])
def test_a_file_without_meta_information_is_read(tmp_path: Path, implicit: bool) -> None:
    scan = make_scan(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        bare = DicomBytesIO()
        bare.is_little_endian, bare.is_implicit_VR = True, implicit
        write_dataset(bare, pydicom.dcmread(file))
        file.write_bytes(bare.getvalue())
    np.testing.assert_array_equal(read_scan(tmp_path / "ct").hu, scan.hu)


def test_no_error_names_the_patient(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0003.dcm", lambda image: setattr(image, "ImagePositionPatient", None))
    with pytest.raises(DicomError) as caught:
        read_scan(tmp_path / "ct")
    assert not any(part in str(caught.value) for part in ("Zebedee", "Quentin", "4711"))
