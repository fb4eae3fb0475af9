"""What a person should know of a case's contours: misplaced organs, cut organs, the cord's width.

They are found once, when a case is stored: from the masks, and from the archive it comes from.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from recontour.cohort.findings import (
    CordCalledCanal,
    CordLikeCanal,
    CutByScan,
    DoubtfulSides,
    End,
    SharedSourceUid,
    TooFewToCompare,
)
from recontour.cohort.lengths import LengthDoubt, length_doubts
from recontour.cohort.partly import END_SLICES, FEWEST_OTHERS, Ends, partly_contoured
from recontour.findings import Finding
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.organs import misplaced_organs, names_canal, organ_of
from recontour.organs.findings import MisplacedOrgan, SwappedSides

if TYPE_CHECKING:
    from recontour.cohort.case import Case

CORD = "SpinalCord"
# A wider cord is probably the canal. Measured on 183 patients of three centres (OpenKBP), whose
# median is 122 and 132 mm2 where the cord is drawn, and 198 mm2 where the canal is.
WIDEST_CORD_MM2 = 180.0


@dataclass(frozen=True, slots=True)
class Traits:
    """What a person should know of a case's contours.

    misplaced: the organs that lie on the other side than their names say; of a swapped pair, the
    left one. sides_confirmed: a person said that they are named correctly. cut: by organ, the ends
    of the scan that it reaches, so that it may go on beyond. cord_mm2: SpinalCord's area on a
    slice, the median of those that show it; None without one. cord_confirmed: a person said that
    what is called the cord is the cord, and not the canal. partly_contoured: by organ, the ends
    beyond which it goes on in the CT, but is not contoured, as a person said. contoured_whole:
    likewise, the ends beyond which it does not, as a person said. shown: by organ, the first and
    last slice that show it.
    shares_uid: another structure set, with other content, had the UID of the one that was taken.
    """

    misplaced: tuple[str, ...] = ()
    sides_confirmed: bool = False
    cut: Mapping[str, tuple[End, ...]] = field(default_factory=dict)
    cord_mm2: float | None = None
    cord_confirmed: bool = False
    partly_contoured: Ends = field(default_factory=dict)
    contoured_whole: Ends = field(default_factory=dict)
    shown: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    shares_uid: bool = False

    @property
    def has_doubtful_sides(self) -> bool:
        """Return whether left and right look swapped, and nobody has said that they are not."""
        return bool(self.misplaced) and not self.sides_confirmed

    def is_settled(self, organ: str, end: End) -> bool:
        """Return whether a person said if an organ goes on beyond one end of its contours."""
        said = (self.partly_contoured, self.contoured_whole)
        return any(end in ends.get(organ, ()) for ends in said)


NO_TRAITS = Traits()
NO_ENDS: Ends = MappingProxyType({})


def traits_of(
    masks: Mapping[str, Mask],
    grid: Grid,
    partial: Ends = NO_ENDS,
) -> Traits:
    """Find the traits of a case from its masks, (slice, row, column), by TG-263 name.

    partial: by organ, the ends beyond which it goes on without contours, as a person said.
    """
    middles_x_mm = {}
    cut: dict[str, tuple[End, ...]] = {}
    partly: dict[str, tuple[End, ...]] = {}
    shown: dict[str, tuple[int, int]] = {}
    for organ, mask in masks.items():
        if not mask.any():
            continue
        middles_x_mm[organ] = grid.middle_x_mm(mask)
        reached = tuple(end for end, index in END_SLICES.items() if mask[index].any())
        if reached:
            cut[organ] = reached
        # Nothing lies beyond an end of the scan.
        goes_on = tuple(end for end in partial.get(organ, ()) if end not in reached)
        if goes_on:
            partly[organ] = goes_on
        slices = np.flatnonzero(mask.any(axis=(1, 2)))
        shown[organ] = int(slices[0]), int(slices[-1])
    return Traits(
        misplaced=tuple(map(_organ_in, misplaced_organs(middles_x_mm))),
        cut=cut,
        cord_mm2=_slice_mm2(masks[CORD], grid) if CORD in masks else None,
        partly_contoured=partly,
        shown=shown,
    )


def _organ_in(found: SwappedSides | MisplacedOrgan) -> str:
    """Return the organ that lies on the other side; of a swapped pair, the left one."""
    if isinstance(found, SwappedSides):
        return found.left
    assert found.organ
    return found.organ


def as_stored(traits: Traits) -> dict[str, object]:
    """Return what case.json holds of traits: what there is to say."""
    return {name: value for name, value in asdict(traits).items() if value}


def _slice_mm2(mask: Mask, grid: Grid) -> float | None:
    """Return the median area of a mask on the slices that show it; None for an empty mask."""
    pixels = np.array(list(map(np.count_nonzero, mask)))
    shown = pixels[pixels > 0]
    return float(np.median(shown)) * grid.pixel_mm2 if shown.size else None


def notes_on_traits(
    cases: Sequence["Case"],
    among: Sequence["Case"],
    lengths: Sequence[LengthDoubt] | None = None,
) -> list[Finding]:
    """Return what a person should know of the contours of some cases.

    among: all cases of the cohort that can be read. lengths: what `length_doubts` gave of them, if
    somebody has asked.
    """
    notes: list[Finding] = list(doubtful_sides(cases))
    notes += cut_organs(cases)
    notes += partly_contoured(cases)
    notes += length_doubts(cases, among) if lengths is None else lengths
    notes += canals(cases)
    notes += wide_cords(cases)
    notes += shared_source_uids(cases)
    return notes


def doubtful_sides(cases: Iterable["Case"], *, left_out: bool = False) -> tuple[DoubtfulSides, ...]:
    """Return a finding if organs lie on the other side than their names say in some of the cases.

    left_out: these cases are not used.
    """
    doubtful = [case for case in cases if case.traits.has_doubtful_sides]
    if not doubtful:
        return ()
    organs: set[str] = set()
    for case in doubtful:
        organs.update(case.traits.misplaced)
    found = DoubtfulSides(
        path=doubtful[0].path.parents[1],  # the cohort
        cases=tuple(case.id for case in doubtful),
        on_the_right=tuple(organ for organ in sorted(organs) if organ_of(organ).side == "L"),
        on_the_left=tuple(organ for organ in sorted(organs) if organ_of(organ).side == "R"),
        left_out=left_out,
    )
    return (found,)


def cut_organs(cases: Sequence["Case"]) -> list[Finding]:
    """Return a finding for each organ and end of the scan that cuts it in some of the cases.

    Organs that leave every scan of the head and neck, such as the cord, do not count.
    """
    notes: list[Finding] = []
    organs = sorted({organ for case in cases for organ in case.traits.cut})
    for organ in organs:
        if organ_of(organ).goes_on:
            continue
        having = sum(organ in case.organs for case in cases)
        for end in END_SLICES:
            names = tuple(case.id for case in cases if end in case.traits.cut.get(organ, ()))
            if names:
                notes.append(CutByScan(organ=organ, end=end, cases=names, of=having))
    return notes


def canals(cases: Iterable["Case"]) -> tuple[CordCalledCanal, ...]:
    """Return a finding if the ROI that became the cord is called a canal in some of the cases.

    Cases whose cord a person has confirmed do not count.
    """
    named = []
    for case in cases:
        if is_called_canal(case) and not case.traits.cord_confirmed:
            named.append(case)
    if not named:
        return ()
    found = CordCalledCanal(
        path=named[0].path.parents[1],  # the cohort
        organ=CORD,
        cases=tuple(case.id for case in named),
    )
    return (found,)


def wide_cords(cases: Iterable["Case"]) -> tuple[CordLikeCanal, ...]:
    """Return a finding if what is called the cord is as wide as the canal in some of the cases.

    Cases whose cord a person has confirmed do not count.
    """
    with_cord = [case for case in cases if case.traits.cord_mm2 is not None]
    wide = []
    for case in with_cord:
        if has_wide_cord(case) and not case.traits.cord_confirmed:
            wide.append(case)
    if not wide:
        return ()
    found = CordLikeCanal(
        path=wide[0].path.parents[1],  # the cohort
        organ=CORD,
        cases=tuple(case.id for case in wide),
        of=len(with_cord),
        median_mm2=float(np.median([case.traits.cord_mm2 for case in wide])),
        limit_mm2=WIDEST_CORD_MM2,
    )
    return (found,)


def is_called_canal(case: "Case") -> bool:
    """Return whether the structure set calls a canal what became the cord."""
    return names_canal(case.roi_names.get(CORD, ""))


def has_wide_cord(case: "Case") -> bool:
    """Return whether what is called the cord is as wide as the canal."""
    area_mm2 = case.traits.cord_mm2
    return area_mm2 is not None and area_mm2 > WIDEST_CORD_MM2


def too_few_to_compare(among: Sequence["Case"]) -> tuple[TooFewToCompare, ...]:
    """Return a finding if a cohort has cases, but too few to compare their contours.

    Neither short contours, early ends nor unusual sizes can be noticed then. among: all its cases.
    """
    if not among or len(among) > FEWEST_OTHERS:
        return ()
    return (TooFewToCompare(cases=len(among), needed=FEWEST_OTHERS + 1),)


def shared_source_uids(cases: Iterable["Case"]) -> tuple[SharedSourceUid, ...]:
    """Return a finding if another structure set had the UID of the one taken in some cases."""
    named = tuple(case.id for case in cases if case.traits.shares_uid)
    return (SharedSourceUid(cases=named),) if named else ()
