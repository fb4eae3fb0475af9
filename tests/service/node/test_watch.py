from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.service.node.peers import image, images, saved, structures

from recontour.dicom.received import read_received
from recontour.findings import as_json
from recontour.service import watch
from recontour.service.folder import SiteFolder
from recontour.service.node import keeping
from recontour.service.node.arrivals import Call, Ledger
from recontour.service.node.findings import CountUnknown, NotJudged
from recontour.service.settings import Condition, Destination, Rule, Site, When
from recontour.service.store import (
    ARRIVING,
    INCOMPLETE,
    TAKEN,
    UNMATCHED,
    Job,
    Series,
    Store,
    now,
)
from recontour.service.watch import Watcher

UID = "1.2.826.1"
Arrive = Callable[..., None]


@pytest.fixture
def arrive(site: Site, store: Store, tmp_path: Path) -> Arrive:
    """Let instances arrive by one association, without a network."""

    def arrives(instances: list[Any], how: str = "released", refused: str = "") -> None:
        ledger = Ledger(store)
        call = Call("CT1", "RECONTOUR", "127.0.0.1")
        for one in instances:
            series = SiteFolder(site.folder).received(one.SeriesInstanceUID)
            path = series / f"{one.SOPInstanceUID}.dcm"
            is_new = not path.exists()
            received = read_received(saved(path, one))
            ledger.carry(call, received)
            ledger.stored(call, received, is_new=is_new)
            if refused:
                ledger.refused(call, refused, received)
        ledger.ended(call, how)
        ledger.close()

    return arrives


def only(store: Store, table: Any) -> Any:
    with store.begin() as session:
        return session.scalars(select(table)).one()


def jobs(store: Store) -> list[str]:
    with store.begin() as session:
        return list(session.scalars(select(Job.key).order_by(Job.id)))


def kind(store: Store) -> str | None:
    finding = only(store, Series).finding
    return finding["kind"] if finding else None


def test_a_complete_series_goes_to_the_first_rule_that_takes_it(
    site: Site, store: Store, arrive: Arrive
) -> None:
    never = Rule("chest", "north", When(description=Condition(contains=("thorax",))))
    few = Rule("few", "north", When(most_slices=3))
    arrive(images(UID, 3))
    Watcher(replace(site, rules=(never, few, *site.rules)), store).look()
    assert jobs(store) == ["contour 1 0 few"]
    assert (only(store, Series).state, only(store, Series).rule) == (TAKEN, "few")
    assert only(store, Job).subject == {"rule": "few", "anyway": False, "instances": 3}


def test_what_no_rule_takes_is_kept_and_listed(site: Site, store: Store, arrive: Arrive) -> None:
    arrive(images(UID, 3))
    many = Rule("many", "north", When(least_slices=20))
    Watcher(replace(site, rules=(many,)), store).look()
    assert jobs(store) == []
    assert (only(store, Series).state, kind(store)) == (UNMATCHED, "no_rule_takes")


def test_slices_that_come_before_anything_was_contoured_are_not_late(
    site: Site, store: Store, arrive: Arrive
) -> None:
    two = replace(site, rules=(Rule("two", "north", when=When(least_slices=2)),))
    arrive(images(UID, 1))
    Watcher(two, store).look()
    assert only(store, Series).state == UNMATCHED
    arrive(images(UID, 2))
    Watcher(two, store).look()
    assert (only(store, Series).state, kind(store)) == (TAKEN, None)


def test_nothing_is_made_of_what_broke_off_until_it_is_made_good(
    site: Site, store: Store, arrive: Arrive
) -> None:
    arrive(images(UID, 2), how="aborted")
    Watcher(site, store).look()
    assert (only(store, Series).state, kind(store)) == (INCOMPLETE, "broken_off")
    assert jobs(store) == []
    arrive(images(UID, 3))
    Watcher(site, store).look()
    assert (only(store, Series).state, only(store, Series).instances) == (TAKEN, 3)
    assert len(jobs(store)) == 1


def test_nothing_is_made_of_what_was_refused_until_it_is_stored(
    site: Site, store: Store, arrive: Arrive
) -> None:
    arrive(images(UID, 2), refused=f"{UID}.3")
    Watcher(site, store).look()
    assert (only(store, Series).state, kind(store)) == (INCOMPLETE, "refused_instances")
    arrive(images(UID, 2))
    Watcher(site, store).look()
    assert only(store, Series).state == INCOMPLETE
    arrive([image(UID, 3)])
    Watcher(site, store).look()
    assert only(store, Series).state == TAKEN


def test_a_series_that_is_not_quiet_yet_waits(site: Site, store: Store, arrive: Arrive) -> None:
    arrive(images(UID, 2))
    Watcher(replace(site, node=replace(site.node, quiet_s=3600)), store).look()
    assert only(store, Series).state == "arriving"


def test_late_slices_are_contoured_again_with_a_warning(
    site: Site, store: Store, arrive: Arrive
) -> None:
    arrive(images(UID, 2))
    Watcher(site, store).look()
    arrive(images(UID, 3))
    Watcher(site, store).look()
    assert jobs(store) == ["contour 1 0 all", "contour 1 1 all"]
    assert kind(store) == "late_slices"


def test_a_late_refusal_stops_a_series_and_its_healing_does_not_contour_it_twice(
    site: Site, store: Store, arrive: Arrive
) -> None:
    arrive(images(UID, 2))
    Watcher(site, store).look()
    arrive(images(UID, 2), refused=f"{UID}.3")
    Watcher(site, store).look()
    assert only(store, Series).state == INCOMPLETE
    arrive([image(UID, 3)])
    Watcher(site, store).look()
    assert jobs(store) == ["contour 1 0 all", "contour 1 1 all"]


def test_a_rival_stops_a_series(site: Site, store: Store, arrive: Arrive) -> None:
    arrive(images(UID, 2))
    saved(SiteFolder(site.folder).received(UID) / f"{UID}.1-2.dcm", image(UID, 1, hu=9))
    Watcher(site, store).look()
    assert (only(store, Series).state, kind(store)) == (INCOMPLETE, "other_content")


@pytest.fixture
def asking(site: Site) -> Site:
    """A site that asks an archive for the count."""
    archive = Destination("archive", "ARCHIVE", "127.0.0.1", 104)
    return replace(site, destinations=(archive,), node=replace(site.node, query="archive"))


def test_a_series_waits_for_the_count_of_the_archive(
    asking: Site, store: Store, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "ASK_AGAIN_S", 0)
    answers: list[int | None] = [None, 3, 2]
    watcher = Watcher(asking, store, lambda _series: answers.pop(0))
    arrive(images(UID, 2))
    watcher.look()
    assert (only(store, Series).state, kind(store)) == ("arriving", "count_unknown")
    watcher.look()
    assert (only(store, Series).state, kind(store)) == ("arriving", "other_count")
    watcher.look()
    assert (only(store, Series).state, kind(store)) == (TAKEN, None)


def test_a_series_that_stays_short_is_incomplete(
    asking: Site, store: Store, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE_S", 0)
    arrive(images(UID, 2))
    Watcher(asking, store, lambda _series: 99).look()
    assert (only(store, Series).state, kind(store)) == (INCOMPLETE, "other_count")


def test_a_series_whose_archive_is_silent_is_incomplete_until_it_answers(
    asking: Site, store: Store, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE_S", 0)
    monkeypatch.setattr(watch, "ASK_AGAIN_S", 0)
    answers: list[int | None] = [None, None, 2]
    watcher = Watcher(asking, store, lambda _series: answers.pop(0))
    arrive(images(UID, 2))
    for _ in range(2):
        watcher.look()
        assert (only(store, Series).state, kind(store)) == (INCOMPLETE, "count_unknown")
    watcher.look()
    assert (only(store, Series).state, kind(store)) == (TAKEN, None)


def test_a_silent_archive_is_waited_for_once_in_a_look(
    asking: Site, store: Store, arrive: Arrive
) -> None:
    asked = []
    watcher = Watcher(asking, store, lambda series: asked.append(series.uid))
    for number in range(3):
        arrive(images(f"{UID}.{number}", 2))
    watcher.look()
    assert len(asked) == 1
    with store.begin() as session:
        findings = list(session.scalars(select(Series.finding)))
    assert findings == [as_json(CountUnknown(source="archive"))] * 3


def test_an_error_at_one_series_does_not_stop_the_others(
    site: Site, store: Store, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = keeping.instances_in

    def failing(folder: Path) -> Any:
        if folder == SiteFolder(site.folder).received(f"{UID}.0"):
            raise RuntimeError("Doe^Jane")
        return whole(folder)

    monkeypatch.setattr(watch, "instances_in", failing)
    for number in range(2):
        arrive(images(f"{UID}.{number}", 2))
    watcher = Watcher(site, store)
    watcher.look()
    with store.begin() as session:
        first, second = session.scalars(select(Series).order_by(Series.id))
    assert (first.state, second.state) == (ARRIVING, TAKEN)
    assert first.finding == as_json(NotJudged(reason="RuntimeError"))
    monkeypatch.setattr(watch, "instances_in", whole)
    watcher.look()  # too early
    assert len(jobs(store)) == 1
    monkeypatch.setattr(watch, "now", lambda: now() + watch.ASK_AGAIN_S)
    watcher.look()
    assert len(jobs(store)) == 2


def test_an_archive_that_was_asked_recently_is_not_asked_again(
    asking: Site, store: Store, arrive: Arrive
) -> None:
    asked = []
    watcher = Watcher(asking, store, lambda series: asked.append(series.uid))
    arrive(images(UID, 2))
    watcher.look()
    watcher.look()
    assert asked == [UID]


def test_structures_that_come_back_wait_for_their_scan(
    site: Site, store: Store, arrive: Arrive
) -> None:
    arrive([structures("1.9", drawn_on=UID)])
    watcher = Watcher(site, store)
    watcher.look()
    assert (only(store, Series).state, kind(store)) == (UNMATCHED, "no_scan_of_structures")
    arrive(images(UID, 2))
    watcher.look()
    watcher.look()
    with store.begin() as session:
        states = dict(session.execute(select(Series.modality, Series.state)).all())
    assert states == {"RTSTRUCT": TAKEN, "CT": TAKEN}
    assert len(jobs(store)) == 1
