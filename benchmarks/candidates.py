#!/usr/bin/env python3
"""Compare candidates for `compact`: networks of the paper's architecture, trained equally long.

    .venv/bin/python benchmarks/candidates.py [--minutes 8] [--seed 0] [--only "compact;deeper"]
        [--work DIR]

Each candidate's iteration is timed several times, in turns, and the fastest counts, so a busy
moment harms none of them. Each then trains on source for the iterations that fit into the minutes,
two candidates at a time, one thread each. Scores on source's validation patients decide; those on
target1's development patients show how a candidate travels. No test patient is touched. If it is
interrupted, the same command continues.

Prints a table, best first, and writes docs/results/candidates.json and candidates_scores.csv, from
which --table makes the table alone. Makes its cohorts as real_centres.py does.
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
from raw_scores import RawScore, chosen, mean_dsc, rows_of, score_cases, to_json
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
    """Return `compact` with the wider head that it had before, and with changes.

    view: other pixels in mm, and another crop in pixels.
    """
    pixel_mm, crop_px = view or (COMPACT.preprocessing.pixel_mm, COMPACT.preprocessing.crop_px)
    head: dict[str, Any] = {"widths": (16, 32, 64, 64), "spp_channels": 64}
    return replace(
        COMPACT,
        architecture=replace(COMPACT.architecture, **(head | architecture)),
        preprocessing=replace(COMPACT.preprocessing, pixel_mm=pixel_mm, crop_px=crop_px),
    )


def with_neighbours(*neighbours_mm: float) -> Preset:
    """Return `compact` that also sees the slices at these distances along z."""
    return replace(
        COMPACT,
        architecture=replace(COMPACT.architecture, slices=1 + len(neighbours_mm)),
        preprocessing=replace(COMPACT.preprocessing, neighbours_mm=neighbours_mm),
    )


CANDIDATES = {
    "compact": COMPACT,
    "wider head": wider(),
    "coarser": wider((1.5, 193)),
    "finer": wider((1.0, 281), widths=(16, 32, 48, 48), spp_channels=48),
    "coarser, wider": wider((1.5, 193), widths=(24, 48, 96, 96)),
    "deeper": wider(blocks=(2, 3, 6)),
    "neighbours": with_neighbours(4.0, -4.0, 12.0, -12.0),
}
SCORED = {"source": ("validation",), "target1": ("train", "validation")}  # role -> folds


def cases_of(work: Path, role: str, *folds: str) -> list[Case]:
    """Return the cases of some folds of a role's cohort."""
    cohort = Cohort.open(work / "cohorts" / role)
    split = read_split(work / "cohorts" / f"{role}.csv", role, cohort)
    cases = []
    for fold in folds:
        cases += [cohort[case] for case in split[fold]]
    return cases


def seconds_per_iteration(
    candidates: Mapping[str, Preset], cases: list[Case], organs: tuple[str, ...]
) -> dict[str, float]:
    """Time an iteration of each candidate, in turns on one thread; return the shortest times."""
    torch.set_num_threads(1)
    best = dict.fromkeys(candidates, float("inf"))
    batches = {}
    for name, preset in candidates.items():
        batches[name] = Batches(cases, organs, preset.preprocessing, preset.train, seed=0)[0]
    for _ in range(ROUNDS):
        for name, preset in candidates.items():
            network = Network(preset.architecture, len(organs))
            spent = time_step(network, batches[name], preset.train)
            best[name] = min(best[name], spent.whole)
    return best


def measure(name: str, iterations: int, seed: int, work: Path) -> dict[str, Any]:
    """Train a candidate and score it; return its row of the table, which is kept in a file."""
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
        row[role] = means_of(of_role, model.organs)
        scores += of_role
    row["scores"] = to_json(scores)
    kept.write_text(json.dumps(row, indent=1))
    return row


def means_of(scores: Sequence[RawScore], organs: Sequence[str]) -> dict[str, float]:
    """Return the mean DSC, over all organs and per organ."""
    means = {"mean": mean_dsc(scores)}
    for organ in organs:
        means[organ] = mean_dsc(scores, [organ])
    return means


def dsc(model: Model, cases: list[Case]) -> dict[str, float]:
    """Contour cases with a model; return the mean DSC, over all organs and per organ."""
    contourer = Contourer(model)
    rows = []
    for case in cases:
        rows += [row for row, _ in score_masks(case, "model", contour_case(contourer, case))]
    by_organ = {organ: mean_over_organs(rows, "model", [organ]) for organ in model.organs}
    return {"mean": mean_over_organs(rows, "model", model.organs), **by_organ}


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Yield each candidate's mean DSC on both centres' patients."""
    for name in rows_of(scores):
        source, target = [mean_dsc(chosen(scores, name, role)) for role in SCORED]
        yield f"| {name} | {source:.3f} | {target:.3f} |"


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=8.0, help="of training per candidate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="some of: " + "; ".join(CANDIDATES))
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the table from docs/results, and stop"
    )
    return parser.parse_args()


def times_of(work: Path) -> dict[str, float]:
    """Return each candidate's seconds per iteration, measured once and kept in a file.

    A new candidate has all of them timed again, since times compare only within one run.
    """
    kept = work / "candidates" / "seconds.json"
    times = json.loads(kept.read_text()) if kept.exists() else {}
    if not set(CANDIDATES) <= set(times):
        organs = Cohort.open(work / "cohorts" / "source").organs
        times = seconds_per_iteration(CANDIDATES, cases_of(work, "source", "train"), organs)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(times, indent=1))
    return dict(times)


def main() -> None:
    options = options_of()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    work = with_cohorts(options.work, "source", "target1")
    names = options.only.split(";") if options.only else list(CANDIDATES)
    times = times_of(work)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = []
        for name in names:
            iterations = round(options.minutes * 60 / times[name])
            jobs.append(pool.submit(measure, name, iterations, options.seed, work))
        rows = [job.result() for job in jobs]
    rows.sort(key=lambda row: -row["source"]["mean"])
    show(rows, times)
    raw_scores.write(SCORES, raw_scores.taken_from(rows))
    settings = {}
    for name in names:
        candidate = CANDIDATES[name]
        settings[name] = asdict(candidate.architecture) | asdict(candidate.preprocessing)
    result = {
        "cpu": cpu_name(),
        "minutes": options.minutes,
        "seed": options.seed,
        "seconds per iteration": times,
        "rows": rows,
        "settings": settings,
    }
    (RESULTS / "candidates.json").write_text(json.dumps(result, indent=1) + "\n")


def show(rows: Sequence[dict[str, Any]], times: Mapping[str, float]) -> None:
    """Print the table."""
    print("candidate                    s/it  iterations  parameters  source  target1")
    for row in rows:
        name = row["candidate"]
        cost = f"{times[name]:.2f} {row['iterations']:11} {row['parameters']:11}"
        means = f"{row['source']['mean']:7.3f} {row['target1']['mean']:8.3f}"
        print(f"{name:28} {cost} {means}")


if __name__ == "__main__":
    main()
