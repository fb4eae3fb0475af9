from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]
from sqlalchemy import select
from sqlalchemy.orm import Session
from tests.service.node.peers import HERE, Taker, free_port, saved, structures, taking

from recontour.service import jobs
from recontour.service.courier import Courier
from recontour.service.loop.versions import add
from recontour.service.node import send
from recontour.service.node.receive import Receiver
from recontour.service.settings import Destination, Site
from recontour.service.store import (
    ARRIVING,
    DONE,
    FAILED,
    INCOMPLETE,
    TAKEN,
    UNMATCHED,
    WAITING,
    WITHDRAWN,
    Audited,
    Draft,
    Job,
    ModelVersion,
    Series,
    Store,
)

FILE = "drafts/1/1/RS.dcm"


@pytest.fixture
def archive() -> Taker:
    return Taker(free_port())


@pytest.fixture
def sending(site: Site, store: Store, archive: Taker) -> Site:
    """A site with a file to send to an archive."""
    destination = Destination("archive", "ARCHIVE", HERE, archive.port)
    saved(site.folder / FILE, structures("1.9", drawn_on="1.2"))
    subject = {"file": FILE, "destination": "archive"}
    with store.begin() as session:
        jobs.put(session, "send", "send draft 1 archive", subject)
    return replace(site, destinations=(destination,))


def job(store: Store) -> Any:
    with store.begin() as session:
        return session.scalars(select(Job)).one()


def kind(store: Store) -> str | None:
    finding = job(store).finding
    return finding["kind"] if finding else None


def due_now(store: Store) -> None:
    with store.begin() as session:
        session.scalars(select(Job)).one().not_before = 0.0


def test_a_file_is_sent_once(sending: Site, store: Store, archive: Taker) -> None:
    with taking(archive):
        assert Courier(sending, store).do_all() == 1
    assert archive.taken == ["1.9.1"]
    assert job(store).state == DONE
    with store.begin() as session:
        audited = session.scalars(select(Audited)).one()
    assert (audited.event, audited.action, audited.what) == ("sent", "R", "archive")


def test_a_destination_that_is_away_is_tried_again(
    sending: Site, store: Store, archive: Taker
) -> None:
    courier = Courier(sending, store)
    assert courier.do_all() == 1
    assert (job(store).state, kind(store)) == (WAITING, "destination_silent")
    due_now(store)
    with taking(archive):
        courier.do_all()
    assert (job(store).state, archive.taken) == (DONE, ["1.9.1"])


@pytest.fixture
def drafted(sending: Site, store: Store) -> Site:
    """The file is a draft's, of a series that a rule took."""
    with store.begin() as session:
        series = Series(uid="1.2", modality="CT", first_at=0.0, last_at=0.0, state=TAKEN)
        session.add(series)
        session.flush()
        draft = add_draft(session, series)
        job = session.scalars(select(Job)).one()
        job.series_id = series.id
        job.subject = {**job.subject, jobs.DRAFT: draft.id}
    return sending


def add_draft(session: Session, series: Series) -> Draft:
    version = in_use_or_new(session)
    draft = Draft(
        series_id=series.id,
        generation=series.generation,
        rule="all",
        model_id=version.id,
        folder="x",
        sop_instance_uid="1.9.1",
        made_at=0.0,
    )
    session.add(draft)
    session.flush()
    return draft


def in_use_or_new(session: Session) -> ModelVersion:
    known = session.scalar(select(ModelVersion))
    return known or add(session, "north", file="x", sha256="x", state="in use")


def more_slices(session: Session, series: Series) -> None:
    series.generation += 1


def newer_contours(session: Session, series: Series) -> None:
    add_draft(session, series)


def no_rule(_session: Session, series: Series) -> None:
    series.state = UNMATCHED


@pytest.mark.parametrize("happens", [more_slices, newer_contours, no_rule])
def test_a_draft_that_is_outdated_before_it_is_taken_is_not_sent(
    drafted: Site, store: Store, archive: Taker, happens: Callable[[Session, Series], None]
) -> None:
    courier = Courier(drafted, store)
    courier.do_all()  # the archive is away
    with store.begin() as session:
        happens(session, session.scalars(select(Series)).one())
    due_now(store)
    with taking(archive):
        courier.do_all()
    assert archive.taken == []
    assert (job(store).state, kind(store)) == (WITHDRAWN, "outdated_not_sent")
    with store.begin() as session:
        events = [(one.what, one.outcome) for one in session.scalars(select(Audited))]
    assert events[-1] == ("archive: withdrawn", 4)


@pytest.mark.parametrize("state", [ARRIVING, INCOMPLETE])
def test_a_draft_waits_while_more_slices_may_come(
    drafted: Site, store: Store, archive: Taker, state: str
) -> None:
    with store.begin() as session:
        session.scalars(select(Series)).one().state = state
    with taking(archive):
        Courier(drafted, store).do_all()
        assert (archive.taken, job(store).state) == ([], WAITING)
        with store.begin() as session:
            session.scalars(select(Series)).one().state = TAKEN
        due_now(store)
        Courier(drafted, store).do_all()
    assert (archive.taken, job(store).state) == (["1.9.1"], DONE)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0xA700, WAITING),
        (0x0110, WAITING),
        (0xB000, DONE),
        (0x0111, DONE),
        (0xA900, FAILED),
        (0xC000, FAILED),
        (0x0122, FAILED),
        (0x0124, FAILED),
    ],
)
def test_which_answers_are_worth_another_try(
    sending: Site, store: Store, archive: Taker, status: int, state: str
) -> None:
    archive.answers = [status]
    with taking(archive):
        Courier(sending, store).do_all()
    assert job(store).state == state
    assert kind(store) == (None if state == DONE else "destination_refuses")


def test_a_wrong_title_a_kind_that_is_not_taken_and_a_lost_file_wait_for_a_person(
    sending: Site, store: Store, archive: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ae = AE(ae_title="ARCHIVE")
    ae.require_called_aet = True
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server((HERE, archive.port), block=False)
    found = []
    courier = Courier(sending, store)
    wrong = replace(sending.destinations[0], ae_title="OTHER")
    try:
        for site in (sending, replace(sending, destinations=(wrong,)), site_without(sending)):
            courier = Courier(site, store)
            courier.do_all()
            found.append((job(store).state, kind(store)))
            with store.begin() as session:
                jobs.try_again(session, 1)
    finally:
        assert server is not None
        server.shutdown()
    (sending.folder / FILE).unlink()
    Courier(sending, store).do_all()
    found.append((job(store).state, kind(store)))
    assert found == [
        (FAILED, "kind_refused"),
        (FAILED, "destination_rejects"),
        (FAILED, "unknown_destination"),
        (FAILED, "nothing_to_send"),
    ]


def site_without(site: Site) -> Site:
    return replace(site, destinations=())


# Commitment


def report(request: Dataset, *, keeps: bool) -> Dataset:
    said = Dataset()
    said.TransactionUID = request.TransactionUID
    if keeps:
        said.ReferencedSOPSequence = request.ReferencedSOPSequence
    else:
        said.FailedSOPSequence = request.ReferencedSOPSequence
    return said


def at_once(*, keeps: bool) -> Callable[[Event], None]:
    def answer(event: Event) -> None:
        said = report(event.action_information, keeps=keeps)
        event.assoc.send_n_event_report(
            said, 1 if keeps else 2, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
        )

    return answer


def committing(site: Site) -> Site:
    return replace(site, destinations=(replace(site.destinations[0], commitment=True),))


def test_a_commitment_that_comes_at_once(sending: Site, store: Store, archive: Taker) -> None:
    archive.keeps = at_once(keeps=True)
    with taking(archive):
        Courier(committing(sending), store).do_all()
    assert (job(store).state, archive.taken, len(archive.requests)) == (DONE, ["1.9.1"], 1)


def test_what_is_not_kept_is_sent_again(sending: Site, store: Store, archive: Taker) -> None:
    archive.keeps = at_once(keeps=False)
    courier = Courier(committing(sending), store)
    with taking(archive):
        courier.do_all()
        assert (job(store).state, kind(store)) == (WAITING, "will_not_keep")
        archive.keeps = at_once(keeps=True)
        due_now(store)
        courier.do_all()
    assert (job(store).state, archive.taken) == (DONE, ["1.9.1", "1.9.1"])


@pytest.fixture
def late(sending: Site, store: Store, archive: Taker, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A request that was not answered yet."""
    monkeypatch.setattr(send, "COMMITMENT_S", 0.01)
    with taking(archive):
        Courier(committing(sending), store).do_all()
    assert (job(store).state, kind(store)) == (WAITING, "not_yet_committed")
    return archive.requests[0]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_commitment_that_comes_later_comes_to_the_receiver(
    sending: Site, store: Store, receiver: Receiver, late: Dataset, keeps: bool
) -> None:
    tell(sending, report(late, keeps=keeps), keeps=keeps)
    assert job(store).state == (DONE if keeps else WAITING)
    assert ("stored" in job(store).subject) == keeps


def test_a_report_that_nobody_asked_for_changes_nothing(
    sending: Site, store: Store, receiver: Receiver, late: Dataset
) -> None:
    late.TransactionUID = "1.2.3"
    tell(sending, report(late, keeps=True), keeps=True)
    assert (job(store).state, kind(store)) == (WAITING, "not_yet_committed")


def test_what_was_sent_is_not_sent_again_while_its_commitment_is_awaited(
    sending: Site,
    store: Store,
    archive: Taker,
    late: Dataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send, "COMMITMENT_S", 30)
    due_now(store)
    archive.keeps = at_once(keeps=True)
    with taking(archive):
        Courier(committing(sending), store).do_all()
    assert (job(store).state, archive.taken) == (DONE, ["1.9.1"])


def tell(site: Site, said: Dataset, *, keeps: bool) -> None:
    """Report to the receiver, as an archive does."""
    ae = AE(ae_title="ARCHIVE")
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = ae.associate(HERE, site.node.port, ae_title="RECONTOUR", ext_neg=[role])
    assert association.is_established
    status, _ = association.send_n_event_report(
        said, 1 if keeps else 2, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
    )
    association.release()
    assert status.Status == 0


def test_a_destination_answers_an_echo_or_does_not(sending: Site, archive: Taker) -> None:
    (destination,) = sending.destinations
    assert send.echo("RECONTOUR", destination) is not None
    with taking(archive):
        assert send.echo("RECONTOUR", destination) is None
