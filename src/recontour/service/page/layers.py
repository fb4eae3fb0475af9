"""What can be shown on a CT: drafts, what was approved, and what came back from elsewhere.

A layer has the contours of some organs. Its id is "draft-12", "approved-3" or "returned-7": the row
of the draft, the approval or the series of structure sets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.dicom import read_structure_set
from recontour.geometry import Grid
from recontour.organs import Template, match_names
from recontour.service.page.asked import whole_number
from recontour.service.page.words import day_and_clock, reason_of
from recontour.service.review.approve import names_of, template_of
from recontour.service.review.planes import slices_of
from recontour.service.review.prepared import ByOrgan, prepared
from recontour.service.review.returned import returned_to, review_of
from recontour.service.review.working import organs_of
from recontour.service.settings import Site
from recontour.service.store import Approval, Draft, ModelVersion, Series
from recontour.wording import printable

KEPT = 16  # structure sets in memory


def drafts_of(session: Session, series_id: int) -> list[Draft]:
    """Return the drafts of a series, the newest last."""
    drafts = select(Draft).where(Draft.series_id == series_id).order_by(Draft.id)
    return list(session.scalars(drafts))


# What there is


def layers_of(
    session: Session,
    site: Site,
    series: Series,
    drafts: Sequence[Draft],
) -> Iterator[dict[str, Any]]:
    """Yield what can be shown on a CT, without its contours.

    What came back is first. Then come drafts, the newest first, each after what was approved of it.
    """
    if drafts:
        yield from _returned_layers(session, site, series, drafts[-1])
    for draft in reversed(drafts):
        template = template_of(site.rule(draft.rule))
        names = names_of(template, draft)
        approvals = select(Approval).where(Approval.draft_id == draft.id)
        for approval in session.scalars(approvals.order_by(Approval.id.desc())):
            when = day_and_clock(approval.approved_at)
            yield {
                "id": f"approved-{approval.id}",
                "kind": "approved",
                "label": f"Approved by {approval.reviewer}, {when}",
                "organs": _organs(template, list(approval.changes), names, {}),
            }
        version = session.get(ModelVersion, draft.model_id)
        called = f"{version.name} version {version.number}" if version else "a model"
        yield {
            "id": f"draft-{draft.id}",
            "kind": "draft",
            "label": f"{called}, {day_and_clock(draft.made_at)}",
            "organs": _organs(template, organs_of(draft), names, _remarks(draft)),
        }


def _returned_layers(
    session: Session,
    site: Site,
    series: Series,
    draft: Draft,
) -> Iterator[dict[str, Any]]:
    """Yield what came back of a CT. draft: the newest, whose names and colours it has."""
    template = template_of(site.rule(draft.rule))
    names = names_of(template, draft)
    for structures, found in returned_to(session, site, series):
        sender = printable(structures.calling_ae)
        when = day_and_clock(structures.last_at)
        called = f": {printable(found.label)}" if found.label else ""
        yield {
            "id": f"returned-{structures.id}",
            "kind": "returned",
            "label": f"From {sender}, {review_of(found)}, {when}{called}",
            "organs": _organs(template, organs_of(draft), names, {}),
        }


def _organs(
    template: Template,
    organs: Sequence[str],
    names: Mapping[str, str],
    remarks: Mapping[str, str],
) -> list[dict[str, str]]:
    found = []
    for organ in organs:
        red, green, blue = template.colour_of(organ)
        found.append(
            {
                "organ": organ,
                "roi_name": names.get(organ, organ),
                "colour": f"#{red:02x}{green:02x}{blue:02x}",
                "remark": remarks.get(organ, ""),
            }
        )
    return found


def review_order(draft: Draft) -> list[dict[str, Any]]:
    """Return the organs in the order in which they are to be reviewed, with reasons."""
    order = []
    for row in draft.review_order:
        reasons = [reason_of(row["organ"], failure) for failure in row["failures"]]
        order.append({"organ": row["organ"], "reasons": reasons})
    return order


def _remarks(draft: Draft) -> dict[str, str]:
    """Return what speaks against an organ's contour, by organ."""
    return {row["organ"]: "; ".join(row["reasons"]) for row in review_order(draft)}


# Contours


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer's contours. series_id: whose CT. grid: of their slices."""

    series_id: int
    grid: Grid
    contours: ByOrgan


def drawn_on_newest(session: Session, site: Site, layer_id: str) -> Layer | None:
    """Return a layer on the slices of its series' newest draft; None if there is no such layer."""
    layer = layer_of(session, site, layer_id)
    if layer is None:
        return None
    newest = prepared(site.folder, drafts_of(session, layer.series_id)[-1])
    moved = on_grid(layer.contours, layer.grid, newest.grid)
    return Layer(layer.series_id, newest.grid, moved)


def layer_of(session: Session, site: Site, layer_id: str) -> Layer | None:
    """Return a layer as it is; None if there is no such layer."""
    kind, _, number = layer_id.partition("-")
    if kind not in FIND:
        return None
    return FIND[kind](session, site, whole_number(number))


def _draft_layer(session: Session, site: Site, draft_id: int) -> Layer | None:
    draft = session.get(Draft, draft_id)
    if draft is None:
        return None
    shown = prepared(site.folder, draft)
    return Layer(draft.series_id, shown.grid, shown.contours)


def _approved_layer(session: Session, site: Site, approval_id: int) -> Layer | None:
    approval = session.get(Approval, approval_id)
    if approval is None:
        return None
    draft = session.get_one(Draft, approval.draft_id)
    path = site.folder / approval.file
    return _layer_in(site, draft, path, approval.sop_instance_uid)


def _returned_layer(session: Session, site: Site, structures_id: int) -> Layer | None:
    structures = session.get(Series, structures_id)
    if structures is None:
        return None
    of_patient = select(Series).where(
        Series.modality == "CT", Series.patient_id == structures.patient_id
    )
    for ct in session.scalars(of_patient):
        drafts = drafts_of(session, ct.id)
        for row, found in returned_to(session, site, ct):
            if row.id == structures.id and drafts:
                return _layer_in(site, drafts[-1], found.path, found.sop_instance_uid)
    return None


FIND = {"draft": _draft_layer, "approved": _approved_layer, "returned": _returned_layer}


def _layer_in(site: Site, draft: Draft, file: Path, uid: str) -> Layer:
    """Return what a structure set says of a draft's organs, on the draft's slices."""
    names = names_of(template_of(site.rule(draft.rule)), draft)
    grid = prepared(site.folder, draft).grid
    return Layer(draft.series_id, grid, _drawn(file, uid, tuple(names.items()), grid))


@lru_cache(maxsize=KEPT)
def _drawn(
    file: Path,
    _uid: str,
    names: tuple[tuple[str, str], ...],
    grid: Grid,
) -> ByOrgan:
    """Return what a structure set says, by organ and slice; other organs are left out.

    _uid: its SOP Instance UID, by which the answer is kept. names: what the site calls each organ;
    another program may have used other names, which are understood as `import` does.
    """
    drawn = read_structure_set(file, None)
    organ_by_name = {name: organ for organ, name in names}
    understood = match_names(drawn.names, organ_by_name).mapped
    found = {}
    for structure in drawn.structures:
        organ = understood.get(structure.name)
        if organ is not None and organ in organ_by_name.values():
            found[organ] = slices_of(structure.contours, grid)
    return found


def on_grid(drawn: ByOrgan, own: Grid, grid: Grid) -> ByOrgan:
    """Return contours on the slices of another grid of the same CT, which may have more of them."""
    if own == grid:
        return drawn
    moved: dict[str, dict[int, Any]] = {}
    for organ, slices in drawn.items():
        of_organ = moved.setdefault(organ, {})
        for index, rings in slices.items():
            place = grid.slice_at(own.slice_z_mm[index])
            if place is not None:
                of_organ[place] = rings
    return moved
