"""Signals, locks, and processes that start without the user's script."""

import errno
import fcntl
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from recontour.findings import stored_words
from recontour.processes import (
    ENDING,
    HeldError,
    Interrupted,
    Unbroken,
    ended_by_signals,
    held,
    how_ended,
    script_left_out,
)
from recontour.training.findings import EndedHelper


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_block_once_so_that_it_can_clean_up(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cleaned = []

    def work() -> None:
        with ended_by_signals():
            try:
                signal.raise_signal(number)
            finally:
                # an impatient user, or a queue that tells every process twice
                signal.raise_signal(number)
                cleaned.append(True)

    with pytest.raises(Interrupted, match=number.name):
        work()
    assert cleaned
    assert signal.getsignal(number) == before


def test_a_process_that_ends_heeds_no_other_signal() -> None:
    before = {number: signal.getsignal(number) for number in ENDING}

    def work() -> None:
        with ended_by_signals(for_good=True):
            signal.raise_signal(signal.SIGTERM)

    try:
        with pytest.raises(Interrupted):
            work()
        signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)  # nohup
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_must_be_whole_is_not_broken_off() -> None:
    unbroken, done = Unbroken(), []

    def work() -> None:
        with ended_by_signals():
            with unbroken:
                signal.raise_signal(signal.SIGTERM)
                done.append("whole")
            done.append("noted")
            unbroken.heed()
            done.append("gone on")

    with pytest.raises(Interrupted):
        work()
    assert done == ["whole", "noted"]
    assert not unbroken.broken


def test_who_insists_breaks_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recontour.processes.IMPATIENCE_SECONDS", 0.0)
    unbroken = Unbroken()

    def work() -> None:
        with ended_by_signals(), unbroken:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        work()
    assert unbroken.broken


def refuse_flock(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)


@pytest.mark.parametrize("number", [None, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_lock_keeps_others_out_with_the_system_s_locks_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number is not None:
        refuse_flock(monkeypatch, number)
    for _ in range(2):  # it is let go
        with held(tmp_path / "lock"), pytest.raises(HeldError), held(tmp_path / "lock"):
            pass
    assert not (tmp_path / "lock.held").exists()


def test_a_lock_of_a_process_that_was_killed_does_not_count_without_the_system_s_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_flock(monkeypatch, errno.ENOLCK)
    lock = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        kept = held(lock)
        kept.__enter__()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "lock.held").exists()
    with held(lock):
        pass


def test_an_error_of_the_disk_is_no_lack_of_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_flock(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output"), held(tmp_path / "lock"):
        pass


def test_processes_start_without_the_user_s_script() -> None:
    script = sys.modules["__main__"]
    with script_left_out():
        assert "init_main_from_path" not in multiprocessing.spawn.get_preparation_data("a name")
    assert sys.modules["__main__"] is script


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [
        (None, "exit code unknown"),
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-signal.SIGKILL, "signal SIGKILL"),
        (-1000, "signal 1000"),
    ],
)
def test_how_a_process_ended_is_said_in_words(exit_code: int | None, words: str) -> None:
    assert how_ended(exit_code) == words
    ended = stored_words(EndedHelper(exit_code=exit_code))
    assert f"ended early ({words})" in ended
