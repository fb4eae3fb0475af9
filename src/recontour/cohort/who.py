"""Who is a case: read from the DICOM files that a cohort was imported from, for the screen only.

A cohort does not say where they lie, since a folder's name may name a patient, and a cohort may be
sent. It keeps a salted hash of the folder's path; the path itself lies in a file of the user's own,
beside the salt (patients.py), named after that hash. Cohorts of earlier versions keep a hash
without a salt, which is read in the same way.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from recontour.cohort.case import case_id_of
from recontour.cohort.findings import ArchiveNotThere, CasesNotInArchives, UnknownArchive
from recontour.cohort.history import read_history
from recontour.cohort.patients import (
    OWNER_ALONE,
    Salt,
    make_private_folder,
    users_folder,
)
from recontour.cohort.records import ARCHIVE_ID
from recontour.cohort.store import Cohort
from recontour.dicom import Patient, patient_of, read_archive
from recontour.errors import FaultError, NotDicomError, OutputError
from recontour.files import read_file, write_text
from recontour.findings import Finding

ARCHIVES = "archives"  # beside the user's salt
MOST_PATH_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Who:
    """Whom the cases of a cohort are of, by case, and why some are not known."""

    patients: dict[str, Patient] = field(repr=False)
    notes: tuple[Finding, ...]


def archive_id_of(folder: Path, salt: Salt) -> str:
    """Return what a cohort keeps of a folder's path: SALT-HASH, as of a patient's key.

    >>> archive_id_of(Path("/data/ct"), Salt(bytes(range(32))))
    'e9df8a32-b80572680437d0c8'
    """
    return salt.mark("archive", str(folder.resolve()))


def remember_archive(folder: Path, archive_id: str) -> None:
    """Write down for this user where DICOM files lie that are imported.

    If that fails, nothing is lost but the convenience.
    """
    home = users_folder()
    if home is None:
        return
    place = home / ARCHIVES / archive_id
    with suppress(OutputError, FaultError):
        make_private_folder(home)
        make_private_folder(place.parent)
        write_text(place, f"{folder.resolve()}\n", replace=True, mode=OWNER_ALONE)


def who_is(cohort: Path | str, archives: Sequence[Path | str] = ()) -> Who:
    """Read which patient each case of a cohort is, for the screen only.

    Args:
        cohort: A cohort folder.
        archives: Folders of DICOM files. If empty, those that it was imported from, as far as this
            user imported it.

    Returns:
        The patients by case, and notes on cases that are not known.

    Raises:
        NoSeriesError: There is no such folder.
        CohortError: There is no such cohort, or its history is damaged.

    Examples:
        >>> import recontour
        >>> found = recontour.who_is("north-train", ["dicom/north-train"])
        >>> len(found.patients), found.notes
        (2, ())
    """
    notes: list[Finding] = []
    opened = Cohort.open(cohort)
    folders = list(map(Path, archives)) or list(_remembered(opened, notes))
    wanted = set(opened.case_ids)
    patients: dict[str, Patient] = {}
    for folder in folders:
        for series in read_archive(folder).series:
            case_id = case_id_of(opened.centre, series.uid)
            if case_id in wanted:
                with suppress(NotDicomError):  # the case is listed as missing
                    patients[case_id] = patient_of(series)
    missing = tuple(sorted(wanted.difference(patients)))
    if missing and folders:
        notes.append(CasesNotInArchives(cases=missing, of=len(wanted)))
    return Who(dict(sorted(patients.items())), tuple(notes))


def _remembered(cohort: Cohort, notes: list[Finding]) -> Iterator[Path]:
    """Yield the folders that a cohort was imported from; note those that are not known or there."""
    ids = _archive_ids(cohort)
    folders = [_folder_of(archive_id) for archive_id in ids]
    unknown = folders.count(None)
    if unknown or not ids:
        notes.append(UnknownArchive(path=cohort.path, unknown=unknown, of=len(ids)))
    for folder in dict.fromkeys(filter(None, folders)):
        if folder.is_dir():
            yield folder
        else:
            notes.append(ArchiveNotThere(path=folder))


def _archive_ids(cohort: Cohort) -> Sequence[str]:
    """Return the hashes of the folders that were imported; of older cohorts, the last one's."""
    history = read_history(cohort.path)
    last = [history.last.archive] if history.last and history.last.archive else []
    return history.archives or last


def _folder_of(archive_id: str) -> Path | None:
    """Return the folder that a hash stands for; None if this user did not import it."""
    home = users_folder()
    if home is None or not re.fullmatch(ARCHIVE_ID, archive_id):
        return None
    with suppress(OSError, ValueError):
        content = read_file(home / ARCHIVES / archive_id, MOST_PATH_BYTES)
        folder = Path(content.decode("utf-8", "surrogateescape").removesuffix("\n"))
        if folder.is_absolute():
            return folder
    return None
