#!/usr/bin/env python3
"""Measure what `recontour compare` says: of real centres, of chance, of images, of planted changes.

    .venv/bin/python benchmarks/what_differs.py [--draws 300] [--work DIR]

Model_S (`compact`, ITERATIONS iterations) learns from a random half of the source's patients, and
its baseline is measured on these, as `train` does. Then:

- *chance*: eight patients of the other half must not differ; neither may they when their CTs are
  brighter, noisier, with bright vessels, or blurred;
- *real centres*: eight patients of target1 (its cord is the canal) and of target2 (its brain stem
  ends lower);
- *planted*: eight patients of the other half with a cord wider by a pixel on every side, or a brain
  stem 9 mm longer at its lower end. These are added to the offsets, not drawn into the masks;
- *halves*: how the differences of five patients correlate with those of the others;
- *consistency*: cords of source patients in two of ten patients of target1.

Everything measured on CTs is kept in the work folder, so that an interrupted run goes on. Writes
docs/results/what_differs.json. About 90 minutes on two cores, most of it training and contouring.
"""

import argparse
import json
import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import recontour
from image_traits import blurred, brighter, contrasted, noisy
from real_centres import HERE, RESULTS, MinutelyProgress, with_cohorts
from recontour.assess.case_offsets import evenly, values_by_trait
from recontour.cohort import Case, Cohort, by_patient
from recontour.contouring.contourer import Contourer
from recontour.evaluation.consistency import suspects
from recontour.evaluation.differences import (
    Difference,
    PatientOffsets,
    differences,
    values_by_organ,
)
from recontour.evaluation.images import image_differences, may_move_contours
from recontour.geometry.offsets import SIDES, Measure, offsets
from recontour.network.baseline import Spreads
from recontour.network.image_traits import ImageTrait, ImageTraits, image_traits
from recontour.network.spread import Spread, spread_of

ITERATIONS = 3000
PATIENTS = 8  # of a comparison
FEW = 5
MOST = 40  # patients of each group, as of a baseline
CHANGED = 24  # patients whose CTs are changed
PLANTED_MM = 9.0
Voxels = Any
Change = Callable[[Voxels, int], Voxels]
CHANGES: Mapping[str, Change] = {
    "brighter by 30 HU": lambda hu, _: brighter(hu, 30),
    "noise of 40 HU": lambda hu, seed: noisy(hu, 40, seed),
    "bright vessels": lambda hu, seed: contrasted(hu, seed=seed),
    "blurred by 1 pixel": lambda hu, _: blurred(hu, 1.0),
}


class Group:
    """Patients of one kind: by patient, the offsets of their contours, and their images."""

    def __init__(self, measured: Mapping[str, Any]) -> None:
        self.rows: dict[str, list[PatientOffsets]] = {}
        self.images: dict[str, ImageTraits] = {}
        for patient, found in measured.items():
            of_organs = found["offsets"].items()
            self.rows[patient] = [
                PatientOffsets(patient, patient, organ, values) for organ, values in of_organs
            ]
            self.images[patient] = found["image"]

    @property
    def patients(self) -> list[str]:
        """Return the patients' names."""
        return list(self.rows)

    def rows_of(self, patients: Sequence[str]) -> list[PatientOffsets]:
        """Return the rows of some patients."""
        return [row for patient in patients for row in self.rows[patient]]

    def images_of(self, patients: Sequence[str]) -> dict[ImageTrait, list[float]]:
        """Return what the images of some patients measure, by trait."""
        return values_by_trait(self.images[patient] for patient in patients)


class Home:
    """The baseline that a model of a group would have."""

    def __init__(self, group: Group) -> None:
        self.offsets: dict[str, Spreads] = {}
        for organ, by_measure in values_by_organ(group.rows_of(group.patients)).items():
            self.offsets[organ] = _spreads(by_measure)
        self.image: dict[ImageTrait, Spread] = {}
        for trait, values in group.images_of(group.patients).items():
            spread = spread_of(values)
            if spread:
                self.image[trait] = spread.rounded()

    def stated(self, group: Group, patients: Sequence[str]) -> tuple[list[Difference], bool]:
        """Return what is stated of some patients, and whether it may be the images'."""
        found = differences(group.rows_of(patients), self.offsets)
        images = image_differences(group.images_of(patients), self.image)
        return [one for one in found if one.is_stated], may_move_contours(images)


def _spreads(by_measure: Mapping[Measure, Mapping[str, float]]) -> dict[Measure, Spread]:
    spreads = {}
    for measure, values in by_measure.items():
        spread = spread_of(values.values())
        if spread:
            spreads[measure] = spread.rounded()
    return spreads


def halves(work: Path) -> tuple[list[Case], list[Case]]:
    """Return a random half of the source's cases, and one case of each patient who is not in it."""
    cases = sorted(Cohort.open(work / "cohorts" / "source"), key=lambda case: case.id)
    order = list(range(len(cases)))
    random.Random(0).shuffle(order)
    first = [cases[index] for index in sorted(order[: len(order) // 2])]
    others = []
    for patient in by_patient(cases):
        if not any(case in first for case in patient):
            others.append(patient[0])
    return first, others


def trained(work: Path, cases: Sequence[Case]) -> Path:
    """Return a model that has learnt from some of the source's cases."""
    out = work / "half.safetensors"
    if not out.exists():
        cohort = work / "half"
        shutil.rmtree(cohort, ignore_errors=True)
        (cohort / "cases").mkdir(parents=True)
        shutil.copy(work / "cohorts" / "source" / "cohort.json", cohort)
        for case in cases:
            shutil.copytree(case.path, cohort / "cases" / case.id)
        recontour.train(
            cohort,
            out,
            preset="compact",
            iterations=ITERATIONS,
            resume=True,
            progress=MinutelyProgress(),
        )
    return out


def measured(
    kept: Path,
    contourer: Contourer,
    cases: Sequence[Case],
    change: Change | None = None,
) -> Group:
    """Contour cases, and measure offsets and images, unless that is kept."""
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for seed, case in enumerate(cases):
        if case.id in found:
            continue
        hu = np.asarray(case.hu) if change is None else change(np.asarray(case.hu), seed)
        organs = [organ for organ in contourer.model.organs if organ in case.organs]
        by_organ = {}
        for organ, mask in contourer.contour(hu, case.grid, organs):
            by_organ[organ] = offsets(case.mask(organ), mask, case.grid)
        found[case.id] = {"offsets": by_organ, "image": image_traits(hu, case.grid)}
        kept.write_text(json.dumps(found))
        print(f"{kept.stem}: {len(found)} of {len(cases)}", flush=True)
    return Group({case.id: found[case.id] for case in cases})


def drawn(rng: np.random.Generator, group: Group, count: int) -> list[str]:
    """Return some of a group's patients, in random order."""
    return list(rng.permutation(group.patients)[:count])


def chance(home: Home, group: Group, draws: int) -> dict[str, float]:
    """Return how often anything is stated of patients who do not differ, and what is withheld."""
    rng = np.random.default_rng(1)
    false = withheld = unlike = 0
    for _ in range(draws):
        stated, may_be_images = home.stated(group, drawn(rng, group, PATIENTS))
        unlike += may_be_images
        withheld += bool(stated) and may_be_images
        false += bool(stated) and not may_be_images
    return {
        "false": false / draws,
        "marked_as_perhaps_the_images": withheld / draws,
        "images_differ": unlike / draws,
    }


def found_in(
    home: Home, group: Group, organ: str, measures: Sequence[Measure], draws: int
) -> dict[str, float]:
    """Return how often each measure of an organ is stated, unmarked, with eight patients."""
    rng = np.random.default_rng(2)
    counts = dict.fromkeys(measures, 0)
    for _ in range(draws):
        stated, may_be_images = home.stated(group, drawn(rng, group, PATIENTS))
        for one in stated:
            if one.organ == organ and one.measure in counts and not may_be_images:
                counts[one.measure] += 1
    return {measure: count / draws for measure, count in counts.items()}


def planted(
    home: Home, group: Group, organ: str, excess_mm: Mapping[Measure, float], draws: int
) -> dict[str, float]:
    """Return how often a planted change is stated, and how often its interval has the true size."""
    rng = np.random.default_rng(3)
    found = covered = intervals = 0
    for _ in range(draws):
        rows = []
        for row in group.rows_of(drawn(rng, group, PATIENTS)):
            rows.append(_moved(row, excess_mm) if row.organ == organ else row)
        of_organ = [one for one in differences(rows, home.offsets) if one.organ == organ]
        changed = [one for one in of_organ if one.measure in excess_mm]
        found += any(one.is_stated for one in changed)
        intervals += len(changed)
        covered += sum(one.low <= excess_mm[one.measure] <= one.high for one in changed)
    return {"found": found / draws, "interval_has_the_true_size": covered / intervals}


def _moved(row: PatientOffsets, excess_mm: Mapping[Measure, float]) -> PatientOffsets:
    moved = {name: value + excess_mm.get(name, 0) for name, value in row.offsets.items()}
    return replace(row, offsets=moved)


def correlation(home: Home, group: Group, draws: int) -> float:
    """Return how the differences of five patients correlate with the others', on average."""
    rng = np.random.default_rng(4)
    coefficients = []
    for _ in range(draws):
        order = drawn(rng, group, len(group.patients))
        few = _by_name(differences(group.rows_of(order[:FEW]), home.offsets))
        others = _by_name(differences(group.rows_of(order[FEW:]), home.offsets))
        common = [name for name in few if name in others and name[1] != "volume"]
        of_few = [few[name] for name in common]
        of_others = [others[name] for name in common]
        coefficients.append(stats.pearsonr(of_few, of_others).statistic)
    return float(np.mean(coefficients))


def _by_name(found: Sequence[Difference]) -> dict[tuple[str, Measure], float]:
    return {(one.organ, one.measure): one.mean for one in found}


def consistency(home: Home, target: Group, source: Group, draws: int) -> dict[str, float]:
    """Return how often cords of the source among those of a target are found."""
    rng = np.random.default_rng(5)
    donors = cords(source)
    found = false = others = 0
    for _ in range(draws):
        ten = drawn(rng, target, 10)
        two = ten[:2]
        rows = []
        for row in target.rows_of(ten):
            is_planted = row.organ == "SpinalCord" and row.patient in two
            donor = donors[rng.integers(len(donors))]
            rows.append(replace(row, offsets=donor.offsets) if is_planted else row)
        for one in suspects(rows, home.offsets):
            if one.organ != "SpinalCord":
                others += 1
            elif one.patient in two:
                found += 1
            else:
                false += 1
    organs = len({row.organ for row in target.rows_of(target.patients)}) - 1
    return {
        "planted_cords_found": found / (2 * draws),
        "other_cords_flagged": false / (8 * draws),
        "contours_of_other_organs_flagged": others / (10 * organs * draws),
    }


def cords(group: Group) -> list[PatientOffsets]:
    rows = group.rows_of(group.patients)
    return [row for row in rows if row.organ == "SpinalCord" and "around" in row.offsets]


def whole(home: Home, group: Group) -> list[dict[str, Any]]:
    """Return what is stated of all patients of a group."""
    stated, may_be_images = home.stated(group, group.patients)
    return [{**asdict(one), "may_be_images": may_be_images} for one in stated]


def cord_width_mm(cases: Sequence[Case]) -> list[float]:
    """Return the mean width of each patient's cord by its masks, from right to left."""
    widths = []
    for case in cases:
        if "SpinalCord" in case.organs:
            columns = case.mask("SpinalCord").any(axis=1).sum(axis=1)
            widths.append(float(columns[columns > 0].mean()) * case.grid.spacing_mm[1])
    return widths


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "what_differs")
    parser.add_argument("--draws", type=int, default=300)
    options = parser.parse_args()
    work = with_cohorts(options.work, "source", "target1", "target2")
    learnt, others = halves(work)
    contourer = Contourer.load(trained(work, learnt))
    home_cases, other_cases = evenly(learnt, MOST), evenly(others, MOST)
    home_group = measured(work / "home.json", contourer, home_cases)
    source = measured(work / "others.json", contourer, other_cases)
    home = Home(home_group)
    targets = {}
    for role in ("target1", "target2"):
        cases = [patient[0] for patient in by_patient(Cohort.open(work / "cohorts" / role))]
        targets[role] = measured(work / f"{role}.json", contourer, cases)
    draws = options.draws
    by_chance = {"as they are": chance(home, source, draws)}
    for name, change in CHANGES.items():
        kept = work / f"{name.replace(' ', '_')}.json"
        changed = measured(kept, contourer, other_cases[:CHANGED], change)
        by_chance[name] = chance(home, changed, draws)
    pixel_mm = float(np.mean([case.grid.spacing_mm[1] for case in other_cases]))
    wider = dict.fromkeys(SIDES, pixel_mm)
    target1 = [patient[0] for patient in by_patient(Cohort.open(work / "cohorts" / "target1"))]
    wider_by_mm = np.mean(cord_width_mm(target1)) - np.mean(cord_width_mm([*learnt, *others]))
    about = {
        "draws": draws,
        "patients": PATIENTS,
        "iterations": ITERATIONS,
        "chance": by_chance,
        "target1_cord": found_in(home, targets["target1"], "SpinalCord", SIDES, draws),
        "target1_cord_wider_by_its_masks_mm": float(wider_by_mm),
        "target2_brainstem": found_in(home, targets["target2"], "Brainstem", ("caudal",), draws),
        "planted_cord": planted(home, source, "SpinalCord", wider, draws),
        "planted_brainstem": planted(home, source, "Brainstem", {"caudal": PLANTED_MM}, draws),
        "correlation_of_5_with_the_others": {
            role: correlation(home, group, draws) for role, group in targets.items()
        },
        "consistency": consistency(home, targets["target1"], source, draws),
        "all_patients": {role: whole(home, group) for role, group in targets.items()},
    }
    (RESULTS / "what_differs.json").write_text(json.dumps(about, indent=1) + "\n")
    print(json.dumps({key: about[key] for key in about if key != "all_patients"}, indent=1))


if __name__ == "__main__":
    main()
