"""Small CT series written by `write_scan`, then bent file by file into what other centres send."""

import subprocess
import tarfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from shutil import which

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import UID, EnhancedCTImageStorage, ExplicitVRBigEndian
from tests.geometry.conftest import make_grid

from recontour.dicom import (
    Authorship,
    Scan,
    ScanIdentity,
    write_scan,
    write_structure_set,
)
from recontour.geometry import Grid, Structure, StructureSet, trace

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_dciodvfy = pytest.mark.skipif(
    which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed"
)
PATIENT = ("Zebedee^Quentin", "MRN-4711")


def numbered(grid: Grid) -> npt.NDArray[np.int16]:
    """HU that tell every voxel from every other."""
    return (np.arange(np.prod(grid.shape)) - 1000).astype(np.int16).reshape(grid.shape)


def make_scan(folder: Path, grid: Grid | None = None, seed: str = "a") -> Scan:
    """Write a series in which every voxel differs.

    It has 5 slices, 3 mm apart, of 6 rows and 8 columns, unless the grid says otherwise.
    """
    grid = grid or make_grid((5, 6, 8), spacing_mm=(1.5, 2.0), origin_mm=(-7.25, -4.0))
    return write_scan(
        folder,
        numbered(grid),
        grid,
        ScanIdentity(seed, patient_id=PATIENT[1], patient_name=PATIENT[0]),
    )


def block(grid: Grid) -> npt.NDArray[np.bool_]:
    """A mask of 2 x 2 pixels on every slice."""
    mask = np.zeros(grid.shape, dtype=bool)
    mask[:, 2:4, 3:5] = True
    return mask


def make_structure_set(
    path: Path, scan: Scan, names: tuple[str, ...] = ("Brainstem",), seed: str = "a"
) -> None:
    """A structure set in which each name is a block of 2 x 2 pixels on every slice."""
    contours = trace(block(scan.grid), scan.grid)
    structures = StructureSet(tuple(Structure(name, contours) for name in names))
    write_structure_set(path, structures, scan, Authorship("test", "HN", seed=seed))


def edit(path: Path, change: Callable[[Dataset], None]) -> None:
    """Rewrite a DICOM file, or every file of a folder, changed."""
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        dataset = pydicom.dcmread(file)
        with disable_value_validation():
            change(dataset)
            dataset.save_as(file)


def recode(path: Path, syntax: str) -> None:
    """Rewrite an uncompressed DICOM file in another uncompressed transfer syntax."""
    dataset = pydicom.dcmread(path)
    # each is parsed now, while its byte order is known
    assert all(element.VR for element in dataset.iterall())
    if syntax == ExplicitVRBigEndian and "PixelData" in dataset:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    pydicom.dcmwrite(path, dataset)


def make_multi_frame(folder: Path, to: Path) -> None:
    """The series of a folder as one multi-frame image, its frames in the order of the files."""
    files = sorted(folder.iterdir())
    frames, planes = [], []
    for file in files:
        image = pydicom.dcmread(file)
        frame = Dataset()
        for group, keywords in {
            "PlanePosition": ["ImagePositionPatient"],
            "PixelValueTransformation": ["RescaleSlope", "RescaleIntercept", "RescaleType"],
        }.items():
            item = Dataset()
            for keyword in keywords:
                setattr(item, keyword, getattr(image, keyword))
            setattr(frame, f"{group}Sequence", [item])
        frames.append(frame)
        planes.append(image.pixel_array)
    image = pydicom.dcmread(files[0])
    shared, orientation, measures, kind = Dataset(), Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = (
        image.ImageOrientationPatient,
        image.PixelSpacing,
    )
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    shared.CTImageFrameTypeSequence = [kind]
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(image, keyword)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    image.NumberOfFrames, image.PerFrameFunctionalGroupsSequence = len(frames), frames
    image.SharedFunctionalGroupsSequence = [shared]
    image.PixelData = np.stack(planes).tobytes()
    image.save_as(to)


def dciodvfy(path: Path) -> list[str]:
    """What dciodvfy says of a file, line by line: the kind of the object, errors, warnings."""
    return subprocess.run(
        ["dciodvfy", path], capture_output=True, text=True, check=False
    ).stderr.splitlines()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data of {SHARED_DATA} are not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def interop(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpacks a real clinical archive and gives its folder."""

    @cache
    def unpack(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        with tarfile.open(shared_data / "interop" / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        return folder / name

    return unpack


SQUARE = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    return make_scan(tmp_path / "ct")


@pytest.fixture
def drawn(tmp_path: Path, scan: Scan) -> Path:
    make_structure_set(tmp_path / "rs.dcm", scan)
    return tmp_path / "rs.dcm"
