#!/usr/bin/env python3
"""How often the promotion gate errs: simulations from the paired scores of real patients.

    .venv/bin/python benchmarks/gate.py [--trials 5] [--seed 0]

The patients are the test patients of target1 and target2 in docs/results/*/scores.csv: each
Model_ST against the Model_S that it was adapted from. A trial draws as many of them as it says,
with replacement, and moves one organ's scores so that its mean difference over all patients is what
the trial is about; all other organs stay as they were measured. Then the gate decides.

- harmed: DSC 0.03 worse, surface DSC 0.05 better, so that only DSC speaks against it.
- better: DSC and surface DSC 0.05 better.
- equal: no difference in either.

Also compares the sign-flip test with the t test and Wilcoxon's, each organ alone at 5 %, and says
what the gate decides on the patients as they are. There are only 9 and 12 of them: their
differences stand for the whole population here. Writes docs/results/gate.json.
"""

import argparse
import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from recontour.evaluation import CaseScore
from recontour.evaluation.gate import Decision, gate, sign_flip_p
from recontour.evaluation.statistics import rank_biserial, wilcoxon_p
from recontour.geometry.arrays import Floats

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
MARGIN = 0.02
# By name: the mean differences in DSC and surface DSC that one organ is given.
MOVES = {
    "harmed": (-0.03, 0.05),
    "better": (0.05, 0.05),
    "equal": (0.0, 0.0),
}
NUMBERS = (9, 13, 20)
Test = Callable[[Floats], float]


@dataclass(frozen=True, slots=True)
class Paired:
    """The scores of two models on the same patients.

    before, after: (2, patients, organs), DSC and surface DSC; NaN: not scored.
    """

    name: str
    organs: tuple[str, ...]
    before: Floats
    after: Floats

    def moved(self, organ: int, means: tuple[float, float]) -> "Paired":
        """Return the same with one organ's mean differences as they are given."""
        after = self.after.copy()
        for measure, mean in enumerate(means):
            differences = after[measure, :, organ] - self.before[measure, :, organ]
            after[measure, :, organ] += mean - np.nanmean(differences)
        return Paired(self.name, self.organs, self.before, after)

    def rows(self, drawn: Iterable[int]) -> list[CaseScore]:
        """Return the rows of some patients, who may come twice, as different ones."""
        found = []
        for place, patient in enumerate(drawn):
            for index, organ in enumerate(self.organs):
                for model, scores in (("S", self.before), ("ST", self.after)):
                    dsc, surface_dsc = scores[:, patient, index]
                    if not math.isnan(dsc):
                        found.append(_row(f"{place}", organ, model, dsc, surface_dsc))
        return found


def _row(case: str, organ: str, model: str, dsc: float, surface_dsc: float) -> CaseScore:
    return CaseScore(
        case=case,
        organ=organ,
        model=model,
        dsc=float(dsc),
        surface_dsc=float(surface_dsc),
        tolerance_mm=1.0,
        hd95_mm=1.0,
        volume_bias_percent=0.0,
    )


def paired_models(path: Path) -> Iterator[Paired]:
    """Yield each Model_ST of a study with its Model_S, on the target's test patients."""
    scores: dict[str, dict[tuple[str, str], tuple[float, float]]] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["fold"] == "target test":
                both = float(row["dsc"] or "nan"), float(row["surface_dsc"] or "nan")
                scores.setdefault(row["cell"], {})[row["case"], row["organ"]] = both
    for cell, after in scores.items():
        if cell.startswith("ST-"):
            before = scores[cell.partition("-on-")[2]]
            yield _tables(f"{path.parent.name}, {cell}", before, after)


def _tables(
    name: str,
    before: Mapping[tuple[str, str], tuple[float, float]],
    after: Mapping[tuple[str, str], tuple[float, float]],
) -> Paired:
    cases = sorted({case for case, _ in after})
    organs = sorted({organ for _, organ in after})
    tables = np.full((2, 2, len(cases), len(organs)), np.nan)
    for key in set(before) & set(after):
        at = cases.index(key[0]), organs.index(key[1])
        tables[0, :, *at] = before[key]
        tables[1, :, *at] = after[key]
    return Paired(name, tuple(organs), *tables)


def decided(pairs: list[Paired], patients: int, trials: int, rng: np.random.Generator) -> Any:
    """Return by move how often the gate promoted, kept and left undecided the moved organ."""
    found: dict[str, dict[str, float]] = {}
    for move, means in MOVES.items():
        counts = dict.fromkeys((one.value for one in Decision), 0)
        for pair in pairs:
            for index, organ in enumerate(pair.organs):
                moved = pair.moved(index, means)
                for _ in range(trials):
                    drawn = rng.integers(0, pair.before.shape[1], patients).tolist()
                    ones = gate(moved.rows(drawn), "S", "ST", forecast=False)
                    decision = next((one.decision for one in ones if one.organ == organ), None)
                    if decision:  # none of those drawn has the organ otherwise
                        counts[decision.value] += 1
        total = sum(counts.values())
        shares = {name: round(count / total, 4) for name, count in counts.items()}
        found[move] = {**shares, "trials": total}
        print(f"{patients:3} patients, {move:7} {shares}", flush=True)
    return found


def alone(pairs: list[Paired], patients: int, trials: int, rng: np.random.Generator) -> Any:
    """Return how often each test lets DSC alone pass at 5 %, by the true mean difference."""
    tests: dict[str, Test] = {"sign flip": sign_flip_p, "t": _t_p, "Wilcoxon": _wilcoxon_p}
    found: dict[str, dict[str, float]] = {name: {} for name in tests}
    for mean in (-0.03, -MARGIN, 0.0, 0.05):
        passed = dict.fromkeys(tests, 0)
        total = 0
        for pair in pairs:
            for index in range(len(pair.organs)):
                differences = pair.after[0, :, index] - pair.before[0, :, index]
                known = differences[np.isfinite(differences)]
                centred = known - known.mean() + mean + MARGIN
                for _ in range(trials):
                    drawn = rng.choice(centred, patients)
                    total += 1
                    for name, test in tests.items():
                        passed[name] += test(drawn) < 0.05
        for name, count in passed.items():
            found[name][f"{mean:+g}"] = round(count / total, 4)
    print(f"{patients:3} patients, alone: {found}", flush=True)
    return found


def _t_p(values: Floats) -> float:
    if np.ptp(values) == 0:
        return float(values[0] <= 0)
    return float(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


def _wilcoxon_p(values: Floats) -> float:
    """Return half of the exact two-sided p if the ranks speak for a mean above 0, otherwise 1."""
    return wilcoxon_p(values) / 2 if rank_biserial(values) > 0 else 1.0


def as_measured(pairs: list[Paired]) -> Any:
    """Return what the gate decides on the patients as they are, by pair of models and organ."""
    found = {}
    for pair in pairs:
        everyone = range(pair.before.shape[1])
        organs = {}
        for one in gate(pair.rows(everyone), "S", "ST"):
            assert one.shifts
            organs[one.organ] = {
                "decision": one.decision.value,
                "reason": one.reason.value,
                "patients": one.patients,
                "dsc": round(one.shifts["dsc"].mean, 4),
                "surface_dsc": round(one.shifts["surface_dsc"].mean, 4),
                "p_holm": round(one.p_holm, 5),
                "power": round(one.power, 3),
                "more": one.needed.likely if one.needed else None,
            }
        found[pair.name] = organs
    return found


def main() -> None:
    """Run all simulations."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--trials", type=int, default=5, help="by pair of models and organ")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, default=RESULTS / "gate.json")
    given = options.parse_args()
    rng = np.random.default_rng(given.seed)
    other_rng = np.random.default_rng(given.seed + 1)
    pairs: list[Paired] = []
    for path in sorted(RESULTS.glob("*/scores.csv")):
        pairs += paired_models(path)
    results = {
        "models": [pair.name for pair in pairs],
        "margin": MARGIN,
        "trials by pair of models and organ": given.trials,
        "seed": given.seed,
        "decisions": {n: decided(pairs, n, given.trials, rng) for n in NUMBERS},
        "one organ, DSC alone": {n: alone(pairs, n, given.trials, other_rng) for n in NUMBERS},
        "as measured": as_measured(pairs),
    }
    given.out.write_text(f"{json.dumps(results, indent=1)}\n")


if __name__ == "__main__":
    main()
