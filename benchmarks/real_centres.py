#!/usr/bin/env python3
"""The main job on real patients: source -> Model_S; target1 -> Model_T and Model_ST; target1's test cases scored.

    .venv/bin/python benchmarks/real_centres.py [--work DIR] [--preset compact] [--target target1]

Every step goes through DICOM and the same functions as the command line, on the folds of cases.csv. Broken off at any
moment, the same command goes on where it was. Prints the table, the minutes of training and the difference ST - S, and
writes docs/results/real_centres.json. Nothing is tuned here: settings are the preset's.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recontour import workflows
from recontour.evaluation import CaseScore, common_organs, compare, mean_over_organs, read_scores

REPO = Path(__file__).resolve().parents[1]
DATA = REPO.parent / "shared" / "data"


class Clock:
    """Minutes of wall clock by step, kept over runs that were broken off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
        self.since = time.monotonic()

    def tick(self, step: str) -> None:
        """Add the time since the last tick to a step."""
        now = time.monotonic()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self.since
        self.since = now
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.seconds))
        partial.replace(self.path)

    def watch(self, step: str) -> Callable[[str, int, int, str], None]:
        """Progress for a workflow: ticks now and then, and says a line a minute."""
        told = time.monotonic()

        def progress(what: str, done: int, total: int, words: str) -> None:
            nonlocal told
            if done % 20 == 0 or done == total:
                self.tick(step)
            if time.monotonic() - told > 60 or done == total:
                told = time.monotonic()
                print(f"{step}: {what} {done}/{total}, {words}", flush=True)

        return progress


def cohort_of(data: Path, work: Path, role: str, fold: str, clock: Clock) -> Path:
    """A role's fold as a cohort, by way of DICOM."""
    cohort = work / "cohorts" / f"{role}-{fold}"
    dicom = work / "dicom" / f"{role}-{fold}"
    finished = cohort / "finished"
    if not finished.exists():
        clock.since = time.monotonic()
        command = [sys.executable, str(data / "make_dicom.py"), str(dicom), "--role", role, "--fold", fold]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        clock.tick("writing DICOM")
        report = workflows.import_dicom(dicom, cohort, centre=role)
        clock.tick(f"import {role}-{fold}")
        print(f"{role}-{fold}: {len(report.added)} imported, {len(report.left_out)} left out", flush=True)
        finished.touch()
    return cohort


def table(scores: list[CaseScore]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Mean DSC by organ and model, as lines and as data; the last row is the mean over organs that every model has."""
    models = list(dict.fromkeys(row.model for row in scores))
    organs = sorted({row.organ for row in scores})
    common = common_organs(scores)
    groups = {organ: [organ] for organ in organs} | {"mean over organs": common}
    means = {
        name: {model: mean_over_organs(scores, model, group) for model in models} for name, group in groups.items()
    }
    lines = [f"{'DSC':<18}" + "".join(f"{model:>12}" for model in models)]
    lines += [f"{name:<18}" + "".join(f"{row[model]:>12.3f}" for model in models) for name, row in means.items()]
    return [*lines, f"(mean over the {len(common)} organs that every model has)"], means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=REPO / "benchmarks" / "work" / "real_centres")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder like ../shared/data, with make_dicom.py")
    parser.add_argument("--preset", default="compact")
    parser.add_argument("--target", default="target1")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"the real data are not here: {options.data}")
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    clock = Clock(work / "seconds.json")

    source = cohort_of(options.data, work, "source", "train", clock)
    train, test = (cohort_of(options.data, work, options.target, fold, clock) for fold in ("train", "test"))
    models = {name: work / options.target / name for name in ("Model_S", "Model_T", "Model_ST")}
    models["Model_S"] = work / "Model_S"
    for name, cohort in (("Model_S", source), ("Model_T", train)):
        if not models[name].exists():
            clock.since = time.monotonic()
            progress = clock.watch(f"train {name}")
            workflows.train(cohort, models[name], preset=options.preset, resume=True, progress=progress)
            clock.tick(f"train {name}")
    if not models["Model_ST"].exists():
        clock.since = time.monotonic()
        progress = clock.watch("train Model_ST")
        workflows.adapt(models["Model_S"], train, models["Model_ST"], resume=True, progress=progress)
        clock.tick("train Model_ST")
    evaluation = work / options.target / "evaluation"
    if not evaluation.exists():
        clock.since = time.monotonic()
        workflows.evaluate(test, list(models.values()), evaluation, progress=clock.watch("evaluate"))
        clock.tick("evaluate")

    scores = read_scores(evaluation / "scores.csv")
    lines, means = table(scores)
    print("\n".join(lines))
    names = list(means["mean over organs"])
    gain = means["mean over organs"][names[2]] - means["mean over organs"][names[0]]
    minutes = {step: round(seconds / 60, 2) for step, seconds in clock.seconds.items()}
    print(f"ST - S = {gain:+.3f} (bar: at least +0.05)")
    print("minutes: " + ", ".join(f"{step} {spent:.1f}" for step, spent in minutes.items()))
    result: dict[str, Any] = {
        "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()},
        "preset": options.preset,
        "target": options.target,
        "mean_dsc": means,
        "sd_dsc": {
            organ: {
                model: float(np.std([row.dsc for row in scores if (row.organ, row.model) == (organ, model)], ddof=1))
                for model in names
            }
            for organ in means
            if organ != "mean over organs"
        },
        "st_minus_s": gain,
        "statistics": [
            {key: getattr(row, key) for key in ("organ", "model_a", "model_b", "n", "median_difference", "p", "p_holm")}
            for row in compare(scores, names)
        ],
        "minutes": minutes,
    }
    out = (
        REPO
        / "docs"
        / "results"
        / ("real_centres.json" if options.target == "target1" else f"real_centres_{options.target}.json")
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {out}")


def cpu_name() -> str:
    """The processor's name as the kernel gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
