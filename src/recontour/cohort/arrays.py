"""A case's arrays in NumPy's format: written with a digest, opened only if case.json agrees.

Nothing in a file is trusted: its header is compared with the expected one, never evaluated, and its
length with what the shape takes. Voxels are compared with their SHA-256 once per process, when an
array is first opened.
"""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from recontour.cohort.findings import (
    ChangedVoxels,
    NonFiniteVoxels,
    NotAnArray,
    WrongArraySize,
    WrongNumberType,
)
from recontour.cohort.records import refused
from recontour.files import UnreadableError, refuse_no_file
from recontour.geometry.findings import WrongShape

MAGIC = b"\x93NUMPY\x01\x00"
LENGTH_BYTES = 2  # of the header, after the magic
MOST_HEADER = 1000  # bytes; NumPy writes 118
READ_BYTES = 1 << 22  # at a time
_KIND = rb"'descr': '(<i2|<f4|\|u1)'"
_SHAPE = rb"'shape': \((\d{1,9}(?:, \d{1,9}){2,3})\)"
HEADER = re.compile(rb"\{" + _KIND + rb", 'fortran_order': False, " + _SHAPE + rb", \} *\n")
# What systems report that map no files; another way of reading helps.
NO_MAPPING = {
    errno.ENODEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EACCES,
}

Kind = np.dtype[Any]
Array = npt.NDArray[Any]


class FileState(NamedTuple):
    """What tells a file from one that replaced it, or from itself before it was changed."""

    inode: int
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What an array should be.

    kinds: of its numbers, as NumPy's header has them. sha256: of the whole file; empty if unknown.
    state: of the file when its case was read, if it was read from the disk.
    """

    path: Path
    kinds: tuple[str, ...]
    shape: tuple[int, ...]
    sha256: str
    state: FileState | None = None


@dataclass(slots=True)
class _VoxelChecks:
    """Which files' voxels this process has checked, or whether its parent has checked all."""

    done: set[tuple[Path, FileState]] = field(default_factory=set)
    are_left_to_parent: bool = False

    def is_due(self, path: Path, state: FileState) -> bool:
        return (path, state) not in self.done and not self.are_left_to_parent


_checks = _VoxelChecks()


class NotMappableError(Exception):
    """The file system maps no files into memory."""


def leave_voxels_to_parent() -> None:
    """Check no voxels in this process: the one that started it has."""
    _checks.are_left_to_parent = True


def write_array(path: Path, array: Array) -> str:
    """Write an array as `numpy.save` does, and return the SHA-256 of the file.

    Raises: OSError: the disk is full.
    """
    whole = np.ascontiguousarray(array)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(whole))
    voxels = whole.reshape(-1).view(np.uint8).data
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in (header.getbuffer(), voxels):
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def map_array(expected: Expected) -> Array:
    """Return an array, memory-mapped and read-only.

    Raises:
        CohortError: it is not what is expected, or may not be read.
        FaultError: the machine failed.
        NotMappableError: the file system maps no files; see `read_array`.
    """
    with _checked(expected, voxels=True) as (file, kind, offset):
        return _mapped(file, kind, expected.shape, offset)


def read_array(expected: Expected) -> Array:
    """Return an array, read whole: for shares that map no files. Raises: as `map_array`."""
    with _checked(expected, voxels=True) as (file, kind, offset):
        file.seek(offset)
        return np.frombuffer(file.read(), kind).reshape(expected.shape)


def check_array(expected: Expected) -> FileState:
    """Check an array's header and length, but not its voxels; return its file's state.

    Raises: as `map_array`.
    """
    with _checked(expected, voxels=False) as (file, _, _):
        return _state(file)


@contextmanager
def _checked(expected: Expected, *, voxels: bool) -> Iterator[tuple[BufferedReader, Kind, int]]:
    """Open an array's file; give the file, the kind of its numbers, and where they begin."""
    try:
        refuse_no_file(expected.path)
        with expected.path.open("rb") as file:
            kind, offset = _described(file, expected)
            if voxels:
                _verify_once(file, kind, offset, expected)
            yield file, kind, offset
    except (OSError, ValueError) as error:
        raise refused(expected.path, error) from error


def _described(file: BufferedReader, expected: Expected) -> tuple[Kind, int]:
    """Return the kind of a file's numbers and where they begin, if they are as expected."""
    kind, shape, offset = _header(file)
    if kind.str not in expected.kinds:
        raise UnreadableError(WrongNumberType(kind=kind.str, expected=expected.kinds))
    if shape != expected.shape:
        wrong = WrongShape(
            what="array",
            shape=shape,
            expected=expected.shape,
            said_by="case.json",
        )
        raise UnreadableError(wrong)
    size = _state(file).size
    expected_size = offset + prod(shape) * kind.itemsize
    if size != expected_size:
        raise UnreadableError(WrongArraySize(size=size, expected=expected_size))
    return kind, offset


def _header(file: BufferedReader) -> tuple[Kind, tuple[int, ...], int]:
    """Return the kind of a file's numbers, its shape, and where the numbers begin.

    NumPy's own reader would evaluate the header as Python.
    """
    begin = file.read(len(MAGIC) + LENGTH_BYTES)
    if not begin:
        raise _not_an_array("nothing")
    length = int.from_bytes(begin[len(MAGIC) :], "little")
    is_whole = len(begin) == len(MAGIC) + LENGTH_BYTES
    if not begin.startswith(MAGIC) or not is_whole or length > MOST_HEADER:
        raise _not_an_array("another beginning")
    found = HEADER.fullmatch(file.read(length))
    if not found:
        raise _not_an_array("another header")
    kind, sides = found.groups()
    shape = tuple(map(int, sides.split(b", ")))
    return np.dtype(kind.decode()), shape, len(begin) + length


def _not_an_array(
    seen: Literal["nothing", "another beginning", "another header"],
) -> UnreadableError:
    return UnreadableError(NotAnArray(seen=seen))


def _verify_once(
    file: BufferedReader,
    kind: Kind,
    offset: int,
    expected: Expected,
) -> None:
    """Check a file's voxels, unless this process has or leaves that to its parent."""
    state = _state(file)
    if _checks.is_due(expected.path, state):
        _verify(file, kind, offset, expected.sha256)
        _checks.done.add((expected.path, state))


def _state(file: BufferedReader) -> FileState:
    about = os.fstat(file.fileno())
    return FileState(about.st_ino, about.st_size, about.st_mtime_ns)


def _verify(
    file: BufferedReader,
    kind: Kind,
    offset: int,
    sha256: str,
) -> None:
    """Raise UnreadableError where a file's voxels have changed, or are not finite."""
    file.seek(0)
    if sha256 and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
        raise UnreadableError(ChangedVoxels())
    if kind.kind != "f":
        return
    file.seek(offset)
    while piece := file.read(READ_BYTES):
        if not np.isfinite(np.frombuffer(piece, kind)).all():
            raise UnreadableError(NonFiniteVoxels())


def _mapped(
    file: BufferedReader,
    kind: Kind,
    shape: tuple[int, ...],
    offset: int,
) -> Array:
    """Map a file's numbers: shared with other processes or, where a share cannot, for this one."""
    modes: tuple[Literal["r", "c"], ...] = ("r", "c")
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
