"""A CT file -> its slices.

Each file's header is parsed once, into a `CtFile` and its `Slice`s; all later steps read those
records. This module also finds how a stored plane lies in the patient.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from recontour.dicom.acquisition import Marks, marks_of
from recontour.dicom.archive import CT, ENHANCED_CT
from recontour.dicom.ct_findings import (
    ImpossiblePixelSpacing,
    MismatchedFrames,
    NoHounsfieldUnits,
    NotOneGreyImage,
)
from recontour.dicom.padding import NO_PADDING, Padding, air_for_padding
from recontour.dicom.pictures import kind_of_picture
from recontour.dicom.pixels import Pixels, stored_pixels
from recontour.dicom.reading import (
    functional_group,
    numbers,
    read_dataset,
    reading,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
)
from recontour.errors import DicomError, RescaleError
from recontour.geometry import Grid

FINEST_MM = 0.01  # between two pixels
UNITS = ("OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")  # PS3.3 C.11.1.1.2
OF_ONE_PATIENT = ("PatientID", "StudyInstanceUID")  # names may be spelt in several ways
OF_ONE_SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID", *OF_ONE_PATIENT)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One CT image.

    frame: its number in a multi-frame file, from 1; 0 in a single-frame file. orientation: the
    cosines of the row (to the next column), then of the column (to the next row). spacing_mm:
    between rows, between columns. rescale: slope and intercept. stored: pixel values (row, column)
    as in the file, with air for padding. marks: what the image says of its acquisition.
    """

    path: Path
    sop_instance_uid: str
    frame: int
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, float]
    rescale: tuple[float, float]
    stored: Pixels
    padding: Padding = NO_PADDING
    marks: Marks = field(default_factory=dict)

    @property
    def z_mm(self) -> float:
        """Return the height of the slice."""
        return self.position_mm[2]


@dataclass(frozen=True, slots=True, eq=False)
class CtFile:
    """One CT file.

    belongs_to: its patient, study and series, by keyword; all files of a series share them.
    dataset: the whole file, from which a structure set takes the patient's attributes.
    """

    path: Path
    sop_class_uid: str
    belongs_to: Mapping[str, str]
    slices: tuple[Slice, ...]
    dataset: Dataset


class _Groups(NamedTuple):
    """The functional groups that describe an image; in a single-frame file, the file itself."""

    position: Dataset
    orientation: Dataset
    measures: Dataset
    rescale: Dataset


def read_ct_file(path: Path) -> CtFile | None:
    """Read one file; None if it holds no CT slices but a picture or another object.

    Raises: DicomError: the file or its header is damaged, incomplete or too large.
    """
    with reading(path):
        dataset = read_dataset(path)
        sop_class = sop_class_uid(dataset)
        if sop_class not in CT or kind_of_picture(dataset):
            return None
        belongs_to = texts(dataset, OF_ONE_SERIES)
        pixels = stored_pixels(dataset, path)
        if sop_class in ENHANCED_CT:
            slices = tuple(_frames(dataset, pixels, path))
        else:
            slices = (_single_frame(dataset, pixels, path),)
    return CtFile(path, sop_class, belongs_to, slices, dataset)


def texts(dataset: Dataset, keywords: Sequence[str]) -> dict[str, str]:
    """Return attributes as text, by keyword; empty text where one is absent."""
    return {keyword: text(dataset, keyword) for keyword in keywords}


def _single_frame(dataset: Dataset, pixels: Pixels, path: Path) -> Slice:
    if pixels.ndim != 2:
        raise DicomError(NotOneGreyImage(path=path, shape=pixels.shape))
    groups = _Groups(dataset, dataset, dataset, dataset)
    return _slice(dataset, groups, pixels, path, 0, marks_of(dataset))


def _frames(
    dataset: Dataset,
    pixels: Pixels,
    path: Path,
) -> Iterator[Slice]:
    """Yield the frames of a multi-frame image that are not localisers."""
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    planes = pixels[None] if pixels.ndim == 2 else pixels
    if planes.ndim != 3 or len(frames) != len(planes):
        raise DicomError(
            MismatchedFrames(
                path=path,
                described=len(frames),
                shape=planes.shape,
            )
        )
    for number, (frame, plane) in enumerate(zip(frames, planes, strict=True), start=1):
        groups = _Groups(
            functional_group(dataset, frame, "PlanePositionSequence", path),
            functional_group(dataset, frame, "PlaneOrientationSequence", path),
            functional_group(dataset, frame, "PixelMeasuresSequence", path),
            functional_group(dataset, frame, "PixelValueTransformationSequence", path),
        )
        kind = functional_group(dataset, frame, "CTImageFrameTypeSequence", path)
        if "LOCALIZER" in str(kind.get("FrameType")):
            continue
        content = (frame.get("FrameContentSequence") or [Dataset()])[0]
        marks = {**marks_of(dataset, content), "InstanceNumber": str(number)}
        yield _slice(dataset, groups, plane, path, number, marks)


def _slice(
    dataset: Dataset,
    groups: _Groups,
    stored: Pixels,
    path: Path,
    frame: int,
    marks: Marks,
) -> Slice:
    rows_mm, columns_mm = numbers(groups.measures, "PixelSpacing", 2, path)
    if min(rows_mm, columns_mm) < FINEST_MM:
        raise DicomError(ImpossiblePixelSpacing(path=path, spacing_mm=(rows_mm, columns_mm)))
    position_mm = numbers(groups.position, "ImagePositionPatient", 3, path)
    orientation = numbers(groups.orientation, "ImageOrientationPatient", 6, path)
    rescale = _rescale(groups.rescale, path)
    # read by pydicom, since their VR is "US or SS" and depends on the rest of the header
    first, last = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
    with_air, padding = air_for_padding(stored, rescale, first, last)
    return Slice(
        path=path,
        sop_instance_uid=sop_instance_uid(dataset),
        frame=frame,
        position_mm=position_mm,
        orientation=orientation,
        spacing_mm=(rows_mm, columns_mm),
        rescale=rescale,
        stored=with_air,
        padding=padding,
        marks=marks,
    )


def _rescale(dataset: Dataset, path: Path) -> tuple[float, float]:
    """Return the slope and intercept that turn stored values into Hounsfield units."""
    kind = text(dataset, "RescaleType").upper()
    if kind not in ("", "HU", "US"):
        unit = kind if kind in UNITS else ""
        raise RescaleError(
            NoHounsfieldUnits(
                path=path,
                why="another unit",
                unit=unit,
            )
        )
    if value(dataset, "RescaleSlope") is None or value(dataset, "RescaleIntercept") is None:
        raise RescaleError(NoHounsfieldUnits(path=path, why="no rescale"))
    (slope,) = numbers(dataset, "RescaleSlope", 1, path)
    (intercept,) = numbers(dataset, "RescaleIntercept", 1, path)
    if slope == 0:
        raise RescaleError(NoHounsfieldUnits(path=path, why="slope 0"))
    return slope, intercept


def hounsfield(slices: Sequence[Slice]) -> Pixels:
    """Stack slices that share one matrix and orientation, as Hounsfield units.

    Returns: (slice, row, column), rows to +y and columns to +x; int16 if that is exact for all
    slices, otherwise float32.
    """
    planes = [to_axes(image.stored, image.orientation) for image in slices]
    exact = all(map(_is_exact, slices))
    hu = np.empty((len(planes), *planes[0].shape), dtype=np.int16 if exact else np.float32)
    for of_slice, plane, image in zip(hu, planes, slices, strict=True):
        slope, intercept = image.rescale
        if exact:
            of_slice[:] = plane.astype(np.int32) * int(slope) + int(intercept)
        else:
            of_slice[:] = plane * slope + intercept
    return hu


def _is_exact(image: Slice) -> bool:
    """Return whether a slice's HU are whole numbers of 16 bits.

    Then no number on the way to them needs more than 32 bits.
    """
    slope, intercept = image.rescale
    if not (slope.is_integer() and intercept.is_integer()):
        return False
    stored = (int(image.stored.min()), int(image.stored.max()))
    lowest, highest = sorted(end * int(slope) + int(intercept) for end in stored)
    limits = np.iinfo(np.int16)
    return limits.min <= lowest and highest <= limits.max


def _axes(orientation: Sequence[float]) -> tuple[bool, int, int]:
    """Return whether rows run along x, and the signs of x and y along the stored axes."""
    row, column = orientation[:3], orientation[3:]
    transposed = abs(row[0]) < abs(row[1])
    along_x, along_y = (column, row) if transposed else (row, column)
    return transposed, int(np.sign(along_x[0])), int(np.sign(along_y[1]))


def to_axes(plane: Pixels, orientation: Sequence[float]) -> Pixels:
    """Turn a stored plane so that rows run to +y and columns to +x.

    >>> to_axes(np.array([[1, 2]]), (-1, 0, 0, 0, 1, 0)).tolist()
    [[2, 1]]
    """
    transposed, x_sign, y_sign = _axes(orientation)
    plane = plane.T if transposed else plane
    return plane[::y_sign, ::x_sign]


def grid_of(slices: Sequence[Slice], shape: tuple[int, ...]) -> Grid:
    """Return where slices lie that share one matrix, spacing and orientation.

    slices: upwards. shape: (slices, rows, columns), turned as by `to_axes`.
    """
    first = slices[0]
    transposed, x_sign, y_sign = _axes(first.orientation)
    row_mm, column_mm = first.spacing_mm
    if transposed:
        row_mm, column_mm = column_mm, row_mm
    count, rows, columns = shape
    x_mm, y_mm = first.position_mm[:2]
    if x_sign < 0:
        x_mm -= column_mm * (columns - 1)
    if y_sign < 0:
        y_mm -= row_mm * (rows - 1)
    heights_mm = tuple(image.z_mm for image in slices)
    return Grid((count, rows, columns), (row_mm, column_mm), heights_mm, (x_mm, y_mm))
