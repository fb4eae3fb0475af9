"""One network per organ, as in the paper, or one for all organs: separately.csv."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from recontour.evaluation.intervals import (
    Dsc,
    Interval,
    difference,
    dsc_of,
    interval_of,
    mean_of,
    of_organs,
)
from recontour.evaluation.patients import mean
from recontour.study.cells import Cell, Cells, Plan, Triples
from recontour.study.tables.finished import (
    MODELS,
    CellCount,
    Results,
    by_key,
    column,
    count_cells,
    finished,
    finished_by_model,
    flat,
    trained,
)
from recontour.study.tables.scores import ALL, TARGET, rows_of

CellsByModel = Mapping[str, Cells]


@dataclass(frozen=True, slots=True)
class SeparatelyRow:
    """One organ, learnt by networks of its own and by the joint ones.

    organ: or all, with the mean DSC and the sums of iterations and seconds. separately, jointly:
    DSC by model; a model that is not finished is left out. iterations, seconds: of the organ's own
    networks.
    """

    organ: str
    separately: Mapping[str, float]
    jointly: Mapping[str, float]
    separately_less_jointly: Mapping[str, Interval]
    iterations: Mapping[str, int]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SeparatelyTable:
    """One row per organ; the last row is all of them."""

    count: CellCount
    rows: Sequence[SeparatelyRow]
    joint_iterations: Mapping[str, int]
    joint_seconds: Mapping[str, float]


def separately_table(plan: Plan, results: Results) -> SeparatelyTable | None:
    """Compare both ways on the target's test cases; None: no organ's network is finished.

    The joint models are the main ones.
    """
    started = _started(plan, results)
    if not started:
        return None
    compared = _cells((plan.models, *started.values()))
    joint = finished_by_model(results, plan.models, compared)
    alone: dict[str, CellsByModel] = {}
    for organ, triples in started.items():
        there = finished_by_model(results, triples, compared)
        if there:
            alone[organ] = there
    joint_dsc = by_key(partial(_dsc_on_target, results), joint)
    rows = []
    for organ, cells in alone.items():
        rows.append(_row(results, organ, {organ: cells}, joint_dsc))
    rows.append(_row(results, ALL, alone, joint_dsc))
    return SeparatelyTable(
        count=count_cells(results, _cells(plan.separately.values())),
        rows=rows,
        joint_iterations=by_key(_iterations, joint),
        joint_seconds=by_key(partial(_seconds, results), joint),
    )


def _started(plan: Plan, results: Results) -> dict[str, Triples]:
    """Return the organs that have a finished network."""
    started = {}
    for organ, triples in plan.separately.items():
        if finished(results, flat(triples)):
            started[organ] = triples
    return started


def _cells(groups: Iterable[Triples]) -> list[Cell]:
    return flat(map(flat, groups))


def _row(
    results: Results,
    name: str,
    alone: Mapping[str, CellsByModel],
    joint_dsc: Mapping[str, Dsc],
) -> SeparatelyRow:
    """Sum up one organ, or several as one row; a model that lacks one of them is left out."""
    networks: dict[str, list[Cells]] = {}
    for model in MODELS:
        by_organ = [cells[model] for cells in alone.values() if model in cells]
        if len(by_organ) == len(alone):
            networks[model] = by_organ
    own = by_key(partial(_own_dsc, results), networks)
    joint: dict[str, Dsc] = {}
    change: dict[str, Interval] = {}
    for model in filter(joint_dsc.__contains__, own):
        joint[model] = of_organs(joint_dsc[model], alone)
        change[model] = interval_of(difference(joint[model], own[model]))
    return SeparatelyRow(
        organ=name,
        separately=by_key(mean_of, own),
        jointly=by_key(mean_of, joint),
        separately_less_jointly=change,
        iterations=by_key(_sum_of_iterations, networks),
        seconds=by_key(partial(_sum_of_seconds, results), networks),
    )


def _own_dsc(results: Results, networks: Iterable[Cells]) -> Dsc:
    """Return the DSC of one model's networks, each of one organ."""
    dsc: dict[tuple[str, str], float] = {}
    for cells in networks:
        dsc |= _dsc_on_target(results, cells)
    return dsc


def _dsc_on_target(results: Results, cells: Cells) -> Dsc:
    return dsc_of(rows_of(results, cells, TARGET))


def _sum_of_iterations(networks: Iterable[Cells]) -> int:
    return sum(map(_iterations, networks))


def _iterations(cells: Cells) -> int:
    return cells[0].iterations


def _sum_of_seconds(results: Results, networks: Iterable[Cells]) -> float:
    return sum(map(partial(_seconds, results), networks))


def _seconds(results: Results, cells: Cells) -> float:
    """Return the seconds of training, the mean over seeds."""
    return mean(column(trained(results, cells), "seconds"))
