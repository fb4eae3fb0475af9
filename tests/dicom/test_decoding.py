"""Compressed pixels become what was compressed: all numbers of bits, signs and syntaxes."""

import os
import signal
from pathlib import Path

import imagecodecs
import jpeg_ls
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)
from tests.dicom.conftest import edit, make_scan
from tests.geometry.conftest import make_grid

from recontour.dicom import read_scan
from recontour.dicom.pixels import stored_pixels
from recontour.errors import NotDicomError

SHAPE = (21, 34)


def plane(bits: int, is_signed: bool) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Noise over the whole range that so many bits hold."""
    least = -(1 << (bits - 1)) if is_signed else 0
    return np.random.default_rng(bits).integers(least, least + (1 << bits), SHAPE)


def as_bits(
    pixels: np.ndarray[tuple[int, int], np.dtype[np.int64]], bits: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8 | np.uint16]]:
    """The pixels' two's complement in so many bits, which is what a stream holds."""
    return (pixels & ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def image_of(stream: bytes | bytearray, syntax: UID, bits: int, is_signed: bool = False) -> Dataset:
    image = Dataset()
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = syntax
    image.Rows, image.Columns = SHAPE
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = 8 if bits <= 8 else 16
    image.BitsStored, image.HighBit, image.PixelRepresentation = bits, bits - 1, int(is_signed)
    image.PixelData = encapsulate([bytes(stream)])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    return image


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 13, 16])
@pytest.mark.parametrize("predictor", [1, 4, 7])
def test_lossless_jpeg(predictor: int, bits: int, is_signed: bool) -> None:
    pixels = plane(bits, is_signed)
    stream = imagecodecs.jpeg_encode(
        as_bits(pixels, bits), lossless=True, predictor=predictor, bitspersample=bits
    )
    syntax = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
    np.testing.assert_array_equal(
        stored_pixels(image_of(stream, syntax, bits, is_signed), Path("x")), pixels
    )


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 13, 16])
def test_lossless_jpeg_ls(bits: int, is_signed: bool) -> None:
    """Made by pyjpegls, which tells the decoder, as most do, how many bits there are."""
    pixels = plane(bits, is_signed)
    stream = bytes(jpeg_ls.encode_array(as_bits(pixels, bits)))
    np.testing.assert_array_equal(
        stored_pixels(image_of(stream, JPEGLSLossless, bits, is_signed), Path("x")), pixels
    )


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_near_lossless_jpeg_ls_is_as_near_as_it_says(bits: int) -> None:
    pixels = plane(bits, is_signed=False)
    stream = bytes(jpeg_ls.encode_array(as_bits(pixels, bits), lossy_error=3))
    read = stored_pixels(image_of(stream, JPEGLSNearLossless, bits), Path("x"))
    assert 0 < np.abs(read.astype(int) - pixels).max() <= 3


@pytest.mark.parametrize(
    ("syntax", "bits"), [(JPEGBaseline8Bit, 8), (JPEGExtended12Bit, 8), (JPEGExtended12Bit, 12)]
)
def test_lossy_jpeg(syntax: UID, bits: int) -> None:
    """An orthonormal transform of 8 x 8 is quantised by 1, so a pixel is off by at most 4.5."""
    pixels = plane(bits, is_signed=False)
    stream = imagecodecs.jpeg_encode(as_bits(pixels, bits), level=100, bitspersample=bits)
    read = stored_pixels(image_of(stream, syntax, bits), Path("x"))
    assert np.abs(read.astype(int) - pixels).max() <= 5


def test_a_12_bit_jpeg_of_another_maker_at_which_pylibjpeg_gave_up() -> None:
    """One of pydicom's own files, in which pylibjpeg-libjpeg found a misplaced marker."""
    image = dcmread(str(get_testdata_file("JPEG-lossy.dcm")))
    pixels = stored_pixels(image, Path("x"))
    assert pixels.shape == (1024, 256)
    assert pixels.max() < 4096
    assert np.ptp(pixels) > 100


@pytest.mark.parametrize("sample", ["SC_rgb_jpeg_gdcm.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_colour_is_told_from_damage(sample: str) -> None:
    pixels = stored_pixels(dcmread(str(get_testdata_file(sample))), Path("x"))
    assert pixels.shape == (100, 100, 3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1])
def test_a_stream_that_was_cut_off_is_refused_at_once(
    tmp_path: Path, syntax: UID, share: float
) -> None:
    """Else the decoders search without end (JPEG-LS), or make up what is missing (JPEG)."""
    make_scan(tmp_path / "ct", make_grid((2, *SHAPE)))
    pixels = as_bits(plane(12, is_signed=False), 12)
    stream: bytes | bytearray
    if syntax == JPEGLSLossless:
        stream = imagecodecs.jpegls_encode(pixels)
    else:
        stream = imagecodecs.jpeg_encode(pixels, lossless=True, predictor=1, bitspersample=12)
    stream = stream[: int(share * len(stream))]

    def cut(image: Dataset) -> None:
        image.update(image_of(stream, syntax, 12))
        image.file_meta.TransferSyntaxUID = syntax

    edit(tmp_path / "ct", cut)
    with pytest.raises(NotDicomError, match="cannot be decoded"):
        read_scan(tmp_path / "ct")


def test_damage_within_a_jpeg_ls_ends_in_an_error_or_pixels(tmp_path: Path) -> None:
    """In a process of its own, which is ended where a decoder does not end or crashes."""
    stream = bytes(imagecodecs.jpegls_encode(as_bits(plane(12, is_signed=False), 12)))
    rng = np.random.default_rng(0)
    streams = []
    for _ in range(60):
        start, stop = sorted(rng.integers(4, len(stream) - 2, 2))
        streams += [
            stream[:start] + stream[stop:],
            stream[:start] + rng.bytes(stop - start) + stream[stop:],
        ]
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        for one in streams:
            try:
                stored_pixels(image_of(one, JPEGLSLossless, 12), Path("x"))
            except NotDicomError:
                continue
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_frames_of_one_file_are_decoded_one_by_one() -> None:
    first, second = plane(12, is_signed=False), plane(12, is_signed=False)[::-1]
    streams = [bytes(imagecodecs.jpegls_encode(as_bits(one, 12))) for one in (first, second)]
    image = image_of(streams[0], JPEGLSLossless, 12)
    image.NumberOfFrames, image.PixelData = 2, encapsulate(streams)
    image["PixelData"].is_undefined_length = True
    assert len(list(generate_frames(image.PixelData, number_of_frames=2))) == 2
    np.testing.assert_array_equal(stored_pixels(image, Path("x")), np.stack([first, second]))
