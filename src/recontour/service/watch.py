"""The watcher: sees when a series is complete, and decides what becomes of it.

What is refused, broken off or short is shown, and nothing is made of it. A complete CT goes to the
first rule that takes it. A structure set that comes from elsewhere is kept with its CT, for the
loop.

    python -m recontour.service.watch SITE.toml
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.dicom.received import drawn_on_series, slices_in
from recontour.errors import DicomError
from recontour.findings import Finding, as_json, log_finding
from recontour.service import jobs
from recontour.service.child import Ending, begin_child
from recontour.service.findings import NoRuleTakes
from recontour.service.folder import SiteFolder
from recontour.service.node.complete import Transfer, judge
from recontour.service.node.findings import (
    CountUnknown,
    LateSlices,
    NoScanOfStructures,
    OtherCount,
)
from recontour.service.node.keeping import listed
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
ASK_AGAIN_S = 15.0  # between two questions for the count of one series
PATIENCE_S = 600.0  # with a source whose count is another, after the last image
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
        self._asked_at: dict[int, float] = {}

    def run(self, ending: Ending) -> None:
        """Look again and again, and delete what has expired, until it is time to end."""
        deleted_at = 0.0
        while not ending.wait(LOOK_S):
            self.look()
            if now() - deleted_at > EXPIRY_S:
                deleted_at = now()
                delete_expired(self._site, self._store)

    def look(self) -> None:
        """Judge every series that is arriving, each in a transaction of its own."""
        with self._store.reading() as session:
            arriving = select(Series.id, Series.last_at).where(Series.state == ARRIVING)
            waiting = list(session.execute(arriving))
        for series_id, last_at in waiting:
            if now() - last_at >= self._site.node.quiet_s:
                self._judge(series_id)

    def _judge(self, series_id: int) -> None:
        expected = None
        with self._store.begin() as session:
            found = self._judged(session, series_id)
            if found is None:
                return
            if not self._must_count(found):
                self._take(session, found)
                return
        if self._is_asked_lately(series_id):
            return
        expected = self._count(found)  # a question over the network, while nothing is locked
        with self._store.begin() as session:
            again = self._judged(session, series_id)
            if again is None or again.last_at != found.last_at:
                return
            against = self._against_count(again, expected)
            if against is None:
                self._take(session, again)
            else:
                again.finding = as_json(against)
                if now() - again.last_at > PATIENCE_S and isinstance(against, OtherCount):
                    again.state = INCOMPLETE

    def _judged(self, session: Session, series_id: int) -> Series | None:
        """Judge a series; return it if it is complete as far as we can see."""
        series = session.get(Series, series_id)
        if series is None or series.state != ARRIVING:
            return None
        kept, rivals = listed(self._folder.received(series.uid))
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

    def _is_asked_lately(self, series_id: int) -> bool:
        moment = now()
        if moment - self._asked_at.get(series_id, 0.0) < ASK_AGAIN_S:
            return True
        self._asked_at[series_id] = moment
        return False

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

    def _against_count(self, series: Series, expected: int | None) -> Finding | None:
        source = self._site.node.query or ""
        if expected is None:
            return CountUnknown(source=source)
        if expected == series.instances:
            return None
        return OtherCount(source=source, instances=series.instances, expected=expected)

    # What becomes of it

    def _take(self, session: Session, series: Series) -> None:
        self._asked_at.pop(series.id, None)
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
        jobs.put(
            session,
            "contour",
            f"contour {series.id} {series.generation} {rule.name}",
            {"rule": rule.name, "anyway": False, INSTANCES: series.instances},
            series_id=series.id,
        )
        series.state = TAKEN
        series.finding = None
        if series.generation:
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
    prefix = f"contour {series.id} {series.generation} "
    of_it = select(Job).where(Job.series_id == series.id, Job.kind == "contour")
    for job in session.scalars(of_it):
        if job.key.startswith(prefix) and job.subject.get(INSTANCES) != series.instances:
            series.generation += 1
            return


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
