"""A structure set -> its organs, without its patient."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from recontour.dicom.archive import MAKER
from recontour.dicom.clean_attributes import without_identity
from recontour.dicom.identity import Pseudonyms
from recontour.dicom.pairing import StructureSetFile
from recontour.dicom.reading import read_dataset, reading, text
from recontour.dicom.rtstruct_in import Roi, read_rois
from recontour.dicom.writing import encoded
from recontour.errors import DicomError
from recontour.findings import Finding
from recontour.organs import NameRow, match_drawn, misplaced_organs

NUMBERED = {  # the sequences that hold ROIs, and the keyword that numbers them
    "StructureSetROISequence": "ROINumber",
    "ROIContourSequence": "ReferencedROINumber",
    "RTROIObservationsSequence": "ReferencedROINumber",
}


def write_structures(
    path: Path,
    source: StructureSetFile,
    pseudonyms: Pseudonyms,
    user_map: Mapping[str, str],
    note: Callable[[Finding], None],
) -> tuple[set[NameRow], tuple[Finding, ...]]:
    """Write the ROIs of a structure set that are known organs; write no file without any.

    note: takes what `read_rois` finds.
    Returns: what became of each name, and the organs whose left and right look swapped.
    Raises: DicomError: the file is damaged, or a contour holds what is not a number, or an
        identifier of the patient.
    """
    rois = read_rois(source.path, None, note)
    table = match_drawn(rois, user_map)
    organs = {}  # by ROI number
    middles_x_mm = {}
    for roi in rois:
        if roi.is_drawn and roi.name in table.mapped:
            organ = table.mapped[roi.name]
            organs[roi.number] = organ
            middle_x_mm = _middle_x_mm(roi)
            if middle_x_mm is not None:
                middles_x_mm[organ] = middle_x_mm
    if organs:
        with reading(source.path):
            content = encoded(_clean(source, organs, pseudonyms))
        path.write_bytes(content)
    return set(table.rows), misplaced_organs(middles_x_mm)


def _middle_x_mm(roi: Roi) -> float | None:
    """Return where a ROI lies from right to left; None if its contours cannot be read."""
    try:
        contours = roi.contours()
    except DicomError:  # whoever imports it is told
        return None
    if not contours:
        return None
    x_mm = np.concatenate([contour.points_mm[:, 0] for contour in contours])
    return float(x_mm.min() + x_mm.max()) / 2


def _clean(
    source: StructureSetFile,
    organs: Mapping[str, str],
    pseudonyms: Pseudonyms,
) -> Dataset:
    """Return a structure set with its organs alone, under their TG-263 names."""
    dataset = read_dataset(source.path)
    names = _keep_rois(dataset, organs)
    clean = without_identity(dataset, pseudonyms)
    for roi, name in zip(clean.StructureSetROISequence, names, strict=True):
        roi.ROIName = name
    for observation in clean.RTROIObservationsSequence:
        observation.ROIInterpreter = ""
    clean.StructureSetLabel = "DEIDENTIFIED"
    clean.StructureSetTime = ""
    clean.OperatorsName = ""
    if source.is_draft:  # it names nobody, and import must still know it
        clean.Manufacturer = MAKER
        clean.StructureSetLabel = MAKER
    if source.is_rejected:
        clean.ApprovalStatus = "REJECTED"
        for keyword in ("ReviewDate", "ReviewTime", "ReviewerName"):
            setattr(clean, keyword, "")
    clean.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit holds 65 kB per contour
    return clean


def _keep_rois(dataset: Dataset, organs: Mapping[str, str]) -> list[str]:
    """Drop all ROIs of a structure set but its organs, and number these from 1.

    organs: by the number that an ROI had.
    Returns: the organs, in the order of the ROIs.
    """
    new_numbers = {number: place for place, number in enumerate(organs, start=1)}
    names = []
    for sequence, keyword in NUMBERED.items():
        kept = []
        for item in dataset.get(sequence) or ():
            number = text(item, keyword)
            if number not in organs:
                continue
            setattr(item, keyword, new_numbers[number])
            kept.append(item)
            if sequence == "StructureSetROISequence":
                names.append(organs[number])
        setattr(dataset, sequence, kept)
    for place, observation in enumerate(dataset.RTROIObservationsSequence, start=1):
        observation.ObservationNumber = place
    return names
