"""What pydantic refuses, as findings: one way for every file that recontour decodes.

    from a ValidationError to findings    `mistakes`, `first_mistake`
    a rule of our own                     raise `ExpectedError` in a validator
    texts that several files hold         `PatientKey`, `TissueProfile`, `Sha256`, `in_one_line`

The names of a record's fields and the rules of its values are ours, and fit to store. Values, and
the keys of a mapping, come from the file and are for the screen only.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from pydantic import Field, Strict, Tag, ValidationError

from recontour.findings import Finding, FitToStore, ScreenOnly, finding
from recontour.wording import shown

# Each begins with the name of the salt: see cohort/patients.
PatientKey = Annotated[str, Strict(), Field(pattern="^[0-9a-f]{8}-[0-9a-f]{16}$")]
# Mean HU by slice: see cohort/tissue. No CT has more slices.
TissueHu = Annotated[int, Strict(), Field(ge=-200, le=300)]
TissueProfile = Annotated[tuple[TissueHu, ...], Field(max_length=4096)]
Sha256 = Annotated[str, Strict(), Field(pattern="^[0-9a-f]{64}$")]

MISSING = ("missing", "missing_argument")
UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
# How pydantic calls the members of a union, which no file spells.
UNION_MEMBERS = (
    "constrained-", "function-", "family-", "literal[", "tuple[", "list[", "dict[", "[key]",
)  # fmt: skip
# What pydantic puts into its messages comes from our rules, except for these two.
FROM_THE_FILE = {"error", "tag"}
LONGEST_KEY = 100


class ExpectedError(ValueError):
    """A value breaks a rule of ours. Its text says what is expected, in words that may be stored.

    >>> str(ExpectedError("a TG-263 name"))
    'a TG-263 name'
    """


def in_one_line(text: str) -> str:
    """Return a text that is safe to print; `AfterValidator` takes it.

    Raises: ExpectedError: the text has line breaks or control characters.

    >>> in_one_line("B30f")
    'B30f'
    """
    if not text.isprintable():
        raise ExpectedError("text in one line without control characters")
    return text


@finding
class NotAChoice(Finding):
    """A setting or an option has a value that is not among its choices.

    name: of the setting or option, such as "preset" or "--format".
    """

    name: FitToStore[str]
    choices: FitToStore[tuple[str, ...]]
    seen: ScreenOnly[str]

    def sentence(self) -> str:
        return f"unknown {self.name} ({shown(self.seen)})"

    def remedy(self) -> str:
        return f"choose {' or '.join(self.choices)}"


@finding
class Invalid(Finding):
    """One mistake in a record that a file holds.

    field: where in the record, such as "grid.shape.0"; empty for the record as a whole.
    key: what follows there in the file's own words: the key of a mapping, or an unknown name.
    seen: the value, shortened. rule: what is expected. reason: the same, where it may repeat the
    file. known: the names that the record knows, beside an unknown one.
    """

    problem: Literal["missing", "unknown", "wrong"]
    field: FitToStore[str] = ""
    key: ScreenOnly[str] = ""
    seen: ScreenOnly[str] = ""
    rule: FitToStore[str] = ""
    reason: ScreenOnly[str] = ""
    known: FitToStore[tuple[str, ...]] = ()

    def sentence(self) -> str:
        """Say where, which rule, and what was seen."""
        if self.problem == "missing":
            return f"{self.place or 'a value'} is missing"
        if self.problem == "unknown":
            owner = f" in {self.field}" if self.field else ""
            return f"unknown name{owner}: {self.key}"
        what = self.rule or "not valid"
        if self.seen:
            what = f"{what}, found {self.seen}"
        return ": ".join(filter(None, (self.place, what, self.reason)))

    def remedy(self) -> str:
        """List the names that would be known."""
        return f"known names: {', '.join(self.known)}" if self.known else ""

    @property
    def place(self) -> str:
        """Return the field and the key in it, joined by a dot."""
        return ".".join(filter(None, (self.field, self.key)))


def first_mistake(
    error: ValidationError,
    record: Any,
    path: Path | None = None,
) -> Invalid:
    """Return the first mistake that pydantic found; see `mistakes`."""
    return mistakes(error, record, path)[0]


def mistakes(
    error: ValidationError,
    record: Any,
    path: Path | None = None,
) -> tuple[Invalid, ...]:
    """Return every mistake that pydantic found, each once, in its order.

    record: the type that was validated: a model, a dataclass, or a type that holds some. path: the
    file, if the findings stand alone.

    >>> from pydantic import TypeAdapter
    >>> try:
    ...     TypeAdapter(dict[str, int]).validate_python({"a": "b"}, strict=True)
    ... except ValidationError as error:
    ...     print(first_mistake(error, dict[str, int]).sentence())
    a: input should be a valid integer, found 'b'
    """
    found = (_mistake(details, record, path) for details in error.errors(include_url=False))
    return tuple(dict.fromkeys(found))


def _mistake(
    details: Mapping[str, Any],
    record: Any,
    path: Path | None,
) -> Invalid:
    if details["type"] in UNKNOWN:
        return _unknown(details["loc"], record, path)
    place = _placed(details["loc"], record)
    if details["type"] in MISSING:
        return Invalid(
            problem="missing",
            field=place.field,
            key=place.key,
            path=path,
        )
    rule, reason = _rule(details)
    seen = shown(details["input"]) if place.field or place.key else ""
    return Invalid(
        problem="wrong",
        field=place.field,
        key=place.key,
        seen=seen,
        rule=rule,
        reason=reason,
        path=path,
    )


def _unknown(
    location: Sequence[int | str],
    record: Any,
    path: Path | None,
) -> Invalid:
    """Report a name that its owner does not have, even if another member of a union has it."""
    *before, name = location
    place = _placed(before, record)
    key = ".".join(filter(None, (place.key, str(name))))
    return Invalid(
        problem="unknown",
        field=place.field,
        key=_short(key),
        known=tuple(place.owner),
        path=path,
    )


def _rule(details: Mapping[str, Any]) -> tuple[str, str]:
    """Return what is expected as words to store, or as words for the screen."""
    context = details.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, ExpectedError):
        return f"expected {cause}", ""
    if isinstance(cause, Exception):
        return "", str(cause)
    message = details["msg"][0].lower() + details["msg"][1:]
    if FROM_THE_FILE.isdisjoint(context):
        return message, ""
    return "", message


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a mistake is. owner: the fields of the record it lies in, by name."""

    field: str
    key: str
    owner: Mapping[str, Any]


def _placed(location: Sequence[int | str], record: Any) -> _Place:
    """Follow pydantic's path through the record's types."""
    field: list[str] = []
    key: list[str] = []
    hint = record
    owner = _fields_in(hint)
    for part in location:
        if isinstance(part, str) and part.startswith(UNION_MEMBERS):
            hint = _tagged(hint, part) or hint
            owner = _fields_in(hint)
            continue
        is_ours = isinstance(part, int) or part in owner
        if key or not is_ours:
            key.append(str(part))
            continue
        field.append(str(part))
        if isinstance(part, str):
            hint = owner[part]
            owner = _fields_in(hint)
    return _Place(".".join(field), _short(".".join(key)), owner)


def _short(words: str) -> str:
    """Return words from a file as they are, or quoted and shortened if they would spoil a line."""
    return words if words.isprintable() and len(words) <= LONGEST_KEY else shown(words)


def _fields_in(hint: Any) -> dict[str, Any]:
    """Return the types of the fields, by name, of all records that a type mentions."""
    found: dict[str, Any] = {}
    for record in _records_in(hint):
        found |= _fields_of(record)
    return found


def _tagged(hint: Any, tag: str) -> Any:
    """Return the member of a union that has a tag; None if none has it."""
    parts = get_args(hint)
    if Tag(tag) in parts:
        return hint
    for part in parts:
        if found := _tagged(part, tag):
            return found
    return None


def _records_in(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type) and _is_record(hint):
        yield hint
    for part in get_args(hint):
        yield from _records_in(part)


def _is_record(kind: type) -> bool:
    return hasattr(kind, "__pydantic_fields__") or dataclasses.is_dataclass(kind)


@cache
def _fields_of(record: Any) -> dict[str, Any]:
    """Return the types of a record's fields by the names that a file gives them."""
    hints = get_type_hints(record, include_extras=True)
    declared = getattr(record, "__pydantic_fields__", None)
    if declared is None:
        return {field.name: hints[field.name] for field in dataclasses.fields(record)}
    return {field.alias or name: hints[name] for name, field in declared.items()}
