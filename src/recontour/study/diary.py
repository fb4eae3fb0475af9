"""How a cell's training went, iteration by iteration, in a file that survives a kill."""

import math
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TextIO

from recontour.errors import ScoresError
from recontour.files import UnreadableError, output_error
from recontour.study.findings import DamagedDiary
from recontour.study.results import Point
from recontour.syncing import make_folders
from recontour.texts import open_own, read_text
from recontour.training.loop import Step

SYNC_SECONDS = 1.0
WINDOW = 20  # iterations that a point of the loss curve averages
LAST_ITERATION = 10**9
MOST = 1e9  # a loss, or seconds
END = ",."  # of a line; one that was cut off has none


class _Iteration(NamedTuple):
    """What a diary keeps of an iteration; times in seconds, as a `Step` has them."""

    loss: float
    seconds: float
    waited: float
    features: float


class Diary:
    """Notes on each iteration of a training: loss, and where its time went.

    The file has one line per iteration, and another for each validation: iteration and mean DSC.
    A resumed run writes some iterations again, with the same loss; the later line counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._steps: dict[int, _Iteration] = {}
        self._dsc: dict[int, float] = {}
        self._file: TextIO | None = None
        self._synced_at = -math.inf

    def __enter__(self) -> "Diary":
        try:
            make_folders(self.path.parent)
            self._read()
            self._file = open_own(self.path, append=True)
        except OSError as error:
            raise output_error(self.path, error) from error
        self._file.write("\n")  # ends a line that was cut off
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file
        try:
            self._sync()
        finally:
            self._file.close()

    def note(self, step: Step) -> None:
        """Keep an iteration."""
        kept = _Iteration(step.loss, step.seconds, step.waited, step.features)
        self._steps[step.iteration] = kept
        self._write("step", step.iteration, *kept)

    def validate(
        self,
        iteration: int,
        measure: Callable[[], float],
    ) -> None:
        """Measure and keep the validation DSC after an iteration, unless it is already there.

        It is there if the run was resumed.
        """
        if iteration not in self._dsc:
            self._dsc[iteration] = measure()
            self._write("validation", iteration, self._dsc[iteration])

    def has(self, iterations: int) -> bool:
        """Return whether every iteration of a training is there: only then are the times whole."""
        return self._steps.keys() >= set(range(1, iterations + 1))

    @property
    def seconds(self) -> float:
        """Return the wall-clock seconds of all iterations."""
        return _total(self._steps.values(), "seconds")

    @property
    def waiting(self) -> float:
        """Return the share of this time that was spent waiting for data."""
        return self._share("waited")

    @property
    def features(self) -> float:
        """Return the share of this time that was spent computing a frozen trunk's features."""
        return self._share("features")

    def _share(self, part: str) -> float:
        return _total(self._steps.values(), part) / self.seconds if self.seconds else 0.0

    @property
    def loss(self) -> tuple[Point, ...]:
        """Return the mean loss of each window, at its end."""
        iterations = sorted(self._steps)
        points = []
        spent = 0.0
        for first in range(0, len(iterations), WINDOW):
            window = iterations[first : first + WINDOW]
            steps = [self._steps[iteration] for iteration in window]
            spent += _total(steps, "seconds")
            points.append(Point(window[-1], spent, _total(steps, "loss") / len(steps)))
        return tuple(points)

    @property
    def validation(self) -> tuple[Point, ...]:
        """Return the mean DSC on the validation cases."""
        iterations = sorted(self._steps)
        seconds = (self._steps[iteration].seconds for iteration in iterations)
        spent = [0.0, *accumulate(seconds)]  # before the first step, and after each
        points = []
        for iteration, dsc in sorted(self._dsc.items()):
            done = bisect_right(iterations, iteration)
            points.append(Point(iteration, spent[done], dsc))
        return tuple(points)

    def _write(self, *cells: str | float) -> None:
        """Append a line, which stays there after a kill; sync once a second.

        On a slow disk a sync takes longer than a short iteration.
        """
        assert self._file
        try:
            self._file.write(",".join(map(str, cells)) + END + "\n")
            self._file.flush()
        except OSError as error:
            raise output_error(self.path, error) from error
        if time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        assert self._file
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error
        self._synced_at = time.monotonic()

    def _read(self) -> None:
        """Read what an earlier run wrote. Raises: ScoresError."""
        try:
            lines = read_text(self.path).splitlines()
        except FileNotFoundError:
            return
        except UnreadableError as error:
            raise ScoresError(DamagedDiary(path=self.path, why=error.finding)) from error
        for number, line in enumerate(lines, start=1):
            if line.endswith(END) and not self._keep(line.split(",")[:-1]):
                raise ScoresError(DamagedDiary(path=self.path, line=number))

    def _keep(self, cells: Sequence[str]) -> bool:
        """Store a line; return whether it is one of a diary."""
        try:
            kind, at, *rest = cells
            iteration = int(at)
            values = list(map(float, rest))
        except ValueError:
            return False
        if not 1 <= iteration <= LAST_ITERATION:
            return False
        if kind == "step" and _are_step(values):
            self._steps[iteration] = _Iteration(*values)
            return True
        if kind == "validation" and _are_validation(values):
            self._dsc[iteration] = values[0]
            return True
        return False


def _total(steps: Iterable[_Iteration], part: str) -> float:
    """Add up one of the numbers of several iterations."""
    return float(sum(map(attrgetter(part), steps)))


def _are_step(values: Sequence[float]) -> bool:
    """Return whether numbers can be a loss and three times."""
    is_small = all(abs(value) <= MOST for value in values)  # not NaN
    return len(values) == 4 and is_small and min(values[1:]) >= 0


def _are_validation(values: Sequence[float]) -> bool:
    """Return whether numbers can be a mean DSC; NaN: nothing to measure."""
    return len(values) == 1 and (math.isnan(values[0]) or abs(values[0]) <= MOST)
