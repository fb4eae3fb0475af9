"""Mean DSC, and mean differences in DSC, with intervals over patients: 95 % unless said."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from recontour.evaluation.patients import mean, per_patient
from recontour.evaluation.tables import CaseScore
from recontour.geometry.arrays import Floats

Dsc = Mapping[tuple[str, str], float]  # by patient and organ
Organs = Collection[str] | None  # None: all
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean DSC, or a mean difference in DSC, with its interval.

    All three are NaN where nothing was scored; with one patient, only the ends are.
    """

    mean: float
    low: float
    high: float


def dsc_of(rows: Iterable[CaseScore]) -> Dsc:
    """Return the finite DSC of one model by patient and organ: the mean over a patient's CTs."""
    dsc = {}
    for row in per_patient(rows):
        if np.isfinite(row.dsc):
            dsc[row.case, row.organ] = row.dsc
    return dsc


def of_organs(dsc: Dsc, organs: Organs) -> Dsc:
    """Return the DSC of some organs; None: of all."""
    if organs is None:
        return dsc
    return {(who, organ): value for (who, organ), value in dsc.items() if organ in organs}


def difference(a: Dsc, b: Dsc) -> Dsc:
    """Return b - a for the patients and organs that both have.

    >>> difference({("p", "Brainstem"): 0.5}, {("p", "Brainstem"): 0.75, ("p", "Lens_L"): 0.5})
    {('p', 'Brainstem'): 0.25}
    """
    return {key: b[key] - a[key] for key in b if key in a}


def count_patients(dsc: Dsc) -> int:
    """Count the patients with any organ scored."""
    return len({who for who, _ in dsc})


def mean_of(dsc: Dsc) -> float:
    """Return the mean over the organs of their means over the patients; NaN: nothing was scored.

    >>> mean_of({("patient 1", "Brainstem"): 0.5, ("patient 2", "Brainstem"): 0.75})
    0.625
    """
    return _mean_over_organs(_by_patient_and_organ(dsc))


def interval_of(dsc: Dsc, least: float = -1.0, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean with its interval: Student's t over the patients, by the jackknife.

    With every organ scored in every patient it is the t interval of the patients' own means. Where
    organs are missing in some patients, it still shows how much one patient moves the mean.

    least: the smallest possible value, 0 for a DSC, -1 for a difference. The largest is 1.
    confidence: how often such intervals hold the true mean, if patients scatter normally.

    >>> interval_of({("patient 1", "Brainstem"): 0.5, ("patient 2", "Brainstem"): 0.75}).mean
    0.625
    """
    table = _by_patient_and_organ(dsc)
    n = len(table)
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    overall = _mean_over_organs(table)
    if n == 1:
        return Interval(overall, np.nan, np.nan)
    without = [_mean_over_organs(np.delete(table, patient, axis=0)) for patient in range(n)]
    pseudo_values = n * overall - (n - 1) * np.array(without)
    quantile = stats.t.ppf((1 + confidence) / 2, n - 1)
    half = float(quantile * stats.sem(pseudo_values))
    low, high = overall - half, overall + half
    return Interval(overall, max(least, low), min(1.0, high))


def half_width(sd: float, patients: int, confidence: float = CONFIDENCE) -> float:
    """Return half of the t interval of a mean over patients; NaN of one patient.

    >>> round(half_width(1.0, 10), 3)
    0.715
    """
    if patients < 2:
        return np.nan
    quantile = float(stats.t.ppf((1 + confidence) / 2, patients - 1))
    return quantile * sd / float(np.sqrt(patients))


def _by_patient_and_organ(dsc: Dsc) -> Floats:
    """Return a table of shape (patients, organs), both sorted by name; NaN: not scored."""
    if not dsc:
        return np.empty((0, 0))
    who, organs = zip(*dsc, strict=True)
    people, row = np.unique(who, return_inverse=True)
    names, column = np.unique(organs, return_inverse=True)
    table = np.full((len(people), len(names)), np.nan)
    table[row, column] = list(dsc.values())
    return table


def _mean_over_organs(table: Floats) -> float:
    """Return the mean over the organs of their means over the patients who have them."""
    return mean(map(mean, table.T))
