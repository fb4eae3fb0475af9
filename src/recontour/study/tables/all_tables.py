"""Every table of a study."""

from collections.abc import Sequence
from dataclasses import dataclass

from recontour.study.cells import Plan
from recontour.study.tables.cases import CasesTable, cases_table
from recontour.study.tables.curves import CurveRow, curve_rows
from recontour.study.tables.depth import DepthTable, depth_table
from recontour.study.tables.every_score import ScoreRow, score_rows
from recontour.study.tables.finished import Results
from recontour.study.tables.models import ModelsTable, models_table
from recontour.study.tables.normalisation import NormalisationTable, normalisation_table
from recontour.study.tables.scores import SOURCE
from recontour.study.tables.separately import SeparatelyTable, separately_table
from recontour.study.tables.times import TimesRow, times_rows


@dataclass(frozen=True, slots=True)
class StudyTables:
    """A study's plan, its results, and the tables made of them; None where nothing is finished.

    models: on the target's test cases. retention: on the source's.
    """

    plan: Plan
    results: Results
    models: ModelsTable | None
    retention: ModelsTable | None
    depth: DepthTable | None
    cases: CasesTable | None
    separately: SeparatelyTable | None
    normalisation: NormalisationTable | None
    times: Sequence[TimesRow]
    curves: Sequence[CurveRow]
    scores: Sequence[ScoreRow]


def study_tables(plan: Plan, results: Results) -> StudyTables:
    """Compute every table."""
    return StudyTables(
        plan=plan,
        results=results,
        models=models_table(plan, results),
        retention=models_table(plan, results, SOURCE),
        depth=depth_table(plan, results),
        cases=cases_table(plan, results),
        separately=separately_table(plan, results),
        normalisation=normalisation_table(plan, results),
        times=times_rows(plan, results),
        curves=curve_rows(plan, results),
        scores=score_rows(plan, results),
    )
