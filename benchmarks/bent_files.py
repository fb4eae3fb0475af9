#!/usr/bin/env python3
"""Run recontour's commands on hostile models, cohorts, studies and TOML files.

    .venv/bin/python benchmarks/bent_files.py [--kind model] [--files 300] [--seed 1]
        [--only NUMBER]

A kind, a seed and a number make a bent file (bent_models.py, bent_cohorts.py and so on). Whatever
the file holds, a command may only succeed, or fail with one line and exit code 1 or 2.

Faults are a traceback, a run of more than 10 s, more than 2 GiB of memory, a control character on
the screen, and a partial file left behind. Each command runs in a process of its own, forked from
one that has loaded recontour already.

Writes docs/results/bent_files.json, unless --only is given.
"""

import argparse
import importlib
import json
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recontour.cli import commands
from recontour.cli import main as recontour

REPO = Path(__file__).resolve().parents[1]
# Each module has make_base(folder), bend(rng, folder) -> words, and
# commands(folder, out) -> command lines.
KINDS = {
    "model": "bent_models",
    "cohort": "bent_cohorts",
    "study": "bent_studies",
    "toml": "bent_toml",
}
MOST_SECONDS = 10
MOST_MIB = 2048
GIVE_UP_SECONDS = 30  # a run that takes longer is killed


@dataclass(frozen=True, slots=True)
class Run:
    """One command on one bent file, and how it ended."""

    kind: str
    number: int
    bent: str
    command: str
    exit_code: int
    seconds: float
    mib: float
    screen: str
    left: tuple[str, ...]

    @property
    def fault(self) -> str:
        """What is wrong with how the command ended; empty if nothing is."""
        shown = self.screen.replace("\n", "")
        has_control = any(unicodedata.category(letter) in ("Cc", "Cf") for letter in shown)
        faults = {
            "traceback": "Traceback" in self.screen,
            "too slow": self.seconds > MOST_SECONDS,
            "too much memory": self.mib > MOST_MIB,
            f"exit code {self.exit_code}": self.exit_code not in (0, 1, 2),
            "control character": has_control,
            "left half written": bool(self.left),
        }
        return next((fault for fault, is_so in faults.items() if is_so), "")


def tried(kind: str, command: Sequence[str], number: int, bent: str, out: Path) -> Run:
    """Run one command in a process of its own and watch it."""
    screen = out / "screen.txt"
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        _run_here(command, screen)
    exit_code, mib = _watched(process, began)
    return Run(
        kind=kind,
        number=number,
        bent=bent,
        command=command[0],
        exit_code=exit_code,
        seconds=round(time.monotonic() - began, 2),
        mib=round(mib),
        screen=screen.read_text(errors="backslashreplace"),
        left=tuple(path.name for path in out.rglob("*.partial")),
    )


def _run_here(command: Sequence[str], screen: Path) -> None:
    """Become the command, in the forked process; never return."""
    os.setsid()
    os.chdir(screen.parent)
    descriptor = os.open(screen, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = 99
    try:
        code = recontour(command)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watched(process: int, began: float) -> tuple[int, float]:
    """Wait for a process, and kill it when it takes too long.

    Returns: its exit code, and its greatest resident memory in MiB.
    """
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss / 1024
        if time.monotonic() - began > GIVE_UP_SECONDS:
            os.killpg(process, signal.SIGKILL)
        time.sleep(0.01)


def run_kind(kind: str, numbers: Sequence[int], seed: int, work: Path) -> list[Run]:
    """Bend one file per number, and run each command of its kind on it."""
    bending = importlib.import_module(KINDS[kind])
    base = work / f"{kind}-base"
    base.mkdir()
    bending.make_base(base)
    runs = []
    for number in numbers:
        case = work / f"{kind}-{number}"
        shutil.copytree(base, case, symlinks=True)
        bent = bending.bend(random.Random(f"recontour {kind} {seed} {number}"), case)
        for turn, command in enumerate(bending.commands(case, work / "unused")):
            out = work / f"{kind}-{number}-out-{turn}"
            out.mkdir()
            placed = [word.replace(str(work / "unused"), str(out)) for word in command]
            run = tried(kind, placed, number, bent, out)
            runs.append(run)
            if run.fault:
                what = f"{run.fault} in {run.command} [{bent}] {run.seconds} s"
                print(f"{kind} {number}: {what}", flush=True)
            shutil.rmtree(out)
        shutil.rmtree(case)
    return runs


def summed_up(runs: Sequence[Run]) -> dict[str, object]:
    """Return all runs of one kind in a few numbers."""
    slowest = max(runs, key=lambda run: run.seconds)
    return {
        "files": len({run.number for run in runs}),
        "runs": len(runs),
        "faults": dict(Counter(run.fault for run in runs if run.fault)),
        "slowest_seconds": slowest.seconds,
        "slowest": f"{slowest.command}: {slowest.bent}",
        "most_mib": max(run.mib for run in runs),
        "exit_codes": dict(sorted(Counter(run.exit_code for run in runs).items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kind", choices=KINDS, action="append", help="may be repeated; default: all kinds"
    )
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run one number, and show its runs")
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "bent_files.json")
    options = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    assert commands  # loaded before the first fork
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    numbers = range(options.files) if options.only is None else [options.only]
    summary = json.loads(options.out.read_text()) if options.out.exists() else {}
    faults = 0
    for kind in options.kind or KINDS:
        with tempfile.TemporaryDirectory() as scratch:
            runs = run_kind(kind, numbers, options.seed, Path(scratch).resolve())
        summary[kind] = {"seed": options.seed, **summed_up(runs)}
        faults += sum(bool(run.fault) for run in runs)
        print(kind, json.dumps(summary[kind], indent=1), flush=True)
        if options.only is not None:
            for run in runs:
                print(json.dumps(asdict(run), indent=1))
    if options.only is None:
        options.out.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
