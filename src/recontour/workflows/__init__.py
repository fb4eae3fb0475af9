"""Do the main job step by step: the only place that knows every stage.

learning     `train`, `adapt`
checking     a cross-validation before an adaptation
parents_say  how much the parent is to say, by that cross-validation
check_folder what it keeps in MODEL.check while it lasts
gaining      `gain`
contouring   `contour`
contouring_many, contour_list  `contour_all`: every series of a folder
evaluating, evaluating_cases  `evaluate`
accepting    `accept`: may a model replace the one in use?
comparing    `compare`
model_elsewhere  a model in other processes
inspecting   `inspect`
monitoring   `monitor`
planned      what a long command uses, and how long it will take
paths        wrong paths, found before torch is loaded
wanted       what numbers ask for, checked before torch is loaded
findings     what can be found where a command puts its inputs together

Each function is one command of the command line and one function of the Python API. Paths in, files
out. `progress` hears how far it is; findings that do not stop the work go to the log `recontour`.
"""

from typing import TYPE_CHECKING

from recontour.lazy import lazily

if TYPE_CHECKING:
    from recontour.cohort.importing import import_dicom
    from recontour.workflows.accepting import accept
    from recontour.workflows.comparing import ProtocolComparison, compare
    from recontour.workflows.contouring import Contoured, contour
    from recontour.workflows.contouring_many import SeriesContoured, contour_all
    from recontour.workflows.evaluating import evaluate
    from recontour.workflows.gaining import gain
    from recontour.workflows.inspecting import CohortContents, inspect
    from recontour.workflows.learning import adapt, train
    from recontour.workflows.monitoring import Monitored, monitor

__all__ = [
    "CohortContents",
    "Contoured",
    "Monitored",
    "ProtocolComparison",
    "SeriesContoured",
    "accept",
    "adapt",
    "compare",
    "contour",
    "contour_all",
    "evaluate",
    "gain",
    "import_dicom",
    "inspect",
    "monitor",
    "train",
]
_MODULE_OF = {
    "CohortContents": "recontour.workflows.inspecting",
    "Contoured": "recontour.workflows.contouring",
    "Monitored": "recontour.workflows.monitoring",
    "ProtocolComparison": "recontour.workflows.comparing",
    "SeriesContoured": "recontour.workflows.contouring_many",
    "accept": "recontour.workflows.accepting",
    "adapt": "recontour.workflows.learning",
    "compare": "recontour.workflows.comparing",
    "contour": "recontour.workflows.contouring",
    "contour_all": "recontour.workflows.contouring_many",
    "evaluate": "recontour.workflows.evaluating",
    "gain": "recontour.workflows.gaining",
    "import_dicom": "recontour.cohort.importing",
    "inspect": "recontour.workflows.inspecting",
    "monitor": "recontour.workflows.monitoring",
    "train": "recontour.workflows.learning",
}

__getattr__ = lazily("recontour.workflows", _MODULE_OF)
