"""A DICOM archive -> a cohort: every patient that can be used, and a reason for every other one.

import_patients   patient keys, and cases of one patient
origins           where patients come from
history           what the last import did
masks             structures -> masks
lacking           organs that its cases lack, and names that are not mapped
tables            names.csv and left_out.csv
"""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

import numpy as np

from recontour.cohort.acquisition import Acquisition
from recontour.cohort.case import Case, Origin, case_id_of
from recontour.cohort.findings import MapNotApplied, SharedSourceUid, cases_named
from recontour.cohort.history import begin_import, end_import
from recontour.cohort.import_findings import (
    AdditionalOrgans,
    CaseOfAnotherPatient,
    ChangedSource,
    MissingImages,
    NoContouredArea,
    NoKnownOrgan,
    NothingImported,
    NotInArchive,
    NotReadAgain,
    PartialNotApplied,
    TooFewSlices,
    UnusableSource,
)
from recontour.cohort.import_patients import notes_on_patients, patient_keys, salt_for_import
from recontour.cohort.journal import change
from recontour.cohort.lacking import names_not_mapped, organs_lacking
from recontour.cohort.masks import Structure, masks_of, structures
from recontour.cohort.origins import (
    KnownOrigins,
    acquisition_of,
    notes_on_newcomers,
    origin_of,
    stored_name,
    warnings_on_newcomers,
)
from recontour.cohort.partly import Ends, PartialUse, read_ends, united, without
from recontour.cohort.patients import Salt, contradict, salt_if_any, throwaway_salt
from recontour.cohort.store import Cohort
from recontour.cohort.tables import LeftOut, check_tables, fit_row, save_left_out, save_names
from recontour.cohort.traits import CORD, NO_ENDS, notes_on_traits, too_few_to_compare
from recontour.cohort.who import archive_id_of, remember_archive
from recontour.dicom import (
    NOBODY,
    Archive,
    Pair,
    Scan,
    Unused,
    equipment_of,
    read_archive,
    read_series,
)
from recontour.dicom.findings import Kinds, NoCtSeries
from recontour.errors import (
    CohortError,
    DicomError,
    GridMismatchError,
    NoSeriesError,
    OutputError,
)
from recontour.executors import Place, answers, place_of
from recontour.files import refuse_as_output
from recontour.findings import Finding, stored_words
from recontour.geometry.arrays import Mask
from recontour.organs import (
    NameRow,
    Status,
    match_drawn,
    notes_on_map,
    ordered,
    organ_of,
    read_user_map,
)
from recontour.organs.findings import NotApplied
from recontour.partials import held_folder
from recontour.progress import Progress, quiet

LEAST_SLICES = 2  # of a CT that is a case: one slice is a part of something else
REASONS_SHOWN = 3  # in one line of an error
HASH_DIGITS = 16

UserMap = Mapping[str, str]
ON_DIFFERENCES = (
    AdditionalOrgans,
    ChangedSource,
    NotReadAgain,
    PartialNotApplied,
    UnusableSource,
)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an archive: the answer of `import_dicom`.

    Attributes:
        added: The ids of the new cases.
        replaced: The ids of the cases that were read again and are not what they were.
        already_there: The ids of the cases that were imported before and stay as they are.
        left_out: What was not imported, each with the finding that says why.
        names: What became of each ROI name, and in how many patients. It is for the screen only.
        notes: What was dropped or chosen per case, or has changed since it was imported.
        skipped: Kinds of objects that are neither CT slices nor contours, and how many there are.
        warnings: What may be a mistake of the whole import.

    Examples:
        >>> import recontour
        >>> report = recontour.import_dicom("dicom/north-train", "north-train")
        >>> report.added, len(report.already_there)
        ((), 2)
    """

    added: tuple[str, ...]
    already_there: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    names: tuple[tuple[NameRow, int], ...]
    notes: tuple[Finding, ...]
    skipped: Kinds = ()
    replaced: tuple[str, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def new_notes(self) -> tuple[Finding, ...]:
        """Return the notes without those that concern only cases that stay as they are.

        That such a case differs from the archive, or from what was asked for, is new.
        """
        there = set(self.already_there)
        new = []
        for note in self.notes:
            about = cases_named(note)
            if isinstance(note, ON_DIFFERENCES) or not about or about - there:
                new.append(note)
        return tuple(new)


@dataclass(slots=True)
class _CaseImport:
    """What became of one patient.

    place, reason: of one that is left out. not_applied: the organs that a case that stays would
    gain or lose under the current names. partial_not_applied: organs that are now said to be
    partly contoured, but are not in that case.
    """

    case_id: str
    became: Literal["added", "replaced", "already there", "left out"] = "left out"
    place: Path = Path()
    reason: Finding | None = None
    names: tuple[NameRow, ...] = ()
    notes: list[Finding] = field(default_factory=list)
    not_applied: set[str] = field(default_factory=set)
    partial_not_applied: tuple[str, ...] = ()

    def leave_out(self, place: Path, reason: Finding) -> None:
        self.became = "left out"
        self.place = place
        self.reason = reason


def import_dicom(
    dicom_dir: Path | str,
    cohort: Path | str,
    *,
    centre: str | None = None,
    names: Path | str | None = None,
    new_organs: Sequence[str] = (),
    partial: Sequence[str] = (),
    notices: Sequence[str] = (),
    also_from_elsewhere: bool = False,
    again: bool = False,
    on: str | None = None,
    progress: Progress = quiet,
) -> ImportReport:
    """Read a DICOM archive into a cohort folder, adding what is not there yet.

    Args:
        dicom_dir: A folder of DICOM files, nested and named in any way.
        cohort: A new folder, or a cohort to add to.
        centre: The label in models and reports. If None, the cohort's own, or a new cohort's
            folder name.
        names: A TOML file of the centre's own ROI names (docs/reference/names.md).
        new_organs: Names to accept on the right side of that file although TG-263 does not list
            them.
        partial: Organs that are partly contoured in these patients, such as
            "SpinalCord" or, where only one end is missing, "SpinalCord=below". The slices beyond
            are unknown: nothing is learnt from them, and they are not scored.
        notices: What everyone who uses a new cohort or its models must know. Models and reports
            repeat it.
        also_from_elsewhere: Also add patients of another institution than the cohort's cases or,
            where no institution is known, from another scanner. Otherwise they are an error.
        again: Also re-read the patients whose cases are in the cohort, with the current names,
            and replace these cases, all at once.
        on: Where patients are read, such as "local:4": four at a time, each in a process of its
            own; None: here, one after another. The cohort and the answer are the same.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        What was added, what was left out and why, and what became of each ROI name.

    Raises:
        NoSeriesError: There is no such folder, no CT series in it, or none that can be used. Then
            no cohort is made.
        NamesError: The map of names cannot be used, or `partial` is not understood.
        CohortError: The cohort cannot be used, or patients come from elsewhere; nothing is added.
        SettingsError: There is no such place.

    Examples:
        >>> import recontour
        >>> report = recontour.import_dicom("dicom/south", "new-cohort", centre="South")
        >>> len(report.added), report.left_out
        (2, ())
    """
    dicom_dir, cohort = Path(dicom_dir), Path(cohort)
    place = place_of(on) if on else None
    user_map = read_user_map(Path(names) if names else None, new_organs)
    ends = read_ends(partial, user_map.values())
    if not os.path.lexists(cohort):
        refuse_as_output(cohort)  # refuse a place where it cannot be made before the work
    archive = read_archive(dicom_dir)
    if not archive.series:
        raise NoSeriesError(no_series(dicom_dir, archive))
    is_new = not Cohort.is_at(cohort)
    opened = _opened(cohort, centre, notices)
    try:
        report = import_archive(
            archive,
            opened,
            user_map,
            progress,
            also_from_elsewhere=also_from_elsewhere,
            again=again,
            partial=ends,
            place=place,
        )
    finally:
        if is_new:
            _remove_empty(cohort)
    if not (report.added or report.replaced or report.already_there):
        raise NoSeriesError(_nothing_imported(dicom_dir, report.left_out))
    return report


def import_archive(
    archive: Archive,
    cohort: Cohort,
    user_map: UserMap | None = None,
    progress: Progress = quiet,
    *,
    also_from_elsewhere: bool = False,
    again: bool = False,
    partial: Ends = NO_ENDS,
    place: Place | None = None,
) -> ImportReport:
    """Import every CT series with a structure set that shows at least one known organ.

    One patient is in memory at a time, in each process. A case that is in the cohort stays as it
    is, unless it is read again. What became of the names, and what was left out, is also saved in
    the cohort, without anything that names a patient.
    user_map: as `read_user_map` gives. also_from_elsewhere, again: as in `import_dicom`.
    partial: as `read_ends` gives. place: None: here.
    """
    check_tables(cohort.path)
    known = KnownOrigins(cohort)
    newcomers = known.newcomers(archive, salt_if_any(cohort.path))
    if not also_from_elsewhere:
        known.refuse_from_elsewhere(newcomers, user_map)
    salt = salt_for_import(cohort)
    marking = salt or throwaway_salt()
    archive_id = archive_id_of(archive.folder, marking)
    remember_archive(archive.folder, archive_id)
    before = begin_import(cohort.path, archive_id, [one.case_id for one in newcomers])
    keys, notes = patient_keys(archive, cohort)
    for series_uid, key in known.patients(archive).items():
        keys.setdefault(series_uid, key)
    task = _Task(
        cohort=cohort,
        user_map=user_map,
        again=again,
        partial=partial,
    )
    elsewhere = known.elsewhere.union(one.case_id for one in newcomers if one.is_from_elsewhere)
    patients = []
    for pair in archive.pairs:
        patients.append(_patient(pair, cohort.centre, keys, salt, elsewhere))
    imports = _import_patients(patients, task, place, progress)
    for one in imports:
        notes.extend(replace(note, case=one.case_id) for note in one.notes)
    report = _report(archive, imports, cohort.centre, marking)
    everyone = cohort.readable
    notes += _notes_on_all(archive, imports, task, everyone)
    notes += notes_on_newcomers(newcomers, report.added, known)
    notes += organs_lacking(_cases_of(imports, everyone), everyone)
    notes += names_not_mapped(report.names, archive.folder)
    save_names(cohort, _counted(imports, fit=True))
    save_left_out(cohort, report.left_out, archive_id)
    end_import(
        cohort.path,
        before,
        archive_id,
        added=report.added,
        replaced=report.replaced,
        not_applied=[one.case_id for one in imports if one.not_applied],
        met=[one.case_id for one in imports],
    )
    return replace(
        report,
        notes=tuple(notes),
        warnings=warnings_on_newcomers(newcomers, report.added, known),
    )


@dataclass(frozen=True, slots=True)
class _Task:
    """What the import of each patient needs.

    again: read cases again that exist. partial: organs that are partly contoured, and the ends
    beyond which they go on.
    """

    cohort: Cohort
    user_map: UserMap | None
    again: bool
    partial: Ends


@dataclass(frozen=True, slots=True)
class _Patient:
    """One patient to import. key: the patient's; None if unknown.

    origin, acquisition: where and how the CT was made.

    Another process may learn this much: the pair does not say who it is.
    """

    case_id: str
    pair: Pair
    key: str | None
    origin: Origin
    acquisition: Acquisition


def _patient(
    pair: Pair,
    centre: str,
    keys: Mapping[str, str],
    salt: Salt | None,
    elsewhere: Collection[str],
) -> _Patient:
    """Return what the import of a patient needs. keys: by series UID. elsewhere: case ids."""
    series = pair.series
    case_id = case_id_of(centre, series.uid)
    equipment = equipment_of(series)
    origin = origin_of(equipment, salt)
    return _Patient(
        case_id=case_id,
        pair=replace(
            pair,
            series=replace(series, patient_id="", person=NOBODY),
            structure_set=replace(pair.structure_set, patient_id=""),
        ),
        key=keys.get(series.uid),
        origin=replace(origin, elsewhere=case_id in elsewhere),
        acquisition=acquisition_of(equipment, salt),
    )


def _import_patients(
    patients: Sequence[_Patient],
    task: _Task,
    place: Place | None,
    progress: Progress,
) -> list[_CaseImport]:
    """Import patients in their order; the cases that are read again are replaced at the end."""
    cohort = task.cohort
    each = _each_here if place is None else partial(_each_elsewhere, place)
    if not task.again:
        return list(each(patients, task, None, progress))
    with change(cohort.path) as wanted:
        staged = Cohort(wanted.folder, cohort.centre)
        imports = list(each(patients, task, staged, progress))
        wanted.replaced += _ids_of(imports, "replaced")
    return imports


def _each_here(
    patients: Sequence[_Patient],
    task: _Task,
    staged: Cohort | None,
    progress: Progress,
) -> Iterator[_CaseImport]:
    for done, patient in enumerate(patients):
        progress("importing", done, len(patients), patient.case_id)
        yield _import_patient(patient, task, task.cohort, staged)
    progress("importing", len(patients), len(patients), "")


def _each_elsewhere(
    place: Place,
    patients: Sequence[_Patient],
    task: _Task,
    staged: Cohort | None,
    progress: Progress,
) -> Iterator[_CaseImport]:
    """Let other processes make the cases, and put these into the cohort here, in their order."""
    with (
        held_folder(task.cohort.path / "import") as scratch,
        closing(answers(partial(_import_apart, task, scratch), patients, place)) as answered,
    ):
        for done, (patient, answer) in enumerate(zip(patients, answered, strict=True)):
            progress("importing", done, len(patients), patient.case_id)
            one, apart = answer()
            if one.became == "added" and not _adopted(task.cohort, patient.case_id, apart):
                one.became = "already there"
            if one.became == "replaced" and staged is not None:
                staged.adopt(patient.case_id, apart)
            yield one
    progress("importing", len(patients), len(patients), "")


def _adopted(cohort: Cohort, case_id: str, apart: Cohort) -> bool:
    """Move a case into a cohort; return False if another import added it meanwhile."""
    try:
        cohort.adopt(case_id, apart)
    except OutputError:
        if case_id not in cohort:
            raise
        return False
    return True


def _import_apart(task: _Task, scratch: Path, patient: _Patient) -> tuple[_CaseImport, Cohort]:
    """Import a patient into a cohort apart, in a process of its own."""
    apart = Cohort(Path(mkdtemp(dir=scratch)), task.cohort.centre)
    return _import_patient(patient, task, apart, apart if task.again else None), apart


# One patient


def _import_patient(
    patient: _Patient,
    task: _Task,
    into: Cohort,
    staged: Cohort | None,
) -> _CaseImport:
    """Import one patient.

    into: takes a new case. staged: takes a case that is read again; None: it stays as it is.
    """
    one = _CaseImport(patient.case_id)
    one.notes.extend(patient.pair.notes)
    missing = _images_missing(patient.pair)
    if missing:
        one.notes.append(missing)
    try:
        if patient.case_id not in task.cohort:
            _import_new(one, patient, task, into)
        elif staged is None:
            _look_again(one, patient, task.cohort[patient.case_id], task)
        else:
            _read_again(one, patient, task, staged)
    except (DicomError, GridMismatchError, CohortError) as error:
        one = _CaseImport(patient.case_id)  # the reason is all there is to say
        one.leave_out(patient.pair.series.place, error.finding)
    return one


def _import_new(
    one: _CaseImport,
    patient: _Patient,
    task: _Task,
    cohort: Cohort,
) -> None:
    """Import a patient. cohort: the one to add to, in which the case is not."""
    pair = patient.pair
    scan = read_series(pair.series.files)
    slices = scan.grid.shape[0]
    if slices < LEAST_SLICES:
        one.leave_out(pair.series.place, TooFewSlices(slices=slices))
        return
    one.notes.extend(scan.notes)
    drawn = structures(pair.structure_set, scan.grid, scan, one.notes.append)
    table = match_drawn(drawn, task.user_map)
    one.names = table.rows
    masks = masks_of(drawn, table.mapped, scan.grid, one.notes.append)
    if not masks:
        one.leave_out(pair.structure_set.path, _no_organ(drawn, one.notes))
        return
    spelt = {organ: stored_name(name) for name, organ in table.mapped.items() if organ in masks}
    is_added = _add(cohort, patient, scan, masks, spelt, task)
    one.became = "added" if is_added else "already there"


def _read_again(
    one: _CaseImport,
    patient: _Patient,
    task: _Task,
    staged: Cohort,
) -> None:
    """Read a patient again whose case exists; it is replaced if anything is different now."""
    before = None
    with suppress(CohortError):  # a damaged case is replaced
        before = task.cohort[one.case_id]
    if before and contradict(patient.key, before.patient):
        one.leave_out(patient.pair.series.place, CaseOfAnotherPatient())
        return
    reason = None
    try:
        _import_new(one, patient, task, staged)
        reason = one.reason
    except (DicomError, GridMismatchError) as error:
        reason = error.finding
    if reason:
        one.notes = [NotReadAgain(why=reason)]
        one.became, one.reason, one.names = "already there", None, ()
        return
    is_same = before is not None and before.version == staged[one.case_id].version
    one.became = "already there" if is_same else "replaced"


def _look_again(
    one: _CaseImport,
    patient: _Patient,
    case: Case,
    task: _Task,
) -> None:
    """Note how an existing case would differ if it were imported today; it stays as it is."""
    pair = patient.pair
    if contradict(patient.key, case.patient):
        one.leave_out(pair.series.place, CaseOfAnotherPatient())
        return
    one.became = "already there"
    one.partial_not_applied = _partial_not_applied(case, task.partial)
    try:
        scan = read_series(pair.series.files)
        if scan.grid != case.grid or not np.array_equal(scan.hu, case.hu):
            one.notes.append(ChangedSource(what="CT"))
    except DicomError as error:
        one.notes.append(UnusableSource(what="CT", why=error.finding))
    try:
        drawn = structures(pair.structure_set, case.grid, None, one.notes.append)
        table = match_drawn(drawn, task.user_map)
    except (DicomError, GridMismatchError) as error:
        one.notes.append(UnusableSource(what="structure set", why=error.finding))
        return
    one.names = table.rows
    _compare_structures(one, pair, case, drawn, table.mapped)


def _compare_structures(
    one: _CaseImport,
    pair: Pair,
    case: Case,
    drawn: Sequence[Structure],
    organs: Mapping[str, str],
) -> None:
    """Note how a case's structures differ from those in the archive. organs: as in `masks_of`."""
    if case.source_hash != _hash(pair.structure_set.sop_instance_uid):
        one.notes.append(ChangedSource(what="structure set"))
        return
    unknown = {name: organ for name, organ in organs.items() if organ not in case.organs}
    new = masks_of(drawn, unknown, case.grid, one.notes.append)
    _compare_names(one, case, new)
    changed = _redrawn(drawn, organs, case, one.not_applied)
    if changed:
        one.notes.append(ChangedSource(what="contours", organs=changed))
    elif new:
        one.notes.append(AdditionalOrgans(organs=tuple(sorted(new))))


def _compare_names(
    one: _CaseImport,
    case: Case,
    new: Collection[str],
) -> None:
    """Say what each name is in the case, and note where the current map differs.

    new: the organs that the case would have besides its own.
    """
    imported_as = {name: organ for organ, name in case.roi_names.items()}
    rows = []
    for row in one.names:
        before = imported_as.get(stored_name(row.roi_name))
        now = row.tg263
        is_new = now in new
        is_another_s = bool(imported_as) and before is None and now in case.organs
        if not (is_new or is_another_s or (before and before != now)):
            rows.append(row)
            continue
        one.not_applied.update(filter(None, (before, now)))
        status: Status = "mapped" if before else "ignored"
        rows.append(NameRow(row.roi_name, before, status, NotApplied(now=now or "")))
    one.names = tuple(rows)


def _redrawn(
    drawn: Sequence[Structure],
    organs: Mapping[str, str],
    case: Case,
    renamed: Collection[str],
) -> tuple[str, ...]:
    """Return the organs of a case that its structure set would give another mask today.

    renamed: organs to which other names belong now; these are not compared.
    """
    comparable = set(case.organs).difference(renamed)
    known = {name: organ for name, organ in organs.items() if organ in comparable}
    masks = masks_of(drawn, known, case.grid, _ignored)
    changed = []
    for organ, mask in masks.items():
        if not np.array_equal(mask, case.mask(organ)):
            changed.append(organ)
    return tuple(changed)


def _ignored(note: Finding) -> None:
    """Take a note that was made before."""


def _images_missing(pair: Pair) -> MissingImages | None:
    """Return a finding if images are missing that a structure set references.

    Images that only its header lists count if it lists no other series.
    """
    file = pair.structure_set
    referenced = file.images_drawn_on(pair.series.frame_of_reference_uid)
    if not file.series_uids - {pair.series.uid}:
        referenced |= file.image_uids
    missing = len(referenced - pair.series.sop_instance_uids)
    if not missing:
        return None
    return MissingImages(missing=missing, referenced=len(referenced))


def _no_organ(drawn: Sequence[Structure], notes: Sequence[Finding]) -> Finding:
    """Return why a patient has no organ, with what could be mapped and what was noted."""
    names = tuple(structure.name for structure in drawn if structure.is_drawn)
    if names:
        return NoKnownOrgan(roi_names=names, notes=tuple(notes))
    return NoContouredArea(notes=tuple(notes))


def _add(
    cohort: Cohort,
    patient: _Patient,
    scan: Scan,
    masks: Mapping[str, Mask],
    spelt: Mapping[str, str],
    task: _Task,
) -> bool:
    """Store a case; return False if another import added it meanwhile. spelt: by organ."""
    case_id, source = patient.case_id, patient.pair.structure_set
    before = _before(case_id, task)
    try:
        cohort.add(
            case_id,
            scan.hu,
            scan.grid,
            masks,
            _hash(source.sop_instance_uid),
            is_draft=source.is_draft,
            is_phantom=scan.source.is_phantom,
            patient=patient.key,
            origin=patient.origin,
            acquisition=patient.acquisition,
            roi_names=spelt,
            partial=_partial(before, task),
            shares_uid=source.shares_uid,
            whole=_whole(before, masks, task),
            sides_confirmed=_has_confirmed_sides(before, masks),
            cord_confirmed=_is_confirmed_cord(before, masks),
        )
    except (CohortError, OutputError):
        if case_id not in cohort:
            raise
        return False
    return True


# What a person said of a case before it was read again; before: None if the case is new


def _partial(before: Case | None, task: _Task) -> Ends:
    """Return which organs of a case are partly contoured; one that is read again remembers."""
    return united(before.traits.partly_contoured, task.partial) if before else task.partial


def _whole(before: Case | None, masks: Mapping[str, Mask], task: _Task) -> Ends:
    """Return beyond which ends a person said that organs of a case do not go on.

    A case that is read again remembers it of contours that are the same to the voxel.
    """
    if before is None:
        return NO_ENDS
    remembered = {}
    for organ, ends in before.traits.contoured_whole.items():
        if _is_as_before(organ, masks, before):
            remembered[organ] = ends
    return without(remembered, task.partial)


def _has_confirmed_sides(before: Case | None, masks: Mapping[str, Mask]) -> bool:
    """Return whether a person said that left and right of a case are named correctly.

    A case that is read again remembers it if every organ with a side is the same to the voxel.
    """
    if before is None or not before.traits.sides_confirmed:
        return False
    with_side = [organ for organ in masks if organ_of(organ).side]
    return all(_is_as_before(organ, masks, before) for organ in with_side)


def _is_confirmed_cord(before: Case | None, masks: Mapping[str, Mask]) -> bool:
    """Return whether a person said that the cord of a case is the cord, and not the canal.

    A case that is read again remembers it of a contour that is the same to the voxel.
    """
    if before is None or not before.traits.cord_confirmed:
        return False
    return _is_as_before(CORD, masks, before)


def _is_as_before(organ: str, masks: Mapping[str, Mask], before: Case) -> bool:
    """Return whether an organ's contour is the same to the voxel as before it was read again."""
    if organ not in masks or organ not in before.organs:
        return False
    return np.array_equal(masks[organ], before.mask(organ))


def _before(case_id: str, task: _Task) -> Case | None:
    """Return a case as it was before it is read again; None if it is new."""
    if case_id in task.cohort:
        with suppress(CohortError):  # a damaged case is replaced
            return task.cohort[case_id]
    return None


def _partial_not_applied(case: Case, partial: Ends) -> tuple[str, ...]:
    """Return the organs of a case that are said to go on at ends where the case does not have it.

    At an end of the scan there is nothing to apply.
    """
    differing = []
    for organ, ends in partial.items():
        beyond = set(ends).difference(case.traits.cut.get(organ, ()))
        if organ in case.organs and beyond - set(case.traits.partly_contoured.get(organ, ())):
            differing.append(organ)
    return tuple(differing)


# The report


def _report(
    archive: Archive,
    imports: Sequence[_CaseImport],
    centre: str,
    salt: Salt,
) -> ImportReport:
    """Return the report, without notes. salt: of what stands for files that were left out."""
    return ImportReport(
        added=_ids_of(imports, "added"),
        already_there=_ids_of(imports, "already there"),
        left_out=(*_unused(archive, centre, salt), *_left_out(imports)),
        names=_counted(imports),
        notes=(),
        skipped=archive.skipped,
        replaced=_ids_of(imports, "replaced"),
    )


def _notes_on_all(
    archive: Archive,
    imports: Sequence[_CaseImport],
    task: _Task,
    everyone: Sequence[Case],
) -> list[Finding]:
    """Return what concerns several patients. everyone: all cases of the cohort."""
    notes: list[Finding] = []
    added = _ids_of(imports, "added")
    if added:
        notes += notes_on_patients(archive, task.cohort, added)
    cases = _cases_of(imports, everyone)
    notes += _notes_on_contours(cases, everyone)
    notes += notes_on_map(task.user_map or {}, _roi_names(_counted(imports)))
    notes += _not_applied(imports, len(_ids_of(imports, "already there")))
    notes += _notes_on_partial(imports, cases, task.partial)
    if task.again:
        notes += _not_met(imports, task.cohort)
    return notes


def _cases_of(imports: Iterable[_CaseImport], everyone: Iterable[Case]) -> list[Case]:
    """Return those of a cohort's cases that an import met."""
    imported = {one.case_id for one in imports if one.became != "left out"}
    return [case for case in everyone if case.id in imported]


def _not_applied(imports: Iterable[_CaseImport], there: int) -> Iterator[Finding]:
    """Yield a finding if the current names would change the organs of cases that stay (`there`)."""
    differing = [one for one in imports if one.not_applied]
    if differing:
        organs: set[str] = set()
        for one in differing:
            organs |= one.not_applied
        yield MapNotApplied(cases=len(differing), of=there, organs=tuple(sorted(organs)))


def _notes_on_partial(
    imports: Sequence[_CaseImport],
    cases: Sequence[Case],
    partial: Ends,
) -> Iterator[Finding]:
    """Yield what did not become of the organs that are said to be partly contoured.

    cases: those of the archive that are in the cohort now.
    """
    not_applied = {one.case_id: one.partial_not_applied for one in imports}
    stale = {case_id: organs for case_id, organs in not_applied.items() if organs}
    if stale:
        organs: set[str] = set()
        organs.update(*stale.values())
        yield PartialNotApplied(cases=tuple(stale), organs=tuple(sorted(organs)))
    use = PartialUse(partial)
    for case in cases:
        would_be = not_applied[case.id]
        use.meet(case.organs, {*case.traits.partly_contoured, *would_be})
    yield from use.without_effect()


def _not_met(imports: Iterable[_CaseImport], cohort: Cohort) -> Iterator[Finding]:
    """Yield a finding if cases of the cohort were not in the archive."""
    met = {one.case_id for one in imports}
    others = tuple(case_id for case_id in cohort.case_ids if case_id not in met)
    if others:
        yield NotInArchive(cases=others)


def _notes_on_contours(cases: Sequence[Case], everyone: Sequence[Case]) -> list[Finding]:
    """Return what a person should know of the contours of some of a cohort's cases.

    That another structure set has the UID of a case's is among the notes on each patient.
    """
    notes = notes_on_traits(cases, everyone)
    kept = [note for note in notes if not isinstance(note, SharedSourceUid)]
    return [*kept, *too_few_to_compare(everyone)]


def _ids_of(imports: Iterable[_CaseImport], became: str) -> tuple[str, ...]:
    return tuple(one.case_id for one in imports if one.became == became)


def _left_out(imports: Iterable[_CaseImport]) -> list[LeftOut]:
    found = []
    for one in imports:
        if one.reason:
            found.append(LeftOut(one.case_id, one.place, one.reason))
    return found


def _unused(archive: Archive, centre: str, salt: Salt) -> list[LeftOut]:
    """Return what the archive itself left out, under pseudonyms."""
    found = []
    for unused in (*archive.unreadable, *archive.left_out):
        what = _pseudonym(unused, archive.folder, centre, salt)
        found.append(LeftOut(what, unused.path, unused.finding))
    return found


def _counted(
    imports: Iterable[_CaseImport], *, fit: bool = False
) -> tuple[tuple[NameRow, int], ...]:
    """Return what became of each name, and in how many patients. fit: as it may be stored."""
    counts: Counter[NameRow] = Counter()
    for one in imports:
        rows: Iterable[NameRow] = map(fit_row, one.names) if fit else one.names
        counts.update(set(rows))
    return ordered(counts)


def _roi_names(names: Iterable[tuple[NameRow, int]]) -> list[str]:
    return [row.roi_name for row, _ in names]


def no_series(folder: Path, archive: Archive) -> NoCtSeries:
    """Return what an archive without a CT series holds instead."""
    unreadable = archive.unreadable
    first = unreadable[0].finding if unreadable else None
    return NoCtSeries(
        path=folder,
        wanted="series with structure sets",
        skipped=archive.skipped,
        unreadable=len(unreadable),
        first=first,
    )


def _nothing_imported(folder: Path, left_out: Collection[LeftOut]) -> NothingImported:
    """Return the most common reasons, each with the facts of the patient where it was first met."""
    first: dict[str, Finding] = {}
    counts: Counter[str] = Counter()
    for found in left_out:
        reason = stored_words(found.finding)
        first.setdefault(reason, found.finding)
        counts[reason] += 1
    common = counts.most_common(REASONS_SHOWN)
    return NothingImported(
        path=folder,
        left_out=len(left_out),
        counts=tuple(count for _, count in common),
        reasons=tuple(first[reason] for reason, _ in common),
    )


# The cohort folder


def _opened(
    path: Path,
    centre: str | None,
    notices: Sequence[str],
) -> Cohort:
    """Open a cohort, or make one."""
    if centre is None:
        is_new = not Cohort.is_at(path)
        centre = Path(os.path.realpath(path)).name if is_new else Cohort.open(path).centre
    return Cohort.open_or_create(path, centre, notices)


def _remove_empty(cohort: Path) -> None:
    """Remove a cohort without cases; one to which another import adds meanwhile stays."""
    with suppress(OSError):
        (cohort / "cases").rmdir()
        # It stays a cohort until nothing else is there.
        for name in ("names.csv", "left_out.csv", "imports.json", "cohort.json"):
            (cohort / name).unlink(missing_ok=True)
        cohort.rmdir()


# Pseudonyms


def _pseudonym(
    unused: Unused,
    dicom_dir: Path,
    centre: str,
    salt: Salt,
) -> str:
    """Return the pseudonym of a series or file in the cohort folder.

    A file's place may be a name, and be guessed, so it is salted.
    """
    if unused.series_uid:
        return case_id_of(centre, unused.series_uid)
    return f"file {salt.mark('file', str(unused.path.relative_to(dicom_dir)))}"


def _hash(text: str) -> str:
    content = text.encode("utf-8", "surrogateescape")  # a path may hold what is not text
    return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]
