"""Whether a model has enough new cases to learn from, and to be tested with. Nothing heavy here."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.cohort import Cohort
from recontour.errors import SettingsError
from recontour.evaluation.gate import fewest_patients
from recontour.service import jobs
from recontour.service.audit import Event, audit
from recontour.service.folder import SiteFolder
from recontour.service.loop.findings import NobodyToLearnFrom, TooFewAside
from recontour.service.loop.versions import versions_of
from recontour.service.settings import Site
from recontour.service.store import FAILED, RUNNING, WAITING, Collected, Job, now

LEARNT_FROM = "learnt from"  # in `ModelVersion.decided`: how many patients


@dataclass(frozen=True, slots=True)
class Corrected:
    """The corrected patients of a model.

    cases: CTs, of `training` patients to learn from and `aside` patients to test with. new: of
    those to learn from, how many came since the model last learnt. wanted: how many new ones let it
    learn by itself; None: it only does when asked. wanted_aside: without so many, no organ could be
    promoted.
    """

    cases: int
    training: int
    aside: int
    new: int
    wanted: int | None
    wanted_aside: int

    @property
    def more_aside(self) -> int:
        """Return how many patients more are needed to test with."""
        return max(0, self.wanted_aside - self.aside)

    @property
    def is_due(self) -> bool:
        """Return whether the model learns by itself now."""
        return self.wanted is not None and self.new >= self.wanted and not self.more_aside


def corrected(session: Session, site: Site, name: str) -> Corrected:
    """Return the corrected patients of a model."""
    cases = collected(session, name)
    training = {one.patient for one in cases if not one.is_aside}
    aside = {one.patient for one in cases if one.is_aside}
    before = 0
    for version in versions_of(session, name):
        before = (version.decided or {}).get(LEARNT_FROM, before)
    return Corrected(
        cases=len({one.case_id for one in cases}),
        training=len(training),
        aside=len(aside),
        new=max(0, len(training) - before),
        wanted=site.loop.after or None,
        wanted_aside=fewest_patients(max(1, len(_organs(site, name)))),
    )


def collected(session: Session, name: str) -> list[Collected]:
    """Return the cases that were collected for a model, in the order in which they came."""
    of_model = select(Collected).where(Collected.model == name).order_by(Collected.id)
    return list(session.scalars(of_model))


def _organs(site: Site, name: str) -> Collection[str]:
    """Return the organs that people corrected for a model."""
    path = SiteFolder(site.folder).corrected(name)
    if not Cohort.is_at(path):
        return ()
    return _organs_at(path, (path / "cases").stat().st_mtime_ns)


@lru_cache(maxsize=100)
def _organs_at(cohort: Path, _changed_at_ns: int) -> Collection[str]:
    """Return the organs of a cohort; every case is read, so the page must not ask each time."""
    return Cohort.open(cohort).organs


def learn_if_due(session: Session, site: Site, name: str) -> Job | None:
    """Let a model learn if it is due and does not yet; return the job, or None."""
    state = corrected(session, site, name)
    if not state.is_due or open_job(session, name):
        return None
    # A learning that failed is not begun again before there is more to learn from.
    key = f"learn {name} from {state.training} and {state.aside}"
    return jobs.put(session, "learn", key, {"model": name})


def ask_to_learn(session: Session, site: Site, name: str, who: str) -> Job:
    """Let a model learn, as a person asks; one that learns already goes on.

    Raises: SettingsError: there is nobody to learn from, or there are too few to test with.
    """
    state = corrected(session, site, name)
    refuse_too_few(state)
    known = open_job(session, name)
    if known:
        return known
    audit(session, Event.LEARNT, who, what=f"asked {name} to learn")
    return jobs.put(session, "learn", f"learn {name} asked {now()}", {"model": name})


def refuse_too_few(state: Corrected) -> None:
    """Raise SettingsError if there is nobody to learn from, or there are too few to test with."""
    if not state.training:
        raise SettingsError(NobodyToLearnFrom())
    if state.more_aside:
        raise SettingsError(TooFewAside(patients=state.aside, more=state.more_aside))


def open_job(session: Session, name: str) -> Job | None:
    """Return the job in which a model learns, or is going to; None if there is none."""
    is_open = select(Job).where(Job.kind == "learn", Job.state.in_((WAITING, RUNNING)))
    for job in session.scalars(is_open.order_by(Job.id)):
        if job.subject["model"] == name:
            return job
    return None


def learning_in_words(session: Session, site: Site, name: str) -> str:
    """Say what a model's learning is at, or what it waits for."""
    job = open_job(session, name)
    if job:
        return "learns now" if job.state == RUNNING else "is going to learn"
    state = corrected(session, site, name)
    waits = []
    if state.wanted is not None and state.new < state.wanted:
        waits.append(f"{state.wanted - state.new} more patients to learn from")
    if state.more_aside:
        waits.append(f"{state.more_aside} more patients to test with")
    said = f"waits for {' and '.join(waits)}" if waits else "learns when somebody asks"
    failed = _last_failure(session, name)
    return f"{failed}; {said}" if failed else said


def _last_failure(session: Session, name: str) -> str:
    """Return why the last learning of a model failed; empty if it did not."""
    of_kind = select(Job).where(Job.kind == "learn").order_by(Job.id.desc())
    for job in session.scalars(of_kind):
        if job.subject["model"] == name:
            is_failed = job.state == FAILED and job.finding is not None
            return f"failed: {job.finding['message']}" if is_failed and job.finding else ""
    return ""
