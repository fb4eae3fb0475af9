#!/usr/bin/env python3
"""What an executor adds to a study's cells, and whether killing its processes changes a number.

    .venv/bin/python benchmarks/executors.py [--on local:2] [--cells 50] [--kills 10] [--seed 1]

Cells that take no time are computed: what passes is the executor's time, the start of its processes
and the loading of libraries included. Then a small study runs here undisturbed, and at --on while
processes are killed (-9) at random moments: its workers and the command itself, which is then run
again. Every score must be the same.

With --on slurm:N, have a Slurm whose jobs see this folder and run on this machine:

    .venv/bin/python -m tests.executors.slurm .venv/bin/python benchmarks/executors.py --on slurm:2

With --on tcp://HOST:PORT, start the workers with PYTHONPATH=benchmarks; they are not killed.

Writes docs/results/executors_local.json, executors_slurm.json or executors_scheduler.json.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from executor_jobs import empty
from recontour.cohort import Cohort
from recontour.executors import executor_at, place_of
from recontour.geometry import Grid
from recontour.progress import quiet
from recontour.study.cells import Cell
from recontour.study.run import Jobs

REPO = Path(__file__).resolve().parents[1]
GRID = Grid((6, 48, 48), (4.0, 4.0), tuple(3.0 * i for i in range(6)), (-94.0, -94.0))
COMPUTING = ("-m\0recontour", "spawn_main", "dask_worker")  # in the command of a process to kill
STUDY = """
threads = 1
precision = "float32"
retention_cases = 1
[source]
cohort = "source"
test = 1
[target]
cohort = "target"
test = 1
[models]
iterations = {iterations}
validate_every = 1000
[depth]
iterations = {iterations}
layers = [1, 4, 10]
controls = []
"""


class Spent(NamedTuple):
    """What something took: on the clock, and of the processor in all processes of this machine."""

    seconds: float
    processor_seconds: float


def processor_seconds() -> float:
    """Return what this process and its children have used, those that still run left out."""
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    return spent


def empty_cells(on: str, count: int, folder: Path) -> Spent:
    """Run a study of cells that are done at once; half of them have parents."""
    place = place_of(on)
    parents = [Cell("S", ("Brainstem",), 1, seed=seed) for seed in range(count // 2)]
    children = [Cell("ST", ("Brainstem",), 1, one.seed, one, retrain_last=1) for one in parents]
    cells = [*parents, *children]
    for cell in cells:
        (folder / "cells" / cell.id).mkdir(parents=True)
    began, before = time.perf_counter(), processor_seconds()
    with executor_at(place, threads=1) as executor:
        Jobs(folder, cells, empty, 1, executor, place.workers or count).finish(quiet)
    return Spent(time.perf_counter() - began, processor_seconds() - before)


def make_cohorts(folder: Path) -> None:
    """Make two cohorts of four bodies with a box and a ball."""
    zz, yy, xx = np.mgrid[:6, :48, :48]
    body = (xx - 24) ** 2 + (yy - 24) ** 2 < 20**2
    for name, growth in (("source", 0), ("target", 1)):
        cohort = Cohort.open_or_create(folder / name, name)
        for number in range(4):
            rng = np.random.default_rng([number, growth])
            hu = np.where(body, 40, -1000) + rng.normal(0, 8, GRID.shape)
            row, column = rng.integers(22, 27, size=2)
            stem = (abs(yy - row) <= 4 + growth) & (abs(xx - column) <= 4 + growth) & (zz > 0)
            ball = (xx - column - 10) ** 2 + (yy - row + 10) ** 2 <= (2 + growth) ** 2
            masks = {"Brainstem": stem, "Lens_L": ball & (zz > 2)}
            cohort.add(f"{name}-{number}", hu.astype(np.int16), GRID, masks, "hash")


def start(folder: Path, on: str, out: str, mark: str = "") -> subprocess.Popen[bytes]:
    """Start the study, or go on with it.

    mark: the name of an environment variable that marks the study's processes; Slurm's jobs inherit
    it.
    """
    command = [sys.executable, "-m", "recontour", "study", str(folder / "STUDY.toml")]
    return subprocess.Popen(
        [*command, "--out", str(folder / out), "--on", on, "--resume"],
        env=os.environ | ({mark: "1"} if mark else {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def scores_of(out: Path) -> dict[str, str]:
    """Return the scores of each cell, digit by digit."""
    return {path.parent.name: path.read_text() for path in out.glob("cells/*/scores.csv")}


def processes_of(mark: str) -> list[int]:
    """Return the study's own process and those that compute its cells, on this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes()
            command = (process / "cmdline").read_text()
        except OSError:  # it has just ended
            continue
        if f"{mark}=1".encode() in variables and any(word in command for word in COMPUTING):
            found.append(int(process.name))
    return found


def when_finished(out: Path) -> dict[str, int]:
    """Return when each finished cell was finished, in nanoseconds."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}


@dataclass
class Killed:
    """What happened while a study's processes were killed.

    of_itself: kills of the process that the user started; the command was then run again. again:
    finished cells that were computed again.
    """

    kills: int = 0
    of_itself: int = 0
    again: set[str] = field(default_factory=set)


def run_and_kill(folder: Path, on: str, kills: int, rng: random.Random, seconds: float) -> Killed:
    """Run the study while its processes are killed. seconds: how long it takes undisturbed."""
    out, mark = folder / "killed", f"RECONTOUR_BENCHMARK_{os.getpid()}"
    done = Killed()
    finished: dict[str, int] = {}
    process = start(folder, on, out.name, mark)
    while process.poll() in {None, -signal.SIGKILL}:
        if process.poll() is not None:
            done.of_itself += 1
            process = start(folder, on, out.name, mark)
        time.sleep(rng.uniform(0.2, 1.8) * seconds / kills)
        now = when_finished(out)
        done.again |= {cell for cell in finished if now.get(cell) != finished[cell]}
        finished = now
        there = processes_of(mark)
        if there and done.kills < kills:
            os.kill(rng.choice(there), signal.SIGKILL)
            done.kills += 1
    return done


def kill_all(on: str, kills: int, seed: int, iterations: int) -> dict[str, object]:
    """Run a study here undisturbed, and at `on` with kills; return what happened."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        make_cohorts(folder)
        (folder / "STUDY.toml").write_text(STUDY.format(iterations=iterations))
        began = time.perf_counter()
        assert start(folder, "local:2", "whole").wait() == 0
        seconds = time.perf_counter() - began
        done = run_and_kill(folder, on, kills, random.Random(seed), seconds)
        whole, killed = scores_of(folder / "whole"), scores_of(folder / "killed")
        failed = len(list((folder / "killed").glob("cells/*/failed.txt")))
    return {
        "seconds undisturbed, local:2": round(seconds, 1),
        "kills": done.kills,
        "of these, of the command itself": done.of_itself,
        "cells": len(whole),
        "cells that failed": failed,
        "finished cells computed again": len(done.again),
        "cells with the same scores as local:2": sum(
            killed.get(cell) == whole[cell] for cell in whole
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--on", default="local:2")
    parser.add_argument("--cells", type=int, default=50)
    parser.add_argument("--kills", type=int, default=10, help="0: leave them out")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kind = place_of(options.on).kind
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # Slurm's jobs import executor_jobs
    out = REPO / "docs" / "results" / f"executors_{kind}.json"
    with tempfile.TemporaryDirectory() as scratch:
        spent = empty_cells(options.on, options.cells, Path(scratch).resolve())
    result: dict[str, object] = {
        "on": options.on,
        "empty cells": options.cells,
        "seconds": round(spent.seconds, 1),
        "processor seconds": round(spent.processor_seconds, 1),
        "load": [round(load, 1) for load in os.getloadavg()],
    }
    if options.kills:
        result |= kill_all(options.on, options.kills, options.seed, options.iterations)
    print(json.dumps(result, indent=1))
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
