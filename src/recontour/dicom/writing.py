"""Hounsfield units on a Grid -> a CT series; and how any DICOM file of ours is encoded."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from recontour.dicom.ct import Scan, read_series
from recontour.dicom.ct_findings import UnwritableVoxels
from recontour.errors import GridMismatchError
from recontour.files import whole_folder
from recontour.geometry import Grid


@dataclass(frozen=True, slots=True)
class ScanIdentity:
    """Whose a series that `write_scan` makes is, and which scanner made it.

    seed: UIDs derive from it; use another seed for every series.
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

    def uid(self, what: str) -> UID:
        """Return the UID of something in the series."""
        return generate_uid(entropy_srcs=["recontour", self.seed, what])


def write_scan(
    folder: Path,
    hu: npt.NDArray[np.int16],
    grid: Grid,
    identity: ScanIdentity,
) -> Scan:
    """Write an axial CT series, one file per slice, into a new folder, and read it back.

    hu: int16 (slice, row, column).
    Raises: GridMismatchError: hu does not lie on the grid. OutputError: the folder exists.

    >>> grid = Grid((2, 16, 16), (1.0, 1.0), (0.0, 3.0), (0.0, 0.0))
    >>> water = np.zeros(grid.shape, dtype=np.int16)
    >>> scan = write_scan(Path("water"), water, grid, ScanIdentity("water"))
    >>> int(scan.hu.max())
    0
    """
    if hu.shape != grid.shape or hu.dtype != np.int16:
        raise GridMismatchError(
            UnwritableVoxels(
                path=folder,
                kind=str(hu.dtype),
                shape=hu.shape,
                expected=grid.shape,
            )
        )
    with whole_folder(folder) as partial:
        for index in range(grid.shape[0]):
            image = _ct_image(hu, grid, identity, index)
            (partial / f"CT{index + 1:04d}.dcm").write_bytes(encoded(image))
    return read_series(sorted(folder.iterdir()))


def _ct_image(
    hu: npt.NDArray[np.int16],
    grid: Grid,
    identity: ScanIdentity,
    index: int,
) -> Dataset:
    """Return one slice as a CT image (PS3.3 A.3)."""
    image = Dataset()
    _name_object(image, identity, index)
    _name_patient_and_study(image, identity)
    _name_series(image, identity)
    _place_slice(image, grid, index)
    _set_pixels(image, hu[index])
    return image


def _name_object(image: Dataset, identity: ScanIdentity, index: int) -> None:
    uid = identity.uid(f"image {index}")
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = uid
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = uid
    image.SpecificCharacterSet = "ISO_IR 192"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]


def _name_patient_and_study(image: Dataset, identity: ScanIdentity) -> None:
    image.PatientName = identity.patient_name
    image.PatientID = identity.patient_id
    image.PatientBirthDate = ""
    image.PatientSex = ""
    image.StudyInstanceUID = identity.uid("study")
    image.StudyID = "1"
    image.StudyDescription = identity.study_description
    image.AccessionNumber = ""
    image.ReferringPhysicianName = ""
    for what in ("Study", "Series", "Acquisition", "Content"):
        setattr(image, f"{what}Date", identity.study_date)
        setattr(image, f"{what}Time", "120000")


def _name_series(image: Dataset, identity: ScanIdentity) -> None:
    image.Modality = "CT"
    image.SeriesInstanceUID = identity.uid("series")
    image.SeriesNumber = 1
    image.AcquisitionNumber = 1
    image.BodyPartExamined = "HEADNECK"
    image.PatientPosition = "HFS"
    image.Manufacturer = identity.manufacturer
    image.ManufacturerModelName = identity.scanner_model
    image.ConvolutionKernel = identity.kernel or None
    image.KVP = decimal_string(identity.kvp)
    image.FrameOfReferenceUID = identity.uid("frame of reference")
    image.PositionReferenceIndicator = ""


def _place_slice(image: Dataset, grid: Grid, index: int) -> None:
    position_mm = (*grid.origin_mm, grid.slice_z_mm[index])
    image.InstanceNumber = grid.shape[0] - index
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = list(map(decimal_string, position_mm))
    image.PixelSpacing = list(map(decimal_string, grid.spacing_mm))
    image.SliceThickness = decimal_string(float(grid.slice_thickness_mm[index]))


def _set_pixels(image: Dataset, plane: npt.NDArray[np.int16]) -> None:
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = plane.shape
    image.BitsAllocated = 16
    image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 1
    image.RescaleIntercept = "0"
    image.RescaleSlope = "1"
    image.RescaleType = "HU"
    image.WindowCenter = "40"
    image.WindowWidth = "400"
    image.PixelData = plane.astype("<i2").tobytes()


def encoded(dataset: Dataset) -> bytes:
    """Return a file's bytes.

    Encoding in memory first separates errors of the DICOM from errors of the disk.
    """
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def decimal_string(value: float) -> str:
    """Return a number as DICOM's DS, of at most 16 characters up to 100 m.

    Its 8 decimals are finer than the rasteriser can see.

    >>> decimal_string(-2.5), decimal_string(100.0)
    ('-2.5', '100')
    """
    return f"{value:.8f}".rstrip("0").rstrip(".")
