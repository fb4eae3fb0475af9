"""`recontour serve`: start the processes of a site, start again what dies, and end them all.

What a process was doing when it died goes back to the queue. A process that keeps dying is started
again after longer and longer pauses; `processes.json` says so to the health page.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from recontour.errors import SettingsError
from recontour.files import write_text
from recontour.findings import words
from recontour.processes import HeldError, held, how_ended
from recontour.service import jobs
from recontour.service.audit import Event, audit
from recontour.service.findings import SiteIsServed
from recontour.service.folder import SiteFolder
from recontour.service.loop.versions import register
from recontour.service.settings import Site, read_site
from recontour.service.store import Store, now

MODULES = {
    "receiver": "recontour.service.node.receive",
    "watcher": "recontour.service.watch",
    "worker": "recontour.service.worker",
    "courier": "recontour.service.courier",
    "page": "recontour.service.page.main",
    "learner": "recontour.service.loop.learner",
}
TICK_S = 0.1
PAUSES_S = (0.5, 1, 2, 5, 10, 30, 60)
STEADY_S = 60.0  # a process that ran so long has recovered: its next pause is the shortest
PATIENCE_S = 30.0  # for processes that are asked to end; a container's runtime may have less
Say = Callable[[str], None]


@dataclass
class State:
    """How one process fares, as `processes.json` has it.

    pid: None while it does not run. deaths: in a row. restarts: in all. ended: how the last one
    ended, in words. began_at: of the one that runs, in seconds since 1970.
    """

    pid: int | None = None
    deaths: int = 0
    restarts: int = 0
    ended: str = ""
    began_at: float = 0.0


@dataclass
class _Child:
    """One process of a site, and when it may be started again."""

    name: str
    command: Sequence[str]
    state: State = field(default_factory=State)
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    due: float = 0.0

    def start(self) -> None:
        """Start it. Its standard input stays open for as long as this process lives."""
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for this process alone
        )
        self.began = time.monotonic()
        self.state.pid = self.process.pid
        self.state.began_at = now()

    def ended(self) -> int | None:
        """Return the exit code of a process that has ended since it was asked last."""
        return self.process.poll() if self.process else None

    def bury(self, code: int) -> float:
        """Note that it has ended; return after how many seconds it is to be started again."""
        if time.monotonic() - self.began >= STEADY_S:
            self.state.deaths = 0
        pause = PAUSES_S[min(self.state.deaths, len(PAUSES_S) - 1)]
        self.state.pid = None
        self.state.deaths += 1
        self.state.restarts += 1
        self.state.ended = how_ended(code)
        if self.process and self.process.stdin:
            self.process.stdin.close()
        self.process = None
        self.due = time.monotonic() + pause
        return pause


class Supervisor:
    """Keeps processes running until somebody ends this one.

    commands: by name. gave_back: called with the process number of each that has died.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        folder: SiteFolder,
        gave_back: Callable[[int], None],
        say: Say,
    ) -> None:
        self._children = [_Child(name, command) for name, command in commands.items()]
        self._folder = folder
        self._give_back = gave_back
        self._say = say
        self._holders: list[int] = []  # dead ones, whose jobs are to be put back

    def run(self) -> None:
        """Start all, and look after them until KeyboardInterrupt."""
        try:
            for child in self._children:
                child.start()
            self._write()
            while True:
                self.look()
                time.sleep(TICK_S)
        finally:
            self.end()

    def look(self) -> None:
        """Note who died, put back what they did, and start those whose pause is over."""
        has_changed = False
        for child in self._children:
            code = child.ended()
            if code is not None and child.process:
                self._holders.append(child.process.pid)
                pause = child.bury(code)
                self._say(f"{child.name} ended ({child.state.ended}); again in {pause:g} s")
                has_changed = True
        self._put_back()
        for child in self._children:
            if child.process is None and time.monotonic() >= child.due:
                child.start()
                has_changed = True
            elif child.state.deaths and time.monotonic() - child.began >= STEADY_S:
                child.state.deaths = 0
                has_changed = True
        if has_changed:
            self._write()

    def _put_back(self) -> None:
        """Put back the jobs of the dead; with the database away, the next round tries again."""
        waiting, self._holders = self._holders, []
        for holder in waiting:
            try:
                self._give_back(holder)
            except SQLAlchemyError:
                self._holders.append(holder)

    def _write(self) -> None:
        states = {child.name: asdict(child.state) for child in self._children}
        try:
            write_text(self._folder.processes, json.dumps(states, indent=1), replace=True)
        except Exception as error:  # a full disk must not end the site
            self._say(f"processes.json cannot be written ({type(error).__name__})")

    def end(self) -> None:
        """Ask all to end, and wait; who asks again, or whoever takes too long, is not waited for.

        Closing a process' standard input and SIGTERM mean the same to it.
        """
        running = [child.process for child in self._children if child.process]
        for process in running:
            process.send_signal(signal.SIGTERM)
        last = time.monotonic() + PATIENCE_S
        try:
            for process in running:
                process.wait(max(0.0, last - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in running:
                process.kill()
                process.wait()
        for process in running:
            if process.stdin:
                process.stdin.close()
        self._folder.processes.unlink(missing_ok=True)


def serve(site_file: Path, say: Say = print) -> None:
    """Serve a site until this process is asked to end.

    say: takes a line on what happens.
    It returns when it is interrupted.
    Raises: SettingsError: the file, or the site's database, cannot be used, or another process
        serves the site.
    """
    site = read_site(site_file)
    folder = SiteFolder(site.folder)
    folder.make()
    try:
        with held(folder.lock):
            _serve(site, site_file, folder, say)
    except HeldError as error:
        raise SettingsError(SiteIsServed(path=site.folder)) from error


def _serve(site: Site, site_file: Path, folder: SiteFolder, say: Say) -> None:
    store = Store.of(site)
    with store.begin() as session:
        unusable = register(session, site)
        jobs.give_back(session)
        audit(session, Event.STARTED, "recontour")

    def gave_back(holder: int) -> None:
        with store.begin() as session:
            jobs.give_back(session, holder)

    commands = {}
    for name, module in MODULES.items():
        commands[name] = (sys.executable, "-m", module, str(site_file.resolve()))
    for finding in unusable:
        say(words(finding))
    for line in where_it_listens(site):
        say(line)
    try:
        Supervisor(commands, folder, gave_back, say).run()
    except KeyboardInterrupt:
        say("ended")
    finally:
        with store.begin() as session:
            audit(session, Event.STOPPED, "recontour")


def where_it_listens(site: Site) -> tuple[str, str]:
    """Return where the receiver and the page of a site are, a line each."""
    node, page = site.node, site.page
    secured = " with TLS" if node.tls else ""
    address = f"[{page.address}]" if ":" in page.address else page.address
    return (
        f"receives: {node.ae_title} at {node.address} port {node.port}{secured}",
        f"page: http://{address}:{page.port}",
    )
