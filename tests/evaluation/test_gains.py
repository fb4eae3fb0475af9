"""What more patients brought, computed by hand and in trials with a known truth."""

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from recontour.evaluation.gain_report import gains_plot, printed_next, printed_steps
from recontour.evaluation.gains import Advice, Gains, gains_of, next_number
from recontour.evaluation.intervals import Dsc
from recontour.findings import words


def dsc_of(values: Mapping[str, float]) -> Dsc:
    """The DSC of one organ by patient."""
    return {(patient, "Brainstem"): value for patient, value in values.items()}


def gains_with(*differences: float, useful: float = 0.01) -> Gains:
    """The gains of patients who had 0.5 after 3 patients, and so much more after 6."""
    before = {f"p{number}": 0.5 for number in range(len(differences))}
    after = {f"p{number}": 0.5 + change for number, change in enumerate(differences)}
    found = gains_of({3: dsc_of(before), 6: dsc_of(after)}, useful)
    assert found
    return found


def test_a_step_is_the_patients_mean_difference_with_its_t_interval() -> None:
    changes = np.array([0.01, 0.02, 0.06])
    gain = gains_with(*changes).last.gain
    half = stats.t.ppf(0.95, 2) * changes.std(ddof=1) / math.sqrt(3)
    assert gain.mean == pytest.approx(0.03)
    assert (gain.low, gain.high) == pytest.approx((0.03 - half, 0.03 + half))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_next_step_lies_between_nothing_and_as_much_again_and_is_less_certain(
    sign: int,
) -> None:
    gains = gains_with(sign * 0.01, sign * 0.02, sign * 0.06)
    wider = math.sqrt(2) * gains.last.half
    expected = sorted([-sign * wider, sign * (0.03 + wider)])
    assert gains.next_patients == 12
    assert [gains.next_gain.low, gains.next_gain.high] == pytest.approx(expected)


def test_stop_if_the_next_step_cannot_be_useful() -> None:
    assert gains_with(0.001, 0.002, 0.001, 0.002).advice == Advice.STOP
    assert gains_with(0.001, 0.002, 0.001, 0.002, useful=0.001).advice == Advice.GO_ON


def test_go_on_if_the_last_patients_helped() -> None:
    gains = gains_with(0.03, 0.04, 0.03, 0.04)
    assert gains.advice == Advice.GO_ON
    assert "go on" in words(gains.finding())


def test_what_is_not_known_says_how_many_scored_patients_would_tell() -> None:
    gains = gains_with(0.06, -0.02, 0.05, -0.01)
    assert gains.advice == Advice.NOT_KNOWN
    needed = gains.patients_to_tell
    assert needed
    sd = np.std([0.06, -0.02, 0.05, -0.01], ddof=1)

    def low(patients: int) -> float:
        half = stats.t.ppf(0.95, patients - 1) * sd / math.sqrt(patients)
        return 0.02 - float(half)

    assert low(needed) > 0 >= low(needed - 1)
    assert f"about {needed - 4} further scored patients" in words(gains.finding())


def test_one_scored_patient_tells_nothing() -> None:
    gains = gains_with(0.2)
    little = gains.little_is_known()
    assert gains.advice == Advice.NOT_KNOWN
    assert gains.patients_to_tell is None
    assert little
    assert "nothing can be said from 1 scored patient" in words(little)
    assert "nan" not in words(gains.finding()).lower()


def test_of_ten_patients_it_is_said_how_little_is_known_and_of_eleven_it_is_not() -> None:
    changes = np.linspace(0.0, 0.02, 11)
    assert not gains_with(*changes).little_is_known()
    little = gains_with(*changes[:10]).little_is_known()
    assert little
    assert little.unseen == pytest.approx(gains_with(*changes[:10]).last.half)


def test_only_what_every_number_has_scored_counts() -> None:
    two = {("p", "Brainstem"): 0.5, ("q", "Brainstem"): 0.5}
    four = {("p", "Brainstem"): 0.75, ("p", "Lens_L"): 1.0}
    gains = gains_of({4: four, 2: two})
    assert gains
    assert dict(gains.dsc) == {2: 0.5, 4: 0.75}
    assert list(gains.organs) == ["Brainstem"]


@pytest.mark.parametrize("given", [{}, {2: {("p", "Brainstem"): 0.5}}, {2: {}, 4: {}}])
def test_without_two_numbers_there_is_no_gain(given: dict[int, Dsc]) -> None:
    assert gains_of(given) is None


def test_the_next_number_is_as_many_times_more() -> None:
    assert [next_number(3, 6), next_number(5, 10), next_number(2, 3)] == [12, 20, 4]


@pytest.mark.parametrize("next_share", [0.0, 0.5, 1.0])
def test_nine_of_ten_intervals_hold_a_next_step_between_nothing_and_as_much_again(
    next_share: float,
) -> None:
    rng = np.random.default_rng(0)
    trials, held = 400, 0
    true_gain, patients_sd = 0.01, 0.02
    for _ in range(trials):
        gains = gains_with(*rng.normal(true_gain, patients_sd, size=8))
        held += gains.next_gain.low <= next_share * true_gain <= gains.next_gain.high
    # Three standard errors below 90 % of 400 trials.
    assert held / trials > 0.9 - 3 * math.sqrt(0.9 * 0.1 / trials)


def test_with_no_true_gain_it_is_seldom_said_that_more_patients_help() -> None:
    rng = np.random.default_rng(1)
    trials, wrong = 400, 0
    for _ in range(trials):
        wrong += gains_with(*rng.normal(0.0, 0.02, size=8)).advice == Advice.GO_ON
    # The lower end of a 90 % interval lies above the truth in 5 %.
    assert wrong / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_the_table_ends_with_the_step_that_nobody_measured() -> None:
    gains = gains_with(0.01, 0.02, 0.06)
    first, second = printed_steps(gains)
    assert (first.what, first.dsc, first.gain) == ("3 patients", "0.500", "")
    assert (second.what, second.dsc, second.gain) == ("6 patients", "0.530", "+0.030")
    assert printed_next(gains).what == "12 patients, not measured"


def test_the_plot_is_the_same_in_every_run_and_survives_a_single_patient() -> None:
    assert gains_plot(gains_with(0.01, 0.02)) == gains_plot(gains_with(0.01, 0.02))
    assert gains_plot(gains_with(0.01)).startswith("<svg")
