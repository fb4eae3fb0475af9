"""On which CT a structure set was drawn, if its references are odd."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import MRImageStorage, PositronEmissionTomographyImageStorage, RTDoseStorage
from tests.dicom.conftest import edit, make_scan, make_structure_set

from recontour.dicom import read_archive, read_scan
from recontour.dicom.ct_findings import SeveralSeries
from recontour.dicom.findings import (
    ContoursOnUnreadImages,
    DifferentPatientId,
    FrameOfAnotherPatient,
    MissingCt,
    NoCtOfFrame,
    NoCtReference,
    NoStructureSet,
    OnlySeriesPresent,
    PairedByFrame,
    SeveralCts,
)
from recontour.errors import MixedSeriesError
from recontour.findings import Finding, stored_words, words


def contours_of(dataset: Dataset) -> list[Dataset]:
    return [
        contour
        for roi in dataset.ROIContourSequence
        for contour in roi.get("ContourSequence") or ()
    ]


def series_items(dataset: Dataset) -> list[Dataset]:
    """The series that a structure set's header lists, to be changed in place."""
    (frame,) = dataset.ReferencedFrameOfReferenceSequence
    items: list[Dataset] = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    return items


def forget_images(dataset: Dataset) -> None:
    """Leave out what contours say of the images they were drawn on."""
    for contour in contours_of(dataset):
        contour.pop("ContourImageSequence", None)


def forget_series(dataset: Dataset) -> None:
    forget_images(dataset)
    del dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence


@pytest.fixture
def phases(tmp_path: Path) -> Path:
    """Return a folder with two CTs of one patient in one frame of reference, `a` and `b`.

    rs.dcm is drawn on a, and its header lists both.
    """
    one, other = make_scan(tmp_path / "a", seed="a"), make_scan(tmp_path / "b", seed="b")
    frame = one.source.frame_of_reference_uid
    edit(tmp_path / "b", lambda image: setattr(image, "FrameOfReferenceUID", frame))
    make_structure_set(tmp_path / "rs.dcm", one)
    make_structure_set(tmp_path / "of_b.dcm", other)
    (of_b,) = series_items(dcmread(tmp_path / "of_b.dcm"))
    (tmp_path / "of_b.dcm").unlink()
    edit(tmp_path / "rs.dcm", lambda dataset: series_items(dataset).append(of_b))
    return tmp_path


def images_of(folder: Path) -> list[str]:
    return [dcmread(path).SOPInstanceUID for path in sorted(folder.iterdir())]


def draw_on(folder: Path, first: int = 0) -> Callable[[Dataset], None]:
    """Have contours, from one of them on, name the images of a CT."""
    images = images_of(folder)

    def change(dataset: Dataset) -> None:
        for contour, uid in list(zip(contours_of(dataset), images, strict=True))[first:]:
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = uid

    return change


def paired(folder: Path) -> list[tuple[str, tuple[Finding, ...]]]:
    """Return the folders of the CTs that have a structure set, and what is noted."""
    return [(pair.series.place.name, pair.notes) for pair in read_archive(folder).pairs]


def why_not(folder: Path, name: str = "rs.dcm") -> Finding:
    """Return why a structure set is left out, of an archive in which no CT has one."""
    archive = read_archive(folder)
    assert not archive.pairs
    (unused,) = [one for one in archive.left_out if one.path.name == name]
    assert unused.finding.path == unused.path
    return replace(unused.finding, path=None)


@pytest.mark.parametrize("drawn_on", ["a", "b"])
def test_of_two_cts_that_are_listed_the_one_that_contours_name_counts(
    phases: Path, drawn_on: str
) -> None:
    edit(phases / "rs.dcm", draw_on(phases / drawn_on))
    assert paired(phases) == [(drawn_on, ())]


@pytest.mark.parametrize("drawn_on", ["a", "b"])
def test_contours_count_more_than_a_header_that_lists_one_ct(phases: Path, drawn_on: str) -> None:
    def list_a(dataset: Dataset) -> None:
        del series_items(dataset)[1]

    edit(phases / "rs.dcm", draw_on(phases / drawn_on))
    edit(phases / "rs.dcm", list_a)
    assert paired(phases) == [(drawn_on, ())]


def test_contours_of_a_ct_that_is_absent_are_put_on_no_other(phases: Path) -> None:
    edit(phases / "rs.dcm", draw_on(phases / "b"))
    shutil.rmtree(phases / "b")
    reason = MissingCt(missing="images")
    assert why_not(phases) == reason
    of_ct = why_not(phases, "a")
    assert of_ct == NoStructureSet(why=replace(reason, path=phases / "rs.dcm"))
    assert words(of_ct) == f"its structure set was left out: {words(reason)}"


def test_contours_of_an_absent_ct_whose_header_lists_one_that_is_here_are_left_out(
    phases: Path,
) -> None:
    def list_a(dataset: Dataset) -> None:
        del series_items(dataset)[1]

    edit(phases / "rs.dcm", draw_on(phases / "b"))
    edit(phases / "rs.dcm", list_a)
    shutil.rmtree(phases / "b")
    assert why_not(phases) == MissingCt(missing="images")


def test_contours_on_two_cts_are_left_out_with_both_named(phases: Path) -> None:
    edit(phases / "rs.dcm", draw_on(phases / "b", first=3))
    rivals = (phases / "a", phases / "b")
    found = why_not(phases)
    assert found == SeveralCts(by="contours", count=2, are_parts=False, rivals=rivals)
    assert words(found) == (
        f"its contours are drawn on images of 2 CT series ({rivals[0]}, {rivals[1]}); "
        "export one structure set per CT"
    )
    assert str(phases) not in stored_words(found)


def test_contours_on_a_ct_that_is_here_and_one_that_is_absent_are_left_out(phases: Path) -> None:
    edit(phases / "rs.dcm", draw_on(phases / "b", first=3))
    shutil.rmtree(phases / "b")
    assert why_not(phases) == MissingCt(missing="some images")


def test_contours_without_images_whose_header_lists_two_cts_are_left_out_until_one_is_there(
    phases: Path,
) -> None:
    edit(phases / "rs.dcm", forget_images)
    rivals = (phases / "a", phases / "b")
    expected = SeveralCts(by="listed series", count=2, are_parts=False, rivals=rivals)
    assert why_not(phases) == expected
    shutil.rmtree(phases / "b")
    assert paired(phases) == [("a", (OnlySeriesPresent(referenced=2),))]


def test_of_two_cts_that_hold_the_same_images_the_one_that_is_listed_counts(tmp_path: Path) -> None:
    """A copy under another SeriesInstanceUID."""
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    edit(tmp_path / "b", lambda image: setattr(image, "SeriesInstanceUID", "1.2.3"))
    assert paired(tmp_path) == [("a", ())]
    edit(
        tmp_path / "rs.dcm",
        lambda dataset: setattr(series_items(dataset)[0], "SeriesInstanceUID", "1.2.4"),
    )
    rivals = (tmp_path / "a", tmp_path / "b")
    expected = SeveralCts(by="shared images", count=2, are_parts=False, rivals=rivals)
    assert why_not(tmp_path) == expected
    shutil.rmtree(tmp_path / "b")
    assert paired(tmp_path) == [("a", ())]


def test_structures_of_another_frame_do_not_make_two_cts_of_one(tmp_path: Path) -> None:
    """A structure set of a CT and an MR, each with structures of its own."""
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"), ("Brainstem", "Cord"))

    def draw_second_on_mr(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = "1.2.3"
        for contour in dataset.ROIContourSequence[1].ContourSequence:
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
        image, series = Dataset(), Dataset()
        image.ReferencedSOPInstanceUID = "1.2.3.4"
        series.SeriesInstanceUID, series.ContourImageSequence = "1.2.3.5", [image]
        series_items(dataset).append(series)

    edit(tmp_path / "rs.dcm", draw_second_on_mr)
    assert paired(tmp_path) == [("ct", ())]


def split(folder: Path, parts: int) -> None:
    """Give the images of a CT so many SeriesInstanceUIDs, in turns of their place."""
    files = sorted(folder.iterdir())
    for index, path in enumerate(files):
        part = index * parts // len(files)
        edit(path, lambda image, part=part: setattr(image, "SeriesInstanceUID", f"1.2.3.{part}"))  # type: ignore[misc]


def is_in_parts(finding: Finding, count: int) -> bool:
    """Whether a CT is reported to have come apart into so many series."""
    assert isinstance(finding, SeveralCts)
    assert finding.remedy() == "export that CT again as one series"
    return finding.are_parts and finding.count == count == len(finding.rivals)


@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("lists", ["the first part", "nothing", "no images"])
def test_a_ct_that_came_apart_is_refused_with_the_cause(
    tmp_path: Path, parts: int, lists: str
) -> None:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    split(tmp_path / "ct", parts)

    def change(dataset: Dataset) -> None:
        series_items(dataset)[0].SeriesInstanceUID = "1.2.3.0"
        if lists == "nothing":
            del dataset.ReferencedFrameOfReferenceSequence
        if lists == "no images":
            forget_images(dataset)
            del dataset.ReferencedFrameOfReferenceSequence

    edit(tmp_path / "rs.dcm", change)
    assert is_in_parts(why_not(tmp_path), parts)
    with pytest.raises(MixedSeriesError) as error:
        read_scan(tmp_path / "ct")
    refusal = error.value.finding
    assert isinstance(refusal, SeveralSeries)
    assert (len(refusal.series), refusal.are_parts) == (parts, True)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_ct_that_came_apart_is_refused_where_only_the_header_lists_its_images(
    tmp_path: Path, parts: int
) -> None:
    """They are listed under one series, as before it came apart."""
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    listed = images_of(tmp_path / "ct")
    split(tmp_path / "ct", parts)

    def change(dataset: Dataset) -> None:
        forget_images(dataset)
        (series,) = series_items(dataset)
        series.SeriesInstanceUID, series.ContourImageSequence = "1.2.3.0", []
        for uid in listed:
            image = Dataset()
            image.ReferencedSOPInstanceUID = uid
            series.ContourImageSequence.append(image)

    edit(tmp_path / "rs.dcm", change)
    assert is_in_parts(why_not(tmp_path), parts)


def test_slices_that_each_have_their_own_series_and_frame_are_parts_of_one_ct(
    tmp_path: Path,
) -> None:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    files = sorted((tmp_path / "ct").iterdir())
    split(tmp_path / "ct", len(files))
    for index, path in enumerate(files):
        edit(
            path,
            lambda image, index=index: setattr(image, "FrameOfReferenceUID", f"1.2.4.{index}"),  # type: ignore[misc]
        )
    assert is_in_parts(why_not(tmp_path), len(files))


def test_contours_on_one_part_of_a_ct_that_came_apart_are_not_put_on_that_part(
    tmp_path: Path,
) -> None:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    split(tmp_path / "ct", 2)

    def keep_two(dataset: Dataset) -> None:
        roi = dataset.ROIContourSequence[0]
        roi.ContourSequence = roi.ContourSequence[:2]

    edit(tmp_path / "rs.dcm", keep_two)
    found = why_not(tmp_path)
    assert is_in_parts(found, 2)
    assert words(found).startswith(
        "it references images of 2 CT series that look like parts of one CT"
    )


def test_two_scans_of_one_patient_are_no_parts_of_one_ct(phases: Path) -> None:
    with pytest.raises(MixedSeriesError) as error:
        read_scan(phases)
    refusal = error.value.finding
    assert isinstance(refusal, SeveralSeries)
    assert (len(refusal.series), refusal.are_parts) == (2, False)


def test_the_frame_of_reference_decides_where_nothing_else_is_said(tmp_path: Path) -> None:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct", seed="a"))
    make_scan(tmp_path / "other", seed="b")
    edit(tmp_path / "rs.dcm", forget_series)
    assert paired(tmp_path) == [("ct", (PairedByFrame(),))]
    edit(
        tmp_path / "rs.dcm",
        lambda dataset: dataset.__delitem__("ReferencedFrameOfReferenceSequence"),
    )
    assert paired(tmp_path) == [("ct", (PairedByFrame(),))]  # its structures still name it


def test_two_cts_of_the_frame_of_reference_are_both_named(phases: Path) -> None:
    edit(phases / "rs.dcm", forget_series)
    rivals = (phases / "a", phases / "b")
    expected = SeveralCts(by="frame of reference", count=2, are_parts=False, rivals=rivals)
    assert why_not(phases) == expected
    shutil.rmtree(phases / "b")
    assert [name for name, _ in paired(phases)] == ["a"]


def test_a_frame_of_reference_alone_does_not_join_two_patients(tmp_path: Path) -> None:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    edit(tmp_path / "rs.dcm", forget_series)
    edit(tmp_path / "ct", lambda image: setattr(image, "PatientID", "SOMEONE ELSE"))
    assert why_not(tmp_path) == FrameOfAnotherPatient()


def test_a_structure_set_that_says_nothing_or_of_an_absent_frame_is_told_so(tmp_path: Path) -> None:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    edit(tmp_path / "rs.dcm", forget_series)
    edit(tmp_path / "ct", lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3"))
    assert why_not(tmp_path) == NoCtOfFrame()

    def forget_frames(dataset: Dataset) -> None:
        del dataset.ReferencedFrameOfReferenceSequence
        for roi in dataset.StructureSetROISequence:
            del roi.ReferencedFrameOfReferenceUID

    edit(tmp_path / "rs.dcm", forget_frames)
    assert why_not(tmp_path) == NoCtReference()


def test_a_structure_set_of_the_ct_s_own_patient_is_taken_before_a_newer_one_of_another(
    tmp_path: Path,
) -> None:
    """UIDs were counted from 1 for each patient, so the other's contours lie on another head."""
    scan = make_scan(tmp_path / "ct")
    for name, patient_id, date in (
        ("own.dcm", "MRN-4711", "20200102"),
        ("other.dcm", "SOMEONE ELSE", "20230102"),
    ):
        make_structure_set(tmp_path / name, scan, seed=name)

        def change(dataset: Dataset, patient_id: str = patient_id, date: str = date) -> None:
            dataset.PatientID, dataset.StructureSetDate = patient_id, date

        edit(tmp_path / name, change)
    (pair,) = read_archive(tmp_path).pairs
    assert pair.structure_set.path.name == "own.dcm"
    assert pair.notes == (DifferentPatientId(was_taken=False),)


def test_of_many_rivals_a_few_are_shown() -> None:
    rivals = tuple(Path(f"ct{number}") for number in range(150))
    found = SeveralCts(by="listed series", count=150, are_parts=False, rivals=rivals)
    assert found.sentence().endswith(" (ct0, ct1, ct2, ct3, 146 more)")


@pytest.fixture
def beside_mr(tmp_path: Path) -> Path:
    """A CT, and an MR of the same patient and frame of reference, on which rs.dcm was drawn."""
    frame = make_scan(tmp_path / "ct", seed="a").source.frame_of_reference_uid
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "mr", seed="b"))

    def change(image: Dataset) -> None:
        image.SOPClassUID, image.FrameOfReferenceUID = MRImageStorage, frame

    edit(tmp_path / "mr", change)
    return tmp_path


ON_MR = ContoursOnUnreadImages(kinds=("MR Image Storage",))


@pytest.mark.parametrize("change", [lambda dataset: None, forget_images])
def test_contours_on_an_mr_that_is_here_are_said_to_be_on_it(
    beside_mr: Path, change: Callable[[Dataset], None]
) -> None:
    edit(beside_mr / "rs.dcm", change)
    assert why_not(beside_mr) == ON_MR


def test_one_image_of_the_mr_is_enough_to_know_what_contours_are_on(beside_mr: Path) -> None:
    for path in sorted((beside_mr / "mr").iterdir())[:-1]:
        path.unlink()
    assert why_not(beside_mr) == ON_MR


def test_a_header_that_lists_the_ct_does_not_hide_that_contours_are_on_an_mr(
    beside_mr: Path,
) -> None:
    make_structure_set(beside_mr / "of_ct.dcm", read_scan(beside_mr / "ct"))
    listed = series_items(dcmread(beside_mr / "of_ct.dcm"))
    (beside_mr / "of_ct.dcm").unlink()
    edit(beside_mr / "rs.dcm", lambda dataset: series_items(dataset).extend(listed))
    assert why_not(beside_mr) == ON_MR


@pytest.mark.parametrize("is_listed", [True, False])
def test_contours_on_ct_and_pet_are_told_apart_from_an_absent_series(
    phases: Path, is_listed: bool
) -> None:
    """Also where the header lists the CT alone."""
    edit(phases / "rs.dcm", draw_on(phases / "b", first=2))
    edit(
        phases / "b",
        lambda image: setattr(image, "SOPClassUID", PositronEmissionTomographyImageStorage),
    )
    if not is_listed:
        edit(phases / "rs.dcm", lambda dataset: series_items(dataset).__delitem__(1))
    kinds = ("Positron Emission Tomography Image Storage",)
    found = why_not(phases)
    assert found == ContoursOnUnreadImages(kinds=kinds, is_partly=True)
    assert "drawn on Positron Emission Tomography images, which are not read" in found.sentence()


@pytest.mark.parametrize(("kind", "is_named"), [(MRImageStorage, True), (RTDoseStorage, False)])
def test_a_frame_of_reference_that_only_other_images_have_is_said_to_be_theirs(
    beside_mr: Path, kind: str, is_named: bool
) -> None:
    edit(beside_mr / "ct", lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3"))
    edit(beside_mr / "mr", lambda image: setattr(image, "SOPClassUID", kind))
    edit(beside_mr / "rs.dcm", forget_series)
    frame = dcmread(next((beside_mr / "mr").iterdir())).FrameOfReferenceUID
    edit(beside_mr / "rs.dcm", lambda dataset: in_frame(dataset, frame))
    found = why_not(beside_mr)
    assert found == NoCtOfFrame(kinds=("MR Image Storage",) if is_named else ())
    assert ("MR images have it, but are not read" in found.sentence()) == is_named


def in_frame(dataset: Dataset, frame: str) -> None:
    """Put a structure set, structures and header, into a frame of reference."""
    dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = frame
    for roi in dataset.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = frame


def test_a_picture_that_was_passed_over_costs_no_structure_set(tmp_path: Path) -> None:
    """One contour is on it; that an image is missing is noted by import."""
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    last = sorted((tmp_path / "ct").iterdir())[-1]
    edit(last, lambda image: setattr(image, "ImageType", ["DERIVED", "SECONDARY", "SCREEN SAVE"]))
    assert paired(tmp_path) == [("ct", ())]


def test_contours_on_an_overview_are_said_to_be_on_it_only_if_they_name_it(tmp_path: Path) -> None:
    """It may share the series of a CT whose slices are absent."""
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    make_scan(tmp_path / "other", seed="b")
    overview = sorted((tmp_path / "ct").iterdir())[0]
    edit(overview, lambda image: setattr(image, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    for path in sorted((tmp_path / "ct").iterdir())[1:]:
        path.unlink()
    found = why_not(tmp_path)
    assert found == ContoursOnUnreadImages(kinds=("CT localiser",))
    assert "images that are not CT slices (CT localiser)" in found.sentence()
    edit(overview, lambda image: setattr(image, "SOPInstanceUID", "1.2.3"))
    assert why_not(tmp_path) == MissingCt(missing="series")
