import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)
from tests.dicom.conftest import (
    block,
    edit,
    make_scan,
    make_structure_set,
    recode,
)
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    ScanIdentity,
    read_archive,
    read_scan,
    read_structure_set,
    write_scan,
)
from recontour.dicom.findings import UnsupportedTransferSyntax
from recontour.dicom.reading import unknown_syntax
from recontour.errors import (
    DicomError,
    NotDicomError,
)
from recontour.findings import stored_words
from recontour.geometry import rasterise


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
        expected = UnsupportedTransferSyntax(
            path=path, uid=syntax, name="GE private, pixels in big endian"
        )
    else:
        expected = UnsupportedTransferSyntax(path=path, foreign_uid=syntax)
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
        # in its place; pydicom would not write all of them
        padded = str(syntax).encode().ljust(24, b"\0")
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
    assert unknown_syntax(path, "") == UnsupportedTransferSyntax(path=path)
    foreign = unknown_syntax(path, "1.2.4711")
    assert foreign == UnsupportedTransferSyntax(path=path, foreign_uid="1.2.4711")
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
