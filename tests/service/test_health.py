"""What the health page and Prometheus read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.service.small_site import small_site

from recontour.findings import Unexpected, kind, words
from recontour.service import jobs
from recontour.service.folder import SiteFolder
from recontour.service.health import Status, health_of
from recontour.service.settings import NodeSettings, Site
from recontour.service.store import DONE, Job, JobKind, Series, Store, now

AWAY = Unexpected(reason="Zebedee^Quentin")  # what a library said may name a patient


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return small_site(tmp_path)


@pytest.fixture
def served(site: Site, store: Store) -> None:
    """All processes run."""
    states = {"worker": {"pid": 7, "deaths": 0, "restarts": 2, "ended": "", "began_at": 0.0}}
    SiteFolder(site.folder).processes.write_text(json.dumps(states))


def put(store: Store, job_kind: JobKind, change: Callable[[Job], None]) -> None:
    with store.begin() as session:
        job = jobs.put(session, job_kind, f"{job_kind} {now()}", {"destination": "tps"})
        change(job)


def against(site: Site, store: Store) -> list[str]:
    return [kind(one) for one in health_of(site, store).against]


@pytest.mark.usefixtures("served")
def test_a_site_without_trouble_is_well(site: Site, store: Store) -> None:
    with store.begin() as session:
        session.add(Series(uid="1", modality="CT", first_at=0.0, last_at=5.0, state="taken"))
    found = health_of(site, store)
    assert found.status is Status.OK
    assert found.facts()["status"] == "ok"
    assert found.last_received == 5.0
    assert found.answers == {"tps": None}


def late(job: Job) -> None:
    job.made_at -= 1000


def in_a_while(job: Job) -> None:
    job.made_at -= 1000
    job.not_before = now() + 1000


def fail(job: Job) -> None:
    job.attempts = 1
    job.began_at = now()
    job.state = "failed"


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("job_kind", "change", "expected"),
    [
        ("contour", late, ["late_job"]),
        ("contour", in_a_while, []),
        ("learn", late, []),
        ("contour", fail, ["failed_jobs"]),
        ("send", fail, ["failed_jobs", "destination_away"]),
    ],
)
def test_what_waits_too_long_or_failed_is_red(
    site: Site,
    store: Store,
    job_kind: JobKind,
    change: Callable[[Job], None],
    expected: list[str],
) -> None:
    put(store, job_kind, change)
    assert against(site, store) == expected


@pytest.mark.usefixtures("served")
def test_a_rule_that_has_left_the_site_file_is_named(site: Site, store: Store) -> None:
    with store.begin() as session:
        for number, rule in enumerate(("all", "older", "older", None)):
            uid = f"1.{number}"
            session.add(Series(uid=uid, modality="CT", first_at=0.0, last_at=0.0, rule=rule))
    assert against(site, store) == ["series_of_gone_rule"]
    (gone,) = health_of(site, store).against
    assert words(gone).startswith("2 series went to the rule older, which the site does not have")


@pytest.mark.usefixtures("served")
def test_a_destination_is_up_again_when_it_took_something(site: Site, store: Store) -> None:
    put(store, "send", fail)

    def take(job: Job) -> None:
        fail(job)
        job.state = DONE

    put(store, "send", take)
    assert health_of(site, store).answers == {"tps": True}


def test_nobody_serves_or_a_process_keeps_dying(site: Site, store: Store) -> None:
    assert against(site, store) == ["not_served"]
    states = {"worker": {"pid": None, "deaths": 3, "restarts": 9, "ended": "", "began_at": 0.0}}
    SiteFolder(site.folder).processes.write_text(json.dumps(states))
    assert against(site, store) == ["dying_process"]


@pytest.mark.usefixtures("served")
def test_a_full_disk_is_red(site: Site, store: Store) -> None:
    from dataclasses import replace

    full = replace(site, node=NodeSettings(least_free_gib=1e6))
    assert against(full, store) == ["full_disk"]
    assert health_of(full, store).status is Status.DOWN


@pytest.mark.usefixtures("served")
def test_a_site_without_its_database_is_down(site: Site, store: Store) -> None:
    store.engine.dispose()
    SiteFolder(site.folder).database.write_bytes(b"no database at all" * 1000)
    found = health_of(site, store)
    assert found.status is Status.DOWN
    assert [kind(one) for one in found.against] == ["database_away"]


@pytest.mark.usefixtures("served")
def test_prometheus_reads_the_metrics_and_they_name_nobody(site: Site, store: Store) -> None:
    put(store, "send", fail)
    with store.begin() as session:
        job = session.query(Job).one()
        jobs.failed(session, job.id, AWAY, again=False)
        session.add(
            Series(uid="1", modality="CT", patient_name="Zebedee", first_at=0.0, last_at=5.0)
        )
    found = health_of(site, store)
    text = found.metrics().decode()
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name, *sample.labels.values()] = sample.value
    assert samples["recontour_jobs", "send", "failed"] == 1
    assert samples["recontour_jobs", "contour", "waiting"] == 0
    assert samples["recontour_series", "arriving"] == 1
    assert samples["recontour_destination_up", "tps"] == 0
    assert samples["recontour_process_restarts", "worker"] == 2
    assert samples["recontour_free_bytes",] > 0
    assert "Zebedee" not in text + json.dumps(found.facts())
