"""The files of a folder tree."""

import os
from collections.abc import Callable
from errno import ENAMETOOLONG
from pathlib import Path
from stat import S_ISDIR

from recontour.dicom.findings import (
    CohortInsteadOfDicom,
    UnreadableDicomFolder,
    UnreadableInArchive,
)
from recontour.errors import NoSeriesError
from recontour.files import REMEDIES, NotFound, machine_fault, similar_path
from recontour.findings import Finding

SHOWN_OF_LONG_PATH = 500  # characters


def files_under(folder: Path, unreadable: Callable[[OSError], None]) -> list[Path]:
    """Return every file in a folder tree, sorted.

    Links are followed, and each folder is entered once. Names that begin with a dot are passed
    over: unfinished copies, and what macOS adds to a file. So are pipes and devices, which may
    never end.
    unreadable: called for folders that cannot be read.

    Raises: NoSeriesError: there is no such folder, or it is a cohort.
    """
    refuse_no_folder(folder)
    found: list[Path] = []
    entered: set[str] = set()
    for parent, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        place = os.path.realpath(parent)
        if place in entered:
            folders.clear()
            continue
        entered.add(place)
        folders[:] = sorted(filter(_is_visible, folders))
        for name in filter(_is_visible, names):
            path = Path(parent, name)
            if path.is_file() or not path.exists():
                found.append(path)
    return sorted(found)


def _is_visible(name: str) -> bool:
    return not name.startswith(".")


def refuse_no_folder(folder: Path) -> None:
    """Raise NoSeriesError where there is no folder that can be looked into, or a cohort.

    >>> refuse_no_folder(Path())
    """
    try:
        is_folder = S_ISDIR(folder.stat().st_mode)
    except OSError as error:
        raise NoSeriesError(_no_folder(folder, error)) from error
    if not is_folder:
        raise NoSeriesError(UnreadableDicomFolder(path=folder, instead="file"))
    if (folder / "cohort.json").exists():
        raise NoSeriesError(CohortInsteadOfDicom(path=folder))


def _no_folder(folder: Path, error: OSError) -> Finding:
    """Return what is there instead of a folder. error: what the system says about it."""
    if isinstance(error, PermissionError):
        return UnreadableDicomFolder(path=folder, instead="no permission")
    if error.errno == ENAMETOOLONG:
        shortened = Path(f"{str(folder)[:SHOWN_OF_LONG_PATH]}...")
        return UnreadableDicomFolder(
            path=shortened,
            instead="path too long",
            bytes_long=len(bytes(folder)),
        )
    if folder.is_symlink():
        return UnreadableDicomFolder(
            path=folder,
            instead="broken link",
            link_to=folder.readlink(),
        )
    similar = similar_path(folder)
    return NotFound(path=folder, expected="a folder of DICOM files", similar=similar)


def cannot_read(path: Path, error: OSError) -> UnreadableInArchive:
    """Return what the operating system says about a file or folder of an archive.

    Raises: FaultError: the machine is to blame, not the file.
    """
    if error.errno in REMEDIES:
        raise machine_fault(path, error) from error
    return UnreadableInArchive(path=path, number=error.errno)
