"""How a long job says how far it is."""

from collections.abc import Callable

# what is done, how many are done, of how many, words
Progress = Callable[[str, int, int, str], None]


def quiet(
    _what: str,
    _done: int,
    _total: int,
    _words: str,
) -> None:
    """Report progress to nobody."""
