"""How the training of the main models went: curves.csv."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from recontour.study.cells import Cell, Plan
from recontour.study.results import Point
from recontour.study.tables.finished import Results, by_model, finished

CurveName = Literal["loss", "validation"]


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A point of a main model's training curve.

    value: the loss, or the mean DSC on the target's validation cases. held_out: the fold that the
    model did not learn from; 0 without folds.
    """

    model: str
    seed: int
    curve: CurveName
    iteration: int
    seconds: float
    value: float
    held_out: int = 0


def curve_rows(plan: Plan, results: Results) -> list[CurveRow]:
    """Return loss and validation DSC over the training of each main model and seed."""
    rows: list[CurveRow] = []
    for model, cells in by_model(plan.models).items():
        for cell in dict.fromkeys(finished(results, cells)):
            training = results[cell.id].training
            rows += _curve(model, cell, "loss", training.loss)
            rows += _curve(model, cell, "validation", training.validation)
    return rows


def _curve(
    model: str,
    cell: Cell,
    name: CurveName,
    points: Sequence[Point],
) -> Iterator[CurveRow]:
    for point in points:
        yield CurveRow(
            model=model,
            seed=cell.seed,
            curve=name,
            iteration=point.iteration,
            seconds=point.seconds,
            value=point.value,
            held_out=cell.held_out or 0,
        )
