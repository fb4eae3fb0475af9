"""A checkpoint that no run has written is refused, for every part that may be changed."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.test_run import network, steps

from recontour.cohort import Cohort
from recontour.errors import ResumeError
from recontour.network.model import sha256_of
from recontour.training.findings import DamagedCheckpoint, Flaw
from recontour.training.folder import RunFolder

State = dict[str, Any]
BIAS = "heads.0.spp.scores.bias"


@pytest.fixture
def path(north: Cohort, tmp_path: Path) -> Path:
    """A checkpoint of a run with two of six iterations done."""
    running = steps(network(), north, tmp_path)
    next(running)
    next(running)
    running.close()  # type: ignore[attr-defined]  # a generator
    return RunFolder(tmp_path).checkpoint


def bent(path: Path, change: Callable[[State], object]) -> None:
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def moments(state: State) -> State:
    kept: State = state["optimiser"]["state"][0]
    return kept


def weights(state: State) -> State:
    kept: State = state["network"]
    return kept


def of_parameters(state: State) -> dict[int, Any]:
    kept: dict[int, Any] = state["optimiser"]["state"]
    return kept


@pytest.mark.parametrize(
    ("flaw", "change"),
    [
        (Flaw.PARTS_MISSING, lambda state: state.clear()),
        (Flaw.PARTS_MISSING, lambda state: state.pop("done")),
        (Flaw.ITERATIONS, lambda state: state.update(done=0)),
        (Flaw.ITERATIONS, lambda state: state.update(done=-1)),
        (Flaw.ITERATIONS, lambda state: state.update(done=7)),
        (Flaw.ITERATIONS, lambda state: state.update(done=10**30)),
        (Flaw.ITERATIONS, lambda state: state.update(done=1e30)),
        (Flaw.ITERATIONS, lambda state: state.update(done="2")),
        (Flaw.ITERATIONS, lambda state: state.update(done=True)),
        (Flaw.ITERATIONS, lambda state: state.update(done=torch.tensor(2))),
        (Flaw.IDENTITY, lambda state: state.update(identity=[])),
        (Flaw.IDENTITY, lambda state: state.update(identity={"what": torch.zeros(3)})),
        (Flaw.IDENTITY, lambda state: state.update(identity={5: "x"})),
        (Flaw.OTHER_WEIGHTS, lambda state: state.update(network=None)),
        (Flaw.OTHER_WEIGHTS, lambda state: weights(state).pop(BIAS)),
        (Flaw.OTHER_WEIGHTS, lambda state: weights(state).update(more=torch.zeros(1))),
        (Flaw.OTHER_WEIGHTS, lambda state: weights(state).update({BIAS: "\x1b[2J"})),
        (Flaw.OTHER_WEIGHTS, lambda state: weights(state).update({BIAS: torch.zeros(1)})),
        (Flaw.OTHER_WEIGHTS, lambda state: weights(state).update({BIAS: torch.zeros(6).double()})),
        (Flaw.NO_OPTIMISER_STATE, lambda state: state.update(optimiser=[])),
        (Flaw.NO_OPTIMISER_STATE, lambda state: state["optimiser"].update(state=None)),
        (Flaw.OTHER_PARAMETERS, lambda state: of_parameters(state).update({10**6: {}})),
        (Flaw.OTHER_OPTIMISER, lambda state: of_parameters(state).update({0: False})),
        (
            Flaw.OTHER_MOMENTS,
            lambda state: of_parameters(state).update({0: {"momentum_buffer": torch.zeros(1)}}),
        ),
        (Flaw.OTHER_MOMENTS, lambda state: moments(state).update(exp_avg=torch.zeros(3))),
        (Flaw.OTHER_MOMENTS, lambda state: moments(state).update(exp_avg_sq=None)),
        (Flaw.OTHER_STEPS, lambda state: moments(state).update(step=torch.tensor(-1.0))),
        (Flaw.OTHER_STEPS, lambda state: moments(state).update(step=torch.tensor(float("nan")))),
        (Flaw.OTHER_STEPS, lambda state: moments(state).update(step="1")),
    ],
)
def test_what_no_run_has_written_is_damaged(
    north: Cohort, tmp_path: Path, path: Path, flaw: Flaw, change: Callable[[State], object]
) -> None:
    bent(path, change)
    with pytest.raises(ResumeError) as refused:
        list(steps(network(), north, tmp_path, resume=True))
    finding = refused.value.finding
    assert isinstance(finding, DamagedCheckpoint)
    assert (finding.path, finding.flaw) == (path, flaw)
    assert len(str(refused.value).splitlines()) == 1


def test_a_weight_that_does_not_fit_is_named(north: Cohort, tmp_path: Path, path: Path) -> None:
    bent(path, lambda state: weights(state).update({BIAS: torch.zeros(1)}))
    with pytest.raises(ResumeError) as refused:
        list(steps(network(), north, tmp_path, resume=True))
    expected = DamagedCheckpoint(path=path, flaw=Flaw.OTHER_WEIGHTS, weight=BIAS)
    assert refused.value.finding == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda state: None,
        lambda state: state["optimiser"].update(param_groups=[]),
        lambda state: state["optimiser"]["param_groups"][0].update(
            weight_decay=float("nan"), betas=[]
        ),
        lambda state: state["optimiser"]["param_groups"][0].pop("params"),
    ],
)
def test_the_optimiser_s_settings_are_the_recipe_s(
    north: Cohort, tmp_path: Path, path: Path, change: Callable[[State], object]
) -> None:
    bent(path, change)
    resumed, unbroken = network(), network()
    list(steps(resumed, north, tmp_path, resume=True))
    list(steps(unbroken, north, tmp_path / "another"))
    assert sha256_of(resumed) == sha256_of(unbroken)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x04.", b"no checkpoint"])
def test_other_bytes_are_damaged(north: Cohort, tmp_path: Path, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ResumeError) as refused:
        list(steps(network(), north, tmp_path, resume=True))
    assert refused.value.finding == DamagedCheckpoint(path=path, flaw=Flaw.NOT_READABLE)


def test_a_checkpoint_that_would_unfold_is_not_read(
    north: Cohort, tmp_path: Path, path: Path
) -> None:
    """PyTorch never compresses; a few kilobytes that do may stand for gigabytes of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("checkpoint/data.pkl", b"\0" * 1_000_000)
    with pytest.raises(ResumeError) as refused:
        list(steps(network(), north, tmp_path, resume=True))
    assert refused.value.finding == DamagedCheckpoint(path=path, flaw=Flaw.COMPRESSED)
