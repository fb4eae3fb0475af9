"""Delete what a site keeps of patients: when its days are over, or because somebody asks.

Folders are set aside first, then the rows go in the same transaction, then what was set aside is
deleted: whoever is killed in between finds the rest again. The audit trail stays, and so does what
a model has learnt.
"""

import logging
import math
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlalchemy.orm import Session

from recontour.cohort import Cohort
from recontour.cohort.changes import remove
from recontour.errors import SettingsError
from recontour.service.audit import Event, audit
from recontour.service.findings import NoSuchPatient, PatientInUse
from recontour.service.folder import SiteFolder
from recontour.service.loop.collect import cases_of_patient
from recontour.service.settings import Site
from recontour.service.store import (
    ARRIVING,
    FAILED,
    RUNNING,
    TAKEN,
    WAITING,
    Approval,
    Association,
    Carried,
    Collected,
    Draft,
    Edit,
    Job,
    Lock,
    Series,
    Store,
    now,
)
from recontour.syncing import sync_folder

DAY_S = 86_400.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted of a patient. cases: of cohorts that models learn from."""

    series: int
    drafts: int
    approvals: int
    cases: int


def forget(site: Site, patient_id: str) -> Forgotten:
    """Delete all that a site keeps of a patient, also the cases of its cohorts.

    Raises: SettingsError: the site knows no such patient, or a job of the patient runs.
    """
    store = Store.of(site)
    with store.begin() as session:
        of_patient = select(Series).where(Series.patient_id == patient_id)
        found = list(session.scalars(of_patient)) if patient_id else []
        ids = [one.id for one in found]
        collected = _collected(session, site, patient_id, ids)
        if not found and not collected:
            raise SettingsError(NoSuchPatient(patient_id=patient_id))
        running = _in_hand(session, found, (RUNNING,))
        if running:
            raise SettingsError(PatientInUse(kind=running))
        if _is_arriving(session, found):
            raise SettingsError(PatientInUse(kind="receive"))
        drafts = _count(session, Draft.id, Draft.series_id.in_(ids))
        cases = _forget_cases(session, site, collected)
        approvals = _count(session, Approval.id, Approval.draft_id.in_(_drafts_of(ids)))
        _delete(session, site, found, "forget")
    _delete_set_aside(site)
    return Forgotten(len(found), drafts, approvals, cases)


def delete_expired(site: Site, store: Store) -> int:
    """Delete the series that the site keeps no longer; return how many.

    The days of a series begin with the last thing that happened to it. A structure set that came
    back goes with the last CT of its study. Cases that models learn from stay.
    """
    _delete_set_aside(site)  # by somebody who was killed
    with store.reading() as session:
        series = session.scalars(select(Series).where(Series.state != ARRIVING))
        possible = [one.id for one in series if _is_over(site, one, one.last_at)]
    deleted = 0
    for series_id in possible:
        with store.begin() as session:
            deleted += _delete_if_expired(session, site, series_id)
        _delete_set_aside(site)
    return deleted


def _delete_if_expired(session: Session, site: Site, series_id: int) -> int:
    series = session.get(Series, series_id)
    if series is None or series.state == ARRIVING:
        return 0
    together = [series, *_drawn_elsewhere(session, series)]
    last = max(_last_happened(session, one) for one in together)
    if not _is_over(site, series, last) or _is_in_use(session, together):
        return 0
    _delete(session, site, together, f"kept {_keep_days(site, series):g} days")
    return len(together)


def _keep_days(site: Site, series: Series) -> float:
    """Return for how many days a series is kept; infinity: for ever.

    A structure set is kept as long as its CT, if that is here.
    """
    if series.modality != "CT" and series.state == TAKEN:
        return math.inf
    rule = site.rule(series.rule)
    days = rule.keep_days if rule else site.keep_days
    return math.inf if days is None else days


def _is_over(site: Site, series: Series, last: float) -> bool:
    """Return whether a series to which something happened last at a moment is kept no longer."""
    return now() - last >= _keep_days(site, series) * DAY_S


def _is_in_use(session: Session, series: Sequence[Series]) -> bool:
    """Return whether a job or a person has something to do with some series still.

    A structure set that was not sent waits until a person sends it again, or deletes the patient.
    """
    if _in_hand(session, series, (RUNNING, WAITING)):
        return True
    ids = [one.id for one in series]
    not_sent = select(Job.id).where(Job.series_id.in_(ids), Job.kind == "send", Job.state == FAILED)
    edited = select(Lock.draft_id).where(Lock.draft_id.in_(_drafts_of(ids)), Lock.until > now())
    return session.scalar(union_all(not_sent, edited).limit(1)) is not None


def _drawn_elsewhere(session: Session, series: Series) -> Sequence[Series]:
    """Return the structure sets of a study, if it has no other CT."""
    of_study = select(Series).where(
        Series.study_uid == series.study_uid,
        Series.patient_id == series.patient_id,
        Series.id != series.id,
    )
    others = list(session.scalars(of_study))
    if not series.study_uid or any(one.modality != "RTSTRUCT" for one in others):
        return ()
    return others


def _last_happened(session: Session, series: Series) -> float:
    """Return when something happened to a series last."""
    drafts = _drafts_of([series.id])
    moments = [
        select(func.max(Job.ended_at)).where(Job.series_id == series.id),
        select(func.max(Job.made_at)).where(Job.series_id == series.id),
        select(func.max(Draft.made_at)).where(Draft.series_id == series.id),
        select(func.max(Edit.at)).where(Edit.draft_id.in_(drafts)),
        select(func.max(Approval.approved_at)).where(Approval.draft_id.in_(drafts)),
    ]
    known = [session.scalar(moment) for moment in moments]
    return max([series.last_at, *(one for one in known if one is not None)])


def _is_arriving(session: Session, series: Iterable[Series]) -> bool:
    """Return whether an open association brings some of these series."""
    ids = [one.id for one in series]
    bringing = (
        select(Carried.series_id)
        .join(Association, Association.id == Carried.association_id)
        .where(Carried.series_id.in_(ids), Association.ended_at.is_(None))
    )
    return session.scalar(bringing.limit(1)) is not None


def _in_hand(session: Session, series: Iterable[Series], states: Sequence[str]) -> str | None:
    """Return the kind of a job of some series in one of the states; meanwhile none can begin."""
    ids = [one.id for one in series]
    jobs = select(Job).where(Job.series_id.in_(ids)).with_for_update()
    kinds = [job.kind for job in session.scalars(jobs) if job.state in states]
    return kinds[0] if kinds else None


def _collected(
    session: Session,
    site: Site,
    patient_id: str,
    series_ids: Sequence[int],
) -> list[Collected]:
    """Return the cases of a patient: by the patient's ID, and those drawn on the series."""
    approvals = select(Approval.id).where(Approval.draft_id.in_(_drafts_of(series_ids)))
    mine = select(Collected.patient).where(Collected.approval_id.in_(approvals))
    patients = set(session.scalars(mine))
    if patient_id:
        patients |= {one.patient for one in cases_of_patient(session, site, patient_id)}
    return list(session.scalars(select(Collected).where(Collected.patient.in_(patients))))


def _forget_cases(session: Session, site: Site, collected: Sequence[Collected]) -> int:
    """Take a patient's cases out of the cohorts, unless a model learns from them just now.

    Raises: SettingsError: one does.
    """
    if not collected:
        return 0
    if session.scalar(select(Job.id).where(Job.kind == "learn", Job.state == RUNNING)):
        raise SettingsError(PatientInUse(kind="learn"))
    cases_by_model: dict[str, set[str]] = {}
    for one in collected:
        cases_by_model.setdefault(one.model, set()).add(one.case_id)
        session.delete(one)
    for model, cases in cases_by_model.items():
        _remove_from(SiteFolder(site.folder).corrected(model), cases)
    return sum(len(cases) for cases in cases_by_model.values())


def _remove_from(path: Path, case_ids: Iterable[str]) -> None:
    """Take cases out of a cohort, those that are there still, if it is."""
    if not path.exists():
        return
    cohort = Cohort.open(path)
    left = [case for case in sorted(case_ids) if case in cohort]
    if left:
        remove(path, left)


def _delete(session: Session, site: Site, series: Sequence[Series], why: str) -> None:
    """Set the files of some series aside, and delete their rows and what hangs on them."""
    folder = SiteFolder(site.folder)
    for one in series:
        for place in (folder.received(one.uid), folder.drafts(one.uid), folder.approved(one.uid)):
            if place.exists():
                place.rename(folder.deleted / uuid4().hex)
                sync_folder(place.parent)
        audit(session, Event.DELETED, "recontour", series=one, what=why)
        session.delete(one)


def _delete_set_aside(site: Site) -> None:
    """Delete what was set aside; several processes may do so at once."""
    for place in SiteFolder(site.folder).deleted.iterdir():
        with suppress(FileNotFoundError):
            shutil.rmtree(place)


def _drafts_of(series_ids: Sequence[int]) -> Select[int]:
    return select(Draft.id).where(Draft.series_id.in_(series_ids))


def _count(session: Session, what: Any, where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count(what)).where(where)) or 0
