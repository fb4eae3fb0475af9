"""What one `recontour` command costs, run as a process of its own, as a user types it."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Cost(NamedTuple):
    """What one command took."""

    seconds: float
    processor_seconds: float  # of all cores: what a busy machine changes least
    peak_mib: float  # at least what the process that starts the command holds, as the system counts


def measured(*arguments: object, environment: Mapping[str, str] | None = None) -> Cost:
    """What one `recontour` command takes, start-up included. environment: what is to differ from our own."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "recontour", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | (environment or {}),
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    assert process.stderr is not None
    if os.waitstatus_to_exitcode(status):
        sys.exit(process.stderr.read().decode())
    assert isinstance(usage, resource.struct_rusage)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def least(costs: Iterable[Cost]) -> Cost:
    """Of each measure the least."""
    return Cost(*map(min, zip(*costs, strict=True)))
