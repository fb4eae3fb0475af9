"""Batch, group or frozen statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.evaluation.patients import mean
from recontour.study.cells import Cell, Grid
from recontour.study.tables.finished import (
    Progress,
    Results,
    finished,
    of_common_seeds,
    progress,
    trained,
)
from recontour.study.tables.scores import SOURCE, TARGET, Estimate, Level, gain_of, level_of


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
    st_less_s: Estimate  # on the target


@dataclass(frozen=True, slots=True)
class Normalisation:
    """The study of normalisation and batch."""

    progress: Progress
    rows: Sequence[NormalisationRow]


def normalisation_of(grid: Grid, results: Results) -> Normalisation | None:
    """By norm and batch, on target and source."""
    by_row = {
        key: [cell for pair in pairs for cell in pair] for key, pairs in grid.normalisation.items()
    }
    every = [cell for cells in by_row.values() for cell in cells]
    compared = [cell for cells in by_row.values() if finished(results, cells) for cell in cells]
    alike = {key: of_common_seeds(results, cells, compared) for key, cells in by_row.items()}
    rows = [_row(results, norm, batch, cells) for (norm, batch), cells in alike.items() if cells]
    return Normalisation(progress(results, every), rows) if rows else None


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
