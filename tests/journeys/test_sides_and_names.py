"""Mistakes in names are said when they are made, and by every command that uses the result."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import fill

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.phantom.centre import SOURCE, write_centre

SWAPPED = '[names]\n"Lt Parotid" = "Parotid_R"\n"Rt Parotid" = "Parotid_L"\n'
SHORT = ["--preset", "compact", "--iterations", "1", "--precision", "float32"]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The DICOM of two coarse patients, whose scans end within the brain stem (its top: 40 mm)."""
    folder = tmp_path_factory.mktemp("phantom")
    scanner = replace(SOURCE.scanner, pixel_mm=4.8, size_px=64, to_mm=20.0)
    write_centre(folder, replace(SOURCE, scanner=scanner), range(2))
    return folder


@pytest.fixture
def swapped(phantom: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    """A cohort that was imported with a map that swaps left and right."""
    names = tmp_path / "swapped.toml"
    names.write_text(SWAPPED)
    assert main(["import", str(phantom), str(tmp_path / "north"), "--names", str(names)]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "the map makes 'Lt Parotid' Parotid_R, but the name says Parotid_L" in said
    assert "left and right look swapped in 2 cases" in said
    assert "recontour confirm-sides" in said
    assert "Brainstem: reaches the upper end of the scan in 2 of 2 cases" in said
    return tmp_path / "north"


def kinds(line: str) -> list[str]:
    answer = json.loads(line)
    return [found["kind"] for found in (*answer["notes"], *answer["warnings"])]


def test_swapped_sides_are_said_until_they_are_settled(
    swapped: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = swapped.parent / "S.safetensors"
    assert main(["inspect", str(swapped), "--json"]) == 0
    found = capfd.readouterr().out
    assert {"doubtful_sides", "cut_by_scan"} <= set(kinds(found))
    assert json.loads(found)["result"]["cases"][0]["traits"]["misplaced"] == ["Parotid_L"]
    assert main(["train", str(swapped), "--out", str(model), *SHORT]) == 2
    assert "nothing is learnt from them" in capfd.readouterr().err
    assert not model.exists()
    cases = Cohort.open(swapped).case_ids
    assert main(["confirm-sides", str(swapped), "nobody-12345678"]) == 2
    assert main(["confirm-sides", str(swapped), *cases, "--json"]) == 0
    capfd.readouterr()
    assert main(["inspect", str(swapped), "--json"]) == 0
    assert "doubtful_sides" not in kinds(capfd.readouterr().out)


def test_de_identified_sets_with_swapped_sides_are_said(
    phantom: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names, out = tmp_path / "swapped.toml", tmp_path / "out"
    names.write_text(SWAPPED)
    assert main(["deidentify", str(phantom), str(out), "--names", str(names), "--json"]) == 0
    said = kinds(capfd.readouterr().out)
    assert said.count("swapped_sides") == 2
    assert said.count("contradictory_map_line") == 2


def test_a_typo_in_the_map_makes_no_organ(
    phantom: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names, cohort = tmp_path / "map.toml", tmp_path / "north"
    names.write_text('[names]\n"Lt Parotid" = "Parotid_left"\n"Parotis li" = "Parotid_L"\n')
    given = ["import", str(phantom), str(cohort), "--names", str(names)]
    assert main(given) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert "did you mean Parotid_L? a new organ needs --new-organ Parotid_left" in said
    assert not cohort.exists()
    assert main([*given, "--new-organ", "Parotid_left"]) == 0
    assert "Parotid_left" in Cohort.open(cohort).organs
    said = " ".join(capfd.readouterr().out.split())
    assert "no ROI here is called by 1 name of the map ('Parotis li')" in said


def test_nothing_is_learnt_from_swapped_sides_and_scores_say_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cohort = fill(Cohort.open_or_create(tmp_path / "north", "north"), 3)
    case = next(iter(cohort))
    masks = {
        "Brainstem": case.mask("Brainstem"),
        "Lens_L": case.mask("Lens_R"),
        "Lens_R": case.mask("Lens_L"),
    }
    wrong = cohort.add("north-0badc0de", case.hu, case.grid, masks, source_hash="wrong")
    model, out = tmp_path / "S.safetensors", tmp_path / "out"
    assert main(["train", str(cohort.path), "--out", str(model), *SHORT]) == 0
    said = capfd.readouterr()
    assert f"look swapped in 1 case ({wrong.id})" in " ".join(said.err.split())
    assert "trained on 3 cases" in said.out
    assert main(["evaluate", str(cohort.path), str(model), "--out", str(out), "--json"]) == 0
    assert "doubtful_sides" in kinds(capfd.readouterr().out)
    assert "Left and right look swapped in 1 case" in (out / "report.html").read_text()
