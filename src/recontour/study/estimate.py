"""How long a study will take on this machine, and how much disk: from a few timed steps."""

import time
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from recontour.cohort import Case
from recontour.network import Network
from recontour.network.views import VIEWS_OF_A_SLICE
from recontour.study.cells import Cell
from recontour.study.defaults import depth_of
from recontour.study.fresh import call_fresh
from recontour.study.perform import Workspace
from recontour.study.settings import threads_of
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureStore, learns_from_features, share_seen
from recontour.training.precision import choose_precision
from recontour.training.presets import Preset, preset_of
from recontour.training.profile import StepSeconds, time_step
from recontour.transfer.depth import freeze_all_but_last, layers

# A model file, and while it is trained a checkpoint: weights with two moments each.
FILES_PER_MODEL = 3
BYTES_PER_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a cell will cost.

    bytes: of files that stay. cache_bytes: at most, for a frozen trunk's features during training.
    """

    seconds: float
    bytes: int
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was timed and counted, once for all cells.

    Seconds: of a step of the preset's batch, whole and with all but the last layers frozen; of
    contouring a slice, alone and beside a parent. store: of features that are cached then, if any.
    tested, watched: slices that a model is scored on, and that a validation contours.
    """

    preset: Preset
    retrain_last: int
    whole: float
    frozen: StepSeconds
    contouring: float
    beside_parent: float
    store: FeatureStore | None
    weight_bytes: int
    tested: int
    watched: int


def estimate(cells: Sequence[Cell], workspace: Workspace) -> dict[str, Estimate]:
    """Return seconds and bytes by cell id, if one cell at a time ran.

    The steps are timed in a process of its own, with as many threads as a worker has.
    Raises: FaultError: that process died.
    """
    threads = threads_of(workspace.study)
    environment = {"OMP_NUM_THREADS": str(threads)}
    measured = call_fresh(_measured, cells, workspace, threads, environment=environment)
    return {cell.id: _cost(cell, measured) for cell in cells}


def _measured(
    cells: Sequence[Cell],
    workspace: Workspace,
    threads: int,
) -> _Measured:
    torch.set_num_threads(threads)
    study = workspace.study
    preset = preset_of(study.preset)
    cases = workspace.cases("target", "train")
    organs, batch = _example(cells, cases, preset)

    network = Network(preset.architecture, len(organs))
    last = depth_of(study, len(layers(network)))
    side = preset.preprocessing.crop_px
    precision = choose_precision(study.precision, network, preset.train, len(organs), side)
    whole = time_step(network, batch, preset.train, precision).whole
    weights = sum(parameter.numel() for parameter in network.parameters())
    contouring = _seconds_per_slice(network, batch)
    freeze_all_but_last(network, last)
    frozen = time_step(network, batch, preset.adapt, precision)
    caches = learns_from_features(network, preset.adapt)
    network.branch_at(network.first_that_learns)
    network.ask(deepcopy(network.own_head), range(len(organs)), [0.5] * len(organs))
    beside_parent = _seconds_per_slice(network, batch)

    views = preset.adapt.views
    store = None
    if caches:
        store = FeatureStore.planned(Path(), network, _slices(cases), len(organs), side, views)
    return _Measured(
        preset=preset,
        retrain_last=last,
        whole=whole,
        frozen=frozen,
        contouring=contouring,
        beside_parent=beside_parent,
        store=store,
        weight_bytes=weights * BYTES_PER_WEIGHT,
        tested=sum(map(_slices, workspace.scored.values())),
        watched=_slices(workspace.cases("target", "validation")),
    )


def _example(
    cells: Sequence[Cell], cases: Iterable[Case], preset: Preset
) -> tuple[list[str], Batch]:
    """Return a batch of a case that has organs of the largest cell, and which it has."""
    organs = max((cell.organs for cell in cells), key=len)
    case = next(case for case in cases if not set(organs).isdisjoint(case.organs))
    present = [organ for organ in organs if organ in case.organs]
    return present, Batches([case], present, preset.preprocessing, preset.adapt, 0)[0]


def _slices(cases: Iterable[Case]) -> int:
    return sum(case.grid.shape[0] for case in cases)


def _seconds_per_slice(network: Network, batch: Batch) -> float:
    """Time contouring."""
    network.eval()
    began = time.perf_counter()
    with torch.inference_mode():
        network(batch.ct_NSHW)
    seconds_per_view = (time.perf_counter() - began) / len(batch.ct_NSHW)
    return VIEWS_OF_A_SLICE * seconds_per_view


def _cost(cell: Cell, measured: _Measured) -> Estimate:
    adapt = replace(measured.preset.adapt, iterations=cell.iterations)
    is_shallow = cell.retrain_last is not None and cell.retrain_last <= measured.retrain_last
    store = measured.store if is_shallow and not cell.plain else None
    step = _seconds_per_step(cell, measured, store, is_shallow=is_shallow)
    asks_parent = cell.parent and not cell.plain and adapt.parent_patients > 0
    contouring = measured.beside_parent if asks_parent else measured.contouring
    return Estimate(
        seconds=cell.iterations * step + _slices_contoured(cell, measured) * contouring,
        bytes=FILES_PER_MODEL * measured.weight_bytes,
        cache_bytes=store.most_bytes(adapt) if store else 0,
    )


def _seconds_per_step(
    cell: Cell,
    measured: _Measured,
    store: FeatureStore | None,
    *,
    is_shallow: bool,
) -> float:
    usual = measured.preset.train.batch
    slices = cell.batch or usual
    if not is_shallow:
        return measured.whole * slices / usual
    # Shares: of slices that the trunk has not seen yet, of features that a step sees.
    unseen = seen = 1.0
    if store and cell.iterations:
        adapt = replace(measured.preset.adapt, iterations=cell.iterations)
        unseen = min(1.0, store.slots / (cell.iterations * slices))
        seen = share_seen(adapt, store.features_hwC[0])
    step = seen * measured.frozen.head + unseen * measured.frozen.trunk
    return step * slices / usual


def _slices_contoured(cell: Cell, measured: _Measured) -> int:
    """Count the slices that are contoured to score a cell's model, and to validate it."""
    if not cell.iterations:
        return 0
    validations = cell.iterations // cell.validate_every if cell.validate_every else 0
    return measured.tested + measured.watched * validations
