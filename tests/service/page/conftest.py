"""A page with a small draft and an account of each role, asked in this process."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher
from starlette.types import ASGIApp
from tests.service.page.site_with_a_draft import (
    add_people,
    add_small_draft,
    password_of,
    write_site,
)

from recontour.service import accounts
from recontour.service.page.app import make_app
from recontour.service.settings import Site, read_site
from recontour.service.store import Store

HERE = ("127.0.0.1", 50_000)
TOKEN = re.compile(r'name="csrf" (?:content|value)="([^"]*)"')


def quick_hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Client:
    """A client of an application in this process. It follows nothing, and keeps cookies.

    Starlette's own wants a package that nothing else here needs.
    """

    def __init__(
        self, runner: asyncio.Runner, app: ASGIApp, base: str, peer: tuple[str, int]
    ) -> None:
        transport = httpx.ASGITransport(app, client=peer)
        self._runner = runner
        self._client = httpx.AsyncClient(transport=transport, base_url=base)
        self.cookies = self._client.cookies

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.get(path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.post(path, **more))


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield a body whose length nobody knows beforehand."""
    for piece in pieces:
        yield piece


@dataclass(slots=True)
class Browser:
    """Somebody at a browser. csrf: what the page that they opened said."""

    client: Client
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, headers=self.headers, **more)

    def post(self, path: str, sent: Any = None, **more: Any) -> httpx.Response:
        headers = {"x-csrf-token": self.csrf} | self.headers
        return self.client.post(path, json=sent or {}, headers=headers, **more)

    def change(self, path: str, revision: int, **sent: Any) -> httpx.Response:
        """Ask to change draft 1, as the page does."""
        meant = {"draft_uid": self.draft_uid(), "revision": revision}
        if path != "approve":
            meant["request"] = uuid4().hex
        return self.post(f"/api/drafts/1/{path}", meant | sent)

    def draft_uid(self) -> str:
        uid: str = self.get("/api/series/1").json()["draft_uid"]
        return uid

    def log_in(self, name: str, password: str | None = None) -> httpx.Response:
        form = TOKEN.search(self.get("/login").text)
        assert form is not None
        fields = {"csrf": form[1], "name": name, "password": password or password_of(name)}
        answer = self.client.post("/login", data=fields, headers=self.headers)
        if answer.status_code == 303:
            self.open()
        return answer

    def open(self) -> None:
        """Open the list, for its token."""
        found = TOKEN.search(self.get("/").text)
        assert found is not None
        self.csrf = found[1]

    def dab(self, revision: int = 0, x_mm: float = 22.0) -> httpx.Response:
        brush = {"kind": "brush", "add": True, "slice": 2, "radius_mm": 4, "path_mm": [[x_mm, 0]]}
        return self.change("edits", revision, organ="Brainstem", op=brush)


@dataclass(slots=True)
class Served:
    """A page that is served."""

    site: Site
    store: Store
    runner: asyncio.Runner

    def browser(self, peer: tuple[str, int] = HERE, base: str = "http://127.0.0.1") -> Browser:
        app = make_app(self.site, self.store)
        return Browser(Client(self.runner, app, base, peer))

    def browsers(self, *names: str) -> list[Browser]:
        """Return browsers that talk to one process, each logged in."""
        app = make_app(self.site, self.store)
        found = []
        for name in names:
            browser = Browser(Client(self.runner, app, "http://127.0.0.1", HERE))
            if name:
                assert browser.log_in(name).status_code == 303
            found.append(browser)
        return found


@pytest.fixture(scope="session")
def page_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site with a small draft, number 1, and `PEOPLE`."""
    folder = tmp_path_factory.mktemp("page")
    site = read_site(write_site(folder))
    store = Store.of(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", quick_hasher)
        add_people(store)
    add_small_draft(site, store)
    store.engine.dispose()
    return folder


@pytest.fixture
def served(page_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(accounts, "_hasher", quick_hasher)
    accounts._nobodys_hash.cache_clear()
    folder = tmp_path / "copied"
    shutil.copytree(page_site, folder)
    site = read_site(folder / "SITE.toml")
    store = Store.of(site)
    with asyncio.Runner() as runner:
        yield Served(site, store, runner)
    store.engine.dispose()
    accounts._nobodys_hash.cache_clear()
