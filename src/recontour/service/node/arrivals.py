"""What arrived, in the database: associations, series, and what each brought of which.

The files are the record. An association's first instance of a series waits until the database knows
that the one carries the other, and so does a refusal, before anyone is answered. The rest, how many
came and when the last one did, is written a little later, and counted again at the next start.

One thread writes for all associations, so that many are on the disk with one wait for it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from recontour.dicom.received import Received, read_received, sender_and_receiver
from recontour.errors import NotDicomError
from recontour.service.audit import Event, Outcome, audit
from recontour.service.folder import SiteFolder, hashed
from recontour.service.node.keeping import instances_in, remove_unfinished
from recontour.service.store import (
    ARRIVING,
    INCOMPLETE,
    Association,
    Carried,
    Series,
    Store,
    now,
)
from recontour.wording import plural

LAG_S = 0.3  # how long what nobody waits for may wait to be written
PATIENCE_S = 10.0  # of an association that ends, with a database that takes no notes
LONG_AGO = 0.0
RELEASED, ABORTED, LOST = "released", "aborted", "lost"


class NotWrittenError(Exception):
    """The database did not take a note."""


@dataclass(slots=True)
class Call:
    """One association while it is open.

    row: of `Association`; None as long as it brought nothing. series: rows of those that it
    carries, by UID and modality. told: of which series which refusals have been logged.
    """

    calling_ae: str
    called_ae: str
    address: str
    opened_at: float = field(default_factory=now)
    row: int | None = None
    series: dict[tuple[str, str], int] = field(default_factory=dict)
    told: set[tuple[str, int]] = field(default_factory=set)
    is_ended: bool = False


@dataclass(frozen=True, slots=True)
class Carrying:
    """What the database says to the first instance of a series by an association.

    modality: of the series, which may differ from the instance's.
    """

    association: int
    series: int
    modality: str


@dataclass(slots=True)
class _Note:
    """Something to write. made_at: when it may wait; None: somebody waits for it."""

    write: Callable[[Session], Any]
    made_at: float | None
    is_done: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    error: Exception | None = None


class Ledger:
    """The one that writes what arrives into the database; to be closed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._notes: list[_Note] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._write_on, name="ledger", daemon=True)
        self._thread.start()

    def carry(self, call: Call, received: Received) -> Carrying:
        """Note that an association carries a series, and wait until it is written.

        Raises: NotWrittenError: the database does not take it.
        """
        found: Carrying = self._wait_for(lambda session: _carry(session, call, received))
        call.row = found.association
        if found.modality == received.modality:
            call.series[key_of(received)] = found.series
        return found

    def stored(self, call: Call, received: Received, *, is_new: bool) -> None:
        """Note that an instance was stored. is_new: False for a copy of one that was there."""
        moment = now()
        key = key_of(received)
        self._later(lambda session: _stored(session, call, key, moment, is_new))

    def refused(self, call: Call, sop_instance_uid: str, received: Received | None) -> None:
        """Note that an instance was refused, and wait until that is written.

        received: None if not even its series could be told.
        Raises: NotWrittenError: the database does not take it; it is tried again.
        """
        association = self._wait_for(
            lambda session: _refused(session, call, sop_instance_uid, received)
        )
        call.row = association

    def ended(self, call: Call, how: str) -> None:
        """Note how an association ended, once, and wait until that is written.

        If the database does not take it, it is written later: then nobody need wait.
        """
        if call.is_ended:
            return
        call.is_ended = True
        moment = now()
        note = _Note(lambda session: _ended(session, call, how, moment), LONG_AGO)
        self._add(note)
        note.is_done.wait(PATIENCE_S)

    def do(self, write: Callable[[Session], Any]) -> Any:
        """Write something else, and wait for it. Raises: NotWrittenError."""
        return self._wait_for(write)

    def close(self) -> None:
        """Write what is left, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _wait_for(self, write: Callable[[Session], Any]) -> Any:
        note = _Note(write, None)
        self._add(note)
        note.is_done.wait()
        if note.error:
            raise NotWrittenError from note.error
        return note.answer

    def _later(self, write: Callable[[Session], Any]) -> None:
        self._add(_Note(write, now()))

    def _add(self, note: _Note) -> None:
        with self._changed:
            self._notes.append(note)
            self._changed.notify()

    def _write_on(self) -> None:
        while True:
            with self._changed:
                while not self._is_due() and not self._is_closing:
                    self._changed.wait(LAG_S / 3 if self._notes else None)
                notes = self._notes
                self._notes = []
            left = self._write(notes)
            with self._changed:
                self._notes[:0] = left
                if self._is_closing and (left or not self._notes):
                    return

    def _is_due(self) -> bool:
        """Return whether somebody waits for a note, or one has waited long enough."""
        moment = now()
        return any(note.made_at is None or moment - note.made_at > LAG_S for note in self._notes)

    def _write(self, notes: list[_Note]) -> list[_Note]:
        """Write notes in one transaction; one by one if that fails. Return those left to write."""
        if not notes or self._write_together(notes):
            return []
        left = []
        for note in notes:
            if not self._write_together([note]) and note.made_at is not None:
                note.made_at = now()
                left.append(note)
        return left

    def _write_together(self, notes: list[_Note]) -> bool:
        try:
            with self._store.begin() as session:
                answers = [note.write(session) for note in notes]
        except SQLAlchemyError as error:
            if len(notes) == 1 and notes[0].made_at is None:
                notes[0].error = error
                notes[0].is_done.set()
            return False
        for note, answer in zip(notes, answers, strict=True):
            note.answer = answer
            note.is_done.set()
        return True


# What is written


def _carry(session: Session, call: Call, received: Received) -> Carrying:
    series = _series(session, received, call.calling_ae, call.called_ae)
    association = _association(session, call)
    if series.modality != received.modality:
        return Carrying(association.id, series.id, series.modality)
    _carried(session, association.id, series.id)
    if series.state == INCOMPLETE:
        series.state = ARRIVING
    return Carrying(association.id, series.id, series.modality)


def _series(session: Session, received: Received, calling_ae: str, called_ae: str) -> Series:
    """Return the row of an instance's series; make it if there is none."""
    known = session.scalar(select(Series).where(Series.uid == received.series_uid))
    if known:
        return known
    moment = now()
    series = Series(
        uid=received.series_uid,
        study_uid=received.study_uid[:64],
        modality=received.modality,
        patient_id=received.patient_id[:64],
        patient_name=received.patient_name[:324],
        description=received.description[:64],
        body_part=received.body_part[:16],
        manufacturer=received.manufacturer[:64],
        calling_ae=calling_ae[:16],
        called_ae=called_ae[:16],
        first_at=moment,
        last_at=moment,
    )
    session.add(series)
    session.flush()
    return series


def _association(session: Session, call: Call) -> Association:
    """Return the row of an association; make it if there is none."""
    known = session.get(Association, call.row) if call.row is not None else None
    if known:
        return known
    association = Association(
        calling_ae=call.calling_ae[:16],
        called_ae=call.called_ae[:16],
        address=call.address[:64],
        opened_at=call.opened_at,
    )
    session.add(association)
    session.flush()
    return association


def _carried(session: Session, association: int, series: int) -> Carried:
    known = session.get(Carried, (association, series))
    if known:
        return known
    carried = Carried(association_id=association, series_id=series, stored=0, refused=[])
    session.add(carried)
    session.flush()
    return carried


def key_of(received: Received) -> tuple[str, str]:
    """Return how a call knows the series of an instance."""
    return received.series_uid, received.modality


def _stored(
    session: Session, call: Call, key: tuple[str, str], moment: float, is_new: bool
) -> None:
    series = session.get(Series, call.series.get(key, 0))
    if series is None or call.row is None:  # the patient's data were deleted meanwhile
        call.series.pop(key, None)
        return
    _carried(session, call.row, series.id).stored += 1
    series.last_at = max(series.last_at, moment)
    if is_new:
        series.instances += 1
        reopen(series)


def reopen(series: Series) -> None:
    """Note that something new came of a series: what was made of it before is of the past."""
    if series.state != ARRIVING:
        series.state = ARRIVING
        series.generation += 1
        series.finding = None


def _refused(session: Session, call: Call, sop_instance_uid: str, received: Received | None) -> int:
    association = _association(session, call)
    if received is None:
        association.unreadable += 1
        return association.id
    series = _series(session, received, call.calling_ae, call.called_ae)
    carried = _carried(session, association.id, series.id)
    carried.refused = sorted({*carried.refused, sop_instance_uid})
    series.last_at = now()
    series.state = ARRIVING  # to be judged again
    return association.id


def _ended(session: Session, call: Call, how: str, moment: float) -> None:
    association = session.get(Association, call.row) if call.row is not None else None
    if association is None:
        return
    association.how_ended = how
    association.ended_at = moment
    of_it = select(Carried).where(Carried.association_id == association.id)
    for carried in session.scalars(of_it):
        is_whole = how == RELEASED and not carried.refused and not association.unreadable
        audit(
            session,
            Event.RECEIVED,
            call.calling_ae,
            series=session.get(Series, carried.series_id),
            address=call.address,
            what=f"{plural(carried.stored, 'instance')}, {how}",
            outcome=Outcome.SUCCESS if is_whole else Outcome.SERIOUS,
        )


# A new start


def begin_again(store: Store, folder: SiteFolder) -> int:
    """Make the database agree with the files, as the receiver starts.

    Associations that were open are lost. Files that are not whole go. Files that the database does
    not know, because the receiver was killed before it wrote of them, are counted.
    Returns: how many files the database did not know.
    """
    remove_unfinished(folder)
    found = 0
    with store.begin() as session:
        for association in session.scalars(
            select(Association).where(Association.ended_at.is_(None))
        ):
            association.ended_at = now()
            association.how_ended = LOST
        known = {hashed(series.uid): series for series in session.scalars(select(Series))}
        for place in sorted(folder.all_received.iterdir()):
            if place.is_dir():
                found += _found_again(session, place, known.get(place.name))
    return found


def _found_again(session: Session, place: Path, series: Series | None) -> int:
    """Count the files of a series; return how many more there are than the database knew."""
    instances, _ = instances_in(place)
    if series is None:
        series = _series_of_files(session, place)
    if series is None or len(instances) == series.instances:
        return 0
    more = len(instances) - series.instances
    series.instances = len(instances)
    series.last_at = now()
    if more > 0:
        reopen(series)
    return max(more, 0)


def _series_of_files(session: Session, place: Path) -> Series | None:
    """Make rows for files whose series the database does not know: it is older than they are."""
    for path in sorted(place.glob("*.dcm")):
        try:
            received = read_received(path)
            sender, receiver = sender_and_receiver(path)
        except NotDicomError:
            continue
        if hashed(received.series_uid) != place.name or not received.modality:
            continue
        series = _series(session, received, sender, receiver)
        call = Call(sender, receiver, "")
        association = _association(session, call)
        association.ended_at = now()
        association.how_ended = LOST
        _carried(session, association.id, series.id)
        return series
    return None
