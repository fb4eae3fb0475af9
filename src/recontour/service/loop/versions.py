"""Which version of a model is in use, which was before, and which may be next.

    SITE.toml -> number 0 -> in use
    learning  -> number n -> candidate -- a person promotes it --> in use
                          -> refused

One version of each name is in use. A candidate was accepted against the one in use; so when another
takes its place, the other candidates are retired. `promoted_at` orders the versions that are, or
were, in use: going back one step is going back in that order.
"""

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from recontour.errors import RecontourError, SettingsError
from recontour.findings import Finding
from recontour.network.paths import parts_of, refuse_no_model
from recontour.service.audit import Event, audit
from recontour.service.loop.findings import (
    NoSuchVersion,
    NotACandidate,
    NothingBefore,
    NoVersion,
)
from recontour.service.settings import Site
from recontour.service.store import ModelVersion, now

# The states of a version
IN_USE = "in use"
CANDIDATE = "candidate"
REFUSED = "refused"
RETIRED = "retired"

AGAINST = "against"  # in `ModelVersion.decided`: the id of the version that it was judged against
SITE_FILE = "SITE.toml"  # who put the site's own model in use


def register(session: Session, site: Site) -> tuple[Finding, ...]:
    """Make a version of each model that SITE.toml names, and put it in use, unless that is done.

    A model that was replaced in SITE.toml is a new version, and in use from now on. One that only
    lies elsewhere is the same.

    Returns: which files cannot be read; nothing changes for these.
    """
    missing = []
    for name, declared in site.models.items():
        try:
            refuse_no_model(declared.file)
            sha256 = sha256_of_file(declared.file)
        except RecontourError as error:
            missing.append(error.finding)
            continue
        _register(session, name, declared.file, sha256)
    return tuple(missing)


def _register(session: Session, name: str, file: Path, sha256: str) -> None:
    versions = versions_of(session, name)
    from_site = [one for one in versions if one.parent_id is None]
    if from_site and from_site[-1].sha256 == sha256:
        from_site[-1].file = str(file)
        return
    version = add(session, name, file=str(file), sha256=sha256, state=CANDIDATE)
    _put_in_use(session, version, SITE_FILE)


def add(
    session: Session,
    name: str,
    *,
    file: str,
    sha256: str,
    state: str,
    parent: ModelVersion | None = None,
    decided: dict[str, Any] | None = None,
) -> ModelVersion:
    """Add a version with the next number. The arguments are as in `ModelVersion`."""
    version = ModelVersion(
        name=name,
        number=next_number(session, name),
        file=file,
        sha256=sha256,
        state=state,
        parent_id=parent.id if parent else None,
        decided=decided,
        made_at=now(),
    )
    session.add(version)
    session.flush()
    return version


def versions_of(session: Session, name: str) -> list[ModelVersion]:
    """Return all versions of a model, by number; nobody else changes them meanwhile."""
    of_name = select(ModelVersion).where(ModelVersion.name == name).with_for_update()
    return list(session.scalars(of_name.order_by(ModelVersion.number)))


def next_number(session: Session, name: str) -> int:
    """Return the number of the next version."""
    numbers = [one.number for one in versions_of(session, name)]
    return max(numbers, default=-1) + 1


def in_use(session: Session, name: str) -> ModelVersion:
    """Return the version of a model that contours. Raises: SettingsError: there is none."""
    for version in versions_of(session, name):
        if version.state == IN_USE:
            return version
    raise SettingsError(NoVersion(model=name))


def from_site_file(session: Session, name: str) -> ModelVersion:
    """Return the version of a model that SITE.toml names. Raises: SettingsError: there is none."""
    for version in reversed(versions_of(session, name)):
        if version.parent_id is None:
            return version
    raise SettingsError(NoVersion(model=name))


def promote(session: Session, version_id: int, who: str) -> ModelVersion:
    """Put a candidate in use, as a person decided. Promoting it twice changes nothing.

    Raises: SettingsError: there is no such version, or it is no candidate.
    """
    version = session.get(ModelVersion, version_id)
    if version is None:
        raise SettingsError(NoSuchVersion(version_id=version_id))
    versions_of(session, version.name)
    if version.state == IN_USE:
        return version
    if version.state != CANDIDATE:
        raise SettingsError(NotACandidate(version=called(version), state=version.state))
    _put_in_use(session, version, who)
    return version


def _put_in_use(session: Session, version: ModelVersion, who: str) -> None:
    for other in versions_of(session, version.name):
        if other.state in (IN_USE, CANDIDATE):
            other.state = RETIRED
    version.state = IN_USE
    version.promoted_at = now()
    version.promoted_by = who[:64]
    session.flush()
    audit(session, Event.LEARNT, who, what=f"{called(version)} in use")


def roll_back(session: Session, name: str, who: str) -> ModelVersion:
    """Put the version in use that was in use before; return it.

    The version that goes is a candidate again if it was accepted against the one that returns, so
    that this can be undone, too.
    Raises: SettingsError: there was none before.
    """
    going = in_use(session, name)
    earlier = _before(session, going)
    if earlier is None:
        raise SettingsError(NothingBefore(version=called(going)))
    for other in versions_of(session, name):
        if other.state == CANDIDATE:
            other.state = RETIRED
    was_against = (going.decided or {}).get(AGAINST)
    going.state = CANDIDATE if was_against == earlier.id else RETIRED
    going.promoted_at = None
    going.promoted_by = None
    earlier.state = IN_USE
    session.flush()
    audit(session, Event.LEARNT, who, what=f"{called(earlier)} in use again")
    return earlier


def _before(session: Session, version: ModelVersion) -> ModelVersion | None:
    """Return the version that was in use before another; None: none was."""
    were: list[tuple[float, int, ModelVersion]] = []
    for other in versions_of(session, version.name):
        if other.id != version.id and other.promoted_at is not None:
            were.append((other.promoted_at, other.number, other))
    return max(were)[-1] if were else None


def can_roll_back(session: Session, name: str) -> bool:
    """Return whether a version of a model was in use before the one that is."""
    return _before(session, in_use(session, name)) is not None


def called(version: ModelVersion) -> str:
    """Return what a version is called: in structure sets, in the audit trail and on the page.

    >>> called(ModelVersion(name="north", number=3))
    'north version 3'
    """
    return f"{version.name} version {version.number}"


def file_of(site: Site, version: ModelVersion) -> Path:
    """Return the path of a version's model."""
    return site.folder / version.file


def sha256_of_file(model: Path) -> str:
    """Return a fingerprint of a model file, or of the files of TRUNK+HEAD. Raises: OSError."""
    digests = []
    for part in parts_of(model):
        with part.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()
