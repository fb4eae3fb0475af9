"""A study, run: as many workers as it asks for take its cells one by one until none is left.

Workers agree through the study's folder alone: a cell is taken by holding its lock, and is finished
when its result is there. So the same command on another machine that sees the folder helps along,
and a kill at any moment costs at most what came after the last checkpoint.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

import torch

from recontour.errors import FaultError, RecontourError
from recontour.files import UnreadableError, UnreadableFile, output_error, write_text
from recontour.findings import Finding, Unexpected, log_finding, stored_words
from recontour.processes import HeldError, ended_by_signals, held
from recontour.progress import Progress
from recontour.study.cells import Cell
from recontour.study.findings import (
    CrashedCell,
    DeadWorkers,
    FailedCell,
    FailedParentCell,
    KeptCells,
)
from recontour.study.folder import open_workspace, refuse_links, study_plan
from recontour.study.fresh import Fresh, start_fresh
from recontour.study.perform import Workspace, perform
from recontour.study.results import cell_folder, is_finished
from recontour.study.settings import threads_of
from recontour.syncing import make_folders
from recontour.texts import MOST_TOML_BYTES, open_own, read_given
from recontour.training.folder import RunFolder
from recontour.wording import printable

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
GRACE_SECONDS = 60.0  # for a worker to finish an iteration and to clean up
MOST_LETTERS = 2000  # of a line that another process wrote
GPUS = "CUDA_VISIBLE_DEVICES"


def run(out: Path, progress: Progress) -> dict[str, str]:
    """Run all cells that are not finished.

    What workers find is logged here. Returns: why cells failed, by id; the others are finished.
    Raises: FaultError: all workers died, for example because the memory is full.
    """
    workspace = open_workspace(out)
    cells = study_plan(workspace).cells
    refuse_links(out, cells)
    for cell in cells:
        _failure_file(out, cell).unlink(missing_ok=True)  # it is tried again
    count = min(workspace.study.workers, len(_unfinished(out, cells)))
    try:
        with _workers(out, count, threads_of(workspace.study)) as workers:
            _watch(workers, out, cells, progress)
    except KeyboardInterrupt:
        log_finding(log, logging.INFO, _kept(out, cells))
        raise
    failed = failures(out, cells)
    left = [cell for cell in _unfinished(out, cells) if cell.id not in failed]
    if left:
        raise FaultError(DeadWorkers(cells=len(left), first=left[0].id))
    _show(out, cells, progress)
    return failed


def _kept(out: Path, cells: Sequence[Cell]) -> KeptCells:
    """Return what an interrupted study keeps."""
    unfinished = _unfinished(out, cells)
    begun = 0
    for cell in unfinished:
        folder = RunFolder.beside(cell_folder(out, cell) / "model")
        begun += folder.checkpoint.exists()
    finished = len(cells) - len(unfinished)
    return KeptCells(finished=finished, begun=begun, cells=len(cells))


def failures(out: Path, cells: Sequence[Cell]) -> dict[str, str]:
    """Return why cells failed, by id: a line each, fit to store."""
    why = {}
    for cell in cells:
        if _has_failed(out, cell):
            why[cell.id] = _first_line(_failure_file(out, cell))
    return why


# In the process that the user started


def _watch(
    workers: Sequence[Fresh],
    out: Path,
    cells: Sequence[Cell],
    progress: Progress,
) -> None:
    """Show progress, and log what workers send, until all of them have ended."""
    pipes = [worker.pipe for worker in workers]
    while alive := [worker.process for worker in workers if worker.process.is_alive()]:
        if _unfinished(out, cells):
            _show(out, cells, progress)
        ends = [process.sentinel for process in alive]
        wait([*ends, *pipes], timeout=POLL_SECONDS)
        pipes = _heard(pipes)
    _heard(pipes)


def _heard(pipes: Sequence[Connection]) -> list[Connection]:
    """Log what has come through pipes. Returns: those that are still open."""
    still_open = []
    for pipe in pipes:
        try:
            while pipe.poll():
                name, level, finding = pipe.recv()
                log_finding(logging.getLogger(name), level, finding)
            still_open.append(pipe)
        except (EOFError, OSError):
            pipe.close()
    return still_open


def _show(
    out: Path,
    cells: Sequence[Cell],
    progress: Progress,
) -> None:
    """Report how many cells are done, and what the others are doing."""
    done = failed = 0
    doing = []
    for cell in cells:
        if is_finished(out, cell):
            done += 1
        elif _has_failed(out, cell):
            failed += 1
        elif (at := _progress_file(out, cell)).exists():
            doing.append(f"{cell.id} {_first_line(at)}")
    if failed:
        doing.insert(0, f"{failed} failed")
    progress("cells", done, len(cells), "; ".join(doing))


@contextmanager
def _workers(
    out: Path,
    count: int,
    threads: int,
) -> Iterator[Sequence[Fresh]]:
    """Give worker processes, which end with the block."""
    workers: list[Fresh] = []
    try:
        for number in range(count):
            environment = {"OMP_NUM_THREADS": str(threads), **_gpu(number)}
            workers.append(start_fresh(_work, out, threads, environment=environment))
        yield workers
    finally:
        _end(workers)


def _gpu(number: int) -> dict[str, str]:
    """Return the variable that shows a worker one of several GPUs; nothing if there is only one."""
    count = torch.cuda.device_count()
    if count < 2:
        return {}
    names = os.environ.get(GPUS, "").split(",")
    if len(names) < count:  # all of the machine's
        names = list(map(str, range(count)))
    return {GPUS: names[number % count]}


def _end(workers: Sequence[Fresh]) -> None:
    """Let workers keep what they have and clean up; kill those that take too long."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + GRACE_SECONDS
    try:
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:  # also if a second signal ends the wait
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.process.join()


# In a worker


def _work(out: Path, threads: int, pipe: Connection) -> None:
    """Take a cell, perform it and take the next, until none is left: all that a worker does.

    It also ends when it is asked to, or when its parent has ended.
    """
    # Helpers that prepare batches are started as in any other training.
    multiprocessing.set_start_method(None, force=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    logging.getLogger("recontour").addHandler(_Relay(pipe))
    with suppress(KeyboardInterrupt), ended_by_signals():
        workspace = open_workspace(out)
        cells = study_plan(workspace).cells
        while left := [cell for cell in cells if _is_open(out, cell)]:
            if not any(_take(cell, workspace) for cell in left):
                time.sleep(POLL_SECONDS)  # others are at what is left, or at what it waits for


class _Relay(logging.Handler):
    """Sends what a worker finds to the process that the user started."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(logging.WARNING)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record's finding."""
        finding = getattr(record, "finding", None) or Unexpected(reason=record.getMessage())
        with suppress(OSError):  # that process has ended
            self._pipe.send((record.name, record.levelno, finding))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)  # the main thread keeps what it has, and cleans up
        time.sleep(GRACE_SECONDS)
        os._exit(1)


def _take(cell: Cell, workspace: Workspace) -> bool:
    """Perform a cell, if its parent is finished and no other worker has it.

    Returns: whether anything was done.
    """
    out = workspace.out
    if cell.parent and _has_failed(out, cell.parent):
        _fail(out, cell, FailedParentCell(parent=cell.parent.id))
        return True
    if cell.parent and not is_finished(out, cell.parent):
        return False
    folder = cell_folder(out, cell)
    make_folders(folder)
    try:
        with held(folder / "lock"):
            if _is_open(out, cell):
                _perform(cell, workspace)
    except HeldError:
        return False
    except OSError as error:
        _fail(out, cell, output_error(folder, error).finding)
    return True


def _perform(cell: Cell, workspace: Workspace) -> None:
    """Perform a cell. If it fails, the rest of the study goes on."""
    out = workspace.out
    at = _progress_file(out, cell)
    try:
        perform(cell, workspace, partial(_note, at))
        _failure_file(out, cell).unlink(missing_ok=True)
    except RecontourError as error:
        _fail(out, cell, error.finding)
    except Exception as error:
        _fail(out, cell, _crash(error))
    finally:
        at.unlink(missing_ok=True)


def _crash(error: Exception) -> CrashedCell:
    """Return the facts of an unexpected error."""
    calls = tuple(_calls(error.__traceback__))
    return CrashedCell(
        error=type(error).__name__,
        calls=calls,
        reason=str(error),
    )


def _calls(trace: TracebackType | None) -> Iterator[str]:
    """Yield the calls that led to an error, by module: folders may name people."""
    for frame, line in walk_tb(trace):
        yield f"{frame.f_globals.get('__name__')}, line {line}, in {frame.f_code.co_name}"


def _fail(out: Path, cell: Cell, why: Finding) -> None:
    """Write down why a cell failed, without what may name a patient, and log it."""
    lines = [stored_words(why)]
    if isinstance(why, CrashedCell):
        lines.extend(why.calls)
    write_text(_failure_file(out, cell), "\n".join(lines) + "\n", replace=True)
    failed = FailedCell(
        path=why.path,
        case=why.case,
        organ=why.organ,
        cell=cell.id,
        why=why,
    )
    log_finding(log, logging.WARNING, failed)


def _note(at: Path, words: str) -> None:
    """Write down what a cell is doing, for the process that shows it."""
    try:
        with open_own(at, append=False) as file:
            file.write(words)
    except OSError as error:
        raise output_error(at, error) from error


# A cell's state, as its folder has it


def _unfinished(out: Path, cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if not is_finished(out, cell)]


def _is_open(out: Path, cell: Cell) -> bool:
    """Return whether a cell is neither finished nor failed."""
    return not is_finished(out, cell) and not _has_failed(out, cell)


def _has_failed(out: Path, cell: Cell) -> bool:
    return _failure_file(out, cell).exists()


def _failure_file(out: Path, cell: Cell) -> Path:
    return cell_folder(out, cell) / "failed.txt"


def _progress_file(out: Path, cell: Cell) -> Path:
    return cell_folder(out, cell) / "at"


def _first_line(path: Path) -> str:
    """Return the first line of a file that another process, or a person, wrote.

    It is empty if there is no such file.
    """
    try:
        text = read_given(path, MOST_TOML_BYTES).decode("utf-8", "replace")
    except OSError:  # the cell has just been finished
        return ""
    except UnreadableError as error:
        return stored_words(UnreadableFile(what="file failed.txt", why=error.finding))
    return printable(text.partition("\n")[0])[:MOST_LETTERS]
