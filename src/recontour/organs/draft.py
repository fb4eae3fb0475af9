"""A draft of a centre's map of ROI names, with guesses for a person to choose from."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache

from recontour.findings import words
from recontour.organs.findings import (
    AmbiguousRoiName,
    EqualClaims,
    NotAnOrgan,
    UnknownRoiName,
    WeakerClaim,
)
from recontour.organs.names import NameRow
from recontour.organs.table import SIDES, Side, abbreviations, organs, side_words
from recontour.organs.vocabulary import key_of, keys_of, names_canal, words_of
from recontour.wording import plural, whole_letters

MOST_GUESSES = 3  # organs, a paired one with both sides
LEAST_LIKENESS = 0.72  # of an unknown name and a known spelling
LEAST_CONTAINED = 4  # letters of a spelling inside a longer name
LEAST_CONTAINED_CHINESE = 2
NEVER_AN_ORGAN = ("prv", "ptv", "ctv", "gtv", "itv")  # also where they do not stand apart
HEADER = """\
# ROI names that recontour does not know, or not for certain, each with guesses at its organ.
# Remove the # before a line that is right, or write another TG-263 name on its right side; ""
# leaves the structure out. Then give this file to --names. A guess may be wrong: look at the
# contours. Names that are left out for a reason come last. All names are as they were drawn; one
# may name a patient.

[names]
"""
NOTHING_OPEN = "# Nothing to fill in: every name is an organ's, or is left out for a reason."
LEFT_OUT = "# Left out, each with the reason. A line is needed only where that is wrong."


def drafted_map(names: Iterable[tuple[NameRow, int]]) -> str:
    """Return the text of a map of the names that are unknown or ambiguous, to be filled in.

    Names that are left out for another reason follow, with the reason. Every line of a name is
    commented out, so the text is a map that maps nothing.

    names: what became of each name, and in how many structure sets.

    >>> from recontour.organs import match_names
    >>> (row,) = match_names(["Hirnstam"]).rows
    >>> print(*drafted_map([(row, 3)]).splitlines()[-2:], sep="\\n")
    # in 3 structure sets
    # "Hirnstam" = "Brainstem"
    """
    names = list(names)
    counts, guesses = _open_names(names)
    lines = [HEADER]
    if not counts:
        lines += [NOTHING_OPEN, ""]
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        lines.append(f"# in {plural(counts[name], 'structure set')}")
        for organ in guesses[name] or ("",):
            lines.append(f'# {_quoted(name)} = "{organ}"')
        lines.append("")
    left_out = _left_out(names, counts)
    if left_out:
        lines += [LEFT_OUT, "", *left_out]
    return "\n".join(lines)


def has_open_names(names: Iterable[tuple[NameRow, int]]) -> bool:
    """Return whether a drafted map has anything to fill in. names: as for `drafted_map`."""
    return bool(_open_names(names)[0])


def _left_out(names: Iterable[tuple[NameRow, int]], but: Collection[str]) -> list[str]:
    """Return the lines of the names that are left out for a reason that a map could overrule."""
    lines = []
    for row, count in names:
        if row.roi_name in but or not isinstance(row.reason, NotAnOrgan | WeakerClaim):
            continue
        organ = row.reason.claimed if isinstance(row.reason, WeakerClaim) else ""
        lines.append(f"# in {plural(count, 'structure set')}: {words(row.reason)}")
        lines += [f'# {_quoted(row.roi_name)} = "{organ}"', ""]
    return lines


def _open_names(
    names: Iterable[tuple[NameRow, int]],
) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """Return the names that a map could make certain: how often each occurs, and its guesses."""
    counts: dict[str, int] = {}
    guesses: dict[str, tuple[str, ...]] = {}
    for row, count in names:
        found = _guesses(row)
        if found is not None:
            counts[row.roi_name] = counts.get(row.roi_name, 0) + count
            guesses.setdefault(row.roi_name, found)
    return counts, guesses


def _guesses(row: NameRow) -> tuple[str, ...] | None:
    """Return the organs that a name may mean; None if there is nothing for a map to say."""
    match row.reason:
        case UnknownRoiName():
            return guessed_organs(row.roi_name)
        case AmbiguousRoiName(meanings=meanings):
            return meanings
        case EqualClaims(claimed=organ, of_one_name=False):
            return (organ,)
    return None


def guessed_organs(roi_name: str) -> tuple[str, ...]:
    """Return the organs that an unknown name resembles, the likeliest first.

    Targets and margins get none. A canal is never guessed to be the cord, nor an organ to be a part
    of it that the name does not speak of.

    >>> guessed_organs("Parotis li neu"), guessed_organs("OSD re"), guessed_organs("Blase")
    (('Parotid_L',), ('Parotid_R',), ())
    """
    key = key_of(roi_name)
    if any(word in key for word in NEVER_AN_ORGAN):
        return ()
    side, rest = _without_side(roi_name)
    group_of = _groups()
    alike = get_close_matches(rest, group_of, n=2 * MOST_GUESSES, cutoff=LEAST_LIKENESS)
    spelled = [group_of[spelling] for spelling in alike or _inside(rest)]
    meant = [_as_far_as_said(group, roi_name) for group in (*_abbreviated(roi_name), *spelled)]
    groups = dict.fromkeys(meant)
    if names_canal(roi_name):
        groups.pop("SpinalCord", None)
    guesses: list[str] = []
    for group in list(groups)[:MOST_GUESSES]:
        guesses.extend(_with_sides(group, side))
    return tuple(guesses)


@cache
def _groups() -> Mapping[str, str]:
    """Return the organ, without its side, of the key of each known spelling."""
    groups = {}
    for organ in organs().values():
        groups.update(dict.fromkeys(keys_of(organ), organ.group))
    return groups


def _as_far_as_said(group: str, roi_name: str) -> str:
    """Return an organ, or of a part the whole organ if the name does not say which part.

    >>> _as_far_as_said("Larynx_SG", "Larynx glott."), _as_far_as_said("Larynx_SG", "L. supragl.")
    ('Larynx', 'Larynx_SG')
    """
    whole = group.rpartition("_")[0]
    if whole not in organs():
        return group
    said, key = words_of(roi_name), key_of(roi_name)
    for word in _words_of_part(group, whole):
        is_begun = len(word) >= LEAST_CONTAINED and word[:LEAST_CONTAINED] in key
        if word in said or is_begun:
            return group
    return whole


def _words_of_part(group: str, whole: str) -> set[str]:
    """Return the words by which the spellings of a part differ from those of the whole organ."""
    of_part, of_whole = (_words_of_spellings(organ) for organ in (group, whole))
    return of_part - of_whole


def _words_of_spellings(organ: str) -> set[str]:
    words_used = set(words_of(organ))
    for spelling in organs()[organ].spellings:
        words_used.update(words_of(spelling.words))
    return words_used


def _abbreviated(roi_name: str) -> list[str]:
    """Return the organs, without their sides, whose abbreviations are words of a name."""
    meant = abbreviations()
    return [meant[word] for word in words_of(roi_name) if word in meant]


def _inside(key: str) -> list[str]:
    """Return the known spellings inside a longer name, the longest first."""
    found = []
    for spelling in _groups():
        least = LEAST_CONTAINED if spelling.isascii() else LEAST_CONTAINED_CHINESE
        if len(spelling) >= least and spelling in key:
            found.append(spelling)
    return sorted(found, key=len, reverse=True)


def _without_side(roi_name: str) -> tuple[Side | None, str]:
    """Return the side that a name mentions, None if not exactly one, and its other words joined."""
    mentioned: set[Side] = set()
    rest = []
    for word in words_of(roi_name):
        side, without = _side_apart(word)
        if side:
            mentioned.add(side)
        if not without.isdigit():
            rest.append(without)
    (only,) = mentioned if len(mentioned) == 1 else (None,)
    return only, "".join(rest)


def _side_apart(word: str) -> tuple[Side | None, str]:
    """Return the side that a word is, or in Chinese contains, and the rest of the word."""
    found: tuple[Side | None, str] = (None, word)
    for side in SIDES:
        for side_word in side_words()[side]:
            is_inside = not side_word.isascii() and side_word in word
            if word == side_word or is_inside:
                found = min(found, (side, word.replace(side_word, "")), key=_length_of_rest)
    return found


def _length_of_rest(found: tuple[Side | None, str]) -> int:
    return len(found[1])


def _with_sides(group: str, side: Side | None) -> tuple[str, ...]:
    """Return the TG-263 names of an organ: of one side if that is known, else of both."""
    if group in organs():
        return (group,)
    return tuple(f"{group}_{which}" for which in SIDES if side in (None, which))


def _quoted(name: str) -> str:
    """Return a name as a string of TOML."""
    letters = []
    for letter in whole_letters(name):
        if letter in '"\\':
            letters.append(f"\\{letter}")
        elif letter.isprintable():
            letters.append(letter)
        else:
            letters.append(f"\\U{ord(letter):08x}")
    return f'"{"".join(letters)}"'
