"""Another machine commits to keeping what it was sent (PS3.4 Annex J).

A `send` job whose destination is asked to commit is done when it has. The answer may come on the
association on which we asked, or later to the receiver: hours later, from an archive with tapes. So
the job waits meanwhile, and asks again at its next turn.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.dicom.requests import Commitment
from recontour.findings import as_json
from recontour.service import jobs
from recontour.service.node.findings import WillNotKeep
from recontour.service.store import OVER, WAITING, Job

STORED = "stored"  # in the subject of a job: the SOP Instance UID that the destination took
TRANSACTIONS = "transactions"  # UIDs of the requests


def note_report(session: Session, report: Commitment) -> None:
    """Note what a destination says of a request. What nobody asked for is passed over."""
    open_jobs = select(Job).where(Job.kind == "send", Job.state.not_in(OVER))
    for job in session.scalars(open_jobs):
        if report.transaction in job.subject.get(TRANSACTIONS, ()):
            _note(session, job, report)


def _note(session: Session, job: Job, report: Commitment) -> None:
    instance = job.subject.get(STORED)
    if instance in report.kept and instance not in report.not_kept:
        jobs.done(session, job.id)
        return
    job.subject = without_answer(job.subject)
    job.finding = as_json(WillNotKeep(destination=job.subject["destination"]))
    if job.state != WAITING:
        return
    job.not_before = 0.0


def without_answer(subject: dict[str, Any]) -> dict[str, Any]:
    """Return a subject as it was before the file was sent."""
    return {name: value for name, value in subject.items() if name not in (STORED, TRANSACTIONS)}
