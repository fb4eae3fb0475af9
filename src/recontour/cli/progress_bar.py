"""How far a command is, and what it finds on its way, on standard error."""

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from recontour.cli.answers import Transcript
from recontour.cli.console import out, plain, say
from recontour.findings import Finding, Unexpected, words
from recontour.wording import printable

LOG = logging.getLogger("recontour")
# Between two lines where no terminal can show a bar.
SECONDS_BETWEEN_LINES = 30.0
# Of "0:00:00", which must not break on a narrow screen.
TIME_WIDTH = 7


class ProgressBar(logging.Handler):
    """Shows a bar on a terminal; in a log file, a line now and then.

    Findings that are logged appear in between, whole, and are added to a transcript.
    """

    def __init__(self, said: Transcript | None = None) -> None:
        super().__init__()
        self._said = said or Transcript()
        time_column = Column(no_wrap=True, min_width=TIME_WIDTH)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(table_column=time_column),
            TextColumn("left", table_column=Column(min_width=len("left"))),
            TimeRemainingColumn(table_column=time_column),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        # What is under way, and of how many.
        self._step = ("", 0)
        self._began = 0.0
        self._first = 0
        self._done = 0
        self._task: TaskID | None = None
        self._last_line = 0.0

    @property
    def is_drawn(self) -> bool:
        """Return whether there is a terminal to draw on."""
        return not self._bar.disable

    def __enter__(self) -> "ProgressBar":
        LOG.setLevel(logging.INFO)
        LOG.addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._bar.stop()
        LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Show one finding in all its words; the record itself only has those fit to store."""
        found: object = getattr(record, "finding", None)
        finding = found if isinstance(found, Finding) else Unexpected(reason=record.getMessage())
        is_warning = record.levelno >= logging.WARNING
        (self._said.warnings if is_warning else self._said.notes).append(finding)
        kind = "warning" if is_warning else "note"
        self._bar.console.print(plain(f"{kind}: {words(finding)}"), soft_wrap=True)

    def say(self, words: str) -> None:
        """Show a line of a result while the work goes on: above the bar, or on standard output."""
        if self.is_drawn and out.is_terminal:
            self._bar.console.print(plain(words))
        else:
            say(words)

    def __call__(
        self,
        what: str,
        done: int,
        total: int,
        words: str,
    ) -> None:
        """Show that `done` of `total` are done.

        Where `done` falls or `total` changes, another step has begun.
        """
        what, words = printable(what), printable(words)
        if (what, total) != self._step or done < self._done or self._task is None:
            self._begin(what, done, total, words)
        self._done = done
        if self.is_drawn and self._task is not None:
            self._bar.update(self._task, completed=done, words=words)
        else:
            self._print_line(what, done, total, words)

    def _begin(
        self,
        what: str,
        done: int,
        total: int,
        words: str,
    ) -> None:
        if self._task is None:
            self._bar.start()
        else:
            self._bar.stop_task(self._task)
        self._task = self._bar.add_task(
            what,
            total=total,
            completed=done,
            words=words,
        )
        self._step = (what, total)
        self._began = time.monotonic()
        self._first = done

    def _print_line(
        self,
        what: str,
        done: int,
        total: int,
        words: str,
    ) -> None:
        now = time.monotonic()
        if not total:
            # There is nothing to do; the next line says why.
            return
        if done < total and now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        line = f"{what} {done}/{total}"
        if words:
            line += f": {words}"
        if self._first < done < total:
            seconds_each = (now - self._began) / (done - self._first)
            line += f"; about {seconds_each * (total - done) / 60:.1f} min left"
        print(line, file=sys.stderr, flush=True)
