from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)
from tests.service.node.peers import image, saved, structures

from recontour.dicom.received import (
    READ_SYNTAXES,
    drawn_on_series,
    file_start,
    is_copy,
    read_first_bytes,
    read_received,
    sender_and_receiver,
    slices_in,
)
from recontour.errors import NotDicomError

CT, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.481.3"


def test_a_file_begins_as_pydicom_would_write_it(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.dcm", image("1.2", 1))
    data = whole.read_bytes()
    length = int.from_bytes(data[140:144], "little")
    ours = tmp_path / "ours.dcm"
    start = file_start(CT, "1.2.1", "1.2.840.10008.1.2.1", "CT1", "RECONTOUR")
    ours.write_bytes(start + data[144 + length :])
    read = pydicom.dcmread(ours)
    assert read == pydicom.dcmread(whole)
    assert read.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.1"
    assert read.file_meta.FileMetaInformationGroupLength == len(start) - 144
    assert sender_and_receiver(ours) == ("CT1", "RECONTOUR")


def test_an_instance_says_what_it_is(tmp_path: Path) -> None:
    one = image("1.2", 1)
    one.SeriesDescription = "two\nlines\x1b[31m"
    received = read_received(saved(tmp_path / "one.dcm", one))
    assert received.modality == "CT"
    assert received.series_uid == "1.2"
    assert received.patient_name == "Doe^Jane"
    assert received.description.isprintable()


def test_the_first_bytes_say_as_much_as_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "one.dcm", image("1.2", 1))
    assert read_first_bytes(path.read_bytes()) == read_received(path)
    assert read_first_bytes(b"nothing of DICOM's") is None


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "one.dcm", image("1.2", 1))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(NotDicomError):
        read_received(path)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_another_encoding_of_an_image_is_a_copy_of_it(tmp_path: Path, syntax: UID) -> None:
    first = saved(tmp_path / "first.dcm", image("1.2", 1, hu=7))
    again = image("1.2", 1, hu=7)
    if syntax == ExplicitVRBigEndian:
        again.PixelData = np.full((8, 8), 7, dtype=">i2").tobytes()
        again["PixelData"].VR = "OW"
    again.file_meta.TransferSyntaxUID = syntax
    second = tmp_path / "second.dcm"
    again.save_as(
        second,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
    )
    assert is_copy(first, second)
    assert not is_copy(first, saved(tmp_path / "other.dcm", image("1.2", 1, hu=8)))


def test_structure_sets_name_their_series_and_are_no_compressed_images(tmp_path: Path) -> None:
    path = saved(tmp_path / "rs.dcm", structures("1.9", drawn_on="1.2"))
    assert read_received(path).modality == "RTSTRUCT"
    assert drawn_on_series(path) == {"1.2"}
    assert set(READ_SYNTAXES[RTSTRUCT]) < set(READ_SYNTAXES[CT])


def test_an_enhanced_image_has_as_many_slices_as_frames(tmp_path: Path) -> None:
    one = image("1.2", 1)
    assert slices_in([saved(tmp_path / f"{number}.dcm", one) for number in range(3)]) == 3
    one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    one.NumberOfFrames = 40
    assert slices_in([saved(tmp_path / "enhanced.dcm", one)]) == 40
