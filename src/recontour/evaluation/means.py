"""Means over organs, so that every organ counts the same."""

from collections.abc import Sequence

import numpy as np

from recontour.evaluation.patients import per_patient
from recontour.evaluation.tables import CaseScore


def common_organs(scores: Sequence[CaseScore]) -> list[str]:
    """Return the organs that every model scored, over which means can be compared.

    A model without any score is not counted.
    """
    models_of: dict[str, set[str]] = {}
    for row in scores:
        if np.isfinite(row.dsc):
            models_of.setdefault(row.organ, set()).add(row.model)
    everyone: set[str] = set().union(*models_of.values())
    return [organ for organ, models in models_of.items() if models == everyone]


def mean_over_organs(
    scores: Sequence[CaseScore],
    model: str,
    organs: Sequence[str],
    measure: str = "dsc",
) -> float:
    """Return the mean of the organs' means over patients; NaN if the model scored none of them.

    measure: a column of scores.csv. Infinite values are left out.
    """
    mine = [row for row in scores if row.model == model and row.organ in organs]
    values_of: dict[str, list[float]] = {}
    for row in per_patient(mine):
        value = getattr(row, measure)
        if np.isfinite(value):
            values_of.setdefault(row.organ, []).append(value)
    means = list(map(np.mean, values_of.values()))
    return float(np.mean(means)) if means else np.nan
