import os
import subprocess
import sys
from argparse import Namespace
from importlib.metadata import version
from pathlib import Path

import pytest

from recontour.cli import commands, main
from recontour.cli.parser import PRESET_NAMES, parser
from recontour.training.presets import PRESETS

INTERRUPTED = "recontour: interrupted; nothing was left half written"


def failing(monkeypatch: pytest.MonkeyPatch, command: str, error: BaseException) -> None:
    """Let a command raise instead of doing its work."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(commands, command, fail)


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        ("import_ import A C", "; the patients imported so far stay; repeat the command to go on"),
        ("deidentify deidentify A O", "; repeat the command"),
        ("inspect inspect C", "; repeat the command"),
        ("export export C O --format nifti", "; repeat the command"),
        ("convert convert L CT --out R", "; repeat the command"),
        ("train train C --out N", "; no checkpoint was saved; repeat the command"),
        ("adapt adapt M C --out N", "; no checkpoint was saved; repeat the command"),
        ("study study S --dry-run", "; no checkpoint was saved; repeat the command"),
        ("train train C --out kept", "; go on with: recontour train C --out kept --resume"),
        (
            "adapt adapt M C --out kept --resume",
            "; go on with: recontour adapt M C --out kept --resume",
        ),
        (
            "adapt adapt M C --head-only kept",
            "; go on with: recontour adapt M C --head-only kept --resume",
        ),
        ("study study S --out begun", "; go on with: recontour study S --out begun --resume"),
        (
            "adapt adapt M C --out checked --check --folds 3",
            "; go on with: recontour adapt M C --out checked --check --folds 3 --resume",
        ),
        ("train train C --out whole", "; the model file is complete"),
        ("contour contour M CT --out R", "; repeat the command"),
        ("evaluate evaluate C M --out E", "; repeat the command"),
        ("demo demo", "; the steps that are done stay; repeat the command to go on"),
    ],
)
def test_ctrl_c_says_what_was_kept_and_which_command_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: str,
    more: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    of_check = "checked.check/fold-1.safetensors"
    for left in ("kept.run/checkpoint.ckpt", "begun/study.json", of_check, "whole"):
        Path(left).parent.mkdir(exist_ok=True)
        Path(left).touch()
    command, *words = arguments.split()
    failing(monkeypatch, command, KeyboardInterrupt())
    assert main(words) == 2
    assert capsys.readouterr().err == f"{INTERRUPTED}{more}\n"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (
            RuntimeError("unable to open shared memory object </torch_1> in read-write mode"),
            "enlarge /dev/shm",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "smaller --preset"),
        (
            RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            ),
            "smaller --preset",
        ),
        (MemoryError(), "smaller --preset"),
    ],
)
def test_full_memories_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    advice: str,
) -> None:
    failing(monkeypatch, "train", error)
    assert main(["train", "C", "--out", "M"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert advice in line


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "train", RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        main(["train", "C", "--out", "M"])


@pytest.mark.parametrize("nothing", ["", ",", " , "])
@pytest.mark.parametrize(
    "command", ["train C --out M", "adapt M C --out N", "contour M CT --out R"]
)
def test_no_organ_is_not_all_organs(
    command: str, nothing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a shell variable that is empty."""
    assert main([*command.split(), "--organs", nothing]) == 2
    assert (
        "--organs names no organ; give TG-263 names, or omit it for all" in capsys.readouterr().err
    )


def test_organs_are_named_with_blanks_and_commas_between_them() -> None:
    assert commands._organs(Namespace(organs=["Brainstem, Lens_L", "Lens_R,"])) == [
        "Brainstem",
        "Lens_L",
        "Lens_R",
    ]


def test_a_check_may_stand_before_the_paths() -> None:
    options = parser().parse_args(["adapt", "--check", "M", "C", "--out", "N"])
    assert (options.check, options.model, options.folds) == (True, Path("M"), None)


def test_a_letter_that_the_screen_lacks_is_no_failure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "recontour", "inspect", str(tmp_path / "脑干")]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "latin-1"}, check=False
    )
    assert done.returncode == 2
    assert b"not found" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"recontour {version('recontour')}\n"


def test_an_unknown_option_is_told_with_its_command_s_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["import", "A", "B", "--center", "C"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: recontour import")
    assert said.endswith("unrecognized arguments: --center C; did you mean --centre?\n")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["contuor", "M", "CT"], "did you mean contour? choose from import, "),
        (["train", "C", "--out", "M", "--preset", "acurate"], "did you mean accurate? choose from"),
        (
            ["contour", "M", "CT", "--out", "F", "--format", "dicom"],
            "'dicom'; choose from rtstruct",
        ),
        (["--jsn"], "unrecognized arguments: --jsn; did you mean --json?"),
        (["--json"], "unrecognized arguments: --json; give --json after the command"),
        ([], "the following arguments are required: COMMAND"),
        (["evaluate", "C", "M", "--ou", "X"], "the following arguments are required: --out"),
    ],
)
def test_a_misspelt_command_or_choice_is_told_what_may_be_meant(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert end.value.code == 2
    assert meant in capsys.readouterr().err


def test_the_parser_knows_every_preset() -> None:
    assert sorted(PRESET_NAMES) == sorted(PRESETS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "", "C"],
        ["import", "A", ""],
        ["inspect", ""],
        ["train", "C", "--out", ""],
        ["study", "S.toml", "--out", ""],
        ["evaluate", "C", "M", "", "--out", "O"],
    ],
)
def test_an_empty_word_is_not_the_current_folder(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "an empty path names no file or folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["import {} C", "import A {}", "inspect {}", "export {} O --format nifti"]
)
def test_a_name_that_is_too_long_is_no_fault_of_the_machine(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([word.replace("{}", "x" * 300) for word in command.split()]) == 2
    assert "too long" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "file", "head_only"), [("--out", "N", False), ("--head-only", "H", True)]
)
def test_adapt_writes_a_model_or_only_its_head(
    monkeypatch: pytest.MonkeyPatch, option: str, file: str, head_only: bool
) -> None:
    asked: dict[str, object] = {}

    def adapt(_model: Path, _cohort: Path, out: Path, **options: object) -> None:
        asked.update(out=out, head_only=options["head_only"])

    monkeypatch.setattr("recontour.workflows.paths.refuse_for_adapting", lambda *_: None)
    monkeypatch.setattr("recontour.adapt", adapt)
    monkeypatch.setattr(
        "recontour.cli.tell.learnt", lambda _model, out, trunk: asked.update(shown=(out, trunk))
    )
    assert main(["adapt", "M", "C", option, file]) == 0
    assert asked == {
        "out": Path(file),
        "head_only": head_only,
        "shown": (Path(file), Path("M") if head_only else None),
    }


@pytest.mark.parametrize("outputs", [[], ["--out", "N", "--head-only", "H"]])
def test_adapt_writes_exactly_one_file(
    outputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["adapt", "M", "C", *outputs])
    assert ended.value.code == 2
    assert "--head-only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "precision"), [([], "auto"), (["--precision", "bf16"], "bf16")]
)
def test_train_computes_in_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, options: list[str], precision: str
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr("recontour.workflows.paths.refuse_for_training", lambda *_: None)
    monkeypatch.setattr("recontour.train", lambda *_, **given: asked.update(given))
    monkeypatch.setattr("recontour.cli.tell.learnt", lambda *_: None)
    assert main(["train", "C", "--out", "M", *options]) == 0
    assert asked["precision"] == precision


def test_an_unknown_precision_is_told_with_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "C", "--out", "M", "--precision", "half"])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "--precision" in last
    assert all(word in last for word in ("half", "auto", "float32", "bf16"))
