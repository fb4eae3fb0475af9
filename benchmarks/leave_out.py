#!/usr/bin/env python3
"""Measure what leaving out the cords that `compare` lists does to an adapted model's cords.

    .venv/bin/python benchmarks/leave_out.py [--draws 3] [--iterations 200] [--work DIR]

In each draw, ten of target1's patients are adapted to, and two of them get cords like the source's:
each side of their own cord is moved to where that of a random source patient lies beside Model_S's.
Then Model_S is adapted to the cords of

- *all ten*, two of them planted;
- *without those listed*: without the patients whose cord `compare` lists;
- *nothing planted*: the ten patients' own.

Iterations and seed are the same, the last ten layers learn, and Model_S has no say beside them.
Each model's cords are scored on target1's other patients. Model_S and its offsets are those of
what_differs.py, in the same work folder, and are made if they are not there. What is measured is
kept there, too, so that an interrupted run goes on. Writes docs/results/leave_out.json, again
after each way.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal, get_args

import numpy as np
import torch

from real_centres import HERE, RESULTS, with_cohorts
from recontour.assess.case_offsets import evenly, offsets_of_mask
from recontour.cohort import Case, Cohort, by_patient
from recontour.contouring.contourer import Contourer
from recontour.evaluation.consistency import suspects
from recontour.evaluation.differences import PatientOffsets
from recontour.evaluation.intervals import interval_of
from recontour.evaluation.metrics import dice
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.geometry.offsets import SIDES, Measure, offsets
from recontour.network import load_model
from recontour.training.presets import preset_of
from recontour.transfer.models import fit, take_over
from what_differs import MOST, Group, Home, cords, drawn, halves, measured, trained

CORD = "SpinalCord"
LEARNT_FROM = 10
PLANTED = 2
RETRAIN_LAST = 10
CORRECTIONS = 12  # of how far a planted cord's sides are moved
GOLDEN = 0.618034  # the fractions of its multiples are spread evenly
# By side: the axis of a plane, (row, column), and the step to the pixel beyond an edge.
BEYOND: Mapping[Measure, tuple[int, int]] = {
    "right": (1, -1),
    "left": (1, 1),
    "anterior": (0, -1),
    "posterior": (0, 1),
}
Scores = Mapping[str, float]  # DSC by case
Groups = tuple[Group, Group]  # target1, source
Way = Literal["all ten", "without those listed", "nothing planted"]
WAYS: tuple[Way, ...] = get_args(Way)


def moved(mask: Mask, grid: Grid, moves_mm: Mapping[Measure, float]) -> Mask:
    """Return a mask whose sides lie further out by so much, in the mean over its slices.

    A slice's edges can move by whole pixels only: by one more on so many slices as the mean needs.
    A slice on which nothing would be left stays.
    """
    found = mask.copy()
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        plane = mask[index]
        for place, side in enumerate(SIDES):
            axis, step = BEYOND[side]
            turn = (index * GOLDEN + place / len(SIDES)) % 1
            pixels = int(np.floor(moves_mm[side] / grid.spacing_mm[axis] + turn))
            for _ in range(abs(pixels)):
                if pixels > 0:
                    plane = plane | np.roll(plane, step, axis)
                else:
                    plane = plane & np.roll(plane, -step, axis)
        if plane.any():
            found[index] = plane
    return found


def planted(case: Case, by_model: Mask, donor: Mapping[Measure, float]) -> Mask:
    """Return a case's cord with its sides moved so that they lie beside a model's as a donor's do.

    How far a side is moved is corrected a few times by how far it then lies; the closest is taken.
    """
    own = case.mask(CORD)
    moves_mm = dict.fromkeys(SIDES, 0.0)
    closest, least_mm = own, np.inf
    for _ in range(CORRECTIONS):
        mask = moved(own, case.grid, moves_mm)
        lies = offsets(mask, by_model, case.grid)
        errors_mm = {side: donor[side] - lies[side] for side in SIDES}
        error_mm = sum(map(abs, errors_mm.values()))
        if error_mm < least_mm:
            closest, least_mm = mask, error_mm
        for side, error in errors_mm.items():
            moves_mm[side] += error
    return closest


def stored(case: Case, mask: Mask, folder: Path) -> Case:
    """Return a case with another cord alone, in a cohort of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    return Cohort.open_or_create(folder, "target1").add(
        case.id,
        np.asarray(case.hu),
        case.grid,
        {CORD: mask},
        case.source_hash,
        patient=case.patient,
        partial=case.traits.partly_contoured,
    )


def drawn_by(contourer: Contourer, case: Case) -> Mask:
    """Return the cord that a model draws on a case's CT, where the case's own is known."""
    ((_, mask),) = contourer.contour(case.hu, case.grid, [CORD])
    return case.where_known(CORD, mask)


def adapted(parent: Path, cases: Sequence[Case], iterations: int, out: Path) -> Contourer:
    """Return a model of cords that was adapted to some cases."""
    if not out.exists():
        cohort = Cohort.open(cases[0].path.parents[1])
        recipe = replace(preset_of("compact").adapt, iterations=iterations, parent_patients=0.0)
        model = take_over(load_model(parent), cohort, cases, [CORD], recipe, RETRAIN_LAST, seed=0)
        for _ in fit(model, cases, recipe, out, resume=True):
            pass
    return Contourer(load_model(out), views=1)


def scored(contourer: Contourer, cases: Sequence[Case]) -> Scores:
    """Return the DSC of each case's cord; of one that is not found, 0."""
    found = {}
    for case in cases:
        found[case.id] = dice(case.mask(CORD), drawn_by(contourer, case), case.grid)
    return found


class Trial:
    """One draw: ten patients to learn from, two of them planted, and the others to score."""

    def __init__(self, seed: int, work: Path, parent: Path, home: Home, groups: Groups) -> None:
        self.folder = work / "leave_out" / f"draw{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.parent = parent
        target, source = groups
        rng = np.random.default_rng([21, seed])
        cases = {case.id: case for case in target_cases(work)}
        with_sides = [row.patient for row in cords(target)]
        order = [patient for patient in drawn(rng, target, len(cases)) if patient in with_sides]
        self.others = [cases[patient] for patient in order[LEARNT_FROM:]]
        self.own = {patient: cases[patient] for patient in order[:LEARNT_FROM]}
        self.two = order[:PLANTED]
        kept = self.folder / "planted.json"
        if not kept.exists():
            kept.write_text(json.dumps(self._plant(home, target, cords(source), rng)))
        self.planted: dict[str, Any] = json.loads(kept.read_text())
        self.listed: list[str] = self.planted["listed"]
        self.mixed = dict(self.own)
        for patient in self.two:
            self.mixed[patient] = Cohort.open(self.folder / patient)[patient]

    def _plant(
        self,
        home: Home,
        target: Group,
        donors: Sequence[PatientOffsets],
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """Store the planted cords, and return which cords `compare` lists."""
        contourer = Contourer.load(self.parent)
        lies, donors_mm = {}, []
        for patient in self.two:
            donor = donors[int(rng.integers(len(donors)))].offsets
            case = self.own[patient]
            by_model = drawn_by(contourer, case)
            cord = planted(case, by_model, donor)
            case = stored(case, cord, self.folder / patient)
            lies[patient] = offsets_of_mask(case, CORD, by_model)
            donors_mm.append(donor["around"])
        rows = []
        for row in target.rows_of(list(self.own)):
            is_planted = row.organ == CORD and row.patient in lies
            rows.append(replace(row, offsets=lies[row.patient]) if is_planted else row)
        unlike = suspects(rows, home.offsets)
        listed = [one.patient for one in unlike if one.organ == CORD]
        return {
            "listed": listed,
            "planted_listed": len(set(listed) & set(lies)),
            "others_listed": len(set(listed) - set(lies)),
            "planted_around_mm": [found["around"] for found in lies.values()],
            "donors_around_mm": donors_mm,
        }

    def learnt_from(self, way: Way) -> list[Case]:
        """Return the cases that are adapted to."""
        if way == "nothing planted":
            return list(self.own.values())
        left_out = self.listed if way == "without those listed" else []
        return [case for patient, case in self.mixed.items() if patient not in left_out]

    def scores(self, way: Way, iterations: int) -> Scores:
        """Return the DSC of the other patients' cords, after one way to adapt."""
        if way == "without those listed" and not self.listed:
            return self.scores("all ten", iterations)
        kept = self.folder / f"{way} {iterations}.json"
        if not kept.exists():
            out = kept.with_suffix(".safetensors")
            model = adapted(self.parent, self.learnt_from(way), iterations, out)
            kept.write_text(json.dumps(scored(model, self.others)))
        found: Scores = json.loads(kept.read_text())
        return found


def target_cases(work: Path) -> list[Case]:
    """Return one case of each of target1's patients."""
    return [patient[0] for patient in by_patient(Cohort.open(work / "cohorts" / "target1"))]


def means_of(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean DSC of each way to adapt, in one draw."""
    return {way: round(float(np.mean(list(of.values()))), 4) for way, of in found["dsc"].items()}


def gain_of(draws: Sequence[Mapping[str, Any]], way: Way) -> dict[str, Any]:
    """Return what a way to adapt adds to all ten, in DSC, with an interval over the patients.

    A patient who is scored in several draws counts once, with the mean.
    """
    gains: dict[str, list[float]] = {}
    for found in draws:
        before = found["dsc"]["all ten"]
        for patient, after in found["dsc"][way].items():
            gains.setdefault(patient, []).append(after - before[patient])
    interval = interval_of({(patient, CORD): mean(of) for patient, of in gains.items()})
    ends = {name: round(value, 4) for name, value in asdict(interval).items()}
    return {**ends, "patients": len(gains)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "what_differs")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    work = with_cohorts(options.work, "source", "target1")
    learnt, others = halves(work)
    parent = trained(work, learnt)
    contourer = Contourer.load(parent)
    home = Home(measured(work / "home.json", contourer, evenly(learnt, MOST)))
    source = measured(work / "others.json", contourer, evenly(others, MOST))
    target = measured(work / "target1.json", contourer, target_cases(work))
    trials = []
    for seed in range(options.draws):
        trials.append(Trial(seed, work, parent, home, (target, source)))
    draws = [{**trial.planted, "dsc": {}} for trial in trials]
    for way in WAYS:
        for seed, trial in enumerate(trials):
            scores = trial.scores(way, options.iterations)
            draws[seed]["dsc"][way] = scores
            print(f"draw {seed}, {way}: mean DSC {mean(scores.values()):.4f}", flush=True)
        write(draws, options.iterations)


def write(draws: Sequence[Mapping[str, Any]], iterations: int) -> None:
    """Write what is known of all draws."""
    listed = sum(found["planted_listed"] for found in draws)
    about = {
        "draws": len(draws),
        "iterations": iterations,
        "planted_listed": f"{listed} of {PLANTED * len(draws)}",
        "others_listed": sum(found["others_listed"] for found in draws),
        "mean_dsc_by_draw": list(map(means_of, draws)),
        "gain_over_all_ten": {
            way: gain_of(draws, way) for way in draws[0]["dsc"] if way != "all ten"
        },
        "by_draw": draws,
    }
    (RESULTS / "leave_out.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
