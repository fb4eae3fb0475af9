#!/usr/bin/env python3
"""Test what is said about further patients: does its 90 % interval hold what came next?

    .venv/bin/python benchmarks/how_many_more.py [--targets target1,target2] [--orders 5]
        [--source-model FILE] [--work DIR]
    .venv/bin/python benchmarks/how_many_more.py --table

Model_S is adapted to 1, 2, 4 and 8 of a target's ten training patients, each set inside the next
one, for several random orders of the patients. Every model contours the target's other patients,
who chose nothing. If it is interrupted, the same command continues.

From these scores centres are drawn that know less: a few patients to score, dealt out over a few
orders, and no more than 2 or 4 patients to learn from. What `recontour gain` would say of the next
doubling is compared with what that brought on the other patients and in all orders. Beside it, the
next mean DSC is predicted as the last one, and by curves through the earlier ones.

Writes docs/results/how_many_more_scores.csv and how_many_more.json; --table makes the latter from
the former alone. Makes its cohorts as real_centres.py does.
"""

import argparse
import csv
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import curve_fit

from candidates import cases_of
from parent_share import COMPACT, source_model
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.evaluation.gains import USEFUL, Advice, Gains, gains_of
from recontour.evaluation.intervals import Dsc, difference, mean_of
from recontour.evaluation.metrics import dice
from recontour.geometry.arrays import Floats
from recontour.network import Model, load_model
from recontour.transfer.models import fit, take_over

SIZES = (1, 2, 4, 8)  # patients, each set inside the next one
RETRAIN_LAST = 10
SCORED = (6,)  # patients; the others, 6 at least, show what came
TRIALS = 50  # random centres, each target
SCORES = RESULTS / "how_many_more_scores.csv"


@dataclass(frozen=True, slots=True)
class Row:
    """How well a model contoured one organ. learnt_from: the first patients of an order."""

    target: str
    order: int
    learnt_from: int
    case: str
    organ: str
    dsc: float


COLUMNS = tuple(field.name for field in fields(Row))


def dsc_of_cases(model: Model, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return the DSC of each organ of each case."""
    contourer = Contourer(model, views=1)
    rows = []
    for case in cases:
        organs = [organ for organ in model.organs if organ in case.organs]
        for organ, mask in contourer.contour(case.hu, case.grid, organs):
            value = dice(case.mask(organ), case.where_known(organ, mask), case.grid)
            rows.append({"case": case.id, "organ": organ, "dsc": round(value, 6)})
    return rows


def measure(
    parent: Model, work: Path, role: str, order: int, size: int, iterations: int, folder: Path
) -> None:
    """Adapt to the first patients of an order, and score; the rows are kept in a file."""
    kept = folder / f"{role}-order{order}-{size}-{iterations}.json"
    if kept.exists():
        return
    scored = cases_of(work, role, "validation", "test")
    if size:
        cohort = Cohort.open(work / "cohorts" / role)
        pool = cases_of(work, role, "train")
        drawn = np.random.default_rng([order, 21]).permutation(len(pool))
        learnt = [pool[place] for place in drawn[:size]]
        present = set().union(*(case.organs for case in learnt))
        organs = [organ for organ in parent.organs if organ in present]
        recipe = replace(COMPACT.adapt, iterations=iterations, parent_patients=0.0)
        path = kept.with_suffix(".model")
        model = take_over(parent, cohort, learnt, organs, recipe, RETRAIN_LAST, order)
        for _ in fit(model, learnt, recipe, path, resume=True):
            pass
        rows = dsc_of_cases(load_model(path), scored)
        path.unlink()
    else:
        rows = dsc_of_cases(parent, scored)
    kept.write_text(json.dumps(rows))
    print(kept.name, round(float(np.mean([row["dsc"] for row in rows])), 4), flush=True)


def gathered(folder: Path, targets: Sequence[str], orders: int, iterations: int) -> list[Row]:
    """Return the scores of the orders that are finished, and of Model_S (order 0, 0 patients)."""
    rows = []
    for role in targets:
        for order in range(orders):
            files = {}
            for size in SIZES:
                files[size] = folder / f"{role}-order{order}-{size}-{iterations}.json"
            if order == 0:
                files[0] = folder / f"{role}-order0-0-{iterations}.json"
            if not all(path.exists() for path in files.values()):
                continue
            for size, path in sorted(files.items()):
                for row in json.loads(path.read_text()):
                    rows.append(Row(role, order, size, row["case"], row["organ"], row["dsc"]))
    return rows


# What would have been said, and what came


@dataclass(frozen=True, slots=True)
class Trial:
    """What was said of a next step, and what it brought to other patients."""

    said: Gains
    brought: float

    def is_held(self, low: float, high: float) -> bool:
        """Return whether an interval holds what came."""
        return low <= self.brought <= high


def trials(rows: Sequence[Row], scored: int, organ: str | None) -> Iterator[Trial]:
    """Yield random centres that score so many patients. organ: None: the mean over all."""
    rng = np.random.default_rng([21, scored])
    for role in dict.fromkeys(row.target for row in rows):
        of_role = [row for row in rows if row.target == role and organ in (None, row.organ)]
        orders = sorted({row.order for row in of_role})
        dsc: dict[tuple[int, int], dict[tuple[str, str], float]] = {}
        for row in of_role:
            dsc.setdefault((row.order, row.learnt_from), {})[row.case, row.organ] = row.dsc
        patients = sorted({row.case for row in of_role})
        for _ in range(TRIALS):
            drawn = [str(case) for case in rng.permutation(patients)]
            folds = {case: orders[place % len(orders)] for place, case in enumerate(drawn[:scored])}
            for fewer, more, following in zip(SIZES, SIZES[1:], SIZES[2:], strict=False):
                given = {}
                for size in (fewer, more):
                    given[size] = _of_folds(dsc, folds, size)
                said = gains_of(given)
                others = set(drawn[scored:])
                brought = []
                for order in orders:
                    before, after = dsc.get((order, more), {}), dsc.get((order, following), {})
                    change = difference(before, after)
                    brought.append(
                        mean_of({key: change[key] for key in change if key[0] in others})
                    )
                known = [value for value in brought if math.isfinite(value)]
                if said and known:
                    yield Trial(said, float(np.mean(known)))


def _of_folds(
    dsc: Mapping[tuple[int, int], Mapping[tuple[str, str], float]],
    folds: Mapping[str, int],
    size: int,
) -> Dsc:
    """Return each patient's scores by the model of the patient's own order."""
    own = {}
    for case, order in folds.items():
        for (who, organ), value in dsc.get((order, size), {}).items():
            if who == case:
                own[who, organ] = value
    return own


def judged(found: Sequence[Trial]) -> dict[str, Any]:
    """Return how often intervals held what came, and how often the advice was wrong."""
    held = [one.is_held(one.said.next_gain.low, one.said.next_gain.high) for one in found]
    narrow = [one.is_held(one.said.last.gain.low, one.said.last.gain.high) for one in found]
    widths = [one.said.next_gain.high - one.said.next_gain.low for one in found]
    stops = [one for one in found if one.said.advice == Advice.STOP]
    goes = [one for one in found if one.said.advice == Advice.GO_ON]
    return {
        "trials": len(found),
        "next step's 90 % interval held what came": share(held),
        "last step's own 90 % interval held what came": share(narrow),
        "median width": round(float(np.median(widths)), 4),
        "said stop": len(stops),
        "said stop and 0.01 or more came": sum(one.brought >= USEFUL for one in stops),
        "said go on": len(goes),
        "said go on and nothing or less came": sum(one.brought <= 0 for one in goes),
    }


def share(those: Sequence[bool]) -> float:
    return round(float(np.mean(those)), 3) if those else math.nan


# The next mean DSC, foretold by the last one and by curves


def arctan(n: Floats, a: float, b: float, c: float) -> Floats:
    return np.asarray(a + b * np.arctan(c * n))


def power_law(n: Floats, a: float, b: float, c: float) -> Floats:
    return np.asarray(a - b * (n + 1) ** -c)


CURVES = {"arctan": arctan, "power law": power_law}


def foretold(numbers: Sequence[int], means: Sequence[float], following: int) -> dict[str, float]:
    """Return the next mean DSC by each way; a curve that cannot be fitted foretells the last."""
    n, y = np.array(numbers, dtype=float), np.array(means)
    guesses = {"it stays as it is": means[-1], "as much again": 2 * means[-1] - means[-2]}
    for name, curve in CURVES.items():
        try:
            with warnings.catch_warnings(action="ignore"):  # no covariance is asked for
                fitted, _ = curve_fit(
                    curve,
                    n,
                    y,
                    p0=(y[-1], 0.1, 0.5),
                    bounds=((0, 0, 0.01), (1, 1, 10)),
                    maxfev=20000,
                )
            guesses[name] = float(curve(np.array([float(following)]), *fitted)[0])
        except (RuntimeError, ValueError):
            guesses[name] = means[-1]
    return guesses


def study_curves() -> Iterator[tuple[str, list[int], list[float]]]:
    """Yield the mean DSC by number of patients of both studies' Model_T and Model_ST, by draw."""
    for target, model, draw in product(("target1", "target2"), ("t", "st"), ("0", "1")):
        with (RESULTS / target / "cases.csv").open() as file:
            rows = list(csv.DictReader(file))
        numbers = [int(row["cases"]) for row in rows]
        means = [float(row[f"{model}_draws_{draw}"] or row[f"{model}_draws_0"]) for row in rows]
        yield f"{target} {model.upper()} draw {draw}", numbers, means


def scored_curves(rows: Sequence[Row]) -> Iterator[tuple[str, list[int], list[float]]]:
    """Yield the mean DSC by number of patients of every order here."""
    starts: dict[str, dict[tuple[str, str], float]] = {}
    curves: dict[tuple[str, int], dict[int, dict[tuple[str, str], float]]] = {}
    for row in rows:
        if row.learnt_from == 0:
            starts.setdefault(row.target, {})[row.case, row.organ] = row.dsc
        else:
            of_order = curves.setdefault((row.target, row.order), {})
            of_order.setdefault(row.learnt_from, {})[row.case, row.organ] = row.dsc
    for (target, order), by_size in curves.items():
        both = {0: starts[target], **by_size}
        common = set.intersection(*map(set, both.values()))
        means = [mean_of({key: dsc[key] for key in common}) for dsc in both.values()]
        yield f"{target} order {order}", list(both), means


def errors_of(curves: Iterable[tuple[str, list[int], list[float]]]) -> dict[str, Any]:
    """Return the mean absolute error of each way of foretelling, over all next numbers."""
    errors: dict[str, list[float]] = {}
    for _, numbers, means in curves:
        for known in range(3, len(numbers)):
            guesses = foretold(numbers[:known], means[:known], numbers[known])
            for name, guess in guesses.items():
                errors.setdefault(name, []).append(abs(guess - means[known]))
    found: dict[str, Any] = {name: round(float(np.mean(some)), 5) for name, some in errors.items()}
    return {"next numbers": len(next(iter(errors.values()), [])), "mean absolute error": found}


def report(rows: Sequence[Row]) -> dict[str, Any]:
    organs = sorted({row.organ for row in rows})
    by_scored = {}
    for scored in SCORED:
        of_mean = list(trials(rows, scored, None))
        of_organs = [one for organ in organs for one in trials(rows, scored, organ)]
        by_scored[scored] = {"mean over organs": judged(of_mean), "one organ": judged(of_organs)}
    orders = sorted({(row.target, row.order) for row in rows})
    return {
        "orders": [f"{target} {order}" for target, order in orders],
        "by scored patients": by_scored,
        "foretold, orders here": errors_of(scored_curves(rows)),
        "foretold, the studies' Model_T and Model_ST": errors_of(study_curves()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", default="target1,target2")
    parser.add_argument("--orders", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=60, help="of each adaptation")
    parser.add_argument("--source-model", type=Path, help="default: trained here")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--gather", action="store_true", help="take what is finished; adapt nothing more"
    )
    parser.add_argument(
        "--table", action="store_true", help="report from docs/results alone, and stop"
    )
    options = parser.parse_args()
    targets = options.targets.split(",")
    if not options.table:
        folder = options.work / "how_many_more"
        if not options.gather:
            folder = adapted(options, targets)
        rows = gathered(folder, targets, options.orders, options.iterations)
        with SCORES.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *map(astuple, rows)])
    with SCORES.open() as file:
        rows = [
            Row(
                row["target"],
                int(row["order"]),
                int(row["learnt_from"]),
                row["case"],
                row["organ"],
                float(row["dsc"]),
            )
            for row in csv.DictReader(file)
        ]
    found = report(rows)
    about = {"cpu": cpu_name(), "iterations": options.iterations, "retrained layers": RETRAIN_LAST}
    text = json.dumps(about | found, indent=1)
    (RESULTS / "how_many_more.json").write_text(text + "\n")
    print(text)


def adapted(options: argparse.Namespace, targets: Sequence[str]) -> Path:
    """Make all models, score them, and return the folder of the scores."""
    if options.source_model:
        work = with_cohorts(options.work, *targets)
        parent = load_model(options.source_model)
    else:
        work = with_cohorts(options.work, "source", *targets)
        parent = source_model(work, 0)
    torch.set_num_threads(1)
    folder = work / "how_many_more"
    folder.mkdir(exist_ok=True)
    for role in targets:
        measure(parent, work, role, 0, 0, options.iterations, folder)
    for order, role, size in product(range(options.orders), targets, SIZES):
        measure(parent, work, role, order, size, options.iterations, folder)
    return folder


if __name__ == "__main__":
    main()
