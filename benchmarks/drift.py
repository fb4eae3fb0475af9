#!/usr/bin/env python3
"""How often `monitor` alarms without a change, and how soon after one, on real patients.

    .venv/bin/python benchmarks/drift.py --model MODEL [--cohorts DIR] [--work DIR]
        [--repetitions N]

MODEL is Model_S, trained on `train` patients of source alone. Its contours of other patients are
the drafts, and these patients' own contours are what was approved. DIR has the cohorts s_rest
(source's other patients), target1_train, target1_rest, target2_train and target2_rest; without it,
they are made from the real data. No model has seen any patient of the targets.

- False alarms, in a random order: all patients of one centre, of whom the first ten are the
  baseline. Every patient after them is in control.
- False alarms, bootstrap: baseline and 40 more patients are drawn from the centre's patients, with
  replacement, each on its own.
- Delay: target1's patients in a random order, of whom ten are the baseline, and after all of them
  target2's patients in a random order.

Counted are alarms over all charts together: patients at which at least one chart completes a
signal, and every one counts, per patient in control; and how many patients of target2 pass until
one. The run of four and the level were chosen on source's patients; target1 and target2 chose
nothing. Prints a line each and writes docs/results/drift.json.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from real_centres import RESULTS, with_cohorts
from recontour.cohort import Cohort
from recontour.evaluation.control_chart import LEVEL, RUN, Patient, charts_of, statements
from recontour.findings import stored_words
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


def measured_on(model: Path, cohorts: Sequence[Path], kept: Path) -> list[Patient]:
    """What a model's contours measure on cases; what was measured before is read again."""
    before = json.loads(kept.read_text()) if kept.exists() else {}
    cases = [case for cohort in cohorts for case in Cohort.open(cohort)]
    new = [case for case in cases if case.id not in before]
    drawn = drawn_again(load_model(model), new) if new else ()
    for patient in drawn:
        before[patient.case] = patient.measured
        kept.write_text(json.dumps(before))
    return [Patient(case.id, before[case.id]) for case in cases]


def pools(options: argparse.Namespace) -> dict[str, list[Patient]]:
    """What was measured on the patients of each centre that the model was not trained on."""
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    if options.cohorts:
        names = {
            "source": ("s_rest",),
            "target1": ("target1_rest", "target1_train"),
            "target2": ("target2_rest", "target2_train"),
        }
        folders = {centre: [options.cohorts / name for name in of] for centre, of in names.items()}
    else:
        cohorts = with_cohorts(work, "target1", "target2") / "cohorts"
        folders = {centre: [cohorts / centre] for centre in ("target1", "target2")}
    found = {}
    for centre, of_centre in folders.items():
        found[centre] = measured_on(options.model, of_centre, work / f"{centre}.json")
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--cohorts", type=Path)
    parser.add_argument("--work", type=Path, default=Path("drift"))
    parser.add_argument("--repetitions", type=int, default=400)
    options = parser.parse_args()
    measured = pools(options)
    answer: dict[str, Any] = {
        "baseline": BASELINE,
        "patients_in_a_row": RUN,
        "level": LEVEL,
        "patients": {centre: len(pool) for centre, pool in measured.items()},
        "false_alarms_in_random_order": {},
        "false_alarms_bootstrap": {},
    }
    for centre, pool in measured.items():
        for way, order in (("in_random_order", permuted), ("bootstrap", bootstrapped)):
            found = false_alarms(order(pool), options.repetitions)
            answer[f"false_alarms_{way}"][centre] = found
            print(centre, way, found, flush=True)
    delay = delays(measured["target1"], measured["target2"], options.repetitions)
    answer["target1_then_target2"] = delay
    print("target1 then target2", delay)
    answer["one_look"] = one_look(measured["target1"], measured["target2"])
    path = RESULTS / "drift.json"
    path.write_text(json.dumps(answer, indent=1) + "\n")


def one_look(before: Sequence[Patient], after: Sequence[Patient]) -> dict[str, Any]:
    """The statements of one replay, in the order of the cohorts, and its seconds."""
    began = time.perf_counter()
    patients = [*before, *after]
    charts, _ = charts_of(patients, BASELINE)
    cases = [patient.case for patient in patients]
    said = [stored_words(one) for one in statements(charts, cases)]
    return {"charts": len(charts), "seconds": time.perf_counter() - began, "statements": said}


if __name__ == "__main__":
    main()
