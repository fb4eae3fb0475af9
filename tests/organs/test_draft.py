"""A map to fill in: every name that is open, and nothing that is not."""

import re
from pathlib import Path

import pytest

from recontour.organs import NameRow, drafted_map, match_names, read_user_map
from recontour.organs.draft import guessed_organs, has_open_names
from recontour.organs.findings import UnknownRoiName


def rows_of(*names: str) -> list[tuple[NameRow, int]]:
    return [(row, 2) for row in match_names(names).rows]


@pytest.mark.parametrize(
    ("name", "organs"),
    [
        ("Hirnstam", ("Brainstem",)),
        ("Parotis li neu", ("Parotid_L",)),
        ("Parotis neu", ("Parotid_L", "Parotid_R")),
        ("左腮腺2", ("Parotid_L",)),
        ("Sehnrv re", ("OpticNrv_R",)),
        ("Rückenmarkskanal_1", ("SpinalCanal",)),
        ("RUECKENMARKPRV", ()),
        ("Myelon2 PRV", ()),
        ("Blase", ()),
        ("UK", ("Bone_Mandible",)),
        ("RM neu", ("SpinalCord",)),
        ("RM PRV", ()),
        ("OSD", ("Parotid_L", "Parotid_R")),
        ("OSD li", ("Parotid_L",)),
        ("re OSD", ("Parotid_R",)),
        ("Larynx glott.", ("Larynx",)),
        ("Larynx glottic", ("Larynx",)),
        ("Larynx subglottic", ("Larynx",)),
        ("Larynx supragl.", ("Larynx_SG",)),
        ("supraglott_Larynx", ("Larynx_SG",)),
        ("Laringe sopraglott", ("Larynx_SG",)),
        ("", ()),
    ],
)
def test_guesses(name: str, organs: tuple[str, ...]) -> None:
    assert guessed_organs(name) == organs


@pytest.mark.parametrize("name", ["Haut", "HAUT 2", "Körper", "Koerper", "Körperkontur"])
def test_the_body_s_outline_is_no_organ_in_german_either(name: str) -> None:
    text = drafted_map(rows_of(name))
    assert f'the patient\'s outline or the table, not an organ\n# "{name}" = ""' in text


def test_upper_in_french_is_not_the_skin() -> None:
    """Haut is skin in German. A name of which it is one word is left to the user."""
    ((row, _),) = rows_of("Larynxx haut")
    assert isinstance(row.reason, UnknownRoiName)
    assert guessed_organs(row.roi_name) == ("Larynx",)


def test_the_longest_spelling_inside_a_name_is_the_first_guess() -> None:
    first, *others = guessed_organs("Unterkieferspeicheldrüse li vor Chirurgie und Bestrahlung")
    assert first == "Glnd_Submand_L"
    assert "Bone_Mandible" in others


def test_a_draft_has_every_open_name_and_maps_nothing(tmp_path: Path) -> None:
    names = ["Hirnstam", "Parotis", "Cord", "PTV 70", "XY", "spinal canal", "wirbelkanal"]
    text = drafted_map(rows_of(*names))
    listed = re.findall(r'^# ("[^"]*" = "[^"]*")$', text, flags=re.MULTILINE)
    assert listed == [
        '"Hirnstam" = "Brainstem"',
        '"Parotis" = "Parotid_L"',
        '"Parotis" = "Parotid_R"',
        '"XY" = ""',
        '"spinal canal" = "SpinalCanal"',  # two claims on one organ: a map decides
        '"wirbelkanal" = "SpinalCanal"',
        '"PTV 70" = ""',
    ]
    assert text.count("# in 2 structure sets") == 6
    assert text.endswith('# in 2 structure sets: a target, not an organ\n# "PTV 70" = ""\n')
    (tmp_path / "map.toml").write_text(text, encoding="utf-8")
    assert read_user_map(tmp_path / "map.toml") == {}


def test_a_draft_without_an_open_name_says_so() -> None:
    known = rows_of("Cord", "Myelon", "SpinalCord", "Myelon_PRV?")
    text = drafted_map(known)
    assert "Nothing to fill in" in text
    assert not has_open_names(known)
    assert '# "Cord" = "SpinalCord"' in text
    assert "another ROI is SpinalCord" in text
    assert 'an organ with a margin, not the organ\n# "Myelon_PRV?" = ""' in text
    assert '# "SpinalCord"' not in text
    assert "Nothing to fill in" not in drafted_map(rows_of("Hirnstam"))
    assert has_open_names(rows_of("Hirnstam"))


def test_what_no_map_can_tell_apart_is_not_listed() -> None:
    assert '"Cord"' not in drafted_map(rows_of("Cord", "Cord"))


def test_the_commonest_name_comes_first() -> None:
    (rare,), (common,) = match_names(["AA"]).rows, match_names(["ZZ"]).rows
    text = drafted_map([(rare, 1), (common, 5)])
    assert text.index("ZZ") < text.index("AA")
    assert "# in 1 structure set\n" in text


@pytest.mark.parametrize(
    "name", ['a "b"', "a\\b", "a\nb", "a\x7fb", "a\u202eb", "a # b", "Zunge's", "喉头甲"]
)
def test_a_line_that_is_uncommented_names_what_was_drawn(tmp_path: Path, name: str) -> None:
    text = drafted_map(rows_of(name))
    header, _, lines = text.partition("[names]\n")
    line = next(line for line in lines.splitlines() if "=" in line)
    (tmp_path / "map.toml").write_text(f"{header}[names]\n{line[2:]}\n", encoding="utf-8")
    assert list(read_user_map(tmp_path / "map.toml")) == [name]
