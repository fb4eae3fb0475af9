"""Batch, group or frozen statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.study.cells import Cell, Grid
from recontour.study.tables.finished import Progress, Results, finished, progress, trained
from recontour.study.tables.scores import SOURCE, TARGET, Estimate, Level, gain_of, level_of, mean


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
    every = [cell for pairs in grid.normalisation.values() for pair in pairs for cell in pair]
    rows = [
        _row(results, norm, batch, pairs)
        for (norm, batch), pairs in grid.normalisation.items()
        if finished(results, (cell for pair in pairs for cell in pair))
    ]
    return Normalisation(progress(results, every), rows) if rows else None


def _row(results: Results, norm: str, batch: int, pairs: Sequence[tuple[Cell, Cell]]) -> NormalisationRow:
    s, st = (finished(results, [pair[side] for pair in pairs]) for side in (0, 1))
    return NormalisationRow(
        norm=norm,
        batch=batch,
        iterations=pairs[0][0].iterations,
        s_seconds_per_iteration=mean(one.seconds_per_iteration for one in trained(results, s)),
        st_seconds_per_iteration=mean(one.seconds_per_iteration for one in trained(results, st)),
        s_target=level_of(results, s, TARGET),
        s_source=level_of(results, s, SOURCE),
        st_target=level_of(results, st, TARGET),
        st_source=level_of(results, st, SOURCE),
        st_less_s=gain_of(results, s, st),
    )
