"""A CT is recognised after a new export, and no other is taken for it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recontour.cohort import Cohort, by_patient, with_one_ct
from recontour.cohort.tissue import (
    LEAST_SLICES,
    MOST_DEVIATION_HU,
    Profile,
    nearly_equal,
    tissue_profile,
)
from recontour.errors import CohortError

SLICES = 40


def a_head(seed: int) -> Profile:
    """A profile as smooth as a patient's: HU that wander by some 5 from slice to slice."""
    steps = np.random.default_rng(seed).normal(0, 5, SLICES)
    return tuple(int(hu) for hu in np.clip(40 + np.cumsum(steps), -200, 300).round())


HEAD = a_head(0)


def test_a_profile_is_the_mean_of_tissue_and_metal_counts_as_bone() -> None:
    hu = np.full((2, 4, 4), -1000, np.int16)
    hu[0, 0, :2] = 40, 3000
    assert tissue_profile(hu) == ((40 + 300) // 2, -200)
    assert tissue_profile(hu.astype(np.float32)) == ((40 + 300) // 2, -200)


def test_padding_and_the_air_around_do_not_matter() -> None:
    hu = np.random.default_rng(0).integers(-100, 100, (3, 8, 8)).astype(np.int16)
    larger = np.pad(hu, ((0, 0), (5, 5), (3, 9)), constant_values=-3024)
    assert tissue_profile(larger) == tissue_profile(hu)


@pytest.mark.parametrize(
    ("name", "copy"),
    [
        ("itself", HEAD),
        ("another offset", tuple(hu + 24 for hu in HEAD)),
        ("without a slice", HEAD[1:]),
        ("a part of it", HEAD[8:-20]),
        ("each without one end", (*HEAD[6:], 7, 90, -80)),
        ("a slice that differs", (*HEAD[:20], HEAD[20] + 9, *HEAD[21:])),
    ],
)
def test_a_copy_is_recognised_from_either_side(name: str, copy: Profile) -> None:
    assert nearly_equal(HEAD, copy), name
    assert nearly_equal(copy, HEAD), name


def test_the_deviation_is_what_the_limit_says() -> None:
    """Alternating by d HU about the copy, the difference has a standard deviation of d."""
    shaken = [
        tuple(hu + d * (-1) ** index for index, hu in enumerate(HEAD))
        for d in (int(MOST_DEVIATION_HU), int(MOST_DEVIATION_HU) + 1)
    ]
    assert [nearly_equal(HEAD, one) for one in shaken] == [True, False]


def test_others_are_not_taken_for_it() -> None:
    assert not any(nearly_equal(HEAD, a_head(seed)) for seed in range(1, 200))


def test_a_ct_of_few_slices_or_without_contrast_tells_nothing() -> None:
    assert nearly_equal(HEAD[:LEAST_SLICES], HEAD)
    assert not nearly_equal(HEAD[: LEAST_SLICES - 1], HEAD)
    assert not nearly_equal((40,) * SLICES, (40, 41) * (SLICES // 2))
    assert not nearly_equal((40,) * SLICES, (40,) * SLICES)
    assert not nearly_equal((), HEAD)


def test_cases_of_nearly_one_ct_are_one_patient(north: Cohort) -> None:
    """Even under two keys: a copy may have got another PatientID."""
    first, second, third = (
        replace(case, tissue_hu=profile, patient=f"0123abcd-{number:016x}")
        for number, (case, profile) in enumerate(
            zip(north, (HEAD, a_head(1), HEAD[3:]), strict=True)
        )
    )
    assert with_one_ct([first, second, third]) == [[first, third]]
    assert by_patient([first, second, third]) == [[first, third], [second]]


def test_an_older_case_has_the_profile_that_a_new_one_stores(north: Cohort) -> None:
    for case in north:
        assert case.tissue_hu == tissue_profile(case.hu)
        assert replace(case, tissue_hu=()).profile == case.profile


@pytest.mark.parametrize("bent", [[301], [-201], ["40"], [40.5], 40])
def test_a_bent_profile_is_refused(north: Cohort, tmp_path: Path, bent: object) -> None:
    copy = tmp_path / "north"
    shutil.copytree(north.path, copy)
    cohort = Cohort.open(copy)
    case = cohort.case_ids[0]
    path = cohort[case].path / "case.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tissue_hu": bent}))
    with pytest.raises(CohortError, match=r"damaged \(tissue_hu"):
        cohort[case]
