"""Standard output and error that are closed, full or gone: what cannot be shown stops nothing."""

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
class OutputState:
    """What became of what was shown on standard output. failed: the first write that did."""

    failed: OSError | None = None

    @property
    def lost(self) -> str | None:
        """Return why output that somebody may need is missing.

        A reader that has gone (`| head`) has seen enough.
        """
        if self.failed is None or self.failed.errno == errno.EPIPE:
            return None
        return self.failed.strerror or str(self.failed)


@contextmanager
def forgiving_streams() -> Iterator[OutputState]:
    """Let the block write to standard output and error even if they are closed or full."""
    state = OutputState()
    before = (sys.stdout, sys.stderr)
    closed = _open_the_closed()
    sys.stdout = _forgiving(sys.stdout, 1, state)
    sys.stderr = _forgiving(sys.stderr, 2, OutputState())
    if 1 in closed:
        state.failed = OSError(errno.EBADF, "it is closed")
    try:
        yield state
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = before


def _open_the_closed() -> set[int]:
    """Open the null device for standard streams that are closed, and return their numbers.

    Otherwise files that are opened later would take these numbers.
    """
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            closed.add(number)
            # The system gives it the lowest free number.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
    return closed


class _Forgiving(io.FileIO):
    """A file whose writes never fail."""

    def __init__(self, number: int, state: OutputState) -> None:
        super().__init__(number, "w", closefd=False)
        self._state = state

    def write(self, content: Any) -> int:
        try:
            written = super().write(content)
            # None: somebody made the file non-blocking, and it is full.
            while written is None:
                select.select([], [self], [], 1.0)
                written = super().write(content)
        except OSError as error:
            self._state.failed = self._state.failed or error
            return len(memoryview(content).cast("B"))
        return written


def _forgiving(
    stream: TextIO | None,
    number: int,
    state: OutputState,
) -> TextIO:
    """Return a stream that writes to the same place but never fails.

    A stream that is no file, as in a notebook, is returned as it is.
    """
    if stream is not None and not _is_plain_file(stream):
        return stream
    encoding = "utf-8"
    if stream is not None:
        number, encoding = stream.fileno(), stream.encoding
        with suppress(OSError):
            stream.flush()
    buffered = io.BufferedWriter(_Forgiving(number, state))
    # A letter that the encoding lacks becomes a question mark.
    return io.TextIOWrapper(buffered, encoding, errors="replace", line_buffering=True)


def _is_plain_file(stream: TextIO) -> bool:
    if not isinstance(stream, io.TextIOWrapper):
        return False
    # There is no buffer under PYTHONUNBUFFERED.
    raw = getattr(stream.buffer, "raw", stream.buffer)
    return type(raw) is io.FileIO
