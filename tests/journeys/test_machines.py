"""Machines that lack something, queues that end a job, and scripts without a `__main__` guard."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.conftest import fill
from tests.journeys.conftest import Journey
from tests.journeys.test_kill import weights_of

from recontour.cli import main
from recontour.cohort import Cohort

RECONTOUR = [sys.executable, "-m", "recontour"]
PLAIN = """
import multiprocessing, sys
from pathlib import Path
multiprocessing.set_start_method("spawn")
import recontour
print("once")
recontour.train(Path(sys.argv[1]), Path(sys.argv[2]), iterations=2, precision="float32")
"""
STUDY = """
name = "tiny"
workers = 2
threads = 1
[source]
cohort = "{source}"
test = 1
[target]
cohort = "{target}"
test = 1
[models]
iterations = 100000
"""


def broken_off(command: list[str], begun: Path, number: signal.Signals) -> tuple[int, list[str]]:
    """Send a signal twice to a command's processes, once a file is there.

    Returns: the exit code, and the lines that are not progress.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not begun.exists():
        time.sleep(0.05)
    os.killpg(process.pid, number)
    time.sleep(0.1)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=120)
    for _ in range(1200):  # nobody is left for good
        if not is_a_group(process.pid):
            break
        time.sleep(0.05)
    assert not is_a_group(process.pid)
    return process.returncode, [
        line for line in said.splitlines() if line.startswith(("recontour", "Traceback"))
    ]


def is_a_group(number: int) -> bool:
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_queue_that_ends_an_adaptation_costs_nothing(
    journey: Journey, tmp_path: Path, number: signal.Signals
) -> None:
    parent, out = tmp_path / "S", tmp_path / "ST"
    short = ["--preset", "compact", "--iterations", "1", "--precision", "float32"]
    assert main(["train", str(journey.cohort), "--out", str(parent), *short]) == 0
    command = [
        *RECONTOUR,
        "adapt",
        str(parent),
        str(journey.cohort),
        "--out",
        str(out),
        "--iterations",
        "900",
        "--retrain-last",
        "10",
    ]
    code, said = broken_off(command, tmp_path / "ST.run" / "features.bin", number)
    assert code == 2
    if (tmp_path / "ST.run" / "checkpoint.ckpt").exists():
        kept = f"go on with: {shlex.join(['recontour', *command[3:], '--resume'])}"
        left = {entry.name for entry in (tmp_path / "ST.run").iterdir()}
        assert left <= {"checkpoint.ckpt", "lock", "tensorboard"}
    else:  # the signal came before the first iteration was done
        kept = "no checkpoint was saved; repeat the command"
        assert not (tmp_path / "ST.run").exists()
    assert said == [f"recontour: interrupted; nothing was left half written; {kept}"]
    assert not out.exists()


def test_a_queue_that_ends_a_study_ends_its_workers(tmp_path: Path) -> None:
    source = fill(Cohort.open_or_create(tmp_path / "source", "source"), 3)
    target = fill(Cohort.open_or_create(tmp_path / "target", "target"), 3, growth_px=1)
    declared = tmp_path / "STUDY.toml"
    declared.write_text(STUDY.format(source=source.path, target=target.path))
    out = tmp_path / "out"
    begun = out / "cells" / "S-3organs-100000it-seed0" / "diary.csv"
    words = ["study", str(declared), "--out", str(out)]
    code, said = broken_off([*RECONTOUR, *words], begun, signal.SIGTERM)
    assert code == 2
    assert said == [
        "recontour: interrupted; nothing was left half written; go on with: "
        + shlex.join(["recontour", *words, "--resume"])
    ]
    assert not list(out.rglob("at"))
    assert not list(out.rglob("failed.txt"))


def test_a_small_shared_memory_and_a_long_temporary_folder_change_no_bit(
    journey: Journey, tmp_path: Path
) -> None:
    temporary = tmp_path / ("t" * 130)  # no socket's path may be that long
    temporary.mkdir()
    out = tmp_path / "S.safetensors"
    train = [*RECONTOUR, "train", str(journey.cohort), "--out", str(out), "--iterations", "2"]
    train += ["--precision", "float32"]
    small = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"',
        "sh",
    ]
    if subprocess.run([*small, "true"], capture_output=True, check=False).returncode:
        small = []  # only root may
    environment = os.environ | {"TMPDIR": str(temporary)}
    subprocess.run([*small, *train], check=True, capture_output=True, env=environment, timeout=300)
    assert weights_of(out) == weights_of(journey.model_s)


def test_a_plain_script_trains_where_processes_are_spawned(
    journey: Journey, tmp_path: Path
) -> None:
    script, out = tmp_path / "plain.py", tmp_path / "S.safetensors"
    script.write_text(PLAIN)
    command = [sys.executable, str(script), str(journey.cohort), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "once\n"
    assert weights_of(out) == weights_of(journey.model_s)
