"""DICOM SEG -> masks, by their own positions on a CT's grid.

Why highdicom does not read them: docs/decisions/038-polygons-and-seg.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage, RTStructureSetStorage, SegmentationStorage

from recontour.dicom.archive import LABEL_MAP
from recontour.dicom.contour_findings import (
    ContoursOfAnotherCt,
    NotSeg,
    SegOffGrid,
    SegWithoutFrame,
    SharedSegmentLabel,
    UnknownSegLabel,
    UnsupportedSeg,
)
from recontour.dicom.ct import Scan
from recontour.dicom.ct_checks import refuse_tilted
from recontour.dicom.ct_findings import MismatchedFrames
from recontour.dicom.pixels import Pixels, stored_pixels
from recontour.dicom.reading import (
    functional_group,
    numbers,
    read_dataset,
    reading,
    sop_class_uid,
    text,
    value,
)
from recontour.dicom.slices import Slice, grid_of, to_axes
from recontour.errors import DicomError, FrameOfReferenceError, GridMismatchError, NoSeriesError
from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask
from recontour.geometry.grid import GRIDS_AGREE_MM

SEGMENTATIONS = (SegmentationStorage, LABEL_MAP)

PackedPlane = tuple[int, npt.NDArray[np.uint8]]  # the slice, and one bit per pixel


@dataclass(frozen=True, slots=True)
class _Marked:
    """What one frame marks. frame: its functional groups. stored: (row, column) as in the file."""

    number: int
    frame: Dataset
    stored: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One structure of a SEG on a grid.

    name: its label, exactly as it is spelt. planes: those with a marked pixel, each as its slice
    and one bit per pixel, (row, column / 8); memory would not hold all masks of a whole body.
    """

    name: str
    grid: Grid
    planes: Sequence[PackedPlane]

    @property
    def is_drawn(self) -> bool:
        """Return whether any voxel is marked."""
        return bool(self.planes)

    def mask(self) -> Mask:
        """Return the marked voxels: bool (slice, row, column)."""
        mask = np.zeros(self.grid.shape, dtype=bool)
        columns = self.grid.shape[2]
        for index, bits in self.planes:
            mask[index] |= np.unpackbits(bits, axis=-1, count=columns).view(np.bool_)
        return mask


def read_segmentation(path: Path, scan: Scan) -> dict[str, Mask]:
    """Read the segments of a DICOM SEG on a scan's grid.

    Returns: masks by label, bool (slice, row, column).
    Raises: as `read_segments`; DicomError also: two segments with the same label.

    >>> from recontour.dicom import Authorship, read_scan, write_segmentation
    >>> scan = read_scan(Path("dicom/new-patient"))
    >>> made_by = Authorship("a threshold")
    >>> write_segmentation(Path("bone.dcm"), [("Brainstem", scan.hu > 100)], scan, made_by)
    >>> bool((read_segmentation(Path("bone.dcm"), scan)["Brainstem"] == (scan.hu > 100)).all())
    True
    """
    segments = read_segments(path, scan.grid, scan.source.frame_of_reference_uid)
    masks: dict[str, Mask] = {}
    for segment in segments:
        if segment.name in masks:
            raise DicomError(SharedSegmentLabel(path=path))
        masks[segment.name] = segment.mask()
    return masks


def read_segments(
    path: Path, grid: Grid, frame_of_reference_uid: str | None
) -> tuple[Segment, ...]:
    """Read the segments of a DICOM SEG, binary or a label map, on a CT's grid.

    frame_of_reference_uid: the one it must have been drawn in; None: any.

    Raises: NotDicomError: damaged, or pixels that are not read. NoSeriesError: not a SEG.
        FrameOfReferenceError: drawn in another frame of reference. GridMismatchError: its planes
        are not the grid's. DicomError: fractional; binary and compressed; a label without a
        segment.

    >>> from recontour.dicom import Authorship, read_scan, write_segmentation
    >>> scan = read_scan(Path("dicom/new-patient"))
    >>> masks = [("Brainstem", scan.hu > 100)]
    >>> write_segmentation(Path("bones.dcm"), masks, scan, Authorship("a threshold"))
    >>> [segment.name for segment in read_segments(Path("bones.dcm"), scan.grid, None)]
    ['Brainstem']
    """
    dataset = read_dataset(path)
    with reading(path):
        _refuse_others(dataset, path)
        _refuse_other_frame(dataset, path, frame_of_reference_uid)
        shape = int(dataset.Rows), int(dataset.Columns)
        if sorted(shape) != sorted(grid.shape[1:]):
            raise GridMismatchError(
                SegOffGrid(
                    path=path,
                    shape=shape,
                    expected=grid.shape[1:],
                )
            )
        labels = _labels(dataset)
        planes: dict[int, list[PackedPlane]] = {number: [] for number in labels}
        for marked in _marked(dataset, path, shape):
            plane, lies = _plane_of(marked, dataset, path)
            index = _slice_of(lies, grid, path)
            if not plane.any():
                continue
            if marked.number not in planes:
                raise DicomError(UnknownSegLabel(path=path, label=marked.number))
            planes[marked.number].append((index, np.packbits(plane, axis=-1)))
        return tuple(Segment(label, grid, planes[number]) for number, label in labels.items())


def _refuse_others(dataset: Dataset, path: Path) -> None:
    """Raise if a file is not a SEG, or one of a kind that is not read."""
    sop_class = sop_class_uid(dataset)
    if sop_class not in SEGMENTATIONS:
        raise NoSeriesError(NotSeg(path=path, kind=_named(sop_class)))
    if sop_class == LABEL_MAP:
        return
    stored_as = text(dataset, "SegmentationType")
    if stored_as == "FRACTIONAL":
        raise DicomError(UnsupportedSeg(path=path, why="fractional"))
    if stored_as != "BINARY":
        raise DicomError(UnsupportedSeg(path=path, why="unknown type"))
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        raise DicomError(UnsupportedSeg(path=path, why="compressed"))


def _named(sop_class: str) -> str:
    """Return a kind of object in words."""
    if sop_class == CTImageStorage:
        return "a CT image"
    if sop_class == RTStructureSetStorage:
        return "an RTSTRUCT, which needs no conversion"
    name = str(UID(sop_class).name)
    return "an object of an unknown kind" if name == sop_class else name


def _refuse_other_frame(
    dataset: Dataset,
    path: Path,
    expected_uid: str | None,
) -> None:
    if expected_uid is None:
        return
    seen_uid = text(dataset, "FrameOfReferenceUID")
    if not seen_uid:
        raise FrameOfReferenceError(SegWithoutFrame(path=path))
    if seen_uid != expected_uid:
        raise FrameOfReferenceError(ContoursOfAnotherCt(path=path, by="frame of reference"))


def _labels(dataset: Dataset) -> dict[int, str]:
    """Return the segments' labels by their numbers, without a label map's background."""
    labels = {}
    for segment in dataset.SegmentSequence:
        labels[value(segment, "SegmentNumber")] = text(segment, "SegmentLabel")
    if sop_class_uid(dataset) == LABEL_MAP:
        labels.pop(_background(dataset), None)
    return labels


def _background(dataset: Dataset) -> int:
    """Return the label that stands for no segment (PS3.3 C.8.20.2: the padding value)."""
    stated = value(dataset, "PixelPaddingValue")
    return stated if isinstance(stated, int) else 0


def _marked(
    dataset: Dataset,
    path: Path,
    shape: tuple[int, int],
) -> Iterator[_Marked]:
    """Yield what the frames of a SEG mark, frame by frame."""
    if sop_class_uid(dataset) == LABEL_MAP:
        yield from _marked_by_labels(dataset, path)
    else:
        yield from _marked_by_bits(dataset, path, shape)


def _marked_by_bits(
    dataset: Dataset,
    path: Path,
    shape: tuple[int, int],
) -> Iterator[_Marked]:
    """Yield the frames of a binary SEG; each belongs to one segment."""
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        segment = functional_group(dataset, frame, "SegmentIdentificationSequence", path)
        number = value(segment, "ReferencedSegmentNumber")
        yield _Marked(number, frame, _bits(dataset.PixelData, index, shape))


def _marked_by_labels(dataset: Dataset, path: Path) -> Iterator[_Marked]:
    """Yield each label in each frame of a label map."""
    pixels = stored_pixels(dataset, path)
    frames = dataset.PerFrameFunctionalGroupsSequence
    planes = pixels[None] if pixels.ndim == 2 else pixels
    if planes.ndim != 3 or len(planes) != len(frames):
        raise DicomError(
            MismatchedFrames(
                path=path,
                described=len(frames),
                shape=planes.shape,
            )
        )
    background = _background(dataset)
    for frame, plane in zip(frames, planes, strict=True):
        for label in np.unique(plane).tolist():
            if label != background:
                yield _Marked(label, frame, plane == label)


def _bits(
    packed: bytes,
    index: int,
    shape: tuple[int, int],
) -> Mask:
    """Return one frame of one-bit pixels.

    Frames follow one another without regard to bytes (PS3.5 8.1.1).
    """
    count = shape[0] * shape[1]
    first = index * count
    touched = np.frombuffer(packed, dtype=np.uint8)[first // 8 : (first + count + 7) // 8]
    bits = np.unpackbits(touched, bitorder="little")[first % 8 :][:count]
    return bits.reshape(shape).astype(bool)


def _plane_of(
    marked: _Marked,
    dataset: Dataset,
    path: Path,
) -> tuple[Pixels, Grid]:
    """Return a plane with rows running to +y and columns to +x, and where it lies.

    Raises: DicomError: its functional groups are incomplete. OrientationError: not axial.
    """
    position = functional_group(dataset, marked.frame, "PlanePositionSequence", path)
    orientation = functional_group(dataset, marked.frame, "PlaneOrientationSequence", path)
    measures = functional_group(dataset, marked.frame, "PixelMeasuresSequence", path)
    position_mm = numbers(position, "ImagePositionPatient", 3, path)
    cosines = numbers(orientation, "ImageOrientationPatient", 6, path)
    row_mm, column_mm = numbers(measures, "PixelSpacing", 2, path)
    image = Slice(
        path=path,
        sop_instance_uid="",
        frame=0,
        position_mm=position_mm,
        orientation=cosines,
        spacing_mm=(row_mm, column_mm),
        rescale=(1.0, 0.0),
        stored=marked.stored,
    )
    refuse_tilted([image])
    plane = to_axes(marked.stored, cosines)
    return plane, grid_of([image], (1, *plane.shape))


def _slice_of(lies: Grid, grid: Grid, path: Path) -> int:
    """Return the slice of a grid on which a plane lies. The plane has a grid of its own."""
    (z_mm,) = lies.slice_z_mm
    index = int(np.abs(np.asarray(grid.slice_z_mm) - z_mm).argmin())
    apart_mm = max(abs(grid.slice_z_mm[index] - z_mm), _corners_apart_mm(lies, grid))
    if lies.shape[1:] != grid.shape[1:] or apart_mm > GRIDS_AGREE_MM:
        raise GridMismatchError(
            SegOffGrid(
                path=path,
                z_mm=z_mm,
                apart_mm=apart_mm,
            )
        )
    return index


def _corners_apart_mm(one: Grid, other: Grid) -> float:
    """Return how far the first and last corners of two planes lie apart."""
    return float(np.abs(_corners_mm(one) - _corners_mm(other)).max())


def _corners_mm(grid: Grid) -> Floats:
    _, rows, columns = grid.shape
    return grid.to_mm(np.array([[0.0, 0.0], [columns, rows]]))
