"""A checkpoint that no run has written is refused, whatever was changed in it."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.test_run import network, steps

from recontour.cohort import Cohort
from recontour.errors import ResumeError
from recontour.network.model_file import sha256_of
from recontour.training.run import RunFolder

State = dict[str, Any]


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


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.clear(),
        lambda state: state.pop("done"),
        lambda state: state.update(done=0),
        lambda state: state.update(done=-1),
        lambda state: state.update(done=7),
        lambda state: state.update(done=10**30),
        lambda state: state.update(done=1e30),
        lambda state: state.update(done="2"),
        lambda state: state.update(done=True),
        lambda state: state.update(done=torch.tensor(2)),
        lambda state: state.update(identity=[]),
        lambda state: state.update(identity={"what": torch.zeros(3)}),
        lambda state: state.update(identity={5: "x"}),
        lambda state: state.update(network=None),
        lambda state: state["network"].pop("spp.scores.bias"),
        lambda state: state["network"].update(more=torch.zeros(1)),
        lambda state: state["network"].update({"spp.scores.bias": "\x1b[2J"}),
        lambda state: state["network"].update({"spp.scores.bias": torch.zeros(1)}),
        lambda state: state["network"].update({"spp.scores.bias": torch.zeros(6).double()}),
        lambda state: state.update(optimiser=[]),
        lambda state: state["optimiser"].update(state=None),
        lambda state: state["optimiser"]["state"].update({10**6: {}}),
        lambda state: state["optimiser"]["state"].update({0: False}),
        lambda state: state["optimiser"]["state"].update({0: {"momentum_buffer": torch.zeros(1)}}),
        lambda state: moments(state).update(exp_avg=torch.zeros(3)),
        lambda state: moments(state).update(exp_avg_sq=None),
        lambda state: moments(state).update(step=torch.tensor(-1.0)),
        lambda state: moments(state).update(step=torch.tensor(float("nan"))),
        lambda state: moments(state).update(step="1"),
    ],
)
def test_what_no_run_has_written_is_damaged(
    north: Cohort, tmp_path: Path, path: Path, change: Callable[[State], object]
) -> None:
    bent(path, change)
    with pytest.raises(
        ResumeError, match=r"checkpoint\.ckpt is damaged \(.*\); delete .* and start again"
    ) as refused:
        list(steps(network(), north, tmp_path, resume=True))
    assert len(str(refused.value).splitlines()) == 1


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
    with pytest.raises(ResumeError, match="is damaged"):
        list(steps(network(), north, tmp_path, resume=True))


def test_a_checkpoint_that_would_unfold_is_not_read(
    north: Cohort, tmp_path: Path, path: Path
) -> None:
    """PyTorch never compresses; a few kilobytes that do may stand for gigabytes of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("checkpoint/data.pkl", b"\0" * 1_000_000)
    with pytest.raises(ResumeError, match="is damaged"):
        list(steps(network(), north, tmp_path, resume=True))
