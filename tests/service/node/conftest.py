"""A receiver that listens in this process, and what it wrote."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.service.node.peers import free_port

from recontour.service.node import server
from recontour.service.node.mended import mend_pynetdicom
from recontour.service.node.receive import Receiver
from recontour.service.settings import NodeSettings, Rule, Site, SiteModel
from recontour.service.store import Store

mend_pynetdicom()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a receiver end quickly."""
    monkeypatch.setattr(server, "CHECK_S", 0.02)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site that takes every CT, and every series for complete as soon as it is quiet."""
    models = {"north": SiteModel(tmp_path / "north.safetensors")}
    node = NodeSettings(port=free_port(), quiet_s=1e-6, least_free_gib=0)
    return Site(tmp_path / "site", models, (Rule("all", "north"),), node=node)


@pytest.fixture
def store(site: Site) -> Store:
    return Store.of(site)


@pytest.fixture
def receiver(site: Site, store: Store) -> Iterator[Receiver]:
    listening = Receiver(site, store)
    listening.start()
    yield listening
    listening.stop()


Start = Callable[..., Receiver]


@pytest.fixture
def start(site: Site, store: Store) -> Iterator[Start]:
    """Start a receiver with other settings."""
    started = []

    def start_with(**settings: Any) -> Receiver:
        changed = replace(site, node=replace(site.node, **settings))
        listening = Receiver(changed, store)
        listening.start()
        started.append(listening)
        return listening

    yield start_with
    for one in started:
        one.stop()
