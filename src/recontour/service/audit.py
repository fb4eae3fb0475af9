"""Who sent, saw, changed, approved and deleted what, and when: the events of IHE ATNA.

An event is written in the transaction of what it tells of. It names a patient by the patient ID, as
ATNA asks; it holds no pixel data, no contour and no name.
"""

from enum import Enum, IntEnum

from sqlalchemy.orm import Session

from recontour.service.store import Audited, Series, now
from recontour.wording import printable

LONGEST = 200


class Outcome(IntEnum):
    """How an event ended, as ATNA counts it."""

    SUCCESS = 0
    MINOR = 4
    SERIOUS = 8
    MAJOR = 12


class Event(Enum):
    """An event, its code in DICOM PS3.16 CID 400 or 401, and its action.

    Actions: C create, R read, U update, D delete, E execute.
    """

    STARTED = ("110120", "E")  # Application Start
    STOPPED = ("110121", "E")  # Application Stop
    LOGIN = ("110122", "E")
    LOGOUT = ("110123", "E")
    RECEIVED = ("110104", "C")  # DICOM Instances Transferred
    SENT = ("110104", "R")
    VIEWED = ("110103", "R")  # DICOM Instances Accessed
    DRAWN = ("110103", "C")
    CHANGED = ("110103", "U")
    APPROVED = ("110110", "U")  # Patient Record
    DELETED = ("110105", "D")  # DICOM Study Deleted
    EXPORTED = ("110106", "R")  # Export
    LEARNT = ("110100", "E")  # Application Activity: a model was trained or exchanged
    REFUSED = ("110113", "E")  # Security Alert

    def __init__(self, code: str, action: str) -> None:
        self.code = code
        self.action = action


def audit(
    session: Session,
    event: Event,
    who: str,
    *,
    series: Series | None = None,
    address: str = "",
    what: str = "",
    outcome: Outcome = Outcome.SUCCESS,
) -> None:
    """Write an event. what: words of recontour's own, such as the name of a destination."""
    session.add(
        Audited(
            at=now(),
            event=event.name.lower(),
            action=event.action,
            outcome=outcome,
            who=printable(who)[:64],
            address=address[:64],
            patient_id=series.patient_id if series else "",
            study_uid=series.study_uid if series else "",
            what=printable(what)[:LONGEST],
        )
    )
