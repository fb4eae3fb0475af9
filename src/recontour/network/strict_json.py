"""Read JSON from elsewhere: no key twice, no NaN, no endless nesting."""

import json
from typing import Any

from recontour.files import UnreadableError
from recontour.network.findings import NotJson


def read_strict_json(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises: UnreadableError: it is not a JSON object, repeats a key, or holds NaN or infinity.

    >>> read_strict_json('{"a": 1}')
    {'a': 1}
    """
    try:
        found = json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except UnreadableError:
        raise
    except RecursionError:
        raise UnreadableError(NotJson(problem="too deep")) from None
    except ValueError as error:
        raise UnreadableError(NotJson(problem="syntax", reason=str(error))) from error
    if not isinstance(found, dict):
        raise UnreadableError(NotJson(problem="no object"))
    return found


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnreadableError(NotJson(problem="key twice"))
    return found


def _no_constant(word: str) -> Any:
    raise UnreadableError(NotJson(problem="no number", reason=word))
