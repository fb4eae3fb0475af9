"""Contour what a rule took: one series after the other, one model in memory at a time.

A draft's folder appears whole, then the database learns of it in one transaction. Whoever finds the
folder there after a kill uses it as it is, so that a draft keeps its SOP Instance UID.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from recontour.assess.caveats import patient_key
from recontour.contouring.contourer import Contourer
from recontour.contouring.review import ToReview
from recontour.dicom import (
    Scan,
    person_of,
    read_archive,
    read_structure_set,
    scan_of,
)
from recontour.errors import FaultError, ModelFileError, RecontourError
from recontour.files import whole_folder
from recontour.findings import Finding, Unexpected, as_json, stored_words
from recontour.organs import Template, read_template
from recontour.service import jobs
from recontour.service.audit import Event, audit
from recontour.service.child import Ending, begin_child, where
from recontour.service.findings import ChangedModel, RuleGone
from recontour.service.folder import SiteFolder
from recontour.service.jobs import DRAFT, Claimed
from recontour.service.loop.versions import called, file_of, in_use, sha256_of_file
from recontour.service.review.prepared import STRUCTURES, prepare
from recontour.service.settings import Rule, Site
from recontour.service.store import TAKEN, Draft, ModelVersion, Series, Store, now
from recontour.workflows.contouring import Contoured, salt_beside
from recontour.workflows.contouring import Job as Contouring

POLL_S = 0.2
INFO = "info.json"

log = logging.getLogger(__name__)


class _EndAskedError(Exception):
    """The site ends; what is being contoured is left for the next start."""


@dataclass(frozen=True, slots=True)
class _Ordered:
    """What a job asks for, as the database said when it began."""

    job_id: int
    series: Series
    generation: int
    rule: Rule
    version: ModelVersion
    anyway: bool


class Loaded:
    """The one model in memory, kept while the next series needs the same."""

    def __init__(self) -> None:
        self._sha256 = ""
        self._contourer: Contourer | None = None

    def of(self, version: ModelVersion, file: Path) -> Contourer:
        """Return a version's model; the one before it leaves the memory first.

        Raises: ModelFileError: the file is missing, damaged, or not that version's.
        """
        if self._contourer is None or self._sha256 != version.sha256:
            self._contourer = None
            contourer = Contourer.load(file)
            if sha256_of_file(file) != version.sha256:
                raise ModelFileError(ChangedModel(path=file, version=version.number))
            self._contourer, self._sha256 = contourer, version.sha256
        return self._contourer


def main() -> None:
    """Contour until the site ends."""
    site, store, ending = begin_child("worker")
    Worker(site, store, ending).run()


class Worker:
    """Does the `contour` jobs of a site."""

    def __init__(self, site: Site, store: Store, ending: Ending) -> None:
        self._site = site
        self._store = store
        self._ending = ending
        self._folder = SiteFolder(site.folder)
        self._loaded = Loaded()

    def run(self) -> None:
        """Do jobs until this process is asked to end."""
        while not self._ending.is_asked:
            if not self.do_one():
                self._ending.wait(POLL_S)

    def do_one(self) -> bool:
        """Do the job that has waited longest; return whether there was one."""
        with self._store.begin() as session:
            claimed = jobs.claim(session, "contour", os.getpid())
        if claimed is None:
            return False
        try:
            self._do(claimed)
        except _EndAskedError:
            with self._store.begin() as session:
                jobs.let_go(session, os.getpid())
        except FaultError as error:
            self._fail(claimed, error.finding, again=True)
        except RecontourError as error:
            self._fail(claimed, error.finding, again=False)
        except Exception as error:  # a fault of recontour's own stops this series alone
            log.error("job %d: %s", claimed.id, where(error))
            self._fail(claimed, Unexpected(reason=type(error).__name__), again=False)
        return True

    def _fail(self, claimed: Claimed, finding: Finding, *, again: bool) -> None:
        with self._store.begin() as session:
            job = jobs.failed(session, claimed.id, finding, again=again)
            state = job.state
        log.warning("job %d: %s (%s)", claimed.id, stored_words(finding), state)

    def _do(self, claimed: Claimed) -> None:
        ordered = self._ordered(claimed)
        if ordered is None:
            return
        place = self._folder.drafts(ordered.series.uid) / str(claimed.id)
        if not place.exists():
            with whole_folder(place) as partial:
                self._draw(ordered, partial)
        self._note(ordered, place)

    def _ordered(self, claimed: Claimed) -> _Ordered | None:
        """Read what a job asks for; None: slices came since, and a later job contours them."""
        with self._store.begin() as session:
            series = session.get_one(Series, claimed.series_id)
            generation = int(claimed.subject.get("generation", series.generation))
            if generation < series.generation:
                jobs.done(session, claimed.id)
                return None
            anyway = bool(claimed.subject.get("anyway"))
            if not _may_be_drawn(series, anyway):
                jobs.postpone(session, claimed.id)
                return None
            name = claimed.subject["rule"]
            rule = self._site.rule(name)
            if rule is None:
                jobs.failed(session, claimed.id, RuleGone(rule=name), again=False)
                return None
            version = in_use(session, rule.model)
            return _Ordered(claimed.id, series, generation, rule, version, anyway)

    def _draw(self, ordered: _Ordered, folder: Path) -> None:
        """Contour a series into a folder."""
        model = file_of(self._site, ordered.version)
        received = self._folder.received(ordered.series.uid)
        contourer = self._loaded.of(ordered.version, model)
        rule = ordered.rule
        template = read_template(rule.template) if rule.template else Template()
        salt = salt_beside(model)
        contouring = Contouring.of(
            contourer,
            model,
            rule.organs or None,
            "rtstruct",
            template,
            anyway=ordered.anyway,
            salt_name=salt.name if salt else None,
            called=called(ordered.version),
        )
        scan = scan_of(read_archive(received))
        patient = patient_key(person_of(scan.source.header).id, salt)
        out = folder / STRUCTURES
        found = contouring.contour(scan, patient, received, out, self._progress)
        _write_info(folder, found, ordered.version)
        self._prepare(folder, scan, out)

    def _prepare(self, folder: Path, scan: Scan, structures: Path) -> None:
        """Write what the page shows: the contours exactly as the structure set has them."""
        prepare(folder, scan, read_structure_set(structures, scan))

    def _progress(self, _what: str, _done: int, _total: int, _words: str) -> None:
        if self._ending.is_asked:
            raise _EndAskedError

    def _note(self, ordered: _Ordered, place: Path) -> None:
        """Tell the database of a draft, and what is to be sent where."""
        info = json.loads((place / INFO).read_text("utf-8"))
        relative = place.relative_to(self._site.folder)
        with self._store.begin() as session:
            series = session.get_one(Series, ordered.series.id)
            if series.generation > ordered.generation:
                # Slices came meanwhile; a later job draws all of them.
                jobs.done(session, ordered.job_id)
                self._set_aside(place)
                return
            if not _may_be_drawn(series, ordered.anyway):
                jobs.postpone(session, ordered.job_id)
                self._set_aside(place)
                return
            draft = Draft(
                series_id=series.id,
                generation=ordered.generation,
                rule=ordered.rule.name,
                folder=str(relative),
                made_at=now(),
                **info,
            )
            session.add(draft)
            session.flush()
            version = session.get_one(ModelVersion, draft.model_id)
            for destination in ordered.rule.destinations:
                subject = {
                    "file": str(relative / STRUCTURES),
                    "destination": destination,
                    DRAFT: draft.id,
                }
                key = f"send draft {draft.id} {destination}"
                jobs.put(session, "send", key, subject, series_id=series.id)
            audit(session, Event.DRAWN, "recontour", series=series, what=called(version))
            jobs.done(session, ordered.job_id)

    def _set_aside(self, place: Path) -> None:
        """Take a draft away before its job may be done again; the watcher deletes it later."""
        place.rename(self._folder.deleted / uuid4().hex)


def _may_be_drawn(series: Series, anyway: bool) -> bool:
    """Return whether a series is still whole: a slice may be refused after a rule took it."""
    return anyway or series.state == TAKEN


def _write_info(folder: Path, found: Contoured, version: ModelVersion) -> None:
    """Write what the row of a draft needs beside the draft, for a retry after a kill."""
    (structures,) = read_archive(folder).structure_sets
    info: Mapping[str, Any] = {
        "model_id": version.id,
        "sop_instance_uid": structures.sop_instance_uid,
        "organs": dict(found.names),
        "review_order": [_to_review(one) for one in found.review_order],
        "findings": [as_json(one) for one in found.warnings],
    }
    (folder / INFO).write_text(json.dumps(info, indent=1, allow_nan=False), "utf-8")


def _to_review(one: ToReview) -> Mapping[str, Any]:
    return {
        "organ": one.organ,
        "failures": [as_json(failure) for failure in one.failures],
        "soft_dice": one.soft_dice,
    }


if __name__ == "__main__":
    main()
