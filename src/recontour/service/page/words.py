"""What the page says of a series and of a job."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from recontour.service.store import (
    ARRIVING,
    DONE,
    FAILED,
    INCOMPLETE,
    RUNNING,
    UNMATCHED,
    WAITING,
    Approval,
    Draft,
    Job,
    JobKind,
    Series,
    now,
)
from recontour.wording import plural

STATES = {RUNNING: "contouring", WAITING: "waiting", FAILED: "failed"}  # of a series, by its job's
DOING: Mapping[JobKind, str] = {
    "contour": "contouring",
    "send": "sending",
    "collect": "keeping as a training case",
    "learn": "learning",
}


def state_of(
    series: Series,
    jobs: Sequence[Job],
    draft: Draft | None,
    approval: Approval | None,
) -> tuple[str, str]:
    """Return the state of a series, and a sentence about it, or nothing.

    jobs: the series', in the order in which they were made.
    """
    doubt = message_of(series.finding)
    if series.state == ARRIVING:
        so_far = f"{plural(series.instances, 'slice')} so far"
        return "arriving", _joined([so_far, doubt])
    if series.state in (INCOMPLETE, UNMATCHED):
        return series.state, doubt
    contouring = [job for job in jobs if job.kind == "contour"]
    if contouring and contouring[-1].state != DONE:
        return STATES[contouring[-1].state], words_of(contouring[-1])
    if draft is None:
        return "waiting", ""
    failures = [words_of(job) for job in jobs if job.state == FAILED]
    return "approved" if approval else "to review", _joined([doubt, *failures])


def _joined(sentences: Sequence[str]) -> str:
    return "; ".join(sentence for sentence in sentences if sentence)


def words_of(job: Job) -> str:
    """Return a sentence about a job that is not done; nothing if there is nothing to say."""
    what = f"{DOING[job.kind]}{_where(job)}"
    why = message_of(job.finding)
    if job.state == FAILED:
        return f"{what} failed: {why}"
    if job.state == WAITING and job.attempts and why:
        when = f" at {clock(job.not_before)}" if job.not_before > now() else ""
        return f"{what} is tried again{when}: {why}"
    return ""


def _where(job: Job) -> str:
    destination = job.subject.get("destination")
    return f" to {destination}" if destination else ""


def message_of(stored: Mapping[str, Any] | None) -> str:
    """Return the line of a stored finding; nothing if there is none.

    >>> message_of({"kind": "no_rule_takes", "message": "none of 2 rules takes this series"})
    'none of 2 rules takes this series'
    """
    return str(stored.get("message", "")) if stored else ""


def reason_of(organ: str, stored: Mapping[str, Any]) -> str:
    """Return what speaks against an organ's contour, without the organ's name before it.

    >>> reason_of("Lens_R", {"message": "Lens_R: not found"})
    'not found'
    """
    return message_of(stored).removeprefix(f"{organ}: ")


def clock(moment: float) -> str:
    """Return the time of day on this machine."""
    return datetime.fromtimestamp(moment).strftime("%H:%M:%S")


def day_and_clock(moment: float) -> str:
    """Return the date and the time of day on this machine."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M")
