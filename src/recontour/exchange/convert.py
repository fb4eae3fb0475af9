"""Labels that a person corrected or another tool predicted on a CT -> an RTSTRUCT:

the way back of `export`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recontour.dicom import (
    Authorship,
    Scan,
    claims_dicom,
    read_scan,
    read_segmentation,
    write_structure_set,
)
from recontour.errors import LabelsError
from recontour.exchange.nifti import is_nifti, read_labels
from recontour.files import UnreadableError, did_you_mean, refuse_existing
from recontour.findings import words
from recontour.geometry import traced
from recontour.geometry.arrays import Mask
from recontour.texts import read_text

ENDINGS = (".nii.gz", ".nii")
OTHERS = {  # endings of labels that are not read, and what they are
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
SAVE_AS = (
    "save it as NIfTI (.nii.gz) on the CT's grid (3D Slicer: Segmentations, Export to files, NIfTI, "
    "with the CT as reference volume)"
)
NAMES = "dataset.json"  # where nnU-Net says what its labels mean
NOT_KNOWN_HOW = (
    ""  # ROIGenerationAlgorithm, which may be empty: by hand or by a network, the labels do not say
)


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written, in cubic centimetres by name, and the names of which no voxel was marked.

    notes: what a person should know of the CT, each as a sentence.
    """

    volumes_cc: Mapping[str, float]
    empty: tuple[str, ...]
    notes: tuple[str, ...] = ()


def convert(labels: Path, ct_dir: Path, out: Path) -> Converted:
    """Write labels on a CT's own grid as an RTSTRUCT that references it, complete or not at all.

    labels: a NIfTI label map with nnU-Net's dataset.json beside it or one folder up, a folder of
        NIfTI masks called after their structures, or a DICOM SEG, binary or a label map. Names are
        written as they are.
    Raises: LabelsError: labels that cannot be read or have no name, or none that is marked.
        GridMismatchError: they do not lie on the CT's grid. DicomError: as `read_scan`,
        `read_segmentation` and `write_structure_set`.
        OutputError: the file exists or cannot be made.
    """
    refuse_existing(out)
    if not labels.exists():
        hint = did_you_mean(labels) or "; check the path"
        raise LabelsError(f"{labels}: no such file or folder{hint}")
    if not (labels.is_file() or labels.is_dir()):  # a pipe or a device would be waited for
        raise LabelsError(f"{labels} is no plain file; copy the labels to one")
    scan = read_scan(ct_dir)
    masks = _masks(labels, scan)
    drawn = {name: mask for name, mask in masks.items() if mask.any()}
    if not drawn:
        raise LabelsError(f"{labels}: no voxel is marked; nothing was written")
    made_by = Authorship("convert", "converted", NOT_KNOWN_HOW, of_organs=False)
    write_structure_set(out, traced(drawn.items(), scan.grid), scan, made_by)
    volumes_cc = {name: scan.grid.volume_cc(mask) for name, mask in drawn.items()}
    return Converted(
        volumes_cc,
        tuple(name for name in masks if name not in drawn),
        tuple(map(words, scan.notes)),
    )


def _masks(labels: Path, scan: Scan) -> dict[str, Mask]:
    if labels.is_dir():
        return _masks_of_folder(labels, scan)
    if _ending(labels) or is_nifti(labels):
        return _masks_of_map(labels, scan)
    if (kind := _other_kind(labels)) is not None:
        raise LabelsError(f"{labels}: {kind}, which is not read; {SAVE_AS}")
    if not claims_dicom(labels):
        raise LabelsError(
            f"{labels}: neither NIfTI (NAME.nii.gz, NAME.nii) nor a DICOM SEG; {SAVE_AS}"
        )
    return read_segmentation(labels, scan)


def _ending(path: Path) -> str:
    """How a NIfTI file's name ends, as it is spelt; empty of any other."""
    name = path.name.lower()
    return next((path.name[-len(ending) :] for ending in ENDINGS if name.endswith(ending)), "")


def _other_kind(path: Path) -> str | None:
    """What labels in a form that is not read are, by the file's name or its first bytes;

    None if they may be read.
    """
    name = path.name.lower()
    named = next((kind for ending, kind in OTHERS.items() if name.endswith(ending)), None)
    if named is not None:
        return named
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"NRRD"):
        return "NRRD"
    return "MetaImage" if start.startswith((b"ObjectType", b"NDims")) else None


def _masks_of_folder(folder: Path, scan: Scan) -> dict[str, Mask]:
    """Masks of one structure a file."""
    masks: dict[str, Mask] = {}
    for path in sorted(folder.iterdir()):
        ending = _ending(path)
        if not ending or path.name.startswith(".") or not path.is_file():
            continue
        name = path.name.removesuffix(ending)
        if name in masks:
            raise LabelsError(f"{folder}: two masks are called {name}; keep the one that counts")
        voxels = read_labels(path, scan.grid)
        if len(found := np.unique(voxels[voxels != 0])) > 1:
            raise LabelsError(
                f"{path}: a mask of one structure has one number beside 0; this has {len(found)}; "
                "give a folder with masks alone (such as an exported case's segmentations), or, if it is a label map, "
                "the file itself"
            )
        masks[name] = voxels != 0
    if not masks:
        others = [
            path
            for path in sorted(folder.iterdir())
            if path.is_file() and _other_kind(path) is not None
        ]
        if others:
            raise LabelsError(
                f"{others[0]}: {_other_kind(others[0])}, which is not read; {SAVE_AS}"
            )
        raise LabelsError(
            f"{folder}: no NIfTI mask in it (NAME.nii.gz or NAME.nii); check the path"
        )
    return masks


def _masks_of_map(path: Path, scan: Scan) -> dict[str, Mask]:
    names = _names_of(path)
    voxels = read_labels(path, scan.grid)
    if unknown := sorted(set(np.unique(voxels).tolist()) - {0, *names.values()}):
        raise LabelsError(
            f"{path}: label {unknown[0]} has no name in {NAMES}; it has {', '.join(names)}"
        )
    return {name: voxels == number for name, number in names.items()}


def _names_of(path: Path) -> dict[str, int]:
    """What the labels of a label map are called, without the background."""
    near = [folder / NAMES for folder in (path.parent, path.absolute().parent.parent)]
    found = next((place for place in near if place.is_file()), None)
    if found is None:
        raise LabelsError(
            f"{path}: what its labels are called should be in {near[0]}, as nnU-Net writes it; "
            "if it is the mask of one structure, give the folder of masks instead"
        )
    try:
        labels: Any = json.loads(read_text(found))["labels"]
        names = {str(name): number for name, number in labels.items() if number != 0}
    except UnreadableError as error:
        raise LabelsError(f"{found} cannot be read ({error}); give nnU-Net's file") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LabelsError(
            f"{found}: its labels are no labels ({type(error).__name__}); give nnU-Net's file"
        ) from error
    numbers = list(names.values())
    if not all(type(number) is int and number > 0 for number in numbers) or len(set(numbers)) < len(
        numbers
    ):
        raise LabelsError(
            f"{found}: a number from 1 on, of its own, is expected of each label (nnU-Net v2)"
        )
    return names
