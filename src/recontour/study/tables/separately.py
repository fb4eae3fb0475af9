"""One network an organ, as in the paper, or one for all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recontour.evaluation.patients import mean
from recontour.study.cells import Cell, Plan
from recontour.study.tables.finished import (
    MODELS,
    CellCount,
    Results,
    count_cells,
    finished,
    finished_by_model,
    trained,
)
from recontour.study.tables.scores import (
    ALL,
    TARGET,
    Dsc,
    Interval,
    difference,
    dsc_of,
    interval_of,
    of_organs,
    rows_of,
)


@dataclass(frozen=True, slots=True)
class SeparatelyRow:
    """One organ, learnt by networks of its own and by the joint ones;

    by model, only those that are there.
    """

    organ: str  # or all: the mean DSC, the sum of iterations and seconds
    separately: Mapping[str, float]  # DSC
    jointly: Mapping[str, float]
    separately_less_jointly: Mapping[str, Interval]
    iterations: Mapping[str, int]  # of the organ's own networks
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SeparatelyTable:
    """The study of one network an organ."""

    count: CellCount
    rows: Sequence[SeparatelyRow]  # the last: all
    joint_iterations: Mapping[str, int]
    joint_seconds: Mapping[str, float]


def separately_of(plan: Plan, results: Results) -> SeparatelyTable | None:
    """Organ by organ both ways, on the target's test cases; the joint models are the main ones."""
    begun = {
        organ: triples
        for organ, triples in plan.separately.items()
        if finished(results, (cell for triple in triples for cell in triple))
    }
    if not begun:
        return None
    compared = [
        cell for triples in (plan.models, *begun.values()) for triple in triples for cell in triple
    ]
    joint = finished_by_model(results, plan.models, compared)
    alone = {
        organ: there
        for organ, triples in begun.items()
        if (there := finished_by_model(results, triples, compared))
    }
    joint_dsc = {model: dsc_of(rows_of(results, cells, TARGET)) for model, cells in joint.items()}
    rows = [_row(results, organ, {organ: cells}, joint_dsc) for organ, cells in alone.items()]
    asked = (cell for triples in plan.separately.values() for triple in triples for cell in triple)
    return SeparatelyTable(
        count=count_cells(results, asked),
        rows=[*rows, _row(results, ALL, alone, joint_dsc)],
        joint_iterations={model: cells[0].iterations for model, cells in joint.items()},
        joint_seconds={model: _seconds(results, cells) for model, cells in joint.items()},
    )


def _row(
    results: Results,
    name: str,
    alone: Mapping[str, Mapping[str, Sequence[Cell]]],
    joint_dsc: Mapping[str, Dsc],
) -> SeparatelyRow:
    """One organ, or several as one row; a model that lacks one of them is left out."""
    everywhere = [model for model in MODELS if all(model in cells for cells in alone.values())]
    groups = {
        model: [cells[model] for cells in alone.values()] for model in everywhere
    }  # of each organ
    own = {
        model: dsc_of(row for cells in of_model for row in rows_of(results, cells, TARGET))
        for model, of_model in groups.items()
    }
    joint = {model: of_organs(dsc, alone) for model, dsc in joint_dsc.items() if model in own}
    return SeparatelyRow(
        organ=name,
        separately={model: interval_of(dsc).mean for model, dsc in own.items()},
        jointly={model: interval_of(dsc).mean for model, dsc in joint.items()},
        separately_less_jointly={
            model: interval_of(difference(dsc, own[model])) for model, dsc in joint.items()
        },
        iterations={
            model: sum(cells[0].iterations for cells in of_model)
            for model, of_model in groups.items()
        },
        seconds={
            model: sum(_seconds(results, cells) for cells in of_model)
            for model, of_model in groups.items()
        },
    )


def _seconds(results: Results, cells: Sequence[Cell]) -> float:
    """Of training, a seed."""
    return mean(one.seconds for one in trained(results, cells))
