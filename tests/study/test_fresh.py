"""Fresh processes: their own environment, errors that cross over, and a host left as it was."""

import os
import signal
import sys
from pathlib import Path

import pytest

from recontour.errors import FaultError, OutputError, RecontourError
from recontour.files import ExistingOutput
from recontour.study.findings import EndedEstimate
from recontour.study.fresh import call_fresh

EXISTS = ExistingOutput(path=Path("/data/DOE^JANE/model"), case="north-1")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes find this module, whose functions they call."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


def environment(name: str) -> tuple[str | None, bool]:
    return os.environ.get(name), "torch" in sys.modules


def refuse() -> None:
    raise OutputError(EXISTS)


def crash() -> None:
    raise LookupError("no such thing")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_has_its_own_environment_before_it_loads_a_library() -> None:
    before = dict(os.environ)
    own = {"OMP_NUM_THREADS": "7"}
    assert call_fresh(environment, "OMP_NUM_THREADS", environment=own) == ("7", False)
    assert dict(os.environ) == before


def test_a_user_s_script_is_not_run_again() -> None:
    script = sys.modules["__main__"]
    call_fresh(environment, "PATH", environment={})
    assert sys.modules["__main__"] is script


def test_an_error_crosses_over_with_its_finding() -> None:
    with pytest.raises(OutputError) as error:
        call_fresh(refuse, environment={})
    assert error.value.finding == EXISTS
    assert str(error.value) == str(OutputError(EXISTS))
    assert "in refuse" in error.value.__notes__[0]


def test_an_unforeseen_error_crosses_over_with_its_trace() -> None:
    with pytest.raises(RuntimeError, match="LookupError: no such thing") as error:
        call_fresh(crash, environment={})
    assert not isinstance(error.value, RecontourError)
    assert "in crash" in error.value.__notes__[0]


def test_a_process_that_dies_is_a_fault() -> None:
    with pytest.raises(FaultError) as error:
        call_fresh(die, environment={})
    assert error.value.finding == EndedEstimate(exit_code=-signal.SIGKILL)
