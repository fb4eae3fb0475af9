"""Patients as JSON: the list, and one series with its layers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from starlette.responses import Response, StreamingResponse

from recontour.dicom import StructureSetFile
from recontour.service import jobs as queue
from recontour.service.audit import Event, audit
from recontour.service.page.asked import Asked, answered, refuse_unless_may
from recontour.service.page.findings import NotThere, NotUnderstood, NotYetPossible
from recontour.service.page.layers import drafts_of, layers_of, review_order
from recontour.service.page.refusals import RefusedError
from recontour.service.page.words import (
    message_of,
    state_of,
    words_of,
)
from recontour.service.review import locks
from recontour.service.review.prepared import Prepared, grid_as_plain, prepared
from recontour.service.review.returned import patients_with_structures, returned_to, review_of
from recontour.service.review.working import organs_of
from recontour.service.rules import Arrived, decide
from recontour.service.settings import Site
from recontour.service.store import (
    ARRIVING,
    DONE,
    FAILED,
    OVER,
    TAKEN,
    WAITING,
    WITHDRAWN,
    Approval,
    Draft,
    Job,
    Series,
)
from recontour.wording import printable

CT = "CT"
MOST_LISTED = 500
LONGEST_SEARCH = 100
LOOK_FIRST = 3  # organs on the list
BYTES = 2  # of a voxel
SLICES_AT_ONCE_BYTES = 4 * 2**20


# The list


def listed(asked: Asked) -> Response:
    """Answer with the newest series, those that fit what is searched for."""
    wanted = select(Series).where(Series.modality == CT)
    words = asked.query.get("search", "")[:LONGEST_SEARCH].strip().lower()
    if words:
        columns = (Series.patient_name, Series.patient_id, Series.description)
        wanted = wanted.where(
            or_(*(func.lower(one).contains(words, autoescape=True) for one in columns))
        )
    wanted = wanted.order_by(Series.last_at.desc(), Series.id.desc()).limit(MOST_LISTED)
    with asked.page.store.reading() as session:
        found = list(session.scalars(wanted))
        about = _About.of(session, asked.page.site, found)
        rows = [about.row(one) for one in found]
    return answered({"series": rows})


class _About:
    """What else is known of some series, in the order of its making."""

    def __init__(self) -> None:
        self.drafts: defaultdict[int, list[Draft]] = defaultdict(list)
        self.approvals: defaultdict[int, list[Approval]] = defaultdict(list)  # by draft
        self.jobs: defaultdict[int, list[Job]] = defaultdict(list)
        self.returned: dict[int, dict[str, Any]] = {}  # what came back last

    @classmethod
    def of(cls, session: Session, site: Site, found: Sequence[Series]) -> "_About":
        about = cls()
        ids = [one.id for one in found]
        drafts = select(Draft).where(Draft.series_id.in_(ids)).order_by(Draft.id)
        for draft in session.scalars(drafts):
            about.drafts[draft.series_id].append(draft)
        approvals = select(Approval).join(Draft).where(Draft.series_id.in_(ids))
        for approval in session.scalars(approvals.order_by(Approval.id)):
            about.approvals[approval.draft_id].append(approval)
        for job in session.scalars(select(Job).where(Job.series_id.in_(ids)).order_by(Job.id)):
            about.jobs[job.series_id or 0].append(job)
        drawn_on = set(session.scalars(patients_with_structures()))
        for one in found:
            came_back = returned_to(session, site, one) if one.patient_id in drawn_on else []
            if came_back:
                about.returned[one.id] = _of_returned(*came_back[0])
        return about

    def row(self, series: Series) -> dict[str, Any]:
        draft = _latest(self.drafts[series.id])
        approval = _latest(self.approvals[draft.id]) if draft else None
        state, words = state_of(series, self.jobs[series.id], draft, approval)
        return {
            **_named(series),
            "received_at": series.last_at,
            "slices": series.instances,
            "state": state,
            "words": words,
            "jobs": [_job(job) for job in self.jobs[series.id] if job.state not in OVER],
            **_of_draft(draft),
            **_of_approval(approval),
            "returned": self.returned.get(series.id),
        }


def _of_draft(draft: Draft | None) -> dict[str, Any]:
    if draft is None:
        return {"organs": 0, "look_first": [], "draft_id": None}
    look_first = organs_of(draft)[:LOOK_FIRST]
    return {"organs": len(draft.organs), "look_first": look_first, "draft_id": draft.id}


def _of_approval(approval: Approval | None) -> dict[str, Any]:
    if approval is None:
        return {"approved_at": None, "approved_by": None}
    return {"approved_at": approval.approved_at, "approved_by": approval.reviewer}


def _of_returned(structures: Series, found: StructureSetFile) -> dict[str, Any]:
    """Return what the list says of a structure set that came back. at: seconds since 1970."""
    return {
        "sender": printable(structures.calling_ae),
        "at": structures.last_at,
        "review": review_of(found),
        "label": printable(found.label),
    }


Row = TypeVar("Row")


def _latest(rows: Sequence[Row]) -> Row | None:
    """Return the last of some rows, in the order in which they were made."""
    return rows[-1] if rows else None


def _job(job: Job) -> dict[str, Any]:
    return {"id": job.id, "kind": job.kind, "state": job.state, "words": words_of(job)}


def readable_name(name: str) -> str:
    """Return a name of DICOM's as people write it.

    >>> readable_name("Doe^Jane^^Dr"), readable_name("Yamada^Tarou=x^y")
    ('Doe, Jane Dr', 'Yamada, Tarou')
    """
    family, *others = printable(name).partition("=")[0].split("^")
    given = " ".join(part for part in others if part)
    return ", ".join(part for part in (family, given) if part)


# One series


def one(asked: Asked) -> Response:
    """Answer with a series: its grid, its layers, and what to look at first."""
    page, visitor = asked.page, asked.who
    with page.store.reading() as session:
        series = series_of(session, asked.id())
        drafts = drafts_of(session, series.id)
        draft = _latest(drafts)
        layers = list(layers_of(session, page.site, series, drafts))
        to_review = _to_review(session, page.site, draft)
        doubts = _doubts(session, series, draft)
    if page.once.is_first(visitor.key, "viewed", series.uid):
        with page.store.begin() as session:
            audit(session, Event.VIEWED, visitor.name, series=series, address=visitor.address)
    return answered(
        {
            **_named(series),
            **to_review,
            "layers": layers,
            "findings": doubts,
            "may": {"edit": asked.may("edit"), "approve": asked.may("approve")},
            "me": visitor.name,
        }
    )


def _named(series: Series) -> dict[str, Any]:
    """Return whose series it is, and what it is called."""
    return {
        "id": series.id,
        "patient_name": readable_name(series.patient_name),
        "patient_id": printable(series.patient_id),
        "description": printable(series.description),
    }


def _to_review(session: Session, site: Site, draft: Draft | None) -> dict[str, Any]:
    """Return what a review begins with; there may be no draft yet."""
    if draft is None:
        return {"draft_id": None, "draft_uid": None, "grid": None, "review_order": [], "lock": None}
    lock = locks.holder(session, draft.id)
    return {
        "draft_id": draft.id,
        "draft_uid": draft.sop_instance_uid,
        "grid": grid_as_plain(prepared(site.folder, draft).grid),
        "review_order": review_order(draft),
        "lock": {"who": lock.who, "until": lock.until} if lock else None,
    }


def _doubts(session: Session, series: Series, draft: Draft | None) -> list[str]:
    """Return what a reviewer must know.

    Of the series, such as late slices; of earlier drafts that were not sent; of the newest draft.
    """
    of_series = [series.finding] if series.finding else []
    withdrawn = select(Job).where(Job.series_id == series.id, Job.state == WITHDRAWN)
    of_jobs = [job.finding for job in session.scalars(withdrawn.order_by(Job.id))]
    of_draft = draft.findings if draft else []
    return [message_of(found) for found in (*of_series, *of_jobs, *of_draft)]


def series_of(session: Session, series_id: int) -> Series:
    """Return a CT series. Raises: RefusedError: there is none."""
    series = session.get(Series, series_id)
    if series is None or series.modality != CT:
        raise RefusedError(404, NotThere())
    return series


# Its voxels


def volume(asked: Asked) -> Response:
    """Answer with the Hounsfield units of some slices: int16, little endian, slice by slice."""
    with asked.page.store.reading() as session:
        drafts = drafts_of(session, series_of(session, asked.id()).id)
    if not drafts:
        raise RefusedError(404, NotThere())
    shown = prepared(asked.page.site.folder, drafts[-1])
    slices, rows, columns = shown.grid.shape
    first = asked.number("first", 0)
    count = asked.number("count", slices)
    if first >= slices or count < 1:
        raise RefusedError(400, NotUnderstood(what="first or count"))
    last = min(first + count, slices)
    size = (last - first) * rows * columns * BYTES
    return StreamingResponse(
        _voxels(shown, first, last),
        media_type="application/octet-stream",
        headers={"content-length": str(size)},
    )


def _voxels(shown: Prepared, first: int, last: int) -> Iterator[bytes]:
    """Yield slices a few at a time."""
    voxels = shown.volume()
    step = max(SLICES_AT_ONCE_BYTES // voxels[0].nbytes, 1)
    for start in range(first, last, step):
        yield voxels[start : min(start + step, last)].tobytes()


# To contour again


def contour(asked: Asked) -> Response:
    """Have a series contoured, again or for the first time; answer with the job.

    Sent with `anyway`, it is contoured even if it is incomplete, or unlike what the model learnt
    from.
    """
    anyway = asked.sent().get("anyway", False) is True
    site = asked.page.site
    with asked.page.store.begin() as session:
        series = series_of(session, asked.id())
        if series.state == ARRIVING:
            raise RefusedError(409, NotYetPossible(why="slices of this series are still arriving"))
        rule = site.rule(series.rule) if series.rule else None
        if rule is None:
            rule = decide(site.rules, _arrived(series)).rule
        if rule is None:
            raise RefusedError(409, NotYetPossible(why="no rule of this site takes this series"))
        series.rule = rule.name
        series.state = TAKEN
        job = _contour_job(session, series, rule.name, anyway)
        what = f"contour {'anyway' if anyway else 'again'}"
        visitor = asked.who
        audit(
            session,
            Event.CHANGED,
            visitor.name,
            series=series,
            address=visitor.address,
            what=what,
        )
        return answered({"job": _job(job)})


def _arrived(series: Series) -> Arrived:
    return Arrived(
        calling_ae=series.calling_ae,
        called_ae=series.called_ae,
        description=series.description,
        body_part=series.body_part,
        manufacturer=series.manufacturer,
        slices=series.instances,
    )


def _contour_job(
    session: Session,
    series: Series,
    rule: str,
    anyway: bool,
) -> Job:
    """Return a job that contours a series: one that waits or failed, or else a new one."""
    of_series = select(Job).where(Job.series_id == series.id, Job.kind == "contour")
    known = list(session.scalars(of_series.order_by(Job.id)))
    key = queue.contour_key(series, rule)
    for job in reversed(known):
        is_this = job.key == key or job.key.startswith(f"{key} again ")
        if is_this and job.state != DONE:
            if job.state in (WAITING, FAILED):
                job.subject = {**job.subject, "rule": rule, "anyway": anyway}
                queue.try_again(session, job.id)
            return job
    if any(job.key == key for job in known):
        key = f"{key} again {len(known)}"
    subject = {"rule": rule, "anyway": anyway}
    return queue.put(session, "contour", key, subject, series_id=series.id)


def again(asked: Asked) -> Response:
    """Put a failed job back. A training needs the role that asks for trainings."""
    visitor = asked.who
    with asked.page.store.begin() as session:
        job = session.get(Job, asked.id())
        if job is None:
            raise RefusedError(404, NotThere())
        refuse_unless_may(visitor, "admin" if job.kind == "learn" else "edit")
        queue.try_again(session, job.id)
        audit(
            session,
            Event.LEARNT if job.kind == "learn" else Event.CHANGED,
            visitor.name,
            series=session.get(Series, job.series_id) if job.series_id else None,
            address=visitor.address,
            what=f"{job.kind} tried again",
        )
        return answered({"job": _job(job)})
