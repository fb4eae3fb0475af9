"""Matplotlib as it comes:

no matplotlibrc of the current folder or the user, and no variable, has a say in a report.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from recontour.errors import SettingsError


@contextmanager
def default_settings() -> Iterator[None]:
    """Draw and save by Matplotlib's own settings, and SVG that is the same at every run.

    Raises: SettingsError: Matplotlib cannot be loaded here.
    """
    refuse_unplottable()
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "recontour"})
        yield


def refuse_unplottable() -> None:
    """Load Matplotlib, and raise SettingsError where that fails:

    before the work that is to be drawn, not after it.
    """
    logging.getLogger("matplotlib").setLevel(
        logging.CRITICAL
    )  # a matplotlibrc that it does not like is not read
    backend = os.environ.pop("MPLBACKEND", None)  # one that it does not know would end it
    try:
        import matplotlib
        import matplotlib.figure

        assert matplotlib.figure
    except (ValueError, OSError) as error:
        raise SettingsError(
            f"Matplotlib, which draws the report, cannot be loaded ({error}); look for a file matplotlibrc in the "
            "current folder or in ~/.config/matplotlib and move it away, and see that TMPDIR can be written to"
        ) from error
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
