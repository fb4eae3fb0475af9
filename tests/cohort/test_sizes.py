"""How large organs are, and which are unlike those of the other cases."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recontour.cohort import Cohort
from recontour.cohort.sizes import (
    LARGEST_Z,
    OrganSize,
    Sizes,
    organ_summaries,
    sizes_of,
    unusual_sizes,
)

USUAL = OrganSize(extent_mm=60.0, volume_cc=30.0, area_cm2=(8.0,) * 20)


def test_an_organ_is_measured(north: Cohort) -> None:
    """The brain stem is a block of 9 x 9 pixels of 4 mm on five slices of 3 mm, up to the last."""
    case = next(iter(north))
    size = sizes_of(case)["Brainstem"]
    assert (size.slices, size.extent_mm, size.cut) == (5, 15.0, ("above",))
    assert size.volume_cc == pytest.approx(3.6 * 3.6 * 1.5)
    assert size.largest_cm2 == pytest.approx(3.6 * 3.6)
    assert size.area_cm2 == (0.0, *[pytest.approx(12.96)] * 5)


def cohort_with(odd: OrganSize, others: int = 6) -> dict[str, Sizes]:
    """One odd parotid among others that differ a little."""
    sizes: dict[str, Sizes] = {"odd": {"Parotid_L": odd}}
    for number in range(others):
        usual = replace(USUAL, volume_cc=28.0 + number, extent_mm=54.0 + 3 * number)
        sizes[f"usual-{number}"] = {"Parotid_L": usual}
    return sizes


def test_a_volume_far_from_the_others_is_found() -> None:
    (found,) = unusual_sizes(cohort_with(replace(USUAL, volume_cc=3.0)))
    assert (found.case, found.organ, found.measure) == ("odd", "Parotid_L", "volume")
    assert (found.median, found.low, found.high, found.others) == (30.5, 28.0, 33.0, 6)
    assert found.z_score < -LARGEST_Z
    assert found.sentence().startswith(
        "volume 3 cc is far below the median of 6 other cases, 30.5 cc (28 to 33 cc; z -"
    )


def test_of_volume_and_extent_the_farther_is_said_and_the_farthest_case_comes_first() -> None:
    sizes = cohort_with(replace(USUAL, volume_cc=3.0, extent_mm=600.0))
    for name, of_case in cohort_with(replace(USUAL, volume_cc=0.001)).items():
        sizes[f"{name}er"] = {"Parotid_R": of_case["Parotid_L"]}
    first, second = unusual_sizes(sizes)
    assert (first.case, first.measure) == ("odder", "volume")
    assert (second.case, second.measure) == ("odd", "extent")
    assert abs(first.z_score) > abs(second.z_score)


# What 183 patients of three centres (OpenKBP) differ by, in the logarithm.
PAROTIDS = (0.42, 0.19)
BRAINSTEM = (0.19, 0.08)


def patients(
    count: int, spread: tuple[float, float], seed: int
) -> tuple[np.ndarray[Any, Any], dict[str, Sizes]]:
    """Draw parotids of some patients. spread: the deviations of volume and extent."""
    drawn = np.random.default_rng(seed).standard_normal((count, 2)) * spread
    sizes: dict[str, Sizes] = {}
    for number, (volume, extent) in enumerate(np.exp(drawn)):
        usual = replace(USUAL, volume_cc=30 * volume, extent_mm=60 * extent)
        sizes[str(number)] = {"Parotid_L": usual}
    return drawn, sizes


@pytest.mark.parametrize("spread", [PAROTIDS, BRAINSTEM], ids=["parotids", "brainstem"])
def test_six_clean_patients_with_seven_organs_raise_less_than_one_alarm(
    spread: tuple[float, float],
) -> None:
    alarms = [len(unusual_sizes(patients(6, spread, seed)[1])) for seed in range(300)]
    assert 7 * np.mean(alarms) < 1


@pytest.mark.parametrize(
    ("volume", "extent"), [(0.5, 0.5), (0.25, 1.0), (4.0, 1.0), (1.0, 3.0)],
    ids=["half", "a smaller organ", "a larger organ", "the cord"],
)  # fmt: skip
def test_half_an_organ_or_another_organ_is_found_among_six(volume: float, extent: float) -> None:
    found = 0
    for seed in range(100):
        sizes = patients(6, BRAINSTEM, seed)[1]
        own = sizes["0"]["Parotid_L"]
        wrong = replace(own, volume_cc=own.volume_cc * volume, extent_mm=own.extent_mm * extent)
        sizes["0"] = {"Parotid_L": wrong}
        found += any(one.case == "0" for one in unusual_sizes(sizes))
    assert found >= 80


def test_nothing_is_unusual_among_few_or_at_the_scan_s_end() -> None:
    small = replace(USUAL, volume_cc=3.0)
    assert unusual_sizes(cohort_with(small, others=5))
    assert not unusual_sizes(cohort_with(small, others=4))
    assert not unusual_sizes(cohort_with(replace(small, cut=("below",))))


def test_where_the_length_is_spoken_of_elsewhere_nothing_is_called_small() -> None:
    settled = {("odd", "Parotid_L")}
    small, large = replace(USUAL, volume_cc=3.0), replace(USUAL, volume_cc=300.0)
    assert not unusual_sizes(cohort_with(small), settled)
    assert unusual_sizes(cohort_with(large), settled)
    assert unusual_sizes(cohort_with(small), {("odd", "Parotid_R")})


def test_equal_organs_make_no_slice_more_unusual() -> None:
    """The others' deviation is 0; one slice and 10 % more are what two people may draw."""
    sizes = {f"usual-{number}": {"Parotid_L": USUAL} for number in range(6)}
    sizes["odd"] = {
        "Parotid_L": replace(USUAL, extent_mm=63.0, volume_cc=33.0, area_cm2=(8.0,) * 21)
    }
    assert not unusual_sizes(sizes)


def test_a_summary_has_median_and_range() -> None:
    sizes = cohort_with(replace(USUAL, volume_cc=3.0, cut=("below",)))
    summary = organ_summaries(sizes)["Parotid_L"]
    volume = summary.volume_cc
    assert (summary.cases, summary.cut) == (7, {"below": 1})
    assert (volume.median, volume.min, volume.max) == (30.0, 3.0, 33.0)
