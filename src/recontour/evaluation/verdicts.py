"""What a comparison of two models amounts to: a decision and the numbers behind it.

A gate, a report and `--json` all use these; only summary.py and the command line make words.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from recontour.evaluation.findings import TooFewPatients, UnfoundOrgans
from recontour.evaluation.means import found_by, mean_over_organs, scored_by_both
from recontour.evaluation.tables import CaseScore, Comparison

# A Holm-corrected p below this is significant.
SIGNIFICANT = 0.05
# Differences in DSC are compared as they are printed.
DIGITS = 3


class Verdict(Enum):
    """The outcome of one comparison; the value is how a report and `--json` call it."""

    BETTER = "better"
    WORSE = "worse"
    NO_CONCLUSIVE_DIFFERENCE = "no conclusive difference"
    TOO_FEW = "too few patients"
    FOUND_BY_NEITHER = "found by neither"


@dataclass(frozen=True, slots=True)
class OrganVerdict:
    """One organ: is model b better than model a?"""

    verdict: Verdict
    numbers: Comparison

    @property
    def organ(self) -> str:
        """Return the organ's TG-263 name."""
        return self.numbers.organ

    @property
    def is_lower(self) -> bool:
        """Return whether model b lost anything in median or mean, as printed, or missed more.

        A few lost cases show in the mean, many small losses in the median.
        """
        row = self.numbers
        median_fell = round(row.median_difference, DIGITS) < 0
        mean_fell = round(row.mean_difference, DIGITS) < 0
        return median_fell or mean_fell or row.missed_b > row.missed_a


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """One model against a baseline.

    mean_difference: in mean DSC over the organs, model minus baseline. organs: those that both
    scored, each with its verdict.
    """

    baseline: str
    model: str
    mean_difference: float
    organs: tuple[OrganVerdict, ...]


def judge(
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    baseline: str,
    model: str,
) -> ModelVerdict:
    """Judge a model against a baseline, organ by organ.

    comparisons: of every two models on every organ, as `compare` returns them.

    >>> from recontour.evaluation import compare
    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> before = [CaseScore(case, "Lens_L", "S", dsc=0.7, **same) for case in "abcdef"]
    >>> after = [CaseScore(case, "Lens_L", "ST", dsc=0.8, **same) for case in "abcdef"]
    >>> scores = before + after
    >>> found = judge(scores, compare(scores, ["S", "ST"]), "S", "ST")
    >>> found.organs[0].verdict
    <Verdict.BETTER: 'better'>
    """
    pair = (baseline, model)
    mine = [row for row in comparisons if row.n and (row.model_a, row.model_b) == pair]
    organs = [row.organ for row in mine]
    both = scored_by_both(scores, baseline, model)
    gain = mean_over_organs(both, model, organs) - mean_over_organs(both, baseline, organs)
    smallest = smallest_p_holm(mine)
    found = found_by(row for row in scores if row.model in pair)
    judged = []
    for row in mine:
        verdict = _verdict(row, smallest) if found[row.organ] else Verdict.FOUND_BY_NEITHER
        judged.append(OrganVerdict(verdict, row))
    return ModelVerdict(baseline, model, gain, tuple(judged))


def models_of(scores: Iterable[CaseScore]) -> list[str]:
    """Return the models that were scored, in the order of the scores."""
    return list(dict.fromkeys(row.model for row in scores))


def judge_others(
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
) -> list[ModelVerdict]:
    """Judge every model against the first one; arguments as in `judge`."""
    baseline, *others = models_of(scores)
    return [judge(scores, comparisons, baseline, model) for model in others]


def _verdict(row: Comparison, smallest: float) -> Verdict:
    """Judge one organ. smallest: the Holm-corrected p that these two models can reach at best."""
    side = direction(row)
    if side:
        return Verdict.BETTER if side > 0 else Verdict.WORSE
    if smallest >= SIGNIFICANT or smallest_p(row.n) >= SIGNIFICANT:
        return Verdict.TOO_FEW
    return Verdict.NO_CONCLUSIVE_DIFFERENCE


def direction(row: Comparison) -> int:
    """Return 1 if model b is significantly better, -1 if significantly worse, else 0.

    The sign is that of the ranks, as in the test.
    """
    return int(np.sign(row.rank_biserial)) if row.p_holm < SIGNIFICANT else 0


def of_interval(low: float, high: float) -> Verdict:
    """Judge a difference by its 95 % interval; NaN means that there was too little to compare.

    >>> of_interval(-0.01, 0.03)
    <Verdict.NO_CONCLUSIVE_DIFFERENCE: 'no conclusive difference'>
    """
    if np.isnan(low) or np.isnan(high):
        return Verdict.TOO_FEW
    if low > 0:
        return Verdict.BETTER
    if high < 0:
        return Verdict.WORSE
    return Verdict.NO_CONCLUSIVE_DIFFERENCE


def unfound_organs(scores: Sequence[CaseScore]) -> UnfoundOrgans | None:
    """Return what to say of organs that no model found."""
    found = found_by(scores)
    unfound = tuple(organ for organ, models in found.items() if not models)
    if not unfound:
        return None
    return UnfoundOrgans(
        models=tuple(models_of(scores)),
        organs=unfound,
        others=len(found) - len(unfound),
    )


def smallest_p(patients: int) -> float:
    """Return the smallest p that Wilcoxon's exact two-sided test can reach.

    >>> smallest_p(5)
    0.0625
    """
    return min(1.0, 2 * 0.5**patients)


def smallest_p_holm(comparisons: Iterable[Comparison]) -> float:
    """Return the smallest Holm-corrected p that a lone organ of these can reach; 1 if none."""
    patients, organs = _most_patients_and_organs(comparisons)
    return min(1.0, 2 * 0.5**patients * organs) if organs else 1.0


def too_few_patients(comparisons: Sequence[Comparison]) -> TooFewPatients | None:
    """Return what to warn of if no organ can reach significance with so few patients."""
    patients, organs = _most_patients_and_organs(comparisons)
    smallest = smallest_p_holm(comparisons)
    if not organs or smallest < SIGNIFICANT:
        return None
    return TooFewPatients(
        patients=patients,
        organs=organs,
        smallest_p=smallest_p(patients),
        smallest_p_holm=smallest,
        significant=SIGNIFICANT,
    )


def _most_patients_and_organs(comparisons: Iterable[Comparison]) -> tuple[int, int]:
    """Return the number of patients of the organ that has most, and of organs that are tested."""
    most = 0
    organs = set()
    for row in comparisons:
        if row.n:
            most = max(most, row.n)
            organs.add(row.organ)
    return most, len(organs)
