"""The supervisor: it starts again what dies, puts back its jobs, and ends everything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from recontour.errors import SettingsError
from recontour.processes import held
from recontour.service import serve as serving
from recontour.service.folder import SiteFolder
from recontour.service.serve import Supervisor, serve

LASTING = (sys.executable, "-c", "import os; os.read(0, 1)")  # until its parent is gone
DYING = (sys.executable, "-c", "raise SystemExit(3)")
MOST_S = 30.0


def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens soon."""
    last = time.monotonic() + MOST_S
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.02)


def look_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    def looked() -> bool:
        supervisor.look()
        return condition()

    until(looked)


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> SiteFolder:
    made = SiteFolder(tmp_path / "site")
    made.make()
    return made


def states(folder: SiteFolder) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(folder.processes.read_text())
    return found


def test_who_dies_is_started_again_after_longer_and_longer_pauses(
    folder: SiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PAUSES_S", (0.0, 0.01, 1000.0))
    said: list[str] = []
    gave_back: list[int] = []
    commands = {"lasting": LASTING, "dying": DYING}
    supervisor = Supervisor(commands, folder, gave_back.append, said.append)
    try:
        supervisor.look()
        look_until(supervisor, lambda: len(said) == 3)
        now = states(folder)
    finally:
        supervisor.end()
    assert said == [
        "dying ended (exit code 3); again in 0 s",
        "dying ended (exit code 3); again in 0.01 s",
        "dying ended (exit code 3); again in 1000 s",
    ]
    assert len(set(gave_back)) == 3
    assert now["dying"]["deaths"] == now["dying"]["restarts"] == 3
    assert now["dying"]["pid"] is None
    assert now["lasting"]["deaths"] == 0
    assert not folder.processes.exists()


def test_a_database_that_is_away_gets_the_jobs_back_later(folder: SiteFolder) -> None:
    gave_back: list[int] = []

    def give_back(holder: int) -> None:
        gave_back.append(holder)
        if len(gave_back) == 1:
            raise OperationalError("", None, Exception())

    supervisor = Supervisor({"dying": DYING}, folder, give_back, lambda _: None)
    try:
        look_until(supervisor, lambda: len(gave_back) > 1)
    finally:
        supervisor.end()
    assert gave_back[0] == gave_back[1]


# A shell without job control lets what it starts in the background ignore SIGINT.
ALONE = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from recontour.service.folder import SiteFolder
from recontour.service.serve import Supervisor
Supervisor({{"lasting": {LASTING!r}}}, SiteFolder(Path(sys.argv[1])), print, print).run()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_children_end_with_their_parent(folder: SiteFolder, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ALONE, folder.path], stderr=subprocess.DEVNULL
    ) as parent:
        try:
            until(folder.processes.exists)
            child = states(folder)["lasting"]["pid"]
            assert isinstance(child, int)
            assert is_running(child)
            os.kill(parent.pid, number)
            parent.wait(MOST_S)
        finally:
            parent.kill()
    until(lambda: not is_running(child))


def test_a_site_is_served_once(tmp_path: Path) -> None:
    file = tmp_path / "SITE.toml"
    file.write_text(
        'folder = "site"\n[models.north]\nfile = "north.safetensors"\n'
        '[[rules]]\nname = "all"\nmodel = "north"\n'
    )
    folder = SiteFolder(tmp_path / "site")
    folder.make()
    with held(folder.lock), pytest.raises(SettingsError, match="another recontour serves"):
        serve(file)
