"""Masks <-> DICOM SEG."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from recontour.dicom.archive import LABEL_MAP
from recontour.dicom.ct import Scan
from recontour.dicom.ct_checks import refuse_tilted
from recontour.dicom.pixels import stored_pixels
from recontour.dicom.reading import (
    functional_group,
    numbers,
    read_dataset,
    reading,
    sop_class_uid,
    text,
    value,
)
from recontour.dicom.rtstruct_out import (
    Authorship,
    find_letters,
    refuse_without_uids,
)
from recontour.dicom.slices import Slice, grid_of, to_axes
from recontour.dicom.writing import decimal_string, encoded
from recontour.errors import DicomError, FrameOfReferenceError, GridMismatchError, NoSeriesError
from recontour.files import refuse_existing, write_bytes
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.geometry.grid import GRIDS_AGREE_MM
from recontour.organs import organ_of

if (
    TYPE_CHECKING
):  # highdicom is loaded where it is used: it takes half a second, and few runs need it
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # how the masks lie: a Grid's columns to +x, rows to +y
SEGMENTATIONS = (SegmentationStorage, LABEL_MAP)
PLACE = ("PlanePosition", "PlaneOrientation", "PixelMeasures")  # functional groups


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One structure of a SEG on a grid. name: its label, exactly as it is spelt.

    planes: slice of the grid and a bit a pixel, (row, column / 8); of those with a pixel, for all
        masks of a whole body would not fit into the memory.
    """

    name: str
    grid: Grid
    planes: Sequence[tuple[int, npt.NDArray[np.uint8]]]

    @property
    def is_drawn(self) -> bool:
        """Whether any voxel is marked."""
        return bool(self.planes)

    def mask(self) -> Mask:
        """The marked voxels: bool (slice, row, column)."""
        mask = np.zeros(self.grid.shape, dtype=bool)
        for index, bits in self.planes:
            mask[index] |= np.unpackbits(bits, axis=-1, count=self.grid.shape[2]).view(np.bool_)
        return mask


def read_segments(
    path: Path, grid: Grid, frame_of_reference_uid: str | None
) -> tuple[Segment, ...]:
    """The segments of a DICOM SEG, binary or a label map, on a CT's grid.

    frame_of_reference_uid: the one it must have been drawn in; None: any.
    Raises: NotDicomError: damaged, or pixels that are not read. NoSeriesError: no SEG.
        FrameOfReferenceError: drawn in
        another frame of reference. GridMismatchError: its planes are not the grid's. DicomError:
        fractional; binary and compressed; a label that no segment has.
    """
    dataset = read_dataset(path)
    with reading(path):
        _refuse_others(dataset, path)
        if frame_of_reference_uid is not None:
            seen = text(dataset, "FrameOfReferenceUID")
            if not seen:
                raise FrameOfReferenceError(
                    f"{path}: it does not say its frame of reference, so whether it lies on this CT is unknown; "
                    "export it again"
                )
            if seen != frame_of_reference_uid:
                raise FrameOfReferenceError(
                    f"{path}: drawn in another frame of reference than this CT's; give the CT it was drawn on"
                )
        shape = int(dataset.Rows), int(dataset.Columns)
        if sorted(shape) != sorted(grid.shape[1:]):
            raise GridMismatchError(
                f"{path}: images of {shape}, the CT's {grid.shape[1:]}; nothing is resampled. Export the segmentation "
                "on the CT's own grid (as its reference)"
            )
        described = {
            value(item, "SegmentNumber"): text(item, "SegmentLabel")
            for item in dataset.SegmentSequence
        }
        is_label_map = sop_class_uid(dataset) == LABEL_MAP
        if is_label_map:
            described.pop(_background(dataset), None)
        planes: dict[int, list[tuple[int, npt.NDArray[np.uint8]]]] = {
            number: [] for number in described
        }
        marked = _labelled(dataset, path) if is_label_map else _drawn(dataset, path, shape)
        for number, frame, stored in marked:
            position, orientation, measures = (
                functional_group(dataset, frame, f"{name}Sequence", path) for name in PLACE
            )
            plane, lies = _plane_of(stored, position, orientation, measures, path)
            index = _slice_of(lies, grid, path)
            if number not in planes and plane.any():
                raise DicomError(f"{path}: label {number} belongs to no segment; export it again")
            if plane.any():
                planes[number].append((index, np.packbits(plane, axis=-1)))
        return tuple(Segment(label, grid, planes[number]) for number, label in described.items())


def _refuse_others(dataset: Dataset, path: Path) -> None:
    """Raise where a file is no SEG, or one that is not read."""
    kind = sop_class_uid(dataset)
    if kind not in SEGMENTATIONS:
        raise NoSeriesError(
            f"{path}: not a DICOM SEG, but {_named(kind)}; give a SEG, a NIfTI label map, or a folder of NIfTI masks"
        )
    if kind == LABEL_MAP:
        return
    stored_as = text(dataset, "SegmentationType")
    if stored_as == "FRACTIONAL":
        raise DicomError(
            f"{path}: a FRACTIONAL segmentation: it gives each voxel a share or a probability, and does not say where "
            "the border lies; set a threshold where it was made, and export it as BINARY or LABELMAP"
        )
    if stored_as != "BINARY":
        raise DicomError(
            f"{path}: its SegmentationType is none that is read; export it as BINARY or LABELMAP"
        )
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        raise DicomError(
            f"{path}: a BINARY segmentation that is compressed is not read; export it uncompressed"
        )


def _named(sop_class: str) -> str:
    """A kind of object, in words."""
    if sop_class == CTImageStorage:
        return "a CT image"
    if sop_class == RTStructureSetStorage:
        return "an RTSTRUCT, which needs no conversion"
    name = str(UID(sop_class).name)
    return "an object of an unknown kind" if name == sop_class else name


def _background(dataset: Dataset) -> int:
    """The label of a label map that stands for no segment (PS3.3 C.8.20.2: its padding value)."""
    found = value(dataset, "PixelPaddingValue")
    return found if isinstance(found, int) else 0


def _drawn(
    dataset: Dataset, path: Path, shape: tuple[int, int]
) -> Iterator[tuple[int, Dataset, Mask]]:
    """The frames of a binary SEG:

    of which segment, the frame's functional groups, what is marked (row, column).
    """
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        segment = functional_group(dataset, frame, "SegmentIdentificationSequence", path)
        yield (
            value(segment, "ReferencedSegmentNumber"),
            frame,
            _bits(dataset.PixelData, number, shape),
        )


def _labelled(dataset: Dataset, path: Path) -> Iterator[tuple[int, Dataset, Mask]]:
    """The labels in each frame of a label map:

    which, the frame's functional groups, what is marked (row, column).
    """
    pixels = stored_pixels(dataset, path)
    frames = dataset.PerFrameFunctionalGroupsSequence
    planes = pixels[None] if pixels.ndim == 2 else pixels
    if planes.ndim != 3 or len(planes) != len(frames):
        raise DicomError(
            f"{path}: {len(frames)} frames described, pixels of shape {pixels.shape}; export it again"
        )
    background = _background(dataset)
    for frame, plane in zip(frames, planes, strict=True):
        for label in np.unique(plane).tolist():
            if label != background:
                yield label, frame, plane == label


def read_segmentation(path: Path, scan: Scan) -> dict[str, Mask]:
    """The segments of a DICOM SEG on a scan's grid, by their labels: bool (slice, row, column).

    Raises: as `read_segments`; DicomError also: two labels alike.
    """
    segments = read_segments(path, scan.grid, scan.source.frame_of_reference_uid)
    if len({segment.name for segment in segments}) < len(segments):
        raise DicomError(f"{path}: two segments are called alike; rename one")
    return {segment.name: segment.mask() for segment in segments}


def _plane_of(
    stored: npt.NDArray[Any], position: Dataset, orientation: Dataset, measures: Dataset, path: Path
) -> tuple[npt.NDArray[Any], Grid]:
    """One stored plane with rows running to +y and columns to +x, and where it lies; three
    functional groups say that.

    Raises: DicomError: the groups are incomplete. OrientationError: not axial.
    """
    rows_mm, columns_mm = numbers(measures, "PixelSpacing", 2, path)
    image = Slice(
        path=path,
        sop_instance_uid="",
        frame=0,
        position_mm=numbers(position, "ImagePositionPatient", 3, path),
        orientation=numbers(orientation, "ImageOrientationPatient", 6, path),
        spacing_mm=(rows_mm, columns_mm),
        rescale=(1.0, 0.0),
        stored=stored,
    )
    refuse_tilted([image])
    plane = to_axes(stored, image.orientation)
    return plane, grid_of([image], (1, *plane.shape))


def _bits(packed: bytes, number: int, shape: tuple[int, int]) -> Mask:
    """One frame of pixels of one bit, which follow one another without regard to bytes (PS3.5
    8.1.1).
    """
    first, count = number * shape[0] * shape[1], shape[0] * shape[1]
    some = np.frombuffer(packed, dtype=np.uint8)[first // 8 : (first + count + 7) // 8]
    return np.unpackbits(some, bitorder="little")[first % 8 :][:count].reshape(shape).astype(bool)


def _slice_of(plane: Grid, grid: Grid, path: Path) -> int:
    """Which slice of a grid a plane of its own is."""
    (z_mm,) = plane.slice_z_mm
    index = int(np.abs(np.asarray(grid.slice_z_mm) - z_mm).argmin())
    corners = [one.to_mm(np.array([[0.0, 0.0], one.shape[:0:-1]])) for one in (plane, grid)]
    apart_mm = max(abs(grid.slice_z_mm[index] - z_mm), float(np.abs(corners[0] - corners[1]).max()))
    if plane.shape[1:] != grid.shape[1:] or apart_mm > GRIDS_AGREE_MM:
        raise GridMismatchError(
            f"{path}: the image at z = {z_mm:.1f} mm lies {apart_mm:.1f} mm from the CT's slice; "
            "give a SEG on the CT's own grid: nothing is resampled"
        )
    return index


def write_segmentation(
    path: Path, masks: Iterable[tuple[str, Mask]], scan: Scan, made_by: Authorship
) -> None:
    """Write a DICOM SEG, one segment an organ, that references the scan; complete or not at all.

    masks: by TG-263 name, bool (slice, row, column) on the scan's grid; they may overlap, and
        slices lie where they are. All of them are held in memory, at a byte a voxel.
    Raises: FrameOfReferenceError, DicomError: as `write_structure_set`; DicomError also: the CT is
        multi-frame.
        OutputError: the file exists or cannot be made.
    """
    refuse_existing(path)
    refuse_without_uids(path, scan.source)
    if scan.source.frame_numbers:
        raise DicomError(
            f"{path}: a SEG of a multi-frame CT is not written; write an RTSTRUCT, or give single frames"
        )
    drawn = dict(masks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on odd values of the CT's own header, which are kept
        content = encoded(_segmentation(drawn, scan, made_by))
    write_bytes(path, content)


def _segmentation(masks: dict[str, Mask], scan: Scan, made_by: Authorship) -> Dataset:
    from highdicom import (
        PixelMeasuresSequence,
        PlaneOrientationSequence,
        PlanePositionSequence,
        content,
        seg,
    )
    from pydicom.sr.codedict import codes

    grid = scan.grid
    algorithm = content.AlgorithmIdentificationSequence(
        made_by.name[:64], codes.cid7162.ArtificialIntelligence, version("recontour")
    )
    dataset = seg.Segmentation(
        source_images=_ct_images(scan),
        pixel_array=np.stack([mask.view(np.uint8) for mask in masks.values()], axis=-1),
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(number, organ, algorithm) for number, organ in enumerate(masks, start=1)
        ],
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="recontour",
        manufacturer_model_name=made_by.name[:64],
        software_versions=version("recontour"),
        device_serial_number="none",
        series_description=f"recontour: {made_by.name}"[:64],
        content_label=made_by.label.upper(),
        pixel_measures=PixelMeasuresSequence(
            grid.spacing_mm, float(grid.slice_thickness_mm.mean())
        ),
        plane_orientation=PlaneOrientationSequence("PATIENT", AXIAL),
        plane_positions=[
            PlanePositionSequence("PATIENT", (*grid.origin_mm, z)) for z in grid.slice_z_mm
        ],
    )
    dataset.update(scan.source.header)
    find_letters(dataset, [made_by.name, *masks])
    return dataset


def _segment(
    number: int, organ: str, algorithm: "AlgorithmIdentificationSequence"
) -> "SegmentDescription":
    """What a segment is:

    its organ in SNOMED's words, its side, the colour it has in an RTSTRUCT.
    """
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    known = organ_of(organ)
    described = SegmentDescription(
        segment_number=number,
        segment_label=organ,
        segmented_property_category=codes.cid7150.AnatomicalStructure,
        segmented_property_type=CodedConcept(known.concept.code, "SCT", known.concept.meaning),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        display_color=CIELabColor.from_rgb(*known.colour),
    )
    if known.side:
        side = CodedConcept.from_code(codes.SCT.Left if known.side == "L" else codes.SCT.Right)
        (concept,) = described.SegmentedPropertyTypeCodeSequence
        concept.SegmentedPropertyTypeModifierCodeSequence = [side]
    return described


def _ct_images(scan: Scan) -> list[Dataset]:
    """What highdicom asks of the CT, slice by slice: which instance, and where it lies."""
    source, grid = scan.source, scan.grid
    images = []
    for instance, z_mm in zip(source.sop_instance_uids, grid.slice_z_mm, strict=True):
        image = Dataset()
        for keyword in (
            "PatientID",
            "PatientName",
            "PatientBirthDate",
            "PatientSex",
            "AccessionNumber",
            "StudyID",
        ):
            setattr(
                image, keyword, ""
            )  # filled from the CT's header when the object is made, as it stands there
        image.StudyDate = image.StudyTime = None
        image.Modality, image.SOPClassUID, image.SOPInstanceUID = "CT", CTImageStorage, instance
        image.StudyInstanceUID, image.SeriesInstanceUID = (
            source.header.StudyInstanceUID,
            source.series_instance_uid,
        )
        image.FrameOfReferenceUID = source.frame_of_reference_uid
        image.Rows, image.Columns = grid.shape[1:]
        image.ImageOrientationPatient = list(source.orientation)
        image.ImagePositionPatient = [decimal_string(value) for value in (*grid.origin_mm, z_mm)]
        image.PixelSpacing = [decimal_string(step) for step in grid.spacing_mm]
        image.SliceThickness = decimal_string(float(grid.slice_thickness_mm.mean()))
        images.append(image)
    return images
