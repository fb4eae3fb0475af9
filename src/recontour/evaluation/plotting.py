"""Matplotlib with its own settings.

Neither a matplotlibrc of the current folder or the user nor an environment variable changes a
report.
"""

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recontour.errors import SettingsError
from recontour.evaluation.findings import UnloadableMatplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def default_settings() -> Iterator[None]:
    """Draw and save with Matplotlib's defaults, and SVG that is the same in every run.

    Raises: SettingsError: Matplotlib cannot be loaded here.
    """
    refuse_unplottable()
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "recontour"})
        yield


def refuse_unplottable() -> None:
    """Load Matplotlib before the work that it will draw.

    Raises: SettingsError: Matplotlib cannot be loaded here.
    """
    # Matplotlib skips a matplotlibrc that it does not understand, and logs that.
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)
    # An unknown backend would stop the import.
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
        import matplotlib.figure

        assert matplotlib.figure
    except (ValueError, OSError) as error:
        raise SettingsError(UnloadableMatplotlib(reason=str(error))) from error
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def svg_of(figure: "Figure") -> str:
    """Return a figure as an element of an HTML page, the same in every run."""
    file = io.StringIO()
    figure.savefig(
        file,
        format="svg",
        metadata={"Date": None},
        transparent=True,
    )
    svg = file.getvalue()
    return svg[svg.index("<svg") :]
