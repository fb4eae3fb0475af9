from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from tests.dicom.conftest import (
    edit,
    make_scan,
    recode,
)
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    Scan,
    ScanIdentity,
    read_scan,
    write_scan,
)
from recontour.dicom.ct_findings import (
    PaddingInsideImage,
)
from recontour.dicom.padding import AIR_HU
from recontour.findings import words


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
    """Write a series of signed HU.

    It holds air, corners of the padding value, and a body that is denser but for one block of it.
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
    return [note.hu for note in scan.notes if isinstance(note, PaddingInsideImage)]


def test_padding_within_the_body_stays_and_is_doubted(tmp_path: Path) -> None:
    """Intercept 0 and a padding value of 0: water."""
    hu = _of_water(tmp_path / "ct", 0, 40)
    scan = read_scan(tmp_path / "ct")
    hu[:, :2, :3] = hu[:, -3:, -1:] = AIR_HU
    np.testing.assert_array_equal(scan.hu, hu)
    (note,) = scan.notes
    assert note == PaddingInsideImage(voxels=18, share=18 / hu.size, hu=0, became_hu=None)
    assert words(note) == (
        "18 voxels inside the image (2.3 %) hold the PixelPaddingValue (0 HU) and may be tissue; "
        "they are left as stored; check PixelPaddingValue"
    )


def test_padding_denser_than_any_tissue_is_air_everywhere(tmp_path: Path) -> None:
    hu = _of_water(tmp_path / "ct", 20000, 40)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.hu, np.where(hu == 20000, AIR_HU, hu))
    note = PaddingInsideImage(voxels=18, share=18 / hu.size, hu=20000, became_hu=AIR_HU)
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
    """Shoulders, or a large patient: tissue reaches the border beside measured air."""
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
