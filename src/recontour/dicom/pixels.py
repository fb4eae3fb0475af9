"""The stored pixels of one file.

They are checked before they are decoded: decoders make room for what a file claims to hold before
they see that it is not there.
"""

import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from recontour.dicom.ct_findings import (
    ContradictoryBits,
    FractionalPixels,
    HugeImage,
    NoPixels,
    UndecodablePixels,
)
from recontour.dicom.decoding import PLUGINS
from recontour.dicom.reading import text, unknown_syntax, value
from recontour.errors import DicomError, NotDicomError

MOST_PIXELS = 4096 * 4096  # of one image
MOST_VOXELS = 1024 * 512 * 512  # of one CT: no head and neck has more, and memory would not hold it
# the three attributes that may hold pixels; only whole numbers are read
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
# how compressed images state their size: SIZ of JPEG 2000, SOF of JPEG and JPEG-LS
CODESTREAM = re.compile(
    rb"\xff\x4f\xff\x51.{4}(.{4})(.{4}).{24}(..)"
    rb"|\xff[\xc0-\xcf\xf7]\x00[\x0b\x0e\x11\x14].(..)(..)",
    re.DOTALL,
)
UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
# what the header of nearly all CT says: one uncompressed grey image of 16 bits
USUAL = {
    "SamplesPerPixel": (1,),
    "BitsAllocated": (16,),
    "BitsStored": range(1, 17),
    "PhotometricInterpretation": ("MONOCHROME2",),
    "PixelRepresentation": (0, 1),
    "NumberOfFrames": (None, 1),
}

Pixels = npt.NDArray[Any]  # whole numbers of any size


def stored_pixels(dataset: Dataset, path: Path) -> Pixels:
    """Decode the stored pixels of a file.

    Returns: whole numbers, (row, column), or (frame, row, column) of several frames.
    Raises: DicomError: more pixels than a CT has, not whole numbers, or unclear which bits count.
        NotDicomError: no pixels, or pixels that cannot be decoded.
    """
    _refuse_unclear_bits(dataset, path)
    usual = _usual_pixels(dataset)
    if usual is not None:
        return usual
    _refuse_unread(dataset, path)
    _refuse_huge(dataset, path)
    syntax = dataset.file_meta.TransferSyntaxUID
    dataset.pixel_array_options(decoding_plugin=PLUGINS.get(syntax, ""))
    try:
        pixels = np.asarray(dataset.pixel_array)
    except Exception as error:  # decoders raise almost anything on damaged pixels
        reason = type(error).__name__
        raise NotDicomError(
            UndecodablePixels(path=path, reason=reason, is_compressed=syntax.is_compressed)
        ) from error
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize > 4:
        raise DicomError(FractionalPixels(path=path, kind=str(pixels.dtype)))
    return pixels


def _refuse_unclear_bits(dataset: Dataset, path: Path) -> None:
    allocated = value(dataset, "BitsAllocated")
    stored = value(dataset, "BitsStored")
    if not isinstance(stored, int) or stored == allocated:
        return
    if value(dataset, "HighBit") not in (None, stored - 1):
        raise DicomError(ContradictoryBits(path=path))


def _usual_pixels(dataset: Dataset) -> Pixels | None:
    """Return the pixels of a usual CT image without pydicom's decoder; None for any other image."""
    if not _is_usual(dataset):
        return None
    shape = value(dataset, "Rows"), value(dataset, "Columns")
    element = dataset.get_item("PixelData")
    pixels = None if element is None else element.value
    if not all(isinstance(side, int) for side in shape) or not isinstance(pixels, bytes):
        return None
    if len(pixels) != 2 * prod(shape) or prod(shape) > MOST_PIXELS:
        return None
    is_signed = value(dataset, "PixelRepresentation")
    stored = np.frombuffer(pixels, dtype="<i2" if is_signed else "<u2").reshape(shape)
    unused_bits = 16 - value(dataset, "BitsStored")
    usual: Pixels = stored << unused_bits >> unused_bits if unused_bits else stored
    return usual


def _is_usual(dataset: Dataset) -> bool:
    if value(dataset.file_meta, "TransferSyntaxUID") not in UNCOMPRESSED:
        return False
    return all(value(dataset, keyword) in usual for keyword, usual in USUAL.items())


def _refuse_unread(dataset: Dataset, path: Path) -> None:
    """Raise NotDicomError if the pixels have an encoding that is not read, or are not there."""
    syntax = UID(text(dataset.file_meta, "TransferSyntaxUID"))
    try:
        is_read = get_decoder(syntax).is_available
    except NotImplementedError:
        is_read = False
    if not is_read:
        raise NotDicomError(unknown_syntax(path, syntax))
    if not any(tag in dataset for tag in PIXEL_TAGS):
        raise NotDicomError(NoPixels(path=path))


def _refuse_huge(dataset: Dataset, path: Path) -> None:
    """Raise DicomError if the header or the compressed pixels claim more pixels than a CT has."""
    rows, columns, samples, frames = (
        int(value(dataset, keyword) or 1)
        for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    )
    largest = max(rows * columns * samples, _largest_codestream(dataset))
    if largest > MOST_PIXELS or largest * frames > MOST_VOXELS:
        raise DicomError(
            HugeImage(
                path=path,
                frames=frames,
                pixels=largest,
            )
        )


def _largest_codestream(dataset: Dataset) -> int:
    """Return the size that compressed pixels claim to have; 0 if they claim none."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return 0  # in plain pixels the same bytes are mere numbers
    pixels = dataset.get("PixelData")
    if not isinstance(pixels, bytes):
        return 0
    largest = 0
    for claim in CODESTREAM.finditer(pixels):
        sides = (int.from_bytes(number or b"\1") for number in claim.groups())
        largest = max(largest, prod(sides))
    return largest
