"""Models as JSON: their versions, what they may learn from, and what a person decides."""

from typing import Any

from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from recontour.service.loop.due import ask_to_learn, corrected, learning_in_words
from recontour.service.loop.versions import promote, roll_back, versions_of
from recontour.service.page.asked import Asked, answered
from recontour.service.page.findings import NotThere
from recontour.service.page.refusals import RefusedError
from recontour.service.page.security import REPORT_ALONE
from recontour.service.settings import Site
from recontour.service.store import ModelVersion

REPORT = "report.html"


def listed(asked: Asked) -> Response:
    """Answer with every model of the site."""
    site = asked.page.site
    with asked.page.store.reading() as session:
        models = [_model(session, site, name) for name in site.models]
    return answered({"models": models})


def _model(session: Session, site: Site, name: str) -> dict[str, Any]:
    state = corrected(session, site, name)
    return {
        "name": name,
        "versions": [_version(site, version) for version in versions_of(session, name)],
        "corrected": state.cases,
        "aside": state.aside,
        "new": state.new,
        "learning": learning_in_words(session, site, name),
    }


def _version(site: Site, version: ModelVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "number": version.number,
        "state": version.state,
        "made_at": version.made_at,
        "promoted_at": version.promoted_at,
        "promoted_by": version.promoted_by,
        "has_report": _report(site, version) is not None,
        "words": _decided(version),
    }


def _decided(version: ModelVersion) -> str:
    """Return what the gate found, in words; nothing if it was not asked."""
    return str((version.decided or {}).get("words", ""))


def _report(site: Site, version: ModelVersion) -> str | None:
    """Return the path of the report on a version; None if there is none."""
    if not version.acceptance:
        return None
    path = site.folder / version.acceptance / REPORT
    return str(path) if path.is_file() else None


def report(asked: Asked) -> Response:
    """Answer with the acceptance report on a version."""
    with asked.page.store.reading() as session:
        version = session.get(ModelVersion, asked.id())
    path = _report(asked.page.site, version) if version else None
    if path is None:
        raise RefusedError(404, NotThere())
    headers = {"content-security-policy": REPORT_ALONE}
    return FileResponse(path, media_type="text/html", headers=headers)


def learn(asked: Asked) -> Response:
    """Let a model learn from its corrected cases."""
    name = _known(asked)
    with asked.page.store.begin() as session:
        job = ask_to_learn(session, asked.page.site, name, asked.who.name)
        return answered({"job": job.id})


def put_in_use(asked: Asked) -> Response:
    """Put a candidate in use."""
    with asked.page.store.begin() as session:
        version = promote(session, asked.id(), asked.who.name)
        return answered({"version": _version(asked.page.site, version)})


def go_back(asked: Asked) -> Response:
    """Put the version in use that was in use before."""
    name = _known(asked)
    with asked.page.store.begin() as session:
        version = roll_back(session, name, asked.who.name)
        return answered({"version": _version(asked.page.site, version)})


def _known(asked: Asked) -> str:
    """Return the name of a model of the site. Raises: RefusedError: it has none of that name."""
    name = asked.parts["name"]
    if name not in asked.page.site.models:
        raise RefusedError(404, NotThere())
    return name
