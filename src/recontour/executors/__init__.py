"""Jobs in other processes, on this machine or on others: what takes them is an `Executor`.

    local:4            four processes of this machine
    slurm:8            eight jobs of a Slurm queue
    tcp://HOST:8786    the workers of a Dask scheduler

A job is a function of a module that can be imported, and plain data. It runs in a process of its
own, started fresh: libraries read some variables only once, when they are loaded, and such a
process sets its variables before it loads any. Nothing changes in the process that asks.

A process that dies is replaced, and its job is tried again; a job that has killed MOST_DEATHS
processes fails. At the end of the block, processes get SIGTERM and a grace period to keep what
they have. They also end when the process that started them does.

places      where jobs run         local     processes of this machine
findings    what can go wrong      cluster   Dask and Slurm; loaded only when it is asked for
answers     many jobs of one kind, and their answers in order
"""

from recontour.executors.answers import answers
from recontour.executors.findings import DeadWorker, LostScheduler
from recontour.executors.places import Place, executor_at, place_of, workers_at

__all__ = [
    "DeadWorker",
    "LostScheduler",
    "Place",
    "answers",
    "executor_at",
    "place_of",
    "workers_at",
]
