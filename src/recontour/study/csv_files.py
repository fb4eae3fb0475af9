"""The tables of a study as CSV files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from recontour.evaluation.tables import cell_of
from recontour.files import output_error, write_text
from recontour.study.tables import (
    SOURCE,
    TARGET,
    ModelsTable,
    SeparatelyTable,
    StudyTables,
    published,
)
from recontour.texts import csv_text

CsvValue = str | int | float
Row = dict[str, CsvValue]  # by column


def write_tables(folder: Path, tables: StudyTables) -> None:
    """Write each table as a CSV file, over an earlier one.

    The file of a table without rows is removed: what an earlier report wrote may no longer be true.
    Raises: OutputError: a file cannot be written there.
    """
    for name, rows in _tables(tables).items():
        path = folder / f"{name}.csv"
        if rows:
            write_text(path, _text(rows), replace=True)
        else:
            _remove(path)


def _tables(tables: StudyTables) -> dict[str, list[Row]]:
    """Return each table's rows by the file's name."""
    retention = tables.retention.rows.values() if tables.retention else ()
    return {
        "models": list(_models(tables.models)) if tables.models else [],
        "statistics": [
            *_differences(TARGET, tables.models),
            *_differences(SOURCE, tables.retention),
        ],
        "retention": _flat_rows(retention),
        "depth": _flat_rows(tables.depth.rows if tables.depth else ()),
        "cases": _flat_rows(tables.cases.rows if tables.cases else ()),
        "separately": list(_separately(tables.separately)) if tables.separately else [],
        "normalisation": _flat_rows(tables.normalisation.rows if tables.normalisation else ()),
        "times": _flat_rows(tables.times),
        "curves": _flat_rows(tables.curves),
        "scores": _flat_rows(tables.scores),
    }


def _flat_rows(rows: Iterable[object]) -> list[Row]:
    return list(map(_flat, rows))


def _differences(fold: str, models: ModelsTable | None) -> Iterator[Row]:
    """Yield the tests between a fold's models."""
    if models:
        for row in models.differences.values():
            yield {"fold": fold, **_flat(row)}


def _models(models: ModelsTable) -> Iterator[Row]:
    """Yield each row beside the paper's numbers."""
    papers = published()
    for row in models.rows.values():
        mean, sd = papers.get(row.organ, {}).get(row.model, (np.nan, np.nan))
        yield _flat(row) | _flat({"published_dsc_mean": mean, "published_dsc_sd": sd})


def _separately(separately: SeparatelyTable) -> Iterator[Row]:
    """Yield each row beside what the joint models cost."""
    joint = {
        "joint_iterations": separately.joint_iterations,
        "joint_seconds": separately.joint_seconds,
    }
    for row in separately.rows:
        yield _flat(row) | _flat(joint)


def _flat(row: object) -> Row:
    """Return a row's values by column; a nested one has its owner's name before its own."""
    return dict(_columns("", row))


def _columns(name: str, value: object) -> Iterator[tuple[str, CsvValue]]:
    parts = _parts(value)
    if parts is None:
        assert isinstance(value, str | int | float)
        yield name, cell_of(value)
        return
    for part, inner in parts.items():
        yield from _columns(f"{name}_{part}" if name else part, inner)


def _parts(value: object) -> Mapping[str, object] | None:
    """Return the parts of a value by name, or None if it has none."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {str(place): part for place, part in enumerate(value)}
    return None


def _text(rows: Sequence[Row]) -> str:
    columns: dict[str, None] = {}  # in the order in which they first appear
    for row in rows:
        columns |= dict.fromkeys(row)
    lines: list[Sequence[CsvValue]] = [list(columns)]
    for row in rows:
        lines.append([row.get(column, "") for column in columns])
    return csv_text(lines)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
