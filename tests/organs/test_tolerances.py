from pathlib import Path

import pytest

from recontour.errors import SettingsError
from recontour.files import NotFound, UnreadableFile
from recontour.findings import Finding
from recontour.organs import read_tolerances
from recontour.organs.findings import InvalidTolerance, NoTolerances, ToleranceOfUnknownOrgan


def written(folder: Path, text: str) -> Path:
    path = folder / "tolerances.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_tolerances_are_read_also_of_the_cohorts_own_organs(tmp_path: Path) -> None:
    path = written(tmp_path, "Brainstem = 2\nOurs = 0.5\n")
    assert read_tolerances(path, ["Ours"]) == {"Brainstem": 2.0, "Ours": 0.5}


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "51", "true", '"2"', "[2]", "9" * 400])
def test_a_tolerance_is_a_length(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_tolerances(written(tmp_path, f"Lens_L = {value}"))
    assert isinstance(refused.value.finding, InvalidTolerance)
    assert refused.value.finding.organ == "Lens_L"


def test_an_unknown_organ_is_refused_and_its_name_guessed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        read_tolerances(written(tmp_path, "Brainstm = 2"))
    finding = refused.value.finding
    assert isinstance(finding, ToleranceOfUnknownOrgan)
    assert finding.meant == ("Brainstem",)


@pytest.mark.parametrize(
    ("text", "kind"), [("", NoTolerances), ("Brainstem: 2", UnreadableFile), (None, NotFound)]
)
def test_a_file_without_tolerances_is_refused(
    tmp_path: Path, text: str | None, kind: type[Finding]
) -> None:
    path = tmp_path / "none.toml" if text is None else written(tmp_path, text)
    with pytest.raises(SettingsError) as refused:
        read_tolerances(path)
    assert isinstance(refused.value.finding, kind)
