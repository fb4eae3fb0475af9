"""Where a cohort's patients come from, how their CTs were acquired, and who comes from elsewhere.

Of two CTs that both name an institution, the institution decides; a centre may have several
scanners. Otherwise maker and model of the scanner decide.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recontour.cohort.acquisition import (
    FIELD_OF_VIEW_MM,
    KVP,
    MOST_KERNEL_LETTERS,
    SLICE_THICKNESS_MM,
    Acquisition,
    within,
)
from recontour.cohort.case import Case, Origin, case_id_of
from recontour.cohort.findings import MixedOrigins
from recontour.cohort.import_findings import (
    FromElsewhere,
    NewScanners,
    SpeltOtherwise,
    UnknownOrigins,
)
from recontour.cohort.patients import Salt, salt_of
from recontour.cohort.records import MOST_ROI_LETTERS
from recontour.cohort.store import Cohort
from recontour.dicom import Archive, Equipment, Pair, equipment_of, is_stand_in, read_rois
from recontour.errors import CohortError, DicomError
from recontour.findings import Finding
from recontour.organs import key_of, match_drawn
from recontour.wording import printable

LEAST_ORGANS = 3  # whose spellings say something about where patients come from
NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")


def stored_name(roi_name: str) -> str:
    """Return an ROI name as a case keeps it.

    >>> stored_name("Parotis\\tli")
    'Parotis li'
    """
    return printable(roi_name)[:MOST_ROI_LETTERS]


def origin_of(equipment: Equipment, salt: Salt | None) -> Origin:
    """Return what a case keeps of where its CT was made. salt: None if there is none.

    >>> origin_of(Equipment(institution="St. Elsewhere", maker="SIEMENS"), None)
    Origin(institution=None, maker='SIEMENS', model='', elsewhere=False)
    """
    maker = equipment.maker if equipment.is_known_maker else _mark(salt, "maker", equipment.maker)
    model = equipment.model if equipment.is_known_model else _mark(salt, "model", equipment.model)
    institution = NO_LETTER_OR_DIGIT.sub(" ", equipment.institution.casefold()).strip()
    if is_stand_in(institution):
        institution = ""
    return Origin(_mark(salt, "institution", institution) or None, maker, model)


def acquisition_of(equipment: Equipment, salt: Salt | None) -> Acquisition:
    """Return what a case keeps of how its CT was acquired. salt: None if there is none.

    What the headers cannot mean, such as 0 kV, is unknown.

    >>> acquisition_of(Equipment(kvp=120.0, diameter_mm=0.0, kernel="B30f"), None).known()
    {'kvp': 120.0, 'kernel': 'B30f'}
    """
    kernel = equipment.kernel
    if not equipment.is_known_kernel:
        kernel = _mark(salt, "kernel", kernel)
    return Acquisition(
        kvp=within(equipment.kvp, KVP),
        slice_thickness_mm=within(equipment.thickness_mm, SLICE_THICKNESS_MM),
        field_of_view_mm=within(equipment.diameter_mm, FIELD_OF_VIEW_MM),
        kernel=kernel[:MOST_KERNEL_LETTERS],
        contrast=equipment.contrast,
    )


def _mark(salt: Salt | None, what: str, words: str) -> str:
    return salt.mark(what, words) if salt and words else ""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A patient of an archive who is not in the cohort yet.

    differs_by: what shows that they come from elsewhere than the cohort's cases; "nothing" if
    something could show it and does not; None if nothing could.
    """

    pair: Pair
    case_id: str
    equipment: Equipment
    differs_by: Literal["institution", "scanner", "nothing"] | None
    has_new_scanner: bool

    @property
    def is_from_elsewhere(self) -> bool:
        """Return whether anything shows that the patient comes from elsewhere."""
        return self.differs_by in ("institution", "scanner")


class KnownOrigins:
    """What the cases of a cohort say of where they come from."""

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort
        self.cases = _sound_records(cohort)
        origins = [case.origin for case in self.cases]
        self._institutions = {one.institution for one in origins if one.institution}
        self._scanners = {one.scanner for one in origins if one.scanner}

    @property
    def elsewhere(self) -> frozenset[str]:
        """Return the cases that, as the user said, come from elsewhere than the others."""
        return frozenset(case.id for case in self.cases if case.origin.elsewhere)

    def patients(self, archive: Archive) -> dict[str, str]:
        """Return the patient keys that cases have, by the series UID in an archive."""
        keys = {case.id: case.patient for case in self.cases if case.patient}
        found = {}
        for pair in archive.pairs:
            case_id = case_id_of(self.cohort.centre, pair.series.uid)
            if case_id in keys:
                found[pair.series.uid] = keys[case_id]
        return found

    def newcomers(self, archive: Archive, salt: Salt | None) -> list[Newcomer]:
        """Compare the patients of an archive who are not in the cohort with those who are."""
        found = []
        for pair in archive.pairs:
            case_id = case_id_of(self.cohort.centre, pair.series.uid)
            if case_id not in self.cohort:
                found.append(self._compared(pair, case_id, salt))
        return found

    def _compared(
        self,
        pair: Pair,
        case_id: str,
        salt: Salt | None,
    ) -> Newcomer:
        equipment = equipment_of(pair.series)
        origin = origin_of(equipment, salt)
        can_compare = bool(origin.scanner and self._scanners)
        has_new_scanner = can_compare and origin.scanner not in self._scanners
        differs_by: Literal["institution", "scanner", "nothing"] | None = None
        if origin.institution and self._can_compare(origin.institution):
            is_known = origin.institution in self._institutions
            differs_by = "nothing" if is_known else "institution"
        elif can_compare:
            differs_by = "scanner" if has_new_scanner else "nothing"
        return Newcomer(pair, case_id, equipment, differs_by, has_new_scanner)

    def _can_compare(self, institution: str) -> bool:
        """Return whether any case names an institution under the same salt."""
        return any(salt_of(one) == salt_of(institution) for one in self._institutions)

    def refuse_from_elsewhere(
        self,
        newcomers: Sequence[Newcomer],
        user_map: Mapping[str, str] | None,
    ) -> None:
        """Raise CohortError if new patients come from elsewhere; it says what differs."""
        others = [one for one in newcomers if one.is_from_elsewhere]
        if not others:
            return
        first = others[0]
        spelt, here, there = self._spelt_otherwise(first.pair, user_map)
        raise CohortError(
            FromElsewhere(
                path=self.cohort.path,
                example=first.pair.series.place,
                patients=len(others),
                new=len(newcomers),
                by_institution=first.differs_by == "institution",
                scanner=_scanner_in_words(first.equipment),
                known_scanners=_scanners_of(self.cases),
                pixel_mm=first.equipment.pixel_mm,
                known_pixel_mm=_usual(case.grid.spacing_mm[0] for case in self.cases),
                slice_mm=first.equipment.slice_mm,
                known_slice_mm=_usual(_usual_step_mm(case) for case in self.cases),
                organs=spelt,
                spelt_otherwise=len(here),
                spelt=here[:1],
                known_spelt=there[:1],
            )
        )

    def _spelt_otherwise(
        self, pair: Pair, user_map: Mapping[str, str] | None
    ) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
        """Compare how a structure set spells its organs.

        Return how many of its organs the cohort has a spelling of, those spelt otherwise, and how
        the cohort spells each of these.
        """
        known: defaultdict[str, list[str]] = defaultdict(list)
        for case in self.cases:
            for organ, name in case.roi_names.items():
                known[organ].append(name)
        compared = 0
        here: list[str] = []
        there: list[str] = []
        for name, organ in _mapped(pair, user_map).items():
            if organ not in known:
                continue
            compared += 1
            if stored_name(name) not in known[organ]:
                here.append(name)
                there.append(known[organ][0])
        return compared, tuple(here), tuple(there)

    def all_spelt_otherwise(self, added: Sequence[Case]) -> SpeltOtherwise | None:
        """Return a finding if new cases share no spelling of any organ with those of before.

        One spelling in common is enough for none: within a centre, several people name organs.
        added: the cases, from an unknown place. Names that differ only in case and separators are
        the same.
        """
        before = _spellings(self.cases)
        now = _spellings(added)
        compared = [organ for organ in now if organ in before]
        if len(compared) < LEAST_ORGANS:
            return None
        for organ in compared:
            if not set(before[organ]).isdisjoint(now[organ]):
                return None
        first = compared[0]
        return SpeltOtherwise(
            path=self.cohort.path,
            patients=len(added),
            organs=len(compared),
            spelt=next(iter(now[first].values())),
            known_spelt=next(iter(before[first].values())),
        )


def _spellings(cases: Iterable[Case]) -> dict[str, dict[str, str]]:
    """Return the ROI names that became each organ, by what all spellings of a name share."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for case in cases:
        for organ, name in case.roi_names.items():
            found[organ].setdefault(key_of(name), name)
    return dict(found)


def warnings_on_newcomers(
    newcomers: Iterable[Newcomer],
    added: Collection[str],
    known: KnownOrigins,
) -> tuple[Finding, ...]:
    """Return a warning if new cases from an unknown place spell every organ otherwise.

    known: what the cases of before say.
    """
    unknown = [one.case_id for one in newcomers if one.differs_by is None]
    arrived = [known.cohort[case_id] for case_id in unknown if case_id in added]
    found = known.all_spelt_otherwise(arrived)
    return (found,) if found else ()


def notes_on_newcomers(
    newcomers: Iterable[Newcomer],
    added: Collection[str],
    known: KnownOrigins,
) -> list[Finding]:
    """Return notes on new cases: from a new scanner, or from an unknown place."""
    arrived = [one for one in newcomers if one.case_id in added]
    notes: list[Finding] = []
    new = [one for one in arrived if one.has_new_scanner]
    if new:
        scanners = {_scanner_in_words(one.equipment) for one in new}
        notes.append(NewScanners(patients=len(new), scanners=tuple(sorted(scanners))))
    unknown = sum(one.differs_by is None for one in arrived)
    if unknown and known.cases:
        notes.append(UnknownOrigins(patients=unknown, new=len(arrived)))
    return notes


def mixed_origins(cases: Sequence[Case]) -> MixedOrigins | None:
    """Return a finding if cases, of one or more cohorts, come from more than one institution.

    So they do, too, if the user said so of some when they were imported.
    """
    known = _comparable(cases)
    institutions = Counter(case.origin.institution for case in known)
    own = Counter(case.origin.institution for case in known if not case.origin.elsewhere)
    usual = (own or institutions).most_common(1)
    others = []
    for case in cases:
        is_of_another = case in known and case.origin.institution != usual[0][0]
        if case.origin.elsewhere or is_of_another:
            others.append(case.id)
    if not others or (len(others) == len(cases) and len(institutions) < 2):
        return None
    return MixedOrigins(
        institutions=len(institutions),
        others=tuple(others),
        cases=len(cases),
    )


def _comparable(cases: Sequence[Case]) -> list[Case]:
    """Return the cases whose institutions are known, by the salt that most of them have."""
    salts = Counter(salt_of(case.origin.institution or "") for case in cases)
    del salts[""]
    if not salts:
        return []
    usual = salts.most_common(1)[0][0]
    return [case for case in cases if salt_of(case.origin.institution or "") == usual]


def _sound_records(cohort: Cohort) -> list[Case]:
    """Return the cases whose record can be read; a damaged one is reported where it is used."""
    found = []
    for case_id in cohort.case_ids:
        with suppress(CohortError):
            found.append(cohort[case_id])
    return found


def _mapped(pair: Pair, user_map: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the organs of an RTSTRUCT by ROI name; of a SEG, or a damaged file, none."""
    if pair.structure_set.is_segmentation:
        return {}
    with suppress(DicomError):
        return match_drawn(read_rois(pair.structure_set.path, None), user_map).mapped
    return {}


def _scanner_in_words(equipment: Equipment) -> str:
    return f"{equipment.maker} {equipment.model}".strip()


def _scanners_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """Return maker and model of each scanner, the most frequent first."""
    scanners = Counter(case.origin.scanner_name for case in cases)
    del scanners[""]
    return tuple(scanner for scanner, _ in scanners.most_common())


def _usual_step_mm(case: Case) -> float:
    return float(np.median(np.diff(case.grid.slice_z_mm)))


def _usual(lengths_mm: Iterable[float]) -> tuple[float, ...]:
    """Return the lengths that occur, to 0.01 mm, the most frequent first."""
    counts = Counter(round(length, 2) for length in lengths_mm)
    return tuple(length for length, _ in counts.most_common())
