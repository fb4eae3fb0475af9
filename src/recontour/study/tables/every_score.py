"""Every score that the tables are computed from: scores.csv."""

from dataclasses import dataclass

from recontour.evaluation import CaseScore
from recontour.study.cells import Plan
from recontour.study.tables.finished import Results, finished


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A cell's score of one organ of one case."""

    cell: str
    fold: str
    case: str
    organ: str
    dsc: float
    surface_dsc: float
    tolerance_mm: float
    hd95_mm: float
    volume_bias_percent: float
    msd_mm: float
    apl_mm: float
    patient: str
    surface_dsc_1mm: float
    surface_dsc_2mm: float


def score_rows(plan: Plan, results: Results) -> list[ScoreRow]:
    """Return the scores of all finished cells, of all folds."""
    rows = []
    for cell in finished(results, plan.cells):
        for fold, scores in results[cell.id].scores.items():
            for score in scores:
                rows.append(_row(cell.id, fold, score))
    return rows


def _row(cell: str, fold: str, score: CaseScore) -> ScoreRow:
    return ScoreRow(
        cell=cell,
        fold=fold,
        case=score.case,
        organ=score.organ,
        dsc=score.dsc,
        surface_dsc=score.surface_dsc,
        tolerance_mm=score.tolerance_mm,
        hd95_mm=score.hd95_mm,
        volume_bias_percent=score.volume_bias_percent,
        msd_mm=score.msd_mm,
        apl_mm=score.apl_mm,
        patient=score.who,
        surface_dsc_1mm=score.surface_dsc_1mm,
        surface_dsc_2mm=score.surface_dsc_2mm,
    )
