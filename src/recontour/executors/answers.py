"""Many jobs of one kind, in this process or elsewhere; their answers come in the jobs' order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import TypeVar

from recontour.executors.places import Place, executor_at
from recontour.processes import cores

Given = TypeVar("Given")
Found = TypeVar("Found")
THREADS = "OMP_NUM_THREADS"


def answers(
    function: Callable[[Given], Found],
    given: Iterable[Given],
    place: Place | None,
    gpus: int = 0,
) -> Generator[Callable[[], Found], None, None]:
    """Yield what waits for each job's answer, in the order of the jobs.

    function: of a module that can be imported; elsewhere it and what it is given are pickled.
    place: None: in this process, each job when its answer is asked for. gpus: as for
    `executor_at`. Whoever stops early closes the generator: jobs that wait are then given up.
    Raises: SettingsError, FaultError: there is no such scheduler or queue.

    >>> [answer() for answer in answers(abs, [-1, 2, -3], None)]
    [1, 2, 3]
    """
    if place is None:
        for one in given:
            yield partial(function, one)
        return
    with executor_at(place, threads_at(place), gpus) as executor:
        waiting = deque(executor.submit(function, one) for one in given)
        while waiting:
            yield waiting.popleft().result


def threads_at(place: Place) -> int:
    """Return how many threads a job has: OMP_NUM_THREADS, or a fair share of this machine's cores.

    How many cores other machines have is not known here; without the variable a job has one.
    """
    said = os.environ.get(THREADS, "")
    if said.isascii() and said.isdigit() and int(said):
        return int(said)
    if place.kind != "local" or not place.workers:
        return 1
    return max(1, cores() // place.workers)
