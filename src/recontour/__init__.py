"""recontour: make another centre's contouring network contour the way your centre does.

    import_dicom -> train -> adapt -> contour
                                  \\-> evaluate

Each of these functions is one command of `recontour` on the command line; see
`help(recontour.adapt)` and the README. Paths may be `Path` or text. Everything that can go wrong is
a `RecontourError`, whose `finding` holds the facts; `words(finding)` makes a line of them.

>>> import recontour
>>> "adapt" in dir(recontour)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from recontour.errors import (
    CohortError,
    ContoursError,
    DicomError,
    DriftError,
    DuplicateSliceError,
    FaultError,
    FrameOfReferenceError,
    GridMismatchError,
    LabelsError,
    MissingSliceError,
    MixedSeriesError,
    ModelFileError,
    NamesError,
    NoSeriesError,
    NotDicomError,
    NotPromotedError,
    OrganError,
    OrientationError,
    OutputError,
    RecontourError,
    RescaleError,
    ResumeError,
    ScoresError,
    SettingsError,
    UnlikeTrainingError,
)
from recontour.findings import Finding, words
from recontour.lazy import lazily

if TYPE_CHECKING:
    from recontour import demo, study
    from recontour.assess.acceptance import Acceptance
    from recontour.cohort import Cohort
    from recontour.cohort.changes import (
        confirm_cord,
        confirm_extent,
        confirm_sides,
        remove,
        undo_import,
    )
    from recontour.cohort.importing import ImportReport, import_dicom
    from recontour.cohort.preview import ImportPreview, preview_import
    from recontour.cohort.who import who_is
    from recontour.contouring.contourer import Contourer
    from recontour.contouring.review import ToReview
    from recontour.demo import run_demo
    from recontour.dicom.deidentify import Deidentified, deidentify
    from recontour.evaluation import CaseScore, read_scores
    from recontour.evaluation.gains import Gains
    from recontour.exchange.convert import Converted, convert
    from recontour.exchange.export import Exported, export
    from recontour.network import Model, ModelCard, load_model
    from recontour.organs import Template, read_template
    from recontour.study import Study, read_study, report_study, run_study
    from recontour.workflows import (
        CohortContents,
        Contoured,
        Monitored,
        ProtocolComparison,
        SeriesContoured,
        accept,
        adapt,
        compare,
        contour,
        contour_all,
        evaluate,
        gain,
        inspect,
        monitor,
        train,
    )

    __version__: str

_MODULE_OF = {
    "Acceptance": "recontour.assess.acceptance",
    "CaseScore": "recontour.evaluation",
    "Cohort": "recontour.cohort",
    "CohortContents": "recontour.workflows",
    "Contoured": "recontour.workflows",
    "Contourer": "recontour.contouring.contourer",
    "Converted": "recontour.exchange.convert",
    "Deidentified": "recontour.dicom.deidentify",
    "Exported": "recontour.exchange.export",
    "Gains": "recontour.evaluation.gains",
    "ImportPreview": "recontour.cohort.preview",
    "ImportReport": "recontour.cohort.importing",
    "Model": "recontour.network",
    "ModelCard": "recontour.network",
    "Monitored": "recontour.workflows",
    "ProtocolComparison": "recontour.workflows",
    "SeriesContoured": "recontour.workflows",
    "Study": "recontour.study",
    "Template": "recontour.organs",
    "ToReview": "recontour.contouring.review",
    "accept": "recontour.workflows",
    "adapt": "recontour.workflows",
    "compare": "recontour.workflows",
    "confirm_cord": "recontour.cohort.changes",
    "confirm_extent": "recontour.cohort.changes",
    "confirm_sides": "recontour.cohort.changes",
    "contour": "recontour.workflows",
    "contour_all": "recontour.workflows",
    "convert": "recontour.exchange.convert",
    "deidentify": "recontour.dicom.deidentify",
    "evaluate": "recontour.workflows",
    "export": "recontour.exchange.export",
    "import_dicom": "recontour.cohort.importing",
    "gain": "recontour.workflows",
    "inspect": "recontour.workflows",
    "load_model": "recontour.network",
    "monitor": "recontour.workflows",
    "preview_import": "recontour.cohort.preview",
    "read_scores": "recontour.evaluation",
    "remove": "recontour.cohort.changes",
    "read_study": "recontour.study",
    "read_template": "recontour.organs",
    "report_study": "recontour.study",
    "run_demo": "recontour.demo",
    "run_study": "recontour.study",
    "train": "recontour.workflows",
    "undo_import": "recontour.cohort.changes",
    "who_is": "recontour.cohort.who",
}
_MODULES = ("demo", "study")
_part = lazily("recontour", _MODULE_OF)

__all__ = [
    "Acceptance",
    "CaseScore",
    "Cohort",
    "CohortContents",
    "CohortError",
    "Contoured",
    "Contourer",
    "ContoursError",
    "Converted",
    "Deidentified",
    "DicomError",
    "DriftError",
    "DuplicateSliceError",
    "Exported",
    "FaultError",
    "Finding",
    "FrameOfReferenceError",
    "Gains",
    "GridMismatchError",
    "ImportPreview",
    "ImportReport",
    "LabelsError",
    "MissingSliceError",
    "MixedSeriesError",
    "Model",
    "ModelCard",
    "ModelFileError",
    "Monitored",
    "NamesError",
    "NoSeriesError",
    "NotDicomError",
    "NotPromotedError",
    "OrganError",
    "OrientationError",
    "OutputError",
    "ProtocolComparison",
    "RecontourError",
    "RescaleError",
    "ResumeError",
    "ScoresError",
    "SeriesContoured",
    "SettingsError",
    "Study",
    "Template",
    "ToReview",
    "UnlikeTrainingError",
    "__version__",
    "accept",
    "adapt",
    "compare",
    "confirm_cord",
    "confirm_extent",
    "confirm_sides",
    "contour",
    "contour_all",
    "convert",
    "deidentify",
    "demo",
    "evaluate",
    "export",
    "gain",
    "import_dicom",
    "inspect",
    "load_model",
    "monitor",
    "preview_import",
    "read_scores",
    "read_study",
    "read_template",
    "remove",
    "report_study",
    "run_demo",
    "run_study",
    "study",
    "train",
    "undo_import",
    "who_is",
    "words",
]


def __getattr__(name: str) -> Any:
    """Load a step, and torch with it if it needs that, only when it is asked for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("recontour")
    if name in _MODULES:
        return import_module(f"recontour.{name}")
    return _part(name)


def __dir__() -> list[str]:
    """List the API, for tab completion and `help`."""
    return sorted(__all__)
