"""What the tables share: the scores of several cells as one model's, and their means."""

from collections.abc import Mapping
from dataclasses import dataclass

from recontour.evaluation import CaseScore
from recontour.evaluation.intervals import (
    Interval,
    Organs,
    count_patients,
    difference,
    dsc_of,
    interval_of,
    of_organs,
)
from recontour.evaluation.patients import averaged, mean
from recontour.study.cells import Cells
from recontour.study.tables.finished import Results, finished

TARGET, SOURCE = "target test", "source test"  # folds
ALL = "mean over organs"  # in an organ's place


@dataclass(frozen=True, slots=True)
class Level:
    """How well one model contours the patients of a fold. organs: mean DSC by organ."""

    dsc: Interval
    patients: int
    organs: Mapping[str, float]

    @property
    def is_found(self) -> bool:
        """Return whether any organ was found in any patient."""
        return self.dsc.mean > 0


def rows_of(
    results: Results,
    cells: Cells,
    fold: str,
    model: str = "",
) -> list[CaseScore]:
    """Return the scores of several cells as one model's, averaged by case and organ.

    In a cross-validation a case of the target is scored only by the cell that held its fold out.
    NaN is left out of each measure's mean.
    """
    groups: dict[tuple[str, str], list[CaseScore]] = {}
    # With folds, each turn compares the same Model_S.
    for cell in dict.fromkeys(finished(results, cells)):
        for row in results[cell.id].scores.get(fold, ()):
            groups.setdefault((row.case, row.organ), []).append(row)
    rows = []
    for (case, _), alike in groups.items():
        rows.append(
            averaged(
                alike,
                case=case,
                model=model,
                patient=alike[0].patient,
            )
        )
    return rows


def level_of(
    results: Results,
    cells: Cells,
    fold: str,
    organs: Organs = None,
) -> Level:
    """Sum several cells up over a fold, as one model.

    organs: those that the mean is over; None: all.
    """
    dsc = dsc_of(rows_of(results, cells, fold))
    by_organ: dict[str, float] = {}
    for _, organ in dsc:
        if organ not in by_organ:
            by_organ[organ] = mean(of_organs(dsc, [organ]).values())
    averaged_over = of_organs(dsc, organs)
    return Level(interval_of(averaged_over, least=0.0), count_patients(averaged_over), by_organ)


def gain_of(
    results: Results,
    a: Cells,
    b: Cells,
    organs: Organs = None,
) -> Interval:
    """Return the DSC of b minus that of a on the target. organs: as for a level."""
    dsc_a = dsc_of(rows_of(results, a, TARGET))
    dsc_b = dsc_of(rows_of(results, b, TARGET))
    return interval_of(of_organs(difference(dsc_a, dsc_b), organs))
