"""Small words that every message needs: counts, sizes, and values shown safely."""

import reprlib
import unicodedata
from collections.abc import Sequence

MOST_SHOWN = 60  # characters of a value that a message repeats
STEERING = ("Cc", "Cf", "Cs")  # Unicode categories that control a terminal, or are half a character
REPLACEMENT = "\ufffd"


def printable(words: str) -> str:
    """Return text that is safe to print on one line of a terminal or in one cell of a table.

    White space becomes a space. Control characters, characters that change the direction of
    writing, and halves of characters become U+FFFD.

    >>> printable("two\\nlines")
    'two lines'
    """
    if words.isprintable():
        return words
    return "".join(map(_printable_letter, words))


def whole_letters(words: str) -> str:
    """Return text without halves of characters, which no JSON may hold.

    They come from file names that are not UTF-8.
    """
    return words.encode("utf-8", "replace").decode("utf-8")


def _printable_letter(letter: str) -> str:
    if letter.isspace():
        return " "
    if unicodedata.category(letter) in STEERING:
        return REPLACEMENT
    return letter


def shown(value: object) -> str:
    """Return a value from a file the way a message repeats it: short, quoted and on one line.

    >>> shown("Parotid")
    "'Parotid'"
    """
    short = reprlib.Repr()
    short.maxlevel = 2
    short.maxstring = MOST_SHOWN
    short.maxother = MOST_SHOWN
    short.maxlong = MOST_SHOWN
    try:
        return short.repr(value)
    except ValueError:  # Python refuses to print a number with too many digits
        return "too long to show"


def plural(count: int, thing: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "patient"), plural(2, "patient")
    ('1 patient', '2 patients')
    """
    ending = "" if count == 1 else "s"
    return f"{count} {thing}{ending}"


def agreeing(count: int, one: str, more: str) -> str:
    """Return the form of a verb that goes with a count.

    >>> agreeing(1, "is", "are"), agreeing(2, "is", "are")
    ('is', 'are')
    """
    return one if count == 1 else more


def enumerated(things: Sequence[str], last: str) -> str:
    """Return things as a sentence lists them. last: the word before the last one.

    >>> enumerated(["a", "b", "c"], "and"), enumerated(["a"], "or")
    ('a, b and c', 'a')
    """
    if len(things) < 2:
        return "".join(things)
    return f"{', '.join(things[:-1])} {last} {things[-1]}"


def did_you_mean(meant: Sequence[str], last: str = "or") -> str:
    """Return the question after a misspelt name; empty if no name is alike.

    last: the word before the last one: "or", or "and" if several names were misspelt.

    >>> did_you_mean(["Lens_L", "Lens_R"]), did_you_mean([])
    ('did you mean Lens_L or Lens_R?', '')
    """
    return f"did you mean {enumerated(meant, last)}?" if meant else ""


def short(value: float) -> str:
    """Print a number of at least 1 with one decimal at most, a smaller one with two.

    >>> short(120.4), short(25.31), short(3.0), short(0.216)
    ('120', '25.3', '3', '0.22')
    """
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}".removesuffix(".0") if value >= 0.995 else f"{value:.2f}"


def size_in_words(count: float) -> str:
    """Return a number of bytes the way people read it.

    >>> size_in_words(1.6e9), size_in_words(35e6)
    ('1.6 GB', '35 MB')
    """
    if count >= 1e8:
        return f"{count / 1e9:.1f} GB"
    if count >= 1e6 or not count:
        return f"{count / 1e6:.0f} MB"
    return "1 MB"


def about(seconds: float) -> str:
    """Return how long something is likely to take, only as exactly as an estimate can be.

    >>> about(12), about(50), about(400), about(9000)
    ('about 12 s', 'about 50 s', 'about 7 min', 'about 2.5 h')
    """
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
