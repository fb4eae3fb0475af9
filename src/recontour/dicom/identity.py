"""What identifies a patient in DICOM, and the pseudonyms, UIDs and dates that stand in for it."""

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

NAME_KEYWORDS = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName")
NUMBER_KEYWORDS = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "StudyID",
    "PatientBirthDate",
    "StudyDate",
)
IDENTIFYING = (
    "SpecificCharacterSet",
    *NAME_KEYWORDS,
    *NUMBER_KEYWORDS,
    "OtherPatientIDsSequence",
)
SHORTEST_ID = 3  # characters; a shorter one would be found anywhere
LONG_RUN = re.compile("[0-9]{4,}")  # digits within an ID that may be looked for alone
# A tube has 120 kV, an image 512 rows, and a patient may have either as an ID.
LEAST_NUMBER = 1000
MOST_DAYS = 3650  # dates are moved back by 1 to this many days
WORDS_AND_NUMBERS = re.compile(r"[^\W\d_]+|[0-9]+")
SEPARATORS = re.compile(r"[\W_]")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """What one patient's identifiers become, and what nothing that is written may hold.

    secret: everything derives from it. key: of the patient: the ID, or else the name. words: the
    patient's names and numbers in all their spellings. numbers: those of them that are numbers.
    """

    secret: bytes
    key: str
    words: frozenset[str]
    numbers: frozenset[float]

    @classmethod
    def of(cls, series: CtSeries, secret: bytes) -> "Pseudonyms":
        """Return the pseudonyms of a series' patient.

        Without an ID the name tells patients apart; without either each series is a patient.
        """
        first = series.files[0]
        header = read_header(first, IDENTIFYING)
        with reading(first):
            key = text(header, "PatientID") or text(header, "PatientName") or series.uid
            return cls(secret, key, frozenset(), frozenset()).knowing(header)

    def knowing(self, dataset: Dataset) -> "Pseudonyms":
        """Return the same pseudonyms, with the identifiers that a file adds."""
        added = _identifiers(dataset) - self.words
        numbers = set(self.numbers)
        for word in added:
            if word.isascii() and word.isdigit() and float(word) >= LEAST_NUMBER:
                numbers.add(float(word))
        return replace(self, words=self.words | added, numbers=frozenset(numbers))

    def is_in_text(self, words: str) -> bool:
        """Say whether a text holds an identifier.

        An identifier of Latin letters and digits must be a whole word: SCANNER holds Ann by chance.
        Any other may lie anywhere.
        """
        return any(map(self._is_in_spelling, spellings(words)))

    def _is_in_spelling(self, folded: str) -> bool:
        parts = [*SEPARATORS.split(folded), *WORDS_AND_NUMBERS.findall(folded)]
        if not self.words.isdisjoint(parts):
            return True
        return any(word in folded for word in self.words if not _is_latin(word))

    def is_among(
        self,
        numbers: Iterable[float],
        least: float = LEAST_NUMBER,
    ) -> bool:
        """Say whether one of some numbers, of either sign, is an identifier of `least` or more."""
        shared = self.numbers.intersection(map(abs, numbers))
        return max(shared, default=0) >= least

    def hash(self, *what: str) -> bytes:
        """Return 32 bytes that only somebody with the secret can compute."""
        return hmac.digest(self.secret, "\0".join(what).encode(), "sha256")

    def token(self, *what: str) -> str:
        """Return 12 hexadecimal digits that stand for something."""
        return self.hash(*what).hex()[:12]

    @property
    def pseudonym(self) -> str:
        """Return what replaces name and ID."""
        return f"P{self.token('patient', self.key)}"

    def uid(self, uid: str) -> UID:
        """Return the UID that replaces a UID: always the same one.

        DICOM's own UIDs, which have names, are kept; so is an empty one.
        """
        if not uid or UID(uid).name != uid:
            return UID(uid)
        random = self.hash("uid", uid)[:16]
        return UID(f"2.25.{UUID(bytes=random, version=4).int}")

    def date(self, day: str) -> str:
        """Return a date (DA or DT) without its time, moved back by the patient's number of days.

        It is empty if it is not a date.
        """
        days = 1 + int.from_bytes(self.hash("days", self.key)) % MOST_DAYS
        with suppress(ValueError, OverflowError):
            moved = datetime.strptime(day[:8], "%Y%m%d") - timedelta(days=days)
            return moved.strftime("%Y%m%d")
        return ""


def _identifiers(dataset: Dataset) -> frozenset[str]:
    """Return what identifies a patient in a file, in all its spellings.

    That is the parts of the names, the numbers, and the longer runs of digits in them.
    """
    names: list[str] = []
    for keyword in NAME_KEYWORDS:
        names += name_parts(text(dataset, keyword))
    numbers: list[str] = []
    for keyword in NUMBER_KEYWORDS:
        numbers += _values(dataset, keyword)
    for item in items_of(dataset, "OtherPatientIDsSequence"):
        numbers.append(text(item, "PatientID"))
    for number in [*numbers]:
        numbers += LONG_RUN.findall(number)
    found: set[str] = set()
    for word in names:
        found |= spellings(word)
    for number in numbers:
        if len(number) >= SHORTEST_ID:
            found |= spellings(number)
    return frozenset(found)


def _is_latin(word: str) -> bool:
    """Say whether a word has only letters and digits of ASCII, so that other signs end it."""
    return word.isascii() and word.isalnum()


def _values(dataset: Dataset, keyword: str) -> list[str]:
    """Return each value of an attribute as text."""
    found = value(dataset, keyword)
    values = found if isinstance(found, MultiValue) else [found]
    return [str(one or "").strip() for one in values]
