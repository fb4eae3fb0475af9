from collections.abc import Callable
from pathlib import Path
from shutil import copy

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    generate_uid,
)
from tests.dicom.conftest import (
    edit,
    make_multi_frame,
    make_scan,
)
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    ScanIdentity,
    read_archive,
    read_scan,
    read_series,
    write_scan,
)
from recontour.dicom.ct_findings import (
    DifferingFiles,
    MissingSlice,
    OnePass,
    OverlappingPasses,
    SlicesAtOnePosition,
)
from recontour.dicom.findings import SharedImageUid
from recontour.errors import (
    DuplicateSliceError,
    MissingSliceError,
    MixedSeriesError,
    OrientationError,
)


@pytest.mark.parametrize(
    "orientation",
    [
        [1, 0, 0, 0, 0, -1],  # coronal
        [0, 1, 0, 0, 0, -1],  # sagittal
        [np.cos(0.1), np.sin(0.1), 0, -np.sin(0.1), np.cos(0.1), 0],  # turned in plane
        [1, 0, 0, 0, np.cos(0.05), np.sin(0.05)],  # tilted gantry
        [1, 0, 0, 1, 0, 0],  # no plane at all
    ],
)
def test_slices_that_are_not_axial_are_refused(tmp_path: Path, orientation: list[float]) -> None:
    make_scan(tmp_path / "ct")
    edit(
        tmp_path / "ct",
        lambda image: setattr(image, "ImageOrientationPatient", [f"{v:.6f}" for v in orientation]),
    )
    with pytest.raises(
        OrientationError, match=r"CT000\d.dcm: its axes point along .* axial slices"
    ):
        read_scan(tmp_path / "ct")


def test_slices_that_drift_in_plane_are_refused(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")

    def shear(image: Dataset) -> None:
        image.ImagePositionPatient[1] += np.tan(np.radians(5)) * image.ImagePositionPatient[2]

    edit(tmp_path / "ct", shear)
    with pytest.raises(OrientationError, match=r"shift in plane .* by 1\.0 mm in all"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize(
    "z_mm",
    [
        (0, 3, 6, 9, 15, 21, 27),  # 3 mm, then 6 mm
        (0, 6, 12, 15, 18, 24, 30),  # a fine stretch between coarse ones
        (0, 3, 6, 12, 18, 24, 30, 33, 36),  # a coarse stretch between fine ones
        (0, 2.5, 5, 8.7, 13.7, 18.7),  # 2.5 mm, then 5 mm, not quite adjoining
        (0, 3.1, 6, 9.05, 12),  # a couch that stutters
        (0, 50),  # two slices: no spacing to compare with
        (7.25,),
    ],
)
def test_a_change_of_spacing_is_kept_slice_by_slice(
    tmp_path: Path, z_mm: tuple[float, ...]
) -> None:
    scan = make_scan(tmp_path / "ct", make_grid((len(z_mm), 4, 4), z_mm=z_mm))
    assert scan.grid.slice_z_mm == z_mm


@pytest.mark.parametrize(
    ("z_mm", "below", "above"),
    [
        ((0, 3, 6, 12, 15, 18), 6, 12),
        ((0, 3, 12, 15, 18), 3, 12),
        ((0, 6, 9, 12), 0, 6),  # the second
        ((0, 3, 6, 12), 6, 12),  # the last but one
        ((0, 3, 6, 15, 21, 27), 6, 15),  # where 3 mm become 6 mm
        ((0, 6, 12, 24, 30), 12, 24),
        ((0, 3, 6, 80, 83, 86), 6, 80),
        ((0, 3, 6, 12, 18, 21, 24), 6, 12),  # two, one beside the other
        ((0, 3, 9, 15, 21, 24), 3, 9),  # every second of a stretch
    ],
)
def test_a_missing_slice_is_refused(
    tmp_path: Path, z_mm: tuple[float, ...], below: float, above: float
) -> None:
    with pytest.raises(MissingSliceError) as error:
        make_scan(tmp_path / "ct", make_grid((len(z_mm), 4, 4), z_mm=z_mm))
    found = error.value.finding
    assert isinstance(found, MissingSlice)
    assert (found.path, found.below_mm, found.above_mm) == (tmp_path / "ct", below, above)


def test_other_pixels_under_one_uid_are_refused(tmp_path: Path) -> None:
    """Densities overridden by hand, and saved under the same UIDs."""
    make_scan(tmp_path / "ct")
    copy(tmp_path / "ct" / "CT0002.dcm", tmp_path / "ct" / "edited.dcm")
    edit(
        tmp_path / "ct" / "edited.dcm",
        lambda image: setattr(image, "PixelData", bytes(len(image.PixelData))),
    )
    with pytest.raises(MixedSeriesError) as error:
        read_series(sorted((tmp_path / "ct").iterdir()))
    assert error.value.finding == SharedImageUid(
        path=tmp_path / "ct" / "CT0002.dcm",
        differ_in=("pixels",),
        rivals=(tmp_path / "ct" / "CT0002.dcm", tmp_path / "ct" / "edited.dcm"),
    )


def _duplicates(folder: Path) -> SlicesAtOnePosition:
    """Return what is found where slices of a folder share a position."""
    with pytest.raises(DuplicateSliceError) as error:
        read_scan(folder)
    assert isinstance(error.value.finding, SlicesAtOnePosition)
    return error.value.finding


def _add_slices(folder: Path, number: int, change: Callable[[Dataset], None]) -> None:
    """Copies of the first slices under UIDs of their own, changed."""
    for file in sorted(folder.iterdir())[:number]:
        other = copy(file, folder / f"other{file.name}")

        def another(image: Dataset) -> None:
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            change(image)

        edit(Path(other), another)


@pytest.mark.parametrize("apart_mm", [0.0, 0.02, 0.09])
def test_two_slices_at_one_place_are_refused(tmp_path: Path, apart_mm: float) -> None:
    make_scan(tmp_path / "ct")

    def second_phase(image: Dataset) -> None:
        image.PixelData = bytes(len(image.PixelData))
        image.ImagePositionPatient[2] += apart_mm

    _add_slices(tmp_path / "ct", 1, second_phase)
    assert _duplicates(tmp_path / "ct") == SlicesAtOnePosition(
        path=tmp_path / "ct" / "CT0001.dcm",
        other=tmp_path / "ct" / "otherCT0001.dcm",
        positions=1,
        first_mm=0,
        last_mm=0,
        are_equal=False,
    )
    (tmp_path / "ct" / "otherCT0001.dcm").unlink()
    _add_slices(tmp_path / "ct", 3, second_phase)
    found = _duplicates(tmp_path / "ct")
    assert (found.positions, found.first_mm, found.last_mm) == (3, 0, 6)
    assert not found.are_equal


def test_one_slice_under_two_uids_is_called_that(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    _add_slices(tmp_path / "ct", 2, lambda image: None)
    found = _duplicates(tmp_path / "ct")
    assert (found.positions, found.are_equal) == (2, True)


def _second_pass(z_mm: float, **says: object) -> Callable[[Dataset], None]:
    def change(image: Dataset) -> None:
        image.ImagePositionPatient[2] += z_mm
        image.InstanceNumber += 100
        for keyword, value in says.items():
            setattr(image, keyword, value)

    return change


@pytest.mark.parametrize("offset_mm", [0.0, 0.5, 0.75, 1.0, 1.5])
@pytest.mark.parametrize(
    "says",
    [
        {"AcquisitionNumber": 2},
        {"AcquisitionTime": "130000"},
        {"ConvolutionKernel": "B60s"},
        {"SliceThickness": 5},
        {"PixelSpacing": [1.6, 2.0]},  # a reason of its own without the overlap
    ],
    ids=lambda says: next(iter(says)),
)
def test_two_passes_that_overlap_are_refused(
    tmp_path: Path, offset_mm: float, says: dict[str, object]
) -> None:
    make_scan(tmp_path / "ct")
    _add_slices(tmp_path / "ct", 5, _second_pass(6 + offset_mm, **says))
    with pytest.raises(MixedSeriesError) as error:
        read_scan(tmp_path / "ct")
    by = "acquisition time" if "AcquisitionTime" in says else next(iter(says))
    assert error.value.finding == OverlappingPasses(
        path=tmp_path / "ct",
        kind="acquisitions" if by.lower().startswith("acquisition") else "reconstructions",
        from_mm=6 + offset_mm,
        to_mm=12,
        told_by=by,
        passes=(
            OnePass(
                path=tmp_path / "ct" / "CT0001.dcm",
                slices=5,
                from_mm=0,
                to_mm=12,
            ),
            OnePass(
                path=tmp_path / "ct" / "otherCT0001.dcm",
                slices=5,
                from_mm=6 + offset_mm,
                to_mm=18 + offset_mm,
            ),
        ),
        share_a_file=False,
    )


@pytest.mark.parametrize("offset_mm", [0.75, 1.5])
def test_passes_that_say_nothing_are_known_by_their_places_or_pixels(
    tmp_path: Path, offset_mm: float
) -> None:
    hu = np.zeros((9, 16, 32), np.int16)
    hu[:, 4:12, 8:16] = 1000
    grid = make_grid(hu.shape, z_mm=tuple(3.0 * index for index in range(9)))
    write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))

    def moved(image: Dataset) -> None:
        _second_pass(9 + offset_mm)(image)
        image.PixelData = np.roll(image.pixel_array, 8, axis=1).tobytes()

    _add_slices(tmp_path / "ct", 9, moved)
    edit(tmp_path / "ct", lambda image: image.__delattr__("InstanceNumber"))
    with pytest.raises(MixedSeriesError, match="two acquisitions in one series overlap from z = "):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize("gap_mm", [2.0, 3.0, 5.0])
def test_passes_that_adjoin_are_one_ct(tmp_path: Path, gap_mm: float) -> None:
    make_scan(tmp_path / "ct")
    _add_slices(
        tmp_path / "ct", 5, _second_pass(12 + gap_mm, AcquisitionNumber=2, AcquisitionTime="130000")
    )
    assert read_scan(tmp_path / "ct").grid.shape == (10, 6, 8)


def test_a_second_copy_of_a_file_counts_once(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    copy(tmp_path / "ct" / "CT0002.dcm", tmp_path / "ct" / "copy.dcm")
    assert read_scan(tmp_path / "ct").grid == scan.grid
    assert read_series(sorted((tmp_path / "ct").iterdir())).grid == scan.grid


def test_two_places_under_one_uid_are_refused(tmp_path: Path) -> None:
    """A bad pseudonymisation gives all slices one UID; they are no copies."""
    make_scan(tmp_path / "ct")
    first = pydicom.dcmread(tmp_path / "ct" / "CT0001.dcm")

    def same_uid(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID

    edit(tmp_path / "ct", same_uid)
    with pytest.raises(
        MixedSeriesError, match="images that share one SOPInstanceUID differ in position"
    ):
        read_scan(tmp_path / "ct")
    with pytest.raises(
        MixedSeriesError, match="images that share one SOPInstanceUID differ in position"
    ):
        read_series(read_archive(tmp_path).series[0].files)


def _crop(image: Dataset) -> None:
    image.PixelData = image.pixel_array[:, :-1].tobytes()
    image.Columns -= 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_crop, "matrix"),
        (lambda image: setattr(image, "PixelSpacing", [1.6, 2.0]), "pixel spacing"),
        (
            lambda image: setattr(image, "ImageOrientationPatient", [-1, 0, 0, 0, 1, 0]),
            "orientation",
        ),
        (lambda image: setattr(image, "FrameOfReferenceUID", "1.2.3"), "FrameOfReferenceUID"),
        (
            lambda image: setattr(image, "ImagePositionPatient", [-7.25, 100, 12]),
            "position in plane",
        ),
    ],
)
def test_slices_of_two_geometries_are_refused(
    tmp_path: Path, change: Callable[[Dataset], None], told: str
) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0005.dcm", change)
    with pytest.raises(MixedSeriesError, match=told):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", ["1.2.3", ""])
def test_a_series_of_two_patients_or_studies_is_refused(
    tmp_path: Path, keyword: str, value: str
) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0004.dcm", lambda image: setattr(image, keyword, value))
    with pytest.raises(MixedSeriesError) as error:
        read_scan(tmp_path / "ct")
    assert error.value.finding == DifferingFiles(
        path=tmp_path / "ct" / "CT0001.dcm",
        other=tmp_path / "ct" / "CT0004.dcm",
        keyword=keyword,
        of_one="patient",
    )


def test_a_patient_may_be_spelt_in_several_ways_and_have_no_id(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(
        tmp_path / "ct" / "CT0002.dcm",
        lambda image: setattr(image, "PatientName", "ZEBEDEE^Quentin^^^"),
    )
    edit(
        tmp_path / "ct" / "CT0003.dcm",
        lambda image: setattr(image, "PatientID", f"{image.PatientID} "),
    )
    read_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: setattr(image, "PatientID", ""))
    edit(tmp_path / "ct" / "CT0002.dcm", lambda image: image.__delattr__("PatientID"))
    read_scan(tmp_path / "ct")


def test_a_slice_stored_again_under_another_uid_is_no_acquisition(tmp_path: Path) -> None:
    """To take one acquisition, as is advised where two overlap, would lose half the CT."""
    make_scan(tmp_path / "ct")
    copy(tmp_path / "ct" / "CT0002.dcm", tmp_path / "ct" / "again.dcm")

    def rename(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
        image.InstanceNumber = 99

    edit(tmp_path / "ct" / "again.dcm", rename)
    found = _duplicates(tmp_path / "ct")
    assert (found.positions, found.are_equal) == (1, True)


def test_a_scout_among_axial_slices_is_named_as_what_to_take_away(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    copy(tmp_path / "ct" / "CT0002.dcm", tmp_path / "ct" / "scout.dcm")

    def turn(image: Dataset) -> None:
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
        image.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    edit(tmp_path / "ct" / "scout.dcm", turn)
    with pytest.raises(
        OrientationError, match=r"scout.dcm: .* 5 of 6 slices are axial; remove the others"
    ):
        read_scan(tmp_path / "ct")


def test_acquisitions_that_overlap_within_one_file_are_to_be_exported_alone(tmp_path: Path) -> None:
    """To give one's files alone would not help."""
    make_scan(tmp_path / "ct")
    (tmp_path / "multi").mkdir()
    make_multi_frame(tmp_path / "ct", tmp_path / "multi" / "ct.dcm")

    def number(image: Dataset) -> None:
        for index, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
            content = Dataset()
            content.FrameAcquisitionNumber = index % 2 + 1
            frame.FrameContentSequence = [content]

    edit(tmp_path / "multi", number)
    with pytest.raises(MixedSeriesError, match="export one of them alone, since they share a file"):
        read_scan(tmp_path / "multi")
