"""The table of routes: nobody gets in without login, by a lesser role, or by another's token."""

import pytest
from tests.service.page.conftest import Browser, Served, in_pieces
from tests.service.page.site_with_a_draft import PEOPLE

from recontour.service.page.routes import ROUTES, Declared
from recontour.service.page.security import HEADERS, OWN_ALONE, REPORT_ALONE
from recontour.service.roles import may

OPEN = {"/static/{name}", "/login", "/health", "/metrics"}
PARTS = {"{id}": "1", "{name}": "north"}
REFUSED = (401, 403)


def address(declared: Declared) -> str:
    path = declared.path.replace("/layers/{id}", "/layers/draft-1")
    for part, value in PARTS.items():
        path = path.replace(part, value)
    return path


def ask(browser: Browser, declared: Declared) -> int:
    path = address(declared)
    answer = browser.get(path) if declared.method == "GET" else browser.post(path)
    return answer.status_code


GUARDED = [one for one in ROUTES if one.role is not None]
POSTS = [one for one in GUARDED if one.method == "POST"]


def test_only_these_are_open_to_all() -> None:
    assert {one.path for one in ROUTES if one.role is None} == OPEN


def test_every_route_but_the_open_ones_needs_a_login(served: Served) -> None:
    (nobody,) = served.browsers("")
    for declared in GUARDED:
        status = ask(nobody, declared)
        assert status == (303 if declared.kind == "html" else 401), declared.path
    for path in ("/nothing", "/api/nothing", "/review", "/docs", "/static/", "//", "/api/drafts/1"):
        answer = nobody.get(path)
        assert answer.status_code in (303, 401), path
        assert answer.headers.get("location", "/login") == "/login"


def test_every_route_refuses_lesser_roles_and_admits_its_own(served: Served) -> None:
    people = dict(zip(PEOPLE, served.browsers(*PEOPLE), strict=True))
    for declared in GUARDED:
        if declared.path == "/logout":
            continue
        for name, role in PEOPLE.items():
            status = ask(people[name], declared)
            is_admitted = may(role, declared.role or "view")
            assert (status not in REFUSED) == is_admitted, (declared.path, role, status)


def test_every_post_needs_the_token_of_its_own_session(served: Served) -> None:
    boss, doctor = served.browsers("boss", "doctor")
    for declared in POSTS:
        for token in ("", "x", doctor.csrf):
            boss.headers = {"x-csrf-token": token}
            assert ask(boss, declared) == 403, declared.path
        boss.headers = {"sec-fetch-site": "cross-site"}
        assert ask(boss, declared) == 403, declared.path
        boss.headers = {}
    form = {"csrf": doctor.csrf}
    assert boss.client.post("/logout", data=form).status_code == 403
    assert boss.get("/api/series").status_code == 200


def test_every_post_refuses_a_body_that_no_page_sends(served: Served) -> None:
    (boss,) = served.browsers("boss")
    for declared in POSTS:
        headers = {"x-csrf-token": boss.csrf}
        large = b"[" * (declared.most_bytes + 1)
        answer = boss.client.post(address(declared), content=large, headers=headers)
        assert answer.status_code == 413, declared.path
        streamed = boss.client.post(address(declared), content=in_pieces(large), headers=headers)
        assert streamed.status_code == 413, declared.path


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"a": NaN}', b"[" * 9000, b"\xff", b'"x"'])
def test_bodies_that_are_no_object_are_refused(served: Served, body: bytes) -> None:
    (boss,) = served.browsers("boss")
    headers = {"x-csrf-token": boss.csrf}
    for path in ("/api/drafts/1/edits", "/api/drafts/1/approve", "/api/series/1/contour"):
        assert boss.client.post(path, content=body, headers=headers).status_code == 400


def test_every_answer_has_the_headers(served: Served) -> None:
    nobody, doctor = served.browsers("", "doctor")
    for declared in ROUTES:
        for browser in (nobody, doctor):
            path = address(declared)
            answer = browser.get(path) if declared.method == "GET" else browser.post(path)
            said = answer.headers
            assert HEADERS.keys() <= said.keys(), path
            assert said["content-security-policy"] in (OWN_ALONE, REPORT_ALONE)
            assert "server" not in said
    assert "unsafe" not in OWN_ALONE
    assert "script-src" not in REPORT_ALONE


@pytest.mark.parametrize(
    "path",
    [
        "/static/../main.py",
        "/static/..%2fmain.py",
        "/static/%2e%2e/main.py",
        "/static/..\\main.py",
        "/static//etc/passwd",
        "/static/page.css%00.js",
        "/acceptance/../report.html",
        "/acceptance/..%2f..%2fsite.db/report.html",
        "/api/layers/draft-1%2f..%2f..%2fsite.db/contours",
        "/api/layers/../contours",
        "/api/series/..%2f..%2f1",
        "/review/..%2f..%2fetc%2fpasswd",
        "/api/series/1/volume/../../../../etc/passwd",
    ],
)
def test_no_path_leads_out(served: Served, path: str) -> None:
    (boss,) = served.browsers("boss")
    answer = boss.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("number", ["0", "2", "-1", "1.0", "x", "٣", "9" * 15, "9" * 400])
def test_what_is_not_there_is_not_found(served: Served, number: str) -> None:
    (boss,) = served.browsers("boss")
    for path in (f"/api/series/{number}", f"/api/drafts/{number}/working", f"/review/{number}",
                 f"/api/layers/draft-{number}/contours", f"/acceptance/{number}/report.html",
                 f"/api/series/{number}/volume"):  # fmt: skip
        assert boss.get(path).status_code == 404, path
    for path in (f"/api/drafts/{number}/lock", f"/api/jobs/{number}/again",
                 f"/api/series/{number}/contour"):  # fmt: skip
        assert boss.post(path).status_code == 404, path
