"""Folds: each patient in one, sizes alike, organs spread, the same again."""

from collections import Counter
from pathlib import Path

import pytest
from tests.conftest import fill

from recontour.cohort import Cohort
from recontour.cohort.findings import TooFewPatientsForFolds
from recontour.cohort.folds import folds_of
from recontour.errors import CohortError


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Seven cases; only four have the lens on the left."""
    without = dict.fromkeys((0, 2, 4), "Lens_L")
    folder = tmp_path_factory.mktemp("folds") / "west"
    return fill(Cohort.open_or_create(folder, "west"), 7, without=without)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_every_patient_is_in_one_fold_and_folds_are_alike(seven: Cohort, count: int) -> None:
    folds = folds_of(seven, count)
    dealt = Counter(case.id for fold in folds for case in fold)
    assert dealt == Counter(seven.case_ids)
    sizes = [len(fold) for fold in folds]
    assert len(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    lenses = [sum("Lens_L" in case.organs for case in fold) for fold in folds]
    assert max(lenses) - min(lenses) <= 1


def test_folds_follow_their_seed(seven: Cohort) -> None:
    def ids(seed: int) -> list[list[str]]:
        return [[case.id for case in fold] for fold in folds_of(seven, 3, seed=seed)]

    assert ids(0) == ids(0)
    assert any(ids(0) != ids(seed) for seed in range(1, 6))


def test_two_cases_of_one_patient_stay_together(seven: Cohort, tmp_path: Path) -> None:
    cohort = Cohort.open_or_create(tmp_path / "west", "west")
    for number, case in enumerate(seven):
        masks = {organ: case.mask(organ) for organ in case.organs}
        patient = f"0123abcd-{number // 2:016x}"  # three patients of two CTs each, and one of one
        cohort.add(
            case.id, case.hu, case.grid, masks, source_hash=case.source_hash, patient=patient
        )
    for seed in range(5):
        folds = folds_of(cohort, 3, seed=seed)
        people = [{case.patient for case in fold} for fold in folds]
        assert sorted(map(len, people)) == [1, 1, 2]
        assert len(set.union(*people)) == 4
        assert sum(map(len, folds)) == 7


def test_more_folds_than_patients_are_refused(seven: Cohort) -> None:
    with pytest.raises(CohortError) as caught:
        folds_of(seven, 8, cohort=seven.path)
    found = caught.value.finding
    assert isinstance(found, TooFewPatientsForFolds)
    assert (found.path, found.patients, found.folds) == (seven.path, 7, 8)
