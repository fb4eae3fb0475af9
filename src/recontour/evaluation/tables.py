"""The tables of an evaluation as data and as CSV files: scores.csv and statistics.csv.

Numbers are written with every digit, so reading gives back the same; an empty cell is NaN (nothing
to measure).
"""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.errors import ScoresError
from recontour.files import UnreadableError, write_text
from recontour.texts import csv_rows, csv_text, read_text

SCORE_COLUMNS = (
    "case",
    "organ",
    "model",
    "dsc",
    "surface_dsc",
    "tolerance_mm",
    "hd95_mm",
    "volume_bias_percent",
    "msd_mm",
    "apl_mm",
    "patient",
)
OLDER_SCORE_COLUMNS = (
    SCORE_COLUMNS[:-1],
    SCORE_COLUMNS[:-3],
)  # of files from before there were the last ones
NUMBERS = slice(3, 10)  # of SCORE_COLUMNS
STATISTICS_COLUMNS = (
    "organ",
    "model_a",
    "model_b",
    "n",
    "median_difference",
    "p",
    "p_holm",
    "rank_biserial",
    "median_low",
    "median_high",
    "mean_difference",
    "missed_a",
    "missed_b",
    "cts",
)


@dataclass(frozen=True, slots=True)
class CaseScore:
    """How well one model contoured one organ of one case: a row of scores.csv."""

    case: str
    organ: str  # TG-263
    model: str
    dsc: float
    surface_dsc: float
    tolerance_mm: float
    hd95_mm: float
    volume_bias_percent: float
    msd_mm: float = math.nan
    apl_mm: float = math.nan
    patient: str = ""  # the first of the patient's cases; empty: the case is a patient by itself

    @property
    def who(self) -> str:
        """What to call the patient."""
        return self.patient or self.case

    @property
    def is_missed(self) -> bool:
        """Whether the reference has the organ and the prediction is empty, in any of the runs
        averaged.
        """
        is_lost_at_times = (
            self.hd95_mm == math.inf and self.volume_bias_percent < math.inf
        )  # in a mean of several
        return is_lost_at_times or math.isclose(self.volume_bias_percent, -100)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on one organ, by DSC: a row of statistics.csv."""

    organ: str
    model_a: str
    model_b: str
    n: int  # patients that both models contoured
    median_difference: float  # of DSC, b - a: above 0, model b is better
    p: float  # Wilcoxon signed-rank, exact, two-sided
    p_holm: float  # corrected over the organs
    rank_biserial: float  # effect size in [-1, 1]
    median_low: float  # 95 % interval of the median difference
    median_high: float
    mean_difference: float
    missed_a: int  # patients in whom model a misses the organ, on one of the CTs at least
    missed_b: int
    cts: int = 0  # of those patients; more than n where some have several


def write_scores(path: Path, scores: Iterable[CaseScore]) -> None:
    """Write scores.csv, one row per case, organ and model; never over a file that exists."""
    write_text(path, _csv_text(SCORE_COLUMNS, scores))


def write_statistics(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Write statistics.csv, one row per organ and two models; never over a file that exists."""
    write_text(path, _csv_text(STATISTICS_COLUMNS, comparisons))


def read_scores(path: Path) -> list[CaseScore]:
    """Read scores.csv, also as a spreadsheet saves it: with a byte order mark, and blank lines,
    which are passed over.

    Files from before there were the last columns are read too: msd_mm and apl_mm are then NaN,
    patient is empty.

    Raises: ScoresError: the file is missing, or is not such a table.
    """
    try:
        rows = [
            (line, cells) for line, cells in enumerate(csv_rows(read_text(path)), start=1) if cells
        ]
    except (OSError, UnreadableError, csv.Error) as error:
        raise ScoresError(
            f"{path}: cannot be read as a table ({error}). Give the scores.csv of an evaluation."
        ) from error
    columns = rows[0][1] if rows else []
    if tuple(columns) not in (SCORE_COLUMNS, *OLDER_SCORE_COLUMNS):
        raise ScoresError(
            f"{path}: the columns are {', '.join(columns) or 'missing'}; "
            f"expected {', '.join(SCORE_COLUMNS)}. Give the scores.csv of an evaluation."
        )
    return [_score_of(path, line, cells, len(columns)) for line, cells in rows[1:]]


def _csv_text(columns: Sequence[str], rows: Iterable[CaseScore] | Iterable[Comparison]) -> str:
    return csv_text(
        [columns, *([cell_of(getattr(row, column)) for column in columns] for row in rows)]
    )


def cell_of(value: str | float) -> str | int | float:
    """What stands in a cell: text as it is, a number with every digit; for NaN nothing."""
    if isinstance(value, str | int):
        return value
    return "" if math.isnan(value) else float(value)


def _score_of(path: Path, line: int, cells: list[str], columns: int) -> CaseScore:
    if len(cells) != columns:
        raise ScoresError(
            f"{path}, line {line}: {len(cells)} cells, expected {columns}. Evaluate again, or mend the file."
        )
    try:
        numbers = [float(cell) if cell else math.nan for cell in cells[NUMBERS]]
    except ValueError as error:
        raise ScoresError(
            f"{path}, line {line}: {error}. Evaluate again, or mend the file."
        ) from error
    patient = cells[-1] if len(cells) == len(SCORE_COLUMNS) else ""
    measures = dict(zip(SCORE_COLUMNS[NUMBERS], numbers, strict=False))  # an older file has fewer
    return CaseScore(cells[0], cells[1], cells[2], patient=patient, **measures)
