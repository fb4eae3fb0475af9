#!/usr/bin/env python3
"""Measure doubts about ends of long organs, and about the side of an organ without its twin.

    .venv/bin/python benchmarks/early_ends.py [--work DIR]

The cohorts are those of real_centres.py: three centres, as a whole and in random draws of 6 and 10
patients. Each draw counts each of its patients, so that one patient is met in many draws; distinct
patients are counted apart.

Thresholds: how many untouched patients have a doubt about an end, by how much further the others go
on.

Ends: how many untouched patients are doubted under the rule. And each end of one case's cord is cut
off by 20, 30, 50 and 80 mm, wherever 15 mm of it are left. Whole slices go, so up to one slice more
is missing. Only what the case keeps about the cord's slices is changed, since no more is looked at.

Spreads: how far the cord goes past some organs differs among the patients in whom it ends within
the scan, and how many these are.

Sides: how far each organ with a side lies from the middle that other organs show; how far the
middle of pairs lies from it; and whether each organ alone in its case is doubted, under its own
name and under its twin's. Beside these patients, the same for the phantom's, which has all organs.

Prints the tables, and writes docs/results/early_ends.json.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from real_centres import HERE, RESULTS, with_cohorts
from recontour import workflows
from recontour.cohort import Case, Cohort
from recontour.cohort.early_ends import FURTHER_MM, early_ends
from recontour.cohort.findings import EarlyEnd, End
from recontour.cohort.lengths import LengthDoubt, contours_in, length_doubts
from recontour.cohort.partly import ENDS, short_organs, shown_mm
from recontour.organs import misplaced_organs, organ_of
from recontour.organs.sides import middle_beside
from recontour.phantom import SOURCE, TARGET, write_centre

ROLES = ("source", "target1", "target2")
CORD = "SpinalCord"
MISSING_MM = (20, 30, 50, 80)
LEAST_LEFT_MM = 15.0
DRAWS = {6: 60, 10: 30}  # how many of each number of patients
CASES_OF_A_DRAW = 3  # in which the cord is cut off
PHANTOMS = 4  # of each of its centres
SWEPT_MM = range(10, 55, 5)
LANDMARKS: tuple[tuple[str, End], ...] = (
    ("Brainstem", "below"),
    ("Bone_Mandible", "below"),
    ("Larynx", "below"),
    ("Parotid_L", "below"),
)

Row = dict[str, Any]


@dataclass
class Doubted:
    """How many untouched patients are doubted: in all draws together, and how many are distinct."""

    draws: int = 0
    patients: set[str] = field(default_factory=set)

    def meet(self, doubts: Sequence[LengthDoubt]) -> None:
        """Count the patients of one draw."""
        named = {case for case, _ in contours_in(doubts)}
        self.draws += len(named)
        self.patients |= named

    def row(self) -> Row:
        return {"patient-draws": self.draws, "distinct patients": len(self.patients)}


def drawn(cases: Sequence[Case], patients: int | None, chosen: random.Random) -> list[list[Case]]:
    """Return draws of so many patients; None: all of them, once."""
    if patients is None:
        return [list(cases)]
    return [chosen.sample(list(cases), patients) for _ in range(DRAWS[patients])]


def thresholds(draws: Sequence[Sequence[Case]]) -> dict[str, Row]:
    """Count the untouched patients with a doubt about an end, by end and mm."""
    swept: dict[str, Doubted] = {}
    for cohort in draws:
        spoken_of = contours_in(short_organs(cohort, cohort))
        for mm in SWEPT_MM:
            further_mm: dict[End, float] = dict.fromkeys(ENDS, float(mm))
            found = early_ends(cohort, cohort, spoken_of, further_mm)
            for end in ENDS:
                doubted = swept.setdefault(f"{end} {mm} mm", Doubted())
                doubted.meet([one for one in found if one.end == end])
    return {name: doubted.row() for name, doubted in swept.items()}


def ends_of(draws: Sequence[Sequence[Case]]) -> Row:
    """Count the untouched patients with a doubt, and the cords cut off of which one is told."""
    anything, short_only = Doubted(), Doubted()
    tried: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for cohort in draws:
        anything.meet(length_doubts(cohort, cohort))
        short_only.meet(short_organs(cohort, cohort))
        cut = cohort if len(draws) == 1 else cohort[:CASES_OF_A_DRAW]
        for case in cut:
            for end in ENDS:
                for missing_mm in MISSING_MM:
                    shorter = cut_off(case, end, missing_mm)
                    if shorter is None:
                        continue
                    with_it = [shorter if one is case else one for one in cohort]
                    named = contours_in(length_doubts([shorter], with_it))
                    tried[f"{end} {missing_mm} mm"] += 1
                    found[f"{end} {missing_mm} mm"] += (case.id, CORD) in named
    return {
        "patient-draws": sum(map(len, draws)),
        "doubted": anything.row(),
        "doubted by length alone": short_only.row(),
        "cut off": {
            name: {"tried": tried[name], "found": found[name], "share": share(found, tried, name)}
            for name in sorted(tried)
        },
    }


def share(found: Mapping[str, int], tried: Mapping[str, int], name: str) -> float:
    return round(found[name] / tried[name], 2)


def early_in(cases: Sequence[Case]) -> list[Row]:
    """Return the early ends of untouched patients, and how far they are from the scan's end."""
    by_id = {case.id: case for case in cases}
    rows = []
    for found in length_doubts(cases, cases):
        if isinstance(found, EarlyEnd):
            for case_id in found.cases:
                case = by_id[case_id]
                scan_z_mm = case.grid.slice_z_mm[0 if found.end == "below" else -1]
                away_mm = abs(scan_z_mm - z_mm(case, str(found.organ), found.end))
                row = {"organ": found.organ, "end": found.end}
                rows.append({**row, "from the scan's end, mm": round(away_mm)})
    return rows


def cut_off(case: Case, end: End, missing_mm: float) -> Case | None:
    """Return a case whose cord lacks at least so much at one end; None if too little is left."""
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


def spreads(cases: Sequence[Case]) -> Row:
    """Return how far the cord's ends within the scan lie from other organs' ends, mm."""
    row: Row = {}
    for end in ENDS:
        inside = [case for case in cases if end not in case.traits.cut.get(CORD, ())]
        row[f"cords that end within the scan {end}"] = f"{len(inside)} of {len(cases)}"
        for organ, landmark_end in LANDMARKS:
            past_mm = []
            for case in inside:
                cut = case.traits.cut.get(organ, ())
                if organ in case.traits.shown and landmark_end not in cut:
                    past_mm.append(z_mm(case, CORD, end) - z_mm(case, organ, landmark_end))
            if len(past_mm) > 1:
                row[f"{end}, from {organ} {landmark_end}"] = {
                    "patients": len(past_mm),
                    "standard deviation, mm": round(float(np.std(past_mm, ddof=1)), 1),
                }
    return row


def z_mm(case: Case, organ: str, end: End) -> float:
    """Return the z of an organ's last slice towards one end."""
    first, last = case.traits.shown[organ]
    return case.grid.slice_z_mm[first if end == "below" else last]


@dataclass
class Sides:
    """What is measured of one organ and its twin, in mm and in counts."""

    from_middle_mm: list[float] = field(default_factory=list)
    pairs_off_mm: list[float] = field(default_factory=list)
    doubted: int = 0
    found: int = 0

    def row(self) -> Row:
        row: Row = {
            "organs": len(self.from_middle_mm),
            "doubted under their own names": self.doubted,
            "doubted under their twins' names": self.found,
            "from the middle, mm": range_of(self.from_middle_mm),
        }
        if self.pairs_off_mm:
            row["middle of pairs from it, at most mm"] = round(max(self.pairs_off_mm), 1)
        return row


def range_of(values: Sequence[float]) -> list[float]:
    return [round(min(values), 1), round(max(values), 1)]


def sides_of(cases: Sequence[Case]) -> dict[str, Row]:
    """Measure the organs with a side, each alone in its case beside the organs in the middle."""
    by_group: dict[str, Sides] = {}
    for case in cases:
        middles_x_mm = {}
        for organ in case.organs:
            middles_x_mm[organ] = case.grid.middle_x_mm(case.mask(organ))
        for organ, x_mm in middles_x_mm.items():
            known, twin = organ_of(organ), str(organ_of(organ).twin)
            alone = {name: x for name, x in middles_x_mm.items() if name != twin}
            middle = middle_beside(organ, alone)
            if known.side is None or middle is None:
                continue
            sides = by_group.setdefault(known.group, Sides())
            wrong = dict(alone)
            wrong[twin] = wrong.pop(organ)
            sides.doubted += organ in {one.organ for one in misplaced_organs(alone)}
            sides.found += twin in {one.organ for one in misplaced_organs(wrong)}
            sides.from_middle_mm.append(abs(x_mm - middle))
            if known.side == "L" and twin in middles_x_mm:
                sides.pairs_off_mm.append(abs((x_mm + middles_x_mm[twin]) / 2 - middle))
    return {group: sides.row() for group, sides in sorted(by_group.items())}


def phantoms() -> dict[str, Row]:
    """Measure the same on the phantom's patients, who have all organs."""
    with TemporaryDirectory() as folder:
        for centre in (SOURCE, TARGET):
            write_centre(Path(folder) / "dicom", centre, range(PHANTOMS))
        workflows.import_dicom(
            Path(folder) / "dicom", Path(folder) / "phantom", also_from_elsewhere=True
        )
        return sides_of(list(Cohort.open(Path(folder) / "phantom")))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    work = with_cohorts(parser.parse_args().work, *ROLES)
    cohorts = {role: list(Cohort.open(work / "cohorts" / role)) for role in ROLES}
    chosen = random.Random(0)
    content: dict[str, Any] = {"thresholds": [], "ends": [], "early": {}, "spreads": {}}
    for patients in (*DRAWS, None):
        for role, cases in cohorts.items():
            draws = drawn(cases, patients, chosen)
            head = {"centre": role, "patients of a draw": patients or len(cases)}
            if patients:
                content["thresholds"].append({**head, "doubted": thresholds(draws)})
                print(json.dumps(content["thresholds"][-1]), flush=True)
            content["ends"].append({**head, **ends_of(draws)})
            print(json.dumps(content["ends"][-1]), flush=True)
    everyone = []
    for role, cases in cohorts.items():
        content["early"][role] = early_in(cases)
        content["spreads"][role] = spreads(cases)
        everyone += cases
    print(json.dumps(content["early"]))
    print(json.dumps(content["spreads"]))
    content["sides"] = {"OpenKBP": sides_of(everyone), "phantom": phantoms()}
    print(json.dumps(content["sides"]))
    content["rule"] = {f"{end}, mm": mm for end, mm in FURTHER_MM.items()}
    (RESULTS / "early_ends.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
