#!/usr/bin/env python3
"""Show what each part of the recipe contributes: one part at a time is removed or changed.

    .venv/bin/python benchmarks/ablation.py [--iterations 600] [--folds 3] [--only ROWS] [--seed 0]
        [--jobs 2]

Adaptation: Model_S, as parent_share.py trains it, is adapted to target1's development patients
outside a fold and scored on the fold, in up to three folds. Training: networks learn on source and
are scored on source's validation patients. No test patient is touched. Each training uses one
thread. If it is interrupted, the same command continues.

Prints a table, and writes docs/results/ablation.json and ablation_scores.csv, from which --table
makes the table alone. Makes its cohorts as real_centres.py does.
"""

import argparse
import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch

import raw_scores
from candidates import cases_of, dsc, means_of
from parent_share import FOLDS, RETRAIN_LAST, patients_of, source_model
from raw_scores import RawScore, chosen, mean_of_folds, rows_of, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Case, Cohort
from recontour.network import Model, load_model
from recontour.study.diary import Diary
from recontour.training.presets import preset_of
from recontour.training.recipe import Recipe
from recontour.transfer.models import begin, fit, take_over

COMPACT = preset_of("compact")
TARGET = "target1"
SCORES = RESULTS / "ablation_scores.csv"
INNER = 2  # how many of the patients to adapt to early stopping watches instead
LOOKS = 6  # how often it scores them
ADAPTATIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "views always new": {"views": 0},
    "slices drawn evenly": {"organ_share": 0.0},
    "rate 0.001": {"learning_rate": 0.001},
    "rate 0.004": {"learning_rate": 0.004},
    "no Dice loss": {"dice_weight": 0.0},
    "parent dropped": {"parent_patients": 0.0},
    "early stopping": {},
}
TRAININGS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "slices drawn evenly": {"organ_share": 0.0},
    "crop centred on the image": {},
    "no Dice loss": {"dice_weight": 0.0},
    "no inside weight": {"inside_weight": 0.0},
    "rate 0.0015": {"learning_rate": 0.0015},
    "rate 0.006": {"learning_rate": 0.006},
}


def image_centre_mm(_hu: Any, grid: Any) -> tuple[float, float]:
    """Return the centre of the image, in place of the body's."""
    x, y = grid.origin_mm
    row_mm, column_mm = grid.spacing_mm
    _, rows, columns = grid.shape
    return x + column_mm * (columns - 1) / 2, y + row_mm * (rows - 1) / 2


def adaptation(name: str, fold: int, iterations: int, seed: int, work: Path) -> dict[str, Any]:
    """Adapt and score one fold of a row."""
    target = Cohort.open(work / "cohorts" / TARGET)
    learnt, scored = patients_of(cases_of(work, TARGET, "train", "validation"), fold, None, seed)
    recipe = replace(COMPACT.adapt, iterations=iterations, **ADAPTATIONS[name])
    watched = learnt[:INNER] if name == "early stopping" else []
    learnt = learnt[len(watched) :]
    parent = source_model(work, seed)
    model = take_over(parent, target, learnt, target.organs, recipe, RETRAIN_LAST, seed)
    folder = work / "ablation" / f"adapt-{slug(name)}-{fold}"
    place = Place(folder, f"adaptation: {name}", f"fold {fold}")
    return scored_after(model, learnt, recipe, watched, scored, place)


def training(name: str, _fold: int, iterations: int, seed: int, work: Path) -> dict[str, Any]:
    """Train and score a row."""
    source = Cohort.open(work / "cohorts" / "source")
    cases = cases_of(work, "source", "train")
    recipe = replace(COMPACT.train, iterations=iterations, **TRAININGS[name])
    with ExitStack() as stack:
        if name == "crop centred on the image":
            for module in ("training.batches", "contouring.predict"):
                name_there = f"recontour.{module}.body_centre_mm"
                stack.enter_context(mock.patch(name_there, image_centre_mm))
        model = begin(source, cases, source.organs, "compact", replace(COMPACT, train=recipe), seed)
        scored = cases_of(work, "source", "validation")
        folder = work / "ablation" / f"train-{slug(name)}"
        place = Place(folder, f"training: {name}", "source validation")
        return scored_after(model, cases, recipe, [], scored, place)


class Place(NamedTuple):
    """Where results belong: a folder, and a row and a part of the table."""

    folder: Path
    row: str
    part: str


def scored_after(
    model: Model,
    learnt: list[Case],
    recipe: Recipe,
    watched: list[Case],
    scored: list[Case],
    place: Place,
) -> dict[str, Any]:
    """Train and score; if patients are watched, score the weights that suited them best."""
    torch.set_num_threads(1)
    folder = place.folder / f"{recipe.iterations}-{model.provenance.seed}"
    kept, out = folder / "row.json", folder / "model"
    if row := raw_scores.kept_row(kept):
        return row
    if watched:
        # An interrupted run starts again: what it saw of the watched patients is lost.
        shutil.rmtree(folder, ignore_errors=True)
    best, weights = -1.0, model.network.state_dict()
    with Diary(folder / "diary.csv") as diary:
        if out.exists():
            model = load_model(out)
        else:
            for step in fit(model, learnt, recipe, out, resume=True):
                diary.note(step)
                if watched and step.iteration % (recipe.iterations // LOOKS) == 0:
                    seen = dsc(model, watched)["mean"]
                    if seen > best:
                        best, weights = seen, copy.deepcopy(model.network.state_dict())
        seconds = round(diary.seconds, 1)
    if watched:
        model.network.load_state_dict(weights)
    scores = score_cases(model, scored, place.row, place.part, model.provenance.seed)
    row = {
        "scored": len(scored),
        "seconds": seconds,
        **means_of(scores, model.organs),
        "scores": to_json(scores),
    }
    kept.write_text(json.dumps(row, indent=1))
    return row


def slug(name: str) -> str:
    return name.replace(" ", "-").replace("'", "")


def measured(jobs: dict[tuple[str, str], list[Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the table's rows: stage, name and means, with folds weighted by their patients."""
    for (stage, name), folds in jobs.items():
        rows = [job.result() for job in folds]
        weights = [row["scored"] for row in rows]
        keys = [key for key in rows[0] if key not in ("scored", "scores")]
        means = {}
        for key in keys:
            values = [row[key] for row in rows]
            means[key] = round(float(np.average(values, weights=weights)), 4)
        yield stage, name, means


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Yield each row's mean DSC, with folds weighted by their patients."""
    for name in rows_of(scores):
        yield f"{name:40} {mean_of_folds(chosen(scores, name)):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument(
        "--folds",
        type=int,
        default=FOLDS,
        choices=range(1, FOLDS + 1),
        help="how many folds to run",
    )
    parser.add_argument("--only", help="some of: " + "; ".join({**ADAPTATIONS, **TRAININGS}))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the table from docs/results, and stop"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    asked = options.only.split(";") if options.only else [*ADAPTATIONS, *TRAININGS]
    if unknown := set(asked) - {*ADAPTATIONS, *TRAININGS}:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}")
    work = with_cohorts(options.work, "source", TARGET)
    source_model(work, options.seed)
    given = (options.iterations, options.seed, work)
    stages: tuple[tuple[str, Callable[..., dict[str, Any]], Mapping[str, Any], int], ...] = (
        ("adaptation", adaptation, ADAPTATIONS, options.folds),
        ("training", training, TRAININGS, 1),
    )
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        jobs: dict[tuple[str, str], list[Any]] = {}
        for stage, run, names, folds in stages:
            for name in names:
                if name in ("as it is", *asked):
                    submitted = [pool.submit(run, name, fold, *given) for fold in range(folds)]
                    jobs[stage, name] = submitted
        results: dict[str, dict[str, Any]] = {"adaptation": {}, "training": {}}
        for stage, name, row in measured(jobs):
            results[stage][name] = row
            gain = row["mean"] - results[stage]["as it is"]["mean"]
            numbers = f"{row['mean']:.4f}  {gain:+.4f}  {row['seconds']:6.0f} s"
            print(f"{stage:10}  {name:26} {numbers}", flush=True)
        scored: list[RawScore] = []
        for of_row in jobs.values():
            scored += raw_scores.taken_from(job.result() for job in of_row)
        raw_scores.write(SCORES, scored)
    about = {
        "cpu": cpu_name(),
        "iterations": options.iterations,
        "folds": f"{options.folds} of {FOLDS}",
        "seed": options.seed,
    }
    (RESULTS / "ablation.json").write_text(json.dumps(about | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
