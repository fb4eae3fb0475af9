"""A patient counts once, with one CT or several."""

from dataclasses import replace
from math import inf, isnan, nan

import pytest
from tests.evaluation.conftest import scored

from recontour.evaluation import CaseScore, compare, mean_over_organs, per_patient
from recontour.evaluation.patients import patients_and_cts
from recontour.evaluation.summary import tables, tile


def five_patients(cts_of_the_last: int) -> list[CaseScore]:
    """Model T is ahead by 0.01 to 0.05; the last patient has so many CTs."""
    rows = []
    for patient in range(5):
        for ct in range(cts_of_the_last if patient == 4 else 1):
            for model, dsc in (("S", 0.5), ("T", 0.51 + patient / 100)):
                row = scored(f"p{patient}-{ct}", "Lens_L", model, dsc)
                rows.append(replace(row, patient=f"p{patient}-0"))
    return rows


@pytest.mark.parametrize("cts", [1, 2, 7])
def test_a_patient_with_several_cts_makes_no_test_surer(cts: int) -> None:
    (found,) = compare(five_patients(cts), ["S", "T"])
    assert (found.n, found.cts) == (5, 4 + cts)
    assert found.p == found.p_holm == 2 / 2**5  # 0.062, not the 0.031 of six pairs
    assert found.median_difference == pytest.approx(0.03)
    assert isnan(found.median_low), "there is none of five patients"


def test_a_patients_value_is_the_mean_over_the_cts() -> None:
    rows = [
        replace(
            scored("a", "Lens_L", "S", 0.2, hd95_mm=2.0, volume_bias_percent=-10.0, msd_mm=1.0),
            patient="a",
            surface_dsc_1mm=0.25,
            surface_dsc_2mm=0.5,
        ),
        replace(
            scored("b", "Lens_L", "S", 0.4, hd95_mm=4.0, volume_bias_percent=30.0, msd_mm=2.0),
            patient="a",
            surface_dsc_1mm=0.75,
        ),
        replace(scored("b", "Eye_L", "S", 0.7), patient="a"),
        scored("c", "Lens_L", "S", 0.9),
    ]
    both, eye, other = per_patient(rows)
    assert (both.case, both.hd95_mm, both.volume_bias_percent, both.msd_mm) == ("a", 3.0, 10.0, 1.5)
    assert both.dsc == pytest.approx(0.3)
    assert (both.surface_dsc_1mm, both.surface_dsc_2mm) == (0.5, 0.5)
    assert (eye.case, eye.organ, eye.dsc) == ("a", "Eye_L", 0.7)
    assert other == rows[-1]
    assert per_patient(per_patient(rows)) == per_patient(rows)
    assert mean_over_organs(rows, "S", ["Lens_L"]) == pytest.approx((0.3 + 0.9) / 2)
    assert patients_and_cts(rows) == (2, 3)


def test_an_organ_missed_on_one_ct_is_missed_in_that_patient_once() -> None:
    missed = scored("b", "Lens_L", "S", 0.0, hd95_mm=inf, volume_bias_percent=-100.0)
    rows = [replace(scored("a", "Lens_L", "S", 0.8), patient="a"), replace(missed, patient="a")]
    assert tile(rows, "S", ["Lens_L"]).missed == "1 of 1"
    (cell,) = tables(rows, ["S"], ["Lens_L"])[0].rows[0].cells
    assert (cell.missed, cell.main) == (1, "0.40")


def test_a_ct_that_only_one_model_contoured_is_not_compared() -> None:
    rows = [*five_patients(2)]
    lone = replace(scored("p4-9", "Lens_L", "T", 0.0), patient="p4-0")
    assert compare([*rows, lone], ["S", "T"]) == compare(rows, ["S", "T"])


def test_what_is_not_a_number_is_left_out_of_a_patients_mean() -> None:
    rows = [
        replace(scored(case, "Lens_L", "S", dsc), patient="a")
        for case, dsc in (("a", nan), ("b", 0.5))
    ]
    assert per_patient(rows)[0].dsc == 0.5
    assert isnan(per_patient([replace(row, dsc=nan) for row in rows])[0].dsc)
