"""How names may be written."""

import pytest

from recontour.dicom.spelling import name_parts, spellings


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("MÜLLER", {"müller", "muller", "mueller"}),
        ("Mu\u0308ller", {"müller", "muller", "mueller"}),
        ("Søren", {"søren", "soren", "soeren"}),
        ("Roe", {"roe"}),
    ],
)
def test_a_word_is_written_with_its_accents_and_without(word: str, written: set[str]) -> None:
    assert spellings(word) == written


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Mu\u0308ller^Li", ["Müller"]),
        ("李^明", ["李", "明"]),
        ("홍^길동", ["홍", "길동"]),
        ("MUELLER^Bo", ["MUELLER"]),
        ("O'Neill^Jo Ann", ["Neill", "Ann"]),
    ],
)
def test_parts_of_a_name_are_those_that_can_be_looked_for(name: str, parts: list[str]) -> None:
    assert name_parts(name) == parts
