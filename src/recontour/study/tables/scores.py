"""What the experiments share:

several cells' scores as one model's, and means over organs with their intervals.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from recontour.evaluation import CaseScore, per_patient
from recontour.evaluation.patients import averaged, mean
from recontour.geometry.arrays import Floats
from recontour.study.cells import Cell
from recontour.study.tables.finished import Results, finished

Dsc = Mapping[tuple[str, str], float]  # by patient and organ

TARGET, SOURCE = "target test", "source test"  # folds
ALL = "mean over organs"  # in an organ's place


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean DSC, or of differences in DSC, and its interval;

    NaN where there is nothing or one patient.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Level:
    """How well one model contours the cases of a fold."""

    dsc: Interval
    patients: int
    organs: Mapping[str, float]  # mean DSC


def rows_of(results: Results, cells: Iterable[Cell], fold: str, model: str = "") -> list[CaseScore]:
    """Several cells' scores as one model's:

    each case's and organ's measures averaged, NaN left out.
    """
    groups: dict[tuple[str, str], list[CaseScore]] = {}
    for cell in finished(results, cells):
        for row in results[cell.id].scores.get(fold, ()):
            groups.setdefault((row.case, row.organ), []).append(row)
    return [
        averaged(rows, case=case, model=model, patient=rows[0].patient)
        for (case, _), rows in groups.items()
    ]


def dsc_of(rows: Iterable[CaseScore]) -> Dsc:
    """The finite DSC by patient and organ:

    of one with several CTs, the mean over these. rows: of one model.
    """
    return {(row.case, row.organ): row.dsc for row in per_patient(rows) if np.isfinite(row.dsc)}


def of_organs(dsc: Dsc, organs: Collection[str] | None) -> Dsc:
    """Those of some organs; None: of all."""
    return (
        dsc
        if organs is None
        else {(who, organ): value for (who, organ), value in dsc.items() if organ in organs}
    )


def difference(a: Dsc, b: Dsc) -> Dsc:
    """b - a where both are."""
    return {key: b[key] - a[key] for key in b if key in a}


def patients(dsc: Dsc) -> int:
    """With any organ scored."""
    return len({who for who, _ in dsc})


def interval_of(dsc: Dsc, least: float = -1.0) -> Interval:
    """The mean, and its 95 % interval: Student's t over the patients by the jackknife.

    least: that a value can be, 0 of a DSC, -1 of a difference; the most is 1.

    With every organ scored in every patient it is the t interval of the patients' own means. What
    one patient does to the mean over organs tells also where organs lack in some.
    """
    people, organs = (sorted({key[axis] for key in dsc}) for axis in (0, 1))
    table = np.array(
        [[dsc.get((who, organ), np.nan) for organ in organs] for who in people], dtype=np.float64
    )
    n = len(people)
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    mean_of_all = _mean_over_organs(table)
    if n == 1:
        return Interval(mean_of_all, np.nan, np.nan)
    without_one = np.array(
        [_mean_over_organs(np.delete(table, place, axis=0)) for place in range(n)]
    )
    pseudo_values = n * mean_of_all - (n - 1) * without_one
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(pseudo_values))
    return Interval(mean_of_all, max(least, mean_of_all - half), min(1.0, mean_of_all + half))


def level_of(
    results: Results, cells: Iterable[Cell], fold: str, organs: Collection[str] | None = None
) -> Level:
    """Sum several cells up over a fold, as one model. organs: that the mean is over; None: all."""
    dsc = dsc_of(rows_of(results, cells, fold))
    by_organ = {
        organ: mean(of_organs(dsc, [organ]).values())
        for organ in dict.fromkeys(organ for _, organ in dsc)
    }
    dsc = of_organs(dsc, organs)
    return Level(interval_of(dsc, least=0.0), patients(dsc), by_organ)


def gain_of(
    results: Results, a: Iterable[Cell], b: Iterable[Cell], organs: Collection[str] | None = None
) -> Interval:
    """The target's DSC of b less that of a. organs: as for a level."""
    dsc_a, dsc_b = (dsc_of(rows_of(results, cells, TARGET)) for cells in (a, b))
    return interval_of(of_organs(difference(dsc_a, dsc_b), organs))


def _mean_over_organs(table: Floats) -> float:
    """The mean over the organs, columns, of their means over the patients, rows, that have them."""
    return mean(mean(column) for column in table.T)
