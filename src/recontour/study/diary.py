"""How a cell's training went, iteration by iteration, in a file that survives a kill."""

import math
import os
import time
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TextIO

from recontour.errors import ScoresError
from recontour.files import UnreadableError, output_error
from recontour.study.results import Point
from recontour.syncing import make_folders
from recontour.texts import open_own, read_text
from recontour.training.loop import Step

SYNC_SECONDS = 1.0
WINDOW = 20  # iterations that a point of the loss curve averages
MOST_ITERATIONS = 10**9
MOST = 1e9  # a loss, or seconds
REMOVE = "remove the file and go on with --resume: the model is kept, its times are then unknown"


class Diary:
    """One line an iteration: number, loss, seconds, and of these waited, and for a frozen trunk's
    features.

    Another where it was taken: number, mean validation DSC.
    A resumed run writes some iterations again, with the same loss; the later line counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps: dict[int, tuple[float, float, float, float]] = {}
        self._dsc: dict[int, float] = {}
        self._file: TextIO | None = None
        self._synced_at = -math.inf

    def __enter__(self) -> "Diary":
        try:
            make_folders(self._path.parent)
            self._read()
            self._file = open_own(self._path, append=True)
        except OSError as error:
            raise output_error(self._path, error) from error
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
        self._steps[step.iteration] = (step.loss, step.seconds, step.waited, step.features)
        self._write("step", step.iteration, *self._steps[step.iteration])

    def validate(self, iteration: int, measure: Callable[[], float]) -> None:
        """Measure and keep the validation DSC after an iteration, unless that was done before the
        run was resumed.
        """
        if iteration not in self._dsc:
            self._dsc[iteration] = measure()
            self._write("validation", iteration, self._dsc[iteration])

    def has(self, iterations: int) -> bool:
        """Whether every iteration of a training is in it, so that its times are those of the
        training.
        """
        return self._steps.keys() >= set(range(1, iterations + 1))

    @property
    def seconds(self) -> float:
        """Wall clock of all iterations."""
        return sum(seconds for _, seconds, *_ in self._steps.values())

    @property
    def waiting(self) -> float:
        """Share of it spent waiting for data."""
        return self._share(sum(waited for *_, waited, _ in self._steps.values()))

    @property
    def features(self) -> float:
        """Share of it spent making a frozen trunk's features."""
        return self._share(sum(features for *_, features in self._steps.values()))

    def _share(self, seconds: float) -> float:
        return seconds / self.seconds if self.seconds else 0.0

    @property
    def loss(self) -> tuple[Point, ...]:
        """Mean loss of each window, at its end."""
        ordered = sorted(self._steps)
        points, spent = [], 0.0
        for first in range(0, len(ordered), WINDOW):
            window = ordered[first : first + WINDOW]
            spent += sum(self._steps[i][1] for i in window)
            points.append(
                Point(window[-1], spent, sum(self._steps[i][0] for i in window) / len(window))
            )
        return tuple(points)

    @property
    def validation(self) -> tuple[Point, ...]:
        """Mean DSC on the validation cases."""
        ordered = sorted(self._steps)
        spent = [
            0.0,
            *accumulate(self._steps[i][1] for i in ordered),
        ]  # before the first step, and after each
        return tuple(
            Point(i, spent[bisect_right(ordered, i)], self._dsc[i]) for i in sorted(self._dsc)
        )

    def _write(self, *cells: str | float) -> None:
        """Append a line, which a kill leaves there; once a second, see all of them onto the disk.

        After each line that would cost a slow disk more time than a short iteration takes.
        """
        assert self._file
        try:
            self._file.write(",".join(map(str, cells)) + ",.\n")
            self._file.flush()
        except OSError as error:
            raise output_error(self._path, error) from error
        if time.monotonic() - self._synced_at >= SYNC_SECONDS:
            self._sync()

    def _sync(self) -> None:
        assert self._file
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise output_error(self._path, error) from error
        self._synced_at = time.monotonic()

    def _read(self) -> None:
        """Read what an earlier run wrote."""
        try:
            lines = read_text(self._path).splitlines()
        except FileNotFoundError:
            return
        except UnreadableError as error:
            raise ScoresError(f"{self._path} cannot be read: {error}; {REMOVE}") from error
        for number, line in enumerate(lines, start=1):
            if line.endswith(",."):  # one that was cut off has no full stop
                try:
                    self._keep(line.split(",")[:-1])
                except ValueError as error:
                    raise ScoresError(
                        f"{self._path}, line {number} is damaged ({error}); {REMOVE}"
                    ) from error

    def _keep(self, row: list[str]) -> None:
        kind, iteration, *numbers = row
        at, values = int(iteration), tuple(map(float, numbers))
        is_step = (
            kind == "step" and len(values) == 4 and all(math.isfinite(value) for value in values)
        )
        is_look = kind == "validation" and len(values) == 1 and not math.isinf(values[0])
        if (
            not (is_step or is_look)
            or not 1 <= at <= MOST_ITERATIONS
            or any(abs(value) > MOST for value in values)
        ):
            raise ValueError("no line of a diary")
        if is_step and min(values[1:]) < 0:
            raise ValueError("a time below 0")
        if is_step:
            loss, seconds, waited, features = values
            self._steps[at] = (loss, seconds, waited, features)
        else:
            self._dsc[at] = values[0]
