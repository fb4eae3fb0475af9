"""What a cell found, kept in its folder.

DIR/
  study.json               what was declared, paths resolved
  split.csv                centre, case, fold: the same for every model
  cells/ID/model           the model file
  cells/ID/result.json     how training went, and by what; written last: a cell with it is finished
  cells/ID/scores.csv      every case of every fold, as an evaluation writes them; the model is called ID
  cells/ID/masks.npz       the main models' contours of the target's test cases, for the pictures
  cells/ID/failed.txt      why the last attempt failed, instead of all that
  report.html, tables/     what `recontour report` makes of it
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recontour.errors import ScoresError
from recontour.evaluation import CaseScore, read_scores, write_scores
from recontour.files import whole_file, write_text
from recontour.study.cells import Cell

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Point:
    """Where a training curve stands."""

    iteration: int
    seconds: float  # of training so far, validation not counted
    value: float  # loss, or mean DSC over the organs


@dataclass(frozen=True, slots=True)
class Training:
    """How a cell's training went."""

    iterations: int
    seconds: float  # wall clock of all iterations
    waiting: float  # share of it spent waiting for data ...
    trunk: float  # ... in Conv1 to Conv4 ...
    head: float  # ... and in the CAC, the SPP, the loss and the optimiser
    parameters: int
    retrained_parameters: int
    loss: Sequence[Point] = ()
    validation: Sequence[Point] = ()  # mean DSC on the target's validation cases

    @property
    def seconds_per_iteration(self) -> float:
        """NaN for a model that was not trained."""
        return self.seconds / self.iterations if self.iterations else float("nan")


@dataclass(frozen=True, slots=True)
class Contouring:
    """What contouring cost, scoring left out."""

    cases: int
    slices: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """A finished cell."""

    cell: Cell
    training: Training
    contouring: Contouring
    train_cases: int
    scores: Mapping[str, Sequence[CaseScore]]  # by fold: "target test", "target validation", "source test"
    trained_with: Mapping[str, str] = field(default_factory=dict)  # recipe and versions; {}: an earlier one kept none


def cell_folder(out: Path, cell: Cell) -> Path:
    """Where a cell keeps everything."""
    return out / "cells" / cell.id


def is_finished(out: Path, cell: Cell) -> bool:
    """Whether a cell's result is there, whole."""
    return (cell_folder(out, cell) / "result.json").exists()


def write_result(out: Path, result: Result) -> None:
    """Keep a result: result.json comes last, so that it vouches for the rest."""
    folder = cell_folder(out, result.cell)
    (folder / "scores.csv").unlink(missing_ok=True)  # of an attempt that was cut off between the two
    write_scores(folder / "scores.csv", [row for rows in result.scores.values() for row in rows])
    about = {
        "training": asdict(result.training),
        "contouring": asdict(result.contouring),
        "train_cases": result.train_cases,
        "trained_with": dict(result.trained_with),
        "folds": {fold: sorted({row.case for row in rows}) for fold, rows in result.scores.items()},
        "rows": {fold: len(rows) for fold, rows in result.scores.items()},  # of scores.csv, in this order
    }
    write_text(folder / "result.json", json.dumps(about, indent=1) + "\n", replace=True)


def read_result(out: Path, cell: Cell) -> Result | None:
    """A cell's result; None if it is not finished.

    Raises: ScoresError: its files are damaged.
    """
    path = cell_folder(out, cell) / "result.json"
    if not path.exists():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        curves = {name: tuple(Point(**point) for point in about["training"][name]) for name in ("loss", "validation")}
        scores = read_scores(path.with_name("scores.csv"))
        return Result(
            cell=cell,
            training=Training(**(about["training"] | curves)),
            contouring=Contouring(**about["contouring"]),
            train_cases=about["train_cases"],
            scores=_by_fold(scores, about),
            trained_with=dict(about.get("trained_with", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ScoresError(f"{path} is damaged ({error}); delete its folder and go on with --resume") from error


def _by_fold(scores: Sequence[CaseScore], about: Mapping[str, Any]) -> dict[str, Sequence[CaseScore]]:
    """Rows of scores.csv by fold: as many as each has, or by the cases' names where an earlier recontour wrote them."""
    if "rows" not in about:
        return {fold: [row for row in scores if row.case in cases] for fold, cases in about["folds"].items()}
    if len(scores) != sum(about["rows"].values()):
        raise ValueError(f"scores.csv has {len(scores)} rows, not {sum(about['rows'].values())}")
    left = iter(scores)
    return {fold: list(islice(left, count)) for fold, count in about["rows"].items()}


def read_results(out: Path, cells: Iterable[Cell]) -> dict[str, Result]:
    """The finished cells' results by id."""
    found = ((cell.id, read_result(out, cell)) for cell in cells)
    return {name: result for name, result in found if result}


def write_masks(out: Path, cell: Cell, masks: Mapping[tuple[str, str], Mask]) -> None:
    """Keep contours by case and organ, a bit a voxel."""
    packed = {f"{case}/{organ}": np.packbits(mask, axis=-1) for (case, organ), mask in masks.items()}
    with whole_file(cell_folder(out, cell) / "masks.npz", replace=True) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **packed)  # type: ignore[arg-type]  # numpy's stub takes names for its own options


def read_mask(out: Path, cell: Cell, case: str, organ: str, columns: int) -> Mask | None:
    """A cell's contour of one organ, (slice, row, column); None if it was not kept."""
    path = cell_folder(out, cell) / "masks.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as kept:
        if f"{case}/{organ}" not in kept:
            return None
        return np.unpackbits(kept[f"{case}/{organ}"], axis=-1, count=columns).view(np.bool_)
