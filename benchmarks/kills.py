#!/usr/bin/env python3
"""Kill commands with kill -9 and repeat them: the result must be that of one run.

    .venv/bin/python benchmarks/kills.py [--kills 100] [--seed 1]

`import`, `deidentify`, `export`, `train` and `evaluate` are killed in turns, at a random moment of
the time that they take, and run again. No partial file may be left, and every file is compared
with that of an uninterrupted run. Each command runs in a process of its own, forked from one that
has loaded recontour already.

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
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recontour.cli import commands as loaded
from recontour.cli import main as recontour
from recontour.dicom import Authorship, ScanIdentity, write_scan, write_structure_set
from recontour.geometry import Grid, Structure, StructureSet, trace

REPO = Path(__file__).resolve().parents[1]
GRID = Grid((12, 64, 64), (3.0, 3.0), tuple(3.0 * i for i in range(12)), (-94.5, -94.5))
SHORT = ["--iterations", "3"]


def write_archive(folder: Path, patients: int) -> None:
    """Write a few patients: a body with a box in the middle and a ball beside it."""
    zz, yy, xx = np.mgrid[:12, :64, :64]
    body = (xx - 32) ** 2 + (yy - 32) ** 2 < 28**2
    lens = ((xx - 44) ** 2 + (yy - 20) ** 2 <= 9) & (zz > 2)
    for number in range(patients):
        stem = (abs(yy - 32 - number) <= 5) & (abs(xx - 32) <= 5) & (zz > 0)
        noise = np.random.default_rng(number).normal(0, 8, GRID.shape)
        hu = np.where(body, 30, -1000) + 150 * stem + 300 * lens + noise
        stored = np.round(hu).astype(np.int16)
        identity = ScanIdentity(f"kills {number}", patient_id=f"{number}", patient_name="X")
        scan = write_scan(folder / f"{number}" / "CT", stored, GRID, identity)
        drawn = (Structure("Brainstem", trace(stem, GRID)), Structure("Lens_L", trace(lens, GRID)))
        author = Authorship("a person", "HN", algorithm="MANUAL", seed=f"kills {number}")
        write_structure_set(folder / f"{number}" / "RS.dcm", StructureSet(drawn), scan, author)


def new_folder(folder: Path) -> Path:
    """Make a folder for outputs, with a fixed salt, so that patients' keys are always the same."""
    folder.mkdir()
    (folder / ".recontour-salt").write_text(f"recontour salt 1\n{'cd' * 32}\n")
    return folder


def commands(base: Path, out: Path) -> dict[str, list[str]]:
    """Return the commands to kill, by name."""
    dicom, cohort, model = (str(base / name) for name in ("dicom", "cohort", "S"))
    return {
        "import": ["import", dicom, str(out / "north")],
        "deidentify": ["deidentify", dicom, str(out / "clean"), "--key", str(base / "key")],
        "export": ["export", cohort, str(out / "nifti"), "--format", "nifti"],
        "train": ["train", cohort, "--out", str(out / "S"), *SHORT],
        "evaluate": ["evaluate", cohort, model, "--out", str(out / "report")],
    }


def start(command: Sequence[str]) -> int:
    """Run a command in a process of its own; return the process id."""
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
    """Wait for a process; return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def contents(folder: Path) -> dict[str, str]:
    """Return the files below a folder, each with the hash of its content.

    TensorBoard's logs are left out: they hold times.
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


def make_inputs(base: Path) -> None:
    """Write what the commands read: DICOM, a key, a cohort and a model."""
    write_archive(base / "dicom", 4)
    (base / "key").write_text("ab" * 32 + "\n")
    importing = ["import", str(base / "dicom"), str(base / "cohort")]
    for command in (importing, commands(base, base)["train"]):
        assert end(start(command)) == 0, command


class Whole(NamedTuple):
    """An uninterrupted run."""

    seconds: float
    files: dict[str, str]  # with hashes of their contents


def uninterrupted(base: Path) -> dict[str, Whole]:
    """Run each command once, and return what it takes and writes."""
    runs = {}
    for name, command in commands(base, base.parent / "whole").items():
        folder = new_folder(base.parent / "whole")
        began = time.monotonic()
        assert end(start(command)) == 0, command
        runs[name] = Whole(time.monotonic() - began, contents(folder))
        shutil.rmtree(folder)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "kills.json")
    options = parser.parse_args()
    assert loaded
    with tempfile.TemporaryDirectory() as scratch:
        counts = kill_all(Path(scratch).resolve() / "base", options.kills, options.seed)
    print(json.dumps(counts, indent=1))
    result = {"seed": options.seed, "kills": options.kills, **counts}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(bool(counts["wrong"]))


def kill_all(base: Path, kills: int, seed: int) -> Counter[str]:
    """Kill and repeat commands in turns; return how often what happened."""
    make_inputs(base)
    whole = uninterrupted(base)
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    for number, name in zip(range(kills), cycle(whole), strict=False):
        out = new_folder(base.parent / "out")
        after = rng.uniform(0, whole[name].seconds)
        counts.update(kill_and_repeat(commands(base, out)[name], out, after))
        if found := wrong(out, whole[name].files):
            counts["wrong"] += 1
            print(f"{number} {name}: {found}", flush=True)
        counts[f"kills of {name}"] += 1
        shutil.rmtree(out, ignore_errors=True)
    return counts


def kill_and_repeat(command: Sequence[str], out: Path, after: float) -> Counter[str]:
    """Kill a command after some seconds, and repeat it; return how often what happened."""
    process = start(command)
    time.sleep(after)
    if _is_leader(process):  # kill the processes that load its data too
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
    """Return what is wrong with the output of a repeated command; empty if nothing is."""
    if partial := [path.name for path in out.rglob("*.partial")]:
        return f"left half written: {partial}"
    now = contents(out)
    differing = sorted(name for name in {*now, *whole} if now.get(name) != whole.get(name))
    return f"other than an uninterrupted run's: {differing}" if differing else ""


if __name__ == "__main__":
    main()
