"""Approved cases become cases to learn from; who is kept aside is drawn by patient."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.journeys.conftest import PATIENT_ID, write_patient

from recontour.cohort import Cohort
from recontour.dicom import read_archive
from recontour.errors import CohortError
from recontour.service.folder import SiteFolder
from recontour.service.loop import versions
from recontour.service.loop.collect import (
    _approved,
    _fate,
    cases_of_patient,
    collect_approval,
    collect_returned,
    note_returned,
    part_of,
)
from recontour.service.loop.due import corrected
from recontour.service.loop.findings import NotReviewed
from recontour.service.settings import LoopSettings, Site
from recontour.service.store import TAKEN, Approval, Collected, Draft, Job, Series, Store, now

ROI_NAMES = ("HIRNSTAMM", "Linse links")  # no organ's by itself
CALLED = dict(zip(("Brainstem", "Lens_L"), ROI_NAMES, strict=True))


def received(session: Session, site: Site, tmp_path: Path, number: int, modality: str) -> Series:
    """Let a CT of `write_patient`, or its structure set, have arrived."""
    patient = tmp_path / f"patient {number}"
    if not patient.exists():
        write_patient(patient, number, ROI_NAMES)
    archive = read_archive(patient)
    (ct,), (structures,) = archive.series, archive.structure_sets
    uid = ct.uid if modality == "CT" else structures.sop_instance_uid
    folder = SiteFolder(site.folder).received(uid)
    folder.mkdir()
    for file in ct.files if modality == "CT" else [structures.path]:
        (folder / file.name).symlink_to(file)
    series = Series(uid=uid, modality=modality, first_at=now(), last_at=now())
    session.add(series)
    session.flush()
    return series


def approved(
    session: Session, site: Site, tmp_path: Path, number: int, organs: tuple[str, ...] = ()
) -> int:
    """Let a patient have been drafted, and approved as `write_patient` drew them."""
    series = received(session, site, tmp_path, number, "CT")
    model = versions.in_use(session, "north")
    draft = Draft(
        series_id=series.id,
        generation=0,
        rule="all",
        model_id=model.id,
        folder="",
        sop_instance_uid="",
        made_at=now(),
        organs=CALLED,
    )
    session.add(draft)
    session.flush()
    return approve(session, site, tmp_path, draft.id, number, organs)


def approve(
    session: Session,
    site: Site,
    tmp_path: Path,
    draft_id: int,
    number: int,
    organs: tuple[str, ...] = (),
) -> int:
    file = SiteFolder(site.folder).approved(str(number)) / f"{now()}.dcm"
    file.parent.mkdir(exist_ok=True)
    file.symlink_to(tmp_path / f"patient {number}" / "RS.dcm")
    approval = Approval(
        draft_id=draft_id,
        reviewer="anna",
        approved_at=now(),
        file=str(file.relative_to(site.folder)),
        sop_instance_uid="",
        changes={organ: {} for organ in organs},
    )
    session.add(approval)
    session.flush()
    return approval.id


@pytest.fixture
def registered(site: Site, store: Store) -> Site:
    site.models["north"].file.write_bytes(b"a model")
    with store.begin() as session:
        versions.register(session, site)
    return site


def cohort_of(site: Site) -> Cohort:
    return Cohort.open(SiteFolder(site.folder).corrected("north"))


def rows(store: Store) -> list[Collected]:
    with store.begin() as session:
        return list(session.scalars(select(Collected)))


def test_an_approved_case_is_a_case_of_the_site_s_names_once(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    with store.begin() as session:
        approval_id = approved(session, registered, tmp_path, 1)
    case_id = collect_approval(registered, store, approval_id)
    assert collect_approval(registered, store, approval_id) == case_id
    (case,) = cohort_of(registered)
    assert (case.id, case.organs, case.is_draft) == (case_id, ("Brainstem", "Lens_L"), False)
    (row,) = rows(store)
    assert (row.approval_id, row.case_id, row.patient) == (approval_id, case_id, case.patient)
    assert not list(SiteFolder(registered.folder).corrected("north").parent.glob(".*.import"))


def test_only_what_was_approved_is_learnt_from_and_a_later_approval_adds_to_it(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    with store.begin() as session:
        first = approved(session, registered, tmp_path, 1, ("Brainstem",))
    collect_approval(registered, store, first)
    (case,) = cohort_of(registered)
    assert case.organs == ("Brainstem",)
    before = case.mask("Brainstem")
    with store.begin() as session:
        draft_id = session.get_one(Approval, first).draft_id
        later = approve(session, registered, tmp_path, draft_id, 1, ("Lens_L",))
    assert collect_approval(registered, store, first) is None
    assert collect_approval(registered, store, later) == case.id
    (again,) = cohort_of(registered)
    assert set(again.organs) == {"Brainstem", "Lens_L"}
    assert (again.mask("Brainstem") == before).all()
    assert [row.approval_id for row in rows(store)] == [later]


def test_a_draft_that_nobody_approved_is_refused(
    registered: Site, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.begin() as session:
        approval_id = approved(session, registered, tmp_path, 1)
    whole = read_archive

    def of_drafts(folder: Path) -> object:
        archive = whole(folder)
        sets = tuple(replace(one, is_draft=True) for one in archive.structure_sets)
        return replace(archive, structure_sets=sets)

    monkeypatch.setattr("recontour.service.loop.collect.read_archive", of_drafts)
    with pytest.raises(CohortError) as caught:
        collect_approval(registered, store, approval_id)
    assert isinstance(caught.value.finding, NotReviewed)
    assert rows(store) == []


def test_what_has_gone_is_not_collected(registered: Site, store: Store) -> None:
    assert collect_approval(registered, store, 99) is None
    assert collect_returned(registered, store, 99) is None


@pytest.mark.parametrize(
    ("status", "moment", "takes_unapproved", "counts"),
    [
        ("APPROVED", "29991231", False, True),
        ("APPROVED", "19991231", False, False),
        ("", "29991231", False, False),
        ("", "29991231", True, True),
        ("", "19991231", True, False),
        ("REJECTED", "29991231", True, False),
    ],
)
def test_a_structure_set_that_came_back_counts_if_it_was_approved_later(
    registered: Site,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    moment: str,
    takes_unapproved: bool,
    counts: bool,
) -> None:
    with store.begin() as session:
        approved(session, registered, tmp_path, 1)
        series_id = received(session, registered, tmp_path, 1, "RTSTRUCT").id
    whole = read_archive

    def as_approved(folder: Path) -> object:
        archive = whole(folder)
        when = (moment, "120000000000")
        is_approved, is_rejected = status == "APPROVED", status == "REJECTED"
        reviewed = when if status else ("", "")
        sets = []
        for one in archive.structure_sets:
            judged = replace(one, is_approved=is_approved, is_rejected=is_rejected)
            sets.append(replace(judged, reviewed=reviewed, drawn=when))
        return replace(archive, structure_sets=tuple(sets))

    monkeypatch.setattr("recontour.service.review.returned.read_archive", as_approved)
    loop = LoopSettings(take_unapproved=takes_unapproved)
    case_id = collect_returned(replace(registered, loop=loop), store, series_id)
    assert [row.case_id for row in rows(store)] == ([case_id] if counts else [])


def test_an_organ_that_the_model_missed_and_a_person_drew_is_learnt_from(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    with store.begin() as session:
        approval_id = approved(session, registered, tmp_path, 1, ("Brainstem", "Lens_L"))
        (draft,) = session.scalars(select(Draft))
        draft.organs = {"Brainstem": CALLED["Brainstem"]}
        draft.review_order = [{"organ": "Lens_L"}]
    with store.begin() as session:
        found = _approved(session, registered, approval_id)
    assert found is not None
    (drawn,) = found.drawn
    assert set(drawn.roi_names) == {"Brainstem", "Lens_L"}


def test_a_structure_set_that_came_back_is_looked_at_once_and_again_if_more_comes(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    with store.begin() as session:
        series = received(session, registered, tmp_path, 1, "RTSTRUCT")
        note_returned(session)
        assert session.query(Job).count() == 0  # its CT is not known yet
        series.state = TAKEN
        for expected in (1, 1):
            note_returned(session)
            assert session.query(Job).count() == expected
        series.last_at = now()
        note_returned(session)
        assert session.query(Job).count() == 2


def test_a_patient_s_cases_are_found_by_the_id_alone(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    for number in (1, 2):
        with store.begin() as session:
            approval_id = approved(session, registered, tmp_path, number)
        case_id = collect_approval(registered, store, approval_id)
    with store.begin() as session:
        found = cases_of_patient(session, registered, f"{PATIENT_ID}2")
        assert [one.case_id for one in found] == [case_id]
        assert cases_of_patient(session, registered, "nobody") == []


def test_the_share_aside_is_always_near_and_a_patient_keeps_their_fate() -> None:
    known: list[Collected] = []
    for number in range(60):
        patient = f"patient {number % 40}"  # the last twenty CTs are of patients who came before
        is_aside = _fate(patient, known, 0.3)
        known.append(Collected(patient=patient, is_aside=is_aside))
        fates = {one.patient: one.is_aside for one in known}
        assert abs(sum(fates.values()) - 0.3 * len(fates)) < 1
    assert all(one.is_aside == fates[one.patient] for one in known)


def test_lots_differ_between_patients() -> None:
    first = Counter(_fate(f"patient {number}", [], 0.3) for number in range(1000))
    # Five standard deviations of a share of 0.3 in 1000.
    assert abs(first[True] - 300) < 5 * (1000 * 0.3 * 0.7) ** 0.5


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_somebody_is_learnt_from_among_the_first_two(share: float) -> None:
    for number in range(50):
        first = Collected(patient=f"a{number}", is_aside=_fate(f"a{number}", [], share))
        second = _fate(f"b{number}", [first], share)
        assert not (first.is_aside and second)


def test_a_part_of_a_cohort_has_some_cases_and_goes_again(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    site = replace(registered, loop=LoopSettings(after=1, keep_aside=0.5))
    for number in range(2):
        with store.begin() as session:
            approval_id = approved(session, site, tmp_path, number)
        collect_approval(site, store, approval_id)
    with store.begin() as session:
        state = corrected(session, site, "north")
    assert (state.training, state.aside, state.new) == (1, 1, 1)
    assert (state.is_due, state.more_aside) == (False, 5)
    path = SiteFolder(site.folder).corrected("north")
    (one, _) = cohort_of(site).case_ids
    with part_of(path, [one]) as part:
        assert [case.id for case in Cohort.open(part)] == [one]
        assert next(iter(Cohort.open(part))).hu.any()
    assert not part.exists()
    assert len(cohort_of(site)) == 2
