"""A site with a small draft, made once and copied for each test."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session
from tests.service.page.site_with_a_draft import add_small_draft, write_site

from recontour.service.review.operations import operations
from recontour.service.review.prepared import Prepared, prepared
from recontour.service.review.working import Change, State, Step, Workbench, revision
from recontour.service.settings import Site, read_site
from recontour.service.store import Draft, Store


@dataclass(frozen=True, slots=True)
class Desk:
    """A draft, and somebody who edits it."""

    site: Site
    store: Store
    workbench: Workbench
    draft_id: int
    who: str = "doctor"

    @property
    def draft(self) -> Draft:
        with self.store.begin() as session:
            return session.get_one(Draft, self.draft_id)

    @property
    def shown(self) -> Prepared:
        return prepared(self.site.folder, self.draft)

    def edit(self, organ: str, at_revision: int | None = None, **operation: Any) -> Change:
        draft, shown = self.draft, self.shown
        asked = operations.validate_python(operation)
        with self.store.begin() as session:
            step = self.step(session, at_revision)
            return self.workbench.edit(session, draft, shown, step, organ, asked)

    def dab(self, x_mm: float = 20.0, organ: str = "Brainstem") -> Change:
        return self.edit(
            organ, kind="brush", add=True, slice=2, path_mm=[[x_mm, 0.0]], radius_mm=4.0
        )

    def undo(self) -> Change:
        with self.store.begin() as session:
            return self.workbench.undo(session, self.draft_id, self.step(session))

    def redo(self) -> Change:
        with self.store.begin() as session:
            return self.workbench.redo(session, self.draft_id, self.step(session))

    def step(self, session: Session, at_revision: int | None = None) -> Step:
        seen = revision(session, self.draft_id) if at_revision is None else at_revision
        return Step(self.who, seen, uuid4().hex)

    def state(self, workbench: Workbench | None = None) -> State:
        shown = self.shown
        with self.store.begin() as session:
            return (workbench or self.workbench).state(session, self.draft_id, shown)


@pytest.fixture(scope="session")
def made_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site with a small draft, number 1."""
    folder = tmp_path_factory.mktemp("made")
    site = read_site(write_site(folder))
    store = Store.of(site)
    add_small_draft(site, store)
    store.engine.dispose()
    return folder


@pytest.fixture
def desk(made_site: Path, tmp_path: Path) -> Desk:
    folder = tmp_path / "copied"
    shutil.copytree(made_site, folder)
    site = read_site(folder / "SITE.toml")
    return Desk(site, Store.of(site), Workbench(), 1)
