"""Measure what a command costs when it runs as a process of its own."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from tempfile import TemporaryFile
from typing import NamedTuple


class Cost(NamedTuple):
    """What a command took.

    processor_seconds: of all cores; a busy machine changes them least. peak_mib: of the command's
    largest process, but never less than its parent held when it started it.
    """

    seconds: float
    processor_seconds: float
    peak_mib: float


def measured(*arguments: object, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a `recontour` command; return what it took, start-up included.

    environment: variables that differ from our own.
    """
    return cost_of([sys.executable, "-m", "recontour", *arguments], environment)


def cost_of(command: Sequence[object], environment: Mapping[str, str] | None = None) -> Cost:
    """Run any command; return what it took. Its output is dropped.

    Raises: SystemExit: the command failed; the message is its standard error.
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
    """Return the least of each measure."""
    return Cost(*map(min, zip(*costs, strict=True)))
