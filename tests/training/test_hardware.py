"""The path of a GPU, as far as a CPU can go: mixed precision, deterministic kernels, several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.test_run import network, steps

from recontour.cohort import Cohort
from recontour.training.run import Hardware, cores


def test_mixed_precision_learns_nearly_the_same(north: Cohort, tmp_path: Path) -> None:
    whole, mixed = network(), network()
    precise = [step.loss for step in steps(whole, north, tmp_path / "32")]
    rough = [
        step.loss for step in steps(mixed, north, tmp_path / "16", hardware=Hardware("cpu", precision="bf16-mixed"))
    ]
    assert all(parameter.dtype == torch.float32 for parameter in mixed.parameters())
    assert rough != precise  # it was used
    assert rough == pytest.approx(precise, rel=0.1)


def test_deterministic_kernels_are_asked_for_while_it_trains(north: Cohort, tmp_path: Path) -> None:
    for _ in steps(network(), north, tmp_path, hardware=Hardware("cpu", deterministic=True)):
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


TOGETHER = """
import sys
from pathlib import Path
from recontour.cohort import Cohort
from recontour.training.run import Hardware, is_first_process
from tests.training.test_run import network, steps
net, out = network(), Path(sys.argv[1])
for step in steps(net, Cohort.open(Path(sys.argv[2])), out / "run", hardware=Hardware("cpu", devices=2)):
    pass
name = f"{'first' if is_first_process() else 'second'}.{step.iteration}"
(out / name).write_text(repr([parameter.tolist() for parameter in net.parameters()]))
"""


def test_two_processes_learn_together(north: Cohort, tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    repository = Path(__file__).resolve().parents[2]
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(north.path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert run.returncode == 0, run.stderr
    first, second = (path.read_text() for path in sorted(tmp_path.glob("*.6")))
    assert first == second  # the weights: each keeps batch statistics of its own, and the first one's are saved
    assert any((tmp_path / "run" / "tensorboard").iterdir())


def test_cores_are_those_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {2, 5}, raising=False)
    assert cores() == 2
    monkeypatch.delattr("os.sched_getaffinity")  # as on macOS and Windows
    assert cores() == 8
