"""The watcher: sees when a series is complete, and decides what becomes of it.

What is refused, broken off or short is shown, and nothing is made of it. A complete CT goes to the
first rule that takes it. A structure set that comes from elsewhere is kept with its CT, for the
loop.

    python -m recontour.service.watch SITE.toml
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from recontour.dicom.received import drawn_on_series, slices_in
from recontour.errors import DicomError, RecontourError
from recontour.findings import Finding, as_json, log_finding
from recontour.service import jobs
from recontour.service.child import Ending, begin_child, where
from recontour.service.findings import NoRuleTakes
from recontour.service.folder import SiteFolder
from recontour.service.node.complete import Transfer, judge
from recontour.service.node.findings import (
    CountUnknown,
    LateSlices,
    NoScanOfStructures,
    NotJudged,
    OtherCount,
)
from recontour.service.node.keeping import instances_in
from recontour.service.node.mended import mend_pynetdicom
from recontour.service.node.query import images_of_series
from recontour.service.node.send import NotSentError
from recontour.service.retention import delete_expired
from recontour.service.rules import Arrived, decide
from recontour.service.settings import Site
from recontour.service.store import (
    ARRIVING,
    INCOMPLETE,
    TAKEN,
    UNMATCHED,
    Association,
    Carried,
    Job,
    Series,
    Store,
    now,
)

LOG = logging.getLogger("recontour.watcher")
LOOK_S = 0.5
ASK_AGAIN_S = 15.0  # before a series that could not be judged is judged again
PATIENCE_S = 600.0  # after the last image; then a series is incomplete, and a person may decide
# Of series that are incomplete only because we do not know better; we may yet.
UNDECIDED_KINDS = ("count_unknown", "not_judged")
EXPIRY_S = 3600.0  # between two looks for data that are kept no longer
INSTANCES = "instances"  # in the subject of a job: how many there were
Count = Callable[[Series], int | None]


class Watcher:
    """Judges series. count: asks how many images a series has elsewhere."""

    def __init__(self, site: Site, store: Store, count: Count | None = None) -> None:
        self._site = site
        self._store = store
        self._folder = SiteFolder(site.folder)
        self._count = count or self._ask
        self._not_before: dict[int, float] = {}  # when a series is looked at again
        self._silent_until = 0.0  # the source does not answer; nobody waits for it again until then

    def run(self, ending: Ending) -> None:
        """Look again and again, and delete what has expired, until it is time to end."""
        deleted_at = 0.0
        while not ending.wait(LOOK_S):
            self.look()
            if now() - deleted_at > EXPIRY_S:
                deleted_at = now()
                self._delete_expired()

    def _delete_expired(self) -> None:
        try:
            delete_expired(self._site, self._store)
        except (RecontourError, OSError) as error:  # the health page says that something is left
            LOG.error("what has expired was not deleted: %s", where(error))

    def look(self) -> None:
        """Judge every series that is arriving, each in a transaction of its own."""
        with self._store.reading() as session:
            undecided = select(Series.id, Series.last_at).where(_undecided())
            waiting = list(session.execute(undecided))
        for series_id, last_at in waiting:
            is_quiet = now() - last_at >= self._site.node.quiet_s
            if is_quiet and now() >= self._not_before.get(series_id, 0.0):
                self._judge_or_note(series_id)

    def _judge_or_note(self, series_id: int) -> None:
        """Judge a series; an error stops this one alone, and is shown with it."""
        try:
            self._judge(series_id)
        except RecontourError as error:
            self._put_off(series_id, error.finding)
        except Exception as error:  # a fault of recontour's own
            LOG.error("series %d: %s", series_id, where(error))
            self._put_off(series_id, NotJudged(reason=type(error).__name__))

    def _judge(self, series_id: int) -> None:
        with self._store.begin() as session:
            found = self._judged(session, series_id)
            if found is None:
                return
            if not self._must_count(found):
                self._take(session, found)
                return
        against = self._against_count(found)  # over the network, while nothing is locked
        if against:
            self._put_off(series_id, against)
            return
        with self._store.begin() as session:
            again = self._judged(session, series_id)
            if again and again.last_at == found.last_at:
                self._take(session, again)

    def _put_off(self, series_id: int, why: Finding) -> None:
        """Look at a series again after a while; after a longer one, a person may decide, too."""
        self._not_before[series_id] = now() + ASK_AGAIN_S
        with self._store.begin() as session:
            series = session.get(Series, series_id)
            if series is None or not is_undecided(series):
                return
            series.finding = as_json(why)
            if now() - series.last_at > PATIENCE_S:
                series.state = INCOMPLETE

    def _judged(self, session: Session, series_id: int) -> Series | None:
        """Judge a series; return it if it is complete as far as we can see."""
        series = session.get(Series, series_id)
        if series is None or not is_undecided(series):
            return None
        kept, rivals = instances_in(self._folder.received(series.uid))
        quiet_for_s = now() - series.last_at
        transfers = _transfers(session, series)
        verdict = judge(transfers, kept, rivals, quiet_for_s, self._site.node.quiet_s)
        if verdict.state == "arriving":
            return None
        series.instances = len(kept)
        if verdict.why is None:
            return series
        series.state = INCOMPLETE
        series.finding = as_json(verdict.why)
        log_finding(LOG, logging.WARNING, verdict.why)
        return None

    # The count elsewhere

    def _must_count(self, series: Series) -> bool:
        return self._site.node.query is not None and series.modality == "CT"

    def _ask(self, series: Series) -> int | None:
        """Return how many images the source has; None if it does not say."""
        node = self._site.node
        assert node.query
        source = self._site.destination(node.query)
        try:
            return images_of_series(node.ae_title, source, series.study_uid, series.uid)
        except NotSentError as error:
            log_finding(LOG, logging.WARNING, error.finding)
            return None

    def _against_count(self, series: Series) -> Finding | None:
        """Ask the source how many images a series has; return what speaks against its count."""
        source = self._site.node.query or ""
        if now() < self._silent_until:
            return CountUnknown(source=source)
        expected = self._count(series)
        if expected is None:
            self._silent_until = now() + ASK_AGAIN_S
            return CountUnknown(source=source)
        if expected == series.instances:
            return None
        return OtherCount(source=source, instances=series.instances, expected=expected)

    # What becomes of it

    def _take(self, session: Session, series: Series) -> None:
        self._not_before.pop(series.id, None)
        if series.modality == "CT":
            self._take_scan(session, series)
        else:
            self._take_structures(session, series)

    def _take_scan(self, session: Session, series: Series) -> None:
        """Give a CT to the rule that takes it."""
        arrived = Arrived(
            calling_ae=series.calling_ae,
            called_ae=series.called_ae,
            description=series.description,
            body_part=series.body_part,
            manufacturer=series.manufacturer,
            slices=self._slices(series),
        )
        rule = decide(self._site.rules, arrived).rule
        series.rule = rule.name if rule else None
        if rule is None:
            _leave(series, NoRuleTakes(rules=len(self._site.rules)))
            return
        _count_generation(session, series)
        is_again = _was_contoured(session, series)
        jobs.put(
            session,
            "contour",
            jobs.contour_key(series, rule.name),
            {"rule": rule.name, "anyway": False, INSTANCES: series.instances},
            series_id=series.id,
        )
        series.state = TAKEN
        series.finding = None
        if is_again:
            late = LateSlices()
            series.finding = as_json(late)
            log_finding(LOG, logging.WARNING, late)
        _look_at_structures_again(session)

    def _slices(self, series: Series) -> int:
        try:
            return slices_in(self._files(series))
        except DicomError:  # contouring says what is wrong
            return series.instances

    def _files(self, series: Series) -> Sequence[Path]:
        return sorted(self._folder.received(series.uid).glob("*.dcm"))

    def _take_structures(self, session: Session, series: Series) -> None:
        """Keep a structure set with its CT."""
        drawn_on: set[str] = set()
        for path in self._files(series):
            try:
                drawn_on |= drawn_on_series(path)
            except DicomError as error:
                log_finding(LOG, logging.WARNING, error.finding)
        known = select(Series.id).where(Series.uid.in_(drawn_on), Series.modality == "CT")
        if session.scalar(known) is None:
            _leave(series, NoScanOfStructures())
            return
        series.state = TAKEN
        series.finding = None


def is_undecided(series: Series) -> bool:
    """Return whether the watcher still judges a series: see `UNDECIDED_KINDS`."""
    if series.state == INCOMPLETE and series.finding:
        return series.finding["kind"] in UNDECIDED_KINDS
    return series.state == ARRIVING


def _undecided() -> ColumnElement[bool]:
    """Return the same as a condition."""
    kind = Series.finding["kind"].as_string()
    is_open = and_(Series.state == INCOMPLETE, kind.in_(UNDECIDED_KINDS))
    return or_(Series.state == ARRIVING, is_open)


def _leave(series: Series, why: Finding) -> None:
    series.state = UNMATCHED
    series.finding = as_json(why)
    log_finding(LOG, logging.INFO, why)


def _transfers(session: Session, series: Series) -> tuple[Transfer, ...]:
    """Return what each association brought of a series, in the order in which they began."""
    of_it = (
        select(Association, Carried)
        .join(Carried, Carried.association_id == Association.id)
        .where(Carried.series_id == series.id)
        .order_by(Association.id)
    )
    transfers = []
    for association, carried in session.execute(of_it):
        one = Transfer(
            caller=association.calling_ae,
            how_ended=association.how_ended,
            unreadable=association.unreadable,
            refused=tuple(carried.refused),
        )
        transfers.append(one)
    return tuple(transfers)


def _count_generation(session: Session, series: Series) -> None:
    """Begin a new generation if what was contoured in this one had other images."""
    of_it = select(Job).where(Job.series_id == series.id, Job.kind == "contour")
    begins = jobs.contour_keys(series)
    for job in session.scalars(of_it):
        if job.key.startswith(begins) and job.subject.get(INSTANCES) != series.instances:
            series.generation += 1
            return


def _was_contoured(session: Session, series: Series) -> bool:
    """Return whether fewer images of a series went to a rule before."""
    begins = jobs.contour_keys(series)
    earlier = select(Job.id).where(
        Job.series_id == series.id,
        Job.kind == "contour",
        Job.key.not_like(f"{begins}%"),
    )
    return session.scalar(earlier.limit(1)) is not None


def _look_at_structures_again(session: Session) -> None:
    """Judge structure sets again whose CT was not here: it may be the one that just came."""
    waiting = select(Series).where(Series.modality == "RTSTRUCT", Series.state == UNMATCHED)
    for series in session.scalars(waiting):
        series.state = ARRIVING


def main() -> None:
    """Run the watcher until the site ends."""
    site, store, ending = begin_child("watcher")
    mend_pynetdicom()
    Watcher(site, store).run(ending)


if __name__ == "__main__":
    main()
