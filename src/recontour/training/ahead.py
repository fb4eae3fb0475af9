"""Batches prepared ahead of the loop, by processes that are asked for them and send them through
pipes.

Pipes need neither shared memory, which is small in a container, nor sockets or files in a temporary
folder, whose path may be too long for them.
"""

import logging
import multiprocessing
import pickle
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recontour.cohort import Case
from recontour.cohort.arrays import leave_voxels_to_parent
from recontour.errors import FaultError, RecontourError
from recontour.processes import ignore_signals, script_left_out, signals_later
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureBatch, FeatureBatches

log = logging.getLogger(__name__)
AnyBatch = Batch | FeatureBatch
AHEAD = 4  # batches that a helper is asked for before they are needed
PATIENCE_SECONDS = 1800.0  # with a disk or a share that does not answer
KNOWN = (RecontourError, OSError, MemoryError)  # they pass through a pipe as they are


class _Helper(NamedTuple):
    """A process that prepares batches."""

    process: BaseProcess
    pipe: Connection  # its number goes in, the batch comes out
    kill: Finalize  # also called when this process ends


class _EndedError(Exception):
    """A helper ended before its last batch."""


def prepared(batches: Batches | FeatureBatches, done: int, helpers: int) -> Generator[Any]:
    """The batches from iteration `done` to the recipe's end, in their order.

    helpers: processes that prepare them; where none can be started, this process does it, and says
        so.
    Raises: FaultError: a helper ended, or no batch came for long; whatever preparing a batch
        raises.
    """
    iterations = range(done, batches.recipe.iterations)
    with _crew(batches, min(helpers, len(iterations))) as crew, _receiver() as receiver:
        if not crew:
            yield from (batches[iteration] for iteration in iterations)
            return
        asked: deque[tuple[_Helper, Future[AnyBatch]]] = deque()
        turns = zip(iterations, cycle(crew), strict=False)
        for _ in iterations:
            for iteration, helper in islice(turns, AHEAD * len(crew) - len(asked)):
                with suppress(OSError):  # it has ended, as the answer will show
                    helper.pipe.send(iteration)
                asked.append((helper, receiver.submit(_answered, helper)))
            helper, coming = asked.popleft()
            yield _arrived(helper, coming, batches)


def _arrived(
    helper: _Helper, coming: "Future[AnyBatch]", batches: Batches | FeatureBatches
) -> AnyBatch:
    try:
        return coming.result(PATIENCE_SECONDS)
    except TimeoutError:
        if coming.done():
            raise  # of the share itself
        raise FaultError(
            f"no batch was prepared in {PATIENCE_SECONDS / 60:.0f} minutes: the disk or the share with the cohort does "
            "not answer. Repeat with --resume once it does"
        ) from None
    except _EndedError:
        helper.process.join()
        plain = batches.batches if isinstance(batches, FeatureBatches) else batches
        raise _fault(helper.process.exitcode, plain.cases) from None


def _fault(exit_code: int | None, cases: Sequence[Case]) -> FaultError:
    """Why a process that prepared batches ended."""
    if exit_code == -signal.SIGKILL:
        return FaultError(
            "the system killed the process that prepares batches; most likely the memory is full: close other "
            "programs, or use a smaller --preset, then repeat with --resume"
        )
    if (
        hasattr(signal, "SIGBUS") and exit_code == -signal.SIGBUS
    ):  # a mapped file has no such page any more
        where = _cut_off(cases) or "a file of the cohort"
        return FaultError(
            f"{where} could not be read to its end while the training ran: it was cut off or replaced, or its disk or "
            "share failed. Look at both, then repeat with --resume"
        )
    return FaultError(
        f"the process that prepares batches ended early ({_ending(exit_code)}); repeat with --resume, and report it if "
        "it happens again"
    )


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"signal {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def _cut_off(cases: Sequence[Case]) -> Path | None:
    """The first of the cases' files that cannot be mapped as its header says."""
    for case in cases:
        for path in sorted(case.path.glob("*.npy")):
            try:
                np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError):
                return path
    return None


@contextmanager
def _receiver() -> Iterator[ThreadPoolExecutor]:
    """A thread that reads the pipes while the loop computes."""
    receiver = ThreadPoolExecutor(1)
    try:
        yield receiver
    finally:
        receiver.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _crew(batches: Batches | FeatureBatches, count: int) -> Iterator[list[_Helper]]:
    """Helpers that take turns;

    they are gone when the block ends. An empty list where none can be started.
    """
    crew: list[_Helper] = []
    try:
        _start(crew, batches, count)
        yield crew
    finally:
        for helper in crew:
            helper.kill()
        for helper in crew:
            helper.process.join()


def _start(crew: list[_Helper], batches: Batches | FeatureBatches, count: int) -> None:
    if multiprocessing.current_process().daemon:
        return  # it may not start others
    try:
        for _ in range(count):
            crew.append(_started(batches, [helper.pipe for helper in crew]))
    except OSError as error:
        for helper in crew:
            helper.kill()
        crew.clear()
        log.warning(
            f"no process could be started to prepare batches ({error.strerror or error}): this one does it, and the "
            "training takes longer"
        )


def _started(batches: Batches | FeatureBatches, others: list[Connection]) -> _Helper:
    chosen = multiprocessing.get_start_method(allow_none=True)
    forks = sys.platform == "linux" and chosen in (None, "fork")
    context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
    pipe, its_end = multiprocessing.Pipe()
    inherited = [*others, pipe] if forks else []
    process = context.Process(target=_help, args=(batches, its_end, inherited), daemon=True)
    with script_left_out(), signals_later(), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forks: PyTorch's threads are not used in the child
        try:
            process.start()
        finally:
            its_end.close()
    return _Helper(process, pipe, Finalize(None, process.kill, exitpriority=10))


def _help(batches: Batches | FeatureBatches, pipe: Connection, inherited: list[Connection]) -> None:
    """A helper's life: prepare the batches that are asked for, until nobody asks any more."""
    ignore_signals()
    leave_voxels_to_parent()
    for (
        connection
    ) in inherited:  # else this process would keep the pipes open when the loop's process has died
        connection.close()
    torch.set_num_threads(1)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send_bytes(_answer(batches, pipe.recv()))


def _answer(batches: Batches | FeatureBatches, iteration: int) -> bytes:
    """A batch, or the error that is to be raised where it is needed."""
    try:
        return _packed(batches[iteration])
    except Exception as error:
        known = (
            error if isinstance(error, KNOWN) else RuntimeError(f"{type(error).__name__}: {error}")
        )
        known.add_note(traceback.format_exc())
        return pickle.dumps(known)


def _packed(batch: AnyBatch) -> bytes:
    parts = [_to_send(part) for part in batch]
    return pickle.dumps((type(batch), parts), protocol=5)


def _to_send(part: Tensor) -> Any:
    array = part.numpy()
    return (np.packbits(array), array.shape) if array.dtype == bool else array


def _answered(helper: _Helper) -> AnyBatch:
    """The next batch that a helper was asked for."""
    try:
        content = pickle.loads(helper.pipe.recv_bytes())
    except (EOFError, OSError):
        raise _EndedError from None
    if isinstance(content, Exception):
        raise content
    kind, parts = content
    batch: AnyBatch = kind(*map(_to_tensor, parts))
    return batch


def _to_tensor(part: Any) -> Tensor:
    if isinstance(part, tuple):
        bits, shape = part
        part = np.unpackbits(bits, count=int(np.prod(shape))).view(np.bool_).reshape(shape)
    tensor = torch.from_numpy(part)
    return tensor.pin_memory() if torch.cuda.is_available() else tensor
