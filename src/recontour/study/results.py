"""What a cell found, kept in its folder.

DIR/
  study.json               what was declared, paths resolved
  split.csv                centre, case, fold: the same for every model
  cells/ID/model           the model file
  cells/ID/result.json     how training went, and by what; written last: a cell with it is finished
  cells/ID/scores.csv      every case of every fold, as an evaluation writes them; the model is
  called ID cells/ID/masks.npz       the main models' contours of the target's test cases, for the
  pictures cells/ID/failed.txt      why the last attempt failed, instead of all that report.html,
  tables/     what `recontour report` makes of it
"""

import io
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from recontour.errors import ScoresError
from recontour.evaluation import CaseScore, read_scores, write_scores
from recontour.files import UnreadableError, whole_file, write_text
from recontour.geometry.arrays import Mask
from recontour.study.cells import Cell
from recontour.texts import read_given
from recontour.validation import first_mistake
from recontour.wording import shown

MOST_RESULT_BYTES = 2**26
MOST_HEADER_BYTES = 2**12  # of an array in masks.npz


def _within(low: float, high: float, *others: float) -> Callable[[float], float]:
    """A check that a number lies between two others;

    NaN, which stands for nothing to measure, always may.
    """

    def checked(value: float) -> float:
        if not (low <= value <= high or math.isnan(value) or value in others):
            raise ValueError(f"a number from {low:g} to {high:g} is expected")
        return value

    return checked


Count = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, AfterValidator(_within(0, 1e10))]
Share = Annotated[float, AfterValidator(_within(-0.01, 1.01))]  # two clocks may disagree
Value = Annotated[float, AfterValidator(_within(-1e9, 1e9))]
Text = Annotated[str, Field(max_length=100_000)]
Fold = Literal["target test", "target validation", "source test"]
MEASURES = {  # what each can be; NaN: nothing to measure
    "dsc": _within(0, 1),
    "surface_dsc": _within(0, 1),
    "tolerance_mm": _within(0, 1000),
    "hd95_mm": _within(0, 1e6, math.inf),  # inf: one of the two masks is empty
    "volume_bias_percent": _within(-100.001, 1e12, math.inf),
    "msd_mm": _within(0, 1e6, math.inf),
    "apl_mm": _within(0, 1e9, math.inf),
}


@dataclass(frozen=True, slots=True)
class Point:
    """Where a training curve stands."""

    iteration: Count
    seconds: Seconds  # of training so far, validation not counted; NaN: unknown
    value: Value  # loss, or mean DSC over the organs


Curve = Annotated[Sequence[Point], Field(max_length=10**6), AfterValidator(tuple)]


@dataclass(frozen=True, slots=True)
class Training:
    """How a cell's training went."""

    iterations: Count
    seconds: Seconds  # wall clock of all iterations; NaN: the diary does not have them all
    waiting: Share  # share of it spent waiting for data ...
    trunk: Share  # ... in Conv1 to Conv4 ...
    head: Share  # ... and in the CAC, the SPP, the loss and the optimiser
    parameters: Count
    retrained_parameters: Count
    loss: Curve = ()
    validation: Curve = ()  # mean DSC on the target's validation cases

    @property
    def seconds_per_iteration(self) -> float:
        """NaN for a model that was not trained, or if nobody knows how long."""
        return self.seconds / self.iterations if self.iterations and self.seconds else math.nan


@dataclass(frozen=True, slots=True)
class Contouring:
    """What contouring cost, scoring left out."""

    cases: Count
    slices: Count
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class _Written:
    """result.json."""

    training: Training
    contouring: Contouring
    train_cases: Count
    folds: dict[Fold, list[Text]]  # the cases of each
    trained_with: dict[Text, Text] = field(default_factory=dict)
    rows: dict[Fold, Count] | None = None  # of scores.csv; None: an earlier recontour wrote it


@dataclass(frozen=True, slots=True)
class Result:
    """A finished cell."""

    cell: Cell
    training: Training
    contouring: Contouring
    train_cases: int
    scores: Mapping[
        str, Sequence[CaseScore]
    ]  # by fold: "target test", "target validation", "source test"
    trained_with: Mapping[str, str] = field(
        default_factory=dict
    )  # recipe and versions; {}: an earlier one kept none


def cell_folder(out: Path, cell: Cell) -> Path:
    """Where a cell keeps everything."""
    return out / "cells" / cell.id


def is_finished(out: Path, cell: Cell) -> bool:
    """Whether a cell's result is there, whole."""
    return (cell_folder(out, cell) / "result.json").exists()


def write_result(out: Path, result: Result) -> None:
    """Keep a result: result.json comes last, so that it vouches for the rest."""
    folder = cell_folder(out, result.cell)
    (folder / "scores.csv").unlink(
        missing_ok=True
    )  # of an attempt that was cut off between the two
    write_scores(folder / "scores.csv", [row for rows in result.scores.values() for row in rows])
    about = {
        "training": asdict(result.training),
        "contouring": asdict(result.contouring),
        "train_cases": result.train_cases,
        "trained_with": dict(result.trained_with),
        "folds": {fold: sorted({row.case for row in rows}) for fold, rows in result.scores.items()},
        "rows": {
            fold: len(rows) for fold, rows in result.scores.items()
        },  # of scores.csv, in this order
    }
    write_text(folder / "result.json", json.dumps(about, indent=1) + "\n", replace=True)


def read_result(out: Path, cell: Cell) -> Result | None:
    """A cell's result; None if it is not finished.

    Raises: ScoresError: its files are damaged, or hold what no cell can have found.
    """
    path = cell_folder(out, cell) / "result.json"
    try:
        about = TypeAdapter(_Written).validate_json(
            read_given(path, MOST_RESULT_BYTES), strict=True
        )
        if about.training.iterations != cell.iterations:
            raise ValueError(f"{about.training.iterations} iterations, not {cell.iterations}")
        scores = read_scores(path.with_name("scores.csv"))
        _refuse_impossible(scores, cell)
        by_fold = _by_fold(scores, about)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise _damaged(path, first_mistake(error, _Written).sentence()) from error
    except (UnreadableError, ScoresError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    return Result(
        cell, about.training, about.contouring, about.train_cases, by_fold, about.trained_with
    )


def _damaged(path: Path, why: str) -> ScoresError:
    return ScoresError(
        f"{path} cannot be used ({why}); delete that file and go on with --resume: the cell's model is kept and scored "
        "again"
    )


def _refuse_impossible(scores: Sequence[CaseScore], cell: Cell) -> None:
    """Raise ValueError where a row cannot be this cell's."""
    for line, row in enumerate(scores, start=2):
        if row.model != cell.id or row.organ not in cell.organs:
            raise ValueError(
                f"scores.csv, row {line}: model {shown(row.model)}, organ {shown(row.organ)}"
            )
        for measure, check in MEASURES.items():
            try:
                check(getattr(row, measure))
            except ValueError as error:
                raise ValueError(
                    f"scores.csv, row {line}: {measure} is {getattr(row, measure):g}: {error}"
                ) from error


def _by_fold(scores: Sequence[CaseScore], about: _Written) -> dict[str, Sequence[CaseScore]]:
    """Rows of scores.csv by fold:

    as many as each has, or by the cases' names where an earlier recontour wrote them.
    """
    by_fold: dict[str, Sequence[CaseScore]]
    if about.rows is None:
        by_fold = {
            fold: [row for row in scores if row.case in cases]
            for fold, cases in about.folds.items()
        }
    else:
        if len(scores) != sum(about.rows.values()):
            raise ValueError(f"scores.csv has {len(scores)} rows, not {sum(about.rows.values())}")
        left = iter(scores)
        by_fold = {fold: list(islice(left, count)) for fold, count in about.rows.items()}
    for fold, rows in by_fold.items():
        if len({(row.case, row.organ) for row in rows}) < len(rows):
            raise ValueError(f"scores.csv scores an organ of a case twice in {fold}")
        if {row.case for row in rows} != set(about.folds.get(fold, ())):  # type: ignore[call-overload]
            raise ValueError(f"scores.csv has other cases than result.json in {fold}")
    return by_fold


def read_results(out: Path, cells: Iterable[Cell]) -> dict[str, Result]:
    """The finished cells' results by id."""
    found = ((cell.id, read_result(out, cell)) for cell in cells)
    return {name: result for name, result in found if result}


def write_masks(out: Path, cell: Cell, masks: Mapping[tuple[str, str], Mask]) -> None:
    """Keep contours by case and organ, a bit a voxel."""
    packed = {
        f"{case}/{organ}": np.packbits(mask, axis=-1) for (case, organ), mask in masks.items()
    }
    with (
        whole_file(cell_folder(out, cell) / "masks.npz", replace=True) as partial,
        partial.open("wb") as file,
    ):
        np.savez_compressed(file, **packed)  # type: ignore[arg-type]  # numpy's stub takes names for its own options


def read_mask(
    out: Path, cell: Cell, case: str, organ: str, shape: tuple[int, int, int]
) -> Mask | None:
    """A cell's contour of one organ, (slice, row, column); None if it was not kept.

    shape: that of the case's grid. Raises: ScoresError: the file is damaged.
    """
    path = cell_folder(out, cell) / "masks.npz"
    try:
        with zipfile.ZipFile(io.BytesIO(read_given(path))) as kept:
            member = f"{case}/{organ}.npy"
            if member not in kept.namelist():
                return None
            return _unpacked(kept, member, shape)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (
        UnreadableError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ScoresError(
            f"{path} is damaged ({error}); delete that file: the report then shows no contours of this cell"
        ) from error


def _unpacked(kept: zipfile.ZipFile, member: str, shape: tuple[int, int, int]) -> Mask:
    """A mask of bits along the columns, once it is sure that the file holds as many as the shape
    has.
    """
    slices, rows, columns = shape
    packed = (slices, rows, -(-columns // 8))
    if kept.getinfo(member).file_size > math.prod(packed) + MOST_HEADER_BYTES:
        raise ValueError(f"{member} is larger than its CT")
    content = io.BytesIO(kept.read(member))
    if np.lib.format.read_magic(content) != (1, 0):
        raise ValueError(f"{member} is no array")
    if np.lib.format.read_array_header_1_0(content) != (packed, False, np.dtype(np.uint8)):
        raise ValueError(f"{member} does not lie on the grid of its CT")
    bits = np.frombuffer(content.read(), np.uint8)
    if len(bits) != math.prod(packed):
        raise ValueError(f"{member} is cut off")
    return np.unpackbits(bits.reshape(packed), axis=-1, count=columns).view(np.bool_)
