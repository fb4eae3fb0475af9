"""A small site."""

from pathlib import Path

import pytest

from recontour.service.settings import Rule, Site, SiteModel
from recontour.service.store import Store


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site with one model and one rule that takes everything."""
    models = {"north": SiteModel(tmp_path / "north.safetensors")}
    return Site(tmp_path / "site", models, (Rule("all", "north"),))


@pytest.fixture
def store(site: Site) -> Store:
    return Store.of(site)
