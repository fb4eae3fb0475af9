"""The process that collects approved cases and lets models learn, after all other work.

A learning goes before the collecting, so that a learning that was interrupted finds the cases that
it began with.
"""

import logging
import os
from typing import Any

from sqlalchemy import select

from recontour.errors import FaultError, RecontourError
from recontour.files import SystemReason
from recontour.findings import Finding, Unexpected, log_finding
from recontour.service import jobs
from recontour.service.child import Ending, begin_child, where
from recontour.service.jobs import Claimed
from recontour.service.loop.collect import collect_approval, collect_returned, note_returned
from recontour.service.loop.due import learn_if_due
from recontour.service.settings import Site
from recontour.service.store import Collected, JobKind, Store

KINDS: tuple[JobKind, ...] = ("learn", "collect")
LOWEST_PRIORITY = 19
POLL_S = 2.0

log = logging.getLogger(__name__)


class EndedError(Exception):
    """The process is asked to end; what it does can go on later."""


def main() -> None:
    """Serve until the process is asked to end."""
    site, store, ending = begin_child("learner")
    os.nice(LOWEST_PRIORITY)
    while not ending.is_asked:
        if not do_next(site, store, ending):
            ending.wait(POLL_S)


def do_next(site: Site, store: Store, ending: Ending) -> bool:
    """Do the next job; return False if there is none."""
    with store.begin() as session:
        note_returned(session)
    for kind in KINDS:
        with store.begin() as session:
            claimed = jobs.claim(session, kind, os.getpid())
        if claimed:
            _do(site, store, claimed, ending)
            return True
    return False


def _do(site: Site, store: Store, claimed: Claimed, ending: Ending) -> None:
    try:
        if claimed.kind == "learn":
            _learn(site, store, claimed, ending)
        else:
            _collect(site, store, claimed)
    except EndedError:
        with store.begin() as session:
            jobs.let_go(session, os.getpid())
    except RecontourError as error:
        _failed(store, claimed, error.finding, again=isinstance(error, FaultError))
    except OSError as error:
        _failed(store, claimed, SystemReason(number=error.errno), again=True)
    except Exception as error:
        log.error("%s failed: %s", claimed.kind, where(error))
        _failed(store, claimed, Unexpected(reason=type(error).__name__), again=False)


def _failed(store: Store, claimed: Claimed, finding: Finding, *, again: bool) -> None:
    log_finding(log, logging.ERROR, finding)
    with store.begin() as session:
        jobs.failed(session, claimed.id, finding, again=again)


def _learn(site: Site, store: Store, claimed: Claimed, ending: Ending) -> None:
    # A site that only collects does without torch and its memory.
    import torch

    from recontour.service.loop.learn import learn

    torch.set_num_threads(site.loop.threads)

    def progress(_what: str, _done: int, _of: int, _words: str) -> None:
        if ending.is_asked:
            raise EndedError

    learn(site, store, claimed.subject["model"], progress, job_id=claimed.id)


def _collect(site: Site, store: Store, claimed: Claimed) -> None:
    subject: dict[str, Any] = claimed.subject
    if "approval" in subject:
        collect_approval(site, store, subject["approval"])
    else:
        collect_returned(site, store, subject["series"])
    with store.begin() as session:
        jobs.done(session, claimed.id)
        for name in session.scalars(select(Collected.model).distinct()).all():
            if name in site.models:
                learn_if_due(session, site, name)


if __name__ == "__main__":
    main()
