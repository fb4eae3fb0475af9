"""What a site knows beside the files: SQLite, or whatever database a URL names.

Times are seconds since 1970, UTC. What may name a patient stands in `Series` alone, so that
deleting a patient is deleting rows there; the audit trail keeps the patient ID, as it must.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Engine,
    ForeignKey,
    Index,
    String,
    Text,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from recontour.errors import SettingsError
from recontour.service.findings import NewerSite
from recontour.service.folder import SiteFolder
from recontour.service.settings import Site

FORMAT = 3
# By format: what makes a database of it one of the next format.
UPGRADES = {
    1: ("ALTER TABLE jobs ADD COLUMN deaths INTEGER DEFAULT 0 NOT NULL",),
    2: (
        "ALTER TABLE edits ADD COLUMN request VARCHAR(64) DEFAULT '' NOT NULL",
        "ALTER TABLE edits ADD COLUMN step VARCHAR(64) DEFAULT '' NOT NULL",
    ),
}
BUSY_S = 30  # how long SQLite waits for another process to finish writing
JobKind = Literal["contour", "send", "collect", "learn"]
READS_ALONE = "reads_alone"  # of a connection's transactions
NUMBERED_ONCE: dict[str, Any] = {"sqlite_autoincrement": True}


class Table(DeclarativeBase):
    """What all tables share.

    No number is given twice, also after a deletion: a browser may still hold the old one, and would
    change another patient's contours.
    """

    __table_args__: Any = NUMBERED_ONCE

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class Format(Table):
    """The one row that says which format the database has."""

    __tablename__ = "format"
    version: Mapped[int] = mapped_column(primary_key=True)


class Association(Table):
    """One call of another machine.

    how_ended: "released", "aborted" or "lost" (the receiver died); None while it is open.
    unreadable: objects it brought of which not even the series could be told.
    """

    __tablename__ = "associations"
    id: Mapped[int] = mapped_column(primary_key=True)
    calling_ae: Mapped[str] = mapped_column(String(16))
    called_ae: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(64))
    opened_at: Mapped[float]
    ended_at: Mapped[float | None]
    how_ended: Mapped[str | None] = mapped_column(String(16))
    unreadable: Mapped[int] = mapped_column(default=0)


class Series(Table):
    """One series that arrived.

    modality: "CT" or "RTSTRUCT". last_at: when an instance of it was last stored. instances: how
    many distinct ones are stored. state: see `ARRIVING` and the constants after it.
    generation: grows by one whenever slices arrive after the series was complete.
    rule: the one that took it. finding: why nothing became of it, as `as_json` gives it.
    """

    __tablename__ = "series"
    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(String(64), unique=True)
    study_uid: Mapped[str] = mapped_column(String(64), default="")
    modality: Mapped[str] = mapped_column(String(16))
    patient_id: Mapped[str] = mapped_column(String(64), default="", index=True)
    patient_name: Mapped[str] = mapped_column(String(324), default="")
    description: Mapped[str] = mapped_column(String(64), default="")
    body_part: Mapped[str] = mapped_column(String(16), default="")
    manufacturer: Mapped[str] = mapped_column(String(64), default="")
    calling_ae: Mapped[str] = mapped_column(String(16), default="")
    called_ae: Mapped[str] = mapped_column(String(16), default="")
    first_at: Mapped[float]
    last_at: Mapped[float]
    instances: Mapped[int] = mapped_column(default=0)
    state: Mapped[str] = mapped_column(String(16), default="arriving", index=True)
    generation: Mapped[int] = mapped_column(default=0)
    rule: Mapped[str | None] = mapped_column(String(64))
    finding: Mapped[dict[str, Any] | None]


class Carried(Table):
    """What one association brought of one series.

    stored: instances that were acknowledged. refused: SOP Instance UIDs that were not.
    """

    __tablename__ = "carried"
    association_id: Mapped[int] = mapped_column(ForeignKey("associations.id"), primary_key=True)
    series_id: Mapped[int] = mapped_column(
        ForeignKey("series.id", ondelete="CASCADE"), primary_key=True
    )
    stored: Mapped[int] = mapped_column(default=0)
    refused: Mapped[list[Any]] = mapped_column(default=list)


class Job(Table):
    """Something that is to be done, until it is done.

    kind: "collect" takes an approved case into the cohort of its model. key: two jobs
    of one key are one job. subject: what it needs to know, plain values. state: see `WAITING` and
    the constants after it. not_before: for another try. holder: the process that does it.
    deaths: of processes that did it, since it last failed in another way.
    """

    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JobKind] = mapped_column(String(16))
    key: Mapped[str] = mapped_column(String(200), unique=True)
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"))
    subject: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    not_before: Mapped[float] = mapped_column(default=0.0)
    holder: Mapped[int | None]
    made_at: Mapped[float]
    began_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    finding: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("jobs_to_do", "kind", "state", "not_before"), NUMBERED_ONCE)


class Draft(Table):
    """What a model drew on a series.

    folder: of the draft, below the site's. model_id: of `ModelVersion`. organs: by TG-263 name,
    what the RTSTRUCT calls it. review_order: as `Contoured.review_order`, plain values. findings:
    what a reviewer must know, as `as_json` gives it.
    """

    __tablename__ = "drafts"
    id: Mapped[int] = mapped_column(primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int]
    rule: Mapped[str] = mapped_column(String(64))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    folder: Mapped[str] = mapped_column(String(200))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[float]
    organs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    review_order: Mapped[list[Any]] = mapped_column(default=list)
    findings: Mapped[list[Any]] = mapped_column(default=list)


class Approval(Table):
    """What a person made of a draft. changes: by TG-263 name, what was changed, plain numbers."""

    __tablename__ = "approvals"
    id: Mapped[int] = mapped_column(primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("drafts.id", ondelete="CASCADE"), index=True)
    reviewer: Mapped[str] = mapped_column(String(64))
    approved_at: Mapped[float]
    seconds: Mapped[float] = mapped_column(default=0.0)
    file: Mapped[str] = mapped_column(String(200))
    sop_instance_uid: Mapped[str] = mapped_column(String(64))
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Edit(Table):
    """One stroke on a draft's contours. number: its place among the draft's.

    before, after: the contours of each slice that it changed, by slice, as the page gets them.
    is_undone: an undone edit stays until the next stroke, so that it can be done again.
    request: the id of the request that drew it. step: of the last one that undid it, or did it
    again.
    """

    __tablename__ = "edits"
    id: Mapped[int] = mapped_column(primary_key=True)
    draft_id: Mapped[int] = mapped_column(ForeignKey("drafts.id", ondelete="CASCADE"), index=True)
    number: Mapped[int]
    organ: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    who: Mapped[str] = mapped_column(String(64))
    at: Mapped[float]
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    is_undone: Mapped[bool] = mapped_column(default=False)
    request: Mapped[str] = mapped_column(String(64), default="", server_default="")
    step: Mapped[str] = mapped_column(String(64), default="", server_default="")
    __table_args__ = (Index("edits_in_order", "draft_id", "number", unique=True), NUMBERED_ONCE)


class Lock(Table):
    """Who edits a draft, until when."""

    __tablename__ = "locks"
    draft_id: Mapped[int] = mapped_column(
        ForeignKey("drafts.id", ondelete="CASCADE"), primary_key=True
    )
    who: Mapped[str] = mapped_column(String(64))
    until: Mapped[float]


class Account(Table):
    """Who may log in.

    role: "view", "edit", "approve" or "admin"; each may also do what the ones before it may.
    """

    __tablename__ = "accounts"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    made_at: Mapped[float]
    is_closed: Mapped[bool] = mapped_column(default=False)


class Login(Table):
    """One session in a browser. token_hash: SHA-256 of the cookie."""

    __tablename__ = "logins"
    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"))
    csrf: Mapped[str] = mapped_column(String(64))
    began_at: Mapped[float]
    seen_at: Mapped[float]


class ModelVersion(Table):
    """A version of one of the models that rules name.

    number: 0 is the site file's own. state: "in use" (one of each name), "candidate", "refused",
    "retired". file: below the site's folder, or absolute. parent_id: what it was adapted from.
    acceptance: the folder of the report on it, below the site's. decided: plain values of it.
    """

    __tablename__ = "models"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), index=True)
    number: Mapped[int]
    file: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    made_at: Mapped[float]
    promoted_at: Mapped[float | None]
    promoted_by: Mapped[str | None] = mapped_column(String(64))
    acceptance: Mapped[str | None] = mapped_column(String(200))
    decided: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("versions", "name", "number", unique=True), NUMBERED_ONCE)


class Collected(Table):
    """An approved case of a cohort. is_aside: kept for testing, never trained on.

    It outlives the series it was drawn on, which the site may delete after some days (`keep_days`);
    approval_id is None then.
    """

    __tablename__ = "collected"
    id: Mapped[int] = mapped_column(primary_key=True)
    approval_id: Mapped[int | None] = mapped_column(
        ForeignKey("approvals.id", ondelete="SET NULL"), unique=True
    )
    model: Mapped[str] = mapped_column(String(64), index=True)
    case_id: Mapped[str] = mapped_column(String(100))
    patient: Mapped[str] = mapped_column(String(64))  # a hash: all cases of a patient share a fate
    is_aside: Mapped[bool]
    at: Mapped[float]


class Audited(Table):
    """One event of the audit trail; it stays when the patient's data goes. See audit.py.

    event, action: ATNA's. outcome: 0, or 4, 8 or 12 for a minor, serious or major failure.
    who: an account, an AE title, or "recontour". patient_id: as ATNA asks; no name.
    """

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float] = mapped_column(index=True)
    event: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(1))
    outcome: Mapped[int]
    who: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(64), default="")
    patient_id: Mapped[str] = mapped_column(String(64), default="")
    study_uid: Mapped[str] = mapped_column(String(64), default="")
    what: Mapped[str] = mapped_column(String(200), default="")


# The states of a series
ARRIVING = "arriving"
COMPLETE = "complete"
INCOMPLETE = "incomplete"  # refused, aborted or short: never contoured unless a person says so
UNMATCHED = "unmatched"  # no rule takes it
TAKEN = "taken"  # a rule has, and its jobs say the rest

# The states of a job
WAITING = "waiting"
RUNNING = "running"
DONE = "done"
FAILED = "failed"  # for good, until a person tries it again
WITHDRAWN = "withdrawn"  # for good: what it was to do is no longer right
OVER = (DONE, WITHDRAWN)


class Store:
    """The database of a site. One for each process.

    >>> from pathlib import Path
    >>> from recontour.service.settings import Rule, SiteModel
    >>> site = Site(Path("new-site"), {"north": SiteModel(Path("north.safetensors"))},
    ...     (Rule("all", "north"),))
    >>> store = Store.of(site)
    >>> with store.begin() as session:
    ...     session.query(Series).count()
    0
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        reading = engine.execution_options(**{READS_ALONE: True})
        self._reading_sessions = sessionmaker(reading, autoflush=False)

    @classmethod
    def of(cls, site: Site) -> "Store":
        """Open the database of a site; make it if there is none.

        Raises: SettingsError: a newer recontour made it. OSError: its folder cannot be made.
        """
        folder = SiteFolder(site.folder)
        folder.make()
        url = site.database or f"sqlite:///{folder.database}"
        store = cls(_engine(url))
        Table.metadata.create_all(store.engine)
        with store.begin() as session:
            formats = list(session.scalars(select(Format)))
            known = formats[0] if formats else Format(version=FORMAT)
            session.add(known)
            if known.version > FORMAT:
                raise SettingsError(NewerSite(path=folder.database, version=known.version))
            _upgrade(session, known)
        return store

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """Give a transaction; it is on the disk when the block ends well, and gone otherwise."""
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a transaction that only reads: it waits for no writer, and makes none wait.

        What it read may be out of date when the block ends; nothing is ever written.
        """
        with self._reading_sessions() as session:
            yield session
            if session.new or session.dirty or session.deleted:
                raise AssertionError("a transaction that only reads has changed something")


def _upgrade(session: Session, known: Format) -> None:
    """Bring a database to today's format, one after the other."""
    while known.version < FORMAT:
        for statement in UPGRADES[known.version]:
            session.execute(text(statement))
        known.version += 1
        session.flush()


def _engine(url: str) -> Engine:
    """Return an engine. SQLite: several processes read while one writes, and nothing is lost."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    # Errors, which may be logged, do not show parameters: they may name a patient.
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A transaction that reads first and writes later would fail beside another writer.
        reads_alone = connection.get_execution_options().get(READS_ALONE, False)
        connection.execute(text("BEGIN" if reads_alone else "BEGIN IMMEDIATE"))

    return engine


def now() -> float:
    """Return the time, in seconds since 1970, UTC."""
    return time.time()
