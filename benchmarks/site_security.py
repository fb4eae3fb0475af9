#!/usr/bin/env python3
"""Try to get into a site's page, or to bring it down, over real connections; count.

    .venv/bin/python benchmarks/site_security.py

A site with a small draft and an account of each role is served by a process of its own. Every route
of its table is asked without login, by each lesser role, with the token of another's session, from
another site's page, and with a body that is too large; then come made-up cookies, paths that lead
out of the folder, ids that are none, bodies that are no JSON, wrong passwords, DICOM texts that are
markup, connections that send nothing or a byte now and then, and HTTP that is none. An attempt gets
in if it is answered with what only another person may see, or do. After each kind, the page must
still answer whoever may ask.

Prints a table, and writes docs/results/site_security.json. Takes about two minutes: slow clients
are slow.
"""

import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for tests/, which know how to make a site and to serve it

from tests.journeys.browsers import Served, free_port  # noqa: E402
from tests.service.page.site_with_a_draft import (  # noqa: E402
    PEOPLE,
    add_people,
    add_small_draft,
    password_of,
    write_site,
)

from real_centres import RESULTS  # noqa: E402
from recontour.findings import Unexpected, as_json  # noqa: E402
from recontour.service.page.main import HEADER_S, MOST_AT_ONCE  # noqa: E402
from recontour.service.page.routes import ROUTES, Declared  # noqa: E402
from recontour.service.page.security import BODY_S, HEADERS  # noqa: E402
from recontour.service.roles import may  # noqa: E402
from recontour.service.settings import read_site  # noqa: E402
from recontour.service.store import Draft, Series, Store  # noqa: E402

TOKEN = re.compile(r'name="csrf" (?:content|value)="([^"]*)"')
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }}alert(1)",
    "javascript:alert(1)",
)
WAYS_OUT = (
    "/static/../main.py",
    "/static/..%2f..%2faccounts.py",
    "/static/%2e%2e/%2e%2e/store.py",
    "/static/..\\..\\store.py",
    "/static//etc/passwd",
    "/static/page.css%00.js",
    "/acceptance/..%2f..%2fsite.db/report.html",
    "/acceptance/1/../../../site.db",
    "/api/layers/draft-1%2f..%2f..%2f..%2fsite.db/contours",
    "/api/series/1/volume/../../../../../site/site.db",
    "/review/..%2f..%2fetc%2fpasswd",
    "//etc/passwd",
)
NO_NUMBERS = ("0", "-1", "2", "1.0", "1e0", "0x1", "x", "9" * 15, "9" * 400, "1;drop", "%31%00")
NO_JSON = (b"[1]", b"{", b'{"a": NaN}', b"[" * 9000, b"\xff\xfe", b'"x"', b'{"op": {}}')
NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a client of TLS
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"\r\n" * 5000,
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 50_000,
    bytes(range(256)) * 40,
)


@dataclass(slots=True)
class Kind:
    """One kind of attempt. in_: how many got in. down: whether the page stopped answering."""

    name: str
    tried: int = 0
    got_in: int = 0
    down: bool = False
    odd: list[str] = field(default_factory=list)

    def count(self, is_in: bool, what: str) -> None:
        self.tried += 1
        if is_in:
            self.got_in += 1
            self.odd.append(what)


class Person:
    """Somebody at a browser."""

    def __init__(self, url: str, name: str = "") -> None:
        self.client = httpx.Client(base_url=url, timeout=60)
        self.csrf = ""
        if name:
            self.log_in(name, password_of(name))

    def log_in(self, name: str, password: str) -> int:
        form = TOKEN.search(self.client.get("/login").text)
        assert form is not None
        sent = {"csrf": form[1], "name": name, "password": password}
        status = self.client.post("/login", data=sent).status_code
        if status == 303:
            found = TOKEN.search(self.client.get("/").text)
            assert found is not None
            self.csrf = found[1]
        return status

    def ask(self, declared: Declared, **more: Any) -> httpx.Response:
        headers = {"x-csrf-token": self.csrf} | more.pop("headers", {})
        if declared.method == "POST" and "content" not in more:
            more["json"] = {}
        return self.client.request(declared.method, address(declared), headers=headers, **more)


def address(declared: Declared) -> str:
    path = declared.path.replace("/layers/{id}", "/layers/draft-1")
    return path.replace("{id}", "1").replace("{name}", "north")


GUARDED = [one for one in ROUTES if one.role is not None]
POSTS = [one for one in GUARDED if one.method == "POST"]


def is_refused(answer: httpx.Response) -> bool:
    """Return whether an answer sends away: to the login, or with a refusal."""
    to_login = answer.headers.get("location") == "/login"
    return to_login or answer.status_code in (400, 401, 403, 404, 408, 413, 422, 429)


# The kinds of attempts


def without_login(url: str, kind: Kind) -> None:
    nobody = Person(url)
    for declared in GUARDED:
        kind.count(not is_refused(nobody.ask(declared)), declared.path)
    for path in ("/nothing", "/api/nothing", "/docs", "/openapi.json", "/static/", "/.env"):
        kind.count(not is_refused(nobody.client.get(path)), path)


def by_lesser_roles(url: str, kind: Kind) -> None:
    for name, role in PEOPLE.items():
        person = Person(url, name)
        for declared in GUARDED:
            if not may(role, declared.role or "view"):
                answer = person.ask(declared)
                kind.count(answer.status_code != 403, f"{role} {declared.path}")


def with_another_s_token(url: str, kind: Kind) -> None:
    boss, doctor = Person(url, "boss"), Person(url, "doctor")
    for declared in POSTS:
        for token in ("", "x", doctor.csrf):
            answer = boss.ask(declared, headers={"x-csrf-token": token})
            kind.count(answer.status_code != 403, declared.path)


def from_other_sites(url: str, kind: Kind) -> None:
    boss = Person(url, "boss")
    for declared in POSTS:
        for site in ("cross-site", "same-site"):
            answer = boss.ask(declared, headers={"sec-fetch-site": site})
            kind.count(answer.status_code != 403, declared.path)


def with_made_up_cookies(url: str, kind: Kind) -> None:
    own = Person(url, "viewer").client.cookies["recontour"]
    cut, turned = own[:-1], own[::-1]
    for cookie in ("A" * 43, "", cut, turned, own + "A", "x" * 5000, "' OR 1=1 --", "../x"):
        for declared in GUARDED:
            answer = Person(url).ask(declared, headers={"cookie": f"recontour={cookie}"})
            kind.count(not is_refused(answer), declared.path)
    for header in ("X-Remote-User", "X-Forwarded-User", "X-Real-User", "Authorization"):
        answer = Person(url).client.get("/api/series", headers={header: "boss"})
        kind.count(not is_refused(answer), header)


def oversized(url: str, kind: Kind) -> None:
    boss = Person(url, "boss")
    for declared in POSTS:
        large = b"[" * (declared.most_bytes + 1)
        for content in (large, iter([large])):
            answer = boss.ask(declared, content=content)
            kind.count(answer.status_code != 413, declared.path)


def paths_that_lead_out(url: str, kind: Kind) -> None:
    host, port = _place(url)
    for person in (Person(url), Person(url, "boss")):
        cookie = person.client.cookies.get("recontour", "")
        for path in WAYS_OUT:
            request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: recontour={cookie}\r\n"
            answer = _exchange((host, port), f"{request}Connection: close\r\n\r\n".encode())
            is_out = any(word in answer for word in (b"root:", b"SQLite format", b"import "))
            kind.count(is_out or b" 200 " in answer[:20], path)


def ids_that_are_none(url: str, kind: Kind) -> None:
    boss = Person(url, "boss")
    for declared in GUARDED:
        if "{id}" not in declared.path:
            continue
        for number in NO_NUMBERS:
            path = declared.path.replace("{id}", number)
            headers = {"x-csrf-token": boss.csrf}
            answer = boss.client.request(declared.method, path, headers=headers)
            kind.count(answer.status_code not in (400, 404), path[:60])


def bodies_that_are_none(url: str, kind: Kind) -> None:
    boss = Person(url, "boss")
    for path in ("edits", "approve"):
        for body in NO_JSON:
            headers = {"x-csrf-token": boss.csrf}
            answer = boss.client.post(f"/api/drafts/1/{path}", content=body, headers=headers)
            kind.count(answer.status_code != 400, repr(body[:20]))


def texts_that_are_markup(url: str, kind: Kind) -> None:
    boss = Person(url, "boss")
    for path in ("/", "/review/1", "/models", "/nothing"):
        answer = boss.client.get(path)
        is_guarded = answer.headers["content-security-policy"] == HEADERS["content-security-policy"]
        kind.count("alert(1)" in answer.text or not is_guarded, path)
    for path in ("/api/series", "/api/series/1", "/api/models", "/api/drafts/1/working"):
        answer = boss.client.get(path)
        is_json = answer.headers["content-type"] == "application/json"
        is_typed = answer.headers["x-content-type-options"] == "nosniff"
        kind.count(not (is_json and is_typed), path)
    for words in HOSTILE:
        nobody = Person(url)
        form = TOKEN.search(nobody.client.get("/login").text)
        assert form is not None
        sent = {"csrf": form[1], "name": words, "password": "x"}
        answer = nobody.client.post("/login", data=sent)
        kind.count(words in answer.text and "<" in words, words)
        answer = boss.client.get(f"/review/{words}")
        kind.count(words in answer.text and "<" in words, words)


def no_http(url: str, kind: Kind) -> None:
    place = _place(url)
    for content in NO_HTTP:
        answer = _exchange(place, content)
        kind.count(b" 200 " in answer[:20], repr(content[:20]))


def slow_clients(url: str, kind: Kind) -> None:
    """Send nothing, half a header, or a body a byte at a time, all at once."""
    boss = Person(url, "boss")
    cookie = boss.client.cookies["recontour"]
    head = (
        f"POST /api/drafts/1/edits HTTP/1.1\r\nHost: x\r\nCookie: recontour={cookie}\r\n"
        f"X-CSRF-Token: {boss.csrf}\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    half_header = b"GET / HTTP/1.1\r\nHost: x\r\n"
    starts = [b""] * 30 + [half_header] * 30 + [head] * 20
    with ThreadPoolExecutor(len(starts)) as pool:
        stayed = list(pool.map(lambda start: _stays(_place(url), start), starts))
    for start, is_there in zip(starts, stayed, strict=True):
        kind.count(is_there, f"still open after its time: {start[:20]!r}")


def _stays(place: tuple[str, int], start: bytes) -> bool:
    """Return whether a connection that goes on byte by byte is kept beyond its time."""
    end = time.monotonic() + max(HEADER_S, BODY_S) + 5
    with socket.create_connection(place, timeout=1) as connection:
        try:
            connection.sendall(start)
            while time.monotonic() < end:
                if start:
                    connection.sendall(b"a")
                try:
                    if not connection.recv(4096):
                        return False
                except TimeoutError:
                    continue
        except OSError:
            return False
    return True


def wrong_passwords(url: str, kind: Kind) -> None:
    """Guess. This comes last: the address is locked out afterwards."""
    guesser = Person(url)
    for number in range(60):
        status = guesser.log_in("boss" if number < 30 else f"boss{number}", f"guess {number}")
        kind.count(status == 303, f"guess {number}")
    status = guesser.log_in("boss", password_of("boss"))
    kind.count(status != 429, "the right one after too many")


KINDS: Sequence[tuple[str, Callable[[str, Kind], None]]] = (
    ("without login", without_login),
    ("by a lesser role", by_lesser_roles),
    ("with another session's token, or none", with_another_s_token),
    ("from another site's page", from_other_sites),
    ("with a made-up cookie or header", with_made_up_cookies),
    ("bodies that are too large", oversized),
    ("paths that lead out", paths_that_lead_out),
    ("ids that are none", ids_that_are_none),
    ("bodies that are no request", bodies_that_are_none),
    ("DICOM texts that are markup", texts_that_are_markup),
    ("HTTP that is none", no_http),
    ("slow clients", slow_clients),
    ("wrong passwords", wrong_passwords),
)


# Serving and counting


def _place(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def _exchange(place: tuple[str, int], content: bytes) -> bytes:
    """Send bytes, and return what comes back until the other side closes, or says no more."""
    answer = b""
    with socket.create_connection(place, timeout=3) as connection:
        try:
            connection.sendall(content)
            while part := connection.recv(65_536):
                answer += part
        except OSError:
            pass
    return answer


def is_up(person: Person) -> bool:
    """Return whether somebody who is logged in is answered."""
    try:
        return person.client.get("/api/series").status_code == 200
    except httpx.HTTPError:
        return False


def with_hostile_texts(store: Store) -> None:
    """Put markup into every text that comes from DICOM."""
    with store.begin() as session:
        series = session.get_one(Series, 1)
        texts = iter(HOSTILE)
        for name in ("patient_name", "patient_id", "description", "body_part", "manufacturer"):
            setattr(series, name, next(texts))
        series.finding = as_json(Unexpected(reason=HOSTILE[0]))
        draft = session.get_one(Draft, 1)
        draft.findings = [as_json(Unexpected(reason=words)) for words in HOSTILE]


def attempts(url: str) -> Iterator[Kind]:
    watcher = Person(url, "viewer")
    for name, attempt in KINDS:
        kind = Kind(name)
        attempt(url, kind)
        kind.down = not is_up(watcher)
        yield kind


def main() -> None:
    with TemporaryDirectory() as folder:
        path = write_site(Path(folder), port=free_port())
        site = read_site(path)
        store = Store.of(site)
        add_people(store)
        add_small_draft(site, store)
        with_hostile_texts(store)
        store.engine.dispose()
        with Served(path, site.page.port) as served:
            found = []
            for kind in attempts(served.url):
                found.append(kind)
                state = "DOWN" if kind.down else "up"
                print(f"{kind.name:40} {kind.tried:5} tried {kind.got_in:4} got in   {state}")
                for what in kind.odd[:5]:
                    print(f"    {what}")
    result = {
        "routes": len(ROUTES),
        "open_routes": sorted({one.path for one in ROUTES if one.role is None}),
        "connections_at_once": MOST_AT_ONCE,
        "attempts": {
            kind.name: {"tried": kind.tried, "got_in": kind.got_in, "is_up": not kind.down}
            for kind in found
        },
        "tried": sum(kind.tried for kind in found),
        "got_in": sum(kind.got_in for kind in found),
    }
    print(f"{result['tried']} tried, {result['got_in']} got in")
    RESULTS.joinpath("site_security.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
