"""Scores by patient.

CTs of one patient are not independent: each patient counts once, by the mean over the CTs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from recontour.evaluation.tables import CaseScore


def per_patient(scores: Iterable[CaseScore]) -> list[CaseScore]:
    """One row per patient, organ and model, in the order in which they first appear; `case` is then
    the patient.

    A measure is the mean over the patient's CTs that have it (NaN is left out). An organ that is
    missed on one of them has an infinite HD95 also in the mean, and counts as missed in that
    patient.
    """
    groups: dict[tuple[str, str, str], list[CaseScore]] = {}
    for row in scores:
        groups.setdefault((row.who, row.organ, row.model), []).append(row)
    return [_mean_row(who, rows) for (who, *_), rows in groups.items()]


def patients_and_cts(scores: Iterable[CaseScore]) -> tuple[int, int]:
    """How many patients there are scores of, and how many CTs."""
    of_case = {row.case: row.who for row in scores}
    return len(set(of_case.values())), len(of_case)


def averaged(rows: Sequence[CaseScore], *, case: str, model: str, patient: str = "") -> CaseScore:
    """Several rows of one organ as one: each measure is the mean of those that are not NaN."""
    return CaseScore(
        case=case,
        organ=rows[0].organ,
        model=model,
        dsc=mean(row.dsc for row in rows),
        surface_dsc=mean(row.surface_dsc for row in rows),
        tolerance_mm=rows[0].tolerance_mm,
        hd95_mm=mean(row.hd95_mm for row in rows),
        volume_bias_percent=mean(row.volume_bias_percent for row in rows),
        msd_mm=mean(row.msd_mm for row in rows),
        apl_mm=mean(row.apl_mm for row in rows),
        patient=patient,
    )


def mean(values: Iterable[float]) -> float:
    """The mean of the values that are not NaN; NaN if none is."""
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else np.nan


def _mean_row(who: str, rows: Sequence[CaseScore]) -> CaseScore:
    """The rows of a patient's CTs as one; a lone row keeps its numbers to the bit."""
    if len(rows) == 1:
        return replace(rows[0], case=who, patient="")
    return averaged(rows, case=who, model=rows[0].model)
