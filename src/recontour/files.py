"""Outputs that appear whole or not at all, and never replace anything; small files, read safely."""

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from recontour.errors import FaultError, OutputError
from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.partials import held_file, held_folder, sweep_once
from recontour.syncing import make_folders, sync_file, sync_folder, sync_tree
from recontour.wording import did_you_mean

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
# What helps when the machine is at fault, not the file that the system names.
REMEDIES = {
    errno.ENOSPC: "free some space, then repeat",
    errno.EDQUOT: "your disk quota is used up: free some space, then repeat",
    errno.EFBIG: "the file is too large for this disk or limit: raise the limit (`ulimit -f`), or "
    "choose another disk",
    errno.EMFILE: "too many open files in this process: raise the limit (`ulimit -n 4096`), then "
    "repeat",
    errno.ENFILE: "too many open files on this machine: close other programs, then repeat",
    errno.EAGAIN: "too many processes or threads: raise the limit (`ulimit -u`), then repeat",
    errno.ENOMEM: "the memory is full: close other programs, then repeat",
    errno.EIO: "the disk or share is failing: have it checked, then repeat",
    errno.ESTALE: "the share was remounted or has changed: mount it again, then repeat",
    errno.ENOTCONN: "the share has lost its server: mount it again, then repeat",
    errno.ETIMEDOUT: "the share does not answer: check that its server runs, then repeat",
    errno.EHOSTDOWN: "the share does not answer: check that its server runs, then repeat",
    errno.ENXIO: "the disk is gone: connect it again, then repeat",
    errno.ENODEV: "the disk or share cannot do that: copy the folder to a local disk, then repeat",
    errno.ENOLCK: "the share has no locks: copy the folder to a local disk, or mount the share "
    "with locks",
    errno.EOPNOTSUPP: "the disk or share cannot do that: copy the folder to a local disk, then "
    "repeat",
}
STATE_ENDINGS = (".run", ".check")  # of folders beside a model in which a training keeps its state
NAME_LETTERS = 64  # of a label that becomes part of file names


# What can be found


@finding
class ExistingOutput(Finding):
    """An output exists, or appeared while recontour was working."""

    meanwhile: bool = False

    def sentence(self) -> str:
        since = "appeared meanwhile" if self.meanwhile else "exists"
        return f"{since}, and recontour does not overwrite"

    def remedy(self) -> str:
        if self.meanwhile:
            return "choose another name, then repeat"
        return "choose another name, or move it away"


@finding
class UnwritableFolder(Finding):
    """The folder of an output is no folder, or must not be written to."""

    folder: ScreenOnly[Path]

    def sentence(self) -> str:
        return f"cannot be written: not in a folder that you may write to ({self.folder})"

    def remedy(self) -> str:
        return "choose another folder"


@finding
class MissingFolder(Finding):
    """The folder that an output is to lie in does not exist."""

    folder: ScreenOnly[Path]

    def sentence(self) -> str:
        return f"cannot be written: there is no folder {self.folder}"

    def remedy(self) -> str:
        return f"check the path, or make the folder: mkdir -p {shlex.quote(str(self.folder))}"


@finding
class SystemRefused(Finding):
    """The operating system refused something, and another name, folder or permission helps."""

    number: int | None  # errno
    done: Literal["read", "written"] = "written"

    def sentence(self) -> str:
        return f"cannot be {self.done} ({system_words(self.number)})"

    def remedy(self) -> str:
        if self.done == "read":
            return "check its permissions, and those of the folders above it"
        return "choose another name or folder"


@finding
class MachineFault(Finding):
    """The machine, a disk or a share failed; the file is not to blame."""

    number: int | None  # errno
    done: Literal["read", "written"] = "read"

    def sentence(self) -> str:
        return f"could not be {self.done} ({system_words(self.number)})"

    def remedy(self) -> str:
        return REMEDIES.get(self.number or 0, "look up what the system reports, then repeat")


@finding
class NotFound(Finding):
    """There is nothing at a path. expected: "a cohort", say. similar: what lies beside it."""

    expected: FitToStore[str]
    otherwise: FitToStore[str] = "check the path"
    similar: ScreenOnly[Path | None] = None

    def sentence(self) -> str:
        return f"not found; {self.expected} is expected"

    def remedy(self) -> str:
        return did_you_mean([str(self.similar)]) if self.similar else self.otherwise


@finding
class NotPlainFile(Finding):
    """A folder, a pipe or a device where a file is expected."""

    is_folder: bool

    def sentence(self) -> str:
        return "it is a folder" if self.is_folder else "it is not a plain file"


@finding
class OversizedFile(Finding):
    """A file that should be small, and is not."""

    most_bytes: int

    def sentence(self) -> str:
        return f"it is larger than {self.most_bytes:,} bytes"


# TOML files that a user writes and names in an option.
WrittenByUser = Literal["file of tolerances", "map of ROI names"]


@finding
class UnreadableFile(Finding):
    """A file cannot be read. what: what should be in it. help: if `why` knows nothing better."""

    what: Literal[
        WrittenByUser,
        "file failed.txt",
        "file of limits",
        "model",
        "names of the labels",
        "site file",
        "split file",
        "study file",
        "table",
        "table of scores",
    ]
    why: Finding
    help: FitToStore[str] = ""

    def sentence(self) -> str:
        return f"the {self.what} cannot be read ({self.why.sentence()})"

    def remedy(self) -> str:
        return self.why.remedy() or self.help


@finding
class SystemReason(Finding):
    """The operating system's own reason, inside another finding."""

    number: int | None  # errno

    def sentence(self) -> str:
        return system_words(self.number)


class UnreadableError(ValueError):
    """A file cannot be read; the caller says which file it is and what helps.

    finding: the reason, to be nested in another finding.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)
        self.finding = finding

    def __str__(self) -> str:
        return self.finding.sentence()


def system_words(number: int | None) -> str:
    """Return what the operating system calls an error.

    >>> system_words(28)
    'No space left on device'
    """
    return os.strerror(number) if number else "the system gives no reason"


# Checks before the work


def refuse_existing(path: Path) -> None:
    """Raise OutputError if an output exists or cannot be made: before the work, not after it."""
    try:
        path.lstat()
    except FileNotFoundError:
        _refuse_unwritable(path)
    except OSError as error:  # a file in place of a folder, a long name, a folder without access
        raise output_error(path, error) from error
    else:
        raise OutputError(ExistingOutput(path=path))


def _refuse_unwritable(path: Path) -> None:
    """Raise OutputError if the nearest folder above a path must not be written to."""
    for folder in path.absolute().parents:
        if os.path.lexists(folder):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OutputError(UnwritableFolder(path=path, folder=folder))
            return


def refuse_missing_folder(path: Path) -> None:
    """Raise OutputError if the folder that a user's output is to lie in does not exist.

    The output itself, a file or a folder, is made; folders above it are not: they may be misspelt.
    """
    if not path.parent.exists():
        raise OutputError(MissingFolder(path=path, folder=path.parent))


def refuse_as_output(path: Path) -> None:
    """Raise OutputError if a user's output exists, cannot be made, or would lie in no folder."""
    refuse_existing(path)
    refuse_missing_folder(path)


def similar_path(path: Path) -> Path | None:
    """Return what lies beside a missing path under a similar name, if anything does.

    The folder in which a training keeps its state is never meant.
    """
    try:
        entries = list(path.parent.iterdir())
    except OSError:
        return None
    names = []
    for entry in entries:
        if not entry.name.startswith(".") and not entry.name.endswith(STATE_ENDINGS):
            names.append(entry.name)
    close = get_close_matches(path.name, names, n=1)
    return path.with_name(close[0]) if close else None


def is_name(words: str, letters: int = NAME_LETTERS) -> bool:
    """Return whether words may become a file name or part of one: visible, and in one folder.

    Check words that become a path also where they are read from a file: one from elsewhere may
    hold an absolute path, or one that leads out of its folder.

    >>> is_name("Parotid_L"), is_name("../Parotid_L")
    (True, False)
    """
    if not words.strip() or words[0] == "." or not words.isprintable():
        return False
    has_separator = "/" in words or "\\" in words  # DICOM splits text at a backslash
    return len(words) <= letters and not has_separator


# Reading


def read_file(path: Path, most_bytes: int) -> bytes:
    """Return the content of a small file. A pipe or device, which could block, is not opened.

    Raises:
        OSError: it cannot be read.
        UnreadableError: it is no plain file, or is larger than most_bytes.
    """
    refuse_no_file(path)
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise UnreadableError(OversizedFile(most_bytes=most_bytes))
    return content


def refuse_no_file(path: Path) -> None:
    """Raise UnreadableError if a path is a folder, pipe or device, also behind a link.

    Raises: OSError: there is nothing, or it cannot be reached.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise UnreadableError(NotPlainFile(is_folder=stat.S_ISDIR(mode)))


# Writing


@contextmanager
def whole_file(
    path: Path,
    *,
    replace: bool = False,
    mode: int = 0o666,
) -> Iterator[Path]:
    """Give a temporary sibling to write to; it becomes `path` when the block ends well.

    By then it is on the disk, with its name. If the block fails, the sibling is removed. What a
    killed run left in the same folder is removed, too.
    mode: the permissions from the start; the user's umask reduces them.
    Raises:
        OutputError: path exists or appears meanwhile (unless replace), or its folder cannot be
            written to.
        FaultError: the disk is full, or fails.
    """
    if not replace:
        refuse_existing(path)
    try:
        make_folders(path.parent)
        sweep_once(path.parent.absolute())
        with held_file(path, mode) as partial:
            permissions = partial.stat().st_mode  # some libraries make it for the owner alone
            yield partial
            partial.chmod(permissions)
            sync_file(partial)
            if replace:
                partial.replace(path)
            else:
                _name(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def _name(partial: Path, path: Path) -> None:
    """Give a finished file its name. Unlike a rename, a link never replaces a file."""
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        refuse_existing(path)
        partial.rename(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary sibling folder to fill; it becomes `path` when the block ends well.

    By then all of it is on the disk. If the block fails, the sibling is removed. What a killed run
    left beside it is removed, too.
    Raises:
        OutputError: path exists or appears meanwhile, or its parent cannot be written to.
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


def write_text(
    path: Path,
    text: str,
    *,
    replace: bool = False,
    mode: int = 0o666,
) -> None:
    """Write a text file whole or not at all; mode as in `whole_file`."""
    with whole_file(path, replace=replace, mode=mode) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(
    path: Path,
    content: bytes | memoryview,
    *,
    replace: bool = False,
) -> None:
    """Write a file whole or not at all.

    A library that wrote the file itself would hide errors of the disk.
    """
    with whole_file(path, replace=replace) as partial:
        partial.write_bytes(content)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing. Raises: OutputError, FaultError."""
    try:
        make_folders(path)
    except OSError as error:
        raise output_error(path, error) from error


# What the operating system reports


def output_error(path: Path, error: OSError) -> OutputError | FaultError:
    """Return what the operating system reported about an output as an error of ours."""
    if error.errno in APPEARED:
        return OutputError(ExistingOutput(path=path, meanwhile=True))
    if error.errno in MENDABLE:
        return OutputError(SystemRefused(path=path, number=error.errno))
    return machine_fault(path, error, "written")


def machine_fault(
    path: Path,
    error: OSError,
    done: Literal["read", "written"] = "read",
) -> FaultError:
    """Return what the operating system reported about an innocent file as an error of ours."""
    return FaultError(
        MachineFault(
            path=path,
            number=error.errno,
            done=done,
        )
    )
