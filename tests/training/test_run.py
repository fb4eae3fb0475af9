"""Frozen layers stay to the bit; a run that is broken off ends in the bits of one that was not."""

import errno
import logging
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.conftest import TINY_UNET
from torch.optim.optimizer import register_optimizer_step_pre_hook

from recontour.cohort import Cohort
from recontour.errors import FaultError, ResumeError, SettingsError
from recontour.files import MachineFault
from recontour.findings import stored_words
from recontour.network import AnyArchitecture, Architecture, Network, Preprocessing
from recontour.network.model import sha256_of
from recontour.processes import ended_by_signals
from recontour.training.batches import Batches
from recontour.training.findings import (
    DamagedCheckpoint,
    DifferentRun,
    DivergedLoss,
    FailedRun,
    Flaw,
    KeptIterations,
    UnfinishedRun,
)
from recontour.training.folder import RunFolder
from recontour.training.loop import Step, learning_rate_at
from recontour.training.presets import PRESETS
from recontour.training.recipe import Recipe
from recontour.training.run import Hardware, run
from recontour.transfer.depth import freeze_all_but_last

TINY = Architecture(
    stem_channels=16,
    widths=(16, 16, 16, 16),
    blocks=(1, 1, 1),
    expansion=1,
    spp_channels=16,
    norm="batch",
)
ORGANS = ("Brainstem", "Lens_L")
RECIPE = replace(PRESETS["compact"].train, iterations=6, batch=2)
IDENTITY = {"what": "a test"}
CPU = Hardware("cpu")


def network(seed: int = 0, architecture: AnyArchitecture = TINY) -> Network:
    torch.manual_seed(seed)
    return Network(architecture, len(ORGANS))


def steps(
    net: Network,
    cohort: Cohort,
    folder: Path,
    recipe: Recipe = RECIPE,
    *,
    resume: bool = False,
    hardware: Hardware = CPU,
    checkpoint_seconds: float = 0.0,
) -> Iterator[Step]:
    batches = Batches(list(cohort), ORGANS, Preprocessing(4.0, 33, (-200.0, 400.0)), recipe, seed=0)
    how = {"resume": resume, "checkpoint_seconds": checkpoint_seconds}
    return run(net, batches, RunFolder(folder), IDENTITY, hardware=hardware, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("optimiser", "family"), [("sgd", TINY), ("adamw", TINY), ("adamw", TINY_UNET)]
)
def test_a_broken_run_ends_in_the_bits_of_an_unbroken_one(
    north: Cohort, tmp_path: Path, optimiser: str, family: AnyArchitecture
) -> None:
    recipe = replace(RECIPE, optimiser=optimiser)
    unbroken = network(architecture=family)
    list(steps(unbroken, north, tmp_path / "a", recipe))

    broken = network(architecture=family)
    started = steps(broken, north, tmp_path / "b", recipe)
    for _ in range(3):
        next(started)
    started.close()  # type: ignore[attr-defined]  # a generator
    again = network(99, family)  # a new process starts from other weights; the checkpoint's count
    rest = list(steps(again, north, tmp_path / "b", recipe, resume=True))
    assert [step.iteration for step in rest] in ([4, 5, 6], [3, 4, 5, 6])
    assert sha256_of(again) == sha256_of(unbroken)


def test_a_run_with_neighbours_learns_and_resumes_to_the_bit(north: Cohort, tmp_path: Path) -> None:
    seen = Preprocessing(4.0, 33, (-200.0, 400.0), neighbours_mm=(4.0, -4.0, 12.0))
    batches = Batches(list(north), ORGANS, seen, RECIPE, seed=0)

    def drawn(seed: int) -> Network:
        torch.manual_seed(seed)
        return Network(replace(TINY, slices=4), len(ORGANS))

    unbroken = drawn(0)
    before = sha256_of(unbroken)
    list(run(unbroken, batches, RunFolder(tmp_path / "a"), IDENTITY, resume=False, hardware=CPU))
    broken = RunFolder(tmp_path / "b")
    started = run(drawn(0), batches, broken, IDENTITY, resume=False, hardware=CPU)
    for _ in range(3):
        next(started)
    started.close()
    again = drawn(99)
    list(run(again, batches, broken, IDENTITY, resume=True, hardware=CPU))
    assert before != sha256_of(again) == sha256_of(unbroken)


def test_the_frozen_part_is_the_same_to_the_bit(north: Cohort, tmp_path: Path) -> None:
    net = network()
    freeze_all_but_last(net, 4)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    list(steps(net, north, tmp_path / "run"))
    retrained = ("heads.0.conv5.2.", "heads.0.spp.")
    for name, tensor in net.state_dict().items():
        if name.startswith(retrained):
            assert not torch.equal(tensor, before[name]), name
        else:
            assert torch.equal(tensor, before[name]), name


def test_the_frozen_part_of_a_u_net_is_the_same_to_the_bit(north: Cohort, tmp_path: Path) -> None:
    net = network(architecture=TINY_UNET)
    freeze_all_but_last(net, 4)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    recipe = replace(RECIPE, views=2, window=(2, 3))  # which serve a network with one map alone
    list(steps(net, north, tmp_path / "run", recipe))
    retrained = ("heads.0.up8.b.", "heads.0.up4.", "heads.0.scores.")
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith(retrained), name


def test_learning_learns(north: Cohort, tmp_path: Path) -> None:
    losses = [
        step.loss
        for step in steps(network(), north, tmp_path / "run", replace(RECIPE, iterations=40))
    ]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_the_effective_learning_rate_is_the_schedule_s(north: Cohort, tmp_path: Path) -> None:
    recipe = replace(RECIPE, warm_up=0, learning_rate=0.1, power=0.9)
    rates = [step.learning_rate for step in steps(network(), north, tmp_path / "run", recipe)]
    assert rates == [pytest.approx(0.1 * (1 - i / 6) ** 0.9) for i in range(6)]
    warm = replace(recipe, warm_up=3)
    assert [learning_rate_at(i, warm) for i in (0, 3)] == [
        pytest.approx(0.025),
        pytest.approx(0.1 * 0.5**0.9),
    ]


def test_an_unfinished_run_is_not_started_over_by_accident(north: Cohort, tmp_path: Path) -> None:
    next(steps(network(), north, tmp_path))
    next(steps(network(), north, tmp_path, resume=True))
    with pytest.raises(SettingsError) as refused:
        next(steps(network(), north, tmp_path))
    assert refused.value.finding == UnfinishedRun(path=tmp_path)


def test_a_checkpoint_of_another_run_is_refused(north: Cohort, tmp_path: Path) -> None:
    list(steps(network(), north, tmp_path))
    batches = Batches(list(north), ORGANS, Preprocessing(4.0, 33, (-200.0, 400.0)), RECIPE, seed=0)
    other = run(
        network(), batches, RunFolder(tmp_path), {"what": "another"}, resume=True, hardware=CPU
    )
    with pytest.raises(ResumeError) as refused:
        next(other)
    assert refused.value.finding == DifferentRun(path=tmp_path, changed=("what",))


def test_a_damaged_checkpoint_is_named(north: Cohort, tmp_path: Path) -> None:
    list(steps(network(), north, tmp_path))
    checkpoint = RunFolder(tmp_path).checkpoint
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ResumeError) as refused:
        next(steps(network(), north, tmp_path, resume=True))
    assert refused.value.finding == DamagedCheckpoint(path=checkpoint, flaw=Flaw.NOT_READABLE)


def test_divergence_is_a_fault_not_a_model(north: Cohort, tmp_path: Path) -> None:
    wild = replace(RECIPE, optimiser="sgd", learning_rate=1e30, warm_up=0, iterations=50)
    for resume in (False, True):  # from the last checkpoint it comes to the same
        with pytest.raises(FaultError, match=r"diverged.* another seed \(--seed") as fault:
            list(steps(network(), north, tmp_path, wild, resume=resume))
        assert fault.value.finding == DivergedLoss(path=tmp_path, iteration=2, loss="nan")


def test_logs_for_tensorboard_are_written(north: Cohort, tmp_path: Path) -> None:
    list(steps(network(), north, tmp_path, replace(RECIPE, iterations=10)))
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents*"))


def test_two_processes_do_not_train_in_one_folder(north: Cohort, tmp_path: Path) -> None:
    first = steps(network(), north, tmp_path)
    next(first)
    with pytest.raises(SettingsError, match="another process"):
        next(steps(network(), north, tmp_path, resume=True))
    first.close()  # type: ignore[attr-defined]  # a generator
    assert next(steps(network(), north, tmp_path, resume=True)).iteration > 1


def test_a_disk_that_fills_while_logging_ends_the_run(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    running = steps(network(), north, tmp_path, replace(RECIPE, iterations=30))
    next(running)
    monkeypatch.setattr("tensorboardX.record_writer.RecordWriter.write", full)
    with pytest.raises(FaultError, match="No space left") as caught:
        list(running)
    assert caught.value.finding == FailedRun(
        path=tmp_path / "tensorboard",
        why=MachineFault(path=tmp_path / "tensorboard", number=28, done="written"),
        kept=9,  # the tenth iteration is the first to be logged, before it is kept
        of=30,
    )


def test_a_signal_ends_an_iteration_without_a_trace(
    north: Cohort, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whenever in an iteration it comes, the run ends in the bits of one that was left alone."""
    unbroken = network()
    list(steps(unbroken, north, tmp_path / "a"))

    net = network()
    running = steps(net, north, tmp_path / "b", checkpoint_seconds=1e9)
    assert next(running).iteration == 1

    def ask_to_end(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    net.path["spp"].register_forward_hook(ask_to_end)
    caplog.set_level(logging.INFO)
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        next(running)
    assert stored_words(KeptIterations(iterations=1, of=RECIPE.iterations)) in caplog.messages

    again = network(seed=99)
    rest = list(steps(again, north, tmp_path / "b", resume=True))
    assert [step.iteration for step in rest] == [2, 3, 4, 5, 6]
    assert sha256_of(again) == sha256_of(unbroken)


def test_a_signal_while_the_weights_change_waits_for_them(north: Cohort, tmp_path: Path) -> None:
    running = steps(network(), north, tmp_path, checkpoint_seconds=1e9)

    def ask_to_end(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    hook = register_optimizer_step_pre_hook(ask_to_end)
    try:
        with pytest.raises(KeyboardInterrupt), ended_by_signals():
            list(running)
    finally:
        hook.remove()
    assert next(steps(network(), north, tmp_path, resume=True)).iteration == 2


def test_what_was_done_since_the_last_checkpoint_is_kept_when_the_caller_stops(
    north: Cohort, tmp_path: Path
) -> None:
    running = steps(network(), north, tmp_path, checkpoint_seconds=1e9)
    for _ in range(3):
        next(running)
    running.close()  # type: ignore[attr-defined]  # a generator
    assert next(steps(network(), north, tmp_path, resume=True)).iteration == 4


def test_an_iteration_that_was_broken_off_is_not_kept(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recontour.processes.IMPATIENCE_SECONDS", 0.0)

    def insist(*_: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    running = steps(network(), north, tmp_path, checkpoint_seconds=1e9)
    next(running)
    hook = register_optimizer_step_pre_hook(insist)
    try:
        with pytest.raises(KeyboardInterrupt), ended_by_signals():
            next(running)
    finally:
        hook.remove()
    assert not RunFolder(tmp_path).checkpoint.exists()


def test_without_the_system_s_locks_it_trains_and_keeps_others_out(
    north: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    first = steps(network(), north, tmp_path)
    next(first)
    with pytest.raises(SettingsError, match=r"another process is working.* delete .*lock.held"):
        next(steps(network(), north, tmp_path, resume=True))
    first.close()  # type: ignore[attr-defined]  # a generator
    assert not (tmp_path / "lock.held").exists()


def test_what_a_killed_run_left_is_removed_by_the_next_one(north: Cohort, tmp_path: Path) -> None:
    features = RunFolder(tmp_path).features
    features.write_bytes(bytes(1000))
    next(steps(network(), north, tmp_path))  # it caches none itself
    assert not features.exists()
