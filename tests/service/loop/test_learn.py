"""A model learns from corrected patients, and is judged by those who were kept aside."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from tests.conftest import fill
from tests.network.test_heads import child_of

from recontour.cohort import Cohort
from recontour.contouring.contourer import Contourer
from recontour.errors import ResumeError, SettingsError
from recontour.findings import Unexpected
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model, save_model
from recontour.progress import Progress, quiet
from recontour.service import jobs
from recontour.service.child import Ending
from recontour.service.folder import SiteFolder
from recontour.service.loop import due, learner, versions
from recontour.service.loop.findings import NobodyToLearnFrom, OrgansNotCorrected, TooFewAside
from recontour.service.loop.learn import learn
from recontour.service.loop.learner import do_next
from recontour.service.loop.versions import CANDIDATE, IN_USE, REFUSED
from recontour.service.settings import LoopSettings, Rule, Site
from recontour.service.store import (
    DONE,
    FAILED,
    WAITING,
    Audited,
    Collected,
    Job,
    ModelVersion,
    Store,
)

ASIDE = 8  # of fourteen patients


@pytest.fixture
def corrected(site: Site, store: Store, model: Model) -> Site:
    """A site that knows fourteen corrected patients, eight of them aside."""
    save_model(model, site.models["north"].file)
    with store.begin() as session:
        versions.register(session, site)
        cohort = Cohort.open_or_create(SiteFolder(site.folder).corrected("north"), "site")
        for number, case_id in enumerate(fill(cohort, 14).case_ids):
            of_case = {"case_id": case_id, "patient": case_id, "at": float(number)}
            session.add(Collected(model="north", is_aside=number < ASIDE, **of_case))
    return site


@pytest.fixture
def adapted(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Adapt at once; return which cases each adaptation learnt from."""
    learnt: list[tuple[str, ...]] = []

    def adapt(parent: Path, cohort: Path, out: Path, *, progress: Progress, **_: object) -> None:
        progress("training", 1, 2, "")
        learnt.append(Cohort.open(cohort).case_ids)
        save_model(child_of(load_model(parent), "site", share=0.0), out)

    monkeypatch.setattr("recontour.service.loop.learn.adapt", adapt)
    return learnt


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw the figures of reports."""

    def write(path: Path, *_: object) -> None:
        path.write_text("a report")

    monkeypatch.setattr("recontour.workflows.accepting.write_acceptance_page", write)


def draw(monkeypatch: pytest.MonkeyPatch, site: Site, better: str) -> None:
    """Let an adapted model contour one organ better than its parent, and miss every other."""
    cohort = Cohort.open(SiteFolder(site.folder).corrected("north"))

    def contour(
        self: Contourer, hu: Any, grid: object, organs: Sequence[str] | None = None
    ) -> list[tuple[str, Mask]]:
        case = next(one for one in cohort if np.array_equal(one.hu, hu))
        is_adapted = bool(self.model.provenance.parent_sha256)
        found = []
        for organ in organs or ():
            mask = case.mask(organ).copy()
            if is_adapted and organ != better:
                mask[:] = False
            if not is_adapted and organ == better:
                mask[3] = False
            found.append((organ, mask))
        return found

    monkeypatch.setattr(Contourer, "contour", contour)


def test_what_the_gate_promotes_is_a_candidate_and_the_rest_stays_as_it_was(
    corrected: Site,
    store: Store,
    adapted: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw(monkeypatch, corrected, better="Brainstem")
    version = learn(corrected, store, "north")
    cases = Cohort.open(SiteFolder(corrected.folder).corrected("north")).case_ids
    assert adapted == [cases[ASIDE:]]
    assert (version.state, version.number) == (CANDIDATE, 1)
    assert version.decided is not None
    assert version.decided["organs"] == {"Brainstem": "promote", "Lens_L": "keep the parent"}
    assert version.decided["words"] == (
        "promoted: Brainstem; as in north version 0: Lens_L; "
        "tested with 8 patients against north version 0"
    )
    assert version.acceptance is not None
    assert (corrected.folder / version.acceptance / "report.html").exists()
    model = load_model(versions.file_of(corrected, version))
    assert [model.share_of(head) for head in (0, 1)] == [{"Brainstem": 1.0}, {"Lens_L": 1.0}]
    with store.begin() as session:
        assert versions.in_use(session, "north").number == 0  # a person has to promote it
        assert due.corrected(session, corrected, "north").new == 0
        said = session.scalars(select(Audited.what)).all()
    assert said[-1] == "north version 1: candidate, 1 of 2 organs"
    assert sorted(path.name for path in SiteFolder(corrected.folder).models("north").iterdir()) == [
        "north-1.safetensors"
    ]


@pytest.mark.usefixtures("adapted", "plain_report")
def test_what_the_gate_does_not_promote_is_refused_and_its_report_kept(
    corrected: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(monkeypatch, corrected, better="none")
    version = learn(corrected, store, "north")
    assert version.state == REFUSED
    assert version.acceptance is not None
    assert (corrected.folder / version.acceptance / "report.html").exists()
    with store.begin() as session, pytest.raises(SettingsError):
        versions.promote(session, version.id, "anna")


@pytest.mark.usefixtures("adapted", "plain_report")
def test_a_second_candidate_is_judged_by_the_first_and_does_not_grow(
    corrected: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(monkeypatch, corrected, better="Brainstem")
    for number in (1, 2):
        version = learn(corrected, store, "north")
        assert version.number == number
        with store.begin() as session:
            in_use = versions.in_use(session, "north")
            assert version.decided is not None
            assert version.decided[versions.AGAINST] == in_use.id
            first = versions.from_site_file(session, "north")
            assert version.parent_id == first.id
            if version.state == CANDIDATE:
                versions.promote(session, version.id, "anna")
    assert len(load_model(versions.file_of(corrected, version)).heads) <= 2


@pytest.mark.usefixtures("plain_report")
def test_a_learning_that_was_killed_goes_on_and_its_remains_are_overwritten(
    corrected: Site,
    store: Store,
    adapted: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw(monkeypatch, corrected, better="Brainstem")
    folder = SiteFolder(corrected.folder)

    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("recontour.service.loop.learn._note", killed)
        with pytest.raises(KilledError):
            learn(corrected, store, "north")
    assert folder.acceptance("north", 1).exists()
    version = learn(corrected, store, "north")
    assert (version.number, version.state) == (1, CANDIDATE)
    assert len(adapted) == 1


@pytest.mark.usefixtures("plain_report")
def test_a_learning_begins_anew_if_its_cases_have_changed(
    corrected: Site, store: Store, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(monkeypatch, corrected, better="Brainstem")
    asked = []

    def adapt(parent: Path, cohort: Path, out: Path, *, resume: bool = False, **_: object) -> None:
        asked.append(resume)
        if resume:
            raise ResumeError(Unexpected(reason="other cases"))
        save_model(child_of(model, "site", share=0.0), out)

    monkeypatch.setattr("recontour.service.loop.learn.adapt", adapt)
    assert learn(corrected, store, "north").state == CANDIDATE
    assert asked == [True, False]


def test_too_few_patients_on_either_side_are_said_with_how_many_more(
    corrected: Site, store: Store
) -> None:
    with store.begin() as session:
        for row in session.scalars(select(Collected).limit(ASIDE - 2)):
            session.delete(row)
    with pytest.raises(SettingsError) as caught:
        learn(corrected, store, "north")
    # Three organs were corrected: 0.5^5 is above 0.05 / 3, and 0.5^6 below.
    assert caught.value.finding == TooFewAside(patients=2, more=4)
    with store.begin() as session:
        for row in session.scalars(select(Collected).where(~Collected.is_aside)):
            session.delete(row)
        session.flush()
        with pytest.raises(SettingsError) as caught:
            due.ask_to_learn(session, corrected, "north", "anna")
    assert isinstance(caught.value.finding, NobodyToLearnFrom)


def test_an_organ_that_a_rule_asks_for_must_have_been_corrected(
    corrected: Site, store: Store, model: Model
) -> None:
    save_model(replace(model, organs=("Brainstem", "Larynx")), corrected.folder / "other")
    with store.begin() as session:
        versions.in_use(session, "north").file = "other"
    with pytest.raises(SettingsError) as caught:
        learn(corrected, store, "north")
    assert caught.value.finding == OrgansNotCorrected(organs=("Larynx",))


def test_a_model_learns_by_itself_once_when_enough_is_new(corrected: Site, store: Store) -> None:
    site = replace(corrected, loop=LoopSettings(after=6))
    with store.begin() as session:
        assert due.learning_in_words(session, site, "north") == "learns when somebody asks"
        for not_yet in (0, 7):
            other = replace(site, loop=LoopSettings(after=not_yet))
            assert due.learn_if_due(session, other, "north") is None
        job = due.learn_if_due(session, site, "north")
        assert job is not None
        assert job.subject == {"model": "north"}
        assert due.learn_if_due(session, site, "north") is None
        assert due.ask_to_learn(session, site, "north", "anna") is job
        assert due.learning_in_words(session, site, "north") == "is going to learn"
        jobs.claim(session, "learn", 1)
        jobs.failed(session, job.id, NobodyToLearnFrom(), again=False)
        again = due.learn_if_due(session, site, "north")
        assert again is job  # it is not begun again before there is more to learn from
        assert again.state == FAILED
        assert due.learning_in_words(session, site, "north").startswith("failed: nobody")


def test_the_words_say_what_a_model_waits_for(corrected: Site, store: Store) -> None:
    with store.begin() as session:
        said = due.learning_in_words(session, corrected, "north")
    assert said == "waits for 4 more patients to learn from"


# The process


@pytest.mark.usefixtures("adapted", "plain_report")
def test_the_learner_learns_and_leaves_its_job_when_it_is_to_end(
    corrected: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(monkeypatch, corrected, better="Brainstem")
    with store.begin() as session:
        job_id = due.ask_to_learn(session, corrected, "north", "anna").id
    ending = Ending()
    ending.ask()
    assert do_next(corrected, store, ending)
    with store.begin() as session:
        assert session.get_one(Job, job_id).state == WAITING
    assert do_next(corrected, store, Ending())
    with store.begin() as session:
        assert session.get_one(Job, job_id).state == DONE
        states = [one.state for one in session.scalars(select(ModelVersion))]
    assert states == [IN_USE, CANDIDATE]
    assert not do_next(corrected, store, Ending())


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SettingsError(NobodyToLearnFrom()), FAILED),
        (OSError(28, "No space left on device"), WAITING),
        (ZeroDivisionError("a mistake of ours"), FAILED),
    ],
)
def test_what_fails_is_said_and_the_rest_goes_on(
    site: Site, store: Store, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(learner, "collect_approval", fail)
    with store.begin() as session:
        job_id = jobs.put(session, "collect", "collect 1", {"approval": 1}).id
    assert do_next(site, store, Ending())
    with store.begin() as session:
        job = session.get_one(Job, job_id)
        assert job.state == state
        assert job.finding is not None


@pytest.mark.usefixtures("plain_report")
def test_a_rule_may_ask_for_fewer_organs(
    corrected: Site,
    store: Store,
    model: Model,
    adapted: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no rule asks for may be lost."""
    site = replace(corrected, rules=(Rule("all", "north", organs=("Brainstem",)),))
    save_model(replace(model, organs=("Brainstem", "Larynx")), site.folder / "other")
    with store.begin() as session:
        versions.in_use(session, "north").file = "other"
    draw(monkeypatch, site, better="Brainstem")
    learn(site, store, "north", quiet)
    assert len(adapted) == 1
