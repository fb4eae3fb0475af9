#!/usr/bin/env python3
"""Measure what caching a frozen trunk's features saves, per iteration and per adaptation.

    .venv/bin/python benchmarks/adapt_speed.py [--iterations 2200] [--every 100] [--seed 0]
        [--steps-only] [--work DIR]

Steps: processor time of one iteration on one thread, the least of several, with all ways in turns.
The ways are plain fine-tuning (a new view each time), fixed views whose features are computed
again, and fixed views whose features are cached. With the cache, a step sees whole slices or, as in
most iterations of `compact`, a window of them; "cached" is the mean over an adaptation.

Trainings on the real centres: Model_S on source, unless it exists; on target1's training patients
Model_T from scratch, Model_ST plain and Model_ST cached. Each is scored on target1's validation
patients as it goes, outside the training time; no test patient is touched. Reported are the seconds
to reach Model_T's last DSC, and the shares of time in trunk, head and data. If it is interrupted,
the same command continues.

Writes docs/results/adapt_speed.json. Makes its cohorts as real_centres.py does.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import torch

from candidates import cases_of, dsc
from parent_share import RETRAIN_LAST, source_model
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Case, Cohort
from recontour.network import Model, Network
from recontour.study.diary import Diary
from recontour.study.perform import time_shares
from recontour.training.batches import Batches
from recontour.training.features import for_learning, windowed
from recontour.training.loop import loss_of, optimiser_of, set_training_mode
from recontour.training.presets import preset_of
from recontour.training.recipe import Recipe
from recontour.transfer.depth import freeze_all_but_last
from recontour.transfer.models import begin, fit, take_over

TARGET = "target1"
ROUNDS = {"compact": 15, "paper": 5}


def steps_of(preset_name: str, case: Case, organs: Sequence[str], folder: Path) -> dict[str, float]:
    """Return the processor milliseconds of one iteration, by way."""
    preset = preset_of(preset_name)
    network = Network(preset.architecture, len(organs))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    freeze_all_but_last(network, RETRAIN_LAST)
    set_training_mode(network)
    share = windowed(preset.adapt) / preset.adapt.iterations
    whole = replace(preset.adapt, views=1, window=(0, 0))
    ways = {
        "plain": (replace(preset.adapt, views=0), False),
        "fixed views, recomputed": (whole, False),
        "cached": (whole, True),
    }
    if share:
        ways["cached, a window"] = (replace(preset.adapt, views=1, whole_iterations=0), True)
    steps = {}
    for name, (recipe, keep) in ways.items():
        batches = Batches([case], organs, preset.preprocessing, recipe, seed=0)
        steps[name] = step_of(network, batches, folder / name, keep=keep)
    least = dict.fromkeys(steps, inf)
    for _ in range(ROUNDS[preset_name]):
        for name, step in steps.items():
            began = time.process_time()
            step()
            least[name] = min(least[name], time.process_time() - began)
    if share:
        whole_s, window_s = least["cached"], least["cached, a window"]
        least["cached, whole slices"] = whole_s
        least["cached"] = share * window_s + (1 - share) * whole_s
    return {name: round(1000 * seconds, 1) for name, seconds in least.items()}


def step_of(network: Network, batches: Batches, file: Path, *, keep: bool) -> Callable[[], None]:
    """Return an iteration with the first batch, whose features are cached already if kept."""
    lessons: Any = for_learning(network, batches, file if keep else None)
    lessons.given(network, lessons[0])
    batch, optimiser = lessons[0], optimiser_of(network, batches.recipe)

    def step() -> None:
        set_training_mode(network)
        logits = lessons.logits(network, lessons.given(network, batch))
        loss = loss_of(logits, batch, batches.recipe, 0)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()

    return step


def trained(
    name: str,
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    folder: Path,
    every: int,
    watched: list[Case],
) -> dict[str, Any]:
    """Train a model, scoring it as it goes; return what that took."""
    kept = folder / f"{name}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    done = (folder / name).exists()  # interrupted between the model and its row
    with Diary(folder / f"{name}.csv") as diary:
        for step in () if done else fit(model, cases, recipe, folder / name, resume=True):
            diary.note(step)
            if step.iteration % every == 0 or step.iteration == recipe.iterations:
                diary.validate(step.iteration, lambda: dsc(model, watched)["mean"])
                done_so_far = f"{step.iteration}/{recipe.iterations}"
                print(f"{name}: {done_so_far}, DSC {diary.validation[-1].value:.4f}", flush=True)
        curve = []
        for point in diary.validation:
            curve.append((point.iteration, round(point.seconds, 1), round(point.value, 4)))
        trunk, head = time_shares(model, cases, recipe, diary)
        row = {
            "seconds": round(diary.seconds, 1),
            "data": round(diary.waiting, 4),
            "trunk": round(trunk, 4),
            "head": round(head, 4),
            "validation": curve,
        }
    kept.write_text(json.dumps(row) + "\n")
    return row


def trainings(work: Path, iterations: int, every: int, seed: int) -> dict[str, Any]:
    """Train Model_T, and Model_ST both ways; return what each took."""
    preset = preset_of("compact")
    folder = work / "adapt_speed" / f"{iterations}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    target = Cohort.open(work / "cohorts" / TARGET)
    cases, watched = cases_of(work, TARGET, "train"), cases_of(work, TARGET, "validation")
    train = replace(preset.train, iterations=iterations)
    ways = {"ST plain": replace(preset.adapt, iterations=iterations, views=0)}
    ways["ST cached"] = replace(preset.adapt, iterations=iterations)
    organs = target.organs
    model = begin(target, cases, organs, "compact", replace(preset, train=train), seed)
    rows = {"T": trained("T", model, cases, train, folder, every, watched)}
    for name, recipe in ways.items():
        parent = source_model(work, seed)
        model = take_over(parent, target, cases, organs, recipe, RETRAIN_LAST, seed)
        rows[name] = trained(name, model, cases, recipe, folder, every, watched)
    goal = rows["T"]["validation"][-1][2]
    for row in rows.values():
        reached = [seconds for _, seconds, value in row["validation"] if value >= goal]
        row["seconds to T's last DSC"] = reached[0] if reached else None
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=preset_of("compact").adapt.iterations)
    parser.add_argument(
        "--every",
        type=int,
        default=100,
        help="iterations between two scores of the validation patients",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps-only", action="store_true")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    options = parser.parse_args()
    work = with_cohorts(options.work, "source", TARGET)
    torch.set_num_threads(1)
    out = RESULTS / "adapt_speed.json"
    about: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    case = cases_of(work, TARGET, "train")[0]
    about |= {"cpu": cpu_name(), "threads": 1, "milliseconds of a step": {}}
    for preset in ROUNDS:
        with tempfile.TemporaryDirectory() as scratch:
            steps = steps_of(preset, case, case.organs, Path(scratch))
        about["milliseconds of a step"][preset] = steps
        for name, ms in steps.items():
            ratio = steps["plain"] / ms
            print(
                f"{preset}, {name}: {ms:.1f} ms; plain takes {ratio:.2f} times as long", flush=True
            )
    if not options.steps_only:
        about["trainings"] = {"iterations": options.iterations, "seed": options.seed}
        about["trainings"] |= trainings(work, options.iterations, options.every, options.seed)
        print("model      seconds  to T's last DSC  trunk  head   data   last DSC")
        for name in ("T", "ST plain", "ST cached"):
            row = about["trainings"][name]
            reached = row["seconds to T's last DSC"]
            goal_at = "never" if reached is None else round(reached)
            shares = f"{row['trunk']:.2f}   {row['head']:.2f}   {row['data']:.2f}"
            last = row["validation"][-1][2]
            print(f"{name:10} {row['seconds']:7.0f}  {goal_at:>15}  {shares}   {last:.3f}")
    out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
