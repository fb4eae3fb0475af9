"""Faults found by fuzzing (benchmarks/fuzz.py) or by thinking of hostile files, a test each."""

import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless
from tests.dicom.conftest import edit, make_scan, make_structure_set, recode
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    Authorship,
    pixels,
    read_archive,
    read_rois,
    read_scan,
    read_structure_set,
    write_structure_set,
)
from recontour.dicom.deidentify import deidentify
from recontour.errors import DicomError, NotDicomError, RescaleError
from recontour.geometry import Structure, StructureSet, trace

LIMIT = 64 << 20  # bytes; the files of these tests have less than 1 MB
MIB = 1 << 20


@contextmanager
def little_memory() -> Iterator[None]:
    """Whatever the block does, Python and NumPy may not have asked for more than LIMIT at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    make_structure_set(tmp_path / "rs.dcm", make_scan(tmp_path / "ct"))
    return tmp_path / "rs.dcm"


def raw(holder: Dataset, keyword: str, value: bytes, vr: str) -> None:
    """Give an attribute a value that pydicom would not let through."""
    tag = Tag(keyword)
    holder[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    holder.set_original_encoding(False, True, "iso8859")


def deflated_with(path: Path, more: bytes, times: int) -> None:
    """Deflate a file, and `times` more bytes like `more` into it."""
    recode(path, DeflatedExplicitVRLittleEndian)
    data = path.read_bytes()
    end_of_meta = 144 + struct.unpack("<I", data[140:144])[0]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = deflate.compress(zlib.decompress(data[end_of_meta:], -zlib.MAX_WBITS)) + deflate.flush(
        zlib.Z_FULL_FLUSH
    )
    block = deflate.compress(more) + deflate.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(data[:end_of_meta] + start + block * times + deflate.flush())


@pytest.mark.parametrize("at_the_end", [False, True])
def test_an_attribute_that_claims_4_gib_is_cut_off(drawn: Path, at_the_end: bool) -> None:
    """Python makes room for what is asked for before it reads."""
    whole = drawn.read_bytes()
    claim = b"\x09\x00\x10\x10OB\0\0" + struct.pack("<I", 0xFFFFFFFE)
    at = len(whole) if at_the_end else whole.index(b"\x06\x30\x02\x00")
    drawn.write_bytes(whole[:at] + claim + whole[at:])
    with little_memory(), pytest.raises(NotDicomError, match="cut off"):
        read_structure_set(drawn, None)


def test_a_deflated_file_that_grows_without_end_is_refused(drawn: Path) -> None:
    deflated_with(
        drawn, b"\x09\x00\x10\x10OB\0\0" + struct.pack("<I", 0x7FFFFFFF) + bytes(MIB), 2000
    )
    assert drawn.stat().st_size < 10 * MIB
    with little_memory(), pytest.raises(NotDicomError, match="far more data than"):
        read_structure_set(drawn, None)
    archive = read_archive(drawn.parent)
    assert [found.path for found in archive.unreadable] == [drawn]


def test_an_empty_slice_may_deflate_to_almost_nothing(tmp_path: Path) -> None:
    scan = make_scan(tmp_path / "ct", make_grid((2, 512, 512)))

    def empty(image: Dataset) -> None:
        image.PixelData = bytes(len(image.PixelData))

    edit(tmp_path / "ct", empty)
    for file in (tmp_path / "ct").iterdir():
        recode(file, DeflatedExplicitVRLittleEndian)
        assert file.stat().st_size < 3000
    again = read_scan(tmp_path / "ct")
    assert again.grid == scan.grid
    assert not again.hu.any()


def test_a_flood_of_attributes_is_refused(drawn: Path) -> None:
    """Zeros are attributes without a value, eight bytes each."""
    whole = drawn.read_bytes()
    drawn.write_bytes(whole + bytes(8 * 60_000))
    with pytest.raises(NotDicomError, match="far more data than"):
        read_structure_set(drawn, None)


@pytest.mark.parametrize("depth", [400, 20_000])
@pytest.mark.parametrize("keyword", ["StructureSetROISequence", "RequestAttributesSequence"])
def test_sequences_within_sequences_without_end(drawn: Path, depth: int, keyword: str) -> None:
    whole = drawn.read_bytes()
    tag = struct.pack("<HH", Tag(keyword).group, Tag(keyword).element)
    start = tag + b"\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    drawn.write_bytes(whole + start * depth + end * depth)
    with pytest.raises(NotDicomError, match="damaged"):
        read_structure_set(drawn, None)


def _largest_matrix(image: Dataset) -> None:
    image.Rows = image.Columns = 65535


@pytest.mark.parametrize(
    "claim",
    [
        _largest_matrix,
        lambda image: setattr(image, "NumberOfFrames", 2**31 - 1),
        lambda image: setattr(image, "SamplesPerPixel", 65535),
    ],
)
def test_an_image_that_claims_to_be_huge_is_not_decoded(
    tmp_path: Path, claim: Callable[[Dataset], None]
) -> None:
    make_scan(tmp_path / "ct", make_grid((1, 64, 64)))
    edit(
        tmp_path / "ct",
        lambda image: image.compress("1.2.840.10008.1.2.5", generate_instance_uid=False),
    )
    edit(tmp_path / "ct", claim)
    with little_memory(), pytest.raises(DicomError, match="no CT is that large"):
        read_scan(tmp_path / "ct")


def test_a_plain_image_larger_than_any_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_scan(tmp_path / "ct", make_grid((1, 6, 8)))
    monkeypatch.setattr(pixels, "MOST_PIXELS", 47)
    with pytest.raises(DicomError, match="48 pixels; no CT is that large"):
        read_scan(tmp_path / "ct")


def test_a_codestream_that_claims_to_be_huge_is_not_decoded(tmp_path: Path) -> None:
    """The decoder believes the codestream, not Rows and Columns, and makes room outside Python's
    sight.
    """
    make_scan(tmp_path / "ct", make_grid((1, 64, 64)))
    edit(
        tmp_path / "ct", lambda image: image.compress(JPEG2000Lossless, generate_instance_uid=False)
    )
    (file,) = (tmp_path / "ct").iterdir()
    data = bytearray(file.read_bytes())
    size = data.index(b"\xff\x4f\xff\x51") + 8
    data[size : size + 8] = struct.pack(">II", 60_000, 60_000)
    file.write_bytes(data)
    with pytest.raises(DicomError, match=r"1 image of 3,600,000,000 pixels"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize(
    "header", [(2, 64, 64), (2, 64, 4160), (2, 0, 0), (15, 64, 65), (2, 64, 4_000_000_000)]
)
def test_damaged_rle_pixels_are_named(tmp_path: Path, header: tuple[int, ...]) -> None:
    """pylibjpeg-rle panics here, which is no `Exception`."""
    make_scan(tmp_path / "ct", make_grid((1, 64, 64)))
    edit(tmp_path / "ct", lambda image: image.compress(RLELossless, generate_instance_uid=False))
    (file,) = (tmp_path / "ct").iterdir()
    data = bytearray(file.read_bytes())
    # two segments, the first of which begins behind this header
    at = data.index(struct.pack("<2I", 2, 64))
    data[at : at + 12] = struct.pack("<3I", *header)
    data[at + 70 : at + 90] = b"\x7f" * 20
    file.write_bytes(data)
    with pytest.raises(NotDicomError, match="the pixels cannot be decoded"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize("value", ["1e30", "-1e30", "1e308", "NaN", "inf", "-inf"])
@pytest.mark.parametrize(
    "keyword",
    [
        "RescaleSlope",
        "RescaleIntercept",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
    ],
)
def test_numbers_that_no_ct_has(tmp_path: Path, keyword: str, value: str) -> None:
    make_scan(tmp_path / "ct")
    count = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}.get(
        keyword, 1
    )
    edit(
        tmp_path / "ct",
        lambda image: raw(image, keyword, b"\\".join([value.encode()] * count), "DS"),
    )
    with pytest.raises(DicomError, match=f"CT0001.dcm: {keyword} does not hold {count} number"):
        read_scan(tmp_path / "ct")


@pytest.mark.parametrize("spacing", ["1e-300", "1e-5", "-1"])
def test_pixels_finer_than_any_scanner_s(tmp_path: Path, spacing: str) -> None:
    make_scan(tmp_path / "ct")
    edit(
        tmp_path / "ct",
        lambda image: raw(image, "PixelSpacing", f"{spacing}\\{spacing}".encode(), "DS"),
    )
    with pytest.raises(DicomError, match="PixelSpacing is"):
        read_scan(tmp_path / "ct")


def test_pixels_that_are_no_whole_numbers(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")

    def to_float(image: Dataset) -> None:
        del image.PixelData
        image.BitsAllocated = 32
        image.FloatPixelData = np.full((6, 8), np.nan, np.float32).tobytes()

    edit(tmp_path / "ct", to_float)
    with pytest.raises(DicomError, match="pixels of type float32; whole numbers"):
        read_scan(tmp_path / "ct")


def test_a_coordinate_as_long_as_a_book(drawn: Path) -> None:
    """NumPy gives every text of an array the length of the longest."""
    value = b"1\\2\\" * 5000 + b"1" * 40_000 + b"\\2 "
    edit(
        drawn,
        lambda data: raw(data.ROIContourSequence[0].ContourSequence[0], "ContourData", value, "DS"),
    )
    (roi,) = read_rois(drawn, None)
    with little_memory(), pytest.raises(DicomError, match="coordinates that are not numbers"):
        roi.contours()


def test_text_is_one_line_that_steers_no_terminal(drawn: Path) -> None:
    name = b"A\nB\x1b[0m\xe2\x80\xae"
    data = drawn.read_bytes()  # by hand: pydicom would not write it
    at = data.index(b"\x06\x30\x26\x00\x0a\0\0\0Brainstem ")
    drawn.write_bytes(data[: at + 8] + name[:10].ljust(10) + data[at + 18 :])
    (roi,) = read_rois(drawn, None)
    assert roi.name == "A B\ufffd[0m\ufffd"


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"]
)
@pytest.mark.parametrize("uid", [b"../../etc", b"1.2\x1b[2J", b"1." * 40, b"\xb1\xe8"])
def test_what_is_no_uid_is_not_referenced(tmp_path: Path, keyword: str, uid: bytes) -> None:
    make_scan(tmp_path / "ct", make_grid((1, 4, 4)))
    edit(tmp_path / "ct", lambda image: raw(image, keyword, uid, "UI"))
    scan = read_scan(tmp_path / "ct")
    with pytest.raises(DicomError, match="at most 64 digits and points"):
        write_structure_set(tmp_path / "rs.dcm", StructureSet(()), scan, Authorship("model"))
    assert not (tmp_path / "rs.dcm").exists()


def spliced(ct: Path, sequence: bytes) -> None:
    """Give a CT's slices an attribute that pydicom would not write."""
    for path in ct.iterdir():
        whole = path.read_bytes()
        at = whole.index(b"\x18\x00\x50\x00DS")
        path.write_bytes(whole[:at] + sequence + whole[at:])


def nested(tag: bytes, depth: int, value: bytes = b"") -> bytes:
    """So many sequences within each other, of stated length."""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
        value = tag + b"SQ\0\0" + struct.pack("<I", len(item)) + item
    return value


# sequences that are carried over, or kept
METHODS, DIMENSIONS = (
    b"\x12\x00\x64\x00",
    b"\x20\x00\x22\x92",
)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ct: edit(
            ct, lambda image: image.add(DataElement(Tag("PatientSex"), "SQ", [Dataset()]))
        ),
        # pydicom wrote 249, and filled all memory with words at 250
        lambda ct: spliced(ct, nested(METHODS, 250)),
        lambda ct: spliced(ct, nested(METHODS, 1, b"AAAAAA\2\0AA")),
    ],
    ids=["of another type", "of too many sequences", "of a type that there is not"],
)
def test_an_attribute_that_cannot_be_written_is_not_carried_over(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    make_scan(tmp_path / "ct")
    spoil(tmp_path / "ct")
    scan = read_scan(tmp_path / "ct")
    mask = np.zeros(scan.grid.shape, dtype=bool)
    mask[0, 1:3, 1:3] = True
    brainstem = StructureSet((Structure("Brainstem", trace(mask, scan.grid)),))
    write_structure_set(tmp_path / "rs.dcm", brainstem, scan, Authorship("model"))
    assert read_structure_set(tmp_path / "rs.dcm", scan).names == ("Brainstem",)


def test_sequences_without_end_are_not_deidentified(tmp_path: Path) -> None:
    make_scan(tmp_path / "in" / "ct")
    spliced(tmp_path / "in" / "ct", nested(DIMENSIONS, 250))
    deidentify(tmp_path / "in", tmp_path / "out")
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm")]
    assert written
    assert all(0 < data.count(DIMENSIONS) < 10 for data in written)


def test_pipes_and_devices_are_passed_over(drawn: Path) -> None:
    """Whoever opens a pipe waits for its other end."""
    os.mkfifo(drawn.parent / "pipe.dcm")
    (drawn.parent / "zero.dcm").symlink_to("/dev/zero")
    (drawn.parent / "gone.dcm").symlink_to("/nowhere")
    archive = read_archive(drawn.parent)
    assert len(archive.pairs) == 1
    assert [found.path.name for found in archive.unreadable] == ["gone.dcm"]


def test_a_slope_of_nothing_but_digits_is_no_slope(tmp_path: Path) -> None:
    make_scan(tmp_path / "ct")
    edit(tmp_path / "ct", lambda image: raw(image, "RescaleSlope", b"0" * 400, "DS"))
    with pytest.raises(RescaleError, match="RescaleSlope is 0"):
        read_scan(tmp_path / "ct")
