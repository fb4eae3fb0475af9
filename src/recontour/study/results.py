"""What a cell found, kept in its folder.

DIR/
  study.json               what was declared, paths resolved
  split.csv                centre, case, fold: the same for every model
  cells/ID/model           the model file
  cells/ID/result.json     how training went; written last: a cell with it is finished
  cells/ID/scores.csv      every case of every fold, as an evaluation writes them; the model is ID
  cells/ID/masks.npz       the main models' contours of the target's test cases, for the pictures
  cells/ID/failed.txt      why the last attempt failed, instead of all that
  report.html, tables/     what `recontour report` makes of it
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from recontour.errors import ScoresError
from recontour.evaluation import CaseScore, read_scores, write_scores
from recontour.files import UnreadableError, whole_file, write_text
from recontour.findings import Finding, Unexpected
from recontour.geometry.arrays import Mask
from recontour.study.cells import Cell
from recontour.study.findings import (
    DamagedMasks,
    DamagedResult,
    DifferentScoredCases,
    ImpossibleScore,
    MisfitMask,
    RepeatedScore,
    RowOfAnotherCell,
    WrongNumberOfIterations,
    WrongNumberOfRows,
)
from recontour.texts import read_given
from recontour.validation import ExpectedError, first_mistake

MOST_RESULT_BYTES = 2**26
MOST_ARRAY_HEADER_BYTES = 2**12  # in masks.npz
# What zipfile and numpy raise on damaged bytes.
BROKEN_ARCHIVE = (
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


# What a cell found


def within(low: float, high: float, *others: float) -> AfterValidator:
    """Return a rule for a number: it lies between two others, or is NaN: nothing to measure."""

    def checked(value: float) -> float:
        if low <= value <= high or math.isnan(value) or value in others:
            return value
        raise ExpectedError(f"a number from {low:g} to {high:g}")

    return AfterValidator(checked)


Count = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, within(0, 1e10)]
Share = Annotated[float, within(-0.01, 1.01)]  # two clocks may disagree
Value = Annotated[float, within(-1e9, 1e9)]
Text = Annotated[str, Field(max_length=100_000)]
ScoredFold = Literal["target test", "target validation", "source test"]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a training curve.

    seconds: of training so far, without validation; NaN: unknown. value: loss, or mean DSC over the
    organs.
    """

    iteration: Count
    seconds: Seconds
    value: Value


Curve = Annotated[Sequence[Point], Field(max_length=10**6), AfterValidator(tuple)]


@dataclass(frozen=True, slots=True)
class Training:
    """How a cell's training went.

    seconds: wall clock of all iterations; NaN: the diary does not have them all. Shares of it:
    waiting for data; trunk: the stages before the head begins; head: the stages from there, the
    loss and the optimiser.
    validation: mean DSC on the target's validation cases. choosing: seconds that it took before to
    choose the parent's say; NaN: it was interrupted.
    """

    iterations: Count
    seconds: Seconds
    waiting: Share
    trunk: Share
    head: Share
    parameters: Count
    retrained_parameters: Count
    loss: Curve = ()
    validation: Curve = ()
    choosing: Seconds = 0.0

    @property
    def seconds_per_iteration(self) -> float:
        """Return the seconds; NaN for a model that was not trained, or whose time is unknown."""
        return self.seconds / self.iterations if self.iterations and self.seconds else math.nan


@dataclass(frozen=True, slots=True)
class Contouring:
    """What contouring cost, without scoring."""

    cases: Count
    slices: Count
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class _ResultFile:
    """result.json.

    folds: the cases of each. rows: how many rows of scores.csv each fold has; None: an earlier
    recontour wrote it.
    """

    training: Training
    contouring: Contouring
    train_cases: Count
    folds: dict[ScoredFold, list[Text]]
    rows: dict[ScoredFold, Count] | None = None
    trained_with: dict[Text, Text] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _PossibleScore:
    """What the numbers of a row of scores.csv can be; inf: one of the two masks is empty."""

    dsc: Annotated[float, within(0, 1)]
    surface_dsc: Annotated[float, within(0, 1)]
    tolerance_mm: Annotated[float, within(0, 1000)]
    hd95_mm: Annotated[float, within(0, 1e6, math.inf)]
    volume_bias_percent: Annotated[float, within(-100.001, 1e12, math.inf)]
    msd_mm: Annotated[float, within(0, 1e6, math.inf)]
    apl_mm: Annotated[float, within(0, 1e9, math.inf)]
    surface_dsc_1mm: Annotated[float, within(0, 1)]
    surface_dsc_2mm: Annotated[float, within(0, 1)]


_RESULT_FILE = TypeAdapter(_ResultFile)
_POSSIBLE_SCORE = TypeAdapter(_PossibleScore)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished cell.

    scores: by fold, such as "target test". trained_with: recipe, precision and
    versions.
    """

    cell: Cell
    training: Training
    contouring: Contouring
    train_cases: int
    scores: Mapping[str, Sequence[CaseScore]]
    trained_with: Mapping[str, str] = field(default_factory=dict)


# Results


def cell_folder(out: Path, cell: Cell) -> Path:
    """Return the folder in which a cell keeps its files."""
    return out / "cells" / cell.id


def is_finished(out: Path, cell: Cell) -> bool:
    """Return whether a cell's result is there, whole."""
    return (cell_folder(out, cell) / "result.json").exists()


def write_result(out: Path, result: Result) -> None:
    """Keep a result. result.json comes last, and vouches for the rest."""
    folder = cell_folder(out, result.cell)
    rows: list[CaseScore] = []
    cases: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for fold, scores in result.scores.items():
        rows.extend(scores)
        cases[fold] = sorted({row.case for row in scores})
        counts[fold] = len(scores)
    # An attempt that was cut off between the two files has left one.
    (folder / "scores.csv").unlink(missing_ok=True)
    write_scores(folder / "scores.csv", rows)
    content = {
        "training": asdict(result.training),
        "contouring": asdict(result.contouring),
        "train_cases": result.train_cases,
        "trained_with": dict(result.trained_with),
        "folds": cases,
        "rows": counts,
    }
    write_text(folder / "result.json", json.dumps(content, indent=1) + "\n", replace=True)


def read_result(out: Path, cell: Cell) -> Result | None:
    """Return a cell's result; None if it is not finished.

    Raises: ScoresError: its files are damaged, or hold what no cell can have found.
    """
    path = cell_folder(out, cell) / "result.json"
    try:
        content = read_given(path, MOST_RESULT_BYTES)
        found = _RESULT_FILE.validate_json(content, strict=True)
        scores = read_scores(path.with_name("scores.csv"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise _damaged(path, first_mistake(error, _ResultFile)) from error
    except (UnreadableError, ScoresError) as error:
        raise _damaged(path, error.finding) from error
    if why := _mismatch(found, scores, cell):
        raise _damaged(path, why)
    training, contouring = found.training, found.contouring
    by_fold = _by_fold(scores, found)
    return Result(cell, training, contouring, found.train_cases, by_fold, found.trained_with)


def _damaged(path: Path, why: Finding) -> ScoresError:
    return ScoresError(DamagedResult(path=path, why=why))


def _mismatch(
    found: _ResultFile,
    scores: Sequence[CaseScore],
    cell: Cell,
) -> Finding | None:
    """Return what cannot be this cell's, or does not fit together."""
    iterations = found.training.iterations
    if iterations != cell.iterations:
        return WrongNumberOfIterations(found=iterations, expected=cell.iterations)
    for number, row in enumerate(scores, start=2):
        if why := _wrong_row(number, row, cell):
            return why
    return _other_rows(found, scores)


def _other_rows(found: _ResultFile, scores: Sequence[CaseScore]) -> Finding | None:
    """Return how scores.csv differs from what result.json says of it."""
    if found.rows is not None and len(scores) != sum(found.rows.values()):
        return WrongNumberOfRows(found=len(scores), expected=sum(found.rows.values()))
    folds: dict[str, list[str]] = dict(found.folds.items())
    for fold, rows in _by_fold(scores, found).items():
        scored = {(row.case, row.organ) for row in rows}
        if len(scored) < len(rows):
            return RepeatedScore(fold=fold)
        if {row.case for row in rows} != set(folds.get(fold, ())):
            return DifferentScoredCases(fold=fold)
    return None


def _wrong_row(
    number: int,
    row: CaseScore,
    cell: Cell,
) -> Finding | None:
    """Return what is wrong with a row of scores.csv."""
    if row.model != cell.id or row.organ not in cell.organs:
        return RowOfAnotherCell(
            row=number,
            model=row.model,
            scored_organ=row.organ,
        )
    try:
        _POSSIBLE_SCORE.validate_python(asdict(row))
    except ValidationError as error:
        return ImpossibleScore(row=number, why=first_mistake(error, _PossibleScore))
    return None


def _by_fold(scores: Sequence[CaseScore], found: _ResultFile) -> dict[str, Sequence[CaseScore]]:
    """Return the rows of scores.csv by fold."""
    by_fold: dict[str, Sequence[CaseScore]] = {}
    if found.rows is None:
        for fold, cases in found.folds.items():
            by_fold[fold] = [row for row in scores if row.case in cases]
    else:
        left = iter(scores)
        for fold, count in found.rows.items():
            by_fold[fold] = list(islice(left, count))
    return by_fold


def read_results(out: Path, cells: Iterable[Cell]) -> dict[str, Result]:
    """Return the finished cells' results by id. Raises: ScoresError."""
    results = {}
    for cell in cells:
        result = read_result(out, cell)
        if result:
            results[cell.id] = result
    return results


# Contours


def write_masks(
    out: Path,
    cell: Cell,
    masks: Mapping[tuple[str, str], Mask],
) -> None:
    """Keep contours by case and organ, one bit per voxel."""
    packed = {}
    for (case, organ), mask in masks.items():
        packed[f"{case}/{organ}"] = np.packbits(mask, axis=-1)
    path = cell_folder(out, cell) / "masks.npz"
    with whole_file(path, replace=True) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **packed)  # type: ignore[arg-type]  # numpy's stub takes names for its own options


def read_mask(
    out: Path,
    cell: Cell,
    case: str,
    organ: str,
    shape: tuple[int, int, int],
) -> Mask | None:
    """Return a cell's contour of one organ, (slice, row, column); None if it was not kept.

    shape: the shape of the case's grid. Raises: ScoresError: the file is damaged.
    """
    path = cell_folder(out, cell) / "masks.npz"
    member = f"{case}/{organ}.npy"
    try:
        with zipfile.ZipFile(io.BytesIO(read_given(path))) as kept:
            if member not in kept.namelist():
                return None
            return _unpacked(kept, member, shape)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnreadableError as error:
        raise ScoresError(DamagedMasks(path=path, why=error.finding)) from error
    except BROKEN_ARCHIVE as error:
        why = Unexpected(reason=str(error) or type(error).__name__)
        raise ScoresError(DamagedMasks(path=path, why=why)) from error


def _unpacked(
    kept: zipfile.ZipFile,
    member: str,
    shape: tuple[int, int, int],
) -> Mask:
    """Return a mask that is packed along the columns, if the file holds just as many bits.

    Raises: UnreadableError.
    """
    slices, rows, columns = shape
    packed = (slices, rows, -(-columns // 8))
    size = math.prod(packed)
    if kept.getinfo(member).file_size > size + MOST_ARRAY_HEADER_BYTES:
        raise UnreadableError(MisfitMask(problem="larger than its CT"))
    content = io.BytesIO(kept.read(member))
    if np.lib.format.read_magic(content) != (1, 0):
        raise UnreadableError(MisfitMask(problem="no array"))
    header = np.lib.format.read_array_header_1_0(content)
    if header != (packed, False, np.dtype(np.uint8)):
        raise UnreadableError(MisfitMask(problem="on another grid than its CT"))
    bits = np.frombuffer(content.read(), np.uint8)
    if len(bits) != size:
        raise UnreadableError(MisfitMask(problem="cut off"))
    return np.unpackbits(bits.reshape(packed), axis=-1, count=columns).view(np.bool_)
