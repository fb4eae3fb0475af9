"""Control charts signal where a prediction from the baseline would not have a value."""

import csv
from math import inf, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t as student

from recontour.evaluation.control_chart import (
    ALL,
    LEAST_SD,
    LEVEL,
    RUN,
    Chart,
    ChartMeasure,
    Patient,
    charts_of,
    far_patients,
    statements,
    usual_of,
    write_points,
)
from recontour.evaluation.findings import Drifted, NotCharted, NotDrifted
from recontour.findings import words
from recontour.network.spread import Spread

STEADY = (0.78, 0.82, 0.79, 0.81, 0.80)


def patients_of(
    values: list[float], organ: str = "Brainstem", measure: ChartMeasure = "dsc"
) -> list[Patient]:
    found = []
    for index, value in enumerate(values):
        found.append(Patient(f"north-{index}", {organ: {measure: value}}))
    return found


def chart(values: list[float], measure: ChartMeasure = "dsc", level: float = 0.01) -> Chart:
    cases = tuple(map(str, range(len(values))))
    return Chart("Brainstem", measure, Spread(0.8, 0.02, 5), cases, tuple(values), 0, level)


def test_the_limits_are_those_of_a_prediction() -> None:
    lower, upper = chart([]).limits(5)
    assert lower == pytest.approx(0.8 - student.isf(0.01, 4) * 0.02 * sqrt(1 / 5 + 1 / 5))
    assert upper == inf
    lower, upper = chart([], "right").limits(1)
    reach = student.isf(0.005, 4) * 0.02 * sqrt(1 + 1 / 5)
    assert (lower, upper) == pytest.approx((0.8 - reach, 0.8 + reach))


def test_a_normal_value_is_far_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    runs, level = 4000, 0.02
    far = 0
    for _ in range(runs):
        baseline = rng.normal(size=8)
        usual = Spread(float(baseline.mean()), float(baseline.std(ddof=1)), 8)
        one = Chart("Lens_L", "right", usual, ("1",), (rng.normal(),), 0, level)
        far += bool(one.far)
    spread = sqrt(level * (1 - level) / runs)
    assert abs(far / runs - level) < 4 * spread


def test_one_far_patient_does_not_signal() -> None:
    one = chart([0.8, 0.1, 0.8, 0.8, 0.8])
    assert one.far == (1,)
    assert not one.signals
    assert not chart([1.0] * 9).far


def test_four_patients_in_a_row_signal() -> None:
    lower, _ = chart([]).limits()
    below = lower - 0.001
    assert not chart([0.8, below, below, below, 0.8, below]).signals
    found = chart([0.8, below, below, below, below, below])
    assert [(signal.first, signal.last) for signal in found.signals] == [(1, 4), (2, 5)]
    assert not found.far
    (signal,) = chart([9.0] * 4, "right").signals
    assert signal.limit == chart([], "right").limits()[1]


def test_both_sides_of_a_chart_are_no_run() -> None:
    assert not chart([9.0, 9.0, -9.0, -9.0, 9.0], "right").signals


def test_the_baseline_does_not_signal() -> None:
    charts, _ = charts_of(patients_of([*STEADY, *[0.1] * 7]), 8)
    assert not any(signal.first < 8 for one in charts for signal in one.signals)


def test_equal_values_do_not_make_every_voxel_an_alarm() -> None:
    charts, _ = charts_of(patients_of([0.0] * 6 + [0.9] * 4, measure="caudal"), 5)
    (one,) = charts
    assert one.usual.sd == LEAST_SD["caudal"]
    assert not one.signals


def test_all_charts_share_the_level() -> None:
    charts, _ = charts_of(patients_of([*STEADY, 0.8]), 5)
    levels = sum(one.level for one in charts)
    assert levels == pytest.approx(LEVEL * 3 / 4)  # without a surface DSC over all organs


def test_an_organ_of_few_patients_has_no_chart() -> None:
    patients = patients_of([*STEADY, 0.8])
    patients[5] = Patient("north-5", {"Lens_L": {"dsc": 0.1}, "Brainstem": {"dsc": 0.8}})
    charts, lacking = charts_of(patients, 5)
    assert {one.organ for one in charts} == {ALL, "Brainstem"}
    assert lacking == [NotCharted(organ="Lens_L", patients=0, fewest=5)]


def test_what_is_missing_is_no_value() -> None:
    patients = patients_of([*STEADY, 0.8, 0.8])
    patients[2] = Patient("north-2", {})
    patients[5] = Patient("north-5", {"Brainstem": {"dsc": float("nan")}})
    charts, _ = charts_of(patients, 6)
    assert not charts or all(one.cases[one.baseline :] == ("north-6",) for one in charts)


def test_without_patients_there_is_no_chart() -> None:
    assert charts_of([], 5) == ([], [])
    assert usual_of([]) == {}


def test_the_mean_over_organs_is_of_the_differences() -> None:
    """An organ that some patients lack does not move it."""
    patients = []
    for index, value in enumerate([*STEADY, *STEADY]):
        organs: dict[str, dict[ChartMeasure, float]] = {"Brainstem": {"dsc": value}}
        if index % 2:
            organs["Lens_L"] = {"dsc": value - 0.5}
        patients.append(Patient(str(index), organs))
    charts, _ = charts_of(patients, 10)
    overall = next(one for one in charts if one.organ == ALL)
    assert np.abs(overall.values).max() < 0.03


def test_limits_from_a_file_have_no_baseline() -> None:
    given: dict[str, dict[ChartMeasure, Spread]] = {"Brainstem": {"dsc": Spread(0.8, 0.02, 12)}}
    charts, _ = charts_of(patients_of([0.4] * 4), limits=given)
    assert [(one.organ, one.baseline, one.usual.patients) for one in charts] == [
        (ALL, 0, 12),
        ("Brainstem", 0, 12),
    ]
    assert charts[1].usual.sd == 0.02
    assert charts[0].usual == Spread(0.0, 0.02, 12)
    assert all(one.signals for one in charts)


def test_a_statement_says_what_since_when_and_by_how_much() -> None:
    patients = patients_of([*STEADY, 0.8, 0.3, 0.3, 0.3, 0.3])
    charts, _ = charts_of(patients, 5)
    cases = [patient.case for patient in patients]
    said = {one.organ: one for one in statements(charts, cases)}
    stem = said["Brainstem"]
    assert isinstance(stem, Drifted)
    assert (stem.measure, stem.first, stem.last, stem.since) == ("dsc", 7, 10, "north-6")
    assert words(stem).startswith(
        "Brainstem: DSC fell in 4 patients in a row, 7 to 10 (since north-6): 0.300, usually 0.800"
    )
    assert words(said[ALL]).startswith(
        "mean over organs: DSC fell in 4 patients in a row, 7 to 10 (since north-6), "
        "to 0.500 below usual on average (limit "
    )
    steady, _ = charts_of(patients[:6], 5)
    said_of_steady = statements(steady, cases)[1]
    assert said_of_steady == NotDrifted(organ="Brainstem", patients=1, needed=RUN)
    assert words(said_of_steady) == "Brainstem: 1 patient watched; a change can show from 4 on"


def test_a_far_patient_is_named_once() -> None:
    patients = patients_of([*STEADY, 0.8, 0.1, 0.8])
    charts, _ = charts_of(patients, 5)
    (far,) = far_patients(charts, [patient.case for patient in patients])
    assert (far.case, far.where) == ("north-6", ("Brainstem (DSC)",))


def test_directions_are_said_in_mm() -> None:
    values = [0.1, -0.1, 0.0, 0.2, -0.2, *[9.0] * 4]
    patients = patients_of(values, measure="caudal")
    charts, _ = charts_of(patients, 5)
    (said,) = statements(charts, [patient.case for patient in patients])
    assert "drafts lie further out at the lower end in 4 patients in a row, 6 to 9" in words(said)
    assert "+9.0 mm, usually 0.0 mm" in words(said)


def test_every_point_is_written(tmp_path: Path) -> None:
    patients = patients_of([*STEADY, *[0.3] * 4])
    charts, _ = charts_of(patients, 5)
    write_points(tmp_path / "points.csv", charts, [patient.case for patient in patients])
    with (tmp_path / "points.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["organ"] == "Brainstem"]
    assert [row["value"] for row in rows] == list(map(str, [*STEADY, *[0.3] * 4]))
    assert [row["signals"] for row in rows] == ["0"] * 8 + ["1"]
    assert [row["is_far"] for row in rows] == ["0"] * 5 + ["1"] * 4
    assert rows[0]["moving_range"] == ""
    assert float(rows[5]["moving_range"]) == pytest.approx(0.5)
