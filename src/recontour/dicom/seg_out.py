"""Masks -> DICOM SEG."""

import re
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage, generate_uid

from recontour.dicom.archive import MAKER
from recontour.dicom.contour_findings import SegOfMultiFrameCt
from recontour.dicom.ct import Scan
from recontour.dicom.rtstruct_out import (
    LONGEST_NAME,
    Authorship,
    find_letters,
    refuse_without_uids,
    short_text,
)
from recontour.dicom.writing import decimal_string, encoded
from recontour.errors import DicomError
from recontour.files import refuse_existing, write_bytes
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.organs import organ_of

# highdicom is loaded where it is used: that takes more than a second, and few runs need it
if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence, PlanePositionSequence
    from highdicom.seg import SegmentDescription

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # how masks lie: a Grid's columns to +x, rows to +y
NO_CODE = re.compile("[^A-Z0-9_ ]")  # what a ContentLabel, DICOM's CS, must not hold
FILLED_LATER = (  # from the CT's header, as it stands there
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
)


def write_segmentation(
    path: Path,
    masks: Iterable[tuple[str, Mask]],
    scan: Scan,
    made_by: Authorship,
) -> None:
    """Write a DICOM SEG that references the scan, one segment per organ, complete or not at all.

    masks: by TG-263 name, bool (slice, row, column) on the scan's grid. They may overlap, and
    slices may be spaced unevenly. All are held in memory, one byte per voxel.

    Raises: FrameOfReferenceError, DicomError: as `write_structure_set`; DicomError also: the CT is
        multi-frame. OutputError: the file exists or cannot be made.

    >>> from recontour.dicom import read_scan
    >>> scan = read_scan(Path("dicom/new-patient"))
    >>> masks = [("Brainstem", scan.hu > 100)]
    >>> write_segmentation(Path("seg.dcm"), masks, scan, Authorship("a threshold"))
    """
    refuse_existing(path)
    refuse_without_uids(path, scan.source)
    if scan.source.frame_numbers:
        raise DicomError(SegOfMultiFrameCt(path=path))
    drawn = dict(masks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd values of the CT's own header, which are kept
        content = encoded(_segmentation(drawn, scan, made_by))
    write_bytes(path, content)


def _segmentation(
    masks: dict[str, Mask],
    scan: Scan,
    made_by: Authorship,
) -> Dataset:
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, content, seg
    from pydicom.sr.codedict import codes

    grid = scan.grid
    name = made_by.name[:LONGEST_NAME]
    algorithm = content.AlgorithmIdentificationSequence(
        name, codes.cid7162.ArtificialIntelligence, version("recontour")
    )
    first_line, _, _ = made_by.description.partition("\n")
    segments = []
    for number, organ in enumerate(masks, start=1):
        segments.append(_segment(number, organ, algorithm, made_by))
    dataset = seg.Segmentation(
        source_images=_ct_images(scan),
        pixel_array=np.stack([mask.view(np.uint8) for mask in masks.values()], axis=-1),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=name,
        software_versions=version("recontour"),
        device_serial_number="none",
        series_description=made_by.series_description,
        content_label=_code(made_by.label),
        content_description=first_line[:LONGEST_NAME] or None,
        pixel_measures=PixelMeasuresSequence(
            grid.spacing_mm, float(grid.slice_thickness_mm.mean())
        ),
        plane_orientation=PlaneOrientationSequence("PATIENT", AXIAL),
        plane_positions=_plane_positions(grid),
    )
    dataset.update(scan.source.header)
    names = map(made_by.template.name_of, masks)
    find_letters(dataset, [made_by.name, made_by.described, *made_by.remarks.values(), *names])
    return dataset


def _code(label: str) -> str:
    """Return a label as DICOM's code string, which begins with a letter from A to Z.

    >>> _code("AI draft (new)"), _code("草稿")
    ('AI DRAFT _NEW', 'RECONTOUR')
    """
    letters = NO_CODE.sub("_", label.upper())
    return letters.lstrip("0123456789_ ").rstrip("_ ") or MAKER.upper()


def _plane_positions(grid: Grid) -> list["PlanePositionSequence"]:
    from highdicom import PlanePositionSequence

    positions = []
    for z_mm in grid.slice_z_mm:
        positions.append(PlanePositionSequence("PATIENT", (*grid.origin_mm, z_mm)))
    return positions


def _segment(
    number: int,
    organ: str,
    algorithm: "AlgorithmIdentificationSequence",
    made_by: Authorship,
) -> "SegmentDescription":
    """Describe a segment: its organ in SNOMED's words, its side, the colour of an RTSTRUCT.

    A SEG has no room for the description of all contours, so each segment's ends with it.
    """
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    known = organ_of(organ)
    described = SegmentDescription(
        segment_number=number,
        segment_label=made_by.template.name_of(organ),
        segmented_property_category=codes.cid7150.AnatomicalStructure,
        segmented_property_type=CodedConcept(known.concept.code, "SCT", known.concept.meaning),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm,
        display_color=CIELabColor.from_rgb(*made_by.template.colour_of(organ)),
    )
    if known.side:
        side = CodedConcept.from_code(codes.SCT.Left if known.side == "L" else codes.SCT.Right)
        (concept,) = described.SegmentedPropertyTypeCodeSequence
        concept.SegmentedPropertyTypeModifierCodeSequence = [side]
    said = [made_by.remarks.get(organ, ""), made_by.description]
    if any(said):
        described.SegmentDescription = short_text("\n".join(filter(None, said)))
    return described


def _ct_images(scan: Scan) -> list[Dataset]:
    """Return what highdicom asks of the CT, slice by slice: which instance, and where it lies."""
    images = []
    for index in range(scan.grid.shape[0]):
        images.append(_ct_image(scan, index))
    return images


def _ct_image(scan: Scan, index: int) -> Dataset:
    source, grid = scan.source, scan.grid
    position_mm = (*grid.origin_mm, grid.slice_z_mm[index])
    image = Dataset()
    for keyword in FILLED_LATER:
        setattr(image, keyword, "")
    image.StudyDate = None
    image.StudyTime = None
    image.Modality = "CT"
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = source.sop_instance_uids[index]
    image.StudyInstanceUID = source.header.StudyInstanceUID
    image.SeriesInstanceUID = source.series_instance_uid
    image.FrameOfReferenceUID = source.frame_of_reference_uid
    image.Rows, image.Columns = grid.shape[1:]
    image.ImageOrientationPatient = list(source.orientation)
    image.ImagePositionPatient = list(map(decimal_string, position_mm))
    image.PixelSpacing = list(map(decimal_string, grid.spacing_mm))
    image.SliceThickness = decimal_string(float(grid.slice_thickness_mm.mean()))
    return image
