"""A model's way from its first weights to its file:

begun fresh or taken over from another centre's, then fitted.
"""

import datetime
import hashlib
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from recontour.cohort import Case, Cohort
from recontour.errors import SettingsError
from recontour.network import Model, Network, Provenance, save_model
from recontour.network.model_file import refuse_unwritable, sha256_of, versions
from recontour.training.batches import Batches
from recontour.training.loop import Step
from recontour.training.presets import Preset
from recontour.training.recipe import Recipe
from recontour.training.run import Hardware, RunFolder, is_first_process, run
from recontour.transfer.depth import freeze_all_but_last
from recontour.transfer.inherit import inherit, keep_parent

CALIBRATION_BATCHES = 20


def begin(
    cohort: Cohort,
    cases: Sequence[Case],
    organs: Sequence[str],
    preset: str,
    settings: Preset,
    seed: int,
) -> Model:
    """A model with weights that the seed draws, to be fitted to a cohort's cases:

    the paper's Model_S or Model_T.
    """
    _seed(seed)
    return Model(
        network=Network(settings.architecture, len(organs)),
        architecture=settings.architecture,
        organs=tuple(organs),
        preprocessing=settings.preprocessing,
        recipe=asdict(settings.train),
        provenance=_provenance(cohort, cases, organs, preset, seed),
    )


def take_over(
    parent: Model,
    cohort: Cohort,
    cases: Sequence[Case],
    organs: Sequence[str],
    recipe: Recipe,
    retrain_last: int,
    seed: int,
) -> Model:
    """A model with its parent's weights, all but the last layers frozen: the paper's Model_ST
    before it is fitted.

    An organ that the parent does not have starts fresh; one that is not among `organs` is dropped.
    The parent may keep a say (`Recipe.parent_patients`).
    """
    _seed(seed)
    network, fresh = inherit(parent, organs)
    freeze_all_but_last(network, retrain_last)
    own = _provenance(cohort, cases, organs, parent.provenance.preset, seed)
    m, kept = recipe.parent_patients, None
    if m > 0 and not set(parent.organs).isdisjoint(organs):
        kept = keep_parent(
            network, parent, {organ: m / (m + n) for organ, n in own.cases_per_organ.items()}
        )
    provenance = replace(
        own,
        parent_sha256=sha256_of(parent.network),
        parent_centres=(*parent.provenance.parent_centres, parent.provenance.centre),
        retrained_layers=retrain_last,
        fresh_organs=fresh,
        dropped_organs=tuple(organ for organ in parent.organs if organ not in organs),
        notices=tuple(dict.fromkeys((*parent.provenance.notices, *cohort.notices))),
        trained_on=tuple(sorted({*parent.provenance.trained_on, *own.trained_on})),
        trained_on_patients=tuple(
            sorted({*parent.provenance.trained_on_patients, *own.trained_on_patients})
        ),
    )
    return replace(
        parent,
        network=network,
        architecture=replace(parent.architecture, parent_from=kept),
        organs=tuple(organs),
        recipe=asdict(recipe),
        provenance=provenance,
    )


def calibrate(model: Model, cases: Sequence[Case], recipe: Recipe) -> None:
    """Give batch normalisation the statistics of a few batches, and leave all weights as they were
    drawn.

    What was never trained, but is to stay frozen, is so neither flat nor exploding.
    """
    batches = Batches(cases, model.organs, model.preprocessing, recipe, model.provenance.seed)
    network = model.network.train()
    with torch.no_grad():
        for index in range(CALIBRATION_BATCHES):
            network(batches[index].ct_N1HW)


def fit(
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    deterministic: bool = False,
) -> Generator[Step]:
    """Train the layers that are not frozen, yielding after each iteration; write the model file
    after the last.

    Between two iterations the caller may contour with the model, but not change it.
    Raises: SettingsError: the model could not be read from its file again, as with a notice of many
        pages.
    """
    refuse_unwritable(model)
    batches = Batches(cases, model.organs, model.preprocessing, recipe, model.provenance.seed)
    folder = RunFolder(out.with_name(out.name + ".run"))
    hardware = Hardware(deterministic=deterministic)
    yield from run(
        model.network, batches, folder, _identity(model, cases), resume=resume, hardware=hardware
    )
    if is_first_process():
        save_model(model, out)
        folder.close()


def _seed(seed: int) -> None:
    """Make the weights that are drawn next a function of the seed."""
    if not 0 <= seed < 2**63:
        raise SettingsError(f"--seed {seed}: 0 to {2**63 - 1} is expected")
    torch.manual_seed(seed)


def _provenance(
    cohort: Cohort, cases: Sequence[Case], organs: Sequence[str], preset: str, seed: int
) -> Provenance:
    return Provenance(
        preset=preset,
        centre=cohort.centre,
        cases=len(cases),
        cases_per_organ={organ: sum(organ in case.organs for case in cases) for organ in organs},
        seed=seed,
        created=datetime.datetime.now(datetime.UTC).date().isoformat(),
        versions=versions(),
        notices=cohort.notices,
        trained_on=tuple(sorted({case.fingerprint for case in cases})),
        trained_on_patients=tuple(sorted({case.patient for case in cases if case.patient})),
    )


def _identity(model: Model, cases: Sequence[Case]) -> dict[str, Any]:
    """What a run must have in common with the checkpoint it goes on from."""
    cohort = hashlib.sha256("".join(case.version for case in cases).encode()).hexdigest()
    return {
        "architecture": repr(model.architecture),
        "organs": list(model.organs),
        "preprocessing": repr(model.preprocessing),
        **{name.replace("_", " "): repr(value) for name, value in model.recipe.items()},
        "seed": model.provenance.seed,
        "parent model": model.provenance.parent_sha256,
        "retrained layers": model.provenance.retrained_layers,
        "cases": cohort,
    }
