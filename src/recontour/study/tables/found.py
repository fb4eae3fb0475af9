"""Everything that a study found."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.study.cells import Grid
from recontour.study.tables.cases import Cases, cases_of
from recontour.study.tables.curves import CurveRow, curves_of
from recontour.study.tables.depth import Depth, depth_of
from recontour.study.tables.every_score import ScoreRow, every_score
from recontour.study.tables.finished import Results
from recontour.study.tables.models import Main, main_of
from recontour.study.tables.normalisation import Normalisation, normalisation_of
from recontour.study.tables.scores import SOURCE
from recontour.study.tables.separately import Separately, separately_of
from recontour.study.tables.times import TimesRow, times_of


@dataclass(frozen=True, slots=True)
class Found:
    """A study's results and every experiment's numbers; None where nothing is finished."""

    grid: Grid
    results: Results
    main: Main | None
    kept: Main | None  # on the source's cases
    depth: Depth | None
    cases: Cases | None
    separately: Separately | None
    normalisation: Normalisation | None
    times: Sequence[TimesRow]
    curves: Sequence[CurveRow]
    scores: Sequence[ScoreRow]


def find(grid: Grid, results: Results) -> Found:
    """Compute everything."""
    return Found(
        grid=grid,
        results=results,
        main=main_of(grid, results),
        kept=main_of(grid, results, SOURCE),
        depth=depth_of(grid, results),
        cases=cases_of(grid, results),
        separately=separately_of(grid, results),
        normalisation=normalisation_of(grid, results),
        times=times_of(grid, results),
        curves=curves_of(grid, results),
        scores=every_score(grid, results),
    )
