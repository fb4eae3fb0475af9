"""A centre's ROI names -> TG-263 names; what is not certain is said, never guessed."""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Protocol

from recontour.errors import NamesError
from recontour.files import UnreadableError
from recontour.texts import read_toml
from recontour.wording import shown

Status = Literal["mapped", "ignored", "ambiguous"]
STATUSES = ("mapped", "ambiguous", "ignored")  # as they are shown

TG263 = re.compile(
    r"[A-Za-z][A-Za-z0-9_~^-]{0,15}"
)  # AAPM TG-263: at most 16 characters, none of them a path's
IGNORE = ("", "ignore")
# Why a name is mapped, if not as a known spelling.
USERS, USERS_ALIKE, EXACT = "the user's map", "the user's map, spelled another way", "TG-263"
SAY_WHICH = "say which with --names"
UNKNOWN = "no organ goes by this name; if it is one, map it with --names"


@dataclass(frozen=True, slots=True)
class NameRow:
    """What became of one ROI name. tg263: None unless mapped, or if several ROIs claim it."""

    roi_name: str
    tg263: str | None
    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class NameTable:
    """What became of the ROI names of one structure set, in their order."""

    rows: tuple[NameRow, ...]

    @property
    def mapped(self) -> dict[str, str]:
        """ROI name -> TG-263 name, of those that are certain."""
        return {
            row.roi_name: row.tg263
            for row in self.rows
            if row.status == "mapped" and row.tg263 is not None
        }


class Drawn(Protocol):
    """A ROI of an RTSTRUCT or a segment of a SEG."""

    @property
    def name(self) -> str:
        """Exactly as its centre spells it."""

    @property
    def is_drawn(self) -> bool:
        """Whether it may enclose something."""


def match_drawn(structures: Sequence[Drawn], user_map: Mapping[str, str] | None) -> NameTable:
    """What becomes of a structure set's names;

    structures without an area are left aside before names can clash.
    """
    drawn = [one.name for one in structures if one.is_drawn]
    empty = [one.name for one in structures if not one.is_drawn]
    matched = match_names(drawn, user_map).rows
    return NameTable(
        (*matched, *(NameRow(name, None, "ignored", "no area is drawn") for name in empty))
    )


def match_names(roi_names: Sequence[str], user_map: Mapping[str, str] | None = None) -> NameTable:
    """Match the ROI names of one structure set.

    user_map: a centre's own spelling -> TG-263 name, or "" to ignore it; as `read_user_map` gives.
        Its entries win over the built-in names. Where several ROIs claim one organ, the one in the
        user's map counts, or else the one spelled as in TG-263; if that leaves more than one, all
        are ambiguous.
    """
    rows = [_match(name, user_map or {}) for name in roi_names]
    claims: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if row.tg263 is not None and row.status == "mapped":
            claims.setdefault(row.tg263, []).append(index)
    for organ, claimants in claims.items():
        strength = {index: _strength(rows[index]) for index in claimants}
        strongest = max(strength.values())
        certain = Counter(strength.values())[strongest] == 1
        for index in claimants:
            if certain and strength[index] < strongest:
                rows[index] = replace(
                    rows[index], status="ignored", tg263=None, reason=f"another ROI is {organ}"
                )
            elif not certain:
                alike = (
                    len({rows[i].roi_name for i in claimants}) == 1
                )  # then no map can tell them apart
                do = (
                    "their name is the same, so rename all but one where they were drawn"
                    if alike
                    else SAY_WHICH
                )
                reason = f"{len(claimants)} ROIs would be {organ}; {do}"
                rows[index] = replace(rows[index], status="ambiguous", tg263=None, reason=reason)
    return NameTable(tuple(rows))


def ordered(names: Counter[NameRow]) -> tuple[tuple[NameRow, int], ...]:
    """Rows with their counts, mapped names first, ignored ones last."""

    def place(item: tuple[NameRow, int]) -> tuple[int, str, str]:
        return STATUSES.index(item[0].status), item[0].roi_name.casefold(), item[0].reason

    return tuple(sorted(names.items(), key=place))


def read_user_map(path: Path) -> dict[str, str]:
    """Read a user's map of ROI names: TOML, a table [names] of "ROI spelling" = "TG-263 name", ""
    or "ignore".

    Raises: NamesError: no such file, no such table, or a name that TG-263 does not allow.
    """
    example = 'write [names] and under it lines such as "Hirnstamm" = "Brainstem"'
    try:
        content = read_toml(path)
    except OSError as error:
        raise NamesError(
            f"{path}: cannot be read ({error.strerror}); check the path given to --names"
        ) from error
    except UnreadableError as error:
        raise NamesError(f"{path}: cannot be read: {error}; {example}") from error
    names = content.get("names")
    if not isinstance(names, dict) or set(content) != {"names"}:
        found = shown(sorted(content)) if content else "nothing"
        raise NamesError(f"{path}: one table [names] is expected, found {found}; {example}")
    known = {organ.casefold(): organ for organ in known_organs()}
    seen: dict[str, str] = {}
    for roi_name, organ in names.items():
        mapped = f"{path}: {shown(roi_name)} is mapped"
        if not isinstance(organ, str):
            raise NamesError(f"{mapped} to {shown(organ)}; a TG-263 name in quotes is expected")
        if organ not in IGNORE and not is_tg263(organ):
            raise NamesError(
                f"{mapped} to {shown(organ)}; TG-263 names are at most 16 of A-z, 0-9, _, ~, ^ and -"
            )
        if (usual := known.get(organ.casefold(), organ)) != organ:
            raise NamesError(f"{mapped} to '{organ}'; TG-263 spells it '{usual}'")
        if seen.setdefault(_key(roi_name), organ) != organ:
            raise NamesError(f"{mapped} twice, to '{organ}' and '{seen[_key(roi_name)]}'; keep one")
    return dict(names)


def is_tg263(name: str) -> bool:
    """Whether TG-263 allows a name; then it may become a file's, too."""
    return TG263.fullmatch(name) is not None


@cache
def known_organs() -> tuple[str, ...]:
    """The TG-263 names that are understood without a user's map."""
    vocabulary = _vocabulary()
    return (
        *vocabulary["single"],
        *(f"{organ}_{side}" for organ in vocabulary["paired"] for side in "LR"),
    )


def is_vocabulary(roi_name: str) -> bool:
    """Whether a name is made of the words of names.toml and at most two digits:

    then it cannot name a patient.
    """
    words = _words(roi_name)
    known = {re.sub(r"\d+", "", word).removesuffix("s") for word in words} - {""}
    return sum(map(str.isdigit, "".join(words))) <= 2 and known <= _vocabulary_words()


def _match(roi_name: str, user_map: Mapping[str, str]) -> NameRow:
    key = _key(roi_name)
    by_key = {_key(spelling): organ for spelling, organ in user_map.items()}
    chosen = user_map.get(roi_name, by_key.get(key) if key else None)
    if chosen is not None:
        if chosen in IGNORE:
            return NameRow(roi_name, None, "ignored", "ignored by the user's map")
        return NameRow(roi_name, chosen, "mapped", USERS if roi_name in user_map else USERS_ALIKE)
    if roi_name in known_organs():
        return NameRow(roi_name, roi_name, "mapped", EXACT)
    words = _words(roi_name)
    words = words[2:] if words[:2] == ["copy", "of"] else words
    organs = _built_in().get("".join(words)) or _built_in().get(" ".join(words)) or ()
    if len(organs) == 1:
        return NameRow(roi_name, organs[0], "mapped", "a known spelling")
    if organs:
        return NameRow(
            roi_name, None, "ambiguous", f"{' or '.join(organs)}? Say which with --names"
        )
    return NameRow(roi_name, None, "ignored", _why_not(roi_name))


def _strength(row: NameRow) -> int:
    """How certain a mapping is:

    the user's word, to the letter or not; TG-263's own spelling; a known spelling.
    """
    return {USERS: 3, USERS_ALIKE: 2, EXACT: 1}.get(row.reason, 0)


def _why_not(roi_name: str) -> str:
    """Why a name is no organ's."""
    words = {re.sub(r"\d+", "", word) for word in _words(roi_name)}
    for kind in _vocabulary()["left_out"].values():
        if words & set(kind["words"]):
            return str(kind["reason"])
    return UNKNOWN


def _words(name: str) -> list[str]:
    """A name's words in lower case without accents:

    'LeftParotid', 'Parotid_(L)' and 'Parotide G' fall apart.
    """
    plain = unicodedata.normalize("NFKD", name.replace("œ", "oe").replace("Œ", "OE"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return re.findall(
        r"[^\W_]+|[+~]", plain.casefold()
    )  # + is a margin and ~ a part: neither is the organ


def _key(name: str) -> str:
    """What two spellings of one name share."""
    return "".join(_words(name))


@cache
def _vocabulary() -> dict[str, Any]:
    return tomllib.loads(
        files("recontour.organs").joinpath("table.toml").read_text(encoding="utf-8")
    )


@cache
def _vocabulary_words() -> frozenset[str]:
    """Every word that a known name, its side or the reason to leave it out is made of, without a
    plural's s.
    """
    vocabulary = _vocabulary()
    lists = [
        known_organs(),
        ["copy of"],
        *vocabulary["single"].values(),
        *vocabulary["paired"].values(),
        *vocabulary["side"].values(),
        *(kind["words"] for kind in vocabulary["left_out"].values()),
    ]
    return frozenset(
        word.removesuffix("s") for names in lists for name in names for word in _words(name)
    )


@cache
def _built_in() -> dict[str, tuple[str, ...]]:
    """Every known spelling's key -> the organs it may mean: two where the side is missing.

    Words of a short spelling and its side are joined with a space, any others without.
    """
    vocabulary = _vocabulary()
    table: dict[str, tuple[str, ...]] = {
        _key(spelling): (organ,)
        for organ, spellings in vocabulary["single"].items()
        for spelling in (organ, *spellings)
    }
    paired = {organ: (organ, *spellings) for organ, spellings in vocabulary["paired"].items()}
    for organ, spellings in paired.items():
        for spelling in spellings:
            table.setdefault(_key(spelling), (f"{organ}_L", f"{organ}_R"))
            table.setdefault(_key(spelling) + "s", (f"{organ}_L", f"{organ}_R"))
    for organ, spellings in paired.items():
        for spelling in spellings:
            apart = " " if len(_key(spelling)) < 4 else ""
            for side, words in vocabulary["side"].items():
                for sided in (
                    pattern for word in words for pattern in _with_side(_words(spelling), word)
                ):
                    table.setdefault(apart.join(sided), (f"{organ}_{side}",))
    return table


def _with_side(words: Sequence[str], side: str) -> list[list[str]]:
    """A name's words with its side before, after or between them."""
    return [[*words[:at], side, *words[at:]] for at in range(len(words) + 1)]


def sides_swapped(middles_x_mm: Mapping[str, float]) -> list[str]:
    """Left organs that lie to the right of their right twins (DICOM x grows to the patient's left),
    each as a sentence.

    middles_x_mm: TG-263 name -> x of its middle.
    """
    twins = [(organ, f"{organ[:-2]}_R") for organ in sorted(middles_x_mm) if organ.endswith("_L")]
    return [
        f"{left} lies to the right of {right}: left and right may be swapped"
        for left, right in twins
        if right in middles_x_mm and middles_x_mm[left] < middles_x_mm[right]
    ]
