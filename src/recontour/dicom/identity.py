"""What identifies a patient in DICOM, what it becomes, and whether a text, a code or a number holds
it.
"""

import hmac
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from recontour.dicom.pairing import CtSeries
from recontour.dicom.reading import items_of, read_header, reading, text, value
from recontour.dicom.spelling import name_parts, spellings

NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
NUMBERS = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "StudyID",
    "PatientBirthDate",
    "StudyDate",
)
IDENTIFYING = ("SpecificCharacterSet", *NAMES, *NUMBERS, "OtherPatientIDsSequence")
SHORTEST = 3  # characters of an ID that is looked for: any shorter one is found anywhere
# the same of a number: a tube has 120 kV, an image 512 rows, and a patient may have either as ID
LEAST = 1000
MOST_DAYS = 3650  # dates go back by 1 to so many days


@dataclass(frozen=True, slots=True)
class Patient:
    """What one patient's identifiers become.

    words, numbers: what nothing that is written may hold.
    """

    secret: bytes
    key: str
    words: frozenset[str]
    numbers: frozenset[float]

    @classmethod
    def of(cls, series: CtSeries, secret: bytes) -> "Patient":
        """The patient of a series: by the ID, or without one by the name, or else one a series."""
        header = read_header(series.files[0], IDENTIFYING)
        with reading(series.files[0]):
            key = text(header, "PatientID") or text(header, "PatientName") or series.uid
            return cls(secret, key, frozenset(), frozenset()).knowing(header)

    def knowing(self, dataset: Dataset) -> "Patient":
        """The same patient, with the identifiers that a file holds besides."""
        words = _words(dataset) - self.words
        numbers = {float(word) for word in words if word.isascii() and word.isdigit()}
        return replace(
            self,
            words=self.words | words,
            numbers=self.numbers | {number for number in numbers if number >= LEAST},
        )

    def is_in_text(self, words: str) -> bool:
        """Whether text holds an identifier as one of its words, or, if that is no mere word,
        anywhere.

        Short names lie within the words of codes by chance: Ann in SCANNER.
        """
        for folded in spellings(words):
            parts = [*re.split(r"[\W_]", folded), *re.findall(r"[^\W\d_]+|[0-9]+", folded)]
            if not self.words.isdisjoint(parts) or any(
                word in folded for word in self.words if not _is_latin(word)
            ):
                return True
        return False

    def is_among(self, numbers: Iterable[float], least: float = LEAST) -> bool:
        """Whether one of some numbers, however it is written, is an identifier of `least` or more."""
        return any(number >= least for number in self.numbers.intersection(map(abs, numbers)))

    def hash(self, *what: str) -> bytes:
        """32 bytes that only who has the secret can compute."""
        return hmac.digest(self.secret, "\0".join(what).encode(), "sha256")

    def token(self, *what: str) -> str:
        """12 hexadecimal digits, to call something by."""
        return self.hash(*what).hex()[:12]

    @property
    def pseudonym(self) -> str:
        """What stands in the place of name and ID."""
        return f"P{self.token('patient', self.key)}"

    def uid(self, uid: str) -> UID:
        """Another UID in place of one, always the same;

        DICOM's own, which have a name and are nobody's, stay.
        """
        if not uid or UID(uid).name != uid:
            return UID(uid)
        return UID(f"2.25.{UUID(bytes=self.hash('uid', uid)[:16], version=4).int}")

    def date(self, day: str) -> str:
        """A DA or DT, its day moved by the patient's own number of days and without its time;

        empty if it is none.
        """
        back = timedelta(days=1 + int.from_bytes(self.hash("days", self.key)) % MOST_DAYS)
        with suppress(ValueError, OverflowError):
            return (datetime.strptime(day[:8], "%Y%m%d") - back).strftime("%Y%m%d")
        return ""


def _words(dataset: Dataset) -> frozenset[str]:
    """The parts of the names that a file gives the patient;

    the patient's numbers, and the longer digits in them.
    """
    names = [part for keyword in NAMES for part in name_parts(text(dataset, keyword))]
    numbers = [number for keyword in NUMBERS for number in _values(dataset, keyword)]
    numbers += [text(item, "PatientID") for item in items_of(dataset, "OtherPatientIDsSequence")]
    digits = [run for number in numbers for run in re.findall("[0-9]{4,}", number)]
    found = (*names, *(one for one in (*numbers, *digits) if len(one) >= SHORTEST))
    return frozenset(spelling for word in found for spelling in spellings(word))


def _is_latin(word: str) -> bool:
    """Whether a word is one of letters and digits that ends where another kind of sign begins."""
    return word.isascii() and word.isalnum()


def _values(dataset: Dataset, keyword: str) -> list[str]:
    """Each value of an attribute as text."""
    found = value(dataset, keyword)
    return [str(one or "").strip() for one in (found if isinstance(found, MultiValue) else [found])]
