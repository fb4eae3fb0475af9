"""recontour: make another centre's contouring network contour the way your centre does.

    import_dicom -> train -> adapt -> contour
                                  \\-> evaluate

Each function is one command of `recontour` on the command line; see `help(recontour.adapt)` and the README.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recontour.workflows import adapt, contour, evaluate, import_dicom, train

__all__ = ["adapt", "contour", "evaluate", "import_dicom", "train"]


def __getattr__(name: str) -> Any:
    """Load a step, and with it torch, only when it is asked for."""
    if name in __all__:
        return getattr(import_module("recontour.workflows"), name)
    raise AttributeError(f"module 'recontour' has no attribute '{name}'")
