"""Who edits a draft: one person at a time, for two minutes after the last edit."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from recontour.service.review.conflicts import ConflictError
from recontour.service.review.findings import LockedByAnother
from recontour.service.store import Lock, now

HELD_S = 120.0


@dataclass(frozen=True, slots=True)
class Held:
    """A lock as others see it. until: seconds since 1970."""

    who: str
    until: float


def holder(session: Session, draft_id: int) -> Held | None:
    """Return who edits a draft; None: nobody, or somebody whose time is over."""
    lock = session.get(Lock, draft_id)
    if lock is None or lock.until <= now():
        return None
    return Held(lock.who, lock.until)


def hold(session: Session, draft_id: int, who: str) -> Held:
    """Take a draft's lock, or keep it for longer.

    Raises: ConflictError: another person holds it.
    """
    held = holder(session, draft_id)
    if held and held.who != who:
        raise ConflictError(LockedByAnother(who=held.who, until=held.until))
    until = now() + HELD_S
    session.merge(Lock(draft_id=draft_id, who=who, until=until))
    return Held(who, until)


def release(session: Session, draft_id: int, who: str) -> None:
    """Give a lock back; another's stays."""
    lock = session.get(Lock, draft_id)
    if lock and lock.who == who:
        session.delete(lock)
