"""Contours from elsewhere for the cases of a cohort: another tool's, or a second observer's.

sources    what lies in a folder: RTSTRUCT, SEG, NIfTI
matching   which case each was drawn on
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recontour.cohort import Case
from recontour.errors import DicomError, GridMismatchError, LabelsError
from recontour.exchange.findings import (
    ContoursMatched,
    LackingOrgans,
    NoContoursOfCases,
    NoOrganInCommon,
    NotAllCases,
    UnmatchedContours,
    UnusedNames,
)
from recontour.exchange.matching import Matched, Matching, Rule, match_to_cases
from recontour.exchange.sources import Drawn, UserMap
from recontour.findings import Finding
from recontour.geometry.arrays import Mask
from recontour.geometry.tracing import Box, box_of
from recontour.progress import Progress, quiet

REASONS_SHOWN = 3  # in one line of an error


@dataclass(frozen=True, slots=True)
class _SmallMask:
    """A mask, kept small. box: where it is marked; None: nowhere. bits: of the box."""

    box: Box | None
    bits: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, mask: Mask) -> "_SmallMask":
        """Return a mask (slice, row, column), kept small."""
        box = box_of(mask)
        if box is None:
            return cls(None, np.zeros(0, dtype=np.uint8))
        return cls(box, np.packbits(mask[box]))

    def on(self, shape: tuple[int, int, int]) -> Mask:
        """Return the mask again. shape: of the grid."""
        mask = np.zeros(shape, dtype=bool)
        if self.box is not None:
            inside = mask[self.box]
            count = inside.size
            mask[self.box] = np.unpackbits(self.bits, count=count).reshape(inside.shape)
        return mask


@dataclass(frozen=True, slots=True)
class GivenContours:
    """Contours from elsewhere, as they are to be scored.

    name: as scores and reports show them. matched: how many cases they have, and by what.
    roi_names: all that were met. notes: what a person may want to know. warnings: what cannot be
    used or is lacking.
    """

    name: str
    by_case: Mapping[str, Mapping[str, _SmallMask]]
    matched: ContoursMatched
    roi_names: frozenset[str]
    notes: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def organs(self) -> tuple[str, ...]:
        """Return the organs that any case has."""
        found: dict[str, None] = {}
        for masks in self.by_case.values():
            found.update(dict.fromkeys(masks))
        return tuple(found)

    def only(self, case: Case) -> "GivenContours":
        """Return the contours of one case alone, without what was noted of any."""
        masks = self.by_case.get(case.id)
        by_case = {case.id: masks} if masks else {}
        return replace(self, by_case=by_case, roi_names=frozenset(), notes=(), warnings=())

    def masks(self, case: Case) -> Iterator[tuple[str, Mask]]:
        """Yield organ and mask (slice, row, column) of those of a case's organs that are given."""
        for organ, small in self.by_case.get(case.id, {}).items():
            yield organ, small.on(case.grid.shape)


def read_given(
    name: str,
    folder: Path,
    cases: Sequence[Case],
    centre: str,
    user_map: UserMap,
    progress: Progress = quiet,
) -> GivenContours:
    """Read the contours under a folder that belong to the cases of a cohort.

    name: as scores and reports show them. cases: all of the cohort. centre: its label. user_map: as
    `read_user_map` gives.

    Raises: NoSeriesError: there is no such folder. LabelsError: nothing in it can be used.

    >>> from recontour.cohort import Cohort
    >>> cohort = Cohort.open(Path("north-test"))
    >>> given = read_given("again", Path("dicom/north-test"), list(cohort), cohort.centre, {})
    >>> given.matched.cases, given.matched.by_ct
    (1, 1)
    """
    found = match_to_cases(folder, cases, centre, user_map)
    by_case: dict[str, Mapping[str, _SmallMask]] = {}
    rules: Counter[Rule] = Counter()
    notes: list[Finding] = []
    names = set(found.names)
    unused = set(found.unused)
    for done, one in enumerate(found.matched):
        progress("reading", done, len(found.matched), f"{one.case.id} of {name}")
        drawn = _read_one(one, user_map, by_case, found.left_out, notes)
        if drawn:
            names.update(drawn.names)
            unused.update(drawn.unused)
        rules[one.by] += one.case.id in by_case
    progress("reading", len(found.matched), len(found.matched), name)
    if not by_case:
        raise LabelsError(_nothing(name, folder, found))
    if unused:
        notes.append(UnusedNames(model=name, roi_names=tuple(sorted(unused)), count=len(unused)))
    matched = ContoursMatched(
        model=name,
        cases=len(by_case),
        of=len(cases),
        by_ct=rules["CT beside it"],
        by_series=rules["referenced series"],
        by_file_name=rules["file name"],
        by_grid=rules["grid"],
    )
    warnings = _warnings(name, folder, found, by_case, cases)
    return GivenContours(
        name=name,
        by_case=by_case,
        matched=matched,
        roi_names=frozenset(names),
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _read_one(
    one: Matched,
    user_map: UserMap,
    by_case: dict[str, Mapping[str, _SmallMask]],
    left_out: list[Finding],
    notes: list[Finding],
) -> Drawn | None:
    """Read the contours of one case, or say why they are left out; None if they cannot be read."""
    found: list[Finding] = []
    try:
        drawn = one.source.read(one.case, user_map, found.append)
    except (DicomError, GridMismatchError, LabelsError) as error:
        left_out.append(replace(error.finding, case=one.case.id))
        return None
    notes += [replace(note, case=one.case.id) for note in found]
    if drawn.masks:
        by_case[one.case.id] = {organ: _SmallMask.of(mask) for organ, mask in drawn.masks.items()}
    else:
        left_out.append(NoOrganInCommon(path=one.source.path, case=one.case.id))
    return drawn


def _nothing(
    name: str,
    folder: Path,
    found: Matching,
) -> NoContoursOfCases:
    return NoContoursOfCases(
        path=folder,
        model=name,
        unmatched=len(found.unmatched),
        left_out=len(found.left_out),
        reasons=tuple(found.left_out[:REASONS_SHOWN]),
    )


def _warnings(
    name: str,
    folder: Path,
    found: Matching,
    by_case: Mapping[str, Mapping[str, _SmallMask]],
    cases: Sequence[Case],
) -> list[Finding]:
    """Return what cannot be used, and what is lacking."""
    warnings = list(found.left_out)
    if found.unmatched:
        warnings.append(
            UnmatchedContours(
                path=folder,
                model=name,
                count=len(found.unmatched),
                files=tuple(found.unmatched),
            )
        )
    lacking = [case.id for case in cases if case.id not in by_case]
    if lacking:
        warnings.append(
            NotAllCases(
                model=name,
                cases=len(by_case),
                of=len(cases),
                lacking=tuple(lacking),
            )
        )
    missing = _lacking_organs(by_case, cases)
    if missing:
        warnings.append(
            LackingOrgans(
                model=name,
                organs=tuple(missing),
                counts=tuple(missing.values()),
                cases=len(by_case),
            )
        )
    return warnings


def _lacking_organs(
    by_case: Mapping[str, Mapping[str, _SmallMask]],
    cases: Sequence[Case],
) -> Counter[str]:
    """Count the cases that have an organ which is given for others, but not for them."""
    given: set[str] = set()
    for masks in by_case.values():
        given.update(masks)
    missing: Counter[str] = Counter()
    for case in cases:
        if case.id in by_case:
            missing.update(given.intersection(case.organs).difference(by_case[case.id]))
    return missing
