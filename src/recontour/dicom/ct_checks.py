"""Are these slices one whole axial CT?"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from pydicom import Dataset

from recontour.dicom.passes import (
    SAME_PLACE_MM,
    Overlap,
    acquired_alike,
)
from recontour.dicom.reading import (
    text,
)
from recontour.dicom.slices import Slice
from recontour.errors import (
    DuplicateSliceError,
    MissingSliceError,
    MixedSeriesError,
    OrientationError,
)

AXIS_TOLERANCE = 1e-3  # of a direction cosine
SAME_SPACING_MM = 1e-4
DRIFT_MM = 0.1  # how far slices may be shifted against each other in plane
SERIES_SHOWN = 12  # in one line of an error: the phases of a 4D CT
GAP_TO_CLOSER_SIDE, GAP_TO_WIDER_SIDE = 1.9, 1.4  # see refuse_gaps

TWO_PLACES = (
    "images of two places under one SOPInstanceUID, so which slices there are is unknown; export the series again, or "
    "pseudonymise it again, each image under its own UID"
)
OF_ONE_PATIENT = (
    "PatientID",
    "StudyInstanceUID",
)  # the same in all files of a series; names are spelt as one likes
SAME_IN_SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID", *OF_ONE_PATIENT)


def refuse_no_copy(known: Slice, image: Slice, path: Path) -> None:
    """Raise MixedSeriesError where an image has another place, or other values, than a known one of
    the same UID.
    """
    if known.position_mm != image.position_mm:
        raise MixedSeriesError(f"{known.path} and {path}: {TWO_PLACES}")
    described = [(one.orientation, one.spacing_mm, one.rescale) for one in (known, image)]
    if described[0] != described[1]:
        raise MixedSeriesError(
            f"{known.path} and {path}: images under one SOPInstanceUID that differ; keep the files of one CT"
        )
    if not np.array_equal(known.stored, image.stored):
        raise MixedSeriesError(
            f"{known.path} and {path}: other pixels under one SOPInstanceUID; keep the one that counts"
        )


def refuse_differing(
    keywords: Sequence[str], one: tuple[Path, Dataset], other: tuple[Path, Dataset]
) -> None:
    """Raise MixedSeriesError where two files of a series differ in what all of them share."""
    for keyword in keywords:
        if text(one[1], keyword) != text(other[1], keyword):
            whose = "patient" if keyword in OF_ONE_PATIENT else "CT series"
            raise MixedSeriesError(
                f"{one[0]} and {other[0]} differ in {keyword}; give the files of one {whose}, or export them again"
            )


def refuse_tilted(slices: Sequence[Slice]) -> None:
    """Raise where slices are not axial.

    Where most are, the others may be scouts or reformatted pictures.
    """
    cosines = np.abs([image.orientation for image in slices])
    axial = (np.array([1, 0, 0, 0, 1, 0]), np.array([0, 1, 0, 1, 0, 0]))
    tilted = [
        image
        for image, cosine in zip(slices, cosines, strict=True)
        if not any(np.abs(cosine - axes).max() <= AXIS_TOLERANCE for axes in axial)
    ]
    if not tilted:
        return
    image = tilted[0]
    seen = ", ".join(f"{value:.3f}" for value in image.orientation)
    advice = "Export the axial series, or resample it where it was planned"
    if 2 * len(tilted) < len(slices):
        advice = f"{len(slices) - len(tilted)} of {len(slices)} slices are axial; remove the others if they are pictures"
    raise OrientationError(
        f"{image.path}: its axes point along ({seen}); axial slices without tilt are expected. {advice}"
    )


def refuse_overlap(overlap: Overlap | None, slices: Sequence[Slice], place: Path) -> None:
    """Raise where acquisitions overlap.

    Its words name no value of a file, but the keyword alone: it may be stored.
    """
    if overlap is None:
        return
    by = (
        f" They differ in {overlap.told_by}."
        if overlap.told_by
        else " Their positions tell them apart."
    )
    files = [{slices[index].path for index in indices} for indices in overlap.passes]
    are_apart = sum(map(len, files)) == len(
        set().union(*files)
    )  # a multi-frame file may hold several
    take = (
        "give its files alone in a folder"
        if are_apart
        else "export it alone, since they lie in one file"
    )
    raise MixedSeriesError(
        f"{place}: {overlap.kind} in one series overlap {overlap.stretch} "
        f"({_passes_shown(overlap, slices)}).{by} Take one: {take}"
    )


def _passes_shown(overlap: Overlap, slices: Sequence[Slice]) -> str:
    """How many slices each acquisition has, from where to where, and its lowest one's file."""
    shown = []
    for indices in overlap.passes[:SERIES_SHOWN]:
        lowest, highest = slices[indices[0]], slices[indices[-1]]
        shown.append(
            f"{len(indices)} slices, z = {lowest.z_mm:.1f} to {highest.z_mm:.1f} mm, as {lowest.path}"
        )
    return "; ".join([*shown, "..."] if len(overlap.passes) > SERIES_SHOWN else shown)


def refuse_mixture(slices: Sequence[Slice], place: Path) -> None:
    """Raise where slices do not share one matrix, spacing, orientation and place in plane."""
    first = slices[0]
    for image in slices:
        turned = np.abs(np.subtract(image.orientation, first.orientation)).max()
        for what, differs in {
            "matrix": image.stored.shape != first.stored.shape,
            "pixel spacing": np.abs(np.subtract(image.spacing_mm, first.spacing_mm)).max()
            > SAME_SPACING_MM,
            "orientation": turned > 2 * AXIS_TOLERANCE,
        }.items():
            if differs:
                raise MixedSeriesError(
                    f"{place}: slices differ in {what} ({first.path} and {image.path}); "
                    "give the files of one CT acquisition"
                )
    in_plane = np.array([image.position_mm[:2] for image in slices])
    if np.ptp(in_plane, axis=0).max() > DRIFT_MM:
        steps = np.count_nonzero(
            np.abs(np.diff(in_plane, axis=0)).max(axis=1) > DRIFT_MM / len(slices)
        )
        if steps > 1:
            raise OrientationError(
                f"{place}: slice by slice the place in plane shifts, by {np.ptp(in_plane, axis=0).max():.1f} mm in "
                "all, as under a tilted gantry; export the series without tilt"
            )
        aside = slices[int(np.abs(in_plane - in_plane[0]).max(axis=1).argmax())]
        raise MixedSeriesError(
            f"{place}: slices of two places in plane ({first.path} and {aside.path}); "
            "give the files of one CT acquisition"
        )


def refuse_gaps(slices: Sequence[Slice], place: Path) -> None:
    """Raise where two slices share a position, or a slice seems to be missing.

    The spacing may change, as from 3 mm in the neck to 6 mm below. But a gap that stands alone, at
    least 1.9 times the narrower and 1.4 times the wider of the gaps beside it, is no change of
    spacing: there a slice is missing. So are some where two or three gaps in a row are 1.9 times as
    wide as those before and after them.
    """
    _refuse_same_place(slices)
    gaps = [above.z_mm - below.z_mm for below, above in pairwise(slices)]
    for index, gap in enumerate(gaps):
        beside = gaps[max(index - 1, 0) : index] + gaps[index + 1 : index + 2]
        alone = (
            beside
            and gap >= GAP_TO_CLOSER_SIDE * min(beside)
            and gap >= GAP_TO_WIDER_SIDE * max(beside)
        )
        if alone or any(_is_wide(gaps, index, count) for count in (2, 3)):
            below_mm, above_mm = slices[index].z_mm, slices[index + 1].z_mm
            raise MissingSliceError(
                f"{place}: no slice between z = {below_mm:.1f} and {above_mm:.1f} mm (beside it every "
                f"{min(beside):.1f} mm). Export the series again; recontour does not invent slices"
            )


def _sharing_place(slices: Sequence[Slice]) -> list[tuple[Slice, Slice]]:
    """The pairs of slices that share a position. slices: in order of position."""
    return [pair for pair in pairwise(slices) if pair[1].z_mm - pair[0].z_mm < SAME_PLACE_MM]


def refuse_copied(slices: Sequence[Slice]) -> None:
    """Raise where slices that share a position are one slice stored twice, and no acquisitions that
    overlap.
    """
    shared = _sharing_place(slices)
    if all(acquired_alike(one.marks, other.marks) for one, other in shared):
        _refuse_equal(shared)


def _refuse_equal(shared: Sequence[tuple[Slice, Slice]]) -> None:
    """Raise where there are slices that share a position, and the two of each pair have the same
    pixels.
    """
    if shared and all(np.array_equal(one.stored, other.stored) for one, other in shared):
        below, above = shared[0]
        raise DuplicateSliceError(
            f"{below.path} and {above.path}: {len(shared)} slice(s) twice, the first at z = {below.z_mm:.1f} mm, under "
            "two SOPInstanceUIDs; give one copy of each"
        )


def _refuse_same_place(slices: Sequence[Slice]) -> None:
    """Raise where two slices share a position."""
    shared = _sharing_place(slices)
    if not shared:
        return
    _refuse_equal(shared)
    below, above = shared[0]
    files = f"{below.path} and {above.path}"
    if len(shared) > 1:
        raise DuplicateSliceError(
            f"{files}: two slices at each of {len(shared)} places, acquisitions or phases that overlap from "
            f"z = {below.z_mm:.1f} to {shared[-1][0].z_mm:.1f} mm. Take one: give its files alone in a folder"
        )
    raise DuplicateSliceError(
        f"{files}: two slices at z = {below.z_mm:.1f} mm; give one acquisition, or one phase of it"
    )


def _is_wide(gaps: Sequence[float], first: int, count: int) -> bool:
    """Whether so many gaps from `first` on are wide beside the one before and the one after them."""
    around = (*gaps[max(first - 1, 0) : first], *gaps[first + count : first + count + 1])
    return len(around) == 2 and min(gaps[first : first + count]) >= GAP_TO_CLOSER_SIDE * max(around)
