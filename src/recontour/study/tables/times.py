"""What the main models cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recontour.evaluation.patients import mean
from recontour.study.cells import Plan
from recontour.study.results import Result
from recontour.study.tables.finished import Results, by_model


@dataclass(frozen=True, slots=True)
class TimesRow:
    """What one main model cost, a seed."""

    model: str
    train_cases: int
    iterations: int
    seconds: float
    seconds_per_iteration: float
    waiting: float  # shares
    trunk: float
    head: float
    parameters: int
    retrained_parameters: int
    seeds_compared_with_t: int  # by the validation DSC, with Model_T of the same seed
    seeds_that_reached_t: int  # Model_T's last
    seconds_to_reach_t: (
        float  # in the mean of those; inf: no seed reached it, NaN: none is compared
    )
    share_of_t: float  # of Model_T's training time
    contouring_seconds_per_slice: float
    contouring_seconds_per_case: float


def times_of(plan: Plan, results: Results) -> list[TimesRow]:
    """The main models' cost, those that are there."""
    rows = []
    baselines = [results.get(triple.t.id) for triple in plan.models]
    for model, cells in by_model(plan.models).items():
        there = [results[cell.id] for cell in cells if cell.id in results]
        reached = [
            _reached(results[cell.id], t)
            for cell, t in zip(cells, baselines, strict=True)
            if t and cell.id in results
        ]
        if there:
            rows.append(_row(model, there, reached))
    return rows


def _row(model: str, results: Sequence[Result], reached: Sequence[tuple[float, float]]) -> TimesRow:
    trained, contoured = [one.training for one in results], [one.contouring for one in results]
    compared = [one for one in reached if not np.isnan(one[0])]
    arrived = [one for one in compared if np.isfinite(one[0])]
    return TimesRow(
        model=model,
        train_cases=results[0].train_cases,
        iterations=trained[0].iterations,
        seconds=mean(one.seconds for one in trained),
        seconds_per_iteration=mean(one.seconds_per_iteration for one in trained),
        waiting=mean(one.waiting for one in trained),
        trunk=mean(one.trunk for one in trained),
        head=mean(one.head for one in trained),
        parameters=trained[0].parameters,
        retrained_parameters=trained[0].retrained_parameters,
        seeds_compared_with_t=len(compared),
        seeds_that_reached_t=len(arrived),
        seconds_to_reach_t=mean(seconds for seconds, _ in arrived or compared),
        share_of_t=mean(share for _, share in arrived or compared),
        contouring_seconds_per_slice=mean(_each(one.seconds, one.slices) for one in contoured),
        contouring_seconds_per_case=mean(_each(one.seconds, one.cases) for one in contoured),
    )


def _reached(result: Result, t: Result) -> tuple[float, float]:
    """After how many seconds a model's validation DSC was as high as Model_T's last, and their
    share of T's time.

    inf: never; NaN: one of the two has no validation DSC.
    """
    goal = t.training.validation[-1].value if t.training.validation else np.nan
    if np.isnan(goal) or all(np.isnan(point.value) for point in result.training.validation):
        return np.nan, np.nan
    seconds = next(
        (point.seconds for point in result.training.validation if point.value >= goal), np.inf
    )
    return seconds, _each(seconds, t.training.seconds)


def _each(seconds: float, number: float) -> float:
    return seconds / number if number else np.nan
