"""The scores that a benchmark's table is made of: a row per model, case and organ, in a CSV file
beside its JSON.

A table is made of this file alone, by the script's --table. Cases go by their pseudonyms, as in any
scores.csv.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from recontour.assess.scoring import contour_case, score_masks
from recontour.cohort import Case
from recontour.contouring.contourer import Contourer
from recontour.evaluation import CaseScore, mean_over_organs
from recontour.network import Model


@dataclass(frozen=True, slots=True)
class RawScore:
    """How well one model contoured one organ of one case.

    row, part: where in the table it counts.
    """

    row: str  # a candidate, a way, a change of the recipe
    part: str  # of the row: a set of patients, a fold, a share
    seed: int
    case: str
    organ: str
    dsc: float
    surface_dsc: float
    tolerance_mm: float
    hd95_mm: float
    volume_bias_percent: float
    msd_mm: float
    apl_mm: float


COLUMNS = tuple(field.name for field in fields(RawScore))
WORDS = ("row", "part", "case", "organ")


def score_cases(
    model: Model, cases: Iterable[Case], row: str, part: str, seed: int
) -> list[RawScore]:
    """Contour cases with a model, and score every organ that they have."""
    contourer = Contourer(model)
    found = []
    for case in cases:
        for scored, _ in score_masks(case, row, contour_case(contourer, case)):
            found.append(raw_score(scored, row, part, seed))
    return found


def raw_score(scored: CaseScore, row: str, part: str, seed: int) -> RawScore:
    """A row of an evaluation's scores as one of a benchmark's."""
    measures = {name: value for name, value in asdict(scored).items() if name in COLUMNS}
    return RawScore(**measures | {"row": row, "part": part, "seed": seed})


def write(path: Path, scores: Iterable[RawScore]) -> None:
    """Every digit."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(score, name) for name in COLUMNS] for score in scores)


def read(path: Path) -> list[RawScore]:
    """What `write` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [of_text(row) for row in csv.DictReader(file)]


def of_text(row: dict[str, str]) -> RawScore:
    """A row of the file."""
    values: dict[str, Any] = {
        name: row[name] if name in WORDS else float(row[name]) for name in COLUMNS
    }
    return RawScore(**values | {"seed": int(row["seed"])})


def kept_row(path: Path) -> dict[str, Any] | None:
    """A job's own file; None if there is none, or one from before it held scores."""
    row: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return row if "scores" in row else None


def to_json(scores: Iterable[RawScore]) -> list[list[Any]]:
    """For a job's own file."""
    return [[getattr(score, name) for name in COLUMNS] for score in scores]


def of_json(rows: Iterable[Sequence[Any]]) -> list[RawScore]:
    """Back."""
    return [RawScore(*row) for row in rows]


def chosen(scores: Iterable[RawScore], row: str, part: str | None = None) -> list[RawScore]:
    """Those of a row of the table, or of a part of it."""
    return [score for score in scores if score.row == row and part in (None, score.part)]


def mean_dsc(scores: Iterable[RawScore], organs: Sequence[str] | None = None) -> float:
    """The mean over the organs of their means over the patients;

    a patient's is the mean over seeds.
    """
    rows = [
        CaseScore(
            one.case,
            one.organ,
            "model",
            one.dsc,
            one.surface_dsc,
            one.tolerance_mm,
            one.hd95_mm,
            0.0,
        )
        for one in scores
    ]
    return mean_over_organs(rows, "model", organs or list(dict.fromkeys(row.organ for row in rows)))


def mean_of_folds(scores: Sequence[RawScore]) -> float:
    """The mean of the parts' means, each weighed by its number of cases."""
    parts = {
        part: [one for one in scores if one.part == part]
        for part in dict.fromkeys(one.part for one in scores)
    }
    weights = [len({one.case for one in of_part}) for of_part in parts.values()]
    return float(np.average([mean_dsc(of_part) for of_part in parts.values()], weights=weights))


def rows_of(scores: Iterable[RawScore]) -> list[str]:
    """The table's rows, in the order in which they were written."""
    return list(dict.fromkeys(score.row for score in scores))
