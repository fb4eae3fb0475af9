from pathlib import Path

import pytest

from recontour.errors import NamesError
from recontour.findings import stored_words
from recontour.organs import Template, read_template, read_user_map
from recontour.organs.findings import (
    AmbiguousOutputNames,
    ClashingNames,
    LongName,
    NoNamesTable,
    OutputLinesOfOtherModels,
    ProtocolWithoutMap,
    UnknownOutputOrgan,
    UnknownProtocol,
)

OURS = """
[names]
"HIRNSTAMM" = "Brainstem"
"Stamm" = "Brainstem"
"Linse li" = "Lens_L"
"alt" = "ignore"

[output]
suffix = "_AI"
label = "AI draft"
names = {Brainstem = "Stamm"}
colours = {Brainstem = [255, 0, 0], Lens_L = [1, 2, 3]}

[protocol."H&N 70"]
prefix = "HN "
suffix = ""
organs = ["Lens_L", "Brainstem"]
description = "70 Gy"
colours = {Lens_L = [4, 5, 6]}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "map.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_map_is_read_backwards_and_says_which_of_several_names_is_written(
    tmp_path: Path,
) -> None:
    path = written(tmp_path, OURS)
    template = read_template(path)
    template.refuse_unsuitable(["Brainstem", "Lens_L", "Parotid_L"])
    assert template.name_of("Brainstem") == "Stamm_AI"
    assert template.name_of("Lens_L") == "Linse li_AI"
    assert template.name_of("Parotid_L") == "Parotid_L_AI"
    assert (template.label, template.description, template.organs) == ("AI draft", "", None)
    assert read_user_map(path)["HIRNSTAMM"] == "Brainstem"


def test_one_of_several_names_is_never_chosen_for_the_user(tmp_path: Path) -> None:
    path = written(tmp_path, OURS.replace('names = {Brainstem = "Stamm"}', ""))
    template = read_template(path)
    template.refuse_unsuitable(["Lens_L"])
    with pytest.raises(NamesError) as caught:
        template.refuse_unsuitable(["Brainstem", "Lens_L"])
    assert caught.value.finding == AmbiguousOutputNames(
        path=path, organs=("Brainstem",), choices=(("'HIRNSTAMM'", "'Stamm'"),)
    )
    assert str(caught.value).endswith(
        "several names for Brainstem ('HIRNSTAMM' or 'Stamm'); "
        """add `Brainstem = "NAME"` to the table [output.names], or to the protocol's names"""
    )


def test_each_organ_with_several_names_is_told_with_them_and_no_name_is_stored() -> None:
    several = AmbiguousOutputNames(
        organs=("Brainstem", "Lens_L"), choices=(("'a'", "'b'"), ("'c'", "'d'"))
    )
    said = "several names for Brainstem ('a' or 'b') and Lens_L ('c' or 'd')"
    assert several.sentence() == said
    hidden = "several names for Brainstem ([hidden]) and Lens_L ([hidden])"
    assert stored_words(several).startswith(hidden)


def test_a_protocol_may_have_names_of_its_own(tmp_path: Path) -> None:
    protocol = '[protocol.eyes.names]\nLens_L = "LINSE"\n'
    template = read_template(written(tmp_path, OURS + protocol), "eyes")
    assert template.name_of("Lens_L") == "LINSE_AI"
    assert template.name_of("Brainstem") == "Stamm_AI"


def test_a_protocol_wins_and_the_rest_stays(tmp_path: Path) -> None:
    template = read_template(written(tmp_path, OURS), "H&N 70")
    assert template.name_of("Lens_L") == "HN Linse li"
    assert template.organs == ("Lens_L", "Brainstem")
    assert (template.label, template.description) == ("AI draft", "70 Gy")
    assert template.colour_of("Lens_L") == (4, 5, 6)
    assert template.colour_of("Brainstem") == (255, 0, 0)
    assert template.colour_of("Parotid_L") == Template().colour_of("Parotid_L")


def test_names_are_not_needed(tmp_path: Path) -> None:
    template = read_template(written(tmp_path, 'output = {prefix = "x"}'))
    assert template.name_of("Brainstem") == "xBrainstem"
    with pytest.raises(NamesError) as caught:
        read_user_map(tmp_path / "map.toml")
    assert isinstance(caught.value.finding, NoNamesTable)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('output = {lable = "x"}', "unknown name in output: lable; known names: prefix, suffix"),
        ('output = {label = "seventeen letters"}', "output.label: string should have at most 16"),
        ('output = {label = " "}', "output.label: expected at least one letter"),
        ('output = {suffix = "\\\\"}', "output.suffix: expected text on one line"),
        ('output = {names = {Lens_L = " "}}', "output.names.Lens_L: expected at least one letter"),
        ("output = {names = {lens = 3}}", "output.names.lens: "),
        ("output = {organs = []}", "output.organs: expected at least one organ"),
        ('output = {organs = ["Lens_L", "Lens_L"]}', "output.organs: expected at least one organ"),
        ('output = {organs = ["left lens"]}', "output.organs.0: expected a TG-263 name"),
        ("output = {colours = {Lens_L = [0, 0, 256]}}", "output.colours.Lens_L.2"),
        ("output = {colours = {Lens_L = [0, 0]}}", "output.colours.Lens_L.2 is missing"),
        ("protocol = {a = {color = 1}}", "unknown name in protocol: a.color"),
        ("output = 3", "output: "),
        ("names = 3", "a table [names] is expected"),
        ("outputs = {}", "beside it only [output] and [protocol] (found 'outputs')"),
    ],
)
def test_what_is_unknown_or_impossible_is_named(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(NamesError) as caught:
        read_template(written(tmp_path, text))
    assert where in str(caught.value)


def test_a_protocol_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NamesError) as caught:
        read_template(written(tmp_path, OURS), "H&N")
    assert isinstance(caught.value.finding, UnknownProtocol)
    assert "choose 'H&N 70'" in str(caught.value)
    with pytest.raises(NamesError) as caught:
        read_template(None, "H&N 70")
    assert isinstance(caught.value.finding, ProtocolWithoutMap)


def test_two_organs_never_have_one_name() -> None:
    template = Template(spellings={"Lens_L": ("lens_r",)})
    template.refuse_unsuitable(["Lens_L", "Brainstem"])
    with pytest.raises(NamesError) as caught:
        template.refuse_unsuitable(["Lens_L", "Lens_R"])
    assert isinstance(caught.value.finding, ClashingNames)


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ('names = {lens_r = "Lens_L"}', "[names]"),
        ('output = {names = {Lens_L = "x", Lens_R = "X"}}', "[output.names]"),
        (
            'names = {x = "Lens_L", y = "Lens_R"}\noutput = {names = {Lens_R = "x"}}',
            "[names] or [output.names]",
        ),
        ('output = {names = {Lens_L = "Lens_R"}}', "[output.names]"),
        (
            'protocol = {"H&N" = {names = {Lens_R = "x"}}}\noutput = {names = {Lens_L = "x"}}',
            "[output.names] or [protocol.'H&N'.names]",
        ),
    ],
)
def test_a_clash_names_the_tables_that_cause_it(tmp_path: Path, text: str, tables: str) -> None:
    template = read_template(written(tmp_path, text), "H&N" if "H&N" in text else None)
    with pytest.raises(NamesError) as caught:
        template.refuse_unsuitable(["Lens_L", "Lens_R"])
    assert str(caught.value).endswith(f"give each a name of its own in {tables}")


@pytest.mark.parametrize("table", ["output.names", "output.colours", "protocol.'H&N'.names"])
def test_a_misspelt_organ_of_the_output_is_refused(tmp_path: Path, table: str) -> None:
    value = "[1, 2, 3]" if "colours" in table else '"X"'
    path = written(tmp_path, f"[{table}]\nBrainsteam = {value}\n")
    template = read_template(path, "H&N" if "H&N" in table else None)
    with pytest.raises(NamesError) as caught:
        template.refuse_unknown(["Lens_L", "Brainstem"])
    assert caught.value.finding == UnknownOutputOrgan(
        path=path, table=table, name="'Brainsteam'", meant=("Brainstem",)
    )
    assert str(caught.value).endswith("; did you mean Brainstem?")
    template.refuse_unknown(["Lens_L", "Brainsteam"])  # a new organ of the model


def test_a_line_of_another_model_s_organ_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, OURS)
    template = read_template(path)
    template.refuse_unknown(["Lens_L"])
    assert template.lines_of_others(["Lens_L"]) == OutputLinesOfOtherModels(
        path=path, organs=("Brainstem",)
    )
    assert template.lines_of_others(["Lens_L", "Brainstem"]) is None


def test_a_name_has_at_most_64_characters() -> None:
    organ = "Brainstem"
    Template(suffix="x" * (64 - len(organ))).refuse_unsuitable([organ])
    with pytest.raises(NamesError) as caught:
        Template(suffix="x" * (65 - len(organ))).refuse_unsuitable([organ])
    assert isinstance(caught.value.finding, LongName)
