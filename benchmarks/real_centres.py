#!/usr/bin/env python3
"""The paper's study on real patients: source -> Model_S; a target -> Model_T, Model_ST; depths,
numbers of cases, ...

    .venv/bin/python benchmarks/real_centres.py [--target target1] [--only models,depth] [--seeds
        0,1,2] [--retrain-last 29] [--learn-from-validation] [--work DIR]

Patients go through DICOM and the same functions as the command line, on the folds of cases.csv; the
study itself is real_centres.toml, to be run by `recontour study` alike. Broken off at any moment,
the same command goes on where it
was, and finished cells are kept: `--only models` is the main job, and the rest can follow later.
    Other seeds than the study's own, another depth of Model_ST, and trainings on the patients for
    validation, too (who are only watched, and decide nothing) are a study of their own. Prints the
    table and the differences that matter, and writes docs/results/TARGET/ (the report's CSV files)
    and docs/results/TARGET.json. Of the scores.csv there alone, --table DIR makes the main table
    again. Nothing is tuned here: settings are the preset's.
"""

import argparse
import csv
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from recontour import workflows
from recontour.cohort import Cohort
from recontour.evaluation import CaseScore, common_organs, compare, mean_over_organs, per_patient
from recontour.evaluation.summary import tables
from recontour.evaluation.tables import NUMBERS
from recontour.study import Study, read_study, run_study

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "results"
DATA = HERE.parents[1] / "shared" / "data"
FOLDS = {"train": "train", "val": "validation", "test": "test"}  # of cases.csv -> of a split
MAIN_CELL = re.compile(
    r"(?P<model>S|T|ST)-(?P<organs>\d+)organs(-last\d+)?-(?P<iterations>\d+)it-seed\d+"
)
SECTIONS = ("separately", "depth", "normalisation", "cases")


def cohort_of(data: Path, work: Path, role: str) -> None:
    """A role's patients as a cohort, by way of DICOM, and their folds as a split file."""
    cohort, split = work / "cohorts" / role, work / "cohorts" / f"{role}.csv"
    if split.exists():
        return
    rows = [("case", "fold")]
    for fold, name in FOLDS.items():
        dicom = work / "dicom" / role / fold
        before = set(Cohort.open(cohort).case_ids) if cohort.exists() else set()
        command = [
            sys.executable,
            str(data / "make_dicom.py"),
            str(dicom),
            "--role",
            role,
            "--fold",
            fold,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        report = workflows.import_dicom(dicom, cohort, centre=role)
        new = sorted(set(Cohort.open(cohort).case_ids) - before)
        rows += [(case, name) for case in new]
        print(f"{role} {name}: {len(new)} imported, {len(report.left_out)} left out", flush=True)
    partial = split.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    partial.replace(split)


def with_cohorts(work: Path, *roles: str, data: Path = DATA) -> Path:
    """The work folder, resolved, with the roles' cohorts in it;

    ends the run where the real data are not here.
    """
    if not data.is_dir():
        sys.exit(f"the real data are not here: {data}")
    work = work.resolve()
    for role in roles:
        cohort_of(data, work, role)
    return work


def declared(work: Path, target: str, only: str | None) -> Study:
    """real_centres.toml for a target, with all its sections or only some."""
    study = read_study(HERE / "real_centres.toml")
    where = {
        name: (work / "cohorts" / role, work / "cohorts" / f"{role}.csv")
        for name, role in roles(target).items()
    }
    study = replace(
        study,
        name=f"Real centres: source to {target}",
        source=replace(study.source, cohort=where["source"][0], split=where["source"][1]),
        target=replace(study.target, cohort=where["target"][0], split=where["target"][1]),
    )
    wanted = SECTIONS if only is None else only.split(",")
    left_out: dict[str, Any] = dict.fromkeys(set(SECTIONS) - set(wanted))
    return replace(study, **left_out)


def roles(target: str) -> dict[str, str]:
    return {"source": "source", "target": target}


def nobody_watched(study: Study) -> Study:
    """The study with the patients for validation among those for training, by split files beside
    its own.
    """
    centres: dict[str, Any] = {"source": study.source, "target": study.target}
    for name, centre in centres.items():
        split = centre.split.with_name(f"{centre.split.stem}_nobody_watched.csv")
        split.write_text(centre.split.read_text().replace(",validation", ",train"))
        centres[name] = replace(centre, split=split)
    return replace(study, **centres)


def says(what: str, done: int, total: int, words: str, _told: list[float] = [0.0]) -> None:
    """A line a minute."""
    if time.monotonic() - _told[0] > 60:
        _told[0] = time.monotonic()
        print(f"{what} {done}/{total}; {words}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="a folder like ../shared/data, with make_dicom.py"
    )
    parser.add_argument("--target", default="target1")
    parser.add_argument("--seeds", help="instead of the study's: 0,1,2")
    parser.add_argument(
        "--retrain-last", type=int, help="layers of Model_ST, instead of the study's"
    )
    parser.add_argument(
        "--learn-from-validation", action="store_true", help="patients for validation train, too"
    )
    parser.add_argument("--only", help=f"'models', or some of {','.join(SECTIONS)} beside them")
    parser.add_argument(
        "--table", type=Path, help="only the DSC of the main models, of such a folder's scores.csv"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(main_table(options.table / "scores.csv")))
        return
    work = with_cohorts(options.work, *roles(options.target).values(), data=options.data)
    study, name = declared(work, options.target, options.only), options.target
    if options.seeds:
        study = replace(study, seeds=tuple(map(int, options.seeds.split(","))))
        name = f"{options.target}_seeds_{'_'.join(map(str, study.seeds))}"
    if options.retrain_last is not None:
        study = replace(study, models=replace(study.models, retrain_last=options.retrain_last))
        name += f"_last_{options.retrain_last}"
    if options.learn_from_validation:
        study, name = nobody_watched(study), f"{name}_nobody_watched"
    out = work / name
    began = time.monotonic()
    failed = run_study(study, out, resume=True, progress=says)
    minutes = (time.monotonic() - began) / 60
    for cell, why in failed.items():
        print(f"failed: {cell}: {why}")
    keep(out, minutes)


def keep(out: Path, minutes: float) -> None:
    """Print the table, and keep the study's tables in docs/results/."""
    folder = RESULTS / out.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(out / "tables", folder)
    machine: dict[str, Any] = {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    about = {"machine": machine, "minutes of this run": round(minutes, 1)}
    (RESULTS / f"{out.name}.json").write_text(json.dumps(about, indent=1) + "\n")
    print((folder / "models.csv").read_text())
    print(f"this run: {minutes:.1f} min; report: {out / 'report.html'}; tables: {folder}")


def main_table(path: Path) -> Iterator[str]:
    """DSC of Model_S, Model_T and Model_ST on the target's test cases by organ, of scores.csv alone;

    seeds averaged.
    """
    scores = list(main_scores(path))
    models = list(dict.fromkeys(row.model for row in scores))
    yield f"organ | n | {' | '.join(models)} | {' | '.join(f'p {b}-{a}' for a, b in combinations(models, 2))}"
    tests: dict[str, list[str]] = {}
    for test in compare(scores, models):
        tests.setdefault(test.organ, []).append(f"{test.p:.3f} ({test.p_holm:.3f})")
    for row in tables(scores, models, sorted({row.organ for row in scores}))[0].rows:
        means = [f"{mean_over_organs(scores, model, [row.organ]):.3f}" for model in models]
        yield " | ".join([row.organ, row.patients, *means, *tests[row.organ]])
    common = common_organs(scores)
    overall = [f"{mean_over_organs(scores, model, common):.3f}" for model in models]
    yield " | ".join([f"mean over {len(common)} organs", "", *overall])


def main_scores(path: Path) -> Iterator[CaseScore]:
    """The rows of the main models on the target's test cases, by Model_S, Model_T, Model_ST;

    of all seeds.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "target test"]
    cells = dict.fromkeys(row["cell"] for row in rows)
    main = {model: longest(model, cells) for model in ("S", "T", "ST")}
    averaged: dict[tuple[str, str, str], list[CaseScore]] = {}
    for row in rows:
        for model, of_model in main.items():
            if row["cell"] in of_model:
                numbers = {name: float(row[name] or "nan") for name in NUMBERS}
                one = CaseScore(
                    row["case"], row["organ"], f"Model_{model}", patient=row["patient"], **numbers
                )
                averaged.setdefault((one.model, one.organ, one.case), []).append(one)
    for of_seeds in averaged.values():
        (mean,) = per_patient(
            replace(one, patient="") for one in of_seeds
        )  # which averages what has one name
        yield replace(mean, patient=of_seeds[0].patient)


def longest(model: str, cells: Iterable[str]) -> list[str]:
    """The joint cells of a model, of all seeds:

    those of most iterations and organs, on all cases.
    """
    found: dict[tuple[int, int], list[str]] = {}
    for cell in cells:
        match = MAIN_CELL.fullmatch(cell.partition("-on-")[0])
        if match and match["model"] == model:
            found.setdefault((int(match["organs"]), int(match["iterations"])), []).append(cell)
    return found[max(found)] if found else []


def cpu_name() -> str:
    """The processor's name as the kernel gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


if __name__ == "__main__":
    main()
