"""Test whether one model contours better than another: exact tests on a few paired cases.

A pair is one patient's organ that both models contoured and that has a finite DSC for both; a
patient with several CTs counts with the mean over those (patients.py). Differences are the DSC of
model b minus that of model a: above 0, model b is better.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import quantile_test

from recontour.evaluation.patients import count_missed, per_patient
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.geometry.arrays import Floats

# Differences that agree to this many decimals are ties; those that round to 0 are zeros.
DECIMALS = 12
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Pairs:
    """What two models made of one organ, one row per patient, each with a finite DSC.

    of_a, of_b: in the same order of patients. cts: of these patients.
    """

    of_a: Sequence[CaseScore]
    of_b: Sequence[CaseScore]
    cts: int

    @property
    def differences(self) -> Floats:
        """Return the differences in DSC, b - a. Shape (patients,)."""
        both = zip(self.of_a, self.of_b, strict=True)
        return np.array([b.dsc - a.dsc for a, b in both], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SignedRanks:
    """The ranks of all differences but zeros, doubled so that middle ranks are whole numbers.

    plus, minus: the doubled rank sums of the positive and of the negative differences.
    """

    doubled_ranks: npt.NDArray[np.int64]
    plus: int
    minus: int


def signed_ranks(differences: Floats) -> SignedRanks:
    """Rank differences by size; zeros are dropped (Wilcoxon's rule), ties share their middle rank.

    >>> signed_ranks(np.array([0.1, -0.2, 0.0]))
    SignedRanks(doubled_ranks=array([2, 4]), plus=2, minus=4)
    """
    rounded = np.round(differences, DECIMALS)
    kept = rounded[rounded != 0]
    _, inverse, counts = np.unique(np.abs(kept), return_inverse=True, return_counts=True)
    # Ties at the ranks k+1 .. k+c share the mean of these; here twice that mean.
    doubled_of_each_size = 2 * np.cumsum(counts) - counts + 1
    doubled = doubled_of_each_size[inverse]
    plus = int(doubled[kept > 0].sum())
    minus = int(doubled[kept < 0].sum())
    return SignedRanks(doubled, plus, minus)


def wilcoxon_p(differences: Floats) -> float:
    """Return the exact two-sided p of Wilcoxon's signed-rank test, ties included.

    The null distribution of the rank sum is built by dynamic programming over the ranks at hand:
    each carries a plus or a minus with probability 1/2. p is twice its lower tail up to the smaller
    of the two rank sums, at most 1.

    Returns: in (0, 1]; 1 if all differences are zero, NaN if there are none.
    References: Wilcoxon 1945, doi:10.2307/3001968.

    >>> wilcoxon_p(np.array([0.1, 0.2, 0.3]))
    0.25
    """
    if not len(differences):
        return np.nan
    ranks = signed_ranks(differences)
    chance = np.zeros(ranks.plus + ranks.minus + 1)
    chance[0] = 1.0
    for rank in ranks.doubled_ranks:
        chance /= 2
        chance[rank:] += chance[:-rank].copy()
    smaller = min(ranks.plus, ranks.minus)
    lower_tail = float(chance[: smaller + 1].sum())
    return min(1.0, 2 * lower_tail)


def rank_biserial(differences: Floats) -> float:
    """Return the matched-pairs rank-biserial correlation: (W+ - W-) / (W+ + W-).

    Returns: in [-1, 1]: 1 if every difference is positive; 0 if all are zero, NaN if there are
        none.
    References: Kerby 2014, doi:10.2466/11.IT.3.1.
    """
    if not len(differences):
        return np.nan
    ranks = signed_ranks(differences)
    return (ranks.plus - ranks.minus) / max(ranks.plus + ranks.minus, 1)


def median_interval(differences: Floats) -> tuple[float, float]:
    """Return the 95 % interval of the median by order statistics.

    It belongs to the sign test and needs no symmetry: the k-th smallest and the k-th largest
    difference, with the largest k that covers the median with a chance of at least 95 % for any
    distribution (decision 022).

    Returns: low, high; NaN for fewer than six differences, as the smallest and the largest of five
        cover only 93.75 %.

    >>> median_interval(np.arange(1.0, 11.0))
    (2.0, 9.0)
    """
    if not len(differences):
        return np.nan, np.nan
    # Its stubs call the interval a float.
    interval: Any = quantile_test(differences, p=0.5).confidence_interval(CONFIDENCE)
    return float(interval.low), float(interval.high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's step-down rule; NaN is no test and stays NaN.

    References: Holm 1979, Scand. J. Statist. 6:65-70.

    >>> holm([0.25, 0.125])
    [0.25, 0.25]
    """
    p = np.asarray(p_values, dtype=np.float64)
    tests = np.flatnonzero(np.isfinite(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return list(map(float, corrected))


ByCase = Mapping[str, CaseScore]


def compare(scores: Iterable[CaseScore], models: Sequence[str]) -> list[Comparison]:
    """Compare every two models on every organ by DSC, patient by patient.

    models: in the order of the report; of two, the earlier is model a. Holm's correction is over
        the organs, separately for each two models.

    Returns: organ by organ, as the organs first appear.

    >>> from recontour.evaluation import CaseScore
    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> before = [CaseScore(case, "Lens_L", "S", dsc=0.7, **same) for case in "abc"]
    >>> after = [CaseScore(case, "Lens_L", "ST", dsc=0.8, **same) for case in "abc"]
    >>> (found,) = compare(before + after, ["S", "ST"])
    >>> found.n, round(found.median_difference, 3), found.p
    (3, 0.1, 0.25)
    """
    finite = _finite(scores)
    pairs = list(combinations(models, 2))
    compared: dict[tuple[str, str, str], Comparison] = {}
    for a, b in pairs:
        paired = [_paired(of.get(a, {}), of.get(b, {})) for of in finite.values()]
        p_values = [wilcoxon_p(organ.differences) for organ in paired]
        tests = zip(finite, paired, p_values, holm(p_values), strict=True)
        for organ, both, p, p_holm in tests:
            compared[organ, a, b] = _comparison(organ, a, b, both, p, p_holm)
    by_organ = []
    for organ in finite:
        by_organ += [compared[organ, a, b] for a, b in pairs]
    return by_organ


def paired_by_organ(scores: Iterable[CaseScore], model_a: str, model_b: str) -> dict[str, Pairs]:
    """Return the patients' rows of two models by organ, as the organs first appear.

    Only those CTs count of which both have a finite DSC.

    >>> paired_by_organ([], "S", "ST")
    {}
    """
    found = {}
    for organ, by_model in _finite(scores).items():
        found[organ] = _paired(by_model.get(model_a, {}), by_model.get(model_b, {}))
    return found


@dataclass(frozen=True, slots=True)
class OverallChange:
    """How much model b is ahead of model a over all organs, by patients.

    patients: those that both have a DSC of. median: of the patients' changes in DSC, each the mean
    over the patient's organs. low, high: its 95 % interval, as `median_interval` has it.
    """

    patients: int
    median: float
    low: float
    high: float


def overall_change(scores: Iterable[CaseScore], model_a: str, model_b: str) -> OverallChange:
    """Compare two models over all organs by DSC, patient by patient; NaN if none has both.

    >>> same = {"surface_dsc": 0.9, "tolerance_mm": 1.0, "hd95_mm": 2.0, "volume_bias_percent": 0.0}
    >>> before = [CaseScore(case, "Lens_L", "S", dsc=0.5, **same) for case in "abcdef"]
    >>> after = [CaseScore(case, "Lens_L", "ST", dsc=0.75, **same) for case in "abcdef"]
    >>> overall_change(before + after, "S", "ST")
    OverallChange(patients=6, median=0.25, low=0.25, high=0.25)
    """
    changes_of: dict[str, list[float]] = {}
    for by_model in _finite(scores).values():
        pairs = _paired(by_model.get(model_a, {}), by_model.get(model_b, {}))
        for row, change in zip(pairs.of_a, pairs.differences, strict=True):
            changes_of.setdefault(row.case, []).append(float(change))
    changes = np.array(list(map(np.mean, changes_of.values())), dtype=np.float64)
    low, high = median_interval(changes)
    median = float(np.median(changes)) if len(changes) else np.nan
    return OverallChange(len(changes), median, low, high)


def _finite(scores: Iterable[CaseScore]) -> dict[str, dict[str, dict[str, CaseScore]]]:
    """Return the rows with a finite DSC by organ, model and case; an organ may have none."""
    found: dict[str, dict[str, dict[str, CaseScore]]] = {}
    for row in scores:
        by_model = found.setdefault(row.organ, {})
        if np.isfinite(row.dsc):
            by_model.setdefault(row.model, {})[row.case] = row
    return found


def _paired(of_a: ByCase, of_b: ByCase) -> Pairs:
    """Pair two models' rows of the CTs that both contoured, patient by patient."""
    both = [case for case in of_a if case in of_b]
    rows_of_a = per_patient(map(of_a.__getitem__, both))
    rows_of_b = per_patient(map(of_b.__getitem__, both))
    return Pairs(rows_of_a, rows_of_b, len(both))


def _comparison(
    organ: str,
    a: str,
    b: str,
    pairs: Pairs,
    p: float,
    p_holm: float,
) -> Comparison:
    differences = pairs.differences
    low, high = median_interval(differences)
    return Comparison(
        organ=organ,
        model_a=a,
        model_b=b,
        n=len(differences),
        median_difference=float(np.median(differences)) if len(differences) else np.nan,
        p=p,
        p_holm=p_holm,
        rank_biserial=rank_biserial(differences),
        median_low=low,
        median_high=high,
        mean_difference=float(differences.mean()) if len(differences) else np.nan,
        missed_a=count_missed(pairs.of_a),
        missed_b=count_missed(pairs.of_b),
        cts=pairs.cts,
    )
