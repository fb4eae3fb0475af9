"""What a study will cost: counted by hand, and timed without a trace in this process."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recontour.cohort import Cohort
from recontour.study.estimate import FILES_PER_MODEL, estimate
from recontour.study.folder import lay_out, study_plan
from recontour.study.perform import Workspace
from recontour.study.settings import CentreSettings, ModelsSettings, Study


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
