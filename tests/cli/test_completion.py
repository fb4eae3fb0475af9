"""What shells offer at the Tab key, asked of the shells themselves."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.test_reference import commands

from recontour.cli import main
from recontour.cli.completion import SHELLS

Ask = Callable[..., set[str]]
# bash calls a function; its last word is the one to complete.
ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_shtab_recontour 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""
ASK_FISH = 'source $argv[1]; complete -C "$argv[2..]"'


@pytest.fixture(params=["bash", "fish"])
def offered(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ask:
    """Return a function: what a shell offers for the last of these words."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / f"recontour.{shell}"
    script.write_text(script_of(shell, capsys), encoding="utf-8")
    (tmp_path / "north").mkdir()
    monkeypatch.chdir(tmp_path)
    asked = {
        "bash": ["bash", "--norc", "-c", ASK_BASH, "-"],
        "fish": ["fish", "--no-config", "-c", ASK_FISH],
    }

    def ask(*words: str) -> set[str]:
        command = [*asked[shell], str(script), *words]
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        assert said.stderr == ""
        # fish explains each word, after a tab.
        return {line.partition("\t")[0].rstrip("/") for line in said.stdout.splitlines()}

    return ask


def script_of(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["--completion", shell])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_commands(offered: Ask) -> None:
    assert offered("recontour", "") >= set(commands())
    assert offered("recontour", "con") == {
        "contour",
        "convert",
        "confirm-cord",
        "confirm-extent",
        "confirm-sides",
    }


def test_options(offered: Ask) -> None:
    assert offered("recontour", "contour", "--form") == {"--format"}


def test_values(offered: Ask) -> None:
    assert offered("recontour", "contour", "--format", "") == {"rtstruct", "seg", "nifti"}
    assert offered("recontour", "train", "--preset", "") == {"accurate", "compact", "paper"}


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "no"),
        ("contour", "m", "no"),
        ("contour", "m", "ct", "--out", "no"),
        ("import", "dicom", "no"),
        ("evaluate", "north", "a", "no"),
    ],
)
def test_paths(offered: Ask, words: tuple[str, ...]) -> None:
    assert offered("recontour", *words) == {"north"}


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_is_one_that_its_shell_can_read(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script"
    script.write_text(script_of(shell, capsys), encoding="utf-8")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", str(script)], check=True)


def test_another_shell_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--completion", "tcsh"])
    assert ended.value.code == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err
