"""Estimate by cross-validation how well an adaptation will contour patients it has not seen.

The patients are dealt out into folds. For each fold, the parent is adapted to the others by the
same recipe, and both contour the fold. The folds' models lie in MODEL.check while this lasts, so
that an interrupted check goes on after the last one that is finished.
"""

import json
import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from recontour.assess.caveats import trained_on_warnings
from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case, Cohort, by_patient, patient_names
from recontour.cohort.folds import folds_of
from recontour.cohort.patients import doubt
from recontour.contouring.contourer import Contourer
from recontour.errors import ResumeError, SettingsError
from recontour.evaluation import CaseScore
from recontour.evaluation.intervals import (
    Dsc,
    difference,
    dsc_of,
    interval_of,
    of_organs,
    patients,
)
from recontour.findings import log_finding
from recontour.network import Model, load_model
from recontour.network.check import Check, CheckedDsc
from recontour.progress import Progress
from recontour.syncing import make_folders
from recontour.training.findings import UnfinishedRun
from recontour.training.recipe import Recipe, WantedPrecision
from recontour.training.run import is_first_process
from recontour.transfer.models import fit, take_over, with_precision
from recontour.workflows.findings import OtherCheck, PlannedCheck, TooFewFolds
from recontour.workflows.planned import TrainingTeller, counted

FOLD = "fold-{}.safetensors"  # the model of one
DIGITS = 6  # kept of each number

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a parent is adapted: what all folds, and the model itself, have in common.

    organs: to be learnt. recipe_for: the recipe for so many patients. retrain_last: how many layers
    retrain. out: the model's file.
    """

    parent: Model
    cohort: Cohort
    organs: Sequence[str]
    recipe_for: Callable[[int], Recipe]
    retrain_last: int
    seed: int
    precision: WantedPrecision
    deterministic: bool
    out: Path

    @property
    def folder(self) -> Path:
        """Return where the folds' models lie."""
        return self.out.with_name(self.out.name + ".check")


def dealt(cases: Sequence[Case], folds: int, cohort: Cohort) -> list[list[Case]]:
    """Deal patients out into folds to check by.

    Raises: SettingsError: fewer than two folds. CohortError: fewer patients than folds.
    """
    if folds < 2:
        raise SettingsError(TooFewFolds(folds=folds))
    return folds_of(cases, folds, cohort=cohort.path)


def check_adaptation(
    adaptation: Adaptation,
    folds: Sequence[Sequence[Case]],
    *,
    resume: bool,
    progress: Progress,
) -> Check:
    """Adapt and score fold by fold.

    Raises:
        SettingsError: an interrupted check is there, and `resume` is False.
        ResumeError: it is of another adaptation.
    """
    every = [case for fold in folds for case in fold]
    folder = adaptation.folder
    # Of an unfinished first fold the run itself says so; on several GPUs it is there already.
    if any(folder.glob(FOLD.format("*"))) and not resume:
        raise SettingsError(UnfinishedRun(path=folder))
    _warn(adaptation, every)
    make_folders(folder)
    names = patient_names(every)
    of_parent: list[CaseScore] = []
    of_adapted: list[CaseScore] = []
    fewest = math.inf
    for number, fold in enumerate(folds, start=1):
        others = [case for case in every if case not in fold]
        model = _adapted(adaptation, others, number, folds, resume=resume, progress=progress)
        fewest = min(fewest, model.recipe["iterations"])
        progress(f"scoring fold {number} of {len(folds)}", 0, 1, "")
        of_adapted += _scores(model, fold, adaptation.organs, names)
        of_parent += _scores(adaptation.parent, fold, adaptation.organs, names)
        progress(f"scoring fold {number} of {len(folds)}", 1, 1, "")
    parent, adapted = dsc_of(of_parent), dsc_of(of_adapted)
    organs = {}
    for organ in adaptation.organs:
        organs[organ] = _compared(of_organs(parent, [organ]), of_organs(adapted, [organ]))
    common = [organ for organ, dsc in organs.items() if dsc.difference is not None]
    return Check(
        folds=len(folds),
        patients=len(set(names.values())),
        iterations=int(fewest),
        organs=organs,
        mean=_compared(of_organs(parent, common), of_organs(adapted, common)),
    )


def forget(adaptation: Adaptation) -> None:
    """Remove the folds' models."""
    if is_first_process():
        shutil.rmtree(adaptation.folder, ignore_errors=True)


def _warn(adaptation: Adaptation, cases: Sequence[Case]) -> None:
    """Log why the parent's scores, or all of them, may say little about new patients."""
    centre = adaptation.cohort.centre
    for warning in trained_on_warnings({"the parent": adaptation.parent}, cases, centre):
        log_finding(log, logging.WARNING, warning)
    unknown = doubt(cases)
    if unknown:
        log_finding(log, logging.INFO, unknown)


# One fold


def _adapted(
    adaptation: Adaptation,
    cases: Sequence[Case],
    number: int,
    folds: Sequence[Sequence[Case]],
    *,
    resume: bool,
    progress: Progress,
) -> Model:
    """Return the parent adapted to all folds but one; number: that fold's, from 1."""
    there: set[str] = set()
    for case in cases:
        there.update(case.organs)
    organs = [organ for organ in adaptation.organs if organ in there]
    recipe = adaptation.recipe_for(len(by_patient(cases)))
    model = take_over(
        adaptation.parent,
        adaptation.cohort,
        cases,
        organs,
        recipe,
        adaptation.retrain_last,
        adaptation.seed,
    )
    out = adaptation.folder / FOLD.format(number)
    if out.exists():
        return _kept(model, out)
    model = with_precision(
        model, recipe, out, adaptation.precision, deterministic=adaptation.deterministic
    )
    every = [case for fold in folds for case in fold]
    plan = PlannedCheck(
        folds=len(folds),
        left=len(folds) - number + 1,
        iterations=recipe.iterations,
        **counted(every, adaptation.organs),
    )
    teller = TrainingTeller(plan, recipe, sum(case.grid.shape[0] for case in cases))
    what = f"checking, fold {number} of {len(folds)}"
    steps = fit(model, cases, recipe, out, resume=resume, deterministic=adaptation.deterministic)
    with closing(steps):
        for step in steps:
            if number == 1:
                teller.hear(step)
            words = f"loss {step.loss:.3f}, learning rate {step.learning_rate:.2e}"
            progress(what, step.iteration, recipe.iterations, words)
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


def _scores(
    model: Model,
    cases: Sequence[Case],
    organs: Sequence[str],
    names: Mapping[str, str],
) -> list[CaseScore]:
    """Score a model on a fold. names: the patient of each case."""
    contourer = Contourer(model)
    rows = []
    for case in cases:
        for row, _ in score_masks(case, "", contour_case(contourer, case)):
            if row.organ in organs:
                rows.append(replace(row, patient=names[case.id]))
    return rows


def _compared(parent: Dsc, adapted: Dsc) -> CheckedDsc:
    """Compare two models on the patients and organs that both have scored."""
    change = difference(parent, adapted)
    if not change:
        mean = interval_of(adapted).mean
        return CheckedDsc(patients=patients(adapted), adapted=_number(mean))
    over = interval_of(change)
    return CheckedDsc(
        patients=patients(change),
        parent=_number(interval_of({key: parent[key] for key in change}).mean),
        adapted=_number(interval_of({key: adapted[key] for key in change}).mean),
        difference=_number(over.mean),
        low=_number(over.low),
        high=_number(over.high),
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, DIGITS)
