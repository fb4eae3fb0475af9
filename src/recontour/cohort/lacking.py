"""What an import says last: the organs that its cases lack, and the names that are not mapped."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from recontour.cohort.case import Case
from recontour.cohort.import_findings import NamesNotMapped, OrgansLacking
from recontour.organs import NameRow
from recontour.organs.findings import UnknownRoiName


def organs_lacking(cases: Sequence[Case], everyone: Iterable[Case]) -> Iterator[OrgansLacking]:
    """Yield a finding if some cases lack organs that other cases of the cohort have.

    everyone: all cases of the cohort.

    >>> from recontour.cohort import Cohort
    >>> south = list(Cohort.open("south"))
    >>> list(organs_lacking(south, south))
    []
    """
    known: set[str] = set()
    for case in everyone:
        known.update(case.organs)
    lacking: Counter[str] = Counter()
    incomplete = []
    for case in cases:
        absent = known.difference(case.organs)
        lacking.update(absent)
        if absent:
            incomplete.append(case.id)
    if incomplete:
        fewest_first = sorted(lacking, key=lambda organ: (lacking[organ], organ))
        yield OrgansLacking(
            cases=tuple(incomplete),
            of=len(cases),
            organs=tuple(fewest_first),
            counts=tuple(lacking[organ] for organ in fewest_first),
        )


def is_unknown(row: NameRow) -> bool:
    """Return whether a ROI name is left out because nobody knows it, and not for what it says.

    >>> is_unknown(NameRow("HS", None, "ignored", UnknownRoiName()))
    True
    """
    return row.status != "ambiguous" and isinstance(row.reason, UnknownRoiName)


def names_not_mapped(
    names: Iterable[tuple[NameRow, int]], archive: Path
) -> Iterator[NamesNotMapped]:
    """Yield a finding if some ROI names are no known organ's, or may be several organs'.

    names: what became of each, and in how many patients. archive: where they are from.

    >>> list(names_not_mapped([], Path("dicom")))
    []
    """
    unknown: set[str] = set()
    ambiguous: set[str] = set()
    for row, _ in names:
        if row.status == "ambiguous":
            ambiguous.add(row.roi_name)
        elif is_unknown(row):
            unknown.add(row.roi_name)
    if unknown or ambiguous:
        yield NamesNotMapped(path=archive, unknown=len(unknown), ambiguous=len(ambiguous))
