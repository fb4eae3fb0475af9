"""Changes of several cases at once: all of them or none, whenever the process or the power ends.

    COHORT/.change/change.json    which cases are removed, and which are replaced
    COHORT/.change/cases/CASE     what a case is replaced by
    COHORT/.change/FILE           what replaces a file of the cohort

The folder is filled beside its place. Once it has its name, the change is decided; then it is put
into place, and the folder goes. Whoever opens the cohort after an interruption finishes that first.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recontour.cohort.findings import UnfinishedChange
from recontour.cohort.records import ChangeRecord, read_record
from recontour.errors import CohortError
from recontour.files import output_error, whole_folder
from recontour.partials import held_folder, locked_folder
from recontour.syncing import sync_folder

CHANGE = ".change"
CHANGE_FILE = "change.json"
REPLACED_FILES = ("names.csv", "left_out.csv", "imports.json")
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(slots=True)
class Change:
    """What is to become of a cohort. removed, replaced: case ids.

    folder: holds what replaces cases and files, at the same places as in the cohort.
    """

    folder: Path
    removed: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)


@contextmanager
def change(cohort: Path) -> Iterator[Change]:
    """Give a change of a cohort to fill; it happens when the block ends well, whole.

    Raises: CohortError, OutputError, FaultError: nothing has changed.
    """
    finish(cohort)
    with whole_folder(cohort / CHANGE) as folder:
        wanted = Change(folder)
        yield wanted
        content = {"removed": wanted.removed, "replaced": wanted.replaced}
        (folder / CHANGE_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    finish(cohort)


def finish(cohort: Path) -> None:
    """Put into place what was decided and then interrupted, if anything was.

    Raises: CohortError: the cohort must not be written to. OutputError, FaultError.
    """
    if not os.path.lexists(cohort / CHANGE):
        return
    try:
        with locked_folder(cohort):
            _put_into_place(cohort)
    except OSError as error:
        if error.errno in FORBIDDEN:
            raise CohortError(UnfinishedChange(path=cohort)) from error
        raise output_error(cohort, error) from error


def _put_into_place(cohort: Path) -> None:
    """Do what a change says; each step may have been done before. Raises: OSError."""
    folder = cohort / CHANGE
    if not os.path.lexists(folder):  # another process has finished it
        return
    decided = read_record(ChangeRecord, folder / CHANGE_FILE)
    for case in decided.removed:
        _move_away(cohort, case)
    for case in decided.replaced:
        new = folder / "cases" / case
        if new.exists():
            _move_away(cohort, case)
            new.rename(cohort / "cases" / case)
    for name in REPLACED_FILES:
        if (folder / name).exists():
            (folder / name).replace(cohort / name)
    sync_folder(cohort / "cases")
    with held_folder(folder) as away:
        folder.rename(away / "done")
        sync_folder(cohort)


def _move_away(cohort: Path, case: str) -> None:
    """Move a case into the change's folder, with which it goes."""
    place = cohort / "cases" / case
    old = cohort / CHANGE / "old" / case
    if os.path.lexists(place):
        shutil.rmtree(old, ignore_errors=True)
        old.parent.mkdir(exist_ok=True)
        place.rename(old)
