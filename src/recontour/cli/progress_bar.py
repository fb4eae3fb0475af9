"""How far a command is, and what it finds on its way, on standard error."""

import logging
import sys
import time
from collections.abc import Iterable
from types import TracebackType

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

from recontour.cli.answers import Transcript
from recontour.cli.console import out, plain, say
from recontour.findings import finding_of, words
from recontour.wording import about, printable

LOG = logging.getLogger("recontour")
# Between two lines where no terminal can show a bar.
SECONDS_BETWEEN_LINES = 30.0
# Of "10:00:00", which must not break on a narrow screen.
TIME_WIDTH = 8
# Cells of the bar itself.
WIDEST_BAR = 40
NARROWEST_BAR = 6
# Rich forgets steps that are older. With its 30 s, an iteration that takes longer has no time left.
SECONDS_REMEMBERED = 3600.0


class _Bars(Progress):
    """Bars that fit the screen: the words give way first, then the bar, then what is done."""

    def __init__(self) -> None:
        self._screen = Console(stderr=True)
        time_column = Column(no_wrap=True, min_width=TIME_WIDTH)
        self._what = Column(no_wrap=True, overflow="ellipsis")
        self._drawn = BarColumn()
        self._words = TextColumn(
            "{task.fields[words]}", markup=False, table_column=Column(no_wrap=True)
        )
        self._before = (
            TextColumn("{task.description}", markup=False, table_column=self._what),
            self._drawn,
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
        )
        self._after = (
            TimeElapsedColumn(table_column=time_column),
            TextColumn("left", table_column=Column(min_width=len("left"))),
            TimeRemainingColumn(table_column=time_column),
        )
        super().__init__(
            console=self._screen,
            disable=not sys.stderr.isatty(),
            speed_estimate_period=SECONDS_REMEMBERED,
        )

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """Choose what fits beside the count and the times, then draw as usual."""
        drawn = list(tasks)
        gaps = len(self._before) + len(self._after)
        times = 2 * TIME_WIDTH + len("left")
        counts = [2 * len(f"{task.total:.0f}") + len("/") for task in drawn if task.total]
        room = self._screen.width - gaps - times - max(counts, default=0)
        what = max((cell_len(task.description) for task in drawn), default=0)
        words = max((cell_len(task.fields["words"]) for task in drawn), default=0)
        shows_words = what + words + NARROWEST_BAR <= room
        if shows_words:
            room -= words
        self._what.max_width = max(1, room - NARROWEST_BAR)
        left = room - min(what, self._what.max_width)
        self._drawn.bar_width = max(NARROWEST_BAR, min(WIDEST_BAR, left))
        middle = (self._words,) if shows_words else ()
        self.columns = (*self._before, *middle, *self._after)
        return super().make_tasks_table(drawn)


class ProgressBar(logging.Handler):
    """Shows a bar on a terminal; in a log file, a line now and then.

    Findings that are logged appear in between, whole, and are added to a transcript.
    silent: show nothing; another process does.
    """

    def __init__(self, said: Transcript | None = None, *, silent: bool = False) -> None:
        super().__init__()
        self._said = said or Transcript()
        self._is_silent = silent
        self._bar = _Bars()
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
        finding = finding_of(record)
        is_warning = record.levelno >= logging.WARNING
        (self._said.warnings if is_warning else self._said.notes).append(finding)
        kind = "warning" if is_warning else "note"
        if not self._is_silent:
            self._bar.console.print(plain(f"{kind}: {words(finding)}"), soft_wrap=True)

    def begin(self, words: str) -> None:
        """Say what a command begins with, since its first step may be long and is not counted."""
        if not self._is_silent:
            self._bar.console.print(plain(f"{words} ..."), soft_wrap=True)

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
        if self._is_silent:
            return
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
            line += f"; {about(seconds_each * (total - done))} left"
        print(line, file=sys.stderr, flush=True)
