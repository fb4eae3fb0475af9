"""Which case of a cohort contours from elsewhere were drawn on.

A cohort keeps no UID, but the id of a case is made of a hash of its CT's SeriesInstanceUID. A
structure set belongs to a case by the CT that lies beside it, or else by the series that it
references. NIfTI belongs to the case that its file or folder is named after, or else to the one
case whose grid it has.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from recontour.cohort import Case, case_id_of
from recontour.dicom import Archive, StructureSetFile, read_archive
from recontour.dicom.findings import (
    DraftStructureSet,
    EquallyNewStructureSets,
    NewestStructureSetTaken,
    NoStructureSet,
    SharedStructureSetUid,
)
from recontour.errors import LabelsError
from recontour.exchange.findings import ReferencesSeveralCases, SeveralContoursOfCase, SharedGrid
from recontour.exchange.nifti import grids_covered
from recontour.exchange.sources import (
    GivenMasks,
    GivenNifti,
    GivenStructureSet,
    Source,
    UserMap,
    names_in,
    nifti_sources,
    unused_names,
)
from recontour.findings import Finding
from recontour.organs import match_names

Rule = Literal["CT beside it", "referenced series", "file name", "grid"]


@dataclass(frozen=True, slots=True)
class Matched:
    """Contours and their case. by: what shows that they belong together."""

    source: Source
    case: Case
    by: Rule


@dataclass(slots=True)
class Matching:
    """What became of a folder of contours.

    left_out: contours that cannot be used, and why. unmatched: contours of no case of the cohort.
    names: of NIfTI files that are no organ's. unused: those of them that may be one's.
    """

    matched: list[Matched] = field(default_factory=list)
    left_out: list[Finding] = field(default_factory=list)
    unmatched: list[Path] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)


def match_to_cases(
    folder: Path,
    cases: Sequence[Case],
    centre: str,
    user_map: UserMap,
) -> Matching:
    """Give the contours under a folder to the cases of a cohort.

    Raises: NoSeriesError: there is no such folder.
    """
    archive = read_archive(folder)
    known = {case.id: case for case in cases}
    found = Matching()
    found.left_out += [unused.finding for unused in archive.unreadable]
    _match_pairs(archive, centre, known, found)
    _match_by_reference(archive, centre, known, found)
    _match_nifti(folder, known, user_map, found)
    _refuse_rivals(found)
    return found


# RTSTRUCT and SEG


def _match_pairs(
    archive: Archive,
    centre: str,
    known: Mapping[str, Case],
    found: Matching,
) -> None:
    """Match the structure sets whose CT lies beside them, as an import would take them."""
    for pair in archive.pairs:
        case = known.get(case_id_of(centre, pair.series.uid))
        if case is None:
            found.unmatched.append(pair.structure_set.path)
        else:
            # recontour's own contours may be scored like any other's.
            notes = [note for note in pair.notes if not isinstance(note, DraftStructureSet)]
            source = GivenStructureSet(pair.structure_set, tuple(notes))
            found.matched.append(Matched(source, case, "CT beside it"))
    for unused in archive.left_out:
        case_id = case_id_of(centre, unused.series_uid)
        is_of_case = bool(unused.series_uid) and case_id in known
        if is_of_case and not isinstance(unused.finding, NoStructureSet):
            found.left_out.append(replace(unused.finding, case=case_id))


def _match_by_reference(
    archive: Archive,
    centre: str,
    known: Mapping[str, Case],
    found: Matching,
) -> None:
    """Match the structure sets that have no CT here by the series that they reference."""
    refusals = {}
    for unused in archive.left_out:
        if not unused.series_uid:
            refusals[unused.path] = unused.finding
    here = {series.uid for series in archive.series}
    of_case: defaultdict[str, list[StructureSetFile]] = defaultdict(list)
    for file in archive.structure_sets:
        if file.path not in refusals:  # it is paired, or another one was preferred
            continue
        case_ids = {case_id_of(centre, uid) for uid in file.series_uids} & known.keys()
        if not file.series_uids or not here.isdisjoint(file.series_uids):
            found.left_out.append(refusals[file.path])
        elif not case_ids:
            found.unmatched.append(file.path)
        elif len(case_ids) > 1:
            several = tuple(sorted(case_ids))
            found.left_out.append(ReferencesSeveralCases(path=file.path, cases=several))
        else:
            of_case[case_ids.pop()].append(file)
    for case_id, files in of_case.items():
        _take_newest(files, known[case_id], found)


def _take_newest(
    files: Sequence[StructureSetFile],
    case: Case,
    found: Matching,
) -> None:
    """Match the newest of the preferred structure sets of a case."""
    rank = min(file.rank for file in files)
    candidates = [file for file in files if file.rank == rank]
    moment = max(file.drawn for file in candidates)
    newest = [file for file in candidates if file.drawn == moment]
    if len(newest) > 1:
        found.left_out.append(
            EquallyNewStructureSets(
                case=case.id,
                count=len(candidates),
                share_uid=all(file.shares_uid for file in newest),
                rivals=tuple(file.path for file in newest),
            )
        )
        return
    (taken,) = newest
    notes: list[Finding] = []
    if len(candidates) > 1:
        notes.append(NewestStructureSetTaken(count=len(candidates)))
    if taken.shares_uid:
        notes.append(SharedStructureSetUid())
    given = GivenStructureSet(taken, tuple(notes))
    found.matched.append(Matched(given, case, "referenced series"))


# NIfTI


def _match_nifti(
    folder: Path,
    known: Mapping[str, Case],
    user_map: UserMap,
    found: Matching,
) -> None:
    """Match label maps and folders of masks by name, and those that are left by their grid."""
    nameless = []
    for source in nifti_sources(folder, list(known)):
        if isinstance(source, GivenMasks):
            table = match_names(list(source.files), user_map)
            if not table.mapped:  # a folder with a CT, for example
                found.names.update(names_in(table))
                found.unused.update(unused_names(table))
                continue
        named = [name for name in source.case_names if name in known]
        if named:
            found.matched.append(Matched(source, known[named[0]], "file name"))
        else:
            nameless.append(source)
    taken = {one.case.id for one in found.matched}
    for source in nameless:
        _match_by_grid(source, known, taken, found)


def _match_by_grid(
    source: GivenNifti,
    known: Mapping[str, Case],
    taken: set[str],
    found: Matching,
) -> None:
    """Match NIfTI to the one case that has its grid. taken: cases that have their contours."""
    cases = list(known.values())
    try:
        grids = grids_covered(source.example, [case.grid for case in cases])
    except LabelsError as error:
        found.left_out.append(error.finding)
        return
    fitting = [case for case in cases if case.grid in grids]
    if len(fitting) > 1:
        found.left_out.append(SharedGrid(path=source.path, cases=len(fitting)))
    elif fitting and fitting[0].id not in taken:
        found.matched.append(Matched(source, fitting[0], "grid"))
    else:
        found.unmatched.append(source.path)


def _refuse_rivals(found: Matching) -> None:
    """Leave out the cases for which several contours were given."""
    of_case: defaultdict[str, list[Matched]] = defaultdict(list)
    for one in found.matched:
        of_case[one.case.id].append(one)
    for case_id, rivals in of_case.items():
        if len(rivals) > 1:
            paths = tuple(one.source.path for one in rivals)
            found.left_out.append(SeveralContoursOfCase(case=case_id, rivals=paths))
    found.matched = [one for one in found.matched if len(of_case[one.case.id]) == 1]
