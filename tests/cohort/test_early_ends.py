"""A long organ whose contour stops early is seen by where it stops past other organs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recontour.cohort import Case, Cohort, case_id_of
from recontour.cohort.changes import confirm_extent
from recontour.cohort.doubts import cohort_warnings
from recontour.cohort.early_ends import early_ends
from recontour.cohort.findings import EarlyEnd, End
from recontour.cohort.lengths import length_doubts, lengths_settled
from recontour.findings import words
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask

SLICES = 60  # of 3 mm
GRID = Grid((SLICES, 8, 8), (4.0, 4.0), tuple(3.0 * i for i in range(SLICES)), (-14.0, -14.0))


def on_slices(first: int, last: int) -> Mask:
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[first : last + 1, 3:5, 3:5] = True
    return mask


def add(
    cohort: Cohort,
    number: int,
    cord: tuple[int, int],
    brainstem: tuple[int, int] | None = (42, 54),
) -> Case:
    masks = {"SpinalCord": on_slices(*cord)}
    if brainstem:
        masks["Brainstem"] = on_slices(*brainstem)
    hu = np.full(GRID.shape, number, dtype=np.int16)
    name = case_id_of(cohort.centre, f"1.2.{number}")
    return cohort.add(name, hu, GRID, masks, source_hash=str(number))


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Five cords from the scan's lower end to the brain stem, and a little less in one of them."""
    cohort = Cohort.open_or_create(tmp_path / "north", "north")
    for number in range(4):
        add(cohort, number, (0, 41))
    add(cohort, 4, (2, 41))
    return cohort


@pytest.mark.parametrize(
    ("cord", "early"),
    [
        ((16, 41), ["below"]),  # 48 mm above the scan's end
        ((15, 41), []),  # 45 mm, of which one other lacks 6 mm
        ((13, 41), []),
        ((0, 32), ["above"]),  # 27 mm below where the others end
        ((0, 33), []),
        ((16, 31), []),  # it is short as a whole, which is said instead
    ],
)
def test_a_cord_that_nearly_all_others_go_on_from_stops_early(
    cohort: Cohort, cord: tuple[int, int], early: list[End]
) -> None:
    case = add(cohort, 9, cord)
    cases = list(cohort)
    found = [one for one in length_doubts(cases, cases) if isinstance(one, EarlyEnd)]
    assert [(one.end, one.cases) for one in found] == [(end, (case.id,)) for end in early]


def test_a_shifted_patient_does_not_stop_early(cohort: Cohort) -> None:
    add(cohort, 9, (16, 57), brainstem=(58, 59))
    cases = list(cohort)
    assert early_ends(cases, cases) == [], "no other scan shows so much below the brain stem"


def test_an_early_end_is_said_until_a_person_answers(cohort: Cohort) -> None:
    short = add(cohort, 9, (16, 41)).id

    def doubts() -> list[EarlyEnd]:
        notes = cohort_warnings(cohort, [cohort[short]])
        return [note for note in notes if isinstance(note, EarlyEnd)]

    found = EarlyEnd(
        path=cohort.path, organ="SpinalCord", end="below", cases=(short,), further_mm=40.0
    )
    assert doubts() == [found]
    assert f"confirm-extent {cohort.path} {short} --partial SpinalCord=below" in words(found)
    settled = lengths_settled(list(cohort), [found])
    assert settled == {(short, "SpinalCord")}, "it is not called small, too"
    confirm_extent(cohort.path, short, partial="SpinalCord=below")
    assert doubts() == []
    confirm_extent(cohort.path, short, whole="SpinalCord")
    assert doubts() == []


def test_the_organ_counts_past_which_the_others_differ_least(cohort: Cohort) -> None:
    others = [with_larynx(case, number) for number, case in enumerate(cohort)]
    early = with_larynx(add(cohort, 9, (0, 32)), 0)
    (found,) = early_ends([early], [*others, early])
    assert found.end == "above", "the larynx alone would not show it"


def with_larynx(case: Case, number: int) -> Case:
    """Return a case with a larynx, whose place differs much between cases."""
    first = 16 + 3 * number
    shown = {**case.traits.shown, "Larynx": (first, first + 4)}
    return replace(case, traits=replace(case.traits, shown=shown))


def test_a_gap_of_just_so_much_counts(tmp_path: Path) -> None:
    """Where heights are rounded, 40 mm may come out as a little less."""
    cohort = Cohort.open_or_create(tmp_path / "north", "north")
    grid = replace(GRID, slice_z_mm=tuple(round(2.5 * i - 100.1, 1) for i in range(SLICES)))
    cases = []
    for number in range(6):
        cases.append(replace(add(cohort, number, (0, 41)), grid=grid))
    early = replace(add(cohort, 9, (16, 41)), grid=grid)
    (found,) = early_ends([early], [*cases, early])
    assert found.end == "below"


def test_nothing_is_said_where_little_is_known(cohort: Cohort) -> None:
    alone = add(cohort, 9, (16, 41), brainstem=None)
    cases = list(cohort)
    assert early_ends(cases, cases) == [], "no other organ to measure from"
    early = add(cohort, 10, (16, 41))
    few = [early, *cases[:4]]
    assert alone not in few
    assert early_ends(few, few) == []


def test_a_cord_that_is_said_to_go_on_is_no_cord_that_ends(cohort: Cohort) -> None:
    others = list(cohort)
    early = add(cohort, 9, (16, 41))
    also_early = add(cohort, 10, (16, 41))
    assert early_ends([early], [*others, early, also_early]) == [], "5 of 6 others go on"
    partly = replace(also_early.traits, partly_contoured={"SpinalCord": ("below",)})
    said = replace(also_early, traits=partly)
    (found,) = early_ends([early, said], [*others, early, said])
    assert found.cases == (early.id,)


def test_each_end_has_an_answer_of_its_own(cohort: Cohort) -> None:
    both = add(cohort, 9, (16, 32)).id

    def open_ends() -> list[End]:
        cases = list(cohort)
        return [found.end for found in early_ends(cases, cases)]

    assert open_ends() == ["below", "above"]
    confirm_extent(cohort.path, both, partial="SpinalCord=below")
    assert open_ends() == ["above"]
    confirm_extent(cohort.path, both, partial="SpinalCord=above")
    assert open_ends() == []
    assert cohort[both].traits.partly_contoured == {"SpinalCord": ("below", "above")}
    assert not cohort[both].known_slices("SpinalCord")[:16].any()
    confirm_extent(cohort.path, both, whole="SpinalCord=above")
    assert open_ends() == []
    assert cohort[both].traits.partly_contoured == {"SpinalCord": ("below",)}
    assert cohort[both].traits.contoured_whole == {"SpinalCord": ("above",)}
    confirm_extent(cohort.path, both, whole="SpinalCord")
    assert cohort[both].traits.partly_contoured == {}
