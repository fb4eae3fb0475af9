"""Hounsfield units on a Grid -> a CT series."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from recontour.dicom.ct import Scan, read_series
from recontour.errors import (
    GridMismatchError,
)
from recontour.files import whole_folder
from recontour.geometry import Grid


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
