"""A centre's contoured patients, in a folder a person can look into."""

from recontour.cohort.patients import by_patient, patient_names
from recontour.cohort.store import Case, Cohort, case_id_of, with_one_ct

__all__ = ["Case", "Cohort", "by_patient", "case_id_of", "patient_names", "with_one_ct"]
