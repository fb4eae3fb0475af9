"""Whether one model contours better than another: exact tests on the pairs of a few cases.

A pair is one patient's organ that both models contoured and that has a finite DSC for both; of a
patient with several CTs it is the mean over those (patients.py). Differences are DSC of model b
minus DSC of model a: above 0, model b is better.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from recontour.evaluation.patients import per_patient
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.geometry.arrays import Floats

DECIMALS = (
    12  # differences that agree to this many decimals are ties; those that round to 0 are zeros
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """What two models made of one organ, patient by patient, with a finite DSC."""

    of_a: Sequence[CaseScore]  # one of each patient
    of_b: Sequence[CaseScore]  # in the same order
    cts: int  # of these patients

    @property
    def differences(self) -> Floats:
        """DSC, b - a."""
        return np.array(
            [b.dsc - a.dsc for a, b in zip(self.of_a, self.of_b, strict=True)], dtype=np.float64
        )


@dataclass(frozen=True, slots=True)
class SignedRanks:
    """The sums of the ranks of the positive and of the negative differences, doubled:

    midranks become whole numbers.
    """

    doubled_ranks: npt.NDArray[np.int64]  # of every difference that is not zero
    plus: int
    minus: int


def signed_ranks(differences: Floats) -> SignedRanks:
    """Rank differences by size:

    zeros are dropped (Wilcoxon's rule), ties share their middle rank.
    """
    rounded = np.round(differences, DECIMALS)
    kept = rounded[rounded != 0]
    _, inverse, counts = np.unique(np.abs(kept), return_inverse=True, return_counts=True)
    doubled = (2 * np.cumsum(counts) - counts + 1)[
        inverse
    ]  # ties at ranks k+1 .. k+c: their mean, twice
    return SignedRanks(doubled, int(doubled[kept > 0].sum()), int(doubled[kept < 0].sum()))


def wilcoxon_p(differences: Floats) -> float:
    """The exact two-sided p of Wilcoxon's signed-rank test, ties included.

    The null distribution of the rank sum is built by dynamic programming over the ranks at hand:
    each carries a plus or a minus with probability 1/2. p is twice its lower tail up to the smaller
    of the two rank sums, at most 1.

    Returns: in (0, 1]; 1 if all differences are zero, NaN if there are none.
    References: Wilcoxon 1945, doi:10.2307/3001968.
    """
    if not len(differences):
        return np.nan
    ranks = signed_ranks(differences)
    chance = np.zeros(ranks.plus + ranks.minus + 1)
    chance[0] = 1.0
    for rank in ranks.doubled_ranks:
        chance /= 2
        chance[rank:] += chance[:-rank].copy()
    return min(1.0, 2 * float(chance[: min(ranks.plus, ranks.minus) + 1].sum()))


def rank_biserial(differences: Floats) -> float:
    """The matched-pairs rank-biserial correlation: (W+ - W-) / (W+ + W-).

    Returns: in [-1, 1]: 1 if every difference is positive; 0 if all are zero, NaN if there are
        none.
    References: Kerby 2014, doi:10.2466/11.IT.3.1.
    """
    if not len(differences):
        return np.nan
    ranks = signed_ranks(differences)
    return (ranks.plus - ranks.minus) / max(ranks.plus + ranks.minus, 1)


def median_interval(differences: Floats) -> tuple[float, float]:
    """The 95 % interval of the median by order statistics: it belongs to the sign test, and needs
    no symmetry.

    The k-th smallest and k-th largest difference, with the largest k that covers the median with a
    chance of at least 95 %, whatever the distribution (decision 022).

    Returns: low, high; NaN of fewer than six differences, as the smallest and the largest of five
        cover only 93.75 %.
    """
    k = int(binom.ppf(0.025, len(differences), 0.5))
    if not k:
        return np.nan, np.nan
    ordered = np.sort(differences)
    return float(ordered[k - 1]), float(ordered[-k])


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number by Holm's step-down rule; NaN is no test and stays NaN.

    References: Holm 1979, Scand. J. Statist. 6:65-70.
    """
    p = np.asarray(p_values, dtype=np.float64)
    tests = np.flatnonzero(np.isfinite(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.minimum(
        np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0
    )
    return [float(value) for value in corrected]


def compare(scores: Iterable[CaseScore], models: Sequence[str]) -> list[Comparison]:
    """Compare every two models on every organ by DSC, patient by patient.

    models: in the order of the report; of two, the earlier is model a. Holm's correction is over
        the organs, for each two models by themselves.

    Returns: organ by organ, as the organs first appear.
    """
    found: dict[str, dict[str, dict[str, CaseScore]]] = {}  # organ, model, case
    for row in scores:
        by_model = found.setdefault(row.organ, {})
        if np.isfinite(row.dsc):
            by_model.setdefault(row.model, {})[row.case] = row
    pairs = list(combinations(models, 2))
    paired = {}
    corrected = {}
    for a, b in pairs:
        for organ, by_model in found.items():
            paired[organ, a, b] = _paired(by_model.get(a, {}), by_model.get(b, {}))
        p_values = [wilcoxon_p(paired[organ, a, b].differences) for organ in found]
        for organ, p, p_holm in zip(found, p_values, holm(p_values), strict=True):
            corrected[organ, a, b] = (p, p_holm)
    return [
        _comparison(organ, a, b, paired[organ, a, b], *corrected[organ, a, b])
        for organ in found
        for a, b in pairs
    ]


def _paired(of_a: Mapping[str, CaseScore], of_b: Mapping[str, CaseScore]) -> Pairs:
    """The CTs that both models contoured, then the patients they are of."""
    both = [case for case in of_a if case in of_b]
    return Pairs(
        per_patient(of_a[case] for case in both),
        per_patient(of_b[case] for case in both),
        len(both),
    )


def _comparison(organ: str, a: str, b: str, pairs: Pairs, p: float, p_holm: float) -> Comparison:
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
        missed_a=sum(row.is_missed for row in pairs.of_a),
        missed_b=sum(row.is_missed for row in pairs.of_b),
        cts=pairs.cts,
    )
