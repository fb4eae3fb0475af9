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

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_VERBS = ("StudySummary", "dry_run", "report_study", "run_study", "summary_of")


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Load the verbs, and torch with them, only when one is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'recontour.study' has no attribute '{name}'")
    module = "study" if name in _VERBS else "settings"
    return getattr(import_module(f"recontour.study.{module}"), name)
