"""Batches from other processes: the same, in their order; a failure is raised with its cause."""

import faulthandler
import multiprocessing
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.test_features import VIEWS, cached, frozen

from recontour.cohort import Cohort
from recontour.errors import CohortError, FaultError
from recontour.findings import Finding, words
from recontour.network import Preprocessing
from recontour.training import ahead
from recontour.training.ahead import prepared
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureBatches
from recontour.training.findings import EndedHelper, KilledHelper, NoBatchInTime, TruncatedCaseFile
from recontour.training.presets import PRESETS

RECIPE = replace(PRESETS["compact"].train, iterations=7, batch=2)


def batches_of(cohort: Cohort, kind: type[Batches] = Batches) -> Batches:
    return kind(
        list(cohort),
        ("Brainstem", "Lens_L"),
        Preprocessing(4.0, 33, (-200.0, 400.0)),
        RECIPE,
        seed=0,
    )


def assert_equal(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    for here, there in zip(one, other, strict=True):
        assert here.dtype == there.dtype
        assert torch.equal(here, there)


@pytest.mark.parametrize("helpers", [0, 1, 3, 20])
def test_batches_come_as_they_are_and_in_their_order(north: Cohort, helpers: int) -> None:
    batches = batches_of(north)
    come = list(prepared(batches, 2, helpers))
    assert len(come) == 5
    for iteration, batch in enumerate(come, start=2):
        assert_equal(batch, batches[iteration])
    assert not multiprocessing.active_children()


def test_features_come_as_they_are_too(north: Cohort, tmp_path: Path) -> None:
    lessons: FeatureBatches = cached(frozen(), north, tmp_path)
    for iteration, batch in enumerate(prepared(lessons, 0, 2)):
        assert_equal(batch, lessons[iteration])
        batch.features_NhwC[0] = 1  # what is missing is put in there
    assert iteration + 1 == VIEWS.iterations


def test_a_loop_that_stops_leaves_no_process(north: Cohort) -> None:
    coming = prepared(batches_of(north), 0, 2)
    next(coming)
    assert len(multiprocessing.active_children()) == 2
    coming.close()
    assert not multiprocessing.active_children()


def test_a_script_s_own_way_to_start_processes_is_heeded(
    north: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda **_: "spawn")
    batches = batches_of(north)
    coming = prepared(batches, 6, 1)
    assert_equal(next(coming), batches[6])
    coming.close()


DAMAGED = TruncatedCaseFile(path=Path("/share/7/ct.npy"), case="7")


class Failing(Batches):
    def __getitem__(self, iteration: int) -> Batch:
        if iteration == 1:
            raise CohortError(DAMAGED)
        return super().__getitem__(iteration)


class Killed(Batches):
    number = signal.SIGKILL

    def __getitem__(self, iteration: int) -> Batch:
        if iteration == 1:
            faulthandler.disable()  # pytest's, which would say where
            os.kill(os.getpid(), self.number)
        return super().__getitem__(iteration)


class Faulted(Killed):
    number = signal.SIGBUS


class Ended(Batches):
    def __getitem__(self, iteration: int) -> Batch:
        if iteration == 1:
            os._exit(3)
        return super().__getitem__(iteration)


class Silent(Batches):
    def __getitem__(self, iteration: int) -> Batch:
        if iteration == 1:
            threading.Event().wait()
        return super().__getitem__(iteration)


@pytest.mark.parametrize("helpers", [0, 2])
def test_an_error_is_raised_where_its_batch_is_needed(north: Cohort, helpers: int) -> None:
    coming = prepared(batches_of(north, Failing), 0, helpers)
    next(coming)
    with pytest.raises(CohortError) as error:
        next(coming)
    assert error.value.finding == DAMAGED
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("kind", "finding"),
    [
        (Killed, KilledHelper()),
        (Faulted, TruncatedCaseFile()),
        (Ended, EndedHelper(exit_code=3)),
    ],
)
def test_a_process_that_is_killed_is_a_fault_with_its_cause(
    north: Cohort, kind: type[Batches], finding: Finding
) -> None:
    coming = prepared(batches_of(north, kind), 0, 1)
    next(coming)
    with pytest.raises(FaultError) as fault:
        next(coming)
    assert fault.value.finding == finding


def test_a_file_that_is_cut_off_meanwhile_is_named(north: Cohort, tmp_path: Path) -> None:
    case = replace(next(iter(north)), path=tmp_path)
    (tmp_path / "ct.npy").write_bytes((next(iter(north)).path / "ct.npy").read_bytes()[:1000])
    finding = ahead._why_ended(-signal.SIGBUS, [case])
    assert finding == TruncatedCaseFile(path=tmp_path / "ct.npy")
    assert "shm" not in words(finding)


def test_a_share_that_does_not_answer_is_not_waited_for_without_end(
    north: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "PATIENCE_SECONDS", 0.1)
    coming = prepared(batches_of(north, Silent), 1, 1)
    with pytest.raises(FaultError) as fault:
        next(coming)
    assert fault.value.finding == NoBatchInTime(minutes=0.1 / 60)
    assert not multiprocessing.active_children()


def test_where_no_process_can_be_started_batches_are_prepared_here(
    north: Cohort, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.process.BaseProcess.start", no_more)
    assert len(list(prepared(batches_of(north), 0, 2))) == 7
    assert "Resource temporarily unavailable" in caplog.text
