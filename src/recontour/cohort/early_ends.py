"""Contours of long organs that stop early, where in nearly all other cases the organ goes on.

How long the contour of such an organ is depends on the scan. Where it stops is therefore measured
from the ends of other organs of the same case, such as the lower end of the brain stem.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recontour.cohort.findings import EarlyEnd, End
from recontour.cohort.partly import ENDS, FEWEST_OTHERS, short_organs
from recontour.geometry.arrays import Floats, Mask
from recontour.organs import organ_of

if TYPE_CHECKING:
    from recontour.cohort.case import Case

# Measured on 183 patients of three centres (OpenKBP): docs/decisions/052-partly-contoured.md. The
# upper ends of long organs lie at other organs, and vary less.
FURTHER_MM: Mapping[End, float] = {"below": 40.0, "above": 20.0}
NEARLY_ALL = 0.9  # of the other cases whose CT shows it

Landmark = tuple[str, End]  # an organ, and which end of it


@dataclass(frozen=True, slots=True)
class _Stops:
    """Where one organ's contours stop towards one end of the scan, in the cases that have it.

    past_mm: (case, landmark), how far they go past each landmark, in the direction of that end; NaN
    where a case lacks the landmark. is_last: (case,), whether the contour ends there, and not only
    the scan or what was drawn of it. room_mm: (case,), how far the CT goes on.
    """

    past_mm: Floats
    is_last: Mask
    room_mm: Floats

    def is_early(self, place: int, further_mm: float) -> bool:
        """Return whether nearly all other cases go on, at least so much further than this one.

        Others that stop at the end of their scan before that say nothing. Of the landmarks, those
        count that enough others have; they may differ, and then the middle one decides.
        """
        if not self.is_last[place] or self.room_mm[place] < further_mm:
            return False
        own_mm = self.past_mm[place]
        goes_on = self.past_mm >= own_mm + further_mm
        stops = (self.past_mm < own_mm + further_mm) & self.is_last[:, None]
        stops[place] = False
        others = goes_on.sum(axis=0) + stops.sum(axis=0)
        enough = others >= FEWEST_OTHERS
        if not enough.any():
            return False
        shares = goes_on.sum(axis=0)[enough] / others[enough]
        return bool(np.median(shares) >= NEARLY_ALL)


def early_ends(cases: Sequence["Case"], among: Sequence["Case"]) -> list[EarlyEnd]:
    """Return a finding for each long organ and end at which its contour stops early in some cases.

    Organs that leave every scan of the head and neck are judged, such as the cord. The CT must go
    on, and no person has said how far the organ is contoured. A contour that `short_organs` speaks
    of is left to that. among: all cases of the cohort, with which they are compared.

    >>> from recontour.cohort import Cohort
    >>> south = list(Cohort.open("south"))
    >>> early_ends(south, south)
    []
    """
    asked = {case.id for case in cases}
    spoken_of: set[tuple[str, str]] = set()
    for short in short_organs(cases, among):
        assert short.organ
        spoken_of.update((case, short.organ) for case in short.cases)
    notes = []
    for organ in _long_organs(cases):
        having = [case for case in among if organ in case.traits.shown]
        for end in ENDS:
            stops = _stops(having, organ, end)
            early = []
            for place, case in enumerate(having):
                is_open = case.id in asked and (case.id, organ) not in spoken_of
                is_settled = _is_settled(case, organ)
                if is_open and not is_settled and stops.is_early(place, FURTHER_MM[end]):
                    early.append(case.id)
            if early:
                found = EarlyEnd(
                    path=among[0].path.parents[1],  # the cohort
                    organ=organ,
                    end=end,
                    cases=tuple(early),
                    further_mm=FURTHER_MM[end],
                )
                notes.append(found)
    return notes


def _long_organs(cases: Sequence["Case"]) -> list[str]:
    organs: set[str] = set()
    for case in cases:
        organs.update(case.traits.shown)
    return sorted(organ for organ in organs if organ_of(organ).goes_on)


def _is_settled(case: "Case", organ: str) -> bool:
    """Return whether a person said how far an organ is contoured."""
    return organ in case.traits.contoured_whole or organ in case.traits.partly_contoured


def _stops(having: Sequence["Case"], organ: str, end: End) -> _Stops:
    """Measure where an organ stops towards one end of the scan, in the cases that have it."""
    stops_mm = np.array([_height_mm(case, organ, end, end) for case in having])
    ends_mm = np.array([_scan_end_mm(case, end) for case in having])
    by_case = [dict(_landmarks_mm(case, end)) for case in having]
    landmarks = sorted(set().union(*by_case))
    past_mm = np.full((len(having), len(landmarks)), np.nan)
    for place, heights_mm in enumerate(by_case):
        for column, landmark in enumerate(landmarks):
            if landmark in heights_mm:
                past_mm[place, column] = stops_mm[place] - heights_mm[landmark]
    return _Stops(
        past_mm=past_mm,
        is_last=np.array([_is_last(case, organ, end) for case in having]),
        room_mm=ends_mm - stops_mm,
    )


def _landmarks_mm(case: "Case", towards: End) -> Iterator[tuple[Landmark, float]]:
    """Yield the ends of organs that end within the head and neck, and their heights."""
    for organ in case.traits.shown:
        if organ_of(organ).goes_on:
            continue
        for end in ENDS:
            if _is_last(case, organ, end):
                yield (organ, end), _height_mm(case, organ, end, towards)


def _is_last(case: "Case", organ: str, end: End) -> bool:
    """Return whether a contour ends there, rather than the scan or the part that was drawn."""
    unknown = (case.traits.cut, case.traits.partly_contoured)
    return not any(end in ends.get(organ, ()) for ends in unknown)


def _height_mm(case: "Case", organ: str, end: End, towards: End) -> float:
    """Return where one end of an organ lies; heights grow towards an end of the scan."""
    first, last = case.traits.shown[organ]
    return _edge_mm(case, first if end == "below" else last, end, towards)


def _scan_end_mm(case: "Case", end: End) -> float:
    return _edge_mm(case, 0 if end == "below" else -1, end, end)


def _edge_mm(case: "Case", index: int, edge: End, towards: End) -> float:
    """Return the height of a slice's lower or upper face; heights grow towards an end."""
    half_mm = case.grid.slice_thickness_mm[index] / 2
    z_mm = case.grid.slice_z_mm[index] + (half_mm if edge == "above" else -half_mm)
    return float(z_mm if towards == "above" else -z_mm)
