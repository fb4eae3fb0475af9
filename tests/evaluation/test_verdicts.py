"""Verdicts: a decision and its numbers, from comparisons whose outcome is known."""

from dataclasses import replace
from math import nan

import pytest
from tests.evaluation.conftest import scored

from recontour.evaluation import CaseScore, Verdict, compare, judge
from recontour.evaluation.findings import UnfoundOrgans
from recontour.evaluation.summary import in_words, tables
from recontour.evaluation.verdicts import of_interval, unfound_organs


def paired(organ: str, patients: int, gain: float, *, varied: bool = False) -> list[CaseScore]:
    """Scores of S and T on some patients; T's differ by `gain`, with turning sign if varied."""
    rows = []
    for k in range(patients):
        change = gain * (-1) ** k if varied else gain
        rows.append(scored(f"p{k}", organ, "S", 0.5 + k / 100))
        rows.append(scored(f"p{k}", organ, "T", 0.5 + k / 100 + change))
    return rows


def test_every_verdict_where_it_belongs() -> None:
    scores = [
        *paired("Brainstem", 10, 0.1),
        *paired("Lens_L", 10, -0.1),
        *paired("Parotid_L", 10, 0.01, varied=True),
        *paired("Pituitary", 5, 0.1),
    ]
    found = judge(scores, compare(scores, ["S", "T"]), "S", "T")
    assert {organ.organ: organ.verdict for organ in found.organs} == {
        "Brainstem": Verdict.BETTER,
        "Lens_L": Verdict.WORSE,
        "Parotid_L": Verdict.NO_CONCLUSIVE_DIFFERENCE,
        "Pituitary": Verdict.TOO_FEW,  # the smallest p of five pairs is 2 / 2^5
    }
    assert found.mean_difference == pytest.approx((0.1 - 0.1 + 0 + 0.1) / 4)


def test_a_gain_is_over_the_cases_that_both_scored_and_no_model_is_best_over_others() -> None:
    """Contours from elsewhere may lack the hard cases."""
    scores = paired("Brainstem", 4, 0.01)
    easy = [row for row in scores if row.model == "S" or row.case in ("p2", "p3")]
    found = judge(easy, compare(easy, ["S", "T"]), "S", "T")
    assert found.mean_difference == pytest.approx(0.01)

    def best(rows: list[CaseScore]) -> list[bool]:
        return [cell.best for cell in tables(rows, ["S", "T"], ["Brainstem"])[0].rows[0].cells]

    assert best(scores) == [False, True]
    assert best(easy) == [False, False]


@pytest.mark.parametrize(("organs", "expected"), [(1, Verdict.BETTER), (2, Verdict.TOO_FEW)])
def test_holm_s_correction_can_leave_too_few(organs: int, expected: Verdict) -> None:
    """Six pairs reach p = 2 / 2^6 = 0.03 for one organ, and twice that for two."""
    scores = []
    for organ in ("Brainstem", "Lens_L")[:organs]:
        scores += paired(organ, 6, 0.1)
    found = judge(scores, compare(scores, ["S", "T"]), "S", "T")
    assert {organ.verdict for organ in found.organs} == {expected}


def test_an_organ_that_one_model_lacks_is_not_judged() -> None:
    scores = [*paired("Brainstem", 10, 0.1), scored("p0", "Larynx", "T", 0.5)]
    found = judge(scores, compare(scores, ["S", "T"]), "S", "T")
    assert [organ.organ for organ in found.organs] == ["Brainstem"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.02, Verdict.BETTER),
        (-0.02, -0.01, Verdict.WORSE),
        (-0.01, 0.01, Verdict.NO_CONCLUSIVE_DIFFERENCE),
        (0.0, 0.01, Verdict.NO_CONCLUSIVE_DIFFERENCE),
        (nan, nan, Verdict.TOO_FEW),
    ],
)
def test_an_interval_s_verdict(low: float, high: float, expected: Verdict) -> None:
    assert of_interval(low, high) is expected


def test_no_verdict_on_an_organ_that_neither_model_found() -> None:
    """With ten patients a verdict on the lens would otherwise be "no conclusive difference"."""
    scores = []
    for case in map(str, range(10)):
        for model in ("S", "T", "ST"):
            lens = 0.5 if model == "T" else 0.0
            scores.append(scored(case, "Lens_L", model, lens))
            scores.append(scored(case, "Brainstem", model, 0.5 + int(case) / 100))
    comparisons = compare(scores, ["S", "T", "ST"])
    judged = judge(scores, comparisons, "S", "ST")
    assert {organ.organ: organ.verdict for organ in judged.organs} == {
        "Lens_L": Verdict.FOUND_BY_NEITHER,
        "Brainstem": Verdict.NO_CONCLUSIVE_DIFFERENCE,
    }
    judged = judge(scores, comparisons, "S", "T")
    assert {organ.organ: organ.verdict for organ in judged.organs}["Lens_L"] is Verdict.BETTER
    assert in_words(judge(scores, comparisons, "S", "ST")).unfound == 1
    assert unfound_organs(scores) is None
    without_t = [row for row in scores if row.model != "T"]
    some = UnfoundOrgans(models=("S", "ST"), organs=("Lens_L",), others=1)
    assert unfound_organs(without_t) == some
    lenses = [row for row in without_t if row.organ == "Lens_L"]
    assert unfound_organs(lenses) == replace(some, others=0)


@pytest.mark.parametrize("dsc", [0.0, 0.004])
def test_no_model_is_best_at_finding_nothing(dsc: float) -> None:
    """Neither by DSC, nor by a volume bias that both share."""
    scores = [
        scored("a", "Lens_L", model, dsc, volume_bias_percent=-100.0, surface_dsc=0.0)
        for model in ("S", "T")
    ]
    for table in tables(scores, ["S", "T"], ["Lens_L"]):
        assert not any(cell.best for cell in table.rows[0].cells), table.measure
    scores[1] = replace(scores[1], dsc=0.4)
    dice, *_ = tables(scores, ["S", "T"], ["Lens_L"])
    assert [cell.best for cell in dice.rows[0].cells] == [False, True]
