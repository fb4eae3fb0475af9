"""The structure set that a person approved: what the page showed, to the voxel.

Organs that nobody edited have the draft's contours, digit for digit; so have slices that nobody
edited. The file is read back before it counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from recontour.dicom import (
    Authorship,
    Reviewed,
    Scan,
    drafted_by,
    read_scan,
    read_structure_set,
    write_structure_set,
)
from recontour.errors import FaultError, SettingsError
from recontour.geometry import (
    Contour,
    Grid,
    Structure,
    StructureSet,
    planes_by_slice,
    rasterise,
)
from recontour.organs import Template, read_template
from recontour.service import jobs
from recontour.service.audit import Event, audit
from recontour.service.folder import SiteFolder
from recontour.service.review import locks
from recontour.service.review.changes import changes_of, unchanged
from recontour.service.review.conflicts import ConflictError, UnknownPartError
from recontour.service.review.findings import (
    ApprovedMeanwhile,
    NothingToApprove,
    OrganNotOfDraft,
    OtherThanShown,
    OutdatedDraft,
)
from recontour.service.review.planes import Slices, contours_of
from recontour.service.review.prepared import STRUCTURES, ByOrgan, Prepared, prepared
from recontour.service.review.working import Workbench, organs_of, refuse_older
from recontour.service.settings import Rule, Site
from recontour.service.store import TAKEN, Approval, Draft, Series, Store, now


@dataclass(frozen=True, slots=True)
class Approver:
    """Who approves, from where, and how long it took them."""

    who: str
    address: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Written:
    """What was written. changes: by organ, plain numbers."""

    sop_instance_uid: str
    changes: Mapping[str, Any]


def approve(
    site: Site,
    store: Store,
    workbench: Workbench,
    draft_id: int,
    at_revision: int,
    organs: Sequence[str],
    approver: Approver,
) -> int:
    """Write what is approved, note it, and put the jobs that send and collect it.

    organs: TG-263 names of those that are approved; the others are left out of the file.
    Returns: the approval's id.
    Raises: ConflictError: another person's lock, or newer edits. UnknownPartError: an organ that
        the draft does not have. SettingsError: none of them has contours. DicomError, OutputError,
        FaultError: the CT cannot be read, or the file not written.
    """
    with store.begin() as session:
        draft, series = _in_hand(session, draft_id, at_revision, approver)
        earlier = _approvals_of(session, draft_id)
        shown = prepared(site.folder, draft)
        contours = workbench.state(session, draft_id, shown).contours
    approved = _chosen(draft, organs, contours)
    path = SiteFolder(site.folder).approved(series.uid) / f"{draft_id}-{uuid4().hex}.dcm"
    scan = read_scan(SiteFolder(site.folder).received(series.uid))
    template = template_of(site.rule(draft.rule))
    written = _written(path, draft, shown, approved, scan, template, approver.who)
    try:
        with store.begin() as session:
            draft, series = _in_hand(session, draft_id, at_revision, approver)
            if _approvals_of(session, draft_id) != earlier:
                raise ConflictError(ApprovedMeanwhile())
            file = str(path.relative_to(site.folder))
            approval = _noted(session, draft, series, file, written, approver)
            _put_jobs(session, site, draft, approval)
            return approval.id
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _in_hand(
    session: Session,
    draft_id: int,
    at_revision: int,
    approver: Approver,
) -> tuple[Draft, Series]:
    """Return a draft and its CT, which the approver alone may change for now.

    Raises: ConflictError: another person's lock, newer edits, or slices that came since.
    """
    locks.hold(session, draft_id, approver.who)
    refuse_older(session, draft_id, at_revision)
    draft = session.get_one(Draft, draft_id)
    series = session.get_one(Series, draft.series_id)
    if draft.generation != series.generation or series.state != TAKEN:
        raise ConflictError(OutdatedDraft())
    return draft, series


def _chosen(draft: Draft, organs: Sequence[str], contours: ByOrgan) -> dict[str, Slices]:
    """Return what is approved, in the draft's order.

    Raises: UnknownPartError: an organ that the draft does not have. SettingsError: nothing is left.
    """
    known = organs_of(draft)
    for organ in organs:
        if organ not in known:
            raise UnknownPartError(OrganNotOfDraft(organ=organ))
    chosen = {}
    for organ in known:
        if organ in organs and contours.get(organ):
            chosen[organ] = contours[organ]
    if not chosen:
        raise SettingsError(NothingToApprove())
    return chosen


def _noted(
    session: Session,
    draft: Draft,
    series: Series,
    file: str,
    written: _Written,
    approver: Approver,
) -> Approval:
    """Note an approval, also in the audit trail. file: below the site's folder."""
    approval = Approval(
        draft_id=draft.id,
        reviewer=approver.who,
        approved_at=now(),
        seconds=approver.seconds,
        file=file,
        sop_instance_uid=written.sop_instance_uid,
        changes=written.changes,
    )
    session.add(approval)
    session.flush()
    edited = sum(one["edited"] for one in written.changes.values())
    audit(
        session,
        Event.APPROVED,
        approver.who,
        series=series,
        address=approver.address,
        what=f"draft {draft.id}, {len(written.changes)} organs, {edited} of them edited",
    )
    return approval


def _approvals_of(session: Session, draft_id: int) -> int:
    """Return how often a draft was approved."""
    return session.scalar(select(func.count()).where(Approval.draft_id == draft_id)) or 0


def _put_jobs(session: Session, site: Site, draft: Draft, approval: Approval) -> None:
    rule = site.rule(draft.rule)
    for destination in rule.destinations if rule else ():
        jobs.put(
            session,
            "send",
            f"send approval {approval.id} {destination}",
            {"file": approval.file, "destination": destination},
            series_id=draft.series_id,
        )
    jobs.put(
        session,
        "collect",
        f"collect {approval.id}",
        {"approval": approval.id},
        series_id=draft.series_id,
    )


def template_of(rule: Rule | None) -> Template:
    """Return how a rule's structures are called and coloured. Raises: NamesError."""
    return read_template(rule.template) if rule and rule.template else Template()


def _written(
    path: Path,
    draft: Draft,
    shown: Prepared,
    approved: ByOrgan,
    scan: Scan,
    template: Template,
    who: str,
) -> _Written:
    """Write a structure set, read it back, and say what was changed."""
    file = shown.folder / STRUCTURES
    names = names_of(template, draft)
    drafted = by_organ(read_structure_set(file, None), draft.organs)
    structures = []
    changes = {}
    for organ, slices in approved.items():
        own = drafted.get(organ, ())
        before = shown.contours.get(organ, {})
        if slices == before:
            contours = tuple(own)
            changes[organ] = unchanged()
        else:
            contours = tuple(_contours(slices, before, own, shown.grid))
            changes[organ] = changes_of(own, contours, shown.grid)
        structures.append(Structure(organ, contours))
    edited = frozenset(organ for organ, one in changes.items() if one["edited"])
    reviewed = Reviewed(who, datetime.now(), edited, draft.sop_instance_uid)
    author = Authorship(
        model=drafted_by(file),
        label=template.label,
        description=template.description,
        template=_with_names(template, names),
        reviewed=reviewed,
    )
    uid = write_structure_set(path, StructureSet(tuple(structures)), scan, author)
    try:
        _refuse_other_than_shown(path, approved, names, shown.grid)
    except FaultError:
        path.unlink()
        raise
    return _Written(uid, changes)


def names_of(template: Template, draft: Draft) -> dict[str, str]:
    """Return what a draft's structures are called, by TG-263 name.

    Organs that were not found are not in the draft: the template says how it would call them.
    """
    return {organ: draft.organs.get(organ) or template.name_of(organ) for organ in organs_of(draft)}


def _with_names(template: Template, names: Mapping[str, str]) -> Template:
    """Return a template that calls structures so, whatever its file says now."""
    spellings = {organ: (name,) for organ, name in names.items()}
    return replace(template, spellings=spellings, prefix="", suffix="")


def by_organ(drawn: StructureSet, names: Mapping[str, str]) -> dict[str, tuple[Contour, ...]]:
    """Return contours by TG-263 name. names: what the structure set calls each organ."""
    organ_by_name = {name: organ for organ, name in names.items()}
    found = {}
    for structure in drawn.structures:
        found[organ_by_name.get(structure.name, structure.name)] = structure.contours
    return found


def _contours(
    slices: Slices,
    before: Slices,
    own: Sequence[Contour],
    grid: Grid,
) -> Iterator[Contour]:
    """Yield an organ's contours: where nothing was edited, the draft's own.

    slices: what is approved. before: the draft, as the page showed it. own: as its file says it.
    """
    on_slices = planes_by_slice(own, grid)
    for index in sorted(slices):
        if slices[index] == before.get(index):
            yield from on_slices[index][0]
        else:
            yield from contours_of(slices[index], grid.slice_z_mm[index])


def _refuse_other_than_shown(
    path: Path,
    approved: ByOrgan,
    names: Mapping[str, str],
    grid: Grid,
) -> None:
    """Raise FaultError if a structure set encloses other voxels than the page showed."""
    written = by_organ(read_structure_set(path, None), names)
    for organ, slices in approved.items():
        says = rasterise(written[organ], grid)
        showed = rasterise(shown_contours(slices, grid), grid)
        voxels = int((says ^ showed).sum())
        if voxels:
            raise FaultError(OtherThanShown(organ=organ, voxels=voxels))


def shown_contours(slices: Slices, grid: Grid) -> Iterator[Contour]:
    """Yield the rings of an organ as contours, as they are shown."""
    for index, rings in slices.items():
        for ring in rings:
            yield Contour(np.array(ring), grid.slice_z_mm[index])
