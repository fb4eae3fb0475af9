"""What the main models cost: times.csv."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.evaluation.patients import mean
from recontour.study.cells import Cells, Plan
from recontour.study.results import Contouring, Result, Training
from recontour.study.tables.finished import Results, by_model, column, finished


@dataclass(frozen=True, slots=True)
class TimesRow:
    """What one main model cost, the mean over seeds.

    seconds: of training; choosing_seconds: before that, to choose the parent's say. waiting, trunk,
    head: shares of the seconds. seeds_compared_with_t: those whose validation DSC
    can be compared with that of Model_T of the same seed. seeds_that_reached_t: those that reached
    Model_T's last one. seconds_to_reach_t: their mean; inf: no seed reached it, NaN: none can be
    compared. share_of_t: the same as a share of Model_T's training time.
    """

    model: str
    train_cases: int
    iterations: int
    seconds: float
    choosing_seconds: float
    seconds_per_iteration: float
    waiting: float
    trunk: float
    head: float
    parameters: int
    retrained_parameters: int
    seeds_compared_with_t: int
    seeds_that_reached_t: int
    seconds_to_reach_t: float
    share_of_t: float
    contouring_seconds_per_slice: float
    contouring_seconds_per_case: float


@dataclass(frozen=True, slots=True)
class _Reaching:
    """When the validation DSC was as high as Model_T's last one, and how much of T's time that is.

    Both are inf if it never was, NaN if one of the two models has no validation DSC or Model_T
    found nothing.
    """

    seconds: float
    share: float


def times_rows(plan: Plan, results: Results) -> list[TimesRow]:
    """Return the cost of each main model that has a finished cell."""
    rows = []
    for model, cells in by_model(plan.models).items():
        there = [results[cell.id] for cell in finished(results, cells)]
        if there:
            reaching = _compared_with_t(plan, results, cells)
            rows.append(_row(model, there, reaching))
    return rows


def _compared_with_t(
    plan: Plan,
    results: Results,
    cells: Cells,
) -> list[_Reaching]:
    """Compare each finished cell with the finished Model_T of its seed, where both can be."""
    compared = []
    for cell, triple in zip(cells, plan.models, strict=True):
        if cell.id in results and triple.t.id in results:
            reaching = _reaching(results[cell.id].training, results[triple.t.id].training)
            if not np.isnan(reaching.seconds):
                compared.append(reaching)
    return compared


def _row(
    model: str,
    results: Sequence[Result],
    compared: Sequence[_Reaching],
) -> TimesRow:
    trained: list[Training] = column(results, "training")
    contoured: list[Contouring] = column(results, "contouring")
    arrived = [one for one in compared if np.isfinite(one.seconds)]
    counted = arrived or compared
    return TimesRow(
        model=model,
        train_cases=results[0].train_cases,
        iterations=trained[0].iterations,
        seconds=_mean(trained, "seconds"),
        choosing_seconds=_mean(trained, "choosing"),
        seconds_per_iteration=_mean(trained, "seconds_per_iteration"),
        waiting=_mean(trained, "waiting"),
        trunk=_mean(trained, "trunk"),
        head=_mean(trained, "head"),
        parameters=trained[0].parameters,
        retrained_parameters=trained[0].retrained_parameters,
        seeds_compared_with_t=len(compared),
        seeds_that_reached_t=len(arrived),
        seconds_to_reach_t=_mean(counted, "seconds"),
        share_of_t=_mean(counted, "share"),
        contouring_seconds_per_slice=mean(map(_seconds_per_slice, contoured)),
        contouring_seconds_per_case=mean(map(_seconds_per_case, contoured)),
    )


def _mean(records: Iterable[object], name: str) -> float:
    """Return the mean of one field over several records."""
    return mean(column(records, name))


def _reaching(training: Training, t: Training) -> _Reaching:
    goal = t.validation[-1].value if t.validation else np.nan
    values = column(training.validation, "value")
    if not goal > 0 or np.isnan(values).all():
        return _Reaching(np.nan, np.nan)
    seconds = np.inf
    for point in training.validation:
        if point.value >= goal:
            seconds = training.choosing + point.seconds
            break
    return _Reaching(seconds, _ratio(seconds, t.seconds))


def _seconds_per_slice(contouring: Contouring) -> float:
    return _ratio(contouring.seconds, contouring.slices)


def _seconds_per_case(contouring: Contouring) -> float:
    return _ratio(contouring.seconds, contouring.cases)


def _ratio(seconds: float, number: float) -> float:
    return seconds / number if number else np.nan
