"""Labels of a person or another tool on a CT -> an RTSTRUCT: the way back of `export`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recontour.dicom import Authorship, read_scan, write_structure_set
from recontour.errors import LabelsError
from recontour.exchange.findings import NoMarkedVoxel
from recontour.exchange.labels import read_masks, refuse_missing
from recontour.files import refuse_as_output
from recontour.findings import Finding
from recontour.geometry import traced

# ROIGenerationAlgorithm, which may be empty: labels do not say whether a person drew them
NOT_KNOWN_HOW = ""


@dataclass(frozen=True, slots=True)
class Converted:
    """What `convert` wrote.

    Attributes:
        volumes_cc: The volume of each structure in cc, by its name.
        empty: The names of structures without a marked voxel.
        notes: What a person should know about the CT.

    Examples:
        >>> import recontour
        >>> written = recontour.convert("corrected", "dicom/new-patient", "corrected-too.dcm")
        >>> min(written.volumes_cc.values()) > 0
        True
    """

    volumes_cc: Mapping[str, float]
    empty: tuple[str, ...]
    notes: tuple[Finding, ...] = ()


def convert(
    labels: Path | str,
    ct_dir: Path | str,
    out: Path | str,
) -> Converted:
    """Write labels on a CT's own grid as an RTSTRUCT that references it, complete or not at all.

    Args:
        labels: A NIfTI label map with nnU-Net's dataset.json beside it or one folder up, a folder
            of NIfTI masks named after their structures, or a DICOM SEG. Names are written as they
            are.
        ct_dir: A folder with exactly one CT series.
        out: The file to write; it must not exist.

    Returns:
        What was written, and notes on it.

    Raises:
        LabelsError: The labels cannot be read, have no names, or mark nothing.
        GridMismatchError: The labels do not lie on the CT's grid.
        DicomError: The CT or the SEG cannot be used.
        OutputError: The file exists or cannot be made.

    Examples:
        >>> import recontour
        >>> written = recontour.convert("corrected", "dicom/new-patient", "corrected.dcm")
        >>> written.notes
        ()
    """
    labels, ct_dir, out = Path(labels), Path(ct_dir), Path(out)
    refuse_as_output(out)
    refuse_missing(labels)
    scan = read_scan(ct_dir)
    masks = read_masks(labels, scan)
    drawn = {}
    volumes_cc = {}
    empty = []
    for name, mask in masks.items():
        if not mask.any():
            empty.append(name)
            continue
        drawn[name] = mask
        volumes_cc[name] = scan.grid.volume_cc(mask)
    if not drawn:
        raise LabelsError(NoMarkedVoxel(path=labels))
    made_by = Authorship("convert", "converted", NOT_KNOWN_HOW, of_organs=False)
    structures = traced(drawn.items(), scan.grid)
    write_structure_set(out, structures, scan, made_by)
    return Converted(volumes_cc, tuple(empty), scan.notes)
