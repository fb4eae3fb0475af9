"""The queue: what is to be done stands in the database until it is done.

A job is claimed by one process, tried again later and later if what it needs is away, and kept as
failed in the end, for a person to try again. Doing a job twice must do no harm: a process may be
killed between its work and the note that it is done.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.findings import Finding, as_json
from recontour.service.findings import KeptDying
from recontour.service.store import (
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    WITHDRAWN,
    Job,
    JobKind,
    Series,
    now,
)

# Seconds before another try, for a day; after the last one the job fails.
WAITS_S = (5, 15, 60, 300, 900, *(3600,) * 24)
DRAFT = "draft"  # in the subject of a `send` job: the id of the draft, unless it was approved
MOST_DEATHS = 5  # of processes at one job, which may be what kills them


def contour_key(series: Series, rule: str) -> str:
    """Return the key of the job that contours what there is of a series now."""
    return f"{contour_keys(series)}{rule}"


def contour_keys(series: Series) -> str:
    """Return how the keys of all jobs begin that contour what there is of a series now."""
    return f"contour {series.id} {series.generation} "


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this process does. attempts: with this one."""

    id: int
    kind: JobKind
    series_id: int | None
    subject: dict[str, Any]
    attempts: int


def put(
    session: Session,
    kind: JobKind,
    key: str,
    subject: dict[str, Any] | None = None,
    *,
    series_id: int | None = None,
) -> Job:
    """Add a job, unless one of its key is there; return it."""
    known = session.scalar(select(Job).where(Job.key == key))
    if known:
        return known
    job = Job(kind=kind, key=key, subject=subject or {}, series_id=series_id, made_at=now())
    session.add(job)
    session.flush()
    return job


def claim(session: Session, kind: JobKind, holder: int) -> Claimed | None:
    """Take the job of a kind that has waited longest; None if there is nothing to do yet."""
    moment = now()
    due = (
        select(Job)
        .where(Job.kind == kind, Job.state == WAITING, Job.not_before <= moment)
        .order_by(Job.made_at, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    job = session.scalar(due)
    if job is None:
        return None
    job.state = RUNNING
    job.holder = holder
    job.attempts += 1
    job.began_at = moment
    return Claimed(job.id, job.kind, job.series_id, dict(job.subject), job.attempts)


def done(session: Session, job_id: int) -> None:
    """Note that a job is done."""
    job = session.get_one(Job, job_id)
    job.state = DONE
    job.ended_at = now()
    job.finding = None
    job.holder = None


def withdraw(session: Session, job_id: int, why: Finding) -> None:
    """Note that a job is not to be done any more, and why."""
    job = session.get_one(Job, job_id)
    job.state = WITHDRAWN
    job.ended_at = now()
    job.finding = as_json(why)
    job.holder = None


def failed(session: Session, job_id: int, finding: Finding, *, again: bool) -> Job:
    """Note why a job failed. again: what it needs may come back, so try later, for a day."""
    job = session.get_one(Job, job_id)
    job.finding = as_json(finding)
    job.holder = None
    job.deaths = 0
    if again and job.attempts <= len(WAITS_S):
        job.state = WAITING
        job.not_before = now() + WAITS_S[job.attempts - 1]
    else:
        job.state = FAILED
        job.ended_at = now()
    return job


def postpone(session: Session, job_id: int) -> None:
    """Put a job back for a moment: what it needs is not there yet, and nobody is at fault."""
    job = session.get_one(Job, job_id)
    job.state = WAITING
    job.holder = None
    job.attempts -= 1
    job.not_before = now() + WAITS_S[0]


def try_again(session: Session, job_id: int) -> None:
    """Put a failed job back, as a person asks."""
    job = session.get_one(Job, job_id)
    if job.state == FAILED:
        job.state = WAITING
        job.attempts = 0
        job.deaths = 0
        job.not_before = 0.0
        job.ended_at = None
        job.finding = None


def let_go(session: Session, holder: int) -> None:
    """Put back what a process is doing, as if it had not begun: it is asked to end."""
    for job in _held(session, holder):
        job.state = WAITING
        job.holder = None
        job.attempts -= 1


def give_back(session: Session, holder: int | None = None) -> int:
    """Put back what a process was doing when it died; None: all. Return how many jobs.

    A job at which one process after the other died fails: it may be what kills them.
    """
    given_back = _held(session, holder)
    for job in given_back:
        job.state = WAITING
        job.holder = None
        job.deaths += 1
        if job.deaths >= MOST_DEATHS:
            job.state = FAILED
            job.ended_at = now()
            job.finding = as_json(KeptDying(times=job.deaths))
    return len(given_back)


def _held(session: Session, holder: int | None) -> list[Job]:
    """Return the jobs that a process does; None: all that are being done."""
    running = select(Job).where(Job.state == RUNNING)
    if holder is not None:
        running = running.where(Job.holder == holder)
    return list(session.scalars(running))
