"""Identifiers are found however they are written, and become the same pseudonym each time."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage

from recontour.dicom.identity import LEAST_NUMBER, MOST_DAYS, Pseudonyms

SECRET = bytes(range(32))
SOMEBODY = Pseudonyms(SECRET, "4711", frozenset(), frozenset())


def of(**values: object) -> Pseudonyms:
    """Pseudonyms that know the identifiers of a file."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return SOMEBODY.knowing(dataset)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Müller^Jörg", "MUELLER"),
        ("Müller^Jörg", "Muller"),
        ("Mu\u0308ller^Jo\u0308rg", "Joerg"),  # decomposed
        ("Müller^Jörg", "Mu\u0308ller"),
        ("Mueller", "MUELLER"),
        ("Søren", "Soren"),
        ("Søren", "SOEREN"),
        ("Łukasz", "lukasz"),
        ("Groß", "GROSS"),
        ("Åse", "Aase"),
        ("Ægir", "AEGIR"),
        ("Þórdís", "Thordis"),
        ("Þórdís", "TORDIS"),
        ("Nuñez^José", "JOSE"),
        ("Đorđe", "dorde"),
        ("Y\u0131ld\u0131z", "YILDIZ"),
        ("Wang^XiaoDong=王^小东", "WANG"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "やまだ"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "길동"),
    ],
)
def test_a_name_is_found_however_it_is_spelt(name: str, written: str) -> None:
    pseudonyms = of(PatientName=name)
    assert pseudonyms.is_in_text(f"CT of {written}")
    assert pseudonyms.is_in_text(written.upper())
    assert not pseudonyms.is_in_text("SOMATOM Definition AS")


@pytest.mark.parametrize(
    ("text", "is_in"),
    [("CT OF ANN", True), ("ANN1", True), ("SCANNER", False), ("A_ANN_B", True), ("", False)],
)
def test_a_short_name_must_be_a_word(text: str, is_in: bool) -> None:
    assert of(PatientName="Ann").is_in_text(text) == is_in


def test_an_id_that_is_no_plain_word_is_found_anywhere() -> None:
    assert of(PatientID="ZEB_Q").is_in_text("FORZEB_Q1")
    assert not of(PatientID="ZQ").is_in_text("ZQ")  # two characters lie anywhere


def test_numbers_are_identifiers_of_either_sign_from_a_thousand_on() -> None:
    known = of(PatientID="0098765", OtherPatientIDs=["120", "1000"])
    assert known.is_among([-98765.0])
    assert known.is_among([1.0, 1e3])
    assert not known.is_among([120.0, 98764.0])
    assert not known.is_among([1000.0], least=10_000)
    assert min(known.numbers) >= LEAST_NUMBER


def test_digits_within_an_id_are_looked_for_alone() -> None:
    known = of(PatientID="MRN-4711")
    assert known.is_in_text("ID4711")
    assert known.is_among([4711.0])


@given(st.dates(min_value=datetime(1900, 1, 1).date(), max_value=datetime(2100, 1, 1).date()))
def test_a_patient_s_dates_move_back_by_the_same_days(day: datetime) -> None:
    def moved(text: str) -> datetime:
        return datetime.strptime(SOMEBODY.date(text), "%Y%m%d")

    apart = datetime(day.year, day.month, day.day) - moved(day.strftime("%Y%m%d"))
    assert 1 <= apart.days <= MOST_DAYS
    assert apart == datetime(2020, 1, 31) - moved("20200131120000.000000")  # a DT


@pytest.mark.parametrize("text", ["", "none", "20209999", "00010101"])
def test_what_is_no_date_becomes_none(text: str) -> None:
    assert SOMEBODY.date(text) == ""


@given(st.integers(min_value=0, max_value=10**30))
def test_a_uid_becomes_another_one_always_the_same(number: int) -> None:
    uid = f"1.2.3.{number}"
    new = SOMEBODY.uid(uid)
    assert new == SOMEBODY.uid(uid)
    assert new != Pseudonyms(bytes(32), "4711", frozenset(), frozenset()).uid(uid)
    assert UID(new).is_valid
    assert new.startswith("2.25.")


def test_dicoms_own_uids_stay() -> None:
    assert SOMEBODY.uid(CTImageStorage) == CTImageStorage
    assert SOMEBODY.uid("") == ""


def test_a_pseudonym_is_the_patient_s_and_the_secret_s() -> None:
    other = Pseudonyms(SECRET, "4712", frozenset(), frozenset())
    unknown = Pseudonyms(bytes(32), "4711", frozenset(), frozenset())
    assert len({SOMEBODY.pseudonym, other.pseudonym, unknown.pseudonym}) == 3
    assert of(PatientID="17").pseudonym == SOMEBODY.pseudonym  # the key counts, nothing else
