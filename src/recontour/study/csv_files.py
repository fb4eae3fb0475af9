"""The tables of a study as CSV files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from recontour.evaluation.tables import cell_of
from recontour.files import output_error, write_text
from recontour.study.tables import (
    SOURCE,
    TARGET,
    CasesTable,
    DepthTable,
    ModelsTable,
    NormalisationTable,
    SeparatelyTable,
    StudyTables,
    published,
)
from recontour.texts import csv_text

Cell = str | int | float
Row = dict[str, Cell]  # by column


def write_tables(folder: Path, tables: StudyTables) -> None:
    """Write every table over an earlier one; a table of nothing is not left there.

    Raises: OutputError: a file cannot be written there.
    """
    for name, rows in _tables(tables).items():
        path = folder / f"{name}.csv"
        if rows:
            write_text(path, _text(rows), replace=True)
        else:
            _remove(path)  # what an earlier report had may no longer be true


def _tables(tables: StudyTables) -> dict[str, list[Row]]:
    """Every table's rows by the file's name."""
    folds = {
        fold: main for fold, main in ((TARGET, tables.models), (SOURCE, tables.retention)) if main
    }
    return {
        "models": list(_models(tables.models)) if tables.models else [],
        "statistics": [
            {"fold": fold, **_flat(row)}
            for fold, main in folds.items()
            for row in main.differences.values()
        ],
        "retention": [_flat(row) for row in tables.retention.rows.values()]
        if tables.retention
        else [],
        "depth": _rows(tables.depth),
        "cases": _rows(tables.cases),
        "separately": list(_separately(tables.separately)) if tables.separately else [],
        "normalisation": _rows(tables.normalisation),
        "times": [_flat(row) for row in tables.times],
        "curves": [_flat(row) for row in tables.curves],
        "scores": [_flat(row) for row in tables.scores],
    }


def _rows(section: DepthTable | CasesTable | NormalisationTable | None) -> list[Row]:
    return [_flat(row) for row in section.rows] if section else []


def _models(main: ModelsTable) -> Iterator[Row]:
    """Each row beside what the paper has."""
    papers = published()
    for row in main.rows.values():
        mean, sd = papers.get(row.organ, {}).get(row.model, (np.nan, np.nan))
        yield _flat(row) | _flat({"published_dsc_mean": mean, "published_dsc_sd": sd})


def _separately(separately: SeparatelyTable) -> Iterator[Row]:
    """Each row beside what the joint models cost."""
    joint = _flat(
        {"joint_iterations": separately.joint_iterations, "joint_seconds": separately.joint_seconds}
    )
    for row in separately.rows:
        yield _flat(row) | joint


def _flat(row: object) -> Row:
    """A row's cells by column; what is nested has its owner's name before its own."""
    return dict(_cells("", row))


def _cells(name: str, value: object) -> Iterator[tuple[str, Cell]]:
    parts = _parts(value)
    if parts is None:
        assert isinstance(value, str | int | float)
        yield name, cell_of(value)
    else:
        for part, of_part in parts.items():
            yield from _cells(f"{name}_{part}" if name else part, of_part)


def _parts(value: object) -> Mapping[str, object] | None:
    """By name, of what has any."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {str(index): part for index, part in enumerate(value)}
    return None


def _text(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return csv_text([columns, *([row.get(column, "") for column in columns] for row in rows)])


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
