"""HTML, what it loads, login and logout, and what machines ask: health and metrics."""

import re
import secrets
from importlib.resources import files
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from recontour.findings import Finding, words
from recontour.service.health import Status, health_of
from recontour.service.page.asked import Asked, answered
from recontour.service.page.findings import NotThere
from recontour.service.page.refusals import RefusedError
from recontour.service.page.series import series_of
from recontour.service.page.sessions import BEFORE_LOGIN, COOKIE, LONGEST_S, is_same

STATIC = Path(str(files("recontour.service.page").joinpath("static")))
STATIC_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.(js|css|svg|png|ico|woff2)")
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
LONGEST_FIELD = 1000


def series_list(asked: Asked) -> Response:
    """Show the list of patients."""
    return shown(asked, "list.html")


def review(asked: Asked) -> Response:
    """Show one patient."""
    with asked.page.store.reading() as session:
        series = series_of(session, asked.id())
    return shown(asked, "review.html", series_id=series.id)


def models(asked: Asked) -> Response:
    """Show the models."""
    return shown(asked, "models.html")


def shown(
    asked: Asked,
    template: str,
    status: int = 200,
    **more: object,
) -> HTMLResponse:
    """Return a page. more: what this template needs beside what all do."""
    visitor = asked.visitor
    given: dict[str, object] = {
        "csrf": visitor.csrf if visitor else "",
        "me": visitor.name if visitor else None,
        "role": visitor.role if visitor else None,
        "open_to_all": not asked.page.site.page.login,
    }
    html = asked.page.templates.get_template(template).render(given | more)
    return HTMLResponse(html, status)


def refusal(asked: Asked, status: int, finding: Finding) -> HTMLResponse:
    """Return a page that says why there is no other one."""
    heading = "Not found" if status == 404 else "This is not possible"
    said = words(finding)
    return shown(asked, "message.html", status, heading=heading, words=said[:1].upper() + said[1:])


def static(asked: Asked) -> Response:
    """Answer with a file that pages load."""
    name = asked.parts["name"]
    path = STATIC / name
    if not STATIC_NAME.fullmatch(name) or not path.is_file():
        raise RefusedError(404, NotThere())
    headers = {"cache-control": "no-cache"}  # kept, but asked about each time
    return FileResponse(path, media_type=KINDS.get(path.suffix), headers=headers)


# Login


def login_form(asked: Asked) -> Response:
    """Show the form of a login."""
    if asked.visitor:
        return RedirectResponse("/", 303)
    return _form(asked, 200, "", "")


def _form(
    asked: Asked,
    status: int,
    problem: str,
    name: str,
) -> Response:
    cookie = secrets.token_urlsafe(32)
    csrf = asked.page.sessions.form_token(cookie)
    answer = shown(asked, "login.html", status, csrf=csrf, problem=problem, name=name)
    answer.set_cookie(
        BEFORE_LOGIN,
        cookie,
        path="/login",
        secure=asked.is_secure,
        httponly=True,
        samesite="strict",
    )
    return answer


def login(asked: Asked) -> Response:
    """Log somebody in, or show the form again."""
    form = asked.form()
    sessions = asked.page.sessions
    cookie = asked.cookies.get(BEFORE_LOGIN, "")
    name = form.get("name", "").strip()[:64]
    password = form.get("password", "")[:LONGEST_FIELD]
    if not cookie or not is_same(form.get("csrf", ""), sessions.form_token(cookie)):
        return _form(asked, 403, "This form was too old. Try again.", name)
    try:
        token = sessions.log_in(name, password, asked.address)
    except RefusedError as refused:
        said = refused.finding.sentence()
        answer = _form(asked, refused.status, f"{said[:1].upper()}{said[1:]}.", name)
        answer.headers.update(refused.headers)
        return answer
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LONGEST_S),
        path="/",
        secure=asked.is_secure,
        httponly=True,
        samesite="strict",
    )
    answer.delete_cookie(BEFORE_LOGIN, path="/login")
    return answer


def logout(asked: Asked) -> Response:
    """Log somebody out."""
    asked.page.sessions.log_out(asked.who)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/")
    return answer


# For machines


def health(asked: Asked) -> Response:
    """Say how the site fares; nothing here names a patient."""
    found = health_of(asked.page.site, asked.page.store)
    return answered(found.facts(), 503 if found.status is Status.DOWN else 200)


def metrics(asked: Asked) -> Response:
    """Say the same in numbers, for Prometheus."""
    found = health_of(asked.page.site, asked.page.store)
    return Response(found.metrics(), media_type=CONTENT_TYPE_LATEST)
