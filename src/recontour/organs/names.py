"""ROI names of a centre -> TG-263 names; what is not certain is reported, never guessed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from recontour.findings import Finding, words
from recontour.organs.findings import (
    AmbiguousRoiName,
    EqualClaims,
    Evidence,
    IgnoredRoiName,
    KnownRoiName,
    NoDrawnArea,
    NotAnOrgan,
    UnknownRoiName,
    WeakerClaim,
)
from recontour.organs.table import known_organs
from recontour.organs.user_map import IGNORE
from recontour.organs.vocabulary import key_of, organs_called, why_no_organ

Status = Literal["mapped", "ambiguous", "ignored"]
ORDER: tuple[Status, ...] = ("mapped", "ambiguous", "ignored")  # as they are shown


@dataclass(frozen=True, slots=True)
class NameRow:
    """What became of one ROI name.

    roi_name: as its centre spells it; free text. tg263: None unless the name is mapped. reason: one
    of the findings of organs/findings.py, all of them fit to store.
    """

    roi_name: str
    tg263: str | None
    status: Status
    reason: Finding


@dataclass(frozen=True, slots=True)
class NameTable:
    """What became of the ROI names of one structure set, in their order."""

    rows: tuple[NameRow, ...]

    @property
    def mapped(self) -> dict[str, str]:
        """Return the TG-263 name of each ROI name for which it is certain."""
        mapped = {}
        for row in self.rows:
            if row.tg263 is not None:
                mapped[row.roi_name] = row.tg263
        return mapped


class NamedStructure(Protocol):
    """A ROI of an RTSTRUCT or a segment of a SEG."""

    @property
    def name(self) -> str:
        """Return its name, exactly as its centre spells it."""

    @property
    def is_drawn(self) -> bool:
        """Return whether it may enclose something."""


def match_drawn(
    structures: Sequence[NamedStructure], user_map: Mapping[str, str] | None
) -> NameTable:
    """Match the names of a structure set.

    Structures without an area are set aside before names can clash; they come last.

    >>> from types import SimpleNamespace
    >>> empty = SimpleNamespace(name="SpinalCord", is_drawn=False)
    >>> drawn = SimpleNamespace(name="Cord", is_drawn=True)
    >>> match_drawn([empty, drawn], None).mapped
    {'Cord': 'SpinalCord'}
    """
    drawn = [one.name for one in structures if one.is_drawn]
    rows = list(match_names(drawn, user_map).rows)
    for one in structures:
        if not one.is_drawn:
            rows.append(_ignored(one.name, NoDrawnArea()))
    return NameTable(tuple(rows))


def match_names(roi_names: Sequence[str], user_map: Mapping[str, str] | None = None) -> NameTable:
    """Match the ROI names of one structure set.

    user_map: a centre's own spelling -> TG-263 name, or "" to ignore it; as from `read_user_map`.
        Its entries win over the built-in names. Where several ROIs claim one organ, the one in the
        user's map counts, or else the one spelled as in TG-263. If that leaves more than one, all
        are ambiguous.

    >>> match_names(["Cord", "Lt Parotid", "PTV 70"]).mapped
    {'Cord': 'SpinalCord', 'Lt Parotid': 'Parotid_L'}
    """
    user_map = user_map or {}
    by_key = {key_of(spelling): organ for spelling, organ in user_map.items()}
    rows = []
    claims: dict[str | None, list[NameRow]] = defaultdict(list)
    for name in roi_names:
        row = _in_map(name, user_map, by_key) or _built_in(name)
        rows.append(row)
        claims[row.tg263].append(row)
    settled = [_settled(row, claims[row.tg263]) for row in rows]
    return NameTable(tuple(settled))


def ordered(names: Counter[NameRow]) -> tuple[tuple[NameRow, int], ...]:
    """Return rows with their counts, mapped names first, ignored ones last.

    >>> rows = match_names(["PTV 70", "Cord"]).rows
    >>> [(row.roi_name, count) for row, count in ordered(Counter(rows))]
    [('Cord', 1), ('PTV 70', 1)]
    """

    def place(item: tuple[NameRow, int]) -> tuple[int, str, str]:
        row, _ = item
        return ORDER.index(row.status), row.roi_name.casefold(), words(row.reason)

    return tuple(sorted(names.items(), key=place))


def _in_map(
    roi_name: str,
    user_map: Mapping[str, str],
    by_key: Mapping[str, str],
) -> NameRow | None:
    """Match a name by the user's map; None if the map does not have it."""
    key = key_of(roi_name)
    if roi_name in user_map:
        organ, evidence = user_map[roi_name], Evidence.MAP
    elif key and key in by_key:
        organ, evidence = by_key[key], Evidence.MAP_SPELLED_ANOTHER_WAY
    else:
        return None
    if organ in IGNORE:
        return _ignored(roi_name, IgnoredRoiName())
    return _mapped(roi_name, organ, evidence)


def _built_in(roi_name: str) -> NameRow:
    """Match a name by the organ table."""
    if roi_name in known_organs():
        return _mapped(roi_name, roi_name, Evidence.TG263)
    meanings = organs_called(roi_name)
    if len(meanings) == 1:
        return _mapped(roi_name, meanings[0], Evidence.SPELLING)
    if meanings:
        return NameRow(roi_name, None, "ambiguous", AmbiguousRoiName(meanings=meanings))
    what = why_no_organ(roi_name)
    return _ignored(roi_name, NotAnOrgan(what=what) if what else UnknownRoiName())


def _settled(row: NameRow, rivals: Sequence[NameRow]) -> NameRow:
    """Return the outcome for a row among all the rows that claim the same organ."""
    organ = row.tg263
    if organ is None:
        return row
    strengths = list(map(_strength, rivals))
    strongest = max(strengths)
    if strengths.count(strongest) == 1:
        is_it = _strength(row) == strongest
        return row if is_it else _ignored(row.roi_name, WeakerClaim(claimed=organ))
    is_one_name = len({rival.roi_name for rival in rivals}) == 1
    reason = EqualClaims(
        claimed=organ,
        rois=len(rivals),
        of_one_name=is_one_name,
    )
    return NameRow(row.roi_name, None, "ambiguous", reason)


def _strength(row: NameRow) -> int:
    assert isinstance(row.reason, KnownRoiName)
    return row.reason.by.strength


def _mapped(roi_name: str, organ: str, evidence: Evidence) -> NameRow:
    return NameRow(roi_name, organ, "mapped", KnownRoiName(by=evidence))


def _ignored(roi_name: str, reason: Finding) -> NameRow:
    return NameRow(roi_name, None, "ignored", reason)
