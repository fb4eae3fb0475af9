"""How the words of a name may be written: in any case, and with or without their accents."""

import re
import unicodedata

# A part is shorter than three letters only where a letter is a syllable or a word.
NAME_PART = r"[^\W_]{3,}|[^\W\d_\u0000-\u024f]+"
SAME_IN_BOTH = {"ł": "l", "đ": "d", "ħ": "h", "\u0131": "i", "ŋ": "n", "ŧ": "t"}
ONE_LETTER = str.maketrans(SAME_IN_BOTH | {"ø": "o", "ð": "d", "þ": "t"})
TWO_LETTERS = str.maketrans(
    SAME_IN_BOTH
    | {
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "ø": "oe",
        "å": "aa",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ð": "dh",
        "ñ": "ny",
    }
)


def name_parts(name: str) -> list[str]:
    """Return the parts of a name that are long enough to be looked for.

    Two Latin letters occur in half of all words.

    >>> name_parts("Zebedee^Al")
    ['Zebedee']
    """
    return re.findall(NAME_PART, unicodedata.normalize("NFC", name))


def spellings(words: str) -> frozenset[str]:
    """Return how words may be written in small letters: as they are, and without their accents.

    >>> sorted(spellings("Søren"))
    ['soeren', 'soren', 'søren']
    """
    composed = unicodedata.normalize("NFC", words).casefold()
    one = _without_accents(composed.translate(ONE_LETTER))
    two = _without_accents(composed.translate(TWO_LETTERS))
    return frozenset({composed, one, two})


def _without_accents(words: str) -> str:
    letters = unicodedata.normalize("NFKD", words)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
