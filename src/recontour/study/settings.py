"""STUDY.toml: what a study declares. Paths are relative to the file; a misspelt setting is an error."""

import tomllib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from recontour.errors import SettingsError
from recontour.training.run import cores

_STRICT = ConfigDict(extra="forbid")
Count = Annotated[int, Field(ge=1)]
All = Literal["all"]
Item = TypeVar("Item", str, int)
NotEmpty = Field(min_length=1)


def _each_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if twice := sorted({item for item in items if items.count(item) > 1}):
        raise ValueError(f"{', '.join(map(str, twice))} stands there twice; name each once")
    return items


Organs = Annotated[tuple[str, ...], NotEmpty, AfterValidator(_each_once)] | All
Counts = Annotated[tuple[Count | All, ...], NotEmpty]


@dataclass(frozen=True, config=_STRICT)
class Centre:
    """One centre's cohort and its split: a file with columns case and fold, or numbers drawn at random."""

    cohort: Path
    split: Path | None = None
    validation: int = Field(default=0, ge=0)
    test: int = Field(default=0, ge=0)
    split_seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, config=_STRICT)
class Models:
    """Model_S, Model_T and Model_ST, one network for all organs."""

    iterations: Count
    validate_every: Count = 200  # iterations between two looks at the target's validation cases
    retrain_last: Count = 10


@dataclass(frozen=True, config=_STRICT)
class Separately:
    """The same three models with one network an organ, as in the paper."""

    iterations: Count
    organs: Organs = "all"


@dataclass(frozen=True, config=_STRICT)
class Depth:
    """Model_ST by the number of retrained layers, and the controls that give the curve a meaning."""

    iterations: Count
    layers: Counts = (1, 4, 7, 10, "all")
    controls: tuple[Literal["random trunk", "head first"], ...] = ("random trunk", "head first")


@dataclass(frozen=True, config=_STRICT)
class Normalisation:
    """Model_S and Model_ST by normalisation and batch; each sees as many slices."""

    slices: Count
    norms: Annotated[tuple[Literal["batch", "group", "frozen"], ...], NotEmpty] = ("batch", "group", "frozen")
    batches: Annotated[tuple[Count, ...], NotEmpty] = (1, 8)


@dataclass(frozen=True, config=_STRICT)
class Cases:
    """Model_T and Model_ST by the number of target cases; fewer than all are drawn several times."""

    iterations: Count
    numbers: Counts = (1, 2, 3, 5, 10, "all")
    draws: Count = 3


@dataclass(frozen=True, config=_STRICT)
class Study:
    """What STUDY.toml says."""

    source: Centre
    target: Centre
    models: Models
    name: str = "study"
    preset: str = "compact"
    organs: Organs = "all"  # all: those that training patients of both centres have
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], NotEmpty, AfterValidator(_each_once)] = (0,)
    retention_cases: Annotated[int, Field(ge=0)] = 8  # of the source's test cases that every model is scored on
    workers: Count = 1  # cells at a time
    threads: Annotated[int, Field(ge=0)] = 0  # of each; 0: the cores it may use, shared among the workers
    separately: Separately | None = None
    depth: Depth | None = None
    normalisation: Normalisation | None = None
    cases: Cases | None = None


def read_study(path: Path) -> Study:
    """Read STUDY.toml.

    Raises: SettingsError: not TOML, a setting is missing, unknown or impossible.
    """
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors write the mark
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; `recontour study --example` prints a study file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}. Mend that place, or start from --example") from error
    try:
        study = TypeAdapter(Study).validate_python(declared)
    except ValidationError as error:
        raise SettingsError(f"{path}: {'; '.join(map(_in_words, error.errors()))}") from error
    here = path.resolve().parent
    return replace(study, source=_placed(study.source, here), target=_placed(study.target, here))


def threads_of(study: Study) -> int:
    """Threads of each worker: as declared, or the cores that the study may use shared out."""
    return study.threads or max(1, cores() // study.workers)


def example() -> str:
    """A commented study file."""
    return resources.files("recontour.study").joinpath("example.toml").read_text(encoding="utf-8")


def _placed(centre: Centre, here: Path) -> Centre:
    return replace(centre, cohort=here / centre.cohort, split=centre.split and here / centre.split)


def _in_words(error: Any) -> str:
    """Where, what was seen, what was expected."""
    where = ".".join(
        str(part) for part in error["loc"] if not str(part).startswith(("constrained", "function", "literal", "tuple"))
    )
    if error["type"] == "unexpected_keyword_argument":
        owner, _, name = where.rpartition(".")
        return f"'{name}' is no setting{f' of [{owner}]' if owner else ''}; known are {', '.join(_known(owner))}"
    if error["type"] == "missing":
        return f"{where} is missing"
    return f"{where} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _known(owner: str) -> list[str]:
    sections: dict[str, Any] = {
        "": Study,
        "source": Centre,
        "target": Centre,
        "models": Models,
        "separately": Separately,
        "depth": Depth,
        "normalisation": Normalisation,
        "cases": Cases,
    }
    return list(sections[owner].__pydantic_fields__)
