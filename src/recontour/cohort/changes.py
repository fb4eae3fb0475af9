"""Take cases out of a cohort, chosen ones or import by import; confirm their sides."""

import json
from collections.abc import Sequence
from pathlib import Path

from recontour.cohort.findings import (
    CasesReadAgain,
    NoCaseNamed,
    NoSuchCases,
    NothingToUndo,
    SidesNotInDoubt,
)
from recontour.cohort.history import imports_left, read_history, write_history
from recontour.cohort.journal import change
from recontour.cohort.records import MOST_RECORD_BYTES
from recontour.cohort.store import Cohort
from recontour.cohort.tables import empty_table
from recontour.errors import CohortError
from recontour.files import read_file, write_text


def remove(cohort: Path | str, cases: Sequence[str] | str) -> tuple[str, ...]:
    """Remove cases from a cohort: all that are named or, if anything is wrong, none.

    Args:
        cohort: The cohort folder.
        cases: Their ids, as `inspect` shows them.

    Returns:
        The ids of the cases that were removed, sorted.

    Raises:
        CohortError: There is no such cohort or case.
        OutputError: The cohort must not be written to.

    Examples:
        >>> import recontour
        >>> case = recontour.import_dicom("dicom/south", "too-many").added[0]
        >>> recontour.remove("too-many", [case]) == (case,)
        True
    """
    opened = Cohort.open(Path(cohort))
    wanted = sorted({cases} if isinstance(cases, str) else set(cases))
    if not wanted:
        raise CohortError(NoCaseNamed(path=opened.path))
    missing = tuple(case for case in wanted if case not in opened)
    if missing:
        raise CohortError(
            NoSuchCases(
                path=opened.path,
                names=missing,
                wanted=len(wanted),
                present=opened.case_ids,
            )
        )
    with change(opened.path) as wanted_change:
        wanted_change.removed += wanted
    return tuple(wanted)


def undo_import(cohort: Path | str) -> tuple[str, ...]:
    """Take the cases of the last import out again, with what it changed in the tables.

    Called again, it takes out the import before that. An import that added nothing does not count,
    and one of which no case is left neither. An import that was killed can be undone, too.

    Args:
        cohort: The cohort folder.

    Returns:
        The ids of the cases that were removed, sorted.

    Raises:
        CohortError: There is no such cohort, nothing to undo, or the import read cases again.
        OutputError: The cohort must not be written to.

    Examples:
        >>> import recontour
        >>> report = recontour.import_dicom("dicom/south", "by-mistake")
        >>> recontour.undo_import("by-mistake") == tuple(sorted(report.added))
        True
    """
    opened = Cohort.open(Path(cohort))
    history = read_history(opened.path)
    left = imports_left(history, opened.case_ids)
    if not left:
        raise CohortError(NothingToUndo(path=opened.path, cases=len(opened)))
    last = left.pop()
    if last.replaced:
        raise CohortError(CasesReadAgain(path=opened.path, cases=len(last.replaced)))
    added = tuple(case for case in last.added if case in opened)
    after = {"last": left.pop() if left else None, "earlier": left}
    with change(opened.path) as wanted:
        wanted.removed += added
        for name, text in last.tables.items():
            if text is not None:
                (wanted.folder / name).write_text(text or empty_table(name), encoding="utf-8")
        write_history(wanted.folder, history.model_copy(update=after))
    return added


def undone_next(cohort: Cohort) -> tuple[str, ...]:
    """Return the cases that `undo_import` would remove next; none if it would raise an error.

    >>> import recontour
    >>> report = recontour.import_dicom("dicom/south", "by-mistake")
    >>> undone_next(Cohort.open("by-mistake")) == tuple(sorted(report.added))
    True
    """
    left = imports_left(read_history(cohort.path), cohort.case_ids)
    if not left or left[-1].replaced:
        return ()
    return tuple(case for case in left[-1].added if case in cohort)


def confirm_sides(cohort: Path | str, cases: Sequence[str]) -> tuple[str, ...]:
    """Say of cases whose left and right look swapped that they are named correctly.

    Models learn from them again. All are checked before any is changed.

    Args:
        cohort: A cohort folder.
        cases: The cases' names, as `inspect` shows them.

    Returns:
        The cases that are confirmed now.

    Raises:
        CohortError: There is no such cohort or case, or a case's sides are not in doubt.

    Examples:
        >>> import recontour
        >>> recontour.confirm_sides("south", [])
        ()
    """
    opened = Cohort.open(cohort)
    if isinstance(cases, str):
        cases = (cases,)
    for case_id in cases:
        if not opened[case_id].traits.swapped:
            raise CohortError(SidesNotInDoubt(path=opened.path, case=case_id))
    for case_id in cases:
        place = opened[case_id].path / "case.json"
        record = json.loads(read_file(place, MOST_RECORD_BYTES))
        record["traits"]["sides_confirmed"] = True
        write_text(place, json.dumps(record, indent=1) + "\n", replace=True)
    return tuple(cases)
