"""OpenVINO reports nothing to its maker, and the host keeps the modules that it has."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from recontour.contouring.engine import TELEMETRY, has_openvino

LOAD = """
import sys
from recontour.contouring.engine import has_openvino
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("socket.") else None)
assert has_openvino()
from openvino import opset13
from openvino.tools.ovc import telemetry_utils
assert telemetry_utils.tm.__name__.endswith("telemetry_stub"), telemetry_utils.tm
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
assert not seen, seen
"""


def test_nothing_of_the_telemetry_is_loaded_or_sent(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOAD],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not list(tmp_path.iterdir())  # where the telemetry keeps a number for this computer


@pytest.mark.parametrize("module", [None, ModuleType(TELEMETRY)])
def test_a_host_keeps_its_own_telemetry(
    module: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, TELEMETRY, module)
    has_openvino()
    assert sys.modules[TELEMETRY] is module


def test_a_host_without_telemetry_may_import_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, TELEMETRY, raising=False)
    has_openvino()
    assert TELEMETRY not in sys.modules


def test_without_openvino_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, TELEMETRY, raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not has_openvino()
    assert TELEMETRY not in sys.modules
