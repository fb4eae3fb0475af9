"""What one command costs, run as a process of its own, as a user types it."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import NamedTuple


class Cost(NamedTuple):
    """What one command took."""

    seconds: float
    processor_seconds: float  # of all cores: what a busy machine changes least
    # of its largest process; at least what the one that starts it holds, as the system counts
    peak_mib: float


def measured(*arguments: object, environment: Mapping[str, str] | None = None) -> Cost:
    """What one `recontour` command takes, start-up included.

    environment: what is to differ from our own.
    """
    return cost_of([sys.executable, "-m", "recontour", *arguments], environment)


def cost_of(command: Sequence[object], environment: Mapping[str, str] | None = None) -> Cost:
    """What any command takes;

    what it prints is dropped, and if it fails its last words end the run.
    """
    with TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=os.environ | (environment or {}),
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if os.waitstatus_to_exitcode(status):
            said.seek(0)
            sys.exit(said.read().decode())
    assert isinstance(usage, resource.struct_rusage)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def least(costs: Iterable[Cost]) -> Cost:
    """Of each measure the least."""
    return Cost(*map(min, zip(*costs, strict=True)))
