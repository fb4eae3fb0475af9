"""What a person should know of contours is found when a case is stored, and stays with it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import GRID
from tests.journeys.conftest import write_patient

from recontour import import_dicom
from recontour.cohort import Case, Cohort, case_id_of
from recontour.cohort.changes import confirm_cord, confirm_sides
from recontour.cohort.findings import (
    CordCalledCanal,
    CordLikeCanal,
    CordNotInDoubt,
    CutByScan,
    DoubtfulSides,
    SidesNotInDoubt,
    TooFewToCompare,
)
from recontour.cohort.traits import (
    NO_TRAITS,
    Traits,
    doubtful_sides,
    notes_on_traits,
    too_few_to_compare,
)
from recontour.errors import CohortError
from recontour.findings import words
from recontour.geometry.arrays import Mask


def box(slices: slice, columns: slice = slice(20, 28)) -> Mask:
    """A box of 8 rows; 8 columns of 4 mm make 1024 mm2 a slice."""
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[slices, 20:28, columns] = True
    return mask


def add(cohort: Cohort, number: int, **masks: Mask) -> Case:
    name = case_id_of(cohort.centre, f"1.2.{number}")
    hu = np.full(GRID.shape, number, dtype=np.int16)
    return cohort.add(name, hu, GRID, masks, source_hash=str(number))


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    return Cohort.open_or_create(tmp_path / "north", "north")


LEFT, RIGHT = slice(30, 34), slice(10, 14)  # x grows to the patient's left


def test_swapped_sides_stay_in_doubt_until_a_person_confirms_them(cohort: Cohort) -> None:
    right = add(cohort, 1, Lens_L=box(slice(2, 4), LEFT), Lens_R=box(slice(2, 4), RIGHT))
    wrong = add(cohort, 2, Lens_L=box(slice(2, 4), RIGHT), Lens_R=box(slice(2, 4), LEFT))
    (found,) = notes_on_traits(list(cohort), list(cohort))
    assert found == DoubtfulSides(path=cohort.path, cases=(wrong.id,), on_the_right=("Lens_L",))
    assert f"recontour confirm-sides {cohort.path} {wrong.id}" in words(found)
    smaller = cohort.without(found.cases)
    assert smaller.case_ids == (right.id,)
    with pytest.raises(CohortError) as caught:
        confirm_sides(cohort.path, [wrong.id, right.id])
    assert isinstance(caught.value.finding, SidesNotInDoubt)
    assert cohort[wrong.id].traits.has_doubtful_sides  # none of them was confirmed
    assert confirm_sides(cohort.path, [wrong.id]) == (wrong.id,)
    assert doubtful_sides(cohort) == ()
    assert cohort[wrong.id].traits.misplaced == ("Lens_L",)
    assert cohort[wrong.id].volumes_cc == wrong.volumes_cc


def test_a_case_of_the_days_before_the_release_is_still_in_doubt(cohort: Cohort) -> None:
    wrong = add(cohort, 2, Lens_L=box(slice(2, 4), RIGHT), Lens_R=box(slice(2, 4), LEFT))
    place = wrong.path / "case.json"
    place.write_text(place.read_text().replace("misplaced", "swapped"))
    assert cohort[wrong.id].traits == wrong.traits


def test_an_organ_without_its_twin_may_lie_on_the_wrong_side(cohort: Cohort) -> None:
    middle = box(slice(2, 4), slice(20, 24))
    add(cohort, 1, Brainstem=middle, Parotid_R=box(slice(2, 4), RIGHT))
    wrong = add(cohort, 2, Brainstem=middle, Parotid_R=box(slice(2, 4), LEFT))
    (found,) = notes_on_traits(list(cohort), list(cohort))
    assert found == DoubtfulSides(path=cohort.path, cases=(wrong.id,), on_the_left=("Parotid_R",))
    assert "Parotid_R lies on the patient's left" in words(found)
    confirm_sides(cohort.path, [wrong.id])
    assert notes_on_traits(list(cohort), list(cohort)) == []


def test_an_organ_that_reaches_the_scan_s_end_is_said_unless_it_always_does(cohort: Cohort) -> None:
    whole = add(cohort, 1, Brainstem=box(slice(1, 5)), Esophagus=box(slice(0, 2)))
    cut = add(cohort, 2, Brainstem=box(slice(3, 6)), Larynx=box(slice(0, 6)))
    assert (whole.traits.cut, cut.traits.cut) == (
        {"Esophagus": ("below",)},
        {"Brainstem": ("above",), "Larynx": ("below", "above")},
    )
    assert notes_on_traits(list(cohort), list(cohort)) == [
        CutByScan(organ="Brainstem", end="above", cases=(cut.id,), of=2),
        CutByScan(organ="Larynx", end="below", cases=(cut.id,), of=1),
        CutByScan(organ="Larynx", end="above", cases=(cut.id,), of=1),
    ]


def test_a_cord_as_wide_as_the_canal_is_said_with_its_area(cohort: Cohort) -> None:
    narrow = add(cohort, 1, SpinalCord=box(slice(1, 5), slice(20, 21)))  # 8 pixels of 16 mm2
    wide = add(cohort, 2, SpinalCord=box(slice(1, 5), slice(20, 22)))
    assert (narrow.traits.cord_mm2, wide.traits.cord_mm2) == (128.0, 256.0)
    (found,) = notes_on_traits(list(cohort), list(cohort))
    assert found == CordLikeCanal(
        path=cohort.path,
        organ="SpinalCord",
        cases=(wide.id,),
        of=2,
        median_mm2=256.0,
        limit_mm2=180.0,
    )
    assert "as wide as the spinal canal in 1 of 2 cases" in words(found)


def test_a_cord_that_is_called_a_canal_is_said(cohort: Cohort) -> None:
    case = add(cohort, 1, SpinalCord=box(slice(1, 5), slice(20, 21)))
    named = replace(case, roi_names={"SpinalCord": "Canal médullaire"})
    assert notes_on_traits([case], [case]) == []
    assert notes_on_traits([named], [named]) == [
        CordCalledCanal(path=cohort.path, organ="SpinalCord", cases=(case.id,))
    ]


def test_a_confirmed_cord_is_no_longer_named_and_the_others_are(cohort: Cohort) -> None:
    wide = box(slice(1, 5), slice(20, 22))
    narrow = add(cohort, 1, SpinalCord=box(slice(1, 5), slice(20, 21)))
    first, second = (add(cohort, number, SpinalCord=wide) for number in (2, 3))
    (doubt,) = notes_on_traits(list(cohort), list(cohort))
    assert f"recontour confirm-cord {cohort.path} {first.id} {second.id}`" in words(doubt)
    with pytest.raises(CohortError) as caught:
        confirm_cord(cohort.path, [first.id, narrow.id])
    assert isinstance(caught.value.finding, CordNotInDoubt)
    assert not cohort[first.id].traits.cord_confirmed  # none of them was confirmed
    assert confirm_cord(cohort.path, [first.id, first.id]) == (first.id,)
    (left,) = notes_on_traits(list(cohort), list(cohort))
    assert isinstance(left, CordLikeCanal)
    assert (left.cases, left.of) == ((second.id,), 3)
    assert confirm_cord(cohort.path, second.id) == (second.id,)
    assert notes_on_traits(list(cohort), list(cohort)) == []


def test_a_confirmed_cord_may_be_called_a_canal(cohort: Cohort) -> None:
    name = case_id_of(cohort.centre, "named")
    hu = np.zeros(GRID.shape, dtype=np.int16)
    masks = {"SpinalCord": box(slice(1, 5), slice(20, 21))}
    cohort.add(name, hu, GRID, masks, source_hash="1", roi_names={"SpinalCord": "Spinalkanal"})
    assert len(notes_on_traits(list(cohort), list(cohort))) == 1
    confirm_cord(cohort.path, name)
    assert notes_on_traits(list(cohort), list(cohort)) == []


def test_few_cases_cannot_be_compared_and_that_is_said(cohort: Cohort) -> None:
    assert too_few_to_compare([]) == ()
    cases = [add(cohort, number, Brainstem=box(slice(1, 4))) for number in range(6)]
    assert too_few_to_compare(cases) == ()
    (found,) = too_few_to_compare(cases[:5])
    assert found == TooFewToCompare(cases=5, needed=6)


def test_reading_again_remembers_a_confirmed_cord(tmp_path: Path) -> None:
    archive, folder, names = tmp_path / "dicom", tmp_path / "north", tmp_path / "names.toml"
    write_patient(archive, 0, ("Spinal Canal", "Lens OS"))
    names.write_text('[names]\n"Spinal Canal" = "SpinalCord"\n')
    (case_id,) = import_dicom(archive, folder, names=names).added
    confirm_cord(folder, case_id)
    again = import_dicom(archive, folder, names=names, again=True)
    assert Cohort.open(folder)[case_id].traits.cord_confirmed
    assert not any(isinstance(note, CordCalledCanal | CordLikeCanal) for note in again.notes)
    names.write_text('[names]\n"Lens OS" = "SpinalCord"\n')  # another contour
    import_dicom(archive, folder, names=names, again=True)
    assert not Cohort.open(folder)[case_id].traits.cord_confirmed


def test_reading_again_remembers_confirmed_sides(tmp_path: Path) -> None:
    archive, folder, names = tmp_path / "dicom", tmp_path / "north", tmp_path / "names.toml"
    write_patient(archive, 0, ("Brain Stem", "Lens OD"))  # it lies on the left
    (case_id,) = import_dicom(archive, folder).added
    assert Cohort.open(folder)[case_id].traits.has_doubtful_sides
    confirm_sides(folder, case_id)
    import_dicom(archive, folder, again=True)
    assert not Cohort.open(folder)[case_id].traits.has_doubtful_sides
    names.write_text('[names]\n"Lens OD" = "Eye_R"\n')
    import_dicom(archive, folder, names=names, again=True)
    assert Cohort.open(folder)[case_id].traits.has_doubtful_sides


def test_a_case_of_an_earlier_version_has_no_traits(cohort: Cohort) -> None:
    case = add(cohort, 1, Brainstem=box(slice(0, 6)))
    place = case.path / "case.json"
    record = json.loads(place.read_text())
    del record["traits"]
    place.write_text(json.dumps(record))
    assert cohort[case.id].traits == NO_TRAITS


def test_confirmed_sides_are_not_in_doubt() -> None:
    misplaced = Traits(misplaced=("Lens_L",))
    assert misplaced.has_doubtful_sides
    assert not replace(misplaced, sides_confirmed=True).has_doubtful_sides
