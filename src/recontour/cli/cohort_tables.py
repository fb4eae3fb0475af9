"""A cohort's volumes and tables, as `inspect` shows them and `--json` lists them."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from recontour.cli.findings import DamagedTable
from recontour.errors import CohortError
from recontour.files import UnreadableError, UnreadableFile
from recontour.texts import csv_rows, read_text

if TYPE_CHECKING:
    from recontour.cohort import Case

MOST_BYTES = 2**26
MOST_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class OrganVolumes:
    """An organ's volumes over the cases that have it."""

    cases: int
    median_cc: float
    min_cc: float
    max_cc: float


def organ_volumes(cases: "Iterable[Case]") -> dict[str, OrganVolumes]:
    """Return the volumes of each organ, by name in alphabetical order."""
    volumes_of: dict[str, list[float]] = {}
    for case in cases:
        for organ, volume in case.volumes_cc.items():
            volumes_of.setdefault(organ, []).append(volume)
    found = {}
    for organ, volumes in sorted(volumes_of.items()):
        found[organ] = OrganVolumes(len(volumes), median(volumes), min(volumes), max(volumes))
    return found


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
