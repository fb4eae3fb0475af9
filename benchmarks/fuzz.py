#!/usr/bin/env python3
"""Run recontour's commands on hostile DICOM: thousands of small archives, each bent its own way.

    .venv/bin/python benchmarks/fuzz.py [--cases 20000] [--seed 1] [--jobs N] [--log LOG]
        [--only CASE]

A seed and a number make a case (bent_dicom.py). Each case runs `recontour import`, `inspect` and
`deidentify`, reads the CT as `contour` does, writes an RTSTRUCT on it, and reads each structure
set alone. Whatever the archive holds, a command may only succeed, or fail with one line and exit
code 2.

Faults are a hang, a traceback, a crash, memory that runs out, anything written outside the output
folder, a structure set that cannot be read back, and a control character on the screen. A few
cases share a process, which has 2 GiB of address space; each case has 20 s of processor time. A
case with a fault runs again by itself.

Writes docs/results/fuzz.json, unless --only is given. With --log, an interrupted run continues.
"""

import argparse
import contextlib
import gc
import io
import json
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bent_dicom import Files, Random, bases, bend
from recontour.cli import commands
from recontour.cli import main as recontour
from recontour.cohort.patients import users_folder
from recontour.dicom import (
    Authorship,
    read_rois,
    read_scan,
    read_structure_set,
    write_structure_set,
)
from recontour.errors import RecontourError
from recontour.geometry import Structure, StructureSet, rasterise, trace

REPO = Path(__file__).resolve().parents[1]
MEMORY = 2 << 30  # bytes of address space
TURN = 10  # cases per process: starting one takes as long as a case
INSPECTED = 5  # every fifth cohort is inspected: its tables take longest
# How the steps of an archive end that nobody bent.
WHOLE_ENDS = ["import 0", "deidentify 0", "contour: written", "structure set: read"]
CPU_SECONDS, WALL_SECONDS = 20, 120
Result = dict[str, Any]  # of one case: ends, fault, mib, seconds; later seed, case, words, screen


# ------------------------------------------------------------ one case, inside its process


def commanded(*words: str) -> str:
    """Run one of recontour's commands, which may only succeed or refuse its input."""
    code = recontour(list(words))
    if code not in (0, 2):
        raise AssertionError(f"{words[0]} ended with {code}")
    return f"{words[0]} {code}"


def use(archive: Path, out: Path, looks_inside: bool = True) -> Iterator[str]:
    """Do what a user does, and yield how each step ended.

    looks_inside: whether an imported cohort is also inspected.
    """
    imported = commanded("import", str(archive), str(out / "cohort"), "--centre", "fuzz")
    yield imported
    if imported == "import 0" and looks_inside and recontour(["inspect", str(out / "cohort")]):
        raise AssertionError("the imported cohort cannot be inspected")
    yield commanded("deidentify", str(archive), str(out / "deidentified"))
    yield written_on(archive, out / "new.dcm")
    for path in sorted(archive.glob("rs*")):
        yield structure_set_read(path)


def written_on(archive: Path, out: Path) -> str:
    """Write a structure set on the archive's CT and read it back; return how that ended."""
    try:
        scan = read_scan(archive)
        mask = np.zeros(scan.grid.shape, dtype=bool)
        mask[:, :2, :2] = True
        drawn = StructureSet((Structure("Brainstem", trace(mask, scan.grid)),))
        write_structure_set(out, drawn, scan, Authorship("model"))
    except RecontourError as error:
        if error.exit_code != 2:
            raise
        print(error)  # as the command line does
        return f"contour: {type(error).__name__}"
    back = read_structure_set(out, scan)["Brainstem"]
    if not (rasterise(back.contours, scan.grid) == mask).all():
        raise AssertionError("the structure set does not hold what was drawn")
    return "contour: written"


def structure_set_read(path: Path) -> str:
    """Read a structure set by itself, and all contours that can be read."""
    try:
        for roi in read_rois(path, None):
            with contextlib.suppress(RecontourError):
                roi.contours()
    except RecontourError as error:
        return f"structure set: {type(error).__name__}"
    return "structure set: read"


class Watch:
    """Notes what is written outside a folder: Python reports every such act beforehand."""

    acts = (
        "os.mkdir",
        "os.rename",
        "os.link",
        "os.symlink",
        "os.remove",
        "os.rmdir",
        "os.truncate",
        "shutil.rmtree",
    )

    def __init__(self) -> None:
        self.allowed = Path("/dev/null")
        # Where import remembers, for this user, which archives it has read.
        self.users = os.path.realpath(users_folder() or "/dev/null")
        self.outside: list[str] = []
        sys.addaudithook(self._hook)

    def begin(self, allowed: Path) -> None:
        """Forget what was noted, and watch another folder."""
        self.allowed = allowed
        self.outside.clear()

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        for path in self._written(event, arguments):
            real = os.path.realpath(os.fsdecode(path))
            inside = f"{real}/".startswith((f"{self.allowed}/", f"{self.users}/", "/dev/null"))
            if not inside and not self._leads_to_users(real):
                self.outside.append(f"{event} {real}")

    def _leads_to_users(self, folder: str) -> bool:
        """Return whether the user's own folder lies below a folder."""
        return self.users.startswith(f"{folder}/")

    def _written(self, event: str, arguments: tuple[Any, ...]) -> Sequence[str | bytes]:
        """Return the paths that an act changes."""
        if event == "open" and isinstance(arguments[0], str | bytes):
            return arguments[:1] if _opens_to_write(*arguments[1:3]) else ()
        if event not in self.acts:
            return ()
        if event in ("os.remove", "os.rmdir") and arguments[1] != -1:
            # The path lies within a folder that is open.
            return [f"/proc/self/fd/{arguments[1]}/{os.fsdecode(arguments[0])}"]
        return [path for path in arguments[:2] if isinstance(path, str | bytes)]


def _opens_to_write(mode: str | None, flags: int | None) -> bool:
    if set(mode or "") & set("wxa+"):
        return True
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def child(cases: Sequence[Path], parent: socket.socket) -> None:
    """Run cases one after another within limits, and send each result; never return."""
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most_seconds = resource.getrlimit(resource.RLIMIT_CPU)
        watch = Watch()
        for case in cases:
            used = resource.getrusage(resource.RUSAGE_SELF)
            until = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
            resource.setrlimit(resource.RLIMIT_CPU, (until, most_seconds))
            parent.send(json.dumps(used_by(case, watch)).encode())
    finally:
        os._exit(0)


def used_by(case: Path, watch: Watch) -> Result:
    """Run one case; return how it ended and what it took."""
    began = time.monotonic()
    ends: list[str] = []
    fault = ""
    try:
        _show_on(case / "screen.txt")
        watch.begin(case / "out")
        looks_inside = int(case.name) % INSPECTED == 0
        for end in use(case / "dicom", case / "out", looks_inside):
            ends.append(end)
        if watch.outside:
            fault = f"outside: {watch.outside[:3]}"
    except BaseException as error:  # any error is a fault
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        fault = f"{type(error).__name__} at {place}: {str(error)[:200]}"
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ends": ends, "fault": fault, "mib": mib, "seconds": time.monotonic() - began}


def _show_on(screen: Path) -> None:
    """Send standard output and standard error to a file."""
    descriptor = os.open(screen, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


# ------------------------------------------------------------ processes and their faults


def run(cases: Sequence[Path]) -> list[Result]:
    """Run cases, as many per process as go well; return how each ended and what it took."""
    results: list[Result] = []
    while len(results) < len(cases):
        results += run_until_one_dies(cases[len(results) :])
    return results


def run_until_one_dies(cases: Sequence[Path]) -> list[Result]:
    """Return how cases ended, up to the last or to the one that took its process down."""
    results: list[Result] = []
    # Packets: what is sent at once is received at once.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        child(cases, theirs)
    theirs.close()
    ours.settimeout(WALL_SECONDS)
    hangs = False
    with ours:
        while len(results) < len(cases):
            began = time.monotonic()
            try:
                said = ours.recv(1 << 16)
            except TimeoutError:
                said, hangs = b"", True
                os.kill(pid, signal.SIGKILL)
            if not said:
                break
            results.append(json.loads(said))
    _, status, usage = os.wait4(pid, 0)
    if len(results) < len(cases):
        code = os.waitstatus_to_exitcode(status)
        hangs = hangs or code in (-signal.SIGXCPU, -signal.SIGKILL)
        fault = "hang" if hangs else f"crash: {code}"
        seconds = time.monotonic() - began
        mib = usage.ru_maxrss / 1024
        results.append({"ends": [], "fault": fault, "mib": mib, "seconds": seconds})
    return results


def screen_fault(text: str) -> str:
    """Return what should not have been printed: control characters or a traceback."""
    if "Traceback" in text:
        return "traceback on the screen"
    odd = set()
    for letter in text:
        if letter != "\n" and unicodedata.category(letter) in ("Cc", "Cf"):
            odd.add(letter)
    return f"control characters on the screen: {sorted(map(ascii, odd))}" if odd else ""


def left_fault(case: Path, before: list[str]) -> str:
    """Return what should not have happened to a case's folders."""
    names = {path.name for path in case.iterdir()}
    if before != held(case) or names != {"dicom", "out", "screen.txt"}:
        return "outside: the archive was changed"
    left = [path.name for path in (case / "out").rglob("*.partial")]
    return f"left half written: {left}" if left else ""


def some_cases(
    numbers: Sequence[int], seed: int, archives: dict[str, Files], work: Path, keep: Path | None
) -> list[Result]:
    """Run cases in one process; run one with a fault again by itself, and report that fault."""
    results = tried(numbers, seed, archives, work, keep)
    if len(numbers) == 1:
        return results
    for result in results:
        if result["fault"]:
            (again,) = tried([result["case"]], seed, archives, work, keep)
            if again["fault"]:
                result.update(again)
            else:
                result["fault"] = f"only after others: {result['fault']}"
    return results


def tried(
    numbers: Sequence[int], seed: int, archives: dict[str, Files], work: Path, keep: Path | None
) -> list[Result]:
    """Make cases, run them, and look at what they left."""
    made = [make(seed, number, archives, work / f"{number}") for number in numbers]
    gc.collect()
    results = run([work / f"{number}" for number in numbers])
    for number, (words, before), result in zip(numbers, made, results, strict=True):
        case = work / f"{number}"
        screen = case / "screen.txt"
        text = screen.read_text(errors="backslashreplace") if screen.exists() else ""
        result["fault"] = result["fault"] or screen_fault(text) or left_fault(case, before)
        result.update(seed=seed, case=number, words=words, screen=text[-2000:])
        if result["fault"] and keep:
            shutil.copytree(case, keep / f"{number}", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(case)
    return results


def make(seed: int, number: int, archives: dict[str, Files], case: Path) -> tuple[str, list[str]]:
    """Make a case; return what was done in words, and what its archive holds."""
    words, files, after = bend(Random(f"recontour {seed} {number}"), archives)
    write(case, files)
    after(case / "dicom")
    return words, held(case)


def write(case: Path, files: Files) -> None:
    """Write a case's folders, and the files of its archive."""
    (case / "dicom").mkdir(parents=True)
    (case / "out").mkdir()
    for name, data in files.items():
        (case / "dicom" / name).write_bytes(data)


def held(case: Path) -> list[str]:
    """Return the paths in a case's archive."""
    return sorted(map(str, (case / "dicom").rglob("*")))


def warm_up(files: Files, folder: Path) -> None:
    """Load what a case loads, before the first fork."""
    (folder / "out").mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        assert list(use(folder, folder / "out"))
    gc.collect()
    gc.freeze()
    gc.disable()  # a case is short, and its process takes its garbage along


def run_whole(archives: dict[str, Files], work: Path) -> list[str]:
    """Return the archives that are not imported whole although nobody bent them."""
    cases = [work / f"{number}" for number in range(len(archives))]
    for case, files in zip(cases, archives.values(), strict=True):
        write(case, files)
    failed = []
    for case, name, result in zip(cases, archives, run(cases), strict=True):
        if result["fault"] or result["ends"] != WHOLE_ENDS:
            failed.append(f"{name}: {result} {(case / 'screen.txt').read_text()}")
            print(failed[-1])
        shutil.rmtree(case)
    return failed


# ------------------------------------------------------------ all cases


def run_all(numbers: Sequence[int], options: argparse.Namespace, work: Path) -> Iterator[Result]:
    """Run cases in turns, and yield each result as it comes."""
    turns = [numbers[start : start + TURN] for start in range(0, len(numbers), TURN)]
    archives = bases(work / "bases")
    warm_up(archives["RLE"], work / "warm")
    assert not run_whole(archives, work), "an archive that is not bent must be imported whole"
    do = partial(some_cases, seed=options.seed, archives=archives, work=work, keep=options.keep)
    with get_context("fork").Pool(options.jobs) as pool:
        yield from chain.from_iterable(pool.imap_unordered(do, turns))


def show(result: Result, screen: str, in_full: bool) -> None:
    """Print a case that has a fault, or one that was asked for, with its screen."""
    if result["fault"] or in_full:
        how = f"{result['fault'] or 'fine'} [{result['words']}] {result['seconds']:.1f} s"
        print(f"{result['case']}: {how}", flush=True)
    if in_full:
        print(result["ends"], screen, sep="\n")


def logged(log: Path | None, seed: int) -> dict[int, Result]:
    """Return the results of one seed in a log, if there is one, by case."""
    if not log or not log.exists():
        return {}
    results = {}
    for line in log.read_text().splitlines():
        result = json.loads(line)
        if result["seed"] == seed:
            results[result["case"]] = result
    return results


def summed_up(results: list[Result]) -> dict[str, Any]:
    """Return all cases in a few numbers."""
    kinds: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for result in results:
        ends.update(result["ends"])
        if fault := result["fault"]:
            kinds[fault.partition(":")[0].partition(" at ")[0]] += 1
    slowest = max(results, key=lambda result: float(result["seconds"]))
    return {
        "seed": slowest["seed"],
        "cases": len(results),
        "faults": dict(kinds),
        "hangs": kinds["hang"],
        "outside": kinds["outside"],
        "tracebacks, crashes and other": sum(kinds.values()) - kinds["hang"] - kinds["outside"],
        "peak_mib": round(max(result["mib"] for result in results)),
        "longest_case_seconds": round(slowest["seconds"], 1),
        "longest_case": f"{slowest['case']}: {slowest['words']}",
        "minutes": round(sum(result["seconds"] for result in results) / 60, 1),
        "ends": dict(sorted(ends.items())),
    }


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=cores, help="processes at a time; all cores")
    parser.add_argument("--only", type=int, help="run one case, and show its end and screen")
    parser.add_argument("--log", type=Path, help="results; cases in it are not run again")
    parser.add_argument("--keep", type=Path, help="where to keep the archives of faulty cases")
    parser.add_argument("--out", type=Path, default=REPO / "docs" / "results" / "fuzz.json")
    return parser.parse_args()


def main() -> None:
    options = options_of()
    logging.disable()
    warnings.simplefilter("ignore")
    assert commands  # loaded before the first fork
    is_one = options.only is not None
    numbers = [options.only] if is_one else range(options.cases)
    results = logged(options.log, options.seed)
    waiting = [number for number in numbers if number not in results]
    memory_disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory_disk if memory_disk.is_dir() else None) as scratch:
        for result in run_all(waiting, options, Path(scratch).resolve()):
            screen = result.pop("screen")
            results[result["case"]] = result
            if options.log:
                with options.log.open("a") as log:
                    log.write(json.dumps(result) + "\n")
            show(result, screen, in_full=is_one)
    summary = summed_up([results[number] for number in numbers])
    print(json.dumps(summary, indent=1))
    if not is_one:
        options.out.write_text(json.dumps(summary, indent=1) + "\n")
    sys.exit(bool(summary["faults"]))


if __name__ == "__main__":
    main()
