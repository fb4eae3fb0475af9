"""What is written reaches the disk: a power cut right after a command that ended well loses
nothing.

A file's content and its name are two things to the disk. The file's own sync keeps the content; the
name, and what a rename made of it, is kept by the sync of the folder that the file lies in.
"""

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_ONCE = (
    8  # files synced side by side: the file system answers several with one write of its journal
)
NO_FOLDER_SYNC = {
    errno.EINVAL,
    errno.EBADF,
    errno.ENOTSUP,
    errno.ENOSYS,
}  # what some shares say of folders


def sync_file(path: Path) -> None:
    """Return when a file's content is on the disk. Raises: OSError: the disk failed."""
    try:
        descriptor = os.open(path, os.O_RDWR)  # Windows syncs only what may be written
    except PermissionError:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk, where its file system can say so.

    Raises: OSError: the disk failed.
    """
    if os.name == "nt":  # it opens no folder
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
    """Return when a folder with everything in it is on the disk:

    first the files, then the folders, deepest first.
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
    """Make a folder, and those above it that are not there; their names are on the disk then."""
    for made in reversed(list(_missing(folder))):
        made.mkdir(exist_ok=True)
        sync_folder(made.parent)
    folder.mkdir(exist_ok=True)  # raises where something else is in the way


def _missing(folder: Path) -> Iterator[Path]:
    """A folder and those above it, as far as they are not there."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return
        yield place
