"""Plainly encoded DICOM attributes, found in the bytes of a file without an object for each.

To make those objects is most of the time an import takes. What is found here is handed to pydicom
exactly as its own reader would, but for the values that differ in every file of a series: UIDs and
decimal numbers in their usual spelling. Whatever is not plain (big endian, deflated, of unknown
length, out of order, damaged) is left to that reader, and so is every judgement of it.
"""

import re
import struct
from collections.abc import Iterable, Iterator, MutableSequence
from functools import cache, lru_cache
from itertools import islice

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

MARK = slice(128, 132)  # where a file says DICM; its attributes follow
MOST_ATTRIBUTES = 5000  # of a file, not counting those within sequences: one with more is not plain
UNKNOWN_LENGTH = 0xFFFFFFFF
TRANSFER_SYNTAX, CHARACTER_SET = 0x00020010, 0x00080005
META_END, DATASET_BEGIN, DATASET_END = 0x00030000, 0x00080000, 0xFFFE0000  # tags
ITEM = 0xFFFEE000
EXPLICIT, IMPLICIT, LENGTH = (struct.Struct(form).unpack_from for form in ("<HH2sH", "<HHL", "<L"))
VRS = {
    vr.value.encode(): (vr.value, vr in EXPLICIT_VR_LENGTH_32) for vr in VR if len(vr.value) == 2
}
PLAIN_UID = re.compile(rb"([0-9.]+)\0?")
PLAIN_NUMBER = rb" *[-+]?[0-9]+(?:\.[0-9]*)? *"
PLAIN_NUMBERS = re.compile(PLAIN_NUMBER + rb"(?:\\" + PLAIN_NUMBER + rb")*")
IS_IMPLICIT = {
    f"{ImplicitVRLittleEndian}\0".encode(): True,
    f"{ExplicitVRLittleEndian}\0".encode(): False,
}


class NotPlainError(Exception):
    """These bytes are not plainly encoded."""


Found = tuple[
    int, str | None, int, int
]  # a tag, its VR if the encoding tells it, where the value starts and ends


def plain_dataset(
    data: bytes, until: int | None, tags: frozenset[int] | None, *, is_whole: bool
) -> Dataset | None:
    """The attributes of a file as pydicom would read them, not yet converted; None where it is not
    plain.

    data: the file, or unless is_whole its beginning: then everything before `until` must lie in it.
    until: the first tag that is not looked at. tags: those that are kept, beside the character set;
        None: all.
    """
    if data[MARK] != b"DICM":
        return None
    try:
        meta_found = list(attributes(data, MARK.stop, len(data), implicit=False, until=META_END))
        meta = _raw(data, meta_found, implicit=False)
        begin = meta_found[-1][-1] if meta_found else MARK.stop
        syntax = meta.get(tag_of(TRANSFER_SYNTAX))
        implicit = None if syntax is None else IS_IMPLICIT.get(syntax.value or b"")
        if implicit is None or (implicit and data[begin + 4 : begin + 6].isupper()):
            return None
        seen = attributes(
            data,
            begin,
            len(data),
            implicit=implicit,
            until=until or DATASET_END,
            to_until=not is_whole,
        )
        found = list(islice(seen, MOST_ATTRIBUTES + 1))
    except NotPlainError:
        return None
    if len(found) > MOST_ATTRIBUTES or (found and found[0][0] < DATASET_BEGIN):
        return None
    wanted = (
        found
        if tags is None
        else [one for one in found if one[0] in tags or one[0] == CHARACTER_SET]
    )
    kept = _raw(data, wanted, implicit=implicit)
    dataset = Dataset(dict(kept))
    characters = kept.get(tag_of(CHARACTER_SET))
    dataset.set_original_encoding(
        implicit,
        True,
        default_encoding if characters is None else _encoding(characters._replace(value_tell=0)),
    )
    dataset.file_meta = FileMetaDataset(dict(meta))
    dataset.file_meta.set_original_encoding(False, True, default_encoding)
    return dataset


def meta_of(data: bytes) -> tuple[FileMetaDataset, int] | None:
    """A file's meta information, and where its data set begins; None where there is none, or it is
    not plain.

    data: the file's beginning.
    """
    if data[MARK] != b"DICM":
        return None
    try:
        found = list(attributes(data, MARK.stop, len(data), implicit=False, until=META_END))
    except NotPlainError:
        return None
    meta = FileMetaDataset(dict(_raw(data, found, implicit=False)))
    meta.set_original_encoding(False, True, default_encoding)
    return meta, found[-1][-1] if found else MARK.stop


def attributes(
    data: bytes,
    at: int,
    end: int,
    *,
    implicit: bool,
    until: int = DATASET_END,
    to_until: bool = False,
) -> Iterator[Found]:
    """The attributes from a place in the data to its end, or to the first tag from `until` on.

    to_until: whether there must be such a tag.
    Raises: NotPlainError.
    """
    last = 0
    try:
        while at < end:
            if implicit:
                group, element, length = IMPLICIT(data, at)
            else:
                group, element, code, length = EXPLICIT(data, at)
            tag, start, vr = group << 16 | element, at + 8, None
            if tag >= until:
                return
            if not implicit:
                vr, is_long = VRS[code]
                if is_long:
                    (length,) = LENGTH(data, start)
                    start += 4
            at = start + length
            if tag <= last or length == UNKNOWN_LENGTH or at > end:
                raise NotPlainError
            last = tag
            yield tag, vr, start, at
    except (struct.error, KeyError):
        raise NotPlainError from None
    if to_until:
        raise NotPlainError


def plain_items(data: bytes, *, implicit: bool) -> Iterator[dict[int, bytes]]:
    """The items of an encoded sequence, each as the encoded values of its attributes by tag.

    Raises: NotPlainError.
    """
    at = 0
    try:
        while at < len(data):
            group, element, length = IMPLICIT(data, at)
            start, at = at + 8, at + 8 + length
            if group << 16 | element != ITEM or length == UNKNOWN_LENGTH or at > len(data):
                raise NotPlainError
            found = attributes(data, start, at, implicit=implicit)
            yield {tag: data[first:last] for tag, _, first, last in found}
    except struct.error:
        raise NotPlainError from None


def plain_value(vr: str, encoded: bytes) -> str | float | tuple[float, ...] | None:
    """What a UID, a decimal number or several say in their usual spelling;

    None of anything else.
    """
    if vr == "UI" and (uid := PLAIN_UID.fullmatch(encoded)):
        return uid[1].decode()
    if vr == "DS" and PLAIN_NUMBERS.fullmatch(encoded):
        numbers = tuple(map(float, encoded.split(b"\\")))
        return numbers if len(numbers) > 1 else numbers[0]
    return None


@cache
def tag_of(what: int | str) -> BaseTag:
    """A tag as pydicom has it, always the same object: those it compares at once."""
    return Tag(what) if isinstance(what, int) else tag_of(int(Tag(what)))


def _raw(data: bytes, found: Iterable[Found], *, implicit: bool) -> dict[BaseTag, RawDataElement]:
    return {
        tag_of(tag): RawDataElement(
            tag_of(tag), vr, end - start, data[start:end] or _empty(vr), start, implicit, True
        )
        for tag, vr, start, end in found
    }


@lru_cache(maxsize=64)
def _encoding(characters: RawDataElement) -> str | MutableSequence[str]:
    """What pydicom decodes text by.

    characters: the character set, told to lie at 0, so that equal ones are equal.
    """
    return convert_encodings(convert_raw_data_element(characters).value)


@cache
def _empty(vr: str | None) -> bytes | None:
    empty = empty_value_for_VR(vr, raw=True)
    return empty if isinstance(empty, bytes) else None
