"""Whom a CT says it is of, and which PatientIDs tell people apart.

Nothing of this leaves memory.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pydicom import Dataset

from recontour.dicom.reading import reading, text
from recontour.errors import NotDicomError

NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
# What pseudonymisers and consoles write for everyone, without blanks and signs.
WORDS_FOR_NOBODY = """
    anon anonym anonyme anonymised anonymisiert anonymized anonymous blank deidentified dummy
    emergency id na name nn nobody noid none null patient patientid pid pseudonym pseudonymised
    pseudonymized removed research test testpatient unbekannt undefined unidentified unknown
"""
STAND_INS = frozenset(WORDS_FOR_NOBODY.split())
# 1 January is the birthday of one in 365 people, and of all whose birth date was replaced.
NO_BIRTHDAY = "0101"


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a CT says it is of; each part is empty where the CT does not say.

    name: its words, in lower case.
    """

    id: str = ""
    name: frozenset[str] = frozenset()
    birth_date: str = ""
    sex: str = ""

    def contradicts(self, other: "Person") -> bool:
        """Return whether two cannot be one person by name, birth date or sex.

        One name may lack some words of the other.

        >>> Person(sex="F").contradicts(Person(sex="M")), Person(sex="F").contradicts(Person())
        (True, False)
        """
        if not (self.name <= other.name or other.name <= self.name):
            return True
        return _differ(self.birth_date, other.birth_date) or _differ(self.sex, other.sex)


NOBODY = Person()


def person_of(header: Dataset) -> Person:
    """Return the person that a header names. A damaged value, other than the ID, is absent.

    >>> header = Dataset()
    >>> header.PatientName, header.PatientSex = "Doe^Jane", "F"
    >>> person_of(header)
    Person(id='', name=..., birth_date='', sex='F')
    """
    words = re.split(r"[\s^=,]+", _readable(header, "PatientName").casefold())
    return Person(
        id=text(header, "PatientID"),
        name=frozenset(words) - {""},
        birth_date=_readable(header, "PatientBirthDate"),
        sex=_readable(header, "PatientSex").upper(),
    )


def _readable(header: Dataset, keyword: str) -> str:
    with suppress(NotDicomError), reading(Path()):
        return text(header, keyword)
    return ""


def telling_ids(people: Iterable[Person]) -> set[str]:
    """Return the PatientIDs that stand for one person each; any other may be shared.

    An ID tells nothing if it is empty or a stand-in like ANON or 000, or if CTs under it contradict
    each other. It also tells nothing if it is the only ID of several CTs, unless a birth date says
    that they are one person's.
    people: of every CT that is to be imported.

    >>> sorted(telling_ids([Person("4711"), Person("4712"), Person("ANON")]))
    ['4711', '4712']
    """
    by_id: defaultdict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_id[person.id].append(person)
    telling = set()
    for patient_id, alike in by_id.items():
        have_all_one_id = len(by_id) == 1 and len(alike) > 1
        if is_stand_in(patient_id) or _contradict(alike):
            continue
        if not have_all_one_id or _have_one_birthday(alike):
            telling.add(patient_id)
    return telling


def is_stand_in(patient_id: str) -> bool:
    """Return whether an ID is missing or stands for nobody.

    It is empty, consists of zeros or of X, or is a word like ANON, with or without zeros behind it.

    >>> is_stand_in("ANON_000"), is_stand_in("4711")
    (True, False)
    """
    plain = NO_LETTER_OR_DIGIT.sub("", patient_id).casefold()
    return not plain.strip("0") or not plain.strip("x") or plain.rstrip("0") in STAND_INS


def _contradict(people: Sequence[Person]) -> bool:
    """Return whether any two of some people contradict each other."""
    return any(one.contradicts(other) for one, other in combinations(people, 2))


def _have_one_birthday(people: Sequence[Person]) -> bool:
    """Return whether all have one birth date that is not a stand-in."""
    date = people[0].birth_date
    is_same = all(person.birth_date == date for person in people)
    return is_same and bool(date) and not date.endswith(NO_BIRTHDAY)


def _differ(one: str, other: str) -> bool:
    """Return whether two texts are both present and differ."""
    return bool(one and other) and one != other
