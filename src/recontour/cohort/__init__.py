"""Keep a centre's contoured patients in a folder that a person can look into.

importing         a DICOM archive -> a cohort; masks: its structures -> masks
lacking           organs that its cases lack, and names that are not mapped
preview           what import would make of the ROI names
import_patients   patient keys, and notes on cases of one patient
origins           where patients come from           acquisition  how their CTs were acquired
store             the cohort folder              case         one CT and its organs
records           cohort.json and case.json      tables       names.csv and left_out.csv
traits            misplaced, cut organs, wide cords         partly  partly contoured organs
lengths           short contours and early ends             early_ends  long organs that stop early
sizes             how large organs are, and which are unlike the other cases'
who               whose a case is, from the DICOM that was imported
arrays            ct.npy and masks.npy           open_arrays  those that are mapped now
changes           cases out of it again          journal      several cases at once, or none
history           what the last import did
patients          which cases are one patient's, and the salt of their keys
folds             patients dealt out for a cross-validation
tissue            profiles that recognise a CT after a new export
doubts            what later commands repeat of them
findings          findings, import_findings
"""

from recontour.cohort.case import (
    PHANTOM_NOTICE,
    Case,
    case_id_of,
    is_synthetic,
    notices_of,
    with_equal_cts,
    with_one_ct,
)
from recontour.cohort.patients import by_patient, patient_names
from recontour.cohort.store import Cohort

__all__ = [
    "PHANTOM_NOTICE",
    "Case",
    "Cohort",
    "by_patient",
    "case_id_of",
    "is_synthetic",
    "notices_of",
    "patient_names",
    "with_equal_cts",
    "with_one_ct",
]
