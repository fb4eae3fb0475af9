"""The organ table: what recontour knows of each organ at risk, read once from table.toml."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Strict

from recontour.validation import ExpectedError

Side = Literal["L", "R"]
Colour = tuple[int, int, int]
SideWords = Mapping[Side, tuple[str, ...]]

SIDES: tuple[Side, Side] = ("L", "R")
# AAPM TG-263: at most 16 characters. None of them separates folders: a name may become a file's.
_TG263 = re.compile(r"[A-Za-z][A-Za-z0-9_~^-]{0,15}")


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of SNOMED CT; it does not tell left from right."""

    code: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a language spells an organ. language: its code (ISO 639-1)."""

    words: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Organ:
    """What is known of one organ.

    name: TG-263. group: the name without its side. spellings: of the group, by other centres.
    colour: RGB, 0 to 255. tolerance_mm: of the surface DSC; has_own_tolerance: it is published for
    this organ, not the default. kept_share: how large an island must be, compared with the largest
    part, to be kept; at 1 only the largest part is. goes_on: it leaves every scan of the head and
    neck. in_the_middle: it lies about where the patient's left and right meet.
    """

    name: str
    group: str
    side: Side | None
    spellings: tuple[Spelling, ...]
    colour: Colour
    concept: Concept
    tolerance_mm: float
    has_own_tolerance: bool
    kept_share: float
    goes_on: bool
    in_the_middle: bool

    @property
    def twin(self) -> str | None:
        """Return the same organ on the other side; None if the organ has no side."""
        if self.side is None:
            return None
        return f"{self.group}_{'R' if self.side == 'L' else 'L'}"


@dataclass(frozen=True, slots=True)
class NoOrgan:
    """A sort of structure that is not an organ, and the words by which its names give it away.

    kind: its key in the table, such as "margin". alone: words that do so only as the whole name.
    """

    kind: str
    reason: str
    words: frozenset[str]
    alone: frozenset[str]


def organ_of(name: str) -> Organ:
    """Return what is known of an organ; any TG-263 name has at least the defaults.

    >>> organ_of("Parotid_L").twin
    'Parotid_R'
    >>> organ_of("Kidney_L").has_own_tolerance
    False
    """
    return organs().get(name) or _unlisted(name)


@cache
def organs() -> Mapping[str, Organ]:
    """Return the organs of the table by name."""
    listed = {}
    for name, row in _toml()["single"].items():
        listed[name] = _organ(name, name, None, row)
    for group, row in _toml()["paired"].items():
        for side in SIDES:
            name = f"{group}_{side}"
            listed[name] = _organ(name, group, side, row)
    return listed


def default_organ() -> Organ:
    """Return what holds for an organ that recontour does not know; it has no name.

    >>> default_organ().has_own_tolerance
    False
    """
    return _organ("", "", None, {})


def known_organs() -> tuple[str, ...]:
    """Return the TG-263 names that are understood without a user's map.

    >>> "Parotid_L" in known_organs()
    True
    """
    return tuple(organs())


@cache
def listed_organs() -> tuple[str, ...]:
    """Return the names that mean an organ to others, too: TG-263's list, and the organ table.

    >>> "Glottis" in listed_organs(), "Larnyx" in listed_organs()
    (True, False)
    """
    text = files("recontour.organs").joinpath("tg263.txt").read_text(encoding="utf-8")
    listed = set(known_organs())
    for line in text.splitlines():
        if not line.startswith("#"):
            listed.update(line.split())
    return tuple(sorted(listed))


def is_tg263(name: str) -> bool:
    """Say whether a name has TG-263's form; `listed_organs` are those that its list has.

    >>> is_tg263("Parotid_L"), is_tg263("Parotid, left")
    (True, False)
    """
    return _TG263.fullmatch(name) is not None


def _expect_tg263(words: str) -> str:
    if not is_tg263(words):
        raise ExpectedError("a TG-263 name")
    return words


# An organ's name in a record that a file holds.
OrganName = Annotated[str, Strict(), AfterValidator(_expect_tg263)]


@cache
def side_words(language: str | None = None) -> SideWords:
    """Return the words that stand for left and right, in one language or in all of them."""
    rows = _toml()["side"]
    chosen = rows.values() if language is None else [rows[language]]
    words: dict[Side, tuple[str, ...]] = {}
    for side in SIDES:
        every = chain.from_iterable(row[side] for row in chosen)
        words[side] = tuple(dict.fromkeys(every))
    return words


def own_side_words(language: str) -> SideWords:
    """Return the words that stand for left and right in one language only."""
    words = _toml()["own_side"].get(language, {})
    return {side: tuple(words.get(side, ())) for side in SIDES}


@cache
def no_organs() -> tuple[NoOrgan, ...]:
    """Return the kinds of structures that are not organs."""
    found = []
    for kind, row in _toml()["no_organ"].items():
        words, alone = frozenset(row["words"]), frozenset(row.get("alone", ()))
        found.append(NoOrgan(kind, row["reason"], words, alone))
    return tuple(found)


def abbreviations() -> Mapping[str, str]:
    """Return what some abbreviations may stand for: organs without their side.

    >>> abbreviations()["uk"]
    'Bone_Mandible'
    """
    meant: dict[str, str] = _toml()["abbreviation"]
    return meant


def _unlisted(name: str) -> Organ:
    """Return an organ that the table does not have.

    One that only differs in its side ("Parotid", "Brainstem_L") shares concept and tolerance.
    """
    group, side = apart(name)
    rows = _toml()["single"] | _toml()["paired"]
    row = rows.get(group, {})
    shared = {key: row[key] for key in ("concept", "tolerance_mm") if key in row}
    return _organ(name, group, side, shared)


def apart(name: str) -> tuple[str, Side | None]:
    """Split a TG-263 name into the organ and its side.

    >>> apart("Parotid_L"), apart("Brainstem")
    (('Parotid', 'L'), ('Brainstem', None))
    """
    for side in SIDES:
        if name.endswith(f"_{side}"):
            return name[:-2], side
    return name, None


def _organ(
    name: str,
    group: str,
    side: Side | None,
    row: Mapping[str, Any],
) -> Organ:
    """Return an organ from its row; the defaults fill what is missing."""
    facts = _toml()["default"] | row
    colour = facts["colour"]
    red, green, blue = colour[side] if isinstance(colour, dict) else colour
    return Organ(
        name=name,
        group=group,
        side=side,
        spellings=_spellings(row),
        colour=(red, green, blue),
        concept=Concept(**facts["concept"]),
        tolerance_mm=facts["tolerance_mm"],
        has_own_tolerance="tolerance_mm" in row,
        kept_share=facts["kept_share"],
        goes_on=facts["goes_on"],
        in_the_middle=facts["in_the_middle"],
    )


def _spellings(row: Mapping[str, Any]) -> tuple[Spelling, ...]:
    found = []
    for language, spellings in row.get("spellings", {}).items():
        for words in spellings:
            found.append(Spelling(words, language))
    return tuple(found)


@cache
def _toml() -> dict[str, Any]:
    text = files("recontour.organs").joinpath("table.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
