"""Sort the slices of one CT series by acquisition (pass), and see whether acquisitions overlap.

A series may hold several acquisitions: one per rotation of the tube, or the brain and then the
neck. They make one CT if they follow one another. If they overlap, the patient may have moved
between them, and stacked by position they make a CT of nobody.
docs/decisions/026-passes.md gives the reason for each rule.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from recontour.dicom.acquisition import (
    ACQUIRED,
    ACQUISITION_TIME,
    ATTRIBUTES,
    CONTENT_TIME,
    RECONSTRUCTED,
    Marks,
    marks_of,
)
from recontour.dicom.archive import ENHANCED_CT
from recontour.dicom.findings import NonAxialImage
from recontour.dicom.reading import (
    PIXEL_GROUP,
    functional_group,
    numbers,
    read_header,
    reading,
    sop_class_uid,
    text,
)
from recontour.errors import DicomError

Order = tuple[bool, float, str]
Positions = npt.NDArray[np.float64]
Frame = tuple[Path, int]  # an image of a file: from 1; 0 in a single-frame file
KindOfPasses = Literal["acquisitions", "reconstructions"]
Groups = list[list[int]]  # of slices, each by their indices, ascending
Ways = Iterator[tuple[str, Groups]]  # to part slices into groups: by which mark, and the groups

SAME_PLACE_MM = 0.1  # slices closer than this share a position: no scanner's steps are that small
# Marks that rise from image to image.
RISING = ("AcquisitionNumber", "FrameAcquisitionNumber", ACQUISITION_TIME)
INSTANCE_NUMBER = "InstanceNumber"
HOLE = 1.75  # times the step beside it: a slice is missing there
JUMP = 3  # times the usual step: what comes after it begins another run
UNEVEN = 0.15  # of a step: how much the steps of one acquisition may differ
SHORTEST_CHAIN = 3  # slices
SHORTEST_RUN = 4  # slices
MOST_CHAINS = 4
MOST_MEETING = 5000  # pairs of acquisitions of one series: a hundred of them, each with each
# Slices alternate if enough of them in a row are this much more like the next but one.
SHORTEST_ALTERNATION = 4
ALTERNATING = 0.7
NOISE_HU = 1.0  # slices that differ by less on average do not count
SAMPLED = 4  # every fourth pixel in each direction is enough to compare slices


@dataclass(frozen=True, slots=True)
class Overlap:
    """Acquisitions that overlap.

    passes: the slices of each, as indices into the series in order of position, the lowest first.
    from_mm, to_mm: the stretch of z that several cover. told_by: the mark that tells them apart;
    empty if only their positions do.
    """

    passes: tuple[tuple[int, ...], ...]
    from_mm: float
    to_mm: float
    told_by: str = ""

    @property
    def kind(self) -> KindOfPasses:
        """Return what overlaps; reconstructions may be of one acquisition."""
        return "reconstructions" if self.told_by in RECONSTRUCTED else "acquisitions"


# What distinguishes acquisitions


def overlap_of(z_mm: Sequence[float], marks: Sequence[Marks]) -> Overlap | None:
    """Return the acquisitions that overlap by what their images say; None if none do.

    z_mm: of each slice, ascending. marks: of each slice, in the same order.
    """
    z = np.asarray(z_mm, dtype=float)
    for name, groups in _ways_to_part(z, marks):
        found = _overlap(groups, z, name)
        if found is not None:
            return found
    return None


def overlap_of_positions(z_mm: Sequence[float]) -> Overlap | None:
    """Return the acquisitions that overlap by their positions alone; None if none do.

    Each has even steps, and together they are uneven. Slices half way between those of another
    acquisition look like a finer spacing, and are not found here.

    >>> overlap_of_positions([0, 3, 6, 7, 9, 10, 12, 13, 16, 19])
    Overlap(passes=((0, 1, 2, 4, 6), (3, 5, 7, 8, 9)), from_mm=7.0, to_mm=12.0, told_by='')
    """
    z = np.asarray(z_mm, dtype=float)
    found = _overlap(_chains(z), z, "")
    if found is None:
        return None
    is_within = (z >= found.from_mm - SAME_PLACE_MM) & (z <= found.to_mm + SAME_PLACE_MM)
    gaps = np.diff(z[is_within])
    is_even = len(gaps) == 0 or np.ptp(gaps) <= UNEVEN * gaps.mean()
    return None if is_even else found


def dense_stretch(z_mm: Sequence[float], marks: Sequence[Marks]) -> Overlap | None:
    """Return two sets of slices half a step apart, with the coarse steps before and after them.

    They are a finer spacing or two acquisitions. Only if SliceThickness stays that of the coarse
    steps is there a doubt; otherwise return None.
    """
    z = np.asarray(z_mm, dtype=float)
    chains = _chains(z)
    found = _overlap(chains, z, "") if len(chains) == 2 else None
    if found is None or found.from_mm <= z[1] or found.to_mm >= z[-2]:
        return None
    thicknesses = {said.get("SliceThickness", "") for said in marks}
    if len(thicknesses) > 1:
        return None
    is_number, thickness_mm, _ = _order(thicknesses.pop())
    step_mm = float(np.diff(z).max())
    is_coarse = is_number and abs(thickness_mm - step_mm) <= UNEVEN * step_mm
    return found if is_coarse else None


def overlap_of_pixels(hu: npt.NDArray[Any], z_mm: Sequence[float]) -> Overlap | None:
    """Return the acquisitions that overlap by their pixels alone; None if none do.

    Each slice is more like the next but one than like the next.
    hu: (slice, row, column).
    """
    sampled = hu[:, ::SAMPLED, ::SAMPLED]
    few = np.asarray(sampled, dtype=np.float32)
    to_next = _mean_difference(few[1:], few[:-1])
    to_next_but_one = _mean_difference(few[2:], few[:-2])
    least_to_next = np.minimum(to_next[1:], to_next[:-1])
    alternates = (least_to_next > NOISE_HU) & (to_next_but_one < ALTERNATING * least_to_next)
    first, count = _longest(alternates)
    if count < SHORTEST_ALTERNATION:
        return None
    last = first + count + 1
    one = tuple(range(first, last + 1, 2))
    other = tuple(range(first + 1, last + 1, 2))
    return Overlap((one, other), z_mm[first], z_mm[last], "what they show")


def _mean_difference(some: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return how much each slice differs from another on average, in HU."""
    difference: npt.NDArray[Any] = np.abs(some - others).mean(axis=(1, 2))
    return difference


def _longest(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Return where the longest row of set flags begins, and its length."""
    padded = np.concatenate([[False], flags, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    begins = edges[::2]
    ends = edges[1::2]
    if not len(begins):
        return 0, 0
    longest = int((ends - begins).argmax())
    return int(begins[longest]), int(ends[longest] - begins[longest])


# Of files


def passes_of(files: Sequence[Path]) -> tuple[Overlap, dict[Frame, int]] | None:
    """Return the acquisitions of a series that overlap, and the number of each image's, from 1.

    Return None if none overlap by what the files say, or if a file does not say where it lies.
    """
    found: list[tuple[float, Frame, Marks]] = []
    for path in files:
        try:
            with reading(path):
                found.extend(_images_of(path))
        except DicomError:
            return None
    found.sort(key=itemgetter(0, 1))
    z_mm = list(map(itemgetter(0), found))
    marks = list(map(itemgetter(2), found))
    overlap = overlap_of(z_mm, marks) or overlap_of_positions(z_mm)
    if overlap is None:
        return None
    numbered = {}
    for number, slices in enumerate(overlap.passes, start=1):
        for index in slices:
            numbered[found[index][1]] = number
    return overlap, numbered


def _images_of(path: Path) -> Iterator[tuple[float, Frame, Marks]]:
    """Yield the images of a CT file: where each lies, which it is, and what it says.

    Localisers are skipped.
    Raises: DicomError: one does not say where it lies, or is not axial.
    """
    place = ("ImagePositionPatient", "ImageOrientationPatient")
    header = read_header(path, ("SOPClassUID", *ATTRIBUTES, *place))
    if sop_class_uid(header) not in ENHANCED_CT:
        yield _height_mm(header, header, path), (path, 0), marks_of(header)
        return
    frames = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
    header = read_header(path, (*ATTRIBUTES, *frames), until=PIXEL_GROUP)
    for number, frame in enumerate(header.get("PerFrameFunctionalGroupsSequence") or (), start=1):
        position = functional_group(header, frame, "PlanePositionSequence", path)
        orientation = functional_group(header, frame, "PlaneOrientationSequence", path)
        kind = functional_group(header, frame, "CTImageFrameTypeSequence", path)
        content = (frame.get("FrameContentSequence") or [Dataset()])[0]
        if "LOCALIZER" not in text(kind, "FrameType"):
            marks = {**marks_of(header, content), INSTANCE_NUMBER: str(number)}
            yield _height_mm(position, orientation, path), (path, number), marks


def _height_mm(position: Dataset, orientation: Dataset, path: Path) -> float:
    """Return the z of an axial image.

    Raises: DicomError: it has none, or is not axial.
    """
    axes = numbers(orientation, "ImageOrientationPatient", 6, path)
    if max(abs(axes[2]), abs(axes[5])) > 0.5:
        raise DicomError(NonAxialImage(path=path))
    return numbers(position, "ImagePositionPatient", 3, path)[2]


# Ways to part the slices of a series into acquisitions


def _ways_to_part(z: Positions, marks: Sequence[Marks]) -> Ways:
    """Yield the ways to part the slices into acquisitions: by which mark, and the slices of each.

    With too many groups, the mark differs from image to image, not by acquisition.
    """
    yield from _ways_by_order(z, marks)
    for name in (*ACQUIRED, *RECONSTRUCTED):
        groups = _groups(marks, name)
        if len(groups) <= max(2, len(z) // 3):
            yield name, groups
    yield from _ways_by_storage(z, marks)


def _ways_by_order(z: Positions, marks: Sequence[Marks]) -> Ways:
    """Yield the ways to part the slices by marks that rise within an acquisition."""
    for name in RISING:
        runs = _runs(z, marks, name)
        if len(runs) <= max(MOST_CHAINS, len(z) // 8):
            yield name, runs


def _ways_by_storage(z: Positions, marks: Sequence[Marks]) -> Ways:
    """Yield the ways to part the slices by the time and order of storing: a weak sign."""
    runs = _runs(z, marks, CONTENT_TIME)
    if _are_few_and_long(runs):
        yield CONTENT_TIME, runs
    restarted = _restarted(marks)
    if len(restarted) == 1:
        runs = _runs(z, marks, INSTANCE_NUMBER)
        if _are_few_and_long(runs):
            yield INSTANCE_NUMBER, runs
    elif _are_few_and_long(restarted) and _are_counted(restarted, marks):
        yield INSTANCE_NUMBER, restarted


def _are_few_and_long(groups: Groups) -> bool:
    return len(groups) <= MOST_CHAINS and min(map(len, groups)) >= SHORTEST_RUN


def _groups(marks: Sequence[Marks], name: str) -> Groups:
    """Group the slices that have the same mark."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, said in enumerate(marks):
        groups[said.get(name, "")].append(index)
    return list(groups.values())


def _runs(
    z: Positions,
    marks: Sequence[Marks],
    name: str,
) -> Groups:
    """Take the slices in the order of what they say, and part them where they turn or jump.

    Slices with equal marks are taken upwards or downwards, in the order that parts them less.
    """
    said = [_order(one.get(name, "")) for one in marks]
    if len(set(said)) == 1:
        return [list(range(len(z)))]
    slices = range(len(z))
    upwards = sorted(slices, key=lambda index: (said[index], z[index]))
    downwards = sorted(slices, key=lambda index: (said[index], -z[index]))
    runs_upwards = _parted(upwards, z)
    runs_downwards = _parted(downwards, z)
    return min(runs_upwards, runs_downwards, key=len)


def _parted(order: Sequence[int], z: Positions) -> Groups:
    steps = np.diff(z[list(order)])
    longest = JUMP * float(np.median(np.abs(steps)))
    runs = [[order[0]]]
    heading = 0.0
    for index, step in zip(order[1:], steps, strict=True):
        turns = heading * step < 0
        if turns or not SAME_PLACE_MM <= abs(step) <= longest:
            runs.append([])
            heading = 0.0
        else:
            heading = float(step)
        runs[-1].append(index)
    return list(map(sorted, runs))


def _restarted(marks: Sequence[Marks]) -> Groups:
    """Part the slices where InstanceNumbers are given again, as if each acquisition counts from 1.

    Of slices with one number the lowest is in the first part, the next in the second.
    """
    met: Counter[Order] = Counter()
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for index, said in enumerate(marks):
        number = _order(said.get(INSTANCE_NUMBER, ""))
        parts[met[number]].append(index)
        met[number] += 1
    return list(parts.values())


def _are_counted(parts: Groups, marks: Sequence[Marks]) -> bool:
    """Return whether the InstanceNumbers of each part rise, or fall, from slice to slice."""
    for part in parts:
        said = [_order(marks[index].get(INSTANCE_NUMBER, "")) for index in part]
        ascending = sorted(said)
        if said not in (ascending, ascending[::-1]):
            return False
        if not all(map(itemgetter(0), said)):
            return False
    return True


def _order(said: str) -> Order:
    """Return a sort key: numbers by their size, dates and times from the earliest.

    Its first item says whether this is a number.
    """
    plain = said.replace(":", "")
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]*)?", plain):
        return True, float(plain), ""
    return False, 0.0, plain


def _chains(z: Positions) -> Groups:
    """Part the slices into a few sets of even steps, each from the lowest that is left.

    Return none if that cannot be, or if two slices share a position: either may belong to either.
    """
    if len(z) < 2 or np.diff(z).min() < SAME_PLACE_MM:
        return []
    left = list(range(len(z)))
    chains: Groups = []
    while left and len(chains) < MOST_CHAINS:
        chain = _first_chain(z, left)
        if not chain:
            return []
        chains.append(chain)
        left = sorted(set(left).difference(chain))
    return [] if left else chains


def _first_chain(z: Positions, left: Sequence[int]) -> list[int]:
    """Return the slices that lie in even steps from the lowest on, in the narrowest such steps."""
    for index in left[1 : MOST_CHAINS + 2]:
        chain = _chain(z, left, z[index] - z[left[0]])
        if len(chain) >= SHORTEST_CHAIN:
            return chain
    return []


def _chain(
    z: Positions,
    left: Sequence[int],
    step: float,
) -> list[int]:
    """Return the slices that follow the lowest in such steps, up to the first that is missing."""
    positions = z[list(left)]
    chain = [left[0]]
    while True:
        expected = z[chain[-1]] + step
        nearest = int(np.abs(positions - expected).argmin())
        if abs(positions[nearest] - expected) > SAME_PLACE_MM or left[nearest] <= chain[-1]:
            return chain
        chain.append(left[nearest])


# Overlap


def _overlap(
    groups: Groups,
    z: Positions,
    name: str,
) -> Overlap | None:
    """Return the groups of slices that overlap; None if none do."""
    ordered = sorted(groups, key=lambda group: (z[group[0]], group[0]))
    overlapping: set[int] = set()
    starts, ends = [], []
    for lower, upper in islice(_meeting(ordered, z), MOST_MEETING):
        one, other = z[ordered[lower]], z[ordered[upper]]
        if _do_overlap(one, other):
            overlapping.update((lower, upper))
            starts.append(other[0])
            ends.append(min(one[-1], other[-1]))
    if not overlapping:
        return None
    passes = tuple(tuple(ordered[index]) for index in sorted(overlapping))
    return Overlap(passes, float(min(starts)), float(max(ends)), name)


def _meeting(ordered: Groups, z: Positions) -> Iterator[tuple[int, int]]:
    """Yield the pairs of groups whose stretches of z meet.

    ordered: groups, the one that begins lowest first.
    """
    for one, group in enumerate(ordered):
        for other in range(one + 1, len(ordered)):
            if z[ordered[other][0]] > z[group[-1]] + SAME_PLACE_MM:
                break
            yield one, other


def _do_overlap(one: Positions, other: Positions) -> bool:
    """Return whether slices of one acquisition lie among those of the other.

    If they lie in its holes alone, they repeat slices that failed, and belong to it.
    one, other: positions, ascending.
    """
    if len(one) == len(other) == 1:
        return False
    inner_one = _within(one, other)
    inner_other = _within(other, one)
    if not len(inner_one) and not len(inner_other):
        return False
    return not (_fill(inner_one, other, one) or _fill(inner_other, one, other))


def _within(some: Positions, others: Positions) -> Positions:
    is_within = (some >= others[0] - SAME_PLACE_MM) & (some <= others[-1] + SAME_PLACE_MM)
    found: Positions = some[is_within]
    return found


def _fill(some: Positions, others: Positions, own: Positions) -> bool:
    """Return whether there are some, and all lie in holes of the others.

    own: all slices of their acquisition.
    """
    return len(some) > 0 and all(_is_in_hole(place, others, own) for place in some)


def _is_in_hole(place: float, others: Positions, own: Positions) -> bool:
    """Return whether a slice lies where one of the others is missing."""
    above = int(np.searchsorted(others, place))
    is_among = 0 < above < len(others)
    if not is_among or np.abs(others - place).min() < SAME_PLACE_MM:
        return False
    gaps = np.diff(others)
    hole = above - 1
    before = gaps[max(hole - 1, 0) : hole]
    after = gaps[hole + 1 : hole + 2]
    beside = [*before, *after]
    if not beside and len(own) > 1:
        beside = [np.median(np.diff(own))]
    return bool(gaps[hole] >= HOLE * min(beside, default=0.0))
