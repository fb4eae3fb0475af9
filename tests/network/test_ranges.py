"""The lowest and highest of what patients measured, and what a model file may say of them."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from recontour.files import UnreadableError
from recontour.network import Model, load_model, save_model
from recontour.network.description import decoded
from recontour.network.model_file import _about
from recontour.network.ranges import Measured, Range, Ranges, ranges_of

FIRST: Measured = ({"narrow_width_mm": 120.04}, {"Lens_L": {"volume_cc": 0.21234}, "Brainstem": {}})
SECOND: Measured = ({"narrow_width_mm": 98.0}, {"Lens_L": {"volume_cc": 0.19, "mean_hu": 80.0}})


def test_ranges_go_from_the_lowest_to_the_highest() -> None:
    ranges = ranges_of([FIRST, SECOND])
    assert ranges.body == {"narrow_width_mm": Range(98.0, 120.0, 2)}
    assert ranges.organs == {
        "Lens_L": {"volume_cc": Range(0.19, 0.212, 2), "mean_hu": Range(80.0, 80.0, 1)},
        "Brainstem": {},
    }
    assert ranges_of([]) == Ranges({}, {})


def test_the_ranges_of_two_groups_are_those_of_all() -> None:
    assert ranges_of([FIRST]).joined(ranges_of([SECOND])) == ranges_of([FIRST, SECOND])


def with_ranges(model: Model, ranges: Ranges | None) -> Model:
    return replace(model, provenance=replace(model.provenance, ranges=ranges))


def test_a_model_file_keeps_them(model: Model, tmp_path: Path) -> None:
    ranges = ranges_of([FIRST, SECOND])
    save_model(with_ranges(model, ranges), tmp_path / "m")
    assert load_model(tmp_path / "m").provenance.ranges == ranges


def test_a_model_file_without_any_still_opens(model: Model) -> None:
    about = json.loads(json.dumps(_about(model, head_only=False)))
    del about["heads"][0]["provenance"]["ranges"]
    assert decoded(about).heads[0].provenance.ranges is None


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("body", "narrow_width_mm", "low"), 1e9, "less than or equal to"),
        (("body", "narrow_width_mm", "low"), "98", "valid number"),
        (("body", "narrow_width_mm", "low"), 500.0, "expected a range from low to high"),
        (("body", "narrow_width_mm", "cts"), 0, "greater than or equal to 1"),
        (("body", "narrow_width_mm", "name"), "MUSTERMANN", "unknown name"),
        (("body", "shoe_size"), {"low": 1.0, "high": 2.0, "cts": 1}, "input should be"),
        (("organs", "Lens, left"), {}, "expected a TG-263 name"),
        (("organs", "Lens_L", "shoe_size"), {"low": 1.0, "high": 2.0, "cts": 1}, "input should be"),
    ],
)
def test_a_model_file_says_nothing_absurd(
    model: Model, place: tuple[str, ...], value: Any, says: str
) -> None:
    ranges = ranges_of([FIRST, SECOND])
    about = json.loads(json.dumps(_about(with_ranges(model, ranges), head_only=False)))
    of_file = about["heads"][0]["provenance"]["ranges"]
    assert of_file == asdict(ranges)
    inner = of_file
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(UnreadableError) as refused:
        decoded(about)
    assert says in refused.value.finding.sentence()
