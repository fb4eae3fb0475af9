"""One model, trained by two processes: by torchrun, by Slurm, and when one of them ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.executors.slurm import in_slurm

from recontour.cohort import Cohort
from recontour.network import load_model
from recontour.network.model import sha256_of

REPOSITORY = Path(__file__).resolve().parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "recontour"]
RECONTOUR = [sys.executable, "-m", "recontour"]
ITERATIONS = 6
AGAIN = "recontour: one of the 2 processes that train together has ended"


class Trained(NamedTuple):
    """What a command has left, and what it showed."""

    code: int
    shown: str


def train(launcher: list[str], cohort: Cohort, out: Path, *more: str) -> subprocess.Popen[str]:
    command = ["train", str(cohort.path), "--out", str(out), "--preset=compact"]
    return subprocess.Popen(
        [*launcher, *command, f"--iterations={ITERATIONS}", "--precision=float32", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=out.parent,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str]) -> Trained:
    shown, _ = process.communicate(timeout=400)
    return Trained(process.returncode, shown)


def stopped(process: subprocess.Popen[str], number: int, by: signal.Signals) -> Trained:
    """Send a signal to one process of a training once its first iteration is done."""
    assert process.stdout
    shown = ""
    for line in process.stdout:
        shown += line
        if f"/{ITERATIONS}: loss" in line:
            os.kill(_process(process.pid, number), by)
            break
    rest = ended(process)
    return Trained(rest.code, shown + rest.shown)


def _process(launcher: int, number: int) -> int:
    """Return the process that torchrun has given a number."""
    for children in Path("/proc", str(launcher), "task").glob("*/children"):  # by thread
        for child in children.read_text().split():
            if f"\0RANK={number}\0" in Path("/proc", child, "environ").read_text():
                return int(child)
    raise AssertionError("no such process")


def weights(out: Path) -> str:
    return sha256_of(load_model(out).network)


def assert_shown_once(shown: str) -> None:
    assert shown.count("reading ") == 1, shown
    assert shown.count(f"{ITERATIONS}/{ITERATIONS}: loss") == 1
    assert shown.count("note: training on") == 1
    assert shown.count("model: ") == 1


@pytest.fixture(scope="module")
def together(north: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that torchrun's two processes train."""
    out = tmp_path_factory.mktemp("together") / "north.safetensors"
    trained = ended(train(TORCHRUN, north, out))
    assert trained.code == 0, trained.shown
    assert_shown_once(trained.shown)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    return out


def test_what_stops_one_process_stops_both_and_they_go_on_to_the_same_bits(
    together: Path, north: Cohort, tmp_path: Path
) -> None:
    out = tmp_path / "north.safetensors"
    asked = stopped(train(TORCHRUN, north, out), 1, signal.SIGTERM)
    assert asked.code
    assert asked.shown.count("note: the checkpoint keeps") == 1, asked.shown
    assert asked.shown.count("recontour: interrupted") == 1
    assert "process 2 of 2" not in asked.shown
    killed = stopped(train(TORCHRUN, north, out, "--resume"), 1, signal.SIGKILL)
    assert killed.code
    assert killed.shown.count(AGAIN) == 1, killed.shown
    alone = ended(train(RECONTOUR, north, out, "--resume"))
    assert "the run in this folder differs in processes" in alone.shown
    resumed = ended(train(TORCHRUN, north, out, "--resume"))
    assert resumed.code == 0, resumed.shown
    assert resumed.shown.count("note: going on from iteration") == 1
    assert weights(out) == weights(together)


def test_what_keeps_all_processes_from_beginning_is_said_once(
    together: Path, north: Cohort
) -> None:
    refused = ended(train(TORCHRUN, north, together))
    assert refused.code
    assert refused.shown.count("exists, and recontour does not overwrite") == 1, refused.shown


SECOND = """#!/bin/bash
# The second process does not see the cohort.
[ "$RANK" = 1 ] && set -- train nowhere "${@:3}"
exec %s -m recontour "$@"
"""


def test_what_keeps_one_process_from_beginning_is_said_by_the_first(
    north: Cohort, tmp_path: Path
) -> None:
    script = tmp_path / "second.sh"
    script.write_text(SECOND % sys.executable)
    script.chmod(0o700)
    launcher = [*TORCHRUN[:-2], "--no-python", str(script)]
    refused = ended(train(launcher, north, tmp_path / "north.safetensors"))
    assert refused.code
    said = [line for line in refused.shown.splitlines() if line.startswith("recontour")]
    assert [line for line in said if "nowhere" in line] == said[:1], refused.shown
    assert said[0].startswith("recontour: nowhere: process 2 cannot begin: ")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "slurm"
    folder.mkdir()
    with in_slurm(folder, monkeypatch):
        yield


@pytest.mark.usefixtures("slurm")
def test_two_tasks_of_slurm_train_the_same_model_and_a_batch_script_is_one(
    together: Path, north: Cohort, tmp_path: Path
) -> None:
    out = tmp_path / "two" / "north.safetensors"
    out.parent.mkdir()
    trained = ended(train(["srun", "--ntasks=2", "--nodes=1", *RECONTOUR], north, out))
    assert trained.code == 0, trained.shown
    assert_shown_once(trained.shown)
    assert weights(out) == weights(together)
    alone = tmp_path / "one" / "north.safetensors"
    alone.parent.mkdir()
    script = f"{sys.executable} -m recontour"
    wrapped = ["sbatch", "--wait", "--ntasks=2", f"--output={tmp_path / 'log'}"]
    job = tmp_path / "job.sh"
    job.write_text(f'#!/bin/bash\nexec {script} "$@"\n')
    assert ended(train([*wrapped, str(job)], north, alone)).code == 0
    assert_shown_once((tmp_path / "log").read_text())
    assert weights(alone) != weights(together)
