"""What a training computes in: chosen where it pays, kept, and gone on with to the bit."""

import logging
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.test_run import CPU, ORGANS, RECIPE, TINY, network, steps

from recontour.cohort import Cohort
from recontour.errors import RecontourError, ResumeError, SettingsError
from recontour.findings import words
from recontour.network import Network, Preprocessing
from recontour.network.model import sha256_of
from recontour.training import precision as precisions
from recontour.training import profile, run
from recontour.training.batches import Batches
from recontour.training.findings import ChosenPrecision, DifferentRun, EmulatedBf16
from recontour.training.folder import RunFolder
from recontour.training.loop import Step
from recontour.training.precision import (
    best_of_device,
    choose_precision,
    has_bf16,
    precision_said,
    wanted_precision,
    warn_if_emulated,
)
from recontour.training.profile import fixed_batch, gain_of_bf16
from recontour.training.recipe import WantedPrecision
from recontour.training.run import Hardware, precision_begun_with
from recontour.transfer.depth import freeze_all_but_last
from recontour.validation import NotAChoice

SIDE_PX = 33
BF16 = Hardware("cpu", precision="bf16")
AVX512_BF16 = {"avx2": True, "avx512_bf16": True}


def processor(monkeypatch: pytest.MonkeyPatch, instructions: Mapping[str, bool]) -> None:
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: instructions)


def timer_says(monkeypatch: pytest.MonkeyPatch, gain: float) -> list[tuple[Any, ...]]:
    """Return a list that gains an entry when something is timed."""
    timed: list[tuple[Any, ...]] = []

    def fake(*asked: Any) -> float:
        timed.append(asked)
        return gain

    monkeypatch.setattr(precisions, "gain_of_bf16", fake)
    return timed


def chosen(wanted: WantedPrecision = "auto", *, deterministic: bool = False) -> str:
    return choose_precision(
        wanted, network(), RECIPE, len(ORGANS), SIDE_PX, deterministic=deterministic
    )


@pytest.mark.parametrize(("gain", "expected"), [(1.74, "bf16"), (1.15, "bf16"), (1.14, "float32")])
def test_a_processor_with_bf16_uses_it_if_it_pays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, gain: float, expected: str
) -> None:
    caplog.set_level(logging.INFO)
    processor(monkeypatch, AVX512_BF16)
    timed = timer_says(monkeypatch, gain)
    assert chosen() == expected
    assert len(timed) == 1
    (record,) = caplog.records
    finding = record.finding  # type: ignore[attr-defined]
    assert (finding, record.levelname) == (ChosenPrecision(precision=expected, gain=gain), "INFO")  # type: ignore[arg-type]
    assert f"training in {expected}: a step takes {gain} times as long in float32" in words(finding)


def test_nothing_is_timed_where_nothing_is_to_be_chosen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    timed = timer_says(monkeypatch, 9.9)
    processor(monkeypatch, {"avx2": True, "avx512_bf16": False})
    assert chosen() == "float32"
    processor(monkeypatch, AVX512_BF16)
    assert chosen("float32") == "float32"
    assert chosen("bf16") == "bf16"
    # Two timings may differ.
    assert chosen(deterministic=True) == "float32"
    assert timed == []
    assert caplog.records == []


@pytest.mark.parametrize(
    ("cuda_has_bf16", "expected"), [(True, "bf16"), (False, "fp16"), (None, "float32")]
)
def test_a_gpu_is_chosen_for_without_timing(
    monkeypatch: pytest.MonkeyPatch, cuda_has_bf16: bool | None, expected: str
) -> None:
    """None: a GPU that is not CUDA's."""
    timed = timer_says(monkeypatch, 9.9)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda_has_bf16 is not None)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: cuda_has_bf16)
    assert chosen() == best_of_device() == expected
    assert timed == []


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        (AVX512_BF16, True),
        ({"avx512_f": True, "amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),  # ARM
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"neon": True}, False),
    ],
)
def test_instructions_for_bf16_go_by_pytorchs_names(
    monkeypatch: pytest.MonkeyPatch, instructions: dict[str, bool], expected: bool
) -> None:
    processor(monkeypatch, instructions)
    assert has_bf16() == expected


def test_emulation_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    processor(monkeypatch, {"avx2": True})
    warn_if_emulated("float32")
    assert caplog.records == []
    warn_if_emulated("bf16")
    (record,) = caplog.records
    assert record.finding == EmulatedBf16()  # type: ignore[attr-defined]
    caplog.clear()
    processor(monkeypatch, AVX512_BF16)
    warn_if_emulated("bf16")
    assert caplog.records == []


def test_an_unknown_word_is_refused_by_name() -> None:
    with pytest.raises(SettingsError) as refused:
        wanted_precision("fp16")
    choices = ("auto", "float32", "bf16")
    assert refused.value.finding == NotAChoice(name="precision", choices=choices, seen="fp16")


def test_what_a_file_says_is_no_precision_unless_it_is_one() -> None:
    said = [precision_said(word) for word in ("bf16", "fp16", "float32", "int4", 16, None)]
    assert said == ["bf16", "fp16", "float32", "float32", "float32", "float32"]


# The timing


def test_bf16_s_gain_is_the_ratio_of_the_steps_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fake clock stands still, except that a forward pass takes 3 s in float32 and 2 s in bf16.

    The first pass of each takes longer, and does not count.
    """
    now = 0.0
    longer = [100.0, 100.0]
    logits = Network.logits

    def slow(*arguments: Any) -> torch.Tensor:
        nonlocal now
        now += 2.0 if torch.is_autocast_enabled("cpu") else 3.0
        now += longer.pop() if longer else 0.0
        return logits(*arguments)

    monkeypatch.setattr(Network, "logits", slow)
    monkeypatch.setattr(profile, "ENOUGH_SECONDS", 1000.0)
    monkeypatch.setattr(profile.time, "process_time", lambda: now)  # type: ignore[attr-defined]
    assert gain_of_bf16(network(), RECIPE, len(ORGANS), SIDE_PX) == 1.5


def test_a_slow_network_is_timed_once_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[bool] = []
    logits = Network.logits

    def counted(*arguments: Any) -> torch.Tensor:
        passes.append(torch.is_autocast_enabled("cpu"))
        return logits(*arguments)

    monkeypatch.setattr(Network, "logits", counted)
    monkeypatch.setattr(profile, "ENOUGH_SECONDS", -1.0)
    gain_of_bf16(network(), RECIPE, len(ORGANS), SIDE_PX)
    assert passes == [False, True] * 2  # the first of each allocates


@pytest.mark.parametrize("frozen_layers", [0, 4])
def test_timing_changes_neither_the_network_nor_what_is_drawn_next(frozen_layers: int) -> None:
    net = network()
    if frozen_layers:
        freeze_all_but_last(net, frozen_layers)
    before, generator = sha256_of(net), torch.get_rng_state()
    learning = [parameter.requires_grad for parameter in net.parameters()]
    assert gain_of_bf16(net, RECIPE, len(ORGANS), SIDE_PX) > 0
    assert sha256_of(net) == before
    assert [parameter.requires_grad for parameter in net.parameters()] == learning
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_network_that_sees_neighbours_is_timed_with_them() -> None:
    net = Network(replace(TINY, slices=3), len(ORGANS))
    assert gain_of_bf16(net, RECIPE, len(ORGANS), SIDE_PX) > 0


def test_the_batch_for_timing_shows_every_organ() -> None:
    first, second = fixed_batch(2, 3, SIDE_PX), fixed_batch(2, 3, SIDE_PX)
    assert all(map(torch.equal, first, second))
    assert first.organs_NKHW.any(dim=-1).any(dim=-1).all()
    assert not first.organs_NKHW.all()
    assert len(set(first.ct_NSHW.flatten().tolist())) == SIDE_PX


# Runs in bf16


@pytest.mark.parametrize("views", [0, 2])
def test_a_broken_run_in_bf16_ends_in_the_bits_of_an_unbroken_one(
    north: Cohort, tmp_path: Path, views: int
) -> None:
    """Also with the trunk's features cached, and other bits than in float32."""
    recipe = replace(RECIPE, views=views)

    def fresh(seed: int = 0) -> Network:
        net = network(seed)
        if views:
            freeze_all_but_last(net, 4)
        return net

    unbroken, precise, broken = fresh(), fresh(), fresh()
    list(steps(unbroken, north, tmp_path / "a", recipe, hardware=BF16))
    list(steps(precise, north, tmp_path / "32", recipe))
    started = steps(broken, north, tmp_path / "b", recipe, hardware=BF16)
    assert len(list(islice(started, 3))) == 3
    started.close()  # type: ignore[attr-defined]  # a generator
    again = fresh()
    rest = list(steps(again, north, tmp_path / "b", recipe, resume=True, hardware=BF16))
    assert rest[-1].iteration == recipe.iterations
    assert sha256_of(again) == sha256_of(unbroken) != sha256_of(precise)
    assert {tensor.dtype for tensor in again.state_dict().values()} == {torch.float32, torch.int64}


def test_a_run_in_fp16_goes_on_in_float32_on_a_cpu() -> None:
    on_cpu = Hardware("cpu", precision="fp16").fabric()
    assert on_cpu._strategy.precision.precision == "32-true"


def begun(cohort: Cohort, folder: Path, identity: dict[str, Any]) -> None:
    """Leave a checkpoint of one iteration."""
    with closing(going_on(cohort, folder, identity, resume=False)) as started:
        next(started)


def going_on(
    cohort: Cohort, folder: Path, identity: dict[str, Any], *, resume: bool = True
) -> Generator[Step]:
    view = Preprocessing(4.0, SIDE_PX, (-200.0, 400.0))
    batches = Batches(list(cohort), ORGANS, view, RECIPE, seed=0)
    return run.run(
        Network(TINY, len(ORGANS)),
        batches,
        RunFolder(folder),
        identity,
        resume=resume,
        checkpoint_seconds=0.0,
        hardware=CPU,
    )


def test_a_run_that_did_not_say_its_precision_is_another(north: Cohort, tmp_path: Path) -> None:
    begun(north, tmp_path, {"what": "a test"})
    assert precision_begun_with(RunFolder(tmp_path)) == "float32"
    with pytest.raises(ResumeError) as refused:
        next(going_on(north, tmp_path, {"what": "a test", "precision": "float32"}))
    assert refused.value.finding == DifferentRun(path=tmp_path, changed=("precision",))


@pytest.mark.parametrize(("said", "expected"), [("bf16", "bf16"), ("int4", "float32")])
def test_a_checkpoint_says_what_its_run_began_with(
    north: Cohort, tmp_path: Path, said: str, expected: str
) -> None:
    folder = RunFolder(tmp_path)
    assert precision_begun_with(folder) is None
    begun(north, tmp_path, {"precision": said})
    assert precision_begun_with(folder) == expected
    folder.checkpoint.write_bytes(b"damaged")
    assert precision_begun_with(folder) == "float32"


def test_a_checkpoint_that_the_system_does_not_read_is_one_of_our_errors(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoint.mkdir()
    with pytest.raises(RecontourError) as refused:
        precision_begun_with(folder)
    assert isinstance(refused.value.__cause__, IsADirectoryError)
    assert refused.value.finding.path == tmp_path
