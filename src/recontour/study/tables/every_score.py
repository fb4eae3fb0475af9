"""What everything here is computed from."""

from dataclasses import dataclass

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


def every_score(plan: Plan, results: Results) -> list[ScoreRow]:
    """All finished cells' scores, of all folds."""
    return [
        ScoreRow(
            cell=cell.id,
            fold=fold,
            case=row.case,
            organ=row.organ,
            dsc=row.dsc,
            surface_dsc=row.surface_dsc,
            tolerance_mm=row.tolerance_mm,
            hd95_mm=row.hd95_mm,
            volume_bias_percent=row.volume_bias_percent,
            msd_mm=row.msd_mm,
            apl_mm=row.apl_mm,
            patient=row.who,
        )
        for cell in finished(results, plan.cells)
        for fold, rows in results[cell.id].scores.items()
        for row in rows
    ]
