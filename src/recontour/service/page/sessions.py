"""Who asks: by a session's cookie, by a reverse proxy's word, or whoever sits at this machine.

The cookie is random; the database has its hash alone. A session ends after an hour without a
request, and after twelve in any case.
"""

import getpass
import hashlib
import hmac
import re
import secrets
import threading
from dataclasses import dataclass, field

from sqlalchemy import delete, or_
from sqlalchemy.orm import Session
from starlette.requests import Request

from recontour.service import accounts
from recontour.service.addresses import is_same_address
from recontour.service.audit import Event, Outcome, audit
from recontour.service.page.findings import ForeignRequest, WrongPassword
from recontour.service.page.refusals import RefusedError
from recontour.service.page.security import WrongPasswords, refuse_other_names
from recontour.service.settings import PageSettings
from recontour.service.store import Account, Login, Store, now

COOKIE = "recontour"
BEFORE_LOGIN = "recontour-login"  # ties the form of a login to the browser that got it
IDLE_S = 3600.0
LONGEST_S = 12 * 3600.0
SEEN_EVERY_S = 60.0  # how often it is noted that a session is in use
AT_ONCE = 2  # passwords that are checked: each takes 64 MiB
ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. key: of the session, for what is noted once in each. address: from where."""

    name: str
    role: str
    csrf: str
    key: str
    address: str


@dataclass(slots=True)
class Sessions:
    """Knows who asks."""

    store: Store
    settings: PageSettings
    wrong: WrongPasswords = field(default_factory=WrongPasswords)
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _checking: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def visitor(self, request: Request) -> Visitor | None:
        """Return who asks; None: somebody who must log in first.

        Raises: RefusedError: a page without login that is called by another machine's name.
        """
        address = self.address_of(request)
        if not self.settings.login:
            refuse_other_names(request)
            return self._known_otherwise(local_user(), "admin", address)
        by_proxy = self._by_proxy(request, address)
        return by_proxy or self._by_cookie(request, address)

    def address_of(self, request: Request) -> str:
        """Return where a request comes from; the site's reverse proxy says it for others."""
        peer = request.client.host if request.client else ""
        forwarded = request.headers.get("x-forwarded-for", "")
        if self._is_proxy(request) and forwarded:
            return forwarded.rpartition(",")[2].strip()[:64]
        return peer

    def is_secure(self, request: Request) -> bool:
        """Return whether the browser's connection is encrypted."""
        # Whoever is believed without being a proxy gets a cookie for encrypted connections alone.
        forwarded = request.headers.get("x-forwarded-proto", "")
        return "https" in (forwarded, request.url.scheme)

    def _is_proxy(self, request: Request) -> bool:
        proxy = self.settings.proxy
        peer = request.client.host if request.client else ""
        return proxy is not None and is_same_address(peer, proxy)

    def _by_proxy(self, request: Request, address: str) -> Visitor | None:
        """Return who the site's reverse proxy says it is."""
        user_header = self.settings.user_header
        if user_header is None or not self._is_proxy(request):
            return None
        name = request.headers.get(user_header, "")
        if not accounts.NAME.fullmatch(name):
            return None
        if self.settings.role_header:
            role = request.headers.get(self.settings.role_header, "")
        else:
            with self.store.reading() as session:
                account = session.get(Account, name)
                is_closed = account is not None and account.is_closed
                role = account.role if account else "view"
            if is_closed:
                return None
        return self._known_otherwise(name, role, address)

    def _known_otherwise(self, name: str, role: str, address: str) -> Visitor:
        """Return somebody who has no session: the token and the key follow from the name."""
        return Visitor(name, role, self._signed(f"csrf {name}"), f"name {name}", address)

    def _signed(self, words: str) -> str:
        return hmac.new(self._secret, words.encode(), "sha256").hexdigest()

    # By cookie

    def _by_cookie(self, request: Request, address: str) -> Visitor | None:
        token = request.cookies.get(COOKIE, "")
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}", token):
            return None
        with self.store.begin() as session:
            login = session.get(Login, hash_of(token))
            if login is None:
                return None
            account = session.get_one(Account, login.account)
            moment = now()
            is_over = moment > login.seen_at + IDLE_S or moment > login.began_at + LONGEST_S
            if is_over or account.is_closed:
                session.delete(login)
                return None
            if moment > login.seen_at + SEEN_EVERY_S:
                login.seen_at = moment
            return Visitor(account.name, account.role, login.csrf, login.token_hash, address)

    def log_in(self, name: str, password: str, address: str) -> str:
        """Return the cookie of a new session.

        Raises: RefusedError: a wrong password, or too many of them.
        """
        self.wrong.refuse_too_many(name, address)
        with self.store.reading() as session:
            stored = session.get(Account, name)
        with self._checking:  # no transaction waits for this
            is_right = accounts.is_password(stored, password)
        with self.store.begin() as session:
            account = session.get(Account, name)
            if not is_right or account is None or account.is_closed:
                audit(
                    session,
                    Event.LOGIN,
                    account.name if account else "unknown",
                    address=address,
                    outcome=Outcome.MINOR,
                )
                is_right = False
            else:
                token = secrets.token_urlsafe(32)
                _forget_old(session)
                session.add(
                    Login(
                        token_hash=hash_of(token),
                        account=account.name,
                        csrf=secrets.token_urlsafe(32),
                        began_at=now(),
                        seen_at=now(),
                    )
                )
                audit(session, Event.LOGIN, account.name, address=address)
        if not is_right:
            self.wrong.count(name, address)
            raise RefusedError(401, WrongPassword())
        self.wrong.forget(name)
        return token

    def log_out(self, visitor: Visitor) -> None:
        """End a session."""
        with self.store.begin() as session:
            session.execute(delete(Login).where(Login.token_hash == visitor.key))
            audit(session, Event.LOGOUT, visitor.name, address=visitor.address)

    # The form of a login

    def form_token(self, cookie: str) -> str:
        """Return what the form of a login must send, for the browser that has this cookie."""
        return self._signed(f"login {cookie}")

    def refuse_foreign_form(self, request: Request, sent: str) -> None:
        """Raise RefusedError if a login's form is not the one that this browser got."""
        cookie = request.cookies.get(BEFORE_LOGIN, "")
        expected = self.form_token(cookie)
        if not cookie or not is_same(sent, expected):
            raise RefusedError(403, ForeignRequest())


def refuse_foreign(visitor: Visitor, sent: str) -> None:
    """Raise RefusedError if a request does not have its session's token."""
    if not is_same(sent, visitor.csrf):
        raise RefusedError(403, ForeignRequest())


def is_same(one: str, other: str) -> bool:
    """Return whether two texts are the same, in a time that does not say where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def hash_of(token: str) -> str:
    """Return what the database knows of a cookie."""
    return hashlib.sha256(token.encode()).hexdigest()


def local_user() -> str:
    """Return who sits at this machine, as far as it knows."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return ANYONE
    return name if accounts.NAME.fullmatch(name) else ANYONE


def _forget_old(session: Session) -> None:
    moment = now()
    is_over = or_(Login.seen_at < moment - IDLE_S, Login.began_at < moment - LONGEST_S)
    session.execute(delete(Login).where(is_over))
