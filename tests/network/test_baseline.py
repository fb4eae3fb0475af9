"""A baseline is read from a model file like anything from elsewhere: bounded, or refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from recontour.network.baseline import Baseline, spread_of

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


def test_one_patient_has_no_spread() -> None:
    assert spread_of([1.0]) is None
