"""The workers of a Dask scheduler, and jobs of a Slurm queue that become such workers.

A Dask worker computes nothing itself: it hands each job to a process of its own, as many at a time
as the worker has threads. So jobs run as they do locally: with their own variables, and with time
to keep what they have when the worker ends.
"""

import logging
import multiprocessing
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask
import distributed
from distributed.scheduler import KilledWorker

from recontour.errors import FaultError, SettingsError
from recontour.executors.findings import (
    DaemonWorker,
    DeadWorker,
    LostScheduler,
    NoScheduler,
    NoSlurm,
    NoWorkersYet,
    RefusedJobs,
)
from recontour.executors.local import Job, LocalExecutor, in_folder
from recontour.findings import log_finding

log = logging.getLogger(__name__)
SECONDS_TO_CONNECT = 30
MARGIN_SECONDS = 120  # between a worker's end and its job's
MOST_LETTERS = 300  # of what Slurm says
# Without them a Dask worker may not start processes.
PROLOGUE = ["export DASK_DISTRIBUTED__WORKER__DAEMON=False"]


@contextmanager
def scheduler_client(address: str) -> Iterator[distributed.Client]:
    """Give a connection to a Dask scheduler. Raises: FaultError: it does not answer."""
    try:
        client = distributed.Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise FaultError(NoScheduler(address=address)) from error
    with client:
        if not client.scheduler_info()["workers"]:
            log_finding(log, logging.WARNING, NoWorkersYet())
        yield client


@contextmanager
def slurm_client(jobs: int, threads: int) -> Iterator[distributed.Client]:
    """Give a connection to a scheduler in this process, for which a Slurm queue runs workers.

    What the queue needs to know comes from the section jobqueue.slurm of Dask's configuration.
    Raises: SettingsError: there is no Slurm here, or it refuses the jobs.
    """
    slurm_cluster = _slurm_cluster()
    if not shutil.which("sbatch"):
        raise SettingsError(NoSlurm())
    cluster = slurm_cluster(
        cores=1,
        processes=1,
        job_cpu=threads,
        scheduler_options={
            **_configured("scheduler-options", {}),
            "dashboard": False,
            "dashboard_address": ":0",
        },
        worker_extra_args=_worker_arguments(),
        job_script_prologue=[*_configured("job-script-prologue", []), *PROLOGUE],
        **_memory(),
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        _refuse_impossible(cluster.job_script())
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # those that end are replaced
        yield client


def _slurm_cluster() -> Any:
    """Load dask-jobqueue, which takes Ctrl-C over as it is loaded, and give that back."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue.slurm import SLURMCluster
    finally:
        signal.signal(signal.SIGINT, handler)
    return SLURMCluster


def _refuse_impossible(script: str) -> None:
    """Raise SettingsError if Slurm would not take a job; Dask would wait for it without a word."""
    test = ["sbatch", "--test-only"]
    done = subprocess.run(test, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split())[:MOST_LETTERS]
        raise SettingsError(RefusedJobs(reason=reason))


def _worker_arguments() -> list[str]:
    """Return the workers' arguments, which end them before Slurm does unless the user says when.

    A cell of a worker that ends in time keeps a checkpoint; one that Slurm kills has died.
    """
    given = [str(argument) for argument in _configured("worker-extra-args", [])]
    if any(argument.startswith("--lifetime") for argument in given):
        return given
    seconds = seconds_of(str(_configured("walltime", "")))
    if not seconds:
        return given
    lifetime = seconds - min(MARGIN_SECONDS, seconds // 4)
    return [*given, "--lifetime", f"{lifetime}s"]


def seconds_of(walltime: str) -> int:
    """Return the seconds of a time limit in Slurm's notation; 0 if it is not one.

    >>> seconds_of("30"), seconds_of("04:00:00"), seconds_of("1-12"), seconds_of("UNLIMITED")
    (1800, 14400, 129600, 0)
    """
    days, dash, rest = walltime.rpartition("-")
    parts = rest.split(":")
    if not all(part.isascii() and part.isdigit() for part in [*parts, days or "0"]):
        return 0
    numbers = list(map(int, parts))
    # "minutes", "minutes:seconds", "hours:minutes:seconds"; after days: "hours[:minutes[:seconds]]"
    if not dash and len(numbers) < 3:
        numbers.insert(0, 0)
    hours, minutes, seconds = (*numbers, 0, 0)[:3]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def _memory() -> dict[str, Any]:
    """Return what to ask for; without a setting, what the queue gives by default."""
    if _configured("memory", None):
        return {}
    return {"memory": "1 GB", "job_directives_skip": ["--mem"]}


def _configured(name: str, default: Any) -> Any:
    return dask.config.get(f"jobqueue.slurm.{name}", None) or default


class ClusterExecutor(Executor):
    """Lets the workers of a scheduler do jobs. environment: variables that their processes set."""

    def __init__(self, client: distributed.Client, environment: Mapping[str, str]) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False)  # a cell may be submitted again
        self._session = uuid4().hex
        self._environment = dict(environment)

    def submit(self, function: Callable[..., Any], /, *data: Any, **named: Any) -> Future[Any]:
        """Let a worker's process call a function.

        Raises: FaultError: the connection to the scheduler is lost.
        """
        if self._client.status != "running":
            raise FaultError(LostScheduler())
        job = partial(in_folder, Path.cwd(), partial(function, *data, **named))
        return _translated(self._executor.submit(answer, self._session, self._environment, job))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: after their jobs or, if futures are cancelled, as soon as they can."""
        if self._client.status != "running":
            return
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.run(end_session, self._session, on_error="ignore")


def _translated(theirs: Future[Any]) -> Future[Any]:
    """Return a future that fails with errors of recontour where Dask has its own."""
    ours: Future[Any] = Future()

    def pass_on(theirs: Future[Any]) -> None:
        error = CancelledError() if theirs.cancelled() else theirs.exception()
        if error:
            ours.set_exception(_known(error))
        else:
            ours.set_result(theirs.result())

    theirs.add_done_callback(pass_on)
    return ours


def _known(error: BaseException) -> BaseException:
    if isinstance(error, KilledWorker):
        return FaultError(DeadWorker(times=error.allowed_failures + 1, exit_code=None))
    if isinstance(error, CancelledError):
        return FaultError(LostScheduler())
    return error


# In a Dask worker

_sessions: dict[str, LocalExecutor] = {}
_SESSIONS = threading.Lock()


def answer(session: str, environment: Mapping[str, str], job: Job) -> Any:
    """Do a job in a process of the session's own."""
    if multiprocessing.current_process().daemon:
        raise FaultError(DaemonWorker())
    with _SESSIONS:
        if session not in _sessions:
            threads = distributed.get_worker().state.nthreads
            _sessions[session] = LocalExecutor([environment] * threads)
    return _sessions[session].submit(job).result()


def end_session(session: str) -> None:
    """End a session's processes: each keeps what it has."""
    executor = _sessions.pop(session, None)
    if executor:
        executor.shutdown(cancel_futures=True)
