"""Wrong paths: refused before torch is loaded, and a folder above an output is not made unasked."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import fill

from recontour.cli import main
from recontour.cli.parser import parser
from recontour.cohort import Cohort

# Each line of arguments is a command of its own.
RUN = """
import contextlib, io, json, sys
from recontour.cli import main
for words in sys.stdin.read().splitlines():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(words.split())
    print(json.dumps([words, code, "torch" in sys.modules, said.getvalue().splitlines()[-1]]))
"""
STUDY = """
name = "tiny"
[source]
cohort = "{source}"
[target]
cohort = "COHORT"
[models]
iterations = 1
"""
# Each names one path that is not there; MODEL, COHORT and DICOM are.
WRONG = (
    "import nowhere new",
    "import DICOM new --names nowhere.toml",
    "import DICOM nowhere/new",
    "import DICOM --draft-map nowhere/map.toml",
    "import --undo nowhere",
    "remove nowhere case",
    "deidentify nowhere new",
    "deidentify DICOM nowhere/new",
    "deidentify DICOM new --key nowhere/key",
    "deidentify DICOM new --names nowhere.toml",
    "inspect nowhere",
    "inspect MODEL+nowhere",
    "confirm-sides nowhere case",
    "confirm-cord nowhere case",
    "confirm-extent nowhere case --whole Larynx",
    "export nowhere new --format nifti",
    "export COHORT nowhere/new --format nifti",
    "convert nowhere DICOM --out new",
    "convert MODEL nowhere --out new",
    "convert MODEL DICOM --out nowhere/new",
    "train nowhere --out new",
    "train COHORT --out nowhere/new",
    "adapt nowhere COHORT --out new",
    "adapt MODEL nowhere --out new",
    "adapt MODEL COHORT --out nowhere/new",
    "adapt MODEL COHORT --head-only nowhere/new",
    "gain nowhere COHORT --out new",
    "gain MODEL nowhere --out new",
    "gain MODEL COHORT --out nowhere/new",
    "contour nowhere DICOM --out new",
    "contour nowhere DICOM --out new.dcm",
    "contour MODEL nowhere --out new",
    "contour MODEL+nowhere DICOM --out new.dcm",
    "contour MODEL DICOM --out nowhere/new",
    "contour MODEL DICOM --out nowhere/new.dcm",
    "contour MODEL DICOM --out new --names nowhere.toml",
    "evaluate nowhere MODEL --out new",
    "evaluate COHORT nowhere --out new",
    "evaluate COHORT MODEL nowhere --out new",
    "evaluate COHORT MODEL --out nowhere/new",
    "evaluate COHORT MODEL --contours Other=nowhere --out new",
    "evaluate COHORT MODEL --contours Other=DICOM --names nowhere.toml --out new",
    "evaluate COHORT MODEL --tolerances nowhere.toml --out new",
    "accept nowhere MODEL --against MODEL --out new",
    "accept COHORT nowhere --against MODEL --out new",
    "accept COHORT MODEL --against nowhere --out new",
    "accept COHORT MODEL --against MODEL --out nowhere/new",
    "accept COHORT MODEL --against MODEL --out new --per-organ nowhere/new",
    "accept COHORT MODEL --against MODEL --out new --tolerances nowhere.toml",
    "monitor nowhere DICOM --out new",
    "monitor DICOM nowhere --out new",
    "monitor MODEL nowhere --out new",
    "monitor MODEL COHORT --out nowhere/new",
    "monitor MODEL COHORT --out new --limits nowhere.json",
    "compare nowhere COHORT --out new",
    "compare MODEL nowhere --out new",
    "compare MODEL COHORT --out nowhere/new",
    "compare MODEL COHORT --out new --home nowhere",
    "study nowhere.toml --out new",
    "study nowhere.toml --dry-run",
    "study no-source.toml --out new",
    "study no-source.toml --dry-run",
    "study study.toml --out nowhere/new",
    "report nowhere",
    "demo --out nowhere/new",
    "serve nowhere.toml",
    "serve nowhere.toml --check",
    "serve nowhere.toml --dry-run DICOM",
    "account nowhere.toml doctor --role view",
    "forget nowhere.toml MRN-4711",
)


# What is known from the words alone; the paths are wrong, too, where they may be.
IMPOSSIBLE = {
    "import nowhere new --on locl:2": "locl:2",
    "contour nowhere DICOM --out nowhere/new --on locl:2": "locl:2",
    "evaluate COHORT MODEL --out nowhere/new --on locl:2": "locl:2",
    "accept COHORT MODEL --against MODEL --out nowhere/new --on locl:2": "locl:2",
    "accept COHORT MODEL --against MODEL --out nowhere/new --margin-dsc 2": "0 to 0.5",
    "study study.toml --out nowhere/new --on locl:2": "locl:2",
    "train COHORT --out new --iterations -3": "found -3",
    "adapt MODEL COHORT --out new --iterations -3": "found -3",
    "adapt MODEL COHORT --out new --check --folds 1": "at least 2 folds",
    "adapt MODEL COHORT --out new --folds 2": "add --check",
    "gain MODEL COHORT --out new --folds 1": "at least 2 folds",
    "monitor MODEL COHORT --out new --baseline 4": "at least 5 patients",
    "gain MODEL COHORT --out new --useful 2": "at most 1",
    "gain MODEL COHORT --out new --iterations -3": "found -3",
    "contour MODEL DICOM --out new --names several.toml --organs Lens_L": "several names",
}


def furnish(folder: Path) -> None:
    """Fill a folder with a model that nobody reads, a cohort, an empty archive and two studies."""
    fill(Cohort.open_or_create(folder / "COHORT", "north"), 1)
    (folder / "MODEL").write_text("never read")
    (folder / "DICOM").mkdir()
    (folder / "study.toml").write_text(STUDY.format(source="COHORT"))
    several = 'names = {a = "Lens_L", b = "Lens_L"}'
    (folder / "several.toml").write_text(several)
    (folder / "no-source.toml").write_text(STUDY.format(source="nowhere"))


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, bool, str]]:
    """Each command's exit code, whether torch was loaded by then, and its last line."""
    folder = tmp_path_factory.mktemp("place")
    furnish(folder)
    before = set(folder.rglob("*"))
    ended = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n".join([*WRONG, *IMPOSSIBLE]),
        check=True,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert set(folder.rglob("*")) == before
    found = {}
    for line in ended.stdout.splitlines():
        words, code, has_torch, last = json.loads(line)
        found[words] = (code, has_torch, last)
    return found


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_path_is_refused_before_torch_is_loaded(
    refusals: dict[str, tuple[int, bool, str]], words: str
) -> None:
    code, has_torch, line = refusals[words]
    assert line.startswith("recontour: ")
    assert "nowhere" in line
    assert (code, has_torch) == (2, False)


@pytest.mark.parametrize("words", IMPOSSIBLE)
def test_an_impossible_number_or_place_is_refused_before_torch_is_loaded(
    refusals: dict[str, tuple[int, bool, str]], words: str
) -> None:
    code, has_torch, line = refusals[words]
    assert IMPOSSIBLE[words] in line
    assert (code, has_torch) == (2, False)


@pytest.mark.parametrize(
    "words",
    [
        "train COHORT --out d/",
        "adapt MODEL COHORT --out d/",
        "adapt MODEL COHORT --head-only d/",
        "convert MODEL DICOM --out d/",
        "inspect COHORT --html d/",
        "import DICOM --draft-map d/",
    ],
)
def test_a_file_to_write_does_not_end_like_a_folder(
    place: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert "d/ ends like a folder, and this is a file to write" in capsys.readouterr().err
    assert not Path("d").exists()


def test_more_folds_than_patients_are_one_line(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "sub").mkdir()
    fill(Cohort.open_or_create(place / "south", "south"), 2)
    study = STUDY.format(source="../south").replace('"COHORT"', '"../COHORT"')
    (place / "sub" / "study.toml").write_text(study.replace("[target]", "test = 1\n[target]"))
    assert main(["study", "sub/study.toml", "--dry-run", "--folds", "2"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    cohort = place.resolve() / "COHORT"
    assert line.startswith(f"recontour: {cohort}: 1 patient cannot be dealt out into 2 folds")


def test_every_command_refuses_wrong_paths() -> None:
    commands = re.findall(r"^    ([a-z-]+) ", parser().format_help(), re.MULTILINE)
    assert set(commands) == {words.split()[0] for words in WRONG}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder."""
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["y\n", "n\n", ""])
def test_on_a_terminal_a_missing_folder_is_offered(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
) -> None:
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    monkeypatch.setattr("recontour.cli.commands.can_ask", lambda: True)
    command = ["export", "COHORT", "new folder/deep/out", "--format", "nifti"]
    code = main(command)
    said = capsys.readouterr().err
    assert "there is no folder new folder/deep; make it?" in said
    assert (code == 0) == (answer == "y\n") == (place / "new folder").exists()
    if code:
        assert "make the folder: mkdir -p 'new folder/deep'" in said


def test_a_script_is_not_asked(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("recontour.cli.commands.can_ask", lambda: True)
    command = ["export", "COHORT", "nowhere/out", "--format", "nifti", "--json"]
    assert main(command) == 2
    assert "make it?" not in capsys.readouterr().err
    assert not (place / "nowhere").exists()


def test_a_cohort_in_the_place_of_a_model_that_is_not_there_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = fill(Cohort.open_or_create(tmp_path / "north-train", "north"), 1)
    model = tmp_path / "south.safetensors"
    (tmp_path / "south.safetensors.run").mkdir()
    out = str(tmp_path / "out.safetensors")
    assert main(["adapt", str(cohort.path), str(model), "--out", out]) == 2
    said = capsys.readouterr().err
    assert "the order is MODEL COHORT" in said
    assert ".run" not in said
    assert main(["adapt", str(model), str(cohort.path), "--out", out]) == 2
    said = capsys.readouterr().err
    assert "make one with `recontour train`" in said
    assert ".run" not in said


def test_a_folder_for_many_contours_must_be_there(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["contour", "MODEL", "DICOM", "--out", "d/"])
    assert ended.value.code == 2
    assert "d/ is no folder; make it first: mkdir d" in capsys.readouterr().err
    assert not Path("d").exists()
