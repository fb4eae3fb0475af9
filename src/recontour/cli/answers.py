"""What a command answers: words for a person, or one JSON object for a script (`--json`).

The fields are described in docs/reference/json.md, and stay the same between releases.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from importlib.metadata import version
from typing import Any

from recontour.cli.failures import Failure
from recontour.errors import RecontourError
from recontour.findings import Finding, as_json, plain_scalar
from recontour.wording import whole_letters


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did.

    show: shows it to a person. facts: the same for a script. warnings, notes: what was found.
    failure: an error to raise after everything is shown, for example about damaged cases.
    """

    show: Callable[[], None]
    facts: Callable[[], Mapping[str, object]]
    warnings: Sequence[Finding] = ()
    notes: Sequence[Finding] = ()
    failure: RecontourError | None = None


@dataclass(slots=True)
class Transcript:
    """What a command has found so far, and its result once it has one."""

    warnings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    result: Mapping[str, object] | None = None


def as_line(
    command: str,
    said: Transcript,
    failure: Failure | None,
) -> str:
    """Return the JSON object of a command, on one line."""
    error = None
    if failure:
        about = {"error": failure.name, "exit_code": failure.exit_code}
        error = about | as_json(failure.finding)
    answer = {
        "recontour": version("recontour"),
        "command": command,
        "ok": failure is None,
        "warnings": said.warnings,
        "notes": said.notes,
        "result": said.result,
        "error": error,
    }
    return json.dumps(plain_value(answer), allow_nan=False)


def plain_value(value: Any) -> Any:
    """Return a value as JSON can hold it.

    NaN becomes null, and infinity the text "inf", as in scores.csv.

    >>> plain_value({"volume": float("nan"), "distances": (1.5, float("inf"))})
    {'volume': None, 'distances': [1.5, 'inf']}
    """
    if isinstance(value, Finding):
        value = as_json(value)
    elif is_dataclass(value):
        value = {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, Mapping):
        return {whole_letters(str(key)): plain_value(of) for key, of in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return list(map(plain_value, value))
    return plain_scalar(value)
