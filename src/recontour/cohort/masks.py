"""The structures of an RTSTRUCT or SEG -> masks by TG-263 name, and what to note about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.cohort.import_findings import (
    ContoursBeyondCt,
    DrawnOnEverySecondSlice,
    EmptySlicesBetween,
    EmptySlicesWithContours,
    NoContourOnSlices,
    OmittedPlanes,
    PlanesOffSlices,
    UnusableContours,
)
from recontour.dicom import Roi, Scan, Segment, StructureSetFile, read_rois, read_segments
from recontour.errors import ContoursError, DicomError
from recontour.findings import Finding
from recontour.geometry import Grid, height_mm, planes_by_slice, rasterise
from recontour.geometry.arrays import Mask

OFF_SLICE = 0.1  # share of the slice spacing; contours farther from their slice are noted
FEW_SLICES = 2  # that show an organ: too few to tell whether every second one was drawn

Structure = Roi | Segment
Note = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class _Fit:
    """How the planes of an organ's contours lie to the slices.

    planes: all of them. taken: the nearest to each slice. off_mm: how far off those taken lie,
    where it is more than OFF_SLICE of the spacing.
    """

    planes: int = 0
    taken: int = 0
    off_mm: tuple[float, ...] = ()


def structures(
    file: StructureSetFile, grid: Grid, scan: Scan | None, note: Note
) -> Sequence[Structure]:
    """Read the structures of an RTSTRUCT or SEG.

    scan: the CT it must have been drawn on; None: any on that grid. Raises: DicomError,
    GridMismatchError.
    """
    if not file.is_segmentation:
        return read_rois(file.path, scan, note)
    frame_uid = scan.source.frame_of_reference_uid if scan else None
    return read_segments(file.path, grid, frame_uid)


def masks_of(
    drawn: Sequence[Structure],
    organs: Mapping[str, str],
    grid: Grid,
    note: Note,
) -> dict[str, Mask]:
    """Return the organs of certain names, by TG-263 name.

    An organ that is malformed or shows on no slice is unknown. So is one that was drawn on every
    second slice at most: a model would learn that the slices between do not show it.
    organs: name in the structure set -> TG-263 name.
    """
    masks: dict[str, Mask] = {}
    fits: list[_Fit] = []
    for structure in drawn:
        if not structure.is_drawn or structure.name not in organs:
            continue
        organ = organs[structure.name]
        try:
            mask, fit = _mask_of(structure, grid, note)
        except (ContoursError, DicomError) as error:
            note(UnusableContours(organ=organ, why=error.finding))
            continue
        fits.append(fit)
        if _is_whole(mask, organ, structure.name, note):
            masks[organ] = mask
    _note_fits(fits, note)
    return masks


def _mask_of(
    structure: Structure,
    grid: Grid,
    note: Note,
) -> tuple[Mask, _Fit]:
    if isinstance(structure, Segment):
        return structure.mask(), _Fit()
    return _rasterised(structure, grid, note)


def _is_whole(
    mask: Mask,
    organ: str,
    roi: str,
    note: Note,
) -> bool:
    """Return whether a mask shows enough of an organ to learn from; note what it lacks."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    count = len(shown)
    if not count:
        note(NoContourOnSlices(roi=roi))
        return False
    between = int(np.ptp(shown)) + 1 - count
    if count > FEW_SLICES and between >= count - 1:
        note(
            DrawnOnEverySecondSlice(
                organ=organ,
                roi=roi,
                shown=count,
                between=between,
            )
        )
        return False
    if between:
        note(EmptySlicesBetween(roi=roi, between=between))
    return True


def _rasterised(
    roi: Roi,
    grid: Grid,
    note: Note,
) -> tuple[Mask, _Fit]:
    contours = roi.contours(note)
    beyond = sum(grid.slice_at(contour.z_mm) is None for contour in contours)
    if 0 < beyond < len(contours):
        note(
            ContoursBeyondCt(
                roi=roi.name,
                beyond=beyond,
                contours=len(contours),
            )
        )
    mask = rasterise(contours, grid)
    planes = planes_by_slice(contours, grid)
    slices = list(planes)
    shown = int(np.count_nonzero(mask[slices].any(axis=(1, 2))))
    empty = len(slices) - shown
    if 0 < empty < len(slices):
        note(EmptySlicesWithContours(roi=roi.name, slices=empty))
    distances_mm = []
    for index, (nearest, *_) in planes.items():
        distances_mm.append(abs(height_mm(nearest) - grid.slice_z_mm[index]))
    off_mm = np.array(distances_mm)
    is_off = off_mm > OFF_SLICE * grid.slice_thickness_mm[slices]
    count = sum(map(len, planes.values()))
    return mask, _Fit(count, len(slices), tuple(off_mm[is_off].tolist()))


def _note_fits(fits: Sequence[_Fit], note: Note) -> None:
    """Note planes that do not count or lie off their slices, of all organs together."""
    planes = sum(fit.planes for fit in fits)
    taken = sum(fit.taken for fit in fits)
    off_mm: list[float] = []
    for fit in fits:
        off_mm.extend(fit.off_mm)
    if taken < planes:
        note(OmittedPlanes(left_out=planes - taken, planes=planes))
    if off_mm:
        typical_mm = float(np.median(off_mm))
        note(
            PlanesOffSlices(
                off=len(off_mm),
                planes=taken,
                typical_mm=typical_mm,
            )
        )
