"""A study, run: each cell is a job for an executor, as soon as its parent is finished.

What is done lies in the study's folder alone: a cell is finished when its result is there, and its
lock is held while it is computed. So a kill at any moment costs at most what came after the last
checkpoint, and the same command on another machine that sees the folder helps along: it passes
over cells that others are at, and looks again later.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from traceback import walk_tb
from types import TracebackType

import torch

from recontour.errors import RecontourError
from recontour.executors import LostScheduler, Place, executor_at
from recontour.files import UnreadableError, UnreadableFile, output_error, write_text
from recontour.findings import Finding, finding_of, log_finding, stored_words
from recontour.processes import HeldError, held
from recontour.progress import Progress
from recontour.study.cells import Cell
from recontour.study.findings import CrashedCell, FailedCell, FailedParentCell, KeptCells
from recontour.study.folder import open_workspace, refuse_links, study_plan
from recontour.study.perform import Workspace, perform
from recontour.study.results import cell_folder, is_finished
from recontour.study.settings import threads_of
from recontour.syncing import make_folders
from recontour.texts import MOST_TOML_BYTES, open_own, read_given
from recontour.training.folder import RunFolder
from recontour.wording import printable

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
MOST_LETTERS = 2000  # of a line that another process wrote

Found = tuple[str, int, Finding]  # a logger's name, a level, and what was found


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker says of a cell. is_held: another study is at it. found: to be logged."""

    is_held: bool
    found: tuple[Found, ...]


Job = Callable[[Path, Cell, int], Outcome]  # with the threads that it may use


def run(out: Path, progress: Progress, place: Place) -> dict[str, str]:
    """Run all cells that are not finished.

    What workers find is logged here.
    Returns: why cells failed, by id; the others are finished.
    """
    workspace = open_workspace(out)
    threads = threads_of(workspace.study)
    cells = study_plan(workspace).cells
    refuse_links(out, cells)
    for cell in cells:
        _failure_file(out, cell).unlink(missing_ok=True)  # it is tried again
    most = place.workers or len(cells)
    try:
        with executor_at(place, threads, torch.cuda.device_count()) as executor:
            Jobs(out, cells, compute, threads, executor, most).finish(progress)
    except KeyboardInterrupt:
        log_finding(log, logging.INFO, _kept(out, cells))
        raise
    _show(out, cells, progress)
    return failures(out, cells)


def _kept(out: Path, cells: Sequence[Cell]) -> KeptCells:
    """Return what an interrupted study keeps."""
    unfinished = [cell for cell in cells if not is_finished(out, cell)]
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


@dataclass(slots=True)
class Jobs:
    """The jobs of a study.

    job: what a worker does with a cell. threads: of a worker. most: how many cells are with the
    executor at a time, so that they start in the plan's order. again_at: when to try the cells
    that others are at, by id.
    """

    out: Path
    cells: Sequence[Cell]
    job: Job
    threads: int
    executor: Executor
    most: int
    going: dict[Future[Outcome], Cell] = field(default_factory=dict)
    again_at: dict[str, float] = field(default_factory=dict)

    def finish(self, progress: Progress) -> None:
        """Submit cells until each of them is finished or has failed."""
        while (left := self._left()) or self.going:
            self._submit(left)
            _show(self.out, self.cells, progress)
            self._wait()
            self._fail_orphans()

    def _left(self) -> list[Cell]:
        """Return the cells that are still to do."""
        return [cell for cell in self.cells if _is_open(self.out, cell)]

    def _fail_orphans(self) -> None:
        """Let cells fail whose parents have failed; a parent comes before its children."""
        for cell in self._left():
            if cell.parent and _has_failed(self.out, cell.parent):
                _fail(self.out, cell, FailedParentCell(parent=cell.parent.id))

    def _submit(self, left: Sequence[Cell]) -> None:
        """Submit the first cells that can start."""
        submitted = {cell.id for cell in self.going.values()}
        for cell in left:
            if len(self.going) == self.most:
                return
            if cell.id not in submitted and self._can_start(cell):
                future = self.executor.submit(self.job, self.out, cell, self.threads)
                self.going[future] = cell

    def _can_start(self, cell: Cell) -> bool:
        if time.monotonic() < self.again_at.get(cell.id, 0.0):
            return False
        return not cell.parent or is_finished(self.out, cell.parent)

    def _wait(self) -> None:
        """Wait for a job, but not for long: progress is shown, and others finish cells, too."""
        if not self.going:
            time.sleep(POLL_SECONDS)
            return
        ended, _ = wait(self.going, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in ended:
            self._hear(future, self.going.pop(future))

    def _hear(self, future: Future[Outcome], cell: Cell) -> None:
        """Log what a job has found, or why there is no answer."""
        try:
            outcome = future.result()
        except Exception as error:
            why = _why(error)
            if isinstance(why, LostScheduler):
                raise
            _fail(self.out, cell, why)
            return
        for name, level, finding in outcome.found:
            log_finding(logging.getLogger(name), level, finding)
        if outcome.is_held:
            self.again_at[cell.id] = time.monotonic() + POLL_SECONDS


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


# In a worker


def compute(out: Path, cell: Cell, threads: int) -> Outcome:
    """Perform a cell, unless another study has it or had it: all that a worker does.

    Nothing is raised: a cell that fails says so in its folder.
    """
    torch.set_num_threads(threads)
    with _heard() as found:
        is_ours = _take(cell, open_workspace(out))
    return Outcome(not is_ours, tuple(found))


class _Hearing(logging.Handler):
    """Keeps what is found."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[Found] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's finding."""
        self.found.append((record.name, record.levelno, finding_of(record)))


@contextmanager
def _heard() -> Iterator[Sequence[Found]]:
    """Give the list that gains what recontour finds in the block."""
    hearing = _Hearing()
    logger = logging.getLogger("recontour")
    logger.addHandler(hearing)
    try:
        yield hearing.found
    finally:
        logger.removeHandler(hearing)


def _take(cell: Cell, workspace: Workspace) -> bool:
    """Perform a cell, unless it is finished or has failed meanwhile.

    Returns: False if another process holds it.
    """
    out = workspace.out
    folder = cell_folder(out, cell)
    try:
        make_folders(folder)
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
    except Exception as error:
        _fail(out, cell, _why(error))
    finally:
        at.unlink(missing_ok=True)


def _why(error: Exception) -> Finding:
    """Return the facts of an error, expected or not."""
    if isinstance(error, RecontourError):
        return error.finding
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
    _progress_file(out, cell).unlink(missing_ok=True)
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
