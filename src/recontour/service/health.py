"""How a site fares: for people, for a load balancer, and for Prometheus.

Nothing here names a patient.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import case, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from recontour.findings import Finding, as_json
from recontour.service.findings import (
    DatabaseAway,
    DestinationAway,
    DyingProcess,
    FailedJobs,
    FullDisk,
    LateJob,
    NotServed,
    SeriesOfGoneRule,
)
from recontour.service.folder import SiteFolder
from recontour.service.settings import GIB, Site
from recontour.service.store import (
    DONE,
    FAILED,
    RUNNING,
    WAITING,
    WITHDRAWN,
    Job,
    JobKind,
    Series,
    Store,
    now,
)

LATE_S = 900.0  # a job that could be done, and waits for longer, is late
MOST_DEATHS = 3  # of a process in a row
KINDS = get_args(JobKind)
STATES = (WAITING, RUNNING, FAILED)
HURRIED = ("contour", "send")  # learning takes hours, and others wait for it


class Status(Enum):
    """How a site fares as a whole."""

    OK = "ok"
    DEGRADED = "degraded"  # it works, and somebody should look
    DOWN = "down"  # it receives nothing


@dataclass(frozen=True, slots=True)
class Health:
    """How a site fares.

    against: what is wrong. jobs: how many of each kind in each state, without those that are done.
    series: how many in each state. oldest_waiting_s: how long a job has waited that could be done;
    0: none. last_received: seconds since 1970; None: nothing yet. answers: by destination: whether
    it took what was sent to it last; None: nothing was sent yet. restarts: by process.
    """

    status: Status
    against: tuple[Finding, ...]
    jobs: Mapping[tuple[str, str], int]
    series: Mapping[str, int]
    free_bytes: int
    oldest_waiting_s: float
    last_received: float | None
    answers: Mapping[str, bool | None]
    restarts: Mapping[str, int]
    running: Mapping[str, bool]

    def facts(self) -> dict[str, Any]:
        """Return what the health page answers, as JSON."""
        jobs: dict[str, dict[str, int]] = {}
        for (kind, state), count in self.jobs.items():
            jobs.setdefault(kind, {})[state] = count
        return {
            "status": self.status.value,
            "checks": [as_json(one) for one in self.against],
            "jobs": jobs,
            "series": dict(self.series),
            "free_bytes": self.free_bytes,
            "oldest_waiting_s": round(self.oldest_waiting_s, 1),
            "last_received": self.last_received,
            "destinations": dict(self.answers),
            "processes": {name: {"restarts": count} for name, count in self.restarts.items()},
        }

    def metrics(self) -> bytes:
        """Return the same for Prometheus, in its text format."""
        registry = CollectorRegistry()
        _gauge(registry, "up", "1 unless the site is down", {(): self.status is not Status.DOWN})
        of_jobs = "jobs that are not done, by kind and state"
        _gauge(registry, "jobs", of_jobs, self.jobs, ("kind", "state"))
        _gauge(registry, "series", "series by state", _single(self.series), ("state",))
        _gauge(registry, "free_bytes", "free space of the site's disk", {(): self.free_bytes})
        waiting = "how long the oldest job that could be done has waited"
        _gauge(registry, "oldest_waiting_seconds", waiting, {(): self.oldest_waiting_s})
        received = "when something was received last, seconds since 1970"
        _gauge(registry, "last_received_timestamp_seconds", received, {(): self.last_received or 0})
        known = {name: took for name, took in self.answers.items() if took is not None}
        took = "1 if a destination took what was sent to it last"
        _gauge(registry, "destination_up", took, _single(known), ("destination",))
        restarts = "how often a process was started again"
        _gauge(registry, "process_restarts", restarts, _single(self.restarts), ("process",))
        running = "1 if a process runs"
        _gauge(registry, "process_up", running, _single(self.running), ("process",))
        return generate_latest(registry)


def _gauge(
    registry: CollectorRegistry,
    name: str,
    about: str,
    values: Mapping[Any, float],
    labels: Sequence[str] = (),
) -> None:
    gauge = Gauge(f"recontour_{name}", about, labels, registry=registry)
    for key, value in values.items():
        (gauge.labels(*key) if labels else gauge).set(value)


def _single(values: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in values.items()}


def health_of(site: Site, store: Store) -> Health:
    """Look at the disk, the queue, the processes and what destinations answered last."""
    folder = SiteFolder(site.folder)
    free = _free_bytes(site.folder)
    processes = _processes(folder.processes)
    against: list[Finding] = []
    if free < site.node.least_free_gib * GIB:
        against.append(FullDisk(free_gib=free / GIB, least_gib=site.node.least_free_gib))
    against += _of_processes(processes)
    restarts = {name: int(state["restarts"]) for name, state in processes.items()}
    running = {name: state["pid"] is not None for name, state in processes.items()}
    try:
        with store.reading() as session:
            jobs = _jobs(session)
            series = _by_state(session)
            waiting_s = _oldest_waiting_s(session)
            answers = {one.name: _answer(session, one.name) for one in site.destinations}
            received = session.scalar(select(func.max(Series.last_at)))
            against += series_of_gone_rules(site, session)
    except SQLAlchemyError:
        down = (*against, DatabaseAway())
        return Health(Status.DOWN, down, {}, {}, free, 0.0, None, {}, restarts, running)
    against += _of_jobs(jobs, waiting_s)
    against += [
        DestinationAway(destination=name) for name, took in answers.items() if took is False
    ]
    return Health(
        _status(against),
        tuple(against),
        jobs,
        series,
        free,
        waiting_s,
        received,
        answers,
        restarts,
        running,
    )


def _status(against: Sequence[Finding]) -> Status:
    """Return how a site fares whose database answers. Without space, it refuses what comes."""
    if any(isinstance(one, FullDisk) for one in against):
        return Status.DOWN
    return Status.DEGRADED if against else Status.OK


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _processes(file: Path) -> dict[str, dict[str, Any]]:
    """Return what the supervisor says of each process; nothing if none serves the site."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _of_processes(processes: Mapping[str, Mapping[str, Any]]) -> Iterable[Finding]:
    if not processes:
        yield NotServed()
    for name, state in processes.items():
        if state["deaths"] >= MOST_DEATHS:
            yield DyingProcess(process=name, times=state["deaths"])


def _of_jobs(jobs: Mapping[tuple[str, str], int], waiting_s: float) -> Iterable[Finding]:
    for kind in KINDS:
        failed = jobs.get((kind, FAILED), 0)
        if failed:
            yield FailedJobs(kind=kind, jobs=failed)
    if waiting_s > LATE_S:
        yield LateJob(minutes=round(waiting_s / 60))


def _jobs(session: Session) -> dict[tuple[str, str], int]:
    counted = {(kind, state): 0 for kind in KINDS for state in STATES}
    counts = select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
    for kind, state, count in session.execute(counts):
        if state in STATES:
            counted[kind, state] = count
    return counted


def series_of_gone_rules(site: Site, session: Session) -> Iterable[Finding]:
    """Yield the rules that the site file no longer has, of series that are kept."""
    counts = select(Series.rule, func.count()).where(Series.rule.is_not(None))
    for rule, count in session.execute(counts.group_by(Series.rule).order_by(Series.rule)):
        if rule is not None and site.rule(rule) is None:
            yield SeriesOfGoneRule(rule=rule, series=count)


def _by_state(session: Session) -> dict[str, int]:
    counts = select(Series.state, func.count()).group_by(Series.state)
    by_state: dict[str, int] = {}
    for state, count in session.execute(counts):
        by_state[state] = count
    return by_state


def _oldest_waiting_s(session: Session) -> float:
    """Return for how long a job has waited that could be done now."""
    moment = now()
    since = case((Job.made_at > Job.not_before, Job.made_at), else_=Job.not_before)
    due = select(func.min(since)).where(
        Job.kind.in_(HURRIED), Job.state == WAITING, Job.not_before <= moment
    )
    oldest = session.scalar(due)
    return moment - oldest if oldest is not None else 0.0


def _answer(session: Session, destination: str) -> bool | None:
    """Return whether a destination took what was sent to it last; None: nothing was yet."""
    tried = (
        select(Job)
        .where(
            Job.kind == "send",
            Job.attempts > 0,
            Job.state.not_in((RUNNING, WITHDRAWN)),
            Job.subject["destination"].as_string() == destination,
        )
        .order_by(Job.began_at.desc())
        .limit(1)
    )
    last = session.scalar(tried)
    return None if last is None else last.state == DONE
