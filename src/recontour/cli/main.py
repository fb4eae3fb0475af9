"""The command line: how a run begins and ends.

Exit code 0: done. 2: something that the user can mend, or an interruption. 1: a fault of the
machine. 3: done, but `accept` or `monitor` has bad news. All but 0 come with one line that says
what to do.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from recontour.cli.answers import Transcript, as_line
from recontour.cli.failures import FAULT, Failure, failure_of
from recontour.cli.findings import InterruptedRun, LostOutput
from recontour.cli.parser import known_options, parser, question_about
from recontour.cli.streams import forgiving_streams
from recontour.findings import words
from recontour.launched import Launched, launched
from recontour.processes import ended_by_signals
from recontour.training.findings import FailedCompanion, LostCompanion

TOGETHER = ("train", "adapt")  # commands that several processes do as one


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    arguments: those of the process if None.
    """
    with forgiving_streams() as output:
        typed = list(sys.argv[1:] if arguments is None else arguments)
        options, unknown = parser().parse_known_args(typed)
        command = getattr(options, "parser", parser())
        if unknown:
            _refuse_unknown(command, unknown)
        if command is parser():
            command.error("the following arguments are required: COMMAND")
        options.launched = launched() if options.command in TOGETHER else None
        code = _run(options, typed)
        sys.stdout.flush()
        if code == 0 and output.lost:
            return _not_shown(options, output.lost)
        return code


def _refuse_unknown(command: argparse.ArgumentParser, unknown: Sequence[str]) -> NoReturn:
    """Exit with the command's usage and what the first unknown option may stand for."""
    words = f"unrecognized arguments: {' '.join(unknown)}"
    known = known_options(command)
    named = [word.partition("=")[0] for word in unknown if word.startswith("--")]
    if named and named[0] in known:
        help = f"give {named[0]} after the command"
    else:
        help = question_about(named[0], known) if named else ""
    command.error(f"{words}; {help}" if help else words)


def _run(options: argparse.Namespace, typed: Sequence[str]) -> int:
    # Remarks of libraries do not concern the user.
    warnings.filterwarnings("ignore")
    said = Transcript()
    failure = None
    try:
        with ended_by_signals(for_good=True):
            # `--help` does not wait for what the commands load.
            commands = import_module("recontour.cli.commands")
            commands.run(options, said)
    except BaseException as error:
        failure = failure_of(error, options, typed)
        if failure is None:
            raise
    if options.launched and options.launched.number:
        return _end_beside(failure, options.launched) if failure else 0
    if options.json:
        print(as_line(options.name, said, failure))
    return _end(failure) if failure else 0


def _end_beside(failure: Failure, us: Launched) -> int:
    """End a process that trains with others; it says what the first one cannot know."""
    found = failure.finding
    is_said_by_first = isinstance(found, FailedCompanion | InterruptedRun)
    is_said_by_second = isinstance(found, LostCompanion) and us.number > 1
    if is_said_by_first or is_said_by_second:
        return failure.exit_code
    return _end(failure, f"recontour, process {us.number + 1} of {us.count}")


def _not_shown(options: argparse.Namespace, why: str) -> int:
    """Report that the output of a command was lost: a failure only if there is nothing else."""
    shows_only = options.command == "inspect" or _is_set(options, "example", "dry_run", "json")
    lost = LostOutput(reason=why, nothing_else=shows_only)
    return _end(Failure(lost, FAULT if shows_only else 0, "LostOutput"))


def _is_set(options: argparse.Namespace, *names: str) -> bool:
    return any(getattr(options, name, False) for name in names)


def _end(failure: Failure, who: str = "recontour") -> int:
    line = " ".join(words(failure.finding).split())
    print(f"{who}: {line}", file=sys.stderr)
    return failure.exit_code
