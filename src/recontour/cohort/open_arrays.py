"""The arrays that this process has open: those used last stay mapped into memory.

An array is known by what it should be and by its file, not by the object that asks for it: two
`Case` objects of one folder share a mapping, and a case that was imported again does not get the
old one. Any number of threads may ask.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from recontour.cohort.arrays import Array, Expected, NotMappableError, map_array, read_array
from recontour.errors import FaultError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Arrays at a time, two per case. Each is an open file.
MOST_MAPPED = 400
# A system often limits a process to 1024 open files; this share of them may be arrays.
SHARE_MAPPED = 0.4
LEAST_MAPPED = 2
MOST_READ = 4  # arrays at a time that are in memory whole, where a share maps no files


def most_mapped() -> int:
    """Return how many arrays may be mapped at a time, by the limit of open files."""
    if resource is None:
        return MOST_MAPPED
    granted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if granted < 0:  # no limit
        return MOST_MAPPED
    share = int(granted * SHARE_MAPPED)
    return max(LEAST_MAPPED, min(MOST_MAPPED, share))


@dataclass(slots=True)
class RecentArrays:
    """The arrays used last, at most `most` of them. open_array: opens one that is not here."""

    open_array: Callable[[Expected], Array]
    most: int
    _arrays: OrderedDict[Expected, Array] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, expected: Expected) -> Array:
        """Return an array, and open it if need be. Raises: as `open_array`."""
        with self._lock:
            if expected in self._arrays:
                self._arrays.move_to_end(expected)
                return self._arrays[expected]
        # The lock is not held here: checking a large array takes seconds. If several threads open
        # one array at the same time, all keep the first.
        array = self.open_array(expected)
        with self._lock:
            kept = self._arrays.setdefault(expected, array)
            self._arrays.move_to_end(expected)
            while len(self._arrays) > self.most:
                self._arrays.popitem(last=False)
        return kept

    def forget(self) -> None:
        """Close all arrays that nobody uses."""
        with self._lock:
            self._arrays.clear()


mapped = RecentArrays(map_array, most_mapped())
in_memory = RecentArrays(read_array, MOST_READ)


def open_array(expected: Expected) -> Array:
    """Return an array: mapped or, where a share maps no files, read.

    Raises:
        CohortError: it is not what is expected, or may not be read.
        FaultError: the machine failed.
    """
    try:
        return _mapped(expected)
    except NotMappableError:
        return in_memory.get(expected)


def _mapped(expected: Expected) -> Array:
    try:
        return mapped.get(expected)
    except FaultError:  # files or memory ran out: give up arrays that may not be needed again
        mapped.forget()
        return mapped.get(expected)
