"""A candidate: adapted to the corrected patients, and judged by those who were kept aside.

    the site's own model -- adapt, patients to learn from --> learnt
    learnt, the model in use -- accept, patients kept aside --> candidate, or refused

It is adapted from the model of SITE.toml, not from the one in use: the cohort has every correction
there is, so nothing is lost, and what the models before it learnt badly is not inherited
(docs/decisions/066-the-loop.md). An organ that the gate does not promote stays that of the model in
use. Nothing here puts a model in use.

Every step can be killed: the training goes on from its checkpoint, and a report without its version
is made again.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from recontour.assess.acceptance import Acceptance
from recontour.cohort import Cohort
from recontour.errors import ResumeError, SettingsError
from recontour.evaluation.gate import Decision
from recontour.files import write_text
from recontour.findings import log_finding
from recontour.network import load_model
from recontour.progress import Progress, quiet
from recontour.service import jobs
from recontour.service.audit import Event, audit
from recontour.service.folder import SiteFolder
from recontour.service.loop.collect import part_of
from recontour.service.loop.due import LEARNT_FROM, collected, corrected, refuse_too_few
from recontour.service.loop.findings import OrgansNotCorrected
from recontour.service.loop.versions import (
    AGAINST,
    CANDIDATE,
    REFUSED,
    add,
    called,
    file_of,
    from_site_file,
    in_use,
    next_number,
    sha256_of_file,
)
from recontour.service.settings import Site
from recontour.service.store import ModelVersion, Store
from recontour.training.folder import RunFolder
from recontour.wording import plural
from recontour.workflows.accepting import accept
from recontour.workflows.check_folder import CheckFolder
from recontour.workflows.learning import adapt

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What a model is to learn from, and to be tested with.

    training, aside: ids of cases. patients: how many of the first. parent, used: the site's own
    version, and the one in use.
    """

    name: str
    number: int
    training: tuple[str, ...]
    aside: tuple[str, ...]
    patients: int
    parent: ModelVersion
    used: ModelVersion


@dataclass(frozen=True, slots=True)
class _Files:
    """Where a learning writes.

    learnt: by the adaptation. cases: what that learns from. version: what may be promoted.
    """

    cohort: Path
    learnt: Path
    cases: Path
    version: Path
    report: Path

    @classmethod
    def of(cls, site: Site, lesson: _Lesson) -> "_Files":
        folder = SiteFolder(site.folder)
        models = folder.models(lesson.name)
        stem = f"{lesson.name}-{lesson.number}"
        return cls(
            cohort=folder.corrected(lesson.name),
            learnt=models / f"{stem}-learnt.safetensors",
            cases=models / f"{stem}-learnt.json",
            version=models / f"{stem}.safetensors",
            report=folder.acceptance(lesson.name, lesson.number),
        )


def learn(
    site: Site,
    store: Store,
    name: str,
    progress: Progress = quiet,
    *,
    job_id: int | None = None,
) -> ModelVersion:
    """Let a model learn from its corrected patients; return the version that came of it.

    job_id: of the job that is done with it.
    Called again after a kill, it goes on. What `progress` raises ends it, and it can go on, too.
    Raises: RecontourError: there is too little to learn from or to test with, or a model, a case or
        the folder cannot be used.
    """
    lesson = _lesson(site, store, name)
    files = _Files.of(site, lesson)
    _refuse_organs_lost(site, lesson, files)
    files.learnt.parent.mkdir(parents=True, exist_ok=True)
    _forget_other_lesson(lesson, files)
    if not files.learnt.exists():
        with part_of(files.cohort, lesson.training) as cohort:
            _adapt(file_of(site, lesson.parent), cohort, files.learnt, progress)
    while True:
        with store.begin() as session:
            used = in_use(session, name)
        found = _judged(site, used, lesson, files, progress)
        with store.begin() as session:
            if in_use(session, name).id != used.id:
                continue  # somebody put another model in use meanwhile
            version = _note(session, site, lesson, files, found, used)
            if job_id is not None:
                jobs.done(session, job_id)
        files.learnt.unlink(missing_ok=True)
        files.cases.unlink(missing_ok=True)
        return version


def _forget_other_lesson(lesson: _Lesson, files: _Files) -> None:
    """Delete what was learnt from other cases, by a learning that did not come to its end."""
    cases = json.dumps(lesson.training)
    if files.cases.exists() and files.cases.read_text("utf-8") != cases:
        files.learnt.unlink(missing_ok=True)
    write_text(files.cases, cases, replace=True)


def _lesson(site: Site, store: Store, name: str) -> _Lesson:
    with store.begin() as session:
        refuse_too_few(corrected(session, site, name))
        cases = collected(session, name)
        training = [one for one in cases if not one.is_aside]
        return _Lesson(
            name=name,
            number=next_number(session, name),
            training=tuple(sorted({one.case_id for one in training})),
            aside=tuple(sorted({one.case_id for one in cases if one.is_aside})),
            patients=len({one.patient for one in training}),
            parent=from_site_file(session, name),
            used=in_use(session, name),
        )


def _refuse_organs_lost(site: Site, lesson: _Lesson, files: _Files) -> None:
    """Raise SettingsError if the new model would lack an organ that a rule asks for."""
    known = load_model(file_of(site, lesson.used)).organs
    asked: set[str] = set()
    for rule in site.rules:
        if rule.model == lesson.name:
            asked |= set(rule.organs or known)
    opened = Cohort.open(files.cohort)
    drawn: set[str] = set()
    for case_id in lesson.training:
        drawn |= set(opened[case_id].organs)
    lost = tuple(organ for organ in known if organ in asked - drawn)
    if lost:
        raise SettingsError(OrgansNotCorrected(organs=lost))


def _adapt(parent: Path, cohort: Path, out: Path, progress: Progress) -> None:
    """Adapt a model, or go on with it; begin anew if the cases have changed since."""
    try:
        adapt(parent, cohort, out, resume=True, progress=progress)
    except ResumeError as error:
        log_finding(log, logging.WARNING, error.finding)
        RunFolder.beside(out).close()
        CheckFolder.beside(out).close()
        adapt(parent, cohort, out, progress=progress)


def _judged(
    site: Site, used: ModelVersion, lesson: _Lesson, files: _Files, progress: Progress
) -> Acceptance:
    """Judge what was learnt beside the model in use, and write the report and the joined model."""
    shutil.rmtree(files.report, ignore_errors=True)  # of a learning that was killed
    files.version.unlink(missing_ok=True)
    with part_of(files.cohort, lesson.aside) as cohort:
        return accept(
            cohort,
            files.learnt,
            files.report,
            against=file_of(site, used),
            per_organ=files.version,
            progress=progress,
        )


def _note(
    session: Session,
    site: Site,
    lesson: _Lesson,
    files: _Files,
    found: Acceptance,
    used: ModelVersion,
) -> ModelVersion:
    """Add the version that came of a learning: a candidate if any organ is promoted."""
    promoted = found.by_decision[Decision.PROMOTE]
    if not promoted:  # what was written is the model in use; what was learnt is kept for a look
        files.version.unlink()
        shutil.copy(files.learnt, files.version)
    version = add(
        session,
        lesson.name,
        file=str(files.version.relative_to(site.folder)),
        sha256=sha256_of_file(files.version),
        state=CANDIDATE if promoted else REFUSED,
        parent=lesson.parent,
        decided={
            AGAINST: used.id,
            LEARNT_FROM: lesson.patients,
            "tested with": found.images.patients,
            "organs": {one.organ: one.decision.value for one in found.organs},
            "words": _decided(found, promoted, called(used)),
        },
    )
    version.acceptance = str(files.report.relative_to(site.folder))
    what = f"{called(version)}: {version.state}, {len(promoted)} of {len(found.organs)} organs"
    audit(session, Event.LEARNT, "recontour", what=what)
    return version


def _decided(found: Acceptance, promoted: Sequence[str], used: str) -> str:
    """Say what the gate decided. used: what the version in use is called."""
    tested = f"tested with {plural(found.images.patients, 'patient')} against {used}"
    if not promoted:
        return f"no organ promoted, {tested}"
    said = f"promoted: {', '.join(promoted)}"
    if found.from_parent:
        said += f"; as in {used}: {', '.join(found.from_parent)}"
    return f"{said}; {tested}"
