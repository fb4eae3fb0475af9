"""Which cases are of one patient.

A case may have a patient key: a hash of the CT's PatientID with a random salt. The salt lies in a
file of the user's own, so that all of the user's cohorts can be compared, or in the folder that
holds the cohort, so that several users can share it. It is no part of a cohort or a model, and
leaves its place only if someone copies it. Since a PatientID is short and can be guessed, anyone
could trace a key without a salt by trying all IDs.

A key begins with the salt's own short name: keys of different salts cannot be compared.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from recontour.cohort.case import Case, joined, with_nearly_equal_cts, with_one_ct
from recontour.cohort.findings import (
    ExposedSalt,
    NotASalt,
    SeveralSalts,
    UnknownPatients,
    UnusableSalt,
)
from recontour.errors import CohortError, FaultError, OutputError
from recontour.files import SystemReason, UnreadableError, output_error, write_text
from recontour.findings import Finding
from recontour.syncing import make_folders
from recontour.texts import NotUtf8, read_given

SALT_FILE = ".recontour-salt"  # beside a cohort
USERS_FOLDER = "recontour"  # in the folder of the user's data
USERS_SALT = "salt"  # in there
DATA_HOME = "XDG_DATA_HOME"
SALT = re.compile(r"recontour salt 1\n([0-9a-f]{64})\n")
SALT_BYTES = 32
SALT_NAME_DIGITS = 8
KEY_DIGITS = 16
OWNER_ALONE = 0o600
OWNERS_FOLDER = 0o700
OTHERS = 0o077
MOST_SALT_BYTES = 1000  # of a salt's file


@dataclass(frozen=True, slots=True)
class Salt:
    """What the keys of patients are made with."""

    secret: bytes

    @property
    def name(self) -> str:
        """Return eight hex digits that identify the salt and reveal nothing of its secret."""
        return hashlib.sha256(b"name of " + self.secret).hexdigest()[:SALT_NAME_DIGITS]

    def key(self, patient_id: str) -> str:
        """Return a patient's key: SALT-HASH. The same PatientID gives the same key.

        >>> Salt(bytes(range(32))).key("MRN-4711")
        'e9df8a32-23adcef79f62234f'
        """
        content = patient_id.encode("utf-8", "surrogateescape")
        digest = hmac.digest(self.secret, content, "sha256")
        return f"{self.name}-{digest.hex()[:KEY_DIGITS]}"

    def mark(self, what: str, words: str) -> str:
        """Return what stands for words that may not be stored: SALT-HASH, as of a patient's key.

        what: the kind of words; the same words of another kind have another mark.

        >>> Salt(bytes(range(32))).mark("institution", "st elsewhere")
        'e9df8a32-61436589f7b937e5'
        """
        return self.key(f"{what}\0{words}")


def throwaway_salt() -> Salt:
    """Return a salt that nobody keeps: what it marks is never recognised again."""
    return Salt(secrets.token_bytes(SALT_BYTES))


def salt_path(cohort: Path) -> Path:
    """Return where the salt of a cohort lies, or will be made.

    One in the folder that holds the cohort comes first. Otherwise it is the user's own, in
    $XDG_DATA_HOME or ~/.local/share; a user without a home gets one beside the cohort.
    """
    beside = cohort.resolve().parent / SALT_FILE
    own = users_folder()
    if own is None or os.path.lexists(beside):
        return beside
    return own / USERS_SALT


def users_folder() -> Path | None:
    """Return the folder of what recontour keeps for this user alone; None without a home.

    References: the XDG Base Directory Specification.
    """
    data = Path(os.environ.get(DATA_HOME, ""))
    if data.is_absolute():
        return data / USERS_FOLDER
    try:
        return Path.home() / ".local" / "share" / USERS_FOLDER
    except RuntimeError:
        return None


def salt_for(cohort: Path) -> Salt:
    """Return the salt for a cohort; make one, for its owner alone, if needed.

    If two imports run at the same time, both get the one that was there first.
    Raises:
        CohortError: there is one that cannot be used, or none can be made.
        FaultError: the machine failed.
    """
    path = salt_path(cohort)
    try:
        if not path.exists():
            make_private_folder(path.parent)
            secret = secrets.token_hex(SALT_BYTES)
            write_text(path, f"recontour salt 1\n{secret}\n", mode=OWNER_ALONE)
    except (OutputError, FaultError) as error:
        if not path.exists():  # otherwise another import made it meanwhile
            raise _unusable(path, error.finding, is_new=True) from error
    try:
        text = read_given(path, MOST_SALT_BYTES).decode("ascii")
    except UnreadableError as error:
        raise _unusable(path, error.finding) from error
    except UnicodeDecodeError as error:
        raise _unusable(path, NotUtf8(byte=error.start + 1)) from error
    except OSError as error:
        raise _unusable(path, SystemReason(number=error.errno)) from error
    found = SALT.fullmatch(text)
    if not found:
        raise CohortError(NotASalt(path=path))
    return Salt(bytes.fromhex(found[1]))


def salt_if_any(cohort: Path) -> Salt | None:
    """Return the salt for a cohort; None if there is none that can be used."""
    if not salt_path(cohort).exists():
        return None
    with suppress(CohortError):
        return salt_for(cohort)
    return None


def make_private_folder(folder: Path) -> None:
    """Make a folder of the user's own, if needed. Raises: OutputError, FaultError."""
    try:
        make_folders(folder.parent)
        folder.mkdir(mode=OWNERS_FOLDER, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def _unusable(
    path: Path,
    why: Finding,
    *,
    is_new: bool = False,
) -> CohortError:
    return CohortError(
        UnusableSalt(
            path=path,
            why=why,
            done="made" if is_new else "read",
        )
    )


def open_to_others(salt: Path) -> ExposedSalt | None:
    """Return a finding if others than its owner may read or change the salt's file.

    Windows has no such permissions, so it is not checked.
    """
    mode = stat.S_IMODE(salt.stat().st_mode)
    if os.name != "posix" or not mode & OTHERS:
        return None
    return ExposedSalt(path=salt, mode=mode)


def contradict(one: str | None, other: str | None) -> bool:
    """Return whether two keys are of two patients; keys of different salts never contradict.

    >>> contradict("0123abcd-00", "0123abcd-01"), contradict("0123abcd-00", "89abcdef-01")
    (True, False)
    """
    if not one or not other:
        return False
    return one != other and salt_of(one) == salt_of(other)


def salt_of(key: str) -> str:
    """Return the short name of the salt that a patient's key was made with."""
    return key.partition("-")[0]


def salts_of(keys: Iterable[str]) -> set[str]:
    """Return the short names of the salts that keys were made with."""
    return set(map(salt_of, keys))


def with_one_key(cases: Iterable[Case]) -> list[list[Case]]:
    """Group the cases that share their patient's key with another; see also `with_one_ct`."""
    by_key: dict[str, list[Case]] = {}
    for case in cases:
        if case.patient:
            by_key.setdefault(case.patient, []).append(case)
    return [alike for alike in by_key.values() if len(alike) > 1]


def by_patient(cases: Iterable[Case]) -> list[list[Case]]:
    """Group cases, of one or more cohorts, by patient: those of one key, or of one CT or nearly.

    A case without a key and without a twin is a patient of its own: see `doubt`. Patients, and the
    cases of each, are in the order of the cases.

    >>> from recontour.cohort import Cohort
    >>> [len(cases) for cases in by_patient(Cohort.open(Path("south")))]
    [1, 1]
    """
    ordered = list(cases)
    several = joined(ordered, [*with_one_key(ordered), *with_one_ct(ordered)])
    patient_of: dict[Case, list[Case]] = {}
    for patient in several:
        patient_of |= dict.fromkeys(patient, patient)
    grouped = []
    for case in ordered:
        patient = patient_of.get(case, [case])
        if patient[0] is case:
            grouped.append(patient)
    return grouped


def patient_names(cases: Iterable[Case]) -> dict[str, str]:
    """Return what to call each case's patient, by case id: the id of the patient's first case.

    cases: of one cohort.

    >>> from recontour.cohort import Cohort
    >>> names = patient_names(Cohort.open(Path("south")))
    >>> len(names) == len(set(names.values()))  # every case is another patient's
    True
    """
    names = {}
    for patient in by_patient(cases):
        for case in patient:
            names[case.id] = patient[0].id
    return names


def doubt(cases: Iterable[Case]) -> Finding | None:
    """Return why some cases may be one patient's although they count as several, or None."""
    ordered = list(cases)
    if len(ordered) < 2:
        return None
    keys = [case.patient for case in ordered if case.patient]
    unknown = len(ordered) - len(keys)
    if unknown:
        return UnknownPatients(unknown=unknown, cts=len(ordered))
    salts = salts_of(keys)
    if len(salts) > 1:
        return SeveralSalts(cts=len(ordered), salts=len(salts))
    return None


def of_one_patient(some: Iterable[Case], others: Iterable[Case]) -> list[tuple[Case, Case]]:
    """Return, for each patient of both sides, by key or nearly equal CT, the first case of each."""
    mine, theirs = list(some), list(others)
    both = [*mine, *theirs]
    found = []
    for patient in joined(both, [*with_one_key(both), *with_nearly_equal_cts(both)]):
        one = next(filter(mine.__contains__, patient), None)
        other = next(filter(theirs.__contains__, patient), None)
        if one and other:
            found.append((one, other))
    return found
