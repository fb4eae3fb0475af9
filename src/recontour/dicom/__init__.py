"""Read and write DICOM: CT series, RT structure sets, segmentations.

one file      reading, plain, silence, decoding, pixels
the network   received, requests
a folder      folders, archive, copies, references, pairing, person, patient, spelling, pictures
a CT          slices, padding, ct_checks, acquisition, passes, equipment, ct, writing
contours      rtstruct_in, rtstruct_out, seg_in, seg_out
to send       deidentify, clean_attributes, clean_ct, clean_structures, identity
findings      findings, ct_findings, contour_findings, deidentify_findings
"""

from recontour.dicom.archive import Archive, read_archive
from recontour.dicom.ct import PHANTOM_STUDY, Scan, Source, read_scan, read_series, scan_of
from recontour.dicom.equipment import Equipment, equipment_of
from recontour.dicom.folders import refuse_no_folder
from recontour.dicom.pairing import CtSeries, Pair, StructureSetFile, Unused
from recontour.dicom.patient import Patient, patient_of
from recontour.dicom.person import NOBODY, Person, is_stand_in, person_of, telling_ids
from recontour.dicom.reading import claims_dicom
from recontour.dicom.rtstruct_in import Roi, drafted_by, read_rois, read_structure_set
from recontour.dicom.rtstruct_out import (
    Authorship,
    Reviewed,
    refuse_without_uids,
    write_structure_set,
)
from recontour.dicom.seg_in import Segment, read_segmentation, read_segments
from recontour.dicom.seg_out import write_segmentation
from recontour.dicom.writing import ScanIdentity, write_scan

__all__ = [
    "NOBODY",
    "PHANTOM_STUDY",
    "Archive",
    "Authorship",
    "CtSeries",
    "Equipment",
    "Pair",
    "Patient",
    "Person",
    "Reviewed",
    "Roi",
    "Scan",
    "ScanIdentity",
    "Segment",
    "Source",
    "StructureSetFile",
    "Unused",
    "claims_dicom",
    "drafted_by",
    "equipment_of",
    "is_stand_in",
    "patient_of",
    "person_of",
    "read_archive",
    "read_rois",
    "read_scan",
    "read_segmentation",
    "read_segments",
    "read_series",
    "read_structure_set",
    "refuse_no_folder",
    "refuse_without_uids",
    "scan_of",
    "telling_ids",
    "write_scan",
    "write_segmentation",
    "write_structure_set",
]
