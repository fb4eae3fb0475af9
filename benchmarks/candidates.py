#!/usr/bin/env python3
"""What should `compact` be? Networks of the paper's architecture, each trained on source for as
many minutes.

    .venv/bin/python benchmarks/candidates.py [--minutes 8] [--seed 0] [--only "compact;deeper"]
    [--work DIR]

First one iteration of every candidate is timed, in turns and several times, and the fastest counts:
so a busy moment of the machine costs no candidate anything. Each is then trained for the iterations
that fit into the minutes, two at a time on one thread each, and scored on source's validation
patients (the choice) and on the development patients of target1 (how it travels); test patients are
not touched. Broken off at any moment, the same command goes on where it was. Prints a table, best
first, and writes docs/results/candidates.json and candidates_scores.csv, of which alone --table
makes it. Makes its cohorts as real_centres.py does.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

import raw_scores
from raw_scores import RawScore, chosen, mean_dsc, of_json, rows_of, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.evaluation import mean_over_organs
from recontour.network import Model, Network, load_model
from recontour.study.split import read_split
from recontour.training.batches import Batches
from recontour.training.presets import Preset, preset_of
from recontour.training.profile import time_step
from recontour.transfer.models import begin, fit

COMPACT = preset_of("compact")
ROUNDS = 3  # of timing
SCORES = RESULTS / "candidates_scores.csv"


def wider(view: tuple[float, int] | None = None, **architecture: Any) -> Preset:
    """`compact` with the wider head it had before, with changes, and perhaps pixels (mm) and sides
    (px) of its own.
    """
    pixel_mm, crop_px = view or (COMPACT.preprocessing.pixel_mm, COMPACT.preprocessing.crop_px)
    head: dict[str, Any] = {"widths": (16, 32, 64, 64), "spp_channels": 64}
    return replace(
        COMPACT,
        architecture=replace(COMPACT.architecture, **(head | architecture)),
        preprocessing=replace(COMPACT.preprocessing, pixel_mm=pixel_mm, crop_px=crop_px),
    )


CANDIDATES = {
    "compact": COMPACT,
    "wider head": wider(),
    "coarser": wider((1.5, 193)),
    "finer": wider((1.0, 281), widths=(16, 32, 48, 48), spp_channels=48),
    "coarser, wider": wider((1.5, 193), widths=(24, 48, 96, 96)),
    "deeper": wider(blocks=(2, 3, 6)),
}


SCORED = {"source": ("validation",), "target1": ("train", "validation")}  # role -> folds


def cases_of(work: Path, role: str, *folds: str) -> list[Case]:
    cohort = Cohort.open(work / "cohorts" / role)
    split = read_split(work / "cohorts" / f"{role}.csv", role, cohort)
    return [cohort[case] for fold in folds for case in split[fold]]


def seconds_per_iteration(
    candidates: Mapping[str, Preset], cases: list[Case], organs: tuple[str, ...]
) -> dict[str, float]:
    """The fastest of several, all candidates in turns, one thread."""
    torch.set_num_threads(1)
    best = dict.fromkeys(candidates, float("inf"))
    batches = {
        name: Batches(cases, organs, c.preprocessing, c.train, seed=0)[0]
        for name, c in candidates.items()
    }
    for _ in range(ROUNDS):
        for name, preset in candidates.items():
            network = Network(preset.architecture, len(organs))
            best[name] = min(best[name], time_step(network, batches[name], preset.train).whole)
    return best


def measure(name: str, iterations: int, seed: int, work: Path) -> dict[str, Any]:
    """Train a candidate and score it: one row of the table, kept in a file of its own."""
    torch.set_num_threads(1)
    folder = work / "candidates" / f"{name.replace(', ', '-')}-{iterations}-{seed}"
    kept = folder / "row.json"
    if row := raw_scores.kept_row(kept):
        return row
    preset = CANDIDATES[name]
    recipe = replace(preset.train, iterations=iterations)
    source = Cohort.open(work / "cohorts" / "source")
    cases = cases_of(work, "source", "train")
    if (folder / "model").exists():
        model, seconds = load_model(folder / "model"), float("nan")
    else:
        model = begin(source, cases, source.organs, "compact", replace(preset, train=recipe), seed)
        began = time.perf_counter()
        for step in fit(model, cases, recipe, folder / "model", resume=True):
            if step.iteration % 200 == 0:
                print(f"{name}: {step.iteration}/{iterations}", flush=True)
        seconds = time.perf_counter() - began
    row = {
        "candidate": name,
        "iterations": iterations,
        "minutes": round(seconds / 60, 1),
        "parameters": sum(p.numel() for p in model.network.parameters()),
    }
    scores = []
    for role, folds in SCORED.items():
        of_role = score_cases(model, cases_of(work, role, *folds), name, role, seed)
        row[role] = {"mean": mean_dsc(of_role)} | {
            organ: mean_dsc(of_role, [organ]) for organ in model.organs
        }
        scores += of_role
    row["scores"] = to_json(scores)
    kept.write_text(json.dumps(row, indent=1))
    return row


def dsc(model: Model, cases: list[Case]) -> dict[str, float]:
    """Mean DSC of a model over the cases, over organs and by organ."""
    contourer = Contourer(model)
    rows = []
    for case in cases:
        rows += [row for row, _ in score_masks(case, "model", contour_case(contourer, case))]
    by_organ = {organ: mean_over_organs(rows, "model", [organ]) for organ in model.organs}
    return {"mean": mean_over_organs(rows, "model", model.organs), **by_organ}


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Each candidate's mean DSC on both centres' patients."""
    for name in rows_of(scores):
        means = [mean_dsc(chosen(scores, name, role)) for role in SCORED]
        yield f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=8.0, help="of training, for each candidate"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="some of: " + "; ".join(CANDIDATES))
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="only the means, of the scores in docs/results"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    work = with_cohorts(options.work, "source", "target1")
    names = options.only.split(";") if options.only else list(CANDIDATES)
    times_file = work / "candidates" / "seconds.json"
    if not times_file.exists():
        organs = Cohort.open(work / "cohorts" / "source").organs
        times_file.parent.mkdir(exist_ok=True)
        times = seconds_per_iteration(CANDIDATES, cases_of(work, "source", "train"), organs)
        times_file.write_text(json.dumps(times, indent=1))
    times = json.loads(times_file.read_text())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(
                measure, name, round(options.minutes * 60 / times[name]), options.seed, work
            )
            for name in names
        ]
        rows = sorted((job.result() for job in jobs), key=lambda row: -row["source"]["mean"])
    print("candidate                    s/it  iterations  parameters  source  target1")
    for row in rows:
        print(
            f"{row['candidate']:28} {times[row['candidate']]:.2f} {row['iterations']:11} {row['parameters']:11} "
            f"{row['source']['mean']:7.3f} {row['target1']['mean']:8.3f}"
        )
    raw_scores.write(SCORES, [score for row in rows for score in of_json(row.pop("scores"))])
    settings = {
        name: asdict(CANDIDATES[name].architecture) | asdict(CANDIDATES[name].preprocessing)
        for name in names
    }
    about = {
        "cpu": cpu_name(),
        "minutes": options.minutes,
        "seed": options.seed,
        "seconds per iteration": times,
    }
    (RESULTS / "candidates.json").write_text(
        json.dumps(about | {"rows": rows, "settings": settings}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
