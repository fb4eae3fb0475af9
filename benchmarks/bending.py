"""Hostile values, and JSON texts that hold them, for `bent_files.py`."""

import json
import random
from typing import Any

TEXTS = [
    "", " ", "\0", "../../escaped", "/escaped", "..", "a\nb", "[/]", "[bold red]x",
    "\x1b[2J\x1b]0;owned\x07", "=cmd|' /C calc'!A0", "+1", "-1", "@x", "A" * 70_000,
    "\u202egpj.exe", "\ud800", "nan", "1e30", "\u8148\u817a",
]  # fmt: skip
NUMBERS = [0, -1, 1, 2, 1e30, -1e30, 1e-320, 10**6, 10**9, 2**31, 2**63, 2**64, 10**400, 0.5]
ODD: list[Any] = [
    float("nan"), float("inf"), float("-inf"), None, True, False, [], {}, [[]], [None], {"": None},
]  # fmt: skip
DEPTH = 1000


def nested(depth: int = DEPTH) -> str:
    """Return JSON text of lists within lists.

    >>> nested(2)
    '[[]]'
    """
    return "[" * depth + "]" * depth


def hostile_value(rng: random.Random) -> Any:
    """Return a value that nobody writes by accident."""
    kinds: list[list[Any]] = [TEXTS, NUMBERS, ODD, [[1] * 1000, {"a": {"b": 1}}]]
    return rng.choice(rng.choice(kinds))


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place in a JSON value, as the keys and indices that lead there.

    >>> places_of({"a": [5]})
    [(), ('a',), ('a', 0)]
    """
    places = [path]
    if isinstance(value, dict):
        for key, part in value.items():
            places += places_of(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            places += places_of(part, (*path, index))
    return places


def bent_json(rng: random.Random, text: str) -> tuple[str, str]:
    """Replace, remove or nest one to three values of a JSON text.

    Returns: the text, and what was done in words.
    """
    value = json.loads(text)
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        place = rng.choice(places_of(value)[1:] or [()])
        if not place:
            return json.dumps(hostile_value(rng)), "everything replaced"
        holder = value
        for key in place[:-1]:
            holder = holder[key]
        how = rng.choice(["replaced", "replaced", "replaced", "removed", "nested"])
        name = ".".join(map(str, place))
        if how == "removed":
            del holder[place[-1]]
            done.append(f"{name} removed")
        elif how == "nested":
            return _with_raw(value, holder, place[-1], nested()), f"{name} nested {DEPTH} deep"
        else:
            holder[place[-1]] = hostile_value(rng)
            done.append(f"{name} = {ascii(holder[place[-1]])[:60]}")
    return json.dumps(value), ", ".join(done)


def _with_raw(value: Any, holder: Any, key: Any, raw: str) -> str:
    """Return the JSON text of a value with raw text in one place.

    `json.dumps` itself cannot nest so deep.
    """
    mark = "the raw text goes here"
    holder[key] = mark
    return json.dumps(value).replace(json.dumps(mark), raw)
