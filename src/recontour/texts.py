"""Text files: how those of others are read, and how a CSV file becomes harmless in a spreadsheet.

Nothing here trusts a file: neither that it is one, nor its size, nor how deeply it is nested.
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

from recontour.errors import OutputError, RecontourError
from recontour.files import (
    REMEDIES,
    NotFound,
    SystemReason,
    UnreadableError,
    UnreadableFile,
    WrittenByUser,
    machine_fault,
    output_error,
    read_file,
    similar_path,
)
from recontour.findings import Finding, ScreenOnly, finding

MOST_TABLE_BYTES = 256 * 2**20  # far more than any table of ours
MOST_TOML_BYTES = 2**18  # a file that a person writes
# In one line of TOML outside quotes: the time to read a dotted name grows with its length squared.
MOST_DOTS = 32
# What opening a link or a pipe with UNFOLLOWED reports.
NOT_PLAIN = {errno.ELOOP, errno.ENXIO}
# Windows lacks these flags.
UNFOLLOWED = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"))

# A comment or a quoted string of TOML. One that is never closed reaches to the end of its line; in
# triple quotes, to the end of the text.
_COMMENT = r"#[^\n]*"
_TRIPLE_DOUBLE = r'"{3}(?:\\.|[^\\])*?(?:"{3}|\Z)'
_TRIPLE_SINGLE = r"'{3}.*?(?:'{3}|\Z)"
_DOUBLE = r'"(?:\\[^\n]|[^"\\\n])*"?'
_SINGLE = r"'[^'\n]*'?"
_QUOTED = re.compile(
    "|".join((_COMMENT, _TRIPLE_DOUBLE, _TRIPLE_SINGLE, _DOUBLE, _SINGLE)), re.DOTALL
)

# A spreadsheet may begin a cell after any of these separators ...
_CELL_BEGINS = r"(?:^|(?<=[;\t\r\n]))"
# ... and run a cell that begins with one of these letters, also in their wide forms.
_RUNS = r"(?='* *[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
_UNQUOTED = re.compile(_CELL_BEGINS + _RUNS)
_APOSTROPHE = re.compile(_CELL_BEGINS + "'" + _RUNS)


# What can be found


@finding
class NotUtf8(Finding):
    """A text file in another encoding."""

    byte: int  # the first that is not UTF-8, counted from 1

    def sentence(self) -> str:
        return f"it is not UTF-8 text (byte {self.byte}); save it as UTF-8"


@finding
class NotToml(Finding):
    """A file that is not TOML."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"it is not TOML: {self.reason}"


@finding
class NotCsv(Finding):
    """Text that is not a table. reason: the parser's."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"it is not CSV: {self.reason}"


@finding
class TooManyDots(Finding):
    """A line of TOML whose dotted name would take very long to read."""

    line: int

    def sentence(self) -> str:
        return f"more than {MOST_DOTS} dots in line {self.line}"


@finding
class NestedTooDeep(Finding):
    """A file with more levels than can be read."""

    def sentence(self) -> str:
        return "it is nested too deep"


@finding
class NumberOutOfRange(Finding):
    """A number with too many digits, or a date that does not exist."""

    reason: ScreenOnly[str]

    def sentence(self) -> str:
        return f"it holds a number or a date that is out of range ({self.reason})"


@finding
class LinkInTheWay(Finding):
    """A link, a pipe or a file with a second name where we would write."""

    def sentence(self) -> str:
        return "it is a link, has a second name, or is not a plain file"

    def remedy(self) -> str:
        return "remove it"


# Reading


def read_given(path: Path, most_bytes: int = MOST_TABLE_BYTES) -> bytes:
    """Read a small plain file from somebody else. A pipe or a device is not opened.

    Raises:
        UnreadableError: it cannot be read.
        FileNotFoundError, NotADirectoryError: there is nothing.
        FaultError: the machine is to blame.
    """
    try:
        return read_file(path, most_bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        if error.errno in REMEDIES:
            raise machine_fault(path, error) from error
        raise UnreadableError(SystemReason(number=error.errno)) from error


def read_text(path: Path, most_bytes: int = MOST_TABLE_BYTES) -> str:
    """Read a UTF-8 text file, with or without the byte order mark of Windows editors.

    Raises: UnreadableError, FileNotFoundError, NotADirectoryError, FaultError: see `read_given`.
    """
    content = read_given(path, most_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError(NotUtf8(byte=error.start + 1)) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises: UnreadableError, FileNotFoundError, NotADirectoryError, FaultError: see `read_given`.
    """
    text = read_text(path, MOST_TOML_BYTES)
    _refuse_many_dots(text)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(NotToml(reason=str(error))) from error
    except RecursionError as error:
        raise UnreadableError(NestedTooDeep()) from error
    except ValueError as error:  # Python limits the digits of a number, and the years of a date
        raise UnreadableError(NumberOutOfRange(reason=str(error))) from error


def read_users_toml(
    path: Path,
    what: WrittenByUser,
    *,
    option: str,
    example: str,
    refusal: type[RecontourError],
) -> dict[str, Any]:
    """Read a TOML file that a user wrote and gave to an option.

    what: should be in it. example: what to write, in case of doubt. refusal: the error to raise.
    Raises: the refusal: there is no such file, or it is not TOML. FaultError: see `read_given`.
    """
    try:
        return read_toml(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = NotFound(
            path=path,
            expected=f"a {what}",
            otherwise=f"check the path given to {option}",
            similar=similar_path(path),
        )
        raise refusal(missing) from error
    except UnreadableError as error:
        unreadable = UnreadableFile(
            path=path,
            what=what,
            why=error.finding,
            help=example,
        )
        raise refusal(unreadable) from error


def _refuse_many_dots(text: str) -> None:
    unquoted = _QUOTED.sub(_line_breaks_of, text)
    for line, words in enumerate(unquoted.split("\n"), start=1):
        if words.count(".") > MOST_DOTS:
            raise UnreadableError(TooManyDots(line=line))


def _line_breaks_of(quoted: re.Match[str]) -> str:
    return "\n" * quoted[0].count("\n")


# Our own files in folders that others can write to


def open_own(path: Path, *, append: bool) -> TextIO:
    """Open one of our own text files to overwrite it or to append to it; make it if need be.

    Raises:
        OutputError: it is a link, has a second name or is no plain file, so that what is written
            would land elsewhere; or it cannot be written.
        FaultError: the machine is to blame.
    """
    flags = os.O_WRONLY | os.O_CREAT | UNFOLLOWED
    if append:
        flags |= os.O_APPEND
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in NOT_PLAIN:
            raise OutputError(LinkInTheWay(path=path)) from error
        raise output_error(path, error) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise OutputError(LinkInTheWay(path=path))
    if not append:
        os.ftruncate(descriptor, 0)
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")


# CSV


def csv_text(rows: Iterable[Sequence[str | int | float]]) -> str:
    r"""Return rows as CSV. Text that a spreadsheet would run is made harmless; numbers stay.

    >>> csv_text([["=1+1", -2.5]])
    "'=1+1,-2.5\n"
    """
    return "".join(map(_line, rows))


def _line(row: Sequence[str | int | float]) -> str:
    cells = [harmless(cell) if isinstance(cell, str) else cell for cell in row]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")  # then it quotes both letters
    writer.writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def csv_rows(text: str) -> list[list[str]]:
    """Return the rows of a CSV text, with the original text of cells that were made harmless.

    Raises: csv.Error.
    """
    rows = []
    for row in csv.reader(io.StringIO(text, newline="")):
        rows.append([as_it_was(cell) for cell in row])
    return rows


def harmless(text: str) -> str:
    """Put an apostrophe wherever a spreadsheet would take what follows for a formula.

    That is at the start, and after any character that separates cells in some country's
    spreadsheets.
    Half characters, as in a file name that is not UTF-8, become question marks.
    """
    return _UNQUOTED.sub("'", text).encode("utf-8", "replace").decode("utf-8")


def as_it_was(cell: str) -> str:
    """Undo `harmless`."""
    return _APOSTROPHE.sub("", cell)
