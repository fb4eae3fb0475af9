"""Which of several processes this one is, if a launcher has started one command several times.

A launcher says so in the environment: torchrun (and other launchers for PyTorch) by RANK and
WORLD_SIZE, `srun` by the variables of a job's step. A batch script of Slurm is one process, also if
its job has several tasks.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PORT = 20_000  # of those that Slurm's jobs take
PORTS = 10_000


@dataclass(frozen=True, slots=True)
class Launched:
    """A process among those of one command.

    number: from 0. count: of all. local: its number on this machine. meeting: where PyTorch lets
    them meet, as its `init_method`.
    """

    number: int
    count: int
    local: int
    meeting: str


def launched(environment: Mapping[str, str] = os.environ) -> Launched | None:
    """Return what a launcher says of this process; None if it is alone.

    >>> launched({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "29500"})
    Launched(number=1, count=2, local=0, meeting='env://')
    >>> launched({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None
    True
    """
    found = _by_torchrun(environment) or _by_srun(environment)
    return found if found and 0 <= found.number < found.count and found.count > 1 else None


def _by_torchrun(environment: Mapping[str, str]) -> Launched | None:
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if not all(environment.get(name) for name in names):
        return None
    return Launched(
        number=_number(environment, "RANK"),
        count=_number(environment, "WORLD_SIZE"),
        local=_number(environment, "LOCAL_RANK"),
        meeting="env://",
    )


def _by_srun(environment: Mapping[str, str]) -> Launched | None:
    # A job that was submitted from within a step has that step's variables, but tasks of its own.
    tasks = environment.get("SLURM_STEP_NUM_TASKS")
    if not tasks or tasks != environment.get("SLURM_NTASKS"):
        return None
    number, count = _number(environment, "SLURM_PROCID"), _number(environment, "SLURM_NTASKS")
    return Launched(
        number=number,
        count=count,
        local=_number(environment, "SLURM_LOCALID"),
        meeting=f"tcp://{_host(environment)}:{_port(environment)}?rank={number}&world_size={count}",
    )


def _host(environment: Mapping[str, str]) -> str:
    """Return the machine of a step's first process."""
    if host := environment.get("MASTER_ADDR"):
        return host
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        return "127.0.0.1"
    nodes = environment.get("SLURM_STEP_NODELIST", "127.0.0.1")
    return re.sub(r"\[(\d+)[^]]*\]", r"\1", nodes).partition(",")[0]  # n[01-03,7],m1: n01


def _port(environment: Mapping[str, str]) -> int:
    """Return a port that each process of a step knows, and those of other steps rarely take."""
    if port := _number(environment, "MASTER_PORT"):
        return port
    job, step = _number(environment, "SLURM_JOB_ID"), _number(environment, "SLURM_STEP_ID")
    return FIRST_PORT + (10 * job + step) % PORTS


def _number(environment: Mapping[str, str], name: str) -> int:
    """Return a number from the environment; 0 if there is none."""
    value = environment.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else 0
