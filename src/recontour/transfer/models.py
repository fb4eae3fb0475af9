"""A model's way from its first weights to its file: begun or taken over, then fitted."""

import datetime
import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from recontour.cohort import Case, Cohort, by_patient, notices_of
from recontour.cohort.doubts import doubts_to_keep
from recontour.errors import FaultError, SettingsError
from recontour.network import HeadRecord, Model, Network, Provenance, save_head, save_model
from recontour.network.model import sha256_of, versions
from recontour.network.model_file import refuse_unwritable
from recontour.training.batches import Batches
from recontour.training.features import recipe_used
from recontour.training.folder import RunFolder
from recontour.training.loop import Step
from recontour.training.precision import choose_precision, precision_said, warn_if_emulated
from recontour.training.presets import Preset
from recontour.training.recipe import Precision, Recipe, WantedPrecision
from recontour.training.run import (
    CASE_IDS,
    Hardware,
    precision_begun_with,
    run,
    stopped,
)
from recontour.training.together import agreed, is_first_process, shared
from recontour.transfer.depth import freeze_all_but_last
from recontour.transfer.findings import LARGEST_SEED, ImpossibleSeed
from recontour.transfer.inherit import ask, ask_parent, inherit, lacking
from recontour.transfer.measured import measured

CALIBRATION_BATCHES = 20
SISTERS_SHARE = 0.5  # of what the parent leaves (docs/decisions/055-parents-say.md)


def begin(
    cohort: Cohort,
    cases: Sequence[Case],
    organs: Sequence[str],
    preset: str,
    settings: Preset,
    seed: int,
) -> Model:
    """Return a model with random weights, to be fitted: the paper's Model_S or Model_T.

    Raises: SettingsError: a seed that PyTorch does not take.
    """
    _seed(seed)
    return Model(
        network=Network(settings.architecture, len(organs)),
        organs=tuple(organs),
        preprocessing=settings.preprocessing,
        recipe=asdict(settings.train),
        provenance=_provenance(cohort, cases, organs, preset, seed),
    )


def parent_share(worth: float, patients: int) -> float:
    """Return the parent's share of an organ's scores (docs/decisions/018-parent.md).

    worth: how many of the centre's own patients the parent counts for. patients: how many with the
    organ the adapted head learns from.

    >>> parent_share(5, 2) > 0.7, parent_share(5, 50) < 0.1
    (True, True)
    """
    return worth / (worth + patients)


def parent_shares(
    worth: float,
    organs: Sequence[str],
    cases: Sequence[Case],
) -> dict[str, float]:
    """Return the parent's share of each organ's scores beside what is learnt from some cases.

    worth: see `parent_share`.
    """
    shares = {}
    for organ in organs:
        having = [case for case in cases if organ in case.organs]
        shares[organ] = parent_share(worth, len(by_patient(having)))
    return shares


def take_over(
    parent: Model,
    cohort: Cohort,
    cases: Sequence[Case],
    organs: Sequence[str],
    recipe: Recipe,
    retrain_last: int,
    seed: int,
) -> Model:
    """Return a model with its parent's weights, to be fitted: the paper's Model_ST.

    All but the last layers are frozen. An organ that the parent does not have starts from random
    weights; one that is not among `organs` is dropped. The parent may be asked, too
    (`Recipe.parent_patients`). The model states of the recipe what its training will use.

    Raises: SettingsError: an impossible depth, or a seed that PyTorch does not take.
    """
    _seed(seed)
    network, fresh = inherit(parent, organs)
    freeze_all_but_last(network, retrain_last)
    network.branch_at(network.first_that_learns)
    own = _provenance(cohort, cases, organs, parent.provenance.preset, seed)
    asked: tuple[HeadRecord, ...] = ()
    used = recipe_used(network, recipe)
    if set(parent.organs).isdisjoint(organs):
        used = replace(used, parent_patients=0.0)
    worth = used.parent_patients
    if worth > 0:
        ask_parent(network, parent, parent_shares(worth, organs, cases))
        asked = parent.heads[:1]
    dropped = lacking(parent.organs, organs)
    provenance = replace(
        _descended(own, parent),
        retrained_layers=retrain_last,
        fresh_organs=fresh,
        dropped_organs=dropped,
    )
    return replace(
        parent,
        network=network,
        organs=tuple(organs),
        recipe=asdict(used),
        provenance=provenance,
        asked=asked,
    )


def with_sisters(child: Model, sisters: Sequence[Model]) -> Model:
    """Return a child that also asks models which were adapted from its parent to fewer patients.

    They say together as much as the child itself. sisters: of the same depth, one or more.
    """
    network = child.network
    own_share = network.share_HK[0].tolist()
    part = SISTERS_SHARE / len(sisters)
    shares = {}
    for organ, share in zip(child.organs, own_share, strict=True):
        shares[organ] = part * share
    for sister in sisters:
        ask(network, sister, shares)
    records = [sister.heads[0] for sister in sisters]
    return replace(child, asked=(*child.asked, *records))


def calibrate(
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
) -> None:
    """Give batch normalisation the statistics of a few batches, and leave all weights unchanged.

    Otherwise layers that were never trained, but stay frozen, would give flat or exploding scores.
    """
    batches = Batches(cases, model.organs, model.preprocessing, recipe, model.provenance.seed)
    network = model.network.train()
    with torch.no_grad():
        for index in range(CALIBRATION_BATCHES):
            network(batches[index].ct_NSHW)


def with_precision(
    model: Model,
    recipe: Recipe,
    out: Path,
    wanted: WantedPrecision = "auto",
    *,
    deterministic: bool = False,
) -> Model:
    """Return a model whose recipe says what its training will compute in.

    A run goes on in what it began with: if the folder of `out` holds one, "auto" stands for that,
    and nothing is timed.
    wanted, deterministic: see `choose_precision`.
    """
    with agreed():
        begun_with = precision_begun_with(RunFolder.beside(out))
    precision: Precision = "float32"  # until the first of several processes has said
    if wanted == "auto" and begun_with:
        precision = begun_with
    elif is_first_process():
        precision = choose_precision(
            wanted,
            model.network,
            recipe,
            len(model.organs),
            model.preprocessing.crop_px,
            deterministic=deterministic,
        )
    precision = shared(precision)
    warn_if_emulated(precision)
    return replace(model, recipe={**model.recipe, "precision": precision})


def precision_of(model: Model) -> Precision:
    """Return what a model was trained in, or will be."""
    return precision_said(model.recipe.get("precision"))


def fit(
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    deterministic: bool = False,
    head_only: bool = False,
    keep_log: bool = False,
    complete: Callable[[Model], Model] = lambda model: model,
) -> Generator[Step, None, Model]:
    """Train the layers that are not frozen, yielding after each iteration; then write the file.

    The network computes in what the model's recipe says (`with_precision`), or in float32.
    head_only: write the model's own head alone. keep_log: leave the log for TensorBoard in the
        run's folder, of which nothing else stays. complete: is called with the trained model, and
        returns it with what is to be said of it in its file. Between two iterations the caller may
        contour with the model, but not change it.
    Returns: the model as in the file.
    Raises: SettingsError: the model could not be read from its file again, for example because of a
        notice of many pages.
    """
    with agreed():
        refuse_unwritable(model)
    batches = Batches(cases, model.organs, model.preprocessing, recipe, model.provenance.seed)
    folder = RunFolder.beside(out)
    hardware = Hardware(precision=precision_of(model), deterministic=deterministic)
    identity = _identity(model, cases)
    try:
        yield from run(model.network, batches, folder, identity, resume=resume, hardware=hardware)
    except (KeyboardInterrupt, GeneratorExit, FaultError):
        if is_first_process() and not folder.checkpoint.exists():
            folder.close()  # no checkpoint was saved
        raise
    with agreed():
        if is_first_process():
            model = complete(model)
            save = save_head if head_only else save_model
            try:
                save(model, out)
            except FaultError as error:
                raise stopped(error, recipe.iterations, recipe.iterations) from error
            folder.close(keep_log=keep_log)
    return model


def _seed(seed: int) -> None:
    """Make the weights that are drawn next a function of the seed."""
    if not 0 <= seed <= LARGEST_SEED:
        raise SettingsError(ImpossibleSeed(seed=seed))
    torch.manual_seed(seed)


def _provenance(
    cohort: Cohort,
    cases: Sequence[Case],
    organs: Sequence[str],
    preset: str,
    seed: int,
) -> Provenance:
    cases_per_organ = {}
    for organ in organs:
        cases_per_organ[organ] = sum(organ in case.organs for case in cases)
    patients = {case.patient for case in cases if case.patient}
    return Provenance(
        preset=preset,
        centre=cohort.centre,
        cases=len(cases),
        cases_per_organ=cases_per_organ,
        seed=seed,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        versions=versions(),
        notices=(*notices_of(cohort.notices, cases), *doubts_to_keep(cohort, cases)),
        trained_on=tuple(sorted({case.fingerprint for case in cases})),
        trained_on_patients=tuple(sorted(patients)),
        patients=len(by_patient(cases)),
        trained_on_tissue_hu=tuple(sorted({case.profile for case in cases})),
        ranges=measured(cases, organs),
    )


def _descended(own: Provenance, parent: Model) -> Provenance:
    """Return the provenance of a model that goes on from a parent."""
    before = parent.provenance
    ranges = own.ranges
    if ranges and before.ranges:
        ranges = before.ranges.joined(ranges)
    cts = {*before.trained_on, *own.trained_on}
    patients = {*before.trained_on_patients, *own.trained_on_patients}
    profiles = {*before.trained_on_tissue_hu, *own.trained_on_tissue_hu}
    return replace(
        own,
        parent_sha256=sha256_of(parent.network),
        parent_centres=(*before.parent_centres, before.centre),
        notices=tuple(dict.fromkeys((*before.notices, *own.notices))),
        trained_on=tuple(sorted(cts)),
        trained_on_patients=tuple(sorted(patients)),
        trained_on_tissue_hu=tuple(sorted(profiles)),
        ranges=ranges,
    )


def _identity(model: Model, cases: Sequence[Case]) -> dict[str, Any]:
    """Return what a run must have in common with the checkpoint it continues from."""
    settings = {}
    for name, value in model.recipe.items():
        settings[name.replace("_", " ")] = repr(value)
    settings["precision"] = precision_of(model)  # the word itself, for `precision_begun_with`
    cohort = hashlib.sha256("".join(case.version for case in cases).encode())
    return {
        "architecture": repr(model.network.architecture),
        "organs": list(model.organs),
        "preprocessing": repr(model.preprocessing),
        **settings,
        "seed": model.provenance.seed,
        "parent model": model.provenance.parent_sha256,
        "retrained layers": model.provenance.retrained_layers,
        "cases": cohort.hexdigest(),
        CASE_IDS: [case.id for case in cases],
    }
