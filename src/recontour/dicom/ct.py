"""A CT series -> Hounsfield units on a Grid."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import DataElement, Dataset, dcmwrite
from pydicom.datadict import dictionary_VR

from recontour.dicom.archive import CT, read_archive
from recontour.dicom.ct_checks import (
    SAME_IN_SERIES,
    SERIES_SHOWN,
    refuse_copied,
    refuse_differing,
    refuse_gaps,
    refuse_mixture,
    refuse_no_copy,
    refuse_overlap,
    refuse_tilted,
)
from recontour.dicom.ct_findings import DenseStretch, NoAir, PassedOver
from recontour.dicom.padding import padding_inside, with_air_as_padding
from recontour.dicom.pairing import CtSeries, are_parts
from recontour.dicom.passes import (
    Overlap,
    dense_stretch,
    overlap_of,
    overlap_of_pixels,
    overlap_of_positions,
)
from recontour.dicom.pictures import PICTURES, kind_of_picture
from recontour.dicom.reading import (
    DEEPEST,
    read_dataset,
    reading,
    silence,
    sop_class_uid,
    text,
)
from recontour.dicom.slices import Slice, grid_of, hounsfield, slices_of
from recontour.errors import (
    DicomError,
    MixedSeriesError,
    NoSeriesError,
    NotDicomError,
)
from recontour.findings import Finding
from recontour.geometry import Grid

MOST_VOXELS = (
    1024 * 512 * 512
)  # of one CT: more is no head and neck, and would not fit into the memory
NO_AIR_HU = -500  # a CT in which nothing is below has no air, and no patient lies without any
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


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One axial CT.

    hu: Hounsfield units, (slice, row, column); int16 where that is exact, otherwise float32.
    notes: what whoever uses it should know, first why its values or slices may be wrong.
    """

    hu: npt.NDArray[np.int16] | npt.NDArray[np.float32]
    grid: Grid
    source: Source
    notes: tuple[Finding, ...] = ()


def read_scan(folder: Path) -> Scan:
    """Read the one CT series of a folder tree; other modalities and files that are no DICOM are
    passed over.

    Raises: DicomError: there is not exactly one series, or it is not one whole axial CT.
    """
    archive = read_archive(folder)
    for damaged in archive.unreadable:
        raise NotDicomError(damaged.finding)
    pictures = []
    for kind, count in archive.passed_over:
        if kind in PICTURES:
            pictures.append(PassedOver(what=kind, count=count))
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
    scan = read_series(series.files)
    return replace(scan, notes=(*scan.notes, *pictures))


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
    slices: dict[tuple[str, int], Slice] = {}
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
            for stored in slices_of(dataset, path):
                image = with_air_as_padding(stored, dataset)
                known = slices.setdefault((image.sop_instance_uid, image.frame), image)
                refuse_no_copy(known, image, path)
                if known is image:
                    voxels += image.stored.size
            if voxels > MOST_VOXELS:
                raise DicomError(
                    f"{place}: more than {MOST_VOXELS:,} voxels; give the CT of the head and neck alone"
                )
    if shared is None or not slices:
        raise NoSeriesError(f"{place}: no axial CT image in it; give the folder of one CT series")
    ordered = sorted(slices.values(), key=lambda image: image.z_mm)
    refuse_tilted(ordered)
    heights_mm = [image.z_mm for image in ordered]
    marks = [image.marks for image in ordered]
    refuse_copied(ordered)
    refuse_overlap(overlap_of(heights_mm, marks), ordered, place)
    refuse_mixture(ordered, place)
    refuse_overlap(overlap_of_positions(heights_mm), ordered, place)
    refuse_gaps(ordered, place)
    hu = hounsfield(ordered)
    refuse_overlap(overlap_of_pixels(hu, heights_mm), ordered, place)
    with reading(place):
        source = _source(shared, ordered)
    dense = dense_stretch(heights_mm, marks)
    return Scan(hu, grid_of(ordered, hu.shape), source, tuple(_doubts(ordered, hu, dense)))


def _doubts(
    slices: Sequence[Slice], hu: npt.NDArray[Any], dense: Overlap | None
) -> Iterator[Finding]:
    """Yield why the values or slices of a CT may be wrong."""
    padding = padding_inside(slices)
    if padding is not None:
        yield padding
    lowest = float(hu.min())
    if lowest >= NO_AIR_HU:
        yield NoAir(lowest_hu=lowest)
    if dense is not None:
        yield DenseStretch(from_mm=dense.from_mm, to_mm=dense.to_mm)


def _source(shared: Dataset, slices: Sequence[Slice]) -> Source:
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
