"""Batch, group or frozen statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.evaluation.patients import mean
from recontour.study.cells import Cell, Plan
from recontour.study.tables.finished import (
    CellCount,
    Results,
    count_cells,
    finished,
    of_common_seeds,
    trained,
)
from recontour.study.tables.scores import SOURCE, TARGET, Interval, Level, gain_of, level_of


@dataclass(frozen=True, slots=True)
class NormalisationRow:
    """Model_S and Model_ST with one normalisation and batch."""

    norm: str
    batch: int
    iterations: int
    s_seconds_per_iteration: float
    st_seconds_per_iteration: float
    s_target: Level
    s_source: Level
    st_target: Level
    st_source: Level
    st_less_s: Interval  # on the target


@dataclass(frozen=True, slots=True)
class NormalisationTable:
    """The study of normalisation and batch."""

    count: CellCount
    rows: Sequence[NormalisationRow]


def normalisation_of(plan: Plan, results: Results) -> NormalisationTable | None:
    """By norm and batch, on target and source."""
    by_row = {
        key: [cell for pair in pairs for cell in pair] for key, pairs in plan.normalisation.items()
    }
    every = [cell for cells in by_row.values() for cell in cells]
    compared = [cell for cells in by_row.values() if finished(results, cells) for cell in cells]
    alike = {key: of_common_seeds(results, cells, compared) for key, cells in by_row.items()}
    rows = [_row(results, norm, batch, cells) for (norm, batch), cells in alike.items() if cells]
    return NormalisationTable(count_cells(results, every), rows) if rows else None


def _row(results: Results, norm: str, batch: int, cells: Sequence[Cell]) -> NormalisationRow:
    s, st = ([cell for cell in cells if cell.model == model] for model in ("S", "ST"))
    return NormalisationRow(
        norm=norm,
        batch=batch,
        iterations=cells[0].iterations,
        s_seconds_per_iteration=mean(one.seconds_per_iteration for one in trained(results, s)),
        st_seconds_per_iteration=mean(one.seconds_per_iteration for one in trained(results, st)),
        s_target=level_of(results, s, TARGET),
        s_source=level_of(results, s, SOURCE),
        st_target=level_of(results, st, TARGET),
        st_source=level_of(results, st, SOURCE),
        st_less_s=gain_of(results, s, st),
    )
