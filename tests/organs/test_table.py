import subprocess
import sys
from itertools import product

import pytest

from recontour.organs import default_organ, is_tg263, known_organs, organ_of
from recontour.organs.table import no_organs, organs


@pytest.mark.parametrize(
    ("organ", "expected"),
    [
        ("Brainstem", 2.5),
        ("SpinalCord", 2.93),
        ("Parotid_L", 2.85),
        ("Parotid_R", 2.85),
        ("Lens_R", 0.98),
    ],
)
def test_published_tolerances_do_not_depend_on_the_side(organ: str, expected: float) -> None:
    assert organ_of(organ).tolerance_mm == expected
    assert organ_of(organ).has_own_tolerance


@pytest.mark.parametrize("organ", ["Pituitary", "Lobe_Temporal_L", "Larynx", "Glottis"])
def test_other_organs_get_the_default(organ: str) -> None:
    assert organ_of(organ).tolerance_mm == default_organ().tolerance_mm
    assert not organ_of(organ).has_own_tolerance


def test_an_organ_that_differs_from_a_known_one_in_its_side_shares_concept_and_tolerance() -> None:
    for name, known in (("Parotid", "Parotid_L"), ("Brainstem_L", "Brainstem")):
        assert organ_of(name).tolerance_mm == organ_of(known).tolerance_mm
        assert organ_of(name).concept == organ_of(known).concept
        assert organ_of(name).colour == default_organ().colour
        assert organ_of(name).kept_share == default_organ().kept_share


@pytest.mark.parametrize(
    ("name", "twin"),
    [("Parotid_L", "Parotid_R"), ("Kidney_R", "Kidney_L"), ("Larynx", None), ("Parotid", None)],
)
def test_twins(name: str, twin: str | None) -> None:
    assert organ_of(name).twin == twin
    if twin:
        assert organ_of(twin).twin == name


def test_the_organs_facts_are_in_their_ranges() -> None:
    for name, organ in organs().items():
        assert organ.name == name
        assert len(organ.colour) == 3
        assert all(0 <= part <= 255 for part in organ.colour)
        assert 0 < organ.kept_share <= 1
        assert 0 < organ.tolerance_mm < 10


def test_no_two_organs_with_a_colour_of_their_own_share_it() -> None:
    colours = [organ.colour for organ in organs().values()]
    own = [colour for colour in colours if colour != default_organ().colour]
    assert len(set(own)) == len(own)


def test_known_organs_are_tg263_names_and_unique_without_regard_to_case() -> None:
    assert all(map(is_tg263, known_organs()))
    assert len({organ.casefold() for organ in known_organs()}) == len(known_organs())


def test_no_word_gives_two_reasons_for_being_no_organ() -> None:
    for one, other in product(no_organs(), repeat=2):
        assert one is other or one.words.isdisjoint(other.words)


def test_the_table_is_read_without_pydicom_and_torch() -> None:
    loaded = "import sys, recontour.organs; print({'pydicom', 'torch', 'numpy'} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "set()"
