"""One DICOM file, read with suspicion: what pydicom would pass over in silence is an error here."""

import io
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset as pydicom_dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, AllTransferSyntaxes, ImplicitVRLittleEndian

from recontour.dicom.findings import (
    DamagedDicom,
    MissingAttribute,
    MissingFunctionalGroup,
    NotDicom,
    OversizedDicom,
    TruncatedDicom,
    UnsupportedTransferSyntax,
    WrongNumbers,
)
from recontour.dicom.folders import cannot_read
from recontour.dicom.plain import (
    DICM,
    NotPlainError,
    meta_of,
    plain_dataset,
    plain_items,
    plain_value,
    tag_of,
)
from recontour.dicom.silence import silence
from recontour.errors import DicomError, NotDicomError, RecontourError
from recontour.files import REMEDIES, machine_fault
from recontour.wording import printable

# ROIContourSequence: pixels and contours, the bulk of a file, come from here on
HEADER_END = 0x30060039
PIXEL_GROUP = 0x7FE00000  # pixels come from here on
FIRST_LOOK = 132  # bytes that show whether a file is DICOM
HEAD = 1 << 14  # bytes that hold the attributes of most images, but for the pixels
MOST_AT_ONCE = 1 << 26  # bytes of a file that is taken into memory whole
# An item's attributes: as pydicom has them, or their encoded values by tag.
Attributes = Dataset | dict[int, bytes]
Tags = frozenset[int]
LONGEST_LOOKED_UP = 1 << 8  # bytes of an encoded value
MOST_LOOKED_UP = 1 << 12  # values
LARGEST = 1e6  # no length in a patient (mm), no Hounsfield unit and no cosine is larger
# Levels of sequences that are written again; at 250, pydicom fills all memory with its error.
DEEPEST = 8
MOST_ATTRIBUTES = 50_000  # of one file, not counting those within sequences
# Bytes that a deflated file may hold; see _refuse_bomb.
MOST_INFLATED = 256 << 20
MOST_GROWTH = 30
NEVER_REFUSED = 4 << 20
INFLATED_AT_ONCE = 1 << 18
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
# The only escape sequence of PS3.3 C.12.1.1.2 that pydicom 3 leaves in decoded text.
IR_58 = "\x1b$)A"
# How a file without preamble begins: group 2 or 8, then a VR or a short length.
FIRST_ATTRIBUTE = re.compile(
    rb"[\x02\x08]\x00"
    rb"(\x00\x00(UL|\x04\x00\x00\x00)|[\x01-\x18]\x00([A-Z]{2}|[\x00-\xff]\x00\x00\x00))"
)


def claims_dicom(path: Path) -> bool:
    """Return whether a file says by its name or its first bytes that it is DICOM.

    Raises: NotDicomError: it cannot be read.

    >>> claims_dicom(Path("dicom/new-patient/RS.dcm")), claims_dicom(Path("STUDY.toml"))
    (True, False)
    """
    if path.suffix.lower() == ".dcm":
        return True
    return _looks_dicom(_first_bytes(path, FIRST_LOOK))


def read_header(
    path: Path,
    keywords: tuple[str, ...],
    until: int | None = HEADER_END,
) -> Dataset:
    """Read the named attributes of a file, without its pixels or contours.

    until: the first tag that is not looked at. None: some attributes lie behind the contours, and
    the file must be whole.

    Raises: NotDicomError: the file is damaged or not DICOM.
    """
    return _read(path, until, _tags(keywords))


def read_dataset(path: Path) -> Dataset:
    """Read a whole file.

    Raises: NotDicomError: the file is damaged, cut off or not DICOM.
    """
    return _read(path, until=None, tags=None)


@cache
def _tags(keywords: tuple[str, ...]) -> Tags:
    tags = map(tag_for_keyword, keywords)
    return frozenset(tag for tag in tags if tag is not None)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Take attributes from a file; pydicom parses each only when asked for it.

    Raises: NotDicomError: a value is damaged; pydicom raises almost anything then. FaultError: the
    machine failed.
    """
    try:
        with silence():
            yield
    except (RecontourError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REMEDIES:
            raise machine_fault(path, error) from error
        damage = DamagedDicom(path=path, error=type(error).__name__)
        raise NotDicomError(damage) from error


# Attributes


def sop_class_uid(dataset: Dataset) -> str:
    """Return the UID that says what kind of object a file holds.

    Some de-identifiers leave it in the file's meta information only.
    """
    return text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")


def sop_instance_uid(dataset: Dataset) -> str:
    """Return the UID of the object that a file holds; as `sop_class_uid`."""
    return text(dataset, "SOPInstanceUID") or text(dataset.file_meta, "MediaStorageSOPInstanceUID")


def value(dataset: Attributes, keyword: str) -> Any:
    """Return what an attribute holds; None where it is absent or empty.

    The files of a series are much alike: a value that was converted once is looked up.
    """
    tag = tag_of(keyword)
    if isinstance(dataset, dict):
        encoded = dataset.get(tag)
        return converted(tag, None, encoded) if encoded else None
    element = dataset.get_item(tag)
    if element is None:
        return None
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return dataset.get(keyword)
    if element.length > LONGEST_LOOKED_UP:
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


@lru_cache(maxsize=MOST_LOOKED_UP)
def converted(
    tag: BaseTag,
    vr: str | None,
    encoded: bytes,
    implicit: bool = True,
    little: bool = True,
    encoding: str | tuple[str, ...] = default_encoding,
) -> Any:
    """Return the decoded value. Do not change it: later calls return the same object."""
    with suppress(KeyError):  # a tag that is in no dictionary
        plain = plain_value(vr or _vr_of(tag), encoded)
        if plain is not None:
            return plain
    raw = RawDataElement(tag, vr, len(encoded), encoded, 0, implicit, little)
    encodings = encoding if isinstance(encoding, str) else list(encoding)
    return convert_raw_data_element(raw, encoding=encodings).value


_vr_of = cache(dictionary_VR)


def items_of(dataset: Dataset, keyword: str) -> Sequence[Attributes]:
    """Return the items of a sequence; plainly encoded ones without an object for each."""
    element = dataset.get_item(tag_of(keyword))
    if isinstance(element, RawDataElement) and isinstance(element.value, bytes):
        with suppress(NotPlainError):
            return list(plain_items(element.value, implicit=element.is_implicit_VR))
    return dataset.get(keyword) or ()


def text(dataset: Attributes, keyword: str) -> str:
    """Return an attribute as one line of text without control characters; empty if it is absent."""
    found = value(dataset, keyword)
    if found is None:
        return ""
    decoded = str(found).replace(IR_58, "")
    return printable(decoded).strip()


def functional_group(
    dataset: Dataset,
    frame: Dataset,
    keyword: str,
    path: Path,
) -> Dataset:
    """Return a frame's own functional group, or the one that all share (PS3.3 C.7.6.16).

    Raises: DicomError: there is neither.
    """
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    for group in (frame.get(keyword), shared.get(keyword)):
        if group:
            found: Dataset = group[0]
            return found
    raise DicomError(MissingFunctionalGroup(path=path, keyword=keyword))


def numbers(
    dataset: Dataset,
    keyword: str,
    count: int,
    path: Path,
) -> tuple[float, ...]:
    """Return an attribute of `count` numbers, none beyond LARGEST.

    Raises: DicomError: it is absent, or does not hold that many such numbers.
    """
    seen = None
    try:
        seen = value(dataset, keyword)
        found = tuple(map(float, [seen] if count == 1 else seen))
    except (TypeError, ValueError):
        found = ()
    if seen is None or seen == "":
        raise DicomError(MissingAttribute(path=path, keyword=keyword))
    if len(found) != count or not all(map(_is_possible, found)):
        bad = WrongNumbers(
            path=path,
            keyword=keyword,
            expected=count,
            largest=LARGEST,
        )
        raise DicomError(bad)
    return found


def _is_possible(number: float) -> bool:
    return abs(number) <= LARGEST


# Transfer syntaxes


def is_standard(syntax: str) -> bool:
    """Return whether the standard names a transfer syntax."""
    return UID(syntax) in AllTransferSyntaxes or syntax.startswith(STANDARD)


def unknown_syntax(path: Path, syntax: str) -> UnsupportedTransferSyntax:
    """Return the finding that a transfer syntax is not supported."""
    if not UID_FORM.fullmatch(syntax):
        return UnsupportedTransferSyntax(path=path)
    name = SYNTAXES.get(syntax) or UID(syntax).name
    if name == syntax:
        return UnsupportedTransferSyntax(path=path, foreign_uid=syntax)
    return UnsupportedTransferSyntax(path=path, uid=syntax, name=name)


# How a file is read


class _CutOffError(Exception):
    """The file ended within an attribute."""


class _TooMuchError(Exception):
    """The file holds, or inflates to, more than anyone sends."""


class _Unbroken(io.BufferedReader):
    """A file that may end after an attribute but not within one, which pydicom would overlook.

    A read asks for no more than the file has, so no memory is set aside for what an attribute
    falsely claims to hold.
    """

    ends_seen = 0

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, or the rest: pydicom takes a deflated file as a whole.

        Raises: _CutOffError, _TooMuchError.
        """
        if size is None or size < 0:
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
    """Raise _TooMuchError where deflated bytes would inflate to more than a CT or contours do.

    Images and contours shrink to a tenth at best, except for an empty slice, which is small. The
    inflated bytes are not kept.
    """
    limit = max(NEVER_REFUSED, min(MOST_INFLATED, MOST_GROWTH * len(deflated)))
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = 0
    for start in range(0, len(deflated), INFLATED_AT_ONCE):
        rest = deflated[start : start + INFLATED_AT_ONCE]
        while rest and not inflating.eof:
            inflated += len(inflating.decompress(rest, MOST_GROWTH * INFLATED_AT_ONCE))
            rest = inflating.unconsumed_tail
            if inflated > limit:
                raise _TooMuchError


def _read(
    path: Path,
    until: int | None,
    tags: Tags | None,
) -> Dataset:
    """Read the attributes before `until` (None: all), of these tags (None: any)."""
    with reading(path):
        dataset = _plain(path, until, tags) or _any(path, until, tags)
        sop_class = sop_class_uid(dataset)
        if tag_of("TransferSyntaxUID") not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # the default: PS3.5 10.1
    if not sop_class:
        raise NotDicomError(NotDicom(path=path, seen="no SOP class"))
    return dataset


def _plain(
    path: Path,
    until: int | None,
    tags: Tags | None,
) -> Dataset | None:
    """Read a plainly encoded file, from its beginning if that is enough.

    Return None if it is not plain.
    """
    data = _first_bytes(path, MOST_AT_ONCE if until is None else HEAD)
    if until is not None and len(data) == HEAD:
        dataset = plain_dataset(data, until, tags, is_whole=False)
        if dataset is not None:
            return dataset
        data = _first_bytes(path, MOST_AT_ONCE)
    if len(data) == MOST_AT_ONCE:
        return None
    return plain_dataset(data, until, tags, is_whole=True)


def _any(
    path: Path,
    until: int | None,
    tags: Tags | None,
) -> Dataset:
    """Read a file the way pydicom does.

    Raises: NotDicomError: it is cut off, not DICOM, or holds too much.
    """
    start = _first_bytes(path, FIRST_LOOK)
    if not start:
        raise NotDicomError(NotDicom(path=path, seen="empty"))
    if not _looks_dicom(start):
        raise NotDicomError(NotDicom(path=path, seen="no mark"))
    attributes = 0
    only = None if tags is None else list(tags)

    def stop(
        tag: BaseTag,
        _vr: str | None,
        _length: int,
    ) -> bool:
        nonlocal attributes
        attributes += 1
        if attributes > MOST_ATTRIBUTES:
            raise _TooMuchError
        return until is not None and tag >= until

    with _Unbroken(path) as file:
        try:
            foreign = _foreign_syntax(path)
            if foreign is not None:
                return _as_it_looks(file, foreign, stop, only)
            return read_partial(file, stop_when=stop, force=True, specific_tags=only)
        except _CutOffError:
            raise NotDicomError(TruncatedDicom(path=path)) from None
        except _TooMuchError:
            raise NotDicomError(OversizedDicom(path=path)) from None


def _foreign_syntax(path: Path) -> tuple[FileMetaDataset, int] | None:
    """Return the meta information of a file whose transfer syntax is not the standard's.

    Also return where its data set begins. Return None for a standard syntax.
    """
    found = meta_of(_first_bytes(path, HEAD))
    if found is None:
        return None
    syntax = text(found[0], "TransferSyntaxUID")
    return None if not syntax or is_standard(syntax) else found


def _as_it_looks(
    file: _Unbroken,
    foreign: tuple[FileMetaDataset, int],
    stop: Callable[[BaseTag, str | None, int], bool],
    only: list[int] | None,
) -> Dataset:
    """Read a data set in a foreign transfer syntax whose attributes are encoded as usual.

    Its pixels cannot be read, but its kind can be reported.

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
    except Exception as error:  # pydicom raises almost anything on what it cannot read
        syntax = text(meta, "TransferSyntaxUID")
        raise NotDicomError(unknown_syntax(Path(file.name), syntax)) from error
    dataset.file_meta = meta
    characters = text(dataset, "SpecificCharacterSet")
    encoding = convert_encodings(characters.split("\\")) if characters else default_encoding
    dataset.set_original_encoding(is_implicit, True, encoding)
    return dataset


def _first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, without setting memory aside for more than it has.

    Raises: NotDicomError: it cannot be read.
    """
    try:
        with io.FileIO(path) as file:
            size = os.fstat(file.fileno()).st_size
            return file.read(min(count, size)) or b""
    except OSError as error:
        raise NotDicomError(cannot_read(path, error)) from error


def _looks_dicom(start: bytes) -> bool:
    return start[DICM] == b"DICM" or FIRST_ATTRIBUTE.match(start) is not None
