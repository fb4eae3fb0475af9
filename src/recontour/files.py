"""Outputs that appear whole or not at all, and never in place of something else."""

import errno
import os
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from uuid import uuid4

from recontour.errors import FaultError, OutputError

APPEARED = {errno.EEXIST, errno.ENOTEMPTY}
MENDABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}


def refuse_existing(path: Path) -> None:
    """Raise OutputError where an output exists already, or cannot be made: before the work, not after it."""
    try:
        path.lstat()
    except FileNotFoundError:
        parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"{path} cannot be written: {parent} is no folder that you may write to") from None
    except OSError as error:  # a file where a folder should be, a name too long, a folder that may not be entered
        raise output_error(path, error) from error
    else:
        raise OutputError(f"{path} exists; recontour does not overwrite. Choose another name, or move it away")


def printable(words: str) -> str:
    """Words as a screen and a table may have them, in one line.

    White space becomes a blank; what steers a terminal, turns the direction of writing or is no text becomes U+FFFD.
    """
    if words.isprintable():
        return words
    steering = ("Cc", "Cf", "Cs")
    blank = "".join(" " if letter.isspace() else letter for letter in words)
    return "".join("\ufffd" if unicodedata.category(letter) in steering else letter for letter in blank)


def did_you_mean(path: Path) -> str:
    """What lies beside a path that is not there and is called much the same, as the end of a sentence; else empty."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


@contextmanager
def whole_file(path: Path, *, replace: bool = False, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary sibling to write to; it becomes `path` when the block ends, and is gone when the block fails.

    mode: who may do what with it, from the start; the user's umask takes from that.
    Raises: OutputError: path exists or appears meanwhile (unless replace), or its folder cannot be written to.
        FaultError: the disk is full.
    """
    if not replace:
        refuse_existing(path)
    partial = _partial(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode)
        granted = partial.stat().st_mode  # as the user's umask has it; some libraries write for the owner alone
        yield partial
        partial.chmod(granted)
        with partial.open("r+b") as written:  # Windows syncs only what may be written
            os.fsync(written.fileno())
        if replace:
            partial.replace(path)
        else:
            _name(partial, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _partial(path: Path) -> Path:
    """A sibling's name that nothing else has, not even what an earlier run left when it was killed."""
    return path.with_name(f".{path.name[:100]}.{uuid4().hex[:8]}.partial")


def _name(partial: Path, path: Path) -> None:
    """Give a finished file its name; unlike a rename, a link is never made over a file that appeared meanwhile."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        partial.rename(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary sibling folder to fill; it becomes `path` when the block ends, and is gone when it fails.

    Raises: OutputError: path exists or appears meanwhile, or its parent cannot be written to. FaultError: the disk is
        full.
    """
    refuse_existing(path)
    partial = _partial(path)
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.rename(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_text(path: Path, text: str, *, replace: bool = False, mode: int = 0o666) -> None:
    """Write a text file whole or not at all; mode as of `whole_file`."""
    with whole_file(path, replace=replace, mode=mode) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes | memoryview, *, replace: bool = False) -> None:
    """Write a file whole or not at all. Libraries, writing it themselves, would hide what the disk says."""
    with whole_file(path, replace=replace) as partial:
        partial.write_bytes(content)


def output_error(path: Path, error: OSError) -> OutputError | FaultError:
    """What the operating system said about an output, as an error of ours."""
    if error.errno in APPEARED:
        return OutputError(f"{path} appeared meanwhile; recontour does not overwrite. Choose another name, and repeat")
    if error.errno in MENDABLE:
        return OutputError(f"{path} cannot be written ({error.strerror}); choose another name or folder")
    return FaultError(f"{path} could not be written ({error.strerror or error}); free some space, then repeat")
