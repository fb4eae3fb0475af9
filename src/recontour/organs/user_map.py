"""A centre's own map of ROI names: a TOML file that a person writes."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from recontour.errors import NamesError
from recontour.findings import Finding
from recontour.organs.findings import (
    EXAMPLE,
    ContradictoryMapLine,
    MappedMargin,
    MappedTwice,
    MisspeltOrgan,
    NewOrgans,
    NoNamesTable,
    NotTg263,
    UnmatchedMapNames,
    UnusedNewOrgans,
)
from recontour.organs.table import is_tg263, listed_organs
from recontour.organs.vocabulary import contradicts, key_of, organs_meant, why_larger
from recontour.texts import read_users_toml
from recontour.wording import shown

# [names] are read by all that take a map, the others by `contour`.
TABLES = {"names", "output", "protocol"}
IGNORE = ("", "ignore")  # in the place of an organ's name
NEW_ORGAN_KEY = "new_organ"  # in a line "ROI spelling" = { new_organ = "NAME" }


def read_user_map(path: Path | None, new_organs: Collection[str] = ()) -> dict[str, str]:
    """Read a map of ROI names: a table [names] of "ROI spelling" = "TG-263 name", "" or "ignore".

    path: if None, there is no map. new_organs: names that lines may lead to although TG-263 does
        not list them; or such a line says { new_organ = "NAME" }.
    Raises: NamesError: no such file, no such table, a name that TG-263 does not allow, a listed
        organ that is spelled otherwise, one that is not listed and not said to be new, or two
        organs for one name.

    >>> written = Path("names.toml").write_text('names = {"Parotis li" = "Parotid_L"}')
    >>> read_user_map(Path("names.toml"))
    {'Parotis li': 'Parotid_L'}
    """
    names = _checked_lines(path) if path else {}
    new = set(new_organs)
    user_map = {}
    for roi_name, value in names.items():
        organ = _declared_new(value)
        if organ is not None:
            new.add(organ)
        user_map[roi_name] = value if organ is None else organ
    _refuse_doubtful(path, user_map)
    _refuse_new(path, user_map, new)
    return user_map


def _checked_lines(path: Path) -> dict[str, Any]:
    """Read the lines of the table [names] of a map. Raises: NamesError."""
    content = read_map_file(path)
    names = content.get("names")
    if not isinstance(names, dict):
        raise NamesError(_no_names(path, content))
    return names


def read_map_file(path: Path) -> dict[str, Any]:
    """Return the tables of a map of ROI names; only the tables' names are checked.

    Raises: NamesError: there is no such file, it is not TOML, or has a table that nobody reads.

    >>> written = Path("names.toml").write_text('names = {"Parotis li" = "Parotid_L"}')
    >>> list(read_map_file(Path("names.toml")))
    ['names']
    """
    content = read_users_toml(
        path,
        "map of ROI names",
        option="--names",
        example=EXAMPLE,
        refusal=NamesError,
    )
    if not TABLES.issuperset(content):
        raise NamesError(_no_names(path, content))
    return content


def _no_names(path: Path, content: Mapping[str, Any]) -> NoNamesTable:
    return NoNamesTable(path=path, found=tuple(map(shown, sorted(content))))


def _declared_new(value: Any) -> str | None:
    """Return the organ that a line of a map declares new; None if it declares none."""
    if isinstance(value, dict) and set(value) == {NEW_ORGAN_KEY}:
        organ = value[NEW_ORGAN_KEY]
        return organ if isinstance(organ, str) else None
    return None


def _refuse_doubtful(path: Path | None, user_map: Mapping[str, Any]) -> None:
    """Raise NamesError if a line leads to no organ's name, or two lines contradict each other."""
    seen: dict[str, str] = {}
    for roi_name, organ in user_map.items():
        doubt = _doubt(path, roi_name, organ)
        if doubt:
            raise NamesError(doubt)
        before = seen.setdefault(key_of(roi_name), organ)
        if before != organ:
            both = shown(organ), shown(before)
            raise NamesError(
                MappedTwice(
                    path=path,
                    roi_name=shown(roi_name),
                    mapped_to=both,
                )
            )


def _refuse_new(
    path: Path | None,
    user_map: Mapping[str, str],
    new: Collection[str],
) -> None:
    """Raise NamesError if an organ is neither listed nor declared new, or in vain."""
    organs = dict.fromkeys(user_map.values())
    unused = tuple(organ for organ in new if organ not in organs)
    if unused:
        raise NamesError(UnusedNewOrgans(path=path, organs=tuple(map(shown, sorted(unused)))))
    listed = listed_organs()
    unlisted = [organ for organ in organs if organ not in (*IGNORE, *listed, *new)]
    if unlisted:
        meant: list[str] = []
        for organ in unlisted:
            meant += organs_meant(organ, listed)
        raise NamesError(
            NewOrgans(path=path, mapped_to=tuple(unlisted), meant=tuple(dict.fromkeys(meant)))
        )


def notes_on_map(
    user_map: Mapping[str, str],
    roi_names: Iterable[str],
) -> list[Finding]:
    """Return what a person may have mistaken in a map. roi_names: those that were met.

    >>> (found,) = notes_on_map({"Parotis li": "Parotid_L"}, ["Parotis re"])
    >>> found.count
    1
    """
    keys = set(map(key_of, roi_names))
    unmatched = []
    notes: list[Finding] = []
    for roi_name, organ in user_map.items():
        if key_of(roi_name) not in keys:
            unmatched.append(shown(roi_name))
        for says in contradicts(roi_name, organ):
            name = shown(roi_name)
            notes.append(ContradictoryMapLine(roi_name=name, mapped_to=organ, says=says))
        what = None if organ in IGNORE or why_larger(organ) else why_larger(roi_name)
        if what:
            notes.append(MappedMargin(roi_name=shown(roi_name), mapped_to=organ, what=what))
    if unmatched:
        count = len(unmatched)
        notes.append(UnmatchedMapNames(roi_names=tuple(unmatched), count=count))
    return notes


def _doubt(
    path: Path | None,
    roi_name: str,
    organ: Any,
) -> Finding | None:
    """Return why a name cannot be mapped as it is; None if it can."""
    if organ in IGNORE:
        return None
    mapping = {"roi_name": shown(roi_name), "mapped_to": shown(organ)}
    if not isinstance(organ, str) or not is_tg263(organ):
        return NotTg263(path=path, **mapping)
    for usual in listed_organs():
        if usual.casefold() == organ.casefold() and usual != organ:
            return MisspeltOrgan(path=path, usual=usual, **mapping)
    return None
