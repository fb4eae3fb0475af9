"""The scores behind a benchmark's table: a CSV file with a row per model, case and organ.

A script's --table makes its table from this file alone. Cases go by their pseudonyms, as in any
scores.csv.
"""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
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

    row: the table's row: a candidate, a way or a change of the recipe. part: what of the row: a set
    of patients or a fold. The last two are NaN in files from before they were measured.
    """

    row: str
    part: str
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
    surface_dsc_1mm: float = math.nan
    surface_dsc_2mm: float = math.nan


COLUMNS = tuple(field.name for field in fields(RawScore))
WORDS = ("row", "part", "case", "organ")


def score_cases(
    model: Model, cases: Iterable[Case], row: str, part: str, seed: int
) -> list[RawScore]:
    """Contour cases with a model, and score each organ that they have."""
    contourer = Contourer(model)
    found = []
    for case in cases:
        for scored, _ in score_masks(case, row, contour_case(contourer, case)):
            found.append(raw_score(scored, row, part, seed))
    return found


def raw_score(scored: CaseScore, row: str, part: str, seed: int) -> RawScore:
    """Return an evaluation's score as a benchmark's."""
    return RawScore(
        row=row,
        part=part,
        seed=seed,
        case=scored.case,
        organ=scored.organ,
        dsc=scored.dsc,
        surface_dsc=scored.surface_dsc,
        tolerance_mm=scored.tolerance_mm,
        hd95_mm=scored.hd95_mm,
        volume_bias_percent=scored.volume_bias_percent,
        msd_mm=scored.msd_mm,
        apl_mm=scored.apl_mm,
        surface_dsc_1mm=scored.surface_dsc_1mm,
        surface_dsc_2mm=scored.surface_dsc_2mm,
    )


def write(path: Path, scores: Iterable[RawScore]) -> None:
    """Write scores, with all their digits."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(astuple, scores))


def read(path: Path) -> list[RawScore]:
    """Read what `write` wrote, today or before all columns were there."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(map(of_text, csv.DictReader(file)))


def of_text(row: dict[str, str]) -> RawScore:
    """Return a row of the file as a score."""
    values: dict[str, Any] = {}
    for name in COLUMNS:
        values[name] = row[name] if name in WORDS else float(row.get(name, "nan"))
    values["seed"] = int(row["seed"])
    return RawScore(**values)


def kept_row(path: Path) -> dict[str, Any] | None:
    """Return what a job's own file holds; None if there is none, or if it has no scores."""
    row: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return row if "scores" in row else None


def to_json(scores: Iterable[RawScore]) -> list[list[Any]]:
    """Return scores as lists, for a job's own file."""
    return [list(astuple(score)) for score in scores]


def of_json(rows: Iterable[Sequence[Any]]) -> list[RawScore]:
    """Return the scores that `to_json` made lists of."""
    return [RawScore(*row) for row in rows]


def taken_from(rows: Iterable[dict[str, Any]]) -> list[RawScore]:
    """Take the scores out of a table's rows, and return all of them."""
    scores = []
    for row in rows:
        scores += of_json(row.pop("scores", ()))
    return scores


def chosen(scores: Iterable[RawScore], row: str, part: str | None = None) -> list[RawScore]:
    """Return the scores of a row of the table, or of a part of it."""
    return [score for score in scores if score.row == row and part in (None, score.part)]


def mean_dsc(scores: Iterable[RawScore], organs: Sequence[str] | None = None) -> float:
    """Return the mean DSC: over seeds, then over patients, then over organs."""
    return mean_of(scores, "dsc", organs)


def mean_of(scores: Iterable[RawScore], measure: str, organs: Sequence[str] | None = None) -> float:
    """Return the mean of a measure: over seeds, then over patients, then over organs.

    NaN if it was not measured.
    """
    rows = list(map(_case_score, scores))
    organs = organs or list(dict.fromkeys(row.organ for row in rows))
    return mean_over_organs(rows, "model", organs, measure)


def _case_score(score: RawScore) -> CaseScore:
    """Return a score as an evaluation's."""
    return CaseScore(
        case=score.case,
        organ=score.organ,
        model="model",
        dsc=score.dsc,
        surface_dsc=score.surface_dsc,
        tolerance_mm=score.tolerance_mm,
        hd95_mm=score.hd95_mm,
        volume_bias_percent=score.volume_bias_percent,
        msd_mm=score.msd_mm,
        apl_mm=score.apl_mm,
        surface_dsc_1mm=score.surface_dsc_1mm,
        surface_dsc_2mm=score.surface_dsc_2mm,
    )


def mean_of_folds(scores: Sequence[RawScore]) -> float:
    """Return the mean of the parts' mean DSC, each weighted by its number of cases."""
    parts: dict[str, list[RawScore]] = {}
    for score in scores:
        parts.setdefault(score.part, []).append(score)
    means, weights = [], []
    for of_part in parts.values():
        means.append(mean_dsc(of_part))
        weights.append(len({score.case for score in of_part}))
    return float(np.average(means, weights=weights))


def rows_of(scores: Iterable[RawScore]) -> list[str]:
    """Return the table's rows in the order in which they were written."""
    return list(dict.fromkeys(score.row for score in scores))
