"""Whether something has drifted: control charts of individual patients, after a short baseline.

A chart has one value per patient, in the order of time. What is usual is the mean and the sample
standard deviation of a baseline of n patients. A chart signals if four patients in a row lie beyond
the same limit. This is a run rule, as Nelson's fifth and sixth are, with limits that allow for how
little a short baseline knows: the mean of k new patients of a normal distribution lies within mean
± t sd sqrt(1/k + 1/n), where t is of n - 1 degrees of freedom. That all four lie beyond is much
less likely than that their mean does, and a single failure, of which scores have many, never
signals. The level behind t is shared by all charts of one run, so that there are few false alarms
in all of them together (decision 059 says how many, measured).

A patient beyond the limits of a single one, Nelson's first rule, is to be looked at, but is no
drift. A score has a lower limit only: contours that need less correction are no alarm.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite, sqrt
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from scipy.stats import t as student

from recontour.evaluation.findings import (
    Drifted,
    FarPatient,
    NotCharted,
    NotDrifted,
)
from recontour.evaluation.measure_words import measure_name
from recontour.files import write_text
from recontour.geometry.offsets import DIRECTIONS, Measure
from recontour.network.spread import Spread, spread_of
from recontour.texts import csv_text

ScoreMeasure = Literal["dsc", "surface_dsc"]
ChartMeasure = ScoreMeasure | Measure
SCORES: tuple[ScoreMeasure, ...] = get_args(ScoreMeasure)
CHART_MEASURES: tuple[ChartMeasure, ...] = (*SCORES, *DIRECTIONS)

# The chart of all organs: of each patient, the mean difference from what is usual of the organs.
ALL = "mean over organs"
# Patients in a row that make a signal. benchmarks/drift.py measured it.
RUN = 4
# Of the limits of all charts together.
LEVEL = 0.05
# Half of the level is the mean over organs', whose two charts see most of what changes everywhere.
SHARE_OF_ALL = 0.5
SAME = 1e-6  # of a mean or a standard deviation: less is rounding
FEWEST = 5  # patients of a baseline
USUAL_BASELINE = 10
# The least standard deviation: what rounding to pixels and slices makes of equal contours.
LEAST_SD: Mapping[ChartMeasure, float] = {
    "dsc": 0.005,
    "surface_dsc": 0.005,
    "right": 0.3,
    "left": 0.3,
    "anterior": 0.3,
    "posterior": 0.3,
    "cranial": 0.9,
    "caudal": 0.9,
}

# By organ and measure; what could not be measured is missing.
Measured = Mapping[str, Mapping[ChartMeasure, float]]


@dataclass(frozen=True, slots=True)
class Patient:
    """What was measured on one patient. case: how the patient is named."""

    case: str
    measured: Measured


def of_persons(patients: Iterable[Patient], person_of: Mapping[str, str]) -> list[Patient]:
    """Return one patient per person, with the means over the person's CTs.

    patients: one per CT, in the order of time; a person keeps the place and the name of the first.
    person_of: by case.

    >>> cts = [Patient("a", {"Lens_L": {"dsc": 0.5}}), Patient("b", {"Lens_L": {"dsc": 1.0}})]
    >>> of_persons(cts, {"a": "1", "b": "1"})
    [Patient(case='a', measured={'Lens_L': {'dsc': 0.75}})]
    """
    by_person: dict[str, list[Patient]] = {}
    for patient in patients:
        by_person.setdefault(person_of[patient.case], []).append(patient)
    return [_mean_of(cts) for cts in by_person.values()]


def _mean_of(cts: Sequence[Patient]) -> Patient:
    """Return one person's means over the CTs on which each measure is known."""
    of_person: dict[str, dict[ChartMeasure, float]] = {}
    for organ in _organs(cts):
        of_person[organ] = {}
        for measure in CHART_MEASURES:
            _, values = _series(cts, organ, measure)
            if values:
                of_person[organ][measure] = float(np.mean(values))
    return Patient(cts[0].case, of_person)


# By organ and measure, as in limits.json.
AllUsual = Mapping[str, Mapping[ChartMeasure, Spread]]


@dataclass(frozen=True, slots=True)
class Signal:
    """Patients in a row beyond one limit of a chart.

    first, last: the places of the patients among the chart's values. value: their mean.
    """

    first: int
    last: int
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One measure of one organ, patient after patient.

    cases, values: of the patients in whom it was measured. baseline: how many of them, from the
    first, say what is usual; 0 if that came from a file. level: of its limits.
    """

    organ: str
    measure: ChartMeasure
    usual: Spread
    cases: tuple[str, ...]
    values: tuple[float, ...]
    baseline: int
    level: float

    def limits(self, patients: int = RUN) -> tuple[float, float]:
        """Return the limits beyond which each of some patients in a row must lie.

        patients: 4 for a signal, 1 for a patient to look at. A score has no upper limit.

        >>> chart = Chart("Lens_L", "dsc", Spread(0.8, 0.02, 10), (), (), 0, 0.005)
        >>> [round(limit, 3) for limit in chart.limits()]
        [0.762, inf]
        """
        is_score = self.measure in SCORES
        factor = _factor(self.level if is_score else self.level / 2, self.usual.patients, patients)
        reach = factor * self.usual.sd
        upper = float("inf") if is_score else self.usual.mean + reach
        return self.usual.mean - reach, upper

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Return every run of four patients beyond a limit, in the order of time."""
        lower, upper = self.limits()
        found = []
        for first in range(self.baseline, len(self.values) - RUN + 1):
            row = self.values[first : first + RUN]
            limit = lower if max(row) < lower else upper
            if max(row) < lower or min(row) > upper:
                found.append(Signal(first, first + RUN - 1, float(np.mean(row)), limit))
        return tuple(found)

    @property
    def far(self) -> tuple[int, ...]:
        """Return the places of the watched patients beyond the limits of a single one."""
        lower, upper = self.limits(1)
        places = range(self.baseline, len(self.values))
        return tuple(place for place in places if not lower <= self.values[place] <= upper)


@cache
def _factor(
    level: float,
    n: int,
    patients: int,
) -> float:
    """Return how many standard deviations the mean of new patients may lie from the old mean."""
    return float(student.isf(level, n - 1)) * sqrt(1 / patients + 1 / n)


def charts_of(
    patients: Sequence[Patient],
    baseline: int = USUAL_BASELINE,
    limits: AllUsual | None = None,
) -> tuple[list[Chart], list[NotCharted]]:
    """Return a chart per organ and measure, those of all organs first, and what has none.

    patients: in the order of time. baseline: how many of them say what is usual, unless limits do.
    An organ's measure has no chart if fewer than five patients say what is usual of it.

    >>> steady = [{"Lens_L": {"dsc": 0.8 + 0.01 * (case % 3)}} for case in range(10)]
    >>> drifted = [{"Lens_L": {"dsc": 0.5}}] * 4
    >>> both = steady + drifted
    >>> patients = [Patient(str(case), measured) for case, measured in enumerate(both)]
    >>> charts, _ = charts_of(patients)
    >>> [(chart.organ, len(chart.signals)) for chart in charts]
    [('mean over organs', 1), ('Lens_L', 1)]
    """
    usual = limits if limits is not None else usual_of(patients[:baseline])
    first = 0 if limits is not None else baseline
    known, lacking = _enough(usual, patients)
    if not known:
        return [], lacking
    charts = _overall(patients, known, first, limits is not None)
    count = sum(map(len, known.values()))
    level = LEVEL * (1 - SHARE_OF_ALL) / count
    for organ, measures in known.items():
        for measure, of_measure in measures.items():
            charts.append(_chart(organ, measure, of_measure, patients, first, level))
    return charts, lacking


def usual_of(patients: Sequence[Patient]) -> dict[str, dict[ChartMeasure, Spread]]:
    """Return what is usual of each organ and measure.

    >>> usual_of([Patient("1", {"Lens_L": {"dsc": 0.7}}), Patient("2", {"Lens_L": {"dsc": 0.9}})])
    {'Lens_L': {'dsc': Spread(mean=0.8, sd=0.1414..., patients=2)}}
    """
    found: dict[str, dict[ChartMeasure, Spread]] = {}
    for organ in _organs(patients):
        of_organ: dict[ChartMeasure, Spread] = {}
        for measure in CHART_MEASURES:
            _, values = _series(patients, organ, measure)
            spread = spread_of(values)
            if spread:
                of_organ[measure] = spread
        found[organ] = of_organ
    return found


def are_of(limits: AllUsual, patients: Sequence[Patient]) -> bool:
    """Return whether limits were measured on just these patients: all means and SDs are theirs.

    Means that do not scatter prove nothing, such as those of an organ that is never found. Limits
    of some of the patients, or of more, are not recognised.

    >>> patients = [Patient("1", {"Lens_L": {"dsc": 0.7}}), Patient("2", {"Lens_L": {"dsc": 0.9}})]
    >>> are_of(usual_of(patients), patients), are_of(usual_of(patients[:1] * 2), patients)
    (True, False)
    """
    theirs = usual_of(patients)
    do_scatter = False
    for organ, of_organ in limits.items():
        for measure, limit in of_organ.items():
            own = theirs.get(organ, {}).get(measure)
            if own is None or not _are_equal(limit, own):
                return False
            do_scatter = do_scatter or limit.sd > SAME
    return do_scatter


def _are_equal(one: Spread, other: Spread) -> bool:
    """Return whether two spreads differ by no more than computing in another order makes them."""
    differences = abs(one.mean - other.mean), abs(one.sd - other.sd)
    return one.patients == other.patients and max(differences) < SAME


def _organs(patients: Sequence[Patient]) -> list[str]:
    """Return the organs of all patients, in the order in which they appear."""
    found: dict[str, None] = {}
    for patient in patients:
        found.update(dict.fromkeys(patient.measured))
    return list(found)


def _enough(
    usual: AllUsual, patients: Sequence[Patient]
) -> tuple[dict[str, dict[ChartMeasure, Spread]], list[NotCharted]]:
    """Return what is usual if enough patients say so, and the organs of which that is unknown."""
    known: dict[str, dict[ChartMeasure, Spread]] = {}
    lacking = []
    for organ in _organs(patients):
        of_organ = usual.get(organ, {})
        enough = {}
        for measure, one in of_organ.items():
            if one.patients >= FEWEST:
                enough[measure] = _at_least(one, LEAST_SD[measure])
        if enough:
            known[organ] = enough
        else:
            most = max((one.patients for one in of_organ.values()), default=0)
            lacking.append(NotCharted(organ=organ, patients=most, fewest=FEWEST))
    return known, lacking


def _at_least(spread: Spread, sd: float) -> Spread:
    """Return a spread with a standard deviation of at least so much."""
    return replace(spread, sd=max(spread.sd, sd))


def _series(
    patients: Sequence[Patient], organ: str, measure: ChartMeasure
) -> tuple[list[str], list[float]]:
    """Return the cases in which an organ was measured, and the values."""
    cases, values = [], []
    for patient in patients:
        value = patient.measured.get(organ, {}).get(measure)
        if value is not None and isfinite(value):
            cases.append(patient.case)
            values.append(value)
    return cases, values


def _chart(
    organ: str,
    measure: ChartMeasure,
    usual: Spread,
    patients: Sequence[Patient],
    first: int,
    level: float,
) -> Chart:
    """Return a chart. first: the first patient who is watched."""
    cases, values = _series(patients, organ, measure)
    before, _ = _series(patients[:first], organ, measure)
    return Chart(organ, measure, usual, tuple(cases), tuple(values), len(before), level)


# The mean over organs


def _overall(
    patients: Sequence[Patient],
    usual: AllUsual,
    first: int,
    is_given: bool,
) -> list[Chart]:
    """Return the charts of the mean difference of all organs' scores from what is usual.

    is_given: whether what is usual came from a file, which does not say how organs go together.
    """
    charts = []
    level = LEVEL * SHARE_OF_ALL / len(SCORES)
    for measure in SCORES:
        differing = [_difference(patient, usual, measure) for patient in patients]
        alone = [of_organ[measure] for of_organ in usual.values() if measure in of_organ]
        _, before = _series(differing[:first], ALL, measure)
        if is_given and alone:
            # A patient may have only the organ that varies most.
            sd = max(one.sd for one in alone)
            of_all = Spread(0.0, sd, min(one.patients for one in alone))
        elif len(before) >= FEWEST:
            found = spread_of(before)
            assert found
            of_all = _at_least(found, LEAST_SD[measure])
        else:
            continue
        charts.append(_chart(ALL, measure, of_all, differing, first, level))
    return charts


def _difference(patient: Patient, usual: AllUsual, measure: ScoreMeasure) -> Patient:
    """Return a patient's mean difference from what is usual, over the organs."""
    differences = []
    for organ, of_organ in usual.items():
        value = patient.measured.get(organ, {}).get(measure)
        if value is not None and np.isfinite(value) and measure in of_organ:
            differences.append(value - of_organ[measure].mean)
    if not differences:
        return Patient(patient.case, {})
    return Patient(patient.case, {ALL: {measure: float(np.mean(differences))}})


# What charts say


def statements(charts: Sequence[Chart], cases: Sequence[str]) -> list[Drifted | NotDrifted]:
    """Return one statement per organ, that on all organs first.

    It is the organ's first signal; of several at one patient, that which is farthest beyond its
    limit. cases: of all patients, in the order of time.
    """
    by_organ: dict[str, list[Chart]] = {}
    for chart in charts:
        by_organ.setdefault(chart.organ, []).append(chart)
    return [_statement(of_organ, cases) for of_organ in by_organ.values()]


def _statement(charts: Sequence[Chart], cases: Sequence[str]) -> Drifted | NotDrifted:
    place = {case: index for index, case in enumerate(cases)}
    found: list[tuple[int, float, Chart, Signal]] = []
    for chart in charts:
        for signal in chart.signals:
            at = place[chart.cases[signal.last]]
            beyond = abs(signal.value - signal.limit) / chart.usual.sd
            found.append((at, -beyond, chart, signal))
    organ = charts[0].organ
    if not found:
        watched = {case for chart in charts for case in chart.cases[chart.baseline :]}
        return NotDrifted(organ=organ, patients=len(watched), needed=RUN)
    _, _, chart, signal = min(found, key=lambda one: one[:2])
    others = [one.measure for one in charts if one.signals and one is not chart]
    return Drifted(
        organ=organ,
        measure=chart.measure,
        since=chart.cases[signal.first],
        first=place[chart.cases[signal.first]] + 1,
        last=place[chart.cases[signal.last]] + 1,
        patients=RUN,
        value=signal.value,
        usual=chart.usual.mean,
        limit=signal.limit,
        is_difference=organ == ALL,
        also=tuple(others),
    )


def far_patients(charts: Sequence[Chart], cases: Sequence[str]) -> list[FarPatient]:
    """Return the patients who are to be looked at, by the charts that do not signal.

    cases: of all patients, in the order of time.
    """
    where: dict[str, list[str]] = {}
    for chart in charts:
        if chart.signals or chart.organ == ALL:
            continue
        for place in chart.far:
            found = f"{chart.organ} ({measure_name(chart.measure)})"
            where.setdefault(chart.cases[place], []).append(found)
    return [FarPatient(case=case, where=tuple(where[case])) for case in cases if case in where]


# points.csv

POINT_COLUMNS = (
    "place",
    "case",
    "organ",
    "measure",
    "value",
    "moving_range",
    "is_baseline",
    "usual",
    "lower",
    "upper",
    "is_far",
    "signals",
)


def write_points(path: Path, charts: Sequence[Chart], cases: Sequence[str]) -> None:
    """Write every value of every chart as a CSV file, whole or not at all.

    moving_range: from the value before. lower, upper: the limits of four patients in a row. is_far:
    1 if beyond those of a single patient. signals: 1 where a signal is complete. cases: of all
    patients, in the order of time.

    Raises: OutputError: the file exists, or cannot be written there.
    """
    place = {case: index for index, case in enumerate(cases, start=1)}
    rows: list[Sequence[str | int | float]] = [POINT_COLUMNS]
    for chart in charts:
        rows += _point_rows(chart, place)
    write_text(path, csv_text(rows))


def _point_rows(chart: Chart, place: Mapping[str, int]) -> list[Sequence[str | int | float]]:
    lower, upper = chart.limits()
    far = set(chart.far)
    signalled = {signal.last for signal in chart.signals}
    rows: list[Sequence[str | int | float]] = []
    for index, (case, value) in enumerate(zip(chart.cases, chart.values, strict=True)):
        moving_range = abs(value - chart.values[index - 1]) if index else ""
        rows.append(
            (
                place[case],
                case,
                chart.organ,
                chart.measure,
                value,
                moving_range,
                int(index < chart.baseline),
                chart.usual.mean,
                lower,
                upper if isfinite(upper) else "",
                int(index in far),
                int(index in signalled),
            )
        )
    return rows
