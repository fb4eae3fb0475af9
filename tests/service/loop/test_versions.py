"""Versions: what is in use, promoting, going back."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.errors import SettingsError
from recontour.service.loop import versions
from recontour.service.loop.findings import NotACandidate, NothingBefore, NoVersion
from recontour.service.loop.versions import CANDIDATE, IN_USE, REFUSED, RETIRED
from recontour.service.settings import Site, SiteModel
from recontour.service.store import Audited, ModelVersion, Store


@pytest.fixture
def registered(site: Site, store: Store) -> Site:
    site.models["north"].file.write_bytes(b"a model")
    with store.begin() as session:
        assert versions.register(session, site) == ()
    return site


def states(session: Session) -> list[str]:
    return [one.state for one in versions.versions_of(session, "north")]


def learnt(session: Session, state: str = CANDIDATE) -> ModelVersion:
    """Add a version as if it had been learnt from the one in use."""
    return versions.add(
        session,
        "north",
        file="models/north/n",
        sha256="0",
        state=state,
        parent=versions.from_site_file(session, "north"),
        decided={versions.AGAINST: versions.in_use(session, "north").id},
    )


def test_the_model_of_the_site_file_is_number_0_and_in_use_once(
    registered: Site, store: Store
) -> None:
    with store.begin() as session:
        versions.register(session, registered)
        version = versions.in_use(session, "north")
        assert (version.number, version.parent_id) == (0, None)
        assert versions.file_of(registered, version) == registered.models["north"].file
        assert states(session) == [IN_USE]


def test_a_model_that_lies_elsewhere_is_the_same_and_another_one_is_new(
    registered: Site, store: Store, tmp_path: Path
) -> None:
    moved = tmp_path / "moved.safetensors"
    registered.models["north"].file.rename(moved)
    site = replace(registered, models={"north": SiteModel(moved)})
    with store.begin() as session:
        versions.register(session, site)
        assert versions.file_of(site, versions.in_use(session, "north")) == moved
        assert states(session) == [IN_USE]
    moved.write_bytes(b"another model")
    with store.begin() as session:
        versions.register(session, site)
        assert states(session) == [RETIRED, IN_USE]


def test_a_missing_model_is_said_and_not_in_use(site: Site, store: Store) -> None:
    with store.begin() as session:
        (finding,) = versions.register(session, site)
        assert finding.path == site.models["north"].file
        with pytest.raises(SettingsError) as caught:
            versions.in_use(session, "north")
    assert isinstance(caught.value.finding, NoVersion)


def test_a_promotion_retires_what_was_in_use_and_other_candidates(
    registered: Site, store: Store
) -> None:
    with store.begin() as session:
        other, better = learnt(session), learnt(session)
        versions.promote(session, better.id, "anna")
        versions.promote(session, better.id, "berta")  # a second click
        assert states(session) == [RETIRED, RETIRED, IN_USE]
        assert better.promoted_by == "anna"
        for stale in (other, learnt(session, REFUSED)):
            with pytest.raises(SettingsError) as caught:
                versions.promote(session, stale.id, "anna")
            assert isinstance(caught.value.finding, NotACandidate)
        written = session.scalars(select(Audited).where(Audited.who == "anna")).all()
        assert [one.what for one in written] == ["north version 2 in use"]


def test_going_back_is_one_step_each_time(registered: Site, store: Store) -> None:
    with store.begin() as session:
        for _ in range(2):
            versions.promote(session, learnt(session).id, "anna")
        assert versions.roll_back(session, "north", "anna").number == 1
        # Number 2 was accepted against number 1, so it may be promoted again.
        assert states(session) == [RETIRED, IN_USE, CANDIDATE]
        assert versions.roll_back(session, "north", "anna").number == 0
        assert states(session) == [IN_USE, CANDIDATE, RETIRED]
        assert not versions.can_roll_back(session, "north")
        with pytest.raises(SettingsError) as caught:
            versions.roll_back(session, "north", "anna")
        assert isinstance(caught.value.finding, NothingBefore)


def test_going_back_passes_over_a_version_that_was_taken_back(
    registered: Site, store: Store
) -> None:
    with store.begin() as session:
        versions.promote(session, learnt(session).id, "anna")
        versions.roll_back(session, "north", "anna")
        third = learnt(session)
        versions.promote(session, third.id, "anna")
        assert versions.roll_back(session, "north", "anna").number == 0
        assert states(session) == [IN_USE, RETIRED, CANDIDATE]
