#!/usr/bin/env python3
"""Compare how much a parent should count: adaptations to few and many patients, shares 0 to 1.

    .venv/bin/python benchmarks/parent_share.py [--role target1] [--iterations 1200]
        [--retrain-last 10]

Cross-validation on a centre's development patients in three folds; no test patient is touched.
Model_S, trained on source as the study trains it, is adapted to 2, 5 and all patients outside a
fold, and contours the fold. The share is set afterwards, so one adaptation serves all of them: 0 is
the paper's Model_ST, 1 is Model_S. If it is interrupted, the same command continues.

Prints a table, and writes docs/results/parent_share.json (or one of its own for another depth) and
parent_share_scores.csv, from which --table makes the table alone. Makes its cohorts as
real_centres.py does.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

import raw_scores
from candidates import cases_of, means_of
from raw_scores import RawScore, chosen, mean_of_folds, rows_of, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Case, Cohort
from recontour.network import Model, load_model
from recontour.training.presets import preset_of
from recontour.transfer.models import begin, fit, take_over

COMPACT = preset_of("compact")
RETRAIN_LAST = 10
FOLDS = 3
PATIENTS = (2, 5, None)  # how many to adapt to; None: all outside the fold
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def source_model(work: Path, seed: int) -> Model:
    """Return Model_S, trained first if it does not exist yet."""
    path = work / "parent_share" / f"S-seed{seed}"
    if not path.exists():
        source = Cohort.open(work / "cohorts" / "source")
        cases = cases_of(work, "source", "train")
        model = begin(source, cases, source.organs, "compact", COMPACT, seed)
        for step in fit(model, cases, COMPACT.train, path, resume=True):
            if step.iteration % 200 == 0:
                print(f"Model_S: {step.iteration}/{COMPACT.train.iterations}", flush=True)
    return load_model(path)


def patients_of(
    development: Sequence[Case], fold: int, number: int | None, seed: int
) -> tuple[list[Case], list[Case]]:
    """Return the patients to adapt to, and those to score, which are the fold."""
    order = np.random.default_rng([seed, fold]).permutation(len(development))
    outside = [development[i] for i in order if i % FOLDS != fold]
    return outside[:number], list(development[fold::FOLDS])


def measure(
    fold: int, number: int | None, iterations: int, layers: int, seed: int, role: str, work: Path
) -> dict[str, Any]:
    """Adapt once and score with each share; return the row, which is kept in a file."""
    torch.set_num_threads(1)
    asked = number or "all"
    name = f"{role}-fold{fold}-{asked}-{iterations}-last{layers}-{seed}"
    folder = work / "parent_share" / name
    kept = folder / "row.json"
    if row := raw_scores.kept_row(kept):
        return row
    cohort = Cohort.open(work / "cohorts" / role)
    learnt, scored = patients_of(cases_of(work, role, "train", "validation"), fold, number, seed)
    parent = source_model(work, seed)
    recipe = replace(COMPACT.adapt, iterations=iterations)
    drawn = set().union(*(case.organs for case in learnt))
    organs = [organ for organ in parent.organs if organ in drawn]
    path = folder / "model"
    if not path.exists():
        model = take_over(parent, cohort, learnt, organs, recipe, layers, seed)
        for _ in fit(model, learnt, recipe, path, resume=True):
            pass
    model = load_model(path)
    scores, raw = {}, []
    for share in SHARES:
        model.network.set_shares(torch.full((1, len(model.organs)), share))
        of_share = score_cases(model, scored, f"{asked}, share {share}", f"fold {fold}", seed)
        scores[str(share)] = means_of(of_share, model.organs)
        raw += of_share
    row = {
        "fold": fold,
        "asked": asked,
        "patients": len(learnt),
        "scored": len(scored),
        "by share": scores,
    }
    row["scores"] = to_json(raw)
    kept.write_text(json.dumps(row, indent=1))
    return row


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Yield the mean DSC by number of patients and share, with folds weighted by their patients."""
    for name in rows_of(scores):
        yield f"{name:16} {mean_of_folds(chosen(scores, name)):.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--role", default="target1")
    parser.add_argument("--iterations", type=int, default=1200, help="of each adaptation")
    parser.add_argument("--retrain-last", type=int, default=RETRAIN_LAST, help="layers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the table from docs/results, and stop"
    )
    options = parser.parse_args()
    layers = options.retrain_last
    name = "parent_share" if layers == RETRAIN_LAST else f"parent_share_last_{layers}"
    if options.table:
        print("\n".join(table(raw_scores.read(RESULTS / f"{name}_scores.csv"))))
        return
    work = with_cohorts(options.work, "source", options.role)
    source_model(work, options.seed)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        given = (options.iterations, layers, options.seed, options.role, work)
        jobs = []
        for number, fold in product(PATIENTS, range(FOLDS)):
            jobs.append(pool.submit(measure, fold, number, *given))
        rows = [job.result() for job in jobs]
    print("patients  " + "  ".join(f"share {share:4}" for share in SHARES))
    means: dict[int | str, list[float]] = {}
    for number in PATIENTS:
        asked = number or "all"
        folds = [row for row in rows if row["asked"] == asked]
        means[asked] = [mean_of_share(folds, share) for share in SHARES]
        print(f"{asked:>8}  " + "  ".join(f"{mean:10.4f}" for mean in means[asked]))
    raw_scores.write(RESULTS / f"{name}_scores.csv", raw_scores.taken_from(rows))
    kept = {
        "cpu": cpu_name(),
        "role": options.role,
        "iterations": options.iterations,
        "retrained layers": layers,
        "seed": options.seed,
        "shares": SHARES,
        "mean DSC by patients": means,
        "folds": rows,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def mean_of_share(folds: Sequence[dict[str, Any]], share: float) -> float:
    """Return the folds' mean DSC with one share, weighted by their patients."""
    weights = [row["scored"] for row in folds]
    means = [row["by share"][str(share)]["mean"] for row in folds]
    return round(float(np.average(means, weights=weights)), 4)


if __name__ == "__main__":
    main()
