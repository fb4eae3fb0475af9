"""Whose CTs are imported: patient keys, and what to note about cases of one patient."""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from recontour.cohort.case import Case, case_id_of
from recontour.cohort.findings import KeysOfAnotherSalt, NewSalt
from recontour.cohort.import_findings import (
    SeveralCasesOfOneCt,
    SeveralCtsOfOnePatient,
    UninformativePatientIds,
)
from recontour.cohort.patients import (
    Salt,
    open_to_others,
    salt_for,
    salt_of,
    salt_path,
    with_one_key,
)
from recontour.cohort.store import Cohort
from recontour.dicom import Archive, CtSeries, telling_ids
from recontour.errors import CohortError
from recontour.findings import Finding, log_finding

log = logging.getLogger(__name__)


def patient_keys(archive: Archive, cohort: Cohort) -> tuple[dict[str, str], list[Finding]]:
    """Return the key of each CT's patient, by series UID, and what to note about the salt.

    A CT whose PatientID does not identify one patient has no key.
    """
    telling = _telling(archive)
    of_someone = [series for series in _series(archive) if series.patient_id in telling]
    if not of_someone:
        return {}, []
    try:
        salt = _salt_of(cohort)
    except CohortError as error:
        return {}, [error.finding]
    keys = {series.uid: salt.key(series.patient_id) for series in of_someone}
    return keys, list(_notes_on_salt(cohort, salt))


def salt_for_import(cohort: Cohort) -> Salt | None:
    """Return the salt with which a cohort keeps where its cases, and their files, come from.

    None if none can be used. It is made if there is none.
    """
    with suppress(CohortError):  # `patient_keys` reports it
        return _salt_of(cohort)
    return None


def _salt_of(cohort: Cohort) -> Salt:
    """Return the salt for a cohort; say so if it is made. Raises: CohortError."""
    path = salt_path(cohort.path)
    is_new = not path.exists()
    salt = salt_for(cohort.path)
    if is_new:
        log_finding(log, logging.INFO, NewSalt(path=path))
    return salt


def _notes_on_salt(cohort: Cohort, salt: Salt) -> Iterator[Finding]:
    path = salt_path(cohort.path)
    is_open = open_to_others(path)
    if is_open:
        yield is_open
    # A damaged case is reported where it is used.
    with suppress(CohortError):
        keys = filter(None, (case.patient for case in cohort))
        others = sum(salt_of(key) != salt.name for key in keys)
        if others:
            yield KeysOfAnotherSalt(path=path, cases=others)


def notes_on_patients(
    archive: Archive,
    cohort: Cohort,
    added: Collection[str],
) -> list[Finding]:
    """Return notes on cases that may be of one patient, one of them new. added: case ids."""
    notes: list[Finding] = []
    with suppress(CohortError):
        notes.extend(_same_cts(cohort, added))
    with suppress(CohortError):
        notes.extend(_one_patients(archive, cohort, added))
    notes.extend(_without_telling_id(archive, cohort, added))
    return notes


def _same_cts(cohort: Cohort, added: Collection[str]) -> list[Finding]:
    """Return a note for each CT that is there twice, and was not before."""
    twins = [names for names in cohort.twins if not set(names).isdisjoint(added)]
    return [SeveralCasesOfOneCt(cases=names) for names in twins]


def _one_patients(
    archive: Archive,
    cohort: Cohort,
    added: Collection[str],
) -> list[Finding]:
    """Return a note for each patient with several CTs, one of them new.

    Copies from another archive are noted separately.
    """
    here = {case_id_of(cohort.centre, series.uid) for series in _series(archive)}
    notes: list[Finding] = []
    for cases in with_one_key(cohort):
        names = tuple(case.id for case in cases)
        if set(names).isdisjoint(added):
            continue
        if here.issuperset(names) or _are_different_cts(cases):
            notes.append(SeveralCtsOfOnePatient(cases=names))
    return notes


def _are_different_cts(cases: Sequence[Case]) -> bool:
    return len({case.fingerprint for case in cases}) > 1


def _without_telling_id(
    archive: Archive,
    cohort: Cohort,
    added: Collection[str],
) -> list[Finding]:
    """Return a note if new CTs, of several, have no PatientID that tells whose they are."""
    telling = _telling(archive)
    unknown = [series for series in _series(archive) if series.patient_id not in telling]
    names = {case_id_of(cohort.centre, series.uid) for series in unknown}
    count = len(names.intersection(added))
    if not count or len(cohort) < 2:
        return []
    return [UninformativePatientIds(cts=count, new=len(added))]


def _series(archive: Archive) -> list[CtSeries]:
    return [pair.series for pair in archive.pairs]


def _telling(archive: Archive) -> Collection[str]:
    return telling_ids(series.person for series in _series(archive))
