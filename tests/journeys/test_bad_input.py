"""What goes wrong in a clinic: one clear line, exit code 2 or 1, nothing half written."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from tests.conftest import drafting, largest_file
from tests.journeys.conftest import Journey, write_patient

from recontour import train
from recontour.cli import main
from recontour.contouring.contourer import Contourer
from recontour.errors import FaultError, SettingsError
from recontour.files import MachineFault
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask

Fails = Callable[..., str]
# what may be said before
BEFORE = (
    "importing ",
    "loading ",
    "reading ",
    "training ",
    "contouring ",
    "reporting ",
    "note: ",
    "warning: ",
)


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail; give its one line."""

    def run(*arguments: object, code: int = 2) -> str:
        assert main([str(argument) for argument in arguments]) == code
        said = capsys.readouterr()
        *before, line = said.err.strip().splitlines()
        assert line.startswith("recontour: ")
        assert all(earlier.startswith(BEFORE) for earlier in before), said.err
        return line

    return run


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_an_empty_folder(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    assert "no CT series" in fails("import", tmp_path / "dicom", tmp_path / "cohort")


def test_a_folder_that_is_not_there(fails: Fails, tmp_path: Path) -> None:
    assert "nowhere" in fails("import", tmp_path / "nowhere", tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()


def test_no_structure_set_leaves_the_patient_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_patient(tmp_path / "dicom" / "a", 0)
    write_patient(tmp_path / "dicom" / "b", 1)
    (tmp_path / "dicom" / "b" / "RS.dcm").unlink()
    assert main(["import", str(tmp_path / "dicom"), str(tmp_path / "cohort")]) == 0
    assert (
        f"1 added, 0 there already, 1 left out: {tmp_path / 'cohort'}, centre cohort\n"
        in capsys.readouterr().out
    )


def test_a_truncated_slice_leaves_the_patient_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_patient(tmp_path / "dicom" / "a", 0)
    write_patient(tmp_path / "dicom" / "b", 1)
    victim = next((tmp_path / "dicom" / "b" / "CT").iterdir())
    victim.write_bytes(victim.read_bytes()[:-500])
    assert main(["import", str(tmp_path / "dicom"), str(tmp_path / "cohort")]) == 0
    assert "1 added" in capsys.readouterr().out


def test_a_text_file_named_dcm(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "1.dcm").write_text("not DICOM")
    line = fails("contour", journey.model_s, tmp_path / "ct", "--out", tmp_path / "RS.dcm")
    assert "1.dcm" in line
    assert not (tmp_path / "RS.dcm").exists()


def test_two_series_in_one_folder(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    write_patient(tmp_path / "ct" / "a", 0)
    write_patient(tmp_path / "ct" / "b", 1)
    assert "2 CT series" in fails(
        "contour", journey.model_s, tmp_path / "ct", "--out", tmp_path / "RS.dcm"
    )


def test_a_missing_slice(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    write_patient(tmp_path / "ct", 0)
    by_z = sorted(
        (tmp_path / "ct" / "CT").iterdir(),
        key=lambda p: float(pydicom.dcmread(p).ImagePositionPatient[2]),
    )
    by_z[2].unlink()
    line = fails("contour", journey.model_s, tmp_path / "ct", "--out", tmp_path / "RS.dcm")
    assert "no slice between z = 3.0 and 9.0 mm" in line


def test_contours_in_another_frame_of_reference(fails: Fails, tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)
    for path in (tmp_path / "dicom" / "CT").iterdir():
        image = pydicom.dcmread(path)
        image.FrameOfReferenceUID = "1.2.3.4"
        image.save_as(path)
    line = fails("import", tmp_path / "dicom", tmp_path / "cohort")
    assert "1 left out" in line
    assert "frame of reference" in line
    assert not (tmp_path / "cohort").exists()


def test_an_roi_without_contours_is_unknown(tmp_path: Path) -> None:
    write_patient(tmp_path / "dicom", 0)
    path = tmp_path / "dicom" / "RS.dcm"
    structure_set = pydicom.dcmread(path)
    del structure_set.ROIContourSequence[1].ContourSequence
    structure_set.save_as(path)
    assert main(["import", str(tmp_path / "dicom"), str(tmp_path / "cohort")]) == 0
    from recontour.cohort import Cohort

    assert Cohort.open(tmp_path / "cohort").organs == ("Brainstem",)


def test_organs_nobody_knows(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    line = fails("train", journey.cohort, "--out", tmp_path / "m", "--organs", "Lens_L,Spleen")
    assert "no case has this organ (Spleen); choose from Brainstem, Lens_L" in line
    arguments = ["--out", tmp_path / "m", "--organs", "Brainstm"]
    assert "did you mean Brainstem?" in fails("train", journey.cohort, *arguments)
    write_patient(tmp_path / "ct", 0)
    line = fails(
        "contour",
        journey.model_s,
        tmp_path / "ct",
        "--out",
        tmp_path / "RS.dcm",
        "--organs",
        "Spleen",
    )
    assert "does not contour this organ (Spleen)" in line
    assert everything(tmp_path) == {tmp_path / "ct", *everything(tmp_path / "ct")}


def test_a_wrong_model_file(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("PK\x03\x04 a zip, say")
    assert "not a recontour model file; check the path" in fails(
        "adapt", tmp_path / "m", journey.cohort, "--out", tmp_path / "n"
    )
    assert "not found; a model file is expected" in fails(
        "evaluate", journey.cohort, tmp_path / "x", "--out", tmp_path / "e"
    )
    assert everything(tmp_path) == {tmp_path / "m"}


def test_arguments_in_the_wrong_order(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "new"]
    assert "the order is MODEL COHORT" in fails("adapt", journey.cohort, journey.model_s, *out)
    assert "the order is COHORT MODEL" in fails("evaluate", journey.model_s, journey.cohort, *out)
    line = fails("contour", journey.archive, journey.model_s, *out)
    assert f"the model is a folder, and CT_DIR is no folder ({journey.model_s})" in line
    assert "give the model first: the order is MODEL CT_DIR" in line
    assert everything(tmp_path) == set()


def test_one_kind_of_folder_or_file_for_another(
    fails: Fails, journey: Journey, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "new"]
    assert f"`recontour import {journey.archive} COHORT`" in fails("train", journey.archive, *out)
    assert "is a cohort, but a folder of DICOM files is expected" in fails(
        "import", journey.cohort, tmp_path / "new"
    )
    assert "is a cohort, but a folder of DICOM" in fails(
        "contour", journey.model_s, journey.cohort, *out
    )
    assert "this is a file, and a cohort is a folder" in fails("train", journey.model_s, *out)
    assert "not a recontour model file: it is a folder" in fails(
        "adapt", journey.archive, journey.cohort, *out
    )
    assert everything(tmp_path) == set()


def test_mistyped_paths(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "new"]
    typo = {path: path.with_name(path.name[:-1]) for path in (journey.model_s, journey.cohort)}
    archive = journey.archive.parent / (journey.archive.name + "x")
    assert f"did you mean {journey.model_s}?" in fails(
        "adapt", typo[journey.model_s], journey.cohort, *out
    )
    assert f"did you mean {journey.cohort}?" in fails("train", typo[journey.cohort], *out)
    assert f"did you mean {journey.archive}?" in fails("import", archive, tmp_path / "new")
    assert everything(tmp_path) == set()


def test_an_output_that_exists_stays(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.write_text("precious")
    write_patient(tmp_path / "ct", 0)
    for command in (
        ["train", journey.cohort, "--out", out],
        ["adapt", journey.model_s, journey.cohort, "--out", out],
        ["contour", journey.model_s, tmp_path / "ct", "--out", out],
        ["evaluate", journey.cohort, journey.model_s, "--out", out],
    ):
        assert "exists" in fails(*command)
    assert out.read_text() == "precious"


def test_a_preset_nobody_knows(journey: Journey, tmp_path: Path) -> None:
    """The command line refuses it among the words it understands; here it is Python's."""
    with pytest.raises(SettingsError, match="choose accurate or compact or paper"):
        train(journey.cohort, tmp_path / "m", preset="huge")  # type: ignore[arg-type]
    assert not (tmp_path / "m").exists()


def test_a_cohort_that_is_none(fails: Fails, tmp_path: Path) -> None:
    assert "recontour import" in fails("train", tmp_path, "--out", tmp_path / "m")


def test_a_full_disk(fails: Fails, journey: Journey, tmp_path: Path) -> None:
    """A checkpoint is thrice what a model is: the weights, and two moments of each."""
    command = ["train", journey.cohort, "--out", tmp_path / "m", "--iterations", "1"]
    with largest_file(2 * journey.model_s.stat().st_size):
        line = fails(*command, code=1)
    assert "checkpoint.ckpt: could not be written (File too large)" in line
    assert "the training has stopped and nothing is kept" in line
    assert "ulimit -f" in line
    assert everything(tmp_path) == set()
    assert main(list(map(str, command))) == 0


def test_a_disk_that_is_full_for_the_model_keeps_the_checkpoint(
    fails: Fails, journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FaultError(MachineFault(path=tmp_path / "m", number=28, done="written"))

    command = ["train", journey.cohort, "--out", tmp_path / "m", "--iterations", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("recontour.transfer.models.save_model", full)
        line = fails(*command, code=1)
    assert "so the training has stopped; the checkpoint keeps 1 of 1 iteration" in line
    assert "free some space, then repeat with --resume to go on from there" in line
    assert main([*map(str, command), "--resume"]) == 0
    assert everything(tmp_path) == {tmp_path / "m"}


@pytest.mark.parametrize(
    "trouble", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["Ctrl-C", "full"]
)
@pytest.mark.parametrize("command", ["import", "contour", "evaluate"])
def test_trouble_while_writing_leaves_nothing(
    fails: Fails,
    journey: Journey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    trouble: BaseException,
) -> None:
    """It comes with the last file that each command writes, when half of it is there."""
    out = tmp_path / "new"
    words: dict[str, list[object]] = {
        "import": [journey.archive, out],
        "contour": [journey.model_s, journey.archive / "0", "--out", out, "--anyway"],
        "evaluate": [journey.cohort, journey.model_s, journey.model_st, "--out", out],
    }
    write_text, write_bytes, troubled = Path.write_text, Path.write_bytes, []

    def half_text(path: Path, text: str, **how: str) -> None:
        is_last = path.name.startswith(("case.json", ".report.html"))
        write_text(path, text[: len(text) // 2] if is_last else text, **how)
        if is_last:
            troubled.append(path)
            raise trouble

    def half_bytes(path: Path, content: bytes) -> None:
        write_bytes(path, content[: len(content) // 2])
        troubled.append(path)
        raise trouble

    def everywhere(
        _contourer: object, _hu: object, grid: Grid, organs: Sequence[str]
    ) -> Iterator[tuple[str, Mask]]:
        yield from ((organ, np.ones(grid.shape, dtype=bool)) for organ in organs)

    monkeypatch.setattr(Contourer, "contour", everywhere)
    monkeypatch.setattr(Contourer, "drafts", drafting(everywhere))
    monkeypatch.setattr(Path, "write_text", half_text)
    if command == "contour":
        monkeypatch.setattr(Path, "write_bytes", half_bytes)
    is_full = isinstance(trouble, OSError)
    line = fails(command, *words[command], code=1 if is_full else 2)
    assert ("No space left on device" if is_full else "nothing was left half written") in line
    assert troubled
    assert everything(tmp_path) == set()


HEEDING_CTRL_C = """
import signal
from recontour.cli import main
# Shells let their background processes ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
raise SystemExit(main())
"""


def test_ctrl_c_ends_in_one_line_and_resumes(journey: Journey, tmp_path: Path) -> None:
    out = tmp_path / "m"
    command = [
        sys.executable,
        "-c",
        HEEDING_CTRL_C,
        "train",
        str(journey.cohort),
        "--out",
        str(out),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not (tmp_path / "m.run" / "tensorboard").exists() and process.poll() is None:
                time.sleep(0.1)
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 2
    assert said.strip().splitlines()[-1].startswith("recontour: interrupted")
    assert "Traceback" not in said
    assert not out.exists()
    has_checkpoint = (tmp_path / "m.run" / "checkpoint.ckpt").exists()
    assert (tmp_path / "m.run").exists() == has_checkpoint == ("--resume" in said)


@pytest.mark.parametrize("words", ["--help", "study --example", "inspect nowhere"])
def test_what_needs_no_network_needs_no_torch(words: str) -> None:
    code = """
import sys
from recontour.cli import main
try:
    main(sys.argv[1:])
finally:
    print("torch" in sys.modules)
"""
    command = [sys.executable, "-c", code, *words.split()]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "False"
