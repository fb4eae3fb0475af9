import csv
from itertools import product
from pathlib import Path

import pytest

from recontour.errors import NamesError
from recontour.files import NotFound
from recontour.findings import kind, stored_words
from recontour.organs import (
    NameRow,
    Organ,
    is_tg263,
    is_vocabulary,
    known_organs,
    listed_organs,
    match_names,
    misplaced_organs,
    notes_on_map,
    organ_of,
    read_user_map,
)
from recontour.organs.findings import (
    AmbiguousRoiName,
    ContradictoryMapLine,
    EqualClaims,
    IgnoredRoiName,
    MisplacedOrgan,
    NotAnOrgan,
    SwappedSides,
    UnknownRoiName,
    WeakerClaim,
)
from recontour.organs.table import organs, side_words
from recontour.organs.vocabulary import keys_of, keys_with_side

OAR = [
    "Brainstem",
    "SpinalCord",
    "Bone_Mandible",
    "Pituitary",
    "Parotid_L",
    "Parotid_R",
    "Lens_L",
    "Lens_R",
    "OpticNrv_L",
    "OpticNrv_R",
    "Lobe_Temporal_L",
    "Lobe_Temporal_R",
]


def match(name: str) -> tuple[str | None, str]:
    row = match_names([name]).rows[0]
    return row.tg263, row.status


def test_every_real_name_comes_out_right(shared_data: Path) -> None:
    with (shared_data / "roi_names.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        meaning = row["tg263"]
        is_organ = not meaning.startswith("(") and "_PRV" not in meaning
        expected = (meaning, "mapped") if is_organ else (None, "ignored")
        assert match(row["roi_name"]) == expected, row
        reason = match_names([row["roi_name"]]).rows[0].reason
        assert is_organ or isinstance(reason, NotAnOrgan), (row, reason)


@pytest.mark.parametrize("organ", OAR)
def test_tg263_names_mean_themselves(organ: str) -> None:
    assert (
        match(organ)
        == match(organ.upper())
        == match(organ.replace("_", " ").lower())
        == (organ, "mapped")
    )


@pytest.mark.parametrize(
    ("name", "organ"),
    [
        ("brain stem", "Brainstem"),
        ("BRAIN_STEM", "Brainstem"),
        ("BrainStem", "Brainstem"),
        ("Tronc cérébral", "Brainstem"),
        ("Cord", "SpinalCord"),
        ("Moelle", "SpinalCord"),
        ("Canal médullaire", "SpinalCanal"),
        ("cord canal", "SpinalCanal"),
        ("Parotid Left", "Parotid_L"),
        ("LT PAROTID", "Parotid_L"),
        ("PAROTID_LT", "Parotid_L"),
        ("LeftParotid", "Parotid_L"),
        ("PAROTIDR", "Parotid_R"),
        ("Parotide gauche", "Parotid_L"),
        ("Parotide D", "Parotid_R"),
        ("Parotid gland [Rt]", "Parotid_R"),
        ("Lens OD", "Lens_R"),
        ("OS lens", "Lens_L"),
        ("Temporal Lt Lobe", "Lobe_Temporal_L"),
        ("Opt Nerve R", "OpticNrv_R"),
        ("Nerf optique droit", "OpticNrv_R"),
        ("Œsophage", "Esophagus"),
        ("Copy of Cord", "SpinalCord"),
    ],
)
def test_habits_of_spelling(name: str, organ: str) -> None:
    assert match(name) == (organ, "mapped")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Brainstem_PRV03", "with a margin"),
        ("Cord+3", "with a margin"),
        ("Cord +", "with a margin"),
        ("Cord 5 mm", "with a margin"),
        ("PTV70", "target"),
        ("GTVp", "target"),
        ("~Parotid_L", "a part"),
        ("Parotid L avoid", "derived"),
        ("Ring", "derived"),
        ("BODY", "outline"),
    ],
)
def test_what_is_not_the_organ_is_left_out_with_the_reason(name: str, reason: str) -> None:
    (row,) = match_names([name]).rows
    assert (row.tg263, row.status) == (None, "ignored")
    assert isinstance(row.reason, NotAnOrgan)
    assert reason in row.reason.what


@pytest.mark.parametrize("name", ["XY", "脑室", "Cord 2", "", "---"])
def test_unknown_names_are_left_out(name: str) -> None:
    assert match_names([name]).rows == (NameRow(name, None, "ignored", UnknownRoiName()),)


@pytest.mark.parametrize(
    "name",
    [
        "Parotid",
        "parotids",
        "PAROTIDE",
        "Lens",
        "Optic nerve",
        "Temporal lobes",
        "Lacrimal G",
        "submandibular_g",
    ],
)
def test_an_organ_without_its_side_is_ambiguous(name: str) -> None:
    (row,) = match_names([name]).rows
    assert (row.tg263, row.status) == (None, "ambiguous")
    assert isinstance(row.reason, AmbiguousRoiName)
    left, right = row.reason.meanings
    assert organ_of(left).twin == right


def test_no_two_organs_share_a_spelling() -> None:
    owner: dict[str, str] = {}
    for organ in organs().values():
        for key in keys_of(organ):
            assert owner.setdefault(key, organ.group) == organ.group, key
    owner_of_sided: dict[str, str] = {}
    for organ in organs().values():
        for key in keys_with_side(organ) if organ.side else ():
            assert owner_of_sided.setdefault(key, organ.name) == organ.name, key
            if not key.endswith("g"):  # a gland, or gauche
                assert key not in owner, key


@pytest.mark.parametrize("organ", organs().values(), ids=lambda organ: organ.name)
def test_every_spelling_means_its_organ(organ: Organ) -> None:
    for spelling in organ.spellings:
        expected = (None, "ambiguous") if organ.side else (organ.name, "mapped")
        assert match(spelling.words) == match(spelling.words.upper()) == expected, spelling


SIDED = [organ for organ in organs().values() if organ.side]


@pytest.mark.parametrize("organ", SIDED, ids=lambda organ: organ.name)
def test_a_side_may_stand_before_or_after_a_spelling(organ: Organ) -> None:
    assert organ.side
    spellings = [spelling.words for spelling in organ.spellings]
    for spelling, word in product(spellings, side_words()[organ.side]):
        for name in (f"{word} {spelling}", f"{spelling}_({word})"):
            is_gland = name.replace("_(g)", " g") in spellings  # and not the left
            assert match(name) == ((None, "ambiguous") if is_gland else (organ.name, "mapped")), (
                name
            )
        is_long = len(spelling.replace(" ", "")) >= 4 or not f"{word}{spelling}".isascii()
        assert match(f"{word}{spelling}")[1] == ("mapped" if is_long else "ignored")


@pytest.mark.parametrize(
    "name",
    [
        "GON",
        "ONG",
        "DON",
        "PAROD",
        "Orbit_L",
        "Inner ear L",
        "Oreille interne G",
        "Temporal_L",
        "Lt Temporal",
    ],
)
def test_what_may_be_something_else_is_not_guessed(name: str) -> None:
    assert match(name) == (None, "ignored")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("PTV 70", True),
        ("Parotids", True),
        ("Brain_Stem_PRV03", True),
        ("copy of cord expanded", True),
        ("~Parotid (L)", True),
        ("GTV Ng", False),
        ("GTV 李", False),
        ("boost 14.02.19", False),
        ("boost 14 Feb", False),
        ("PTV 4711", False),
        ("Ohrspeicheldrüse PRV", True),
        ("腮腺PRV", True),
        ("GTV Herz", False),  # these may be family names
        ("GTV Li", False),
        ("GTV Izquierdo", False),
        ("GTV 左", False),
    ],
)
def test_what_cannot_name_a_patient_is_told_apart(name: str, known: bool) -> None:
    assert is_vocabulary(name) == known


def test_of_two_claims_the_exact_spelling_wins() -> None:
    table = match_names(["Lt Parotid", "Parotid_L", "Cord"])
    assert table.mapped == {"Parotid_L": "Parotid_L", "Cord": "SpinalCord"}
    assert table.rows[0].status == "ignored"
    assert table.rows[0].reason == WeakerClaim(claimed="Parotid_L")


def test_of_two_claims_the_users_wins() -> None:
    table = match_names(["Lt Parotid", "Parotid_L"], {"Lt Parotid": "Parotid_L"})
    assert table.mapped == {"Lt Parotid": "Parotid_L"}


@pytest.mark.parametrize(
    "names",
    [
        ["Lt Parotid", "L parotid"],
        ["Parotid_L", "Parotid_L"],
        ["copy of cord", "cord", "spinal cord"],
    ],
)
def test_equal_claims_are_all_ambiguous(names: list[str]) -> None:
    table = match_names(names)
    assert not table.mapped
    assert {row.status for row in table.rows} == {"ambiguous"}
    claimed = match(names[0])[0]
    assert claimed is not None
    is_one_name = len(set(names)) == 1
    expected = EqualClaims(claimed=claimed, rois=len(names), of_one_name=is_one_name)
    assert {row.reason for row in table.rows} == {expected}


def test_of_two_names_that_differ_in_case_the_one_in_the_map_counts() -> None:
    rows = match_names(["Tronc cerebral", "TRONC CEREBRAL"], {"TRONC CEREBRAL": "Brainstem"}).rows
    assert [(row.tg263, row.status) for row in rows] == [(None, "ignored"), ("Brainstem", "mapped")]


def test_the_users_map_wins_in_any_case_and_with_any_separator() -> None:
    users = {"脑干": "Brainstem", "Cord": "SpinalCanal", "Larynx": "", "Hirn_Stamm": "Foo"}
    table = match_names(["脑干", "CORD", "larynx", "hirn stamm"], users)
    assert table.mapped == {"脑干": "Brainstem", "CORD": "SpinalCanal", "hirn stamm": "Foo"}
    assert table.rows[2].reason == IgnoredRoiName()


def test_a_users_map_is_read(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        '[names]\n"脑干" = "Brainstem"\n"Body" = "ignore"\n"x" = ""\n', encoding="utf-8"
    )
    assert read_user_map(path) == {"脑干": "Brainstem", "Body": "ignore", "x": ""}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[names\n", "not TOML"),
        ('"Cord" = "SpinalCord"\n', r"a table \[names\] is expected"),
        ('[name]\n"Cord" = "SpinalCord"\n', "found 'name'"),
        ("", "found nothing"),
        ("[names]\nCord = 3\n", r"to what is not a TG-263 name \('Cord' to 3\); .* in quotes"),
        ('[names]\nCord = "A name that is too long"\n', "at most 16"),
        ('[names]\nCord = "脊髓"\n', "at most 16 characters: A-Z"),
        ('[names]\nCord = "spinalcord"\n', "TG-263 spells it 'SpinalCord'"),
        ('[names]\nCord = "glottis"\n', "TG-263 spells it 'Glottis'"),
        ('[names]\nCord = "Spinal_Cord"\n', "did you mean SpinalCord"),
        ('[names]\nx = "Parotid_left"\n', "did you mean Parotid_L.*--new-organ Parotid_left"),
        ('[names]\nx = "Larnyx"\ny = "Foo"\n', r"Larnyx, Foo\); did you mean Larynx\?"),
        ("[names]\nCord = {new_organ = 3}\n", "not a TG-263 name"),
        ('[names]\nCord = {new = "Foo"}\n', "not a TG-263 name"),
        ('[names]\n"my cord" = "SpinalCord"\n"MY_CORD" = "SpinalCanal"\n', "mapped twice"),
    ],
)
def test_a_users_map_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NamesError, match=told) as caught:
        read_user_map(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_new_organ_is_declared_in_the_map_or_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[names]\na = {new_organ = "Foo"}\nb = "Bar"\nc = "Glottis"\n')
    assert read_user_map(path, ["Bar"]) == {"a": "Foo", "b": "Bar", "c": "Glottis"}
    with pytest.raises(
        NamesError, match=r"does not list \(Bar\); a new organ needs --new-organ Bar"
    ):
        read_user_map(path)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_new_organ_to_which_no_line_leads_is_refused(tmp_path: Path, is_there: bool) -> None:
    path = tmp_path / "map.toml"
    path.write_text('[names]\na = "Brainstem"\n')
    with pytest.raises(NamesError, match="no line of a map leads to 'Fooo'"):
        read_user_map(path if is_there else None, ["Fooo"])


@pytest.mark.parametrize(
    ("roi_name", "organ", "says"),
    [
        ("Parotis li", "Parotid_L", None),  # says nothing
        ("Lt Parotid", "Parotid_R", "Parotid_L"),
        ("Parotid_R", "Parotid_L", "Parotid_R"),
        ("OSD li", "Parotid_R", "Parotid_L"),  # an organ that is not known, but a side that is
        ("OSD li", "Parotid_L", None),
        ("OSD re/li", "Parotid_R", None),
        ("Parotid", "Parotid_L", None),  # of either side
        ("Larynx", "Larynx_SG", None),  # a finer name
        ("Canal médullaire", "SpinalCord", "SpinalCanal"),
        ("Rückenmarkskanal", "SpinalCord", "SpinalCanal"),
        ("SC_CANAL_2", "SpinalCord", "SpinalCanal"),
        ("Canal", "SpinalCanal", None),
        ("Cord", "SpinalCanal", None),  # said by who knows that the canal was drawn
        ("Cord", "ignore", None),
    ],
)
def test_a_line_of_the_map_that_contradicts_its_name_is_noted(
    roi_name: str, organ: str, says: str | None
) -> None:
    notes = notes_on_map({roi_name: organ}, [roi_name])
    assert [note.says for note in notes if isinstance(note, ContradictoryMapLine)] == (
        [says] if says else []
    )


@pytest.mark.parametrize(
    ("roi_name", "organ", "is_said"),
    [
        ("Myelon_PRV?", "SpinalCord", True),
        ("PTV Stamm", "Brainstem", True),
        ("Cord+3", "SpinalCord_PRV03", False),
        ("Myelon_PRV?", "ignore", False),
        ("N. opt. li", "OpticNrv_L", False),
        ("Stamm", "Brainstem", False),
    ],
)
def test_a_margin_that_the_map_makes_an_organ_is_noted(
    roi_name: str, organ: str, is_said: bool
) -> None:
    notes = notes_on_map({roi_name: organ}, [roi_name])
    assert [kind(note) for note in notes] == (["mapped_margin"] if is_said else [])


def test_every_listed_organ_has_tg263s_form() -> None:
    assert all(map(is_tg263, listed_organs()))
    assert set(known_organs()) < set(listed_organs())


def test_a_users_map_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NamesError) as caught:
        read_user_map(tmp_path / "map.toml")
    assert isinstance(caught.value.finding, NotFound)
    assert caught.value.finding.path == tmp_path / "map.toml"


def test_left_is_where_x_is_larger() -> None:
    lie_right = {"Parotid_L": 40.0, "Parotid_R": -38.0, "Lens_L": 20.0, "Brainstem": 0.0}
    lie_wrong = {"Parotid_L": -40.0, "Parotid_R": 38.0, "Lens_L": -20.0, "Lens_R": 25.0}
    assert misplaced_organs(lie_right) == ()
    alone = {"Parotid_L": 40.0, "Parotid_R": -38.0, "Brainstem": 0.0}
    assert misplaced_organs({**alone, "Lens_R": 9.0}) == (), "an organ near the middle is let be"
    (found,) = misplaced_organs({**alone, "Lens_R": 11.0})
    assert found == MisplacedOrgan(organ="Lens_R", side="left", past_mm=11.0)
    assert misplaced_organs(lie_wrong) == (
        SwappedSides(left="Lens_L", right="Lens_R"),
        SwappedSides(left="Parotid_L", right="Parotid_R"),
    )


PAIRS = {"Lens_L": 35.0, "Lens_R": -25.0, "Eye_L": 38.0, "Eye_R": -28.0}
MIDDLE = {"Larynx": 5.0, "Lens_L": 35.0, "Lens_R": 14.0}  # and a pair that lies on one side


@pytest.mark.parametrize("beside", [MIDDLE, PAIRS])
def test_an_organ_without_its_twin_is_compared_with_the_middle(beside: dict[str, float]) -> None:
    assert misplaced_organs({"Parotid_R": -45.0, **beside}) == ()
    assert misplaced_organs({"Parotid_R": 55.0, **beside}) == (
        MisplacedOrgan(organ="Parotid_R", side="left", past_mm=50.0),
    )
    assert misplaced_organs({"Parotid_L": -45.0, **beside}) == (
        MisplacedOrgan(organ="Parotid_L", side="right", past_mm=50.0),
    )


@pytest.mark.parametrize("left_mm", [60.0, 52.0])
def test_a_twin_on_the_same_side_is_found_and_the_other_one_is_let_be(left_mm: float) -> None:
    both_left = {"Parotid_L": left_mm, "Parotid_R": 55.0, "Brainstem": 5.0}
    assert misplaced_organs(both_left) == (
        MisplacedOrgan(organ="Parotid_R", side="left", past_mm=50.0),
    )


@pytest.mark.parametrize(
    "organs",
    [
        {"Parotid_L": -50.0, "Heart": 30.0, "Node": 20.0},
        {"Parotid_L": 60.0, "Parotid_R": 55.0, "Lens_L": 30.0, "Lens_R": -30.0},
        {"Parotid_L": -50.0, "Lens_L": 35.0, "Lens_R": -25.0, "Eye_L": 60.0, "Eye_R": 10.0},
    ],
)
def test_nothing_is_said_of_sides_where_nothing_shows_the_middle(organs: dict[str, float]) -> None:
    assert misplaced_organs(organs) == ()


def test_what_a_map_says_stays_on_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    for line in ('Zebedee = "Zebedee"', 'Zebedee = "larynx"', 'Zebedee = "Zebedee, B"'):
        path.write_text(f"[names]\n{line}\nZEBEDEE = 'Heart'\n", encoding="utf-8")
        with pytest.raises(NamesError) as caught:
            read_user_map(path)
        assert "Zebedee" in str(caught.value)
        assert "Zebedee" not in stored_words(caught.value.finding)
