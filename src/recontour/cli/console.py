"""Lines and tables on standard output.

Words from a file, or from its name, are shown letter by letter: never as markup, an emoji, or
something that steers a terminal.
"""

import shlex
import sys
from collections.abc import Sequence
from getpass import getpass

from rich.console import Console
from rich.prompt import Confirm
from rich.table import Column, Table
from rich.text import Text

from recontour.cli.findings import NoPassword, PasswordsDiffer
from recontour.errors import SettingsError
from recontour.wording import printable

# Tables in a log file are not squeezed.
LOG_WIDTH = 200

out = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)


def say(words: str) -> None:
    """Show a line, wrapped between words on a terminal and whole in a log file."""
    out.print(plain(words), soft_wrap=not out.is_terminal)


def say_command(words: str, command: Sequence[str]) -> None:
    """Show words, and below them a command to type, on one line, so that it can be pasted."""
    say(words)
    out.print(plain(shlex.join(command)), soft_wrap=True)


def plain(words: str) -> Text:
    """Return words that are shown as they are."""
    return Text(printable(words))


def can_ask() -> bool:
    """Return whether somebody at a terminal sees a question and can answer it."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


def agreed(question: str) -> bool:
    """Ask a yes-or-no question on standard error. An end of input is a no."""
    try:
        return Confirm.ask(plain(question), console=Console(stderr=True))
    except EOFError:
        return False


def new_password() -> str:
    """Ask for a new password twice, without showing it; or read one line of standard input.

    Raises: SettingsError: the two differ, or nothing was given.
    """
    if not can_ask():
        password = sys.stdin.readline().rstrip("\r\n") if sys.stdin else ""
    else:
        password = getpass("New password: ")
        if getpass("Once more: ") != password:
            raise SettingsError(PasswordsDiffer())
    if not password:
        raise SettingsError(NoPassword())
    return password


def table_of(title: str, *columns: str | Sequence[str]) -> Table:
    """Return a table without rows; a column's head is a line, or several.

    Words that are too long for a column are folded, never cut.
    """
    headers = [Column(_cell(column), overflow="fold") for column in columns]
    return Table(*headers, title=plain(title))


def add_row(table: Table, *cells: str | Sequence[str]) -> None:
    """Add a row to a table. A cell is a line, or several."""
    table.add_row(*map(_cell, cells))


def _cell(lines: str | Sequence[str]) -> Text:
    if isinstance(lines, str):
        return plain(lines)
    return Text("\n").join(map(plain, lines))
