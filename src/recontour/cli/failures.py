"""How a command that fails ends: with a finding and an exit code."""

import argparse
import errno
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.cli.findings import (
    FULL,
    ExhaustedResource,
    InterruptedRun,
    Resource,
    SystemFailure,
    UnloadableLibrary,
)
from recontour.errors import RecontourError
from recontour.files import REMEDIES
from recontour.findings import Finding
from recontour.processes import Interrupted
from recontour.training.folder import RunFolder
from recontour.workflows.check_folder import CheckFolder

MENDABLE = 2
FAULT = 1

# What stays of commands that are repeated as they were.
STAYS = {
    "import_": "the patients imported so far stay",
    "demo": "the steps that are done stay",
}
# The words of PyTorch and the libraries below it, in small letters, in errors that have no class of
# their own, and what is full then.
SAID_WHEN_FULL: dict[str, Resource] = {
    # Of a GPU.
    "out of memory": "memory",
    # PyTorch on a CPU.
    "can't allocate memory": "memory",
    # The system, as when a library is loaded.
    "cannot allocate memory": "memory",
    "failed to map segment": "memory",
    "std::bad_alloc": "memory",
    "can't start new thread": "threads",
    # Several GPUs, or processes that prepare batches.
    "shared memory": "shared memory",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed. name: the error's class, as in Python."""

    finding: Finding
    exit_code: int
    name: str


def failure_of(
    error: BaseException,
    options: argparse.Namespace,
    typed: Sequence[str],
) -> Failure | None:
    """Return what an error means to a user; None for a fault of recontour's own.

    options: of the command. typed: its words.
    """
    name = type(error).__name__
    if isinstance(error, RecontourError):
        return Failure(error.finding, error.exit_code, name)
    if isinstance(error, KeyboardInterrupt):
        stopped = _interrupted(options, typed)
        return Failure(stopped, MENDABLE, Interrupted.__name__)  # whoever caught the signal
    if isinstance(error, OSError):
        # A name that is too long is not the machine's fault.
        is_mendable = error.errno == errno.ENAMETOOLONG
        return Failure(_of_the_system(error), MENDABLE if is_mendable else FAULT, name)
    full = _exhausted(error)
    if full:
        return Failure(full, FAULT, name)
    if isinstance(error, ImportError) and not (error.name or "").startswith("recontour"):
        return Failure(UnloadableLibrary(reason=str(error)), FAULT, name)
    return None


def _interrupted(options: argparse.Namespace, typed: Sequence[str]) -> InterruptedRun:
    """Return what an interrupted command has kept, and what goes on with it."""
    if options.command in STAYS:
        return InterruptedRun(kept=STAYS[options.command], goes_on="repeat the command to go on")
    if options.command == "study":
        from recontour.study.declared import is_study

        begun = bool(options.out) and is_study(options.out)
    elif options.command in ("train", "adapt"):
        out = getattr(options, "head_only", None) or options.out
        if out.exists():
            return InterruptedRun(kept="the model file is complete")
        begun = RunFolder.beside(out).checkpoint.exists() or CheckFolder.beside(out).has_begun()
    else:
        return InterruptedRun(goes_on="repeat the command")
    if not begun:
        return InterruptedRun(kept="no checkpoint was saved", goes_on="repeat the command")
    words = list(typed) if options.resume else [*typed, "--resume"]
    goes_on = "start as many again, of" if getattr(options, "launched", None) else "go on with"
    return InterruptedRun(goes_on=goes_on, with_command=shlex.join(["recontour", *words]))


def _of_the_system(error: OSError) -> Finding:
    """Return what the operating system said, and what helps."""
    path = Path(str(error.filename)) if error.filename else None
    helps = REMEDIES.get(error.errno or 0, "")
    full = _exhausted(error)
    if full and not helps:
        helps = ": ".join(FULL[full.what])
    said = error.strerror or str(error)
    return SystemFailure(
        path=path,
        said=said,
        number=error.errno,
        helps=helps,
    )


def _exhausted(error: BaseException | None) -> ExhaustedResource | None:
    """Return what is full, by the words of an error or of those that led to it.

    The libraries report this in words alone.
    """
    while error:
        if isinstance(error, MemoryError):
            return ExhaustedResource(what="memory")
        said = str(error).lower()
        for words, what in SAID_WHEN_FULL.items():
            if words in said:
                return ExhaustedResource(what=what)
        error = error.__cause__ or error.__context__
    return None
