"""A cohort's tables, as `inspect` shows them and `--json` lists them."""

import csv
from pathlib import Path

from recontour.cli.findings import DamagedTable
from recontour.errors import CohortError
from recontour.files import UnreadableError, UnreadableFile
from recontour.texts import csv_rows, read_text

MOST_BYTES = 2**26
MOST_COLUMNS = 20


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table in a cohort folder; both are empty if none is.

    Raises: CohortError: it cannot be read.
    """
    if not path.exists():
        return [], []
    try:
        header, *rows = csv_rows(read_text(path, MOST_BYTES))
    except UnreadableError as error:
        raise CohortError(
            UnreadableFile(
                path=path,
                what="table",
                why=error.finding,
                help="the cohort can be used without it",
            )
        ) from error
    # No line at all, or no table.
    except (ValueError, csv.Error) as error:
        raise CohortError(DamagedTable(path=path)) from error
    if len(header) > MOST_COLUMNS:
        raise CohortError(DamagedTable(path=path))
    return header, [row[: len(header)] for row in rows]
