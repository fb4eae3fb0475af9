"""Organs that were drawn on a part of their length only, such as the cord beside the target.

Beyond the drawn part the organ is unknown, not absent. Only a person can say so: where one case's
contour is much shorter than the others', that is a doubt, and nothing is done about it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from recontour.cohort.findings import PartlyDrawn, ShortOrgan
from recontour.cohort.import_findings import UnknownPartialOrgan
from recontour.errors import NamesError
from recontour.findings import Finding
from recontour.organs import listed_organs, organ_of, organs_meant
from recontour.validation import NotAChoice
from recontour.wording import shown

if TYPE_CHECKING:
    from recontour.cohort.case import Case

End = Literal["below", "above"]
Ends = Mapping[str, tuple[End, ...]]  # by organ
ENDS: tuple[tuple[End, int], ...] = (("below", 0), ("above", -1))
BOTH: tuple[End, ...] = ("below", "above")
# Measured on 183 patients of three centres (OpenKBP): 3 contours are that short, in 3 patients.
SHORT_SHARE = 0.4  # of the others' median height
ROOM_SHARE = 0.5  # of the missing height that the CT shows beyond each end
LEAST_OTHERS = 5  # that a contour is compared with


def read_partial(
    words: Iterable[str], new_organs: Collection[str] = ()
) -> dict[str, tuple[End, ...]]:
    """Read what the user says of organs that were drawn only partly: ORGAN, or ORGAN=END.

    new_organs: names besides those that are listed.
    Returns: the ends beyond which each organ goes on.
    Raises: NamesError: another end, or an organ that nobody knows.

    >>> read_partial(["SpinalCord=below", "Esophagus"])
    {'SpinalCord': ('below',), 'Esophagus': ('below', 'above')}
    """
    ends: dict[str, tuple[End, ...]] = {}
    known = (*listed_organs(), *new_organs)
    for one in words:
        organ, equals, end = one.partition("=")
        if organ not in known:
            meant = organs_meant(organ, known)
            raise NamesError(UnknownPartialOrgan(seen=shown(organ), meant=meant))
        if equals and end not in BOTH:
            raise NamesError(NotAChoice(name="end in --partial", choices=BOTH, seen=end))
        chosen = tuple(known_end for known_end in BOTH if not equals or known_end == end)
        before = ends.get(organ, ())
        ends[organ] = tuple(known_end for known_end in BOTH if known_end in (*before, *chosen))
    return ends


def partly_drawn(cases: Sequence["Case"]) -> list[Finding]:
    """Return a finding for each organ that a person said was drawn only partly in some cases."""
    notes: list[Finding] = []
    for organ in sorted({organ for case in cases for organ in case.traits.partly_drawn}):
        having = sum(organ in case.organs for case in cases)
        names = tuple(case.id for case in cases if organ in case.traits.partly_drawn)
        notes.append(PartlyDrawn(organ=organ, cases=names, of=having))
    return notes


def short_organs(cases: Sequence["Case"], among: Sequence["Case"]) -> list[Finding]:
    """Return a finding for each organ whose contour is much shorter in some cases than in others.

    The CT must go on beyond both ends, so that the scan is not the reason. among: all cases of the
    cohort, with which they are compared.
    """
    asked = {case.id for case in cases}
    notes: list[Finding] = []
    for organ in sorted({organ for case in cases for organ in case.traits.shown}):
        having = [case for case in among if organ in case.traits.shown]
        heights_mm = {case.id: _height_mm(case, organ) for case in having}
        whole = [case for case in having if _shows_all(case, organ)]
        short = {}
        for case in having:
            others_mm = [heights_mm[other.id] for other in whole if other is not case]
            if case.id in asked and _is_short(case, organ, heights_mm[case.id], others_mm):
                short[case.id] = heights_mm[case.id]
        if short:
            usual_mm = float(np.median([heights_mm[case.id] for case in whole]))
            notes.append(
                ShortOrgan(
                    organ=organ,
                    cases=tuple(short),
                    heights_mm=tuple(short.values()),
                    usual_mm=usual_mm,
                )
            )
    return notes


def _height_mm(case: "Case", organ: str) -> float:
    """Return how much of the scan's length shows an organ."""
    first, last = case.traits.shown[organ]
    return float(case.grid.slice_thickness_mm[first : last + 1].sum())


def _shows_all(case: "Case", organ: str) -> bool:
    """Return whether others may be compared with a contour: nothing is known to cut it short.

    An organ that leaves every scan is always cut.
    """
    if organ in case.traits.partly_drawn:
        return False
    return organ_of(organ).goes_on or organ not in case.traits.cut


def _is_short(
    case: "Case",
    organ: str,
    height_mm: float,
    others_mm: Sequence[float],
) -> bool:
    is_explained = organ in case.traits.cut or organ in case.traits.partly_drawn
    if is_explained or len(others_mm) < LEAST_OTHERS:
        return False
    usual_mm = float(np.median(others_mm))
    first, last = case.traits.shown[organ]
    thickness_mm = case.grid.slice_thickness_mm
    room_mm = min(thickness_mm[:first].sum(), thickness_mm[last + 1 :].sum())
    return height_mm < SHORT_SHARE * usual_mm and room_mm >= ROOM_SHARE * (usual_mm - height_mm)
