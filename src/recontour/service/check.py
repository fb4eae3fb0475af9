"""What `recontour serve` would do, without doing it: `--check` and `--dry-run`.

A check reads everything that a site names, and asks each destination with a C-ECHO. It starts
nothing, and makes neither folder nor database.
"""

import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from recontour.contouring.predict import chosen_organs
from recontour.dicom import Archive, CtSeries, read_archive
from recontour.dicom.received import read_received, slices_in
from recontour.errors import RecontourError
from recontour.findings import Finding
from recontour.network import Model, load_model
from recontour.network.card import ModelCard, card
from recontour.organs import Template, read_template
from recontour.service.addresses import is_loopback
from recontour.service.findings import FullDisk, NoAccount, OpenToAll, TakenPort
from recontour.service.folder import SiteFolder
from recontour.service.health import series_of_gone_rules
from recontour.service.node.mended import mend_pynetdicom
from recontour.service.node.send import echo
from recontour.service.node.tls import server_context
from recontour.service.rules import Arrived, Decision, decide
from recontour.service.settings import GIB, Destination, Rule, Site
from recontour.service.store import Account, Store


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """What a rule would do. organs: those of the output, by what they are called there."""

    rule: Rule
    organs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a site would do, and what speaks against it.

    answers: of destinations, by name: whether each answered. cards: of the models that could be
    read. problems: what keeps the site from doing what its file says. notes: what a person should
    know.
    """

    site: Site
    free_bytes: int
    cards: Mapping[str, ModelCard]
    rules: tuple[CheckedRule, ...]
    answers: Mapping[str, bool]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """Which rule would take a series, and why those before it would not.

    place: of the series; it may name a patient.
    """

    place: Path
    arrived: Arrived
    decision: Decision


class _Problems:
    """Collects what goes wrong, so that one mistake does not hide the next."""

    def __init__(self) -> None:
        self.found: list[Finding] = []

    def of(self, step: Callable[[], object]) -> None:
        """Take a step, and keep its finding if it fails."""
        try:
            step()
        except RecontourError as error:
            self.found.append(error.finding)


def check(site: Site, *, is_served: bool = False) -> Checked:
    """Read everything that a site names, and ask every destination.

    is_served: whether it runs now, so that its ports are taken.
    """
    mend_pynetdicom()
    problems = _Problems()
    free = shutil.disk_usage(_existing(site.folder)).free
    if free < site.node.least_free_gib * GIB:
        problems.found.append(FullDisk(free_gib=free / GIB, least_gib=site.node.least_free_gib))
    if not is_served:
        problems.found += _taken_ports(site)
    if site.node.tls:
        problems.of(partial(server_context, site.node.tls))
    cards: dict[str, ModelCard] = {}
    organs: dict[str, Mapping[str, str]] = {}
    for name in site.models:
        problems.of(partial(_look_at_model, site, name, cards, organs, problems))
    rules = tuple(CheckedRule(rule, organs.get(rule.name, {})) for rule in site.rules)
    answers = _ask_all(site, problems)
    return Checked(
        site=site,
        free_bytes=free,
        cards=cards,
        rules=rules,
        answers=answers,
        problems=tuple(problems.found),
        notes=tuple(_notes(site)),
    )


def _existing(folder: Path) -> Path:
    """Return the nearest folder at or above a path that exists."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _taken_ports(site: Site) -> Iterator[Finding]:
    for what, address, port in (
        ("receiver", site.node.address, site.node.port),
        ("page", site.page.address, site.page.port),
    ):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((address, port))
            except OSError as error:
                yield TakenPort(what=what, address=address, port=port, number=error.errno)


def _look_at_model(
    site: Site,
    name: str,
    cards: dict[str, ModelCard],
    organs: dict[str, Mapping[str, str]],
    problems: _Problems,
) -> None:
    """Read a model, and what rules ask of it; only its card is kept.

    organs: by rule, what the organs of its output are called.
    Raises: RecontourError: the model cannot be read.
    """
    model = load_model(site.models[name].file)
    cards[name] = card(model)
    for rule in site.rules:
        if rule.model == name:
            problems.of(partial(_look_at_rule, rule, model, organs))


def _look_at_rule(rule: Rule, model: Model, organs: dict[str, Mapping[str, str]]) -> None:
    organs[rule.name] = _output(rule, model)


def _output(rule: Rule, model: Model) -> dict[str, str]:
    """Return what the organs of a rule are called in the output.

    Raises: OrganError: the model does not contour one. NamesError: the template does not suit.
    """
    template = read_template(rule.template) if rule.template else Template()
    template.refuse_unknown(model.organs)
    wanted = chosen_organs(model, rule.organs or template.organs or None)
    template.refuse_unsuitable(wanted)
    return {organ: template.name_of(organ) for organ in wanted}


def _ask_all(site: Site, problems: _Problems) -> dict[str, bool]:
    """Ask all destinations side by side, so that one that is away costs its own time only."""
    if not site.destinations:
        return {}
    with ThreadPoolExecutor(max_workers=16) as pool:
        asked = pool.map(lambda one: _asked(site, one), site.destinations)
        found = dict(zip((one.name for one in site.destinations), asked, strict=True))
    problems.found += [answer for answer in found.values() if answer]
    return {name: answer is None for name, answer in found.items()}


def _asked(site: Site, destination: Destination) -> Finding | None:
    """Send a C-ECHO; return what speaks against a destination."""
    try:
        return echo(site.node.ae_title, destination)
    except RecontourError as error:
        return error.finding


def _notes(site: Site) -> Iterator[Finding]:
    if not site.node.callers and not is_loopback(site.node.address):
        yield OpenToAll()
    needs_accounts = site.page.login and not site.page.user_header
    if site.database is None and not SiteFolder(site.folder).database.exists():
        if needs_accounts:  # a site without a database is not given one
            yield NoAccount()
        return
    with Store.of(site).reading() as session:
        if needs_accounts and not _has_accounts(session):
            yield NoAccount()
        yield from series_of_gone_rules(site, session)


def _has_accounts(session: Session) -> bool:
    """Return whether anybody can log in."""
    open_ones = select(func.count()).where(Account.is_closed.is_(False))
    return bool(session.scalar(open_ones.select_from(Account)))


def dry_run(site: Site, folder: Path, calling_ae: str = "") -> list[Tried]:
    """Say of each CT series of a folder which rule would take it, and why the others would not.

    calling_ae: as if it came from there; a folder does not say it.
    Raises: NoSeriesError: there is no such folder.
    """
    archive: Archive = read_archive(folder)
    tried = []
    for series in sorted(archive.series, key=lambda one: (one.place, one.uid)):
        arrived = _arrived(site, series, calling_ae)
        tried.append(Tried(series.place, arrived, decide(site.rules, arrived)))
    return tried


def _arrived(site: Site, series: CtSeries, calling_ae: str) -> Arrived:
    header = read_received(series.files[0])
    return Arrived(
        calling_ae=calling_ae,
        called_ae=site.node.ae_title,
        description=header.description,
        body_part=header.body_part,
        manufacturer=header.manufacturer,
        slices=slices_in(series.files),
    )
