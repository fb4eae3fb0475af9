"""How the words of a name may be written: in any case, and with or without their accents."""

import re
import unicodedata

# shorter than three letters only where a letter is a syllable or a word
NAME_PART = r"[^\W_]{3,}|[^\W\d_\u0000-\u024f]+"
ONE_LETTER = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "t", "ħ": "h", "\u0131": "i", "ŋ": "n", "ŧ": "t"}
)
TWO = str.maketrans(
    {
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
) | {key: value for key, value in ONE_LETTER.items() if chr(key) in "łđħ\u0131ŋŧ"}


def name_parts(name: str) -> list[str]:
    """The parts of a name that are long enough to be looked for:

    two Latin letters are found in half of all words.
    """
    return re.findall(NAME_PART, unicodedata.normalize("NFC", name))


def spellings(words: str) -> frozenset[str]:
    """How words may be written in small letters: as they are, and in the ways that leave out their
    accents.

    Müller is also muller and mueller, Søren soren and soeren, Łukasz lukasz.
    """
    composed = unicodedata.normalize("NFC", words).casefold()
    return frozenset(
        {
            composed,
            *(_without_accents(composed.translate(letters)) for letters in (ONE_LETTER, TWO)),
        }
    )


def _without_accents(words: str) -> str:
    return "".join(
        letter
        for letter in unicodedata.normalize("NFKD", words)
        if not unicodedata.combining(letter)
    )
