#!/usr/bin/env python3
"""Count how often a cord that stops early is noticed, and how often an untouched case is.

    .venv/bin/python benchmarks/early_ends.py [--work DIR]

The cohorts are those of real_centres.py: three centres, as a whole and in random draws of 6 and 10
patients. In a draw, each end of one case's cord is cut off by 20, 30, 50 and 80 mm, wherever 15 mm
of it are left. Only what the case keeps about the cord's slices is changed, since no more is looked
at. An alarm is a patient of an untouched draw in whom any organ is said to be short or to stop
early; that of `short_organs` alone is counted apart, as it was before.

Sides, too: each parotid is left alone in its case, under its own name and under its twin's.

Prints two tables, and writes docs/results/early_ends.json.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from real_centres import HERE, RESULTS, with_cohorts
from recontour.cohort import Case, Cohort
from recontour.cohort.early_ends import early_ends
from recontour.cohort.findings import EarlyEnd, End, ShortOrgan
from recontour.cohort.partly import ENDS, short_organs, shown_mm
from recontour.organs import organ_of, sides_swapped

ROLES = ("source", "target1", "target2")
CORD = "SpinalCord"
MISSING_MM = (20, 30, 50, 80)
LEAST_LEFT_MM = 15.0
DRAWS = {6: 60, 10: 30}  # how many of each number of patients
CASES_OF_A_DRAW = 3  # in which the cord is cut off


@dataclass
class Counts:
    """What was said. tried, found: by end and mm that are missing."""

    patients: int = 0
    alarms: int = 0
    short_alarms: int = 0
    tried: Counter[tuple[End, int]] = field(default_factory=Counter)
    found: Counter[tuple[End, int]] = field(default_factory=Counter)

    def meet(self, cohort: Sequence[Case], cut: Sequence[Case]) -> None:
        """Count a draw. cut: those of its cases in which the cord is cut off."""
        short = short_organs(cohort, cohort)
        self.patients += len(cohort)
        self.short_alarms += len(_named(short))
        self.alarms += len(_named([*short, *early_ends(cohort, cohort)]))
        for case in cut:
            for end in ENDS:
                for missing_mm in MISSING_MM:
                    shorter = cut_off(case, end, missing_mm)
                    if shorter is None:
                        continue
                    with_it = [shorter if one is case else one for one in cohort]
                    doubts = [*short_organs([shorter], with_it), *early_ends([shorter], with_it)]
                    self.tried[end, missing_mm] += 1
                    self.found[end, missing_mm] += any(one.organ == CORD for one in doubts)

    def shares(self) -> dict[str, float]:
        """Return what share of the cords that were cut off was noticed, by end and mm."""
        shares = {}
        for end, missing_mm in sorted(self.tried):
            share = self.found[end, missing_mm] / self.tried[end, missing_mm]
            shares[f"{end} {missing_mm} mm"] = round(share, 2)
        return shares


def _named(doubts: Sequence[ShortOrgan | EarlyEnd]) -> set[str]:
    named: set[str] = set()
    for doubt in doubts:
        named.update(doubt.cases)
    return named


def cut_off(case: Case, end: End, missing_mm: float) -> Case | None:
    """Return a case whose cord lacks so much at one end; None if too little would be left."""
    first, last = case.traits.shown[CORD]
    thickness_mm = case.grid.slice_thickness_mm
    cut_mm = 0.0
    while first < last and cut_mm < missing_mm:
        if end == "below":
            cut_mm += thickness_mm[first]
            first += 1
        else:
            cut_mm += thickness_mm[last]
            last -= 1
    ends = tuple(one for one in case.traits.cut.get(CORD, ()) if one != end)
    traits = replace(
        case.traits,
        shown={**case.traits.shown, CORD: (first, last)},
        cut={**case.traits.cut, CORD: ends},
    )
    shorter = replace(case, traits=traits)
    return shorter if shown_mm(shorter, CORD) >= LEAST_LEFT_MM else None


def measured(cases: Sequence[Case], patients: int | None, chosen: random.Random) -> Counts:
    """Count what is said in draws of so many patients; None: of all of them, once."""
    counts = Counts()
    if patients is None:
        counts.meet(cases, cases)
        return counts
    for _ in range(DRAWS[patients]):
        draw = chosen.sample(list(cases), patients)
        counts.meet(draw, draw[:CASES_OF_A_DRAW])
    return counts


def lone_parotids(cases: Sequence[Case]) -> Iterator[tuple[bool, bool]]:
    """Yield whether sides are doubted of each parotid alone: named correctly, and wrongly."""
    for case in cases:
        middles_x_mm = {}
        for organ in case.organs:
            middles_x_mm[organ] = case.grid.middle_x_mm(case.mask(organ))
        for organ in ("Parotid_L", "Parotid_R"):
            if organ not in middles_x_mm:
                continue
            alone = dict(middles_x_mm)
            alone.pop(str(organ_of(organ).twin), None)
            wrong = dict(alone)
            wrong[str(organ_of(organ).twin)] = wrong.pop(organ)
            yield bool(sides_swapped(alone)), bool(sides_swapped(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    work = with_cohorts(parser.parse_args().work, *ROLES)
    cohorts = {role: list(Cohort.open(work / "cohorts" / role)) for role in ROLES}
    chosen = random.Random(0)
    rows = []
    for patients in (*DRAWS, None):
        for role, cases in cohorts.items():
            counts = measured(cases, patients, chosen)
            row = {
                "centre": role,
                "patients of a draw": patients or len(cases),
                "patients": counts.patients,
                "with an alarm": counts.alarms,
                "with an alarm of short_organs": counts.short_alarms,
                "noticed": counts.shares(),
            }
            print(*row.values(), sep=" | ", flush=True)
            rows.append(row)
    sides = []
    for role, cases in cohorts.items():
        doubts = list(lone_parotids(cases))
        row = {
            "centre": role,
            "parotids": len(doubts),
            "doubted under their own names": sum(right for right, _ in doubts),
            "doubted under their twins' names": sum(wrong for _, wrong in doubts),
        }
        print(*row.values(), sep=" | ")
        sides.append(row)
    content = {"ends": rows, "sides": sides}
    (RESULTS / "early_ends.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
