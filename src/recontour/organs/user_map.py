"""A centre's own map of ROI names: a TOML file that a person writes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recontour.errors import NamesError
from recontour.files import NotFound, UnreadableError, UnreadableFile, similar_path
from recontour.findings import Finding
from recontour.organs.findings import (
    EXAMPLE,
    MappedTwice,
    MisspeltOrgan,
    NoNamesTable,
    NotTg263,
    UnknownMapOrgan,
    UnmatchedMapNames,
)
from recontour.organs.table import is_tg263, known_organs
from recontour.organs.vocabulary import key_of, organs_meant
from recontour.texts import read_toml
from recontour.wording import shown

IGNORE = ("", "ignore")  # in the place of an organ's name


def read_user_map(path: Path) -> dict[str, str]:
    """Read a map of ROI names: a table [names] of "ROI spelling" = "TG-263 name", "" or "ignore".

    Raises: NamesError: no such file, no such table, a name that TG-263 does not allow, a known
        organ that is spelled otherwise, or two organs for one name.

    >>> written = Path("names.toml").write_text('names = {"Parotis li" = "Parotid_L"}')
    >>> read_user_map(Path("names.toml"))
    {'Parotis li': 'Parotid_L'}
    """
    try:
        content = read_toml(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = NotFound(
            path=path,
            expected="a map of ROI names",
            otherwise="check the path given to --names",
            similar=similar_path(path),
        )
        raise NamesError(missing) from error
    except UnreadableError as error:
        raise NamesError(
            UnreadableFile(
                path=path,
                what="map of ROI names",
                why=error.finding,
                help=EXAMPLE,
            )
        ) from error
    names = content.get("names")
    if not isinstance(names, dict) or set(content) != {"names"}:
        found = tuple(map(shown, sorted(content)))
        raise NamesError(NoNamesTable(path=path, found=found))
    seen: dict[str, str] = {}
    for roi_name, organ in names.items():
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
    return dict(names)


def notes_on_map(
    user_map: Mapping[str, str],
    roi_names: Iterable[str],
) -> list[Finding]:
    """Return what a person may have misspelt in a map. roi_names: those that were met.

    >>> (found,) = notes_on_map({"Parotis li": "Parotid_L"}, ["Parotis re"])
    >>> found.count
    1
    """
    keys = set(map(key_of, roi_names))
    unmatched = []
    unknown = {}
    for roi_name, organ in user_map.items():
        if key_of(roi_name) not in keys:
            unmatched.append(shown(roi_name))
        if organ not in IGNORE and organ not in known_organs():
            unknown[organ] = organs_meant(organ, known_organs())
    notes: list[Finding] = []
    if unmatched:
        count = len(unmatched)
        notes.append(UnmatchedMapNames(roi_names=tuple(unmatched), count=count))
    for organ, meant in unknown.items():
        if meant:
            notes.append(UnknownMapOrgan(mapped_to=shown(organ), meant=meant))
    return notes


def _doubt(
    path: Path,
    roi_name: str,
    organ: Any,
) -> Finding | None:
    """Return why a name cannot be mapped as it is; None if it can."""
    if organ in IGNORE:
        return None
    mapping = {"roi_name": shown(roi_name), "mapped_to": shown(organ)}
    if not isinstance(organ, str) or not is_tg263(organ):
        return NotTg263(path=path, **mapping)
    for usual in known_organs():
        if usual.casefold() == organ.casefold() and usual != organ:
            return MisspeltOrgan(path=path, usual=usual, **mapping)
    return None
