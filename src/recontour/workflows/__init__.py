"""The main job, step by step: the only place that knows every stage.

learning      `train`, `adapt`
drafting      `contour`
evaluating    `evaluate`
findings      what can be found where a command puts its inputs together

Each function is one command of the command line and one function of the Python API. Paths in, files
out. `progress` hears how far it is; findings that do not stop the work go to the log `recontour`.
"""

from recontour.cohort.importing import import_dicom
from recontour.progress import Progress
from recontour.workflows.drafting import WRITERS, Contoured, contour
from recontour.workflows.evaluating import evaluate
from recontour.workflows.learning import adapt, train

__all__ = [
    "WRITERS",
    "Contoured",
    "Progress",
    "adapt",
    "contour",
    "evaluate",
    "import_dicom",
    "train",
]
