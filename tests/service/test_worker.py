"""The worker: a job becomes a draft, once, whatever happens in between."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.dicom.conftest import edit
from tests.service.small_site import ORGANS, order, receive, small_site

from recontour import contour
from recontour.dicom import PHANTOM_STUDY, read_archive, read_structure_set
from recontour.service import jobs
from recontour.service.child import Ending
from recontour.service.folder import SiteFolder
from recontour.service.loop.versions import register
from recontour.service.settings import Site
from recontour.service.store import (
    DONE,
    FAILED,
    INCOMPLETE,
    TAKEN,
    WAITING,
    Audited,
    Draft,
    Job,
    Series,
    Store,
)
from recontour.service.worker import Worker


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return small_site(tmp_path)


@pytest.fixture
def series(site: Site, store: Store, tmp_path: Path) -> Series:
    with store.begin() as session:
        register(session, site)
        return receive(session, site, tmp_path)


def do_all(site: Site, store: Store) -> None:
    worker = Worker(site, store, Ending())
    while worker.do_one():
        pass


def states(store: Store, kind: str) -> list[str]:
    with store.begin() as session:
        return list(session.scalars(select(Job.state).where(Job.kind == kind).order_by(Job.id)))


def finding(store: Store) -> str:
    with store.begin() as session:
        found = session.scalars(select(Job.finding).where(Job.kind == "contour")).one()
        assert found is not None
        return str(found["kind"])


def points(file: Path) -> dict[str, Any]:
    """Return all coordinates of a structure set, by structure."""
    found = {}
    for structure in read_structure_set(file, None).structures:
        found[structure.name] = [(one.z_mm, one.points_mm.tolist()) for one in structure.contours]
    return found


def test_a_draft_is_what_contour_writes_and_is_to_be_sent(
    site: Site, store: Store, series: Series, tmp_path: Path
) -> None:
    with store.begin() as session:
        order(session, series)
    do_all(site, store)
    with store.begin() as session:
        draft = session.scalars(select(Draft)).one()
        send = session.scalars(select(Job).where(Job.kind == "send")).one()
        drawn = session.scalars(select(Audited).where(Audited.event == "drawn")).one()
    assert states(store, "contour") == [DONE]
    expected = {"file": f"{draft.folder}/RS.dcm", "destination": "tps", jobs.DRAFT: draft.id}
    assert send.subject == expected
    assert drawn.patient_id == series.patient_id
    assert drawn.what == "north version 0"
    written = site.folder / draft.folder / "RS.dcm"
    (set_by_node,) = read_archive(written.parent).structure_sets
    assert set_by_node.sop_instance_uid == draft.sop_instance_uid
    assert set_by_node.drafted_by == "north version 0 (north)"
    received = SiteFolder(site.folder).received(series.uid)
    by_hand = contour(site.models["north"].file, received, tmp_path / "by-hand.dcm")
    assert draft.organs == {organ: organ for organ in ORGANS} == by_hand.names
    assert [one["organ"] for one in draft.review_order] == [
        one.organ for one in by_hand.review_order
    ]
    assert points(written) == points(tmp_path / "by-hand.dcm")


def test_a_kill_between_draft_and_database_neither_loses_nor_doubles_it(
    site: Site, store: Store, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.begin() as session:
        order(session, series)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_note", die)
        with pytest.raises(SystemExit):
            do_all(site, store)
    (left,) = (SiteFolder(site.folder).drafts(series.uid)).iterdir()
    (before,) = read_archive(left).structure_sets
    with store.begin() as session:
        assert jobs.give_back(session) == 1
    do_all(site, store)
    with store.begin() as session:
        draft = session.scalars(select(Draft)).one()
    assert draft.sop_instance_uid == before.sop_instance_uid
    assert states(store, "send") == [WAITING]


def test_what_cannot_be_contoured_fails_and_the_rest_goes_on(
    site: Site, store: Store, series: Series, tmp_path: Path
) -> None:
    with store.begin() as session:
        order(session, series)
        other = receive(session, site, tmp_path, 1)
        order(session, other)
    slices = sorted(SiteFolder(site.folder).received(series.uid).iterdir())
    slices[2].unlink()
    do_all(site, store)
    assert states(store, "contour") == [FAILED, DONE]


def test_a_phantom_of_another_kind_is_contoured_only_if_a_person_says_so(
    site: Site, store: Store, series: Series
) -> None:
    received = SiteFolder(site.folder).received(series.uid)
    for file in received.iterdir():
        edit(file, lambda ct: setattr(ct, "StudyDescription", PHANTOM_STUDY))
    with store.begin() as session:
        order(session, series)
    do_all(site, store)
    assert finding(store) == "unsuitable_model"
    with store.begin() as session:
        jobs.put(session, "contour", "again", {"rule": "all", "anyway": True}, series_id=series.id)
    do_all(site, store)
    assert states(store, "contour") == [FAILED, DONE]


def test_a_model_that_was_replaced_behind_the_sites_back_contours_nobody(
    site: Site, store: Store, series: Series
) -> None:
    with site.models["north"].file.open("ab") as file:
        file.write(b" ")
    with store.begin() as session:
        order(session, series)
    do_all(site, store)
    assert states(store, "contour") == [FAILED]


def test_slices_that_came_meanwhile_leave_no_draft(
    site: Site, store: Store, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Worker._draw

    def draw_slowly(*arguments: Any) -> None:
        draw(*arguments)
        with store.begin() as session:
            session.get_one(Series, series.id).generation += 1

    monkeypatch.setattr(Worker, "_draw", draw_slowly)
    with store.begin() as session:
        order(session, series)
    do_all(site, store)
    assert states(store, "contour") == [DONE]
    assert states(store, "send") == []
    assert list(SiteFolder(site.folder).drafts(series.uid).iterdir()) == []


def test_an_end_in_the_middle_leaves_the_job_for_the_next_start(
    site: Site, store: Store, series: Series
) -> None:
    with store.begin() as session:
        order(session, series)
    ending = Ending()
    ending.ask()
    Worker(site, store, ending).do_one()
    with store.begin() as session:
        job = session.scalars(select(Job)).one()
        assert (job.state, job.attempts) == (WAITING, 0)
    assert list(SiteFolder(site.folder).drafts(series.uid).iterdir()) == []


def test_a_rule_that_is_gone_fails_its_jobs(store: Store, site: Site, series: Series) -> None:
    with store.begin() as session:
        order(session, series).subject = {"rule": "old", "anyway": False}
    do_all(site, store)
    assert finding(store) == "rule_gone"


def test_a_series_that_is_no_longer_whole_waits_and_is_drawn_when_it_is(
    site: Site, store: Store, series: Series
) -> None:
    with store.begin() as session:
        order(session, series)
        session.get_one(Series, series.id).state = INCOMPLETE
    do_all(site, store)
    assert states(store, "contour") == [WAITING]
    with store.begin() as session:
        session.get_one(Series, series.id).state = TAKEN
        job = session.scalars(select(Job).where(Job.kind == "contour")).one()
        assert job.attempts == 0
        job.not_before = 0.0
    do_all(site, store)
    assert states(store, "contour") == [DONE]
