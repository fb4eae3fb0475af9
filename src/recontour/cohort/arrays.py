"""A case's arrays in NumPy's format: written with a digest, and opened only if they are what
case.json says.

Nothing of a file is trusted: its header is compared with the one that is expected, not carried out,
    and its length with what the shape takes. Voxels are compared with their SHA-256 once in each
    process, when an array is first opened.
"""

import errno
import hashlib
import os
import re
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.cohort.records import refused
from recontour.files import refuse_no_file

MAGIC = b"\x93NUMPY\x01\x00"
MOST_HEADER = 1000  # bytes; NumPy writes 118
HEADER = re.compile(
    rb"\{'descr': '(<i2|<f4|\|u1)', 'fortran_order': False, 'shape': \((\d{1,9}(?:, \d{1,9}){2,3})\), \} *\n"
)
NO_MAPPING = {errno.ENODEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES}
_verified: set[tuple[str, int, int, int]] = (
    set()
)  # path, inode, bytes, last change: files whose voxels were looked at
_is_left_to_parent = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What an array should be. sha256: of the whole file; empty if unknown."""

    path: Path
    kinds: tuple[str, ...]  # of its numbers, as NumPy's header has them
    shape: tuple[int, ...]
    sha256: str


class NotMappableError(Exception):
    """The file system maps no files into memory."""


def leave_voxels_to_parent() -> None:
    """Look at no voxels in this process: the one that started it has."""
    global _is_left_to_parent
    _is_left_to_parent = True


def write_array(path: Path, array: npt.NDArray[Any]) -> str:
    """Write an array as `numpy.save` does;

    return the SHA-256 of the file. Raises: OSError: the disk is full.
    """
    whole = np.ascontiguousarray(array)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(whole))
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in (header.getbuffer(), whole.reshape(-1).view(np.uint8).data):
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def map_array(expected: Expected) -> npt.NDArray[Any]:
    """An array, memory-mapped read-only.

    Raises: CohortError: it is not what is expected, or may not be read. FaultError: the machine
        failed.
        NotMappableError: see `read_array`.
    """
    try:
        refuse_no_file(expected.path)
        with expected.path.open("rb") as file:
            kind, offset = _described(file, expected)
            _verify_once(file, kind, offset, expected)
            return _mapped(file, kind, expected.shape, offset)
    except (OSError, ValueError) as error:
        raise refused(expected.path, error) from error


def read_array(expected: Expected) -> npt.NDArray[Any]:
    """An array, read whole: for shares that map no files. Raises: as `map_array`."""
    try:
        refuse_no_file(expected.path)
        with expected.path.open("rb") as file:
            kind, offset = _described(file, expected)
            _verify_once(file, kind, offset, expected)
            file.seek(offset)
            return np.frombuffer(file.read(), kind).reshape(expected.shape)
    except (OSError, ValueError) as error:
        raise refused(expected.path, error) from error


def check_array(expected: Expected) -> None:
    """Look at what an array's file says of itself, and at its length;

    not at its voxels. Raises: as `map_array`.
    """
    try:
        refuse_no_file(expected.path)
        with expected.path.open("rb") as file:
            _described(file, expected)
    except (OSError, ValueError) as error:
        raise refused(expected.path, error) from error


def _described(file: BufferedReader, expected: Expected) -> tuple[np.dtype[Any], int]:
    """The kind of a file's numbers, and where they begin, if it is what is expected.

    Raises: ValueError, OSError.
    """
    kind, shape, offset = _header(file)
    if kind.str not in expected.kinds:
        raise ValueError(f"its numbers are {kind}, {' or '.join(expected.kinds)} is expected")
    if shape != expected.shape:
        raise ValueError(f"it has shape {shape}, case.json says {expected.shape}")
    state = os.fstat(file.fileno())
    size = offset + prod(shape) * kind.itemsize
    if state.st_size != size:
        raise ValueError(f"it has {state.st_size} bytes, {size} are expected")
    return kind, offset


def _header(file: BufferedReader) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """The kind of a file's numbers, its shape, and where the numbers begin. Raises: ValueError: it
    has no such header.

    NumPy's own reader would evaluate whatever stands there.
    """
    begin = file.read(len(MAGIC) + 2)
    if not begin:
        raise ValueError("it is empty")
    length = int.from_bytes(begin[len(MAGIC) :], "little")
    if not begin.startswith(MAGIC) or len(begin) < len(MAGIC) + 2 or length > MOST_HEADER:
        raise ValueError("it does not begin as recontour writes an array")
    found = HEADER.fullmatch(file.read(length))
    if not found:
        raise ValueError("its header is not as recontour writes it")
    shape = tuple(int(number) for number in found[2].split(b", "))
    return np.dtype(found[1].decode()), shape, len(begin) + length


def _verify_once(
    file: BufferedReader, kind: np.dtype[Any], offset: int, expected: Expected
) -> None:
    """Look at a file's voxels, unless this process has, or leaves that to its parent."""
    state = os.fstat(file.fileno())
    seen = (str(expected.path), state.st_ino, state.st_size, state.st_mtime_ns)
    if seen not in _verified and not _is_left_to_parent:
        _verify(file, kind, offset, expected.sha256)
        _verified.add(seen)


def _verify(file: BufferedReader, kind: np.dtype[Any], offset: int, sha256: str) -> None:
    """Raise ValueError where a file's voxels are not those that were written, or no numbers."""
    file.seek(0)
    if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
        raise ValueError("its voxels are not those that were imported: the checksum differs")
    if kind.kind == "f":
        file.seek(offset)
        while piece := file.read(1 << 22):
            if not np.isfinite(np.frombuffer(piece, kind)).all():
                raise ValueError("it has voxels that are not finite numbers")


def _mapped(
    file: BufferedReader, kind: np.dtype[Any], shape: tuple[int, ...], offset: int
) -> npt.NDArray[Any]:
    """A file's numbers, mapped:

    shared with other processes, or where a share cannot, for this one alone.
    """
    modes: tuple[Any, Any] = ("r", "c")
    for mode in modes:
        try:
            array = np.memmap(file, kind, mode, offset, shape)
        except OSError as error:
            if error.errno not in NO_MAPPING:
                raise
        else:
            array.flags.writeable = False
            return array
    raise NotMappableError
