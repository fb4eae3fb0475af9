"""Make sure that outputs reach the disk, so that a power cut after a command loses nothing.

To the disk, a file's content and its name are two things. Syncing the file keeps its content;
syncing its folder keeps its name, and so a rename.
"""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Files synced in parallel: a file system can answer several with one write of its journal.
AT_ONCE = 8
# What some shares answer when a folder is synced.
NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk. Raises: OSError: the disk failed."""
    try:
        descriptor = os.open(path, os.O_RDWR)  # Windows syncs only files that are open for writing
    except PermissionError:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, if its file system can tell.

    Raises: OSError: the disk failed.
    """
    if os.name == "nt":  # Windows cannot open folders
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Wait until a folder and everything in it is on the disk.

    Files come first, then folders, the deepest first.
    """
    files: list[Path] = []
    folders: list[Path] = []
    for place, _, names in os.walk(folder):
        within = Path(place)
        folders.append(within)
        files.extend(within / name for name in names)
    regular = [path for path in files if path.is_file() and not path.is_symlink()]
    with ThreadPoolExecutor(AT_ONCE) as together:
        list(together.map(sync_file, regular))
    for within in reversed(folders):
        sync_folder(within)


def make_folders(folder: Path) -> None:
    """Make a folder and any missing folders above it; then their names are on the disk."""
    for made in reversed(list(_missing(folder))):
        made.mkdir(exist_ok=True)
        sync_folder(made.parent)
    folder.mkdir(exist_ok=True)  # raises if something else is in the way


def _missing(folder: Path) -> Iterator[Path]:
    """Yield a folder and those above it, up to the first that exists."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return
        yield place
