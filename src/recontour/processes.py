"""How a process ends when asked to, starts others, and keeps others out of its folder."""

import errno
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from recontour.errors import RecontourError
from recontour.findings import Finding, ScreenOnly, finding

# A signal that is repeated within this time means no more than the first one: a queue, or `make`,
# tells every process at once. A person takes longer to press Ctrl-C again.
IMPATIENCE_SECONDS = 0.5
# The signals that ask a process to end; Windows has no SIGHUP.
ENDING = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):
    ENDING.append(signal.SIGHUP)
# The answers of file systems without locks: NFS without lockd, some FUSE, cluster file systems
# mounted without flock.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
Handler = Callable[[int, FrameType | None], Any]


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""


@contextmanager
def ended_by_signals(*, for_good: bool = False) -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that it can clean up.

    Each raises one KeyboardInterrupt. A signal that is ignored (`nohup`) stays ignored, and one
    that somebody else handles is left alone. Outside the main thread nothing changes, since Python
    allows only that thread to handle signals.
    for_good: after such a signal the process is about to end and ignores further ones.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    raised_at = -inf

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal raised_at
        now = time.monotonic()
        if now - raised_at >= IMPATIENCE_SECONDS:
            raised_at = now
            raise Interrupted(signal.Signals(number).name)

    unclaimed = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in ENDING}
    ours = [number for number, handler in before.items() if handler in unclaimed]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        ends = for_good and raised_at > -inf
        for number in ours:
            signal.signal(number, signal.SIG_IGN if ends else before[number])


@contextmanager
def signals_later() -> Iterator[None]:
    """Delay signals while another process starts, which would inherit this one's handlers."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """Let the parent process decide when this one ends."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class Unbroken:
    """Hold back signals that would interrupt something halfway.

    Put `with unbroken:` around the whole, and call `unbroken.heed()` where an interruption does no
    harm. A signal that a person repeats interrupts at once; `broken` is then True. Blocks may be
    nested.
    """

    def __init__(self) -> None:
        self.broken = False
        self._depth = 0
        self._handlers: dict[int, Handler] = {}
        self._came: tuple[int, float] | None = None  # the first signal, and its time

    def __enter__(self) -> "Unbroken":
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            for number in ENDING:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    @property
    def came(self) -> bool:
        """Return whether a signal is held back."""
        return self._came is not None

    def heed(self) -> None:
        """Act on a signal that was held back."""
        if self._came:
            number, _ = self._came
            self._came = None
            self._handlers[number](number, None)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._came is None:
            self._came = (number, now)
        elif now - self._came[1] >= IMPATIENCE_SECONDS:
            self.broken = True
            self._handlers[number](number, frame)


def cores() -> int:
    """Return how many processor cores this process may use.

    A batch queue or `taskset` may grant fewer than the machine has.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def how_ended(exit_code: int | None) -> str:
    """Return how a process ended, in words. exit_code: below 0, minus a signal.

    >>> how_ended(3), how_ended(-15), how_ended(None)
    ('exit code 3', 'signal SIGTERM', 'exit code unknown')
    """
    if exit_code is None:
        return "exit code unknown"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:  # one without a name
        return f"signal {-exit_code}"


def portable(error: Exception) -> Exception:
    """Return an error as another process can raise it, with this process's trace as a note.

    Errors that recontour knows stay what they are. Others may not survive pickling, and become a
    RuntimeError.
    """
    known = isinstance(error, RecontourError | OSError | MemoryError)
    moved = error if known else RuntimeError(f"{type(error).__name__}: {error}")
    moved.add_note("".join(traceback.format_exception(error)))
    return moved


@contextmanager
def script_left_out() -> Iterator[None]:
    """Start processes without the user's script.

    multiprocessing would run it again in each of them, and a plain script, without `if __name__ ==
    "__main__":`, would repeat its work. These processes run only what lies in recontour.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@finding
class FolderInUse(Finding):
    """Another process works in a folder. mark: the file that says so, where there are no locks."""

    mark: ScreenOnly[Path | None] = None

    def sentence(self) -> str:
        return "another process is working in this folder"

    def remedy(self) -> str:
        wait = "wait until it has finished, or choose another --out"
        if self.mark is None:
            return wait
        return (
            f"{wait}. This file system has no locks: if no such process exists, for example "
            f"because it was killed on another machine, delete its mark ({self.mark})"
        )


class HeldError(Exception):
    """Another process holds a folder's lock.

    mark: the file to delete if no process does; None where the file system has locks.
    """

    def __init__(self, mark: Path | None = None) -> None:
        super().__init__(mark)
        self.mark = mark


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock while the block runs, so that no other process works in the lock's folder.

    A lock of the file system ends with its process, even if that is killed. Where there are no
    locks, the file `NAME.held` names the process and its machine; if that process ran on this
    machine and has ended, the file does not count.
    Raises: HeldError: another process holds it. OSError.
    """
    taken = _taken(lock)
    try:
        yield
    finally:
        taken.release()


def _taken(lock: Path) -> BaseFileLock:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # filelock's, where it finds no locks itself
            taken = FileLock(lock, timeout=0)
            taken.acquire()
            return taken
    except Timeout:
        raise HeldError from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    mark = lock.with_name(lock.name + ".held")
    soft = SoftFileLock(mark, timeout=0)
    try:
        soft.acquire()
    except Timeout:
        raise HeldError(mark) from None
    return soft
