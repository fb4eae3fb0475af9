"""Processes of this machine, each of which answers one call at a time."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from queue import LifoQueue
from typing import Any, NamedTuple

from recontour.errors import FaultError
from recontour.executors.findings import DeadWorker
from recontour.processes import ended_by_signals, ignore_signals, portable, script_left_out

# A fork would inherit PyTorch's threads in an unknown state.
SPAWN = multiprocessing.get_context("spawn")
MOST_DEATHS = 3
GRACE_SECONDS = 60.0  # for a worker to finish an iteration and to clean up
Job = Callable[[], Any]
GPUS = "CUDA_VISIBLE_DEVICES"

_STARTING = threading.Lock()  # `script_left_out` is for one thread at a time


def gpu_variable(number: int, count: int) -> dict[str, str]:
    """Return the variable that shows a process one of several GPUs; nothing if there is one."""
    if count < 2:
        return {}
    names = os.environ.get(GPUS, "").split(",")
    if len(names) < count:  # all of the machine's
        names = list(map(str, range(count)))
    return {GPUS: names[number % count]}


class LocalExecutor(Executor):
    """Processes of this machine, each with its own environment.

    With `ProcessPoolExecutor`, one process that dies ends all others, and nothing says whose job
    it was, or how it ended.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]]) -> None:
        self._threads = ThreadPoolExecutor(len(environments))
        self._workers = [Worker(environment) for environment in environments]
        self._idle: LifoQueue[Worker] = LifoQueue()  # none starts while another has nothing to do
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, function: Callable[..., Any], /, *data: Any, **named: Any) -> Future[Any]:
        """Let a process call a function; it starts when there is work for it."""
        return self._threads.submit(self._call, partial(function, *data, **named))

    def _call(self, job: Job) -> Any:
        worker = self._idle.get()
        try:
            return worker.call(job)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: after their jobs or, if futures are cancelled, as soon as they can."""
        self._threads.shutdown(wait=wait and not cancel_futures, cancel_futures=cancel_futures)
        end_workers(self._workers)


# A process, seen from the one that started it


class _Fresh(NamedTuple):
    """A process, and the pipe that takes calls to it and brings answers.

    terminate: also called when this process ends, which would else wait for that one.
    """

    process: BaseProcess
    pipe: Connection
    terminate: Finalize


class Worker:
    """A process that answers one call at a time; when it dies, another one takes its place."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._fresh: _Fresh | None = None
        self._lock = threading.Lock()
        self._is_ended = False

    def call(self, job: Job) -> Any:
        """Return what a job returns, or raise what it raises.

        Raises: FaultError: the process died, time and again. CancelledError: it was told to end.
        """
        call = pickle.dumps(job)
        exit_code = None
        for _ in range(MOST_DEATHS):
            fresh = self._started()
            try:
                fresh.pipe.send_bytes(call)
                answer = fresh.pipe.recv()
            except (EOFError, OSError):
                exit_code = self._buried(fresh)
            else:
                return _returned(answer)
        raise FaultError(DeadWorker(times=MOST_DEATHS, exit_code=exit_code))

    def _started(self) -> _Fresh:
        with self._lock:
            if self._is_ended:
                raise CancelledError
            if not self._fresh:
                self._fresh = _start(self._environment)
            return self._fresh

    def _buried(self, fresh: _Fresh) -> int | None:
        """Wait for a process that has stopped answering; return its exit code."""
        fresh.process.join(GRACE_SECONDS)
        self.kill()
        with self._lock:
            self._fresh = None
        return fresh.process.exitcode

    def terminate(self) -> None:
        """Let the process keep what it has and clean up. No other one takes its place."""
        with self._lock:
            self._is_ended = True
        if fresh := self._fresh:
            fresh.terminate()

    def join(self, seconds: float) -> None:
        """Wait for the process's end."""
        if fresh := self._fresh:
            fresh.process.join(seconds)

    def kill(self) -> None:
        """End the process now."""
        if fresh := self._fresh:
            fresh.terminate.cancel()
            fresh.process.kill()
            fresh.process.join()


def end_workers(workers: Sequence[Worker]) -> None:
    """Let workers keep what they have and clean up; kill those that take too long."""
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + GRACE_SECONDS
    try:
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
    finally:  # also if a second signal ends the wait
        for worker in workers:
            worker.kill()


def _start(environment: Mapping[str, str]) -> _Fresh:
    pipe, its_end = SPAWN.Pipe()
    process = SPAWN.Process(target=_serve, args=(environment, its_end))
    try:
        with _STARTING, script_left_out():
            process.start()
    finally:
        its_end.close()
    return _Fresh(process, pipe, Finalize(None, process.terminate, exitpriority=0))


def _returned(answer: tuple[Any, Exception | None]) -> Any:
    value, error = answer
    if error:
        raise error
    return value


# In that process


def in_folder(folder: Path, job: Job) -> Any:
    """Do a job in the folder where the user is, so that relative paths mean the same.

    On a machine that does not have the folder, only absolute paths will do.
    """
    with suppress(OSError):
        os.chdir(folder)
    return job()


def _serve(environment: Mapping[str, str], pipe: Connection) -> None:
    """Answer calls, until asked to end, or until the process that asks has ended."""
    ignore_signals()  # Ctrl-C and a closed terminal are for the process that the user started
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # A job starts processes of its own as it would anywhere else.
    multiprocessing.set_start_method(None, force=True)
    os.environ.update(environment)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt, EOFError, OSError), ended_by_signals():
        while True:
            pipe.send(_answer(pipe.recv_bytes()))


def _answer(call: bytes) -> tuple[Any, Exception | None]:
    try:
        job = pickle.loads(call)  # loads the libraries
        return job(), None
    except Exception as error:
        return None, portable(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)  # the main thread keeps what it has, and cleans up
        time.sleep(GRACE_SECONDS)
        os._exit(1)
