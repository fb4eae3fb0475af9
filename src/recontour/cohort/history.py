"""imports.json: what each import did, to undo it, and to which cases a map was not applied.

What an import intends to add is written down before it adds anything, so that one that was killed
can be undone, too.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from recontour.cohort.records import DoneImportRecord, ImportsRecord, TableName, read_record
from recontour.files import read_file, write_text
from recontour.partials import locked_folder

FILE = "imports.json"
TABLES: tuple[TableName, ...] = ("names.csv", "left_out.csv")
MOST_TABLE_BYTES = 1 << 20  # of a table that undoing an import restores; a larger one stays
MOST_EARLIER_BYTES = 1 << 20  # of imports before the last one; older ones cannot be undone


def read_history(cohort: Path) -> ImportsRecord:
    """Return what imports.json says; nothing in a cohort of an earlier version.

    Raises: CohortError: it is damaged. FaultError.
    """
    path = cohort / FILE
    return read_record(ImportsRecord, path) if os.path.lexists(path) else ImportsRecord()


def write_history(folder: Path, history: ImportsRecord) -> None:
    """Write imports.json into a folder, the cohort's or a change's."""
    write_text(folder / FILE, history.model_dump_json(indent=1) + "\n", replace=True)


def begin_import(
    cohort: Path,
    archive: str,
    cases: Iterable[str],
) -> ImportsRecord:
    """Write down which cases an import intends to add; return what was written before.

    archive: a salted hash of the folder's path. An import of the same archive that was killed
    before it ended is the same import.
    """
    before = read_history(cohort)
    intended = sorted(cases)
    if not intended:
        return before
    before_it = before.earlier
    if _is_going_on(before.last, archive):
        assert before.last
        added = sorted({*before.last.added, *intended})
        last = before.last.model_copy(update={"added": added})
    else:
        tables = {name: _table(cohort / name) for name in TABLES}
        last = DoneImportRecord(archive=archive, added=intended, tables=tables)
        before_it = _earlier(before)
    write_history(cohort, before.model_copy(update={"last": last, "earlier": before_it}))
    return before


def end_import(
    cohort: Path,
    before: ImportsRecord,
    archive: str,
    *,
    added: Collection[str],
    replaced: Collection[str],
    not_applied: Collection[str],
    met: Collection[str],
) -> None:
    """Write down what an import did.

    before: as `begin_import` gave it. not_applied: the cases that its map would give other organs.
    met: all cases of the cohort that were in the archive. An import that changed no case leaves the
    one before it to be undone.
    """
    with locked_folder(cohort):
        now = read_history(cohort)
    last, earlier = before.last, before.earlier
    going_on = last.added if last and _is_going_on(last, archive) else []
    if added or replaced or going_on:
        mine, earlier = now.last, now.earlier
        if mine is None or mine.archive != archive or mine.is_finished:  # it was not begun
            mine, earlier = DoneImportRecord(archive=archive), _earlier(now)
        last = mine.model_copy(
            update={
                "added": sorted({*added, *going_on}),
                "replaced": sorted(replaced),
                "is_finished": True,
            }
        )
    others = set(now.not_applied).difference(met)
    archives = sorted({*now.archives, archive}) if met else now.archives
    after = ImportsRecord(
        last=last,
        earlier=earlier,
        not_applied=sorted(others.union(not_applied)),
        archives=archives,
    )
    if after != now:
        write_history(cohort, after)


def imports_left(history: ImportsRecord, cases: Collection[str]) -> list[DoneImportRecord]:
    """Return the imports that changed any of the cases that are there, the newest last."""
    done = [*history.earlier, history.last] if history.last else history.earlier
    return [one for one in done if not set(cases).isdisjoint([*one.added, *one.replaced])]


def _earlier(before: ImportsRecord) -> list[DoneImportRecord]:
    """Return the imports that come before a new one, without the oldest if they are too large."""
    kept: list[DoneImportRecord] = []
    room = MOST_EARLIER_BYTES
    done = [*before.earlier, before.last] if before.last else before.earlier
    for one in reversed(done):
        room -= len(one.model_dump_json().encode())
        if room < 0:
            break
        kept.insert(0, one)
    return kept


def _is_going_on(last: DoneImportRecord | None, archive: str) -> bool:
    return last is not None and not last.is_finished and last.archive == archive


def _table(path: Path) -> str | None:
    """Return a table's text: empty if there is no table, None if it is too large to keep."""
    try:
        return read_file(path, MOST_TABLE_BYTES).decode("utf-8")
    except FileNotFoundError:
        return ""
    except ValueError:
        return None
