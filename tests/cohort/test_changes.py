"""Cases leave a cohort all or none: an interruption at any step leaves either cohort whole."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cohort.test_importing import patient
from tests.conftest import fill
from tests.durable import Disk

from recontour.cohort import Cohort, changes, history, journal
from recontour.cohort.changes import confirm_sides, remove, undo_import, undone_next
from recontour.cohort.findings import CasesReadAgain, NoSuchCases, NothingToUndo, UnfinishedChange
from recontour.cohort.history import read_history
from recontour.cohort.importing import import_archive
from recontour.dicom import read_archive
from recontour.errors import CohortError, FaultError
from recontour.progress import quiet


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return fill(Cohort.open_or_create(tmp_path / "north", "north"), 3)


class PowerCutError(BaseException):
    """Ends a process at once."""


def cut_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Cut the power instead of the step-th rename or replacement from now on."""
    left = [step]

    def until_then(call: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*arguments: Any, **options: Any) -> None:
            if left[0] == 0:
                raise PowerCutError
            left[0] -= 1
            call(*arguments, **options)

        return wrapped

    for name in ("rename", "replace"):
        patch.setattr(os, name, until_then(getattr(os, name)))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a cohort by its place, without what a killed process leaves."""
    found = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and not place.parts[0].endswith(".partial"):
            found[str(place)] = path.read_bytes()
    return found


def test_named_cases_are_removed(cohort: Cohort, tmp_path: Path, disk: Disk) -> None:
    first, second, third = cohort.case_ids
    assert remove(cohort.path, [third, first, third]) == (first, third)
    assert Cohort.open(cohort.path).case_ids == (second,)
    assert sorted(path.name for path in cohort.path.iterdir()) == ["cases", "cohort.json"]
    decided = [name for name in disk.named_before_synced if name.endswith("/.change")]
    assert decided == []


def test_an_unknown_case_removes_none(cohort: Cohort) -> None:
    first = cohort.case_ids[0]
    with pytest.raises(CohortError, match="1 of 2 cases to remove is not in the cohort") as caught:
        remove(cohort.path, [first, "north-0"])
    assert isinstance(caught.value.finding, NoSuchCases)
    assert len(cohort) == 3
    with pytest.raises(CohortError):
        remove(cohort.path, ["../cases"])
    with pytest.raises(CohortError, match="no case is named"):
        remove(cohort.path, [])


def test_a_misspelt_case_is_told_which_is_meant(cohort: Cohort) -> None:
    first, second, third = cohort.case_ids
    label, _, digits = first.rpartition("-")
    typed = f"{label}-{digits[1]}{digits[0]}{digits[2:]}"
    with pytest.raises(CohortError, match=f"did you mean {first}\\?"):
        confirm_sides(cohort.path, [typed])
    with pytest.raises(CohortError, match=f"did you mean {first}\\?"):
        remove(cohort.path, [second, typed])
    # The cases are in the order of what was typed.
    also = f"{third[:-2]}{third[-1]}{third[-2]}"
    with pytest.raises(CohortError, match=f"did you mean {third} and {first}\\?"):
        remove(cohort.path, [typed, also])
    with pytest.raises(CohortError, match=f"choose from {first}, {second}, {third}"):
        confirm_sides(cohort.path, ["another"])


def test_a_damaged_case_can_be_removed(cohort: Cohort) -> None:
    case = cohort.case_ids[0]
    (cohort.path / "cases" / case / "case.json").write_text("{")
    assert remove(cohort.path, case) == (case,)


def steps_of(work: Callable[[], object]) -> int:
    """Count the renames and replacements of some work."""
    count = 0

    def counted(call: Callable[..., None]) -> Callable[..., None]:
        def wrapped(*arguments: Any, **options: Any) -> None:
            nonlocal count
            count += 1
            call(*arguments, **options)

        return wrapped

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(os, name, counted(getattr(os, name)))
        work()
    return count


def made(tmp_path: Path, name: str) -> Cohort:
    """A cohort of one import, to which a second one added two patients."""
    folder = tmp_path / name
    for seed in "abc":
        patient(folder / "dicom" / seed, ("Brain Stem", "my cord"), seed)
    cohort = Cohort.open_or_create(folder / "cohort", "B")
    import_archive(read_archive(folder / "dicom" / "a"), cohort, {"my cord": "SpinalCord"})
    import_archive(read_archive(folder / "dicom"), cohort, {"my cord": "SpinalCord"})
    return cohort


def read_again(cohort: Cohort) -> None:
    archive = read_archive(cohort.path.parent / "dicom")
    import_archive(archive, cohort, {"my cord": "Larynx"}, again=True)


WORK: dict[str, Callable[[Cohort], object]] = {
    "remove": lambda cohort: remove(cohort.path, cohort.case_ids[:2]),
    "undo": lambda cohort: undo_import(cohort.path),
    "again": read_again,
}


def organs(cohort: Cohort) -> dict[str, tuple[str, ...]]:
    return {case.id: case.organs for case in cohort}


@pytest.mark.parametrize("name", WORK)
def test_a_power_cut_at_any_step_leaves_all_or_nothing(tmp_path: Path, name: str) -> None:
    done = made(tmp_path, "done")
    before = organs(done)
    steps = steps_of(lambda: WORK[name](done))
    after = organs(Cohort.open(done.path))
    assert after != before
    seen = []
    for step in range(steps):
        cohort = made(tmp_path, f"cut {step}")
        with pytest.MonkeyPatch.context() as patch:
            cut_at(patch, step)
            with pytest.raises(PowerCutError):
                WORK[name](cohort)
        opened = Cohort.open(cohort.path)
        assert organs(opened) in (before, after)
        seen.append(organs(opened) == after)
        assert not (cohort.path / ".change").exists()
        for case in opened:
            case.examine()
    assert seen == sorted(seen)  # once it is decided, it stays so
    assert {True, False} == set(seen)


def test_the_last_import_is_undone_with_its_rows_in_the_tables(tmp_path: Path) -> None:
    first = tmp_path / "dicom" / "a"
    patient(first, ("Brain Stem",), "a")
    cohort = Cohort.open_or_create(tmp_path / "cohort", "B")
    import_archive(read_archive(first), cohort)
    before = contents(cohort.path)
    patient(tmp_path / "dicom" / "b", ("BRAINSTEM", "Unknown"), "b")
    added = import_archive(read_archive(tmp_path / "dicom"), cohort).added
    import_archive(read_archive(tmp_path / "dicom"), cohort)  # it adds nothing, and does not count
    assert undo_import(cohort.path) == added
    after = contents(cohort.path)
    assert {name: after[name] for name in before if name != "imports.json"} == {
        name: before[name] for name in before if name != "imports.json"
    }
    assert set(after) == set(before)
    undo_import(cohort.path)
    with pytest.raises(CohortError) as caught:
        undo_import(cohort.path)
    assert isinstance(caught.value.finding, NothingToUndo)


def test_imports_are_undone_one_by_one(tmp_path: Path) -> None:
    cohort = made(tmp_path, "north")
    (only,) = read_history(cohort.path).earlier[0].added
    tables = {name: (cohort.path / name).read_text() for name in ("names.csv", "left_out.csv")}
    patient(tmp_path / "d", ("BRAINSTEM", "Unknown"), "d")
    added = import_archive(read_archive(tmp_path / "d"), cohort).added
    assert undone_next(cohort) == added
    assert undo_import(cohort.path) == added
    assert {name: (cohort.path / name).read_text() for name in tables} == tables
    assert undone_next(cohort) == tuple(case for case in cohort.case_ids if case != only)
    undo_import(cohort.path)
    assert cohort.case_ids == (only,)
    assert undo_import(cohort.path) == (only,)
    assert undone_next(cohort) == ()


def test_an_import_without_cases_left_is_passed_over(tmp_path: Path) -> None:
    cohort = made(tmp_path, "north")
    done = read_history(cohort.path)
    assert done.last is not None
    remove(cohort.path, done.last.added)
    assert undo_import(cohort.path) == tuple(done.earlier[0].added)


def test_cases_that_no_import_explains_are_counted(cohort: Cohort) -> None:
    with pytest.raises(CohortError, match="3 cases came in before") as caught:
        undo_import(cohort.path)
    assert caught.value.finding == NothingToUndo(path=cohort.path, cases=3)


def test_the_record_of_earlier_imports_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = made(tmp_path, "north")
    monkeypatch.setattr(history, "MOST_EARLIER_BYTES", 10)
    patient(tmp_path / "d", ("Brain Stem",), "d")
    import_archive(read_archive(tmp_path / "d"), cohort)
    assert read_history(cohort.path).earlier == []


def test_reading_again_keeps_the_record_of_the_import_before(tmp_path: Path) -> None:
    cohort = made(tmp_path, "north")
    before = read_history(cohort.path).last
    read_again(cohort)
    assert read_history(cohort.path).earlier[-1] == before
    assert undone_next(cohort) == ()


def test_the_first_import_is_undone(tmp_path: Path) -> None:
    patient(tmp_path / "dicom")
    cohort = Cohort.open_or_create(tmp_path / "cohort", "B")
    import_archive(read_archive(tmp_path / "dicom"), cohort)
    undo_import(cohort.path)
    assert len(cohort) == 0
    assert (cohort.path / "names.csv").read_text() == "roi_name,tg263,status,reason,patients\n"
    assert len(import_archive(read_archive(tmp_path / "dicom"), cohort).added) == 1


def test_an_import_that_was_killed_and_repeated_is_undone_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in "abc":
        patient(tmp_path / "dicom" / seed, seed=seed)
    cohort = Cohort.open_or_create(tmp_path / "cohort", "B")
    archive = read_archive(tmp_path / "dicom")

    def killed(_what: str, done: int, _total: int, _words: str) -> None:
        if done == 2:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        import_archive(archive, cohort, progress=killed)
    assert len(cohort) == 2
    import_archive(archive, cohort, progress=quiet)
    assert len(undo_import(cohort.path)) == 3


def test_a_killed_import_is_undone(tmp_path: Path) -> None:
    for seed in "ab":
        patient(tmp_path / "dicom" / seed, seed=seed)
    cohort = Cohort.open_or_create(tmp_path / "cohort", "B")

    def killed(_what: str, done: int, _total: int, _words: str) -> None:
        if done == 1:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        import_archive(read_archive(tmp_path / "dicom"), cohort, progress=killed)
    assert len(undo_import(cohort.path)) == 1
    assert len(cohort) == 0


def test_cases_that_were_read_again_cannot_be_undone(tmp_path: Path) -> None:
    cohort = made(tmp_path, "north")
    read_again(cohort)
    with pytest.raises(CohortError) as caught:
        undo_import(cohort.path)
    assert caught.value.finding == CasesReadAgain(path=cohort.path, cases=3)


def test_a_change_that_may_not_be_finished_is_an_error(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "finish", lambda _: None)
        remove(cohort.path, cohort.case_ids[0])

    def forbidden(_cohort: Path) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(journal, "_put_into_place", forbidden)
    with pytest.raises(CohortError) as caught:
        Cohort.open(cohort.path)
    assert caught.value.finding == UnfinishedChange(path=cohort.path)


def test_a_full_disk_changes_nothing(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_folder: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("recontour.files.sync_tree", full)
    with pytest.raises(FaultError):
        changes.remove(cohort.path, cohort.case_ids[0])
    assert len(Cohort.open(cohort.path)) == 3


def test_a_damaged_history_says_what_helps(tmp_path: Path) -> None:
    cohort = made(tmp_path, "north")
    (cohort.path / "imports.json").write_text("{")
    assert cohort.not_applied == ()
    with pytest.raises(CohortError, match=r"imports\.json is damaged .*move it away"):
        undo_import(cohort.path)
