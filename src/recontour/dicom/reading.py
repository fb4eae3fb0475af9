"""One DICOM file, read with suspicion: what pydicom would pass over in silence is an error here."""

import io
import logging
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import ENAMETOOLONG
from functools import cache, lru_cache
from itertools import count
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset as pydicom_dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, AllTransferSyntaxes, ImplicitVRLittleEndian

from recontour.dicom.findings import (
    BadNumbers,
    CannotRead,
    CohortFolder,
    DamagedDicom,
    MissingAttribute,
    MissingFunctionalGroup,
    NoDicomFile,
    NoFolder,
    OversizedDicom,
    TruncatedDicom,
    UnknownSyntax,
)
from recontour.dicom.plain import (
    MARK,
    NotPlainError,
    meta_of,
    plain_dataset,
    plain_items,
    plain_value,
    tag_of,
)
from recontour.errors import DicomError, NoSeriesError, NotDicomError, RecontourError
from recontour.files import REMEDIES, NotFound, machine_fault, similar_path
from recontour.findings import Finding
from recontour.wording import printable

HEADER_END = (
    0x30060039  # ROIContourSequence: pixels and contours, the bulk of a file, come from here on
)
SHOWN_OF_LONG_PATH = 500  # characters
LOOK = 132  # bytes that show whether a file is DICOM
HEAD = 1 << 14  # bytes that hold most images' attributes, but for the pixels
MOST_AT_ONCE = 1 << 26  # bytes of a file that is taken into memory whole
Attributes = (
    Dataset | dict[int, bytes]
)  # of an item: as pydicom has them, or their encoded values by tag
SHORT, LOOKED_UP = (
    1 << 8,
    1 << 12,
)  # bytes of an encoded value that is looked up, and how many of them are kept
LARGEST = 1e6  # no length in a patient (mm), no Hounsfield unit and no cosine is larger
# sequences within sequences that are written again; at 250, pydicom fills all memory with its error
DEEPEST = 8
MOST_ATTRIBUTES = 50_000  # of one file, not counting those within sequences
MOST_INFLATED, MOST_GROWTH, NEVER_REFUSED = (
    256 << 20,
    30,
    4 << 20,
)  # bytes a deflated file may hold: see _refuse_bomb
PIECE = 1 << 18
UID_FORM = re.compile(r"[0-9.]{1,64}")  # looser than PS3.5 9: de-identifiers write leading zeros
STANDARD = "1.2.840.10008.1.2"  # how the UIDs of the standard's transfer syntaxes begin
SYNTAXES = {  # names that pydicom does not know
    "1.2.840.113619.5.2": "GE private, pixels in big endian",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
    "1.2.840.10008.1.20": "Papyrus 3 Implicit VR Little Endian",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
PYDICOM_LOG = logging.getLogger("pydicom")
# the one escape sequence of PS3.3 C.12.1.1.2 that pydicom 3 leaves in the text it decodes
IR_58 = "\x1b$)A"
# how a file without preamble begins: group 2 or 8, then a VR or a short length
FIRST_ATTRIBUTE = re.compile(
    rb"[\x02\x08]\x00(\x00\x00(UL|\x04\x00\x00\x00)|[\x01-\x18]\x00([A-Z]{2}|[\x00-\xff]\x00\x00\x00))"
)


def files_under(folder: Path, unreadable: Callable[[OSError], None]) -> list[Path]:
    """Every file in a folder tree, sorted; links are followed, each folder is entered once.

    What begins with a dot is passed over: unfinished copies, and what macOS adds to a file. So are
        pipes and devices, which may never end.
    unreadable: is told of folders that cannot be read.
    Raises: NoSeriesError: there is no such folder.
    """
    _refuse_no_folder(folder)
    if (folder / "cohort.json").exists():
        raise NoSeriesError(CohortFolder(path=folder))
    found, entered = [], set()
    for parent, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        place = os.path.realpath(parent)
        if place in entered:
            folders.clear()
            continue
        entered.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.is_file() or not path.exists())


def _refuse_no_folder(folder: Path) -> None:
    """Raise NoSeriesError where there is no folder that can be looked into."""
    finding: Finding
    try:
        if S_ISDIR(folder.stat().st_mode):
            return
        finding = NoFolder(path=folder, instead="file")
    except PermissionError:
        finding = NoFolder(path=folder, instead="no permission")
    except OSError as error:
        if error.errno == ENAMETOOLONG:
            bytes_long = len(bytes(folder))
            shortened = Path(f"{str(folder)[:SHOWN_OF_LONG_PATH]}...")
            finding = NoFolder(path=shortened, instead="path too long", bytes_long=bytes_long)
        elif folder.is_symlink():
            finding = NoFolder(path=folder, instead="broken link", link_to=folder.readlink())
        else:
            similar = similar_path(folder)
            finding = NotFound(path=folder, expected="a folder of DICOM files", similar=similar)
    raise NoSeriesError(finding)


def claims_dicom(path: Path) -> bool:
    """Whether a file says by its name or its first bytes that it is DICOM;

    any other is none of our business.
    """
    return path.suffix.lower() == ".dcm" or _looks_dicom(_first_bytes(path, LOOK))


def read_header(path: Path, keywords: tuple[str, ...], until: int | None = HEADER_END) -> Dataset:
    """The named attributes of a file, without its pixels or contours.

    until: the first tag that is not looked at; None: some lie behind the contours, and the file
        must be whole.
    Raises: NotDicomError: the file is damaged or no DICOM.
    """
    return _read(path, until=until, tags=_tags(keywords))


def read_dataset(path: Path) -> Dataset:
    """A whole file.

    Raises: NotDicomError: the file is damaged, cut off or no DICOM.
    """
    return _read(path, until=None, tags=None)


@cache
def _tags(keywords: tuple[str, ...]) -> frozenset[int]:
    return frozenset(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Take attributes from a file, which pydicom parses only when asked.

    On damaged values it raises almost anything, and that becomes NotDicomError; a fault of the
    machine, FaultError.
    """
    try:
        with silence():
            yield
    except (RecontourError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REMEDIES:
            raise machine_fault(path, error) from error
        raise NotDicomError(DamagedDicom(path=path, error=type(error).__name__)) from error


@contextmanager
def silence() -> Iterator[None]:
    """Have pydicom make no remarks on odd values: what matters is checked by us."""
    level = PYDICOM_LOG.level
    if level == logging.CRITICAL:  # silent already
        yield
        return
    PYDICOM_LOG.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        PYDICOM_LOG.setLevel(level)


def sop_class_uid(dataset: Dataset) -> str:
    """What kind of object a file holds;

    some de-identifiers leave it in the file's meta information only.
    """
    return text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")


def sop_instance_uid(dataset: Dataset) -> str:
    """Which object a file holds; as `sop_class_uid`."""
    return text(dataset, "SOPInstanceUID") or text(dataset.file_meta, "MediaStorageSOPInstanceUID")


def value(dataset: Attributes, keyword: str) -> Any:
    """What an attribute holds; None where it is absent or empty.

    Files of one series are much alike: what was converted once is looked up.
    """
    if isinstance(dataset, dict):
        encoded = dataset.get(tag_of(keyword))
        return converted(tag_of(keyword), None, encoded) if encoded else None
    element = dataset.get_item(tag_of(keyword))
    if element is None:
        return None
    if (
        not isinstance(element, RawDataElement)
        or not isinstance(element.value, bytes)
        or element.length > SHORT
    ):
        return dataset.get(keyword)
    encoding = dataset.original_character_set or default_encoding
    return converted(
        element.tag,
        element.VR,
        element.value,
        element.is_implicit_VR,
        element.is_little_endian,
        encoding if isinstance(encoding, str) else tuple(encoding),
    )


@lru_cache(maxsize=LOOKED_UP)
def converted(
    tag: BaseTag,
    vr: str | None,
    encoded: bytes,
    implicit: bool = True,
    little: bool = True,
    encoding: str | tuple[str, ...] = default_encoding,
) -> Any:
    """What an encoded value says; not to be changed, for the next who asks is given the same."""
    with suppress(KeyError):  # a tag that is in no dictionary
        if (plain := plain_value(vr or _vr_of(tag), encoded)) is not None:
            return plain
    raw = RawDataElement(tag, vr, len(encoded), encoded, 0, implicit, little)
    return convert_raw_data_element(
        raw, encoding=encoding if isinstance(encoding, str) else list(encoding)
    ).value


_vr_of = cache(dictionary_VR)


def items_of(dataset: Dataset, keyword: str) -> Sequence[Attributes]:
    """The items of a sequence; plainly encoded ones without an object for each."""
    element = dataset.get_item(tag_of(keyword))
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        with suppress(NotPlainError):
            return list(plain_items(element.value, implicit=element.is_implicit_VR))
    return dataset.get(keyword) or ()


def text(dataset: Attributes, keyword: str) -> str:
    """An attribute as text in one line, without control characters;

    empty where it is absent or empty.
    """
    found = value(dataset, keyword)
    return "" if found is None else printable(str(found).replace(IR_58, "")).strip()


def functional_group(dataset: Dataset, frame: Dataset, keyword: str, path: Path) -> Dataset:
    """A frame's own functional group, or the one all frames share (PS3.3 C.7.6.16)."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for group in (frame.get(keyword), shared.get(keyword)):
        if group:
            found: Dataset = group[0]
            return found
    raise DicomError(MissingFunctionalGroup(path=path, keyword=keyword))


def numbers(dataset: Dataset, keyword: str, count: int, path: Path) -> tuple[float, ...]:
    """An attribute of `count` numbers, none beyond LARGEST.

    Raises: DicomError: it is absent, or not that many such numbers.
    """
    seen = None
    try:
        seen = value(dataset, keyword)
        values = [seen] if count == 1 else list(seen)
        found = tuple(float(number) for number in values)
    except (TypeError, ValueError):
        found = ()
    if seen is None or seen == "":
        raise DicomError(MissingAttribute(path=path, keyword=keyword))
    if len(found) != count or not all(abs(number) <= LARGEST for number in found):
        raise DicomError(BadNumbers(path=path, keyword=keyword, expected=count, largest=LARGEST))
    return found


class _CutOffError(Exception):
    """The file ended within an attribute."""


class _TooMuchError(Exception):
    """The file holds, or inflates to, more than anyone sends."""


class _Unbroken(io.BufferedReader):
    """A file that may end after an attribute but not within one, which pydicom would overlook.

    No more is asked of it than it has: room for what an attribute claims to hold is never made in
        vain.
    """

    ends_seen = 0

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:  # how pydicom takes the rest of a deflated file
            data = super().read()
            _refuse_bomb(data)
            return data
        left = self._size - self.tell()
        if size <= left:
            return super().read(size)
        self.ends_seen += 1
        if left or self.ends_seen > 1:
            raise _CutOffError
        return b""  # one empty read, just at the end, is how a whole file ends


def _refuse_bomb(deflated: bytes) -> None:
    """Raise _TooMuchError where deflated bytes would inflate to more than CT or contours do,
    without keeping them.

    Images and contours become a tenth at best, but for an empty slice, which is small.
    """
    limit = max(NEVER_REFUSED, min(MOST_INFLATED, MOST_GROWTH * len(deflated)))
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = 0
    for start in range(0, len(deflated), PIECE):
        rest = deflated[start : start + PIECE]
        while rest and not inflating.eof:
            inflated += len(inflating.decompress(rest, MOST_GROWTH * PIECE))
            rest = inflating.unconsumed_tail
            if inflated > limit:
                raise _TooMuchError


def _read(path: Path, until: int | None, tags: frozenset[int] | None) -> Dataset:
    with reading(path):
        dataset = _plain(path, until, tags) or _any(path, until, tags)
        sop_class = sop_class_uid(dataset)
        if tag_of("TransferSyntaxUID") not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = (
                ImplicitVRLittleEndian  # PS3.5 10.1: the default, where none is told
            )
    if not sop_class:
        raise NotDicomError(NoDicomFile(path=path, seen="no SOP class"))
    return dataset


def _plain(path: Path, until: int | None, tags: frozenset[int] | None) -> Dataset | None:
    """A file as `plain_dataset` has it, from its beginning if that is enough."""
    data = _first_bytes(path, MOST_AT_ONCE if until is None else HEAD)
    if until is not None and len(data) == HEAD:
        if (dataset := plain_dataset(data, until, tags, is_whole=False)) is not None:
            return dataset
        data = _first_bytes(path, MOST_AT_ONCE)
    return plain_dataset(data, until, tags, is_whole=True) if len(data) < MOST_AT_ONCE else None


def _any(path: Path, until: int | None, tags: frozenset[int] | None) -> Dataset:
    """A file as pydicom reads it."""
    if not (start := _first_bytes(path, LOOK)):
        raise NotDicomError(NoDicomFile(path=path, seen="empty"))
    if not _looks_dicom(start):
        raise NotDicomError(NoDicomFile(path=path, seen="no mark"))
    attributes = count(1)
    only = None if tags is None else list(tags)

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        if next(attributes) > MOST_ATTRIBUTES:
            raise _TooMuchError
        return until is not None and tag >= until

    with _Unbroken(path) as file:
        try:
            if (foreign := _foreign_syntax(path)) is not None:
                return _as_it_looks(file, foreign, stop, only)
            return read_partial(file, stop_when=stop, force=True, specific_tags=only)
        except _CutOffError:
            raise NotDicomError(TruncatedDicom(path=path)) from None
        except _TooMuchError:
            raise NotDicomError(OversizedDicom(path=path)) from None


def _foreign_syntax(path: Path) -> tuple[FileMetaDataset, int] | None:
    """The meta information of a file, and where its data set begins, if the standard has no such
    transfer syntax.
    """
    found = meta_of(_first_bytes(path, HEAD))
    syntax = "" if found is None else text(found[0], "TransferSyntaxUID")
    return None if not syntax or is_standard(syntax) else found


def _as_it_looks(
    file: _Unbroken,
    foreign: tuple[FileMetaDataset, int],
    stop: Callable[[BaseTag, str | None, int], bool],
    only: list[int] | None,
) -> Dataset:
    """A data set in a transfer syntax that is not the standard's, whose attributes lie in the usual
    order of bytes.

    Its pixels cannot be read, but what it is can be said.
    Raises: NotDicomError: its attributes cannot be read, either.
    """
    meta, begin = foreign
    file.seek(begin + 4)
    is_implicit = not file.read(2).isupper()
    file.seek(begin)
    try:
        dataset = pydicom_dataset(file, is_implicit, True, stop_when=stop, specific_tags=only)
        if not dataset:
            raise EOFError
    except (_TooMuchError, MemoryError):
        raise
    except Exception as error:
        syntax = text(meta, "TransferSyntaxUID")
        raise NotDicomError(unknown_syntax(Path(file.name), syntax)) from error
    dataset.file_meta = meta
    characters = text(dataset, "SpecificCharacterSet")
    encoding = convert_encodings(characters.split("\\")) if characters else default_encoding
    dataset.set_original_encoding(is_implicit, True, encoding)
    return dataset


def is_standard(syntax: str) -> bool:
    """Whether a transfer syntax is one that the standard names."""
    return UID(syntax) in AllTransferSyntaxes or syntax.startswith(STANDARD)


def unknown_syntax(path: Path, syntax: str) -> UnknownSyntax:
    """Return the finding that a transfer syntax is not supported."""
    if not UID_FORM.fullmatch(syntax):
        return UnknownSyntax(path=path)
    name = SYNTAXES.get(syntax) or UID(syntax).name
    if name == syntax:
        return UnknownSyntax(path=path, foreign_uid=syntax)
    return UnknownSyntax(path=path, uid=syntax, name=name)


def _first_bytes(path: Path, count: int) -> bytes:
    try:
        with io.FileIO(path) as file:
            return (
                file.read(min(count, os.fstat(file.fileno()).st_size)) or b""
            )  # room is made for all that is asked
    except OSError as error:
        raise NotDicomError(cannot_read(path, error)) from error


def cannot_read(path: Path, error: OSError) -> CannotRead:
    """Return what the operating system says about a file or folder of an archive.

    Raises: FaultError: the machine is to blame, not the file.
    """
    if error.errno in REMEDIES:
        raise machine_fault(path, error) from error
    return CannotRead(path=path, number=error.errno)


def _looks_dicom(start: bytes) -> bool:
    return start[MARK] == b"DICM" or FIRST_ATTRIBUTE.match(start) is not None
