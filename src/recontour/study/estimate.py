"""How long a study will take on this machine, and how much disk:

from a few timed steps, before anything is run.
"""

import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from recontour.network import Network
from recontour.study.cells import Cell
from recontour.study.perform import Workspace
from recontour.study.settings import threads_of
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureStore, learns_from_features, share_seen
from recontour.training.presets import preset_of
from recontour.training.profile import time_step
from recontour.transfer.depth import freeze_all_but_last

FILES_PER_MODEL = (
    3  # a model file, and while it is trained a checkpoint: weights with two moments each
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a cell will cost."""

    seconds: float
    bytes: int  # that stay
    cache_bytes: int  # that the features of a frozen trunk may take while it trains


def estimate(cells: Sequence[Cell], workspace: Workspace) -> dict[str, Estimate]:
    """Seconds and bytes by cell id, if one cell at a time ran."""
    torch.set_num_threads(threads_of(workspace.study))
    preset = preset_of(workspace.study.preset)
    organs = max((cell.organs for cell in cells), key=len)
    cases = [
        case
        for case in workspace.cases("target", "train")
        if not set(organs).isdisjoint(case.organs)
    ][:1]
    present = [organ for organ in organs if organ in cases[0].organs]
    batch = Batches(cases, present, preset.preprocessing, preset.adapt, 0)[0]
    network = Network(preset.architecture, len(present))
    whole = time_step(network, batch, preset.train).whole
    weights = sum(parameter.numel() for parameter in network.parameters()) * 4
    alone = _seconds_a_slice(network, batch)
    freeze_all_but_last(network, workspace.study.models.retrain_last)
    frozen = time_step(network, batch, preset.adapt)
    cached = learns_from_features(network, preset.adapt)
    network.branch_at(network.first_that_learns)
    network.ask(deepcopy(network.own_head), range(len(present)), [0.5] * len(present))
    beside_parent = _seconds_a_slice(network, batch)

    learnt = sum(case.grid.shape[0] for case in workspace.cases("target", "train"))
    store = FeatureStore.planned(
        Path(), network, learnt, len(present), preset.preprocessing.crop_px, preset.adapt.views
    )
    tested = sum(case.grid.shape[0] for cases in workspace.scored.values() for case in cases)
    watched = sum(case.grid.shape[0] for case in workspace.cases("target", "validation"))

    def cost(cell: Cell) -> Estimate:
        shallow = (
            cell.retrain_last is not None
            and cell.retrain_last <= workspace.study.models.retrain_last
        )
        slices = cell.batch or preset.train.batch
        asks_parent = cell.parent and not cell.plain and preset.adapt.parent_patients > 0
        caches = shallow and cached and not cell.plain
        new = seen = (
            # shares: of slices whose features are not in the cache yet, of features that a step
            # sees
            1.0
        )
        if caches and cell.iterations:
            new = min(1.0, store.slots / (cell.iterations * slices))
            seen = share_seen(
                replace(preset.adapt, iterations=cell.iterations), store.features_hwC[0]
            )
        step = (
            (seen * frozen.head + new * frozen.trunk if shallow else whole)
            * slices
            / preset.train.batch
        )
        looks = cell.iterations // cell.validate_every if cell.validate_every else 0
        scored = tested * bool(cell.iterations) + watched * looks
        return Estimate(
            seconds=cell.iterations * step + scored * (beside_parent if asks_parent else alone),
            bytes=FILES_PER_MODEL * weights,
            cache_bytes=store.most_bytes(replace(preset.adapt, iterations=cell.iterations))
            if caches
            else 0,
        )

    return {cell.id: cost(cell) for cell in cells}


def _seconds_a_slice(network: Network, batch: Batch) -> float:
    """Of contouring."""
    network.eval()
    began = time.perf_counter()
    with torch.inference_mode():
        network(batch.ct_N1HW)
    return (time.perf_counter() - began) / len(batch.ct_N1HW)
