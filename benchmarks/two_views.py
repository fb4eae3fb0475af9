#!/usr/bin/env python3
"""Compare contours from two views of each slice with contours from one.

    .venv/bin/python benchmarks/two_views.py MODEL[,MODEL...]:COHORT[:SPLIT.csv:FOLD] ...
        [--jobs 2] [--work DIR]

Each argument is a group: models, and the patients that they contour, which are all of a cohort or
one fold of a split file (columns case and fold, as `recontour study` reads it). Models that are
joined by commas are seeds of one training: a patient's scores are averaged over them. For example:

    ST-seed0,ST-seed1:work/cohorts/target1:work/cohorts/target1.csv:test

Both ways score every case with the same engine in the same run. Each case is kept as soon as it is
scored: if the benchmark is interrupted, the same command continues. Differences are over patients,
with 95 % t intervals; a cohort says which cases belong to one patient.

Prints a table, and writes docs/results/two_views.json and two_views_scores.csv, from which --table
makes the table alone.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

import raw_scores
from raw_scores import RawScore, chosen, raw_score
from real_centres import HERE, MEASURES, RESULTS, cpu_name
from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.evaluation.intervals import (
    Dsc,
    Interval,
    count_patients,
    difference,
    interval_of,
    of_organs,
)
from recontour.evaluation.numbers import signed
from recontour.evaluation.patients import mean
from recontour.network import load_model, name_of
from recontour.network.model import sha256_of
from recontour.study.numbers import interval
from recontour.study.split import read_split

SCORES = RESULTS / "two_views_scores.csv"
WAYS = {"one view": 1, "two views": 2}
ALL_GROUPS = "all groups"
ALL_ORGANS = "mean over organs"


@dataclass(frozen=True, slots=True)
class Group:
    """Models that are seeds of one training, and the patients that they contour."""

    models: tuple[str, ...]
    cohort: Path
    split: Path | None = None
    fold: str = ""

    @property
    def name(self) -> str:
        """Return what the table calls the group."""
        models = ",".join(name_of(Path(model)) for model in self.models)
        return f"{models} on {self.cohort.name} {self.fold}".strip()

    def cases(self) -> list[Case]:
        """Return the group's cases."""
        cohort = Cohort.open(self.cohort)
        if self.split is None:
            return [cohort[case] for case in cohort.case_ids]
        split = read_split(self.split, cohort.centre, cohort)
        if self.fold not in split:
            sys.exit(f"{self.split} has no fold {self.fold}, only {', '.join(split)}")
        return [cohort[case] for case in split[self.fold]]

    def jobs(self) -> list[tuple[int, Case]]:
        """Return the number of a model, and a case: all pairs."""
        return list(product(range(len(self.models)), self.cases()))


def group_of(text: str) -> Group:
    """Return the group that an argument names."""
    models, *others = text.split(":")
    match others:
        case [cohort]:
            return Group(tuple(models.split(",")), Path(cohort))
        case [cohort, split, fold]:
            return Group(tuple(models.split(",")), Path(cohort), Path(split), fold)
    raise argparse.ArgumentTypeError(f"not MODEL:COHORT or MODEL:COHORT:SPLIT.csv:FOLD: {text}")


@dataclass(frozen=True, slots=True)
class Change:
    """What the second view changes in one measure of one organ, or in the mean over organs.

    level: the mean of the measure, by way. gain: two views minus one.
    """

    group: str
    organ: str
    measure: str
    patients: int
    level: Mapping[str, float]
    gain: Interval


def measure(group: Group, seed: int, case: Case, work: Path) -> list[RawScore]:
    """Score a case of a group in both ways; what is scored is kept in a file."""
    torch.set_num_threads(1)
    model = load_model(Path(group.models[seed]))
    contours = case.source_hash[:12]
    name = name_of(Path(group.models[seed]))
    kept = work / f"{name}-{sha256_of(model.network)[:12]}" / f"{case.id}-{contours}.json"
    if not kept.exists():
        scores = []
        for way, views in WAYS.items():
            masks = contour_case(Contourer(model, views=views), case)
            for scored, _ in score_masks(case, way, masks):
                row = replace(scored, case=case.patient or case.id)
                scores.append(raw_score(row, way, "", 0))
        write_whole(kept, json.dumps(raw_scores.to_json(scores)))
    found = []
    for score in raw_scores.of_json(json.loads(kept.read_text())):
        found.append(replace(score, part=group.name, seed=seed))
    return found


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def scores_of(groups: Sequence[Group], work: Path, jobs: int) -> list[RawScore]:
    """Score all cases of all groups, in several processes."""
    submitted: list[Future[list[RawScore]]] = []
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for group in groups:
            for seed, case in group.jobs():
                submitted.append(pool.submit(measure, group, seed, case, work))
        for done, _ in enumerate(as_completed(submitted), start=1):
            print(f"scored {done} of {len(submitted)}", file=sys.stderr, flush=True)
    scores = []
    for job in submitted:
        scores += job.result()
    return scores


def by_patient(scores: Iterable[RawScore], name: str) -> Dsc:
    """Return a measure by patient and organ, the mean over seeds and over a patient's CTs."""
    values: dict[tuple[str, str], list[float]] = {}
    for score in scores:
        value = getattr(score, name)
        if not np.isnan(value):
            values.setdefault((score.case, score.organ), []).append(value)
    return {key: mean(of_key) for key, of_key in values.items()}


def table(scores: Sequence[RawScore]) -> Iterator[Change]:
    """Yield the changes: by group, and for all groups together; the mean over organs first."""
    groups = list(dict.fromkeys(score.part for score in scores))
    for group in groups:
        yield from changes(chosen(scores, "one view", group), chosen(scores, "two views", group))
    if len(groups) > 1:
        for change in changes(chosen(scores, "one view"), chosen(scores, "two views")):
            yield replace(change, group=ALL_GROUPS)


def changes(one: Sequence[RawScore], two: Sequence[RawScore]) -> Iterator[Change]:
    """Yield the changes of one group; a measure that was not taken is left out."""
    organs = list(dict.fromkeys(score.organ for score in one))
    for organ in (ALL_ORGANS, *organs):
        wanted = None if organ == ALL_ORGANS else [organ]
        for name in MEASURES:
            before = of_organs(by_patient(one, name), wanted)
            after = of_organs(by_patient(two, name), wanted)
            if not after:
                continue
            level = {
                "one view": interval_of(before, least=0.0).mean,
                "two views": interval_of(after, least=0.0).mean,
            }
            gain = interval_of(difference(before, after))
            yield Change(one[0].part, organ, name, count_patients(after), level, gain)


def shown(change: Change) -> str:
    """Return a line of the table."""
    one, two = change.level["one view"], change.level["two views"]
    means = f"{MEASURES[change.measure]} {one:.4f} -> {two:.4f}"
    mean_gain = signed(change.gain.mean, 4)
    gain = f"{mean_gain} ({interval(change.gain, 4, with_sign=True)})"
    return f"  {change.organ:20} {change.patients:3}  {means:40} {gain}"


def show(scores: Sequence[RawScore]) -> None:
    """Print the table."""
    group = ""
    for change in table(scores):
        if change.group != group:
            group = change.group
            print(group)
        print(shown(change))


def for_json(value: Any) -> Any:
    """Return values with None in the place of NaN, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: for_json(one) for key, one in value.items()}
    return None if isinstance(value, float) and np.isnan(value) else value


def gains_by_patient(scores: Sequence[RawScore]) -> dict[str, dict[str, dict[str, float]]]:
    """Return what each patient gains, by group and measure: the mean over the patient's organs."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for group in dict.fromkeys(score.part for score in scores):
        found[group] = {}
        for name in MEASURES:
            before = by_patient(chosen(scores, "one view", group), name)
            after = by_patient(chosen(scores, "two views", group), name)
            by_who: dict[str, list[float]] = {}
            for (who, _), gain in difference(before, after).items():
                by_who.setdefault(who, []).append(gain)
            found[group][name] = {who: mean(gains) for who, gains in by_who.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", type=group_of, metavar="MODEL:COHORT[:SPLIT.csv:FOLD]")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=HERE / "work" / "two_views")
    parser.add_argument(
        "--table", action="store_true", help="print the table from docs/results, and stop"
    )
    options = parser.parse_args()
    if options.table:
        show(raw_scores.read(SCORES))
        return
    if not options.groups:
        parser.error("name at least one MODEL:COHORT")
    scores = scores_of(options.groups, options.work, options.jobs)
    raw_scores.write(SCORES, scores)
    result = {
        "cpu": cpu_name(),
        "changes": [for_json(asdict(change)) for change in table(scores)],
        "gains by patient": gains_by_patient(scores),
    }
    (RESULTS / "two_views.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    show(scores)


if __name__ == "__main__":
    main()
