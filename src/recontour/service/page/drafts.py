"""Contours, edits, locks and approvals as JSON."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from sqlalchemy.orm import Session
from starlette.responses import Response

from recontour.findings import words
from recontour.service.audit import Event, audit
from recontour.service.page.asked import Asked, answered
from recontour.service.page.findings import ApprovedForGoneRule, NotThere, NotUnderstood
from recontour.service.page.layers import drawn_on_newest, layer_of, on_grid
from recontour.service.page.refusals import RefusedError
from recontour.service.review import locks
from recontour.service.review.approve import Approver, approve
from recontour.service.review.conflicts import ConflictError, UnknownPartError
from recontour.service.review.findings import LayerNotThere, OtherDraft
from recontour.service.review.operations import Copy, Operation
from recontour.service.review.planes import Slices, as_plain
from recontour.service.review.prepared import ByOrgan, Prepared, prepared
from recontour.service.review.working import Change, Step
from recontour.service.settings import Site
from recontour.service.store import Draft, Series

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Revision = Annotated[int, Strict(), Field(ge=0)]
Uid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{8,64}$")]
OrganName = Annotated[str, Field(max_length=64)]
Sent = TypeVar("Sent")
LONGEST_REVIEW_S = 7 * 86_400.0
KEPT = 16  # approved sets in memory


@dataclass(frozen=True, config=_STRICT)
class Meant:
    """Which contours somebody means: a draft's, as they were seen."""

    draft_uid: Uid
    revision: Revision


@dataclass(frozen=True, config=_STRICT)
class StepSent(Meant):
    """What undoing or redoing a stroke sends. request: an id of this request alone."""

    request: RequestId


@dataclass(frozen=True, config=_STRICT)
class EditSent(StepSent):
    """What a stroke sends."""

    organ: OrganName
    op: Annotated[Operation, Field(discriminator="kind")]


@dataclass(frozen=True, config=_STRICT)
class ApproveSent(Meant):
    """What an approval sends."""

    organs: Annotated[tuple[OrganName, ...], Field(max_length=1000)]
    seconds: Annotated[float, Field(ge=0, le=LONGEST_REVIEW_S)] = 0.0


_edit: TypeAdapter[EditSent] = TypeAdapter(EditSent)
_step: TypeAdapter[StepSent] = TypeAdapter(StepSent)
_approve: TypeAdapter[ApproveSent] = TypeAdapter(ApproveSent)


# Layers


def contours(asked: Asked) -> Response:
    """Answer with the contours of a layer, on the slices of its series' newest draft."""
    with asked.page.store.reading() as session:
        drawn = drawn_on_newest(session, asked.page.site, asked.parts["id"])
    if drawn is None:
        raise RefusedError(404, NotThere())
    return answered(_plain(drawn.contours))


def _plain(drawn: ByOrgan) -> dict[str, Any]:
    return {organ: as_plain(slices) for organ, slices in drawn.items() if slices}


# Edits


def working(asked: Asked) -> Response:
    """Answer with a draft's contours as they are now, with all edits."""
    page = asked.page
    with page.store.reading() as session:
        draft = draft_of(session, asked.id())
        state = page.workbench.state(session, draft.id, prepared(page.site.folder, draft))
    return answered(
        {
            "revision": state.revision,
            "contours": _plain(state.contours),
            "can_undo": state.can_undo,
            "can_redo": state.can_redo,
            "edited": list(state.edited),
        }
    )


def draft_of(session: Session, draft_id: int) -> Draft:
    """Return a draft. Raises: RefusedError: there is none."""
    draft = session.get(Draft, draft_id)
    if draft is None:
        raise RefusedError(404, NotThere())
    return draft


def _meant_draft(session: Session, draft_id: int, meant: Meant) -> Draft:
    """Return the draft that somebody means to change.

    Raises: RefusedError: there is none. ConflictError: another one has its number now.
    """
    draft = draft_of(session, draft_id)
    if draft.sop_instance_uid != meant.draft_uid:
        raise ConflictError(OtherDraft())
    return draft


def _step_of(asked: Asked, sent: StepSent) -> Step:
    return Step(asked.who.name, sent.revision, sent.request)


def edit(asked: Asked) -> Response:
    """Do a stroke; it is on the disk when this is answered."""
    page = asked.page
    sent = _understood(_edit, asked.sent())
    with page.store.begin() as session:
        draft = _meant_draft(session, asked.id(), sent)
        shown = prepared(page.site.folder, draft)
        other = None
        if isinstance(sent.op, Copy):
            other = _copied(session, page.site, draft, shown, sent.op.layer, sent.organ)
        change = page.workbench.edit(
            session,
            draft,
            shown,
            _step_of(asked, sent),
            sent.organ,
            sent.op,
            other,
        )
        _note_changed(asked, session, draft)
    return answered(_change(change))


def _copied(
    session: Session,
    site: Site,
    draft: Draft,
    shown: Prepared,
    layer_id: str,
    organ: str,
) -> Slices:
    """Return an organ's contours in another layer of the same series."""
    layer = layer_of(session, site, layer_id)
    if layer is None or layer.series_id != draft.series_id:
        raise UnknownPartError(LayerNotThere())
    slices: Slices = on_grid(layer.contours, layer.grid, shown.grid).get(organ, {})
    return slices


def _note_changed(asked: Asked, session: Session, draft: Draft) -> None:
    visitor = asked.who
    if asked.page.once.is_first(visitor.key, "changed", draft.sop_instance_uid):
        series = session.get_one(Series, draft.series_id)
        what = f"draft {draft.id}"
        audit(
            session,
            Event.CHANGED,
            visitor.name,
            series=series,
            address=visitor.address,
            what=what,
        )


def _change(change: Change) -> dict[str, Any]:
    changed = {organ: as_plain(slices) for organ, slices in change.changed.items()}
    return {
        "revision": change.revision,
        "changed": changed,
        "can_undo": change.can_undo,
        "can_redo": change.can_redo,
    }


def undo(asked: Asked) -> Response:
    """Undo the last stroke."""
    sent = _understood(_step, asked.sent())
    with asked.page.store.begin() as session:
        draft = _meant_draft(session, asked.id(), sent)
        change = asked.page.workbench.undo(session, draft.id, _step_of(asked, sent))
        _note_changed(asked, session, draft)
    return answered(_change(change))


def redo(asked: Asked) -> Response:
    """Do the last undone stroke again."""
    sent = _understood(_step, asked.sent())
    with asked.page.store.begin() as session:
        draft = _meant_draft(session, asked.id(), sent)
        change = asked.page.workbench.redo(session, draft.id, _step_of(asked, sent))
        _note_changed(asked, session, draft)
    return answered(_change(change))


# Locks


def lock(asked: Asked) -> Response:
    """Take a draft's lock, or keep it."""
    with asked.page.store.begin() as session:
        draft = draft_of(session, asked.id())
        held = locks.hold(session, draft.id, asked.who.name)
    return answered({"lock": {"who": held.who, "until": held.until}})


def unlock(asked: Asked) -> Response:
    """Give a draft's lock back; answer with whoever has it then."""
    with asked.page.store.begin() as session:
        draft = draft_of(session, asked.id())
        locks.release(session, draft.id, asked.who.name)
        session.flush()
        held = locks.holder(session, draft.id)
    return answered({"lock": {"who": held.who, "until": held.until} if held else None})


# Approval


def approved(asked: Asked) -> Response:
    """Approve organs of a draft, as they are now."""
    page, visitor = asked.page, asked.who
    sent = _understood(_approve, asked.sent())
    with page.store.reading() as session:
        draft = _meant_draft(session, asked.id(), sent)
    approver = Approver(visitor.name, visitor.address, sent.seconds)
    approval_id = approve(
        page.site,
        page.store,
        page.workbench,
        draft.id,
        sent.revision,
        sent.organs,
        approver,
    )
    rule = page.site.rule(draft.rule)
    gone = [] if rule else [words(ApprovedForGoneRule(rule=draft.rule))]
    return answered(
        {
            "approval_id": approval_id,
            "layer": f"approved-{approval_id}",
            "destinations": list(rule.destinations) if rule else [],
            "findings": gone,
        }
    )


def _understood(adapter: TypeAdapter[Sent], sent: Mapping[str, Any]) -> Sent:
    """Return what was sent, checked. Raises: RefusedError."""
    try:
        return adapter.validate_python(sent)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"] if isinstance(part, str))
        raise RefusedError(400, NotUnderstood(what=_known_field(where))) from error


FIELDS = ("draft_uid", "request", "organ", "revision", "op", "organs", "seconds")


def _known_field(where: str) -> str:
    """Return which field is wrong, in words of our own."""
    first = where.partition(".")[0]
    return first if first in FIELDS else "a field of this request"
