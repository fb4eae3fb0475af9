"""Several acquisitions in one CT series: what tells them apart, and whether they overlap.

A series may hold several acquisitions: one for each rotation of the tube, or the brain and after it
    the neck. They make one CT where they follow one another. Where they overlap, the patient may
    have moved between them, and stacked by position alone they make a CT of nobody.
    docs/decisions/026-passes.md says why each rule is as it is.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from recontour.dicom.archive import ENHANCED_CT
from recontour.dicom.plain import tag_of
from recontour.dicom.reading import (
    functional_group,
    numbers,
    read_header,
    reading,
    sop_class_uid,
    text,
)
from recontour.errors import DicomError

Marks = Mapping[str, str]  # what an image says of its acquisition, by keyword
Order = tuple[bool, float, str]
Positions = npt.NDArray[np.float64]
Frame = tuple[Path, int]  # an image of a file: from 1, 0 of a single-frame file

SAME_PLACE_MM = (
    0.1  # slices closer than this lie at one position: no scanner's steps are that small
)
ACQUIRED = (  # images that differ in one of these were acquired apart
    "AcquisitionNumber",
    "AcquisitionUID",
    "IrradiationEventUID",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "FrameAcquisitionNumber",
    "NominalPercentageOfCardiacPhase",
    "StackID",
    "KVP",
    "ScanOptions",
    "SpiralPitchFactor",
    "ContrastBolusAgent",
    "ProtocolName",
    "SeriesNumber",
    "SeriesDescription",
    "SeriesTime",
    "ImageComments",
    "PatientPosition",
    "DeviceSerialNumber",
)
RECONSTRUCTED = (  # they may be two reconstructions of one acquisition
    "ConvolutionKernel",
    "FilterType",
    "ImageType",
    "SliceThickness",
    "ReconstructionDiameter",
    "PixelSpacing",
    "Rows",
    "Columns",
)
MEASURED = ("KVP", "SpiralPitchFactor", "SliceThickness", "ReconstructionDiameter", "PixelSpacing")
IN_ORDER = (
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "acquisition time",
)  # they rise from image to image
LATE = (
    "content time",
    "InstanceNumber",
)  # they rise as well, but with other things than the acquisition alone
TIMES = {  # what a time is made of; the first that is there counts
    "acquisition time": (
        ("AcquisitionDateTime",),
        ("FrameAcquisitionDateTime",),
        ("AcquisitionDate", "AcquisitionTime"),
    ),
    "content time": (("ContentDate", "ContentTime"),),
}
OF_TIMES = tuple(keyword for ways in TIMES.values() for way in ways for keyword in way)
MARKS = (*ACQUIRED, *RECONSTRUCTED, *OF_TIMES, "InstanceNumber")  # all that is looked at
PLACE = ("ImagePositionPatient", "ImageOrientationPatient")
FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
PIXELS = 0x7FE00000
HOLE = 1.75  # times the step beside it: there a slice is missing
JUMP = 3  # times the usual step: what comes after it begins another run
UNEVEN = 0.15  # of the mean gap: what gaps may differ by in one acquisition
LEAST_OF_CHAIN, LEAST_OF_RUN = 3, 4  # slices
MOST_CHAINS = 4
MOST_COMPARED = 5000  # pairs of acquisitions of one series: a hundred of them, each with each
LEAST_ALTERNATING = 4  # slices in a row that are more like the next but one than like the next
ALTERNATING = 0.7  # how much more
LEAST_CHANGE_HU = 1.0  # on average: less is noise
EVERY = 4  # pixel in each direction is enough to compare slices


@dataclass(frozen=True, slots=True)
class Overlap:
    """Acquisitions that overlap.

    passes: the slices of each, as indices into the series in order of position, the lowest first.
        told_by: what tells them apart, empty if only their positions do. from_mm, to_mm: the
        stretch of z that several cover.
    """

    passes: tuple[tuple[int, ...], ...]
    from_mm: float
    to_mm: float
    told_by: str = ""

    @property
    def kind(self) -> str:
        """What overlaps, in words."""
        count = {2: "two", 3: "three"}.get(len(self.passes), str(len(self.passes)))
        return f"{count} {'reconstructions' if self.told_by in RECONSTRUCTED else 'acquisitions'}"

    @property
    def stretch(self) -> str:
        """Where they overlap, in words."""
        if self.to_mm - self.from_mm < SAME_PLACE_MM:
            return f"at z = {self.from_mm:.1f} mm"
        return f"from z = {self.from_mm:.1f} to {self.to_mm:.1f} mm"


def marks_of(image: Dataset, frame: Dataset | None = None) -> Marks:
    """What an image says of its acquisition.

    frame: a frame's own FrameContentSequence, of a multi-frame image.
    """
    found: dict[str, str] = {}
    for source in (image, frame):
        if source is None:
            continue
        there = (
            source.keys()
        )  # to ask for each of some forty attributes, of which few are there, takes long
        for keyword in MARKS:
            if tag_of(keyword) in there and (words := text(source, keyword)):
                found[keyword] = _rounded(words) if keyword in MEASURED else words
    for name, ways in TIMES.items():
        found[name] = next(
            (time for way in ways if (time := "".join(found.get(part, "") for part in way))), ""
        )
    return found


def overlap_of(z_mm: Sequence[float], marks: Sequence[Marks]) -> Overlap | None:
    """The acquisitions of a series that overlap, by what its images say; None if none do.

    z_mm: of each slice, ascending. marks: of each slice, in the same order.
    """
    z = np.asarray(z_mm, dtype=float)
    for name, groups in _ways_to_part(z, marks):
        if (found := _overlap(groups, z, name)) is not None:
            return found
    return None


def overlap_of_positions(z_mm: Sequence[float]) -> Overlap | None:
    """The acquisitions that positions alone tell of: even steps, one set of them uneven within the
    other's.

    Slices that lie half way between those of another acquisition look as a finer spacing does, and
    are not found so.
    """
    z = np.asarray(z_mm, dtype=float)
    if (
        len(z) < 2 or np.diff(z).min() < SAME_PLACE_MM
    ):  # which of two slices at one place belongs to which?
        return None
    chains = _chains(z)
    if len(chains) < 2:
        return None
    found = _overlap(chains, z, "")
    if found is None:
        return None
    within = z[(z >= found.from_mm - SAME_PLACE_MM) & (z <= found.to_mm + SAME_PLACE_MM)]
    gaps = np.diff(within)
    is_even = len(gaps) == 0 or np.ptp(gaps) <= UNEVEN * gaps.mean()
    return None if is_even else found


def dense_stretch(z_mm: Sequence[float], marks: Sequence[Marks]) -> Overlap | None:
    """Two sets of slices half a step apart, with the same coarse steps before and after them; None
    if there are none.

    They are a finer spacing or two acquisitions. A doubt is due where SliceThickness stays that of
    the coarse steps.
    """
    z = np.asarray(z_mm, dtype=float)
    chains = _chains(z) if len(z) > 1 and np.diff(z).min() >= SAME_PLACE_MM else []
    found = _overlap(chains, z, "") if len(chains) == 2 else None
    thicknesses = {said.get("SliceThickness", "") for said in marks}
    if found is None or len(thicknesses) > 1 or found.from_mm <= z[1] or found.to_mm >= z[-2]:
        return None
    step = float(np.diff(z).max())
    is_told, thickness_mm, _ = _order(thicknesses.pop())
    return found if is_told and abs(thickness_mm - step) <= UNEVEN * step else None


def overlap_of_pixels(hu: npt.NDArray[Any], z_mm: Sequence[float]) -> Overlap | None:
    """The acquisitions that pixels alone tell of: slice after slice is more like the next but one
    than like the next.

    hu: (slice, row, column).
    """
    few = np.asarray(hu[:, ::EVERY, ::EVERY], dtype=np.float32)
    near = np.abs(few[1:] - few[:-1]).mean(axis=(1, 2))
    far = np.abs(few[2:] - few[:-2]).mean(axis=(1, 2))
    least_near = np.minimum(near[1:], near[:-1])
    alternates = (least_near > LEAST_CHANGE_HU) & (far < ALTERNATING * least_near)
    first, count = _longest(alternates)
    if count < LEAST_ALTERNATING:
        return None
    inside = range(first, first + count + 2)
    one, other = tuple(inside[::2]), tuple(inside[1::2])
    return Overlap((one, other), z_mm[inside[0]], z_mm[inside[-1]], "what they show")


def passes_of(files: Sequence[Path]) -> tuple[Overlap, dict[Frame, int]] | None:
    """The acquisitions of a series that overlap, and the number of each image's, from 1.

    None where none overlap by what the files say, or where one does not say where it lies.
    """
    found: list[tuple[float, Frame, Marks]] = []
    for path in files:
        try:
            with reading(path):
                found += _images_of(path)
        except DicomError:
            return None
    found.sort(key=lambda image: image[:2])
    z_mm = [z for z, _, _ in found]
    overlap = overlap_of(z_mm, [marks for _, _, marks in found]) or overlap_of_positions(z_mm)
    if overlap is None:
        return None
    numbered = {
        found[index][1]: number
        for number, slices in enumerate(overlap.passes, start=1)
        for index in slices
    }
    return overlap, numbered


def _images_of(path: Path) -> Iterator[tuple[float, Frame, Marks]]:
    """The images of a CT file without localisers: where each lies, which it is, and what it says.

    Raises: DicomError: one does not say where it lies, or is not axial.
    """
    header = read_header(path, ("SOPClassUID", *MARKS, *PLACE))
    if sop_class_uid(header) not in ENHANCED_CT:
        yield _height_mm(header, header, path), (path, 0), marks_of(header)
        return
    header = read_header(path, (*MARKS, *FRAMES), until=PIXELS)
    for number, frame in enumerate(header.get("PerFrameFunctionalGroupsSequence") or (), start=1):
        position = functional_group(header, frame, "PlanePositionSequence", path)
        orientation = functional_group(header, frame, "PlaneOrientationSequence", path)
        kind = functional_group(header, frame, "CTImageFrameTypeSequence", path)
        content = (frame.get("FrameContentSequence") or [Dataset()])[0]
        if "LOCALIZER" not in text(kind, "FrameType"):
            marks = {**marks_of(header, content), "InstanceNumber": str(number)}
            yield _height_mm(position, orientation, path), (path, number), marks


def _height_mm(position: Dataset, orientation: Dataset, path: Path) -> float:
    """The z of an axial image. Raises: DicomError: it has none, or is not axial."""
    axes = numbers(orientation, "ImageOrientationPatient", 6, path)
    if max(abs(axes[2]), abs(axes[5])) > 0.5:
        raise DicomError(f"{path}: not axial; give an axial CT")
    return numbers(position, "ImagePositionPatient", 3, path)[2]


def acquired_alike(one: Marks, other: Marks) -> bool:
    """Whether two images say the same of their acquisition, whatever they say of when and as which
    they were stored.
    """
    told = (one.keys() | other.keys()) - {*LATE, "ContentDate", "ContentTime"}
    return all(one.get(name, "") == other.get(name, "") for name in told)


def _rounded(words: str) -> str:
    """The numbers in a text to two decimals, so that 3, 3.0 and 2.9999 are one."""
    return " ".join(
        f"{float(number):.2f}"
        for number in re.findall(r"-?[0-9.]*[0-9]", words)
        if _is_number(number)
    )


def _is_number(words: str) -> bool:
    return words.count(".") <= 1


def _ways_to_part(z: Positions, marks: Sequence[Marks]) -> Iterator[tuple[str, list[list[int]]]]:
    """How the slices may be parted into acquisitions: by what, and the slices of each."""
    count = len(z)
    for name in IN_ORDER:
        if len(runs := _runs(z, marks, name)) <= max(MOST_CHAINS, count // 8):
            yield name, runs
    for name in (*ACQUIRED, *RECONSTRUCTED):
        groups = _groups(marks, name)
        if len(groups) <= max(
            2, count // 3
        ):  # more are no acquisitions, but differ from image to image
            yield name, groups
    restarted = _restarted(marks)
    for name in LATE:
        if name == "InstanceNumber" and restarted is not None:
            continue
        runs = _runs(z, marks, name)
        if len(runs) <= MOST_CHAINS and min(map(len, runs)) >= LEAST_OF_RUN:
            yield name, runs
    if restarted:
        yield "InstanceNumber", restarted


def _groups(marks: Sequence[Marks], name: str) -> list[list[int]]:
    """The slices that say the same."""
    groups: dict[str, list[int]] = {}
    for index, said in enumerate(marks):
        groups.setdefault(said.get(name, ""), []).append(index)
    return list(groups.values())


def _runs(z: Positions, marks: Sequence[Marks], name: str) -> list[list[int]]:
    """The slices in the order of what they say, parted where they turn round or jump.

    Slices that say the same are taken upwards or downwards, whichever parts them less.
    """
    said = [_order(one.get(name, "")) for one in marks]
    if len(set(said)) == 1:
        return [list(range(len(z)))]
    upwards = sorted(range(len(z)), key=lambda index: (said[index], z[index]))
    downwards = sorted(range(len(z)), key=lambda index: (said[index], -z[index]))
    return min(_parted(upwards, z), _parted(downwards, z), key=len)


def _restarted(marks: Sequence[Marks]) -> list[list[int]] | None:
    """The slices parted where InstanceNumbers are given again, as when each acquisition is counted
    from 1.

    Of slices with one number the lowest is of the first part, the next of the second. There are no
    parts if one is short, if its numbers do not rise or fall from slice to slice, or if there are
    too many. None: no number is given again.
    """
    numbers_said = [_order(said.get("InstanceNumber", "")) for said in marks]
    met: Counter[Order] = Counter()
    parts: defaultdict[int, list[int]] = defaultdict(list)
    for index, number in enumerate(numbers_said):
        parts[met[number]].append(index)
        met[number] += 1
    if len(parts) < 2:
        return None
    if len(parts) > MOST_CHAINS:
        return []
    for part in parts.values():
        counted = [numbers_said[index] for index in part]
        is_in_turn = counted in (sorted(counted), sorted(counted, reverse=True))
        if (
            len(part) < LEAST_OF_RUN
            or not is_in_turn
            or not all(is_told for is_told, _, _ in counted)
        ):
            return []
    return list(parts.values())


def _order(words: str) -> Order:
    """What sorts numbers by their size, and dates and times from the earliest."""
    plain = words.replace(":", "")
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]*)?", plain):
        return True, float(plain), ""
    return False, 0.0, plain


def _parted(order: Sequence[int], z: Positions) -> list[list[int]]:
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
    return [sorted(run) for run in runs]


def _chains(z: Positions) -> list[list[int]]:
    """The slices as a few sets of even steps, each from the lowest that is left;

    none if that cannot be.
    """
    left = list(range(len(z)))
    chains: list[list[int]] = []
    while left and len(chains) < MOST_CHAINS:
        steps = [z[index] - z[left[0]] for index in left[1 : MOST_CHAINS + 2]]
        drawn = (_chain(z, left, step) for step in steps)
        chain = next((one for one in drawn if len(one) >= LEAST_OF_CHAIN), None)
        if chain is None:
            return []
        chains.append(chain)
        left = [index for index in left if index not in set(chain)]
    return [] if left else chains


def _chain(z: Positions, left: Sequence[int], step: float) -> list[int]:
    """The slices that follow the first of those that are left in such steps, up to the first that
    is missing.
    """
    positions = z[list(left)]
    chain = [left[0]]
    while True:
        expected = z[chain[-1]] + step
        nearest = int(np.abs(positions - expected).argmin())
        if abs(positions[nearest] - expected) > SAME_PLACE_MM or left[nearest] <= chain[-1]:
            return chain
        chain.append(left[nearest])


def _overlap(groups: Sequence[Sequence[int]], z: Positions, name: str) -> Overlap | None:
    """Which groups of slices overlap. groups: of one slice or more, each ascending."""
    ordered = sorted(groups, key=lambda group: (z[group[0]], group[0]))
    overlapping: set[int] = set()
    starts, ends = [], []
    for one, other in islice(_meeting(ordered, z), MOST_COMPARED):
        if _do_overlap(z[list(ordered[one])], z[list(ordered[other])]):
            overlapping |= {one, other}
            starts.append(z[ordered[other][0]])
            ends.append(min(z[ordered[one][-1]], z[ordered[other][-1]]))
    if not overlapping:
        return None
    passes = tuple(tuple(ordered[index]) for index in sorted(overlapping))
    return Overlap(passes, float(min(starts)), float(max(ends)), name)


def _meeting(ordered: Sequence[Sequence[int]], z: Positions) -> Iterator[tuple[int, int]]:
    """The pairs of groups whose stretches of z meet.

    ordered: groups, the one that begins lowest first.
    """
    for one, group in enumerate(ordered):
        for other in range(one + 1, len(ordered)):
            if z[ordered[other][0]] > z[group[-1]] + SAME_PLACE_MM:
                break
            yield one, other


def _do_overlap(one: Positions, other: Positions) -> bool:
    """Whether slices of one lie among those of the other, and not in its holes alone: those are one
    acquisition's.

    one, other: positions, ascending.
    """
    if len(one) == len(other) == 1:
        return False
    inner = [_within(one, other), _within(other, one)]
    if not len(inner[0]) and not len(inner[1]):
        return False
    return not (_fill(inner[0], other, one) or _fill(inner[1], one, other))


def _within(some: Positions, others: Positions) -> Positions:
    is_within = (some >= others[0] - SAME_PLACE_MM) & (some <= others[-1] + SAME_PLACE_MM)
    found: Positions = some[is_within]
    return found


def _fill(some: Positions, others: Positions, own: Positions) -> bool:
    """Whether there are some, and all lie where one of the others is missing.

    own: all of their acquisition.
    """
    gaps = np.diff(others)
    for place in some:
        above = int(np.searchsorted(others, place))
        nearest = min(max(above, 1), len(others) - 1)
        if np.abs(others - place).min() < SAME_PLACE_MM or not 0 < above < len(others):
            return False
        beside = [*gaps[max(nearest - 2, 0) : nearest - 1], *gaps[nearest : nearest + 1]]
        usual = min(beside) if beside else float(np.median(np.diff(own))) if len(own) > 1 else 0.0
        if gaps[nearest - 1] < HOLE * usual:
            return False
    return len(some) > 0


def _longest(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest row of flags begins, and how long it is."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return 0, 0
    longest = int((ends - begins).argmax())
    return int(begins[longest]), int(ends[longest] - begins[longest])
