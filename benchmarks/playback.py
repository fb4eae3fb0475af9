#!/usr/bin/env python3
"""Play a centre that corrects every draft: do the drafts get better with the patients seen?

    .venv/bin/python benchmarks/playback.py MODEL [--work DIR] [--data DIR]
    .venv/bin/python benchmarks/playback.py --table

The patients of target1 arrive one by one, in the order of their case ids. The model in use drafts
each of them, the centre's own contours are what a person makes of the draft, and the site collects
them, learns when it is due, and asks the gate. Whatever the gate accepts is promoted. All of this
are the site's own functions, in a folder and a database of its own; only the network and the page
are missing. MODEL is the site's first: Model_S of the preset compact, trained on the source's
patients. Every later draft is also made by it, to tell the model's progress from the patients'.

If it is interrupted, the same command goes on. Prints a table, and writes
docs/results/playback.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from sqlalchemy import select

from real_centres import DATA, HERE, RESULTS, with_cohorts
from recontour.cohort import Case, Cohort, case_id_of
from recontour.contouring.contourer import Contourer
from recontour.dicom import read_archive, read_structure_set
from recontour.evaluation.metrics import apl_mm, dice
from recontour.geometry import rasterise
from recontour.organs import organ_of
from recontour.service import jobs
from recontour.service.child import Ending
from recontour.service.folder import SiteFolder
from recontour.service.loop.due import collected
from recontour.service.loop.learner import do_next
from recontour.service.loop.versions import (
    CANDIDATE,
    file_of,
    from_site_file,
    in_use,
    promote,
    register,
    versions_of,
)
from recontour.service.settings import LoopSettings, Rule, Site, SiteModel
from recontour.service.store import Approval, Draft, Job, Series, Store, now
from recontour.workflows import contour

NAME = "neck"
TARGET = "target1"
# 22 patients are few: the gate needs at least 8 aside for seven organs, and has some power with 9.
SETTINGS = LoopSettings(after=7, keep_aside=0.6)
SALT = "recontour salt 1\n" + "22" * 32 + "\n"  # so that the same patients are kept aside again
ENDS = 5  # patients at either end that are compared
JSON_FILE = RESULTS / "playback.json"

Scores = Mapping[str, Mapping[str, float]]  # by organ and measure
Row = Mapping[str, Any]  # of one patient


def site_of(work: Path, model: Path) -> Site:
    """Return the site, whose folder has a salt of its own."""
    site = Site(
        folder=work / "playback",
        models={NAME: SiteModel(model.resolve())},
        rules=(Rule("all", NAME),),
        loop=SETTINGS,
    )
    folder = SiteFolder(site.folder)
    folder.make()
    salt = folder.corrected(NAME).parent / ".recontour-salt"
    if not salt.exists():
        salt.write_text(SALT)
        salt.chmod(0o600)
    return site


def play(work: Path, model: Path, most: int | None) -> dict[str, Any]:
    """Let the patients arrive, at most so many; return what came of it."""
    site = site_of(work, model)
    store = Store.of(site)
    with store.begin() as session:
        jobs.give_back(session)
        missing = register(session, site)
        if missing:
            sys.exit(str(missing[0]))
    cohort = Cohort.open(work / "cohorts" / TARGET)
    archive = read_archive(work / "dicom" / TARGET)
    by_case = {}
    for pair in archive.pairs:
        by_case[case_id_of(TARGET, pair.series.uid)] = pair
    drafter = Drafter()
    rows: list[dict[str, Any]] = []
    log = site.folder / "rows.json"
    if log.exists():
        rows = json.loads(log.read_text())
    for case in list(cohort)[len(rows) : most]:
        pair = by_case[case.id]
        row = arrive(site, store, drafter, case, pair)
        rows.append(row)
        temporary = log.with_suffix(".partial")
        temporary.write_text(json.dumps(rows, indent=1))
        temporary.replace(log)
        dsc, by_first = mean_of(row["scores"], "dsc"), mean_of(row["by_first"], "dsc")
        promoted = f", promoted {row['promoted']}" if row["promoted"] else ""
        drafted_by = f"version {row['version']}"
        print(f"{len(rows)}: {drafted_by}: DSC {dsc:.3f} ({by_first:.3f}){promoted}", flush=True)
    return {
        "settings": {"after": SETTINGS.after, "keep_aside": SETTINGS.keep_aside},
        "summary": summary_of(rows),
        "versions": list(versions(store)),
        "rows": rows,
    }


class Drafter:
    """Contours with one model after another; keeps the last ones loaded."""

    def __init__(self) -> None:
        self._loaded: dict[Path, Contourer] = {}

    def draft(self, model: Path, ct: Path, out: Path) -> dict[str, str]:
        """Write a structure set; return what it calls each organ."""
        if model not in self._loaded:
            self._loaded[model] = Contourer.load(model)
        out.unlink(missing_ok=True)
        found = contour(model, ct, out, anyway=True, contourer=self._loaded[model])
        return dict(found.names)


def arrive(site: Site, store: Store, drafter: Drafter, case: Case, pair: Any) -> dict[str, Any]:
    """Let a patient arrive, be drafted, corrected, collected and learnt from."""
    began = time.monotonic()
    folder = SiteFolder(site.folder)
    received = folder.received(pair.series.uid)
    received.mkdir(exist_ok=True)
    for file in pair.series.files:
        link = received / file.name
        if not link.exists():
            link.symlink_to(file.resolve())
    with store.begin() as session:
        version = in_use(session, NAME)
        first = from_site_file(session, NAME)
    out = folder.drafts(pair.series.uid) / "1"
    out.mkdir(parents=True, exist_ok=True)
    drafter.draft(file_of(site, version), received, out / "RS.dcm")
    scores = scores_of(case, out / "RS.dcm")
    by_first = scores
    if version.id != first.id:
        drafter.draft(file_of(site, first), received, out / "by_first.dcm")
        by_first = scores_of(case, out / "by_first.dcm")
    approved = folder.approved(pair.series.uid) / "1.dcm"
    approved.parent.mkdir(exist_ok=True)
    if not approved.exists():
        approved.symlink_to(pair.structure_set.path.resolve())
    approve(site, store, case, pair.series.uid, version.id)
    drafted_s = time.monotonic() - began
    work_off(site, store)
    with store.begin() as session:
        promoted = promote_candidates(session)
        fate = collected(session, NAME)[-1].is_aside
    return {
        "case": case.id,
        "version": version.number,
        "is_aside": fate,
        "scores": scores,
        "by_first": by_first,
        "promoted": promoted,
        "seconds": {"draft": drafted_s, "all": time.monotonic() - began},
    }


def approve(site: Site, store: Store, case: Case, series_uid: str, model_id: int) -> None:
    """Note that a person approved a case's own contours, unless that is done."""
    with store.begin() as session:
        if session.scalar(select(Series).where(Series.uid == series_uid)):
            return
        series = Series(uid=series_uid, modality="CT", first_at=now(), last_at=now())
        session.add(series)
        session.flush()
        draft = Draft(
            series_id=series.id,
            generation=0,
            rule="all",
            model_id=model_id,
            folder=str(SiteFolder(site.folder).drafts(series_uid).relative_to(site.folder) / "1"),
            sop_instance_uid="",
            made_at=now(),
            organs=dict(case.roi_names),
        )
        session.add(draft)
        session.flush()
        approval = Approval(
            draft_id=draft.id,
            reviewer="centre",
            approved_at=now(),
            file=str(
                (SiteFolder(site.folder).approved(series_uid) / "1.dcm").relative_to(site.folder)
            ),
            sop_instance_uid="",
        )
        session.add(approval)
        session.flush()
        jobs.put(session, "collect", f"collect {approval.id}", {"approval": approval.id})


def work_off(site: Site, store: Store) -> None:
    """Do all that is to be done, as the site's learner does; stop where something failed."""
    ending = Ending()
    while do_next(site, store, ending):
        pass
    with store.begin() as session:
        for job in session.scalars(select(Job).where(Job.finding.is_not(None))):
            sys.exit(f"{job.kind}: {job.finding}")


def promote_candidates(session: Any) -> list[int]:
    """Promote what the gate accepted; return its number."""
    promoted = []
    for version in versions_of(session, NAME):
        if version.state == CANDIDATE:
            promote(session, version.id, "playback")
            promoted.append(version.number)
    return promoted


def scores_of(case: Case, draft: Path) -> dict[str, dict[str, float]]:
    """Return DSC and added path length in mm of each organ that the centre has drawn."""
    drawn = {one.name: one.contours for one in read_structure_set(draft, None).structures}
    scores = {}
    for organ in case.organs:
        own = case.mask(organ)
        drafted = rasterise(drawn.get(organ, ()), case.grid)
        length_mm = apl_mm(own, drafted, case.grid, organ_of(organ).tolerance_mm)
        scores[organ] = {"dsc": dice(own, drafted, case.grid), "apl_mm": length_mm}
    return scores


# What is said of it


def versions(store: Store) -> Iterator[dict[str, Any]]:
    """Yield each version of the model, its state, and what the gate decided."""
    with store.begin() as session:
        for one in versions_of(session, NAME):
            yield {"number": one.number, "state": one.state, "decided": one.decided}


def mean_of(scores: Scores, measure: str) -> float:
    """Return the mean of a measure over a patient's organs."""
    return fmean(of[measure] for of in scores.values())


def means(rows: Sequence[Row], whose: str, measure: str) -> float:
    """Return the mean over patients. whose: "scores" of the drafts, or "by_first"."""
    return fmean(mean_of(row[whose], measure) for row in rows)


def summary_of(rows: Sequence[Row]) -> dict[str, float]:
    """Return the comparisons of the first and the last patients."""
    first, last = rows[:ENDS], rows[-ENDS:]
    said = {}
    for measure in ("dsc", "apl_mm"):
        drafts = means(last, "scores", measure)
        said[f"{measure} of the first {ENDS} drafts"] = means(first, "scores", measure)
        said[f"{measure} of the last {ENDS} drafts"] = drafts
        said[f"{measure} of the first model on the last {ENDS}"] = means(last, "by_first", measure)
    return said


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of the how-to: means over the organs of each patient."""
    yield "| patient | drafted by | DSC | added path, mm | first model's DSC | its path | then |"
    yield "|---|---|---|---|---|---|---|"
    for number, row in enumerate(found["rows"], 1):
        cells = [str(number), f"version {row['version']}"]
        for whose in ("scores", "by_first"):
            cells.append(f"{mean_of(row[whose], 'dsc'):.3f}")
            cells.append(f"{mean_of(row[whose], 'apl_mm'):.0f}")
        then = "kept aside" if row["is_aside"] else "learnt from"
        then += "".join(f"; version {one} promoted" for one in row["promoted"])
        yield f"| {' | '.join([*cells, then])} |"
    yield ""
    for what, value in found["summary"].items():
        yield f"{what}: {value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", help="the site's first model")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--patients", type=int, help="stop after so many; the next run goes on")
    parser.add_argument("--table", action="store_true", help="print docs/results/playback.json")
    options = parser.parse_args()
    if not options.table:
        if options.model is None:
            parser.error("a MODEL is needed")
        work = with_cohorts(options.work, TARGET, data=options.data)
        found = play(work, options.model, options.patients)
        JSON_FILE.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(json.loads(JSON_FILE.read_text()))))


if __name__ == "__main__":
    main()
