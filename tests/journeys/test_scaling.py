"""benchmarks/scaling.py: its verdicts on costs that are known."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import scaling

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CASES = (10, 34, 68, 136)
NOISE = (1.01, 0.99, 1.01, 0.99)


@pytest.fixture
def growth(monkeypatch: pytest.MonkeyPatch) -> "Callable[..., scaling.Growth]":
    monkeypatch.syspath_prepend(BENCHMARKS)
    found: Callable[..., scaling.Growth] = importlib.import_module("scaling").growth
    return found


@pytest.mark.parametrize(
    ("cost", "exponent", "verdict"),
    [
        (lambda n: 2 + 0.05 * n, 1.0, "linear"),
        (lambda n: 2 + 0.05 * n**0.5, 0.5, "linear"),
        (lambda n: 2 + 0.001 * n**2, 2.0, "WORSE THAN LINEAR"),
        (lambda n: 2 + 0.0005 * n, 1.0, "flat"),
    ],
)
def test_growth_is_told_above_the_constant(
    growth: "Callable[..., scaling.Growth]",
    cost: Callable[[int], float],
    exponent: float,
    verdict: str,
) -> None:
    told = growth(CASES, [cost(n) for n in CASES])
    # Exponents are tried in steps of 0.05.
    assert told.exponent == pytest.approx(exponent, abs=0.06)
    assert told.verdict == verdict


def test_a_quadratic_part_is_told_by_its_share_at_the_largest_size(
    growth: "Callable[..., scaling.Growth]",
) -> None:
    told = growth(CASES, [1 + 0.02 * n + 0.0002 * n**2 for n in CASES])
    share = 0.0002 * 136**2 / (1 + 0.02 * 136 + 0.0002 * 136**2)
    assert told.quadratic_share == pytest.approx(share)
    assert told.constant == pytest.approx(1)
    assert told.verdict == "WORSE THAN LINEAR"


def test_a_little_noise_makes_nothing_quadratic(growth: "Callable[..., scaling.Growth]") -> None:
    for noise in (NOISE, NOISE[::-1]):
        costs = [(0.4 + 0.02 * n) * error for n, error in zip(CASES, noise, strict=True)]
        assert growth(CASES, costs).verdict == "linear"
