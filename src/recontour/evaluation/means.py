"""Means over organs, so that every organ counts the same."""

from collections.abc import Iterable, Sequence

import numpy as np

from recontour.evaluation.patients import per_patient
from recontour.evaluation.tables import CaseScore


def common_organs(scores: Sequence[CaseScore]) -> list[str]:
    """Return the organs that every model scored, over which means can be compared.

    A model without any score is not counted.

    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> both = [CaseScore("a", "Lens_L", model, dsc=0.8, **same) for model in ("S", "T")]
    >>> common_organs([*both, CaseScore("a", "Lens_R", "S", dsc=0.7, **same)])
    ['Lens_L']
    """
    models_of: dict[str, set[str]] = {}
    for row in scores:
        if np.isfinite(row.dsc):
            models_of.setdefault(row.organ, set()).add(row.model)
    everyone: set[str] = set().union(*models_of.values())
    return [organ for organ, models in models_of.items() if models == everyone]


def found_by(scores: Iterable[CaseScore]) -> dict[str, set[str]]:
    """Return, for each organ that was scored, the models that met it in any patient (DSC above 0).

    >>> same = {"surface_dsc": 0.0, "tolerance_mm": 1.0, "hd95_mm": 9.0, "volume_bias_percent": 0.0}
    >>> scores = [CaseScore("a", "Lens_L", "S", dsc=0.0, **same)]
    >>> scores.append(CaseScore("a", "Lens_L", "T", dsc=0.1, **same))
    >>> found_by(scores)
    {'Lens_L': {'T'}}
    """
    found: dict[str, set[str]] = {}
    for row in scores:
        if np.isfinite(row.dsc):
            models = found.setdefault(row.organ, set())
            if row.dsc > 0:
                models.add(row.model)
    return found


def scored_by_both(
    scores: Iterable[CaseScore],
    one: str,
    other: str,
) -> list[CaseScore]:
    """Return the scores of two models in the cases and organs that both have scored.

    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> scores = [CaseScore(case, "Lens_L", "S", dsc=0.5, **same) for case in ("a", "b")]
    >>> scores.append(CaseScore("a", "Lens_L", "T", dsc=0.6, **same))
    >>> [row.case for row in scored_by_both(scores, "S", "T")]
    ['a', 'a']
    """
    of_pair: dict[tuple[str, str], dict[str, CaseScore]] = {}
    for row in scores:
        if row.model in (one, other):
            of_pair.setdefault((row.case, row.organ), {})[row.model] = row
    found: list[CaseScore] = []
    for rows in of_pair.values():
        if len(rows) == len({one, other}):
            found.extend(rows.values())
    return found


def mean_over_organs(
    scores: Sequence[CaseScore],
    model: str,
    organs: Sequence[str],
    measure: str = "dsc",
) -> float:
    """Return the mean of the organs' means over patients; NaN if the model scored none of them.

    measure: a column of scores.csv. Infinite values are left out.

    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> scores = [CaseScore(case, "Lens_L", "S", dsc=0.5, **same) for case in ("a", "b")]
    >>> scores.append(CaseScore("a", "Lens_R", "S", dsc=1.0, **same))
    >>> mean_over_organs(scores, "S", ["Lens_L", "Lens_R"])
    0.75
    """
    mine = [row for row in scores if row.model == model and row.organ in organs]
    values_of: dict[str, list[float]] = {}
    for row in per_patient(mine):
        value = getattr(row, measure)
        if np.isfinite(value):
            values_of.setdefault(row.organ, []).append(value)
    means = list(map(np.mean, values_of.values()))
    return float(np.mean(means)) if means else np.nan
