"""How large a case's organs are, and which of them are unlike those of the cohort's other cases."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Literal

import numpy as np

from recontour.cohort.findings import End, UnusualSize
from recontour.cohort.partly import END_SLICES, FEWEST_OTHERS, extent_mm
from recontour.geometry.arrays import Floats

if TYPE_CHECKING:
    from recontour.cohort.case import Case

Measure = Literal["volume", "extent"]
UNITS: dict[Measure, str] = {"volume": "cc", "extent": "mm"}
# Chosen on 183 patients of three centres (OpenKBP); docs/decisions/054-unusual-sizes.md.
LARGEST_Z = 3.0
# Few cases show little of how much patients differ. Those of three centres differ by about this
# much in an organ's logarithm, which counts as much as some cases of the cohort.
USUAL_DEVIATION: dict[Measure, float] = {"volume": 0.35, "extent": 0.17}
USUAL_COUNTS_AS = 5
# Two people who draw one organ differ by at least this factor in volume.
LEAST_FACTOR = 1.1
# An empty contour has no logarithm.
LEAST_CC = 1e-4
LEAST_MM = 0.01


@dataclass(frozen=True, slots=True)
class OrganSize:
    """How large one organ of a case is.

    extent_mm: from its lowest to its highest slice, both included. area_cm2: on each slice of the
    scan. cut: the ends of the scan that it reaches, so that it may go on beyond.
    is_partly_contoured: a person said that it does.
    """

    extent_mm: float
    volume_cc: float
    area_cm2: tuple[float, ...]
    cut: tuple[End, ...] = ()
    is_partly_contoured: bool = False

    @property
    def slices(self) -> int:
        """Return how many slices show it."""
        return sum(area > 0 for area in self.area_cm2)

    @property
    def largest_cm2(self) -> float:
        """Return its area on the slice that shows most of it."""
        return max(self.area_cm2)

    @property
    def is_whole(self) -> bool:
        """Return whether all of the organ may be there."""
        return not (self.cut or self.is_partly_contoured)


Sizes = Mapping[str, OrganSize]  # by organ


def sizes_of(case: "Case") -> dict[str, OrganSize]:
    """Measure a case's organs, by name.

    >>> from recontour.cohort import Cohort
    >>> case = next(iter(Cohort.open("south")))
    >>> sizes_of(case)["Brainstem"].slices
    5
    """
    thickness_mm = case.grid.slice_thickness_mm
    pixel_cm2 = case.grid.pixel_mm2 / 100
    sizes = {}
    for organ in case.organs:
        pixels = case.pixels_by_slice(organ)
        shown = np.flatnonzero(pixels)
        sizes[organ] = OrganSize(
            extent_mm=extent_mm(thickness_mm, shown[0], shown[-1]) if shown.size else 0.0,
            volume_cc=case.volumes_cc[organ],
            area_cm2=tuple(np.round(pixels * pixel_cm2, 4).tolist()),
            cut=tuple(end for end, index in END_SLICES.items() if pixels[index]),
            is_partly_contoured=organ in case.traits.partly_contoured,
        )
    return sizes


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the lowest and the highest of an organ's numbers over its cases."""

    median: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class OrganSummary:
    """What an organ measures over the cases that have it.

    cut: how many cases have it reach each end of the scan.
    """

    cases: int
    slices: Spread
    extent_mm: Spread
    volume_cc: Spread
    largest_cm2: Spread
    cut: Mapping[End, int]


def organ_summaries(sizes: Mapping[str, Sizes]) -> dict[str, OrganSummary]:
    """Return what each organ measures, by name in alphabetical order. sizes: by case."""
    by_organ: dict[str, list[OrganSize]] = {}
    for of_case in sizes.values():
        for organ, size in of_case.items():
            by_organ.setdefault(organ, []).append(size)
    found: dict[str, OrganSummary] = {}
    for organ, of_organ in sorted(by_organ.items()):
        found[organ] = OrganSummary(
            cases=len(of_organ),
            slices=_spread(size.slices for size in of_organ),
            extent_mm=_spread(size.extent_mm for size in of_organ),
            volume_cc=_spread(size.volume_cc for size in of_organ),
            largest_cm2=_spread(size.largest_cm2 for size in of_organ),
            cut=dict(Counter(chain.from_iterable(size.cut for size in of_organ))),
        )
    return found


def _spread(numbers: Iterable[float]) -> Spread:
    values = sorted(numbers)
    return Spread(median(values), values[0], values[-1])


def unusual_sizes(
    sizes: Mapping[str, Sizes], settled: Collection[tuple[str, str]] = ()
) -> list[UnusualSize]:
    """Return the organs whose volume or extent is far from that of the cohort's other cases.

    Of both, the one that is farther.

    sizes: by case. An organ that the scan's end cuts, or that is partly contoured, is neither
    judged nor compared with, nor is one that fewer than 5 other cases have.
    settled: as `lengths.lengths_settled` gives; such an organ is not called small.

    Returns: the farthest first.

    The z is the distance of the logarithm from the others' median, over the standard deviation that
    a further case is expected to have. The fewer the others, the more of it is what patients
    usually differ by. It counts as at least 10 % of the volume, and as at least one slice of the
    extent.

    References: moderated deviations, Smyth 2004, doi:10.2202/1544-6115.1027.
    """
    found = []
    organs: set[str] = set()
    for of_case in sizes.values():
        organs.update(of_case)
    for organ in sorted(organs):
        whole = {}
        for case, of_case in sizes.items():
            if organ in of_case and of_case[organ].is_whole:
                whole[case] = of_case[organ]
        if len(whole) > FEWEST_OTHERS:
            found += _unusual_in(organ, whole)
    unsettled = [one for one in found if one.z_score > 0 or (one.case, one.organ) not in settled]
    return sorted(unsettled, key=lambda one: -abs(one.z_score))


def _unusual_in(organ: str, sizes: Mapping[str, OrganSize]) -> list[UnusualSize]:
    """Return the unusual cases of one organ. sizes: by case."""
    volumes_cc = np.array([size.volume_cc for size in sizes.values()])
    extents_mm = np.array([size.extent_mm for size in sizes.values()])
    slices = np.array([size.slices for size in sizes.values()])
    slice_mm = float(np.median(extents_mm / np.maximum(slices, 1)))
    one_slice_more = 1 + slice_mm / max(float(np.median(extents_mm)), LEAST_MM)
    found = []
    for place, case in enumerate(sizes):
        by_measure: dict[Measure, tuple[Floats, float]] = {
            "volume": (volumes_cc, _z("volume", volumes_cc, place, LEAST_CC, LEAST_FACTOR)),
            "extent": (extents_mm, _z("extent", extents_mm, place, LEAST_MM, one_slice_more)),
        }
        measure = max(by_measure, key=lambda one: abs(by_measure[one][1]))
        values, z = by_measure[measure]
        if abs(z) > LARGEST_Z:
            found.append(_unusual(case, organ, measure, values, place, z))
    return found


def _z(
    measure: Measure,
    values: Floats,
    place: int,
    least: float,
    least_factor: float,
) -> float:
    """Return how far one value lies from the median of the others, in expected deviations.

    least: a smaller value counts as this, since 0 has no logarithm. least_factor: by which two
    people differ.
    """
    logarithms = np.log(np.maximum(values, least))
    others = np.delete(logarithms, place)
    count = len(others)
    usual = USUAL_COUNTS_AS * USUAL_DEVIATION[measure] ** 2
    variance = (usual + count * np.var(others, ddof=1)) / (USUAL_COUNTS_AS + count)
    deviation = max(float(np.sqrt(variance)), np.log(least_factor))
    # The median of few cases is uncertain itself.
    deviation *= np.sqrt(1 + np.pi / 2 / count)
    return float(logarithms[place] - np.median(others)) / float(deviation)


def _unusual(
    case: str,
    organ: str,
    measure: Measure,
    values: Floats,
    place: int,
    z: float,
) -> UnusualSize:
    others = np.delete(values, place)
    return UnusualSize(
        case=case,
        organ=organ,
        measure=measure,
        value=float(values[place]),
        unit=UNITS[measure],
        median=float(np.median(others)),
        low=float(others.min()),
        high=float(others.max()),
        others=len(others),
        z_score=z,
    )
