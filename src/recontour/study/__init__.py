"""Run the paper's study on any two centres: a file declares models, a folder holds results.

settings    STUDY.toml                        study        the three verbs
cells       the plan: one cell per model      run          each cell, as a job of an executor
split       which case is for what            defaults     what it leaves to its preset
perform     one cell, from parent to result   folder       begun, or opened again
estimate    time and disk, before a run       declared     what a folder says that it is
results     what a cell's folder holds        diary        how a cell's training went
report      the HTML file, from tables (the numbers), csv_files, words, numbers, figures, pictures
findings    what can be found in a study
"""

from typing import TYPE_CHECKING

from recontour.lazy import lazily

if TYPE_CHECKING:
    from recontour.study.settings import Study, example, read_study
    from recontour.study.study import StudySummary, dry_run, report_study, run_study, summary_of

__all__ = [
    "Study",
    "StudySummary",
    "dry_run",
    "example",
    "read_study",
    "report_study",
    "run_study",
    "summary_of",
]
_MODULE_OF = {
    "Study": "recontour.study.settings",
    "StudySummary": "recontour.study.study",
    "dry_run": "recontour.study.study",
    "example": "recontour.study.settings",
    "read_study": "recontour.study.settings",
    "report_study": "recontour.study.study",
    "run_study": "recontour.study.study",
    "summary_of": "recontour.study.study",
}

__getattr__ = lazily("recontour.study", _MODULE_OF)


def __dir__() -> list[str]:
    return __all__
