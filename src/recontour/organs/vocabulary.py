"""The words that ROI names are made of, and the organs that known spellings stand for."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import cache

from recontour.organs.table import (
    NoOrgan,
    Organ,
    Spelling,
    apart,
    known_organs,
    no_organs,
    organ_of,
    organs,
    own_side_words,
    side_words,
)

SHORTEST_JOINED = 4  # letters of a spelling that may be written together with its side
MOST_DIGITS = 2  # a longer number may be a date or a patient's
COPY_OF = ["copy", "of"]
# Of a misspelt name and an organ's: one letter in six may be another, or have changed its place.
LEAST_LIKENESS = 0.82
CANALS = ("canal", "kanal", "kanaal")  # parts of the names of the spinal canal
LARGER = ("margin", "target")  # kinds of structures that go beyond an organ
PLURAL_IN_S = ("en", "fr", "es", "pt")
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
# Chinese is written without blanks: a Latin word or a number may follow at once.
_WORD = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+|[+~]")
# Which words may be stored. A family may be called Herz, Li or Izquierdo, but not
# Ohrspeicheldrüse: of other languages, only words of some length count, and none for the sides.
FAMILIAR = ("en", "fr", "la")
LEAST_LETTERS = 8
LEAST_CHINESE = 2

Meanings = tuple[str, ...]  # TG-263 names: several where a spelling is ambiguous


def words_of(name: str) -> list[str]:
    """Return the words of an ROI name in lower case, without accents, brackets and separators.

    + is a margin and ~ a part, so both are words.

    >>> words_of("LeftParotid"), words_of("Parotide_(G)"), words_of("Cord+3")
    (['left', 'parotid'], ['parotide', 'g'], ['cord', '+', '3'])
    >>> words_of("腮腺L")
    ['腮腺', 'l']
    """
    name = name.replace("œ", "oe").replace("Œ", "OE")
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(itertools.filterfalse(unicodedata.combining, letters))
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return _WORD.findall(apart.casefold())


def key_of(name: str) -> str:
    """Return what all spellings of one ROI name share.

    >>> key_of("Brain_Stem") == key_of("brainstem")
    True
    """
    return "".join(words_of(name))


def organs_called(roi_name: str) -> Meanings:
    """Return the organs that an ROI name may stand for; empty if it is not a known spelling.

    >>> organs_called("Lt Parotid"), organs_called("Parotid"), organs_called("PTV 70")
    (('Parotid_L',), ('Parotid_L', 'Parotid_R'), ())
    """
    words = words_of(roi_name)
    if words[:2] == COPY_OF:
        words = words[2:]
    spellings = _known_spellings()
    # Apart first: "Lacrimal E" is the left one in Portuguese, "Lacrimale" is Italian.
    for key in (" ".join(words), "".join(words)):
        if key in spellings:
            return spellings[key]
    return ()


def organs_meant(words: str, known: Iterable[str]) -> Meanings:
    """Return which of some organs a misspelt name probably stands for; empty if nobody can say.

    >>> organs_meant("Brainstm", ["Brainstem", "Lens_L"]), organs_meant("Lens_L", ["Lens_R"])
    (('Brainstem',), ())
    """
    known = list(known)
    meanings = organs_called(words)
    if meanings or not known:
        return tuple(organ for organ in meanings if organ in known)
    likeness = {organ: _likeness(words, organ) for organ in known}
    best = max(likeness.values())
    if best < LEAST_LIKENESS:
        return ()
    return tuple(organ for organ in known if likeness[organ] == best)


def _likeness(words: str, organ: str) -> float:
    """Return how alike two names are, from 0 to 1; 0 if they name different sides."""
    side = apart(words)[1]
    if side and apart(organ)[1] not in (None, side):
        return 0.0
    return SequenceMatcher(None, words.casefold(), organ.casefold()).ratio()


def contradicts(roi_name: str, organ: str) -> Meanings:
    """Return what an ROI name says, if an organ is its opposite: the other side, or cord for canal.

    Nobody draws these two for one another on purpose, but a line of a map is easily swapped. The
    canal under the cord's name is another organ, drawn several times as large.

    organ: the TG-263 name that it is mapped to.

    >>> contradicts("Lt Parotid", "Parotid_R"), contradicts("Spinalkanal", "SpinalCord")
    (('Parotid_L',), ('SpinalCanal',))
    >>> contradicts("OSD li", "Parotid_R")
    ('Parotid_L',)
    >>> contradicts("Cord", "SpinalCanal")
    ()
    """
    if organ == "SpinalCord" and names_canal(roi_name):
        return ("SpinalCanal",)
    twin = organ_of(organ).twin
    said = (roi_name,) if roi_name in known_organs() else organs_called(roi_name)
    if said:
        return said if said == (twin,) else ()
    if twin and _side_called(roi_name) == apart(twin)[1]:
        return (twin,)
    return ()


def _side_called(roi_name: str) -> str | None:
    """Return the side that a word of a name says; None if none does, or if words disagree."""
    words = set(words_of(roi_name))
    sides = [side for side, called in side_words().items() if words.intersection(called)]
    return sides[0] if len(sides) == 1 else None


def names_canal(roi_name: str) -> bool:
    """Say whether an ROI is called a canal, in any of a few languages.

    >>> names_canal("Canal médullaire"), names_canal("Rückenmarkskanal"), names_canal("Cord")
    (True, True, False)
    """
    if organs_called(roi_name) == ("SpinalCanal",):
        return True
    key = key_of(roi_name)
    return any(canal in key for canal in CANALS)


def why_no_organ(roi_name: str) -> str | None:
    """Return what a structure is instead of an organ, by the words of its name; None if unknown.

    >>> why_no_organ("PTV70")
    'a target, not an organ'
    >>> why_no_organ("Haut_1"), why_no_organ("Parotide haut")
    ("the patient's outline or the table, not an organ", None)
    """
    what = _no_organ(roi_name)
    return what.reason if what else None


def why_larger(roi_name: str) -> str | None:
    """Return what a structure is by its name if that goes beyond an organ: a margin or a target.

    Words of other kinds may belong to an organ's name: "opt" is optic, too.

    >>> why_larger("Myelon_PRV?"), why_larger("N. opt. li")
    ('an organ with a margin, not the organ', None)
    """
    what = _no_organ(roi_name)
    return what.reason if what and what.kind in LARGER else None


def _no_organ(roi_name: str) -> NoOrgan | None:
    """Return the kind of structure that a name gives away; None if there is none."""
    words = set(map(_without_digits, words_of(roi_name)))
    for what in no_organs():
        is_all = bool(words - {""}) and words - {""} <= what.alone
        if is_all or not words.isdisjoint(what.words) or _has_chinese(roi_name, what.words):
            return what
    return None


def _has_chinese(roi_name: str, words: Iterable[str]) -> bool:
    """Return whether a name contains one of the Chinese words among these."""
    return any(not word.isascii() and word in roi_name for word in words)


def is_vocabulary(roi_name: str) -> bool:
    """Say whether an ROI name cannot name a patient.

    Such a name is made of the words of table.toml and at most two digits.

    >>> is_vocabulary("PTV 70"), is_vocabulary("PTV Smith"), is_vocabulary("PTV 4711")
    (True, False, False)
    """
    words = words_of(roi_name)
    digits = sum(map(str.isdigit, "".join(words)))
    singular = {_without_digits(word).removesuffix("s") for word in words}
    return digits <= MOST_DIGITS and singular - {""} <= _vocabulary()


def _without_digits(word: str) -> str:
    return re.sub(r"\d+", "", word)


@cache
def _vocabulary() -> frozenset[str]:
    """Return every word of the table, without the s of the plural."""
    words = {"copy", "of"}
    for name in known_organs():
        words.update(words_of(name))
    for organ in organs().values():
        for spelling in _spellings(organ):
            words.update(_fit_words(spelling))
    for language in ("en", "fr"):  # a man may be called Dexter
        for sided in side_words(language).values():
            words.update(sided)
    for what in no_organs():
        for word in what.words:
            words.update(words_of(word))
    return frozenset(word.removesuffix("s") for word in words)


def _fit_words(spelling: Spelling) -> Iterator[str]:
    """Yield the words of a spelling that are nobody's name."""
    for word in words_of(spelling.words):
        least = LEAST_LETTERS if word.isascii() else LEAST_CHINESE
        if spelling.language in FAMILIAR or len(word) >= least:
            yield word


@cache
def _known_spellings() -> Mapping[str, Meanings]:
    """Return what the key of each known spelling means.

    A name without a side keeps its meaning where one with a side would have the same key.
    """
    known: dict[str, Meanings] = {}
    paired = [organ for organ in organs().values() if organ.side]
    for organ in organs().values():
        if not organ.side:
            known |= dict.fromkeys(keys_of(organ), (organ.name,))
    for organ in paired:
        both = (f"{organ.group}_L", f"{organ.group}_R")
        for key in keys_of(organ):
            known.setdefault(key, both)
    for organ in paired:
        for key in keys_with_side(organ):
            known.setdefault(key, (organ.name,))
    return known


def _spellings(organ: Organ) -> Iterator[Spelling]:
    """Yield all spellings of an organ, those in German also without umlauts."""
    yield Spelling(organ.group, "en")
    for spelling in organ.spellings:
        yield spelling
        if spelling.language == "de":
            yield replace(spelling, words=spelling.words.translate(UMLAUTS))


def keys_of(organ: Organ) -> Iterator[str]:
    """Yield the keys of an organ's spellings without a side, of a paired one also in the plural.

    >>> "parotids" in keys_of(organ_of("Parotid_L"))
    True
    """
    for spelling in _spellings(organ):
        key = key_of(spelling.words)
        yield key
        if organ.side and spelling.language in PLURAL_IN_S:
            yield f"{key}s"


def keys_with_side(organ: Organ) -> Iterator[str]:
    """Yield the keys of a paired organ's spellings, with its side at each place between the words.

    The words of a short spelling and its side are joined with a space: "ON L" is not "ONL".

    >>> "ltparotid" in keys_with_side(organ_of("Parotid_L"))
    True
    """
    assert organ.side is not None
    for spelling in _spellings(organ):
        words = words_of(spelling.words)
        between = " " if _is_short("".join(words)) else ""
        for side in side_words()[organ.side]:
            yield from map(between.join, _with_side(words, side))
        for side in own_side_words(spelling.language)[organ.side]:
            yield from map(" ".join, _with_side(words, side))


def _is_short(key: str) -> bool:
    """Return whether a spelling may be a part of another word; in Chinese, no organ's is."""
    return len(key) < SHORTEST_JOINED and key.isascii()


def _with_side(words: Sequence[str], side: str) -> Iterator[list[str]]:
    """Yield the words of a name with its side before, between and after them."""
    for at in range(len(words) + 1):
        yield [*words[:at], side, *words[at:]]
