"""Scripts with which a shell completes commands, options and paths at the Tab key."""

import argparse
from collections.abc import Callable, Collection, Iterator

SHELLS = ("bash", "zsh", "fish")


def completion_script(
    parser: argparse.ArgumentParser,
    shell: str,
    *,
    path_types: Collection[Callable[[str], object]],
) -> str:
    """Return the script of a shell for a parser and its commands.

    shell: one of SHELLS. path_types: the `type` of arguments that are paths.
    """
    import shtab

    for argument in _arguments(parser):
        if argument.type in path_types:
            # shtab reads this attribute, which argparse does not know.
            vars(argument)["complete"] = shtab.FILE
    return str(shtab.complete(parser, shell))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Return the arguments of a parser and of its commands."""
    for argument in parser._actions:
        if isinstance(argument.choices, dict):
            for command in argument.choices.values():
                yield from _arguments(command)
        else:
            yield argument
