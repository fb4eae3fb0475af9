"""Are these slices one whole axial CT? Each check raises what speaks against it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from recontour.dicom.acquisition import acquired_alike
from recontour.dicom.ct_findings import (
    DifferingFiles,
    DifferingSlices,
    DriftingSlices,
    MissingSlice,
    ObliqueSlice,
    OnePass,
    OverlappingPasses,
    SlicesAtOnePosition,
)
from recontour.dicom.findings import SharedImageUid
from recontour.dicom.passes import SAME_PLACE_MM, Overlap
from recontour.dicom.slices import OF_ONE_PATIENT, Slice
from recontour.errors import (
    DuplicateSliceError,
    MissingSliceError,
    MixedSeriesError,
    OrientationError,
)

AXIAL = ((1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0))  # cosines without their signs
AXIS_TOLERANCE = 1e-3  # of a direction cosine
SAME_SPACING_MM = 1e-4
DRIFT_MM = 0.1  # how far slices may be shifted against each other in plane
GAP_TO_CLOSER_SIDE = 1.9  # see refuse_gaps
GAP_TO_WIDER_SIDE = 1.4


def refuse_differing(
    one: tuple[Path, Mapping[str, str]], other: tuple[Path, Mapping[str, str]]
) -> None:
    """Raise MixedSeriesError if two files of a series differ in what all its files share.

    one, other: a file, and by keyword what it says.
    """
    (path, expected), (other_path, seen) = one, other
    for keyword, words in expected.items():
        if seen[keyword] != words:
            raise MixedSeriesError(
                DifferingFiles(
                    path=path,
                    other=other_path,
                    keyword=keyword,
                    of_one="patient" if keyword in OF_ONE_PATIENT else "CT series",
                )
            )


def refuse_no_copy(known: Slice, image: Slice) -> None:
    """Raise MixedSeriesError if two images with one UID are not copies of each other."""
    differ_in: Literal["position", "geometry or rescaling", "pixels"]
    if known.position_mm != image.position_mm:
        differ_in = "position"
    elif _described(known) != _described(image):
        differ_in = "geometry or rescaling"
    elif not np.array_equal(known.stored, image.stored):
        differ_in = "pixels"
    else:
        return
    raise MixedSeriesError(
        SharedImageUid(
            path=known.path,
            differ_in=(differ_in,),
            rivals=(known.path, image.path),
        )
    )


def _described(image: Slice) -> tuple[object, ...]:
    return image.orientation, image.spacing_mm, image.rescale


def refuse_tilted(slices: Sequence[Slice]) -> None:
    """Raise OrientationError if a slice is not axial."""
    tilted = [image for image in slices if not _is_axial(image)]
    if tilted:
        raise OrientationError(
            ObliqueSlice(
                path=tilted[0].path,
                cosines=tilted[0].orientation,
                axial=len(slices) - len(tilted),
                slices=len(slices),
            )
        )


def _is_axial(image: Slice) -> bool:
    off = np.abs(np.abs(image.orientation) - np.array(AXIAL)).max(axis=1)
    return bool(off.min() <= AXIS_TOLERANCE)


def refuse_overlap(
    overlap: Overlap | None,
    slices: Sequence[Slice],
    place: Path,
) -> None:
    """Raise MixedSeriesError if acquisitions overlap. slices: upwards, as `overlap` counts them."""
    if overlap is None:
        return
    passes = []
    for indices in overlap.passes:
        lowest, highest = slices[indices[0]], slices[indices[-1]]
        found = OnePass(
            path=lowest.path,
            slices=len(indices),
            from_mm=lowest.z_mm,
            to_mm=highest.z_mm,
        )
        passes.append(found)
    raise MixedSeriesError(
        OverlappingPasses(
            path=place,
            kind=overlap.kind,
            from_mm=overlap.from_mm,
            to_mm=overlap.to_mm,
            told_by=overlap.told_by,
            passes=tuple(passes),
            share_a_file=_share_a_file(overlap, slices),
        )
    )


def _share_a_file(overlap: Overlap, slices: Sequence[Slice]) -> bool:
    """Return whether two acquisitions lie in one multi-frame file."""
    seen: set[Path] = set()
    for indices in overlap.passes:
        files = {slices[index].path for index in indices}
        if not seen.isdisjoint(files):
            return True
        seen |= files
    return False


def refuse_mixture(slices: Sequence[Slice], place: Path) -> None:
    """Raise if slices do not share one matrix, spacing, orientation and position in plane.

    Raises: MixedSeriesError; OrientationError: they shift step by step, as under a tilted gantry.
    """
    first = slices[0]
    for image in slices:
        differ_in = _difference(first, image)
        if differ_in is not None:
            raise MixedSeriesError(
                DifferingSlices(
                    path=place,
                    differ_in=differ_in,
                    files=(first.path, image.path),
                )
            )
    in_plane = np.array([image.position_mm[:2] for image in slices])
    drift_mm = float(np.ptp(in_plane, axis=0).max())
    if drift_mm <= DRIFT_MM:
        return
    steps_mm = np.abs(np.diff(in_plane, axis=0)).max(axis=1)
    if np.count_nonzero(steps_mm > DRIFT_MM / len(slices)) > 1:
        raise OrientationError(DriftingSlices(path=place, drift_mm=drift_mm))
    farthest = int(np.abs(in_plane - in_plane[0]).max(axis=1).argmax())
    files = (first.path, slices[farthest].path)
    raise MixedSeriesError(DifferingSlices(path=place, differ_in="position in plane", files=files))


def _difference(
    first: Slice, image: Slice
) -> Literal["matrix", "pixel spacing", "orientation"] | None:
    if image.stored.shape != first.stored.shape:
        return "matrix"
    if np.abs(np.subtract(image.spacing_mm, first.spacing_mm)).max() > SAME_SPACING_MM:
        return "pixel spacing"
    if np.abs(np.subtract(image.orientation, first.orientation)).max() > 2 * AXIS_TOLERANCE:
        return "orientation"
    return None


def refuse_gaps(slices: Sequence[Slice], place: Path) -> None:
    """Raise MissingSliceError if a slice seems to be missing.

    The spacing may change, for example from 3 mm in the neck to 6 mm below. But if a single gap is
    at least 1.9 times the narrower and 1.4 times the wider of the gaps beside it, a slice is
    missing there. The same holds where two or three gaps in a row are 1.9 times as wide as those
    before and after them.
    """
    gaps_mm = [above.z_mm - below.z_mm for below, above in pairwise(slices)]
    for index in range(len(gaps_mm)):
        if _is_alone(gaps_mm, index) or any(_is_wide(gaps_mm, index, count) for count in (2, 3)):
            raise MissingSliceError(
                MissingSlice(
                    path=place,
                    below_mm=slices[index].z_mm,
                    above_mm=slices[index + 1].z_mm,
                    step_mm=min(_beside(gaps_mm, index, 1)),
                )
            )


def _beside(
    gaps_mm: Sequence[float],
    first: int,
    count: int,
) -> tuple[float, ...]:
    """Return the gap before and the gap after so many gaps, as far as there are such."""
    after = first + count
    return (*gaps_mm[max(first - 1, 0) : first], *gaps_mm[after : after + 1])


def _is_alone(gaps_mm: Sequence[float], index: int) -> bool:
    """Return whether a gap is wide beside its neighbours."""
    beside = _beside(gaps_mm, index, 1)
    if not beside:
        return False
    gap = gaps_mm[index]
    return gap >= GAP_TO_CLOSER_SIDE * min(beside) and gap >= GAP_TO_WIDER_SIDE * max(beside)


def _is_wide(
    gaps_mm: Sequence[float],
    first: int,
    count: int,
) -> bool:
    """Return whether so many gaps in a row are wide beside the ones before and after them."""
    beside = _beside(gaps_mm, first, count)
    if len(beside) < 2:
        return False
    return min(gaps_mm[first : first + count]) >= GAP_TO_CLOSER_SIDE * max(beside)


def refuse_copied(slices: Sequence[Slice]) -> None:
    """Raise DuplicateSliceError if slices are stored twice under two UIDs.

    Slices that were acquired apart may be acquisitions that overlap; `refuse_overlap` says more.
    """
    pairs = _sharing_position(slices)
    if all(acquired_alike(one.marks, other.marks) for one, other in pairs):
        _refuse_pairs(pairs, if_equal=True)


def refuse_shared_positions(slices: Sequence[Slice]) -> None:
    """Raise DuplicateSliceError if two slices share a position."""
    pairs = _sharing_position(slices)
    _refuse_pairs(pairs, if_equal=True)
    _refuse_pairs(pairs, if_equal=False)


def _sharing_position(slices: Sequence[Slice]) -> list[tuple[Slice, Slice]]:
    """Return the pairs of slices that share a position. slices: upwards."""
    return [pair for pair in pairwise(slices) if pair[1].z_mm - pair[0].z_mm < SAME_PLACE_MM]


def _refuse_pairs(pairs: Sequence[tuple[Slice, Slice]], *, if_equal: bool) -> None:
    """Raise DuplicateSliceError if there are pairs. if_equal: only if both have the same pixels."""
    if not pairs:
        return
    if if_equal and not all(np.array_equal(one.stored, other.stored) for one, other in pairs):
        return
    below, above = pairs[0]
    raise DuplicateSliceError(
        SlicesAtOnePosition(
            path=below.path,
            other=above.path,
            positions=len(pairs),
            first_mm=below.z_mm,
            last_mm=pairs[-1][0].z_mm,
            are_equal=if_equal,
        )
    )
