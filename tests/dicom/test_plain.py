"""In plain files the same is found as by pydicom's reader, which reads all others."""

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.filereader import read_partial
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)
from tests.dicom.conftest import edit, make_scan, make_structure_set, recode

from recontour.dicom import read_series, read_structure_set
from recontour.dicom.plain import NotPlainError, plain_dataset, plain_items, plain_value, tag_of
from recontour.dicom.reading import (
    HEAD,
    HEADER_END,
    items_of,
    read_dataset,
    read_header,
    text,
)
from recontour.dicom.silence import silence

IMAGE, CONTOURS = "CT0001.dcm", "rs.dcm"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image in explicit VR, and a structure set in implicit VR."""
    scan = make_scan(tmp_path / "ct")
    (tmp_path / "ct" / IMAGE).rename(tmp_path / IMAGE)
    make_structure_set(tmp_path / CONTOURS, scan, ("Brainstem", "Größe"))
    return tmp_path


def elements(dataset: Dataset) -> dict[int, object]:
    """Return what pydicom converts attributes by; it converts the character set at once."""
    return {
        int(tag): tuple(raw)
        for tag, raw in dataset._dict.items()
        if isinstance(raw, RawDataElement) and tag != 0x00080005
    }


def by_pydicom(data: bytes, until: int | None) -> Dataset:
    return read_partial(
        BytesIO(data), stop_when=lambda tag, vr, length: until is not None and tag >= until
    )


@pytest.mark.parametrize("name", [IMAGE, CONTOURS])
@pytest.mark.parametrize("until", [None, HEADER_END, 0x00200000])
def test_plain_files_are_read_as_pydicom_reads_them(
    folder: Path, name: str, until: int | None
) -> None:
    data = (folder / name).read_bytes()
    found, expected = plain_dataset(data, until, None, is_whole=True), by_pydicom(data, until)
    assert found is not None
    assert elements(found) == elements(expected)
    assert found.keys() == expected.keys()
    assert found.original_encoding == expected.original_encoding
    assert found.original_character_set == expected.original_character_set
    assert found == Dataset(expected)
    assert found.file_meta == expected.file_meta


@pytest.mark.parametrize("name", [IMAGE, CONTOURS])
def test_changed_files_are_read_as_pydicom_reads_them_or_left_to_it(
    folder: Path, name: str
) -> None:
    data, dice, plain = bytearray((folder / name).read_bytes()), random.Random(0), 0
    for _ in range(3000):
        changed = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            changed[dice.randrange(132, min(len(data), 2500))] = dice.choice(
                (0, 1, 8, 65, 255, dice.randrange(256))
            )
        whole = bytes(changed[: dice.choice((len(data), dice.randrange(140, len(data))))])
        with silence():
            try:
                found = plain_dataset(whole, None, None, is_whole=True)
            except (ValueError, LookupError) as error:  # of an odd character set
                with pytest.raises(type(error)):
                    by_pydicom(whole, None)
            else:
                if found is not None:
                    plain += 1
                    assert elements(found) == elements(by_pydicom(whole, None))
    assert plain > 100


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_are_left_to_pydicom(folder: Path, syntax: UID) -> None:
    recode(folder / IMAGE, syntax)
    assert plain_dataset((folder / IMAGE).read_bytes(), None, None, is_whole=True) is None
    assert text(read_dataset(folder / IMAGE), "Modality") == "CT"


def test_the_beginning_is_enough_only_if_all_that_is_asked_for_is_in_it(folder: Path) -> None:
    data = (folder / IMAGE).read_bytes()
    pixels = data.index(b"\xe0\x7f\x10\x00")
    assert plain_dataset(data[: pixels + 8], HEADER_END, None, is_whole=False) is not None
    assert plain_dataset(data[:pixels], HEADER_END, None, is_whole=False) is None
    assert plain_dataset(data[:pixels], HEADER_END, None, is_whole=True) is not None


def test_an_attribute_longer_than_what_is_read_first_is_passed(folder: Path) -> None:
    edit(folder / IMAGE, lambda image: image.add_new(0x00091010, "OB", b"\0" * HEAD))
    assert text(read_header(folder / IMAGE, ("SeriesInstanceUID",)), "SeriesInstanceUID")


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "ImagePositionPatient"])
def test_a_plain_value_is_what_pydicom_makes_of_it(keyword: str) -> None:
    """Or nothing is: then pydicom is asked."""
    dice, vr = random.Random(0), "UI" if keyword == "SOPInstanceUID" else "DS"
    plain = 0
    for _ in range(5000):
        encoded = bytes(
            dice.choices(
                b"0123456789.-+\\ \0eE_n",
                [9] * 10 + [6, 3, 2, 4, 3, 1, 1, 1, 1, 1],
                k=dice.randint(1, 12),
            )
        )
        if (found := plain_value(vr, encoded)) is not None:
            plain += 1
            raw = RawDataElement(tag_of(keyword), vr, len(encoded), encoded, 0, False, True)
            with silence():
                expected = convert_raw_data_element(raw).value
            assert found == (expected if isinstance(expected, str | float) else tuple(expected))
    assert plain > 500


@pytest.mark.parametrize("encoded", [b"1.2.3 ", b"1.2\\1.3", b"1.x", b"1.2\0\0", b""])
def test_a_uid_in_another_spelling_is_left_to_pydicom(encoded: bytes) -> None:
    assert plain_value("UI", encoded) is None


@pytest.mark.parametrize(
    "encoded", [b"1e5", b"1_0", b"NaN", b"inf", b"1\\", b"1.0\0", b"0x1", b"\xd9\xa1", b""]
)
def test_a_number_in_another_spelling_is_left_to_pydicom(encoded: bytes) -> None:
    assert plain_value("DS", encoded) is None


def test_a_tag_is_always_the_same_object() -> None:
    assert tag_of("Rows") is tag_of(0x00280010)


def test_items_of_a_sequence_are_those_that_pydicom_finds(folder: Path) -> None:
    (roi, _) = read_dataset(folder / CONTOURS)["ROIContourSequence"].value
    encoded = roi.get_item("ContourSequence").value
    assert isinstance(encoded, bytes)
    found = [text(item, "ContourNumber") for item in items_of(roi, "ContourSequence")]
    assert found == [str(item.ContourNumber) for item in roi.ContourSequence]
    for damaged in (encoded[:-1], b"\0" + encoded, encoded[:4] + b"\xff\xff\xff\xff" + encoded[8:]):
        with pytest.raises(NotPlainError):
            list(plain_items(damaged, implicit=True))


def test_a_structure_set_of_unknown_lengths_is_read_alike(folder: Path, tmp_path: Path) -> None:
    def unknown(dataset: Dataset) -> None:
        for element in dataset.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True

    expected = read_structure_set(folder / CONTOURS, None)
    edit(folder / CONTOURS, unknown)
    assert b"\xff\xff\xff\xff" in (folder / CONTOURS).read_bytes()
    found = read_structure_set(folder / CONTOURS, None)
    assert found.names == expected.names
    for one, other in zip(found.structures, expected.structures, strict=True):
        for mine, theirs in zip(one.contours, other.contours, strict=True):
            np.testing.assert_array_equal(mine.points_mm, theirs.points_mm)
            assert mine.z_mm == theirs.z_mm


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_plain_pixels_are_those_of_pydicom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed: int, bits: int
) -> None:
    """Also where unused bits hold something."""
    make_scan(tmp_path / "ct")
    pixels = np.random.default_rng(bits).integers(0, 2**16, 48, dtype=np.uint16)

    def change(image: Dataset) -> None:
        image.PixelData, image.PixelRepresentation = pixels.tobytes(), signed
        image.BitsStored, image.HighBit = bits, bits - 1

    edit(tmp_path / "ct", change)
    found = read_series(sorted((tmp_path / "ct").iterdir())).hu
    image = pydicom.dcmread(min((tmp_path / "ct").iterdir()))
    np.testing.assert_array_equal(found[0], image.pixel_array)
    monkeypatch.setattr("recontour.dicom.pixels._usual_pixels", lambda dataset: None)
    np.testing.assert_array_equal(read_series(sorted((tmp_path / "ct").iterdir())).hu, found)


def test_one_transfer_syntax_that_lies_is_left_to_pydicom(folder: Path) -> None:
    """Explicit VR that is said to be implicit: pydicom sees it by itself."""
    data = (folder / IMAGE).read_bytes()
    explicit = b"1.2.840.10008.1.2.1\0"
    lying = data.replace(explicit, ImplicitVRLittleEndian.encode().ljust(len(explicit), b"\0"), 1)
    assert plain_dataset(lying, None, None, is_whole=True) is None
