"""A CT series <-> Hounsfield units on a Grid."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import DataElement, Dataset, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from recontour.dicom.archive import CT, ENHANCED_CT, read_archive
from recontour.dicom.decoding import PLUGINS
from recontour.dicom.pairing import CtSeries, are_parts
from recontour.dicom.passes import (
    SAME_PLACE_MM,
    Marks,
    Overlap,
    acquired_alike,
    dense_stretch,
    marks_of,
    overlap_of,
    overlap_of_pixels,
    overlap_of_positions,
)
from recontour.dicom.pictures import PICTURES, kind_of_picture
from recontour.dicom.reading import (
    DEEPEST,
    functional_group,
    not_read,
    numbers,
    read_dataset,
    reading,
    silence,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
)
from recontour.errors import (
    DicomError,
    DuplicateSliceError,
    GridMismatchError,
    MissingSliceError,
    MixedSeriesError,
    NoSeriesError,
    NotDicomError,
    OrientationError,
    RescaleError,
)
from recontour.files import whole_folder
from recontour.geometry import Grid

AXIS_TOLERANCE = 1e-3  # of a direction cosine
SAME_SPACING_MM = 1e-4
MOST_PIXELS = 4096 * 4096  # of one image, and
MOST_VOXELS = (
    1024 * 512 * 512
)  # of one CT: more is no head and neck, and would not fit into the memory
PIXELS = (
    0x7FE00008,
    0x7FE00009,
    0x7FE00010,
)  # of one of three types, of which the whole numbers are read
# how compressed images tell their size: SIZ of JPEG 2000, SOF of JPEG and JPEG-LS
CODESTREAM = re.compile(
    rb"\xff\x4f\xff\x51.{4}(.{4})(.{4}).{24}(..)|\xff[\xc0-\xcf\xf7]\x00[\x0b\x0e\x11\x14].(..)(..)",
    re.DOTALL,
)
FINEST_MM = 0.01  # between two pixels
AIR_HU = -1000
UNITS = ("OD", "MGML", "Z_EFF", "ED", "EDW", "HU_MOD", "PCT")  # of PS3.3 C.11.1.1.2
DENSEST_HU = 3071  # what 12 bits hold: no tissue is denser, and metal hardly
NEAR_AIR_HU = 200  # what air may differ by from AIR_HU
LEAST_AIR_AT_BORDER = 0.05  # of its pixels
INNER = 0.8  # of the half axes: what lies within is no corner outside a round field of view
NO_AIR_HU = -500  # a CT in which nothing is below has no air, and no patient lies without any
DRIFT_MM = 0.1  # how far slices may be shifted against each other in plane
SERIES_SHOWN = 12  # in one line of an error: the phases of a 4D CT
GAP_TO_CLOSER_SIDE, GAP_TO_WIDER_SIDE = 1.9, 1.4  # see _refuse_gaps

TWO_PLACES = (
    "images of two places under one SOPInstanceUID, so which slices there are is unknown; export the series again, or "
    "pseudonymise it again, each image under its own UID"
)
OF_ONE_PATIENT = (
    "PatientID",
    "StudyInstanceUID",
)  # the same in all files of a series; names are spelt as one likes
SAME_IN_SERIES = ("SeriesInstanceUID", "FrameOfReferenceUID", *OF_ONE_PATIENT)
CARRIED_OVER = (  # what a structure set shares with its CT: patient, study, frame of reference
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a structure set must reference.

    It identifies the patient: it never leaves memory except into a structure set. header: the CT's
        attributes of patient, study and frame of reference. sop_instance_uids: by slice of the
        grid. orientation: of the stored rows and columns. frame_numbers: by slice, from 1; empty
        unless the CT is multi-frame.
    """

    header: Dataset
    sop_class_uid: str
    sop_instance_uids: tuple[str, ...]
    series_instance_uid: str
    frame_of_reference_uid: str
    orientation: tuple[float, ...]
    frame_numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PaddingWithin:
    """Pixels of the padding value that lie where tissue may: within the image, or reaching in from
    its border.

    share: of all voxels, from 0 to 1. hu: what the value says, the lowest of its range. is_kept:
        whether they are as stored; otherwise they became air.
    """

    voxels: int
    share: float
    hu: float
    is_kept: bool

    @property
    def doubt(self) -> str:
        """What is to be said of it, as a sentence."""
        became = "left as stored" if self.is_kept else f"taken as air ({AIR_HU} HU)"
        return (
            f"{self.voxels:,} voxels ({100 * self.share:.2g} %) have its PixelPaddingValue ({self.hu:g} HU) and lie "
            f"within the image, so they may be tissue; they are {became}: "
            "is its PixelPaddingValue right?"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One axial CT.

    hu: Hounsfield units, (slice, row, column); int16 where that is exact, otherwise float32.
    """

    hu: npt.NDArray[np.int16] | npt.NDArray[np.float32]
    grid: Grid
    source: Source
    padding: PaddingWithin | None = None  # in the body, if there is any
    dense: Overlap | None = None  # a stretch of slices that may be of two acquisitions
    passed_over: tuple[
        tuple[str, int], ...
    ] = ()  # pictures that lay among its slices: their kind, and how many

    @property
    def doubt(self) -> str:
        """Why its values or slices may not be what they seem, as a sentence;

        empty if nothing speaks against them.
        """
        least = float(self.hu.min())
        doubts = [] if self.padding is None else [self.padding.doubt]
        if least >= NO_AIR_HU:
            doubts.append(
                f"its lowest value is {least:g} HU, so there is no air in it: is its RescaleIntercept right?"
            )
        if self.dense is not None:
            doubts.append(
                f"slices lie more densely {self.dense.stretch} than before and after it, while their SliceThickness "
                "stays the same: are they two acquisitions that overlap?"
            )
        return "; ".join(doubts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know who uses it, each as a sentence."""
        passed_over = [f"passed over: {count} x {kind}" for kind, count in self.passed_over]
        return (*([self.doubt] if self.doubt else []), *passed_over)


@dataclass(frozen=True, slots=True)
class ScanIdentity:
    """Whom and what a series that `write_scan` makes names.

    UIDs derive from the seed: one seed, one series.
    """

    seed: str
    patient_id: str = "PHANTOM"
    patient_name: str = "Phantom^Head"
    study_description: str = ""
    study_date: str = "20200101"
    manufacturer: str = "recontour"
    scanner_model: str = "phantom"
    kernel: str = ""
    kvp: float = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
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


def read_scan(folder: Path) -> Scan:
    """Read the one CT series of a folder tree; other modalities and files that are no DICOM are
    passed over.

    Raises: DicomError: there is not exactly one series, or it is not one whole axial CT.
    """
    archive = read_archive(folder)
    for damaged in archive.unreadable:
        raise NotDicomError(f"{damaged.path}: {damaged.reason}")
    pictures = tuple((kind, count) for kind, count in archive.passed_over if kind in PICTURES)
    if not archive.series:
        instead = f" ({', '.join(f'{count} x {kind}' for kind, count in archive.passed_over)})"
        seen = instead if archive.passed_over else ""
        raise NoSeriesError(f"{folder}: no CT slice in it{seen}; give the folder of one CT series")
    if len(archive.series) > 1:
        what = (
            f"{folder}: {len(archive.series)} CT series in it ({_counted(archive.series, folder)})"
        )
        if are_parts(archive.series):
            raise MixedSeriesError(
                f"{what}, and no two of their images share a place, as in parts of one CT; export that CT again as one "
                "series, or give a folder that holds just one series"
            )
        raise MixedSeriesError(f"{what}; give a folder that holds just one")
    (series,) = archive.series
    series.refuse_clash()
    return replace(read_series(series.files), passed_over=pictures)


def _counted(series: Sequence[CtSeries], folder: Path) -> str:
    """How many images each series has, and one of its files, so that a person can take them apart."""
    shown = [
        f"{len(one.files)} images as {one.files[0].relative_to(folder)}"
        for one in series[:SERIES_SHOWN]
    ]
    return ", ".join([*shown, "..."] if len(series) > SERIES_SHOWN else shown)


@silence()
def read_series(files: Sequence[Path]) -> Scan:
    """Read the files of one CT series, in any order.

    Raises: DicomError: they are not one whole axial CT.
    """
    if not files:
        raise NoSeriesError("no CT files given; a CT series has at least one")
    place = Path(os.path.commonpath([path.parent for path in files]))
    slices: dict[tuple[str, int], _Slice] = {}
    shared: Dataset | None = None
    first = files[0]
    voxels = 0
    for path in files:
        with reading(path):
            dataset = read_dataset(path)
            if sop_class_uid(dataset) not in CT or kind_of_picture(dataset):
                continue
            if shared is None:
                shared, first = dataset, path
            refuse_differing(SAME_IN_SERIES, (first, shared), (path, dataset))
            for stored in _images(dataset, path):
                image = _with_air_as_padding(stored, dataset)
                known = slices.setdefault((image.sop_instance_uid, image.frame), image)
                _refuse_no_copy(known, image, path)
                if known is image:
                    voxels += image.stored.size
            if voxels > MOST_VOXELS:
                raise DicomError(
                    f"{place}: more than {MOST_VOXELS:,} voxels; give the CT of the head and neck alone"
                )
    if shared is None or not slices:
        raise NoSeriesError(f"{place}: no axial CT image in it; give the folder of one CT series")
    ordered = sorted(slices.values(), key=lambda image: image.z_mm)
    _refuse_tilted(ordered)
    heights_mm = [image.z_mm for image in ordered]
    marks = [image.marks for image in ordered]
    _refuse_copied(ordered)
    _refuse_overlap(overlap_of(heights_mm, marks), ordered, place)
    _refuse_mixture(ordered, place)
    _refuse_overlap(overlap_of_positions(heights_mm), ordered, place)
    _refuse_gaps(ordered, place)
    hu = _hounsfield(ordered)
    _refuse_overlap(overlap_of_pixels(hu, heights_mm), ordered, place)
    with reading(place):
        source = _source(shared, ordered)
    dense = dense_stretch(heights_mm, marks)
    return Scan(hu, _grid(ordered, hu.shape), source, _padding_within(ordered), dense)


def _refuse_no_copy(known: _Slice, image: _Slice, path: Path) -> None:
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


def _images(dataset: Dataset, path: Path) -> Iterator[_Slice]:
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


def _with_air_as_padding(image: _Slice, dataset: Dataset) -> _Slice:
    """A slice whose padding, where it would be denser than air, is air: nothing was measured there.

    What lies within the image, or reaches into it from its border beside air that was measured,
    stays as it is where tissue may have that value.
    """
    first, last = map(
        dataset.get, ("PixelPaddingValue", "PixelPaddingRangeLimit")
    )  # "US or SS": the rest says which
    if first is None:
        return image
    kind, (slope, intercept) = image.stored.dtype, image.rescale
    ends = np.array([first, first if last is None else last]).astype(
        kind
    )  # its VR may not know their sign
    ends_hu = ends * slope + intercept
    if np.max(ends_hu) <= AIR_HU:
        return image
    padding = (image.stored >= ends.min()) & (image.stored <= ends.max())
    if not padding.any():
        return image
    measured_air = (image.stored * slope + intercept <= AIR_HU + NEAR_AIR_HU) & ~padding
    holds_air = bool(np.min(ends_hu) <= AIR_HU and np.max(ends_hu) > AIR_HU + NEAR_AIR_HU)
    outside = _outside(padding, measured_air, holds_air)
    within = int(np.count_nonzero(padding) - np.count_nonzero(outside))
    is_kept = bool(np.min(ends_hu) <= DENSEST_HU)
    air = np.clip(
        round((AIR_HU - intercept) / slope), np.iinfo(kind).min, np.iinfo(kind).max
    ).astype(kind)
    stored = np.where(outside if is_kept else padding, air, image.stored)
    return replace(
        image,
        stored=stored,
        padding_within=within,
        padding_hu=float(np.min(ends_hu)),
        padding_kept=is_kept,
    )


def _outside(
    padding: npt.NDArray[np.bool_], measured_air: npt.NDArray[np.bool_], holds_air: bool
) -> npt.NDArray[np.bool_]:
    """The pixels of padding that lie outside what was measured: lumps that are joined to the
    image's border.

    A lump that reaches far into the image while there is measured air at the border is no outside:
    a body that is wider than the image touches its border as well. Nor is any such lump where the
    padding's range of values holds air.
    padding, measured_air: of each pixel, (row, column).
    """
    from scipy import ndimage  # here: few series have such padding

    labels, _ = ndimage.label(padding)
    joined = np.setdiff1d(_border(labels), [0])
    if holds_air or _border(measured_air).mean() >= LEAST_AIR_AT_BORDER:
        rows, columns = (np.linspace(-1, 1, count) for count in padding.shape)
        inner = np.hypot(rows[:, None], columns) < INNER
        joined = np.setdiff1d(joined, labels[inner])
    outside: npt.NDArray[np.bool_] = np.isin(labels, joined)
    return outside


def _border(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values at the border of an image."""
    return np.concatenate([plane[0], plane[-1], plane[:, 0], plane[:, -1]])


def _padding_within(slices: Sequence[_Slice]) -> PaddingWithin | None:
    """What lies within the images of a series and has the value of padding;

    None if nothing does.
    """
    found = [image for image in slices if image.padding_within]
    if not found:
        return None
    count = sum(image.padding_within for image in found)
    share = count / sum(image.stored.size for image in slices)
    return PaddingWithin(count, share, found[0].padding_hu, found[0].padding_kept)


def stored_pixels(dataset: Dataset, path: Path) -> npt.NDArray[Any]:
    """The stored pixels of a file: whole numbers, (row, column), of several frames (frame, row,
    column).

    Raises: DicomError: there are more than a CT has, they cannot be decoded, which bits are theirs
        is unclear, or they are no whole numbers.
    """
    allocated, stored, highest = (
        value(dataset, keyword) for keyword in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if isinstance(stored, int) and stored != allocated and highest not in (None, stored - 1):
        raise DicomError(
            f"{path}: HighBit is not BitsStored - 1, so that its pixels are unclear; export it again"
        )
    if (plain := _plain_pixels(dataset)) is not None:
        return plain
    _refuse_unread(dataset, path)
    _refuse_huge(dataset, path)
    dataset.pixel_array_options(
        decoding_plugin=PLUGINS.get(dataset.file_meta.TransferSyntaxUID, "")
    )
    try:
        pixels = np.asarray(dataset.pixel_array)
    except Exception as error:  # decoders raise almost anything on damaged pixels
        how = ", uncompressed" if dataset.file_meta.TransferSyntaxUID.is_compressed else ""
        raise NotDicomError(
            f"{path}: its pixels cannot be decoded, or are not as many as it says ({type(error).__name__}); "
            f"copy or export the file again{how}"
        ) from error
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize > 4:
        raise DicomError(
            f"{path}: pixels of type {pixels.dtype}; whole numbers of at most 32 bits are expected. Give the plain CT"
        )
    return pixels


def _plain_pixels(dataset: Dataset) -> npt.NDArray[Any] | None:
    """The pixels of one uncompressed image of 16 bits, as nearly all CT is; None of any other."""
    element = dataset.get_item("PixelData")
    pixels = None if element is None else element.value
    shape = value(dataset, "Rows"), value(dataset, "Columns")
    expected = {
        "SamplesPerPixel": 1,
        "BitsAllocated": 16,
        "PhotometricInterpretation": "MONOCHROME2",
    }
    signed, stored_bits = value(dataset, "PixelRepresentation"), value(dataset, "BitsStored")
    if (
        value(dataset.file_meta, "TransferSyntaxUID")
        not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
        or any(value(dataset, keyword) != wanted for keyword, wanted in expected.items())
        or value(dataset, "NumberOfFrames") not in (None, 1)
        or signed not in (0, 1)
        or stored_bits not in range(1, 17)
        or not all(isinstance(side, int) for side in shape)
        or not isinstance(pixels, bytes)
        or len(pixels) != 2 * prod(shape)
        or prod(shape) > MOST_PIXELS
    ):
        return None
    stored = np.frombuffer(pixels, dtype="<i2" if signed else "<u2").reshape(shape)
    unused = 16 - stored_bits
    return stored << unused >> unused if unused else stored


def _refuse_unread(dataset: Dataset, path: Path) -> None:
    """Raise where pixels are encoded in a way that is not read, or lie elsewhere."""
    syntax = UID(text(dataset.file_meta, "TransferSyntaxUID"))
    try:
        is_read = get_decoder(syntax).is_available
    except NotImplementedError:
        is_read = False
    if not is_read:
        raise NotDicomError(f"{path}: {not_read(syntax)}")
    if not any(tag in dataset for tag in PIXELS):
        raise NotDicomError(
            f"{path}: no pixels in it; export it again, with its pixels and uncompressed"
        )


def _refuse_huge(dataset: Dataset, path: Path) -> None:
    """Raise where an image says, in its header or in its compressed pixels, that it is larger than
    any CT.

    Decoders make room for what is claimed before they see that it is not there.
    """
    rows, columns, samples, frames = (
        int(value(dataset, keyword) or 1)
        for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    )
    compressed = (
        dataset.file_meta.TransferSyntaxUID.is_encapsulated
    )  # in plain pixels such bytes are mere numbers
    pixels = dataset.get("PixelData") if compressed else None
    claims = CODESTREAM.finditer(pixels) if isinstance(pixels, bytes) else ()
    sizes = [prod(int.from_bytes(number or b"\1") for number in claim.groups()) for claim in claims]
    largest = max([rows * columns * samples, *sizes])
    if largest > MOST_PIXELS or largest * frames > MOST_VOXELS:
        raise DicomError(
            f"{path}: {frames} image(s) of {largest:,} pixels, and no CT is that large; export it again"
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
) -> _Slice:
    spacing_mm = numbers(measures, "PixelSpacing", 2, path)
    if min(spacing_mm) < FINEST_MM:
        raise DicomError(
            f"{path}: PixelSpacing is {spacing_mm[0]} and {spacing_mm[1]} mm; export the file again"
        )
    return _Slice(
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


def _hounsfield(slices: Sequence[_Slice]) -> npt.NDArray[Any]:
    """HU of slices that share one matrix and orientation:

    int16 where that is exact in all, otherwise float32.
    """
    planes = [_to_axes(image.stored, image.orientation) for image in slices]
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


def _is_exact(image: _Slice) -> bool:
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


def _to_axes(plane: npt.NDArray[Any], orientation: Sequence[float]) -> npt.NDArray[Any]:
    """A stored plane with rows running to +y and columns to +x."""
    transposed, x_sign, y_sign = _axes(orientation)
    plane = plane.T if transposed else plane
    return plane[:: int(y_sign), :: int(x_sign)]


def _grid(slices: Sequence[_Slice], shape: tuple[int, ...]) -> Grid:
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


def plane_of(
    stored: npt.NDArray[Any], position: Dataset, orientation: Dataset, measures: Dataset, path: Path
) -> tuple[npt.NDArray[Any], Grid]:
    """One stored plane with rows running to +y and columns to +x, and where it lies; three
    functional groups say that.

    Raises: DicomError: the groups are incomplete. OrientationError: not axial.
    """
    image = _Slice(
        path=path,
        sop_instance_uid="",
        frame=0,
        position_mm=numbers(position, "ImagePositionPatient", 3, path),
        orientation=numbers(orientation, "ImageOrientationPatient", 6, path),
        spacing_mm=numbers(measures, "PixelSpacing", 2, path),
        rescale=(1.0, 0.0),
        stored=stored,
    )
    _refuse_tilted([image])
    plane = _to_axes(stored, image.orientation)
    return plane, _grid([image], (1, *plane.shape))


def _source(shared: Dataset, slices: Sequence[_Slice]) -> Source:
    header = Dataset()
    for keyword in CARRIED_OVER:
        if keyword in shared and _is_writable(shared[keyword]):
            header[keyword] = shared[keyword]
    return Source(
        header=header,
        sop_class_uid=sop_class_uid(shared),
        sop_instance_uids=tuple(image.sop_instance_uid for image in slices),
        series_instance_uid=text(shared, "SeriesInstanceUID"),
        frame_of_reference_uid=text(shared, "FrameOfReferenceUID"),
        orientation=slices[0].orientation,
        frame_numbers=tuple(image.frame for image in slices) if slices[0].frame else (),
    )


def _is_writable(element: DataElement) -> bool:
    """Whether a structure set can carry an attribute over:

    a sequence's damaged items show only when written.
    """
    if dictionary_VR(element.tag) != element.VR:
        return False
    if element.VR != "SQ":
        return True
    alone = Dataset()
    alone[element.tag] = element
    try:
        if not _is_shallow(alone):
            return False
        dcmwrite(BytesIO(), alone, implicit_vr=True, little_endian=True)
    except MemoryError:
        raise
    except Exception:  # pydicom raises almost anything on damaged items
        return False
    return True


def _is_shallow(dataset: Dataset) -> bool:
    """Whether sequences lie within sequences no deeper than anyone means:

    pydicom's errors double with each level.
    """
    level = [dataset]
    for _ in range(DEEPEST):
        level = [
            item
            for outer in level
            for element in outer
            if element.VR == "SQ"
            for item in element.value
        ]
    return not level


def _refuse_tilted(slices: Sequence[_Slice]) -> None:
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


def _refuse_overlap(overlap: Overlap | None, slices: Sequence[_Slice], place: Path) -> None:
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


def _passes_shown(overlap: Overlap, slices: Sequence[_Slice]) -> str:
    """How many slices each acquisition has, from where to where, and its lowest one's file."""
    shown = []
    for indices in overlap.passes[:SERIES_SHOWN]:
        lowest, highest = slices[indices[0]], slices[indices[-1]]
        shown.append(
            f"{len(indices)} slices, z = {lowest.z_mm:.1f} to {highest.z_mm:.1f} mm, as {lowest.path}"
        )
    return "; ".join([*shown, "..."] if len(overlap.passes) > SERIES_SHOWN else shown)


def _refuse_mixture(slices: Sequence[_Slice], place: Path) -> None:
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


def _refuse_gaps(slices: Sequence[_Slice], place: Path) -> None:
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


def _sharing_place(slices: Sequence[_Slice]) -> list[tuple[_Slice, _Slice]]:
    """The pairs of slices that share a position. slices: in order of position."""
    return [pair for pair in pairwise(slices) if pair[1].z_mm - pair[0].z_mm < SAME_PLACE_MM]


def _refuse_copied(slices: Sequence[_Slice]) -> None:
    """Raise where slices that share a position are one slice stored twice, and no acquisitions that
    overlap.
    """
    shared = _sharing_place(slices)
    if all(acquired_alike(one.marks, other.marks) for one, other in shared):
        _refuse_equal(shared)


def _refuse_equal(shared: Sequence[tuple[_Slice, _Slice]]) -> None:
    """Raise where there are slices that share a position, and the two of each pair have the same
    pixels.
    """
    if shared and all(np.array_equal(one.stored, other.stored) for one, other in shared):
        below, above = shared[0]
        raise DuplicateSliceError(
            f"{below.path} and {above.path}: {len(shared)} slice(s) twice, the first at z = {below.z_mm:.1f} mm, under "
            "two SOPInstanceUIDs; give one copy of each"
        )


def _refuse_same_place(slices: Sequence[_Slice]) -> None:
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


def write_scan(folder: Path, hu: npt.NDArray[np.int16], grid: Grid, identity: ScanIdentity) -> Scan:
    """Write an axial CT series, one file a slice, into a new folder.

    hu: int16 (slice, row, column).
    Raises: GridMismatchError: hu does not lie on the grid. OutputError: the folder exists.
    """
    if hu.shape != grid.shape or hu.dtype != np.int16:
        raise GridMismatchError(
            f"{folder}: HU are {hu.dtype} of {hu.shape}; int16 of {grid.shape} are expected"
        )
    with whole_folder(folder) as partial:
        for index in range(grid.shape[0]):
            image = encoded(_ct_image(hu, grid, identity, index))
            (partial / f"CT{index + 1:04d}.dcm").write_bytes(image)
    return read_series(sorted(folder.iterdir()))


def _ct_image(hu: npt.NDArray[np.int16], grid: Grid, identity: ScanIdentity, index: int) -> Dataset:
    """One slice as a CT image (PS3.3 A.3)."""

    def uid(what: str) -> UID:
        return generate_uid(entropy_srcs=["recontour", identity.seed, what])

    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = uid(f"image {index}")
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.PatientName, image.PatientID = identity.patient_name, identity.patient_id
    image.PatientBirthDate = image.PatientSex = ""
    image.StudyInstanceUID, image.StudyID = uid("study"), "1"
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = (
        identity.study_date
    )
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = "120000"
    image.StudyDescription = identity.study_description
    image.AccessionNumber = image.ReferringPhysicianName = ""
    image.Modality, image.SeriesInstanceUID, image.SeriesNumber = "CT", uid("series"), 1
    image.BodyPartExamined = "HEADNECK"
    image.PatientPosition = "HFS"
    image.Manufacturer, image.ManufacturerModelName = identity.manufacturer, identity.scanner_model
    image.ConvolutionKernel, image.KVP = identity.kernel or None, decimal_string(identity.kvp)
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = uid("frame of reference"), ""
    image.AcquisitionNumber, image.InstanceNumber = 1, grid.shape[0] - index
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [
        decimal_string(value) for value in (*grid.origin_mm, grid.slice_z_mm[index])
    ]
    image.PixelSpacing = [decimal_string(step) for step in grid.spacing_mm]
    image.SliceThickness = decimal_string(float(grid.slice_thickness_mm[index]))
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = grid.shape[1:]
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "0", "1", "HU"
    image.WindowCenter, image.WindowWidth = "40", "400"
    image.PixelData = hu[index].astype("<i2").tobytes()
    return image


def encoded(dataset: Dataset) -> bytes:
    """A file's bytes, made where errors are those of the DICOM, not of the disk."""
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def decimal_string(value: float) -> str:
    """A number as DICOM's DS, at most 16 characters up to 100 m:

    its 8 decimals are finer than the rasteriser sees.
    """
    return f"{value:.8f}".rstrip("0").rstrip(".")
