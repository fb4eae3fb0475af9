"""What a GPU would do, as far as a CPU can: mixed precision, deterministic kernels, processes."""

import os
from pathlib import Path

import pytest
import torch
from tests.training.test_run import network, steps

from recontour.cohort import Cohort
from recontour.processes import cores
from recontour.training.run import Hardware


def test_mixed_precision_learns_nearly_the_same(north: Cohort, tmp_path: Path) -> None:
    whole, mixed = network(), network()
    precise = [step.loss for step in steps(whole, north, tmp_path / "32")]
    rough = [
        step.loss
        for step in steps(mixed, north, tmp_path / "16", hardware=Hardware("cpu", precision="bf16"))
    ]
    assert all(parameter.dtype == torch.float32 for parameter in mixed.parameters())
    assert rough != precise  # it was used
    assert rough == pytest.approx(precise, rel=0.1)


def test_deterministic_kernels_are_asked_for_while_it_trains(north: Cohort, tmp_path: Path) -> None:
    for _ in steps(network(), north, tmp_path, hardware=Hardware("cpu", deterministic=True)):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


LEFT_BEHIND = {  # by queues, launchers and clusters that this process is started in, or was
    "SLURM_NTASKS": "4",
    "SLURM_JOB_ID": "7",
    "SLURM_JOB_NAME": "south",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "2",
    "SLURM_NODEID": "0",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "TORCHELASTIC_RUN_ID": "1",
    "RANK": "3",
    "LOCAL_RANK": "3",
    "WORLD_SIZE": "4",
    "LSB_JOBID": "1",
    "LSB_DJOB_RANKFILE": "/nowhere",
    "JSM_NAMESPACE_RANK": "2",
    "JSM_NAMESPACE_LOCAL_RANK": "2",
    "JSM_NAMESPACE_SIZE": "4",
    "PMI_RANK": "2",
    "PMI_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "2",
    "KUBERNETES_PORT": "tcp://10.0.0.1:443",
    "MASTER_ADDR": "elsewhere",
    "MASTER_PORT": "1",
}


def with_srun(folder: Path) -> Path:
    """Return a folder of programs with an `srun` that fails."""
    srun = folder / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text("#!/bin/sh\nexit 1\n")
    srun.chmod(0o755)
    return srun.parent


@pytest.mark.parametrize("inside", [False, True])
def test_a_cluster_s_client_and_what_it_sets_change_nothing(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    """Lightning would warn of an unused `srun`, and fail inside one with several tasks."""
    monkeypatch.setenv("PATH", str(with_srun(tmp_path)), prepend=os.pathsep)
    for name, value in LEFT_BEHIND.items():
        if inside:
            monkeypatch.setenv(name, value)
    assert len(list(steps(network(), north, tmp_path / "run"))) == 6
    # It is the first process, and the only one.
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {2, 5}, raising=False)
    assert cores() == 2
    monkeypatch.delattr("os.sched_getaffinity")  # as on macOS and Windows
    assert cores() == 8
