"""Which page `inspect --html` may replace: its own, of the same cohort, as recontour wrote it.

A page ends with a seal, the SHA-256 of all before it, so that an edited page is noticed.
"""

import hashlib
import html
import os
import re
from collections.abc import Collection
from pathlib import Path

from recontour.assess.findings import PageOfOthers
from recontour.errors import OutputError
from recontour.files import SystemRefused, UnreadableError, read_file, refuse_as_output

SEAL = re.compile(rb"<!-- recontour cohort page ([0-9a-f]{64}) -->\n")
CASE_LINK = re.compile(r'<tr><td><a href="#case-\d+">(.*?)</a>')
MOST_BYTES = 1 << 31


def sealed(page: str) -> bytes:
    """Return a page with its seal, as it is to be written.

    >>> SEAL.search(sealed("<html></html>")).start()
    13
    """
    content = page.encode("utf-8")
    digest = hashlib.sha256(content).hexdigest()
    return content + f"<!-- recontour cohort page {digest} -->\n".encode()


def refuse_as_page(path: Path, cases: Collection[str]) -> None:
    """Raise OutputError if a page cannot be written, or would replace what may be needed.

    cases: ids of the cohort's cases. A page that shows none of them is another cohort's.
    """
    if not os.path.lexists(path):
        refuse_as_output(path)
        return
    content = _content(path)
    seal = SEAL.search(content)
    if seal is None:
        raise OutputError(PageOfOthers(path=path, why="not ours"))
    page, after = content[: seal.start()], content[seal.end() :]
    if after or hashlib.sha256(page).hexdigest().encode() != seal[1]:
        raise OutputError(PageOfOthers(path=path, why="edited"))
    shown = set(map(html.unescape, CASE_LINK.findall(page.decode("utf-8"))))
    if shown and shown.isdisjoint(cases):
        raise OutputError(PageOfOthers(path=path, why="another cohort"))


def _content(path: Path) -> bytes:
    """Read what stands where a page is to go. Raises: OutputError."""
    if path.is_symlink():  # it would be replaced, and not what it leads to
        raise OutputError(PageOfOthers(path=path, why="not ours"))
    try:
        return read_file(path, MOST_BYTES)
    except UnreadableError as error:
        raise OutputError(PageOfOthers(path=path, why="not ours")) from error
    except OSError as error:
        raise OutputError(SystemRefused(path=path, number=error.errno, done="read")) from error
