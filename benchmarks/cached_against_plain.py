#!/usr/bin/env python3
"""Compare cached adaptation with plain fine-tuning: quality and speed.

    .venv/bin/python benchmarks/cached_against_plain.py [--iterations 2200] [--seeds 0] [--jobs 2]
        [--work DIR]

Model_S, as parent_share.py trains it, is adapted to target1's development patients outside a fold
and contours the fold, in three folds, so each way contours every patient once. No test patient is
touched. The ways:

    plain     the frozen layers run on a new view of each slice
    whole     eight fixed views, cached; each step sees whole slices
    cached    as `recontour adapt`: a step sees a window of most slices

Each training uses one thread. Differences are over patients, averaged over seeds, with 95 % t
intervals. Seconds are processor seconds of a whole adaptation, including the preparation of its
data. If it is interrupted, the same command continues.

Prints a table, and writes docs/results/cached_against_plain.json and
cached_against_plain_scores.csv, from which --table makes the table's DSC alone. Makes its cohorts
as real_centres.py does.
"""

import argparse
import json
import resource
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import raw_scores
from candidates import cases_of
from parent_share import FOLDS, RETRAIN_LAST, patients_of, source_model
from raw_scores import RawScore, chosen, rows_of, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Cohort
from recontour.evaluation.intervals import Dsc, Interval, difference, interval_of
from recontour.evaluation.patients import mean
from recontour.network import load_model
from recontour.training.presets import preset_of
from recontour.transfer.models import fit, take_over

TARGET = "target1"
SCORES = RESULTS / "cached_against_plain_scores.csv"
WAYS: dict[str, dict[str, Any]] = {"plain": {"views": 0}, "cached": {}, "whole": {"window": (0, 0)}}


def adaptation(way: str, fold: int, iterations: int, seed: int, work: Path) -> dict[str, Any]:
    """Adapt one fold in one way; return its processor seconds and its scores."""
    torch.set_num_threads(1)
    folder = work / "cached_against_plain" / f"{way}-{fold}-{iterations}-{seed}"
    kept = folder / "row.json"
    if row := raw_scores.kept_row(kept):
        return row
    target = Cohort.open(work / "cohorts" / TARGET)
    learnt, scored = patients_of(cases_of(work, TARGET, "train", "validation"), fold, None, 0)
    recipe = replace(preset_of("compact").adapt, iterations=iterations, **WAYS[way])
    out, spent = folder / "model", folder / "seconds.json"
    if not out.exists():
        parent = source_model(work, 0)
        model = take_over(parent, target, learnt, target.organs, recipe, RETRAIN_LAST, seed)
        before = processor_seconds()
        for _ in fit(model, learnt, recipe, out, resume=True):
            pass
        spent.write_text(json.dumps(processor_seconds() - before))
    model = load_model(out)
    scores = score_cases(model, scored, way, f"fold {fold}", seed)
    row = {"seconds": json.loads(spent.read_text()), "scores": to_json(scores)}
    kept.write_text(json.dumps(row, indent=1))
    return row


def processor_seconds() -> float:
    """Return the seconds of this process and its finished children, which prepare the data."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def dsc_of(scores: Iterable[RawScore]) -> Dsc:
    """Return the mean DSC over seeds, by patient and organ."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in scores:
        found.setdefault((one.case, one.organ), []).append(one.dsc)
    return {key: mean(values) for key, values in found.items()}


def table(scores: Sequence[RawScore]) -> Iterator[tuple[str, float, Interval]]:
    """Yield each way, its mean DSC, and its difference from the plain way."""
    dsc = {way: dsc_of(chosen(scores, way)) for way in rows_of(scores)}
    for way, of_way in dsc.items():
        yield way, interval_of(of_way).mean, interval_of(difference(dsc["plain"], of_way))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=preset_of("compact").adapt.iterations)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the DSC from docs/results, and stop"
    )
    options = parser.parse_args()
    if options.table:
        for way, dsc, gain in table(raw_scores.read(SCORES)):
            print(shown(way, dsc, gain))
        return
    ways = options.ways.split(",")
    seeds = list(map(int, options.seeds.split(",")))
    work = with_cohorts(options.work, "source", TARGET)
    source_model(work, 0)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        jobs: dict[str, list[Future[dict[str, Any]]]] = {}
        for way in ways:
            jobs[way] = []
            for seed, fold in product(seeds, range(FOLDS)):
                job = pool.submit(adaptation, way, fold, options.iterations, seed, work)
                jobs[way].append(job)
        scores: list[RawScore] = []
        seconds = {}
        for way, of_way in jobs.items():
            rows = [job.result() for job in of_way]
            seconds[way] = mean(row["seconds"] for row in rows)
            scores += raw_scores.taken_from(rows)
    raw_scores.write(SCORES, scores)
    results = {}
    for way, dsc, gain in table(scores):
        results[way] = {"dsc": dsc, "less plain": asdict(gain), "seconds": seconds[way]}
        ratio = seconds["plain"] / seconds[way]
        spent = f"{seconds[way]:.0f} s, plain takes {ratio:.2f} times as long"
        print(f"{shown(way, dsc, gain)}; {spent}", flush=True)
    about = {"cpu": cpu_name(), "iterations": options.iterations, "seeds": seeds}
    out = RESULTS / "cached_against_plain.json"
    out.write_text(json.dumps(about | results, indent=1) + "\n")


def shown(way: str, dsc: float, gain: Interval) -> str:
    """Return a line of the table."""
    interval = f"{gain.low:+.4f} to {gain.high:+.4f}"
    return f"{way:7} DSC {dsc:.4f}, less plain {gain.mean:+.4f} ({interval})"


if __name__ == "__main__":
    main()
