#!/usr/bin/env python3
"""Run the paper's study on real patients: Model_S from source, Model_T and Model_ST from a target.

    .venv/bin/python benchmarks/real_centres.py [--target target1] [--only models,depth]
        [--seeds 0,1,2] [--preset accurate] [--retrain-last 29] [--learn-from-validation]
        [--work DIR]
    .venv/bin/python benchmarks/real_centres.py --table docs/results/target1_seeds_0

Patients go through DICOM and the functions of the command line, in the folds of cases.csv. The
study is real_centres.toml, which `recontour study` can run too; all settings are the preset's, and
nothing is tuned here. If it is interrupted, the same command continues; finished cells are kept, so
`--only models` can run first and the rest later.

Other seeds, another preset, another depth of Model_ST, and training on the validation patients too
each make a study of their own. (Validation patients are only watched; they decide nothing.)

Prints the main table, and writes docs/results/TARGET/ (the report's CSV files) and
docs/results/TARGET.json. `--table DIR` prints the main table from the scores.csv in DIR.
"""

import argparse
import csv
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from recontour import workflows
from recontour.cohort import Cohort
from recontour.evaluation import CaseScore, common_organs, compare, mean_over_organs, per_patient
from recontour.evaluation.intervals import Dsc, difference, interval_of, of_organs
from recontour.evaluation.numbers import signed
from recontour.evaluation.summary import tables
from recontour.evaluation.tables import NUMBERS
from recontour.study import Study, read_study, run_study
from recontour.study.numbers import interval

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "docs" / "results"
DATA = HERE.parents[1] / "shared" / "data"
# The folds of cases.csv, and what a split calls them.
FOLDS = {"train": "train", "val": "validation", "test": "test"}
MAIN_CELL = re.compile(
    r"(?P<model>S|T|ST)-(?P<organs>\d+)organs(-last\d+)?-(?P<iterations>\d+)it-seed\d+"
)
MEASURES = {
    "dsc": "DSC",
    "surface_dsc": "surface DSC",
    "surface_dsc_1mm": "surface DSC at 1 mm",
    "surface_dsc_2mm": "surface DSC at 2 mm",
}
SECTIONS = ("separately", "depth", "normalisation", "cases")


def cohort_of(data: Path, work: Path, role: str) -> None:
    """Import a role's patients from DICOM, unless that is done, and write their folds to a file."""
    cohort, split = work / "cohorts" / role, work / "cohorts" / f"{role}.csv"
    if split.exists():
        return
    cohort.parent.mkdir(parents=True, exist_ok=True)
    rows = [("case", "fold")]
    for fold, name in FOLDS.items():
        dicom = work / "dicom" / role / fold
        before = set(Cohort.open(cohort).case_ids) if cohort.exists() else set()
        script = [sys.executable, str(data / "make_dicom.py"), str(dicom)]
        command = [*script, "--role", role, "--fold", fold]
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
    """Return the work folder, resolved, with the roles' cohorts in it.

    Raises: SystemExit: the real data are not here.
    """
    if not data.is_dir():
        sys.exit(f"the real data are not here: {data}")
    work = work.resolve()
    for role in roles:
        cohort_of(data, work, role)
    return work


def declared(work: Path, target: str, only: str | None) -> Study:
    """Return the study of real_centres.toml for a target, with all its sections or only some."""
    study = read_study(HERE / "real_centres.toml")
    cohorts = work / "cohorts"
    source = replace(study.source, cohort=cohorts / "source", split=cohorts / "source.csv")
    other = replace(study.target, cohort=cohorts / target, split=cohorts / f"{target}.csv")
    name = f"Real centres: source to {target}"
    study = replace(study, name=name, source=source, target=other)
    wanted = SECTIONS if only is None else only.split(",")
    unwanted: dict[str, Any] = dict.fromkeys(set(SECTIONS) - set(wanted))
    return replace(study, **unwanted)


def nobody_watched(study: Study) -> Study:
    """Return the study with its validation patients among those for training.

    Writes split files beside the study's own.
    """
    centres: dict[str, Any] = {"source": study.source, "target": study.target}
    for name, centre in centres.items():
        split = centre.split.with_name(f"{centre.split.stem}_nobody_watched.csv")
        split.write_text(centre.split.read_text().replace(",validation", ",train"))
        centres[name] = replace(centre, split=split)
    return replace(study, **centres)


class MinutelyProgress:
    """Prints a line of progress, at most one per minute."""

    def __init__(self) -> None:
        self.printed_at = 0.0

    def __call__(self, what: str, done: int, total: int, words: str) -> None:
        """Print a line if a minute has passed since the last."""
        if time.monotonic() - self.printed_at > 60:
            self.printed_at = time.monotonic()
            print(f"{what} {done}/{total}; {words}", flush=True)


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="a folder like ../shared/data, with make_dicom.py"
    )
    parser.add_argument("--target", default="target1")
    parser.add_argument("--seeds", help="instead of the study's, such as 0,1,2")
    parser.add_argument("--preset", help="instead of the study's")
    parser.add_argument(
        "--retrain-last", type=int, help="layers of Model_ST to retrain, instead of the study's"
    )
    parser.add_argument(
        "--learn-from-validation", action="store_true", help="train on validation patients too"
    )
    parser.add_argument("--only", help=f"'models' alone, or with it some of {','.join(SECTIONS)}")
    parser.add_argument(
        "--table", type=Path, help="print the main table from this folder's scores.csv, and stop"
    )
    return parser.parse_args()


def main() -> None:
    options = options_of()
    if options.table:
        print("\n".join(main_table(options.table / "scores.csv")))
        return
    work = with_cohorts(options.work, "source", options.target, data=options.data)
    study = declared(work, options.target, options.only)
    name = options.target
    if options.seeds:
        study = replace(study, seeds=tuple(map(int, options.seeds.split(","))))
        name = f"{options.target}_seeds_{'_'.join(map(str, study.seeds))}"
    if options.preset and options.preset != study.preset:
        study = replace(study, preset=options.preset)
        name += f"_{options.preset}"
    if options.retrain_last is not None:
        study = replace(study, models=replace(study.models, retrain_last=options.retrain_last))
        name += f"_last_{options.retrain_last}"
    if options.learn_from_validation:
        study = nobody_watched(study)
        name += "_nobody_watched"
    out = work / name
    began = time.monotonic()
    failed = run_study(study, out, resume=True, progress=MinutelyProgress())
    minutes = (time.monotonic() - began) / 60
    for cell, why in failed.items():
        print(f"failed: {cell}: {why}")
    keep(out, minutes)


def keep(out: Path, minutes: float) -> None:
    """Print the main table, and copy the study's tables to docs/results/."""
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
    """Yield the main models' DSC per organ on the target's test cases, averaged over seeds.

    path: a scores.csv, from which alone the table is made.
    """
    scores = list(main_scores(path))
    models = list(dict.fromkeys(row.model for row in scores))
    tested = [f"p {other}-{model}" for model, other in combinations(models, 2)]
    yield " | ".join(["organ", "n", *models, *tested])
    tests: dict[str, list[str]] = {}
    for test in compare(scores, models):
        tests.setdefault(test.organ, []).append(f"{test.p:.3f} ({test.p_holm:.3f})")
    organs = sorted({row.organ for row in scores})
    for row in tables(scores, models, organs)[0].rows:
        means = [f"{mean_over_organs(scores, model, [row.organ]):.3f}" for model in models]
        yield " | ".join([row.organ, row.patients, *means, *tests[row.organ]])
    common = common_organs(scores)
    overall = [f"{mean_over_organs(scores, model, common):.3f}" for model in models]
    yield " | ".join([f"mean over {len(common)} organs", "", *overall])
    yield ""
    for model, other in combinations(models, 2):
        yield from differences(scores, model, other)


def differences(scores: Sequence[CaseScore], model: str, other: str) -> Iterator[str]:
    """Yield how much another model's means exceed a model's, and by how much at least per organ.

    A measure that was not taken is left out.
    """
    for measure, name in MEASURES.items():
        by_organ = difference(values_of(scores, model, measure), values_of(scores, other, measure))
        if not by_organ:
            continue
        overall = interval_of(by_organ)
        organs = {}
        for organ in sorted({organ for _, organ in by_organ}):
            organs[organ] = interval_of(of_organs(by_organ, [organ])).mean
        least = min(organs, key=lambda organ: organs[organ])
        within = interval(overall, with_sign=True)
        yield (
            f"{other} - {model}, {name}: {signed(overall.mean)} ({within}); "
            f"least {least} {signed(organs[least])}"
        )


def values_of(scores: Iterable[CaseScore], model: str, measure: str) -> Dsc:
    """Return a model's values of a measure by patient and organ; NaN is left out."""
    values = {}
    for row in scores:
        value = getattr(row, measure)
        if row.model == model and not math.isnan(value):
            values[row.patient, row.organ] = value
    return values


def main_scores(path: Path) -> Iterator[CaseScore]:
    """Yield the main models' scores on the target's test cases, averaged over seeds."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "target test"]
    cells = dict.fromkeys(row["cell"] for row in rows)
    model_of = {}
    for model in ("S", "T", "ST"):
        model_of.update(dict.fromkeys(longest(model, cells), f"Model_{model}"))
    by_seed: dict[tuple[str, str, str], list[CaseScore]] = {}
    for row in rows:
        if row["cell"] in model_of:
            score = score_of(row, model_of[row["cell"]])
            by_seed.setdefault((score.model, score.organ, score.case), []).append(score)
    for scores in by_seed.values():
        # Without patients, per_patient averages the scores of each case.
        (mean,) = per_patient(replace(score, patient="") for score in scores)
        yield replace(mean, patient=scores[0].patient)


def score_of(row: dict[str, str], model: str) -> CaseScore:
    """Return a row of scores.csv as a score; what an earlier recontour did not measure is NaN."""
    numbers = {name: float(row.get(name) or "nan") for name in NUMBERS}
    return CaseScore(
        row["case"],
        row["organ"],
        model,
        patient=row["patient"],
        trained_on="",
        **numbers,
    )


def longest(model: str, cells: Iterable[str]) -> list[str]:
    """Return a model's joint cells, one per seed: those of most organs and iterations."""
    found: dict[tuple[int, int], list[str]] = {}
    for cell in cells:
        match = MAIN_CELL.fullmatch(cell.partition("-on-")[0])
        if match and match["model"] == model:
            found.setdefault((int(match["organs"]), int(match["iterations"])), []).append(cell)
    return found[max(found)] if found else []


def cpu_name() -> str:
    """Return the processor's name as the kernel reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    for line in lines:
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
