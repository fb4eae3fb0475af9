"""Jobs on two nodes of a Dask scheduler, all of them on this machine."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from tests.executors.conftest import Nodes, two_nodes
from tests.executors.test_executors import (
    EXISTS,
    crash,
    die_at_first,
    environment,
    go_on_until_interrupted,
    meet,
    refuse,
    wait_for,
)

from recontour.errors import FaultError, OutputError, SettingsError
from recontour.executors import LostScheduler, executor_at, place_of, workers_at
from recontour.executors.cluster import _worker_arguments
from recontour.executors.findings import DaemonWorker, NoDask, NoScheduler, NoSlurm, NoWorkersYet


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with two_nodes(tmp_path_factory.mktemp("nodes")) as nodes:
        yield nodes


def test_jobs_run_on_both_nodes_as_they_do_here(nodes: Nodes, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with executor_at(place_of(nodes.address), threads=7) as executor:
        first = executor.submit(meet, one, two)
        second = executor.submit(meet, two, one)
        assert first.result() != second.result()
        assert executor.submit(environment, "OMP_NUM_THREADS").result() == ("7", False)
        with pytest.raises(OutputError) as error:
            executor.submit(refuse).result()
        assert error.value.finding == EXISTS
        with pytest.raises(RuntimeError, match="LookupError: no such thing"):
            executor.submit(crash).result()
        assert executor.submit(die_at_first, tmp_path / "mark").result() != os.getpid()


def test_a_scheduler_says_how_many_jobs_run_at_a_time(nodes: Nodes) -> None:
    place = place_of(nodes.address)
    while (workers := workers_at(place)) < 2:  # they have not come yet
        time.sleep(0.1)
    assert workers == 2


def test_at_the_end_a_node_s_job_keeps_what_it_has(nodes: Nodes, tmp_path: Path) -> None:
    begun, kept = tmp_path / "begun", tmp_path / "kept"
    with executor_at(place_of(nodes.address), threads=1) as executor:
        executor.submit(go_on_until_interrupted, begun, kept)
        wait_for(begun)
    assert kept.exists()


def test_a_worker_that_may_start_no_process_says_so(tmp_path: Path) -> None:
    with (
        two_nodes(tmp_path, may_start_processes=False) as nodes,
        executor_at(place_of(nodes.address), threads=1) as executor,
        pytest.raises(FaultError) as error,
    ):
        executor.submit(os.getpid).result()
    assert error.value.finding == DaemonWorker()


def test_a_scheduler_that_is_lost_or_absent_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with two_nodes(tmp_path) as nodes:
        place = place_of(nodes.address)
        with executor_at(place, threads=1) as executor:
            going = executor.submit(go_on_until_interrupted, tmp_path / "begun", tmp_path / "kept")
            wait_for(tmp_path / "begun")
            os.kill(nodes.scheduler.pid, signal.SIGKILL)
            error = going.exception()
            assert isinstance(error, FaultError)
            assert error.finding == LostScheduler()
            with pytest.raises(FaultError) as lost:
                executor.submit(os.getpid)
            assert lost.value.finding == LostScheduler()
    monkeypatch.setattr("recontour.executors.cluster.SECONDS_TO_CONNECT", 1)
    with pytest.raises(FaultError) as absent, executor_at(place, threads=1):
        pass
    assert absent.value.finding == NoScheduler(address=nodes.address)


def test_a_scheduler_without_workers_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        two_nodes(tmp_path, workers=()) as nodes,
        caplog.at_level(logging.WARNING, "recontour"),
        executor_at(place_of(nodes.address), threads=1),
    ):
        pass
    assert [record.finding for record in caplog.records] == [NoWorkersYet()]  # type: ignore[attr-defined]


def test_without_slurm_nothing_is_sent_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SettingsError) as error, executor_at(place_of("slurm:2"), threads=1):
        pass
    assert error.value.finding == NoSlurm()
    assert signal.getsignal(signal.SIGINT) is handler  # dask-jobqueue would take it


def test_without_dask_nothing_is_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recontour.executors.places.find_spec", lambda _: None)
    for place in ("slurm:2", "tcp://127.0.0.1:8786"):
        with pytest.raises(SettingsError) as error, executor_at(place_of(place), threads=1):
            pass
        assert error.value.finding == NoDask()


def test_a_worker_ends_before_slurm_ends_its_job() -> None:
    def arguments(**settings: object) -> list[str]:
        named = {f"jobqueue.slurm.{name}": value for name, value in settings.items()}
        with dask.config.set(named):
            return _worker_arguments()

    assert arguments(walltime="04:00:00") == ["--lifetime", "14280s"]
    assert arguments(walltime="00:01:00") == ["--lifetime", "45s"]
    assert arguments(walltime="UNLIMITED") == []
    chosen = ["--lifetime", "3h50m"]
    assert arguments(walltime="04:00:00", **{"worker-extra-args": chosen}) == chosen
