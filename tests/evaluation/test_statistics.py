from itertools import product
from math import comb, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.evaluation.conftest import scored

from recontour.evaluation import Comparison, compare
from recontour.evaluation.statistics import holm, median_interval, rank_biserial, wilcoxon_p
from recontour.geometry.arrays import Floats

tied = st.lists(st.integers(-3, 3), min_size=1, max_size=9).map(
    lambda values: np.array(values) / 10
)
p_values = st.lists(st.floats(1e-6, 1), min_size=1, max_size=12)


def p_by_enumeration(differences: Floats) -> float:
    """Return the share of all ways to sign the ranks whose sum is as far off as the one seen."""
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    seen = abs(np.sign(kept) @ ranks)
    sums = np.array([np.dot(signs, ranks) for signs in product((-1, 1), repeat=len(kept))])
    return float(np.mean(np.abs(sums) >= seen - 1e-9))


@given(tied)
def test_p_with_ties_and_zeros_equals_enumeration(differences: Floats) -> None:
    assert wilcoxon_p(differences) == pytest.approx(p_by_enumeration(differences))


@pytest.mark.parametrize("n", [1, 2, 5, 10, 30, 60])
def test_p_without_ties_equals_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.1, 1, n)
    assert wilcoxon_p(differences) == pytest.approx(
        stats.wilcoxon(differences, method="exact").pvalue
    )


def test_ten_pairs_that_all_improve_have_the_smallest_p_possible() -> None:
    assert wilcoxon_p(np.linspace(0.01, 0.1, 10)) == 2 / 2**10


def test_differences_that_only_round_off_tells_apart_are_ties() -> None:
    """0.8 - 0.7 and 0.9 - 0.8 differ by 1e-16; 0.3 - 0.1 - 0.2 is no difference."""
    assert wilcoxon_p(np.array([0.8 - 0.7, -(0.9 - 0.8), 0.3 - 0.1 - 0.2])) == 1
    assert rank_biserial(np.array([0.8 - 0.7, -(0.9 - 0.8)])) == 0


@given(tied)
def test_swapping_the_models_turns_the_effect_and_keeps_p(differences: Floats) -> None:
    assert wilcoxon_p(-differences) == wilcoxon_p(differences)
    assert rank_biserial(-differences) == -rank_biserial(differences)


@pytest.mark.parametrize(
    ("differences", "p", "effect"),
    [([], nan, nan), ([0.0, 0.0], 1.0, 0.0), ([0.1, 0.2, -0.05], 0.5, 4 / 6)],
)
def test_stated_cases(differences: list[float], p: float, effect: float) -> None:
    values = np.array(differences)
    assert wilcoxon_p(values) == pytest.approx(p, nan_ok=True)
    assert rank_biserial(values) == pytest.approx(effect, nan_ok=True)


def test_holm_by_hand() -> None:
    """Holm's steps by hand.

    0.01 x 4, 0.02 x 3, 0.03 x 2 raised to 0.06, 0.04 x 1 raised to 0.06; NaN is no test.
    """
    assert holm([0.04, 0.01, nan, 0.03, 0.02]) == pytest.approx(
        [0.06, 0.04, nan, 0.06, 0.06], nan_ok=True
    )


@given(p_values)
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    corrected = holm(values)
    for p, p_holm in zip(values, corrected, strict=True):
        assert p <= p_holm <= min(1, p * len(values) * (1 + 1e-12))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(corrected)[order]) >= 0)


@pytest.mark.parametrize("n", [6, 7, 8, 9, 10, 13, 20, 60])
def test_the_median_interval_is_the_narrowest_that_covers_95_percent(n: int) -> None:
    """The median lies outside the k-th smallest and largest where fewer than k of n fair coins fall
    to one side.
    """
    low, high = median_interval(np.random.default_rng(n).permutation(np.arange(1.0, n + 1)))
    assert low + high == n + 1
    outside, outside_the_next = (
        2 * sum(comb(n, heads) for heads in range(int(k))) / 2**n for k in (low, low + 1)
    )
    assert outside <= 0.05 < outside_the_next


@pytest.mark.parametrize("n", [0, 1, 3, 5])
def test_too_few_pairs_have_no_median_interval(n: int) -> None:
    """Even the smallest and the largest of five cover the median only with 1 - 2 / 2^5."""
    assert all(isnan(end) for end in median_interval(np.linspace(0.01, 0.05, n)))


def test_every_two_models_are_compared_organ_by_organ() -> None:
    scores = [
        scored(f"case{k}", organ, model, base + k / 100 + gain * (k + 1))
        for k in range(5)
        for organ, base in (("Lens_L", 0.5), ("Brainstem", 0.8))
        for model, gain in (("S", 0.0), ("T", -0.01), ("ST", 0.02))
    ]
    found = compare(scores, ["S", "T", "ST"])
    assert [(row.organ, row.model_a, row.model_b) for row in found] == [
        (organ, a, b)
        for organ in ("Lens_L", "Brainstem")
        for a, b in (("S", "T"), ("S", "ST"), ("T", "ST"))
    ]
    s_t, s_st, _ = found[:3]
    assert s_t.median_difference == pytest.approx(-0.03)
    assert s_st.median_difference == pytest.approx(0.06)
    assert (s_t.rank_biserial, s_st.rank_biserial) == (-1, 1)
    assert {row.n for row in found} == {5}
    assert {row.p for row in found} == {2 / 2**5}
    assert {row.p_holm for row in found} == {2 * 2 / 2**5}  # two organs


def test_only_cases_that_both_models_scored_are_pairs() -> None:
    scores = [
        scored("both", "Lens_L", "S", 0.5),
        scored("both", "Lens_L", "T", 0.6),
        scored("empty", "Lens_L", "S", nan),
        scored("empty", "Lens_L", "T", 0.0),
        scored("alone", "Lens_L", "S", 0.7),
        scored("alone", "Pituitary", "S", 0.7),
    ]
    lens, pituitary = compare(scores, ["S", "T"])
    assert (lens.n, lens.p, lens.p_holm) == (1, 1.0, 1.0)  # the only test: no organ to correct for
    assert lens.median_difference == pytest.approx(0.1)
    assert pituitary.n == 0
    assert all(
        isnan(value) for value in (pituitary.p, pituitary.p_holm, pituitary.median_difference)
    )


def test_one_model_has_nothing_to_compare() -> None:
    nothing: list[Comparison] = []
    assert compare([scored("a", "Lens_L", "S", 0.5)], ["S"]) == nothing
