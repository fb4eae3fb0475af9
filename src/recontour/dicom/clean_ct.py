"""A CT series -> the same without its patient."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from recontour.dicom.clean_attributes import without_identity
from recontour.dicom.ct import PHANTOM_STUDY
from recontour.dicom.ct_checks import refuse_differing
from recontour.dicom.deidentify_findings import (
    ColourImage,
    ImageMayShowPatient,
    RemainingOverlap,
    TooSmallBitsStored,
)
from recontour.dicom.findings import SharedImageUid
from recontour.dicom.identity import Pseudonyms
from recontour.dicom.pairing import CtSeries
from recontour.dicom.passes import Frame, passes_of
from recontour.dicom.pixels import stored_pixels
from recontour.dicom.reading import (
    numbers,
    read_dataset,
    read_header,
    reading,
    sop_class_uid,
    sop_instance_uid,
    text,
    value,
)
from recontour.dicom.slices import OF_ONE_PATIENT, texts
from recontour.dicom.writing import encoded
from recontour.errors import DicomError, MixedSeriesError
from recontour.files import whole_folder
from recontour.findings import Finding

# In ImageType; for example, GE's dose reports are CT images of SCREEN SAVE.
SCREENS = re.compile("SCREEN|SAVE|CAPTURE")
OVERLAY_GROUPS = range(0x6000, 0x6100)
OVERLAY_BITS_ALLOCATED = 0x0100


def write_series(
    folder: Path,
    series: CtSeries,
    pseudonyms: Pseudonyms,
) -> tuple[Finding, ...]:
    """Write the files of a CT series, counted from 1; none of them if one cannot be written.

    Acquisitions that overlap get the numbers by which import tells them apart.
    Returns: what a person should know of the series.
    Raises: DicomError: a file that may name the patient, or is damaged. MixedSeriesError: files of
        two patients, or two images under one UID.
    """
    overlap, acquisitions = passes_of(series.files) or (None, {})
    first = series.files[0]
    header = read_header(first, ("SpecificCharacterSet", *OF_ONE_PATIENT))
    expected = texts(header, OF_ONE_PATIENT)
    paths: dict[str, Path] = {}  # by SOPInstanceUID
    with whole_folder(folder) as partial:
        for number, path in enumerate(sorted(series.files, key=_place_in_series), start=1):
            with reading(path):
                image = read_dataset(path)
                refuse_differing((first, expected), (path, texts(image, OF_ONE_PATIENT)))
                _refuse_known_uid(image, path, paths)
                _refuse_marks_in_pixels(image, path)
                clean = without_identity(image, pseudonyms)
                if text(image, "StudyDescription") == PHANTOM_STUDY:
                    clean.StudyDescription = PHANTOM_STUDY  # it is nobody, and models must know
                clean.InstanceNumber = number
                clean.AcquisitionNumber = acquisitions.get((path, 0), "")
                _number_frames(clean, path, acquisitions)
                _set_pixels(clean, image, path)
                content = encoded(clean)
            (partial / f"CT{number:04d}.dcm").write_bytes(content)
    if overlap is None:
        return ()
    remains = RemainingOverlap(
        path=series.place,
        count=len(overlap.passes),
        kind=overlap.kind,
        from_mm=overlap.from_mm,
        to_mm=overlap.to_mm,
        in_one_file=len(series.files) == 1,
    )
    return (remains,)


def _place_in_series(path: Path) -> tuple[int, float, Path]:
    """Return what sorts files by InstanceNumber, equal ones upwards.

    The number itself may be anything, so it is not written.
    """
    number = 0
    z_mm = 0.0
    with suppress(DicomError), reading(path):
        header = read_header(path, ("ImagePositionPatient",))
        z_mm = numbers(header, "ImagePositionPatient", 3, path)[2]
    with suppress(DicomError), reading(path):
        number = int(text(read_header(path, ("InstanceNumber",)), "InstanceNumber"))
    return number, z_mm, path


def _refuse_known_uid(
    image: Dataset,
    path: Path,
    paths: dict[str, Path],
) -> None:
    """Raise MixedSeriesError where another file has the image's UID; copies are left out before."""
    uid = sop_instance_uid(image)
    known = paths.setdefault(uid, path)
    if uid and known != path:
        raise MixedSeriesError(
            SharedImageUid(
                path=known,
                differ_in=("position",),
                rivals=(known, path),
            )
        )


def _refuse_marks_in_pixels(image: Dataset, path: Path) -> None:
    """Raise DicomError where an image says that its pixels hold more than a CT."""
    if text(image, "BurnedInAnnotation").upper() == "YES":
        raise DicomError(ImageMayShowPatient(path=path, seen="burned-in text"))
    if SCREENS.search(text(image, "ImageType").upper()):
        raise DicomError(ImageMayShowPatient(path=path, seen="picture of a screen"))
    is_plain_ct = sop_class_uid(image) == CTImageStorage
    if is_plain_ct and value(image, "ImagePositionPatient") is None:
        raise DicomError(ImageMayShowPatient(path=path, seen="no position"))
    for tag in sorted(image.keys()):
        is_size = tag.group in OVERLAY_GROUPS and tag.element == OVERLAY_BITS_ALLOCATED
        if is_size and image[tag].value > 1:
            raise DicomError(ImageMayShowPatient(path=path, seen="overlay"))


def _number_frames(
    clean: Dataset,
    path: Path,
    acquisitions: Mapping[Frame, int],
) -> None:
    """Give the frames of a multi-frame image the numbers of their acquisitions."""
    frames = clean.get("PerFrameFunctionalGroupsSequence") or ()
    for number, frame in enumerate(frames, start=1):
        if (path, number) in acquisitions:
            content = (frame.get("FrameContentSequence") or [Dataset()])[0]
            content.FrameAcquisitionNumber = acquisitions[path, number]
            frame.FrameContentSequence = [content]


def _set_pixels(clean: Dataset, image: Dataset, path: Path) -> None:
    """Give an image its pixels, decoded and plainly encoded.

    Nothing else is copied: no bytes behind the pixels, no comments in compressed ones, no unused
    bits.
    Raises: DicomError: it is unclear what the pixels are.
    """
    pixels = stored_pixels(image, path)
    if value(clean, "SamplesPerPixel") != 1:
        raise DicomError(ColourImage(path=path))
    content = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    padding = bytes(len(content) % 2)
    clean.BitsAllocated = 8 * pixels.dtype.itemsize
    clean.add_new("PixelData", "OW", content + padding)
    clean.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if not np.array_equal(stored_pixels(clean, path), pixels):
        raise DicomError(TooSmallBitsStored(path=path))
