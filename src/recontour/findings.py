"""What recontour finds: facts first, words only where somebody reads them.

A finding is a frozen dataclass with typed fields. Each field that can hold text says whether it may
be stored: `FitToStore` for words that recontour chose itself (a TG-263 name, a DICOM keyword, a
case id), `ScreenOnly` for whatever came from a file, a folder or a person, since that may name a
patient. Numbers, enumerations and nested findings need no mark.

    facts                 `Finding`, one subclass per thing that can be found, in each room's
                          findings.py
    words on the screen   `words(finding)`
    words to store        `stored_words(finding)`: built without the fields for the screen only
    for scripts           `as_json(finding)`: facts and screen-only fields apart
    in the log            `log_finding(log, level, finding)`: stored words; a handler that shows
                          them to a person takes the finding itself

Nothing that is stored is ever made by removing text from a sentence.
"""

import logging
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, dataclass_transform, get_type_hints

from recontour.wording import printable, whole_letters

SCREEN_ONLY = "for the screen only"
FIT_TO_STORE = "fit to store"
HIDDEN = "[hidden]"

Value = TypeVar("Value")
AnyFinding = TypeVar("AnyFinding", bound="Finding")
ScreenOnly = Annotated[Value, SCREEN_ONLY]
FitToStore = Annotated[Value, FIT_TO_STORE]


@dataclass_transform(frozen_default=True, kw_only_default=True)
def finding(of: type[Value]) -> type[Value]:
    """Make a class a finding: a frozen dataclass whose fields are given by name."""
    return dataclass(
        frozen=True,
        slots=True,
        kw_only=True,
        repr=False,  # `Finding.__repr__` shows only what may be stored
    )(of)


@finding
class Finding:
    """Something that was found, as facts.

    path: the file or folder it is about. case: a case's id, a pseudonym. organ: a TG-263 name.
    A subclass adds its own fields and says them in `sentence`, and in `remedy` what to do.

    Examples:
        >>> found = Unexpected(path=Path("plan.dcm"), reason="it is empty", help="export it again")
        >>> words(found)
        'plan.dcm: it is empty; export it again'
        >>> stored_words(found)
        '[hidden]; export it again'
    """

    path: ScreenOnly[Path | None] = None
    case: FitToStore[str | None] = None
    organ: FitToStore[str | None] = None

    def __str__(self) -> str:
        """Return the words that may be stored, since a log may print what it is given."""
        return stored_words(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {stored_words(self)}>"

    def sentence(self) -> str:
        """Say what was seen and, where it is not obvious, what was expected."""
        raise NotImplementedError

    def remedy(self) -> str:
        """Say what would help; empty if nothing is to be done."""
        return ""


def words(finding: Finding) -> str:
    """Return a finding as one line for the screen: where, what was seen, what to do.

    The line may name a patient; for logs and files use `stored_words`.

    Examples:
        >>> words(Unexpected(path=Path("plan.dcm"), reason="it is empty"))
        'plan.dcm: it is empty'
    """
    path, case = finding.path, finding.case
    if path and path.name == case:
        case = None  # the path has said it
    where = [str(place) for place in (path, case, finding.organ) if place]
    what = "; ".join(part for part in (finding.sentence(), finding.remedy()) if part)
    return printable(": ".join([*where, what]))


def stored_words(finding: Finding) -> str:
    """Return a finding as one line that names no patient, folder or file."""
    return words(fit_to_store(finding))


def fit_to_store(finding: AnyFinding) -> AnyFinding:
    """Return the same finding with its screen-only fields hidden, also in nested findings."""
    kept: dict[str, Any] = {}
    for name, value, mark in _values(finding):
        kept[name] = _hidden(value) if mark == SCREEN_ONLY else _inside(value)
    kept["path"] = None  # no stored line begins with a place
    return replace(finding, **kept)


def _hidden(value: Any) -> Any:
    """Return what stands for a value that is not stored; its type stays the same."""
    if isinstance(value, Path):
        return Path(HIDDEN)
    if isinstance(value, str):
        return HIDDEN if value else value
    if isinstance(value, tuple) and all(isinstance(one, tuple) for one in value):
        return tuple(map(_hidden, value))
    if isinstance(value, tuple):
        return (HIDDEN,)
    raise TypeError(f"a {type(value).__name__} cannot be hidden; use text, a path or a tuple")


def _inside(value: Any) -> Any:
    """Return a value that may be stored; findings in it hide their own fields."""
    if isinstance(value, Finding):
        return fit_to_store(value)
    if isinstance(value, tuple):
        return tuple(map(_inside, value))
    return value


def as_json(finding: Finding) -> dict[str, Any]:
    """Return a finding for `--json`.

    kind: what was found, such as "missing_slice"; stable between releases. message: the line for
    the screen. facts: what may be stored. screen_only: what may name a patient; only there.
    """
    return {
        "kind": kind(finding),
        "message": words(finding),
        "facts": _facts(finding),
        "screen_only": _screen_only(finding),
    }


def _facts(finding: Finding) -> dict[str, Any]:
    """Return the fields that may be stored; a nested finding is its kind and its facts."""
    facts: dict[str, Any] = {}
    for name, value, mark in _values(finding):
        if mark == FIT_TO_STORE:
            facts[name] = _plain(value)
    return facts


def _screen_only(finding: Finding) -> dict[str, Any]:
    """Return the fields for the screen only, also those of nested findings."""
    private: dict[str, Any] = {}
    for name, value, mark in _values(finding):
        if mark == SCREEN_ONLY:
            private[name] = _plain(value)
        elif inside := _screen_only_inside(value):
            private[name] = inside
    return private


def _screen_only_inside(value: Any) -> Any:
    """Return the fields for the screen only of one nested finding, or of each in a tuple."""
    if isinstance(value, Finding):
        return _screen_only(value)
    if isinstance(value, tuple):
        inside = list(map(_screen_only_inside, value))
        return inside if any(inside) else None  # one entry per finding, in their order
    return None


def _values(finding: Finding) -> Iterator[tuple[str, Any, str]]:
    """Yield each field that is set: its name, its value and its mark."""
    of: Any = type(finding)
    marks = _marks(of)
    for field in fields(finding):
        value = getattr(finding, field.name)
        if value is not None:
            yield field.name, value, marks[field.name]


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Finding):
        return {"kind": kind(value), **_facts(value)}
    if isinstance(value, tuple | frozenset):
        return [_plain(one) for one in value]
    return plain_scalar(value)


def plain_scalar(value: Any) -> Any:
    """Return a single value as JSON can hold it.

    NaN becomes null, and infinity the text "inf" or "-inf", as in scores.csv.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path | str):
        return whole_letters(str(value))
    if isinstance(value, float):
        return _plain_number(value)
    return value


def _plain_number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def kind(finding: Finding) -> str:
    """Return the stable name of a kind of finding.

    >>> kind(Unexpected(reason="full"))
    'unexpected'
    """
    return name_in_json(type(finding))


def name_in_json(of: type[Finding]) -> str:
    """Return the name of a class of findings in JSON.

    >>> name_in_json(Unexpected)
    'unexpected'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", of.__name__).lower()


def log_finding(
    log: logging.Logger,
    level: int,
    finding: Finding,
) -> None:
    """Log a finding: the record's text names nobody, its attribute `finding` has all the facts."""
    log.log(level, "%s", stored_words(finding), extra={"finding": finding})


@finding
class Unexpected(Finding):
    """A failure that a library or the operating system reports in its own words."""

    reason: ScreenOnly[str]
    help: FitToStore[str] = ""

    def sentence(self) -> str:
        return self.reason

    def remedy(self) -> str:
        return self.help


def finding_of(record: logging.LogRecord) -> Finding:
    """Return what was logged; of a record without a finding, its words."""
    found: object = getattr(record, "finding", None)
    return found if isinstance(found, Finding) else Unexpected(reason=record.getMessage())


@cache
def _marks(of: Any) -> dict[str, str]:
    """Return the mark of each field; a field without one is fit to store."""
    hints = get_type_hints(of, include_extras=True)
    marks = {}
    for field in fields(of):
        metadata = getattr(hints[field.name], "__metadata__", (FIT_TO_STORE,))
        marks[field.name] = metadata[0]
    return marks
