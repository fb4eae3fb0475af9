"""Train a model, and adapt it to another centre."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from recontour.assess.case_offsets import baseline_of
from recontour.assess.caveats import phantom_warnings
from recontour.cohort import Case, Cohort, by_patient
from recontour.cohort.doubts import cohort_warnings, draft_warnings
from recontour.cohort.traits import doubtful_sides
from recontour.contouring.contourer import Contourer
from recontour.errors import CohortError, ModelFileError, OrganError, SettingsError
from recontour.evaluation.planes import slice_to_show
from recontour.findings import log_finding
from recontour.network import Model, load_model, name_of
from recontour.progress import Progress, quiet
from recontour.training.precision import wanted_precision
from recontour.training.presets import PRESETS, Preset, preset_of
from recontour.training.recipe import Recipe, WantedPrecision
from recontour.training.together import agreed, is_first_process, join
from recontour.transfer.depth import layers
from recontour.transfer.models import begin, fit, with_precision
from recontour.wording import printable
from recontour.workflows.check_folder import CheckFolder
from recontour.workflows.checking import Adaptation, checked
from recontour.workflows.findings import (
    HeadIsWholeModel,
    HeadOfAllLayers,
    NoCommonOrgan,
    OrgansDropped,
    OrgansNotFoundAfterTraining,
    OrgansNotLearnt,
    PlannedAdaptation,
    PlannedTraining,
    UnknownPreset,
)
from recontour.workflows.paths import refuse_for_adapting, refuse_for_training
from recontour.workflows.planned import TrainingTeller, counted, follow
from recontour.workflows.wanted import refuse_iterations, wanted_extent

PresetName = Literal["compact", "accurate", "paper"]

# How many patients are contoured at the end of a training to look for an organ that was not found
# before; this takes a few seconds at most.
PATIENTS_TO_CHECK = 3

log = logging.getLogger(__name__)


def train(
    cohort: Path | str,
    out: Path | str,
    *,
    preset: PresetName = "accurate",
    organs: Sequence[str] | None = None,
    iterations: int | None = None,
    seed: int = 0,
    precision: WantedPrecision = "auto",
    deterministic: bool = False,
    resume: bool = False,
    keep_log: bool = False,
    progress: Progress = quiet,
) -> Model:
    """Train a model from scratch on a cohort: the paper's Model_S or Model_T.

    Args:
        cohort: The cohort folder to learn from.
        out: The model file to write; it must not exist.
        preset: "accurate", "compact" (faster, rougher), or "paper" (for a GPU).
        organs: TG-263 names; all that the cohort has if None.
        iterations: If None, as many as the preset has for so many patients.
        seed: Seed for weights and batches.
        precision: "float32", "bf16", or "auto": what pays on this machine. On a processor with
            bf16 instructions, a few iterations are timed first. A run that is resumed goes on in
            what it began with.
        deterministic: Compute the same bits again on the same machine, but more slowly: a GPU with
            deterministic kernels, and a processor in float32 if `precision` is "auto".
        resume: Continue a run that was interrupted.
        keep_log: Leave the log of loss and learning rate for TensorBoard in OUT.run.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The trained model, as in the file.

    Raises:
        RecontourError: The cohort, the settings or the output cannot be used.

    Examples:
        >>> import recontour
        >>> model = recontour.train("south", "again.safetensors")
        >>> model.organs
        ('Brainstem', 'Lens_L')
    """
    cohort, out = Path(cohort), Path(out)
    join()
    with agreed():
        wanted = wanted_precision(precision)
        refuse_iterations(iterations)
        refuse_for_training(cohort, out)
        settings = preset_of(preset)
        opened = _with_certain_sides(Cohort.open(cohort))
        learnt = _organs_to_learn(opened, organs)
        cases = opened.cases_with(learnt)
        _warn(opened, cases)
        patients = len(by_patient(cases))
        recipe = _with_iterations(settings.train_on(patients), iterations)
        settings = replace(settings, train=recipe)
        plan = PlannedTraining(iterations=recipe.iterations, **counted(cases, learnt))
        model = begin(opened, cases, learnt, preset, settings, seed)
    return _learn(
        model,
        cases,
        recipe,
        plan,
        out,
        resume=resume,
        precision=wanted,
        deterministic=deterministic,
        keep_log=keep_log,
        progress=progress,
    )


def adapt(
    model: Path | str,
    cohort: Path | str,
    out: Path | str,
    *,
    head_only: bool = False,
    retrain_last: int | None = None,
    plain: bool = False,
    organs: Sequence[str] | None = None,
    iterations: int | None = None,
    seed: int = 0,
    precision: WantedPrecision = "auto",
    deterministic: bool = False,
    check: bool | None = None,
    folds: int | None = None,
    resume: bool = False,
    keep_log: bool = False,
    progress: Progress = quiet,
) -> Model:
    """Retrain a model, or its last layers, on another centre's cohort: the paper's Model_ST.

    Args:
        model: The model file to begin with, or TRUNK+HEAD.
        cohort: The cohort folder to adapt to.
        out: The model file to write; it must not exist.
        head_only: Write only what was learnt, to be used as TRUNK+HEAD. Refused if that is the
            whole model: no stage stays frozen, and the parent has no say.
        retrain_last: How many layers, counted as in the paper, where 10 are SPP and Conv5. If
            None, what the preset's measurements favour: all, but 10 of "paper".
        plain: The parent has no say beside the adapted layers, and each view of a slice is new;
            with `retrain_last=10`, as in the paper.
        organs: TG-263 names; if None, the model's organs that the cohort has. An organ that the
            model does not know starts from scratch. An organ of the model's that is not named is
            dropped, since nobody could say how well it is still contoured.
        iterations: If None, as many as the preset has for so many patients.
        seed: Seed for new weights and batches.
        precision: "float32", "bf16", or "auto": what pays on this machine. On a processor with
            bf16 instructions, a few iterations are timed first. A run that is resumed goes on in
            what it began with.
        deterministic: Compute the same bits again on the same machine, but more slowly: a GPU with
            deterministic kernels, and a processor in float32 if `precision` is "auto".
        check: First estimate by cross-validation over the cohort's patients how an adaptation
            contours patients it has not seen, beside the model it begins with, and how much that
            model should say. The numbers are in `provenance.check` and the model's card. If None,
            a short check, in two folds of half the iterations, chooses the parent's say where there
            are at least four patients. Without a check, the parent counts as the preset says.
        folds: Of the check, at least 2; 3 if None.
        resume: Continue a run that was interrupted.
        keep_log: Leave the log of loss and learning rate for TensorBoard in OUT.run.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        The adapted model.

    Raises:
        RecontourError: The model, the cohort, the settings or the output cannot be used.

    Examples:
        >>> import recontour
        >>> model = recontour.adapt("south.safetensors", "north-train", "new.safetensors")
        >>> model.provenance.lineage
        'south -> north'
    """
    model, cohort, out = Path(model), Path(cohort), Path(out)
    join()
    with agreed():
        wanted = wanted_precision(precision)
        extent = wanted_extent(folds, check)
        adaptation, cases = adaptation_to(
            model,
            cohort,
            out,
            head_only=head_only,
            retrain_last=retrain_last,
            plain=plain,
            organs=organs,
            iterations=iterations,
            seed=seed,
            precision=wanted,
            deterministic=deterministic,
        )
        last = adaptation.retrain_last
        recipe = adaptation.recipe_for(len(by_patient(cases)))
        child = adaptation.taken_over(cases, adaptation.organs, recipe)
        if head_only:
            _judge_lone_head(child)
        say_before_adapting(adaptation, cases, model, chose_organs=organs is not None)
    child = checked(child, adaptation, cases, extent, resume=resume, progress=progress)
    plan = _planned(child, recipe, last, cases)
    adapted = _learn(
        child,
        cases,
        recipe,
        plan,
        out,
        resume=resume,
        precision=wanted,
        deterministic=deterministic,
        head_only=head_only,
        keep_log=keep_log,
        progress=progress,
    )
    if is_first_process():
        # Also what an earlier command has left there whose check was interrupted.
        CheckFolder.beside(out).close()
    return adapted


def adaptation_to(
    model: Path,
    cohort: Path,
    out: Path,
    *,
    head_only: bool,
    retrain_last: int | None,
    plain: bool,
    organs: Sequence[str] | None,
    iterations: int | None,
    seed: int,
    precision: WantedPrecision,
    deterministic: bool,
) -> tuple[Adaptation, list[Case]]:
    """Return how a model is to be adapted, and to which cases.

    The arguments are those of `adapt`.
    Raises: RecontourError: the model, the cohort, the settings or the output cannot be used.
    """
    refuse_iterations(iterations)
    refuse_for_adapting(model, cohort, out)
    parent = load_model(model)
    opened = _with_certain_sides(Cohort.open(cohort))
    present = opened.organs  # every case is read for this
    known = [organ for organ in parent.organs if organ in present]
    learnt = _organs_to_learn(opened, organs or known, parent.organs)
    cases = opened.cases_with(learnt)
    preset = _preset_of_parent(parent, model)

    def recipe_for(patients: int) -> Recipe:
        recipe = _with_iterations(preset.adapt_to(patients), iterations)
        return recipe.plain() if plain else recipe

    depth = preset.depth(retrain_last, len(layers(parent.network)))
    adaptation = Adaptation(
        parent=parent,
        cohort=opened,
        organs=learnt,
        recipe_for=recipe_for,
        retrain_last=depth,
        seed=seed,
        precision=precision,
        deterministic=deterministic,
        head_only=head_only,
        out=out,
    )
    return adaptation, cases


def say_before_adapting(
    adaptation: Adaptation,
    cases: Sequence[Case],
    model: Path,
    *,
    chose_organs: bool,
) -> None:
    """Log what is not learnt, and what speaks against it. model: its file, as it was given."""
    parent, cohort = adaptation.parent, adaptation.cohort
    if not chose_organs:
        present = cohort.organs
        known = [organ for organ in parent.organs if organ in present]
        _note_organs_not_learnt(known, present)
        _warn_of_dropped(parent.organs, present)
    _warn(cohort, cases)
    for warning in phantom_warnings({printable(name_of(model)): parent}, cohort, cases):
        log_finding(log, logging.WARNING, warning)


def _warn(cohort: Cohort, cases: Sequence[Case]) -> None:
    """Log what speaks against learning from some cases, before any work."""
    for warning in (*cohort_warnings(cohort, cases), *draft_warnings(cases)):
        log_finding(log, logging.WARNING, warning)


def _with_certain_sides(cohort: Cohort) -> Cohort:
    """Return a cohort without the cases whose left and right look swapped, and say so.

    Raises: CohortError: no other case is left.
    """
    doubtful = doubtful_sides(cohort, left_out=True)
    for finding in doubtful:
        log_finding(log, logging.WARNING, finding)
        cohort = cohort.without(finding.cases)
        if not len(cohort):
            raise CohortError(finding)
    return cohort


def _organs_to_learn(
    cohort: Cohort,
    organs: Sequence[str] | None,
    known: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Return the organs to train on; each must be contoured in at least one case.

    known: the organs of the model to adapt.
    """
    wanted = cohort.chosen_organs(organs)
    if not wanted:
        present = cohort.organs
        lacking = NoCommonOrgan(
            path=cohort.path,
            present=present,
            known=known,
            purpose="learn",
        )
        raise OrganError(lacking)
    return wanted


def _note_organs_not_learnt(known: Sequence[str], present: Sequence[str]) -> None:
    """Log which organs only the cohort has. known, present: those of both, and of the cohort."""
    new = tuple(organ for organ in present if organ not in known)
    if new:
        everything = (*known, *new)
        log_finding(log, logging.INFO, OrgansNotLearnt(new=new, all_organs=everything))


def _warn_of_dropped(known: Sequence[str], present: Sequence[str]) -> None:
    """Log which organs only the model has. known, present: those of the model and the cohort."""
    dropped = tuple(organ for organ in known if organ not in present)
    if dropped:
        log_finding(log, logging.WARNING, OrgansDropped(dropped=dropped))


def _preset_of_parent(parent: Model, path: Path) -> Preset:
    """Return the preset that a model was made with; it is adapted by the same."""
    name = parent.provenance.preset
    if name not in PRESETS:
        known = tuple(sorted(PRESETS))
        raise ModelFileError(
            UnknownPreset(
                path=path,
                preset=name,
                known=known,
            )
        )
    return PRESETS[name]


def _planned(
    child: Model,
    recipe: Recipe,
    last: int,
    cases: Sequence[Case],
) -> PlannedAdaptation:
    """Return what is about to be done. last: how many layers retrain."""
    check = child.provenance.check
    parent_patients = child.recipe["parent_patients"]
    parents = 1 if parent_patients else 0
    return PlannedAdaptation(
        layers=last,
        of_layers=len(layers(child.network)),
        iterations=recipe.iterations,
        parent_patients=parent_patients,
        is_chosen=bool(check and check.says),
        sisters=len(child.asked) - parents,
        **counted(cases, child.organs),
    )


def _judge_lone_head(child: Model) -> None:
    """Log that a file of the head alone holds all layers, if it does.

    Raises: SettingsError: it needs nothing of the parent, either; it would fit any model.
    """
    if child.network.trunk:
        return
    if not child.asked:
        raise SettingsError(HeadIsWholeModel())
    log_finding(log, logging.INFO, HeadOfAllLayers())


def _with_iterations(recipe: Recipe, iterations: int | None) -> Recipe:
    if iterations is None:
        return recipe
    return replace(recipe, iterations=iterations)


def _learn(
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    plan: PlannedTraining | PlannedAdaptation,
    out: Path,
    *,
    resume: bool,
    precision: WantedPrecision,
    deterministic: bool,
    head_only: bool = False,
    keep_log: bool,
    progress: Progress,
) -> Model:
    """Fit a model and write its file, reporting progress."""
    model = with_precision(model, recipe, out, precision, deterministic=deterministic)
    what = f"training {out.stem}"

    def complete(trained: Model) -> Model:
        told = partial(_tell_baseline, progress, f"comparing {out.stem} with its centre")
        baseline = baseline_of(trained, cases, told)
        return replace(trained, provenance=replace(trained.provenance, baseline=baseline))

    steps = fit(
        model,
        cases,
        recipe,
        out,
        resume=resume,
        deterministic=deterministic,
        head_only=head_only,
        keep_log=keep_log,
        complete=complete,
    )
    teller = TrainingTeller(plan, recipe, sum(case.grid.shape[0] for case in cases))
    model = follow(steps, teller, what, recipe.iterations, progress)
    if is_first_process():
        never = _never_found(model, cases)
        if never:
            log_finding(log, logging.WARNING, OrgansNotFoundAfterTraining(organs=never))
    return model


def _tell_baseline(progress: Progress, what: str, done: int, of: int) -> None:
    """Report how many patients' own contours were compared with the trained model's."""
    progress(what, done, of, "contours beside the centre's own")


def _never_found(model: Model, cases: Sequence[Case]) -> tuple[str, ...]:
    """Return the organs that a model finds in none of a few of its training patients.

    Only the slices count on which these organs are largest.
    """
    contourer = Contourer(model)
    looked: Counter[str] = Counter()
    never = list(model.organs)
    for case in cases:
        present = [organ for organ in never if organ in case.organs]
        sought = [organ for organ in present if looked[organ] < PATIENTS_TO_CHECK]
        if sought:
            looked.update(sought)
            found = _found_where_largest(contourer, case, sought)
            never = [organ for organ in never if organ not in found]
    return tuple(never)


def _found_where_largest(
    contourer: Contourer,
    case: Case,
    organs: Sequence[str],
) -> set[str]:
    """Return the organs that a model finds on the slices on which they are largest.

    The neighbours with which the model sees these slices are contoured, too, so that each slice is
    seen as in the whole CT. They do not count: of their own neighbours, some are missing.
    """
    largest = sorted({slice_to_show(case.mask(organ)) for organ in organs})
    preprocessing = contourer.model.preprocessing
    seen: set[int] = set()
    for index in largest:
        seen.update(preprocessing.planes_seen(case.grid, index))
    indices = sorted(seen)
    z_mm = tuple(map(case.grid.slice_z_mm.__getitem__, indices))
    _, rows, columns = case.grid.shape
    grid = replace(case.grid, shape=(len(indices), rows, columns), slice_z_mm=z_mm)
    masks = contourer.contour(case.hu[indices], grid, organs)
    counted = [indices.index(index) for index in largest]
    return {organ for organ, mask in masks if mask[counted].any()}
