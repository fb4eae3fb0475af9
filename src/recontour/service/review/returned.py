"""Structure sets that came from elsewhere: a person may have corrected them in another program."""

from functools import lru_cache
from pathlib import Path

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from recontour.dicom import StructureSetFile, read_archive
from recontour.service.folder import SiteFolder
from recontour.service.settings import Site
from recontour.service.store import TAKEN, Approval, Series

KEPT = 1000  # series whose structure sets stay in memory


def came_back(session: Session, site: Site, structures: Series) -> list[StructureSetFile]:
    """Return the structure sets of a series that are not the site's own, the newest first.

    A destination may send back what the site sent to it: drafts, and what was approved here.
    """
    folder = SiteFolder(site.folder).received(structures.uid)
    foreign = []
    for found in _structure_sets(folder, structures.last_at):
        if not found.is_draft and not _is_ours(session, found):
            foreign.append(found)
    return sorted(foreign, key=moment_of, reverse=True)


def patients_with_structures() -> Select[str]:
    """Return the IDs of the patients of whom a structure set is here."""
    return select(Series.patient_id).where(Series.modality == "RTSTRUCT", Series.state == TAKEN)


def returned_to(
    session: Session,
    site: Site,
    ct: Series,
) -> list[tuple[Series, StructureSetFile]]:
    """Return what came back of a CT, of each series the newest structure set."""
    of_patient = select(Series).where(
        Series.modality == "RTSTRUCT",
        Series.patient_id == ct.patient_id,
        Series.state == TAKEN,
    )
    found = []
    for structures in session.scalars(of_patient.order_by(Series.last_at.desc())):
        drawn_on_it = [
            one for one in came_back(session, site, structures) if ct.uid in one.series_uids
        ]
        if drawn_on_it:
            found.append((structures, drawn_on_it[0]))
    return found


def moment_of(found: StructureSetFile) -> tuple[str, str]:
    """Return when a structure set was approved, or else when it was drawn, as DICOM writes it."""
    return found.reviewed if found.is_approved else found.drawn


def review_of(found: StructureSetFile) -> str:
    """Return how a structure set was judged where it comes from, in words.

    OHIF and some planning systems write nothing of it.
    """
    if found.is_rejected:
        return "rejected"
    return "approved" if found.is_approved else "not approved"


@lru_cache(maxsize=KEPT)
def _structure_sets(folder: Path, _last_at: float) -> tuple[StructureSetFile, ...]:
    """Read the structure sets in a folder. _last_at: when it changed last."""
    return read_archive(folder).structure_sets


def _is_ours(session: Session, found: StructureSetFile) -> bool:
    ours = select(Approval.id).where(Approval.sop_instance_uid == found.sop_instance_uid)
    return session.scalar(ours) is not None
