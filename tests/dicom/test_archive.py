import errno
import io
import os
import shutil
from pathlib import Path
from shutil import copy, copytree

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import MRImageStorage
from tests.dicom.conftest import block, edit, make_scan, make_structure_set

from recontour.dicom import (
    Authorship,
    Scan,
    read_archive,
    read_structure_set,
    write_segmentation,
    write_structure_set,
)
from recontour.dicom.findings import (
    DifferentPatientId,
    DraftStructureSet,
    EquallyNewStructureSets,
    MissingCt,
    NewestStructureSetTaken,
    NoSeriesUid,
    NoStructureSet,
    NotDicom,
    RejectedStructureSet,
    RtstructPreferred,
    SharedStructureSetUid,
    TruncatedDicom,
    UnreadableInArchive,
)
from recontour.errors import FaultError, NoSeriesError
from recontour.findings import stored_words, words
from recontour.geometry import Structure, StructureSet, trace


def patient(folder: Path, seed: str) -> Path:
    """A CT and the structure set drawn on it; returns the structure set."""
    make_structure_set(folder / "rs.dcm", make_scan(folder / "ct", seed=seed), seed=seed)
    return folder / "rs.dcm"


def test_files_belong_together_by_what_they_reference_not_by_folder(tmp_path: Path) -> None:
    first, second = patient(tmp_path / "one", "a"), patient(tmp_path / "two", "b")
    (tmp_path / "mixed").mkdir()
    for number, file in enumerate(sorted(tmp_path.rglob("*.dcm"))):
        file.rename(tmp_path / "mixed" / f"{number}")  # all in one folder, without a suffix
    archive = read_archive(tmp_path)
    assert len(archive.pairs) == 2
    assert not archive.left_out
    for pair in archive.pairs:
        assert len(pair.series.files) == 5
        assert pair.series.uid in pair.structure_set.series_uids
    assert first != second


def test_a_folder_swap_does_not_swap_structure_sets(tmp_path: Path) -> None:
    patient(tmp_path / "one", "a").rename(tmp_path / "a.dcm")
    patient(tmp_path / "two", "b").rename(tmp_path / "one" / "rs.dcm")
    (tmp_path / "a.dcm").rename(tmp_path / "two" / "rs.dcm")
    for pair in read_archive(tmp_path).pairs:
        assert pair.series.files[0].parent.parent != pair.structure_set.path.parent


def test_second_copies_count_once(tmp_path: Path) -> None:
    patient(tmp_path / "one", "a")
    copytree(tmp_path / "one", tmp_path / "backup")
    (pair,) = read_archive(tmp_path).pairs
    assert len(pair.series.files) == 5


def test_a_structure_set_that_lists_no_series_is_paired_by_its_contours_images(
    tmp_path: Path,
) -> None:
    def forget(dataset: Dataset) -> None:
        del dataset.ReferencedFrameOfReferenceSequence

    edit(patient(tmp_path / "one", "a"), forget)
    make_scan(tmp_path / "two", seed="b")
    archive = read_archive(tmp_path)
    assert [pair.series.files[0].parent.name for pair in archive.pairs] == ["ct"]
    assert [found.path.name for found in archive.left_out] == ["two"]


def test_of_two_series_that_are_named_the_one_whose_images_are_referenced_counts(
    tmp_path: Path,
) -> None:
    path, other = patient(tmp_path / "one", "a"), dcmread(patient(tmp_path / "two", "b"))
    (tmp_path / "two" / "rs.dcm").unlink()
    (frame,) = other.ReferencedFrameOfReferenceSequence
    frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence = []
    edit(path, lambda data: data.ReferencedFrameOfReferenceSequence.append(frame))
    (pair,) = read_archive(tmp_path).pairs
    assert pair.series.files[0].parent.parent.name == "one"


def test_the_newest_structure_set_is_taken_and_a_tie_is_not_broken(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    for name, time in [("old", "080000"), ("new", "160000"), ("older", "070000")]:
        make_structure_set(tmp_path / name, scan, seed=name)

        def drawn(dataset: Dataset, time: str = time) -> None:
            dataset.StructureSetDate, dataset.StructureSetTime = "20200102", time

        edit(tmp_path / name, drawn)
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "new"
    assert pair.notes == (NewestStructureSetTaken(count=3),)
    edit(tmp_path / "old", lambda dataset: setattr(dataset, "StructureSetTime", "160000"))
    archive = read_archive(tmp_path)
    assert not archive.pairs
    (left,) = archive.left_out
    rivals = (tmp_path / "new", tmp_path / "old")
    ct = tmp_path / "ct"
    assert left.finding == EquallyNewStructureSets(path=ct, count=3, share_uid=False, rivals=rivals)
    assert words(left.finding) == (
        f"{ct}: 3 structure sets reference one CT, and the newest share their date, time "
        f"({rivals[0]}, {rivals[1]}); keep the one that counts"
    )


@pytest.mark.parametrize(
    ("of_ct", "of_drawn", "told"),
    [("A", "B", True), ("", "B", True), ("A", "", False), ("A", "A ", False)],
)
def test_a_structure_set_under_another_patient_id_is_told_without_it(
    tmp_path: Path, of_ct: str, of_drawn: str, told: bool
) -> None:
    path = patient(tmp_path, "a")
    edit(tmp_path / "ct", lambda image: setattr(image, "PatientID", of_ct))
    edit(path, lambda data: setattr(data, "PatientID", of_drawn))
    (pair,) = read_archive(tmp_path).pairs
    assert pair.notes == ((DifferentPatientId(was_taken=True),) if told else ())


@pytest.mark.parametrize(
    ("first", "second", "newest"),
    [
        (("20200102", "100000"), ("20200102", "100000.000000"), None),
        (("20200102", "10"), ("20200102", "100000"), None),
        (("2020.01.02", "10:00:00"), ("20200102", "1000"), None),
        (("20200102", "10"), ("20200102", "095959"), "first"),
        (("20200102", "100000.5"), ("20200102", "100000.25"), "first"),
        (("20200102", ""), ("20200102", "000000"), "second"),
        (("2020.01.02", "100000"), ("20200103", "000000"), "second"),
    ],
)
def test_times_are_compared_however_they_are_written(
    tmp_path: Path, first: tuple[str, str], second: tuple[str, str], newest: str | None
) -> None:
    scan = make_scan(tmp_path / "ct")
    for name, (date, time) in (("first", first), ("second", second)):
        make_structure_set(tmp_path / name, scan, seed=name)

        def drawn(dataset: Dataset, date: str = date, time: str = time) -> None:
            dataset.StructureSetDate, dataset.StructureSetTime = date, time

        edit(tmp_path / name, drawn)
    assert [pair.structure_set.path.name for pair in read_archive(tmp_path).pairs] == (
        [newest] if newest else []
    )


def test_a_rejected_structure_set_is_taken_last_and_told(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    for name, date, status in (("old", "20200102", "UNAPPROVED"), ("new", "20230102", "REJECTED")):
        make_structure_set(tmp_path / name, scan, seed=name)

        def judged(dataset: Dataset, date: str = date, status: str = status) -> None:
            dataset.StructureSetDate, dataset.ApprovalStatus = date, status

        edit(tmp_path / name, judged)
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "old"
    assert pair.notes == (RejectedStructureSet(was_taken=False),)
    (tmp_path / "old").unlink()
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "new"
    assert pair.notes == (RejectedStructureSet(was_taken=True),)


def test_two_versions_under_one_uid_are_two(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    for name, date in [("a", "20200102"), ("b", "20230102")]:
        make_structure_set(tmp_path / name, scan, seed="same")

        def drawn(dataset: Dataset, date: str = date) -> None:
            dataset.StructureSetDate = date

        edit(tmp_path / name, drawn)
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "b"
    assert pair.notes == (NewestStructureSetTaken(count=2), SharedStructureSetUid())


def test_a_model_s_own_draft_is_taken_last_and_told(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "clinic.dcm", scan)
    structures = read_structure_set(tmp_path / "clinic.dcm", scan)
    write_structure_set(tmp_path / "draft.dcm", structures, scan, Authorship("north (compact)"))
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "clinic.dcm"
    assert pair.notes == (DraftStructureSet(was_taken=False),)
    (tmp_path / "clinic.dcm").unlink()
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "draft.dcm"
    assert pair.notes == (DraftStructureSet(was_taken=True),)
    edit(
        tmp_path / "draft.dcm",
        lambda dataset: setattr(dataset, "Manufacturer", "a planning system"),
    )
    (pair,) = read_archive(tmp_path).pairs
    assert pair.notes == ()


@pytest.mark.parametrize(("status", "is_draft"), [("UNAPPROVED", True), ("APPROVED", False)])
def test_a_draft_that_a_person_approved_is_none(
    tmp_path: Path, status: str, is_draft: bool
) -> None:
    scan = make_scan(tmp_path / "ct")
    contours = StructureSet((Structure("Brainstem", trace(block(scan.grid), scan.grid)),))
    write_structure_set(tmp_path / "draft.dcm", contours, scan, Authorship("north"))
    edit(
        tmp_path / "draft.dcm",
        lambda dataset: setattr(dataset, "ApprovalStatus", status),
    )
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.is_draft is is_draft


def test_a_draft_is_known_as_a_segmentation_too_and_gives_way_to_a_person_s(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    write_segmentation(
        tmp_path / "seg.dcm", [("Brainstem", block(scan.grid))], scan, Authorship("north (compact)")
    )
    (pair,) = read_archive(tmp_path).pairs
    assert pair.notes == (DraftStructureSet(was_taken=True),)
    make_structure_set(tmp_path / "clinic.dcm", scan)
    structures = read_structure_set(tmp_path / "clinic.dcm", scan)
    (tmp_path / "clinic.dcm").unlink()
    write_structure_set(tmp_path / "draft.dcm", structures, scan, Authorship("north (compact)"))
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "draft.dcm"
    edit(tmp_path / "seg.dcm", lambda dataset: setattr(dataset, "Manufacturer", "a person's tool"))
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "seg.dcm"
    assert pair.notes == (DraftStructureSet(was_taken=False),)


def test_what_has_no_partner_is_left_out_with_the_reason(tmp_path: Path) -> None:
    make_scan(tmp_path / "lonely", seed="a")
    orphan = patient(tmp_path / "gone", "b")
    for file in (tmp_path / "gone" / "ct").iterdir():
        file.unlink()
    archive = read_archive(tmp_path)
    assert not archive.pairs
    lonely = tmp_path / "lonely"
    assert {found.path: found.finding for found in archive.left_out} == {
        orphan: MissingCt(path=orphan, missing="series"),
        lonely: NoStructureSet(path=lonely),
    }


def test_a_series_that_shares_its_folder_goes_by_one_of_its_files(tmp_path: Path) -> None:
    for seed, folder in (
        ("a", "flat"),
        ("b", "flat"),
        ("c", "outer"),
        ("d", "outer/inner"),
        ("e", "own"),
    ):
        make_scan(tmp_path / seed, seed=seed)
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for file in (tmp_path / seed).iterdir():
            file.rename(tmp_path / folder / f"{seed}{file.name}")
    make_structure_set(tmp_path / "own" / "rs.dcm", make_scan(tmp_path / "elsewhere", seed="f"))
    archive = read_archive(tmp_path)
    told = {found.path.relative_to(tmp_path).as_posix() for found in archive.left_out}
    assert told == {
        "flat/aCT0001.dcm",
        "flat/bCT0001.dcm",
        "outer/cCT0001.dcm",
        "outer/inner",
        "own",
    }


def test_unreadable_files_are_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    patient(tmp_path / "one", "a")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "letter.dcm").write_text("Dear colleague")
    cut = tmp_path / "cut"
    cut.write_bytes((tmp_path / "one" / "rs.dcm").read_bytes()[:700])
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7")
    archive = read_archive(tmp_path)
    assert len(archive.pairs) == 1
    told = {found.path.name: found.finding for found in archive.unreadable}
    assert told == {
        "empty.dcm": NotDicom(path=tmp_path / "empty.dcm", seen="empty"),
        "letter.dcm": NotDicom(path=tmp_path / "letter.dcm", seen="no mark"),
        "cut": TruncatedDicom(path=cut),
    }
    assert not any(str(tmp_path) in stored_words(found.finding) for found in archive.unreadable)


def test_other_modalities_are_passed_over(tmp_path: Path) -> None:
    patient(tmp_path / "one", "a")
    copy(tmp_path / "one" / "ct" / "CT0001.dcm", tmp_path / "mr.dcm")

    def magnetic(image: Dataset) -> None:
        image.SOPClassUID, image.SeriesInstanceUID = MRImageStorage, "1.2.3"

    edit(tmp_path / "mr.dcm", magnetic)
    archive = read_archive(tmp_path)
    assert len(archive.series) == len(archive.pairs) == 1
    assert not archive.left_out


def test_images_without_series_uid_are_left_out(tmp_path: Path) -> None:
    patient(tmp_path / "one", "a")
    edit(tmp_path / "one" / "ct", lambda image: setattr(image, "SeriesInstanceUID", ""))
    archive = read_archive(tmp_path)
    assert not archive.pairs
    assert any(isinstance(found.finding, NoSeriesUid) for found in archive.left_out)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoSeriesError, match="nowhere"):
        read_archive(tmp_path / "nowhere")


def test_what_begins_with_a_dot_is_passed_over(tmp_path: Path) -> None:
    patient(tmp_path / "one", "a")
    (tmp_path / "one" / "._rs.dcm").write_bytes(b"\x00\x05\x16\x07")
    copytree(tmp_path / "one", tmp_path / ".two.123.partial")
    edit(
        tmp_path / ".two.123.partial" / "ct",
        lambda image: setattr(image, "SeriesInstanceUID", "1.2.3"),
    )
    archive = read_archive(tmp_path)
    assert len(archive.series) == len(archive.pairs) == 1
    assert not archive.unreadable


def test_a_file_without_preamble_or_suffix_is_found_and_other_files_are_not(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    for file in list(tmp_path.rglob("*.dcm")):
        begins_with_group_8 = DicomBytesIO()
        begins_with_group_8.is_little_endian = True
        begins_with_group_8.is_implicit_VR = file.stem != "CT0001"
        write_dataset(begins_with_group_8, dcmread(file))
        whole = file.rename(file.with_suffix(""))
        begins_with_group_2 = whole.read_bytes()[132:]
        is_second = file.stem == "CT0002"
        whole.write_bytes(begins_with_group_2 if is_second else begins_with_group_8.getvalue())
    begins_with_8 = np.arange(8, 40, dtype="<i4")
    (tmp_path / "counts").write_bytes(begins_with_8.tobytes())
    (tmp_path / "note").write_text("Dear colleague")
    archive = read_archive(tmp_path)
    assert [len(pair.series.files) for pair in archive.pairs] == [5]
    assert not archive.unreadable


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    patient(tmp_path / "elsewhere" / "one", "a")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "one" / "round").symlink_to(tmp_path / "archive")
    (pair,) = read_archive(tmp_path / "archive").pairs
    assert len(pair.series.files) == 5


def test_a_folder_that_cannot_be_read_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(tmp_path / "one", "a")
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # Root, who runs tests in containers, may read everything.
    monkeypatch.setattr(os, "scandir", refuse)
    archive = read_archive(tmp_path)
    assert len(archive.pairs) == 1
    (shut,) = archive.unreadable
    assert (shut.path, shut.finding) == (
        tmp_path / "shut",
        UnreadableInArchive(path=tmp_path / "shut", number=errno.EACCES),
    )
    assert stored_words(shut.finding) == (
        "cannot be read (Permission denied); check its permissions"
    )


def draw_segmentation(path: Path, scan: Scan, names: tuple[str, ...] = ("Brainstem",)) -> None:
    write_segmentation(
        path, ((name, block(scan.grid)) for name in names), scan, Authorship("test", label="PERSON")
    )


@pytest.mark.parametrize("how", ["by series", "by frames"])
def test_a_segmentation_belongs_to_the_ct_it_references(tmp_path: Path, how: str) -> None:
    make_scan(tmp_path / "other", seed="b")
    scan = make_scan(tmp_path / "ct", seed="a")
    draw_segmentation(tmp_path / "seg.dcm", scan)
    if how == "by frames":
        edit(tmp_path / "seg.dcm", lambda dataset: dataset.__delitem__("ReferencedSeriesSequence"))
    (pair,) = read_archive(tmp_path).pairs
    assert (pair.series.uid, pair.structure_set.path.name) == (
        scan.source.series_instance_uid,
        "seg.dcm",
    )
    assert pair.structure_set.is_segmentation
    assert pair.notes == ()


def test_a_segmentation_without_a_ct_is_left_out(tmp_path: Path) -> None:
    draw_segmentation(tmp_path / "seg.dcm", make_scan(tmp_path / "ct"))
    shutil.rmtree(tmp_path / "ct")
    make_scan(tmp_path / "other", seed="b")
    reasons = {found.path.name: found.finding for found in read_archive(tmp_path).left_out}
    assert reasons["seg.dcm"] == MissingCt(path=tmp_path / "seg.dcm", missing="series")


def test_an_rtstruct_goes_before_a_segmentation_however_old_it_is(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    draw_segmentation(tmp_path / "seg.dcm", scan)
    edit(tmp_path / "rs.dcm", lambda dataset: setattr(dataset, "StructureSetDate", "19990101"))
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "rs.dcm"
    assert pair.notes == (RtstructPreferred(),)


def test_the_newest_segmentation_is_taken(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    for date in ("20200103", "20200104", "20200102"):
        draw_segmentation(tmp_path / date, scan)
        edit(tmp_path / date, lambda dataset, date=date: setattr(dataset, "ContentDate", date))  # type: ignore[misc]
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "20200104"
    assert pair.notes == (NewestStructureSetTaken(count=3),)


def test_a_link_to_nothing_is_listed_and_a_failing_disk_is_not_blamed_on_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient(tmp_path / "one", "a")
    (tmp_path / "astray.dcm").symlink_to(tmp_path / "gone")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    archive = read_archive(tmp_path)
    assert len(archive.pairs) == 1
    assert {found.path.name for found in archive.unreadable} == {"astray.dcm", "round"}
    for found in archive.unreadable:
        assert (
            found.finding.remedy() == "if it is a broken link, remove it; otherwise copy it again"
        )

    def fail(path: Path, *_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(io, "FileIO", fail)
    with pytest.raises(FaultError, match="the disk or share is failing: have it checked"):
        read_archive(tmp_path)
