"""The attributes of a DICOM file -> those that may be written, without what names the patient.

Only attributes that kept.toml names get through. Codes and texts consist of words that terms.toml
names, numbers are numbers, and none of them is an identifier of the patient.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from math import inf
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import UID

from recontour.dicom.contour_findings import CoordinatesNotNumbers
from recontour.dicom.deidentify_findings import IdentifierInNumbers, TooManyValues
from recontour.dicom.identity import LEAST_NUMBER, WORDS_AND_NUMBERS, Pseudonyms
from recontour.dicom.reading import DEEPEST, sop_class_uid, sop_instance_uid
from recontour.dicom.references import CLOSED
from recontour.errors import DicomError

PROFILE = (  # PS3.16 CID 7050
    Code("113100", "DCM", "Basic Application Confidentiality Profile"),
    Code("113105", "DCM", "Clean Descriptors Option"),
    Code("113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
DATES = ("DA", "DT")  # kinds of values (VR)
TEXTS = ("UI", *DATES, "CS", "LO", "SH")
CONTOUR_DATA = Tag("ContourData")
COORDINATES = re.compile(rb"[-+0-9.eE\\\s]*")
NUMBER = re.compile(r"\s*[-+]?[0-9.]+([eE][-+]?[0-9]+)?\s*")
MOST_DIGITS = 4  # in a scanner's name, as in PQ2000: a serial number has more
# No position, size or rescaling of a CT is as large; an identifier may be.
LEAST_OF_PLACES = 10_000


def without_identity(dataset: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """Return what is kept of a file, with a pseudonym and the profile that was applied.

    Raises: DicomError: the file holds an identifier where it cannot be left out.
    """
    clean = _kept(dataset, pseudonyms.knowing(dataset))
    _set_kind(clean, dataset, pseudonyms)
    for keyword in _kept_groups()["empty"]:
        setattr(clean, keyword, "")
    if "Manufacturer" not in clean:
        clean.Manufacturer = ""
    if "FrameOfReferenceUID" in clean:
        clean.PositionReferenceIndicator = ""
    clean.SpecificCharacterSet = "ISO_IR 192"
    clean.PatientName = f"Deidentified^{pseudonyms.pseudonym}"
    clean.PatientID = pseudonyms.pseudonym
    clean.PatientIdentityRemoved = "YES"
    clean.LongitudinalTemporalInformationModified = "MODIFIED"
    clean.DeidentificationMethod = f"{_maker()}: named attributes only"
    clean.DeidentificationMethodCodeSequence = list(map(_coded, PROFILE))
    return clean


def _set_kind(clean: Dataset, dataset: Dataset, pseudonyms: Pseudonyms) -> None:
    """Say what kind of object a file holds, and under which new UID."""
    kind = UID(sop_class_uid(dataset))
    uid = pseudonyms.uid(sop_instance_uid(dataset))
    clean.SOPClassUID = kind
    clean.SOPInstanceUID = uid
    clean.file_meta = FileMetaDataset()
    clean.file_meta.MediaStorageSOPClassUID = kind
    clean.file_meta.MediaStorageSOPInstanceUID = uid
    clean.file_meta.ImplementationVersionName = _maker()[:16]


@cache
def _maker() -> str:
    return f"recontour {version('recontour')}"


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


@cache
def _kept_groups() -> dict[str, list[str]]:
    """Return the keywords of kept.toml by their group."""
    return _table("kept.toml")


@cache
def kept_keywords() -> frozenset[str]:
    """Return the attributes that are written if they are there and in order."""
    keywords: set[str] = set()
    for group, members in _kept_groups().items():
        if group != "empty":
            keywords.update(members)
    return frozenset(keywords)


def _kept(
    dataset: Dataset,
    pseudonyms: Pseudonyms,
    level: int = 0,
) -> Dataset:
    """Return the attributes that are kept, also in sequences, if their values are of their kind.

    level: how many sequences the dataset lies in.
    """
    clean = Dataset()
    if level > DEEPEST:
        return clean
    for tag in sorted(dataset.keys()):
        if keyword_for_tag(tag) not in kept_keywords():
            continue
        if tag == CONTOUR_DATA:
            _keep_coordinates(clean, dataset, pseudonyms)
            continue
        element = _clean_or_none(dataset, tag, pseudonyms, level)
        if element is not None:
            clean.add(element)
    return clean


def _clean_or_none(
    dataset: Dataset, tag: Any, pseudonyms: Pseudonyms, level: int
) -> DataElement | None:
    """Return an attribute as it may be written; None if it is damaged or may not be written."""
    try:
        return _clean(dataset[tag], pseudonyms, level)
    except (DicomError, MemoryError):
        raise
    except Exception:  # pydicom raises almost anything on values that are not what they should be
        return None


def _clean(
    element: DataElement,
    pseudonyms: Pseudonyms,
    level: int,
) -> DataElement | None:
    """Return an element as it may be written; None if it is not of its attribute's kind (VR).

    Raises: DicomError: it holds an identifier, and there is no image without it.
    """
    kind = element.VR
    kinds = dictionary_VR(element.tag)
    if kind not in (kinds, *kinds.split(" or ")):
        return None
    if kind == "SQ":
        items = [_kept(item, pseudonyms, level + 1) for item in element.value]
        return DataElement(element.tag, kind, items)
    values = element.value if element.VM > 1 else [element.value]
    if kind not in TEXTS:
        return _nobodys_numbers(element, values, pseudonyms)
    clean = _clean_texts(element, values, pseudonyms)
    if not clean:
        return None
    return DataElement(element.tag, kind, clean if len(clean) > 1 else clean[0])


def _clean_texts(
    element: DataElement, values: Sequence[Any], pseudonyms: Pseudonyms
) -> Sequence[str]:
    """Return what UIDs, dates, codes or words become; nothing where they may not be written."""
    texts = [str(value or "") for value in values]
    if element.VR in DATES:
        return list(map(pseudonyms.date, texts))
    stripped = list(map(str.strip, texts))
    if element.VR == "UI":
        return list(map(pseudonyms.uid, stripped))
    return _known_words(element, stripped, pseudonyms)


def _nobodys_numbers(
    element: DataElement, values: Sequence[Any], pseudonyms: Pseudonyms
) -> DataElement | None:
    """Return an element of numbers; None if one is not a number, or is an identifier.

    Raises: DicomError: it holds an identifier or too many numbers, and there is no image without
        it.
    """
    if not all(_is_number(value, element.VR) for value in values):
        return None
    numbers = [float(value or 0) for value in values]
    is_needed = element.keyword in _kept_groups()["pixels"]
    if len(numbers) > _most_values(element.tag):  # text may hide in numbers that nobody reads
        if is_needed:
            raise DicomError(TooManyValues(keyword=element.keyword))
        return None
    if not pseudonyms.is_among(numbers, LEAST_OF_PLACES if is_needed else LEAST_NUMBER):
        return element
    if is_needed:
        raise DicomError(IdentifierInNumbers())
    return None


def _most_values(tag: Any) -> float:
    """Return how many values an attribute may have (its VM, such as 1, 1-2 or 3-3n)."""
    _, _, most = dictionary_VM(tag).rpartition("-")
    return inf if most.endswith("n") else int(most)


def _is_number(value: Any, kind: str) -> bool:
    if kind in ("DS", "IS"):
        return NUMBER.fullmatch(str(value or 0)) is not None
    return isinstance(value, int | float)


def _known_words(
    element: DataElement,
    texts: Sequence[str],
    pseudonyms: Pseudonyms,
) -> list[str]:
    """Return a code's values that are terms of the standard, or a text of known words; or nothing.

    None of them holds an identifier of the patient, except for what every contour is: without it
    none could be read.
    """
    kept = []
    for words in texts:
        if words in CLOSED or (
            is_known(element.keyword, words) and not pseudonyms.is_in_text(words)
        ):
            kept.append(words)
    is_whole = kept == texts
    return kept if is_whole or element.VR == "CS" else []


def is_known(keyword: str, text: str) -> bool:
    """Say whether the value of an attribute is a term, or is made of known words."""
    codes, words = _terms(keyword)
    if codes:
        return text in codes
    digits = 0
    for part in WORDS_AND_NUMBERS.findall(text.casefold()):
        if part.isdigit():
            digits += len(part)
        elif part not in words and len(part) > 1:
            return False
    return digits <= MOST_DIGITS


@cache
def _terms(keyword: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the terms that an attribute may have, or the words that its text may consist of."""
    terms = _table("terms.toml")
    codes = terms["codes"].get(keyword, ())
    words = terms["texts"].get(keyword, ())
    return frozenset(codes), frozenset(words)


@cache
def _table(name: str) -> dict[str, Any]:
    text = files("recontour.dicom").joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _keep_coordinates(clean: Dataset, dataset: Dataset, pseudonyms: Pseudonyms) -> None:
    """Carry a contour's points over as the text that they are, if they are numbers.

    Decoding them would take ten times as long. How many points there are must be said: they are
    counted again where the number that stood there was dropped.
    Raises: DicomError: they are not numbers, or one of them is an identifier.
    """
    element = dataset.get_item(CONTOUR_DATA)
    encoded = element and element.value
    if not encoded or encoded.isspace():
        return
    numbers = _coordinates(encoded)
    if pseudonyms.is_among(numbers, LEAST_OF_PLACES):
        raise DicomError(IdentifierInNumbers())
    if "NumberOfContourPoints" not in clean:
        clean.NumberOfContourPoints = len(numbers) // 3
    encoded += b" " * (len(encoded) % 2)
    clean[CONTOUR_DATA] = RawDataElement(CONTOUR_DATA, "DS", len(encoded), encoded, 0, True, True)
    clean.set_original_encoding(True, True, default_encoding)  # so that pydicom writes it as it is


def _coordinates(encoded: Any) -> list[float]:
    """Return the numbers of a contour's encoded points."""
    if not isinstance(encoded, bytes) or not COORDINATES.fullmatch(encoded):
        raise DicomError(CoordinatesNotNumbers())
    try:
        return list(map(float, encoded.split(b"\\")))
    except ValueError:
        raise DicomError(CoordinatesNotNumbers()) from None
