"""Temporary siblings: swept when nobody holds them, and never while somebody does."""

import errno
import fcntl
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recontour import partials
from recontour.files import whole_file, whole_folder, write_text
from recontour.partials import Lock, sweep, sweep_once

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from recontour.files import whole_file, whole_folder
with globals()[sys.argv[1]](Path(sys.argv[2])) as partial:
    if partial.is_dir():
        (partial / "a").mkdir()
        (partial / "a" / "b").write_text("half")
    if sys.argv[3] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.read()
"""


def writer(whole: str, path: Path, then: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITE_AND_DIE, whole, str(path), then]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def not_swept_yet() -> None:
    sweep_once.cache_clear()


@pytest.mark.parametrize("whole", ["whole_file", "whole_folder"])
def test_the_next_output_in_a_folder_sweeps_what_a_killed_writer_left(
    tmp_path: Path, whole: str
) -> None:
    writer(whole, tmp_path / "out", "die").communicate()
    assert len(left_in(tmp_path)) == 1
    write_text(tmp_path / "another", "whole")
    assert left_in(tmp_path) == ["another"]


@pytest.mark.parametrize("whole", ["whole_file", "whole_folder"])
def test_what_another_process_writes_is_not_swept(tmp_path: Path, whole: str) -> None:
    process = writer(whole, tmp_path / "out", "wait")
    assert process.stdout
    process.stdout.readline()
    sweep(tmp_path)
    assert len(left_in(tmp_path)) == 1
    process.communicate()
    assert left_in(tmp_path) == ["out"]


def test_what_this_process_writes_is_not_swept(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out"), whole_file(tmp_path / "file"):
        sweep(tmp_path)
        assert len(left_in(tmp_path)) == 2
    assert left_in(tmp_path) == ["file", "out"]


def test_what_is_called_otherwise_is_nobody_s_partial(tmp_path: Path) -> None:
    for name in (".a.partial", "a.partial", ".a.0123abcd.partial", ".rsync-partial"):
        (tmp_path / name).touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    (tmp_path / partials._sibling(tmp_path / "x").name).symlink_to(elsewhere)
    before = left_in(tmp_path)
    sweep(tmp_path)
    assert left_in(tmp_path) == before
    assert (elsewhere / "precious").exists()


HERE = partials._here()
ALIVE, GONE = os.getppid(), 2**22 + 1  # no process has a number so large


@pytest.mark.parametrize(
    ("machine", "boot", "space", "process", "lock", "hours", "abandoned"),
    [
        (HERE.machine, HERE.boot, HERE.space, GONE, Lock.OURS, 0, True),
        (HERE.machine, HERE.boot, HERE.space, GONE, Lock.NONE, 0, True),  # a share without locks
        (HERE.machine, HERE.boot, HERE.space, GONE, Lock.ANOTHERS, 48, False),  # its child goes on
        # the number is another process's by now
        (
            HERE.machine,
            HERE.boot,
            HERE.space,
            ALIVE,
            Lock.OURS,
            0,
            True,
        ),
        (HERE.machine, HERE.boot, HERE.space, ALIVE, Lock.NONE, 0, False),
        (HERE.machine, HERE.boot, HERE.space, os.getpid(), Lock.OURS, 48, False),
        ("0" * 8, HERE.boot, "1", GONE, Lock.OURS, 0, True),  # another container of this machine
        ("0" * 8, HERE.boot, "1", GONE, Lock.NONE, 0, False),
        # from before this machine was started again
        (
            HERE.machine,
            "0" * 8,
            HERE.space,
            ALIVE,
            Lock.OURS,
            0,
            True,
        ),
        (HERE.machine, "0" * 8, HERE.space, ALIVE, Lock.NONE, 0, False),
        # another machine, whose locks may not be seen here
        (
            "0" * 8,
            "0" * 8,
            HERE.space,
            GONE,
            Lock.OURS,
            0,
            False,
        ),
        ("0" * 8, "0" * 8, HERE.space, GONE, Lock.OURS, 25, True),
        ("0" * 8, "0" * 8, HERE.space, GONE, Lock.NONE, 25, True),
        ("0" * 8, "0" * 8, HERE.space, GONE, Lock.ANOTHERS, 25, False),
    ],
    # process numbers differ between the workers of pytest-xdist
    ids=[str(row) for row in range(14)],
)
def test_a_partial_is_abandoned_only_where_that_is_known(
    tmp_path: Path,
    machine: str,
    boot: str,
    space: str,
    process: int,
    lock: Lock,
    hours: int,
    abandoned: bool,
) -> None:
    partial = tmp_path / f".out.{machine}-{boot}-{space}-{process}-01234567.partial"
    (partial / "a").mkdir(parents=True)
    (partial / "a" / "b").touch()
    then = time.time() - hours * 3600
    for path in (partial / "a" / "b", partial / "a", partial):
        os.utime(path, (then, then))
    assert partials._is_abandoned(partial, lock) == abandoned


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_a_share_without_locks_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(_descriptor: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    write_text(tmp_path / "a", "whole")
    with whole_folder(tmp_path / "b"):
        sweep(tmp_path)
    assert left_in(tmp_path) == ["a", "b"]


WRITE_MANY_TIMES = """
import os, sys
from pathlib import Path
from recontour.files import whole_folder, write_text
from recontour.partials import sweep
folder = Path(sys.argv[1])
for number in range(150):
    sweep(folder)
    write_text(folder / f"{os.getpid()}-{number}.txt", "whole")
    with whole_folder(folder / f"{os.getpid()}-{number}") as partial:
        (partial / "a").write_text("whole")
"""


def test_two_that_write_and_sweep_at_once_lose_nothing(tmp_path: Path) -> None:
    """A sweep may come between the making of a partial and its lock."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE_MANY_TIMES, str(tmp_path)]) for _ in range(2)
    ]
    assert [one.wait() for one in writers] == [0, 0]
    assert len(left_in(tmp_path)) == 600


def test_a_partial_says_nothing_but_by_hashes_of_the_machine(tmp_path: Path) -> None:
    with whole_file(tmp_path / "out") as partial:
        assert re.fullmatch(
            r"\.out\.[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]+-\d+-[0-9a-f]{8}\.partial", partial.name
        )
