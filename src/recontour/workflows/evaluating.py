"""Score models on a cohort, and report."""

import datetime
import logging
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from recontour.assess.caveats import (
    notices_to_repeat,
    phantom_warnings,
    same_as_reference,
    trained_on,
    trained_on_warnings,
)
from recontour.assess.other_sides import sides_exchanged
from recontour.cohort import Case, Cohort, patient_names
from recontour.cohort.doubts import cohort_warnings, draft_warnings
from recontour.cohort.patients import doubt
from recontour.errors import OrganError, SettingsError
from recontour.evaluation import CaseScore, compare, write_scores, write_statistics
from recontour.evaluation.figures import Overlay
from recontour.evaluation.page import as_notice
from recontour.evaluation.plotting import refuse_unplottable
from recontour.evaluation.report import ReportHeader, write_report
from recontour.evaluation.verdicts import unfound_organs
from recontour.exchange.given import GivenContours, read_given
from recontour.executors import Place, place_of, workers_at
from recontour.files import whole_folder
from recontour.findings import Finding, log_finding, stored_words
from recontour.network import Model, load_model, name_of
from recontour.network.paths import JOINT, parts_of
from recontour.organs import notes_on_map, read_tolerances, read_user_map
from recontour.organs.findings import GivenTolerances
from recontour.progress import Progress, quiet
from recontour.wording import printable
from recontour.workflows.evaluating_cases import Compared, LoadedModel, ScoredCase, score_cases
from recontour.workflows.findings import (
    NamelessContours,
    NamesWithoutContours,
    NoCommonOrgan,
    NothingToScore,
    PlannedEvaluation,
    SharedModelName,
)
from recontour.workflows.paths import refuse_for_evaluating
from recontour.workflows.planned import counted

NO_CONTOURS: Mapping[str, Path | str] = MappingProxyType({})

log = logging.getLogger(__name__)


def evaluate(
    cohort: Path | str,
    models: Sequence[Path | str],
    out: Path | str,
    *,
    contours: Mapping[str, Path | str] = NO_CONTOURS,
    names: Path | str | None = None,
    new_organs: Sequence[str] = (),
    tolerances: Path | str | None = None,
    on: str | None = None,
    progress: Progress = quiet,
) -> list[CaseScore]:
    """Score models, and contours from elsewhere, on a cohort's own contours.

    Writes scores.csv, statistics.csv and report.html into a new folder. Means and tests are over
    patients, who may have several CTs each. An organ that a case's structure set does not have is
    not scored.

    Args:
        cohort: A cohort folder of patients that no model was trained on.
        models: Model files, each may be TRUNK+HEAD; none if there are contours. Reports name them
            by their files; the first is the baseline.
        out: The folder to write; it must not exist.
        contours: Another tool's or a second observer's contours of the cohort's CTs: by the name
            that reports show, a folder of RTSTRUCT, SEG or NIfTI (docs/reference/evaluation.md).
        names: A TOML file of the ROI names of these contours (docs/reference/names.md).
        new_organs: Names to accept on the right side of that file although TG-263 does not list
            them.
        tolerances: A TOML file of tolerances in mm, such as Brainstem = 2.0, that replace the
            organs' own.
        on: Where cases are scored, such as "local:4": four at a time, each in a process that loads
            the models once; None: here, one after another. The files and the answer are the same,
            if every process has the same number of threads and the same kind of processor.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        One score per case, organ and model or set of contours.

    Raises:
        RecontourError: The cohort, a model, contours, a file or the output cannot be used, there is
            no such place, or the machine failed.

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
    place = place_of(on) if on else None
    _refuse_incomplete(paths, contours, names)
    refuse_for_evaluating(cohort, paths, list(map(Path, contours.values())), out)
    refuse_unplottable()
    user_map = read_user_map(Path(names) if names else None, new_organs)
    opened = Cohort.open(cohort)
    tolerances_mm = read_tolerances(Path(tolerances), opened.organs) if tolerances else {}
    given = _given(contours, opened, user_map, progress)
    loaded = loaded_by_name(paths, list(given))
    models_by_name = {name: one.model for name, one in loaded.items()}
    cases = cases_to_score(opened, models_by_name, given)
    warnings: list[Finding] = [
        *cohort_warnings(opened, cases),
        *draft_warnings(cases),
        *phantom_warnings(models_by_name, opened, cases),
        *trained_on_warnings(models_by_name, cases, opened.centre),
    ]
    for one in given.values():
        warnings += one.warnings
    for warning in warnings:
        log_finding(log, logging.WARNING, warning)
    compared = Compared(loaded, given, tolerances_mm)
    tell = partial(tell_plan, cases, models_by_name, given, place)
    scored = score_cases(cases, compared, place, tell, progress)
    scores = with_patients(scored, models_by_name, cases)
    planes = {one.case_id: one.planes for one in scored}
    exchanged = {one.case_id: one.exchanged for one in scored}
    for warning in (*sides_exchanged(exchanged), *same_as_reference(scores, given)):
        log_finding(log, logging.WARNING, warning)
        warnings.append(warning)
    if tolerances:
        used = _given_tolerances(tolerances_mm, scores)
        log_finding(log, logging.INFO, used)
        warnings.append(used)
    comparisons = compare(scores, compared.names)
    unfound = unfound_organs(scores)
    if unfound:
        log_finding(log, logging.WARNING, unfound)
        warnings.insert(0, unfound)

    def overlays(case_id: str, organ: str) -> Iterator[Overlay]:
        return planes[case_id].overlays(opened[case_id], organ)

    total = len(cases) * len(compared.names)
    progress("reporting", total, total, "report.html")
    header = ReportHeader(
        centre=opened.centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        models=_descriptions(models_by_name, given),
        repeat=_repeat(paths, list(given), names=bool(names), tolerances=bool(tolerances)),
        notices=_notices(warnings, opened, cases, models_by_name),
        contours=tuple(given),
        tolerances_given=tuple(tolerances_mm),
    )
    with whole_folder(out) as folder:
        write_scores(folder / "scores.csv", scores)
        write_statistics(folder / "statistics.csv", comparisons)
        write_report(folder / "report.html", scores, comparisons, overlays, header)
    return scores


def _refuse_incomplete(
    models: Sequence[Path],
    contours: Mapping[str, Path | str],
    names: Path | str | None,
) -> None:
    """Raise SettingsError if there is nothing to score, or contours or their names are lacking."""
    if not models and not contours:
        raise SettingsError(NothingToScore())
    if names and not contours:
        raise SettingsError(NamesWithoutContours(path=Path(names)))
    for name, folder in contours.items():
        if not name.strip():
            raise SettingsError(NamelessContours(path=Path(folder)))


def _given(
    contours: Mapping[str, Path | str],
    cohort: Cohort,
    user_map: Mapping[str, str],
    progress: Progress,
) -> dict[str, GivenContours]:
    """Read the contours from elsewhere by name, and say whose they are, and what the map missed."""
    found = {}
    roi_names: set[str] = set()
    for name, folder in contours.items():
        shown = printable(name)
        one = read_given(shown, Path(folder), list(cohort), cohort.centre, user_map, progress)
        for note in (one.matched, *one.notes):
            log_finding(log, logging.INFO, note)
        found[shown] = one
        roi_names |= one.roi_names
    for note in notes_on_map(user_map, roi_names):
        log_finding(log, logging.INFO, note)
    return found


def _given_tolerances(
    tolerances_mm: Mapping[str, float], scores: Iterable[CaseScore]
) -> GivenTolerances:
    """Return which organs were scored at the user's tolerances."""
    scored = {row.organ for row in scores}
    used = {organ: mm for organ, mm in tolerances_mm.items() if organ in scored}
    return GivenTolerances(
        organs=tuple(used),
        tolerances_mm=tuple(used.values()),
        unused=tuple(organ for organ in tolerances_mm if organ not in used),
    )


def with_patients(
    scored: Iterable[ScoredCase],
    models: Mapping[str, Model],
    cases: Sequence[Case],
) -> list[CaseScore]:
    """Return all rows, each with the patient's name, and whether the model was trained on it."""
    patients = patient_names(cases)
    known = {name: trained_on(model, cases) for name, model in models.items()}
    noted = []
    for one in scored:
        for row in one.rows:
            patient = patients[row.case]
            of_model = known.get(row.model, {})
            noted.append(replace(row, patient=patient, trained_on=of_model.get(patient, "")))
    return noted


def tell_plan(
    cases: Sequence[Case],
    models: Mapping[str, Model],
    given: Mapping[str, GivenContours],
    place: Place | None,
    first_took: float,
) -> None:
    """Log what is scored, and how long the cases after the first one will take.

    place: where they are scored. first_took: seconds that the first case took with all models.
    """
    known: set[str] = set()
    for model in models.values():
        known.update(model.organs)
    for one in given.values():
        known.update(one.organs)
    first, *others = cases
    slices_left = sum(case.grid.shape[0] for case in others)
    at_a_time = min(len(others), workers_at(place)) if place else 1
    seconds = first_took * slices_left / first.grid.shape[0] / max(1, at_a_time)
    plan = PlannedEvaluation(
        models=len(models),
        contours=len(given),
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


def loaded_by_name(paths: Sequence[Path], taken: Sequence[str]) -> dict[str, LoadedModel]:
    """Load models, by their files' names in the order given. taken: names of contours."""
    # Bytes that are not text become U+FFFD.
    names = [printable(name_of(path)) for path in paths]
    twice = [name for name, count in Counter([*names, *taken]).items() if count > 1]
    if twice:
        raise SettingsError(SharedModelName(names=tuple(sorted(twice))))
    loaded = {}
    for name, path in zip(names, paths, strict=True):
        loaded[name] = LoadedModel(path, load_model(path))
    return loaded


def cases_to_score(
    cohort: Cohort,
    models: Mapping[str, Model],
    given: Mapping[str, GivenContours],
) -> list[Case]:
    """Return the cases with contours of what is scored. Raises: OrganError: there is none."""
    organs: set[str] = set()
    for model in models.values():
        organs.update(model.organs)
    with_contours: set[str] = set()
    for one in given.values():
        with_contours.update(one.by_case)
    cases = []
    for case in cohort:
        if case.id in with_contours or not organs.isdisjoint(case.organs):
            cases.append(case)
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


def _descriptions(
    models: Mapping[str, Model], given: Mapping[str, GivenContours]
) -> dict[str, str]:
    """Return the line that the report's head says about each model, and each set of contours."""
    lines = {}
    for name, model in models.items():
        lines[name] = f"{model.provenance.lineage}; preset {model.provenance.preset}"
    for name, one in given.items():
        lines[name] = stored_words(one.matched)
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
    notices += notices_to_repeat(cohort, cases, models.values())
    return tuple(dict.fromkeys(notices))


def _repeat(
    models: Sequence[Path],
    given: Sequence[str],
    *,
    names: bool,
    tolerances: bool,
) -> str:
    """Return the command that makes the report again; it names no folder."""
    words = []
    for path in models:
        words.append(printable(JOINT.join(part.name for part in parts_of(path))))
    for name in given:
        words += ["--contours", f"{name}=FOLDER"]
    if names:
        words += ["--names", "MAP.toml"]
    if tolerances:
        words += ["--tolerances", "TOLERANCES.toml"]
    return shlex.join(["recontour", "evaluate", "COHORT", *words, "--out", "OUT"])
