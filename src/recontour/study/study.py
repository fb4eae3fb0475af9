"""The study's three verbs: estimate it, run it, report it."""

import datetime
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from recontour.assess.caveats import draft_warnings
from recontour.assess.scoring import overlay_of
from recontour.errors import ScoresError
from recontour.evaluation.figures import Overlay, slice_to_show
from recontour.evaluation.plotting import refuse_unplottable
from recontour.findings import stored_words
from recontour.network.model_file import versions
from recontour.progress import Progress
from recontour.study.cells import Cell
from recontour.study.estimate import Estimate, estimate
from recontour.study.perform import Workspace, recipe_of
from recontour.study.report import StudyHeader, write_study_report
from recontour.study.results import Result, is_finished, read_mask, read_results
from recontour.study.run import (
    failures,
    go_on,
    is_study,
    lay_out,
    open_workspace,
    prepare,
    refuse_links,
    run,
    study_plan,
)
from recontour.study.settings import Study
from recontour.study.split import on_both_sides, unknown_patients
from recontour.wording import shown


def dry_run(
    study: Study, out: Path | None = None
) -> tuple[Sequence[Cell], Mapping[str, Estimate], int]:
    """The cells that are still to do, what each will cost, and how many are done at a time.

    Nothing is written.
    """
    workspace = go_on(study, out) if out and is_study(out) else lay_out(study, out or Path())
    left = [cell for cell in study_plan(workspace).cells if not (out and is_finished(out, cell))]
    return left, estimate(left, workspace) if left else {}, study.workers


def run_study(study: Study, out: Path, *, resume: bool, progress: Progress) -> Mapping[str, str]:
    """Run what is not finished, and write the report. Returns: why cells failed, by id."""
    refuse_unplottable()
    prepare(study, out, resume=resume)
    run(out, progress)
    return report_study(out)


def report_study(out: Path) -> Mapping[str, str]:
    """Write report.html and tables/ from the results that are there.

    Returns: why cells failed, by id.
    """
    workspace = open_workspace(out)
    laid = study_plan(workspace)
    refuse_links(out, laid.cells)
    failed = failures(out, laid.cells)

    def overlay(case_id: str, organ: str, cells: Mapping[str, Cell]) -> Overlay:
        case = workspace.cohorts["target"][case_id]
        index = slice_to_show(case.mask(organ))
        masks = {
            name: read_mask(out, cell, case_id, organ, case.grid.shape)
            for name, cell in cells.items()
        }
        shown = {name: mask[index] for name, mask in masks.items() if mask is not None}
        return overlay_of(case, organ, index, shown)

    kept = read_results(out, laid.cells)
    for cell, result in kept.items():
        _refuse_foreign(cell, result, workspace)
    results = _with_patients(kept, workspace)
    told = {name: _without_roots(why, workspace) for name, why in failed.items()}
    write_study_report(out, laid, results, told, overlay, _about(workspace, results))
    return failed


def _with_patients(results: Mapping[str, Result], workspace: Workspace) -> dict[str, Result]:
    """The same results, and of each row the patient."""
    found = {}
    for cell, result in results.items():
        scores = {}
        for fold, rows in result.scores.items():
            centre = fold.partition(" ")[0]  # "target test", "source test"
            scores[fold] = [
                replace(row, patient=workspace.patient_of(centre, row.case)) for row in rows
            ]
        found[cell] = replace(result, scores=scores)
    return found


def _refuse_foreign(cell: str, result: Result, workspace: Workspace) -> None:
    """Raise ScoresError where a cell has scores of cases that it cannot have been scored on."""
    for fold, rows in result.scores.items():
        centre, _, name = fold.partition(" ")
        known = set(workspace.splits[centre][name])
        if foreign := [row.case for row in rows if row.case not in known]:
            raise ScoresError(
                f"{workspace.out}/cells/{cell}/scores.csv has scores of {shown(foreign[0])}, which is not of {fold} in "
                "split.csv; put split.csv back, or delete result.json beside it and go on with --resume"
            )


def _without_roots(words: str, workspace: Workspace) -> str:
    """Words without the folders in which the study and its cohorts lie:

    a report travels, and folders name people.
    """
    cohorts = {cohort.path: f"({centre} cohort)" for centre, cohort in workspace.cohorts.items()}
    called = {**cohorts, workspace.out: "(study)"}
    called |= {folder.resolve(): name for folder, name in called.items()}
    called.pop(Path(), None)  # what lies in the current folder goes by its own name
    for folder in sorted(called, key=lambda folder: len(str(folder)), reverse=True):
        # a study in `out` takes nothing from "without"
        alone = rf"(?<![\w./-]){re.escape(str(folder))}(?![\w-])"
        words = re.sub(alone, called[folder], words)
    return words


def _about(workspace: Workspace, results: Mapping[str, Result]) -> StudyHeader:
    study = workspace.study
    declared: dict[str, Any] = TypeAdapter(Study).dump_python(study, mode="json")
    for centre in ("source", "target"):  # where a cohort lies is nobody's business
        declared[centre] = {
            name: value
            for name, value in declared[centre].items()
            if name not in ("cohort", "split")
        }
    cases = [
        case
        for centre, split in workspace.splits.items()
        for fold in split
        for case in workspace.cases(centre, fold)
    ]
    settings = {name: _in_words(value) for name, value in declared.items() if value is not None}
    trained_with = (
        {name: _by_value(name, results) for name in (*recipe_of(study), *versions())}
        if results
        else {}
    )
    notices = [notice for cohort in workspace.cohorts.values() for notice in cohort.notices]
    if any(len(trained_with.get(name, ())) > 1 for name in recipe_of(study)):
        notices.append(
            "Not all models are known to be trained by one recipe: see Settings and versions, at the end."
        )
    return StudyHeader(
        name=study.name,
        source=workspace.cohorts["source"].centre,
        target=workspace.cohorts["target"].centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        preset=study.preset,
        settings=settings | {name: _told(cells) for name, cells in trained_with.items()},
        split={
            centre: {fold: _counted(workspace, centre, ids) for fold, ids in split.items()}
            for centre, split in workspace.splits.items()
        },
        notices=(
            *on_both_sides(workspace.cohorts, workspace.splits),
            *map(stored_words, draft_warnings(cases)),
            *unknown_patients(workspace.cohorts, workspace.splits),
            *dict.fromkeys(notices),
        ),
        repeat=shlex.join(["recontour", "study", "STUDY.toml", "--out", "OUT"]),
    )


def _counted(workspace: Workspace, centre: str, cases: Sequence[str]) -> str:
    """How many patients, and where they have several CTs how many of these."""
    patients = {workspace.patient_of(centre, case) for case in cases}
    return (
        f"{len(patients)} ({len(cases)} CTs)" if len(cases) > len(patients) else str(len(patients))
    )


def _by_value(name: str, results: Mapping[str, Result]) -> dict[str, list[str]]:
    """The finished cells by what they were trained with."""
    cells: dict[str, list[str]] = {}
    for cell, result in results.items():
        cells.setdefault(result.trained_with.get(name, "unknown"), []).append(cell)
    return cells


def _told(cells: Mapping[str, Sequence[str]]) -> str:
    """What most cells were trained with, and which ones with what else."""
    most, *others = sorted(cells, key=lambda value: len(cells[value]), reverse=True)
    return "; ".join([most, *(f"but {value} in {', '.join(cells[value])}" for value in others)])


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(of)}" for name, of in value.items() if of is not None)
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)
