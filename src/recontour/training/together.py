"""Processes that train one model together, which a launcher has started.

Each process brings one device, and draws batches of its own. The first one speaks and writes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from recontour.errors import FaultError, RecontourError
from recontour.findings import Finding, log_finding
from recontour.launched import Launched, launched
from recontour.training.findings import FailedCompanion, LostCompanion, NoMeeting, OneOfSeveralGpus

if TYPE_CHECKING:
    from lightning_fabric.strategies.ddp import DDPStrategy

log = logging.getLogger(__name__)
MEETING_SECONDS = 300.0  # how long a process waits for the others to start
PATIENCE_HOURS = 24.0  # how long they wait for one that prepares, or scores, while it lives
Shared = TypeVar("Shared")


def join() -> None:
    """Meet the other processes, if a launcher started several; else nothing happens.

    From here on, trainings in this process are trainings of all of them.
    Raises: FaultError: they do not come.
    """
    us = launched()
    if us is None:
        if not are_together() and torch.cuda.device_count() > 1:
            log_finding(log, logging.INFO, OneOfSeveralGpus(gpus=torch.cuda.device_count()))
        return
    if are_together():
        return
    _meet(us)


def _meet(us: Launched) -> None:
    if torch.cuda.is_available():
        torch.cuda.set_device(_gpu(us))
    try:
        wait = timedelta(seconds=MEETING_SECONDS)
        store, _, _ = next(rendezvous(us.meeting, timeout=wait))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
            store=store,
            rank=us.number,
            world_size=us.count,
            timeout=timedelta(hours=PATIENCE_HOURS),
        )
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FaultError(NoMeeting(processes=us.count, reason=reason)) from error


def _gpu(us: Launched) -> int:
    """Return the number of a process's GPU; a queue may show each process only its own."""
    return us.local % torch.cuda.device_count()


def are_together() -> bool:
    """Return whether this process trains together with others."""
    return distributed.is_available() and distributed.is_initialized()


def number() -> int:
    """Return this process's number among those that train together, from 0."""
    return distributed.get_rank() if are_together() else 0


def count() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if are_together() else 1


def is_first_process() -> bool:
    """Return whether this process is the one that writes, among those that train together."""
    return number() == 0


def strategy(accelerator: str) -> "DDPStrategy":
    """Return Lightning's handle on the processes that have met; each brings one device."""
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    class Met(LightningEnvironment):
        """Lightning starts no process, and takes numbers from those that have met."""

        creates_processes_externally = True

        def world_size(self) -> int:
            return count()

        def global_rank(self) -> int:
            return number()

        def local_rank(self) -> int:
            return 0

        def node_rank(self) -> int:
            return 0

    uses_gpu = accelerator != "cpu" and torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if uses_gpu else torch.device("cpu")
    return DDPStrategy(parallel_devices=[device], cluster_environment=Met())


# What they tell each other


def shared(value: Shared) -> Shared:
    """Return the first process's value. Raises: FaultError: a process has ended."""
    if not are_together():
        return value
    values = [value]
    with noticing_loss():
        distributed.broadcast_object_list(values, src=0)
    return values[0]


def any_of(value: bool) -> bool:
    """Return whether a value is true in any of the processes. Raises: FaultError: one has ended."""
    if not are_together():
        return value
    flag = torch.tensor(int(value))
    with noticing_loss():
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag.item())


@contextmanager
def agreed() -> Iterator[None]:
    """Let all processes fail if one of them fails in the block, in which none waits for another.

    The first process raises its own error or, if it has none, one that says what another has found.
    Raises: RecontourError.
    """
    error = None
    try:
        yield
    except RecontourError as raised:
        error = raised
        if not are_together():
            raise
    found = _found_by_all(error.finding if error else None)
    for position, why in enumerate(found, start=1):
        if why is None:
            continue
        if error and is_first_process():
            raise error
        kind = type(error) if error else FaultError
        raise kind(FailedCompanion(path=why.path, process=position, why=why)) from error


def _found_by_all(finding: Finding | None) -> list[Finding | None]:
    """Return what each process has found."""
    if not are_together():
        return [finding]
    found: list[Finding | None] = [None] * count()
    with noticing_loss():
        distributed.all_gather_object(found, finding)
    return found


@contextmanager
def noticing_loss() -> Iterator[None]:
    """Let what PyTorch raises when another process has gone become one clear error.

    Raises: FaultError.
    """
    try:
        yield
    except RuntimeError as error:
        if are_together() and _is_of_connection(error):
            raise FaultError(LostCompanion(processes=count())) from error
        raise


def _is_of_connection(error: RuntimeError) -> bool:
    said = str(error).lower()
    words = ("gloo", "nccl", "connection", "process group", "processgroup")
    return isinstance(error, distributed.DistError) or any(word in said for word in words)
