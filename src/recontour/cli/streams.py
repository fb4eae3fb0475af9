"""Standard output and error that are closed, full or gone:

what cannot be shown breaks nothing off.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass
class Shown:
    """What became of what was shown on standard output."""

    failed: OSError | None = None  # the first write that failed

    @property
    def lost(self) -> str | None:
        """Why something was not shown that somebody may miss.

        A reader that has gone (`| head`) has seen enough.
        """
        if self.failed is None or self.failed.errno == errno.EPIPE:
            return None
        return self.failed.strerror or str(self.failed)


@contextmanager
def forgiving_streams() -> Iterator[Shown]:
    """Let the block write to standard output and error, whatever they are;

    say what became of it.
    """
    shown, before = Shown(), (sys.stdout, sys.stderr)
    closed = _open_the_closed()
    sys.stdout, sys.stderr = _forgiving(sys.stdout, 1, shown), _forgiving(sys.stderr, 2, Shown())
    if 1 in closed:
        shown.failed = OSError(errno.EBADF, "it is closed")
    try:
        yield shown
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _open_the_closed() -> set[int]:
    """Put nothing in the place of standard streams that are closed, which files opened later would
    take; say which.
    """
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            os.set_inheritable(
                os.open(os.devnull, os.O_RDWR), True
            )  # it takes the lowest number that is free
    return closed


class _Forgiving(io.FileIO):
    """A file whose writes never fail."""

    def __init__(self, number: int, shown: Shown) -> None:
        super().__init__(number, "w", closefd=False)
        self._shown = shown

    def write(self, content: Any) -> int:
        try:
            while (
                written := super().write(content)
            ) is None:  # somebody made it non-blocking, and it is full
                select.select([], [self], [], 1.0)
        except OSError as error:
            self._shown.failed = self._shown.failed or error
            return len(memoryview(content).cast("B"))
        return written


def _forgiving(stream: TextIO | None, number: int, shown: Shown) -> TextIO:
    """A stream that writes where another one does;

    that one itself if it is no file, as in a notebook.
    """
    if stream is not None and not _is_plain_file(stream):
        return stream
    encoding = "utf-8"
    if stream is not None:
        number, encoding = stream.fileno(), stream.encoding
        with suppress(OSError):
            stream.flush()
    buffered = io.BufferedWriter(_Forgiving(number, shown))
    # a question mark for a letter that a screen or file which is not UTF-8 does not have
    return io.TextIOWrapper(buffered, encoding, errors="replace", line_buffering=True)


def _is_plain_file(stream: TextIO) -> bool:
    if not isinstance(stream, io.TextIOWrapper):
        return False
    raw = getattr(stream.buffer, "raw", stream.buffer)  # without a buffer under PYTHONUNBUFFERED
    return type(raw) is io.FileIO
