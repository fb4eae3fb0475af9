"""Keep pydicom quiet while recontour reads: what matters, recontour checks itself."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

from pydicom.config import disable_value_validation

# A logger's filter does not see the records of the loggers below it.
LOGGERS = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils")

# As `warnings.simplefilter("ignore")` enters it.
IGNORE_ALL = ("ignore", None, Warning, None, 0)


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
        with _ignored_warnings(), disable_value_validation():
            yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(_drop)


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """Ignore warnings until the block ends.

    `warnings.catch_warnings` puts back the whole list of filters. If the host does the same in the
    meantime, one of the two puts back the other's. Here only the one entry comes and goes, in the
    list that was there first and in the one that is there last.
    """
    first = _filters()
    first.insert(0, IGNORE_ALL)
    try:
        yield
    finally:
        last = _filters()
        places = [first] if last is first else [first, last]
        for filters in places:
            if IGNORE_ALL in filters:
                filters.remove(IGNORE_ALL)


def _filters() -> list[tuple[Any, ...]]:
    filters: Any = warnings.filters
    return filters  # type: ignore[no-any-return]


def _drop(_record: logging.LogRecord) -> bool:
    return False


_SWITCH = _Switch()
