"""names.csv and left_out.csv: what became of names and patients, without anything that names one.

Both are built from words that may be stored. Several imports may bring a table up to date at the
same time; none loses a row of another.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from recontour.cohort.import_findings import ForeignTable
from recontour.cohort.store import Cohort
from recontour.errors import CohortError
from recontour.files import UnreadableError, write_text
from recontour.findings import Finding, stored_words
from recontour.organs import NameRow, is_vocabulary
from recontour.partials import locked_folder
from recontour.texts import NotCsv, csv_rows, csv_text, read_text
from recontour.wording import printable

HIDDEN_NAME = "(not stored: it may name the patient)"
NAMES_HEADER = ("roi_name", "tg263", "status", "reason", "patients")
LEFT_OUT_HEADER = ("what", "reason", "archive")
TABLES = {"names.csv": NAMES_HEADER, "left_out.csv": LEFT_OUT_HEADER}
LARGEST_TABLE = 1 << 26  # bytes
TRIES = 10  # at a table that another import writes at the same time, on a share without locks

Row = list[str]
Rows = list[Row]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not imported, and why.

    what: the case it would have been, or a hash of the file's place. place: the file or folder, for
    the screen only, since it may name a patient.
    """

    what: str
    place: Path
    finding: Finding


def check_tables(cohort: Path) -> None:
    """Read a cohort's tables, so that one that cannot be updated is found before the work.

    Raises: CohortError.
    """
    for name, header in TABLES.items():
        _read_csv(cohort / name, header)


def empty_table(name: str) -> str:
    """Return the text of a table without rows.

    >>> empty_table("left_out.csv").strip()
    'what,reason,archive'
    """
    return csv_text([TABLES[name]])


def fit_row(row: NameRow) -> NameRow:
    """Return a row as it may be stored.

    A name that is no organ's is free text, which may hold the patient's name or a date, unless it
    is made of known words.
    """
    if row.status == "mapped" or is_vocabulary(row.roi_name):
        return row
    return NameRow(HIDDEN_NAME, row.tg263, row.status, row.reason)


def save_names(cohort: Cohort, names: Iterable[tuple[NameRow, int]]) -> None:
    """Store what became of each name in the last import that met it. names: from `fit_row`."""
    new = []
    for row, count in names:
        reason = stored_words(row.reason)
        new.append(_cells(row.roi_name, row.tg263 or "", row.status, reason, str(count)))
    met = {row[0] for row in new}

    def merged(old: Rows) -> Rows:
        return new + [row for row in old if row[0] not in met]

    _update_csv(cohort.path / "names.csv", merged)


def save_left_out(
    cohort: Cohort,
    left_out: Iterable[LeftOut],
    archive_id: str,
) -> None:
    """Store what is left out: of this archive now, of others what has not been imported since."""
    new = []
    met = set()
    for found in left_out:
        row = _cells(found.what, stored_words(found.finding), archive_id)
        met.add(found.what)
        if row not in new:
            new.append(row)

    def is_open(row: Row) -> bool:
        what, _, archive = row
        return archive != archive_id and what not in met and what not in cohort

    def merged(old: Rows) -> Rows:
        return [*filter(is_open, old), *new]

    _update_csv(cohort.path / "left_out.csv", merged)


def _cells(*words: str) -> Row:
    """Return a row that a table can hold and return: a lone carriage return would end it."""
    return list(map(printable, words))


def _update_csv(path: Path, merged: Callable[[Rows], Rows]) -> None:
    """Bring a table up to date; no row is lost to an import that does so at the same time."""
    header = TABLES[path.name]
    with locked_folder(path.parent):
        for _ in range(TRIES):
            rows = merged(_read_csv(path, header))
            _write_csv(path, header, rows)
            # Where there are no locks, another import may have written in between.
            if _read_csv(path, header) == rows:
                return


def _read_csv(path: Path, header: Sequence[str]) -> Rows:
    """Return the rows of a table that recontour wrote; none where there is no table.

    Raises:
        CohortError: it cannot be read, so its rows would be lost.
        FaultError: the machine failed.
    """
    columns = tuple(header)
    try:
        table = csv_rows(read_text(path, LARGEST_TABLE))
    except FileNotFoundError:
        return []
    except UnreadableError as error:
        raise CohortError(
            ForeignTable(
                path=path,
                columns=columns,
                why=error.finding,
            )
        ) from error
    except csv.Error as error:
        reason = NotCsv(reason=str(error))
        raise CohortError(
            ForeignTable(
                path=path,
                columns=columns,
                why=reason,
            )
        ) from error
    is_ours = bool(table) and tuple(table[0]) == columns
    if not is_ours or any(len(row) != len(columns) for row in table):
        raise CohortError(ForeignTable(path=path, columns=columns))
    return table[1:]


def _write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
) -> None:
    write_text(path, csv_text([header, *rows]), replace=True)
