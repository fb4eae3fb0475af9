"""A Dask scheduler with two workers, as on two machines."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]


class Nodes(NamedTuple):
    """What was started. address: of the scheduler. workers: the process of each node."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


def workers_of(process: int) -> list[int]:
    """Return the worker processes that a command has started, without those that these have."""
    workers = []
    for children in Path("/proc", str(process), "task").glob("*/children"):  # by thread
        for child in children.read_text().split():
            if "spawn_main" in Path("/proc", child, "cmdline").read_text():
                workers.append(int(child))
    return workers


@contextmanager
def two_nodes(
    folder: Path,
    *,
    may_start_processes: bool = True,
    workers: Sequence[str] = ("one", "two"),
) -> Iterator[Nodes]:
    """Start `dask scheduler`, and `dask worker` twice."""
    about = folder / "scheduler.json"
    environment = os.environ | {
        "DASK_DISTRIBUTED__WORKER__DAEMON": str(not may_start_processes),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")]),
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(what: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}"]
        log = (folder / f"{len(started)}.log").open("wb")
        process = subprocess.Popen(
            [*command, "--scheduler-file", about, *options],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        started.append(process)
        return process

    try:
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not (about.exists() and about.read_text().endswith("}")):
            assert scheduler.poll() is None
            time.sleep(0.05)
        nodes = []
        for node in workers:
            scratch = folder / node
            scratch.mkdir()
            options = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
            nodes.append(start("worker", *options, "--local-directory", str(scratch)))
        yield Nodes(json.loads(about.read_text())["address"], scheduler, nodes)
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
