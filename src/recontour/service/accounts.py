"""Who may log in, and what they may do. Passwords are kept as argon2 hashes."""

import re
import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import delete
from sqlalchemy.orm import Session

from recontour.errors import SettingsError
from recontour.service.findings import NoSuchAccount, UnsuitableAccount, UnsuitablePassword
from recontour.service.roles import ROLES
from recontour.service.store import Account, Login, now
from recontour.validation import NotAChoice

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
SHORTEST, LONGEST = 12, 1000  # characters of a password


def add(
    session: Session,
    name: str,
    password: str,
    role: str,
) -> Account:
    """Add an account, or give one a new password and role; a closed one is open again.

    Whoever is logged in to it must log in again.
    Raises: SettingsError: an unsuitable name, password or role.
    """
    refuse_unsuitable(name)
    if role not in ROLES:
        raise SettingsError(NotAChoice(name="--role", choices=ROLES, seen=role))
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(UnsuitablePassword(shortest=SHORTEST, longest=LONGEST))
    account = session.get(Account, name) or Account(name=name, made_at=now())
    account.password_hash = _hasher().hash(password)
    account.role = role
    account.is_closed = False
    session.add(account)
    _log_out(session, name)
    session.flush()
    return account


def refuse_unsuitable(name: str) -> None:
    """Raise SettingsError if nobody can have an account of that name.

    >>> refuse_unsuitable("anna")
    """
    if not NAME.fullmatch(name):
        raise SettingsError(UnsuitableAccount())


def is_password(account: Account | None, password: str) -> bool:
    """Return whether a password is an account's own.

    account: as it was read; None: there is none, which takes as long to find out.
    """
    is_open = account is not None and not account.is_closed
    known_hash = account.password_hash if account and is_open else _nobodys_hash()
    try:
        _hasher().verify(known_hash, password[:LONGEST])
    except (Argon2Error, InvalidHashError):
        return False
    return is_open


def close(session: Session, name: str) -> None:
    """Close an account, and log it out everywhere; the audit trail still names it.

    Raises: SettingsError: there is none.
    """
    _known(session, name).is_closed = True
    _log_out(session, name)


def set_role(session: Session, name: str, role: str) -> None:
    """Change what an account may do, from its next request on.

    Raises: SettingsError: there is no such account, or role.
    """
    if role not in ROLES:
        raise SettingsError(NotAChoice(name="--role", choices=ROLES, seen=role))
    _known(session, name).role = role


def _known(session: Session, name: str) -> Account:
    account = session.get(Account, name)
    if account is None:
        raise SettingsError(NoSuchAccount())
    return account


def _log_out(session: Session, name: str) -> None:
    session.execute(delete(Login).where(Login.account == name))


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # RFC 9106's second choice: 64 MiB, 3 passes, 4 lanes


@cache
def _nobodys_hash() -> str:
    """Return the hash of a password that nobody has."""
    return _hasher().hash(secrets.token_urlsafe(32))
