"""What a person approved becomes a case to learn from, or to test with.

An approved structure set and its CT are imported into the cohort of their model. Whether a case is
kept aside for testing is drawn by patient, before anybody could know what would come of it, and
stays so for all CTs of that patient.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.cohort import Case, Cohort
from recontour.cohort.importing import import_archive
from recontour.cohort.patients import salt_if_any
from recontour.dicom import (
    Archive,
    Authorship,
    StructureSetFile,
    read_archive,
    read_scan,
    read_structure_set,
    write_structure_set,
)
from recontour.errors import CohortError
from recontour.geometry import Structure, StructureSet
from recontour.service import jobs
from recontour.service.folder import SiteFolder
from recontour.service.loop.findings import NotCollected, NotReviewed
from recontour.service.review.approve import by_organ, names_of, template_of
from recontour.service.review.returned import came_back, moment_of
from recontour.service.settings import Site
from recontour.service.store import (
    TAKEN,
    Approval,
    Collected,
    Draft,
    Job,
    ModelVersion,
    Series,
    Store,
    now,
)

CENTRE = "site"  # whose cases they are, in names of cases, models and reports


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A structure set that a person answers for.

    roi_names: what it calls the organs that count, by organ. left_out: of ROIs that do not count.
    """

    file: Path
    roi_names: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """Return a map of ROI names: those that do not count are nobody's."""
        ignored = dict.fromkeys(self.left_out, "")
        return {**ignored, **{name: organ for organ, name in self.roi_names.items()}}


@dataclass(frozen=True, slots=True)
class _Reviewed:
    """All that a person answers for on one CT. ct: its folder. drawn: each organ in one of them."""

    ct: Path
    drawn: Sequence[_Drawn]
    model: str
    approval_id: int | None


def collect_approval(site: Site, store: Store, approval_id: int) -> str | None:
    """Take an approved case into the cohort of its model; doing it again changes nothing.

    Organs that only an earlier approval of the same CT has are still approved; of the others the
    latest counts.
    Returns: the case's id; None if there is a later approval, or the patient's data has gone.
    Raises: RecontourError: the case cannot be imported.
    """
    with store.reading() as session:
        reviewed = _approved(session, site, approval_id)
    return _collect(site, store, reviewed) if reviewed else None


def collect_returned(site: Site, store: Store, series_id: int) -> str | None:
    """Take a structure set that came back from elsewhere into the cohort of its model.

    Returns: the case's id; None if its CT is unknown or was never contoured, or if nobody approved
        it and the site does not learn from such sets (`take_unapproved`), or somebody rejected it.
    Raises: RecontourError: the case cannot be imported.
    """
    with store.reading() as session:
        reviewed = _returned(session, site, series_id)
    return _collect(site, store, reviewed) if reviewed else None


def _approved(session: Session, site: Site, approval_id: int) -> _Reviewed | None:
    approval = session.get(Approval, approval_id)
    if approval is None:
        return None
    draft = session.get_one(Draft, approval.draft_id)
    series = session.get_one(Series, draft.series_id)
    of_same_slices = (
        select(Approval, Draft)
        .join(Draft)
        .where(Draft.series_id == series.id, Draft.generation == draft.generation)
    )
    newest_first = list(session.execute(of_same_slices.order_by(Approval.id.desc())))
    if newest_first[0][0].id != approval_id:
        return None
    return _Reviewed(
        ct=SiteFolder(site.folder).received(series.uid),
        drawn=_latest_of_each_organ(site, newest_first),
        model=session.get_one(ModelVersion, draft.model_id).name,
        approval_id=approval_id,
    )


def _latest_of_each_organ(
    site: Site, newest_first: Iterable[tuple[Approval, Draft]]
) -> list[_Drawn]:
    """Return the structure sets of some approvals, each with the organs that no later one has."""
    drawn = []
    taken: set[str] = set()
    for approval, draft in newest_first:
        wanted = (set(approval.changes) or set(draft.organs)) - taken
        if not wanted:
            continue
        taken |= wanted
        # An organ that the model missed is in no draft; a person may have drawn it all the same.
        names = names_of(template_of(site.rule(draft.rule)), draft)
        one = _Drawn(
            file=site.folder / approval.file,
            roi_names={organ: name for organ, name in names.items() if organ in wanted},
            left_out=tuple(name for organ, name in names.items() if organ not in wanted),
        )
        drawn.append(one)
    return drawn


def _returned(session: Session, site: Site, series_id: int) -> _Reviewed | None:
    structures = session.get(Series, series_id)
    if structures is None:
        return None
    folder = SiteFolder(site.folder)
    for found in came_back(session, site, structures):
        if not _counts(site, found):
            continue
        of_ct = select(Series).where(Series.uid.in_(found.series_uids), Series.modality == "CT")
        for ct in session.scalars(of_ct):
            drafts = select(Draft).where(Draft.series_id == ct.id).order_by(Draft.id.desc())
            draft = session.scalar(drafts.limit(1))
            if draft and moment_of(found) > _last_approval(session, ct):
                return _Reviewed(
                    ct=folder.received(ct.uid),
                    drawn=[_Drawn(found.path, draft.organs)],
                    model=session.get_one(ModelVersion, draft.model_id).name,
                    approval_id=None,
                )
    return None


def _counts(site: Site, found: StructureSetFile) -> bool:
    """Return whether a site learns from a structure set that came back. Never if it is rejected."""
    if found.is_rejected:
        return False
    return found.is_approved or site.loop.take_unapproved


def _last_approval(session: Session, ct: Series) -> tuple[str, str]:
    """Return when a series was approved here last, as `StructureSetFile.reviewed` says it."""
    moments = select(Approval.approved_at).join(Draft).where(Draft.series_id == ct.id)
    last = session.scalar(moments.order_by(Approval.approved_at.desc()).limit(1))
    if last is None:
        return "", ""
    when = datetime.fromtimestamp(last)
    return when.strftime("%Y%m%d"), when.strftime("%H%M%S%f")


def _collect(site: Site, store: Store, reviewed: _Reviewed) -> str:
    """Import a case, draw what becomes of its patient, and note both."""
    case = _imported(site, reviewed)
    patient = case.patient or case.id
    with store.begin() as session:
        known = session.scalars(select(Collected).where(Collected.model == reviewed.model)).all()
        row = next((one for one in known if one.case_id == case.id), None)
        if row is None:
            row = Collected(model=reviewed.model, case_id=case.id, patient=patient, at=now())
            row.is_aside = _fate(patient, known, site.loop.keep_aside)
            session.add(row)
        row.approval_id = reviewed.approval_id or row.approval_id
    return case.id


def _imported(site: Site, reviewed: _Reviewed) -> Case:
    """Import a case into the cohort of its model, in the place of an earlier one of its CT."""
    path = SiteFolder(site.folder).corrected(reviewed.model)
    cohort = Cohort.open_or_create(path, CENTRE)
    with _together(path, reviewed) as (archive, names):
        if any(one.is_draft for one in archive.structure_sets):
            raise CohortError(NotReviewed())
        # A site may have several scanners; all its patients are its own.
        report = import_archive(archive, cohort, names, also_from_elsewhere=True, again=True)
    for case_id in (*report.added, *report.replaced, *report.already_there):
        return cohort[case_id]
    reasons = [one.finding for one in report.left_out]
    raise CohortError(reasons[0] if reasons else NotCollected())


@contextmanager
def _together(cohort: Path, reviewed: _Reviewed) -> Iterator[tuple[Archive, dict[str, str]]]:
    """Give a CT and its structure set as the one thing in an archive, and a map of ROI names."""
    scratch = cohort.with_name(f".{cohort.name}.import")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        (scratch / "ct").symlink_to(reviewed.ct.resolve())
        structures = scratch / "structures.dcm"
        if len(reviewed.drawn) == 1:
            (drawn,) = reviewed.drawn
            structures.symlink_to(drawn.file.resolve())
            names = drawn.names
        else:
            names = _merge(reviewed, structures)
        yield read_archive(scratch), names
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _merge(reviewed: _Reviewed, out: Path) -> dict[str, str]:
    """Write the organs that count of several structure sets as one; return its map of names."""
    structures = []
    for drawn in reviewed.drawn:
        found = by_organ(read_structure_set(drawn.file, None), drawn.roi_names)
        for organ in drawn.roi_names:
            if organ in found:
                structures.append(Structure(organ, found[organ]))
    author = Authorship(model="", label="corrected", algorithm="MANUAL")
    write_structure_set(out, StructureSet(tuple(structures)), read_scan(reviewed.ct), author)
    return {one.name: one.name for one in structures}


def _fate(patient: str, known: Sequence[Collected], share: float) -> bool:
    """Return whether a patient is kept aside: drawn by lot, so that the share is always near.

    Of n patients, always n x share are aside, rounded up or down by lot; the first one learnt from
    comes among the first ones, too. A patient who is known keeps their fate.
    known: what was collected for the model.
    """
    fates = {one.patient: one.is_aside for one in known}
    if patient in fates:
        return fates[patient]
    aside = sum(fates.values())
    if aside and aside == len(fates):
        return False  # there is nobody to learn from
    due = share * (len(fates) + 1) - aside
    return _lot(patient) < due


def _lot(patient: str) -> float:
    """Return a number from 0 to 1 that is a patient's own. patient: a salted hash.

    >>> _lot("e9df8a32-23adcef79f62234f") == _lot("e9df8a32-23adcef79f62234f")
    True
    """
    digest = sha256(f"aside {patient}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def cases_of_patient(session: Session, site: Site, patient_id: str) -> list[Collected]:
    """Return what was collected of a patient, also where the series themselves have gone since."""
    found = []
    for row in session.scalars(select(Collected)):
        salt = salt_if_any(SiteFolder(site.folder).corrected(row.model))
        if salt and row.patient == salt.key(patient_id):
            found.append(row)
    return found


def note_returned(session: Session) -> None:
    """Put the jobs that collect the structure sets that came back from elsewhere."""
    is_noted = select(Job.id).where(
        Job.kind == "collect", Job.series_id == Series.id, Job.made_at >= Series.last_at
    )
    came_back = select(Series).where(
        Series.modality == "RTSTRUCT", Series.state == TAKEN, ~is_noted.exists()
    )
    for series in session.scalars(came_back):
        key = f"collect series {series.id} of {series.last_at}"
        jobs.put(session, "collect", key, {"series": series.id}, series_id=series.id)


@contextmanager
def part_of(cohort: Path, cases: Sequence[str]) -> Iterator[Path]:
    """Give a cohort of some of a cohort's cases, which is gone when the block ends.

    Its cases are links, so that what is deleted from the cohort is not kept here.
    """
    folder = cohort.with_name(f".{cohort.name}.part-{sha256(' '.join(cases).encode()).hexdigest()}")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cases").mkdir(parents=True)
    try:
        shutil.copy(cohort / "cohort.json", folder)
        for case_id in cases:
            (folder / "cases" / case_id).symlink_to((cohort / "cases" / case_id).resolve())
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
