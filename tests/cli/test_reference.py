"""docs/reference/commands.md lists every command and option as the parser has them.

`python tests/cli/test_reference.py` writes its tables again.
"""

import argparse
import re
from pathlib import Path

import pytest

from recontour.cli.failures import FAULT, MENDABLE
from recontour.cli.parser import parser
from recontour.errors import DriftError, NotPromotedError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"
# Every command has these two; the introduction says so.
EVERYWHERE = {"help", "json"}
HOW_OFTEN = {"?": "[{}]", "+": "{}...", "*": "[{}...]"}


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, by name."""
    (choices,) = [
        action.choices for action in parser()._actions if isinstance(action.choices, dict)
    ]
    return choices


def tables() -> str:
    """A section per command."""
    return "\n".join(section(name, command) for name, command in commands().items())


def section(name: str, command: argparse.ArgumentParser) -> str:
    """What a command does, how it is typed, and its arguments."""
    arguments = [action for action in command._actions if action.dest not in EVERYWHERE]
    parts = [
        f"## {name}",
        as_sentence(command.description),
        f"`{usage(name, command)}`",
    ]
    if arguments:
        rows = [f"| {typed(one)} | {explained(one)} |" for one in arguments]
        parts.append("\n".join(["| argument | what |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def as_sentence(words: str | None) -> str:
    """A help text with a capital and a full stop; "->" as people read it."""
    text = (words or "").replace("->", "→")
    return f"{text[:1].upper()}{text[1:]}."


def usage(name: str, command: argparse.ArgumentParser) -> str:
    """The line to type: what must be given; other options are in the table."""
    positionals = [action for action in command._actions if not action.option_strings]
    needed = [action for action in command._actions if action.option_strings and action.required]
    words = ["recontour", name, *map(values, positionals)]
    words += [f"{action.option_strings[0]} {values(action)}" for action in needed]
    for group in command._mutually_exclusive_groups:
        if group.required:
            choices = [f"{one.option_strings[0]} {values(one)}" for one in group._group_actions]
            words.append(f"({' | '.join(choices)})")
    return " ".join([*words, "[options]"])


def values(action: argparse.Action) -> str:
    """The values of an argument, as they are typed."""
    if action.nargs == 0:
        return ""
    choices = "|".join(map(str, action.choices or ()))
    name = choices or str(action.metavar or action.dest.upper())
    return HOW_OFTEN.get(str(action.nargs), "{}").format(name)


def typed(action: argparse.Action) -> str:
    """An argument as a table shows it. A bar must not end the table's cell."""
    words = [*action.option_strings[-1:], values(action)]
    return f"`{' '.join(filter(None, words))}`".replace("|", "\\|")


def explained(action: argparse.Action) -> str:
    """What an argument means."""
    must = ["needed"] if action.option_strings and action.required else []
    return "; ".join([*must, action.help or ""]).replace("|", "\\|")


def introduction() -> str:
    """The page's text above the first command."""
    text, _, _ = PAGE.read_text(encoding="utf-8").partition("## import\n")
    return text


def test_the_page_lists_every_command_and_option() -> None:
    assert PAGE.read_text(encoding="utf-8") == introduction() + tables()


def test_the_page_s_options_of_all_commands_are_those_of_the_parser() -> None:
    of_all = set(re.findall(r"^\| `(--[a-z]+)", introduction(), flags=re.MULTILINE))
    top = {option for action in parser()._actions for option in action.option_strings}
    assert of_all == {option for option in top if option.startswith("--")} | {"--json"}


def test_the_page_s_exit_codes_are_those_of_failures() -> None:
    codes = re.findall(r"^\| (\d+) \|", introduction(), flags=re.MULTILINE)
    decided = {NotPromotedError.exit_code, DriftError.exit_code}
    assert set(map(int, codes)) == {0, FAULT, MENDABLE} | decided


@pytest.mark.parametrize("name", commands())
def test_every_command_answers_scripts(name: str) -> None:
    assert "--json" in commands()[name]._option_string_actions


@pytest.mark.parametrize("name", commands())
def test_every_argument_is_explained(name: str) -> None:
    unexplained = [action.dest for action in commands()[name]._actions if not action.help]
    assert unexplained == []


if __name__ == "__main__":
    PAGE.write_text(introduction() + tables(), encoding="utf-8")
