"""Jobs in other processes: what comes back, what dies, and a host left as it was."""

import os
import signal
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest

from recontour.errors import FaultError, OutputError, RecontourError, SettingsError
from recontour.executors import DeadWorker, Place, executor_at, place_of
from recontour.executors.findings import UnknownPlace
from recontour.executors.local import GPUS, MOST_DEATHS, gpu_variable
from recontour.files import ExistingOutput
from recontour.processes import Interrupted

EXISTS = ExistingOutput(path=Path("/data/DOE^JANE/model"), case="north-1")
HERE = Place("local", 1)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes find this module, whose functions they call."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


# Jobs


def environment(name: str) -> tuple[str | None, bool]:
    return os.environ.get(name), "torch" in sys.modules


def refuse() -> None:
    raise OutputError(EXISTS)


def crash() -> None:
    raise LookupError("no such thing")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_first(mark: Path) -> int:
    """Die, unless an earlier attempt has left a mark."""
    if not mark.exists():
        mark.touch()
        die()
    return os.getpid()


def meet(mine: Path, other: Path) -> int:
    """Wait until another job has begun, too."""
    mine.touch()
    wait_for(other)
    return os.getpid()


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def go_on_until_interrupted(begun: Path, kept: Path) -> None:
    try:
        begun.touch()
        while True:
            time.sleep(0.01)
    except Interrupted:
        kept.touch()
        raise


def test_a_process_has_its_own_environment_before_it_loads_a_library() -> None:
    before = dict(os.environ)
    with executor_at(HERE, threads=7) as executor:
        assert executor.submit(environment, "OMP_NUM_THREADS").result() == ("7", False)
    assert dict(os.environ) == before


def test_a_user_s_script_is_not_run_again() -> None:
    script = sys.modules["__main__"]
    with executor_at(HERE, threads=1) as executor:
        executor.submit(environment, "PATH").result()
    assert sys.modules["__main__"] is script


def test_an_error_crosses_over_with_its_finding() -> None:
    with executor_at(HERE, threads=1) as executor, pytest.raises(OutputError) as error:
        executor.submit(refuse).result()
    assert error.value.finding == EXISTS
    assert str(error.value) == str(OutputError(EXISTS))
    assert "in refuse" in error.value.__notes__[0]


def test_after_an_unforeseen_error_the_process_answers_the_next_call() -> None:
    with executor_at(HERE, threads=1) as executor:
        before = executor.submit(os.getpid).result()
        with pytest.raises(RuntimeError, match="LookupError: no such thing") as error:
            executor.submit(crash).result()
        assert not isinstance(error.value, RecontourError)
        assert "in crash" in error.value.__notes__[0]
        assert executor.submit(os.getpid).result() == before != os.getpid()


def test_jobs_run_side_by_side(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with executor_at(Place("local", 2), threads=1) as executor:
        first = executor.submit(meet, one, two)
        second = executor.submit(meet, two, one)
        assert first.result() != second.result()


def test_a_process_that_dies_is_replaced_and_disturbs_no_other(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with executor_at(Place("local", 2), threads=1) as executor:
        undisturbed = executor.submit(meet, one, two)
        before = executor.submit(os.getpid).result()
        after = executor.submit(die_at_first, tmp_path / "mark").result()
        assert not undisturbed.done()
        two.touch()
        assert len({before, after, undisturbed.result()}) == 3


def test_a_job_that_always_dies_fails_and_the_next_one_does_not() -> None:
    with executor_at(HERE, threads=1) as executor:
        with pytest.raises(FaultError) as error:
            executor.submit(die).result()
        expected = DeadWorker(times=MOST_DEATHS, exit_code=-signal.SIGKILL)
        assert error.value.finding == expected
        assert executor.submit(os.getpid).result() != os.getpid()


def test_at_the_end_jobs_keep_what_they_have_and_waiting_ones_are_given_up(tmp_path: Path) -> None:
    begun, kept = tmp_path / "begun", tmp_path / "kept"
    with executor_at(HERE, threads=1) as executor:
        going = executor.submit(go_on_until_interrupted, begun, kept)
        waiting = executor.submit(os.getpid)
        wait_for(begun)
    assert kept.exists()
    assert isinstance(going.exception(), CancelledError)
    assert waiting.cancelled()


@pytest.mark.parametrize(
    "given", ["", "local", "local:", "local:0", "local:1001", "local:²", "x:2"]
)
def test_a_place_that_does_not_exist_is_refused(given: str) -> None:
    with pytest.raises(SettingsError) as error:
        place_of(given)
    assert error.value.finding == UnknownPlace(given=given)


def test_a_place_says_how_many_jobs_run_at_a_time() -> None:
    assert place_of("local:1000") == Place("local", 1000)


@pytest.mark.parametrize(
    ("count", "visible", "given"),
    [
        (0, None, [{}, {}]),
        (1, "3", [{}, {}]),
        (2, None, [{GPUS: "0"}, {GPUS: "1"}, {GPUS: "0"}]),
        (2, "2,GPU-5f", [{GPUS: "2"}, {GPUS: "GPU-5f"}]),
    ],
)
def test_each_process_sees_one_of_the_gpus_that_this_process_sees(
    monkeypatch: pytest.MonkeyPatch, count: int, visible: str | None, given: list[dict[str, str]]
) -> None:
    monkeypatch.delenv(GPUS, raising=False)
    if visible:
        monkeypatch.setenv(GPUS, visible)
    assert [gpu_variable(number, count) for number in range(len(given))] == given
