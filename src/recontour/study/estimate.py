"""How long a study will take on this machine, and how much disk: from a few timed steps."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from pathlib import Path

import torch

from recontour.cohort import Case
from recontour.executors import Place, executor_at
from recontour.network import Network
from recontour.network.views import VIEWS_OF_A_SLICE
from recontour.study.cells import Cell
from recontour.study.defaults import depth_of
from recontour.study.perform import Workspace, training_cases
from recontour.study.settings import threads_of
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureStore, learns_from_features, share_seen
from recontour.training.precision import choose_precision, trains_on_cpu
from recontour.training.presets import Preset, preset_of
from recontour.training.profile import StepSeconds, time_step
from recontour.training.recipe import Precision
from recontour.transfer.depth import freeze_all_but_last, layers
from recontour.workflows.checking import can_choose
from recontour.workflows.wanted import SHORT

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
class Forecast:
    """What a study will cost.

    cells: in the order of their start. costs: by id. workers: how many cells run at a time.
    """

    cells: Sequence[Cell]
    costs: Mapping[str, Estimate]
    workers: int

    @property
    def seconds(self) -> float:
        """Return when the last cell ends: a free worker takes the first cell that can start.

        A cell waits for its parent, so the longest chain of cells takes its time with any number
        of workers.
        """
        children = self._children()
        coming = [(0.0, place) for place in children[None]]  # when a cell can start, and which
        ready: list[int] = []
        free = [0.0] * self.workers  # since when each worker is
        while coming or ready:
            now = heappop(free)
            if not ready:
                now = max(now, coming[0][0])
            while coming and coming[0][0] <= now:
                heappush(ready, heappop(coming)[1])
            cell = self.cells[heappop(ready)]
            end = now + self.costs[cell.id].seconds
            heappush(free, end)
            for child in children[cell.id]:
                heappush(coming, (end, child))
        return max(free)

    def _children(self) -> Mapping[str | None, Sequence[int]]:
        """Return the places of each cell's children; None: of those whose parent is finished."""
        children: dict[str | None, list[int]] = defaultdict(list)
        for place, cell in enumerate(self.cells):
            parent = cell.parent.id if cell.parent else None
            children[parent if parent in self.costs else None].append(place)
        return children


@dataclass(frozen=True, slots=True)
class _Adaptation:
    """A step with all but the last layers frozen. store: of features that are cached, if any."""

    step: StepSeconds
    store: FeatureStore | None


@dataclass(frozen=True, slots=True)
class _Measured:
    """What was timed and counted, once for all cells.

    all_layers: seconds of a step of the preset's batch in which all layers learn. last_layers: the
    same where only the last ones do, by their number. Seconds of contouring a slice: alone, and
    beside a parent. tested: slices that a model is scored on, by the fold that it holds out.
    watched: slices that a validation contours. chosen_on: slices on which the parent's say is
    chosen, by the id of each cell that does so.
    """

    preset: Preset
    all_layers: float
    last_layers: Mapping[int, _Adaptation]
    contouring: float
    beside_parent: float
    weight_bytes: int
    tested: Mapping[int | None, int]
    watched: int
    chosen_on: Mapping[str, int]


def estimate(cells: Sequence[Cell], workspace: Workspace) -> dict[str, Estimate]:
    """Return seconds and bytes by cell id, if one cell at a time ran.

    The steps are timed in a process of its own, with as many threads as a worker has.
    Raises: FaultError: that process died, time and again.
    """
    threads = threads_of(workspace.study)
    with executor_at(Place("local", 1), threads) as executor:
        measured = executor.submit(_measured, cells, workspace, threads).result()
    return {cell.id: _cost(cell, measured) for cell in cells}


def _measured(
    cells: Sequence[Cell],
    workspace: Workspace,
    threads: int,
) -> _Measured:
    torch.set_num_threads(threads)
    study = workspace.study
    preset = preset_of(study.preset)
    cases = workspace.learnt("target")
    organs, batch = _example(cells, cases, preset)

    network = Network(preset.architecture, len(organs))
    count = len(layers(network))
    precision = _timed_precision(workspace, network, len(organs))
    all_layers = time_step(network, batch, preset.train, precision).whole
    weights = sum(parameter.numel() for parameter in network.parameters())
    contouring = _seconds_per_slice(network, batch)
    last_layers = {}
    for last in sorted(_depths(cells)):
        if last < count:
            freeze_all_but_last(network, last)
            step = time_step(network, batch, preset.adapt, precision)
            store = _store(network, preset, _slices(cases), len(organs))
            last_layers[last] = _Adaptation(step, store)
    freeze_all_but_last(network, depth_of(study, count))
    network.branch_at(network.first_that_learns)
    network.ask(deepcopy(network.own_head), range(len(organs)), [0.5] * len(organs))
    beside_parent = _seconds_per_slice(network, batch)

    return _Measured(
        preset=preset,
        all_layers=all_layers,
        last_layers=last_layers,
        contouring=contouring,
        beside_parent=beside_parent,
        weight_bytes=weights * BYTES_PER_WEIGHT,
        tested=_tested(cells, workspace),
        watched=_slices(workspace.cases("target", "validation")),
        chosen_on=_chosen_on(cells, workspace),
    )


def _chosen_on(cells: Iterable[Cell], workspace: Workspace) -> dict[str, int]:
    """Count the slices on which each cell chooses its parent's say, if it does."""
    slices = {}
    for cell in cells:
        if cell.parent and not cell.plain:
            cases = training_cases(cell, workspace, "target")
            if can_choose(cell.organs, cell.parent.organs, cases):
                slices[cell.id] = _slices(cases)
    return slices


def _tested(cells: Iterable[Cell], workspace: Workspace) -> dict[int | None, int]:
    """Count the slices that a model is scored on, by the fold that it holds out."""
    slices = {}
    for held_out in {cell.held_out for cell in cells}:
        scored = workspace.scored(held_out)
        slices[held_out] = sum(map(_slices, scored.values()))
    return slices


def _timed_precision(workspace: Workspace, network: Network, organs: int) -> Precision:
    """Return what the steps are timed in: on the processor, even where a GPU will train."""
    if not trains_on_cpu():
        return "float32"
    study = workspace.study
    preset = preset_of(study.preset)
    side = preset.preprocessing.crop_px
    return choose_precision(study.precision, network, preset.train, organs, side)


def _depths(cells: Iterable[Cell]) -> set[int]:
    """Return the numbers of layers that cells retrain."""
    return {cell.retrain_last for cell in cells if cell.retrain_last is not None}


def _store(
    network: Network,
    preset: Preset,
    slices: int,
    organs: int,
) -> FeatureStore | None:
    """Return the store of a frozen trunk's features; None if they are not cached."""
    recipe = preset.adapt
    if not learns_from_features(network, recipe):
        return None
    side = preset.preprocessing.crop_px
    return FeatureStore.planned(Path(), network, slices, organs, side, recipe.views)


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
    store = _store_of(cell, measured)
    asks_parent = cell.parent and not cell.plain and adapt.parent_patients > 0
    contouring = measured.beside_parent if asks_parent else measured.contouring
    iterations = cell.iterations
    contoured = _slices_contoured(cell, measured)
    if asks_parent and cell.id in measured.chosen_on:
        iterations += SHORT.folds * SHORT.recipe(adapt).iterations
        contoured += measured.chosen_on[cell.id]
    step = _seconds_per_step(cell, measured)
    return Estimate(
        seconds=iterations * step + contoured * contouring,
        bytes=FILES_PER_MODEL * measured.weight_bytes,
        cache_bytes=store.most_bytes(adapt) if store else 0,
    )


def _store_of(cell: Cell, measured: _Measured) -> FeatureStore | None:
    """Return the store of the features that a cell caches, if it does."""
    adaptation = measured.last_layers.get(cell.retrain_last or 0)
    return adaptation.store if adaptation and not cell.plain else None


def _seconds_per_step(cell: Cell, measured: _Measured) -> float:
    usual = measured.preset.train.batch
    slices = cell.batch or usual
    adaptation = measured.last_layers.get(cell.retrain_last or 0)
    if not adaptation:
        return measured.all_layers * slices / usual
    # Shares: of slices that the trunk has not seen yet, of features that a step sees.
    unseen = seen = 1.0
    store = _store_of(cell, measured)
    if store and cell.iterations:
        adapt = replace(measured.preset.adapt, iterations=cell.iterations)
        unseen = min(1.0, store.slots / (cell.iterations * slices))
        seen = share_seen(adapt, store.features_hwC[0])
    step = seen * adaptation.step.head + unseen * adaptation.step.trunk
    return step * slices / usual


def _slices_contoured(cell: Cell, measured: _Measured) -> int:
    """Count the slices that are contoured to score a cell's model, and to validate it."""
    if not cell.iterations:
        return 0
    validations = cell.iterations // cell.validate_every if cell.validate_every else 0
    return measured.tested[cell.held_out] + measured.watched * validations
