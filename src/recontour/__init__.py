"""recontour: make another centre's contouring network contour the way your centre does.

    import_dicom -> train -> adapt -> contour
                                  \\-> evaluate

Each function is one command of `recontour` on the command line; see `help(recontour.adapt)` and the
README.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recontour.cohort.importing import import_dicom
    from recontour.dicom.deidentify import deidentify
    from recontour.exchange.convert import convert
    from recontour.exchange.export import export
    from recontour.workflows import adapt, contour, evaluate, train

__all__ = [
    "adapt",
    "contour",
    "convert",
    "deidentify",
    "evaluate",
    "export",
    "import_dicom",
    "train",
]
_AT = dict.fromkeys(__all__, "recontour.workflows") | {
    "convert": "recontour.exchange.convert",
    "deidentify": "recontour.dicom.deidentify",
    "export": "recontour.exchange.export",
    "import_dicom": "recontour.cohort.importing",
}


def __getattr__(name: str) -> Any:
    """Load a step, and with it torch, only when it is asked for."""
    if name in _AT:
        return getattr(import_module(_AT[name]), name)
    raise AttributeError(f"module 'recontour' has no attribute '{name}'")
