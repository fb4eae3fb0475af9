"""A draft's contours with its edits: each stroke is on the disk before it is answered.

An edit keeps the rings of the slices that it changed, before and after. Undoing marks it; the next
stroke removes what was undone. The revision is the number of the last edit in force, and no number
is given twice: one revision is one state of the contours. A request that comes again, because its
answer was lost, is answered again and does nothing.
"""

from dataclasses import dataclass, field
from threading import Lock as ThreadLock

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from recontour.service.review import locks
from recontour.service.review.conflicts import ConflictError, UnknownPartError
from recontour.service.review.findings import NewerEdits, OrganNotOfDraft
from recontour.service.review.operations import Operation, changed
from recontour.service.review.planes import Rings, Slices, as_plain, from_plain
from recontour.service.review.prepared import ByOrgan, Prepared
from recontour.service.store import Draft, Edit, now

KEPT = 16  # drafts whose contours stay in memory


@dataclass(frozen=True, slots=True)
class State:
    """A draft's contours at a revision. edited: organs that are no longer the draft's."""

    revision: int
    contours: ByOrgan
    can_undo: bool
    can_redo: bool
    edited: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A request to change contours. at_revision: as they were seen. request: its own id."""

    who: str
    at_revision: int
    request: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit, or undoing or redoing one, changed: rings by organ and slice."""

    revision: int
    changed: ByOrgan
    can_undo: bool
    can_redo: bool


@dataclass(slots=True)
class Workbench:
    """The contours of the drafts that are being edited; what counts stands in the database.

    Contours of a revision are kept in memory by the draft's SOP Instance UID, so that a stroke need
    not read all edits again.
    """

    _kept: dict[str, tuple[int, ByOrgan]] = field(default_factory=dict)
    _guard: ThreadLock = field(default_factory=ThreadLock)

    def state(self, session: Session, draft_id: int, shown: Prepared) -> State:
        """Return a draft's contours as they are now."""
        current = revision(session, draft_id)
        contours = self._contours(session, draft_id, shown)
        edited = [organ for organ, slices in contours.items() if _differs(organ, slices, shown)]
        return State(
            revision=current,
            contours=contours,
            can_undo=current > 0,
            can_redo=_undone(session, draft_id) is not None,
            edited=tuple(edited),
        )

    def edit(
        self,
        session: Session,
        draft: Draft,
        shown: Prepared,
        step: Step,
        organ: str,
        operation: Operation,
        other: Slices | None = None,
    ) -> Change:
        """Do a stroke, and keep it.

        other: what a copy copies.
        Raises: ConflictError: another person's lock, or newer edits. UnknownPartError: no such
            organ.
        """
        known = self._begun(session, draft.id, step)
        if known:
            return known
        if organ not in organs_of(draft):
            raise UnknownPartError(OrganNotOfDraft(organ=organ))
        before = self._contours(session, draft.id, shown).get(organ, {})
        after = changed(operation, before, shown.grid, other)
        if not after:
            return self._answer(session, draft.id, step.at_revision, {})
        number = _next_number(session, draft.id)
        session.execute(delete(Edit).where(Edit.draft_id == draft.id, Edit.is_undone))
        session.add(
            Edit(
                draft_id=draft.id,
                number=number,
                organ=organ,
                kind=operation.kind,
                who=step.who,
                at=now(),
                before=as_plain({index: before.get(index, []) for index in after}),
                after=as_plain(after),
                request=step.request,
            )
        )
        session.flush()
        return self._answer(session, draft.id, number, {organ: after})

    def undo(self, session: Session, draft_id: int, step: Step) -> Change:
        """Undo the last edit in force; nothing changes if there is none.

        Raises: ConflictError: another person's lock, or newer edits.
        """
        known = self._begun(session, draft_id, step)
        if known:
            return known
        last = _last(session, draft_id)
        if last is None:
            return self._answer(session, draft_id, 0, {})
        last.is_undone = True
        last.step = step.request
        session.flush()
        changed_back = {last.organ: from_plain(last.before)}
        return self._answer(session, draft_id, revision(session, draft_id), changed_back)

    def redo(self, session: Session, draft_id: int, step: Step) -> Change:
        """Do the first undone edit again; nothing changes if there is none.

        Raises: ConflictError: another person's lock, or newer edits.
        """
        known = self._begun(session, draft_id, step)
        if known:
            return known
        first = _undone(session, draft_id)
        if first is None:
            return self._answer(session, draft_id, revision(session, draft_id), {})
        first.is_undone = False
        first.step = step.request
        session.flush()
        return self._answer(session, draft_id, first.number, {first.organ: from_plain(first.after)})

    def _begun(self, session: Session, draft_id: int, step: Step) -> Change | None:
        """Take the draft's lock for a request; return its answer if it was done already.

        Raises: ConflictError: another person's lock, or newer edits.
        """
        locks.hold(session, draft_id, step.who)
        known = self._answered_before(session, draft_id, step)
        if known is None:
            refuse_older(session, draft_id, step.at_revision)
        return known

    def _answered_before(self, session: Session, draft_id: int, step: Step) -> Change | None:
        """Return the answer to a request that was done already.

        Raises: ConflictError: something came after it.
        """
        is_its = or_(Edit.request == step.request, Edit.step == step.request)
        edit = session.scalar(select(Edit).where(Edit.draft_id == draft_id, is_its))
        if edit is None:
            return None
        current = revision(session, draft_id)
        latest = _undone(session, draft_id) if edit.is_undone else _last(session, draft_id)
        is_undone_since = edit.is_undone and edit.request == step.request
        if edit is not latest or is_undone_since:
            raise ConflictError(NewerEdits(revision=step.at_revision, current=current))
        rings = from_plain(edit.before if edit.is_undone else edit.after)
        return self._answer(session, draft_id, current, {edit.organ: rings})

    def _answer(
        self,
        session: Session,
        draft_id: int,
        at_revision: int,
        changes: ByOrgan,
    ) -> Change:
        can_redo = _undone(session, draft_id) is not None
        return Change(at_revision, changes, at_revision > 0, can_redo)

    def _contours(
        self,
        session: Session,
        draft_id: int,
        shown: Prepared,
    ) -> ByOrgan:
        """Return a draft's contours, from memory if they are of this revision."""
        current = revision(session, draft_id)
        with self._guard:
            kept = self._kept.get(shown.draft_uid)
        if kept and kept[0] == current:
            return kept[1]
        start, known = 0, shown.contours
        if kept and _is_in_force(session, draft_id, kept[0]):
            start, known = kept
        contours = {organ: dict(slices) for organ, slices in known.items()}
        in_force = (
            select(Edit)
            .where(Edit.draft_id == draft_id, ~Edit.is_undone, Edit.number > start)
            .order_by(Edit.number)
        )
        for edit in session.scalars(in_force):
            _put(contours.setdefault(edit.organ, {}), from_plain(edit.after))
        self._keep(shown.draft_uid, current, contours)
        return contours

    def _keep(
        self,
        draft_uid: str,
        at_revision: int,
        contours: ByOrgan,
    ) -> None:
        with self._guard:
            self._kept.pop(draft_uid, None)
            self._kept[draft_uid] = (at_revision, contours)
            if len(self._kept) > KEPT:
                self._kept.pop(next(iter(self._kept)))


def _put(slices: dict[int, Rings], after: Slices) -> None:
    """Put the rings of an edit in the place of what was there."""
    for index, rings in after.items():
        if rings:
            slices[index] = rings
        else:
            slices.pop(index, None)


def _differs(organ: str, slices: Slices, shown: Prepared) -> bool:
    return slices != shown.contours.get(organ, {})


def organs_of(draft: Draft) -> list[str]:
    """Return the organs that a draft's model looked for, found or not, as they are to be reviewed.

    >>> organs_of(Draft(organs={"Lens_L": "Linse"}, review_order=[{"organ": "Lens_R"}]))
    ['Lens_R', 'Lens_L']
    """
    in_order = [one["organ"] for one in draft.review_order]
    return list(dict.fromkeys([*in_order, *draft.organs]))


def revision(session: Session, draft_id: int) -> int:
    """Return the number of the last edit in force; 0: the draft as it was drawn."""
    in_force = select(func.max(Edit.number)).where(Edit.draft_id == draft_id, ~Edit.is_undone)
    return session.scalar(in_force) or 0


def refuse_older(session: Session, draft_id: int, at_revision: int) -> None:
    """Raise ConflictError if what somebody sees is not how the contours are now."""
    current = revision(session, draft_id)
    if at_revision != current:
        raise ConflictError(NewerEdits(revision=at_revision, current=current))


def _next_number(session: Session, draft_id: int) -> int:
    """Return a number that no edit had, undone ones included."""
    return 1 + (session.scalar(select(func.max(Edit.number)).where(Edit.draft_id == draft_id)) or 0)


def _is_in_force(session: Session, draft_id: int, number: int) -> bool:
    """Return whether contours of a revision are what later edits were drawn on."""
    if number == 0:
        return True
    edit = select(Edit.id).where(Edit.draft_id == draft_id, Edit.number == number, ~Edit.is_undone)
    return session.scalar(edit) is not None


def _last(session: Session, draft_id: int) -> Edit | None:
    edits = select(Edit).where(Edit.draft_id == draft_id, ~Edit.is_undone)
    return session.scalar(edits.order_by(Edit.number.desc()).limit(1))


def _undone(session: Session, draft_id: int) -> Edit | None:
    """Return the edit that would be done again next."""
    edits = select(Edit).where(Edit.draft_id == draft_id, Edit.is_undone)
    return session.scalar(edits.order_by(Edit.number).limit(1))
