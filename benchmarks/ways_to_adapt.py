#!/usr/bin/env python3
"""Compare ways to adapt: with a pull to the parent, with rates by depth, with source's patients.

    .venv/bin/python benchmarks/ways_to_adapt.py [--seeds 0,1] [--ways default,pull-1] [--jobs 2]
        [--iterations 1100] [--parent MODEL]

The first of three folds of each target's development patients is scored, and the others are
adapted to; no test patient is touched. The parent is Model_S of source, trained as the study trains
it unless --parent names a file. All adaptations retrain all layers of `compact`, and the parent
counts as three patients, as `adapt` has it (docs/decisions/046-defaults-that-win.md).

    default        what `adapt` does
    pull-N         L2-SP: each step also draws the weights to the parent's, by N times the rate
    first-F        the first stage learns at F times the rate, the last at the whole, and those
                   between at a geometric series
    with-N         N patients of source beside the target's own

If it is interrupted, the same command continues. Prints a table, and writes
docs/results/ways_to_adapt.json and ways_to_adapt_scores.csv, from which --table makes the table
alone. Makes its cohorts as real_centres.py does.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW

import raw_scores
from candidates import cases_of
from parent_share import patients_of, source_model
from raw_scores import RawScore, mean_dsc, mean_of, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Case, Cohort
from recontour.network import Network, load_model
from recontour.training.presets import preset_of
from recontour.training.recipe import Recipe
from recontour.transfer.depth import layers
from recontour.transfer.models import fit, take_over

COMPACT = preset_of("compact")
TARGETS = ("target1", "target2")
WAYS = ("default", "pull-1", "pull-10", "first-0.1", "with-8")
FOLD = 0


@dataclass(frozen=True, slots=True)
class Way:
    """A way to adapt.

    pull: how strongly each step draws the weights to the parent's, in units of the rate.
    first_rate: the first stage's rate, as a share of the last one's. source: cases beside the
    target's own.
    """

    pull: float = 0.0
    first_rate: float = 1.0
    source: int = 0


def way_of(name: str) -> Way:
    """Return the way that goes by a name.

    >>> way_of("pull-10").pull
    10.0
    """
    kind, _, number = name.partition("-")
    if kind == "pull":
        return Way(pull=float(number))
    if kind == "first":
        return Way(first_rate=float(number))
    if kind == "with":
        return Way(source=int(number))
    if kind == "default":
        return Way()
    raise SystemExit(f"{name}: expected default, pull-N, first-F or with-N")


class BesideTheParent(AdamW):
    """AdamW with a rate for each group, which draws weights to where they began instead of to 0."""

    def __init__(self, groups: list[dict[str, Any]], recipe: Recipe, pull: float):
        decay = 0.0 if pull else recipe.weight_decay
        super().__init__(groups, recipe.learning_rate, weight_decay=decay)
        self.pull = pull
        self.began = [_copies(group["params"]) for group in self.param_groups]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] *= group["share"]  # the loop sets it anew before each step
        loss = super().step(closure)
        if self.pull:
            for group, began in zip(self.param_groups, self.began, strict=True):
                _draw(group["params"], began, group["lr"] * self.pull)
        return loss


def _copies(weights: list[nn.Parameter]) -> list[Tensor]:
    return [weight.detach().clone() for weight in weights]


def _draw(weights: list[nn.Parameter], began: list[Tensor], share: float) -> None:
    """Move weights by a share of the way to where they began."""
    for weight, first in zip(weights, began, strict=True):
        weight.lerp_(first, share)


def groups_of(network: Network, first_rate: float) -> list[dict[str, Any]]:
    """Return what learns by stage, each with its share of the rate."""
    stages = list(network.path.values())
    shares = np.geomspace(first_rate, 1.0, len(stages))
    groups: list[dict[str, Any]] = []
    seen: set[int] = set()
    for stage, share in zip(stages, shares, strict=True):
        learning = [weight for weight in stage.parameters() if weight.requires_grad]
        seen |= {id(weight) for weight in learning}
        groups.append({"params": learning, "share": float(share)})
    others = [
        weight for weight in network.parameters() if weight.requires_grad and id(weight) not in seen
    ]
    if others:
        groups.append({"params": others, "share": 1.0})
    return groups


def adapt(way: Way, role: str, learnt: list[Case], job: "Job", path: Path) -> None:
    """Adapt the parent to some cases in a way, and write the model's file."""
    cohort = Cohort.open(job.work / "cohorts" / role)
    parent = load_model(job.parent)
    recipe = replace(COMPACT.adapt, iterations=job.iterations)
    drawn = set().union(*(case.organs for case in learnt))
    organs = [organ for organ in parent.organs if organ in drawn]
    depth = len(layers(parent.network))
    model = take_over(parent, cohort, learnt, organs, recipe, depth, job.seed)
    cases = learnt + cases_of(job.work, "source", "train")[: way.source]

    def optimiser(network: Network, recipe: Recipe) -> BesideTheParent:
        return BesideTheParent(groups_of(network, way.first_rate), recipe, way.pull)

    with patch("recontour.training.run.optimiser_of", optimiser):
        for _ in fit(model, cases, recipe, path, resume=True):
            pass


@dataclass(frozen=True, slots=True)
class Job:
    """What one process needs to know."""

    way: str
    role: str
    seed: int
    iterations: int
    parent: Path
    work: Path


def measure(job: Job) -> dict[str, Any]:
    """Adapt once, and score; return the row, which is kept in a file."""
    torch.set_num_threads(1)
    name = f"{job.role}-{job.way}-{job.iterations}-{job.seed}"
    folder = job.work / "ways_to_adapt" / name
    kept = folder / "row.json"
    if row := raw_scores.kept_row(kept):
        return row
    development = cases_of(job.work, job.role, "train", "validation")
    learnt, scored = patients_of(development, FOLD, None, job.seed)
    path = folder / "model"
    if not path.exists():
        adapt(way_of(job.way), job.role, learnt, job, path)
    scores = score_cases(load_model(path), scored, job.way, job.role, job.seed)
    print(f"{name}: {mean_dsc(scores):.4f}", flush=True)
    row = {"way": job.way, "learnt": len(learnt), "scores": to_json(scores)}
    kept.write_text(json.dumps(row, indent=1))
    return row


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Yield each way's mean over organs of DSC and surface DSC, by target and seed."""
    seeds = sorted({score.seed for score in scores})
    columns = [(role, seed) for role in TARGETS for seed in seeds]
    yield "way        " + "  ".join(f"{role}, seed {seed}" for role, seed in columns)
    for way in raw_scores.rows_of(scores):
        cells = []
        for role, seed in columns:
            of_way = raw_scores.chosen(scores, way, role)
            of_seed = [score for score in of_way if score.seed == seed]
            dsc = mean_of(of_seed, "dsc")
            surface_dsc = mean_of(of_seed, "surface_dsc")
            cells.append(f"{dsc:.4f} {surface_dsc:.4f}" if of_seed else "-")
        yield f"{way:10} " + "  ".join(f"{cell:>15}" for cell in cells)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0,1", help="separated by commas")
    parser.add_argument("--ways", default=",".join(WAYS), help="separated by commas")
    parser.add_argument("--iterations", type=int, default=1100, help="of each adaptation")
    parser.add_argument("--parent", type=Path, help="instead of training Model_S")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the table from docs/results, and stop"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(raw_scores.read(RESULTS / "ways_to_adapt_scores.csv"))))
        return
    work = with_cohorts(options.work, "source", *TARGETS)
    parent = options.parent
    if parent is None:
        source_model(work, 0)
        parent = work / "parent_share" / "S-seed0"
    seeds = [int(seed) for seed in options.seeds.split(",")]
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        waiting = []
        for seed, role, way in product(seeds, TARGETS, options.ways.split(",")):
            job = Job(way, role, seed, options.iterations, parent.resolve(), work)
            waiting.append(pool.submit(measure, job))
        rows = [job.result() for job in waiting]
    scores = raw_scores.taken_from(rows)
    raw_scores.write(RESULTS / "ways_to_adapt_scores.csv", scores)
    kept = {
        "cpu": cpu_name(),
        "parent": "Model_S by default" if options.parent is None else options.parent.name,
        "iterations": options.iterations,
        "command": "benchmarks/ways_to_adapt.py",
    }
    (RESULTS / "ways_to_adapt.json").write_text(json.dumps(kept, indent=1) + "\n")
    print("\n".join(table(scores)))


if __name__ == "__main__":
    main()
