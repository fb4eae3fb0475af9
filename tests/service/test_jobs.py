import pytest

from recontour.findings import Unexpected, as_json
from recontour.service import jobs
from recontour.service.findings import KeptDying
from recontour.service.store import DONE, FAILED, WAITING, Job, JobKind, Store

AWAY = Unexpected(reason="nobody answers")


def test_a_job_is_claimed_once_and_put_back_when_its_process_is_gone(store: Store) -> None:
    with store.begin() as session:
        jobs.put(session, "contour", "contour 1", {"series": 1})
        jobs.put(session, "contour", "contour 1", {"series": 1})
    with store.begin() as session:
        claimed = jobs.claim(session, "contour", holder=7)
    assert claimed is not None
    assert claimed.subject == {"series": 1}
    with store.begin() as session:
        assert jobs.claim(session, "contour", holder=8) is None
        assert jobs.give_back(session, holder=8) == 0
        assert jobs.give_back(session, holder=7) == 1
    with store.begin() as session:
        again = jobs.claim(session, "contour", holder=8)
        assert again is not None
        assert again.attempts == 2
        jobs.done(session, again.id)
        assert session.get_one(Job, again.id).state == DONE


def test_a_job_waits_longer_each_time_and_fails_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(jobs, "now", lambda: clock[0])
    with store.begin() as session:
        job_id = jobs.put(session, "send", "send 1").id
    waits = []
    while True:
        with store.begin() as session:
            claimed = jobs.claim(session, "send", holder=1)
            assert claimed is not None
            job = jobs.failed(session, claimed.id, AWAY, again=True)
            if job.state == FAILED:
                break
            waits.append(job.not_before - clock[0])
            assert jobs.claim(session, "send", holder=1) is None
            clock[0] = job.not_before
    assert tuple(waits) == jobs.WAITS_S
    with store.begin() as session:
        jobs.try_again(session, job_id)
        assert session.get_one(Job, job_id).state == WAITING


def test_what_cannot_get_better_fails_at_once(store: Store) -> None:
    with store.begin() as session:
        jobs.put(session, "contour", "contour 1")
        claimed = jobs.claim(session, "contour", holder=1)
        assert claimed is not None
        assert jobs.failed(session, claimed.id, AWAY, again=False).state == FAILED


def test_a_job_at_which_processes_keep_dying_fails_until_a_person_tries_again(store: Store) -> None:
    with store.begin() as session:
        job_id = jobs.put(session, "learn", "learn north").id
    for _ in range(jobs.MOST_DEATHS):
        die_at(store, "learn")
    with store.begin() as session:
        job = session.get_one(Job, job_id)
        assert job.state == FAILED
        assert job.finding == as_json(KeptDying(times=jobs.MOST_DEATHS))
        jobs.try_again(session, job_id)
    die_at(store, "learn")
    with store.begin() as session:
        assert session.get_one(Job, job_id).state == WAITING


def test_deaths_before_another_failure_do_not_count(store: Store) -> None:
    with store.begin() as session:
        job_id = jobs.put(session, "send", "send 1").id
    for _ in range(jobs.MOST_DEATHS - 1):
        die_at(store, "send")
    with store.begin() as session:
        claimed = jobs.claim(session, "send", holder=1)
        assert claimed is not None
        jobs.failed(session, claimed.id, AWAY, again=True).not_before = 0.0
    die_at(store, "send")
    with store.begin() as session:
        assert session.get_one(Job, job_id).state == WAITING


def test_a_process_that_is_asked_to_end_has_not_tried(store: Store) -> None:
    with store.begin() as session:
        job_id = jobs.put(session, "learn", "learn north").id
        jobs.claim(session, "learn", holder=1)
        jobs.let_go(session, holder=1)
        job = session.get_one(Job, job_id)
        assert (job.state, job.attempts, job.deaths) == (WAITING, 0, 0)


def die_at(store: Store, kind: JobKind) -> None:
    """Be a process that dies at a job."""
    with store.begin() as session:
        assert jobs.claim(session, kind, holder=1)
    with store.begin() as session:
        jobs.give_back(session, holder=1)
