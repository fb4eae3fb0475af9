"""How a cell's training went, iteration by iteration, in a file that survives a kill."""

import csv
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TextIO

from recontour.study.results import Point
from recontour.training.loop import Step

WINDOW = 20  # iterations that a point of the loss curve averages


class Diary:
    """One line an iteration: number, loss, seconds, and of these waited, and for a frozen trunk's features.

    Another where it was taken: number, mean validation DSC.
    A resumed run writes some iterations again, with the same loss; the later line counts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps: dict[int, tuple[float, float, float, float]] = {}
        self._dsc: dict[int, float] = {}
        self._file: TextIO | None = None

    def __enter__(self) -> "Diary":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            with self._path.open(encoding="utf-8", newline="") as file:
                for row in csv.reader(file):
                    if row and row[-1] == ".":  # a line that was cut off has no full stop
                        self._read(row)
        self._file = self._path.open("a", encoding="utf-8", buffering=1)
        self._file.write("\n")  # ends a line that was cut off
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file
        self._file.close()

    def note(self, step: Step) -> None:
        """Keep an iteration."""
        self._steps[step.iteration] = (step.loss, step.seconds, step.waited, step.features)
        self._write("step", step.iteration, *self._steps[step.iteration])

    def validate(self, iteration: int, measure: Callable[[], float]) -> None:
        """Measure and keep the validation DSC after an iteration, unless that was done before the run was resumed."""
        if iteration not in self._dsc:
            self._dsc[iteration] = measure()
            self._write("validation", iteration, self._dsc[iteration])

    @property
    def seconds(self) -> float:
        """Wall clock of all iterations."""
        return sum(seconds for _, seconds, *_ in self._steps.values())

    @property
    def waiting(self) -> float:
        """Share of it spent waiting for data."""
        return sum(waited for *_, waited, _ in self._steps.values()) / self.seconds if self._steps else 0.0

    @property
    def features(self) -> float:
        """Share of it spent making a frozen trunk's features."""
        return sum(features for *_, features in self._steps.values()) / self.seconds if self._steps else 0.0

    @property
    def loss(self) -> tuple[Point, ...]:
        """Mean loss of each window, at its end."""
        ordered = sorted(self._steps)
        points, spent = [], 0.0
        for first in range(0, len(ordered), WINDOW):
            window = ordered[first : first + WINDOW]
            spent += sum(self._steps[i][1] for i in window)
            points.append(Point(window[-1], spent, sum(self._steps[i][0] for i in window) / len(window)))
        return tuple(points)

    @property
    def validation(self) -> tuple[Point, ...]:
        """Mean DSC on the validation cases."""
        ordered = sorted(self._steps)
        spent = [0.0, *accumulate(self._steps[i][1] for i in ordered)]  # before the first step, and after each
        return tuple(Point(i, spent[bisect_right(ordered, i)], self._dsc[i]) for i in sorted(self._dsc))

    def _write(self, *cells: str | float) -> None:
        assert self._file
        self._file.write(",".join(map(str, cells)) + ",.\n")

    def _read(self, row: list[str]) -> None:
        kind, iteration, *numbers = row[:-1]
        if kind == "step":
            loss, seconds, waited, features = map(float, numbers)
            self._steps[int(iteration)] = (loss, seconds, waited, features)
        else:
            self._dsc[int(iteration)] = float(numbers[0])
