"""Temporary siblings of outputs: how they are named, held while they are written, and swept after a
kill.

`.NAME.MACHINE-BOOT-SPACE-PROCESS-RANDOM.partial` lies beside the output NAME until that is whole.
Its writer holds a lock on it, which ends with the process. The next run that writes into the folder
removes partials that nobody holds. A live one must never be removed, not even on a share where
locks do not work: where there is no lock, a partial counts as abandoned only if its process is
known to be gone, or nothing in it has changed for a day.
"""

import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# of the output's name in the partial's: with the rest it fits the 255 bytes that names may have
NAME_BYTES = 100
DAY_SECONDS = 86_400
PARTIAL = re.compile(
    r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<boot>[0-9a-f]{8})-(?P<space>[0-9a-f]+)-(?P<process>\d+)-[0-9a-f]{8}\.partial",
    re.DOTALL,
)


class Lock(Enum):
    """What came of the wish to lock a file or folder."""

    OURS = "ours"
    ANOTHERS = "another's"
    NONE = "there are no locks here"


class _Here(NamedTuple):
    """Where this process runs:

    hashes that tell one machine, its start and its space of process numbers from others.
    """

    machine: str
    boot: str
    space: str


@contextmanager
def held_file(path: Path, mode: int) -> Iterator[Path]:
    """Give a new empty sibling of a path, held until the block ends; it is gone then, unless it was
    renamed.

    mode: its permissions; the user's umask takes from that. Raises: OSError.
    """
    while True:
        partial = _sibling(path)
        descriptor = os.open(
            partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), mode
        )
        if _hold(descriptor, partial):
            break
    try:
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink()
        _let_go(descriptor)


@contextmanager
def held_folder(path: Path) -> Iterator[Path]:
    """Give a new empty sibling folder of a path, held until the block ends; it is gone then, unless
    it was renamed.

    Raises: OSError.
    """
    while True:
        partial = _sibling(path)
        partial.mkdir()
        with suppress(FileNotFoundError):  # a sweep came first
            descriptor = os.open(partial, os.O_RDONLY) if fcntl else None
            if _hold(descriptor, partial):
                break
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _let_go(descriptor)


def sweep(folder: Path) -> None:
    """Remove the partials in a folder that nobody holds any more. What cannot be removed stays."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if PARTIAL.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


@cache
def sweep_once(folder: Path) -> None:
    """Sweep a folder, unless this process has done so:

    who writes a thousand files into it lists it once.
    """
    sweep(folder)


def lock(descriptor: int, *, wait: bool = False) -> Lock:
    """Lock an open file or folder against other processes;

    the lock ends when the descriptor is closed.
    """
    if fcntl is None:
        return Lock.NONE
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        return Lock.ANOTHERS if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else Lock.NONE
    return Lock.OURS


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out that lock the same folder, where its file system has locks; wait for
    those within.

    The lock is on the folder itself: nothing is left in it, even after a kill.
    """
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if descriptor is not None:
            lock(descriptor, wait=True)
        yield
    finally:
        _let_go(descriptor)


def _sibling(path: Path) -> Path:
    """A sibling's name that nothing else has, and that says who writes it."""
    here = _here()
    begin = path.name.encode("utf-8", "surrogateescape")[:NAME_BYTES].decode("utf-8", "ignore")
    by = f"{here.machine}-{here.boot}-{here.space}-{os.getpid()}"
    return path.with_name(f".{begin}.{by}-{uuid4().hex[:8]}.partial")


@cache
def _here() -> _Here:
    machine = f"{platform.node()} {_text('/etc/machine-id')}"
    boot = _text("/proc/sys/kernel/random/boot_id") or machine
    space = 0
    with suppress(OSError):
        space = os.stat("/proc/self/ns/pid").st_ino  # a container counts its processes on its own
    return _Here(_hash(machine), _hash(boot), f"{space:x}")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _hash(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _hold(descriptor: int | None, partial: Path) -> bool:
    """Lock a partial that was just made;

    whether it is still there, since a sweep may have come first.
    """
    if descriptor is None or fcntl is None:
        return True
    if lock(descriptor) is not Lock.ANOTHERS and os.path.lexists(partial):
        return True
    os.close(descriptor)
    return False


def _let_go(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _remove_if_abandoned(partial: Path) -> None:
    """Remove a partial that nobody writes any more, under its lock where there are locks."""
    is_folder = _is_folder(partial)
    if is_folder is None:
        return
    descriptor = os.open(
        partial, (os.O_RDONLY if is_folder else os.O_RDWR) | getattr(os, "O_NOFOLLOW", 0)
    )
    try:
        if not _is_abandoned(partial, lock(descriptor)):
            return
        if is_folder:
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink()
    finally:
        os.close(descriptor)


def _is_folder(partial: Path) -> bool | None:
    """Whether a partial is a folder; None if it is neither that nor a file, and so none of ours."""
    mode = partial.lstat().st_mode
    if stat.S_ISDIR(mode):
        return True
    return False if stat.S_ISREG(mode) else None


def _is_abandoned(partial: Path, found: Lock) -> bool:
    """Whether nobody writes a partial any more. found: what came of the wish to lock it."""
    told = PARTIAL.fullmatch(partial.name)
    assert told
    if found is Lock.ANOTHERS:
        return False
    here, process = _here(), int(told["process"])
    if (told["boot"], told["space"]) == (here.boot, here.space):
        if process == os.getpid():
            return False
        if not _runs(process):
            return True
    is_one_kernel = told["boot"] == here.boot or told["machine"] == here.machine
    if found is Lock.OURS and is_one_kernel:  # the lock of a live writer would have shown
        return True
    return time.time() - _last_change(partial) > DAY_SECONDS


def _runs(process: int) -> bool:
    """Whether a process of this machine lives, as far as can be told."""
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _last_change(partial: Path) -> float:
    """When a partial or anything in it was last changed, in seconds since 1970."""
    places = [
        partial,
        *(Path(place, name) for place, _, names in os.walk(partial) for name in names),
    ]
    return max(place.lstat().st_mtime for place in places)
