#!/usr/bin/env python3
"""Simulate a power cut right after each command: is its whole output on the disk?

    .venv/bin/python benchmarks/power_cut.py [--dicom FOLDER] [--only import]

Each command writes into a small ext4 file system of its own, mounted from a file through a loop
device. When the command ends with exit code 0, that file is copied at once, without a sync: this is
what a disk holds after a power cut. The copy is mounted, which replays its journal, and every file
of the output is compared with what the command wrote.

Needs Linux, root, a loop device and mkfs.ext4. Without --dicom, two synthetic patients are used.

Writes docs/results/power_cut.json.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recontour.phantom import SOURCE, write_centre

REPO = Path(__file__).resolve().parents[1]
IMAGE_MIB = 1024
SHORT = ["--iterations", "2"]


def recontour(*words: str) -> list[str]:
    """Return the command line of a recontour command."""
    return [sys.executable, "-m", "recontour", *words]


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount a file system, for a `with` block."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def contents(folder: Path) -> dict[str, str]:
    """Return all files and folders below a folder, each file with a hash of its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    found.pop("lost+found", None)
    return found


def cut(command: Sequence[str], work: Path) -> dict[str, Any]:
    """Run one command, and compare its output with what a power cut leaves.

    command: its words, in which {disk} stands for the disk.
    """
    image, copy = work / "disk.img", work / "copy.img"
    for old in (image, copy):
        old.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(IMAGE_MIB << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    with mounted(image, work / "disk") as disk:
        began = time.monotonic()
        words = [word.replace("{disk}", str(disk)) for word in command]
        ended = subprocess.run(recontour(*words), capture_output=True, text=True, check=False)
        subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
        seconds = time.monotonic() - began
        if ended.returncode != 0:
            return {"exit code": ended.returncode, "said": ended.stderr[-500:]}
        written = contents(disk)
    with mounted(copy, work / "after") as after:
        kept = contents(after)
    lost = [name for name, what in written.items() if kept.get(name) != what]
    return {
        "files": len(written),
        "lost": lost,
        "partial": [name for name in kept if "partial" in name],
        "seconds": seconds,
    }


def commands(dicom: Path, base: Path) -> dict[str, list[str]]:
    """Return the commands that write; their inputs lie outside the disk."""
    cohort = str(base / "cohort")
    model = str(base / "S")
    ct = str(next(dicom.rglob("CT")))
    return {
        "import": ["import", str(dicom), "{disk}/cohort"],
        "import again": ["import", str(dicom), "{disk}"],
        "deidentify": ["deidentify", str(dicom), "{disk}/clean", "--key", "{disk}/key"],
        "export nifti": ["export", cohort, "{disk}/nifti", "--format", "nifti"],
        "export nnunet": ["export", cohort, "{disk}/Dataset001_North", "--format", "nnunet"],
        "train": ["train", cohort, "--out", "{disk}/S", *SHORT],
        "adapt": ["adapt", model, cohort, "--out", "{disk}/ST", *SHORT],
        "contour rtstruct": ["contour", model, ct, "--out", "{disk}/RS.dcm"],
        "contour seg": ["contour", model, ct, "--out", "{disk}/SEG.dcm", "--format", "seg"],
        "contour nifti": ["contour", model, ct, "--out", "{disk}/masks", "--format", "nifti"],
        "convert": ["convert", str(base / "masks"), ct, "--out", "{disk}/back.dcm"],
        "evaluate": ["evaluate", cohort, model, "--out", "{disk}/report"],
    }


def prepare(dicom: Path, base: Path) -> None:
    """Write what the commands start from: a cohort, a model, and masks of the first patient."""
    cohort, model, masks = str(base / "cohort"), str(base / "S"), str(base / "masks")
    ct = str(next(dicom.rglob("CT")))
    for words in (
        ["import", str(dicom), cohort],
        ["train", cohort, "--out", model, *SHORT],
        ["contour", model, ct, "--out", masks, "--format", "nifti"],
    ):
        subprocess.run(recontour(*words), check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dicom", type=Path)
    parser.add_argument("--only")
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "power_cut.json")
    options = parser.parse_args()
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        instead = "tests/journeys/test_power_cut.py checks the syncs without them"
        sys.exit(f"this needs root and a loop device; {instead}")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        base = work / "base"
        base.mkdir()
        dicom = options.dicom or work / "dicom"
        if not options.dicom:
            write_centre(dicom, SOURCE, range(2))
        prepare(dicom, base)
        for name, command in commands(dicom, base).items():
            if options.only in (None, name):
                results[name] = cut(command, work)
                print(name, json.dumps(results[name]), flush=True)
    lost = sum(len(found.get("lost", ["all"])) for found in results.values())
    if options.only is None:
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
