"""Login: passwords, cookies, their end, tries, a reverse proxy, and a page without login."""

from dataclasses import replace

import pytest
from tests.service.page.conftest import Browser, Served
from tests.service.page.site_with_a_draft import password_of

from recontour.errors import SettingsError
from recontour.service import accounts
from recontour.service.page import security, sessions
from recontour.service.store import Account, Audited, Login


def is_in(browser: Browser) -> bool:
    return browser.get("/api/series").status_code == 200


def test_a_login_gives_a_cookie_that_no_script_and_no_other_site_gets(served: Served) -> None:
    browser = served.browser()
    answer = browser.log_in("viewer")
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/"):
        assert word in cookie
    assert "Secure" not in cookie  # there is no TLS here
    with served.store.begin() as session:
        (login,) = session.query(Login)
        assert browser.client.cookies["recontour"] not in (login.token_hash, login.csrf)
        assert not session.get_one(Account, "viewer").password_hash.count(password_of("viewer"))
    encrypted = served.browser(base="https://127.0.0.1").log_in("viewer")
    assert "Secure" in encrypted.headers["set-cookie"]
    assert "max-age" in encrypted.headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("name", "password"),
    [("viewer", "editor-long-enough"), ("viewer", " "), ("nobody", "viewer-long-enough"),
     ("viewer' OR 1=1 --", "x"), ("viewer\0", "x"), ("é", "é")],
)  # fmt: skip
def test_a_wrong_password_gets_nobody_in(served: Served, name: str, password: str) -> None:
    browser = served.browser()
    answer = browser.log_in(name, password)
    assert answer.status_code == 401
    assert "The account or the password is wrong." in answer.text
    assert not is_in(browser)
    with served.store.begin() as session:
        (event,) = session.query(Audited).filter_by(event="login")
        assert (event.outcome, event.who) == (4, name if name == "viewer" else "unknown")


def test_tries_are_limited_by_account_and_by_address(served: Served) -> None:
    browser = served.browser()
    for _ in range(security.TRIES_OF_ACCOUNT):
        assert browser.log_in("viewer", "wrong password").status_code == 401
    refused = browser.log_in("viewer")  # even the right one
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= security.WINDOW_S + 1
    others = security.TRIES_OF_ADDRESS - security.TRIES_OF_ACCOUNT
    for number in range(others):
        assert browser.log_in(f"guess{number}", "wrong password").status_code == 401
    assert browser.log_in("editor").status_code == 429


def test_a_right_password_forgives_the_wrong_ones_before(served: Served) -> None:
    browser = served.browser()
    for _ in range(2):
        for _ in range(security.TRIES_OF_ACCOUNT - 1):
            browser.log_in("viewer", "wrong password")
        assert browser.log_in("viewer").status_code == 303
        browser.client.cookies.clear()


def test_a_form_without_its_browser_s_token_is_refused(served: Served) -> None:
    browser = served.browser()
    fields = {"name": "viewer", "password": password_of("viewer")}
    assert browser.client.post("/login", data=fields).status_code == 403
    other = served.browser()
    other.get("/login")
    stolen = fields | {"csrf": "0" * 64}
    assert other.client.post("/login", data=stolen).status_code == 403
    assert not is_in(browser)


def test_a_session_ends_by_logout_by_idling_and_in_any_case(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1e9]
    monkeypatch.setattr(sessions, "now", lambda: clock[0])
    first, idle, long = served.browsers("viewer", "viewer", "viewer")
    assert first.client.post("/logout", data={"csrf": first.csrf}).status_code == 303
    assert not is_in(first)
    clock[0] += sessions.IDLE_S
    assert is_in(long)
    clock[0] += 1
    assert not is_in(idle)
    for _ in range(11):
        clock[0] += sessions.IDLE_S - 1
        is_in(long)
    assert clock[0] > 1e9 + sessions.LONGEST_S - sessions.IDLE_S
    clock[0] = 1e9 + sessions.LONGEST_S + 1
    assert not is_in(long)
    assert long.get("/").headers["location"] == "/login"


def test_a_stolen_or_made_up_cookie_is_none(served: Served) -> None:
    (viewer,) = served.browsers("viewer")
    with served.store.begin() as session:
        token_hash = session.query(Login).one().token_hash
    for cookie in (token_hash, "A" * 43, "", "x" * 5000, "%0a"):
        browser = served.browser()
        browser.headers = {"cookie": f"recontour={cookie}"}
        assert not is_in(browser)
    assert is_in(viewer)


def test_a_closed_account_is_out_at_once_and_a_new_role_holds_at_once(served: Served) -> None:
    editor, doctor = served.browsers("editor", "doctor")
    with served.store.begin() as session:
        accounts.close(session, "editor")
        accounts.set_role(session, "doctor", "view")
    assert not is_in(editor)
    assert served.browser().log_in("editor").status_code == 401
    assert doctor.dab().status_code == 403
    assert is_in(doctor)


def test_unsuitable_accounts_are_refused(served: Served) -> None:
    for name, password, role in (
        ("../x", "long enough for all", "view"),
        ("", "long enough for all", "view"),
        ("anna", "short", "view"),
        ("anna", "long enough for all", "king"),
    ):
        with served.store.begin() as session, pytest.raises(SettingsError):
            accounts.add(session, name, password, role)
    with served.store.begin() as session, pytest.raises(SettingsError, match="no such account"):
        accounts.close(session, "anna")


# A reverse proxy


def behind_proxy(served: Served) -> Served:
    page = replace(
        served.site.page,
        proxy="127.0.0.1",
        user_header="X-Remote-User",
        role_header="X-Remote-Role",
    )
    return replace(served, site=replace(served.site, page=page))


def test_a_proxy_on_this_machine_says_who_asks_and_nobody_else_does(served: Served) -> None:
    proxied = behind_proxy(served)
    said = {"X-Remote-User": "anna", "X-Remote-Role": "edit", "X-Forwarded-For": "192.0.2.7"}
    browser = proxied.browser()
    browser.headers = said
    browser.open()
    assert browser.dab().status_code == 200
    assert browser.change("approve", 1, organs=[]).status_code == 403
    with served.store.begin() as session:
        (event,) = session.query(Audited).filter_by(event="changed")
        assert (event.who, event.address) == ("anna", "192.0.2.7")
    stranger = proxied.browser(peer=("192.0.2.7", 4000))
    stranger.headers = said
    assert not is_in(stranger)
    unconfigured = served.browser()
    unconfigured.headers = said
    assert not is_in(unconfigured)
    for wrong in ({"X-Remote-Role": "king"}, {"X-Remote-User": "../anna"}, {"X-Remote-Role": ""}):
        browser.headers = said | wrong
        assert not is_in(browser)


def test_behind_a_proxy_each_client_has_its_own_limit(served: Served) -> None:
    page = replace(served.site.page, proxy="127.0.0.1")
    proxied = replace(served, site=replace(served.site, page=page))
    browser, other = proxied.browsers("", "")
    browser.headers = {"X-Forwarded-For": "203.0.113.9, 192.0.2.7"}
    for number in range(security.TRIES_OF_ADDRESS):
        assert browser.log_in(f"guess{number}", "wrong password").status_code == 401
    assert browser.log_in("editor").status_code == 429
    other.headers = {"X-Forwarded-For": "203.0.113.9, 192.0.2.8"}
    assert other.log_in("editor").status_code == 303


def test_without_a_proxy_nobody_chooses_the_address_that_is_counted(served: Served) -> None:
    browser = served.browser()
    for number in range(security.TRIES_OF_ADDRESS):
        browser.headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        assert browser.log_in(f"guess{number}", "wrong password").status_code == 401
    assert browser.log_in("editor").status_code == 429


# Without login


def test_without_login_this_machine_may_do_everything_and_the_page_says_so(
    served: Served,
) -> None:
    page = replace(served.site.page, login=False)
    open_to_all = replace(served, site=replace(served.site, page=page))
    browser = open_to_all.browser()
    assert "Login is off" in browser.get("/").text
    browser.open()
    assert browser.dab().status_code == 200
    browser.csrf = "x"
    assert browser.post("/api/drafts/1/undo").status_code == 403
    # Another site's name that leads here would let its pages read everything.
    rebound = open_to_all.browser(base="http://evil.example")
    assert rebound.get("/api/series").status_code == 403
