"""Which cases are one patient's.

A case may have a patient key: a hash of the CT's PatientID with a random salt. The salt lies in a
    file beside the cohort, in the folder that holds it, so that the cohorts of one folder can be
    compared; it is no part of the cohort, and goes where the cohort goes only if someone takes it
    there. A PatientID is short and can be guessed: without a salt whoever has the key could try all
    of them.

A key begins with the salt's own short name: keys of different salts cannot be compared.
"""

import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.cohort.store import Case, with_one_ct
from recontour.errors import CohortError, FaultError, OutputError
from recontour.files import UnreadableError, write_text
from recontour.texts import read_given

SALT_FILE = ".recontour-salt"
SALT = re.compile(r"recontour salt 1\n([0-9a-f]{64})\n")
OWNER_ALONE, OTHERS = 0o600, 0o077
MOST_BYTES = 1000  # of a salt's file


@dataclass(frozen=True, slots=True)
class Salt:
    """What the keys of a folder's cohorts are made with."""

    secret: bytes

    @property
    def name(self) -> str:
        """Eight hex digits that tell it from others; nothing of the secret follows from them."""
        return hashlib.sha256(b"name of " + self.secret).hexdigest()[:8]

    def key(self, patient_id: str) -> str:
        """A patient's key: SALT-HASH. The same PatientID gives the same key."""
        digest = hmac.digest(self.secret, patient_id.encode("utf-8", "surrogateescape"), "sha256")
        return f"{self.name}-{digest.hex()[:16]}"


def salt_path(cohort: Path) -> Path:
    """Where the salt of a cohort lies: in the folder that holds the cohort."""
    return cohort.resolve().parent / SALT_FILE


def salt_beside(cohort: Path) -> Salt:
    """The salt of the folder that holds a cohort; a new one, for its owner alone, where there is
    none.

    Of two imports at once both get the one that was there first.
    Raises: CohortError: there is one that cannot be used, or none can be made. FaultError: the
        machine failed.
    """
    path = salt_path(cohort)
    try:
        if not path.exists():
            write_text(path, f"recontour salt 1\n{secrets.token_hex(32)}\n", mode=OWNER_ALONE)
    except (OutputError, FaultError) as error:
        if not path.exists():  # else another import made it meanwhile
            raise CohortError(
                f"{error}. Without a salt patients are told apart by their CTs alone"
            ) from error
    try:
        found = SALT.fullmatch(read_given(path, MOST_BYTES).decode("ascii"))
    except (UnreadableError, OSError, ValueError) as error:
        raise CohortError(
            f"{path} cannot be read ({error}); patients are told apart by their CTs alone"
        ) from error
    if not found:
        raise CohortError(
            f"{path} is not a salt as recontour writes it; put back the one that was there, or move it away: "
            "with a new salt, patients imported from now on cannot be compared with those that are there"
        )
    return Salt(bytes.fromhex(found[1]))


def open_to_others(salt: Path) -> str:
    """What to say of a salt's file that others than its owner may read or change; empty if nobody
    else may.

    Windows has no such modes, and is not asked.
    """
    mode = stat.S_IMODE(salt.stat().st_mode)
    if os.name != "posix" or not mode & OTHERS:
        return ""
    return (
        f"{salt} is open to others than its owner (mode {mode:03o}), and with it patient keys can be traced to "
        "PatientIDs: run chmod 600 on it or, where the file system keeps no modes, let nobody else into its folder"
    )


def contradict(one: str | None, other: str | None) -> bool:
    """Whether two keys are of two patients; keys of different salts cannot be compared."""
    if not one or not other:
        return False
    return one != other and salt_of(one) == salt_of(other)


def salt_of(key: str) -> str:
    """The short name of the salt that a patient's key was made with."""
    return key.partition("-")[0]


def with_one_key(cases: Iterable[Case]) -> list[list[Case]]:
    """Those of the cases that share their patient's key with another: by key. See `with_one_ct`."""
    by_key: dict[str, list[Case]] = {}
    for case in cases:
        if case.patient:
            by_key.setdefault(case.patient, []).append(case)
    return [alike for alike in by_key.values() if len(alike) > 1]


def by_patient(cases: Iterable[Case]) -> list[list[Case]]:
    """The cases of each patient, of whatever cohorts: those of one key, or of one CT to the voxel.

    A case without a key, and without a twin, is a patient of its own: see `doubt`. Patients, and
    the cases of each, are in the order of the cases.
    """
    ordered = list(cases)
    patients = {case: [case] for case in ordered}
    for alike in (*with_one_key(ordered), *with_one_ct(ordered)):
        _join(patients, alike)
    place = {case: at for at, case in enumerate(ordered)}
    first_ones = {min(patient, key=place.__getitem__) for patient in patients.values()}
    return [sorted(patients[case], key=place.__getitem__) for case in ordered if case in first_ones]


def _join(patients: dict[Case, list[Case]], alike: Sequence[Case]) -> None:
    """Make one patient of those that some cases belong to."""
    for case in alike[1:]:
        mine, theirs = patients[alike[0]], patients[case]
        if mine is not theirs:
            mine.extend(theirs)
            patients.update(dict.fromkeys(theirs, mine))


def patient_names(cases: Iterable[Case]) -> dict[str, str]:
    """What to call each case's patient by:

    the id of the patient's first case. By case id, of one cohort.
    """
    return {case.id: patient[0].id for patient in by_patient(cases) for case in patient}


def doubt(cases: Iterable[Case]) -> str:
    """Why some cases may be one patient's although they count as several's, as a sentence;

    empty if none may be.
    """
    ordered = list(cases)
    unknown = sum(case.patient is None for case in ordered)
    salts = {salt_of(case.patient) for case in ordered if case.patient}
    if len(ordered) < 2 or not (unknown or len(salts) > 1):
        return ""
    if unknown:
        return (
            f"{unknown} of {len(ordered)} CTs have no patient key, so it is not known whether some are of one patient; "
            "each counts as a patient, unless it equals another to the voxel."
        )
    return (
        f"The patient keys of these {len(ordered)} CTs were made with {len(salts)} salts and cannot be compared; "
        "a patient with keys of two salts counts as two."
    )


def of_one_patient(some: Iterable[Case], others: Iterable[Case]) -> list[tuple[Case, Case]]:
    """Each patient, by key, of whom there is a case among some and another among others:

    the first case of both.
    """
    theirs: dict[str, Case] = {}
    for case in others:
        if case.patient:
            theirs.setdefault(case.patient, case)
    found: dict[str, tuple[Case, Case]] = {}
    for case in some:
        if case.patient in theirs:
            found.setdefault(str(case.patient), (case, theirs[str(case.patient)]))
    return list(found.values())
