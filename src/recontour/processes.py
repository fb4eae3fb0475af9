"""How a process ends when it is asked to, how others are started beside it, and how they keep out
of one folder.
"""

import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

IMPATIENCE_SECONDS = (
    5.0  # within which a signal that is sent again means no more than the first one
)
ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# What file systems without file locks say: NFS without lockd, some FUSE, clusters' file systems
# mounted without flock.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
Handler = Callable[[int, FrameType | None], Any]


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""


@contextmanager
def ended_by_signals(*, for_good: bool = False) -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does: by a KeyboardInterrupt, once, so that it
    can clean up.

    A signal that is ignored (`nohup`) stays ignored, and one that somebody else handles is theirs.
    Elsewhere than in
    the main thread nothing changes: Python does not let another thread say what a signal does.
    for_good: the process ends, too, once a signal has ended the block, and heeds no other on its
        way.
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
    """Let signals wait while another process is started, which would begin with this one's way to
    end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals() -> None:
    """Leave it to the process that started this one to say when it ends."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class Unbroken:
    """Holds back the signals that would break something off in the middle, until it is whole.

    `with unbroken:` around what must not be broken off; `unbroken.heed()` where it may be. A signal
    that comes again after a few seconds breaks it off nevertheless, and `broken` says so.
    """

    def __init__(self) -> None:
        self.broken = False
        self._handlers: dict[int, Handler] = {}
        self._came: tuple[int, float] | None = None  # the first signal, and when

    def __enter__(self) -> "Unbroken":
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in ENDING}
            self._handlers = {
                number: handler for number, handler in handlers.items() if callable(handler)
            }
            for number in self._handlers:
                signal.signal(number, self._hold)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def heed(self) -> None:
        """Do now what a signal that was held back asks for."""
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


@contextmanager
def script_left_out() -> Iterator[None]:
    """Let processes that are spawned meanwhile start without the user's script.

    multiprocessing would run it again in each of them, and a plain script, without `if __name__ ==
    "__main__":`, would then do its work again. What these processes run lies in recontour.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class HeldError(Exception):
    """Another process holds a folder's lock; the text says what to do where that may be untrue."""


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock while the block runs, so that no other process works in the lock's folder.

    The system's lock on a file ends with its process, even if that is killed. Where the file system
    has none, a file beside it, `NAME.held`, says which process of which machine holds it; one of a
    process of this machine that has ended does not count.
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
        raise HeldError("") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    mark = lock.with_name(lock.name + ".held")
    soft = SoftFileLock(mark, timeout=0)
    try:
        soft.acquire()
    except Timeout:
        raise HeldError(
            f"; if none does, for example because it was killed on another machine, delete {mark}: this file system "
            "has no locks"
        ) from None
    return soft
