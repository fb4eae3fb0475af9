"""Outputs that appear whole or not at all, and never in place of something else."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from recontour.errors import FaultError, OutputError
from recontour.partials import held_file, held_folder, sweep_once
from recontour.syncing import make_folders, sync_file, sync_folder, sync_tree

APPEARED = {errno.EEXIST, errno.ENOTEMPTY}
MENDABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
# by what the system says: faults of the machine, of which the file that it names is innocent
REMEDIES = {
    errno.ENOSPC: "free some space, then repeat",
    errno.EDQUOT: "your share of the disk is used up: free some space, then repeat",
    errno.EFBIG: "a file may not become so large there: raise the limit (`ulimit -f`), or choose another disk",
    errno.EMFILE: "this process may not open more files: raise the limit (`ulimit -n 4096`), then repeat",
    errno.ENFILE: "the machine can open no more files: close other programs, then repeat",
    errno.EAGAIN: "no more processes or threads may be started: raise the limit (`ulimit -u`), then repeat",
    errno.ENOMEM: "the memory is full: close other programs, then repeat",
    errno.EIO: "the disk or share is failing: have it checked, then repeat",
    errno.ESTALE: "the share is no longer what was mounted: mount it again, then repeat",
    errno.ENOTCONN: "the share has lost its server: mount it again, then repeat",
    errno.ETIMEDOUT: "the share does not answer: see that its server runs, then repeat",
    errno.EHOSTDOWN: "the share does not answer: see that its server runs, then repeat",
    errno.ENXIO: "the disk is gone: connect it again, then repeat",
    errno.ENODEV: "the disk or share cannot do that: copy the folder to a local disk, then repeat",
    errno.ENOLCK: "the share has no locks: copy the folder to a local disk, or mount the share with locks",
    errno.EOPNOTSUPP: "the disk or share cannot do that: copy the folder to a local disk, then repeat",
}
NAME_LETTERS = 64  # of a label that becomes part of file names


def refuse_existing(path: Path) -> None:
    """Raise OutputError where an output exists already, or cannot be made:

    before the work, not after it.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(
                f"{path} cannot be written: {parent} is no folder that you may write to"
            ) from None
    # a file where a folder should be, a name too long, a folder that may not be entered
    except OSError as error:
        raise output_error(path, error) from error
    else:
        raise OutputError(
            f"{path} exists; recontour does not overwrite. Choose another name, or move it away"
        )


def did_you_mean(path: Path) -> str:
    """What lies beside a path that is not there and is called much the same, as the end of a
    sentence; else empty.
    """
    try:
        names = [entry.name for entry in path.parent.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return ""
    close = get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


def is_name(words: str, letters: int = NAME_LETTERS) -> bool:
    """Whether words may become a file's or folder's name, or a part of one: within one folder,
    visible, and printable.

    Whatever becomes a path is asked this where it is read, not only where it is typed: a file from
    elsewhere may hold an absolute path, or one that leads out of the folder it is put into.
    """
    if not words.strip() or words[0] == "." or not words.isprintable():
        return False
    return len(words) <= letters and not set("/\\") & set(words)  # DICOM parts text at a backslash


def read_file(path: Path, most_bytes: int) -> bytes:
    """What a file holds that should be small. A pipe or device, on which reading would wait, is not
    opened.

    Raises: OSError: it cannot be read. ValueError: it is no plain file, or larger than that.
    """
    refuse_no_file(path)
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes:,} bytes")
    return content


def refuse_no_file(path: Path) -> None:
    """Raise ValueError where a path, or what it links to, is a folder, pipe or device;

    OSError where it is nothing.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no plain file")


@contextmanager
def whole_file(path: Path, *, replace: bool = False, mode: int = 0o666) -> Iterator[Path]:
    """Give a temporary sibling to write to; it becomes `path` when the block ends, and is gone when
    the block fails.

    Then it is on the disk, with its name. What a killed run left in the same folder is removed.
    mode: who may do what with it, from the start; the user's umask takes from that.
    Raises: OutputError: path exists or appears meanwhile (unless replace), or its folder cannot be
        written to.
        FaultError: the disk is full, or fails.
    """
    if not replace:
        refuse_existing(path)
    try:
        make_folders(path.parent)
        sweep_once(path.parent.absolute())
        with held_file(path, mode) as partial:
            granted = (
                partial.stat().st_mode
            )  # as the user's umask has it; some libraries write for the owner alone
            yield partial
            partial.chmod(granted)
            sync_file(partial)
            if replace:
                partial.replace(path)
            else:
                _name(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def _name(partial: Path, path: Path) -> None:
    """Give a finished file its name;

    unlike a rename, a link is never made over a file that appeared meanwhile.
    """
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        partial.rename(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary sibling folder to fill; it becomes `path` when the block ends, and is gone
    when it fails.

    Then it is on the disk with all that is in it. What a killed run left beside it is removed.
    Raises: OutputError: path exists or appears meanwhile, or its parent cannot be written to.
        FaultError: the disk is full, or fails.
    """
    refuse_existing(path)
    try:
        make_folders(path.parent)
        sweep_once(path.parent.absolute())
        with held_folder(path) as partial:
            yield partial
            sync_tree(partial)
            partial.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def write_text(path: Path, text: str, *, replace: bool = False, mode: int = 0o666) -> None:
    """Write a text file whole or not at all; mode as of `whole_file`."""
    with whole_file(path, replace=replace, mode=mode) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes | memoryview, *, replace: bool = False) -> None:
    """Write a file whole or not at all.

    Libraries, writing it themselves, would hide what the disk says.
    """
    with whole_file(path, replace=replace) as partial:
        partial.write_bytes(content)


def output_error(path: Path, error: OSError) -> OutputError | FaultError:
    """What the operating system said about an output, as an error of ours."""
    if error.errno in APPEARED:
        return OutputError(
            f"{path} appeared meanwhile; recontour does not overwrite. Choose another name, and repeat"
        )
    if error.errno in MENDABLE:
        return OutputError(
            f"{path} cannot be written ({error.strerror}); choose another name or folder"
        )
    return machine_fault(path, error, "written")


def machine_fault(path: Path, error: OSError, done: str = "read") -> FaultError:
    """What the operating system said about a file that is not to blame, as an error of ours."""
    remedy = REMEDIES.get(error.errno or 0, "see what the system says, then repeat")
    return FaultError(f"{path} could not be {done} ({error.strerror or error}); {remedy}")
