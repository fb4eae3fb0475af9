"""Decide whether a candidate may replace the model in use, and write what a physicist signs."""

import datetime
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from recontour.assess.acceptance import (
    Acceptance,
    JudgedModel,
    failures_in,
    parents_organs,
    tested_images,
    write_decision_csv,
    write_decision_json,
    write_limits,
    write_model_offsets,
)
from recontour.assess.acceptance_page import write_acceptance_page
from recontour.assess.caveats import (
    notices_to_repeat,
    phantom_warnings,
    trained_on,
    trained_on_warnings,
)
from recontour.assess.other_sides import sides_exchanged
from recontour.cohort import Case, Cohort, patient_names
from recontour.cohort.doubts import cohort_warnings
from recontour.cohort.patients import doubt
from recontour.errors import CohortError, SettingsError
from recontour.evaluation import write_scores
from recontour.evaluation.figures import Overlay, OverlaysOf
from recontour.evaluation.gate import Margins, OrganGate, gate, not_tested
from recontour.evaluation.plotting import refuse_unplottable
from recontour.evaluation.tables import CaseScore
from recontour.executors import place_of
from recontour.files import whole_folder
from recontour.findings import Finding, log_finding
from recontour.network import Model, save_model
from recontour.network.model import sha256_of
from recontour.network.model_file import refuse_unwritable
from recontour.organs import read_tolerances
from recontour.progress import Progress, quiet
from recontour.transfer.joining import organ_by_organ
from recontour.wording import plural, printable
from recontour.workflows.evaluating import (
    cases_to_score,
    loaded_by_name,
    tell_plan,
    with_patients,
)
from recontour.workflows.evaluating_cases import Compared, LoadedModel, ScoredCase, score_cases
from recontour.workflows.findings import (
    NobodyToJudgeBy,
    NotCounted,
    SameModel,
)
from recontour.workflows.paths import refuse_for_accepting
from recontour.workflows.wanted import wanted_margins

log = logging.getLogger(__name__)

MOST_NAMED = 700  # letters of names of organs; a model file's notice has at most 2000


def accept(
    cohort: Path | str,
    candidate: Path | str,
    out: Path | str,
    *,
    against: Path | str,
    margin_dsc: float = Margins().dsc,
    margin_surface_dsc: float = Margins().surface_dsc,
    per_organ: Path | str | None = None,
    tolerances: Path | str | None = None,
    on: str | None = None,
    progress: Progress = quiet,
) -> Acceptance:
    """Decide organ by organ whether a model may replace the one in use, by a centre's own contours.

    An organ is promoted if the candidate is shown to be no worse than the other model by more than
    a margin, in DSC and in surface DSC. Writes report.html, scores.csv, model_offsets.csv,
    decision.csv, decision.json and limits.json into a new folder. Patients that either model was
    trained on, and contours that recontour drew itself, do not count.

    Args:
        cohort: A cohort folder of patients that neither model was trained on.
        candidate: The model that may replace the other one; a file, may be TRUNK+HEAD.
        out: The folder to write; it must not exist.
        against: The model in use: the parent of the candidate, or an earlier one.
        margin_dsc: By how much the candidate's mean DSC may be lower, at most.
        margin_surface_dsc: The same for surface DSC.
        per_organ: A model file to write that takes promoted organs from the candidate, and all
            others from the model in use.
        tolerances: A TOML file of tolerances in mm that replace the organs' own.
        on: Where cases are scored, such as "local:4"; None: here, one after another.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The decisions, and what they rest on.

    Raises:
        RecontourError: The cohort, a model or the output cannot be used, no patient is left, the
            models are the same, or they cannot be joined.

    Examples:
        >>> import recontour
        >>> found = recontour.accept(
        ...     "north-test", "north.safetensors", "acceptance-1", against="south.safetensors")
        >>> [organ.reason.value for organ in found.organs]
        ['too few patients', 'too few patients']
    """
    cohort, out = Path(cohort), Path(out)
    paths = [Path(against), Path(candidate)]
    joined_path = Path(per_organ) if per_organ else None
    margins = wanted_margins(margin_dsc, margin_surface_dsc)
    place = place_of(on) if on else None
    refuse_for_accepting(cohort, paths, out, joined_path)
    refuse_unplottable()
    opened = Cohort.open(cohort)
    tolerances_mm = read_tolerances(Path(tolerances), opened.organs) if tolerances else {}
    if paths[0].resolve() == paths[1].resolve():
        raise SettingsError(SameModel(path=paths[1]))
    loaded = loaded_by_name(paths, ())
    models = {name: one.model for name, one in loaded.items()}
    _refuse_same(paths[1], *models.values())
    if joined_path:
        _refuse_unjoinable(*models.values())
    scorable = cases_to_score(opened, models, {})
    _refuse_phantom(models, opened, scorable)
    not_counted = _not_counted(models, scorable)
    cases = [case for case in scorable if case.id not in not_counted]
    if not cases:
        raise CohortError(NobodyToJudgeBy(path=cohort, cases=len(scorable)))
    warnings = _warnings(opened, models, scorable, not_counted)
    for warning in warnings:
        log_finding(log, logging.WARNING, warning)
    compared = Compared(loaded, {}, tolerances_mm, closely=True)
    tell = partial(tell_plan, cases, models, {}, place)
    scored = score_cases(cases, compared, place, tell, progress)
    found = _found(opened, cases, loaded, scored, margins)
    found = replace(
        found,
        not_counted=not_counted,
        warnings=(*warnings, *found.warnings),
        notices=notices_to_repeat(opened, cases, models.values()),
    )
    in_use, replacing = models.values()
    joined = _joined(in_use, replacing, found) if joined_path else None
    if joined and joined_path:
        found = replace(found, per_organ=JudgedModel.of(printable(joined_path.stem), joined))
    total = len(cases) * len(loaded)
    progress("reporting", total, total, "report.html")
    with _whole_model(joined, joined_path), whole_folder(out) as folder:
        _write(folder, found, _overlays_of(opened, scored))
    return found


@contextmanager
def _whole_model(model: Model | None, path: Path | None) -> Iterator[None]:
    """Write a model, if there is one; it goes again if what follows fails."""
    if model is None or path is None:
        yield
        return
    save_model(model, path)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _found(
    cohort: Cohort,
    cases: Sequence[Case],
    loaded: Mapping[str, LoadedModel],
    scored: Sequence[ScoredCase],
    margins: Margins,
) -> Acceptance:
    """Return what the scores amount to. loaded: the model in use, then the candidate."""
    models = {name: one.model for name, one in loaded.items()}
    (parent_name, parent), (candidate_name, candidate) = models.items()
    scores = with_patients(scored, models, cases)
    exchanged = {one.case_id: one.exchanged for one in scored}
    wrong_sides = sides_exchanged(exchanged)
    for warning in wrong_sides:
        log_finding(log, logging.WARNING, warning)
    looks = list(chain.from_iterable(one.looks for one in scored))
    return Acceptance(
        centre=cohort.centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        parent=JudgedModel.of(parent_name, parent),
        candidate=JudgedModel.of(candidate_name, candidate),
        margins=margins,
        organs=_decided(scores, models, margins),
        only_parent=tuple(organ for organ in parent.organs if organ not in candidate.organs),
        scores=tuple(scores),
        looks=tuple(looks),
        failures=failures_in(scores, looks, exchanged),
        images=tested_images(cases),
        not_counted={},
        warnings=tuple(wrong_sides),
    )


def _overlays_of(cohort: Cohort, scored: Sequence[ScoredCase]) -> OverlaysOf:
    """Return what draws the planes of an organ of a case."""
    planes = {one.case_id: one.planes for one in scored}

    def overlays(case_id: str, organ: str) -> Iterator[Overlay]:
        return planes[case_id].overlays(cohort[case_id], organ)

    return overlays


def _write(
    folder: Path,
    found: Acceptance,
    overlays_of: OverlaysOf,
) -> None:
    """Write all files but the model."""
    write_scores(folder / "scores.csv", found.scores)
    write_model_offsets(folder / "model_offsets.csv", found.looks)
    write_decision_csv(folder / "decision.csv", found)
    write_decision_json(folder / "decision.json", found)
    write_limits(folder / "limits.json", found)
    write_acceptance_page(folder / "report.html", found, overlays_of)


def _refuse_same(
    path: Path,
    parent: Model,
    candidate: Model,
) -> None:
    """Raise SettingsError if both models are the same, also under two names. path: of one."""
    if _identity(parent) == _identity(candidate):
        raise SettingsError(SameModel(path=path))


def _identity(model: Model) -> tuple[str, list[dict[str, float]]]:
    """Return all that decides what a model answers: its weights, and the shares of its heads."""
    shares = [model.share_of(head) for head in range(len(model.heads))]
    return sha256_of(model.network), shares


def _refuse_unjoinable(parent: Model, candidate: Model) -> None:
    """Raise SettingsError before the work if the models cannot be joined organ by organ."""
    organ_by_organ(candidate, parent, ())


def _refuse_phantom(
    models: Mapping[str, Model],
    cohort: Cohort,
    cases: Sequence[Case],
) -> None:
    """Raise CohortError if a model of the phantom is to be judged by patients, or the reverse."""
    for finding in phantom_warnings(models, cohort, cases):
        raise CohortError(finding)


def _not_counted(models: Mapping[str, Model], cases: Sequence[Case]) -> dict[str, str]:
    """Return the cases that prove nothing, and why."""
    reasons = {case.id: "a draft of recontour's own" for case in cases if case.is_draft}
    patients = patient_names(cases)
    for name, model in models.items():
        known = trained_on(model, cases)
        for case in cases:
            known_by = known.get(patients[case.id])
            if known_by:
                reasons.setdefault(case.id, f"{name} was trained on the patient ({known_by})")
    return reasons


def _warnings(
    cohort: Cohort,
    models: Mapping[str, Model],
    cases: Sequence[Case],
    not_counted: Mapping[str, str],
) -> list[Finding]:
    counted = [case for case in cases if case.id not in not_counted]
    found: list[Finding] = []
    if not_counted:
        found.append(NotCounted(cases=tuple(not_counted), of=len(cases)))
    found += cohort_warnings(cohort, counted)
    found += trained_on_warnings(models, counted, cohort.centre)
    unsure = doubt(counted)
    if unsure:
        found.append(unsure)
    return found


def _decided(
    scores: Sequence[CaseScore],
    models: Mapping[str, Model],
    margins: Margins,
) -> tuple[OrganGate, ...]:
    """Return the decision for each organ of the candidate, in its order."""
    (parent_name, parent), (candidate_name, candidate) = models.items()
    tested = {one.organ: one for one in gate(scores, parent_name, candidate_name, margins)}
    decided = []
    for organ in candidate.organs:
        has_parent = organ in parent.organs
        decided.append(tested.get(organ) or not_tested(organ, has_parent=has_parent))
    return tuple(decided)


def _listed(organs: Sequence[str]) -> str:
    """Name organs in a notice, or say how many they are; its card shows them organ by organ."""
    names = ", ".join(organs) or "no organ"
    return names if len(names) <= MOST_NAMED else plural(len(organs), "organ")


def _joined(parent: Model, candidate: Model, found: Acceptance) -> Model:
    """Return the model that takes each organ from the model that it belongs to."""
    kept = parents_organs(found.organs)
    joined = organ_by_organ(candidate, parent, kept)
    promoted = [organ for organ in candidate.organs if organ not in kept]
    notice = (
        f"Joined organ by organ by recontour accept on {found.date.isoformat()}, by "
        f"{plural(found.images.patients, 'patient')} of {found.centre}, margins DSC "
        f"{found.margins.dsc:g} and surface DSC {found.margins.surface_dsc:g}. From the model in "
        f"use: {_listed(kept)}; from the candidate: {_listed(promoted)}."
    )
    provenance = joined.provenance
    joined = replace(joined, provenance=replace(provenance, notices=(*provenance.notices, notice)))
    refuse_unwritable(joined)
    return joined
