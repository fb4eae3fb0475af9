"""A CT file -> its slices, and slices -> where they lie."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from recontour.dicom.archive import ENHANCED_CT
from recontour.dicom.passes import (
    Marks,
    marks_of,
)
from recontour.dicom.pixels import stored_pixels
from recontour.dicom.reading import (
    functional_group,
    numbers,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
)
from recontour.errors import (
    DicomError,
    RescaleError,
)
from recontour.geometry import Grid

AXIS_TOLERANCE = 1e-3  # of a direction cosine
FINEST_MM = 0.01  # between two pixels
UNITS = ("OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")  # of PS3.3 C.11.1.1.2


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One image as stored.

    stored: pixel values, (row, column) of the file; frame: from 1, 0 if single-frame.
    """

    path: Path
    sop_instance_uid: str
    frame: int
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    rescale: tuple[float, float]  # slope, intercept
    stored: npt.NDArray[Any]
    marks: Marks = field(default_factory=dict)
    padding_within: int = 0  # pixels of the padding value that may be tissue,
    padding_hu: float = 0.0  # what that value says,
    padding_kept: bool = True  # and whether they are as stored

    @property
    def z_mm(self) -> float:
        return self.position_mm[2]


def slices_of(dataset: Dataset, path: Path) -> Iterator[Slice]:
    """The slices of one file:

    one, or every frame of a multi-frame image that is not a localiser.
    """
    pixels = stored_pixels(dataset, path)
    instance = sop_instance_uid(dataset)
    if sop_class_uid(dataset) not in ENHANCED_CT:
        if pixels.ndim != 2:
            raise DicomError(
                f"{path}: pixels of shape {pixels.shape}; one grey image is expected. Export it as such"
            )
        image = _slice(dataset, dataset, dataset, dataset, pixels, path, instance, 0)
        yield replace(image, marks=marks_of(dataset))
        return
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim != 3 or len(frames) != len(pixels):
        raise DicomError(
            f"{path}: {len(frames)} frames described, pixels of shape {pixels.shape}; export it again"
        )
    for number, (frame, plane) in enumerate(zip(frames, pixels, strict=True), start=1):
        groups = [
            functional_group(dataset, frame, f"{name}Sequence", path)
            for name in (
                "PlanePosition",
                "PlaneOrientation",
                "PixelMeasures",
                "PixelValueTransformation",
            )
        ]
        if "LOCALIZER" not in str(
            functional_group(dataset, frame, "CTImageFrameTypeSequence", path).get("FrameType")
        ):
            image = _slice(
                groups[0], groups[1], groups[2], groups[3], plane, path, instance, number
            )
            content = (frame.get("FrameContentSequence") or [Dataset()])[0]
            yield replace(
                image, marks={**marks_of(dataset, content), "InstanceNumber": str(number)}
            )


def _slice(
    position: Dataset,
    orientation: Dataset,
    measures: Dataset,
    rescale: Dataset,
    stored: npt.NDArray[Any],
    path: Path,
    instance: str,
    frame: int,
) -> Slice:
    spacing_mm = numbers(measures, "PixelSpacing", 2, path)
    if min(spacing_mm) < FINEST_MM:
        raise DicomError(
            f"{path}: PixelSpacing is {spacing_mm[0]} and {spacing_mm[1]} mm; export the file again"
        )
    return Slice(
        path=path,
        sop_instance_uid=instance,
        frame=frame,
        position_mm=numbers(position, "ImagePositionPatient", 3, path),
        orientation=numbers(orientation, "ImageOrientationPatient", 6, path),
        spacing_mm=spacing_mm,
        rescale=_rescale(rescale, path),
        stored=stored,
    )


def _rescale(dataset: Dataset, path: Path) -> tuple[float, float]:
    kind = text(dataset, "RescaleType").upper()
    if kind not in ("", "HU", "US"):
        unit = (
            f"'{kind}'" if kind in UNITS else "another unit"
        )  # what a file says freely may name the patient
        raise RescaleError(
            f"{path}: its pixels are rescaled to {unit}, not to Hounsfield units; give the plain CT"
        )
    if value(dataset, "RescaleSlope") is None or value(dataset, "RescaleIntercept") is None:
        raise RescaleError(
            f"{path}: no RescaleSlope or no RescaleIntercept, so no Hounsfield units; export it again"
        )
    slope, intercept = (
        numbers(dataset, f"Rescale{what}", 1, path)[0] for what in ("Slope", "Intercept")
    )
    if slope == 0:
        raise RescaleError(f"{path}: RescaleSlope is 0, so no Hounsfield units; export it again")
    return slope, intercept


def hounsfield(slices: Sequence[Slice]) -> npt.NDArray[Any]:
    """HU of slices that share one matrix and orientation:

    int16 where that is exact in all, otherwise float32.
    """
    planes = [to_axes(image.stored, image.orientation) for image in slices]
    exact = all(map(_is_exact, slices))
    hu = np.empty((len(planes), *planes[0].shape), dtype=np.int16 if exact else np.float32)
    for of_slice, plane, image in zip(hu, planes, slices, strict=True):
        slope, intercept = image.rescale
        of_slice[:] = (
            plane.astype(np.int32) * int(slope) + int(intercept)
            if exact
            else plane * slope + intercept
        )
    return hu


def _is_exact(image: Slice) -> bool:
    """Whether a slice's HU are whole numbers of 16 bits;

    then none on the way to them needs more than 32 bits.
    """
    slope, intercept = image.rescale
    if not (slope.is_integer() and intercept.is_integer()):
        return False
    ends = [
        int(end()) * int(slope) + int(intercept) for end in (image.stored.min, image.stored.max)
    ]
    limits = np.iinfo(np.int16)
    return limits.min <= min(ends) and max(ends) <= limits.max


def _axes(orientation: Sequence[float]) -> tuple[bool, float, float]:
    """How the stored axes lie in the patient: whether rows run along x, and the signs of x and y.

    orientation: of the row (to the next column), then of the column (to the next row).
    """
    row, column = orientation[:3], orientation[3:]
    transposed = abs(row[0]) < abs(row[1])
    along_x, along_y = (column, row) if transposed else (row, column)
    return transposed, float(np.sign(along_x[0])), float(np.sign(along_y[1]))


def to_axes(plane: npt.NDArray[Any], orientation: Sequence[float]) -> npt.NDArray[Any]:
    """A stored plane with rows running to +y and columns to +x."""
    transposed, x_sign, y_sign = _axes(orientation)
    plane = plane.T if transposed else plane
    return plane[:: int(y_sign), :: int(x_sign)]


def grid_of(slices: Sequence[Slice], shape: tuple[int, ...]) -> Grid:
    first = slices[0]
    transposed, x_sign, y_sign = _axes(first.orientation)
    row_step, column_step = first.spacing_mm[::-1] if transposed else first.spacing_mm
    x, y = first.position_mm[:2]
    if x_sign < 0:
        x -= column_step * (shape[2] - 1)
    if y_sign < 0:
        y -= row_step * (shape[1] - 1)
    z_mm = tuple(image.z_mm for image in slices)
    return Grid((shape[0], shape[1], shape[2]), (row_step, column_step), z_mm, (x, y))
