"""Organs that are partly contoured, such as the cord beside the target only.

Beyond the contoured part the organ is unknown, not absent. Only a person can say so: where one
case's contour is much shorter than the others', that is a doubt, and nothing is done about it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import numpy as np

from recontour.cohort.findings import End, PartlyContoured, ShortOrgan
from recontour.cohort.import_findings import (
    ExtentOption,
    PartialForeseen,
    PartialNotMet,
    PartialWithoutEffect,
    UnknownPartialOrgan,
)
from recontour.errors import NamesError
from recontour.findings import Finding
from recontour.geometry.arrays import Floats
from recontour.organs import listed_organs, organ_of, organs_meant
from recontour.validation import NotAChoice
from recontour.wording import shown

if TYPE_CHECKING:
    from recontour.cohort.case import Case
    from recontour.cohort.traits import Traits

Ends = Mapping[str, tuple[End, ...]]  # by organ
ENDS: tuple[End, ...] = get_args(End)
END_SLICES: Mapping[End, int] = {"below": 0, "above": -1}
# Measured on 183 patients of three centres (OpenKBP): 3 contours are that short, in 3 patients.
SHORT_SHARE = 0.4  # of the others' median extent
ROOM_SHARE = 0.5  # of what is missing, that the CT shows beyond each end
FEWEST_OTHERS = 5  # cases that an organ's length or size is compared with


def read_ends(
    words: Iterable[str],
    new_organs: Collection[str] = (),
    option: ExtentOption = "--partial",
) -> Ends:
    """Read of which organs and ends a person says something: ORGAN, or ORGAN=END.

    new_organs: names besides those that are listed. option: with which it is said.
    Returns: by organ, its ends.
    Raises: NamesError: another end, or an organ that nobody knows.

    >>> read_ends(["SpinalCord=below", "Esophagus"])
    {'SpinalCord': ('below',), 'Esophagus': ('below', 'above')}
    """
    said: Ends = {}
    known = (*listed_organs(), *new_organs)
    for one in words:
        organ, equals, end = one.partition("=")
        if organ not in known:
            meant = organs_meant(organ, known)
            found = UnknownPartialOrgan(option=option, seen=shown(organ), meant=meant)
            raise NamesError(found)
        if equals and end not in ENDS:
            raise NamesError(NotAChoice(name=f"end in {option}", choices=ENDS, seen=end))
        chosen = tuple(known_end for known_end in ENDS if not equals or known_end == end)
        said = united(said, {organ: chosen})
    return said


def united(one: Ends, other: Ends) -> Ends:
    """Return the ends of both.

    >>> united({"SpinalCord": ("above",)}, {"SpinalCord": ("below",), "Larynx": ("above",)})
    {'SpinalCord': ('below', 'above'), 'Larynx': ('above',)}
    """
    both = dict(one)
    for organ, ends in other.items():
        either = (*one.get(organ, ()), *ends)
        both[organ] = tuple(end for end in ENDS if end in either)
    return both


def without(one: Ends, other: Ends) -> Ends:
    """Return the ends of one that the other lacks.

    >>> without({"SpinalCord": ("below", "above")}, {"SpinalCord": ("above",)})
    {'SpinalCord': ('below',)}
    """
    left = {}
    for organ, ends in one.items():
        kept = tuple(end for end in ends if end not in other.get(organ, ()))
        if kept:
            left[organ] = kept
    return left


@dataclass(frozen=True, slots=True)
class PartialUse:
    """What becomes of the organs that a person said are partly contoured.

    said: by organ, the ends beyond which it goes on. having, unknown: in how many cases an organ is
    contoured, and in how many of these any slice becomes unknown.
    """

    said: Ends
    having: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def meet(self, organs: Collection[str], partly: Collection[str]) -> None:
        """Count a case. organs: that it has. partly: those that are unknown on some slices."""
        self.having.update(organ for organ in self.said if organ in organs)
        self.unknown.update(organ for organ in self.said if organ in partly)

    def without_effect(self) -> list[Finding]:
        """Return a finding on the organs that no case has, and on each that stays as it was."""
        notes: list[Finding] = []
        missed = tuple(organ for organ in self.said if not self.having[organ])
        if missed:
            notes.append(PartialNotMet(organs=missed))
        for organ, ends in self.said.items():
            cases = self.having[organ]
            if cases and not self.unknown[organ]:
                notes.append(PartialWithoutEffect(organ=organ, ends=ends, cases=cases))
        return notes

    def foreseen(self) -> list[Finding]:
        """Return what would become of each organ in an import."""
        notes: list[Finding] = []
        for organ, ends in self.said.items():
            if self.unknown[organ]:
                found = PartialForeseen(
                    organ=organ,
                    ends=ends,
                    structure_sets=self.unknown[organ],
                    of=self.having[organ],
                )
                notes.append(found)
        return [*notes, *self.without_effect()]


def partly_contoured(cases: Sequence["Case"]) -> list[Finding]:
    """Return a finding for each organ that a person said is partly contoured in some cases."""
    organs: set[str] = set()
    for case in cases:
        organs.update(case.traits.partly_contoured)
    notes: list[Finding] = []
    for organ in sorted(organs):
        having = sum(organ in case.organs for case in cases)
        names = tuple(case.id for case in cases if organ in case.traits.partly_contoured)
        notes.append(PartlyContoured(organ=organ, cases=names, of=having))
    return notes


def short_organs(cases: Sequence["Case"], among: Sequence["Case"]) -> list[ShortOrgan]:
    """Return a finding for each organ whose contour is much shorter in some cases than in others.

    The CT must go on beyond both ends, so that the scan is not the reason, and no person has said
    that this is all of the organ. among: all cases of the cohort, with which they are compared.
    """
    asked = {case.id for case in cases}
    organs: set[str] = set()
    for case in cases:
        organs.update(case.traits.shown)
    notes = []
    for organ in sorted(organs):
        whole_mm = _comparable_mm(among, organ)
        short_mm = {}
        for case in among:
            if case.id in asked and _is_short(case, organ, whole_mm):
                short_mm[case.id] = shown_mm(case, organ)
        if short_mm:
            found = ShortOrgan(
                path=among[0].path.parents[1],  # the cohort
                organ=organ,
                cases=tuple(short_mm),
                extents_mm=tuple(short_mm.values()),
                usual_mm=float(np.median(list(whole_mm.values()))),
            )
            notes.append(found)
    return notes


def extent_mm(thickness_mm: Floats, first: int, last: int) -> float:
    """Return the stretch of z that some slices take up, in mm. first, last: both included.

    >>> extent_mm(np.array([3.0, 3.0, 2.0]), 1, 2)
    5.0
    """
    return float(thickness_mm[first : last + 1].sum())


def shown_mm(case: "Case", organ: str) -> float:
    """Return the stretch of z from the lowest to the highest slice that shows an organ, in mm."""
    first, last = case.traits.shown[organ]
    return extent_mm(case.grid.slice_thickness_mm, first, last)


def is_whole(traits: "Traits", organ: str) -> bool:
    """Return whether all of an organ may be there: neither the scan nor the contour ends in it."""
    return organ not in traits.cut and organ not in traits.partly_contoured


def _comparable_mm(among: Sequence["Case"], organ: str) -> dict[str, float]:
    """Return the extent of each contour that others may be compared with, by case.

    An organ that leaves every scan is always cut; its extent counts all the same.
    """
    extents_mm = {}
    for case in among:
        traits = case.traits
        leaves_scan = organ_of(organ).goes_on and organ not in traits.partly_contoured
        if organ in traits.shown and (leaves_scan or is_whole(traits, organ)):
            extents_mm[case.id] = shown_mm(case, organ)
    return extents_mm


def _is_short(
    case: "Case",
    organ: str,
    whole_mm: Mapping[str, float],
) -> bool:
    """Return whether a contour is much shorter than the others. whole_mm: theirs, by case."""
    traits = case.traits
    is_settled = all(traits.is_settled(organ, end) for end in ENDS)
    is_explained = is_settled or not is_whole(traits, organ)
    others_mm = [mm for other, mm in whole_mm.items() if other != case.id]
    if organ not in traits.shown or is_explained or len(others_mm) < FEWEST_OTHERS:
        return False
    usual_mm = float(np.median(others_mm))
    own_mm = shown_mm(case, organ)
    first, last = traits.shown[organ]
    thickness_mm = case.grid.slice_thickness_mm
    room_mm = min(thickness_mm[:first].sum(), thickness_mm[last + 1 :].sum())
    return own_mm < SHORT_SHARE * usual_mm and room_mm >= ROOM_SHARE * (usual_mm - own_mm)
