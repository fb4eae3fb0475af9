"""SITE.toml: what a site declares.

Paths are relative to the file; a misspelt setting is an error that lists the known ones.
"""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from recontour.errors import SettingsError
from recontour.files import NotFound, UnreadableError, UnreadableFile
from recontour.organs import is_tg263
from recontour.service.addresses import is_loopback
from recontour.service.findings import EXAMPLE, WrongSite
from recontour.texts import read_toml
from recontour.validation import ExpectedError, mistakes

_STRICT = ConfigDict(extra="forbid")
Item = TypeVar("Item")
GIB = 2**30  # bytes


# Rules of our own


def _ae_title(words: str) -> str:
    is_title = words.isascii() and words.isprintable() and "\\" not in words
    if not is_title or not 0 < len(words.strip()) <= 16:
        raise ExpectedError("an AE title: 1 to 16 ASCII letters, no backslash")
    return words.strip()


def _ip_address(words: str) -> str:
    try:
        ipaddress.ip_address(words)
    except ValueError:
        raise ExpectedError("an IP address, such as 192.0.2.7") from None
    return words


def _expression(words: str) -> str:
    try:
        re.compile(words)
    except re.error:
        raise ExpectedError("a regular expression of Python's") from None
    return words


def _label(words: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}", words):
        raise ExpectedError("a name of at most 64 letters, digits, blanks, and _ . -")
    return words


def _organ(name: str) -> str:
    if not is_tg263(name):
        raise ExpectedError("a TG-263 name")
    return name


def _listed(given: object) -> object:
    """Let one text stand for a list of it."""
    return (given,) if isinstance(given, str) else given


AeTitle = Annotated[str, AfterValidator(_ae_title)]
IpAddress = Annotated[str, AfterValidator(_ip_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
Label = Annotated[str, AfterValidator(_label)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1, max_length=100)]
Expression = Annotated[Text, AfterValidator(_expression)]
Expressions = Annotated[
    tuple[Expression, ...], BeforeValidator(_listed), Field(min_length=1, max_length=100)
]
KeepDays = Annotated[float, Field(gt=0, le=100_000)]
Organ = Annotated[str, AfterValidator(_organ)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]


# The sections


@dataclass(frozen=True, config=_STRICT)
class TlsSettings:
    """Who we are, and whose certificates we trust: three PEM files."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True, config=_STRICT)
class Caller:
    """Who may send: its AE title *and* its address."""

    ae_title: AeTitle
    address: IpAddress


@dataclass(frozen=True, config=_STRICT)
class NodeSettings:
    """The receiver.

    quiet_s: a series is complete when nothing of it came for so long. least_free_gib: of the disk;
    with less, nothing more is received. callers: empty: whoever calls from this machine. query: the
    destination that knows how many slices a series has.
    """

    ae_title: AeTitle = "RECONTOUR"
    address: IpAddress = "127.0.0.1"
    port: Port = 11112
    quiet_s: Annotated[float, Field(gt=0, le=86_400)] = 30
    least_free_gib: Annotated[float, Field(ge=0, le=1e6)] = 5
    most_associations: Annotated[int, Field(ge=1, le=1000)] = 300
    callers: tuple[Caller, ...] = ()
    query: Label | None = None
    tls: TlsSettings | None = None


@dataclass(frozen=True, config=_STRICT)
class Destination:
    """Who receives structure sets. commitment: ask it to commit to keeping them."""

    name: Label
    ae_title: AeTitle
    address: Host
    port: Port
    commitment: bool = False
    tls: TlsSettings | None = None


@dataclass(frozen=True, config=_STRICT)
class SiteModel:
    """A model that rules name. file: the one that the site begins with; TRUNK+HEAD, too."""

    file: Path


@dataclass(frozen=True, config=_STRICT)
class Condition:
    """What a text of a series must be like. Letters' case does not matter.

    equals, contains, matches: one of them must be so, if any is given. none_of: no value may be
    equal to it. matches: regular expressions that may match anywhere in the text.
    """

    equals: Texts = ()
    contains: Texts = ()
    matches: Expressions = ()
    none_of: Texts = ()

    @model_validator(mode="after")
    def _asks_something(self) -> "Condition":
        if not (self.equals or self.contains or self.matches or self.none_of):
            raise ExpectedError("one of equals, contains, matches and none_of")
        return self


@dataclass(frozen=True, config=_STRICT)
class When:
    """What must hold of a series, all of it, for a rule to take it."""

    calling_ae: Condition | None = None
    called_ae: Condition | None = None
    description: Condition | None = None
    body_part: Condition | None = None
    manufacturer: Condition | None = None
    least_slices: Annotated[int, Field(ge=1)] | None = None
    most_slices: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True, config=_STRICT)
class Rule:
    """What becomes of a series. organs: TG-263 names; empty: all of the model's.

    template: a file of `contour --names`: how structures are called, coloured and labelled.
    keep_days: then the patient's data is deleted; None: never.
    """

    name: Label
    model: Label
    when: When = When()
    organs: tuple[Organ, ...] = ()
    template: Path | None = None
    destinations: tuple[Label, ...] = ()
    keep_days: KeepDays | None = None


@dataclass(frozen=True, config=_STRICT)
class PageSettings:
    """The page. login: False only on a loopback address.

    proxy: the address of a reverse proxy, which alone is believed when it says for whom it asks:
    from which address (X-Forwarded-For), and, with user_header and role_header, which person.
    """

    address: IpAddress = "127.0.0.1"
    port: Port = 8080
    login: bool = True
    proxy: IpAddress | None = None
    user_header: Header | None = None
    role_header: Header | None = None

    @model_validator(mode="after")
    def _is_guarded(self) -> "PageSettings":
        if not self.login and not is_loopback(self.address):
            raise ExpectedError("login = true, unless the address is 127.0.0.1")
        if self.user_header and not self.proxy:
            raise ExpectedError("proxy beside user_header")
        if self.role_header and not self.user_header:
            raise ExpectedError("user_header beside role_header")
        return self


@dataclass(frozen=True, config=_STRICT)
class LoopSettings:
    """When a model learns from what was corrected.

    after: so many new patients to learn from; 0: only when a person asks. keep_aside: the share of
    patients for testing. threads: of a training; it runs at low priority. take_unapproved: learn
    from structure sets that come back without an approval, too.
    """

    after: Annotated[int, Field(ge=0, le=10_000)] = 10
    keep_aside: Annotated[float, Field(gt=0, lt=1)] = 0.3
    threads: Annotated[int, Field(ge=1, le=1000)] = 1
    take_unapproved: bool = False


@dataclass(frozen=True, config=_STRICT)
class Site:
    """What SITE.toml says: the answer of `read_site`.

    Attributes:
        folder: Everything the site keeps.
        models: By the name that rules give.
        rules: The first one that takes a series decides.
        keep_days: Of series that no rule took, or one that is not here any more; None: for ever.
        database: Its SQLAlchemy URL; None: SQLite in the folder.
    """

    folder: Path
    models: Annotated[dict[Label, SiteModel], Field(min_length=1, max_length=100)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=1000)]
    node: NodeSettings = NodeSettings()
    destinations: tuple[Destination, ...] = ()
    page: PageSettings = PageSettings()
    loop: LoopSettings = LoopSettings()
    keep_days: KeepDays | None = None
    database: Annotated[str, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _names_agree(self) -> "Site":
        """Refuse names that nothing has, and names that several have."""
        _each_once("names of destinations", [one.name for one in self.destinations])
        _each_once("names of rules", [one.name for one in self.rules])
        known = {one.name for one in self.destinations}
        for rule in self.rules:
            if rule.model not in self.models:
                raise ExpectedError(f"a [models.{rule.model}] for the rule {rule.name}")
            for name in rule.destinations:
                if name not in known:
                    raise ExpectedError(f"a destination {name} for the rule {rule.name}")
        if self.node.query and self.node.query not in known:
            raise ExpectedError(f"a destination {self.node.query} for node.query")
        return self

    def destination(self, name: str) -> Destination:
        """Return the destination of that name; KeyError if there is none."""
        for one in self.destinations:
            if one.name == name:
                return one
        raise KeyError(name)

    def rule(self, name: str | None) -> Rule | None:
        """Return the rule of that name; None if there is none any more."""
        for one in self.rules:
            if one.name == name:
                return one
        return None


def _each_once(what: str, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ExpectedError(f"{what} that differ")


# The file


def example_site() -> str:
    """Return a site file with every setting explained.

    >>> "[node]" in example_site()
    True
    """
    return resources.files("recontour.service").joinpath("example.toml").read_text("utf-8")


def read_site(path: Path) -> Site:
    """Read a site file.

    Returns: the settings, all of them checked, with paths that no longer depend on where we are.
    Raises: SettingsError: it is not TOML, or a setting is missing, unknown or impossible.
    """
    try:
        declared = read_toml(path)
    except OSError as error:
        found = NotFound(path=path, expected="a site file", otherwise=EXAMPLE)
        raise SettingsError(found) from error
    except UnreadableError as error:
        unreadable = UnreadableFile(
            path=path,
            what="site file",
            why=error.finding,
            help="correct it, or start from `recontour serve --example`",
        )
        raise SettingsError(unreadable) from error
    try:
        site = TypeAdapter(Site).validate_python(declared)
    except ValidationError as error:
        raise SettingsError(WrongSite(path=path, mistakes=mistakes(error, Site))) from error
    return _placed(site, path.resolve().parent)


def _placed(site: Site, here: Path) -> Site:
    """Return a site whose paths are absolute. here: the folder of its file."""
    models = {name: SiteModel(_parts_placed(one.file, here)) for name, one in site.models.items()}
    rules = []
    for rule in site.rules:
        template = here / rule.template if rule.template else None
        rules.append(replace(rule, template=template))
    destinations = []
    for one in site.destinations:
        destinations.append(replace(one, tls=_tls_placed(one.tls, here)))
    return replace(
        site,
        folder=here / site.folder,
        models=models,
        rules=tuple(rules),
        destinations=tuple(destinations),
        node=replace(site.node, tls=_tls_placed(site.node.tls, here)),
    )


def _parts_placed(model: Path, here: Path) -> Path:
    """Place a model file, or both parts of TRUNK+HEAD."""
    if (here / model).exists() or "+" not in model.name:
        return here / model
    trunk, _, head = str(model).partition("+")
    return Path(f"{here / trunk}+{here / head}")


def _tls_placed(tls: TlsSettings | None, here: Path) -> TlsSettings | None:
    if tls is None:
        return None
    return TlsSettings(here / tls.certificate, here / tls.key, here / tls.authority)


def named_files(site: Site) -> Iterator[tuple[Literal["template", "TLS file"], Path]]:
    """Yield the small files that a site names, and what each is; models are read elsewhere."""
    for rule in site.rules:
        if rule.template:
            yield "template", rule.template
    for tls in (site.node.tls, *(one.tls for one in site.destinations)):
        if tls:
            for file in (tls.certificate, tls.key, tls.authority):
                yield "TLS file", file
