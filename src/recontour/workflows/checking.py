"""Estimate by cross-validation how well an adaptation will contour patients it has not seen.

The patients are dealt out into folds. For each fold, the parent is adapted to the others, and both
contour the fold, which also shows how much the parent should say beside the adapted model. The
folds' models lie in MODEL.check while this lasts, so that an interrupted check goes on after the
last one that is finished.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from recontour.assess.caveats import trained_on_warnings
from recontour.cohort import Case, Cohort, by_patient, patient_names
from recontour.cohort.folds import folds_of
from recontour.cohort.patients import doubt
from recontour.contouring.contourer import Contourer
from recontour.errors import CohortError, ResumeError, SettingsError
from recontour.evaluation.intervals import (
    Dsc,
    count_patients,
    difference,
    interval_of,
    mean_of,
    of_organs,
)
from recontour.files import UnreadableError, write_text
from recontour.findings import Finding, log_finding
from recontour.network import Model, load_model
from recontour.network.check import Check, CheckedDsc, TriedSay
from recontour.progress import Progress
from recontour.syncing import make_folders
from recontour.texts import MOST_TOML_BYTES, read_given
from recontour.training.findings import UnfinishedRun
from recontour.training.recipe import Recipe, WantedPrecision
from recontour.training.together import agreed, is_first_process, shared
from recontour.transfer.models import fit, take_over, with_precision, with_sisters
from recontour.workflows.check_folder import CheckFolder
from recontour.workflows.findings import (
    NothingToCheck,
    NothingToCompare,
    OrgansNotChecked,
    OtherCheck,
    Planned,
    PlannedCheck,
)
from recontour.workflows.parents_say import (
    FoldDsc,
    best_worth,
    fold_dsc,
    joined,
    mean_with,
    unbiased,
    worths_to_try,
)
from recontour.workflows.planned import TrainingTeller, counted, follow
from recontour.workflows.wanted import Extent

DIGITS = 6  # kept of each number
MOST_SISTERS = 2
FEWEST_PATIENTS = 4  # so that each of two folds has two to learn from, and two to score

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a parent is adapted: what all folds have in common.

    organs: to be learnt. recipe_for: the recipe for so many patients. retrain_last: how many layers
    retrain. head_only: only what is learnt is written. out: the file of the model that learns from
    all patients.
    """

    parent: Model
    cohort: Cohort
    organs: Sequence[str]
    recipe_for: Callable[[int], Recipe]
    retrain_last: int
    seed: int
    precision: WantedPrecision
    deterministic: bool
    head_only: bool
    out: Path

    def taken_over(
        self,
        cases: Sequence[Case],
        organs: Sequence[str],
        recipe: Recipe,
    ) -> Model:
        """Return the parent, to be adapted to some cases."""
        return take_over(
            self.parent,
            self.cohort,
            cases,
            organs,
            recipe,
            self.retrain_last,
            self.seed,
        )


@dataclass(frozen=True, slots=True)
class Fold:
    """One fold of a check.

    name: as it is shown. tested: the cases that are scored. others: those that the parent is
    adapted to. recipe: for so many patients. out: the file of the fold's model.
    """

    name: str
    tested: Sequence[Case]
    others: Sequence[Case]
    recipe: Recipe
    out: Path


def checked(
    child: Model,
    adaptation: Adaptation,
    cases: Sequence[Case],
    extent: Extent | None,
    *,
    resume: bool,
    progress: Progress,
) -> Model:
    """Return a child, still to be fitted, whose parent says as much as scored best in a check.

    Where the parent has a say, the models of the check's first folds stay beside the child, unless
    only its head is written.

    A short check serves nothing else, so it is left out where there is no choice, or where there
    are too few patients.

    child: as taken over for all cases; its parent says what the preset has. extent: None: there is
        no check.
    Raises: what `check_adaptation` does.
    """
    recipe = adaptation.recipe_for(len(by_patient(cases)))
    worth = recipe.parent_patients if child.asked else 0.0
    # A head of all layers that asks nobody would fit any model.
    must_ask = adaptation.head_only and not child.network.trunk
    worths = worths_to_try(worth, never_none=must_ask)
    if not extent or (extent.is_short and not _is_a_choice(worths, adaptation, cases)):
        return child
    found = check_adaptation(
        adaptation,
        cases,
        extent,
        worths,
        resume=resume,
        progress=progress,
    )
    recipe = replace(recipe, parent_patients=found.worth)
    child = adaptation.taken_over(cases, adaptation.organs, recipe)
    if found.worth and not adaptation.head_only:
        child = with_sisters(child, found.models[:MOST_SISTERS])
    return replace(child, provenance=replace(child.provenance, check=found.check))


def _is_a_choice(
    worths: Sequence[float],
    adaptation: Adaptation,
    cases: Sequence[Case],
) -> bool:
    """Return whether there are several says to try, and enough patients to try them on."""
    if len(worths) < 2:
        return False
    return can_choose(adaptation.organs, adaptation.parent.organs, cases)


def can_choose(
    organs: Iterable[str],
    of_parent: Iterable[str],
    cases: Sequence[Case],
) -> bool:
    """Return whether enough patients have an organ that both the child and its parent contour."""
    both = set(organs).intersection(of_parent)
    return any(_count_having(organ, cases) >= FEWEST_PATIENTS for organ in both)


def _count_having(organ: str, cases: Sequence[Case]) -> int:
    """Count the patients with an organ."""
    return len(by_patient([case for case in cases if organ in case.organs]))


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found.

    worth: as how many patients the parent is to count. models: those of the folds.
    """

    check: Check
    worth: float
    models: Sequence[Model]


def check_adaptation(
    adaptation: Adaptation,
    cases: Sequence[Case],
    extent: Extent,
    worths: Sequence[float],
    *,
    resume: bool,
    progress: Progress,
) -> Checked:
    """Adapt and score fold by fold.

    worths: as how many patients the parent may count.
    Raises:
        CohortError: there are fewer patients than folds, or none of them could be scored.
        SettingsError: an interrupted check is there, and `resume` is False.
        ResumeError: it is of another adaptation.
    """
    with agreed():
        folds = _dealt(adaptation, cases, extent)
        judged = _judged(adaptation, folds)
        begin_check(adaptation, cases, () if extent.is_short else judged, resume=resume)
    names = patient_names(cases)
    plan = partial(_planned, adaptation, folds)
    scored, models = scored_folds(
        adaptation,
        folds,
        worths,
        names,
        plan,
        resume=resume,
        progress=progress,
    )
    parents = joined([fold.parent for fold in scored])
    organs, mean = _results(adaptation.organs, parents, unbiased(scored))
    check = Check(
        folds=extent.folds,
        patients=len(set(names.values())),
        iterations=min(fold.recipe.iterations for fold in folds),
        organs=organs,
        mean=mean,
        says=_tried(worths, scored),
    )
    return Checked(check, best_worth(scored), models)


def scored_folds(
    adaptation: Adaptation,
    folds: Sequence[Fold],
    worths: Sequence[float],
    names: Mapping[str, str],
    plan_of: Callable[[Fold], Planned],
    *,
    resume: bool,
    progress: Progress,
) -> tuple[list[FoldDsc], list[Model]]:
    """Adapt and score fold by fold; a model that an interrupted run has kept is not made again.

    worths: as how many patients the parent may count. names: the patient of each case. plan_of:
        from the first fold that is still to be adapted to what is to be done; its time is added.
    Returns: the DSC of each fold, and its model.
    Raises: ResumeError: what was kept is of another adaptation.
    """
    parent = Contourer(adaptation.parent)
    scored: list[FoldDsc] = []
    models: list[Model] = []
    teller: TrainingTeller | None = None
    for place, fold in enumerate(folds):
        with agreed():
            model = _taken_over(adaptation, fold)
            is_kept = fold.out.exists()
            if is_kept:
                model = _kept(model, fold.out)
        if not is_kept:
            runs_after = len(folds) - place - 1
            teller = teller or _teller(plan_of(fold), fold, runs_after)
            model = _trained(model, adaptation, fold, teller, resume=resume, progress=progress)
        models.append(model)
        with agreed():
            if is_first_process():
                progress(f"scoring {fold.name}", 0, 1, "")
                adapted = Contourer(model)
                scored.append(fold_dsc(adapted, parent, fold.tested, fold.others, worths, names))
                progress(f"scoring {fold.name}", 1, 1, "")
    return shared(scored), models


def _tried(worths: Sequence[float], scored: Sequence[FoldDsc]) -> tuple[TriedSay, ...]:
    """Return what each say of the parent scored; nothing if there was no choice."""
    if len(worths) < 2:
        return ()
    tried = []
    for worth in worths:
        dsc = _number(mean_with(worth, scored))
        if dsc is not None:
            tried.append(TriedSay(worth, dsc))
    return tuple(tried)


def begin_check(
    adaptation: Adaptation,
    cases: Sequence[Case],
    judged: Sequence[Finding],
    *,
    resume: bool,
) -> None:
    """Make the folder of a check, or go on in it, and log what the check cannot say.

    judged: what that is besides what follows from the parent and the cases.
    Raises:
        SettingsError: an interrupted check is there, and `resume` is False.
        ResumeError: it is of other cases.
    """
    folder = CheckFolder.beside(adaptation.out)
    # Of an unfinished first fold the run itself says so.
    if folder.models() and not resume:
        raise SettingsError(UnfinishedRun(path=folder.path))
    _warn(adaptation, cases, judged)
    if is_first_process():
        make_folders(folder.path)
        _keep_cases(folder, cases)


def _keep_cases(folder: CheckFolder, cases: Sequence[Case]) -> None:
    """Write down which cases the check is of, and in which version.

    Raises: ResumeError: an interrupted check is of others, or they have changed since.
    """
    now = json.dumps({case.id: case.version for case in cases})
    if folder.models() and _text_of(folder.cases) != now:
        raise ResumeError(OtherCheck(path=folder.path))
    write_text(folder.cases, now, replace=True)


def _text_of(path: Path) -> str:
    """Return what a file of ours says; nothing if it is not there or is damaged."""
    try:
        return read_given(path, MOST_TOML_BYTES).decode("utf-8", "replace")
    except (OSError, UnreadableError):
        return ""


def _warn(adaptation: Adaptation, cases: Sequence[Case], judged: Sequence[Finding]) -> None:
    """Log why the parent's scores, or all of them, may say little about new patients.

    judged: what the check cannot say whatever the models are like.
    """
    centre = adaptation.cohort.centre
    known = trained_on_warnings({"the parent": adaptation.parent}, cases, centre)
    for warning in (*known, *judged):
        log_finding(log, logging.WARNING, warning)
    unknown = doubt(cases)
    if unknown:
        log_finding(log, logging.INFO, unknown)


# The folds


def _dealt(adaptation: Adaptation, cases: Sequence[Case], extent: Extent) -> list[Fold]:
    """Deal patients out into folds. Raises: CohortError: there are fewer patients than folds."""
    folder = CheckFolder.beside(adaptation.out)
    folds: list[Fold] = []
    for tested in folds_of(cases, extent.folds, cohort=adaptation.cohort.path):
        number = len(folds) + 1
        others = [case for case in cases if case not in tested]
        fold = Fold(
            name=f"fold {number} of {extent.folds}",
            tested=tested,
            others=others,
            recipe=extent.recipe(adaptation.recipe_for(len(by_patient(others)))),
            out=folder.model(number),
        )
        folds.append(fold)
    return folds


def _judged(adaptation: Adaptation, folds: Sequence[Fold]) -> tuple[Finding, ...]:
    """Return which organs will have no score, or none of the parent's beside it.

    A fold's model scores an organ that both a patient of the fold and one of the others have.
    Raises: CohortError: no organ will have a score.
    """
    both: set[str] = set()
    for fold in folds:
        both |= _organs_of(fold.tested) & _organs_of(fold.others)
    scored = tuple(organ for organ in adaptation.organs if organ in both)
    lacking = tuple(organ for organ in adaptation.organs if organ not in both)
    if not scored:
        raise CohortError(NothingToCheck(path=adaptation.cohort.path, organs=lacking))
    judged: list[Finding] = []
    if lacking:
        judged.append(OrgansNotChecked(organs=lacking))
    if set(scored).isdisjoint(adaptation.parent.organs):
        judged.append(NothingToCompare(organs=scored))
    return tuple(judged)


def _organs_of(cases: Sequence[Case]) -> set[str]:
    """Return the organs that any of some cases has."""
    organs: set[str] = set()
    for case in cases:
        organs.update(case.organs)
    return organs


def _planned(adaptation: Adaptation, folds: Sequence[Fold], first: Fold) -> PlannedCheck:
    """Return what a check does. first: of the folds that are not finished."""
    return PlannedCheck(
        folds=len(folds),
        left=len(folds) - folds.index(first),
        iterations=first.recipe.iterations,
        **counted([*first.others, *first.tested], adaptation.organs),
    )


def _teller(plan: Planned, first: Fold, runs_after: int) -> TrainingTeller:
    """Return what says how long the folds will take that are not finished. first: of these."""
    slices = sum(case.grid.shape[0] for case in first.others)
    return TrainingTeller(plan, first.recipe, slices, runs_after)


def _taken_over(adaptation: Adaptation, fold: Fold) -> Model:
    """Return the parent, to be adapted to all folds but one."""
    there = _organs_of(fold.others)
    organs = [organ for organ in adaptation.organs if organ in there]
    return adaptation.taken_over(fold.others, organs, fold.recipe)


def _trained(
    model: Model,
    adaptation: Adaptation,
    fold: Fold,
    teller: TrainingTeller,
    *,
    resume: bool,
    progress: Progress,
) -> Model:
    """Return a fold's model, adapted and in its file."""
    deterministic = adaptation.deterministic
    model = with_precision(
        model, fold.recipe, fold.out, adaptation.precision, deterministic=deterministic
    )
    steps = fit(
        model, fold.others, fold.recipe, fold.out, resume=resume, deterministic=deterministic
    )
    follow(steps, teller, f"checking, {fold.name}", fold.recipe.iterations, progress)
    return model


def _kept(model: Model, out: Path) -> Model:
    """Return the fold's model that an interrupted check has kept.

    Raises: ResumeError: it was adapted otherwise, or to other patients.
    """
    kept = load_model(out)
    as_written = json.loads(json.dumps(model.recipe))
    if _identity(kept, kept.recipe) != _identity(model, as_written):
        raise ResumeError(OtherCheck(path=out.parent))
    return kept


def _identity(model: Model, recipe: Mapping[str, object]) -> tuple[object, ...]:
    made = model.provenance
    # What "auto" stood for then may differ from now.
    settings = {name: value for name, value in recipe.items() if name != "precision"}
    return (
        settings,
        model.organs,
        made.parent_sha256,
        made.retrained_layers,
        made.seed,
        made.trained_on,
        made.cases_per_organ,
    )


# Scores


def _results(
    organs: Sequence[str],
    parent: Dsc,
    adapted: Dsc,
) -> tuple[dict[str, CheckedDsc], CheckedDsc]:
    """Compare two models by organ, and over the organs that both have scored."""
    compared = {}
    for organ in organs:
        compared[organ] = _compared(of_organs(parent, [organ]), of_organs(adapted, [organ]))
    common = [organ for organ, dsc in compared.items() if dsc.difference is not None]
    return compared, _compared(of_organs(parent, common), of_organs(adapted, common))


def _compared(parent: Dsc, adapted: Dsc) -> CheckedDsc:
    """Compare two models on the patients and organs that both have scored."""
    change = difference(parent, adapted)
    if not change:
        return CheckedDsc(patients=count_patients(adapted), adapted=_number(mean_of(adapted)))
    over = interval_of(change)
    return CheckedDsc(
        patients=count_patients(change),
        parent=_number(mean_of({key: parent[key] for key in change})),
        adapted=_number(mean_of({key: adapted[key] for key in change})),
        difference=_number(over.mean),
        low=_number(over.low),
        high=_number(over.high),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS)
