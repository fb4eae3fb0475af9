"""The tables of an evaluation, as data and as CSV files: scores.csv and statistics.csv.

Numbers are written with every digit, so that reading returns the same; an empty cell is NaN
(nothing to measure).
"""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.errors import ScoresError
from recontour.evaluation.findings import (
    NotANumber,
    WrongNumberOfCells,
    WrongScoreColumns,
)
from recontour.files import SystemReason, UnreadableError, UnreadableFile, write_text
from recontour.findings import Finding
from recontour.texts import NotCsv, csv_rows, csv_text, read_text

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
    "surface_dsc_1mm",
    "surface_dsc_2mm",
    "trained_on",
)
# Files of earlier versions lack the last 1, 3, 4 or 6 columns.
OLDER_SCORE_COLUMNS = tuple(SCORE_COLUMNS[:-lacking] for lacking in (1, 3, 4, 6))
WORDS = ("case", "organ", "model", "patient", "trained_on")
NUMBERS = tuple(column for column in SCORE_COLUMNS if column not in WORDS)
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
    """How well one model contoured one organ of one case: a row of scores.csv.

    The measures are NaN where both masks are empty; `recontour.evaluation.metrics` defines them.

    Attributes:
        case: The id of the case.
        organ: A TG-263 name.
        model: The name of the model.
        dsc: The Dice overlap, in [0, 1].
        surface_dsc: The share of both surfaces within the tolerance, in [0, 1].
        tolerance_mm: The tolerance of surface_dsc and apl_mm.
        hd95_mm: The 95th percentile of surface distance; infinite if one mask is empty.
        volume_bias_percent: Above 0 if the prediction is too large, -100 if it is empty.
        msd_mm: The mean surface distance.
        apl_mm: The added path length.
        patient: The first of the patient's cases; empty if the patient has no other case.
        surface_dsc_1mm: The share of both surfaces within 1 mm, in [0, 1].
        surface_dsc_2mm: The share of both surfaces within 2 mm, in [0, 1].
        trained_on: What shows that the model was trained on the patient: "same CT", "nearly equal
            CT" or "PatientID"; empty if nothing does.

    Examples:
        >>> made = {"surface_dsc": 0.0, "tolerance_mm": 1.0, "hd95_mm": math.inf}
        >>> row = CaseScore("north-1", "Lens_L", "S", dsc=0.0, volume_bias_percent=-100.0, **made)
        >>> row.is_missed, row.who
        (True, 'north-1')
    """

    case: str
    organ: str
    model: str
    dsc: float
    surface_dsc: float
    tolerance_mm: float
    hd95_mm: float
    volume_bias_percent: float
    msd_mm: float = math.nan
    apl_mm: float = math.nan
    patient: str = ""
    surface_dsc_1mm: float = math.nan
    surface_dsc_2mm: float = math.nan
    trained_on: str = ""

    @property
    def who(self) -> str:
        """Return the patient's name in reports."""
        return self.patient or self.case

    @property
    def is_missed(self) -> bool:
        """Return whether the model missed an organ that the reference has, in any averaged run."""
        # A mean over several runs has an infinite HD95 as soon as one of them missed the organ.
        missed_in_some = self.hd95_mm == math.inf and self.volume_bias_percent < math.inf
        return missed_in_some or math.isclose(self.volume_bias_percent, -100)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on one organ, by DSC: a row of statistics.csv.

    n: patients that both models contoured. cts: of these patients. Differences are model b minus
    model a: above 0, model b is better. p: exact two-sided Wilcoxon signed-rank test. p_holm:
    corrected over the organs. rank_biserial: effect size in [-1, 1]. median_low, median_high: 95 %
    interval of the median difference. missed_a, missed_b: patients in whom the model misses the
    organ on at least one CT.
    """

    organ: str
    model_a: str
    model_b: str
    n: int
    median_difference: float
    p: float
    p_holm: float
    rank_biserial: float
    median_low: float
    median_high: float
    mean_difference: float
    missed_a: int
    missed_b: int
    cts: int = 0


def write_scores(path: Path, scores: Iterable[CaseScore]) -> None:
    """Write scores.csv, one row per case, organ and model.

    Raises: OutputError: the file exists, or cannot be written.

    >>> scores = read_scores("evaluation-before/scores.csv")
    >>> write_scores(Path("scores-again.csv"), scores)
    """
    write_text(path, _csv_text(SCORE_COLUMNS, scores))


def write_statistics(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Write statistics.csv, one row per organ and two models.

    Raises: OutputError: the file exists, or cannot be written.

    >>> from recontour.evaluation import compare
    >>> scores = read_scores("evaluation-before/scores.csv")
    >>> write_statistics(Path("statistics-again.csv"), compare(scores, ["south", "north"]))
    """
    write_text(path, _csv_text(STATISTICS_COLUMNS, comparisons))


def read_scores(path: Path | str) -> list[CaseScore]:
    """Read a scores.csv, also one that a spreadsheet saved.

    A byte order mark and blank lines are skipped. In files older than a column, a number is NaN and
    text is empty.

    Args:
        path: The file.

    Returns:
        One score per case, organ and model.

    Raises:
        ScoresError: The file is missing, or is not such a table.

    Examples:
        >>> import recontour
        >>> scores = recontour.read_scores("evaluation-before/scores.csv")
        >>> scores[0].organ
        'Brainstem'
    """
    path = Path(path)
    lines = enumerate(_rows(path), start=1)
    filled = [(line, cells) for line, cells in lines if cells]
    columns = tuple(filled[0][1]) if filled else ()
    if columns not in (SCORE_COLUMNS, *OLDER_SCORE_COLUMNS):
        raise ScoresError(
            WrongScoreColumns(
                path=path,
                columns=columns,
                expected=SCORE_COLUMNS,
            )
        )
    scores = []
    for line, cells in filled[1:]:
        if len(cells) != len(columns):
            wrong = WrongNumberOfCells(
                path=path,
                line=line,
                cells=len(cells),
                expected=len(columns),
            )
            raise ScoresError(wrong)
        scores.append(_score_of(path, line, dict(zip(columns, cells, strict=True))))
    return scores


def _rows(path: Path) -> list[list[str]]:
    try:
        return csv_rows(read_text(path))
    except UnreadableError as error:
        why: Finding = error.finding
    except OSError as error:
        why = SystemReason(number=error.errno)
    except csv.Error as error:
        why = NotCsv(reason=str(error))
    unreadable = UnreadableFile(
        path=path,
        what="table of scores",
        why=why,
        help="give the scores.csv of an evaluation",
    )
    raise ScoresError(unreadable)


def _csv_text(columns: Sequence[str], rows: Iterable[CaseScore] | Iterable[Comparison]) -> str:
    lines: list[Sequence[str | int | float]] = [columns]
    for row in rows:
        lines.append([cell_of(getattr(row, column)) for column in columns])
    return csv_text(lines)


def cell_of(value: str | float) -> str | int | float:
    """Return what stands in a cell: text as it is, a number with every digit, nothing for NaN."""
    if isinstance(value, str | int):
        return value
    return "" if math.isnan(value) else float(value)


def _score_of(
    path: Path,
    line: int,
    cells: dict[str, str],
) -> CaseScore:
    """Decode one line. cells: by column."""
    measures = {}
    for column in NUMBERS:
        cell = cells.get(column, "")
        try:
            measures[column] = float(cell) if cell else math.nan
        except ValueError as error:
            wrong = NotANumber(
                path=path,
                line=line,
                column=column,
                cell=cell,
            )
            raise ScoresError(wrong) from error
    return CaseScore(
        case=cells["case"],
        organ=cells["organ"],
        model=cells["model"],
        patient=cells.get("patient", ""),
        trained_on=cells.get("trained_on", ""),
        **measures,
    )
