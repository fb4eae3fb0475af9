"""Requests in, answers out: who asks, may they, is it ours, what is the answer.

Answers are made in threads, since the database and the contours wait for the disk and the
processor. A request that nothing answers must log in, too: nobody learns which addresses there are.
"""

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from recontour.errors import RecontourError
from recontour.findings import Finding, kind, words
from recontour.service.page.asked import Asked, Page, answered, refuse_unless_may
from recontour.service.page.findings import NotThere, WentWrong
from recontour.service.page.pages import refusal
from recontour.service.page.refusals import RefusedError, status_of
from recontour.service.page.routes import ROUTES, Declared
from recontour.service.page.security import Guarded, body_of, refuse_other_sites
from recontour.service.page.sessions import Visitor, refuse_foreign
from recontour.service.settings import Site
from recontour.service.store import Store

log = logging.getLogger(__name__)

CSRF_HEADER = "x-csrf-token"
API = "/api/"


def make_app(site: Site, store: Store) -> ASGIApp:
    """Return the application of a site's page."""
    page = Page.of(site, store)
    routes = []
    for declared in ROUTES:
        endpoint = _endpoint(page, declared)
        routes.append(Route(declared.path, endpoint, methods=[declared.method]))
    others = _endpoint(page, Declared("GET", "", "view", _nothing))
    app = Starlette(
        routes=routes,
        exception_handlers={404: _as_handler(others), 405: _as_handler(others)},
    )
    app.router.redirect_slashes = False
    return Guarded(app)


Endpoint = Callable[[Request], Awaitable[Response]]


def _as_handler(endpoint: Endpoint) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, _error: Exception) -> Response:
        return await endpoint(request)

    return handler


def _nothing(_asked: Asked) -> Response:
    raise RefusedError(404, NotThere())


def _endpoint(page: Page, declared: Declared) -> Endpoint:
    """Return what answers an address: only after everything that guards it."""

    async def endpoint(request: Request) -> Response:
        visitor: Visitor | None = None
        try:
            visitor = await run_in_threadpool(page.sessions.visitor, request)
            if declared.role:
                refuse_unless_may(visitor, declared.role)
            body = b""
            if request.method == "POST":
                refuse_other_sites(request)
                body = await body_of(request, declared.most_bytes)
            asked = _asked(page, request, visitor, body)
            if request.method == "POST" and visitor and declared.token != "own":
                refuse_foreign(visitor, _token(request, asked, declared))
            return await run_in_threadpool(declared.answer, asked)
        except RefusedError as refused:
            asked = _asked(page, request, visitor, b"")
            answer = _refused(asked, request, refused.status, refused.finding)
            answer.headers.update(refused.headers)
            return answer
        except RecontourError as error:
            asked = _asked(page, request, visitor, b"")
            return _refused(asked, request, status_of(error), error.finding)
        except Exception as error:
            # Its words, or a statement of the database, might name a patient.
            log.error("%s at %s", type(error).__name__, _place_of(error))
            asked = _asked(page, request, visitor, b"")
            return _refused(asked, request, 500, WentWrong(kind=type(error).__name__))

    return endpoint


def _asked(
    page: Page,
    request: Request,
    visitor: Visitor | None,
    body: bytes,
) -> Asked:
    return Asked(
        page=page,
        visitor=visitor,
        parts=request.path_params,
        query=request.query_params,
        body=body,
        cookies=request.cookies,
        is_secure=page.sessions.is_secure(request),
        address=page.sessions.address_of(request),
    )


def _token(
    request: Request,
    asked: Asked,
    declared: Declared,
) -> str:
    if declared.token == "form":
        return asked.form().get("csrf", "")
    return request.headers.get(CSRF_HEADER, "")


def _refused(
    asked: Asked,
    request: Request,
    status: int,
    finding: Finding,
) -> Response:
    """Return an answer that says why there is no other one, in JSON or as a page."""
    if request.url.path.startswith(API):
        return answered({"error": words(finding), "kind": kind(finding)}, status)
    if status == 401:
        return RedirectResponse("/login", 303)
    return refusal(asked, status, finding)


def _place_of(error: Exception) -> str:
    """Return where in the program an error came up."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    name = trace.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{name}:{trace.tb_lineno}"
