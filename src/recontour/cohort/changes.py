"""Take cases out of a cohort, or say of their contours what only a person can know."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recontour.cohort.case import Case, similar_case
from recontour.cohort.findings import (
    CasesReadAgain,
    CordNotInDoubt,
    NoCaseNamed,
    NoSuchCases,
    NothingBeyond,
    NothingToUndo,
    OneExtentAnswer,
    OrganNotContoured,
    SidesNotInDoubt,
)
from recontour.cohort.history import imports_left, read_history, write_history
from recontour.cohort.journal import change
from recontour.cohort.partly import Ends, read_ends, united, without
from recontour.cohort.records import MOST_RECORD_BYTES
from recontour.cohort.store import Cohort
from recontour.cohort.tables import empty_table
from recontour.cohort.traits import Traits, as_stored, has_wide_cord, is_called_canal
from recontour.errors import CohortError, SettingsError
from recontour.files import read_file, write_text
from recontour.wording import shown


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
                meant=_meant(missing, opened.case_ids),
            )
        )
    with change(opened.path) as wanted_change:
        wanted_change.removed += wanted
    return tuple(wanted)


def _meant(missing: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
    """Return the cases that missing ones may stand for; none unless each resembles one."""
    meant: dict[str, None] = {}
    for name in missing:
        similar = similar_case(name, present)
        if similar is None:
            return ()
        meant[similar] = None
    return tuple(meant)


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


def confirm_sides(cohort: Path | str, cases: Sequence[str] | str) -> tuple[str, ...]:
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
    names = _each_once(cases)
    for case_id in names:
        if not opened[case_id].traits.misplaced:
            raise CohortError(SidesNotInDoubt(path=opened.path, case=case_id))
    for case_id in names:
        case = opened[case_id]
        _set_traits(case, replace(case.traits, sides_confirmed=True))
    return names


def confirm_cord(cohort: Path | str, cases: Sequence[str] | str) -> tuple[str, ...]:
    """Say of cases whose cord looks like the canal that it is the cord.

    It is the canal by its name, or as wide. All cases are checked before any is changed.

    Args:
        cohort: A cohort folder.
        cases: The cases' names, as `inspect` shows them.

    Returns:
        The cases that are confirmed now.

    Raises:
        CohortError: There is no such cohort or case, or a case's cord is not in doubt.

    Examples:
        >>> import recontour
        >>> recontour.confirm_cord("south", [])
        ()
    """
    opened = Cohort.open(cohort)
    names = _each_once(cases)
    for name in names:
        case = opened[name]
        if not (is_called_canal(case) or has_wide_cord(case)):
            raise CohortError(CordNotInDoubt(path=opened.path, case=name))
    for name in names:
        case = opened[name]
        _set_traits(case, replace(case.traits, cord_confirmed=True))
    return names


def confirm_extent(
    cohort: Path | str,
    cases: Sequence[str] | str,
    *,
    partial: str | None = None,
    whole: str | None = None,
) -> tuple[str, ...]:
    """Say whether an organ that looks short is partly contoured in some cases, or whole.

    All cases are checked before any is changed. Either answer ends the doubt. It holds for the ends
    that it names, and takes back the other one there; what was said of the other end stays.

    Args:
        cohort: A cohort folder.
        cases: The cases' names, as `inspect` shows them.
        partial: The organ that goes on beyond its contours, such as "SpinalCord" or, at one end
            only, "SpinalCord=below". There it is unknown: nothing is learnt or scored.
        whole: The organ that does not go on, such as "SpinalCord" or, at one end only,
            "SpinalCord=above".

    Returns:
        The cases that are changed now.

    Raises:
        CohortError: There is no such cohort or case, the organ is not contoured in a case, or it
            reaches the scan's end there, so that no slice lies beyond.
        NamesError: `partial` or `whole` is not understood.
        SettingsError: Neither or both of `partial` and `whole` were given.

    Examples:
        >>> import recontour
        >>> recontour.confirm_extent("south", [], whole="Brainstem")
        ()
    """
    if (partial is None) == (whole is None):
        raise SettingsError(OneExtentAnswer())
    opened = Cohort.open(cohort)
    names = _each_once(cases)
    if partial is not None:
        ends = read_ends([partial], opened.organs)
    else:
        ends = read_ends([str(whole)], opened.organs, "--whole")
    for name in names:
        _refuse_no_contour(opened[name], opened, ends)
        if partial is not None:
            _refuse_no_effect(opened[name], opened, ends)
    for name in names:
        case = opened[name]
        partly, is_all = case.traits.partly_contoured, case.traits.contoured_whole
        if partial is not None:
            beyond = _inside_scan(case, ends)
            partly, is_all = united(partly, beyond), without(is_all, beyond)
        else:
            partly, is_all = without(partly, ends), united(is_all, ends)
        _set_traits(case, replace(case.traits, partly_contoured=partly, contoured_whole=is_all))
    return names


def _each_once(cases: Sequence[str] | str) -> tuple[str, ...]:
    """Return the names of cases, each once, in their order.

    >>> _each_once("north-1"), _each_once(["north-2", "north-1", "north-2"])
    (('north-1',), ('north-2', 'north-1'))
    """
    return (cases,) if isinstance(cases, str) else tuple(dict.fromkeys(cases))


def _refuse_no_contour(case: Case, cohort: Cohort, ends: Ends) -> None:
    """Raise CohortError if a case lacks the organ of which something is said."""
    (organ,) = ends
    if organ not in case.organs:
        raise CohortError(
            OrganNotContoured(
                path=cohort.path,
                case=case.id,
                organ=shown(organ),
                present=case.organs,
            )
        )


def _refuse_no_effect(case: Case, cohort: Cohort, ends: Ends) -> None:
    """Raise CohortError if no slice lies beyond the ends where an organ is said to go on."""
    ((organ, beyond),) = ends.items()
    if not _inside_scan(case, ends):
        raise CohortError(
            NothingBeyond(
                path=cohort.path,
                case=case.id,
                organ=organ,
                ends=beyond,
            )
        )


def _inside_scan(case: Case, ends: Ends) -> Ends:
    """Return the ends at which an organ's contours stop before the scan does."""
    return without(ends, case.traits.cut)


def _set_traits(case: Case, traits: Traits) -> None:
    """Write down what a person said of a case's contours."""
    place = case.path / "case.json"
    record = json.loads(read_file(place, MOST_RECORD_BYTES))
    record["traits"] = as_stored(traits)
    write_text(place, json.dumps(record, indent=1) + "\n", replace=True)
