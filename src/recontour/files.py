"""Outputs that appear whole or not at all, and never in place of something else."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recontour.errors import FaultError, OutputError


def refuse_existing(path: Path) -> None:
    """Raise OutputError where an output exists already."""
    if path.exists() or path.is_symlink():
        raise OutputError(f"{path} exists; recontour does not overwrite. Choose another name, or move it away")


@contextmanager
def whole_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary sibling to write to; it becomes `path` when the block ends, and is gone when the block fails.

    Raises: OutputError: path exists (unless replace), or its folder cannot be written to. FaultError: the disk is full.
    """
    if not replace:
        refuse_existing(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode  # as the user's umask has it; some libraries write for the owner alone
        yield partial
        partial.chmod(mode)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary sibling folder to fill; it becomes `path` when the block ends, and is gone when it fails.

    Raises: OutputError: path exists, or its parent cannot be written to. FaultError: the disk is full.
    """
    refuse_existing(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path, replace=replace) as partial:
        partial.write_text(text, encoding="utf-8")


def output_error(path: Path, error: OSError) -> OutputError | FaultError:
    """What the operating system said about an output, as an error of ours."""
    if isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError | FileExistsError):
        return OutputError(f"{path} cannot be written ({error.strerror}); choose a folder you may write to")
    return FaultError(f"{path} could not be written ({error.strerror or error}); free some space, then repeat")
