"""Which PatientIDs tell people apart."""

import pytest
from pydicom import Dataset

from recontour.dicom.person import Person, person_of, telling_ids


def person(patient_id: str, name: str = "", born: str = "", sex: str = "") -> Person:
    header = Dataset()
    header.PatientID, header.PatientName, header.PatientBirthDate, header.PatientSex = (
        patient_id,
        name,
        born,
        sex,
    )
    return person_of(header)


def test_an_id_of_one_person_tells() -> None:
    people = [
        person("17", "Doe^Jane", "19600304", "F"),
        person("17", "DOE^Jane^A", "", "F"),
        person("18", "Roe^R"),
    ]
    assert telling_ids(people) == {"17", "18"}


@pytest.mark.parametrize("other", [("Roe^Jane", "", ""), ("", "19600305", ""), ("", "", "M")])
def test_cts_that_contradict_each_other_make_an_id_tell_nothing(
    other: tuple[str, str, str],
) -> None:
    people = [person("17", "Doe^Jane", "19600304", "F"), person("17", *other), person("18")]
    assert telling_ids(people) == {"18"}


@pytest.mark.parametrize(
    "stand_in", ["", "0", "000000", "ANON", "Anonymous", "anon-0", "XXX", "N/A", "unknown", "ID"]
)
def test_a_stand_in_tells_nothing(stand_in: str) -> None:
    assert telling_ids([person(stand_in), person("18")]) == {"18"}


@pytest.mark.parametrize("patient_id", ["1", "ANON17", "A0", "MRN-4711", "Test 5", "張"])
def test_what_looks_like_a_stand_in_but_is_none(patient_id: str) -> None:
    assert telling_ids([person(patient_id), person("18")]) == {patient_id, "18"}


def test_one_id_for_all_cts_of_an_archive_tells_only_with_a_birth_date() -> None:
    assert telling_ids([person("17")]) == {"17"}, "one CT alone"
    assert telling_ids([person("17", "Doe^Jane")] * 3) == set()
    assert telling_ids([person("17", "", "19600304")] * 3) == {"17"}
    assert telling_ids([person("17", "", "19000101")] * 3) == set(), (
        "1 January stands in for birth dates"
    )
    assert telling_ids([person("17", "", "19600304"), person("17")]) == set()


def test_no_ct_has_no_id() -> None:
    assert telling_ids([]) == set()
