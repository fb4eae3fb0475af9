import math
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage
from tests.dicom.conftest import PATIENT, SQUARE, block, edit, make_scan, make_structure_set

from recontour.dicom import (
    Authorship,
    Scan,
    read_archive,
    read_rois,
    read_scan,
    read_structure_set,
    write_structure_set,
)
from recontour.dicom.contour_findings import (
    CrossingContours,
    OpenContours,
    RepeatedContours,
    RoiInAnotherFrame,
    SharedNumber,
    ShortContours,
    StrayContours,
)
from recontour.dicom.reading import read_dataset
from recontour.dicom.references import images_of_contours
from recontour.errors import (
    DicomError,
    FrameOfReferenceError,
    NoSeriesError,
    NotDicomError,
)
from recontour.findings import Finding
from recontour.geometry import Contour, Structure, StructureSet, rasterise, trace


def first_contour(dataset: Dataset) -> Dataset:
    contour: Dataset = dataset.ROIContourSequence[0].ContourSequence[0]
    return contour


def set_data(values: list[float]) -> Callable[[Dataset], None]:
    """A change that gives the first contour other coordinates."""

    def change(dataset: Dataset) -> None:
        first_contour(dataset).ContourData = [str(value) for value in values]
        first_contour(dataset).NumberOfContourPoints = len(values) // 3

    return change


def test_a_structure_set_of_two_frames_of_reference(scan: Scan, drawn: Path) -> None:
    """Of a planning CT and an MR, what was drawn on the MR is ignored and reported.

    This also holds if names are the same.
    """
    drawn.unlink()
    make_structure_set(drawn, scan, ("Brainstem", "Brainstem", "Lens_L"))

    def register(dataset: Dataset) -> None:
        frame, series, study, image = Dataset(), Dataset(), Dataset(), Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = MRImageStorage, "1.2.3.4"
        series.SeriesInstanceUID, series.ContourImageSequence = "1.2.3", [image]
        study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = (
            "1.2.840.10008.3.1.2.3.1",
            "1.2",
        )
        study.RTReferencedSeriesSequence = [series]
        frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = "1.2.3.5", [study]
        dataset.ReferencedFrameOfReferenceSequence.insert(0, frame)
        dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3.5"

    edit(drawn, register)
    said: list[Finding] = []
    rois = read_rois(drawn, scan, said.append)
    assert [(roi.name, roi.is_drawn) for roi in rois] == [
        ("Brainstem", False),
        ("Brainstem", True),
        ("Lens_L", True),
    ]
    assert said == [RoiInAnotherFrame(roi="Brainstem")]
    (pair,) = read_archive(drawn.parent).pairs
    assert pair.series.uid == scan.source.series_instance_uid


@pytest.mark.parametrize("kind", ["POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", ""])
def test_contours_that_are_not_closed_are_ignored_and_reported(
    scan: Scan, drawn: Path, kind: str
) -> None:
    edit(drawn, lambda dataset: setattr(first_contour(dataset), "ContourGeometricType", kind))
    said: list[Finding] = []
    assert len(read_structure_set(drawn, scan, said.append)["Brainstem"].contours) == 4
    kinds = (kind,) if kind else ()
    others = () if kind else ("",)
    assert said == [
        OpenContours(count=1, kinds=kinds, other_kinds=others, rois=("Brainstem",), is_all=False)
    ]


@pytest.mark.parametrize("kind", ["OPEN_PLANAR", "Closed_Planar", ""])
def test_structures_without_a_closed_contour_stay_empty_and_are_reported_once(
    scan: Scan, drawn: Path, kind: str
) -> None:
    drawn.unlink()
    make_structure_set(drawn, scan, ("Brainstem", "Cord", "Larynx"))

    def change(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence[:2]:
            for contour in roi.ContourSequence:
                contour.ContourGeometricType = kind

    edit(drawn, change)
    said: list[Finding] = []
    read = read_structure_set(drawn, scan, said.append)
    assert [len(structure.contours) for structure in read.structures] == [0, 0, 5]
    is_defined = kind == "OPEN_PLANAR"
    kinds, others = ((kind,), ()) if is_defined else ((), (kind,))
    found = OpenContours(
        count=10, kinds=kinds, other_kinds=others, rois=("Brainstem", "Cord"), is_all=True
    )
    assert said == [found]
    assert found.remedy() == "CLOSED_PLANAR is expected"


@pytest.mark.parametrize("numbers", [(1, 2), (0, 0)])
def test_contours_of_a_number_that_no_structure_has_are_reported(
    scan: Scan, drawn: Path, numbers: tuple[int, int]
) -> None:
    """Also where the structures have one number among them, and nobody's contours are of it."""
    drawn.unlink()
    make_structure_set(drawn, scan, ("Brainstem", "Cord"))

    def renumber(dataset: Dataset) -> None:
        for roi, item, number in zip(
            dataset.StructureSetROISequence, dataset.ROIContourSequence, numbers, strict=True
        ):
            roi.ROINumber = number
            item.ReferencedROINumber += 70

    edit(drawn, renumber)
    said: list[Finding] = []
    assert [
        structure.contours for structure in read_structure_set(drawn, scan, said.append).structures
    ] == [(), ()]
    assert said == [StrayContours(numbers=2)]


def test_a_marker_of_points_is_no_matter(scan: Scan, drawn: Path) -> None:
    def to_points(dataset: Dataset) -> None:
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            contour.ContourGeometricType = "POINT"

    edit(drawn, to_points)
    said: list[Finding] = []
    assert read_structure_set(drawn, scan, said.append)["Brainstem"].contours == ()
    assert not said


def test_a_ring_of_xor_contours_has_its_hole(scan: Scan, drawn: Path) -> None:
    """PS3.3 C.8.8.6.3: overlapping closed contours of one plane are combined by exclusive or."""
    outer = block(scan.grid)
    outer[:, 1:5, 2:6] = True
    hole = trace(block(scan.grid), scan.grid)
    both = StructureSet((Structure("Brainstem", (*trace(outer, scan.grid), *hole)),))
    drawn.unlink()
    write_structure_set(drawn, both, scan, Authorship("test"))

    def to_xor(dataset: Dataset) -> None:
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            contour.ContourGeometricType = "CLOSEDPLANAR_XOR"

    edit(drawn, to_xor)
    said: list[Finding] = []
    read = read_structure_set(drawn, scan, said.append)["Brainstem"]
    np.testing.assert_array_equal(rasterise(read.contours, scan.grid), outer & ~block(scan.grid))
    assert not said


def test_one_malformed_structure_does_not_hinder_the_others(scan: Scan, drawn: Path) -> None:
    drawn.unlink()
    make_structure_set(drawn, scan, ("Odd", "Brainstem", "Empty"))

    def bend(dataset: Dataset) -> None:
        set_data([0, 0, 0, 4, 0, 0, 4, 4, 3])(dataset)
        for contour in dataset.ROIContourSequence[2].ContourSequence:
            contour.ContourData = contour.ContourData[:6]  # two points enclose nothing

    edit(drawn, bend)
    odd, stem, empty = read_rois(drawn, scan)
    assert [roi.is_drawn for roi in (odd, stem, empty)] == [True, True, False]
    assert len(stem.contours()) == 5
    with pytest.raises(DicomError, match="spans z"):
        odd.contours()


def test_contours_that_may_be_either_of_two_structures_are_nobody_s(
    scan: Scan, drawn: Path
) -> None:
    drawn.unlink()
    make_structure_set(drawn, scan, ("Brainstem", "SpinalCord", "Larynx"))
    edit(drawn, lambda dataset: setattr(dataset.StructureSetROISequence[1], "ROINumber", 1))
    said: list[Finding] = []
    assert [roi.is_drawn for roi in read_rois(drawn, scan, said.append)] == [False, False, True]
    assert said == [SharedNumber(roi="Brainstem"), SharedNumber(roi="SpinalCord")]


def test_a_structure_s_contours_may_lie_in_two_items(scan: Scan, drawn: Path) -> None:
    def split(dataset: Dataset) -> None:
        (item,) = dataset.ROIContourSequence
        rest = deepcopy(item)
        item.ContourSequence, rest.ContourSequence = (
            item.ContourSequence[:2],
            rest.ContourSequence[2:],
        )
        dataset.ROIContourSequence.append(rest)

    edit(drawn, split)
    said: list[Finding] = []
    assert len(read_structure_set(drawn, scan, said.append)["Brainstem"].contours) == 5
    assert not said


def test_reference_points_may_share_a_number(scan: Scan, drawn: Path) -> None:
    drawn.unlink()
    make_structure_set(drawn, scan, ("Brainstem", "Couch", "Isocentre"))

    def number_none(dataset: Dataset) -> None:
        for roi, item in zip(
            dataset.StructureSetROISequence[1:], dataset.ROIContourSequence[1:], strict=True
        ):
            roi.ROINumber = item.ReferencedROINumber = 0
            for contour in item.ContourSequence:
                contour.ContourGeometricType = "POINT"

    edit(drawn, number_none)
    said: list[Finding] = []
    assert [len(roi.contours()) for roi in read_rois(drawn, scan, said.append)] == [5, 0, 0]
    assert not said


@pytest.mark.parametrize("points", [0, 1, 2])
def test_contours_of_fewer_than_3_points_are_ignored_and_reported(
    scan: Scan, drawn: Path, points: int
) -> None:
    edit(drawn, set_data([1.0, 2.0, 0.0, 5.0, 6.0, 0.0][: 3 * points]))
    said: list[Finding] = []
    assert len(read_structure_set(drawn, scan, said.append)["Brainstem"].contours) == 4
    assert said == [ShortContours(roi="Brainstem", count=1)]


def test_a_contour_drawn_twice_counts_once(scan: Scan, drawn: Path) -> None:
    """Even-odd, the copy would erase the first; it may start elsewhere or run the other way."""

    def copy(dataset: Dataset) -> None:
        again = deepcopy(first_contour(dataset))
        points = np.array(first_contour(dataset).ContourData, dtype=float).reshape(-1, 3)
        again.ContourData = [str(value) for value in np.roll(points[::-1], 2, axis=0).ravel()]
        dataset.ROIContourSequence[0].ContourSequence.append(again)

    edit(drawn, copy)
    said: list[Finding] = []
    read = read_structure_set(drawn, scan, said.append)
    np.testing.assert_array_equal(
        rasterise(read["Brainstem"].contours, scan.grid), block(scan.grid)
    )
    assert said == [RepeatedContours(roi="Brainstem", count=1)]


def closed(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points, points[:1]])


def turned(points: np.ndarray) -> np.ndarray:
    return np.roll(points[::-1], 2, axis=0)


@pytest.mark.parametrize(
    "bend", [closed, turned, lambda points: points.round(2), lambda points: closed(turned(points))]
)
@pytest.mark.parametrize("raised_mm", [0.0, 0.01, -0.04])
@pytest.mark.parametrize("corners", [3, 40, 1500])
def test_a_copy_that_differs_by_how_it_was_written_counts_once(
    tmp_path: Path,
    scan: Scan,
    bend: Callable[[np.ndarray], np.ndarray],
    raised_mm: float,
    corners: int,
) -> None:
    """Even-odd, it would erase the first but for a hair, often to nothing at all."""
    angle = np.arange(corners) * 2 * np.pi / corners
    points, z_mm = (
        np.column_stack([np.cos(angle), np.sin(angle)]) * np.pi + math.e,
        scan.grid.slice_z_mm[1],
    )
    both = (Contour(points, z_mm), Contour(bend(points), z_mm + raised_mm))
    write_structure_set(
        tmp_path / "rs.dcm", StructureSet((Structure("x", both),)), scan, Authorship("test")
    )
    said: list[Finding] = []
    read = read_structure_set(tmp_path / "rs.dcm", scan, said.append)["x"].contours
    assert said == [RepeatedContours(roi="x", count=1)]
    np.testing.assert_array_equal(rasterise(read, scan.grid), rasterise(both[:1], scan.grid))


@pytest.mark.parametrize(
    ("second", "told"),
    [
        ([(0, 0), (10, 0), (10, 10), (0, 10)], 0),  # around the first
        ([(3, 3), (4, 3), (4, 4), (3, 4)], 0),  # in it
        ([(6, 2), (9, 2), (9, 6), (6, 6)], 0),  # they share a side
        ([(2, 2), (6, 2), (6, 4), (2, 4)], 0),  # in it, and they share three sides
        ([(7, 7), (9, 7), (9, 9), (7, 9)], 0),  # elsewhere
        ([(4, 4), (9, 4), (9, 9), (4, 9)], 1),
        ([(1, 3), (9, 3), (9, 4), (1, 4)], 1),
        ([(4, 2), (9, 2), (9, 6), (4, 6)], 1),  # along pixels' edges: their sides run together
        ([(2, 4), (4, 4), (6, 4), (6, 8), (2, 8)], 1),
        ([(0, 2), (4, 2), (4, 6), (0, 6)], 1),
        ([(2.01, 2.01), (6.01, 2.01), (6.01, 6.01), (2.01, 6.01)], 1),  # drawn again, a little off
    ],
)
def test_contours_of_a_plane_that_cross_are_reported(
    tmp_path: Path, scan: Scan, second: list[tuple[float, float]], told: int
) -> None:
    first = [(2, 2), (6, 2), (6, 6), (2, 6)]
    z_mm = scan.grid.slice_z_mm[0]
    contours = tuple(Contour(np.array(points, dtype=float), z_mm) for points in (first, second))
    write_structure_set(
        tmp_path / "rs.dcm", StructureSet((Structure("x", contours),)), scan, Authorship("test")
    )
    said: list[Finding] = []
    assert len(read_structure_set(tmp_path / "rs.dcm", scan, said.append)["x"].contours) == 2
    assert said == [CrossingContours(roi="x", planes=1)] * told


def test_contours_that_cross_are_reported_within_the_noise_of_a_plane(
    tmp_path: Path, scan: Scan
) -> None:
    both = (Contour(SQUARE, 0.0), Contour(SQUARE + 2, 0.01))
    write_structure_set(
        tmp_path / "rs.dcm", StructureSet((Structure("x", both),)), scan, Authorship("test")
    )
    said: list[Finding] = []
    read_structure_set(tmp_path / "rs.dcm", scan, said.append)
    assert said == [CrossingContours(roi="x", planes=1)]


def test_mirror_images_in_one_plane_are_two_contours(tmp_path: Path, scan: Scan) -> None:
    corner = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0]])
    both = tuple(
        Contour(points, 0.0)
        for points in (corner, np.column_stack([4 - corner[:, 0], corner[:, 1]]))
    )
    write_structure_set(
        tmp_path / "rs.dcm", StructureSet((Structure("x", both),)), scan, Authorship("test")
    )
    assert len(read_structure_set(tmp_path / "rs.dcm", scan)["x"].contours) == 2


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0, 0, 0, 4, 0, 0, 4, 4, 3], "spans z = 0.0 to 3.0 mm"),
        ([0, 0, 0, 4, 0, 0, 4, float("nan"), 0], "not within 100,000 mm"),
        ([0, 0, 0, 4, 0, 0, 4, float("inf"), 0], "not within 100,000 mm"),
        ([0, 0, 0, 4, 0, 0, 4, 1e9, 0], "not within 100,000 mm"),
        ([0, 0, 0, 4, 0, 0, 4, 4], "8 numbers; three per point"),
    ],
)
def test_contours_that_are_no_planes_of_a_patient_are_refused(
    scan: Scan, drawn: Path, values: list[float], told: str
) -> None:
    edit(drawn, set_data(values))
    with pytest.raises(DicomError, match=rf"rs\.dcm: a contour .*{told}.*ROI Brainstem"):
        read_structure_set(drawn, scan)


@pytest.mark.parametrize("padding", [b"\0", b" ", b" \0\0"])
def test_coordinates_may_be_padded_with_blanks_and_nuls(
    scan: Scan, drawn: Path, padding: bytes
) -> None:
    value = rb"0\0\0\4\0\0\4\4\0" + padding + padding
    value += padding if len(value) % 2 else b""

    def room(dataset: Dataset) -> None:
        first_contour(dataset).ContourData = "1" * len(value)
        first_contour(dataset).NumberOfContourPoints = 3

    edit(drawn, room)
    drawn.write_bytes(drawn.read_bytes().replace(b"1" * len(value), value))
    first, *_ = read_structure_set(drawn, scan)["Brainstem"].contours
    assert first.points_mm.tolist() == [[0, 0], [4, 0], [4, 4]]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4, 0.5, 0.6, 0.8, 0.95])
def test_a_structure_set_cut_off_anywhere_is_refused(scan: Scan, drawn: Path, share: float) -> None:
    whole = drawn.read_bytes()
    drawn.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(NotDicomError, match=r"rs\.dcm: "):
        read_structure_set(drawn, scan)


def test_points_that_are_stated_but_absent_are_missed(scan: Scan, drawn: Path) -> None:
    edit(drawn, lambda dataset: setattr(first_contour(dataset), "NumberOfContourPoints", 99))
    with pytest.raises(NotDicomError, match="of 99 points"):
        read_structure_set(drawn, scan)


def test_another_ct_is_refused(tmp_path: Path, drawn: Path) -> None:
    other = make_scan(tmp_path / "other", seed="b")
    with pytest.raises(FrameOfReferenceError, match="another frame of reference"):
        read_structure_set(drawn, other)
    assert read_structure_set(drawn, None).names == ("Brainstem",)


def in_another_series(dataset: Dataset) -> None:
    """Have the header reference another series of the same frame."""
    frame = dataset.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    series.SeriesInstanceUID, series.ContourImageSequence = "1.2.3", series.ContourImageSequence[:1]
    series.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"


def on_other_images(dataset: Dataset, first: int = 0) -> None:
    """Have contours, from one of them on, name images of another CT."""
    for number, contour in enumerate(dataset.ROIContourSequence[0].ContourSequence[first:]):
        contour.ContourImageSequence[0].ReferencedSOPInstanceUID = f"1.2.3.{number}"


def test_another_series_of_the_same_frame_is_refused(scan: Scan, drawn: Path) -> None:
    def forget_images(dataset: Dataset) -> None:
        in_another_series(dataset)
        for contour in dataset.ROIContourSequence[0].ContourSequence:
            del contour.ContourImageSequence

    edit(drawn, forget_images)
    with pytest.raises(FrameOfReferenceError, match="another CT series"):
        read_structure_set(drawn, scan)


def test_the_images_that_contours_name_count_more_than_the_header(scan: Scan, drawn: Path) -> None:
    edit(drawn, in_another_series)
    assert len(read_structure_set(drawn, scan)["Brainstem"].contours) == 5
    edit(drawn, on_other_images)
    with pytest.raises(
        FrameOfReferenceError, match="its contours are drawn on images of another CT; give the CT"
    ):
        read_structure_set(drawn, scan)


def test_a_contour_of_another_ct_s_image_on_a_slice_of_this_one_is_refused(
    scan: Scan, drawn: Path
) -> None:
    edit(drawn, lambda dataset: on_other_images(dataset, first=4))
    with pytest.raises(
        FrameOfReferenceError, match="some of its contours are drawn on images of another CT, where"
    ):
        read_structure_set(drawn, scan)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, "undefined lengths"]
)
def test_the_images_of_contours_are_found_however_they_are_encoded(
    scan: Scan, drawn: Path, syntax: str
) -> None:
    dataset = dcmread(drawn)
    assert all(element.VR for element in dataset.iterall())  # parsed, so that it is encoded again
    if syntax == "undefined lengths":
        for element in dataset.iterall():
            element.is_undefined_length = element.VR == "SQ"
    else:
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.save_as(drawn, enforce_file_format=True)
    (images,) = images_of_contours(read_dataset(drawn)).values()
    assert images == set(scan.source.sop_instance_uids)


def test_a_roi_drawn_in_another_frame_is_left_empty(scan: Scan, drawn: Path) -> None:
    edit(
        drawn,
        lambda data: setattr(
            data.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "1.2.3"
        ),
    )
    said: list[Finding] = []
    assert read_structure_set(drawn, scan, said.append)["Brainstem"].contours == ()
    assert said == [RoiInAnotherFrame(roi="Brainstem")]


def test_references_to_absent_slices_do_no_harm(tmp_path: Path, drawn: Path) -> None:
    for name in ("CT0001.dcm", "CT0002.dcm"):
        (tmp_path / "ct" / name).unlink()
    part = read_scan(tmp_path / "ct")
    mask = rasterise(read_structure_set(drawn, part)["Brainstem"].contours, part.grid)
    np.testing.assert_array_equal(mask, block(part.grid))


def test_a_ct_image_is_no_structure_set(tmp_path: Path, scan: Scan) -> None:
    with pytest.raises(NoSeriesError, match="not an RT structure set"):
        read_structure_set(tmp_path / "ct" / "CT0001.dcm", scan)


def test_no_error_names_the_patient(scan: Scan, drawn: Path) -> None:
    edit(drawn, set_data([0, 0, 0, 4, 0, 0, 4, 4, 3]))
    with pytest.raises(DicomError) as caught:
        read_structure_set(drawn, scan)
    assert not any(part in str(caught.value) for part in (*PATIENT[0].split("^"), PATIENT[1]))
