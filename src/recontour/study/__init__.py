"""The paper's study on anyone's centres:

a file declares a grid of models, a folder holds what they found.
"""

from recontour.study.settings import Study, example, read_study
from recontour.study.study import dry_run, report_study, run_study

__all__ = ["Study", "dry_run", "example", "read_study", "report_study", "run_study"]
