"""Labels of a person or another tool -> masks on a CT: NIfTI, or a DICOM SEG."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from recontour.dicom import Scan, claims_dicom, read_segmentation
from recontour.errors import LabelsError
from recontour.exchange.findings import (
    NNUNETS_FILE,
    InvalidLabelNames,
    InvalidLabelNumbers,
    LabelsNotInPlainFile,
    NoLabelNames,
    NoMasks,
    SeveralLabelsInMask,
    SharedMaskName,
    UnnamedLabel,
    UnsupportedLabelFormat,
)
from recontour.exchange.nifti import is_nifti, read_labels
from recontour.files import NotFound, UnreadableError, UnreadableFile, similar_path
from recontour.geometry import Grid
from recontour.geometry.arrays import Mask
from recontour.texts import read_text

ENDINGS = (".nii.gz", ".nii")
OTHER_FORMATS = {  # by the end of a file's name: labels that are not read
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".hdr": "Analyze",
    ".img": "Analyze",
    ".mgz": "FreeSurfer's MGH",
    ".nii.bz2": "NIfTI, compressed by bzip2",
    ".nii.zst": "NIfTI, compressed by Zstandard",
    ".npz": "NumPy",
    ".npy": "NumPy",
    ".mat": "MATLAB",
    ".stl": "a surface",
    ".vtk": "VTK",
    ".vtp": "a surface",
    ".obj": "a surface",
    ".zip": "an archive",
    ".tar.gz": "an archive",
    ".mrb": "a scene of 3D Slicer",
}
OTHER_STARTS = {b"NRRD": "NRRD", b"ObjectType": "MetaImage", b"NDims": "MetaImage"}
NAMES_FILE = "dataset.json"  # where nnU-Net says what its labels mean


def refuse_missing(labels: Path) -> None:
    """Raise LabelsError if labels are not there, or are a pipe or a device."""
    if not labels.exists():
        expected = "a label map, a folder of masks or a DICOM SEG"
        similar = similar_path(labels)
        raise LabelsError(
            NotFound(
                path=labels,
                expected=expected,
                similar=similar,
            )
        )
    if not labels.is_file() and not labels.is_dir():  # reading would wait for a pipe
        raise LabelsError(LabelsNotInPlainFile(path=labels))


def read_masks(labels: Path, scan: Scan) -> dict[str, Mask]:
    """Read labels as masks (slice, row, column) on a CT, by the names that they go by.

    labels: as of `convert`. A mask may be empty.
    Raises: LabelsError: labels that cannot be read or have no name. GridMismatchError: they do not
        lie on the CT's grid. DicomError: as `read_segmentation`.
    """
    if labels.is_dir():
        return _masks_of_folder(labels, scan.grid)
    if nifti_ending(labels) or is_nifti(labels):
        return masks_of_map(labels, scan.grid)
    other = _other_format(labels)
    if other is not None or not claims_dicom(labels):
        raise LabelsError(UnsupportedLabelFormat(path=labels, format=other))
    return read_segmentation(labels, scan)


def nifti_ending(path: Path) -> str:
    """Return how a NIfTI file's name ends, as it is spelled; empty for any other file."""
    for ending in ENDINGS:
        if path.name.lower().endswith(ending):
            return path.name[-len(ending) :]
    return ""


def _other_format(path: Path) -> str | None:
    """Return the format of labels that are not read, by the file's name or its first bytes."""
    for ending, format in OTHER_FORMATS.items():
        if path.name.lower().endswith(ending):
            return format
    with path.open("rb") as file:
        first = file.read(64)
    for start, format in OTHER_STARTS.items():
        if first.startswith(start):
            return format
    return None


def _masks_of_folder(folder: Path, grid: Grid) -> dict[str, Mask]:
    """Read a folder with one mask per structure."""
    masks: dict[str, Mask] = {}
    for path in _files(folder):
        ending = nifti_ending(path)
        if not ending or path.name.startswith("."):
            continue
        name = path.name.removesuffix(ending)
        if name in masks:
            raise LabelsError(SharedMaskName(path=folder, name=name))
        masks[name] = mask_of(path, grid)
    if not masks:
        raise LabelsError(_why_no_mask(folder))
    return masks


def _files(folder: Path) -> list[Path]:
    return sorted(filter(Path.is_file, folder.iterdir()))


def mask_of(path: Path, grid: Grid) -> Mask:
    """Read the mask of one structure on a CT's grid. Raises: as `read_masks`."""
    voxels = read_labels(path, grid)
    marked: Mask = voxels != 0
    count = len(np.unique(voxels[marked]))
    if count > 1:
        raise LabelsError(SeveralLabelsInMask(path=path, count=count))
    return marked


def _why_no_mask(folder: Path) -> UnsupportedLabelFormat | NoMasks:
    """Return what a folder without masks holds instead."""
    for path in _files(folder):
        other = _other_format(path)
        if other is not None:
            return UnsupportedLabelFormat(path=path, format=other)
    return NoMasks(path=folder)


def masks_of_map(path: Path, grid: Grid) -> dict[str, Mask]:
    """Read a label map whose labels dataset.json names, on a CT's grid.

    Raises: as `read_masks`.
    """
    names = _names_of(path)
    voxels = read_labels(path, grid)
    labels = set(np.unique(voxels).tolist())
    unnamed = labels.difference(names.values(), [0])
    if unnamed:
        label = min(unnamed)
        raise LabelsError(
            UnnamedLabel(
                path=path,
                label=label,
                named=tuple(names),
            )
        )
    return {name: voxels == number for name, number in names.items()}


def names_file_of(path: Path) -> Path | None:
    """Return the file that says what the labels of a label map are called; None if none does."""
    for folder in (path.parent, path.absolute().parent.parent):
        found = folder / NAMES_FILE
        if found.is_file():
            return found
    return None


def _names_of(path: Path) -> dict[str, int]:
    """Return what the labels of a label map are called, without the background.

    The file that says so lies beside the map, or one folder up.
    """
    found = names_file_of(path)
    if found is None:
        raise LabelsError(NoLabelNames(path=path, expected=path.parent / NAMES_FILE))
    try:
        labels: Any = json.loads(read_text(found))["labels"]
        names = {str(name): number for name, number in labels.items() if number != 0}
    except UnreadableError as error:
        raise LabelsError(
            UnreadableFile(
                path=found,
                what="names of the labels",
                why=error.finding,
                help=NNUNETS_FILE,
            )
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabelsError(InvalidLabelNames(path=found, error=type(error).__name__)) from error
    numbers = list(names.values())
    are_labels = all(map(_is_label, numbers))
    if not are_labels or len(set(numbers)) < len(numbers):
        raise LabelsError(InvalidLabelNumbers(path=found))
    return names


def _is_label(number: Any) -> bool:
    return type(number) is int and number > 0
