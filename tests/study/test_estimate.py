"""What a study will cost: counted by hand, and timed without a trace in this process."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recontour.cohort import Cohort
from recontour.executors import Place
from recontour.network import Network
from recontour.study.cells import Cell
from recontour.study.estimate import FILES_PER_MODEL, Estimate, Forecast, estimate
from recontour.study.folder import lay_out, study_plan
from recontour.study.perform import Workspace
from recontour.study.settings import CentreSettings, DepthSettings, ModelsSettings, Study
from recontour.training.batches import Batch
from recontour.training.profile import StepSeconds
from recontour.training.recipe import Precision, Recipe


@pytest.fixture
def workspace(north: Cohort, south: Cohort, tmp_path: Path) -> Workspace:
    source = CentreSettings(cohort=north.path, test=1)
    target = CentreSettings(cohort=south.path, test=1)
    models = ModelsSettings(iterations=10)
    return lay_out(Study(source, target, models, threads=1), tmp_path)


def test_an_estimate_leaves_this_process_as_it_was(workspace: Workspace) -> None:
    threads = torch.get_num_threads()
    environment = dict(os.environ)
    torch.set_num_threads(threads + 1)
    try:
        cells = study_plan(workspace).cells
        costs = estimate(cells, workspace)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert dict(os.environ) == environment
    s, t, st = (costs[cell.id] for cell in cells)
    assert all(cost.seconds > 0 for cost in (s, t, st))
    assert s.bytes == t.bytes == st.bytes
    assert s.bytes % (4 * FILES_PER_MODEL) == 0
    # No trunk is frozen, so no features are cached.
    assert s.cache_bytes == t.cache_bytes == st.cache_bytes == 0


def test_only_a_frozen_trunk_s_features_are_cached(workspace: Workspace) -> None:
    study = workspace.study
    shallow = replace(study, models=replace(study.models, retrain_last=10))
    cells = study_plan(replace(workspace, study=shallow)).cells
    costs = estimate(cells, replace(workspace, study=shallow))
    s, t, st = (costs[cell.id] for cell in cells)
    assert s.cache_bytes == t.cache_bytes == 0 < st.cache_bytes


@contextmanager
def here(_place: Place, _threads: int) -> Iterator[Executor]:
    """Give an executor that needs no other process."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def timed_in(monkeypatch: pytest.MonkeyPatch) -> list[Precision]:
    """Count what learns instead of timing it, and return what each step would be timed in."""
    precisions: list[Precision] = []

    def counted(network: Network, _: Batch, __: Recipe, precision: Precision) -> StepSeconds:
        precisions.append(precision)
        learning = 0
        for parameter in network.parameters():
            learning += parameter.numel() * parameter.requires_grad
        return StepSeconds(whole=float(learning), head=float(learning))

    monkeypatch.setattr("recontour.study.estimate.time_step", counted)
    monkeypatch.setattr("recontour.study.estimate.executor_at", here)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    return precisions


def test_each_depth_is_timed_for_itself(workspace: Workspace, timed_in: list[Precision]) -> None:
    depth = DepthSettings(iterations=10_000, layers=(1, 10, "all"), controls=("random trunk",))
    study = replace(workspace.study, depth=depth)
    plan = study_plan(replace(workspace, study=study))
    costs = estimate(plan.cells, workspace)
    one, ten, every = (costs[cells[0].id].seconds for cells in plan.depth.values())
    (random_trunk,) = plan.controls["random trunk"]
    assert 2 * one < ten < every
    assert costs[random_trunk.id].seconds == pytest.approx(ten, rel=1e-3)
    assert timed_in == 3 * ["float32"]


def test_steps_are_timed_in_float32_where_a_gpu_will_train(
    workspace: Workspace, timed_in: list[Precision], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They run on the processor, whatever pays on the GPU."""
    cells = study_plan(workspace).cells
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    estimate(cells, workspace)
    assert timed_in == ["float32"]


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        (1, 20),
        (2, 11),  # S and an ST beside T and the other ST
        (9, 9),  # S, then its slower ST
    ],
)
def test_cells_wait_for_their_parent_and_for_a_worker(workers: int, seconds: float) -> None:
    s = Cell("S", ("Brainstem",), 1, seed=0)
    t = replace(s, model="T")
    one = Cell("ST", ("Brainstem",), 1, seed=0, parent=s)
    ten = replace(one, retrain_last=10)
    durations = {s: 4, t: 6, one: 5, ten: 5}
    costs = {cell.id: Estimate(float(took), 0, 0) for cell, took in durations.items()}
    assert Forecast([s, t, one, ten], costs, workers).seconds == seconds


def test_a_cell_does_not_wait_for_a_parent_that_is_finished() -> None:
    s = Cell("S", ("Brainstem",), 1, seed=0)
    st = Cell("ST", ("Brainstem",), 1, seed=0, parent=s)
    assert Forecast([st], {st.id: Estimate(5.0, 0, 0)}, 1).seconds == 5
    assert Forecast([], {}, 2).seconds == 0
