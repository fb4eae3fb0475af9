"""What a model file says of its network, decoded and bounded before anything is built from it.

A model file comes from elsewhere: no text of it may steer a terminal or become a path, no number
    may be absurd.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from recontour.files import NAME_LETTERS, is_name
from recontour.network.architecture import Architecture
from recontour.network.preprocessing import Preprocessing
from recontour.organs import is_tg263
from recontour.validation import PatientKey, Sha256
from recontour.wording import shown

FORMAT = 1
# Settings of earlier recontours, and the value with which they said nothing.
GONE = {"refine_channels": 0, "parent_head": False}
MOST_ORGANS = 128  # the longest lists of contours there are have about as many
LARGEST_NUMBER = 1e12  # in a recipe, whose numbers are for the reader alone
LONGEST_LIST = 100  # in a recipe
LONGEST_WORD = 100  # in a recipe


class NotJsonError(ValueError):
    """A text is not JSON, or says something twice."""


class OlderFieldError(Exception):
    """A setting that this recontour no longer has, and that was in use."""


class NewerFieldError(Exception):
    """A setting that this recontour does not know."""


class DescriptionError(Exception):
    """A description lacks something, or says what cannot be."""


# ---------------------------------------------------------------- what texts and numbers may be


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("text in one line without control characters is expected")
    return text


def _label(text: str) -> str:
    if not is_name(text):
        raise ValueError("a centre's label, which may become part of a file's name, is expected")
    return text


def _organ(text: str) -> str:
    if not is_tg263(text):
        raise ValueError("it is no TG-263 name")
    return text


def _no_organ_twice(organs: tuple[str, ...]) -> tuple[str, ...]:
    if len({organ.casefold() for organ in organs}) < len(organs):
        raise ValueError("each organ is expected once, whatever the case of its letters")
    return organs


def _names_recontour(versions: Mapping[str, str]) -> Mapping[str, str]:
    if "recontour" not in versions:
        raise ValueError("the version of recontour is expected among them")
    return versions


def _iso_date(text: str) -> str:
    datetime.date.fromisoformat(text)
    return text


def _setting(value: Any) -> Any:
    """A value of a recipe: a number, a word, nothing, or a list of these."""
    items = value if isinstance(value, list) else [value]
    if len(items) > LONGEST_LIST or not all(map(_is_plain, items)):
        raise ValueError("a number up to 1e12, a short word or a list of those is expected")
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_WORD and value.isprintable()
    if isinstance(value, int | float):
        return -LARGEST_NUMBER <= value <= LARGEST_NUMBER  # NaN is not
    return value is None


def _part_of_a_recipe(value: Any) -> Any:
    """A setting, or a section of them such as the augmentation."""
    if not isinstance(value, dict):
        return _setting(value)
    for name, part in value.items():
        _setting(name)
        _setting(part)
    return value


Organ = Annotated[str, Strict(), AfterValidator(_organ)]
Organs = Annotated[
    tuple[Organ, ...], Field(max_length=MOST_ORGANS), AfterValidator(_no_organ_twice)
]
Label = Annotated[str, Strict(), Field(max_length=NAME_LETTERS), AfterValidator(_label)]
Word = Annotated[str, Strict(), Field(min_length=1, max_length=100), AfterValidator(_printable)]
Sentence = Annotated[str, Strict(), Field(max_length=2000), AfterValidator(_printable)]
Count = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Day = Annotated[str, Strict(), Field(max_length=10), AfterValidator(_iso_date)]
Fingerprint = Annotated[str, Strict(), Field(pattern="^[0-9a-f]{16}$")]
Recipe = Annotated[
    dict[Word, Annotated[Any, AfterValidator(_part_of_a_recipe)]], Field(max_length=LONGEST_LIST)
]  # not training's: earlier recontours had other settings, and nothing is computed from them


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from. The bounds hold for what is read from a file."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    preset: Word
    centre: Label  # of the cohort it was last trained on
    cases: Count
    cases_per_organ: Annotated[Mapping[Organ, Count], Field(max_length=MOST_ORGANS)]
    seed: Seed
    created: Day
    versions: Annotated[Mapping[Word, Word], Field(max_length=50), AfterValidator(_names_recontour)]
    parent_sha256: Sha256 | None = (
        None  # of the adapted model's weights; None: trained from scratch
    )
    # The labels of the centres before, oldest first.
    parent_centres: Annotated[tuple[Label, ...], Field(max_length=100)] = ()
    retrained_layers: Annotated[int, Strict(), Field(ge=1, le=10_000)] | None = None
    fresh_organs: Organs = ()  # whose scores started anew in the adaptation
    dropped_organs: Organs = ()  # of the adapted model, which this one does not contour
    # What a reader must know, such as that the patients are synthetic.
    notices: Annotated[tuple[Sentence, ...], Field(max_length=100)] = ()
    # Fingerprints of all CTs learnt from, the parents' too; older files have none.
    trained_on: tuple[Fingerprint, ...] = ()
    # Keys of all patients learnt from, as far as they are known.
    trained_on_patients: tuple[PatientKey, ...] = ()

    @property
    def lineage(self) -> str:
        """The centres this model learnt from, oldest first."""
        return " -> ".join((*self.parent_centres, self.centre))


@dataclass(frozen=True, slots=True)
class Description:
    """All that a model file says, but for the weights and the card, which is made from the rest."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    format: Annotated[int, Strict(), Field(ge=1)]
    architecture: Architecture
    organs: Annotated[Organs, Field(min_length=1)]
    preprocessing: Preprocessing
    recipe: Recipe
    provenance: Provenance
    weights_sha256: Sha256


_DESCRIPTION = TypeAdapter(Description)


# ---------------------------------------------------------------- from JSON


def strict_json(text: str | bytes) -> Any:
    """Read JSON that says nothing twice and holds no NaN.

    Raises: NotJsonError.
    """
    try:
        return json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except RecursionError:
        raise NotJsonError("it is nested too deep") from None
    except NotJsonError:
        raise
    except ValueError as error:
        raise NotJsonError(f"it is not JSON: {error}") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJsonError("it says one thing twice")
    return found


def _no_constant(word: str) -> Any:
    raise NotJsonError(f"{word} is no number")


def decoded(about: Any) -> Description:
    """A description from JSON.

    Raises: OlderFieldError, NewerFieldError, DescriptionError; each says where in the description.
    """
    if isinstance(about, dict) and isinstance(about.get("architecture"), dict):
        about = about | {"architecture": _without_what_is_gone(about["architecture"])}
    try:
        return _DESCRIPTION.validate_python(about)
    except ValidationError as error:
        raise _in_words(error) from error
    except OverflowError as error:  # a whole number with hundreds of digits where a fraction may be
        raise DescriptionError(str(error)) from error


def _without_what_is_gone(settings: Mapping[str, Any]) -> dict[str, Any]:
    used = [name for name, unused in GONE.items() if name in settings and settings[name] != unused]
    if used:
        raise OlderFieldError(", ".join(sorted(used)))
    return {name: value for name, value in settings.items() if name not in GONE}


def _in_words(error: ValidationError) -> Exception:
    """The first finding, or all fields that are missing."""
    findings = error.errors(include_url=False)
    if missing := [
        _place(finding)
        for finding in findings
        if finding["type"] in ("missing", "missing_argument")
    ]:
        return DescriptionError(f"it lacks {', '.join(missing[:5])}")
    if unknown := [
        finding for finding in findings if finding["type"] == "unexpected_keyword_argument"
    ]:
        names = ", ".join(shown(finding["loc"][-1]) for finding in unknown[:5]).replace("'", "")
        return NewerFieldError(f"its {unknown[0]['loc'][0]} has {names}")
    first = findings[0]
    expected = first["msg"].removeprefix("Value error, ")
    expected = expected[0].lower() + expected[1:]
    return DescriptionError(f"{_place(first) or 'it'} is {shown(first['input'])}: {expected}")


def _place(finding: Mapping[str, Any]) -> str:
    """Where in the description a finding is, such as `provenance.centre`."""
    place = ".".join(str(part) for part in finding["loc"])
    return place if place.isprintable() and len(place) <= 100 else shown(place)
