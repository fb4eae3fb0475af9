"""Several files with one SOPInstanceUID: copies of one object, or objects that should not share it.

The comparison covers everything in a file except its meta information (group 2), group lengths, and
what a PACS writes on the way (`ON_THE_WAY`). How values are encoded does not matter: pixels are
compared decoded, numbers as numbers, text as text, and an empty attribute equals an absent one.
"""

import hashlib
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag

from recontour.dicom.folders import cannot_read
from recontour.dicom.pixels import stored_pixels
from recontour.dicom.reading import DEEPEST, read_dataset, reading, text
from recontour.errors import DicomError, NotDicomError
from recontour.findings import Finding

# What an archive writes when it stores or sends a file.
ON_THE_WAY = (
    "SpecificCharacterSet",
    "InstanceCoercionDateTime",
    "QueryRetrieveView",
    "RetrieveAETitle",
    "StationAETitle",
    "InstanceAvailability",
    "RetrieveURL",
    "RetrieveURI",
    "StorageMediaFileSetID",
    "StorageMediaFileSetUID",
    "OriginalAttributesSequence",
    "DataSetTrailingPadding",
)
# How pixels are stored; what they are is compared when they are decoded.
PIXEL_KEYWORDS = (
    "PixelData",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "LossyImageCompression",
)
# The patient, and everything that affects voxels, contours or the choice of structure sets.
THAT_MATTER = (
    "SOPClassUID",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "ImageType",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PixelData",
    "StructureSetLabel",
    "StructureSetDate",
    "StructureSetTime",
    "ReferencedFrameOfReferenceSequence",
    "StructureSetROISequence",
    "ROIContourSequence",
    "ApprovalStatus",
    "ContentLabel",
    "ContentDate",
    "ContentTime",
    "ReferencedSeriesSequence",
    "SegmentationType",
    "SegmentSequence",
)


PASSED_OVER = frozenset(filter(None, map(tag_for_keyword, ON_THE_WAY)))
Damage = tuple[Path, Finding]  # a file that cannot be read, and why


@dataclass(frozen=True, slots=True)
class Versions:
    """What the files with one SOPInstanceUID hold.

    files: the first file of each version. apart: the attributes that matter in which versions
    differ; empty if there is one version. besides: those in which copies of one version differ.
    damaged: files that cannot be read while another can, and why.
    """

    files: tuple[Path, ...]
    apart: frozenset[str] = frozenset()
    besides: frozenset[str] = frozenset()
    damaged: tuple[Damage, ...] = ()


def versions_of(paths: Sequence[Path]) -> Versions:
    """Tell copies from versions. Files that are equal byte for byte are not looked into."""
    distinct = tuple(_first_of_each_content(paths))
    if len(distinct) == 1:
        return Versions(distinct)
    whole, damaged = _read_all(distinct)
    if not whole:
        return Versions(distinct[:1])
    versions: dict[Path, Dataset] = {}
    apart: set[str] = set()
    besides: set[str] = set()
    for path, dataset in whole.items():
        differences = [_differing_keywords(dataset, version, path) for version in versions.values()]
        decisive = [found & _that_matter(dataset) for found in differences]
        if all(decisive):  # also of the first, which is compared with no other
            versions[path] = dataset
            apart.update(*decisive)
        else:
            besides |= differences[decisive.index(set())]
    return Versions(tuple(versions), frozenset(apart), frozenset(besides), tuple(damaged.items()))


def _first_of_each_content(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the first of the files that are equal byte for byte."""
    if len(paths) == 1:
        yield paths[0]
        return
    met: set[bytes] = set()
    for path in paths:
        content = _digest(path)
        if content not in met:
            met.add(content)
            yield path


def _digest(path: Path) -> bytes:
    """Return a hash of a file's content; of an unreadable file its path, so that it is not lost.

    Raises: FaultError: the machine failed.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        cannot_read(path, error)  # raises if the machine is to blame
        return bytes(path)


def _read_all(paths: Sequence[Path]) -> tuple[dict[Path, Dataset], dict[Path, Finding]]:
    """Return the files that can be read whole, and why the others cannot."""
    whole: dict[Path, Dataset] = {}
    damaged: dict[Path, Finding] = {}
    for path in paths:
        try:
            whole[path] = read_dataset(path)
        except NotDicomError as error:
            damaged[path] = error.finding
    return whole, damaged


def _that_matter(dataset: Dataset) -> set[str]:
    """Return the attributes that matter; without an ID, the name identifies the patient."""
    keywords = set(THAT_MATTER)
    if not text(dataset, "PatientID"):
        keywords.add("PatientName")
    return keywords


def _differing_keywords(
    one: Dataset,
    other: Dataset,
    path: Path,
) -> set[str]:
    """Return the attributes in which two files differ; private and unknown ones by their tags."""
    with reading(path):
        found = {keyword_for_tag(tag) or str(tag) for tag in _differing(one, other)}
        if not found.isdisjoint(PIXEL_KEYWORDS):
            found.difference_update(PIXEL_KEYWORDS)
            if not _same_pixels(one, other, path):
                found.add("PixelData")
    return found


def _same_pixels(one: Dataset, other: Dataset, path: Path) -> bool:
    try:
        first = stored_pixels(one, path)
        second = stored_pixels(other, path)
    except DicomError:  # reported where they are used; here they are bytes that differ
        return False
    return np.array_equal(first, second)


def _differing(
    one: Dataset,
    other: Dataset,
    depth: int = 0,
) -> Iterator[BaseTag]:
    """Yield the tags of two datasets whose values differ."""
    for tag in sorted(one.keys() | other.keys()):
        if tag.element == 0 or tag in PASSED_OVER:
            continue
        if _same_bytes(one, other, tag):
            continue
        if not _same_value(_value(one, tag), _value(other, tag), depth):
            yield tag


def _same_bytes(one: Dataset, other: Dataset, tag: BaseTag) -> bool:
    """Return whether two encoded values are equal and need no conversion to be compared."""
    first, second = one.get_item(tag), other.get_item(tag)
    if not isinstance(first, RawDataElement) or not isinstance(second, RawDataElement):
        return False
    if first.value != second.value or first.is_little_endian != second.is_little_endian:
        return False
    is_ascii = not first.value or first.value.isascii()
    return is_ascii or one.original_character_set == other.original_character_set


def _value(dataset: Dataset, tag: BaseTag) -> Any:
    """Return what an attribute holds; None if it is empty.

    It is converted, or as it is encoded if it is damaged.
    """
    raw = dataset.get_item(tag)
    try:
        found = dataset[tag].value if tag in dataset else None
    except MemoryError:
        raise
    except Exception:  # pydicom raises almost anything on damaged values
        found = raw.value if raw is not None else None
    is_empty = isinstance(found, Sized) and not len(found)
    return None if is_empty else found


def _same_value(one: Any, other: Any, depth: int) -> bool:
    if not isinstance(one, Items) or not isinstance(other, Items):
        return bool(one == other)
    if len(one) != len(other) or depth >= DEEPEST:
        return False
    pairs = zip(one, other, strict=True)
    return all(_is_same_item(first, second, depth) for first, second in pairs)


def _is_same_item(one: Dataset, other: Dataset, depth: int) -> bool:
    return next(_differing(one, other, depth + 1), None) is None
