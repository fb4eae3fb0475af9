"""The headers of every answer, and the limits of every request: its size, its pace, its origin.

Nothing is fetched from elsewhere, no script but our own runs, no other page may frame this one.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recontour.service.page.findings import BodyTooLarge, BodyTooSlow, ForeignRequest, TooManyTries
from recontour.service.page.refusals import RefusedError

OWN_ALONE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# A report of `recontour accept` has its style and pictures inside, and no script.
REPORT_ALONE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": OWN_ALONE,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
FOR_A_YEAR = "max-age=31536000"

BODY_S = 10.0  # for all of a request's body
WINDOW_S = 900.0  # in which wrong passwords are counted
TRIES_OF_ACCOUNT = 10
TRIES_OF_ADDRESS = 30
MOST_COUNTED = 10_000  # accounts and addresses in memory
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


class Guarded:
    """An application whose answers all carry the headers, also those that refuse."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_headers(list(message["headers"]), scope)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _with_headers(headers: list[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return headers with ours; what an answer says itself stays."""
    said = {name.lower() for name, _ in headers}
    for name, value in HEADERS.items():
        if name.encode() not in said:
            headers.append((name.encode(), value.encode()))
    if scope.get("scheme") == "https":
        headers.append((b"strict-transport-security", FOR_A_YEAR.encode()))
    return headers


async def body_of(request: Request, most_bytes: int) -> bytes:
    """Read the body of a request.

    Raises: RefusedError: it is too large, or comes too slowly.
    """
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > most_bytes:
        raise RefusedError(413, BodyTooLarge(most_bytes=most_bytes), CLOSE)
    try:
        async with asyncio.timeout(BODY_S):
            return await _body_of(request, most_bytes)
    except TimeoutError as error:
        raise RefusedError(408, BodyTooSlow(seconds=BODY_S), CLOSE) from error
    except ClientDisconnect as error:
        raise RefusedError(400, BodyTooSlow(seconds=BODY_S), CLOSE) from error


CLOSE = {"connection": "close"}


async def _body_of(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise RefusedError(413, BodyTooLarge(most_bytes=most_bytes), CLOSE)
    return bytes(body)


def refuse_other_sites(request: Request) -> None:
    """Raise RefusedError if a browser says that another site's page sent a request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError(403, ForeignRequest())


def refuse_other_names(request: Request) -> None:
    """Raise RefusedError if a page without login is called by another name than this machine's.

    Otherwise a page of another site could make its own name lead here, and read everything.
    """
    name = request.url.hostname or ""
    if name not in LOCAL_NAMES:
        raise RefusedError(403, ForeignRequest())


@dataclass(slots=True)
class WrongPasswords:
    """Counts wrong passwords by account and by address, in memory."""

    _at: dict[str, deque[float]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def refuse_too_many(self, account: str, address: str) -> None:
        """Raise RefusedError if an account or an address has had its tries."""
        waits = []
        with self._guard:
            for key, most in _counted(account, address):
                tries = self._recent(key)
                if len(tries) >= most:
                    waits.append(tries[0] + WINDOW_S - time.monotonic())
        if waits:
            seconds = max(1, int(max(waits)) + 1)
            finding = TooManyTries(minutes=seconds // 60 + 1)
            raise RefusedError(429, finding, {"retry-after": str(seconds)})

    def count(self, account: str, address: str) -> None:
        """Count a wrong password."""
        with self._guard:
            for key, _ in _counted(account, address):
                self._recent(key).append(time.monotonic())

    def forget(self, account: str) -> None:
        """Begin again for an account whose password was right."""
        with self._guard:
            self._at.pop(f"account {account}", None)

    def _recent(self, key: str) -> deque[float]:
        """Return the times of the last wrong passwords; the oldest keys make room."""
        tries = self._at.setdefault(key, deque())
        while tries and tries[0] < time.monotonic() - WINDOW_S:
            tries.popleft()
        while len(self._at) > MOST_COUNTED:
            self._at.pop(next(iter(self._at)))
        return tries


def _counted(account: str, address: str) -> tuple[tuple[str, int], tuple[str, int]]:
    by_account = (f"account {account}", TRIES_OF_ACCOUNT)
    return by_account, (f"address {address}", TRIES_OF_ADDRESS)
