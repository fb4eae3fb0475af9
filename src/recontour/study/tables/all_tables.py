"""Everything that a study found."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.study.cells import Plan
from recontour.study.tables.cases import CasesTable, cases_of
from recontour.study.tables.curves import CurveRow, curves_of
from recontour.study.tables.depth import DepthTable, depth_of
from recontour.study.tables.every_score import ScoreRow, every_score
from recontour.study.tables.finished import Results
from recontour.study.tables.models import ModelsTable, main_of
from recontour.study.tables.normalisation import NormalisationTable, normalisation_of
from recontour.study.tables.scores import SOURCE
from recontour.study.tables.separately import SeparatelyTable, separately_of
from recontour.study.tables.times import TimesRow, times_of


@dataclass(frozen=True, slots=True)
class StudyTables:
    """A study's results and every experiment's numbers; None where nothing is finished."""

    plan: Plan
    results: Results
    main: ModelsTable | None
    kept: ModelsTable | None  # on the source's cases
    depth: DepthTable | None
    cases: CasesTable | None
    separately: SeparatelyTable | None
    normalisation: NormalisationTable | None
    times: Sequence[TimesRow]
    curves: Sequence[CurveRow]
    scores: Sequence[ScoreRow]


def study_tables(plan: Plan, results: Results) -> StudyTables:
    """Compute everything."""
    return StudyTables(
        plan=plan,
        results=results,
        main=main_of(plan, results),
        kept=main_of(plan, results, SOURCE),
        depth=depth_of(plan, results),
        cases=cases_of(plan, results),
        separately=separately_of(plan, results),
        normalisation=normalisation_of(plan, results),
        times=times_of(plan, results),
        curves=curves_of(plan, results),
        scores=every_score(plan, results),
    )
