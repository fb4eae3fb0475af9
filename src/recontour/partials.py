"""Temporary siblings of outputs: their names, their locks, and their removal after a kill.

`.NAME.MACHINE-BOOT-SPACE-PROCESS-RANDOM.partial` lies beside the output NAME until that is whole.
Its writer holds a lock on it, which ends with the process. The next run that writes into the folder
removes partials that nobody holds. A partial in use must never be removed, not even on a share
without locks: there it counts as abandoned only if its process is known to be gone, or if nothing
in it has changed for a day.
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

# How many bytes of the output's name the partial's name repeats; a name may have 255.
NAME_BYTES = 100
DAY_SECONDS = 86_400
PARTIAL = re.compile(
    r"\..*\.(?P<machine>[0-9a-f]{8})-(?P<boot>[0-9a-f]{8})-(?P<space>[0-9a-f]+)"
    r"-(?P<process>\d+)-[0-9a-f]{8}\.partial",
    re.DOTALL,
)


class Lock(Enum):
    """The answer to a request for a lock."""

    OURS = "ours"
    ANOTHERS = "another's"
    NONE = "there are no locks here"


class _Here(NamedTuple):
    """Where this process runs: hashes of the machine, its last boot and its PID namespace."""

    machine: str
    boot: str
    space: str


@contextmanager
def held_file(path: Path, mode: int) -> Iterator[Path]:
    """Give a new empty sibling file of a path, held until the block ends.

    Unless it was renamed, it is removed then.
    mode: its permissions; the user's umask reduces them. Raises: OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    while True:
        partial = _sibling(path)
        descriptor = os.open(partial, flags, mode)
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
    """Give a new empty sibling folder of a path, held until the block ends.

    Unless it was renamed, it is removed then. Raises: OSError.
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
    """Remove abandoned partials from a folder. What cannot be removed stays."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if PARTIAL.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


@cache
def sweep_once(folder: Path) -> None:
    """Sweep a folder once per process, so that writing a thousand files lists it only once."""
    sweep(folder)


def lock(descriptor: int, *, wait: bool = False) -> Lock:
    """Lock an open file or folder against other processes until the descriptor is closed."""
    if fcntl is None:
        return Lock.NONE
    how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
    try:
        fcntl.flock(descriptor, how)
    except OSError as error:
        is_held = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        return Lock.ANOTHERS if is_held else Lock.NONE
    return Lock.OURS


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Let only one process per folder run the block, if the file system has locks.

    The lock is on the folder itself, so nothing is left behind in it, even after a kill.
    """
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if descriptor is not None:
            lock(descriptor, wait=True)
        yield
    finally:
        _let_go(descriptor)


def _sibling(path: Path) -> Path:
    """Return a unique name for a sibling, which says who writes it."""
    here = _here()
    name = path.name.encode("utf-8", "surrogateescape")
    begin = name[:NAME_BYTES].decode("utf-8", "ignore")
    writer = f"{here.machine}-{here.boot}-{here.space}-{os.getpid()}"
    return path.with_name(f".{begin}.{writer}-{uuid4().hex[:8]}.partial")


@cache
def _here() -> _Here:
    machine = f"{platform.node()} {_text('/etc/machine-id')}"
    boot = _text("/proc/sys/kernel/random/boot_id") or machine
    space = 0
    with suppress(OSError):
        space = Path("/proc/self/ns/pid").stat().st_ino  # each container numbers its own processes
    return _Here(_hash(machine), _hash(boot), f"{space:x}")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _hash(words: str) -> str:
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _hold(descriptor: int | None, partial: Path) -> bool:
    """Lock a new partial; return whether it still exists, since a sweep may have come first."""
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
    access = os.O_RDONLY if is_folder else os.O_RDWR
    descriptor = os.open(partial, access | getattr(os, "O_NOFOLLOW", 0))
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
    """Return whether a partial is a folder; None if it is neither folder nor file: not ours."""
    mode = partial.lstat().st_mode
    if stat.S_ISDIR(mode):
        return True
    return False if stat.S_ISREG(mode) else None


def _is_abandoned(partial: Path, found: Lock) -> bool:
    """Return whether nobody writes a partial any more. found: the answer to locking it."""
    writer = PARTIAL.fullmatch(partial.name)
    assert writer
    if found is Lock.ANOTHERS:
        return False
    here = _here()
    process = int(writer["process"])
    if (writer["boot"], writer["space"]) == (here.boot, here.space):
        if process == os.getpid():
            return False
        if not _runs(process):
            return True
    is_one_kernel = writer["boot"] == here.boot or writer["machine"] == here.machine
    if found is Lock.OURS and is_one_kernel:  # a live writer would have held the lock
        return True
    return time.time() - _last_change(partial) > DAY_SECONDS


def _runs(process: int) -> bool:
    """Return whether a process of this machine is alive, as far as one can tell."""
    if os.name == "nt":  # signal 0 is Ctrl-C on Windows
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _last_change(partial: Path) -> float:
    """Return when a partial, or anything in it, last changed, in seconds since 1970."""
    latest = partial.lstat().st_mtime
    for place, _, names in os.walk(partial):
        for name in names:
            latest = max(latest, Path(place, name).lstat().st_mtime)
    return latest
