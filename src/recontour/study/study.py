"""The study's three verbs: estimate it, run it, report it."""

import datetime
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from recontour.assess.pictures import overlay_of
from recontour.cohort import Case
from recontour.cohort.doubts import draft_warnings
from recontour.errors import ScoresError, SettingsError
from recontour.evaluation import CaseScore
from recontour.evaluation.figures import Overlay
from recontour.evaluation.page import as_notice
from recontour.evaluation.planes import planes_to_show
from recontour.evaluation.plotting import refuse_unplottable
from recontour.executors import Place, place_of, workers_at
from recontour.findings import Finding, log_finding
from recontour.network.model import versions
from recontour.progress import Progress, quiet
from recontour.study.cells import Cell, Plan
from recontour.study.declared import is_study
from recontour.study.estimate import Forecast, estimate
from recontour.study.findings import ForeignScores, NoThreads, SeveralRecipes
from recontour.study.folder import (
    go_on,
    lay_out,
    open_workspace,
    prepare,
    refuse_links,
    study_plan,
    warnings_of_cohorts,
)
from recontour.study.perform import Workspace, recipe_of
from recontour.study.report import StudyHeader, write_study_report
from recontour.study.results import Result, cell_folder, is_finished, read_mask, read_results
from recontour.study.run import failures, run
from recontour.study.settings import Study, to_repeat
from recontour.study.split import (
    cross_validated,
    ids_to_test,
    left_out_for_sides,
    on_both_sides,
    patients_in_doubt,
)
from recontour.study.tables import ModelsTable
from recontour.study.tables.models import models_table
from recontour.study.words import headline

# The paths of cohorts and split files may name people, and a report is passed on.
PLACES = {"source": {"cohort", "split"}, "target": {"cohort", "split"}}
NOT_SETTINGS: Mapping[str, set[str] | bool] = {**PLACES, "file": True, "on": True}
CellsByValue = Mapping[str, Sequence[str]]

log = logging.getLogger(__name__)


def dry_run(
    study: Study,
    out: Path | str | None = None,
    *,
    on: str | None = None,
) -> Forecast:
    """Return the cells that are still to do, and what they will cost.

    Nothing is written. out: the study's folder, if it may have begun. on: as in `run_study`; a
    scheduler is asked how many workers it has.
    Raises: SettingsError: no cell could be trained as declared, `out` holds another study, or
        there is no such place. FaultError: no scheduler answers.
    """
    study, place = _placed(study, on)
    out = Path(out) if out else None
    workspace = go_on(study, out) if out and is_study(out) else lay_out(study, out or Path())
    shared = workspace.cohorts, workspace.splits
    doubts = (
        *warnings_of_cohorts(workspace),
        *on_both_sides(*shared),
        *left_out_for_sides(*shared),
    )
    for finding in doubts:
        log_finding(log, logging.WARNING, finding)
    left = study_plan(workspace).cells
    if out:
        left = [cell for cell in left if not is_finished(out, cell)]
    costs = estimate(left, workspace) if left else {}
    return Forecast(left, costs, workers_at(place) or study.workers)


def run_study(
    study: Study,
    out: Path | str,
    *,
    resume: bool = False,
    on: str | None = None,
    progress: Progress = quiet,
) -> Mapping[str, str]:
    """Train and score every cell of a study that is not finished, and write the report.

    Args:
        study: A study file, as `read_study` reads it.
        out: The study's folder; new, unless `resume`.
        resume: Continue a study that was interrupted, or grew.
        on: Where cells run, such as "local:4"; None: where `study.on` says or, if it says nothing,
            here, as many as `study.workers` at a time.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        Why cells failed, by their ids, in words that may be stored; empty if none did.

    Raises:
        OutputError: The folder holds something else, or a study and `resume` is False.
        SettingsError: No cell can be trained as declared, the folder holds another study, or
            there is no such place.

    Examples:
        >>> import recontour
        >>> study = recontour.read_study("STUDY.toml")
        >>> recontour.run_study(study, "study", resume=True)
        {}
    """
    out = Path(out)
    refuse_unplottable()
    study, place = _placed(study, on)
    prepare(study, out, resume=resume)
    run(out, progress, place)
    return report_study(out)


def _placed(study: Study, on: str | None) -> tuple[Study, Place]:
    """Return the study with as many workers as there will be where it runs, and where that is."""
    on = on or study.on
    place = place_of(on) if on else Place("local", study.workers)
    if place.kind != "local" and not study.threads:
        raise SettingsError(NoThreads())
    return replace(study, workers=place.workers or study.workers), place


def report_study(out: Path | str) -> Mapping[str, str]:
    """Write a study's report.html and tables/ from the results so far.

    Args:
        out: The study's folder.

    Returns:
        Why cells failed, by their ids, in words that may be stored; empty if none did.

    Raises:
        SettingsError: The folder holds no study.
        ScoresError: A result is damaged, or belongs to another study.

    Examples:
        >>> import recontour
        >>> recontour.report_study("study")
        {}
    """
    out = Path(out)
    workspace = open_workspace(out)
    plan = study_plan(workspace)
    refuse_links(out, plan.cells)
    failed = failures(out, plan.cells)
    results = _results(plan, workspace)
    overlays = partial(_overlays, workspace)
    write_study_report(out, plan, results, failed, overlays, _header(workspace, results))
    return failed


@dataclass(frozen=True, slots=True)
class StudySummary:
    """What a study amounts to so far: the report's first sentence and first table.

    models: None if nothing is scored.
    """

    headline: str
    models: ModelsTable | None


def summary_of(out: Path) -> StudySummary:
    """Sum a study up, from the results so far. Raises: SettingsError, ScoresError."""
    workspace = open_workspace(out)
    plan = study_plan(workspace)
    models = models_table(plan, _results(plan, workspace))
    source, target = (workspace.cohorts[role].centre for role in ("source", "target"))
    return StudySummary(headline(models, source, target), models)


def _overlays(
    workspace: Workspace,
    case_id: str,
    organ: str,
    cells: Mapping[str, Cell],
) -> Iterator[Overlay]:
    """Cut out the planes on which an organ is largest, with the contours that cells kept of it."""
    case = workspace.cohorts["target"][case_id]
    masks = {}
    for model, cell in cells.items():
        mask = read_mask(workspace.out, cell, case_id, organ, case.grid.shape)
        if mask is not None:
            masks[model] = mask
    for plane in planes_to_show(case.mask(organ)):
        contours = {model: plane.cut(mask) for model, mask in masks.items()}
        yield overlay_of(case, organ, plane, contours)


# The results


def _results(plan: Plan, workspace: Workspace) -> dict[str, Result]:
    """Read the results, and add to each score its patient.

    Raises: ScoresError: a cell has scores of cases that it cannot have been scored on.
    """
    results = read_results(workspace.out, plan.cells)
    for name, result in results.items():
        scores = {}
        for fold, rows in result.scores.items():
            _refuse_foreign(result.cell, fold, rows, workspace)
            scores[fold] = [_with_patient(row, fold, workspace) for row in rows]
        results[name] = replace(result, scores=scores)
    return results


def _refuse_foreign(
    cell: Cell,
    fold: str,
    rows: Iterable[CaseScore],
    workspace: Workspace,
) -> None:
    centre, _, name = fold.partition(" ")  # "target test", "source test"
    split = workspace.splits[centre]
    known = set(ids_to_test(split, cell.held_out) if name == "test" else split.get(name, ()))
    for row in rows:
        if row.case not in known:
            path = cell_folder(workspace.out, cell) / "scores.csv"
            raise ScoresError(
                ForeignScores(
                    path=path,
                    fold=fold,
                    name=row.case,
                )
            )


def _with_patient(row: CaseScore, fold: str, workspace: Workspace) -> CaseScore:
    centre, _, _ = fold.partition(" ")
    return replace(row, patient=workspace.patient_of(centre, row.case))


# The report's head and foot


def _header(workspace: Workspace, results: Mapping[str, Result]) -> StudyHeader:
    study = workspace.study
    recipe = recipe_of(study)
    trained_with = _trained_with([*recipe, *versions()], results)
    if computed_in := _computed_in(results):
        trained_with["precision"] = computed_in
    several_recipes = False
    settings = _settings(study)
    for part, cells in trained_with.items():
        settings[part] = _values(cells)
        if part in (*recipe, "precision") and len(cells) > 1:
            several_recipes = True
    return StudyHeader(
        name=study.name,
        source=workspace.cohorts["source"].centre,
        target=workspace.cohorts["target"].centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        preset=study.preset,
        settings=settings,
        split=_patients_by_fold(workspace),
        notices=_notices(workspace, several_recipes=several_recipes),
        repeat=to_repeat(study),
    )


def _settings(study: Study) -> dict[str, str]:
    """Return every setting in words, but not where the cohorts lie."""
    declared = TypeAdapter(Study).dump_python(
        study,
        mode="json",
        exclude=NOT_SETTINGS,
        exclude_none=True,
    )
    return {name: _in_words(value) for name, value in declared.items()}


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_in_words(part)}" for name, part in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)


def _trained_with(
    parts: Iterable[str], results: Mapping[str, Result]
) -> dict[str, dict[str, list[str]]]:
    """Group the finished cells by the value of each part of their recipe and versions."""
    grouped: dict[str, dict[str, list[str]]] = {}
    for part in parts:
        for cell, result in results.items():
            value = result.trained_with.get(part, "unknown")
            grouped.setdefault(part, {}).setdefault(value, []).append(cell)
    return grouped


def _computed_in(results: Mapping[str, Result]) -> dict[str, list[str]]:
    """Group the finished cells by their precision. Cells of earlier versions do not say it."""
    grouped: dict[str, list[str]] = {}
    for cell, result in results.items():
        precision = result.trained_with.get("precision")
        if precision:
            grouped.setdefault(precision, []).append(cell)
    return grouped


def _values(cells: CellsByValue) -> str:
    """Say what most cells were trained with, and which were trained with something else."""
    most = max(cells, key=lambda value: len(cells[value]))
    words = [most]
    for value, names in cells.items():
        if value != most:
            words.append(f"but {value} in {', '.join(names)}")
    return "; ".join(words)


def _patients_by_fold(workspace: Workspace) -> dict[str, dict[str, str]]:
    """Return how many patients each fold of each centre has."""
    counts: dict[str, dict[str, str]] = {}
    for centre, split in workspace.splits.items():
        by_fold = {}
        for fold, cases in split.items():
            by_fold[fold] = _counted(workspace, centre, cases)
        counts[centre] = by_fold
    return counts


def _counted(
    workspace: Workspace,
    centre: str,
    cases: Sequence[str],
) -> str:
    """Count patients, and their CTs where these are more."""
    patients = {workspace.patient_of(centre, case) for case in cases}
    if len(cases) > len(patients):
        return f"{len(patients)} ({len(cases)} CTs)"
    return str(len(patients))


def _notices(workspace: Workspace, *, several_recipes: bool) -> list[str]:
    """Return what a reader must know first, once each."""
    cohorts, splits = workspace.cohorts, workspace.splits
    cases: list[Case] = []
    for centre, split in splits.items():
        for fold in split:
            cases += workspace.cases(centre, fold)
    findings: list[Finding] = [
        *warnings_of_cohorts(workspace),
        *cross_validated(splits, workspace.patients),
        *on_both_sides(cohorts, splits),
        *left_out_for_sides(cohorts, splits),
        *draft_warnings(cases),
        *patients_in_doubt(cohorts, splits),
    ]
    notices = list(map(as_notice, findings))
    for cohort in cohorts.values():
        notices += cohort.notices
    if several_recipes:
        notices.append(as_notice(SeveralRecipes()))
    return list(dict.fromkeys(notices))
