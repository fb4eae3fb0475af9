"""Where jobs run, as a user says it."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from recontour.errors import SettingsError
from recontour.executors.findings import MOST_WORKERS, NoDask, UnknownPlace
from recontour.executors.local import LocalExecutor, gpu_variable


@dataclass(frozen=True, slots=True)
class Place:
    """Where jobs run.

    workers: how many run at a time; None: as many as the scheduler has workers for. address: of
    the scheduler.
    """

    kind: Literal["local", "slurm", "scheduler"]
    workers: int | None = None
    address: str = ""


def place_of(given: str) -> Place:
    """Return what a place such as "local:4" means. Raises: SettingsError: nothing.

    >>> place_of("local:4").workers
    4
    """
    kind, _, rest = given.partition(":")
    if kind in ("tcp", "tls") and rest.strip("/"):
        return Place("scheduler", address=given)
    if kind in ("local", "slurm") and rest.isascii() and rest.isdigit():
        workers = int(rest)
        if 1 <= workers <= MOST_WORKERS:
            return Place("local" if kind == "local" else "slurm", workers)
    raise SettingsError(UnknownPlace(given=given))


def workers_at(place: Place) -> int:
    """Return how many jobs run at a time in a place; a scheduler is asked for it.

    Raises: SettingsError, FaultError: there is no such scheduler.

    >>> workers_at(place_of("slurm:8"))
    8
    """
    if place.workers:
        return place.workers
    with _cluster().scheduler_client(place.address) as client:
        return sum(client.nthreads().values())


@contextmanager
def executor_at(
    place: Place,
    threads: int,
    gpus: int = 0,
) -> Iterator[Executor]:
    """Give an executor; its processes end with the block, and jobs that wait are given up.

    threads: of each process. gpus: how many this machine has; each local process sees one of them.
    Raises: SettingsError, FaultError: there is no such scheduler or queue.
    """
    with _executor(place, threads, gpus) as executor:
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def _executor(place: Place, threads: int, gpus: int) -> Iterator[Executor]:
    variables = {"OMP_NUM_THREADS": str(threads)}
    if place.kind == "local":
        numbers = range(place.workers or 1)
        yield LocalExecutor([{**variables, **gpu_variable(number, gpus)} for number in numbers])
        return
    cluster = _cluster()
    if place.kind == "slurm":
        connected = cluster.slurm_client(place.workers or 1, threads)
    else:
        connected = cluster.scheduler_client(place.address)
    with connected as client:
        yield cluster.ClusterExecutor(client, variables)


def _cluster() -> ModuleType:
    """Load what reaches other machines. Raises: SettingsError: it is not installed."""
    if not all(map(find_spec, ("distributed", "dask_jobqueue"))):
        raise SettingsError(NoDask())
    from recontour.executors import cluster

    return cluster
