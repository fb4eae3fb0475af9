#!/usr/bin/env python3
"""How often `monitor` alarms without a change, and how soon after one, on real patients.

    .venv/bin/python benchmarks/drift.py --target1 MODEL1 --target2 MODEL2 --source MODEL_S
        [--work DIR] [--cohorts DIR] [--repetitions N]

MODEL1 and MODEL2 are Model_ST of target1 and of target2, MODEL_S is Model_S, each trained on its
own `train` patients. The drafts are their contours of patients that they were not trained on, and
these patients' contours are what was approved.

- False alarms, without replacement: the patients of one centre in a random order, of whom the first
  ten are the baseline. Every patient after them is in control.
- False alarms, bootstrap: baseline and 40 more patients are drawn from the centre's patients, with
  replacement.
- Delay: the drafts of MODEL1; target1's patients in a random order, of whom ten are the baseline,
  and after all of them target2's patients in a random order.

Counted are alarms over all charts together: patients at which at least one chart has a new signal
(every one after the first alarm, too), per patient in control; and how many patients of target2
pass until one. Prints a table and writes docs/results/drift.json.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recontour.cohort import Case, Cohort
from recontour.evaluation.control_chart import Patient, charts_of
from recontour.network import load_model
from recontour.workflows.monitoring import drawn_again

BASELINE = 10
MONITORED = 40
Order = Callable[[np.random.Generator], list[Patient]]


def alarms(patients: Sequence[Patient], first: int) -> set[int]:
    """The places of the patients at which a chart signals, from 0; the baseline is before first."""
    charts, _ = charts_of(patients, first)
    place = {patient.case: index for index, patient in enumerate(patients)}
    found = set()
    for chart in charts:
        for signal in chart.signals:
            found.add(place[chart.cases[signal.last]])
    return found


def renamed(patients: Sequence[Patient]) -> list[Patient]:
    """The same patients under names of their own, as one may have been drawn twice."""
    return [Patient(str(index), one.measured) for index, one in enumerate(patients)]


def false_alarms(order: Order, repetitions: int) -> dict[str, float]:
    """Alarms per patient in control."""
    watched = alarmed = runs_with = 0
    for seed in range(repetitions):
        patients = order(np.random.default_rng(seed))
        found = alarms(patients, BASELINE)
        watched += len(patients) - BASELINE
        alarmed += len(found)
        runs_with += bool(found)
    return {
        "repetitions": repetitions,
        "patients_in_control": watched,
        "alarms_per_100_patients": round(100 * alarmed / watched, 2),
        "runs_with_an_alarm_percent": round(100 * runs_with / repetitions, 1),
    }


def permuted(pool: Sequence[Patient]) -> Order:
    """All patients of a centre in a random order."""

    def order(rng: np.random.Generator) -> list[Patient]:
        return renamed([pool[index] for index in rng.permutation(len(pool))])

    return order


def bootstrapped(pool: Sequence[Patient]) -> Order:
    """A baseline and more patients, drawn from a centre's with replacement."""

    def order(rng: np.random.Generator) -> list[Patient]:
        return renamed(
            [pool[index] for index in rng.integers(len(pool), size=BASELINE + MONITORED)]
        )

    return order


def delays(before: Sequence[Patient], after: Sequence[Patient], repetitions: int) -> dict[str, Any]:
    """How many patients of another centre pass until the first alarm; without one, all and one."""
    found = []
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        patients = renamed([*permuted(before)(rng), *permuted(after)(rng)])
        late = [place for place in alarms(patients, BASELINE) if place >= len(before)]
        found.append(min(late, default=len(patients)) - len(before) + 1)
    share = np.mean(np.array(found) <= 10)
    return {
        "repetitions": repetitions,
        "patients_until_alarm_median": float(np.median(found)),
        "patients_until_alarm_95th_percentile": float(np.percentile(found, 95)),
        "patients_until_alarm_most": int(max(found)),
        "within_10_patients_percent": round(100 * float(share), 1),
    }


def measured_on(path: Path, cohorts: Sequence[Path], kept: Path) -> list[Patient]:
    """What a model's contours measure on cases; what was measured before is read again."""
    before = json.loads(kept.read_text()) if kept.exists() else {}
    cases = [case for cohort in cohorts for case in Cohort.open(cohort)]
    new = [case for case in cases if case.id not in before]
    for patient in _drawn(path, new):
        before[patient.case] = patient.measured
        kept.write_text(json.dumps(before))
    return [Patient(case.id, before[case.id]) for case in cases]


def _drawn(path: Path, cases: Sequence[Case]) -> Iterator[Patient]:
    if cases:
        yield from drawn_again(load_model(path), cases)
