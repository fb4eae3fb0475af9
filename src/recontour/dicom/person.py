"""Whom a CT says it is of, and which PatientIDs tell people apart.

Nothing of this leaves memory.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from recontour.dicom.reading import reading, text
from recontour.errors import NotDicomError

NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
# What pseudonymisers and consoles write for everyone, without blanks and signs.
WORDS_FOR_NOBODY = """
    anon anonym anonyme anonymised anonymisiert anonymized anonymous blank deidentified dummy emergency id na name nn
    nobody noid none null patient patientid pid pseudonym pseudonymised pseudonymized removed research test testpatient
    unbekannt undefined unidentified unknown
"""
STAND_INS = frozenset(WORDS_FOR_NOBODY.split())
NO_BIRTHDAY = (
    "0101"  # 1 January: of one in 365 people, and of all those whose birth date was replaced
)


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a CT says it is of; each part is empty where the CT does not say."""

    id: str = ""
    name: frozenset[str] = frozenset()  # its words, in lower case
    birth_date: str = ""
    sex: str = ""

    def contradicts(self, other: "Person") -> bool:
        """Whether two cannot be one person by name, birth date or sex.

        A name may lack some of the other's words.
        """
        is_other_name = not (self.name <= other.name or other.name <= self.name)
        return (
            is_other_name
            or _differ(self.birth_date, other.birth_date)
            or _differ(self.sex, other.sex)
        )


NOBODY = Person()


def person_of(header: Dataset) -> Person:
    """Whom a header says it is of. What is damaged beside the ID is as if it were not there."""
    words = re.split(r"[\s^=,]+", _readable(header, "PatientName").casefold())
    return Person(
        text(header, "PatientID"),
        frozenset(words) - {""},
        _readable(header, "PatientBirthDate"),
        _readable(header, "PatientSex").upper(),
    )


def _readable(header: Dataset, keyword: str) -> str:
    with suppress(NotDicomError), reading(Path()):
        return text(header, keyword)
    return ""


def telling_ids(people: Iterable[Person]) -> set[str]:
    """The PatientIDs that stand for one person each, of the CTs of an archive; any other may be
    everyone's.

    people: of every CT that is to be imported. An ID tells nothing if it is empty or a stand-in
        such as ANON or 000, if CTs under it contradict each other, or if all CTs, of several, have
        it, unless a birth date says that they are one person's.
    """
    by_id: dict[str, list[Person]] = {}
    for person in people:
        by_id.setdefault(person.id, []).append(person)
    only_one = len(by_id) == 1
    telling = set()
    for patient_id, alike in by_id.items():
        is_everyones = only_one and len(alike) > 1 and not _is_one_birthday(alike)
        if not is_stand_in(patient_id) and not is_everyones and not _contradict(alike):
            telling.add(patient_id)
    return telling


def is_stand_in(patient_id: str) -> bool:
    """Whether an ID is none:

    empty, zeros or X alone, or a word such as ANON, with zeros behind it or not.
    """
    plain = NO_LETTER_OR_DIGIT.sub("", patient_id).casefold()
    return not plain.strip("0") or not plain.strip("x") or plain.rstrip("0") in STAND_INS


def _contradict(people: list[Person]) -> bool:
    return any(one.contradicts(other) for at, one in enumerate(people) for other in people[:at])


def _is_one_birthday(people: list[Person]) -> bool:
    """Whether all have one birth date that is no stand-in."""
    dates = {person.birth_date for person in people}
    (date, *others) = dates
    return bool(date) and not others and not date.endswith(NO_BIRTHDAY)


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other
