"""Deleting a patient's data: because somebody asks, or because its days are over."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.conftest import fill
from tests.service.small_site import order, receive, small_site

from recontour.cohort import Cohort
from recontour.cohort.patients import salt_for
from recontour.errors import SettingsError
from recontour.findings import Unexpected
from recontour.service import jobs, retention
from recontour.service.folder import SiteFolder
from recontour.service.loop.versions import add
from recontour.service.retention import delete_expired, forget
from recontour.service.settings import Site
from recontour.service.store import (
    Approval,
    Association,
    Audited,
    Carried,
    Collected,
    Draft,
    Edit,
    Job,
    Lock,
    Series,
    Store,
    now,
)

DAY_S = 86_400.0
NOTHING: dict[str, list[float]] = {}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return small_site(tmp_path, keep_days=30)


@pytest.fixture
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let days pass."""
    today = now()

    def later(days: float) -> None:
        monkeypatch.setattr(retention, "now", lambda: today + days * DAY_S)

    return later


@pytest.fixture
def series(site: Site, store: Store, tmp_path: Path) -> Series:
    """A series with a draft, an edit, an approved set and a case that a model learns from."""
    folder = SiteFolder(site.folder)
    with store.begin() as session:
        series = receive(session, site, tmp_path)
        jobs.done(session, order(session, series).id)
        version = add(session, "north", file="x", sha256="x", state="in use")
        draft = Draft(
            series_id=series.id, generation=0, rule="all", model_id=version.id, folder="x",
            sop_instance_uid="1.2", made_at=now(),
        )  # fmt: skip
        session.add(draft)
        session.flush()
        session.add(Lock(draft_id=draft.id, who="ann", until=now()))
        edit = Edit(
            draft_id=draft.id, number=1, organ="Lens_L", kind="brush", who="ann", at=now(),
            before=NOTHING, after=NOTHING,
        )  # fmt: skip
        approval = Approval(
            draft_id=draft.id, reviewer="ann", approved_at=now(), file="x", sop_instance_uid="1.3"
        )
        session.add_all([edit, approval])
        session.flush()
        collected = Collected(
            approval_id=approval.id, model="north", case_id="c", patient="hash", is_aside=False,
            at=now(),
        )  # fmt: skip
        session.add(collected)
    for place in (folder.drafts(series.uid), folder.approved(series.uid)):
        place.mkdir()
        (place / "RS.dcm").touch()
    return series


def files(site: Site) -> list[Path]:
    return [path for path in site.folder.glob("*/*/*") if path.is_file()]


def rows(store: Store) -> dict[str, int]:
    tables = (Series, Job, Draft, Approval, Edit, Lock, Carried, Collected)
    with store.begin() as session:
        return {table.__tablename__: session.query(table).count() for table in tables}


def test_days_after_the_last_thing_that_happened_the_data_goes(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    tomorrow(29.9)
    assert delete_expired(site, store) == 0
    with store.begin() as session:
        session.scalars(select(Approval)).one().approved_at += 10 * DAY_S
    tomorrow(39.9)
    assert delete_expired(site, store) == 0
    assert files(site)
    tomorrow(40.1)
    assert delete_expired(site, store) == 1
    assert files(site) == []
    left = rows(store)
    assert left.pop("collected") == 1  # what a model learns from stays
    assert set(left.values()) == {0}
    with store.begin() as session:
        deleted = session.scalars(select(Audited)).one()
        assert (deleted.event, deleted.patient_id) == ("deleted", series.patient_id)


@pytest.mark.parametrize("rule", [None, "one that has gone"])
def test_what_no_rule_keeps_is_kept_as_long_as_the_site_says(
    site: Site,
    store: Store,
    series: Series,
    tomorrow: Callable[[float], None],
    rule: str | None,
) -> None:
    with store.begin() as session:
        session.get_one(Series, series.id).rule = rule
    tomorrow(1000)
    assert delete_expired(site, store) == 0
    keeping = replace(site, keep_days=10)
    tomorrow(9.9)
    assert delete_expired(keeping, store) == 0
    tomorrow(10.1)
    assert delete_expired(keeping, store) == 1
    assert files(site) == []


def test_a_structure_set_is_kept_as_long_as_its_ct(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    with store.begin() as session:
        other_study = Series(
            uid="1.2.3", study_uid="9", patient_id=series.patient_id, modality="RTSTRUCT",
            first_at=now(), last_at=now(), state="taken",
        )  # fmt: skip
        session.add(other_study)
    keeping = replace(site, keep_days=10)
    tomorrow(20)
    assert delete_expired(keeping, store) == 0


def test_nothing_goes_while_a_job_runs(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    with store.begin() as session:
        job = order(session, series)
        job.state = "running"
    tomorrow(100)
    assert delete_expired(site, store) == 0
    with pytest.raises(SettingsError, match=r"a job \(contour\) of this patient is running"):
        forget(site, series.patient_id)
    assert files(site)


def test_nothing_goes_that_waits_to_be_sent(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    with store.begin() as session:
        jobs.put(session, "send", "send draft 1 tps", series_id=series.id)
    tomorrow(100)
    assert delete_expired(site, store) == 0
    assert files(site)


def test_nothing_goes_that_was_not_sent_until_a_person_decides(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    with store.begin() as session:
        job = jobs.put(session, "send", "send draft 1 tps", series_id=series.id)
        jobs.failed(session, job.id, Unexpected(reason="it does not answer"), again=False)
    tomorrow(100)
    assert delete_expired(site, store) == 0
    assert files(site)
    forget(site, series.patient_id)
    assert files(site) == []


def test_nothing_goes_while_a_person_edits(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    with store.begin() as session:
        session.scalars(select(Lock)).one().until = now() + 40 * DAY_S
    tomorrow(39)
    assert delete_expired(site, store) == 0
    tomorrow(41)
    assert delete_expired(site, store) == 1


def test_who_was_killed_while_deleting_is_followed_by_another(
    site: Site,
    store: Store,
    series: Series,
    tomorrow: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(_place: Path) -> None:
        raise KeyboardInterrupt

    tomorrow(100)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            delete_expired(site, store)
    assert rows(store)["series"] == 0
    assert files(site)
    assert delete_expired(site, store) == 0
    assert files(site) == []


def test_nobody_is_forgotten_whose_slices_are_arriving(
    site: Site, store: Store, series: Series
) -> None:
    with store.begin() as session:
        call = Association(calling_ae="CT", called_ae="US", address="127.0.0.1", opened_at=now())
        session.add(call)
        session.flush()
        session.add(Carried(association_id=call.id, series_id=series.id))
    with pytest.raises(SettingsError, match="receive"):
        forget(site, series.patient_id)
    assert files(site)


def test_a_structure_set_that_came_back_goes_with_its_ct(
    site: Site, store: Store, series: Series, tomorrow: Callable[[float], None]
) -> None:
    with store.begin() as session:
        back = Series(
            uid="1.2.3", study_uid=series.study_uid, patient_id=series.patient_id,
            modality="RTSTRUCT", first_at=now(), last_at=now() + 5 * DAY_S,
        )  # fmt: skip
        session.add(back)
    tomorrow(34.9)
    assert delete_expired(site, store) == 0
    tomorrow(35.1)
    assert delete_expired(site, store) == 2


def test_a_patient_is_forgotten_whole_except_for_the_audit_trail(
    site: Site, store: Store, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[tuple[Path, list[str]]] = []

    class Corrected(list[str]):
        path = SiteFolder(site.folder).corrected("north")

    Corrected.path.mkdir(parents=True)
    monkeypatch.setattr("recontour.cohort.Cohort.open", lambda _path: Corrected(["c"]))
    monkeypatch.setattr(retention, "remove", lambda path, cases: removed.append((path, cases)))
    found = forget(site, series.patient_id)
    assert (found.series, found.drafts, found.approvals, found.cases) == (1, 1, 1, 1)
    assert removed == [(Corrected.path, ["c"])]
    assert files(site) == []
    assert set(rows(store).values()) == {0}
    with pytest.raises(SettingsError, match="no data of a patient"):
        forget(site, series.patient_id)


def test_a_patient_s_cases_are_forgotten_when_the_series_have_gone_before(
    site: Site, store: Store
) -> None:
    cohort = fill(Cohort.open_or_create(SiteFolder(site.folder).corrected("north"), "site"), 2)
    of_nobody, of_patient = cohort.case_ids
    key = salt_for(cohort.path).key("MRN-1")
    with store.begin() as session:
        for case_id, patient in ((of_nobody, "another"), (of_patient, key)):
            of_case = {"case_id": case_id, "patient": patient, "at": now()}
            session.add(Collected(model="north", is_aside=False, **of_case))
    assert forget(site, "MRN-1").cases == 1
    assert cohort.case_ids == (of_nobody,)


def test_a_patient_without_an_id_is_nobody(site: Site, store: Store) -> None:
    with store.begin() as session:
        session.add(Series(uid="1", modality="CT", first_at=0.0, last_at=0.0))
    with pytest.raises(SettingsError, match="no data of a patient"):
        forget(site, "")
