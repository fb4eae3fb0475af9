"""A centre's contoured patients, in a folder that a person can look into."""

from recontour.cohort.case import Case, case_id_of, with_one_ct
from recontour.cohort.patients import by_patient, patient_names
from recontour.cohort.store import Cohort

__all__ = ["Case", "Cohort", "by_patient", "case_id_of", "patient_names", "with_one_ct"]
