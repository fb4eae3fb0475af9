"""One cell, from its parent's file to its result: the interface that a study's machines share.

`perform(cell, workspace, ...)` needs nothing but the study's folder and the cohorts, and may be
interrupted at any moment: repeated, it goes on from the last checkpoint and ends in the same
numbers.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from math import nan, sqrt
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.errors import OrganError, ResumeError
from recontour.evaluation import CaseScore, mean_over_organs
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model, save_model
from recontour.network.views import VIEWS_OF_A_SLICE
from recontour.progress import Progress
from recontour.study.cells import Cell
from recontour.study.diary import Diary
from recontour.study.findings import ModelOfAnotherRecipe, NoTrainingCase
from recontour.study.results import (
    Contouring,
    Result,
    Training,
    cell_folder,
    write_masks,
    write_result,
)
from recontour.study.settings import Study
from recontour.study.split import Patients, Split, ids_to_learn, ids_to_test
from recontour.training.batches import Batches
from recontour.training.features import learns_from_features
from recontour.training.folder import RunFolder
from recontour.training.precision import computed_precision
from recontour.training.presets import Preset, preset_of
from recontour.training.profile import time_step
from recontour.training.recipe import Recipe
from recontour.transfer.models import (
    begin,
    calibrate,
    fit,
    precision_of,
    with_precision,
)
from recontour.workflows.check_folder import CheckFolder
from recontour.workflows.checking import Adaptation, checked
from recontour.workflows.wanted import SHORT

Scores = dict[str, list[CaseScore]]  # by fold
Report = Callable[[str], object]  # is called with what a cell is doing, in a word or two


def say_nothing(_words: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What all cells of a study share.

    cohorts, splits: of "source" and "target". patients: by centre, the first case of each case's
    patient.
    """

    study: Study
    out: Path
    cohorts: Mapping[str, Cohort]
    splits: Mapping[str, Split]
    patients: Mapping[str, Patients] = field(default_factory=dict)

    def patient_of(self, centre: str, case_id: str) -> str:
        """Return the id of the first case of a case's patient."""
        return self.patients.get(centre, {}).get(case_id, case_id)

    def cases(self, centre: str, fold: str) -> list[Case]:
        """Return a centre's cases of a fold, in the split's order."""
        return self._opened(centre, self.splits[centre].get(fold, ()))

    def learnt(self, centre: str, held_out: int | None = None) -> list[Case]:
        """Return the cases of a centre to train on. held_out: see `Cell`."""
        return self._opened(centre, ids_to_learn(self.splits[centre], held_out))

    def _opened(self, centre: str, ids: Iterable[str]) -> list[Case]:
        return [self.cohorts[centre][case] for case in ids]

    def scored(self, held_out: int | None = None) -> dict[str, list[Case]]:
        """Return the cases that a model is scored on, by fold. held_out: see `Cell`.

        They are the target's test cases, and some of the source's, which show what was forgotten.
        """
        source = self.cases("source", "test")
        target = ids_to_test(self.splits["target"], held_out)
        return {
            "target test": self._opened("target", target),
            "source test": source[: self.study.retention_cases],
        }


def perform(
    cell: Cell,
    workspace: Workspace,
    report: Report = say_nothing,
) -> Result:
    """Train a cell's model, score it, and keep the result in the cell's folder.

    Raises: OrganError: no training case has its organs. ResumeError. FaultError.
    """
    folder = cell_folder(workspace.out, cell)
    was_interrupted = CheckFolder.beside(folder / "model").has_begun()
    began = time.perf_counter()
    model, cases, recipe = _start(cell, workspace, report)
    choosing = time.perf_counter() - began if model.provenance.check else 0.0
    scores: Scores = {}
    if cell.iterations:
        training = _train(cell, workspace, model, cases, recipe, report)
        training = replace(training, choosing=nan if was_interrupted else choosing)
        report("scoring")
        scores, contouring = _score(cell, workspace, model)
    else:
        _keep(model, folder / "model")
        own = _count(model.network.own_parameters())
        training = Training(0, 0.0, nan, nan, nan, own, 0)
        contouring = Contouring(0, 0, 0.0)
    kept = load_model(folder / "model")
    trained_with = {**recipe_of(workspace.study), **kept.provenance.versions}
    if cell.iterations:
        trained_with["precision"] = precision_of(kept)
    result = Result(cell, training, contouring, len(cases), scores, trained_with)
    write_result(workspace.out, result)
    CheckFolder.beside(folder / "model").close()
    return result


def recipe_of(study: Study) -> dict[str, str]:
    """Return what a study's preset stands for in this recontour, and how its models contour."""
    preset = preset_of(study.preset)
    parts = {"views of a slice": str(VIEWS_OF_A_SLICE)}
    parts["the parent's say"] = "chosen by the patients it is adapted to"
    for part in fields(preset):
        parts[f"preset {study.preset}: {part.name}"] = str(getattr(preset, part.name))
    return parts


# Where a cell starts from


def _start(
    cell: Cell,
    workspace: Workspace,
    report: Report,
) -> tuple[Model, Sequence[Case], Recipe]:
    """Return the model before its training, the cases it will see, and the recipe."""
    preset = preset_of(workspace.study.preset)
    centre = "source" if cell.model in ("S", "random") else "target"
    cohort = workspace.cohorts[centre]
    organs, cases = _organs_and_cases(cell, training_cases(cell, workspace, centre))
    if cell.parent:
        recipe = _recipe(cell, preset.adapt)
        adaptation = Adaptation(
            parent=load_model(cell_folder(workspace.out, cell.parent) / "model"),
            cohort=cohort,
            organs=organs,
            recipe_for=lambda _: recipe,
            retrain_last=cell.retrain_last or 1,
            seed=cell.seed,
            precision=workspace.study.precision,
            deterministic=False,
            head_only=False,
            out=cell_folder(workspace.out, cell) / "model",
        )
        child = adaptation.taken_over(cases, organs, recipe)
        progress = _reporting(report)
        child = checked(child, adaptation, cases, SHORT, resume=True, progress=progress)
        return child, cases, recipe
    recipe = _recipe(cell, preset.train)
    settings = _settings(cell, preset, recipe)
    model = begin(cohort, cases, organs, workspace.study.preset, settings, cell.seed)
    if cell.model == "random" or recipe.frozen_statistics:
        calibrate(model, cases, recipe)
    return model, cases, recipe


def _reporting(report: Report) -> Progress:
    """Return a progress that says how far the choice of the parent's say is."""

    def progress(what: str, done: int, total: int, _words: str) -> None:
        report(f"{what}, {done}/{total}")

    return progress


def _organs_and_cases(cell: Cell, cases: Sequence[Case]) -> tuple[list[str], list[Case]]:
    """Return the cell's organs that some case has, and the cases that have one.

    Raises: OrganError: no case has any of them.
    """
    having = [case for case in cases if not set(cell.organs).isdisjoint(case.organs)]
    there = set(chain.from_iterable(case.organs for case in having))
    organs = [organ for organ in cell.organs if organ in there]
    if not organs:
        raise OrganError(NoTrainingCase(organs=cell.organs, cases=len(cases)))
    return organs, having


def training_cases(
    cell: Cell,
    workspace: Workspace,
    centre: str,
) -> Sequence[Case]:
    """Return what a cell learns from: all cases, or those of the first few patients.

    The draw decides the patients' order, so a larger number of the same draw holds the smaller.
    """
    cases = workspace.learnt(centre, cell.held_out)
    if not cell.cases:
        return cases
    patients: dict[str, list[Case]] = {}
    for case in cases:
        patients.setdefault(workspace.patient_of(centre, case.id), []).append(case)
    ordered = list(patients.values())
    order = np.random.default_rng([cell.seed, cell.draw]).permutation(len(ordered))
    chosen = [ordered[place] for place in order[: cell.cases]]
    return list(chain.from_iterable(chosen))


def _recipe(cell: Cell, recipe: Recipe) -> Recipe:
    """Return the preset's recipe at the cell's length and batch.

    The learning rate grows with the square root of the batch.
    """
    batch = cell.batch or recipe.batch
    return replace(
        recipe.plain() if cell.plain else recipe,
        iterations=max(1, cell.iterations),
        batch=batch,
        learning_rate=recipe.learning_rate * sqrt(batch / recipe.batch),
        frozen_statistics=cell.norm == "frozen" or recipe.frozen_statistics,
    )


def _settings(cell: Cell, preset: Preset, recipe: Recipe) -> Preset:
    architecture = preset.architecture
    if cell.norm:
        # Frozen statistics are those of batch normalisation.
        norm: Literal["batch", "group"] = "group" if cell.norm == "group" else "batch"
        architecture = replace(architecture, norm=norm)
    return replace(preset, architecture=architecture, train=recipe)


# Training


def _train(
    cell: Cell,
    workspace: Workspace,
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    report: Report,
) -> Training:
    out = cell_folder(workspace.out, cell) / "model"
    model = with_precision(model, recipe, out, workspace.study.precision)
    with Diary(out.with_name("diary.csv")) as diary:
        if out.exists():  # killed between the model and its result
            _take_back(model, out)
            RunFolder.beside(out).close()
        else:
            _fit(cell, workspace, model, cases, recipe, diary, report)
        # False if the diary was lost, and the model was kept.
        is_timed = diary.has(recipe.iterations)
        trunk = head = nan
        if cell.validate_every and is_timed:
            report("timing")
            trunk, head = time_shares(model, cases, recipe, diary)
        learning = filter(_learns, model.network.parameters())
        return Training(
            iterations=recipe.iterations,
            seconds=diary.seconds if is_timed else nan,
            waiting=diary.waiting if is_timed else nan,
            trunk=trunk,
            head=head,
            parameters=_count(model.network.own_parameters()),
            retrained_parameters=_count(learning),
            loss=diary.loss,
            validation=diary.validation,
        )


def _take_back(model: Model, out: Path) -> None:
    """Give a model the weights that an earlier attempt has trained.

    Raises: ResumeError: it was trained with another recipe.
    """
    kept = load_model(out)
    as_written = json.loads(json.dumps(model.recipe))
    # An earlier attempt may have timed another precision.
    if {**kept.recipe, "precision": None} != {**as_written, "precision": None}:
        raise ResumeError(ModelOfAnotherRecipe(path=out))
    model.network.load_state_dict(kept.network.state_dict())


def _fit(
    cell: Cell,
    workspace: Workspace,
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    diary: Diary,
    report: Report,
) -> None:
    """Train a model; the diary records its steps, and validations if the cell asks for them."""
    every = cell.validate_every
    watched = workspace.cases("target", "validation") if every else []
    with closing(fit(model, cases, recipe, diary.path.with_name("model"), resume=True)) as steps:
        for step in steps:
            diary.note(step)
            report(f"{step.iteration}/{recipe.iterations}")
            is_last = step.iteration == recipe.iterations
            if watched and (is_last or step.iteration % (every or 1) == 0):
                diary.validate(step.iteration, lambda: _mean_dsc(model, watched, workspace))


def time_shares(
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    diary: Diary,
) -> tuple[float, float]:
    """Return the shares of trunk and head in a training's time.

    With cached features they are known from the diary; if not, one iteration is timed.
    """
    busy = 1 - diary.waiting
    if learns_from_features(model.network, recipe):
        return diary.features, busy - diary.features
    batch = Batches(cases, model.organs, model.preprocessing, recipe, model.provenance.seed)[0]
    on_cpu = next(model.network.parameters()).device.type == "cpu"
    precision = computed_precision(precision_of(model), on_cpu=on_cpu)
    times = time_step(model.network, batch, recipe, precision)
    trunk = busy * times.trunk / times.whole
    return trunk, busy - trunk


def _learns(parameter: Tensor) -> bool:
    return parameter.requires_grad


def _count(parameters: Iterable[Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _keep(model: Model, out: Path) -> None:
    out.unlink(missing_ok=True)
    save_model(model, out)


def _mean_dsc(
    model: Model,
    cases: Sequence[Case],
    workspace: Workspace,
) -> float:
    """Return the mean over the organs of their means over the patients.

    cases: of the target.
    """
    contourer = Contourer(model)
    rows = []
    for case in cases:
        patient = workspace.patient_of("target", case.id)
        for row, _ in score_masks(case, "model", contour_case(contourer, case)):
            rows.append(replace(row, patient=patient))
    return mean_over_organs(rows, "model", model.organs)


# Scoring


def _score(
    cell: Cell,
    workspace: Workspace,
    model: Model,
) -> tuple[Scores, Contouring]:
    contourer = Contourer(model)
    scores: Scores = {}
    kept: dict[tuple[str, str], Mask] = {}
    spent: list[float] = []
    slices = []
    for fold, cases in workspace.scored(cell.held_out).items():
        scores[fold] = []
        for case in cases:
            slices.append(case.grid.shape[0])
            masks = _timed(contour_case(contourer, case), spent)
            for row, mask in score_masks(case, cell.id, masks):
                scores[fold].append(row)
                if cell.validate_every and fold == "target test":
                    kept[case.id, row.organ] = mask
    if kept:
        write_masks(workspace.out, cell, kept)
    return scores, Contouring(len(slices), sum(slices), sum(spent))


def _timed(items: Iterable[tuple[str, Mask]], spent: list[float]) -> Iterator[tuple[str, Mask]]:
    """Yield the same items; `spent` gains the seconds that each took to make."""
    iterator = iter(items)
    while True:
        began = time.perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            spent.append(time.perf_counter() - began)
        yield item
