"""The promotion gate: exact, and safe for an organ that the candidate harms."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.conftest import scored

from recontour.evaluation import CaseScore
from recontour.evaluation.gate import (
    Decision,
    Margins,
    Needed,
    Reason,
    counted,
    gate,
    not_tested,
    sign_flip_p,
)
from recontour.evaluation.gate_words import how_many_more, why
from recontour.geometry.arrays import Floats


def rows_of(
    changes: Floats, organ: str = "Lens_L", surface: Floats | None = None
) -> list[CaseScore]:
    """Rows of S, which has 0.5 in each patient, and of ST, which has some changes."""
    rows = []
    moved = changes if surface is None else surface
    for number, (change, other) in enumerate(zip(changes, moved, strict=True)):
        case = f"case-{number}"
        rows.append(scored(case, organ, "S", 0.5, surface_dsc=0.5))
        rows.append(scored(case, organ, "ST", 0.5 + change, surface_dsc=0.5 + other))
    return rows


def mean_of(values: Floats, axis: int) -> Floats:
    return np.asarray(values.mean(axis=axis))


@pytest.mark.parametrize("seed", range(5))
def test_the_sign_flip_test_is_scipys_permutation_test(seed: int) -> None:
    differences = np.round(np.random.default_rng(seed).normal(0.02, 0.05, 9), 4)
    settings: dict[str, Any] = {"permutation_type": "samples", "alternative": "greater"}
    expected = stats.permutation_test((differences,), mean_of, n_resamples=1000, **settings)
    assert sign_flip_p(differences) == pytest.approx(expected.pvalue)


def test_many_patients_are_as_exact_and_agree_with_t() -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.05, 80)
    expected = stats.ttest_1samp(differences, 0, alternative="greater").pvalue
    assert sign_flip_p(differences) == pytest.approx(expected, rel=0.1)


def test_no_difference_says_nothing() -> None:
    assert np.isnan(sign_flip_p(np.array([])))
    assert sign_flip_p(np.zeros(4)) == 1


@pytest.mark.parametrize(
    ("changes", "decision", "reason"),
    [
        (np.full(13, 0.05), Decision.PROMOTE, Reason.NOT_INFERIOR),
        (np.full(13, -0.01), Decision.PROMOTE, Reason.NOT_INFERIOR),  # within the margin
        (np.full(13, -0.03), Decision.KEEP, Reason.WORSE),
        (np.full(3, 0.05), Decision.UNDECIDED, Reason.TOO_FEW),
        (np.tile([0.2, -0.2], 6), Decision.UNDECIDED, Reason.TOO_FEW),
        # an equal model's differences would have such a spread, too, and it would pass
        (-0.02 + np.tile([0.006, -0.006], 10), Decision.KEEP, Reason.WORSE),
    ],
)
def test_decisions(changes: Floats, decision: Decision, reason: Reason) -> None:
    (found,) = gate(rows_of(changes), "S", "ST")
    assert (found.decision, found.reason) == (decision, reason)
    assert found.patients == len(changes)


def test_what_should_have_been_shown_but_was_not_stays_with_the_parent() -> None:
    """Surface DSC is at the margin, so that it is neither within it nor worse than the parent."""
    surface = -0.006 + np.tile([0.03, -0.03], 10)
    margins = Margins(surface_dsc=0.02)
    (found,) = gate(rows_of(np.full(20, 0.05), surface=surface), "S", "ST", margins)
    assert found.power > 0.8
    assert found.decision is Decision.PROMOTE  # 0.014 from the margin, 2 standard errors
    surface = -0.012 + np.tile([0.03, -0.03], 10)
    (found,) = gate(rows_of(np.full(20, 0.05), surface=surface), "S", "ST", margins)
    assert (found.decision, found.reason) == (Decision.KEEP, Reason.NOT_SHOWN)
    assert found.needed is None  # more patients are not what it lacks


def test_surface_dsc_alone_can_forbid_it() -> None:
    (found,) = gate(rows_of(np.full(13, 0.05), surface=np.full(13, -0.05)), "S", "ST")
    assert (found.decision, found.reason) == (Decision.KEEP, Reason.WORSE)


def test_a_wider_margin_lets_more_pass() -> None:
    rows = rows_of(np.full(13, -0.03))
    (found,) = gate(rows, "S", "ST", Margins(dsc=0.05, surface_dsc=0.05))
    assert found.decision is Decision.PROMOTE


def test_an_organ_that_is_missed_more_often_is_not_promoted() -> None:
    rows = rows_of(np.full(30, 0.2))
    missed = scored("case-0", "Lens_L", "ST", 0.0, hd95_mm=np.inf, volume_bias_percent=-100)
    rows[1] = missed
    (found,) = gate(rows, "S", "ST")
    assert (found.decision, found.reason) == (Decision.KEEP, Reason.MISSED_MORE)
    assert (found.missed_parent, found.missed_candidate) == (0, 1)
    assert why(found) == "missed in 1 patient; the model in use missed it in 0"


def test_an_organ_that_neither_found_is_undecided() -> None:
    lost = {"surface_dsc": 0.0, "hd95_mm": np.inf, "volume_bias_percent": -100.0}
    rows = []
    for case in "abcdefgh":
        rows += [scored(case, "Lens_L", model, 0.0, **lost) for model in ("S", "ST")]
    (found,) = gate(rows, "S", "ST")
    assert (found.decision, found.reason) == (Decision.UNDECIDED, Reason.FOUND_BY_NEITHER)
    assert why(found) == "found by neither model in 8 patients"


def test_a_lens_that_both_draw_elsewhere_was_not_missed() -> None:
    """Its DSC is 0 as well: nothing speaks for either model, but a contour is there."""
    rows = []
    for case in "abcdefgh":
        rows += [scored(case, "Lens_L", model, 0.0, surface_dsc=0.0) for model in ("S", "ST")]
    (found,) = gate(rows, "S", "ST")
    assert (found.decision, found.reason) == (Decision.UNDECIDED, Reason.FOUND_BY_NEITHER)
    assert why(found) == "in 8 patients, neither model's contours overlap the reference"


def test_beyond_the_most_patients_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recontour.evaluation.gate.MOST_PATIENTS", 60)
    changes = -0.019 + np.tile([0.9, -0.9], 33)
    (found,) = gate(rows_of(changes), "S", "ST")
    assert found.decision is Decision.UNDECIDED
    assert found.needed == Needed(likely=None, fewest=None, most=None)


def test_patients_without_a_dsc_do_not_count() -> None:
    rows = rows_of(np.full(8, 0.05))
    rows += [scored("empty", "Lens_L", model, np.nan) for model in ("S", "ST")]
    rows.append(scored("alone", "Lens_L", "ST", 0.9))
    (found,) = gate(rows, "S", "ST")
    assert found.patients == 8


def test_one_patient_decides_nothing() -> None:
    (found,) = gate(rows_of(np.array([0.3])), "S", "ST")
    assert found.decision is Decision.UNDECIDED
    assert found.needed is None
    assert why(found) == (
        "1 patient cannot decide: a model as good as the one in use had almost no chance of "
        "being promoted"
    )


def test_more_organs_need_more() -> None:
    """Five patients can show one organ (p = 1/32), but not three of them."""
    changes = np.full(5, 0.05)
    (alone,) = gate(rows_of(changes), "S", "ST")
    assert alone.decision is Decision.PROMOTE
    rows = [*rows_of(changes), *rows_of(changes, "Lens_R"), *rows_of(changes, "Larynx")]
    for one in gate(rows, "S", "ST"):
        assert one.p_holm == pytest.approx(3 / 32)
        assert one.decision is Decision.UNDECIDED
        assert one.needed == Needed(likely=1, fewest=1, most=1)  # 3/64 is less than 5 %


def test_no_number_of_patients_helps_below_the_margin() -> None:
    changes = -0.05 + np.tile([0.2, -0.2], 3)
    (found,) = gate(rows_of(changes), "S", "ST")
    assert found.decision is Decision.UNDECIDED
    assert found.needed
    assert found.needed.likely is None
    assert how_many_more(found.needed).startswith("no number of patients, if the means stay")


def test_the_forecast_is_the_power_it_promises() -> None:
    """As many patients more as it says, of the mean and spread seen, pass in about 80 %."""
    rng = np.random.default_rng(1)
    seen = 0.01 + 0.06 * stats.zscore(rng.normal(size=10), ddof=1)
    (found,) = gate(rows_of(seen), "S", "ST")
    assert found.needed
    assert found.needed.likely
    drawn = rng.normal(0.01, 0.06, (400, 10 + found.needed.likely))
    passed = np.mean([sign_flip_p(one + 0.02) < 0.05 for one in drawn])
    assert passed > 0.8  # each of both measures has 90 %


def test_a_harmed_organ_is_rarely_promoted() -> None:
    """At most 5 % of 1000 trials, with 3 standard errors of 0.7 %; the truth is far below."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(-0.03, 0.05, (1000, 13))
    promoted = np.mean([sign_flip_p(one + 0.02) < 0.05 for one in drawn])
    assert promoted < 0.05


def test_words() -> None:
    assert counted([not_tested("Lens_L")])[Decision.PROMOTE] == []
    assert "nothing to compare with" in why(not_tested("Lens_L", has_parent=False))
    assert how_many_more(None) == ""
    assert how_many_more(Needed(None, None, None)) == "no number of patients would promote it"
    more = how_many_more(Needed(likely=1, fewest=1, most=7))
    assert more == "about 1 patient more, if the means stay (1 to 7)"


def test_a_promoted_organ_that_is_worse_all_the_same_is_said_to_be() -> None:
    changes = np.linspace(-0.012, -0.008, 20)

    (found,) = gate(rows_of(changes), "S", "ST", Margins())

    assert found.decision is Decision.PROMOTE
    assert why(found) == (
        "in 20 patients, not worse by more than the margins, but worse than the model in use"
    )
