import errno
import os
import struct
from collections.abc import Callable
from itertools import product
from pathlib import Path
from shutil import copy

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)
from tests.dicom.conftest import (
    PATIENT,
    block,
    dciodvfy,
    edit,
    make_scan,
    make_structure_set,
    needs_dciodvfy,
    numbered,
    recode,
)
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    Scan,
    ScanIdentity,
    read_archive,
    read_scan,
    read_series,
    read_structure_set,
    write_scan,
)
from recontour.dicom.ct_findings import (
    FilesDiffer,
    MissingSlice,
    NoAir,
    OneUidTwoImages,
    OverlappingPasses,
    PaddingInside,
    SeveralSeries,
    SlicesAtOnePosition,
)
from recontour.dicom.findings import UnknownSyntax
from recontour.dicom.padding import AIR_HU
from recontour.dicom.reading import unknown_syntax
from recontour.errors import (
    DicomError,
    DuplicateSliceError,
    FaultError,
    GridMismatchError,
    MissingSliceError,
    MixedSeriesError,
    NoSeriesError,
    NotDicomError,
    OrientationError,
    OutputError,
    RescaleError,
)
from recontour.findings import stored_words, words
from recontour.geometry import rasterise


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    grid = make_grid(
        (4, 6, 8),
        spacing_mm=(1.171875, 0.9765625),
        z_mm=(-7.5, -4.5, -1.5, 3.0),
        origin_mm=(-249.5, 3.0),
    )
    hu = numbered(grid)
    hu[0, 0, :2] = (-32768, 32767)
    scan = write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))
    assert scan.grid == grid
    assert scan.hu.dtype == np.int16
    np.testing.assert_array_equal(scan.hu, hu)


def test_one_seed_makes_one_series(tmp_path: Path) -> None:
    first, again, other = (
        make_scan(tmp_path / name, seed=seed).source
        for name, seed in [("1", "a"), ("2", "a"), ("3", "b")]
    )
    assert first.sop_instance_uids == again.sop_instance_uids
    assert first.series_instance_uid == again.series_instance_uid
    assert len({*first.sop_instance_uids, *other.sop_instance_uids}) == 10
    assert first.frame_of_reference_uid != other.frame_of_reference_uid


def test_write_scan_refuses_a_folder_that_exists_and_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "ct").mkdir()
    with pytest.raises(OutputError, match="exists"):
        make_scan(tmp_path / "ct")
    assert [entry.name for entry in tmp_path.iterdir()] == ["ct"]


def test_write_scan_refuses_hu_of_another_grid(tmp_path: Path) -> None:
    with pytest.raises(GridMismatchError, match=r"int16 of shape \(5, 6, 8\) is expected"):
        write_scan(
            tmp_path / "ct", np.zeros((5, 6, 7), np.int16), make_grid((5, 6, 8)), ScanIdentity("a")
        )
    assert not list(tmp_path.iterdir())


@needs_dciodvfy
def test_written_images_are_valid_dicom(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    said = "\n".join(dciodvfy(tmp_path / "ct" / "CT0001.dcm"))
    assert "Error" not in said
    assert "CTImage" in said


def test_the_source_keeps_order_and_patient_and_no_pixels(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    shuffled = read_series(sorted((tmp_path / "ct").iterdir(), reverse=True))
    assert shuffled.source.sop_instance_uids == scan.source.sop_instance_uids
    assert str(scan.source.header.PatientName) == PATIENT[0]
    assert "PixelData" not in scan.source.header


@pytest.mark.parametrize(
    ("x_sign", "y_sign", "transposed"), list(product((1, -1), (1, -1), (False, True)))
)
def test_any_axial_orientation_is_brought_to_one(
    tmp_path: Path, x_sign: int, y_sign: int, transposed: bool
) -> None:
    """Head or feet first, supine, prone or on a side: each voxel keeps its place in the patient."""
    scan = make_scan(tmp_path / "ct")
    rows, columns = scan.grid.shape[1:]
    row_step, column_step = scan.grid.spacing_mm
    x, y = scan.grid.origin_mm
    noise = -1.224647e-16

    def store(image: Dataset) -> None:
        plane = image.pixel_array[::y_sign, ::x_sign]
        along_x, along_y = [x_sign, noise, 0], [0, y_sign, noise]
        image.ImageOrientationPatient = [*along_y, *along_x] if transposed else [*along_x, *along_y]
        image.ImagePositionPatient[0] = x if x_sign > 0 else x + column_step * (columns - 1)
        image.ImagePositionPatient[1] = y if y_sign > 0 else y + row_step * (rows - 1)
        plane = plane.T if transposed else plane
        image.PixelSpacing = [column_step, row_step] if transposed else [row_step, column_step]
        image.Rows, image.Columns = plane.shape
        image.PixelData = plane.tobytes()
        image.PatientPosition = "HFS"  # wrong for most of these, and not looked at

    edit(tmp_path / "ct", store)
    turned = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(turned.hu, scan.hu)
    assert turned.grid == scan.grid


@pytest.mark.parametrize(
    ("position", "orientation", "head_first"),
    [
        ("HFS", (1, 0, 0, 0, 1, 0), True),
        ("HFP", (-1, 0, 0, 0, -1, 0), True),
        ("FFS", (-1, 0, 0, 0, 1, 0), False),
        ("FFP", (1, 0, 0, 0, -1, 0), False),
        ("HFDR", (0, 1, 0, -1, 0, 0), True),
        ("HFDL", (0, -1, 0, 1, 0, 0), True),
        ("FFDR", (0, 1, 0, 1, 0, 0), False),
        ("FFDL", (0, -1, 0, -1, 0, 0), False),
    ],
)
def test_the_patient_lies_as_the_scanner_says(
    tmp_path: Path, position: str, orientation: tuple[int, ...], head_first: bool
) -> None:
    """PS3.3 C.7.3.1.1.2: what the image's right and lower edge face in each position."""
    hu = np.zeros((3, 6, 6), np.int16)
    hu[2, 1, 4] = 700  # towards head, front and the patient's left
    grid = make_grid(hu.shape, origin_mm=(-2.5, -2.5))
    write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))
    seen = {
        name: pydicom.dcmread(tmp_path / "ct" / name)
        for name in ("CT0001.dcm", "CT0002.dcm", "CT0003.dcm")
    }
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    corner = -2.5 * (row + column)[:2]
    for name, image in seen.items():
        plane = np.zeros((6, 6), np.int16)
        for (down, right), _ in np.ndenumerate(plane):
            x, y = corner + right * row[:2] + down * column[:2]
            plane[down, right] = image.pixel_array[int(y + 2.5), int(x + 2.5)]
        image.PixelData, image.PatientPosition = plane.tobytes(), position
        image.ImageOrientationPatient = list(orientation)
        image.ImagePositionPatient = [*corner, image.ImagePositionPatient[2]]
        first = 3 if head_first else 1  # a head-first patient's scan begins at the head here
        image.InstanceNumber = abs(int(name[2:6]) - first) + 1
        image.save_as(tmp_path / "ct" / name)
    turned = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(turned.hu, hu)
    assert turned.grid == grid


def test_slices_that_descend_from_file_to_file_are_turned_round(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    for number, file in enumerate(sorted((tmp_path / "ct").iterdir())):
        edit(file, lambda image, number=number: setattr(image, "InstanceNumber", 5 - number))  # type: ignore[misc]
        file.rename(file.with_name(f"{5 - number}.dcm"))
    files = sorted((tmp_path / "ct").iterdir())
    assert [pydicom.dcmread(file).ImagePositionPatient[2] for file in files] == [12, 9, 6, 3, 0]
    turned = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(turned.hu, scan.hu)
    assert turned.grid == scan.grid


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
    assert error.value.finding == OneUidTwoImages(
        path=tmp_path / "ct" / "CT0002.dcm",
        other=tmp_path / "ct" / "edited.dcm",
        differ_in="pixels",
    )


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
        count=2,
        kind="acquisitions" if by.lower().startswith("acquisition") else "reconstructions",
        from_mm=6 + offset_mm,
        to_mm=12,
        told_by=by,
        examples=(
            f"5 slices, z = 0.0 to 12.0 mm, as {tmp_path / 'ct' / 'CT0001.dcm'}",
            f"5 slices, z = {6 + offset_mm:.1f} to {18 + offset_mm:.1f} mm, "
            f"as {tmp_path / 'ct' / 'otherCT0001.dcm'}",
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
        MixedSeriesError, match="two images share one SOPInstanceUID but differ in position"
    ):
        read_scan(tmp_path / "ct")
    with pytest.raises(
        MixedSeriesError, match="two images share one SOPInstanceUID but differ in position"
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
    assert error.value.finding == FilesDiffer(
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
        count=2,
        are_parts=False,
        examples=(
            f"5 images as {Path('deep/ct/CT0001.dcm')}",
            f"5 images as {Path('other/CT0001.dcm')}",
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
    with pytest.raises(NoSeriesError, match="no CT slice"):
        read_scan(tmp_path)
    with pytest.raises(NoSeriesError, match="no CT slice"):
        read_series([])


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_pixels_without_rescale_are_refused(tmp_path: Path, keyword: str) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0003.dcm", lambda image: delattr(image, keyword))
    with pytest.raises(RescaleError, match=r"CT0003.dcm: RescaleSlope or RescaleIntercept"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize(("keyword", "value"), [("RescaleSlope", 0), ("RescaleType", "Z_EFF")])
def test_a_rescale_that_gives_no_hounsfield_units_is_refused(
    tmp_path: Path, keyword: str, value: str | int
) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: setattr(image, keyword, value))
    with pytest.raises(RescaleError, match="Hounsfield"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_an_image_without_its_place_is_refused(tmp_path: Path, keyword: str) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0003.dcm", lambda image: setattr(image, keyword, None))
    with pytest.raises(DicomError, match=f"CT0003.dcm: no {keyword}, which every CT slice needs"):
        read_scan(tmp_path / "ct")


def test_unsigned_12_bit_pixels_lose_what_hides_in_the_upper_bits(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")

    def store(image: Dataset) -> None:
        plane = (image.pixel_array.astype(np.int32) + 1024).astype(
            "<u2"
        ) | 0xF000  # overlay bits, of no meaning
        image.BitsStored, image.HighBit, image.PixelRepresentation, image.RescaleIntercept = (
            12,
            11,
            0,
            -1024,
        )
        image.PixelData = plane.tobytes()

    edit(tmp_path / "ct", store)
    np.testing.assert_array_equal(read_scan(tmp_path / "ct").hu, scan.hu)


def test_signed_12_bit_pixels_keep_their_sign(tmp_path: Path) -> None:
    """The sign is bit 11; what lies above it has no meaning."""
    grid = make_grid((2, 4, 4))
    hu = np.array([-2048, -1024, -1, 0, 1, 1000, 2046, 2047] * 4, np.int16).reshape(grid.shape)
    write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))

    def store(image: Dataset) -> None:
        image.BitsStored, image.HighBit = 12, 11
        image.PixelData = (image.pixel_array.view("<u2") & 0x0FFF | 0x5000).tobytes()

    edit(tmp_path / "ct", store)
    np.testing.assert_array_equal(read_scan(tmp_path / "ct").hu, hu)


@pytest.mark.parametrize(
    ("padding", "signed", "expected"),
    [
        ((63536, "US", None), 0, AIR_HU),  # -2000, if only it were signed
        ((-2000, "SS", None), 1, -2000),  # below air already: as it is stored
        ((63536, "US", None), 1, -2000),  # the same, of the wrong kind
        ((4000, "US", 4095), 0, AIR_HU),  # a range
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_was_not_measured_is_no_denser_than_air(
    tmp_path: Path, padding: tuple[int, str, int | None], signed: int, expected: int, syntax: str
) -> None:
    scan = make_scan(tmp_path / "ct")
    first, kind, last = padding

    def pad(image: Dataset) -> None:
        intercept = 0 if signed else -1024
        stored = image.pixel_array.astype(np.int32) - intercept
        stored[0] = first
        image.PixelRepresentation, image.RescaleIntercept = signed, intercept
        image.add_new("PixelPaddingValue", kind, first)
        if last:
            image.add_new("PixelPaddingRangeLimit", kind, last)
            stored[0, 1] = last
        image.PixelData = stored.astype("<u2").tobytes()

    edit(tmp_path / "ct", pad)
    for path in (tmp_path / "ct").iterdir():
        recode(path, syntax)
    hu = read_scan(tmp_path / "ct").hu
    assert hu.dtype == np.int16
    assert set(hu[:, 0].ravel().tolist()) == {expected}
    np.testing.assert_array_equal(hu[:, 1:], scan.hu[:, 1:])


def _of_water(
    folder: Path, padding: int, body_hu: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """A series of signed HU:

    air, corners of the padding value, a body with one block of it and otherwise denser.
    """
    hu = np.full((3, 16, 16), -1000, np.int16)
    hu[:, 4:12, 4:12] = body_hu
    hu[:, 6:8, 6:9] = padding
    hu[:, :2, :3] = hu[:, -3:, -1:] = padding
    write_scan(folder, hu, make_grid(hu.shape), ScanIdentity("a"))
    edit(folder, lambda image: image.add_new("PixelPaddingValue", "SS", padding))
    return hu


def _padding_hu(scan: Scan) -> list[float]:
    """Return the padding values that were found inside the image."""
    return [note.hu for note in scan.notes if isinstance(note, PaddingInside)]


def test_padding_within_the_body_stays_and_is_doubted(tmp_path: Path) -> None:
    """Intercept 0 and a padding value of 0: water."""
    hu = _of_water(tmp_path / "ct", 0, 40)
    scan = read_scan(tmp_path / "ct")
    hu[:, :2, :3] = hu[:, -3:, -1:] = AIR_HU
    np.testing.assert_array_equal(scan.hu, hu)
    (note,) = scan.notes
    assert note == PaddingInside(voxels=18, share=18 / hu.size, hu=0, became_hu=None)
    assert words(note) == (
        "18 voxels inside the image (2.3 %) hold the PixelPaddingValue (0 HU) and may be tissue; "
        "they are left as stored; check PixelPaddingValue"
    )


def test_padding_denser_than_any_tissue_is_air_everywhere(tmp_path: Path) -> None:
    hu = _of_water(tmp_path / "ct", 20000, 40)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.hu, np.where(hu == 20000, AIR_HU, hu))
    note = PaddingInside(voxels=18, share=18 / hu.size, hu=20000, became_hu=AIR_HU)
    assert scan.notes == (note,)
    assert "they are set to air (-1000 HU)" in words(note)


def test_padding_at_the_border_alone_is_not_doubted(tmp_path: Path) -> None:
    hu = _of_water(tmp_path / "ct", 0, 0)
    hu[:, 4:12, 4:12] = 40

    def fill(image: Dataset) -> None:
        image.PixelData = hu[0].tobytes()

    edit(tmp_path / "ct", fill)
    assert read_scan(tmp_path / "ct").notes == ()


def test_a_body_of_the_padding_value_that_touches_the_border_stays_and_is_doubted(
    tmp_path: Path,
) -> None:
    """Shoulders, or a large patient:

    tissue reaches the border beside the air that was measured there.
    """
    hu = _of_water(tmp_path / "ct", 0, 0)
    hu[:, 6:10, :] = 0

    def fill(image: Dataset) -> None:
        image.PixelData = hu[0].tobytes()

    edit(tmp_path / "ct", fill)
    scan = read_scan(tmp_path / "ct")
    hu[:, :2, :3] = hu[:, -3:, -1:] = AIR_HU  # the corners, which are no body
    np.testing.assert_array_equal(scan.hu, hu)
    assert _padding_hu(scan) == [0]


def test_padding_all_around_what_was_measured_is_air(tmp_path: Path) -> None:
    """A field of view smaller than the image."""
    hu = _of_water(tmp_path / "ct", 0, 0)
    hu[:] = 0
    hu[:, 4:12, 4:12] = 40

    def fill(image: Dataset) -> None:
        image.PixelData = hu[0].tobytes()

    edit(tmp_path / "ct", fill)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.hu, np.where(hu == 0, AIR_HU, hu))
    assert _padding_hu(scan) == []


def test_a_range_of_padding_that_holds_air_and_tissue_makes_no_tissue_air(tmp_path: Path) -> None:
    hu = _of_water(tmp_path / "ct", 0, 0)

    def widen(image: Dataset) -> None:
        image.PixelPaddingValue = -1024
        image.add_new("PixelPaddingRangeLimit", "SS", 10)

    edit(tmp_path / "ct", widen)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.hu, hu)
    assert _padding_hu(scan) == [-1024]


@pytest.mark.parametrize("is_implicit", [True, False])
def test_a_private_transfer_syntax_is_named(tmp_path: Path, is_implicit: bool) -> None:
    """GE's, as old archives have it; and one that nobody knows."""
    make_scan(tmp_path / "ct")
    syntax = "1.2.840.113619.5.2" if is_implicit else "1.2.3.4"
    for file in (tmp_path / "ct").iterdir():
        image = pydicom.dcmread(file)
        image.file_meta.TransferSyntaxUID = UID(syntax)
        pydicom.dcmwrite(file, image, implicit_vr=is_implicit, little_endian=True)
    with pytest.raises(NotDicomError) as error:
        read_scan(tmp_path / "ct")
    path = tmp_path / "ct" / "CT0001.dcm"
    if is_implicit:
        expected = UnknownSyntax(path=path, uid=syntax, name="GE private, pixels in big endian")
    else:
        expected = UnknownSyntax(path=path, foreign_uid=syntax)
    assert error.value.finding == expected
    assert len(read_archive(tmp_path).series) == 1


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        (UID("1.2.840.10008.1.2.4.102"), "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        (UID("1.2.840.10008.1.2.4.94"), "JPIP Referenced"),
        (UID("1.2.840.10008.1.2.4.110"), "JPEG XL Lossless"),
    ],
)
def test_a_transfer_syntax_that_is_not_read_is_named(
    tmp_path: Path, syntax: UID, name: str
) -> None:
    make_scan(tmp_path / "ct")

    for file in (tmp_path / "ct").iterdir():
        image = pydicom.dcmread(file)
        image.PixelData = encapsulate([image.PixelData])
        image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
        image.file_meta.TransferSyntaxUID = MPEG2MPML
        image.save_as(file)
        padded = (
            str(syntax).encode().ljust(24, b"\0")
        )  # in its place; pydicom would not write all of them
        file.write_bytes(file.read_bytes().replace(MPEG2MPML.encode() + b"\0", padded))
    with pytest.raises(NotDicomError) as error:
        read_scan(tmp_path / "ct")
    assert str(error.value).endswith(
        f"transfer syntax {syntax} ({name}) is not supported; export it uncompressed"
    )


def test_a_transfer_syntax_that_is_no_uid_is_not_repeated() -> None:
    """It may be anything, also a name, and the reason why a file is left out is stored."""
    path = Path("image.dcm")
    assert unknown_syntax(path, "Mueller^Hans") == unknown_syntax(path, "")
    assert unknown_syntax(path, "") == UnknownSyntax(path=path)
    foreign = unknown_syntax(path, "1.2.4711")
    assert foreign == UnknownSyntax(path=path, foreign_uid="1.2.4711")
    assert "4711" not in stored_words(foreign)


def test_an_image_without_pixels_is_named(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: image.__delattr__("PixelData"))
    with pytest.raises(NotDicomError, match=r"CT0001\.dcm: the file has no pixels"):
        read_scan(tmp_path / "ct")


def test_pixels_whose_bits_are_unclear_are_refused(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0002.dcm", lambda image: setattr(image, "BitsStored", 12))
    with pytest.raises(DicomError, match=r"CT0002.dcm: HighBit is not BitsStored - 1"):
        read_scan(tmp_path / "ct")


def test_a_ct_without_air_is_doubted(tmp_path: Path) -> None:
    assert make_scan(tmp_path / "ct").notes == ()
    edit(tmp_path / "ct", lambda image: setattr(image, "RescaleIntercept", 1000))
    assert read_scan(tmp_path / "ct").notes == (NoAir(lowest_hu=0),)


def test_hu_that_int16_does_not_hold_are_kept_as_float32(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")

    def store(image: Dataset) -> None:
        image.PixelRepresentation, image.RescaleIntercept = 0, -1024
        image.PixelData = np.full((6, 8), 65535, "<u2").tobytes()

    edit(tmp_path / "ct" / "CT0002.dcm", store)
    hu = read_scan(tmp_path / "ct").hu
    assert hu.dtype == np.float32
    assert (hu[1] == 65535 - 1024).all()
    np.testing.assert_array_equal(hu[0], numbered(make_grid((5, 6, 8)))[0])


def test_slices_of_several_slopes_are_float32_where_one_is_broken(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0002.dcm", lambda image: setattr(image, "RescaleSlope", "0.5"))
    edit(tmp_path / "ct" / "CT0003.dcm", lambda image: setattr(image, "RescaleSlope", "2"))
    hu = read_scan(tmp_path / "ct").hu
    assert hu.dtype == np.float32
    np.testing.assert_array_equal(hu, scan.hu * np.array([1, 0.5, 2, 1, 1])[:, None, None])


def test_a_broken_slope_gives_float32(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: setattr(image, "RescaleSlope", "0.5"))
    hu = read_scan(tmp_path / "ct").hu
    assert hu.dtype == np.float32
    np.testing.assert_array_equal(hu, scan.hu / 2)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_compressed_pixels_are_read(tmp_path: Path, syntax: str) -> None:
    grid = make_grid((3, 64, 64))
    hu = np.random.default_rng(0).integers(-1000, 2000, grid.shape).astype(np.int16)
    write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))
    edit(tmp_path / "ct", lambda image: image.compress(syntax, generate_instance_uid=False))
    np.testing.assert_array_equal(read_scan(tmp_path / "ct").hu, hu)


def _lossless_jpeg(plane: np.ndarray[tuple[int, int], np.dtype[np.uint16]]) -> bytes:
    """A plane as ITU-T T.81 process 14, first-order prediction: each pixel's difference to the one
    on its left.

    The Huffman table gives each of the 17 sizes of a difference a code of 5 bits.
    """
    rows, columns = plane.shape
    left = np.roll(plane.astype(np.int64), 1, axis=1)
    left[1:, 0] = plane[:-1, 0]
    left[0, 0] = 1 << 15
    bits = ""
    for difference in ((plane - left + (1 << 15)) % (1 << 16) - (1 << 15)).ravel().tolist():
        size = 16 if difference == -(1 << 15) else abs(difference).bit_length()
        bits += f"{size:05b}"
        if 0 < size < 16:
            bits += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"".join(
        [
            b"\xff\xd8",
            b"\xff\xc3" + struct.pack(">HBHHB3B", 11, 16, rows, columns, 1, 1, 0x11, 0),
            b"\xff\xc4" + struct.pack(">HB16B17B", 36, 0, *[0, 0, 0, 0, 17], *[0] * 11, *range(17)),
            b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0),
            coded,
            b"\xff\xd9",
        ]
    )


@pytest.mark.parametrize("syntax", [JPEGLossless, JPEGLosslessSV1])
def test_lossless_jpeg_is_read(tmp_path: Path, syntax: UID) -> None:
    grid = make_grid((3, 16, 24))
    hu = np.random.default_rng(0).integers(-32768, 32767, grid.shape).astype(np.int16)
    write_scan(tmp_path / "ct", hu, grid, ScanIdentity("a"))

    def compress(image: Dataset) -> None:
        image.PixelData = encapsulate([_lossless_jpeg(image.pixel_array.view(np.uint16))])
        image["PixelData"].VR, image.file_meta.TransferSyntaxUID = "OB", syntax

    edit(tmp_path / "ct", compress)
    np.testing.assert_array_equal(read_scan(tmp_path / "ct").hu, hu)


@pytest.mark.parametrize(
    ("sample", "plain"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),  # JPEG-LS
        ("JPEGLSNearLossless_16.dcm", None),  # lossy, as are the next
        ("JPEG2000.dcm", None),
        ("JPGExtended.dcm", None),  # JPEG extended, 12 bits
    ],
)
def test_compressed_pixels_of_other_makers_are_read(
    tmp_path: Path, sample: str, plain: str | None
) -> None:
    """Codestreams that come with pydicom, which it cannot write itself, in place of a slice's
    pixels.
    """
    other = pydicom.dcmread(str(get_testdata_file(sample)))
    make_scan(tmp_path / "ct", make_grid((2, other.Rows, other.Columns)))

    def take_over(image: Dataset) -> None:
        for keyword in (
            "BitsAllocated",
            "BitsStored",
            "HighBit",
            "PixelRepresentation",
            "PixelData",
        ):
            image[keyword] = other[keyword]
        image.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID

    edit(tmp_path / "ct", take_over)
    expected = (
        pydicom.dcmread(str(get_testdata_file(plain))).pixel_array if plain else other.pixel_array
    )
    hu = read_scan(tmp_path / "ct").hu
    assert float(np.ptp(hu)) > 100
    np.testing.assert_array_equal(hu[1], expected)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_uncompressed_syntax_is_read(tmp_path: Path, syntax: str) -> None:
    scan = make_scan(tmp_path / "ct")
    make_structure_set(tmp_path / "rs.dcm", scan)
    for file in [*(tmp_path / "ct").iterdir(), tmp_path / "rs.dcm"]:
        recode(file, syntax)
    again = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(again.hu, scan.hu)
    assert again.grid == scan.grid
    drawn = read_structure_set(tmp_path / "rs.dcm", again)["Brainstem"]
    np.testing.assert_array_equal(rasterise(drawn.contours, scan.grid), block(scan.grid))


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


def _enhanced(folder: Path, to: Path) -> None:
    """The series of a folder as one multi-frame image, its frames in the order of the files."""
    files = sorted(folder.iterdir())
    frames, planes = [], []
    for file in files:
        image = pydicom.dcmread(file)
        frame = Dataset()
        for group, keywords in {
            "PlanePosition": ["ImagePositionPatient"],
            "PixelValueTransformation": ["RescaleSlope", "RescaleIntercept", "RescaleType"],
        }.items():
            item = Dataset()
            for keyword in keywords:
                setattr(item, keyword, getattr(image, keyword))
            setattr(frame, f"{group}Sequence", [item])
        frames.append(frame)
        planes.append(image.pixel_array)
    image = pydicom.dcmread(files[0])
    shared, orientation, measures, kind = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = (
        image.ImageOrientationPatient,
        image.PixelSpacing,
    )
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.CTImageFrameTypeSequence = [kind]
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(image, keyword)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    image.NumberOfFrames, image.PerFrameFunctionalGroupsSequence = len(frames), frames
    image.SharedFunctionalGroupsSequence = [shared]
    image.PixelData = np.stack(planes).tobytes()
    image.save_as(to)


def test_a_multi_frame_ct_is_read(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "single")
    (tmp_path / "multi").mkdir()
    _enhanced(tmp_path / "single", tmp_path / "multi" / "ct.dcm")
    multi = read_scan(tmp_path / "multi")
    np.testing.assert_array_equal(multi.hu, scan.hu)
    assert multi.grid == scan.grid
    assert multi.source.frame_numbers == (1, 2, 3, 4, 5)
    assert len(set(multi.source.sop_instance_uids)) == 1


def test_frames_of_a_multi_frame_ct_may_descend_and_a_localiser_lie_among_them(
    tmp_path: Path,
) -> None:
    scan = make_scan(tmp_path / "single")
    for number, file in enumerate(sorted((tmp_path / "single").iterdir())):
        file.rename(file.with_name(f"{9 - number}.dcm"))
    (tmp_path / "multi").mkdir()
    _enhanced(tmp_path / "single", tmp_path / "multi" / "ct.dcm")

    def add_overview(image: Dataset) -> None:
        overview, kind = Dataset(), Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
        overview.update(image.PerFrameFunctionalGroupsSequence[0])
        overview.CTImageFrameTypeSequence = [kind]
        image.PerFrameFunctionalGroupsSequence.insert(1, overview)
        image.NumberOfFrames, plane = 6, 6 * 8 * 2
        image.PixelData = image.PixelData[:plane] + bytes(plane) + image.PixelData[plane:]

    edit(tmp_path / "multi", add_overview)
    multi = read_scan(tmp_path / "multi")
    np.testing.assert_array_equal(multi.hu, scan.hu)
    assert multi.grid == scan.grid
    assert multi.source.frame_numbers == (6, 5, 4, 3, 1)


def test_a_multi_frame_ct_without_positions_is_refused(tmp_path: Path) -> None:
    make_scan(tmp_path / "single")
    (tmp_path / "multi").mkdir()
    _enhanced(tmp_path / "single", tmp_path / "multi" / "ct.dcm")
    edit(
        tmp_path / "multi",
        lambda image: delattr(image.PerFrameFunctionalGroupsSequence[2], "PlanePositionSequence"),
    )
    with pytest.raises(DicomError, match=r"ct\.dcm: multi-frame CT without PlanePositionSequence"):
        read_scan(tmp_path / "multi")


def test_no_error_names_the_patient(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct" / "CT0003.dcm", lambda image: setattr(image, "ImagePositionPatient", None))
    with pytest.raises(DicomError) as caught:
        read_scan(tmp_path / "ct")
    assert not any(part in str(caught.value) for part in ("Zebedee", "Quentin", "4711"))


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
    _enhanced(tmp_path / "ct", tmp_path / "multi" / "ct.dcm")

    def number(image: Dataset) -> None:
        for index, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
            content = Dataset()
            content.FrameAcquisitionNumber = index % 2 + 1
            frame.FrameContentSequence = [content]

    edit(tmp_path / "multi", number)
    with pytest.raises(MixedSeriesError, match="export one of them alone, since they share a file"):
        read_scan(tmp_path / "multi")
