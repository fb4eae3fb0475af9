"""The stored pixels of a file."""

import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from recontour.dicom.decoding import PLUGINS
from recontour.dicom.reading import (
    text,
    unknown_syntax,
    value,
)
from recontour.errors import (
    DicomError,
    NotDicomError,
)

MOST_PIXELS = 4096 * 4096  # of one image, and
MOST_VOXELS = (
    1024 * 512 * 512
)  # of one CT: more is no head and neck, and would not fit into the memory
PIXELS = (
    0x7FE00008,
    0x7FE00009,
    0x7FE00010,
)  # of one of three types, of which the whole numbers are read
# how compressed images tell their size: SIZ of JPEG 2000, SOF of JPEG and JPEG-LS
CODESTREAM = re.compile(
    rb"\xff\x4f\xff\x51.{4}(.{4})(.{4}).{24}(..)|\xff[\xc0-\xcf\xf7]\x00[\x0b\x0e\x11\x14].(..)(..)",
    re.DOTALL,
)


def stored_pixels(dataset: Dataset, path: Path) -> npt.NDArray[Any]:
    """The stored pixels of a file: whole numbers, (row, column), of several frames (frame, row,
    column).

    Raises: DicomError: there are more than a CT has, they cannot be decoded, which bits are theirs
        is unclear, or they are no whole numbers.
    """
    allocated, stored, highest = (
        value(dataset, keyword) for keyword in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if isinstance(stored, int) and stored != allocated and highest not in (None, stored - 1):
        raise DicomError(
            f"{path}: HighBit is not BitsStored - 1, so that its pixels are unclear; export it again"
        )
    if (plain := _plain_pixels(dataset)) is not None:
        return plain
    _refuse_unread(dataset, path)
    _refuse_huge(dataset, path)
    dataset.pixel_array_options(
        decoding_plugin=PLUGINS.get(dataset.file_meta.TransferSyntaxUID, "")
    )
    try:
        pixels = np.asarray(dataset.pixel_array)
    except Exception as error:  # decoders raise almost anything on damaged pixels
        how = ", uncompressed" if dataset.file_meta.TransferSyntaxUID.is_compressed else ""
        raise NotDicomError(
            f"{path}: its pixels cannot be decoded, or are not as many as it says ({type(error).__name__}); "
            f"copy or export the file again{how}"
        ) from error
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize > 4:
        raise DicomError(
            f"{path}: pixels of type {pixels.dtype}; whole numbers of at most 32 bits are expected. Give the plain CT"
        )
    return pixels


def _plain_pixels(dataset: Dataset) -> npt.NDArray[Any] | None:
    """The pixels of one uncompressed image of 16 bits, as nearly all CT is; None of any other."""
    element = dataset.get_item("PixelData")
    pixels = None if element is None else element.value
    shape = value(dataset, "Rows"), value(dataset, "Columns")
    expected = {
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "PhotometricInterpretation": "MONOCHROME2",
    }
    signed, stored_bits = value(dataset, "PixelRepresentation"), value(dataset, "BitsStored")
    if (
        value(dataset.file_meta, "TransferSyntaxUID")
        not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
        or any(value(dataset, keyword) != wanted for keyword, wanted in expected.items())
        or value(dataset, "NumberOfFrames") not in (None, 1)
        or signed not in (0, 1)
        or stored_bits not in range(1, 17)
        or not all(isinstance(side, int) for side in shape)
        or not isinstance(pixels, bytes)
        or len(pixels) != 2 * prod(shape)
        or prod(shape) > MOST_PIXELS
    ):
        return None
    stored = np.frombuffer(pixels, dtype="<i2" if signed else "<u2").reshape(shape)
    unused = 16 - stored_bits
    return stored << unused >> unused if unused else stored


def _refuse_unread(dataset: Dataset, path: Path) -> None:
    """Raise where pixels are encoded in a way that is not read, or lie elsewhere."""
    syntax = UID(text(dataset.file_meta, "TransferSyntaxUID"))
    try:
        is_read = get_decoder(syntax).is_available
    except NotImplementedError:
        is_read = False
    if not is_read:
        raise NotDicomError(unknown_syntax(path, syntax))
    if not any(tag in dataset for tag in PIXELS):
        raise NotDicomError(
            f"{path}: no pixels in it; export it again, with its pixels and uncompressed"
        )


def _refuse_huge(dataset: Dataset, path: Path) -> None:
    """Raise where an image says, in its header or in its compressed pixels, that it is larger than
    any CT.

    Decoders make room for what is claimed before they see that it is not there.
    """
    rows, columns, samples, frames = (
        int(value(dataset, keyword) or 1)
        for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    )
    compressed = (
        dataset.file_meta.TransferSyntaxUID.is_encapsulated
    )  # in plain pixels such bytes are mere numbers
    pixels = dataset.get("PixelData") if compressed else None
    claims = CODESTREAM.finditer(pixels) if isinstance(pixels, bytes) else ()
    sizes = [prod(int.from_bytes(number or b"\1") for number in claim.groups()) for claim in claims]
    largest = max([rows * columns * samples, *sizes])
    if largest > MOST_PIXELS or largest * frames > MOST_VOXELS:
        raise DicomError(
            f"{path}: {frames} image(s) of {largest:,} pixels, and no CT is that large; export it again"
        )
