"""Text files: how those that others wrote are read, and how a CSV file is made that no spreadsheet
runs.

Nothing here trusts a file: not that it is one, nor its size, nor how deep it is nested.
"""

import csv
import errno
import io
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from recontour.files import REMEDIES, machine_fault, read_file

MOST_BYTES = 256 * 2**20  # of a table; none of ours comes near
MOST_TOML_BYTES = 2**18  # a file that a person writes
# in one line of TOML outside quotes: reading a dotted name takes time by the square of its length
MOST_DOTS = 32
UNFOLLOWED = sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC")
)  # Windows has none

# or a comment; what is never closed goes on to the end of its line, or of the text
_QUOTED = re.compile(
    r"""#[^\n]*|\"{3}(?:\\.|[^\\])*?(?:\"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:\\[^\n]|[^"\\\n])*"?|'[^'\n]*'?""",
    re.DOTALL,
)

_CELL_BEGINS = (
    r"(?:^|(?<=[;\t\r\n]))"  # where a spreadsheet may begin a cell, whatever separator it expects
)
# what it would run: a formula's first letter, also the wide ones
_RUNS = r"(?='* *[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
_UNQUOTED = re.compile(_CELL_BEGINS + _RUNS)
_APOSTROPHE = re.compile(_CELL_BEGINS + "'" + _RUNS)


class UnreadableError(Exception):
    """Why a file cannot be read, as the second half of a sentence;

    who reads it says which file, and what to do.
    """


# Reading


def read_given(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a file that somebody gave us: a plain file, and not a huge one. A pipe or a device is
    not waited for.

    Raises: UnreadableError; FileNotFoundError where there is nothing at all; FaultError: the
        machine is to blame.
    """
    try:
        return read_file(path, most_bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        if error.errno in REMEDIES:
            raise machine_fault(path, error) from error
        raise UnreadableError(error.strerror or str(error)) from error
    except ValueError as error:
        raise UnreadableError(str(error)) from error


def read_text(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """Read a text file in UTF-8, with or without the mark that Windows' editors put in front.

    Raises: UnreadableError; FileNotFoundError.
    """
    try:
        return read_given(path, most_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"it is not text in UTF-8 (byte {error.start + 1}); save it as UTF-8"
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises: UnreadableError; FileNotFoundError.
    """
    text = read_text(path, MOST_TOML_BYTES)
    for line, words in enumerate(_QUOTED.sub(_without_words, text).split("\n"), start=1):
        if words.count(".") > MOST_DOTS:
            raise UnreadableError(f"more than {MOST_DOTS} dots in line {line}")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(f"it is not TOML: {error}") from error
    except RecursionError as error:
        raise UnreadableError("it is nested too deep") from error
    except ValueError as error:  # Python limits the digits of a number, and the years of a date
        raise UnreadableError(
            f"it holds a number or a date that is out of range ({error})"
        ) from error


def _without_words(quoted: re.Match[str]) -> str:
    """As many lines as what was quoted, and nothing in them."""
    return "\n" * quoted[0].count("\n")


# Files of ours, in folders that others can write to


def open_own(path: Path, *, append: bool) -> TextIO:
    """Open a text file of ours to write over it, or to append to it; it is made where it is not
    there.

    Raises: OSError: it is a link, or has a second name, or is no plain file: what is written would
        land elsewhere.
    """
    flags = os.O_WRONLY | os.O_CREAT | UNFOLLOWED
    descriptor = os.open(path, flags | os.O_APPEND if append else flags, 0o666)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.ELOOP, "it is a link, or no plain file; remove it", str(path))
    if not append:
        os.ftruncate(descriptor, 0)
    return open(descriptor, "w", encoding="utf-8", errors="replace", newline="")  # of a descriptor


# CSV


def csv_text(rows: Iterable[Sequence[str | int | float]]) -> str:
    """Rows as CSV.

    Text that a spreadsheet would run is made harmless; numbers, also negative ones, stay numbers.
    """
    return "".join(map(_line, rows))


def _line(row: Sequence[str | int | float]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # so that it quotes both letters
    writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue().removesuffix("\r\n") + "\n"


def csv_rows(text: str) -> list[list[str]]:
    """The rows of a CSV text; text that was made harmless is as it was. Raises: csv.Error."""
    return [[as_it_was(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""))]


def harmless(text: str) -> str:
    """Text with an apostrophe wherever a spreadsheet would take what follows for a formula.

    That is at its start, and after what may separate cells in another country's spreadsheet. What
    no text file can hold (half of a letter, as in a file's name that is not UTF-8) becomes a
    question mark.
    """
    return _UNQUOTED.sub("'", text).encode("utf-8", "replace").decode("utf-8")


def as_it_was(cell: str) -> str:
    """The text of which `harmless` made a cell."""
    return _APOSTROPHE.sub("", cell)
