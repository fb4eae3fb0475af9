"""How the processes of a site begin and end: each is a child of `recontour serve`.

There is one of each name; the next one waits until the one before it has ended. A child ends when
its parent is gone, which it learns from the end of its standard input, and when SIGTERM asks it to;
either way after what it is writing.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from recontour.errors import RecontourError
from recontour.findings import stored_words
from recontour.processes import HeldError, held
from recontour.service.folder import SiteFolder
from recontour.service.settings import Site, read_site
from recontour.service.store import Store

MENDABLE = 2  # the exit code of a site file that cannot be read
WAIT_S = 0.1  # between two looks whether another process has ended
HELD = ExitStack()  # until this process ends


class Ending:
    """Whether this process is asked to end.

    >>> Ending().wait(0)
    False
    """

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_asked(self) -> bool:
        """Return whether this process is asked to end."""
        return self._event.is_set()

    def ask(self) -> None:
        """End this process soon."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait until it is asked to end, at most so long; return whether it is."""
        return self._event.wait(seconds)


def begin_child(name: str, arguments: Sequence[str] | None = None) -> tuple[Site, Store, Ending]:
    """Begin a process of a site: log to standard error, listen for the end, open the site.

    name: for its lines. arguments: those of the process if None: the path of the site file.
    Returns: its settings, its database, and whether it is to end.
    Raises: SystemExit: the site file, or the database, cannot be used.
    """
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format=f"recontour {name}: %(message)s"
    )
    logging.getLogger("recontour").setLevel(logging.INFO)
    sys.excepthook = _last_line
    ending = Ending()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ending.ask())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides
    threading.Thread(target=_listen, args=(ending,), name="parent", daemon=True).start()
    (path,) = sys.argv[1:] if arguments is None else arguments
    try:
        site = read_site(Path(path))
        _be_the_only_one(SiteFolder(site.folder), name, ending)
        store = Store.of(site)
    except RecontourError as error:
        logging.getLogger("recontour").error("%s", stored_words(error.finding))
        raise SystemExit(MENDABLE) from error
    return site, store, ending


def _be_the_only_one(folder: SiteFolder, name: str, ending: Ending) -> None:
    """Wait until no other process of this name serves the site; this one then does, to its end."""
    folder.make()
    while not ending.is_asked:
        try:
            HELD.enter_context(held(folder.lock.with_name(f"{name}.lock")))
        except HeldError:
            ending.wait(WAIT_S)
        else:
            return
    raise SystemExit(0)


def _listen(ending: Ending) -> None:
    """Wait until nobody can write to our standard input any more."""
    try:
        while os.read(0, 1024):
            pass
    except OSError:  # it is closed
        pass
    ending.ask()


def where(error: BaseException) -> str:
    """Say what kind of error stopped something, and where: words of a library may name a patient.

    >>> try:
    ...     int("x")
    ... except ValueError as error:
    ...     print(where(error).split(" at ")[0])
    ValueError
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "recontour" in Path(frame.filename).parts] or frames
    last = ours[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


def _last_line(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    """Say in one line why this process ends."""
    logging.getLogger("recontour").error("ended by %s", where(error))
