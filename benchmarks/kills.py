#!/usr/bin/env python3
"""kill -9 at any moment, then the same command again: no partial file is left, and the result is
that of one run.

    .venv/bin/python benchmarks/kills.py [--kills 100] [--seed 1]

In turns import, deidentify, export, train and evaluate are killed at a random moment of the time
that they take, and repeated until they are done. Every file is compared with an uninterrupted
run's. Each command runs in a process of its own, forked from one that has loaded recontour already.

Writes docs/results/kills.json.
"""

import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recontour.cli import commands as loaded
from recontour.cli import main as recontour
from recontour.dicom import (
    Authorship,
    ScanIdentity,
    write_scan,
    write_structure_set,
)
from recontour.geometry import Grid, Structure, StructureSet, trace

REPO = Path(__file__).resolve().parents[1]
GRID = Grid((12, 64, 64), (3.0, 3.0), tuple(3.0 * i for i in range(12)), (-94.5, -94.5))
SHORT = ["--iterations", "3"]


def write_archive(folder: Path, patients: int) -> None:
    """A few patients: a box in the middle of a body, and a ball beside it."""
    zz, yy, xx = np.mgrid[:12, :64, :64]
    for number in range(patients):
        stem = (abs(yy - 32 - number) <= 5) & (abs(xx - 32) <= 5) & (zz > 0)
        lens = ((xx - 44) ** 2 + (yy - 20) ** 2 <= 9) & (zz > 2)
        body = (xx - 32) ** 2 + (yy - 32) ** 2 < 28**2
        hu = (
            np.where(body, 30, -1000)
            + 150 * stem
            + 300 * lens
            + np.random.default_rng(number).normal(0, 8, GRID.shape)
        )
        identity = ScanIdentity(f"kills {number}", patient_id=f"{number}", patient_name="X")
        scan = write_scan(
            folder / f"{number}" / "CT", np.round(hu).astype(np.int16), GRID, identity
        )
        structures = tuple(
            Structure(name, trace(mask, GRID))
            for name, mask in (("Brainstem", stem), ("Lens_L", lens))
        )
        author = Authorship("a person", "HN", algorithm="MANUAL", seed=f"kills {number}")
        write_structure_set(folder / f"{number}" / "RS.dcm", StructureSet(structures), scan, author)


def new_folder(folder: Path) -> Path:
    """A folder for outputs, with a salt that is always the same:

    patients' keys are made with it.
    """
    folder.mkdir()
    (folder / ".recontour-salt").write_text(f"recontour salt 1\n{'cd' * 32}\n")
    return folder


def commands(base: Path, out: Path) -> dict[str, list[str]]:
    dicom, cohort, model = (str(base / name) for name in ("dicom", "cohort", "S"))
    return {
        "import": ["import", dicom, str(out / "north")],
        "deidentify": ["deidentify", dicom, str(out / "clean"), "--key", str(base / "key")],
        "export": ["export", cohort, str(out / "nifti"), "--format", "nifti"],
        "train": ["train", cohort, "--out", str(out / "S"), *SHORT],
        "evaluate": ["evaluate", cohort, model, "--out", str(out / "report")],
    }


def start(command: Sequence[str]) -> int:
    """Run a command in a process of its own; return its number."""
    process = os.fork()
    if process:
        return process
    os.setsid()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    code = 99
    try:
        code = recontour(command)
    finally:
        os._exit(code)


def end(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a hash of what it holds;

    logs of a training, which tell the time, by name.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "tensorboard" not in path.parts:
            raw = path.read_bytes()
            held = gzip.decompress(raw) if path.suffix == ".gz" else raw
            found[str(path.relative_to(folder))] = hashlib.sha256(held).hexdigest()
    return found


def _is_leader(process: int) -> bool:
    try:
        return os.getpgid(process) == process
    except ProcessLookupError:
        return False


def is_done(command: Sequence[str], out: Path) -> bool:
    """Whether a command that refuses to overwrite had already finished when it was killed."""
    names = {"deidentify": "clean", "export": "nifti", "train": "S", "evaluate": "report"}
    return command[0] in names and (out / names[command[0]]).exists()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "kills.json")
    options = parser.parse_args()
    assert loaded
    rng = random.Random(options.seed)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch).resolve() / "base"
        write_archive(base / "dicom", 4)
        (base / "key").write_text("ab" * 32 + "\n")
        made = [commands(base, base)["import"], commands(base, base)["train"]]
        made[0][-1] = str(base / "cohort")
        for command in made:
            assert end(start(command)) == 0, command
        whole: dict[str, dict[str, str]] = {}
        seconds: dict[str, float] = {}
        for name, command in commands(base, base.parent / "whole").items():
            folder = new_folder(base.parent / "whole")
            began = time.monotonic()
            assert end(start(command)) == 0, command
            seconds[name] = time.monotonic() - began
            whole[name] = contents(folder)
            shutil.rmtree(folder)
        names = list(whole)
        for number in range(options.kills):
            name = names[number % len(names)]
            out = new_folder(base.parent / "out")
            one = kill_and_repeat(commands(base, out)[name], out, rng.uniform(0, seconds[name]))
            counts.update(one)
            if found := wrong(out, whole[name]):
                counts["wrong"] += 1
                print(f"{number} {name}: {found}", flush=True)
            counts[f"kills of {name}"] += 1
            shutil.rmtree(out, ignore_errors=True)
    print(json.dumps(counts, indent=1))
    options.out.write_text(
        json.dumps({"seed": options.seed, "kills": options.kills, **counts}, indent=1) + "\n"
    )
    sys.exit(bool(counts["wrong"]))


def kill_and_repeat(command: Sequence[str], out: Path, after: float) -> Counter[str]:
    """Kill a command after some seconds, and repeat it. What happened, counted."""
    process = start(command)
    time.sleep(after)
    if _is_leader(process):  # with the processes that load its data
        os.killpg(process, signal.SIGKILL)
    else:
        os.kill(process, signal.SIGKILL)
    end(process)
    counts = Counter({"left by kills": sum(1 for _ in out.rglob("*.partial"))})
    if is_done(command, out):
        counts["done before the kill"] += 1
        return counts
    again = [*command, "--resume"] if command[0] == "train" else command
    counts[f"repeats that ended with {end(start(again))}"] += 1
    return counts


def wrong(out: Path, whole: dict[str, str]) -> str:
    """What is wrong with the output of a repeated command; empty if nothing is."""
    if partial := [path.name for path in out.rglob("*.partial")]:
        return f"left half written: {partial}"
    now = contents(out)
    differing = sorted(name for name in {*now, *whole} if now.get(name) != whole.get(name))
    return f"other than an uninterrupted run's: {differing}" if differing else ""


if __name__ == "__main__":
    main()
