"""Contours of long organs that stop early, where in nearly all other cases the organ goes on.

How long the contour of such an organ is depends on the scan. Where it stops is therefore measured
from the ends of other organs of the same case, such as the lower end of the brain stem.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recontour.cohort.findings import EarlyEnd, End
from recontour.cohort.partly import ENDS, FEWEST_OTHERS
from recontour.geometry.arrays import Floats, Mask
from recontour.organs import organ_of

if TYPE_CHECKING:
    from recontour.cohort.case import Case

# The upper one was chosen on one centre of OpenKBP, and measured on two others; the lower one was
# chosen on all three (docs/decisions/052-partly-contoured.md). The upper ends of long organs lie at
# other organs, and vary less.
FURTHER_MM: Mapping[End, float] = {"below": 40.0, "above": 25.0}
NEARLY_ALL = 0.9  # of the other cases whose CT shows it
SLACK_MM = 1e-6  # for rounding

OrganEnd = tuple[str, End]


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where organs and scans end, in some cases.

    heights_mm: by organ and end, z (case,); NaN where a case lacks the organ. is_last: likewise,
    whether the contour ends there, and not only the scan or what was drawn of it. scans_mm: by end
    of the scan, z (case,). landmarks_mm: the ends of organs that end within the head and neck, z
    (case, landmark); NaN where a case does not show them.
    """

    heights_mm: Mapping[OrganEnd, Floats]
    is_last: Mapping[OrganEnd, Mask]
    scans_mm: Mapping[End, Floats]
    landmarks_mm: Floats

    def stops_early(
        self,
        place: int,
        organ: str,
        end: End,
        further_mm: float,
    ) -> bool:
        """Return whether a long organ stops early at one end in one case. place: the case's.

        There, the CT goes on at least so much further, and so does the organ in nearly all others.
        """
        upwards = 1.0 if end == "above" else -1.0
        stops_mm = upwards * self.heights_mm[organ, end]
        is_last = self.is_last[organ, end]
        room_mm = upwards * self.scans_mm[end][place] - stops_mm[place]
        if not is_last[place] or room_mm < further_mm - SLACK_MM:
            return False
        past_mm = stops_mm[:, None] - upwards * self.landmarks_mm
        wanted_mm = past_mm[place] + further_mm - SLACK_MM
        others_mm, others_last = np.delete(past_mm, place, 0), np.delete(is_last, place)
        return _nearly_all_go_on(others_mm, others_last, wanted_mm)


def _nearly_all_go_on(past_mm: Floats, is_last: Mask, wanted_mm: Floats) -> bool:
    """Return whether a long organ goes on as far as wanted in nearly all cases that show it.

    Cases in which only the scan ends before that say nothing. Of the landmarks that enough cases
    have, the one counts past which the organ differs least.

    past_mm: how far it goes past each landmark, (case, landmark); NaN without the landmark.
    is_last: whether it ends there, (case,). wanted_mm: by landmark.
    """
    goes_on = past_mm >= wanted_mm
    stops = (past_mm < wanted_mm) & is_last[:, None]
    cases = (goes_on | stops).sum(axis=0)
    enough = cases >= FEWEST_OTHERS
    if not enough.any():
        return False
    shares = goes_on.sum(axis=0)[enough] / cases[enough]
    spread_mm = np.nanstd(past_mm[:, enough], axis=0)
    return bool(shares[np.argmin(spread_mm)] >= NEARLY_ALL)


def early_ends(
    cases: Sequence["Case"],
    among: Sequence["Case"],
    spoken_of: Collection[tuple[str, str]] = (),
    further_mm: Mapping[End, float] = FURTHER_MM,
) -> list[EarlyEnd]:
    """Return a finding for each long organ and end at which its contour stops early in some cases.

    Organs that leave every scan of the head and neck are judged, such as the cord. The CT must go
    on, and no person has said how far the organ is contoured at that end.

    among: all cases of the cohort, with which they are compared. spoken_of: case and organ of
    contours that are left out, since something else is said of their length. further_mm: by end,
    how much further the others go on.

    >>> from recontour.cohort import Cohort
    >>> south = list(Cohort.open("south"))
    >>> early_ends(south, south)
    []
    """
    asked = {case.id for case in cases}
    ends = _ends_of(among)
    notes = []
    for organ in _long_organs(cases):
        for end in ENDS:
            early = []
            for place, case in enumerate(among):
                if case.id not in asked or (case.id, organ) in spoken_of:
                    continue
                is_settled = case.traits.is_settled(organ, end)
                if not is_settled and ends.stops_early(place, organ, end, further_mm[end]):
                    early.append(case.id)
            if early:
                found = EarlyEnd(
                    path=among[0].path.parents[1],  # the cohort
                    organ=organ,
                    end=end,
                    cases=tuple(early),
                    further_mm=further_mm[end],
                )
                notes.append(found)
    return notes


def _long_organs(cases: Sequence["Case"]) -> list[str]:
    organs: set[str] = set()
    for case in cases:
        organs.update(case.traits.shown)
    return sorted(organ for organ in organs if organ_of(organ).goes_on)


def _ends_of(cases: Sequence["Case"]) -> _Ends:
    """Measure where organs and scans end in some cases."""
    organs: set[str] = set()
    for case in cases:
        organs.update(case.traits.shown)
    keys = [(organ, end) for organ in sorted(organs) for end in ENDS]
    heights_mm = {key: np.full(len(cases), np.nan) for key in keys}
    is_last = {key: np.zeros(len(cases), dtype=bool) for key in keys}
    scans_mm: dict[End, Floats] = {end: np.empty(len(cases)) for end in ENDS}
    for place, case in enumerate(cases):
        z_mm, half_mm = np.asarray(case.grid.slice_z_mm), case.grid.slice_thickness_mm / 2
        lower_mm, upper_mm = z_mm - half_mm, z_mm + half_mm
        scans_mm["below"][place], scans_mm["above"][place] = lower_mm[0], upper_mm[-1]
        for organ, (first, last) in case.traits.shown.items():
            heights_mm[organ, "below"][place] = lower_mm[first]
            heights_mm[organ, "above"][place] = upper_mm[last]
            for end in ENDS:
                is_last[organ, end][place] = _is_last(case, organ, end)
    shown_mm = [np.empty((len(cases), 0))]
    for organ, end in keys:
        if not organ_of(organ).goes_on:
            known_mm = np.where(is_last[organ, end], heights_mm[organ, end], np.nan)
            shown_mm.append(known_mm[:, None])
    return _Ends(heights_mm, is_last, scans_mm, np.concatenate(shown_mm, axis=1))


def _is_last(case: "Case", organ: str, end: End) -> bool:
    """Return whether a contour ends there, rather than the scan or the part that was drawn."""
    unknown = (case.traits.cut, case.traits.partly_contoured)
    return not any(end in ends.get(organ, ()) for ends in unknown)
