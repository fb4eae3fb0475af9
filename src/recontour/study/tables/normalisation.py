"""Batch, group or frozen statistics: normalisation.csv."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.evaluation.intervals import Interval
from recontour.evaluation.patients import mean
from recontour.study.cells import Cells, Plan
from recontour.study.tables.finished import (
    CellCount,
    Results,
    by_key,
    column,
    count_cells,
    flat,
    of_common_seeds,
    of_started,
    trained,
)
from recontour.study.tables.scores import SOURCE, TARGET, Level, gain_of, level_of


@dataclass(frozen=True, slots=True)
class NormalisationRow:
    """Model_S and Model_ST with one normalisation and batch. st_less_s: on the target."""

    norm: str
    batch: int
    iterations: int
    s_seconds_per_iteration: float
    st_seconds_per_iteration: float
    s_target: Level
    s_source: Level
    st_target: Level
    st_source: Level
    st_less_s: Interval


@dataclass(frozen=True, slots=True)
class NormalisationTable:
    """By norm, then by batch."""

    count: CellCount
    rows: Sequence[NormalisationRow]


def normalisation_table(plan: Plan, results: Results) -> NormalisationTable | None:
    """Compare norms and batches on target and source; None: no cell is finished."""
    asked = by_key(flat, plan.normalisation)
    compared = of_started(results, asked.values())
    rows = []
    for (norm, batch), cells in asked.items():
        alike = of_common_seeds(results, cells, compared)
        if alike:
            rows.append(_row(results, norm, batch, alike))
    if not rows:
        return None
    return NormalisationTable(count_cells(results, flat(asked.values())), rows)


def _row(
    results: Results,
    norm: str,
    batch: int,
    cells: Cells,
) -> NormalisationRow:
    s = [cell for cell in cells if cell.model == "S"]
    st = [cell for cell in cells if cell.model == "ST"]
    return NormalisationRow(
        norm=norm,
        batch=batch,
        iterations=cells[0].iterations,
        s_seconds_per_iteration=_seconds_per_iteration(results, s),
        st_seconds_per_iteration=_seconds_per_iteration(results, st),
        s_target=level_of(results, s, TARGET),
        s_source=level_of(results, s, SOURCE),
        st_target=level_of(results, st, TARGET),
        st_source=level_of(results, st, SOURCE),
        st_less_s=gain_of(results, s, st),
    )


def _seconds_per_iteration(results: Results, cells: Cells) -> float:
    return mean(column(trained(results, cells), "seconds_per_iteration"))
