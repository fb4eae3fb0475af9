"""Scores by patient.

CTs of one patient are not independent: each patient counts once, by the mean over the CTs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import attrgetter

import numpy as np

from recontour.evaluation.tables import CaseScore

MEASURES = (
    "dsc",
    "surface_dsc",
    "hd95_mm",
    "volume_bias_percent",
    "msd_mm",
    "apl_mm",
    "surface_dsc_1mm",
    "surface_dsc_2mm",
)


def per_patient(scores: Iterable[CaseScore]) -> list[CaseScore]:
    """Return one row per patient, organ and model; its `case` is the patient.

    Rows come in the order in which they first appear. A measure is the mean over those CTs of the
    patient that have it (NaN is left out). If an organ is missed on one of the CTs, the mean HD95
    is infinite, and the organ counts as missed in the patient.

    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> first = CaseScore("a", "Lens_L", "S", dsc=0.5, patient="a", **same)
    >>> second = CaseScore("b", "Lens_L", "S", dsc=1.0, patient="a", **same)
    >>> [(row.case, row.dsc) for row in per_patient([first, second])]
    [('a', 0.75)]
    """
    groups: dict[tuple[str, str, str], list[CaseScore]] = {}
    for row in scores:
        groups.setdefault((row.who, row.organ, row.model), []).append(row)
    found = []
    for (patient, _, _), rows in groups.items():
        found.append(_mean_row(patient, rows))
    return found


def patients_and_cts(scores: Iterable[CaseScore]) -> tuple[int, int]:
    """Count the patients and the CTs of some scores."""
    patient_of = {row.case: row.who for row in scores}
    patients = set(patient_of.values())
    return len(patients), len(patient_of)


def averaged(
    rows: Sequence[CaseScore],
    *,
    case: str,
    model: str,
    patient: str = "",
) -> CaseScore:
    """Return several rows of one organ as one: each measure is the mean of those not NaN."""
    measures = {}
    for name in MEASURES:
        measures[name] = mean(map(attrgetter(name), rows))
    return CaseScore(
        case=case,
        organ=rows[0].organ,
        model=model,
        tolerance_mm=rows[0].tolerance_mm,
        patient=patient,
        trained_on=rows[0].trained_on,
        **measures,
    )


def count_missed(rows: Iterable[CaseScore]) -> int:
    """Count the rows in which the organ was missed."""
    return sum(map(attrgetter("is_missed"), rows))


def mean(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN if there is none.

    >>> mean([1.0, float("nan"), 3.0])
    2.0
    """
    numbers = [value for value in values if not np.isnan(value)]
    return float(np.mean(numbers)) if numbers else np.nan


def _mean_row(patient: str, rows: Sequence[CaseScore]) -> CaseScore:
    """Average the rows of a patient's CTs; a lone row keeps its numbers to the bit."""
    if len(rows) == 1:
        return replace(rows[0], case=patient, patient="")
    return averaged(rows, case=patient, model=rows[0].model)
