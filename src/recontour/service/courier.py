"""The courier: sends what there is to send, until its destination has it.

A destination that is away, busy or full is tried again, later and later. What would be refused
again is kept as failed, for a person to see and to try again. The same file is sent at each try,
under the same SOP Instance UID: a destination that has it already has it once.

    python -m recontour.service.courier SITE.toml
"""

import logging
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.dicom.received import Received, read_received
from recontour.dicom.requests import Commitment, new_transaction
from recontour.errors import DicomError, RecontourError
from recontour.findings import Finding, log_finding
from recontour.service import jobs
from recontour.service.audit import Event, Outcome, audit
from recontour.service.child import Ending, begin_child
from recontour.service.jobs import DRAFT, Claimed
from recontour.service.node.commitment import STORED, TRANSACTIONS, without_answer
from recontour.service.node.findings import (
    NothingToSend,
    NotYetCommitted,
    OutdatedNotSent,
    UnknownDestination,
    WillNotKeep,
)
from recontour.service.node.mended import mend_pynetdicom
from recontour.service.node.send import NotSentError, ask_commitment, send_file
from recontour.service.settings import Destination, Site
from recontour.service.store import (
    ARRIVING,
    INCOMPLETE,
    RUNNING,
    UNMATCHED,
    Draft,
    Job,
    Series,
    Store,
)

LOG = logging.getLogger("recontour.courier")
AT_ONCE = 4  # a destination that does not answer must not hold up the others
LOOK_S = 0.5


class Courier:
    """Does `send` jobs."""

    def __init__(self, site: Site, store: Store) -> None:
        self._site = site
        self._store = store

    def run(self, ending: Ending) -> None:
        """Do jobs as they come, several at a time, until it is time to end."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier") as pool:
            busy: set[Future[None]] = set()
            while not ending.is_asked:
                busy = {future for future in busy if not _is_over(future)}
                claimed = self._next() if len(busy) < AT_ONCE else None
                if claimed is None:
                    ending.wait(LOOK_S)
                else:
                    busy.add(pool.submit(self.do, claimed))

    def do_all(self) -> int:
        """Do every job that is due, one after the other; return how many."""
        count = 0
        while claimed := self._next():
            self.do(claimed)
            count += 1
        return count

    def _next(self) -> Claimed | None:
        with self._store.begin() as session:
            return jobs.claim(session, "send", os.getpid())

    def do(self, job: Claimed) -> None:
        """Do a job, and note what came of it."""
        try:
            if self._is_still_right(job):
                self._send(job)
        except NotSentError as error:
            self._note_failure(job, error.finding, may_pass=error.may_pass)
        except RecontourError as error:
            self._note_failure(job, error.finding, may_pass=False)

    def _is_still_right(self, job: Claimed) -> bool:
        """Return whether a file is to go now; note it if not.

        A draft of fewer slices must not arrive beside the one of all of them. What a person
        approved always goes.
        """
        if DRAFT not in job.subject or STORED in job.subject:
            return True
        with self._store.begin() as session:
            draft = session.get(Draft, job.subject[DRAFT])
            if draft is None:  # its patient's data has been deleted meanwhile
                return True
            series = session.get_one(Series, draft.series_id)
            if series.state in (ARRIVING, INCOMPLETE):
                jobs.postpone(session, job.id)
                return False
            if not _is_outdated(session, draft, series):
                return True
            destination = job.subject["destination"]
            outdated = OutdatedNotSent(destination=destination)
            jobs.withdraw(session, job.id, outdated)
            what = f"{destination}: withdrawn"
            audit(session, Event.SENT, "recontour", series=series, what=what, outcome=Outcome.MINOR)
        log_finding(LOG, logging.WARNING, outdated)
        return False

    def _send(self, job: Claimed) -> None:
        """Send a file, and have its destination commit to it if the site wants that.

        Raises: NotSentError. SettingsError: the TLS files cannot be used.
        """
        destination = self._destination(job)
        path = self._site.folder / job.subject["file"]
        sent = _read(path)
        if job.subject.get(STORED) != sent.sop_instance_uid:
            send_file(self._site.node.ae_title, destination, path, sent)
            self._note_stored(job, destination, sent)
        if not destination.commitment:
            self._note_done(job)
            return
        transaction = self._note_transaction(job)
        title = self._site.node.ae_title
        answer = ask_commitment(title, destination, transaction, sent)
        self._note_answer(job, destination, sent, answer)

    def _destination(self, job: Claimed) -> Destination:
        name = job.subject["destination"]
        try:
            return self._site.destination(name)
        except KeyError:
            gone = UnknownDestination(destination=name)
            raise NotSentError(gone, may_pass=False) from None

    def _note_stored(self, job: Claimed, destination: Destination, sent: Received) -> None:
        with self._store.begin() as session:
            row = session.get(Job, job.id)
            if row is not None:  # its patient's data may have been deleted meanwhile
                row.subject = {**row.subject, STORED: sent.sop_instance_uid}
            audit(
                session,
                Event.SENT,
                "recontour",
                series=session.get(Series, job.series_id) if job.series_id else None,
                address=destination.address,
                what=destination.name,
                outcome=Outcome.SUCCESS,
            )

    def _note_transaction(self, job: Claimed) -> str:
        """Note the UID of a request before it is made: its answer may be quick."""
        transaction = new_transaction()
        with self._store.begin() as session:
            row = session.get(Job, job.id)
            if row is not None:
                known = row.subject.get(TRANSACTIONS, [])
                row.subject = {**row.subject, TRANSACTIONS: [*known, transaction]}
        return transaction

    def _note_answer(
        self,
        job: Claimed,
        destination: Destination,
        sent: Received,
        answer: Commitment | None,
    ) -> None:
        if answer is None:
            finding = NotYetCommitted(destination=destination.name)
            self._note_failure(job, finding, may_pass=True, is_quiet=True)
        elif sent.sop_instance_uid in answer.kept - answer.not_kept:
            self._note_done(job)
        else:
            with self._store.begin() as session:
                row = session.get(Job, job.id)
                if row is not None:
                    row.subject = without_answer(row.subject)
            finding_against = WillNotKeep(destination=destination.name)
            self._note_failure(job, finding_against, may_pass=True)

    def _note_done(self, job: Claimed) -> None:
        with self._store.begin() as session:
            if session.get(Job, job.id) is not None:
                jobs.done(session, job.id)

    def _note_failure(
        self, job: Claimed, finding: Finding, *, may_pass: bool, is_quiet: bool = False
    ) -> None:
        """Note that a job is not done. is_quiet: nothing went wrong yet."""
        with self._store.begin() as session:
            row = session.get(Job, job.id)
            if row is None or row.state != RUNNING:  # the receiver heard that it is done
                return
            jobs.failed(session, job.id, finding, again=may_pass)
            if not is_quiet:
                audit(
                    session,
                    Event.SENT,
                    "recontour",
                    series=session.get(Series, job.series_id) if job.series_id else None,
                    what=job.subject["destination"],
                    outcome=Outcome.SERIOUS,
                )
        if not is_quiet:
            log_finding(LOG, logging.WARNING, finding)


def _is_outdated(session: Session, draft: Draft, series: Series) -> bool:
    """Return whether more slices or a newer draft came, or no rule takes the series any more."""
    if draft.generation < series.generation or series.state == UNMATCHED:
        return True
    newer = select(Draft.id).where(Draft.series_id == series.id, Draft.id > draft.id)
    return session.scalar(newer.limit(1)) is not None


def _read(path: Path) -> Received:
    """Return what a file to send says of itself. Raises: NotSentError."""
    try:
        return read_received(path)
    except DicomError as error:
        raise NotSentError(NothingToSend(path=path), may_pass=False) from error


def _is_over(future: Future[None]) -> bool:
    """Return whether a job is over; raise what nobody foresaw, so that the process begins anew."""
    if not future.done():
        return False
    future.result()
    return True


def main() -> None:
    """Run the courier until the site ends."""
    site, store, ending = begin_child("courier")
    mend_pynetdicom()
    Courier(site, store).run(ending)


if __name__ == "__main__":
    main()
