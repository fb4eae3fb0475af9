"""Score models on a cohort, and report."""

import datetime
import logging
import shlex
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from recontour.assess.caveats import cohort_warnings, draft_warnings, trained_on_warnings
from recontour.assess.other_sides import OtherSides
from recontour.assess.pictures import Planes
from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case, Cohort, patient_names
from recontour.cohort.patients import doubt
from recontour.cohort.traits import cut_organs
from recontour.contouring.contourer import Contourer
from recontour.errors import OrganError, SettingsError
from recontour.evaluation import CaseScore, compare, write_scores, write_statistics
from recontour.evaluation.figures import Overlay
from recontour.evaluation.page import as_notice
from recontour.evaluation.plotting import refuse_unplottable
from recontour.evaluation.report import ReportHeader, write_report
from recontour.evaluation.verdicts import unfound_organs
from recontour.files import refuse_existing, whole_folder
from recontour.findings import Finding, log_finding
from recontour.network import Model, name_of
from recontour.network.model_file import JOINT, parts_of
from recontour.progress import Progress, quiet
from recontour.wording import printable
from recontour.workflows.findings import NoCommonOrgan, PlannedEvaluation, SharedModelName
from recontour.workflows.order import refuse_swapped
from recontour.workflows.planned import counted

Contourers = Mapping[str, Contourer]

log = logging.getLogger(__name__)


def evaluate(
    cohort: Path | str,
    models: Sequence[Path | str],
    out: Path | str,
    *,
    progress: Progress = quiet,
) -> list[CaseScore]:
    """Score models on a cohort's own contours.

    Writes scores.csv, statistics.csv and report.html into a new folder. Means and tests are over
    patients, who may have several CTs each. An organ that a case's structure set does not have is
    not scored.

    Args:
        cohort: A cohort folder of patients that no model was trained on.
        models: Model files, each may be TRUNK+HEAD. Reports name them by their files; the first is
            the baseline.
        out: The folder to write; it must not exist.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        One score per case, organ and model.

    Raises:
        RecontourError: The cohort, a model or the output cannot be used.

    Examples:
        >>> import recontour
        >>> models = ["south.safetensors", "north.safetensors"]
        >>> scores = recontour.evaluate("north-test", models, "evaluation")
        >>> sorted({score.model for score in scores})
        ['north', 'south']
    """
    cohort, out = Path(cohort), Path(out)
    if isinstance(models, str | Path):
        models = (models,)
    paths = list(map(Path, models))
    refuse_existing(out)
    refuse_unplottable()
    refuse_swapped(paths[0], cohort, "COHORT MODEL")
    opened = Cohort.open(cohort)
    contourers = _by_name(paths)
    loaded = {name: contourer.model for name, contourer in contourers.items()}
    cases = _cases_to_score(opened, loaded)
    warnings: list[Finding] = [
        *cohort_warnings(opened, cases),
        *draft_warnings(cases),
        *trained_on_warnings(loaded, cases, opened.centre),
    ]
    for warning in warnings:
        log_finding(log, logging.WARNING, warning)
    planes = Planes()
    sides = OtherSides()
    scores = _scored(cases, contourers, planes, sides, progress)
    for warning in sides.warnings():
        log_finding(log, logging.WARNING, warning)
        warnings.append(warning)
    warnings += cut_organs(cases)
    comparisons = compare(scores, list(loaded))
    unfound = unfound_organs(scores)
    if unfound:
        log_finding(log, logging.WARNING, unfound)
        warnings.insert(0, unfound)

    def overlays(case_id: str, organ: str) -> Iterator[Overlay]:
        return planes.overlays(opened[case_id], organ)

    total = len(cases) * len(loaded)
    progress("reporting", total, total, "report.html")
    header = ReportHeader(
        centre=opened.centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        models=_descriptions(loaded),
        repeat=_repeat(paths),
        notices=_notices(warnings, opened, cases, loaded),
    )
    with whole_folder(out) as folder:
        write_scores(folder / "scores.csv", scores)
        write_statistics(folder / "statistics.csv", comparisons)
        write_report(folder / "report.html", scores, comparisons, overlays, header)
    return scores


def _scored(
    cases: Sequence[Case],
    contourers: Contourers,
    planes: Planes,
    sides: OtherSides,
    progress: Progress,
) -> list[CaseScore]:
    """Score every model on every case, in the order of the cases and of the models."""
    patients = patient_names(cases)
    total = len(cases) * len(contourers)
    done = 0
    scores = []
    began = time.monotonic()
    for case in cases:
        rows: list[CaseScore] = []
        # The last model decides which planes are worth a picture, and comes first.
        for name in reversed(list(contourers)):
            progress("contouring", done, total, f"{case.id} with {name}")
            of_model = []
            for row, mask in score_masks(case, name, contour_case(contourers[name], case)):
                of_model.append(replace(row, patient=patients[case.id]))
                planes.keep(case, row.organ, name, mask)
                sides.look(case, row, mask)
            rows = of_model + rows
            done += 1
        scores += rows
        if case is cases[0]:
            _tell_plan(cases, contourers, time.monotonic() - began)
    return scores


def _tell_plan(cases: Sequence[Case], contourers: Contourers, first_took: float) -> None:
    """Log what is scored, and how long the cases after the first one will take.

    first_took: seconds that the first case took with all models.
    """
    known: set[str] = set()
    for contourer in contourers.values():
        known.update(contourer.model.organs)
    first, *others = cases
    slices_left = sum(case.grid.shape[0] for case in others)
    seconds = first_took * slices_left / first.grid.shape[0]
    plan = PlannedEvaluation(
        models=len(contourers),
        seconds=seconds if others else None,
        **counted(cases, _present(cases, known)),
    )
    log_finding(log, logging.INFO, plan)


def _present(cases: Sequence[Case], known: Collection[str]) -> list[str]:
    """Return the organs of the cases that are known, in the order in which they appear."""
    present: dict[str, None] = {}
    for case in cases:
        for organ in case.organs:
            if organ in known:
                present[organ] = None
    return list(present)


def _by_name(paths: Sequence[Path]) -> Contourers:
    """Load models, by their files' names in the order given."""
    # Bytes that are not text become U+FFFD.
    names = [printable(name_of(path)) for path in paths]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SettingsError(SharedModelName(names=tuple(sorted(twice))))
    return dict(zip(names, map(Contourer.load, paths), strict=True))


def _cases_to_score(cohort: Cohort, models: Mapping[str, Model]) -> list[Case]:
    organs: set[str] = set()
    for model in models.values():
        organs.update(model.organs)
    cases = cohort.cases_with(organs)
    if not cases:
        known = tuple(sorted(organs))
        lacking = NoCommonOrgan(
            path=cohort.path,
            present=cohort.organs,
            known=known,
            purpose="score",
        )
        raise OrganError(lacking)
    return cases


def _descriptions(models: Mapping[str, Model]) -> dict[str, str]:
    """Return the line that the report's head says about each model."""
    lines = {}
    for name, model in models.items():
        lines[name] = f"{model.provenance.lineage}; preset {model.provenance.preset}"
    return lines


def _notices(
    warnings: Sequence[Finding],
    cohort: Cohort,
    cases: Sequence[Case],
    models: Mapping[str, Model],
) -> tuple[str, ...]:
    """Return what a reader must know first, each once."""
    notices = list(map(as_notice, warnings))
    unsure = doubt(cases)
    if unsure:
        notices.append(as_notice(unsure))
    notices += cohort.notices
    for model in models.values():
        notices += model.provenance.notices
    return tuple(dict.fromkeys(notices))


def _repeat(models: Sequence[Path]) -> str:
    """Return the command that makes the report again; it names no folder."""
    names = []
    for path in models:
        names.append(printable(JOINT.join(part.name for part in parts_of(path))))
    return shlex.join(["recontour", "evaluate", "COHORT", *names, "--out", "OUT"])
