"""STUDY.toml:

what a study declares. Paths are relative to the file; a misspelt setting is an error.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from recontour.errors import SettingsError
from recontour.files import UnreadableError
from recontour.organs import is_tg263
from recontour.processes import cores
from recontour.texts import read_toml
from recontour.wording import printable, shown

MOST_CELLS = 20_000
MOST_ORGANS = 200
MISTAKES_SHOWN = 5

_STRICT = ConfigDict(extra="forbid")
Count = Annotated[int, Field(ge=1, le=10**9)]
Few = Annotated[int, Field(ge=1, le=10_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
All = Literal["all"]
Item = TypeVar("Item", str, int)
NotEmpty = Field(min_length=1)


def _each_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if twice := sorted({item for item in items if items.count(item) > 1}):
        raise ValueError(f"{', '.join(map(str, twice))} stands there twice; name each once")
    return items


def _of_tg263(organ: str) -> str:
    if not is_tg263(organ):
        raise ValueError("no TG-263 name: at most 16 of A-z, 0-9, _, ~, ^ and -")
    return organ


def _in_one_line(words: str) -> str:
    if words != printable(words):
        raise ValueError("text in one line is expected")
    return words


def _place(given: object) -> Path:
    """A path: one that is given, or as a person or `_place_text` wrote it."""
    if isinstance(given, str) and given.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(given.removeprefix("file://"))))
    if isinstance(given, str | Path) and "\0" not in str(given):
        return Path(given)
    raise ValueError("a path is expected")


def _place_text(path: Path) -> str:
    """A path as JSON can hold it: a name that is not UTF-8 as a file: address."""
    is_text = str(path).encode("utf-8", "replace") == os.fsencode(path)
    return str(path) if is_text else path.absolute().as_uri()


Organ = Annotated[str, AfterValidator(_of_tg263)]
Organs = (
    Annotated[
        tuple[Organ, ...], NotEmpty, Field(max_length=MOST_ORGANS), AfterValidator(_each_once)
    ]
    | All
)
Counts = Annotated[tuple[Count | All, ...], NotEmpty, Field(max_length=200)]
Place = Annotated[Path, PlainValidator(_place), PlainSerializer(_place_text, when_used="json")]


@dataclass(frozen=True, config=_STRICT)
class CentreSettings:
    """One centre's cohort and its split:

    a file with columns case and fold, or numbers drawn at random.
    """

    cohort: Place
    split: Place | None = None
    validation: int = Field(default=0, ge=0, le=10**6)
    test: int = Field(default=0, ge=0, le=10**6)
    split_seed: Seed = 0


@dataclass(frozen=True, config=_STRICT)
class ModelsSettings:
    """Model_S, Model_T and Model_ST, one network for all organs."""

    iterations: Count
    validate_every: Count = 200  # iterations between two looks at the target's validation cases
    retrain_last: Count = 10


@dataclass(frozen=True, config=_STRICT)
class SeparatelySettings:
    """The same three models with one network an organ, as in the paper."""

    iterations: Count
    organs: Organs = "all"


@dataclass(frozen=True, config=_STRICT)
class DepthSettings:
    """Model_ST by the number of retrained layers, and the controls that give the curve a meaning."""

    iterations: Count
    layers: Counts = (1, 4, 7, 10, "all")
    controls: Annotated[tuple[Literal["random trunk", "head first"], ...], Field(max_length=2)] = (
        "random trunk",
        "head first",
    )


@dataclass(frozen=True, config=_STRICT)
class NormalisationSettings:
    """Model_S and Model_ST by normalisation and batch; each sees as many slices."""

    slices: Count
    norms: Annotated[
        tuple[Literal["batch", "group", "frozen"], ...], NotEmpty, Field(max_length=3)
    ] = (
        "batch",
        "group",
        "frozen",
    )
    batches: Annotated[tuple[Few, ...], NotEmpty, Field(max_length=200)] = (1, 8)


@dataclass(frozen=True, config=_STRICT)
class CasesSettings:
    """Model_T and Model_ST by the number of target cases;

    fewer than all are drawn several times.
    """

    iterations: Count
    numbers: Counts = (1, 2, 3, 5, 10, "all")
    draws: Few = 3


@dataclass(frozen=True, config=_STRICT)
class Study:
    """What STUDY.toml says."""

    source: CentreSettings
    target: CentreSettings
    models: ModelsSettings
    name: Annotated[str, Field(max_length=200), AfterValidator(_in_one_line)] = "study"
    preset: Annotated[str, Field(max_length=100)] = "compact"
    organs: Organs = "all"  # all: those that training patients of both centres have
    seeds: Annotated[
        tuple[Seed, ...], NotEmpty, Field(max_length=1000), AfterValidator(_each_once)
    ] = (0,)
    retention_cases: Annotated[int, Field(ge=0, le=10**6)] = (
        8  # of the source's test cases that every model is scored on
    )
    workers: Annotated[int, Field(ge=1, le=1000)] = 1  # cells at a time
    threads: Annotated[int, Field(ge=0, le=1000)] = (
        0  # of each; 0: the cores it may use, shared among the workers
    )
    separately: SeparatelySettings | None = None
    depth: DepthSettings | None = None
    normalisation: NormalisationSettings | None = None
    cases: CasesSettings | None = None

    @model_validator(mode="after")
    def _is_feasible(self) -> "Study":
        """Refuse a grid that nobody could run, before it is laid out."""
        each_seed = 3
        if self.separately:
            each_seed += 3 * (
                MOST_ORGANS if self.separately.organs == "all" else len(self.separately.organs)
            )
        if self.depth:
            each_seed += len(self.depth.layers) + 2 * len(self.depth.controls)
        if self.normalisation:
            each_seed += 2 * len(self.normalisation.norms) * len(self.normalisation.batches)
        if self.cases:
            each_seed += 2 * len(self.cases.numbers) * self.cases.draws
        if (cells := each_seed * len(self.seeds)) > MOST_CELLS:
            raise ValueError(
                f"up to {cells:,} cells, and at most {MOST_CELLS:,} can be; ask for fewer seeds or draws"
            )
        return self


def read_study(path: Path) -> Study:
    """Read STUDY.toml.

    Raises: SettingsError: not TOML, a setting is missing, unknown or impossible.
    """
    try:
        declared = read_toml(path)
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}; `recontour study --example` prints a study file"
        ) from error
    except UnreadableError as error:
        raise SettingsError(
            f"{path} cannot be read: {error}. Correct that line, or start from `recontour study --example`"
        ) from error
    try:
        study = TypeAdapter(Study).validate_python(declared)
    except ValidationError as error:
        raise SettingsError(f"{path}: {mistakes(error)}") from error
    here = path.resolve().parent
    return replace(study, source=_placed(study.source, here), target=_placed(study.target, here))


def threads_of(study: Study) -> int:
    """Threads of each worker: as declared, or the cores that the study may use shared out."""
    return study.threads or max(1, cores() // study.workers)


def example() -> str:
    """A commented study file."""
    return resources.files("recontour.study").joinpath("example.toml").read_text(encoding="utf-8")


def _placed(centre: CentreSettings, here: Path) -> CentreSettings:
    return replace(centre, cohort=here / centre.cohort, split=centre.split and here / centre.split)


def mistakes(error: ValidationError) -> str:
    """The first mistakes that were found, in one line."""
    found = list(
        dict.fromkeys(map(_in_words, error.errors(include_url=False, include_context=False)))
    )
    more = [f"{len(found) - MISTAKES_SHOWN} more"] if len(found) > MISTAKES_SHOWN else []
    return "; ".join([*found[:MISTAKES_SHOWN], *more])


def _in_words(error: Mapping[str, Any]) -> str:
    """Where, what was seen, what was expected."""
    where = ".".join(
        str(part)
        for part in error["loc"]
        if not str(part).startswith(("constrained", "function", "literal", "tuple"))
    )
    if error["type"] == "unexpected_keyword_argument":
        owner, _, name = where.rpartition(".")
        return f"{shown(name)} is no setting{f' of [{owner}]' if owner else ''}; known are {', '.join(_known(owner))}"
    if error["type"] == "missing":
        return f"{where} is missing"
    message = str(error["msg"])
    is_ours = message.startswith("Value error, ")
    message = message.removeprefix("Value error, ") if is_ours else message[0].lower() + message[1:]
    return f"{where} is {shown(error['input'])}: {message}" if where else message


def _known(owner: str) -> list[str]:
    sections: dict[str, Any] = {
        "": Study,
        "source": CentreSettings,
        "target": CentreSettings,
        "models": ModelsSettings,
        "separately": SeparatelySettings,
        "depth": DepthSettings,
        "normalisation": NormalisationSettings,
        "cases": CasesSettings,
    }
    return list(sections[owner].__pydantic_fields__)
