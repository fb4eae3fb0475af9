"""STUDY.toml: what a study declares.

Paths are relative to the file; a misspelt setting is an error that lists the known ones.
"""

import os
import shlex
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
from recontour.executors import place_of
from recontour.executors.findings import MOST_WORKERS
from recontour.files import NotFound, UnreadableError, UnreadableFile
from recontour.organs import is_tg263
from recontour.processes import cores
from recontour.study.findings import EXAMPLE, WrongSettings
from recontour.texts import read_toml
from recontour.training.recipe import WantedPrecision
from recontour.validation import ExpectedError, mistakes
from recontour.wording import printable

MOST_CELLS = 20_000
MOST_ORGANS = 200
MOST_FILE_LETTERS = 255
IN_PLACE_OF_FOLDS = ("split", "validation", "test")

_STRICT = ConfigDict(extra="forbid")
Count = Annotated[int, Field(ge=1, le=10**9)]
Few = Annotated[int, Field(ge=1, le=10_000)]
Share = Annotated[int, Field(ge=0, le=10**6)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
FoldCount = Annotated[int, Field(ge=2, le=1000)]
All = Literal["all"]
Item = TypeVar("Item", str, int)


# Rules of our own


def _each_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(items)) < len(items):
        raise ExpectedError("each item once")
    return items


def _not_empty(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if not items:
        raise ExpectedError("at least one item")
    return items


def _of_tg263(organ: str) -> str:
    if not is_tg263(organ):
        raise ExpectedError("a TG-263 name: at most 16 of A-z, 0-9, _, ~, ^ and -")
    return organ


def _on_one_line(words: str) -> str:
    if words != printable(words):
        raise ExpectedError("text on one line")
    return words


def _where_jobs_run(words: str) -> str:
    try:
        place_of(words)
    except SettingsError:
        raise ExpectedError(
            f"local:N, slurm:N or tcp://HOST:PORT, N up to {MOST_WORKERS}"
        ) from None
    return words


def _place(given: object) -> Path:
    """Return a path from a path, from what a person wrote, or from what `_place_text` wrote."""
    if isinstance(given, str) and given.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(given.removeprefix("file://"))))
    if isinstance(given, str | Path) and "\0" not in str(given):
        return Path(given)
    raise ExpectedError("a path")


def _place_text(path: Path) -> str:
    """Return a path as JSON can hold it: a name that is not UTF-8 as a file: address."""
    is_text = str(path).encode("utf-8", "replace") == os.fsencode(path)
    return str(path) if is_text else path.absolute().as_uri()


NotEmpty = AfterValidator(_not_empty)
EachOnce = AfterValidator(_each_once)
Organ = Annotated[str, AfterValidator(_of_tg263)]
OrganList = Annotated[tuple[Organ, ...], Field(max_length=MOST_ORGANS), NotEmpty, EachOnce]
Organs = OrganList | All
Counts = Annotated[tuple[Count | All, ...], Field(max_length=200), NotEmpty]
Control = Literal["random trunk", "head first"]
Controls = Annotated[tuple[Control, ...], Field(max_length=2)]
Norm = Literal["batch", "group", "frozen"]
Norms = Annotated[tuple[Norm, ...], Field(max_length=3), NotEmpty]
Batches = Annotated[tuple[Few, ...], Field(max_length=200), NotEmpty]
Seeds = Annotated[tuple[Seed, ...], Field(max_length=1000), NotEmpty, EachOnce]
Place = Annotated[Path, PlainValidator(_place), PlainSerializer(_place_text, when_used="json")]
Name = Annotated[str, Field(max_length=200), AfterValidator(_on_one_line)]
Where = Annotated[str, Field(max_length=200), AfterValidator(_where_jobs_run)]


# The sections


@dataclass(frozen=True, config=_STRICT)
class CentreSettings:
    """One centre's cohort and its split: a file with columns case and fold, or numbers to draw.

    folds: of the target alone: a cross-validation in place of a split. Each patient is tested once,
    by models that learnt from the patients of the other folds; split_seed draws the folds.
    """

    cohort: Place
    split: Place | None = None
    validation: Share = 0
    test: Share = 0
    split_seed: Seed = 0
    folds: FoldCount | None = None

    @model_validator(mode="after")
    def _has_one_split(self) -> "CentreSettings":
        """Refuse two ways of choosing the test patients."""
        if self.folds and (self.split or self.validation or self.test):
            raise ExpectedError("either folds, or a split, validation and test")
        return self


@dataclass(frozen=True, config=_STRICT)
class ModelsSettings:
    """Model_S, Model_T and Model_ST, one network for all organs.

    iterations: of each; None: as many as `train` and `adapt` would take for its patients.
    validate_every: iterations between two looks at the target's validation cases.
    retrain_last: None: as many layers as `adapt` would retrain.
    plain: fine-tuning as in the paper, where the parent does not contribute.
    """

    iterations: Count | None = None
    validate_every: Count = 200
    retrain_last: Count | All | None = None
    plain: bool = False


@dataclass(frozen=True, config=_STRICT)
class SeparatelySettings:
    """The same three models with one network per organ, as in the paper."""

    iterations: Count
    organs: Organs = "all"


@dataclass(frozen=True, config=_STRICT)
class DepthSettings:
    """Model_ST by the number of retrained layers, and controls that give the curve a meaning."""

    iterations: Count
    layers: Counts = (1, 4, 7, 10, "all")
    controls: Controls = ("random trunk", "head first")


@dataclass(frozen=True, config=_STRICT)
class NormalisationSettings:
    """Model_S and Model_ST by normalisation and batch; each sees as many slices."""

    slices: Count
    norms: Norms = ("batch", "group", "frozen")
    batches: Batches = (1, 8)


@dataclass(frozen=True, config=_STRICT)
class CasesSettings:
    """Model_T and Model_ST by the number of target cases; fewer than all get several draws.

    iterations: of each; None: as many as the main models take.
    """

    iterations: Count | None = None
    numbers: Counts = (1, 2, 3, 5, 10, "all")
    draws: Few = 3


@dataclass(frozen=True, config=_STRICT)
class Study:
    """What STUDY.toml says: the answer of `read_study`.

    Attributes:
        source: The centre that the first model learns from, and how its cases are split.
        target: The centre that models are adapted to, and how its cases are split.
        models: How Model_S, Model_T and Model_ST are trained.
        name: What the report calls the study.
        preset: The preset that all models share.
        precision: In what all models train; "auto" is settled once, when the study begins on a
            processor; with GPUs each worker's device decides.
        organs: TG-263 names; "all" stands for those that training patients of both centres have.
        seeds: Every model is trained once per seed.
        retention_cases: How many of the source's test cases every model is scored on.
        workers: How many cells run at a time.
        threads: The threads of each worker; 0 shares out the cores that the study may use.
        on: Where cells run, such as "slurm:8"; None: here, as many as `workers` at a time.
        separately: One network per organ, compared with one for all; None leaves this out.
        depth: How many layers retrain; None leaves this out.
        normalisation: Kinds of normalisation and batch sizes; None leaves this out.
        cases: How many target cases are used; None leaves this out.
        file: The name of the study file, which the report repeats; `read_study` sets it.

    Examples:
        >>> import recontour
        >>> study = recontour.read_study("STUDY.toml")
        >>> study.seeds, study.workers, study.depth
        ((0,), 1, None)
    """

    source: CentreSettings
    target: CentreSettings
    models: ModelsSettings
    name: Name = "study"
    preset: Annotated[str, Field(max_length=100)] = "compact"
    precision: WantedPrecision = "auto"
    organs: Organs = "all"
    seeds: Seeds = (0,)
    retention_cases: Share = 8
    workers: Annotated[int, Field(ge=1, le=1000)] = 1
    threads: Annotated[int, Field(ge=0, le=1000)] = 0
    on: Where | None = None
    separately: SeparatelySettings | None = None
    depth: DepthSettings | None = None
    normalisation: NormalisationSettings | None = None
    cases: CasesSettings | None = None
    file: Annotated[str, Field(max_length=MOST_FILE_LETTERS)] = "STUDY.toml"

    @model_validator(mode="after")
    def _is_feasible(self) -> "Study":
        """Refuse a plan that nobody could run, before it is laid out."""
        if self.source.folds:
            raise ExpectedError("folds under [target] only; the source needs test patients")
        trainings = len(self.seeds) * (self.target.folds or 1)
        cells = trainings * (3 + self._cells_of_sections())
        if cells > MOST_CELLS:
            limit = f"at most {MOST_CELLS:,} cells, not {cells:,} as there might be"
            raise ExpectedError(f"{limit}; ask for fewer seeds or draws")
        return self

    def _cells_of_sections(self) -> int:
        """Count the cells that the sections need at most for one seed."""
        cells = 0
        if self.separately:
            organs = self.separately.organs
            cells += 3 * (MOST_ORGANS if organs == "all" else len(organs))
        if self.depth:
            cells += len(self.depth.layers)
            cells += 2 * len(self.depth.controls)
        if self.normalisation:
            cells += 2 * len(self.normalisation.norms) * len(self.normalisation.batches)
        if self.cases:
            cells += 2 * len(self.cases.numbers) * self.cases.draws
        return cells


# The file


def read_study(path: Path | str, *, folds: int | None = None) -> Study:
    """Read a study file.

    Args:
        path: The file, as `recontour study --example` prints one.
        folds: Of a cross-validation over the target's patients, in place of the file's own folds,
            split, validation and test patients; None: as the file says.

    Returns:
        The settings, all of them checked.

    Raises:
        SettingsError: It is not TOML, or a setting is missing, unknown or impossible.

    Examples:
        >>> import recontour
        >>> recontour.read_study("STUDY.toml").name
        'an example'
    """
    path = Path(path)
    try:
        declared = read_toml(path)
    except OSError as error:
        found = NotFound(path=path, expected="a study file", otherwise=EXAMPLE)
        raise SettingsError(found) from error
    except UnreadableError as error:
        raise SettingsError(
            UnreadableFile(
                path=path,
                what="study file",
                why=error.finding,
                help="correct it, or start from `recontour study --example`",
            )
        ) from error
    if folds is not None:
        declared = _in_folds(declared, folds)
    try:
        study = TypeAdapter(Study).validate_python(declared)
    except ValidationError as error:
        wrong = WrongSettings(path=path, mistakes=mistakes(error, Study))
        raise SettingsError(wrong) from error
    here = path.resolve().parent
    source = _placed(study.source, here)
    target = _placed(study.target, here)
    return replace(study, source=source, target=target, file=printable(path.name))


def _in_folds(declared: Mapping[str, Any], folds: int) -> dict[str, Any]:
    """Return what a file declares, with a cross-validation in place of the target's split."""
    target = declared.get("target")
    if not isinstance(target, dict):  # it is wrong in any case
        return dict(declared)
    kept = {name: value for name, value in target.items() if name not in IN_PLACE_OF_FOLDS}
    return {**declared, "target": {**kept, "folds": folds}}


def _placed(centre: CentreSettings, here: Path) -> CentreSettings:
    """Make a centre's paths absolute."""
    split = _at(here, centre.split) if centre.split else None
    return replace(centre, cohort=_at(here, centre.cohort), split=split)


def _at(here: Path, path: Path) -> Path:
    """Return where a path leads from a folder, without "..": there, links are followed."""
    place = here / path
    return Path(os.path.realpath(place)) if ".." in place.parts else place


def threads_of(study: Study) -> int:
    """Return the threads of each worker: as declared, or its share of the usable cores."""
    return study.threads or max(1, cores() // study.workers)


def to_repeat(study: Study) -> str:
    """Return the command that repeats a study; the number of folds may not be in its file."""
    folds = study.target.folds
    in_folds = ["--folds", str(folds)] if folds else []
    return shlex.join(["recontour", "study", study.file, *in_folds, "--out", "OUT"])


def example() -> str:
    """Return a study file with comments."""
    return resources.files("recontour.study").joinpath("example.toml").read_text(encoding="utf-8")
