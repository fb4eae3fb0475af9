"""A CT series -> Hounsfield units on a Grid.

`slices` parses the files, `ct_checks` refuses what is not one whole axial CT.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import DataElement, Dataset, dcmwrite
from pydicom.datadict import dictionary_VR

from recontour.dicom.archive import Archive, read_archive
from recontour.dicom.ct_checks import (
    refuse_copied,
    refuse_differing,
    refuse_gaps,
    refuse_mixture,
    refuse_no_copy,
    refuse_overlap,
    refuse_shared_positions,
    refuse_tilted,
)
from recontour.dicom.ct_findings import (
    DenseStretch,
    NoAirInCt,
    OneSeries,
    PaddingInsideImage,
    SeveralSeries,
    SkippedPictures,
    TooManyVoxels,
)
from recontour.dicom.findings import NoCtSeries
from recontour.dicom.padding import AIR_HU
from recontour.dicom.pairing import CtSeries, are_parts
from recontour.dicom.passes import (
    dense_stretch,
    overlap_of,
    overlap_of_pixels,
    overlap_of_positions,
)
from recontour.dicom.pictures import PICTURES
from recontour.dicom.pixels import MOST_VOXELS
from recontour.dicom.reading import DEEPEST, reading, text
from recontour.dicom.silence import silence
from recontour.dicom.slices import CtFile, Slice, grid_of, hounsfield, read_ct_file
from recontour.errors import DicomError, MixedSeriesError, NoSeriesError, NotDicomError
from recontour.findings import Finding
from recontour.geometry import Grid

PHANTOM_STUDY = "recontour phantom, not a patient"  # StudyDescription of the phantom's CTs
NO_AIR_HU = -500  # every patient lies in air, and air is thinner than this
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

Hounsfield = npt.NDArray[np.int16] | npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a structure set must reference.

    It identifies the patient: it never leaves memory except into a structure set.

    header: the CT's attributes of patient, study and frame of reference. sop_instance_uids: by
    slice of the grid. orientation: of the stored rows and columns. frame_numbers: by slice, from 1;
    empty unless the CT is multi-frame.
    """

    header: Dataset
    sop_class_uid: str
    sop_instance_uids: tuple[str, ...]
    series_instance_uid: str
    frame_of_reference_uid: str
    orientation: tuple[float, ...]
    frame_numbers: tuple[int, ...] = ()

    @property
    def is_phantom(self) -> bool:
        """Return whether the CT shows recontour's phantom, not a patient."""
        return text(self.header, "StudyDescription") == PHANTOM_STUDY


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One axial CT.

    hu: Hounsfield units, (slice, row, column); int16 if that is exact, otherwise float32.
    notes: what a user should know, first why its values or slices may be wrong.
    """

    hu: Hounsfield
    grid: Grid
    source: Source
    notes: tuple[Finding, ...] = ()


def read_scan(folder: Path) -> Scan:
    """Read the one CT series of a folder tree.

    Other modalities and files that are not DICOM are skipped.

    Raises: DicomError: there is not exactly one series, or it is not one whole axial CT.

    >>> scan = read_scan(Path("dicom/new-patient"))
    >>> scan.hu.shape == scan.grid.shape
    True
    """
    return scan_of(read_archive(folder))


def scan_of(archive: Archive) -> Scan:
    """Read the one CT series of an archive whose headers were read.

    Raises: as `read_scan`.

    >>> scan = scan_of(read_archive(Path("dicom/new-patient")))
    >>> scan.hu.shape == scan.grid.shape
    True
    """
    folder = archive.folder
    for damaged in archive.unreadable:
        raise NotDicomError(damaged.finding)
    if not archive.series:
        raise NoSeriesError(NoCtSeries(path=folder, wanted="one series", skipped=archive.skipped))
    if len(archive.series) > 1:
        raise MixedSeriesError(_several(archive.series, folder))
    (series,) = archive.series
    series.refuse_clash()
    scan = read_series(series.files)
    pictures = []
    for what, count in archive.skipped:
        if what in PICTURES:
            pictures.append(SkippedPictures(what=what, count=count))
    return replace(scan, notes=(*scan.notes, *pictures))


def _several(series: Sequence[CtSeries], folder: Path) -> SeveralSeries:
    """Return the finding on several series, so that a person can tell them apart."""
    found = []
    for one in series:
        first = one.files[0].relative_to(folder)
        found.append(OneSeries(path=first, images=len(one.files)))
    return SeveralSeries(
        path=folder,
        are_parts=are_parts(series),
        series=tuple(found),
    )


@silence()
def read_series(files: Sequence[Path]) -> Scan:
    """Read the files of one CT series, in any order.

    Raises: DicomError: they are not one whole axial CT.

    >>> files = list(Path("dicom/new-patient/CT").iterdir())
    >>> len(files) == len(read_series(files).hu)
    True
    """
    if not files:
        raise NoSeriesError(NoCtSeries(wanted="one series"))
    place = Path(os.path.commonpath([path.parent for path in files]))
    first, slices = _read_slices(files, place)
    _refuse_unless_whole(slices, place)
    hu = hounsfield(slices)
    heights_mm = [image.z_mm for image in slices]
    refuse_overlap(overlap_of_pixels(hu, heights_mm), slices, place)
    with reading(place):
        source = _source(first, slices)
    return Scan(hu, grid_of(slices, hu.shape), source, tuple(_doubts(slices, hu)))


def _read_slices(files: Sequence[Path], place: Path) -> tuple[CtFile, list[Slice]]:
    """Read the slices of a series, upwards and each once, and the first file that holds any."""
    first: CtFile | None = None
    slices: dict[tuple[str, int], Slice] = {}
    voxels = 0
    for path in files:
        file = read_ct_file(path)
        if file is None:
            continue
        first = first or file
        refuse_differing((first.path, first.belongs_to), (path, file.belongs_to))
        for image in file.slices:
            known = slices.setdefault((image.sop_instance_uid, image.frame), image)
            if known is image:
                voxels += image.stored.size
            else:
                refuse_no_copy(known, image)
        if voxels > MOST_VOXELS:
            raise DicomError(TooManyVoxels(path=place, most=MOST_VOXELS))
    if first is None or not slices:
        raise NoSeriesError(NoCtSeries(path=place, wanted="one series"))
    return first, sorted(slices.values(), key=lambda image: image.z_mm)


def _refuse_unless_whole(slices: Sequence[Slice], place: Path) -> None:
    """Raise DicomError unless slices are one whole axial CT. The first reason counts.

    slices: upwards.
    """
    heights_mm = [image.z_mm for image in slices]
    marks = [image.marks for image in slices]
    refuse_tilted(slices)
    refuse_copied(slices)
    refuse_overlap(overlap_of(heights_mm, marks), slices, place)
    refuse_mixture(slices, place)
    refuse_overlap(overlap_of_positions(heights_mm), slices, place)
    refuse_shared_positions(slices)
    refuse_gaps(slices, place)


def _doubts(slices: Sequence[Slice], hu: Hounsfield) -> Iterator[Finding]:
    """Yield why the values or slices of a CT may be wrong."""
    padded = [image for image in slices if image.padding.pixels]
    if padded:
        voxels = sum(image.padding.pixels for image in padded)
        padding = padded[0].padding
        yield PaddingInsideImage(
            voxels=voxels,
            share=voxels / hu.size,
            hu=padding.hu,
            became_hu=None if padding.is_kept else AIR_HU,
        )
    lowest_hu = float(hu.min())
    if lowest_hu >= NO_AIR_HU:
        yield NoAirInCt(lowest_hu=lowest_hu)
    heights_mm = [image.z_mm for image in slices]
    dense = dense_stretch(heights_mm, [image.marks for image in slices])
    if dense is not None:
        yield DenseStretch(from_mm=dense.from_mm, to_mm=dense.to_mm)


def _source(first: CtFile, slices: Sequence[Slice]) -> Source:
    header = Dataset()
    for keyword in CARRIED_OVER:
        if keyword in first.dataset and _is_writable(first.dataset[keyword]):
            header[keyword] = first.dataset[keyword]
    frame_numbers = tuple(image.frame for image in slices)
    is_multi_frame = slices[0].frame > 0
    return Source(
        header=header,
        sop_class_uid=first.sop_class_uid,
        sop_instance_uids=tuple(image.sop_instance_uid for image in slices),
        series_instance_uid=first.belongs_to["SeriesInstanceUID"],
        frame_of_reference_uid=first.belongs_to["FrameOfReferenceUID"],
        orientation=slices[0].orientation,
        frame_numbers=frame_numbers if is_multi_frame else (),
    )


def _is_writable(element: DataElement) -> bool:
    """Return whether a structure set can carry an attribute over.

    The items of a sequence may be damaged, which shows only when they are written.
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
    """Return whether sequences are nested no deeper than makes sense.

    The text of pydicom's errors doubles with each level.
    """
    level = [dataset]
    for _ in range(DEEPEST):
        level = list(_items_within(level))
    return not level


def _items_within(datasets: Sequence[Dataset]) -> Iterator[Dataset]:
    """Yield the items of every sequence in some datasets."""
    for dataset in datasets:
        for element in dataset:
            if element.VR == "SQ":
                yield from element.value
