#!/usr/bin/env python3
"""Count the flags of `contour` on patients that a model does not suit, and on those that it does.

    .venv/bin/python benchmarks/wrong_patient.py MODEL[=NAME] ... --cohorts COHORT ...
        [--ct CT_DIR ...] [--suitable 40] [--unsuitable 4] [--work FILE]

Each model contours

- patients of its own cohorts, up to --suitable: those that it was trained on, and others;
- patients of the phantom, if it learnt from people, or people, if it learnt from the phantom;
- the lower third of people's CTs, which shows a chest;
- pelvis-like CTs: the phantom, shifted and scaled in four ways;
- the CTs in the folders CT_DIR, such as real CTs of the chest.

Of each of these but the first, --unsuitable are taken. The ranges are computed from the cohorts'
cases that a model was trained on, so that models without ranges can be used. What each contour
measures is kept in FILE as soon as it is known: if the benchmark is interrupted, the same command
continues, and with other margins nothing is contoured again.

Prints a table, and writes docs/results/wrong_patient.json.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from real_centres import RESULTS
from recontour.cohort import Case, Cohort, is_synthetic
from recontour.contouring.contourer import Contourer
from recontour.contouring.likeness import body_unlike, is_unlike_as_a_whole, organ_unlike
from recontour.dicom import read_scan
from recontour.geometry import Grid
from recontour.network import Model
from recontour.network.body import Voxels
from recontour.network.ranges import Ranges
from recontour.network.traits import body_of, organ_traits, parts_of_mask
from recontour.transfer.measured import measured

# How the phantom's sides are scaled (z, y, x), and how far it is shifted, in mm.
PELVIS_LIKE = {
    "pelvis-like, 1.6": ((1.6, 1.6, 1.6), 30.0),
    "pelvis-like, 2.2 in plane": ((1.0, 2.2, 2.2), 0.0),
    "pelvis-like, wide": ((1.5, 1.3, 2.4), 40.0),
    "pelvis-like, long": ((2.0, 1.5, 2.0), -25.0),
}
OWN = "own patients, trained on"
UNSEEN = "own centre's patients, not trained on"
PHANTOM_ON_PEOPLE = "people, model of the phantom"
PEOPLE_ON_PHANTOM = "the phantom, model of people"
CHEST = "lower third of people's CTs"
SUITABLE = (OWN, UNSEEN)


@dataclass(frozen=True)
class Patient:
    """A CT to contour. kind: why it is here. is_phantom: it shows recontour's phantom."""

    name: str
    kind: str
    hu: Voxels
    grid: Grid
    is_phantom: bool = False


@dataclass(frozen=True)
class Verdict:
    """What `contour` says of a CT. marked, found: contours unlike training, and all of them."""

    kind: str
    model: str
    patient: str
    other_body: bool
    phantom_and_patient: bool
    marked: int
    found: int
    in_parts: int
    details: tuple[str, ...]

    @property
    def stopped(self) -> bool:
        """Whether nothing is written without --anyway."""
        many = is_unlike_as_a_whole(self.marked, self.found)
        return self.other_body or self.phantom_and_patient or many or not self.found

    @property
    def flagged(self) -> bool:
        """Whether anything is said of unlike training."""
        return self.stopped or self.marked > 0


class Bench:
    """The cohorts, and what was measured so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cohorts = list(map(Cohort.open, options.cohorts))
        self.work: Path = options.work
        self.kept: dict[str, Any] = {}
        if self.work.exists():
            self.kept = json.loads(self.work.read_text())

    def of_phantom(self, cohort: Cohort) -> bool:
        return is_synthetic(cohort.notices) or any(case.is_phantom for case in cohort)

    def patients(self, model: Model) -> Iterator[Patient]:
        """Yield every CT that a model contours."""
        few = self.options.unsuitable
        phantom_model = is_synthetic(model.provenance.notices)
        for cohort in self.cohorts:
            phantom = self.of_phantom(cohort)
            if phantom != phantom_model:
                kind = PEOPLE_ON_PHANTOM if phantom else PHANTOM_ON_PEOPLE
                for case in islice(cohort, few):
                    yield Patient(case.id, kind, case.hu, case.grid, phantom)
            elif cohort.centre == model.provenance.centre:
                for case in islice(cohort, self.options.suitable):
                    known = case.fingerprint in model.provenance.trained_on
                    kind = OWN if known else UNSEEN
                    yield Patient(case.id, kind, case.hu, case.grid, phantom)
            if phantom:
                yield from _pelvis_like(islice(cohort, few // 2))
            else:
                yield from _chests(islice(cohort, few))
        for folder in self.options.ct:
            scan = read_scan(folder)
            yield Patient(folder.name, f"CT {folder.name}", scan.hu, scan.grid)

    def ranges(self, model: Model) -> Ranges:
        """Return what a model's own patients measured, of those that the cohorts hold."""
        known = set(model.provenance.trained_on)
        cases: list[Case] = []
        for cohort in self.cohorts:
            cases += [case for case in cohort if case.fingerprint in known]
        return measured(cases, model.organs)

    def verdicts(self, name: str, path: Path) -> Iterator[Verdict]:
        """Yield what `contour` says of each patient."""
        contourer = Contourer.load(path)
        model = contourer.model
        ranges = self.ranges(model)
        phantom_model = is_synthetic(model.provenance.notices)
        for patient in self.patients(model):
            key = f"{name}/{patient.kind}/{patient.name}"
            if key not in self.kept:
                self.kept[key] = _measured(contourer, patient)
                self.work.write_text(json.dumps(self.kept))
                print(f"contoured: {key}", flush=True)
            mixed = patient.is_phantom != phantom_model
            yield _verdict(name, patient, self.kept[key], ranges, mixed)


def _pelvis_like(cases: Iterable[Case]) -> Iterator[Patient]:
    for case in cases:
        for kind, ((z, y, x), shift_mm) in PELVIS_LIKE.items():
            grid = case.grid
            row_mm, column_mm = grid.spacing_mm
            left_mm, top_mm = grid.origin_mm
            scaled = replace(
                grid,
                spacing_mm=(y * row_mm, x * column_mm),
                slice_z_mm=tuple(z * at_mm for at_mm in grid.slice_z_mm),
                origin_mm=(x * left_mm + shift_mm, y * top_mm - shift_mm),
            )
            # Its mark is lost: only what it measures can tell.
            yield Patient(case.id, kind, case.hu, scaled)


def _chests(cases: Iterable[Case]) -> Iterator[Patient]:
    for case in cases:
        slices, rows, columns = case.grid.shape
        third = slices // 3
        grid = replace(
            case.grid, shape=(third, rows, columns), slice_z_mm=case.grid.slice_z_mm[:third]
        )
        yield Patient(case.id, CHEST, case.hu[:third], grid)


def _measured(contourer: Contourer, patient: Patient) -> dict[str, Any]:
    """Contour a patient; return the traits of the body and of each organ found, and its parts."""
    body = body_of(patient.hu, patient.grid)
    organs: dict[str, Any] = {}
    parts: dict[str, int] = {}
    for organ, mask in contourer.contour(patient.hu, patient.grid):
        if mask.any():
            organs[organ] = organ_traits(patient.hu, patient.grid, mask, body)
            parts[organ] = parts_of_mask(mask)
    return {"body": body.traits(), "organs": organs, "parts": parts}


def _verdict(
    model: str,
    patient: Patient,
    kept: dict[str, Any],
    ranges: Ranges,
    mixed: bool,
) -> Verdict:
    details = []
    body = body_unlike(ranges, kept["body"])
    if body:
        details.append(body.sentence())
    marked = 0
    for organ, traits in kept["organs"].items():
        unlike = organ_unlike(ranges, organ, traits)
        if unlike:
            marked += 1
            details.append(f"{organ}: {unlike.details()}")
    return Verdict(
        kind=patient.kind,
        model=model,
        patient=patient.name,
        other_body=body is not None,
        phantom_and_patient=mixed,
        marked=marked,
        found=len(kept["organs"]),
        in_parts=sum(parts > 1 for parts in kept["parts"].values()),
        details=tuple(details),
    )


def table(verdicts: Sequence[Verdict]) -> str:
    """Return a row for each model and kind of patient; without the phantom's mark, in brackets."""
    lines = [
        "| patients | model | n | flagged | stopped | other body | contours marked | in parts |",
        "|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for one in verdicts:
        groups.setdefault((one.kind, one.model), []).append(one)
    for (kind, model), rows in sorted(groups.items()):
        unmarked = [replace(row, phantom_and_patient=False) for row in rows]
        flagged = _with_and_without(
            sum(row.flagged for row in rows), sum(row.flagged for row in unmarked)
        )
        stopped = _with_and_without(
            sum(row.stopped for row in rows), sum(row.stopped for row in unmarked)
        )
        bodies = sum(row.other_body for row in rows)
        contours = f"{sum(row.marked for row in rows)} of {sum(row.found for row in rows)}"
        parts = sum(row.in_parts for row in rows)
        lines.append(
            f"| {kind} | {model} | {len(rows)} | {flagged} | {stopped} | {bodies} | {contours} "
            f"| {parts} |"
        )
    return "\n".join(lines)


def _with_and_without(all_reasons: int, without_mark: int) -> str:
    if all_reasons == without_mark:
        return str(all_reasons)
    return f"{all_reasons} ({without_mark})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL[=NAME]")
    parser.add_argument("--cohorts", nargs="+", type=Path, required=True)
    parser.add_argument("--ct", nargs="+", type=Path, default=[])
    parser.add_argument("--suitable", type=int, default=40)
    parser.add_argument("--unsuitable", type=int, default=4)
    parser.add_argument("--work", type=Path, default=Path("wrong_patient_work.json"))
    options = parser.parse_args()
    bench = Bench(options)
    verdicts: list[Verdict] = []
    for given in options.models:
        path, _, name = given.partition("=")
        verdicts += bench.verdicts(name or Path(path).stem, Path(path))
    print(table(verdicts))
    for one in verdicts:
        if one.kind in SUITABLE and one.flagged:
            print(f"{one.model}: {one.patient}: {'; '.join(one.details)}")
    rows = []
    for one in verdicts:
        row = asdict(one) | {"flagged": one.flagged, "stopped": one.stopped}
        del row["details"]
        rows.append(row)
    path = RESULTS / "wrong_patient.json"
    path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
