#!/usr/bin/env python3
"""Compare training in bf16 with training in float32 on a processor: speed and quality.

    .venv/bin/python benchmarks/precision.py [--dsc] [--iterations N] [--seeds 0,1] [--jobs 2]
        [--work DIR]

Speed, in seconds and without any data: processor time of an iteration of `compact` on one thread,
the least of several, with all ways in turns. Model_S or Model_T trains all layers on whole slices;
a plain adaptation trains the last ten on whole slices; a cached one trains them on features of a
window, as most of its iterations do, or of whole slices. The loss is part of an iteration, and
preparing the batch is not.

--dsc: Model_S, as parent_share.py trains it, is adapted to target1's development patients outside
a fold, all layers as by `recontour adapt`, and contours the fold, in three folds. Model_T is
trained from scratch on the same patients. Both are as long as the preset has them for so many
patients, unless --iterations says otherwise. Each is made in float32 and in bf16. Contouring is
float32. No test patient is touched. Differences are over patients, averaged over seeds, with 95 % t
intervals.
If it is interrupted, the same command continues. It makes its cohorts as real_centres.py does.

Prints tables, and writes docs/results/precision.json and, with --dsc, precision_scores.csv, from
which --table makes the table of DSC alone.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import raw_scores
from cached_against_plain import TARGET, dsc_of, processor_seconds
from candidates import cases_of
from parent_share import FOLDS, RETRAIN_LAST, patients_of, source_model
from raw_scores import RawScore, chosen, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Cohort, by_patient
from recontour.evaluation.intervals import Interval, difference, interval_of
from recontour.evaluation.patients import mean
from recontour.network import Model, Network, load_model
from recontour.training.batches import Batch
from recontour.training.features import pixels_of
from recontour.training.precision import has_bf16
from recontour.training.presets import preset_of
from recontour.training.profile import Trial, fixed_batch
from recontour.training.recipe import Precision, Recipe
from recontour.transfer.depth import freeze_all_but_last, layers
from recontour.transfer.models import begin, fit, take_over, with_precision

COMPACT = preset_of("compact")
SIDE_PX = COMPACT.preprocessing.crop_px
CELLS = (SIDE_PX - 1) // 8 + 1
ORGANS = 7  # as target1 has
ROUNDS = 15
OUT = RESULTS / "precision.json"
SCORES = RESULTS / "precision_scores.csv"
PRECISIONS: tuple[Precision, Precision] = ("float32", "bf16")
MODELS = ("ST", "T")

# Speed


def speeds() -> dict[str, dict[str, float]]:
    """Return the milliseconds of an iteration, by way and precision, and their ratio."""
    steps = {}
    for way, precision in product(ways(), PRECISIONS):
        steps[way, precision] = step_of(way, precision)
    least = dict.fromkeys(steps, inf)
    for step in steps.values():
        step()  # the first one allocates
    for _ in range(ROUNDS):
        for key, step in steps.items():
            began = time.process_time()
            step()
            least[key] = min(least[key], time.process_time() - began)
    found = {}
    for way in ways():
        float32, bf16 = least[way, "float32"], least[way, "bf16"]
        found[way] = {
            "float32 ms": round(1000 * float32, 1),
            "bf16 ms": round(1000 * bf16, 1),
            "float32 : bf16": round(float32 / bf16, 2),
        }
    return found


def ways() -> dict[str, tuple[bool, tuple[int, int] | None]]:
    """Return, by way, whether the trunk is frozen, and the cached features' rows and columns."""
    return {
        "all layers": (False, None),
        "plain adaptation": (True, None),
        "cached, a window": (True, COMPACT.adapt.window),
        "cached, whole slices": (True, (CELLS, CELLS)),
    }


def step_of(way: str, precision: Precision) -> Callable[[], None]:
    """Return an iteration."""
    is_frozen, cells = ways()[way]
    torch.manual_seed(0)
    network = Network(COMPACT.architecture, ORGANS)
    if is_frozen:
        freeze_all_but_last(network, RETRAIN_LAST)
    recipe = COMPACT.adapt if is_frozen else COMPACT.train
    batch = fixed_batch(recipe.batch, ORGANS, SIDE_PX)
    if cells:
        batch = seen_through(cells, batch)
    trial = Trial(network, batch, recipe)
    kept = trial.features("float32") if cells else None  # as a cache gives them
    return partial(trial.step, precision, kept)


def seen_through(cells: tuple[int, int], batch: Batch) -> Batch:
    """Return the part of a batch that a window of the features' cells shows."""
    height, width = map(pixels_of, cells)
    ct_NSHW = batch.ct_NSHW[..., :height, :width]
    organs_NKHW = batch.organs_NKHW[..., :height, :width].contiguous()
    return Batch(ct_NSHW, organs_NKHW, batch.known_NK)


# Quality


def trained(
    name: str, precision: Precision, fold: int, iterations: int | None, seed: int, work: Path
) -> dict[str, Any]:
    """Train one model on one fold; return its processor seconds and its scores."""
    torch.set_num_threads(1)
    length = iterations or "usual"
    folder = work / "precision" / f"{name}-{precision}-{fold}-all-layers-{length}-{seed}"
    kept = folder / "row.json"
    if row := raw_scores.kept_row(kept):
        return row
    target = Cohort.open(work / "cohorts" / TARGET)
    learnt, scored = patients_of(cases_of(work, TARGET, "train", "validation"), fold, None, 0)
    out, spent = folder / "model", folder / "seconds.json"
    if not out.exists():
        patients = len(by_patient(learnt))
        if name == "ST":
            recipe = of_length(COMPACT.adapt_to(patients), iterations)
            parent = source_model(work, 0)
            count = len(layers(parent.network))
            model = take_over(parent, target, learnt, target.organs, recipe, count, seed)
        else:
            recipe = of_length(COMPACT.train_on(patients), iterations)
            settings = replace(COMPACT, train=recipe)
            model = begin(target, learnt, target.organs, "compact", settings, seed)
        seconds = seconds_of(model, learnt, recipe, out, precision)
        spent.write_text(json.dumps(seconds))
    scores = score_cases(load_model(out), scored, f"{name} {precision}", f"fold {fold}", seed)
    row = {"seconds": json.loads(spent.read_text()), "scores": to_json(scores)}
    kept.write_text(json.dumps(row, indent=1))
    return row


def of_length(recipe: Recipe, iterations: int | None) -> Recipe:
    """Return a recipe with other iterations, if any are given."""
    return replace(recipe, iterations=iterations) if iterations else recipe


def seconds_of(
    model: Model, cases: Sequence[Any], recipe: Recipe, out: Path, precision: Precision
) -> float:
    """Train a model in a precision; return the processor seconds of this attempt."""
    asked = with_precision(model, recipe, out, "bf16" if precision == "bf16" else "float32")
    before = processor_seconds()
    for _ in fit(asked, cases, recipe, out, resume=True):
        pass
    return processor_seconds() - before


def table(scores: Sequence[RawScore]) -> Iterator[tuple[str, float, float, Interval]]:
    """Yield each model, its mean DSC in float32 and bf16, and bf16's difference."""
    for name in MODELS:
        float32, bf16 = (dsc_of(chosen(scores, f"{name} {word}")) for word in PRECISIONS)
        gain = interval_of(difference(float32, bf16))
        yield name, interval_of(float32).mean, interval_of(bf16).mean, gain


def shown(name: str, float32: float, bf16: float, gain: Interval) -> str:
    """Return a line of the table."""
    interval = f"{gain.low:+.4f} to {gain.high:+.4f}"
    means = f"DSC in float32 {float32:.4f}, in bf16 {bf16:.4f}"
    return f"Model_{name:2} {means}, bf16 less float32 {gain.mean:+.4f} ({interval})"


def quality(work: Path, iterations: int | None, seeds: Sequence[int], jobs: int) -> dict[str, Any]:
    """Train everything; write the scores, print the table, and return it."""
    source_model(work, 0)
    rows: dict[str, list[Any]] = {}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for seed, fold in product(seeds, range(FOLDS)):
            for name, precision in product(MODELS, PRECISIONS):
                job = pool.submit(trained, name, precision, fold, iterations, seed, work)
                rows.setdefault(f"{name} {precision}", []).append(job)
        done = {row: [job.result() for job in of_row] for row, of_row in rows.items()}
    seconds = {}
    scores: list[RawScore] = []
    for row, of_row in done.items():
        seconds[row] = round(mean(one["seconds"] for one in of_row), 1)
        scores += raw_scores.taken_from(of_row)
    raw_scores.write(SCORES, scores)
    results: dict[str, Any] = {
        "iterations": iterations or "usual",
        "seeds": list(seeds),
        "seconds": seconds,
    }
    for name, float32, bf16, gain in table(scores):
        results[name] = {"float32": float32, "bf16": bf16, "bf16 less float32": asdict(gain)}
        print(shown(name, float32, bf16, gain), flush=True)
    print(f"processor seconds of a training: {seconds}")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dsc", action="store_true", help="train on real patients, too: hours")
    parser.add_argument("--iterations", type=int, help="of each training")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the DSC from docs/results, and stop"
    )
    options = parser.parse_args()
    if options.table:
        for line in table(raw_scores.read(SCORES)):
            print(shown(*line))
        return
    torch.set_num_threads(1)
    about: dict[str, Any] = json.loads(OUT.read_text()) if OUT.exists() else {}
    about |= {"cpu": cpu_name(), "bf16 instructions": has_bf16(), "threads": 1}
    about["iteration"] = speeds()
    for way, of_way in about["iteration"].items():
        words = f"float32 {of_way['float32 ms']} ms, bf16 {of_way['bf16 ms']} ms"
        print(f"{way:20} {words}, ratio {of_way['float32 : bf16']}", flush=True)
    OUT.write_text(json.dumps(about, indent=1) + "\n")
    if options.dsc:
        work = with_cohorts(options.work, "source", TARGET)
        seeds = list(map(int, options.seeds.split(",")))
        about["quality"] = quality(work, options.iterations, seeds, options.jobs)
        OUT.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
