"""Processes that start fresh: with their own environment, and without the user's script.

Libraries read some variables only once, when they are loaded. A fresh process sets its own before
it loads any, so the process that starts it need not change what it has.
"""

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from recontour.errors import FaultError
from recontour.processes import ignore_signals, portable, script_left_out
from recontour.study.findings import EndedEstimate

# A fork would inherit PyTorch's threads in an unknown state.
SPAWN = multiprocessing.get_context("spawn")


class Fresh(NamedTuple):
    """A process, and the pipe that brings what it sends."""

    process: BaseProcess
    pipe: Connection


def start_fresh(
    function: Callable[..., object],
    *arguments: Any,
    environment: Mapping[str, str],
    daemon: bool = False,
) -> Fresh:
    """Start a process that calls `function(*arguments, pipe)` and may send through the pipe.

    environment: variables that it sets before it loads the function's module.
    """
    pipe, its_end = SPAWN.Pipe(duplex=False)
    call = pickle.dumps((function, arguments))
    process = SPAWN.Process(
        target=_begin,
        args=(dict(environment), call, its_end),
        daemon=daemon,
    )
    try:
        with script_left_out():
            process.start()
    finally:
        its_end.close()
    return Fresh(process, pipe)


def call_fresh(
    function: Callable[..., object],
    *arguments: Any,
    environment: Mapping[str, str],
) -> Any:
    """Call a function in a fresh process, and return what it returns, or raise what it raises.

    Raises: FaultError: the process ended without an answer.
    """
    fresh = start_fresh(_answer, function, arguments, environment=environment, daemon=True)
    try:
        answer = fresh.pipe.recv()
    except EOFError:
        fresh.process.join()
        raise FaultError(EndedEstimate(exit_code=fresh.process.exitcode)) from None
    finally:
        fresh.process.kill()
        fresh.process.join()
        fresh.pipe.close()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _begin(
    environment: Mapping[str, str],
    call: bytes,
    pipe: Connection,
) -> None:
    """Do the fresh process's work."""
    ignore_signals()  # Ctrl-C and a closed terminal are for the process that the user started
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)
    function, arguments = pickle.loads(call)  # loads the libraries
    function(*arguments, pipe)


def _answer(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    pipe: Connection,
) -> None:
    try:
        answer = function(*arguments)
    except Exception as error:
        answer = portable(error)
    with suppress(OSError):  # nobody waits for it any longer
        pipe.send(answer)
