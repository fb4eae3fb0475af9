"""A study's folder: begun from what a study file declares, or opened again."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Literal

import torch

from recontour.cohort import Case
from recontour.cohort.doubts import cohort_warnings
from recontour.errors import OutputError, SettingsError
from recontour.files import write_text
from recontour.findings import Finding, log_finding
from recontour.network import Network
from recontour.study.cells import Cell, Extent, Plan, plan_of
from recontour.study.declared import (
    STUDY,
    cohorts_of,
    declaration,
    is_study,
    read_declared,
    refuse_wrong_paths,
)
from recontour.study.defaults import depth_of, lengths_of, papers_depth
from recontour.study.findings import (
    DifferentRecipes,
    DifferentStudy,
    LinkedFolder,
    UnlearnableOrgans,
)
from recontour.study.perform import Workspace, recipe_of
from recontour.study.results import cell_folder, read_results
from recontour.study.settings import Study, threads_of
from recontour.study.split import (
    ROLES,
    cases_since,
    cross_validated,
    fold_names,
    ids_to_learn,
    left_out_for_sides,
    on_both_sides,
    patients_of,
    read_patients,
    read_split,
    refuse_edited,
    refuse_replaced,
    refuse_shared,
    split_of,
    turns_of,
    write_split,
)
from recontour.training.precision import choose_precision, trains_on_cpu, wanted_precision
from recontour.training.presets import preset_of
from recontour.transfer.depth import layers
from recontour.transfer.findings import ImpossibleDepth

log = logging.getLogger(__name__)
# Settings that must stay.
FIXED = ("source", "target", "preset", "precision", "organs", "retention_cases")


def prepare(
    study: Study,
    out: Path,
    *,
    resume: bool,
) -> None:
    """Write down what was declared, and the split; or check that the folder holds the same study.

    A study may grow between two runs, by more seeds or depths: existing cells stay.
    Raises: OutputError, SettingsError.
    """
    refuse_wrong_paths(study, out, resume=resume)
    if not is_study(out):
        workspace = lay_out(study, out)
        workspace = replace(workspace, study=_with_precision(workspace.study))
        write_split(out / "split.csv", workspace.splits, workspace.cohorts)
    else:
        workspace = go_on(study, out)
        _warn_of_other_recipes(workspace)
        for came in cases_since(study, workspace.cohorts, workspace.splits):
            log_finding(log, logging.WARNING, came)
    for finding in cross_validated(workspace.splits, workspace.patients):
        log_finding(log, logging.INFO, finding)
    shared = workspace.cohorts, workspace.splits
    found = (*warnings_of_cohorts(workspace), *on_both_sides(*shared), *left_out_for_sides(*shared))
    for finding in found:
        log_finding(log, logging.WARNING, finding)
    declared = STUDY.dump_json(workspace.study, indent=1).decode()
    write_text(declaration(out), declared + "\n", replace=True)


def warnings_of_cohorts(workspace: Workspace) -> list[Finding]:
    """Return what the imports of both cohorts found and a reader of the study must know."""
    findings: list[Finding] = []
    for centre, split in workspace.splits.items():
        cases: list[Case] = []
        for fold in split:
            cases += workspace.cases(centre, fold)
        findings += cohort_warnings(workspace.cohorts[centre], cases)
    return findings


def _with_precision(study: Study) -> Study:
    """Settle what "auto" means: one precision for all cells, whichever worker takes them.

    With GPUs nothing needs to be timed, and "auto" stays: the device of each worker decides,
    wherever the study goes on, and an interrupted cell goes on in what it began with.
    """
    if study.precision != "auto" or not trains_on_cpu():
        return study
    preset = preset_of(study.preset)
    network = Network(preset.architecture, len(study.organs))
    before = torch.get_num_threads()
    torch.set_num_threads(threads_of(study))
    try:
        precision = choose_precision(
            "auto",
            network,
            preset.train,
            len(study.organs),
            preset.preprocessing.crop_px,
        )
    finally:
        torch.set_num_threads(before)
    return replace(study, precision=wanted_precision(precision))


def _warn_of_other_recipes(workspace: Workspace) -> None:
    now = recipe_of(workspace.study).items()
    others = 0
    for result in read_results(workspace.out, study_plan(workspace).cells).values():
        trained_with = result.trained_with
        if trained_with and not now <= trained_with.items():
            others += 1
    if others:
        log_finding(log, logging.WARNING, DifferentRecipes(cells=others))


def lay_out(study: Study, out: Path) -> Workspace:
    """Return what all cells of a declared study will share. Nothing is written.

    Raises: SettingsError: the split is impossible, or no cell could be trained as declared.
    """
    cohorts = cohorts_of(study)
    splits = {}
    patients = {}
    for role, cohort in cohorts.items():
        splits[role] = split_of(role, getattr(study, role), cohort)
        patients[role] = patients_of(cohort, splits[role])
    refuse_shared(cohorts, splits)
    workspace = Workspace(study, out, cohorts, splits, patients)
    refuse_impossible(workspace)
    organs = study_plan(workspace).models[0].s.organs  # patients imported later change nothing
    return replace(workspace, study=replace(study, organs=organs))


def go_on(study: Study, out: Path) -> Workspace:
    """Return what all cells of a study in a folder share; the study file may have grown.

    Settings that must not change are taken from the folder. Nothing is written.
    Raises: SettingsError: it is another study, or its cases have changed.
    """
    before = read_declared(out)
    if study.organs == "all":
        study = replace(study, organs=before.organs)
    if study.precision == "auto":
        study = replace(study, precision=before.precision)
    changed = [name for name in FIXED if getattr(before, name) != getattr(study, name)]
    if changed:
        raise SettingsError(DifferentStudy(path=out, changed=tuple(changed)))
    workspace = _kept_workspace(study, out)
    refuse_impossible(workspace)
    refuse_replaced(out / "split.csv", workspace.cohorts)
    for role, split in workspace.splits.items():
        refuse_edited(split, role, getattr(study, role), workspace.cohorts[role])
    return workspace


def open_workspace(out: Path) -> Workspace:
    """Return what all cells of a study that was begun share. Raises: SettingsError."""
    return _kept_workspace(read_declared(out), out)


def _kept_workspace(study: Study, out: Path) -> Workspace:
    cohorts = cohorts_of(study)
    path = out / "split.csv"
    splits = {}
    patients = {}
    for role, cohort in cohorts.items():
        names = fold_names(getattr(study, role))
        splits[role] = read_split(path, role, cohort, names)
        patients[role] = read_patients(path, role, cohort, splits[role])
    return Workspace(study, out, cohorts, splits, patients)


def study_plan(workspace: Workspace) -> Plan:
    """Return the study's cells."""
    study = workspace.study
    organs = _learnable(workspace) if study.organs == "all" else study.organs
    patients: dict[str, int] = {role: _training_patients(workspace, role) for role in ROLES}
    count = _layers(study)
    extent = Extent(
        organs=organs,
        layers=count,
        retrain_last=depth_of(study, count),
        papers_depth=papers_depth(study, count),
        lengths=lengths_of(study, patients),
        target_patients=patients["target"],
    )
    return plan_of(study, extent)


def _training_patients(workspace: Workspace, role: str) -> int:
    """Count the patients that a centre has to train on; with folds, the fewest in any turn."""
    split = workspace.splits[role]
    counts = []
    for held_out in turns_of(split):
        patients = {workspace.patient_of(role, case) for case in ids_to_learn(split, held_out)}
        counts.append(len(patients))
    return min(counts)


def refuse_impossible(workspace: Workspace) -> None:
    """Raise SettingsError if a declared organ cannot be learnt, or there are too few layers."""
    study = workspace.study
    known = _learnable(workspace)
    _refuse_unlearnable("organs", study.organs, known)
    if study.separately:
        _refuse_unlearnable("separately.organs", study.separately.organs, known)
    count = _layers(study)
    last = depth_of(study, count)
    if last > count:
        raise SettingsError(
            ImpossibleDepth(
                setting="models.retrain_last",
                retrain_last=last,
                preset=study.preset,
                layers=count,
            )
        )


def _refuse_unlearnable(
    setting: Literal["organs", "separately.organs"],
    declared: Literal["all"] | Sequence[str],
    known: Sequence[str],
) -> None:
    unknown = []
    if declared != "all":
        unknown = [organ for organ in declared if organ not in known]
    if unknown or not known:
        finding = UnlearnableOrgans(
            setting=setting,
            unknown=tuple(unknown),
            known=tuple(known),
        )
        raise SettingsError(finding)


def _learnable(workspace: Workspace) -> list[str]:
    """Return the organs that a training patient of each centre has, in every turn, sorted."""
    return sorted(_organs(workspace, "source") & _organs(workspace, "target"))


def _organs(workspace: Workspace, role: str) -> set[str]:
    in_every_turn = []
    for held_out in turns_of(workspace.splits[role]):
        cases = workspace.learnt(role, held_out)
        in_every_turn.append(set(chain.from_iterable(case.organs for case in cases)))
    return set.intersection(*in_every_turn)


def _layers(study: Study) -> int:
    """Return how many layers the preset's network has."""
    return len(layers(Network(preset_of(study.preset).architecture, 1)))


def refuse_links(out: Path, cells: Iterable[Cell]) -> None:
    """Raise OutputError if a folder of the study is a link.

    A study that came from elsewhere must not write anywhere else.
    """
    folders = map(partial(cell_folder, out), cells)
    for folder in (out / "cells", out / "tables", *folders):
        if folder.is_symlink():
            raise OutputError(LinkedFolder(path=folder))
