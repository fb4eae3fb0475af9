"""Doubts about how far organs are contoured: contours that are short, and ends that come early."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from recontour.cohort.early_ends import early_ends
from recontour.cohort.findings import EarlyEnd, ShortOrgan
from recontour.cohort.partly import ENDS, short_organs

if TYPE_CHECKING:
    from recontour.cohort.case import Case

LengthDoubt = ShortOrgan | EarlyEnd


def length_doubts(cases: Sequence["Case"], among: Sequence["Case"]) -> list[LengthDoubt]:
    """Return the doubts about how far organs are contoured in some cases.

    Of a contour that is short as a whole, the ends are not doubted, too.

    among: all cases of the cohort, with which they are compared.

    >>> from recontour.cohort import Cohort
    >>> south = list(Cohort.open("south"))
    >>> length_doubts(south, south)
    []
    """
    short = short_organs(cases, among)
    return [*short, *early_ends(cases, among, contours_in(short))]


def contours_in(doubts: Iterable[LengthDoubt]) -> set[tuple[str, str]]:
    """Return the contours that doubts are about: case and organ."""
    contours: set[tuple[str, str]] = set()
    for doubt in doubts:
        assert doubt.organ
        contours.update((case, doubt.organ) for case in doubt.cases)
    return contours


def lengths_settled(cases: Iterable["Case"], doubts: Iterable[LengthDoubt]) -> set[tuple[str, str]]:
    """Return of which case and organ the length is spoken of elsewhere.

    There is a doubt about it, or a person said that this is all of the organ.
    """
    settled = contours_in(doubts)
    for case in cases:
        for organ, ends in case.traits.contoured_whole.items():
            if set(ends) == set(ENDS):
                settled.add((case.id, organ))
    return settled
