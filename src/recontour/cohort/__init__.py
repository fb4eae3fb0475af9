"""A centre's contoured patients, in a folder a person can look into."""

from recontour.cohort.store import Case, Cohort, case_id_of, with_one_ct

__all__ = ["Case", "Cohort", "case_id_of", "with_one_ct"]
