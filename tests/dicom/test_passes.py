"""Acquisitions of one series are told apart if they overlap, and make one CT if they adjoin."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from recontour.dicom.acquisition import ACQUIRED, RECONSTRUCTED
from recontour.dicom.passes import (
    Overlap,
    dense_stretch,
    overlap_of,
    overlap_of_pixels,
    overlap_of_positions,
)

Says = Mapping[str, str | Callable[[int], str]]
FIRST = [3.0 * index for index in range(9)]  # 0 to 24 mm


def series(*passes: tuple[Sequence[float], Says]) -> tuple[list[float], list[dict[str, str]]]:
    """Return positions and marks of passes, stacked by position.

    passes: of each, its positions, and what its images say (by index).
    """
    slices = [
        (
            z,
            {
                keyword: said if isinstance(said, str) else said(index)
                for keyword, said in says.items()
            },
        )
        for positions, says in passes
        for index, z in enumerate(positions)
    ]
    slices.sort(key=lambda one: one[0])
    return [z for z, _ in slices], [says for _, says in slices]


def shown(found: Overlap | None) -> tuple[float, float, list[int]]:
    assert found is not None
    return found.from_mm, found.to_mm, [len(one) for one in found.passes]


@pytest.mark.parametrize("keyword", [*ACQUIRED, *RECONSTRUCTED])
@pytest.mark.parametrize("offset_mm", [0.0, 0.5, 0.75, 1.0, 1.5, 2.9])
def test_whatever_tells_passes_apart_is_looked_at(keyword: str, offset_mm: float) -> None:
    second = [12.0 + offset_mm + z for z in FIRST]
    found = overlap_of(*series((FIRST, {keyword: "1"}), (second, {keyword: "2"})))
    assert shown(found) == (second[0], 24.0, [9, 9])
    assert found is not None
    assert found.told_by == keyword
    assert found.kind == ("acquisitions" if keyword in ACQUIRED else "reconstructions")


RISING: list[tuple[str, Callable[[int], str], Callable[[int], str]]] = [
    ("AcquisitionNumber", str, lambda i: str(20 + i)),  # one a slice
    ("acquisition time", lambda i: f"1010{i:02d}.5", lambda i: f"1020{i:02d}.25"),
    # the second downwards
    (
        "acquisition time",
        lambda i: f"1010{i:02d}",
        lambda i: f"1020{40 - i:02d}",
    ),
    ("content time", lambda i: f"1010{i:02d}", lambda i: f"1020{i:02d}"),
    ("InstanceNumber", lambda i: str(1 + i), lambda i: str(101 + i)),
    ("InstanceNumber", lambda i: str(50 - i), lambda i: str(101 + i)),
]


@pytest.mark.parametrize(("keyword", "first", "second"), RISING)
@pytest.mark.parametrize("offset_mm", [0.0, 1.0, 1.5])
def test_what_rises_from_slice_to_slice_parts_passes_where_it_starts_over(
    keyword: str, first: Callable[[int], str], second: Callable[[int], str], offset_mm: float
) -> None:
    later = [12.0 + offset_mm + z for z in FIRST]
    found = overlap_of(*series((FIRST, {keyword: first}), (later, {keyword: second})))
    assert shown(found) == (later[0], 24.0, [9, 9])


@pytest.mark.parametrize("count", [6, 9])
@pytest.mark.parametrize("sign", [1, -1])
def test_passes_that_are_each_counted_from_one_are_told_apart(count: int, sign: int) -> None:
    later = [13.5 + 3.0 * index for index in range(count)]
    said: Says = {"InstanceNumber": lambda i: str(50 + sign * i)}
    assert shown(overlap_of(*series((FIRST, said), (later, said)))) == (13.5, 24.0, [9, count])


def test_passes_of_three_within_one_another_and_of_one_slice() -> None:
    three: list[tuple[Sequence[float], Says]] = [
        ([at + z for z in FIRST], {"KVP": str(at)}) for at in (0, 11, 22)
    ]
    found = overlap_of(*series(*three))
    assert shown(found) == (11, 35, [9, 9, 9])
    assert found is not None
    assert found.kind == "acquisitions"
    outer = [3.0 * index for index in range(30)]
    within = [30.0 + index for index in range(1, 20)]
    assert shown(overlap_of(*series((outer, {"KVP": "80"}), (within, {"KVP": "120"})))) == (
        31,
        49,
        [30, 19],
    )
    lone = overlap_of(*series((outer, {"KVP": "80"}), ([31.5], {"KVP": "120"})))
    assert shown(lone) == (31.5, 31.5, [30, 1])


EVEN = [1.0 * index for index in range(60)]
CONTIGUOUS: dict[str, tuple[Sequence[float], Says]] = {
    "a number and a time for each slice": (
        EVEN,
        {"AcquisitionNumber": str, "acquisition time": lambda i: f"10{i:02d}00"},
    ),
    "downwards": (
        EVEN,
        {"AcquisitionNumber": lambda i: str(60 - i), "InstanceNumber": lambda i: str(60 - i)},
    ),
    "a number for each rotation of 4": (EVEN, {"AcquisitionNumber": lambda i: str(i // 4)}),
    "the same, downwards": (
        EVEN,
        {"AcquisitionNumber": lambda i: str(90 - i // 4), "InstanceNumber": str},
    ),
    "a UID for each rotation of 2": (EVEN, {"IrradiationEventUID": lambda i: f"1.2.{i // 2}"}),
    "reconstructed in no order": (EVEN, {"content time": lambda i: f"10{i * 37 % 60:02d}00"}),
    "numbered in no order": (EVEN, {"InstanceNumber": lambda i: str(i * 37 % 60)}),
    "counted again in each third": (EVEN, {"InstanceNumber": lambda i: str(i % 20)}),
    "counted again in each rotation of 4": (EVEN, {"InstanceNumber": lambda i: str(i % 4)}),
    "counted by pairs": (EVEN, {"InstanceNumber": lambda i: str(i // 20)}),
    "one number": (EVEN, {"InstanceNumber": "1"}),
    "a slice of its own where it belongs": (
        EVEN,
        {"ImageType": lambda i: "DERIVED" if i in (20, 21, 30) else ""},
    ),
    "2 mm, then 5 mm": (
        [*(2.0 * i for i in range(20)), *(43 + 5.0 * i for i in range(20))],
        {
            "AcquisitionNumber": lambda i: str(i // 20),
            "SliceThickness": lambda i: "2" if i < 20 else "5",
        },
    ),
    "3 mm between 6 mm": (
        [
            *(6.0 * i for i in range(10)),
            *(57 + 3.0 * i for i in range(10)),
            *(90 + 6.0 * i for i in range(10)),
        ],
        {"SliceThickness": lambda i: "3" if 10 <= i < 20 else "6"},
    ),
}


@pytest.mark.parametrize("name", CONTIGUOUS)
def test_what_follows_one_another_is_one_ct(name: str) -> None:
    z_mm, marks = series(CONTIGUOUS[name])
    assert overlap_of(z_mm, marks) is None
    assert overlap_of_positions(z_mm) is None
    assert dense_stretch(z_mm, marks) is None


def test_slices_acquired_again_in_the_place_of_missing_ones_belong_to_one_ct() -> None:
    """They were repeated because they had failed, and lie where the first lot has holes."""
    kept = [z for z in EVEN if z not in (20, 21, 30)]
    assert (
        overlap_of(
            *series((kept, {"AcquisitionNumber": "1"}), ([20, 21, 30], {"AcquisitionNumber": "2"}))
        )
        is None
    )


@pytest.mark.parametrize("offset_mm", [0.3, 0.5, 0.75, 1.0, 2.0, 2.8])
@pytest.mark.parametrize("start_mm", [0.0, 12.0])
def test_uneven_positions_tell_of_passes_that_say_nothing(
    offset_mm: float, start_mm: float
) -> None:
    second = [start_mm + offset_mm + z for z in FIRST]
    z_mm, marks = series((FIRST, {}), (second, {}))
    assert overlap_of(z_mm, marks) is None
    assert shown(overlap_of_positions(z_mm)) == (second[0], 24.0, [9, 9])


@pytest.mark.parametrize(
    "z_mm",
    [
        (0, 3, 6, 9, 15, 21, 27),
        (0, 6, 12, 15, 18, 24, 30),
        (0, 3, 6, 12, 18, 24, 30, 33, 36),
        (0, 2.5, 5, 8.7, 13.7, 18.7),
        tuple(3.0 * i + (0.1 if i % 2 else 0) for i in range(20)),  # a couch that stutters
        tuple(np.round(1.25 * np.arange(40), 1)),  # positions to 0.1 mm
        tuple(3.0 * i for i in range(40) if i not in (17, 30)),  # missing slices are not passes
        (0, 50),
        (7.0,),
    ],
)
def test_a_change_of_spacing_or_a_missing_slice_is_no_overlap(z_mm: tuple[float, ...]) -> None:
    assert overlap_of_positions(z_mm) is None


def test_a_dense_stretch_of_thick_slices_is_doubted() -> None:
    second = [13.5 + z for z in FIRST]
    z_mm, marks = series((FIRST, {"SliceThickness": "3.00"}), (second, {"SliceThickness": "3.00"}))
    assert shown(dense_stretch(z_mm, marks)) == (13.5, 24.0, [9, 9])
    thin = [{"SliceThickness": "1.50"} for _ in marks]
    assert dense_stretch(z_mm, thin) is None
    assert dense_stretch(z_mm, [{} for _ in marks]) is None


def test_pixels_tell_of_passes_half_a_step_apart() -> None:
    """A patient who moved: each slice is like the next but one."""
    noise = np.random.default_rng(0).normal(0, 10, (20, 32, 32))
    still = noise.astype(np.float32)
    still[:, 8:24, 8:16] += 1000
    moved = still.copy()
    moved[5:15:2] = np.roll(still[5:15:2], 4, axis=2)
    z_mm = [float(index) for index in range(20)]
    assert overlap_of_pixels(still, z_mm) is None
    found = overlap_of_pixels(moved, z_mm)
    assert found is not None
    assert (found.from_mm, found.to_mm) == (4.0, 14.0)
    drifting = still + 100 * np.arange(20)[:, None, None]
    assert overlap_of_pixels(drifting, z_mm) is None
    assert overlap_of_pixels(still[:2], z_mm[:2]) is None
