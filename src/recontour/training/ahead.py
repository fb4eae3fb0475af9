"""Batches prepared ahead of the loop, by helper processes that send them through pipes.

Pipes need no shared memory, which is scarce in a container. They need no sockets or files in a
temporary folder either, whose path may be too long for them.
"""

import logging
import multiprocessing
import pickle
import signal
import sys
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
from recontour.errors import FaultError
from recontour.findings import Finding, log_finding
from recontour.processes import ignore_signals, portable, script_left_out, signals_later
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureBatch, FeatureBatches
from recontour.training.findings import (
    EndedHelper,
    KilledHelper,
    NoBatchInTime,
    NoHelper,
    TruncatedCaseFile,
)

log = logging.getLogger(__name__)
AnyBatch = Batch | FeatureBatch
AHEAD = 4  # batches that are requested from a helper before they are needed
PATIENCE_SECONDS = 1800.0  # how long to wait for a disk or share that does not answer


class _Helper(NamedTuple):
    """A process that prepares batches.

    pipe: an iteration's number goes in, its batch comes out. kill: also called when this process
    ends.
    """

    process: BaseProcess
    pipe: Connection
    kill: Finalize


class _EndedError(Exception):
    """A helper ended before its last batch."""


def prepared(
    batches: Batches | FeatureBatches,
    done: int,
    helpers: int,
) -> Generator[Any]:
    """Yield the batches from iteration `done` to the recipe's end, in their order.

    helpers: processes that prepare them. If none can be started, this process prepares them, and a
        warning says so.
    Raises: FaultError: a helper ended, or no batch came for long. Errors of preparing a batch are
        raised, too.
    """
    iterations = range(done, batches.recipe.iterations)
    with _crew(batches, min(helpers, len(iterations))) as crew, _receiver() as receiver:
        if not crew:
            for iteration in iterations:
                yield batches[iteration]
            return
        asked: deque[tuple[_Helper, Future[AnyBatch]]] = deque()
        turns = zip(iterations, cycle(crew), strict=False)
        for _ in iterations:
            for iteration, helper in islice(turns, AHEAD * len(crew) - len(asked)):
                with suppress(OSError):  # the helper has ended, and its answer will show it
                    helper.pipe.send(iteration)
                asked.append((helper, receiver.submit(_answered, helper)))
            helper, coming = asked.popleft()
            yield _arrived(helper, coming, batches)


def _arrived(
    helper: _Helper, coming: "Future[AnyBatch]", batches: Batches | FeatureBatches
) -> AnyBatch:
    """Wait for a batch."""
    try:
        return coming.result(PATIENCE_SECONDS)
    except TimeoutError:
        if coming.done():  # the share's own error, not ours
            raise
        raise FaultError(NoBatchInTime(minutes=PATIENCE_SECONDS / 60)) from None
    except _EndedError:
        helper.process.join()
        plain = batches.batches if isinstance(batches, FeatureBatches) else batches
        raise FaultError(_why_ended(helper.process.exitcode, plain.cases)) from None


def _why_ended(exit_code: int | None, cases: Sequence[Case]) -> Finding:
    """Return why a helper ended."""
    if exit_code == -signal.SIGKILL:
        return KilledHelper()
    # A mapped file no longer has the page that was read.
    if hasattr(signal, "SIGBUS") and exit_code == -signal.SIGBUS:
        return TruncatedCaseFile(path=_cut_off(cases))
    return EndedHelper(exit_code=exit_code)


def _cut_off(cases: Sequence[Case]) -> Path | None:
    """Return the first of the cases' files that is shorter than its header says."""
    for case in cases:
        for path in sorted(case.path.glob("*.npy")):
            try:
                np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError):
                return path
    return None


@contextmanager
def _receiver() -> Iterator[ThreadPoolExecutor]:
    """Give a thread that reads the pipes while the loop computes."""
    receiver = ThreadPoolExecutor(1)
    try:
        yield receiver
    finally:
        receiver.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _crew(batches: Batches | FeatureBatches, count: int) -> Iterator[list[_Helper]]:
    """Give helpers that take turns, or none if none can be started; end them with the block."""
    crew: list[_Helper] = []
    try:
        _start(crew, batches, count)
        yield crew
    finally:
        for helper in crew:
            helper.kill()
        for helper in crew:
            helper.process.join()


def _start(
    crew: list[_Helper],
    batches: Batches | FeatureBatches,
    count: int,
) -> None:
    if multiprocessing.current_process().daemon:
        return  # it may not start others
    try:
        for _ in range(count):
            crew.append(_started(batches, [helper.pipe for helper in crew]))
    except OSError as error:
        for helper in crew:
            helper.kill()
        crew.clear()
        log_finding(log, logging.WARNING, NoHelper(number=error.errno))


def _started(batches: Batches | FeatureBatches, others: list[Connection]) -> _Helper:
    """Start a helper. others: the pipes of those that were started before."""
    chosen = multiprocessing.get_start_method(allow_none=True)
    forks = sys.platform == "linux" and chosen in (None, "fork")
    context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
    pipe, its_end = multiprocessing.Pipe()
    inherited = [*others, pipe] if forks else []
    process = context.Process(
        target=_help,
        args=(batches, its_end, inherited),
        daemon=True,
    )
    with script_left_out(), signals_later(), warnings.catch_warnings():
        # Python warns of forks beside threads; the child uses none of PyTorch's.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            process.start()
        finally:
            its_end.close()
    return _Helper(process, pipe, Finalize(None, process.kill, exitpriority=10))


def _help(
    batches: Batches | FeatureBatches,
    pipe: Connection,
    inherited: list[Connection],
) -> None:
    """Prepare batches on request until no more are requested: all that a helper does."""
    ignore_signals()
    leave_voxels_to_parent()
    # If they stayed open here, no pipe would break when the loop's process dies.
    for connection in inherited:
        connection.close()
    torch.set_num_threads(1)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send_bytes(_answer(batches, pipe.recv()))


def _answer(batches: Batches | FeatureBatches, iteration: int) -> bytes:
    """Return a batch, or the error to be raised where the batch is needed."""
    try:
        return _packed(batches[iteration])
    except Exception as error:
        return pickle.dumps(portable(error))


def _packed(batch: AnyBatch) -> bytes:
    parts = list(map(_to_send, batch))
    return pickle.dumps((type(batch), parts), protocol=5)


def _to_send(part: Tensor) -> Any:
    array = part.numpy()
    return (np.packbits(array), array.shape) if array.dtype == bool else array


def _answered(helper: _Helper) -> AnyBatch:
    """Receive the next batch that was requested from a helper."""
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
        flat = np.unpackbits(bits, count=int(np.prod(shape)))
        part = flat.view(np.bool_).reshape(shape)
    tensor = torch.from_numpy(part)
    return tensor.pin_memory() if torch.cuda.is_available() else tensor
