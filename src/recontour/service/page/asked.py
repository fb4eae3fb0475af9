"""What a request asks, as the functions that answer it see it."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import JSONResponse

from recontour.service.page.findings import NotLoggedIn, NotThere, NotUnderstood, RoleMissing
from recontour.service.page.refusals import RefusedError
from recontour.service.page.sessions import Sessions, Visitor
from recontour.service.review.working import Workbench
from recontour.service.roles import Role, may
from recontour.service.settings import Site
from recontour.service.store import Store

LARGEST_ID = 2**53
MOST_NOTED = 100_000  # of what is noted once in a session


@dataclass(slots=True)
class Once:
    """What has been noted in a session already, in memory."""

    _seen: dict[tuple[str, str, str], None] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def is_first(self, key: str, what: str, of: str) -> bool:
        """Return whether this is asked for the first time in a session. of: a UID."""
        with self._guard:
            if (key, what, of) in self._seen:
                return False
            self._seen[key, what, of] = None
            if len(self._seen) > MOST_NOTED:
                self._seen.pop(next(iter(self._seen)))
            return True


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("recontour.service.page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
    )


@dataclass(slots=True)
class Page:
    """What all requests share."""

    site: Site
    store: Store
    sessions: Sessions
    workbench: Workbench = field(default_factory=Workbench)
    once: Once = field(default_factory=Once)
    templates: Environment = field(default_factory=_templates)

    @classmethod
    def of(cls, site: Site, store: Store) -> "Page":
        """Return the page of a site."""
        return cls(site, store, Sessions(store, site.page))

    def file(self, relative: str) -> Path:
        """Return a file of the site's."""
        return self.site.folder / relative


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. parts: of its address. query: after it. body: what was sent."""

    page: Page
    visitor: Visitor | None
    parts: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""
    cookies: Mapping[str, str] = field(default_factory=dict)
    is_secure: bool = False
    address: str = ""

    @property
    def who(self) -> Visitor:
        """Return who asks, where only somebody known may ask."""
        assert self.visitor is not None  # the table of routes says so
        return self.visitor

    def may(self, needed: Role) -> bool:
        """Return whether the visitor may do something."""
        return self.visitor is not None and may(self.visitor.role, needed)

    def id(self, name: str = "id") -> int:
        """Return a number in the address. Raises: RefusedError: there can be nothing of it."""
        return whole_number(self.parts[name])

    def number(
        self,
        name: str,
        default: int,
    ) -> int:
        """Return a number after the address. Raises: RefusedError: it is none."""
        given = self.query.get(name, str(default))
        if not given.isascii() or not given.isdigit() or len(given) > 9:
            raise RefusedError(400, NotUnderstood(what=name))
        return int(given)

    def sent(self) -> dict[str, Any]:
        """Return the JSON object that was sent; nothing at all counts as an empty one.

        Raises: RefusedError: it is none.
        """
        try:
            found = json.loads(self.body or b"{}", parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, NotUnderstood(what="JSON")) from error
        if not isinstance(found, dict):
            raise RefusedError(400, NotUnderstood(what="JSON"))
        return found

    def form(self) -> Mapping[str, str]:
        """Return the fields of a form that was sent."""
        try:
            fields = parse_qs(self.body.decode("ascii"), max_num_fields=10, errors="strict")
        except (ValueError, UnicodeError) as error:
            raise RefusedError(400, NotUnderstood(what="form")) from error
        return {name: values[-1] for name, values in fields.items()}


def _refuse_constant(word: str) -> None:
    """Refuse NaN and infinity, which JSON does not have."""
    raise ValueError(word)


def refuse_unless_may(visitor: Visitor | None, needed: Role) -> None:
    """Raise RefusedError unless somebody may do something."""
    if visitor is None:
        raise RefusedError(401, NotLoggedIn())
    if not may(visitor.role, needed):
        raise RefusedError(403, RoleMissing(role=visitor.role, needed=needed))


def whole_number(words: str) -> int:
    """Return a number that may be an id. Raises: RefusedError: there can be nothing of it."""
    if not words.isascii() or not words.isdigit() or len(words) > 16:
        raise RefusedError(404, NotThere())
    if int(words) > LARGEST_ID:
        raise RefusedError(404, NotThere())
    return int(words)


def answered(content: Mapping[str, Any], status: int = 200) -> JSONResponse:
    """Return an answer in JSON."""
    return JSONResponse(dict(content), status)
