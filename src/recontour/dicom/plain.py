"""Plainly encoded DICOM attributes, found in the bytes of a file without an object for each.

To make those objects is most of the time that an import takes. What is found here is handed to
pydicom exactly as its own reader would, except for the values that differ in every file of a
series: UIDs and decimal numbers in their usual spelling. Anything that is not plain (big endian,
deflated, of unknown length, out of order, damaged) is left to pydicom's reader, and so is every
judgement of it.
"""

import re
import struct
from collections.abc import Iterable, Iterator, MutableSequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

DICM = slice(128, 132)  # where a file says DICM; its attributes follow
MOST_PLAIN = 5000  # attributes of a plain file, not counting those within sequences
UNKNOWN_LENGTH = 0xFFFFFFFF
# Tags.
TRANSFER_SYNTAX = 0x00020010
CHARACTER_SET = 0x00080005
META_END = 0x00030000
DATASET_BEGIN = 0x00080000
DATASET_END = 0xFFFE0000
ITEM_TAG = 0xFFFEE000
# Group, element, VR and length; group, element and length; a length of its own.
EXPLICIT = struct.Struct("<HH2sH").unpack_from
IMPLICIT = struct.Struct("<HHL").unpack_from
LONG_LENGTH = struct.Struct("<L").unpack_from
PLAIN_UID = re.compile(rb"([0-9.]+)\0?")
PLAIN_NUMBER = rb" *[-+]?[0-9]+(?:\.[0-9]*)? *"
PLAIN_NUMBERS = re.compile(PLAIN_NUMBER + rb"(?:\\" + PLAIN_NUMBER + rb")*")
IS_IMPLICIT = {
    f"{ImplicitVRLittleEndian}\0".encode(): True,
    f"{ExplicitVRLittleEndian}\0".encode(): False,
}


def _vr_codes() -> dict[bytes, tuple[str, bool]]:
    """Return each VR by its code: its name, and whether its length takes 32 bits."""
    codes = {}
    for vr in VR:
        if len(vr.value) == 2:
            codes[vr.value.encode()] = (vr.value, vr in EXPLICIT_VR_LENGTH_32)
    return codes


VRS = _vr_codes()


class NotPlainError(Exception):
    """These bytes are not plainly encoded."""


# A tag, its VR if the encoding gives it, where the value starts and ends.
Found = tuple[int, str | None, int, int]


@dataclass(frozen=True, slots=True)
class _Meta:
    """A file's meta information. end: where its data set begins."""

    attributes: dict[BaseTag, RawDataElement]
    end: int

    def dataset(self) -> FileMetaDataset:
        """Return it as pydicom would read it."""
        meta = FileMetaDataset(dict(self.attributes))
        meta.set_original_encoding(False, True, default_encoding)
        return meta


def plain_dataset(
    data: bytes,
    until: int | None,
    tags: frozenset[int] | None,
    *,
    is_whole: bool,
) -> Dataset | None:
    """Return the attributes of a file as pydicom would read them, not yet converted.

    Return None if the file is not plain.
    data: the file, or unless is_whole its beginning: then everything before `until` must lie in it.
    until: the first tag that is not looked at. tags: those that are kept, beside the character set;
    None: all.
    """
    try:
        meta = _meta(data)
        implicit = _is_implicit(data, meta)
        seen = attributes(
            data,
            meta.end,
            len(data),
            implicit=implicit,
            until=until or DATASET_END,
            to_until=not is_whole,
        )
        found = list(islice(seen, MOST_PLAIN + 1))
    except NotPlainError:
        return None
    if len(found) > MOST_PLAIN or (found and found[0][0] < DATASET_BEGIN):
        return None
    if tags is not None:
        kept = tags | {CHARACTER_SET}
        found = [attribute for attribute in found if attribute[0] in kept]
    return _dataset(_raw(data, found, implicit=implicit), implicit, meta)


def _meta(data: bytes) -> _Meta:
    """Return a file's meta information. data: the file's beginning.

    Raises: NotPlainError: there is no meta information, or it is not plain.
    """
    if data[DICM] != b"DICM":
        raise NotPlainError
    found = list(attributes(data, DICM.stop, len(data), implicit=False, until=META_END))
    end = found[-1][-1] if found else DICM.stop
    return _Meta(_raw(data, found, implicit=False), end)


def _is_implicit(data: bytes, meta: _Meta) -> bool:
    """Return whether a data set is in implicit VR.

    Raises: NotPlainError: the transfer syntax is another one, or wrong.
    """
    syntax = meta.attributes.get(tag_of(TRANSFER_SYNTAX))
    implicit = None if syntax is None else IS_IMPLICIT.get(syntax.value or b"")
    if implicit is None:
        raise NotPlainError
    looks_explicit = data[meta.end + 4 : meta.end + 6].isupper()
    if implicit and looks_explicit:
        raise NotPlainError
    return implicit


def _dataset(
    found: dict[BaseTag, RawDataElement],
    implicit: bool,
    meta: _Meta,
) -> Dataset:
    dataset = Dataset(dict(found))
    characters = found.get(tag_of(CHARACTER_SET))
    encoding: str | MutableSequence[str] = default_encoding
    if characters is not None:
        encoding = _encoding(characters._replace(value_tell=0))
    dataset.set_original_encoding(implicit, True, encoding)
    dataset.file_meta = meta.dataset()
    return dataset


def meta_of(data: bytes) -> tuple[FileMetaDataset, int] | None:
    """Return a file's meta information, and where its data set begins.

    Return None if there is none, or if it is not plain. data: the file's beginning.
    """
    try:
        meta = _meta(data)
    except NotPlainError:
        return None
    return meta.dataset(), meta.end


def attributes(
    data: bytes,
    at: int,
    end: int,
    *,
    implicit: bool,
    until: int = DATASET_END,
    to_until: bool = False,
) -> Iterator[Found]:
    """Yield the attributes from a place in the data to its end, or up to the tag `until`.

    to_until: whether there must be that tag, or a later one.

    Raises: NotPlainError: they are not plain.
    """
    last = 0
    vr: str | None
    try:
        while at < end:
            code, vr, start = b"", None, at + 8
            if implicit:
                group, element, length = IMPLICIT(data, at)
            else:
                group, element, code, length = EXPLICIT(data, at)
            tag = group << 16 | element
            if tag >= until:
                return
            if code:
                vr, start, length = _explicit(data, code, start, length)
            at = start + length
            if tag <= last or length == UNKNOWN_LENGTH or at > end:
                raise NotPlainError
            last = tag
            yield tag, vr, start, at
    except (struct.error, KeyError):
        raise NotPlainError from None
    if to_until:
        raise NotPlainError


def _explicit(
    data: bytes,
    code: bytes,
    at: int,
    length: int,
) -> tuple[str, int, int]:
    """Return the VR of a code, where the value starts, and its length.

    at, length: as for a VR whose length takes 16 bits.
    Raises: KeyError: there is no such VR.
    """
    vr, is_long = VRS[code]
    if is_long:
        (length,) = LONG_LENGTH(data, at)
        return vr, at + 4, length
    return vr, at, length


def plain_items(data: bytes, *, implicit: bool) -> Iterator[dict[int, bytes]]:
    """Yield the items of an encoded sequence, each as its attributes' encoded values by tag.

    Raises: NotPlainError: they are not plain.
    """
    at = 0
    try:
        while at < len(data):
            group, element, length = IMPLICIT(data, at)
            start = at + 8
            at = start + length
            if group << 16 | element != ITEM_TAG or length == UNKNOWN_LENGTH or at > len(data):
                raise NotPlainError
            found = attributes(data, start, at, implicit=implicit)
            yield {tag: data[first:last] for tag, _, first, last in found}
    except struct.error:
        raise NotPlainError from None


def plain_value(vr: str, encoded: bytes) -> str | float | tuple[float, ...] | None:
    """Return what a UID or decimal numbers say in their usual spelling; None for anything else.

    >>> plain_value("DS", b"1.5 "), plain_value("UI", b"1.2.3")
    (1.5, '1.2.3')
    """
    if vr == "UI" and (uid := PLAIN_UID.fullmatch(encoded)):
        return uid[1].decode()
    if vr == "DS" and PLAIN_NUMBERS.fullmatch(encoded):
        numbers = tuple(map(float, encoded.split(b"\\")))
        return numbers if len(numbers) > 1 else numbers[0]
    return None


@cache
def tag_of(what: int | str) -> BaseTag:
    """Return pydicom's tag, always the same object: identical objects compare fast."""
    return Tag(what) if isinstance(what, int) else tag_of(int(Tag(what)))


def _raw(
    data: bytes,
    found: Iterable[Found],
    *,
    implicit: bool,
) -> dict[BaseTag, RawDataElement]:
    elements = {}
    for number, vr, start, end in found:
        tag = tag_of(number)
        encoded = data[start:end] or _empty(vr)
        length = end - start
        elements[tag] = RawDataElement(tag, vr, length, encoded, start, implicit, True)
    return elements


@lru_cache(maxsize=64)
def _encoding(characters: RawDataElement) -> str | MutableSequence[str]:
    """Return the encodings by which pydicom decodes text.

    characters: the character set; its place in the file is set to 0, so that equal ones are equal.
    """
    return convert_encodings(convert_raw_data_element(characters).value)


@cache
def _empty(vr: str | None) -> bytes | None:
    empty = empty_value_for_VR(vr, raw=True)
    return empty if isinstance(empty, bytes) else None
