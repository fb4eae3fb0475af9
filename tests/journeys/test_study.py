"""`recontour study` from its file to its report, a cell that fails, and kills at any moment."""

import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.conftest import fill
from tests.executors.conftest import two_nodes, workers_of
from tests.executors.slurm import in_slurm

from recontour.cli import main
from recontour.cohort import Cohort
from recontour.executors import place_of, workers_at

SMALL = """
name = "a small study"
retention_cases = 1
workers = {workers}
threads = 1
precision = "float32"
[source]
cohort = "{source}"
test = 1
[target]
cohort = "{target}"
validation = 1
test = 2
[models]
iterations = 3
validate_every = 2
"""
MORE = """
[depth]
iterations = 2
layers = [1, 10]
[cases]
iterations = 2
numbers = [1, "all"]
draws = 1
[separately]
iterations = 1
organs = ["Brainstem"]
[normalisation]
slices = 2
batches = [2]
norms = ["group", "frozen"]
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Five cases of a centre that draws everything a pixel larger."""
    return fill(
        Cohort.open_or_create(tmp_path_factory.mktemp("target") / "east", "east"), 5, growth_px=1
    )


def declare(folder: Path, north: Cohort, target: Cohort, more: str = "", workers: int = 1) -> Path:
    path = folder / "STUDY.toml"
    path.write_text(SMALL.format(source=north.path, target=target.path, workers=workers) + more)
    return path


def dsc(out: Path) -> dict[tuple[str, str, str], str]:
    """Every score of a study, digit by digit."""
    found: dict[tuple[str, str, str], str] = {}
    for path in out.glob("cells/*/scores.csv"):
        with path.open() as file:
            found |= {
                (row["model"], row["case"], row["organ"]): row["dsc"]
                for row in csv.DictReader(file)
            }
    return found


def test_a_study_from_its_file_to_its_report(
    north: Cohort, target: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = declare(tmp_path, north, target, MORE, workers=2), tmp_path / "out"
    assert main(["study", str(study), "--dry-run"]) == 0
    cells = re.search(
        r"(\d+) cells: .* with 2 workers; \d+ MB of disk, .* more while", _told(capsys)
    )
    assert cells
    assert not out.exists()

    assert main(["study", str(study), "--out", str(out)]) == 0
    assert len(list(out.glob("cells/*/result.json"))) == int(cells[1])
    assert not list(out.glob("cells/*/failed.txt"))
    page = (out / "report.html").read_text()
    for words in ("a small study", "north", "east", "Model_ST", "random trunk", "head first"):
        assert words in page
    assert str(north.path) not in page  # where a cohort lies is nobody's business
    names = {path.stem for path in (out / "tables").iterdir()}
    assert names >= {
        "models",
        "depth",
        "cases",
        "separately",
        "normalisation",
        "retention",
        "times",
        "scores",
    }

    # again: nothing is left to do or computed twice, and without --resume nothing is touched
    assert main(["study", str(study), "--dry-run", "--out", str(out)]) == 0
    assert "0 cells: about 1 s" in _told(capsys)
    made = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}
    assert main(["study", str(study), "--out", str(out)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["study", str(study), "--out", str(out), "--resume"]) == 0
    assert made == {path: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").exists()


def test_a_cross_validation_tests_every_patient_once(
    north: Cohort, target: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = declare(tmp_path, north, target), tmp_path / "out"
    split = "validation = 1\ntest = 2"
    text = study.read_text()
    assert split in text
    study.write_text(text.replace(split, "folds = 2"))
    assert main(["study", str(study), "--out", str(out)]) == 0
    assert "a cross-validation" in capsys.readouterr().err
    scored: dict[str, list[str]] = {}
    with (out / "tables" / "scores.csv").open() as file:
        for row in csv.DictReader(file):
            if row["fold"] == "target test" and row["organ"] == "Brainstem":
                scored.setdefault(row["cell"].partition("-")[0], []).append(row["case"])
    assert scored.keys() == {"S", "T", "ST"}
    for cases in scored.values():
        assert sorted(cases) == sorted(target.case_ids)
    with (out / "split.csv").open() as file:
        fold_of = {row["case"]: row["fold"] for row in csv.DictReader(file)}
    for path in out.glob("cells/ST-*/scores.csv"):
        held_out = re.search(r"-fold(\d)-", path.parent.name)
        assert held_out
        with path.open() as file:
            for row in csv.DictReader(file):
                if row["case"] in target.case_ids:
                    assert fold_of[row["case"]] == f"fold {held_out[1]}"
    with (out / "tables" / "statistics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "target test"]
    assert {row["n"] for row in rows if row["organ"] == "Brainstem"} == {"5"}
    assert "cross-validation: each of the 5 patients" in (out / "report.html").read_text()
    assert main(["study", str(study), "--out", str(out), "--resume"]) == 0


def _told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_cell_that_fails_is_shown_and_the_rest_goes_on(
    north: Cohort, target: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = declare(tmp_path, north, target), tmp_path / "out"
    blocked = out / "cells" / "S-3organs-3it-seed0"
    subprocess.run([sys.executable, "-c", PREPARE, str(study), str(out)], check=True)
    blocked.mkdir(parents=True)
    (blocked / "model.run").write_text("a file where a folder should be")
    assert main(["study", str(study), "--out", str(out), "--resume"]) == 1
    told, line = capsys.readouterr()
    assert "2 cells failed, the rest is done" in line
    assert re.search(r"failed: S-3organs-3it-seed0: \w", told)
    assert re.search(r"failed: ST-.*: S-3organs-3it-seed0, which it starts from, failed", told)
    assert (out / "cells" / "T-3organs-3it-seed0" / "result.json").exists()
    assert "failed: " in (out / "report.html").read_text()

    (blocked / "model.run").unlink()  # mended: tried again
    assert main(["study", str(study), "--out", str(out), "--resume"]) == 0
    assert "failed" not in capsys.readouterr().out


PREPARE = """
import sys
from pathlib import Path
from recontour.study.folder import prepare
from recontour.study.settings import read_study
prepare(read_study(Path(sys.argv[1])), Path(sys.argv[2]), resume=False)
"""


def all_gone(group: int) -> bool:
    """Whether all that a process had started ends with it, within a quarter of a minute."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


class Whole(NamedTuple):
    """A study of three cells on two workers that nothing has disturbed."""

    study: Path
    seconds: float
    dsc: dict[tuple[str, str, str], str]

    def start(self, out: Path, *more: str) -> subprocess.Popen[bytes]:
        """Run the same study in a process of its own, and in its own group."""
        options = ["--resume", "--out", str(out), *more]
        command = [sys.executable, "-m", "recontour", "study", str(self.study), *options]
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(command, start_new_session=True, stdout=nowhere, stderr=nowhere)


@pytest.fixture(scope="module")
def whole(north: Cohort, target: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    study = declare(folder, north, target, workers=2)
    began = time.monotonic()
    assert main(["study", str(study), "--out", str(folder / "out")]) == 0
    lasted = time.monotonic() - began
    scores = dsc(folder / "out")
    assert {model.partition("-")[0] for model, _, _ in scores} == {"S", "T", "ST"}
    return Whole(study, lasted, scores)


def test_kills_of_workers_and_of_all_of_it_change_no_number(whole: Whole, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = whole.start(out)
    for begun in ("diary.csv", "result.json"):  # in a training, and when a cell is finished
        wait_for_any(out, begun)
        victim, *_ = workers_of(process.pid)
        os.kill(victim, signal.SIGKILL)
    time.sleep(random.Random(7).uniform(0.1, 0.4) * whole.seconds)
    process.kill()
    process.wait()
    assert all_gone(process.pid)
    assert whole.start(out).wait() == 0
    assert dsc(out) == whole.dsc
    assert (out / "report.html").exists()


def test_two_nodes_whose_workers_are_killed_give_the_same_numbers(
    whole: Whole, tmp_path: Path
) -> None:
    with two_nodes(tmp_path) as nodes:
        process = whole.start(tmp_path / "out", "--on", nodes.address)
        for begun, node in zip(("diary.csv", "result.json"), nodes.workers, strict=True):
            wait_for_any(tmp_path / "out", begun)
            (victim,) = workers_of(node.pid)  # the node starts another one
            os.kill(victim, signal.SIGKILL)
        assert process.wait() == 0
    assert dsc(tmp_path / "out") == whole.dsc


def test_a_dry_run_asks_the_scheduler_how_many_workers_it_has(
    north: Cohort, target: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = declare(tmp_path, north, target)
    with two_nodes(tmp_path) as nodes:
        while workers_at(place_of(nodes.address)) < 2:  # they have not come yet
            time.sleep(0.1)
        study.write_text(f'on = "{nodes.address}"\n{study.read_text()}')
        assert main(["study", str(study), "--dry-run"]) == 0
        assert " with 2 workers; " in _told(capsys)
        assert main(["study", str(study), "--dry-run", "--on", "local:3"]) == 0  # it wins
        assert " with 3 workers; " in _told(capsys)


def test_a_slurm_queue_gives_the_same_numbers_also_if_it_ends_a_job(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_slurm(tmp_path, monkeypatch):
        process = whole.start(tmp_path / "out", "--on", "slurm:2")
        wait_for_any(tmp_path / "out", "diary.csv")
        queue = ["squeue", "--noheader", "--states=running", "--format=%A"]
        job, *_ = subprocess.run(queue, capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["scancel", job], check=True)  # SIGTERM, and SIGKILL 5 s later
        assert process.wait() == 0
    assert dsc(tmp_path / "out") == whole.dsc


def wait_for_any(out: Path, name: str) -> None:
    """Wait until some cell of a study has a file."""
    while not list(out.glob(f"cells/*/{name}")):
        time.sleep(0.05)


def test_a_folder_that_is_no_study_is_left_alone(
    north: Cohort, target: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = declare(tmp_path, north, target), tmp_path / "out"
    out.mkdir()
    (out / "holiday.jpg").touch()
    assert main(["study", str(study), "--out", str(out), "--resume"]) == 2
    assert "holds no study; choose a new folder" in capsys.readouterr().err
    assert main(["report", str(out)]) == 2
    assert "run `recontour study` first" in capsys.readouterr().err
    (out / "study.json").write_text("{}")
    assert main(["report", str(out)]) == 2
    assert "study.json: the study's settings are damaged" in capsys.readouterr().err


def test_a_study_may_grow_but_not_change(
    north: Cohort, target: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, out = declare(tmp_path, north, target), tmp_path / "out"
    subprocess.run([sys.executable, "-c", PREPARE, str(study), str(out)], check=True)
    study.write_text(study.read_text().replace("retention_cases = 1", "retention_cases = 2"))
    assert main(["study", str(study), "--out", str(out), "--resume"]) == 2
    assert "another retention_cases; choose another --out" in capsys.readouterr().err


def test_the_example_is_printed_and_a_study_needs_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["study", "--example"]) == 0
    assert "[models]" in capsys.readouterr().out
    assert main(["study"]) == 2
    assert "--example" in capsys.readouterr().err
