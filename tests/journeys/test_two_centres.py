"""Two centres in one cohort, and a map that changes: said at once, and by every later command."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.phantom import SOURCE, TARGET, Centre, write_centre

Ask = Callable[..., Any]
SHORT = ["--iterations", "1", "--precision", "float32"]


def coarse(centre: Centre) -> Centre:
    """The same centre with fewer voxels."""
    scanner = replace(centre.scanner, size_px=128, pixel_mm=2.4, slice_mm=6.0)
    return replace(centre, scanner=scanner)


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients of each centre of the phantom."""
    folder = tmp_path_factory.mktemp("dicom")
    for centre in (SOURCE, TARGET):
        write_centre(folder / centre.name, coarse(centre), range(2))
    return folder


@pytest.fixture
def south(dicom: Path, tmp_path: Path) -> Path:
    """A cohort of the first centre."""
    assert main(["import", str(dicom / "source"), str(tmp_path / "south")]) == 0
    return tmp_path / "south"


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command with --json; return its answer."""

    def run(*arguments: object) -> Any:
        capsys.readouterr()
        main([*map(str, arguments), "--json"])
        return json.loads(capsys.readouterr().out)

    return run


def files(cohort: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(cohort.rglob("*")) if path.is_file()}


def said_by_training(cohort: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    out = cohort.with_name(f"{len(list(cohort.parent.iterdir()))}.safetensors")
    assert main(["train", str(cohort), "--out", str(out), *SHORT]) == 0
    return capsys.readouterr().err


def test_another_centre_is_refused_and_if_it_is_meant_every_command_says_so(
    dicom: Path, south: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(south)
    capsys.readouterr()
    assert main(["import", str(dicom / "target"), str(south)]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 2 new patients come from another scanner" in line
    assert "Phantom T, not recontour Phantom S" in line
    assert "12 of 12 organs are spelt otherwise" in line
    assert "--also-from-elsewhere" in line
    answer = ask("import", dicom / "target", south)
    assert answer["error"]["kind"] == "from_elsewhere"
    assert "Phantom" not in json.dumps(answer["error"]["facts"])
    assert files(south) == before

    mixed = ask("import", dicom / "target", south, "--also-from-elsewhere")
    added = sorted(mixed["result"]["added"])
    assert len(added) == 2
    inspected = ask("inspect", south)["result"]
    assert inspected["mixed_origins"]["facts"]["others"] == added
    said = said_by_training(south, capsys)
    assert "2 of 4 cases come from elsewhere than the others" in said
    assert added[0] in said

    assert ask("import", "--undo", south)["result"]["removed"] == added
    assert ask("inspect", south)["result"]["mixed_origins"] is None
    cases = {path: content for path, content in files(south).items() if path.suffix != ".json"}
    assert cases == {path: content for path, content in before.items() if path.suffix != ".json"}


def test_a_changed_map_is_not_applied_silently(
    dicom: Path,
    south: Path,
    ask: Ask,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tmp_path / "names.toml"
    names.write_text('[names]\n"Lens OS" = "ignore"\n', encoding="utf-8")
    capsys.readouterr()
    assert main(["import", str(dicom / "source"), str(south), "--names", str(names)]) == 0
    assert "not applied to 2 of 2 cases" in capsys.readouterr().out
    assert ask("inspect", south)["result"]["not_applied"] == list(Cohort.open(south).case_ids)
    main(["inspect", str(south)])
    assert "not applied to 2 of 2 cases" in capsys.readouterr().out
    assert "not applied to 2 of 2 cases" in said_by_training(south, capsys)
    assert "Lens_L" in Cohort.open(south).organs

    again = ask("import", dicom / "source", south, "--names", names, "--again")
    assert len(again["result"]["replaced"]) == 2
    assert "Lens_L" not in Cohort.open(south).organs
    assert ask("inspect", south)["result"]["not_applied"] == []
    assert "not applied" not in said_by_training(south, capsys)


def test_cases_are_removed_by_name(
    south: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = Cohort.open(south).case_ids
    assert ask("remove", south, "south-0", first)["error"]["kind"] == "no_such_cases"
    assert ask("remove", south, first)["result"]["cases"] == [second]
    capsys.readouterr()
    assert main(["remove", str(south), second]) == 0
    assert f"removed: {second}\n1 case removed, 0 left" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["import"], ["import", "dicom"], ["import", "--undo"]])
def test_an_import_without_cohort_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "DICOM_DIR and COHORT are expected" in capsys.readouterr().err
