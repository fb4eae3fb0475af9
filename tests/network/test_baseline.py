"""A baseline is read from a model file like anything from elsewhere: bounded, or refused."""

from collections.abc import Mapping
from dataclasses import asdict

import pytest
from pydantic import TypeAdapter, ValidationError

from recontour.network.acquired import Setting, acquired_in
from recontour.network.baseline import Baseline
from recontour.network.spread import spread_of

GOOD = {"offsets": {"Brainstem": {"caudal": {"mean": -1.5, "sd": 0.5, "patients": 12}}}}


def read(content: object) -> Baseline:
    return TypeAdapter(Baseline).validate_python(content)


def test_a_baseline_is_read_with_or_without_images() -> None:
    image = {"noise_hu": {"mean": 10.0, "sd": 2.0, "patients": 12}}

    assert read(GOOD).image == {}
    assert read({**GOOD, "image": image}).image["noise_hu"].mean == 10.0


@pytest.mark.parametrize(
    "spread",
    [
        {"mean": float("nan"), "sd": 0.5, "patients": 12},
        {"mean": 1e9, "sd": 0.5, "patients": 12},
        {"mean": 1.0, "sd": -0.5, "patients": 12},
        {"mean": 1.0, "sd": 0.5, "patients": 1},
        {"mean": 1.0, "sd": 0.5, "patients": 12, "names": "x"},
        {"mean": 1.0, "sd": 0.5},
    ],
)
def test_an_impossible_spread_is_refused(spread: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read({"offsets": {"Brainstem": {"caudal": spread}}})


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValidationError):
        read({"offsets": {"Brainstem": {"diagonal": GOOD["offsets"]["Brainstem"]["caudal"]}}})


def test_a_baseline_of_before_says_nothing_of_how_cts_were_acquired() -> None:
    acquired = {"patients": 12, "settings": {"kernel": {"B30f": 9}, "kvp": {"120": 12}}}

    assert read(GOOD).acquired is None
    kept = read({**GOOD, "acquired": acquired}).acquired
    assert kept
    assert kept.in_words("kernel") == "B30f (9), unknown (3)"
    assert kept.in_words("maker") == "unknown (12)"


@pytest.mark.parametrize(
    "acquired",
    [
        {"patients": 0, "settings": {}},
        {"patients": 12},
        {"patients": 12, "settings": {"operator": {"B30f": 12}}},
        {"patients": 12, "settings": {"kernel": {"B30f": 0}}},
        {"patients": 12, "settings": {"kernel": {"": 12}}},
        {"patients": 12, "settings": {"kernel": {"B\x1b[30f": 12}}},
        {"patients": 12, "settings": {"kernel": {"B" * 65: 12}}},
        {"patients": 12, "settings": {"kernel": {str(one): 1 for one in range(101)}}},
    ],
)
def test_impossible_counts_of_acquisitions_are_refused(acquired: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read({**GOOD, "acquired": acquired})


def test_what_is_counted_can_be_read_again() -> None:
    many: list[Mapping[Setting, str]] = [{"kernel": f"{one} {'B' * 80}"} for one in range(150)]

    counted = acquired_in(many)

    assert read({**GOOD, "acquired": asdict(counted)}).acquired == counted
    assert counted.in_words("kernel").endswith(", unknown (50)")


def test_one_patient_has_no_spread() -> None:
    assert spread_of([1.0]) is None
