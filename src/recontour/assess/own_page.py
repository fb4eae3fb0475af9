"""Which page `inspect --html` may replace: its own, of the same cohort, as recontour wrote it.

A page ends with a seal: the cohort's id, and the SHA-256 of all before it, so that an edited page
is noticed.
"""

import hashlib
import os
import re
from pathlib import Path

from recontour.assess.findings import NotReplaceable
from recontour.errors import OutputError
from recontour.files import SystemRefused, UnreadableError, read_file, refuse_as_output

SEAL = re.compile(rb"<!-- recontour cohort ([0-9a-f]{16}|without id), sealed ([0-9a-f]{64}) -->\n")
NO_ID = "without id"
MOST_BYTES = 1 << 31


def sealed(page: str, cohort_id: str | None) -> bytes:
    """Return a page with its seal, as it is to be written. cohort_id: None in an older cohort.

    >>> SEAL.search(sealed("<html></html>", "0123456789abcdef"))[1]
    b'0123456789abcdef'
    """
    content = f"{page}<!-- recontour cohort {cohort_id or NO_ID}, sealed ".encode()
    digest = hashlib.sha256(content).hexdigest()
    return content + f"{digest} -->\n".encode()


def own_page_at(path: Path, cohort_id: str | None) -> bool:
    """Return whether a cohort's own page, which may be replaced, is at a path; else nothing is.

    Raises: OutputError: a page cannot be written there, or would replace what may be needed.
    """
    if not os.path.lexists(path):
        refuse_as_output(path)
        return False
    content = _content(path)
    seal = SEAL.search(content)
    if seal is None:
        raise OutputError(NotReplaceable(path=path, why="not ours"))
    before, after = content[: seal.start(2)], content[seal.end() :]
    if after or hashlib.sha256(before).hexdigest().encode() != seal[2]:
        raise OutputError(NotReplaceable(path=path, why="edited"))
    if cohort_id is None:
        raise OutputError(NotReplaceable(path=path, why="no id"))
    if seal[1] != cohort_id.encode():
        raise OutputError(NotReplaceable(path=path, why="another cohort"))
    return True


def _content(path: Path) -> bytes:
    """Read what stands where a page is to go. Raises: OutputError."""
    if path.is_symlink():  # it would be replaced, and not what it leads to
        raise OutputError(NotReplaceable(path=path, why="link"))
    try:
        return read_file(path, MOST_BYTES)
    except UnreadableError as error:
        raise OutputError(NotReplaceable(path=path, why="not ours")) from error
    except OSError as error:
        raise OutputError(SystemRefused(path=path, number=error.errno, done="read")) from error
