"""Files with one SOPInstanceUID are copies, however they are encoded, or should not share it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from tests.dicom.conftest import block, edit, make_scan, make_structure_set, recode

from recontour.dicom import (
    Authorship,
    read_archive,
    read_scan,
    read_series,
    write_segmentation,
)
from recontour.dicom.copies import versions_of
from recontour.dicom.deidentify import deidentify
from recontour.dicom.findings import (
    DifferingCopies,
    EquallyNewStructureSets,
    RejectedStructureSet,
    SharedImageUid,
    TruncatedDicom,
)
from recontour.errors import MixedSeriesError, NotDicomError
from recontour.findings import words


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A CT and a structure set in `one`, and the same again in `two`, byte by byte."""
    folder = tmp_path / "dicom"
    make_structure_set(folder / "one" / "rs.dcm", make_scan(folder / "one" / "ct"))
    shutil.copytree(folder / "one", folder / "two")
    return folder


def of_pacs(dataset: Dataset) -> None:
    """What an archive writes on the way."""
    dataset.RetrieveAETitle, dataset.InstanceAvailability = "PACS", "ONLINE"
    dataset.file_meta.SourceApplicationEntityTitle = "PACS"
    dataset.file_meta.ImplementationVersionName = "PACS_7"
    dataset.SpecificCharacterSet = "ISO_IR 100"  # all its text is ASCII
    dataset.AccessionNumber = ""
    dataset.OtherPatientNames = ""  # empty, where it was absent


def in_undefined_lengths(dataset: Dataset) -> None:
    for element in dataset.iterall():
        element.is_undefined_length = element.VR == "SQ"


def compress(folder: Path) -> None:
    for path in sorted(folder.rglob("CT*.dcm")):
        image = dcmread(path)
        image.compress(RLELossless, generate_instance_uid=False)
        image.save_as(path)


def in_syntax(syntax: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in sorted(folder.rglob("*.dcm")):
            recode(path, syntax)

    return change


def edited(change: Callable[[Dataset], None]) -> Callable[[Path], None]:
    def of_folder(folder: Path) -> None:
        edit(folder / "ct", change)
        edit(folder / "rs.dcm", change)

    return of_folder


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: None,
        edited(of_pacs),
        edited(in_undefined_lengths),
        in_syntax(ImplicitVRLittleEndian),
        in_syntax(ExplicitVRBigEndian),
        in_syntax(DeflatedExplicitVRLittleEndian),
        compress,
    ],
    ids=[
        "bytes",
        "of an archive",
        "undefined lengths",
        "implicit VR",
        "big endian",
        "deflated",
        "compressed",
    ],
)
def test_copies_count_once_however_they_are_encoded(
    archive: Path, change: Callable[[Path], None]
) -> None:
    change(archive / "two")
    found = read_archive(archive)
    (pair,) = found.pairs
    assert (len(pair.series.files), pair.notes) == (5, ())
    assert not found.left_out
    assert not found.unreadable
    assert deidentify(archive, archive.with_name("out")).left_out == ()
    assert len(list(archive.with_name("out").rglob("CT*.dcm"))) == 5


def test_copies_that_differ_in_what_does_not_matter_are_noted(archive: Path) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PatientName, dataset.InstitutionName = "Zebedee^Q", "St. Elsewhere"

    edit(archive / "two" / "ct" / "CT0003.dcm", change)
    edit(archive / "two" / "rs.dcm", lambda dataset: setattr(dataset, "OperatorsName", "someone"))
    (pair,) = read_archive(archive).pairs
    assert len(pair.series.files) == 5
    assert pair.notes == (
        DifferingCopies(what="images", differ_in=("InstitutionName", "PatientName")),
        DifferingCopies(what="structure set", differ_in=("OperatorsName",)),
    )
    assert words(pair.notes[0]) == (
        "copies of the images differ in InstitutionName, PatientName, which does not matter here; "
        "the first was taken"
    )


def darker(image: Dataset) -> None:
    image.PixelData = (np.frombuffer(image.PixelData, "<i2") + 500).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("change", "differ"),
    [
        (darker, "PixelData"),
        (lambda image: setattr(image, "RescaleIntercept", "-1024"), "RescaleIntercept"),
        (lambda image: setattr(image, "PixelSpacing", ["1.5", "2.5"]), "PixelSpacing"),
        (lambda image: image.add_new("PixelPaddingValue", "SS", 7), "PixelPaddingValue"),
        (lambda image: setattr(image, "StudyInstanceUID", "1.2.3"), "StudyInstanceUID"),
    ],
)
@pytest.mark.parametrize("encoding", [None, ImplicitVRLittleEndian])
def test_another_image_under_one_uid_is_no_copy(
    archive: Path, change: Callable[[Dataset], None], differ: str, encoding: str | None
) -> None:
    second = archive / "two" / "ct" / "CT0003.dcm"
    edit(second, change)
    if encoding:
        recode(second, encoding)
    found = read_archive(archive)
    assert not found.pairs
    rivals = (archive / "one" / "ct" / "CT0003.dcm", second)
    assert [(one.path, one.finding) for one in found.left_out] == [
        (rival, SharedImageUid(path=rival, differ_in=(differ,), rivals=rivals)) for rival in rivals
    ]
    assert words(found.left_out[0].finding) == (
        f"{rivals[0]}: images that share one SOPInstanceUID differ in {differ} ({rivals[1]}); "
        "keep the files of one CT"
    )
    with pytest.raises(MixedSeriesError) as error:
        read_scan(archive)
    assert error.value.finding == SharedImageUid(differ_in=(differ,), rivals=rivals)


def test_two_patients_under_the_same_uids_are_both_told(archive: Path) -> None:
    edited(lambda dataset: setattr(dataset, "PatientID", "SOMEONE ELSE"))(archive / "two")
    found = read_archive(archive)
    assert not found.pairs
    rivals = tuple(archive / folder / "ct" / "CT0001.dcm" for folder in ("one", "two"))
    assert [(one.path, one.finding) for one in found.left_out] == [
        (rival, SharedImageUid(path=rival, rivals=rivals)) for rival in rivals
    ]
    assert "images of two patients" in found.left_out[0].finding.sentence()
    with pytest.raises(MixedSeriesError) as error:
        read_scan(archive)
    assert error.value.finding == SharedImageUid(rivals=rivals)


def test_without_ids_two_patients_are_told_by_their_names(archive: Path) -> None:
    edited(lambda dataset: setattr(dataset, "PatientID", ""))(archive / "one")
    edited(lambda dataset: setattr(dataset, "PatientID", ""))(archive / "two")
    assert len(read_archive(archive).pairs) == 1
    edited(lambda dataset: setattr(dataset, "PatientName", "Someone^Else"))(archive / "two")
    found = read_archive(archive)
    assert not found.pairs
    assert len(found.left_out) == 2
    for one in found.left_out:
        assert isinstance(one.finding, SharedImageUid)
        assert one.finding.differ_in == ("PatientName",)


def redraw(dataset: Dataset) -> None:
    contour = dataset.ROIContourSequence[0].ContourSequence[0]
    contour.ContourData[0] = float(contour.ContourData[0]) + 0.5


def rename(dataset: Dataset) -> None:
    dataset.StructureSetROISequence[0].ROIName = "SpinalCord"


def erase(dataset: Dataset) -> None:
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []


@pytest.mark.parametrize("change", [redraw, rename, erase])
@pytest.mark.parametrize("encoding", [None, ImplicitVRLittleEndian, "explicit"])
def test_a_corrected_structure_set_under_the_same_uid_is_no_copy(
    archive: Path, change: Callable[[Dataset], None], encoding: str | None
) -> None:
    edit(archive / "two" / "rs.dcm", change)
    if encoding:
        recode(
            archive / "two" / "rs.dcm",
            "1.2.840.10008.1.2.1" if encoding == "explicit" else encoding,
        )
    found = read_archive(archive)
    assert not found.pairs
    (left,) = found.left_out
    rivals = (archive / "one" / "rs.dcm", archive / "two" / "rs.dcm")
    expected = EquallyNewStructureSets(path=left.path, count=2, share_uid=True, rivals=rivals)
    assert left.finding == expected


def test_a_structure_set_rejected_under_the_same_uid_is_no_copy(archive: Path) -> None:
    edit(archive / "one" / "rs.dcm", lambda dataset: setattr(dataset, "ApprovalStatus", "REJECTED"))
    (pair,) = read_archive(archive).pairs
    assert pair.structure_set.path.parent.name == "two"
    assert RejectedStructureSet(was_taken=False) in pair.notes


def test_another_segmentation_under_the_same_uid_is_no_copy(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    write_segmentation(
        tmp_path / "a.dcm", [("Brainstem", block(scan.grid))], scan, Authorship("t", "P", seed="s")
    )
    shutil.copy(tmp_path / "a.dcm", tmp_path / "b.dcm")
    (pair,) = read_archive(tmp_path).pairs
    assert pair.notes == ()

    def empty(dataset: Dataset) -> None:
        dataset.PixelData = bytes(len(dataset.PixelData))

    edit(tmp_path / "b.dcm", empty)
    (left,) = read_archive(tmp_path).left_out
    rivals = (tmp_path / "a.dcm", tmp_path / "b.dcm")
    expected = EquallyNewStructureSets(path=left.path, count=2, share_uid=True, rivals=rivals)
    assert left.finding == expected


@pytest.mark.parametrize("damaged", ["one", "two"])
def test_a_copy_that_is_cut_off_does_not_stand_in_for_the_whole_one(
    archive: Path, damaged: str
) -> None:
    for name in ("ct/CT0003.dcm", "rs.dcm"):
        path = archive / damaged / name
        path.write_bytes(path.read_bytes()[:-30])
    found = read_archive(archive)
    (pair,) = found.pairs
    assert pair.structure_set.path.parent.name != damaged
    assert len(pair.series.files) == 5
    assert read_series(pair.series.files).grid.shape == (5, 6, 8)
    cut_off = {archive / damaged / name for name in ("ct/CT0003.dcm", "rs.dcm")}
    assert {one.path for one in found.unreadable} == cut_off
    assert {one.finding for one in found.unreadable} == {
        TruncatedDicom(path=path) for path in cut_off
    }


def test_where_all_copies_are_cut_off_the_damage_is_told(archive: Path) -> None:
    for folder, cut in (("one", -30), ("two", -40)):
        path = archive / folder / "ct" / "CT0003.dcm"
        path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(NotDicomError, match="cut off"):
        read_scan(archive)


def test_files_given_by_hand_are_compared_too(archive: Path) -> None:
    files = sorted(archive.glob("*/ct/*.dcm"))
    assert read_series(files).grid.shape == (5, 6, 8)
    edit(archive / "two" / "ct" / "CT0003.dcm", darker)
    with pytest.raises(MixedSeriesError) as error:
        read_series(files)
    one, other = (archive / name / "ct" / "CT0003.dcm" for name in ("one", "two"))
    assert error.value.finding == SharedImageUid(
        path=one, differ_in=("pixels",), rivals=(one, other)
    )


def test_versions_are_compared_each_with_each(tmp_path: Path) -> None:
    """Three files of which the third is a copy of the second."""
    make_structure_set(tmp_path / "a.dcm", make_scan(tmp_path / "ct"))
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm", tmp_path / "c.dcm"]
    for path in paths[1:]:
        shutil.copy(paths[0], path)
        edit(path, rename)
    edit(paths[2], of_pacs)
    versions = versions_of(paths)
    assert versions.files == tuple(paths[:2])
    assert versions.apart == {"StructureSetROISequence"}
    assert versions.besides == frozenset()


def test_sequences_without_end_are_told_apart_not_followed(tmp_path: Path) -> None:
    paths = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    make_structure_set(paths[0], make_scan(tmp_path / "ct"))
    for path, last in zip(paths, ("x", "y"), strict=True):
        dataset, item = dcmread(paths[0]), Dataset()
        item.PatientName = last
        for _ in range(40):
            outer = Dataset()
            outer.RequestAttributesSequence, item = [item], outer
        dataset.RequestAttributesSequence = [item]
        dcmwrite(path, dataset)
    assert versions_of(paths).besides == {"RequestAttributesSequence"}
