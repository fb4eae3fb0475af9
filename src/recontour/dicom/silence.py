"""Keep pydicom quiet while recontour reads: what matters, recontour checks itself."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

from pydicom.config import disable_value_validation

# A logger's filter does not see the records of the loggers below it.
LOGGERS = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils")


@contextmanager
def silence() -> Iterator[None]:
    """Have pydicom neither check values nor warn about them, in any thread, until the block ends.

    Blocks may lie within each other and run in several threads at once. The level and handlers of
    pydicom's loggers are left as the program that uses recontour has set them.
    """
    _SWITCH.turn_off()
    try:
        yield
    finally:
        _SWITCH.turn_on()


class _Switch:
    """Turns pydicom's remarks off for the first block, and on again after the last one.

    pydicom's validation and Python's warnings have one setting for all threads. If each block put
    back what it found, one that ends late would put back the silence of another.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks = 0
        self._before = ExitStack()  # puts back what was set before

    def turn_off(self) -> None:
        """Begin a block."""
        with self._lock:
            if self._blocks == 0:
                self._before.enter_context(_without_remarks())
            self._blocks += 1

    def turn_on(self) -> None:
        """End a block."""
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                self._before.close()


@contextmanager
def _without_remarks() -> Iterator[None]:
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_drop)
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(_drop)


def _drop(_record: logging.LogRecord) -> bool:
    return False


_SWITCH = _Switch()
