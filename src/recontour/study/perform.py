"""One cell, from its parent's file to its result: the small interface that a study's machines
share.

`perform(cell, workspace, ...)` needs the study's folder and nothing else, and may be broken off at any
moment: repeated, it goes on from the last checkpoint and ends in the same numbers.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from math import nan, sqrt
from pathlib import Path

import numpy as np

from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.errors import OrganError, ResumeError
from recontour.evaluation import CaseScore, mean_over_organs
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model, save_model
from recontour.study.cells import Cell
from recontour.study.diary import Diary
from recontour.study.results import (
    Contouring,
    Result,
    Training,
    cell_folder,
    write_masks,
    write_result,
)
from recontour.study.settings import Study
from recontour.study.split import Patients, Split
from recontour.training.batches import Batches
from recontour.training.features import learns_from_features
from recontour.training.presets import Preset, preset_of
from recontour.training.profile import time_step
from recontour.training.recipe import Recipe
from recontour.transfer.models import begin, calibrate, fit, take_over

Telling = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Workspace:
    """What all cells of a study share."""

    study: Study
    out: Path
    cohorts: Mapping[str, Cohort]  # "source", "target"
    splits: Mapping[str, Split]
    patients: Mapping[str, Patients] = field(default_factory=dict)  # by centre

    def patient_of(self, centre: str, case_id: str) -> str:
        """The id of the first case of a case's patient."""
        return self.patients.get(centre, {}).get(case_id, case_id)

    def cases(self, centre: str, fold: str) -> list[Case]:
        """A centre's cases of a fold, in the split's order."""
        return [self.cohorts[centre][case] for case in self.splits[centre][fold]]

    @property
    def scored(self) -> dict[str, list[Case]]:
        """What every model is scored on:

        the target's test cases, and some of the source's for what was forgotten.
        """
        return {
            "target test": self.cases("target", "test"),
            "source test": self.cases("source", "test")[: self.study.retention_cases],
        }


def perform(cell: Cell, workspace: Workspace, tell: Telling = lambda _words: None) -> Result:
    """Train a cell's model, score it, and keep the result in the cell's folder."""
    folder = cell_folder(workspace.out, cell)
    model, cases, recipe = _start(cell, workspace)
    if cell.iterations:
        training = _train(cell, workspace, model, cases, recipe, tell)
    else:
        _keep(model, folder / "model")
        training = Training(0, 0.0, nan, nan, nan, _count(model), 0)
    tell("scoring")
    scores, contouring = (
        _score(cell, workspace, model) if cell.iterations else ({}, Contouring(0, 0, 0.0))
    )
    trained_with = {
        **recipe_of(workspace.study),
        **load_model(folder / "model").provenance.versions,
    }
    result = Result(cell, training, contouring, len(cases), scores, trained_with)
    write_result(workspace.out, result)
    return result


def recipe_of(study: Study) -> dict[str, str]:
    """What a study's preset stands for in this recontour."""
    preset = preset_of(study.preset)
    return {
        f"preset {study.preset}: {part}": str(getattr(preset, part))
        for part in preset.__dataclass_fields__
    }


# Where a cell starts from


def _start(cell: Cell, workspace: Workspace) -> tuple[Model, Sequence[Case], Recipe]:
    """The model before its training, the cases it will see, and the recipe."""
    preset = preset_of(workspace.study.preset)
    centre = "source" if cell.model in ("S", "random") else "target"
    cohort, cases = workspace.cohorts[centre], training_cases(cell, workspace, centre)
    organs = [organ for organ in cell.organs if any(organ in case.organs for case in cases)]
    if not organs:
        raise OrganError(f"none of the {len(cases)} training cases has {', '.join(cell.organs)}")
    cases = [case for case in cases if not set(organs).isdisjoint(case.organs)]
    if cell.parent:
        recipe = _recipe(cell, preset.adapt)
        parent = load_model(cell_folder(workspace.out, cell.parent) / "model")
        last = cell.retrain_last or 1
        return take_over(parent, cohort, cases, organs, recipe, last, cell.seed), cases, recipe
    recipe = _recipe(cell, preset.train)
    model = begin(
        cohort, cases, organs, workspace.study.preset, _settings(cell, preset, recipe), cell.seed
    )
    if cell.model == "random" or recipe.frozen_statistics:
        calibrate(model, cases, recipe)
    return model, cases, recipe


def training_cases(cell: Cell, workspace: Workspace, centre: str) -> Sequence[Case]:
    """What a cell learns from: all cases, or those of the first few patients in an order that the
    draw decides.

    A larger number of the same draw holds the smaller.
    """
    cases = workspace.cases(centre, "train")
    if not cell.cases:
        return cases
    patients: dict[str, list[Case]] = {}
    for case in cases:
        patients.setdefault(workspace.patient_of(centre, case.id), []).append(case)
    ordered = list(patients.values())
    order = np.random.default_rng([cell.seed, cell.draw]).permutation(len(ordered))
    return [case for i in order[: cell.cases] for case in ordered[i]]


def _recipe(cell: Cell, recipe: Recipe) -> Recipe:
    """The preset's recipe at the cell's length and batch;

    the learning rate goes with the root of the batch.
    """
    batch = cell.batch or recipe.batch
    return replace(
        recipe,
        iterations=max(1, cell.iterations),
        batch=batch,
        learning_rate=recipe.learning_rate * sqrt(batch / recipe.batch),
        parent_patients=0.0 if cell.plain else recipe.parent_patients,
        views=0 if cell.plain else recipe.views,
        frozen_statistics=cell.norm == "frozen" or recipe.frozen_statistics,
    )


def _settings(cell: Cell, preset: Preset, recipe: Recipe) -> Preset:
    norm = (
        preset.architecture.norm
        if cell.norm is None
        else "group"
        if cell.norm == "group"
        else "batch"
    )
    return replace(preset, architecture=replace(preset.architecture, norm=norm), train=recipe)


# Training


def _train(
    cell: Cell,
    workspace: Workspace,
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    tell: Telling,
) -> Training:
    folder = cell_folder(workspace.out, cell)
    out = folder / "model"
    watched = workspace.cases("target", "validation") if cell.validate_every else []
    with Diary(folder / "diary.csv") as diary:
        if out.exists():  # killed between the model and its result
            kept = load_model(out)
            if kept.recipe != json.loads(json.dumps(asdict(recipe))):  # as a model file has it
                raise ResumeError(
                    f"{out} was trained by another recipe; delete {folder}, and go on with --resume"
                )
            model.network.load_state_dict(kept.network.state_dict())
        else:
            with closing(fit(model, cases, recipe, out, resume=True)) as steps:
                for step in steps:
                    diary.note(step)
                    tell(f"{step.iteration}/{recipe.iterations}")
                    if watched and (
                        step.iteration % (cell.validate_every or 1) == 0
                        or step.iteration == recipe.iterations
                    ):
                        diary.validate(step.iteration, lambda: _mean_dsc(model, watched, workspace))
        trunk, head = nan, nan
        is_timed = diary.has(
            recipe.iterations
        )  # not where it was lost, beside a model that is there
        if cell.validate_every and is_timed:
            tell("timing")
            trunk, head = time_shares(model, cases, recipe, diary)
        return Training(
            iterations=recipe.iterations,
            seconds=diary.seconds if is_timed else nan,
            waiting=diary.waiting if is_timed else nan,
            trunk=trunk,
            head=head,
            parameters=_count(model),
            retrained_parameters=sum(
                p.numel() for p in model.network.parameters() if p.requires_grad
            ),
            loss=diary.loss,
            validation=diary.validation,
        )


def time_shares(
    model: Model, cases: Sequence[Case], recipe: Recipe, diary: Diary
) -> tuple[float, float]:
    """Shares of trunk and head in a training's time:

    of cached features as it was, else by timing an iteration.
    """
    busy = 1 - diary.waiting
    if learns_from_features(model.network, recipe):
        return diary.features, busy - diary.features
    batch = Batches(cases, model.organs, model.preprocessing, recipe, model.provenance.seed)[0]
    times = time_step(model.network, batch, recipe)
    trunk = busy * times.trunk / times.whole
    return trunk, busy - trunk


def _count(model: Model) -> int:
    """Count the parameters of the trunk and its own head, not those of heads that it asks."""
    return sum(parameter.numel() for parameter in model.network.own_parameters())


def _keep(model: Model, out: Path) -> None:
    out.unlink(missing_ok=True)
    save_model(model, out)


def _mean_dsc(model: Model, cases: Sequence[Case], workspace: Workspace) -> float:
    """Over the organs, of their means over the patients of these cases of the target."""
    contourer = Contourer(model)
    rows = []
    for case in cases:
        patient = workspace.patient_of("target", case.id)
        rows += [
            replace(row, patient=patient)
            for row, _ in score_masks(case, "model", contour_case(contourer, case))
        ]
    return mean_over_organs(rows, "model", model.organs)


# Scoring


def _score(
    cell: Cell, workspace: Workspace, model: Model
) -> tuple[dict[str, list[CaseScore]], Contouring]:
    folds = workspace.scored
    contourer = Contourer(model)
    scores: dict[str, list[CaseScore]] = {}
    kept: dict[tuple[str, str], Mask] = {}
    spent: list[float] = []
    for fold, cases in folds.items():
        scores[fold] = []
        for case in cases:
            for row, mask in score_masks(
                case, cell.id, _timed(contour_case(contourer, case), spent)
            ):
                scores[fold].append(row)
                if cell.validate_every and fold == "target test":
                    kept[case.id, row.organ] = mask
    if kept:
        write_masks(workspace.out, cell, kept)
    everything = [case for cases in folds.values() for case in cases]
    slices = sum(case.grid.shape[0] for case in everything)
    return scores, Contouring(len(everything), slices, sum(spent))


def _timed(items: Iterable[tuple[str, Mask]], spent: list[float]) -> Iterator[tuple[str, Mask]]:
    """The same items; `spent` gains the seconds that each took to make."""
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
