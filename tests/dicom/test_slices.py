from itertools import product
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from tests.dicom.conftest import (
    edit,
    make_multi_frame,
    make_scan,
    numbered,
)
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    ScanIdentity,
    read_scan,
    write_scan,
)
from recontour.errors import (
    DicomError,
    RescaleError,
)


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


def test_a_multi_frame_ct_is_read(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "single")
    (tmp_path / "multi").mkdir()
    make_multi_frame(tmp_path / "single", tmp_path / "multi" / "ct.dcm")
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
    make_multi_frame(tmp_path / "single", tmp_path / "multi" / "ct.dcm")

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
    make_multi_frame(tmp_path / "single", tmp_path / "multi" / "ct.dcm")
    edit(
        tmp_path / "multi",
        lambda image: delattr(image.PerFrameFunctionalGroupsSequence[2], "PlanePositionSequence"),
    )
    with pytest.raises(DicomError, match=r"ct\.dcm: multi-frame CT without PlanePositionSequence"):
        read_scan(tmp_path / "multi")
