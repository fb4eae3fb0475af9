"""Every address of the page, and the role that it needs: there is no other way in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from recontour.service.page import drafts, models, pages, series
from recontour.service.page.asked import Asked
from recontour.service.roles import Role

SMALL = 16 * 2**10  # bytes of a body
STROKE = 2 * 2**20  # of a long stroke, or a line with many points


@dataclass(frozen=True, slots=True)
class Declared:
    """An address. role: the least that may ask; None: anybody. most_bytes: of a body.

    token: where a POST has its session's token: a header, or the form; "own": it has none, and
    the function that answers looks after itself. kind: what an error is answered with.
    """

    method: Literal["GET", "POST"]
    path: str
    role: Role | None
    answer: Callable[[Asked], Response]
    most_bytes: int = SMALL
    token: Literal["header", "form", "own"] = "header"
    kind: Literal["html", "json"] = "json"


ROUTES: tuple[Declared, ...] = (
    # HTML
    Declared("GET", "/", "view", pages.series_list, kind="html"),
    Declared("GET", "/review/{id}", "view", pages.review, kind="html"),
    Declared("GET", "/models", "view", pages.models, kind="html"),
    Declared("GET", "/acceptance/{id}/report.html", "view", models.report, kind="html"),
    Declared("GET", "/static/{name}", None, pages.static, kind="html"),
    Declared("GET", "/login", None, pages.login_form, kind="html"),
    Declared("POST", "/login", None, pages.login, token="own", kind="html"),
    Declared("POST", "/logout", "view", pages.logout, token="form", kind="html"),
    Declared("GET", "/health", None, pages.health),
    Declared("GET", "/metrics", None, pages.metrics),
    # Patients
    Declared("GET", "/api/series", "view", series.listed),
    Declared("GET", "/api/series/{id}", "view", series.one),
    Declared("GET", "/api/series/{id}/volume", "view", series.volume),
    Declared("POST", "/api/series/{id}/contour", "edit", series.contour),
    Declared("POST", "/api/jobs/{id}/again", "edit", series.again),
    # Contours
    Declared("GET", "/api/layers/{id}/contours", "view", drafts.contours),
    Declared("GET", "/api/drafts/{id}/working", "view", drafts.working),
    Declared("POST", "/api/drafts/{id}/edits", "edit", drafts.edit, most_bytes=STROKE),
    Declared("POST", "/api/drafts/{id}/undo", "edit", drafts.undo),
    Declared("POST", "/api/drafts/{id}/redo", "edit", drafts.redo),
    Declared("POST", "/api/drafts/{id}/lock", "edit", drafts.lock),
    Declared("POST", "/api/drafts/{id}/unlock", "edit", drafts.unlock),
    Declared("POST", "/api/drafts/{id}/approve", "approve", drafts.approved),
    # Models
    Declared("GET", "/api/models", "view", models.listed),
    Declared("POST", "/api/models/{name}/learn", "admin", models.learn),
    Declared("POST", "/api/models/{id}/promote", "admin", models.put_in_use),
    Declared("POST", "/api/models/{name}/roll-back", "admin", models.go_back),
)
