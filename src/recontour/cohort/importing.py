"""A DICOM archive -> a cohort:

every patient that can be used, and the reason for every one that cannot.
"""

import csv
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from recontour.cohort.case import Case, case_id_of
from recontour.cohort.patients import (
    contradict,
    open_to_others,
    salt_beside,
    salt_of,
    salt_path,
    with_one_key,
)
from recontour.cohort.store import Cohort
from recontour.dicom import (
    Archive,
    Pair,
    Roi,
    Scan,
    Segment,
    StructureSetFile,
    Unused,
    read_archive,
    read_rois,
    read_segments,
    read_series,
    telling_ids,
)
from recontour.errors import (
    CohortError,
    ContoursError,
    DicomError,
    GridMismatchError,
    NoSeriesError,
    OutputError,
    RecontourError,
)
from recontour.files import UnreadableError, refuse_existing, write_text
from recontour.findings import stored_words, words
from recontour.geometry import Grid, height_mm, planes_by_slice, rasterise
from recontour.geometry.arrays import Mask
from recontour.organs import (
    NameRow,
    is_vocabulary,
    match_drawn,
    ordered,
    read_user_map,
    sides_swapped,
)
from recontour.partials import locked_folder
from recontour.progress import Progress, quiet
from recontour.texts import csv_rows, csv_text, read_text
from recontour.wording import printable

Rows = list[list[str]]

log = logging.getLogger(__name__)

NO_ORGAN = (
    "no known organ is contoured on its CT; if one goes by a name of its own, map it with --names"
)
NO_AREA = "its structure set holds no area to use; export it again with the organs' closed contours"
LEAST_SLICES = 2  # of a CT that is a case: one slice is a part of something else
ONE_SLICE = "a CT of one slice; export the whole CT as one series"
OTHER_PATIENT = (
    "the cohort has another patient's CT (PatientID) under the same SeriesInstanceUID; pseudonymise this patient again "
    "with other UIDs"
)
OFF_SLICE = 0.1  # of the slices' spacing: contours farther from their slice than that are told
NAMES_SHOWN, REASONS_SHOWN = 12, 3  # in one line of an error
DATE = re.compile(r"(19|20)\d\d[-./]?[01]\d[-./]?[0-3]\d")
QUOTED = re.compile(
    r"(?<!\w)'.*'(?!\w)", re.DOTALL
)  # to the last quote: what is quoted may hold quotes
HIDDEN_NAME = "(not stored: it may name the patient)"
NAMES_HEADER = ("roi_name", "tg263", "status", "reason", "patients")
LEFT_OUT_HEADER = ("what", "reason", "archive")
TABLES = {"names.csv": NAMES_HEADER, "left_out.csv": LEFT_OUT_HEADER}
MOST_TABLE_BYTES = 1 << 26
NEW_TABLE = "it is not overwritten. Move it away, then repeat: a new one is written"
TRIES = 10  # at a table that another import writes at the same time, on a share without locks


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not imported, and why.

    what: the case it would have been, or a hash of the file's place. where, why: for the screen
        only, since folders and ROI names may name a patient. reason: the same as why, fit for the
        cohort folder.
    """

    what: str
    where: Path
    why: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an archive."""

    added: tuple[str, ...]  # case ids
    already_there: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    names: tuple[
        tuple[NameRow, int], ...
    ]  # what became of each ROI name, and in how many patients; for the screen only
    notes: tuple[
        str, ...
    ]  # by case: what was dropped or chosen between, or has changed since; for the screen only
    passed_over: tuple[
        tuple[str, int], ...
    ] = ()  # kinds of objects that are no CT slices or contours, and how many


@dataclass(frozen=True, slots=True)
class _Fit:
    """How the planes of an organ's contours lie to the slices:

    how many do, how many count, how far off those lie.
    """

    planes: int = 0
    taken: int = 0  # the nearest to each slice
    off_mm: tuple[float, ...] = ()  # of those taken, where it is more than OFF_SLICE of the spacing


def import_dicom(
    dicom_dir: Path,
    cohort: Path,
    *,
    centre: str | None = None,
    names: Path | None = None,
    notices: Sequence[str] = (),
    progress: Progress = quiet,
) -> ImportReport:
    """Read a DICOM archive into a cohort folder, adding to it what is not there yet.

    centre: the label that models and reports show; if None the cohort's, or of a new cohort its
        folder's name.
    names: a TOML file of the centre's own ROI names (docs/reference/names.md).
    notices: what everyone who uses a new cohort or its models must know; models and reports repeat
        them.
    Raises: NoSeriesError: no such folder, no CT series in it, or none that could be used; then no
        cohort is made. NamesError, CohortError.
    """
    user_map = read_user_map(names) if names else {}
    if not os.path.lexists(cohort):
        refuse_existing(
            cohort
        )  # it is not there, but can it be made? Before the work, not after it
    archive = read_archive(dicom_dir)
    if not archive.series:
        seen = [f"{count} x {kind}" for kind, count in archive.passed_over]
        if archive.unreadable:
            seen.append(
                f"{len(archive.unreadable)} unreadable: {stored_words(archive.unreadable[0].finding)}"
            )
        why = f" ({'; '.join(seen)})" if seen else ""
        raise NoSeriesError(
            f"{dicom_dir}: no CT series in it{why}; give a folder of CT series with structure sets"
        )
    is_new = not Cohort.is_at(cohort)
    if centre is None:
        centre = Path(os.path.realpath(cohort)).name if is_new else Cohort.open(cohort).centre
    opened = Cohort.open_or_create(cohort, centre, notices)
    try:
        report = import_archive(archive, opened, user_map, progress)
    finally:
        if is_new:
            _remove_empty(cohort)
    if not report.added and not report.already_there:
        raise NoSeriesError(
            f"{dicom_dir}: no patient could be imported, {len(report.left_out)} left out. {_most(report)}"
        )
    return report


def import_archive(
    archive: Archive,
    cohort: Cohort,
    user_map: Mapping[str, str] | None = None,
    progress: Progress = quiet,
) -> ImportReport:
    """Import every CT series with a structure set that shows at least one known organ.

    One patient is in memory at a time. A case that is in the cohort stays as it is. What became of
    the names, and what was left out, is also saved in the cohort, without anything that names a
    patient.
    user_map: as `read_user_map` gives.
    """
    for name, header in TABLES.items():
        _read_csv(
            cohort.path / name, header
        )  # one that cannot be read is found before the work, not after it
    added: list[str] = []
    already_there: list[str] = []
    left_out = [
        LeftOut(
            _pseudonym(found, archive.folder, cohort.centre),
            found.path,
            words(replace(found.finding, path=None)),
            stored_words(found.finding),
        )
        for found in (*archive.unreadable, *archive.left_out)
    ]
    notes: list[str] = []
    names: Counter[NameRow] = Counter()
    stored: Counter[NameRow] = Counter()
    keys = _patient_keys(archive, cohort, notes)
    for done, pair in enumerate(archive.pairs):
        case_id = case_id_of(cohort.centre, pair.series.uid)
        progress("importing", done, len(archive.pairs), case_id)
        said = list(map(words, pair.notes))
        if missing := _absent(pair):
            said.append(missing)
        try:
            became, rows = _import_case(
                pair, case_id, cohort, user_map, said, keys.get(pair.series.uid)
            )
        except (DicomError, GridMismatchError, CohortError) as error:
            reason = _reason(error, pair, archive.folder)
            left_out.append(LeftOut(case_id, pair.series.place, str(error), reason))
            continue
        if isinstance(became, LeftOut):
            left_out.append(became)
        else:
            (added if became == "added" else already_there).append(case_id)
        names.update(set(rows))
        stored.update({_without_free_text(row) for row in rows})
        notes.extend(f"{case_id}: {line}" for line in said)
    progress("importing", len(archive.pairs), len(archive.pairs), "")
    if added:
        notes.extend(_twins(cohort, added))
        notes.extend(_one_patient(archive, cohort, added))
        notes.extend(_nobodys(archive, cohort, added))
    report = ImportReport(
        tuple(added),
        tuple(already_there),
        tuple(left_out),
        ordered(names),
        tuple(notes),
        archive.passed_over,
    )
    _save_names(cohort, ordered(stored))
    _save_left_out(cohort, report, archive)
    return report


def _twins(cohort: Cohort, added: Collection[str]) -> list[str]:
    """A note for each CT that is there twice, and was not before."""
    with suppress(CohortError):  # a case that is damaged is told where it is used
        return [
            f"{', '.join(names)}: the same CT, to the voxel. If it is one patient twice, delete the folder of one"
            for names in cohort.twins
            if not set(names).isdisjoint(added)
        ]
    return []


def _patient_keys(archive: Archive, cohort: Cohort, notes: list[str]) -> dict[str, str]:
    """By series UID the key of each CT's patient, of those whose PatientID tells whom they are of.

    notes: grows by why there are none, where there could be some.
    """
    here = [pair.series for pair in archive.pairs]
    telling = telling_ids(series.person for series in here)
    of_someone = [series for series in here if series.patient_id in telling]
    if not of_someone:
        return {}
    path = salt_path(cohort.path)
    is_new = not path.exists()
    try:
        salt = salt_beside(cohort.path)
    except CohortError as error:
        notes.append(str(error))
        return {}
    if warning := open_to_others(path):
        notes.append(words(warning))
    if is_new:
        made = f"{printable(str(path))} was made"
        log.info(
            f"{made}: by it recontour knows which CTs are one patient's. Keep it there, and pass it on to nobody"
        )
    with suppress(CohortError):  # a case that is damaged is told where it is used
        if others := sum(
            bool(case.patient) and salt_of(str(case.patient)) != salt.name for case in cohort
        ):
            notes.append(
                f"{others} of the cohort's cases have patient keys of another salt than {path}, so it is not known "
                "whether they are of the same patients as new ones; put back the salt that was there, if you have it"
            )
    return {series.uid: salt.key(series.patient_id) for series in of_someone}


def _one_patient(archive: Archive, cohort: Cohort, added: Collection[str]) -> list[str]:
    """A note for each patient with several CTs, one of them new;

    a copy from another archive has a note of its own.
    """
    here = {case_id_of(cohort.centre, pair.series.uid) for pair in archive.pairs}
    notes = []
    with suppress(CohortError):  # a case that is damaged is told where it is used
        for cases in with_one_key(cohort):
            names = [case.id for case in cases]
            if set(names).isdisjoint(added):
                continue
            if here.issuperset(names) or len({case.fingerprint for case in cases}) > 1:
                notes.append(
                    f"{', '.join(names)}: {len(names)} CTs under one PatientID. They count as one patient, and a study "
                    "keeps them on one side of its split; do not train on one and test on another of them"
                )
    return notes


def _nobodys(archive: Archive, cohort: Cohort, added: Collection[str]) -> list[str]:
    """A note where new CTs, of several, have no PatientID that tells whom they are of."""
    here = [pair.series for pair in archive.pairs]
    telling = telling_ids(series.person for series in here)
    untold = {
        case_id_of(cohort.centre, series.uid) for series in here if series.patient_id not in telling
    }
    count = len(untold.intersection(added))
    if not count or len(cohort) < 2:
        return []
    return [
        f"{count} of {len(added)} new CTs have a PatientID that does not tell patients apart (none, a stand-in, or the "
        "same for all or for different people): each CT counts as a patient of its own"
    ]


def _absent(pair: Pair) -> str:
    """What to note where images are missing that a structure set references.

    Those that only its header lists count where it lists no other series.
    """
    file, here = pair.structure_set, pair.series.sop_instance_uids
    referenced = file.images_drawn_on(pair.series.frame_of_reference_uid)
    if not file.series_uids - {pair.series.uid}:
        referenced |= file.image_uids
    missing = len(referenced - here)
    return (
        f"{missing} of the {len(referenced)} images it references are not here" if missing else ""
    )


def _import_case(
    pair: Pair,
    case_id: str,
    cohort: Cohort,
    user_map: Mapping[str, str] | None,
    said: list[str],
    patient: str | None,
) -> tuple[Literal["added", "there already"] | LeftOut, tuple[NameRow, ...]]:
    """Import one patient: what became of the case, and of its ROI names.

    said: grows by what is to be noted. patient: the patient's key, if known.
    """
    if case_id in cohort:
        case = cohort[case_id]
        if contradict(patient, case.patient):
            return LeftOut(case_id, pair.series.place, OTHER_PATIENT, OTHER_PATIENT), ()
        return "there already", _look_again(pair, case, user_map, said)
    scan = read_series(pair.series.files)
    if scan.grid.shape[0] < LEAST_SLICES:
        return LeftOut(case_id, pair.series.place, ONE_SLICE, ONE_SLICE), ()
    said.extend(map(words, scan.notes))
    drawn = _structures(pair.structure_set, scan.grid, scan, said.append)
    table = match_drawn(drawn, user_map)
    masks = _masks(drawn, table.mapped, scan.grid, said.append)
    if not masks:
        reason = NO_ORGAN if any(one.is_drawn for one in drawn) else NO_AREA
        return LeftOut(
            case_id, pair.structure_set.path, _why(reason, drawn, said), reason
        ), table.rows
    middles_x_mm = {organ: scan.grid.middle_x_mm(mask) for organ, mask in masks.items()}
    said.extend(map(words, sides_swapped(middles_x_mm)))
    is_added = _add(cohort, case_id, scan, masks, pair.structure_set, patient)
    return "added" if is_added else "there already", table.rows


def _look_again(
    pair: Pair, case: Case, user_map: Mapping[str, str] | None, said: list[str]
) -> tuple[NameRow, ...]:
    """Note what a case that stays as it is would have otherwise today;

    return what became of its ROI names.
    """
    try:
        scan = read_series(pair.series.files)
        if scan.grid != case.grid or not np.array_equal(scan.hu, case.hu):
            said.append(
                "its CT has other values now, under the same UIDs; delete the case's folder to import it again"
            )
    except DicomError as error:
        said.append(f"stays as it was imported; its CT cannot be used any more: {error}")
    try:
        drawn = _structures(pair.structure_set, case.grid, None, said.append)
        table = match_drawn(drawn, user_map)
    except (DicomError, GridMismatchError) as error:
        said.append(f"stays as it was imported; its structure set cannot be used any more: {error}")
        return ()
    unknown = {name: organ for name, organ in table.mapped.items() if organ not in case.organs}
    if case.source_hash != _hash(pair.structure_set.sop_instance_uid):
        said.append(
            "its structure set has changed since; delete the case's folder to import the new one"
        )
    elif others := _redrawn(drawn, table.mapped, case):
        said.append(
            f"{', '.join(others)}: drawn differently now, under the same SOPInstanceUID; delete the case's folder to "
            "import what is there now"
        )
    elif new := _masks(drawn, unknown, case.grid, said.append):
        said.append(
            f"now also has {', '.join(sorted(new))}; delete the case's folder to import them"
        )
    return table.rows


def _redrawn(drawn: Sequence[Roi | Segment], organs: Mapping[str, str], case: Case) -> list[str]:
    """The organs of a case that its structure set would give another mask today.

    organs: as of `_masks`.
    """
    known = {name: organ for name, organ in organs.items() if organ in case.organs}
    masks = _masks(drawn, known, case.grid, lambda line: None)
    return [organ for organ, mask in masks.items() if not np.array_equal(mask, case.mask(organ))]


def _structures(
    file: StructureSetFile, grid: Grid, scan: Scan | None, note: Callable[[str], None]
) -> Sequence[Roi | Segment]:
    """The structures of an RTSTRUCT or SEG.

    scan: the CT it must have been drawn on; None: any on that grid.
    """
    if file.is_segmentation:
        return read_segments(
            file.path, grid, None if scan is None else scan.source.frame_of_reference_uid
        )
    return read_rois(file.path, scan, lambda finding: note(words(finding)))


def _masks(
    drawn: Sequence[Roi | Segment],
    organs: Mapping[str, str],
    grid: Grid,
    note: Callable[[str], None],
) -> dict[str, Mask]:
    """The organs of certain names, by TG-263 name; one that is malformed or shows on no slice is
    unknown.

    So is one that was drawn on every second slice at most: what lies between would be taught as not
    the organ.

    organs: name in the structure set -> TG-263 name.
    """
    masks, fits = {}, []
    for one in drawn:
        if one.is_drawn and one.name in organs:
            try:
                mask, fit = (
                    (one.mask(), _Fit())
                    if isinstance(one, Segment)
                    else _rasterised(one, grid, note)
                )
            except (ContoursError, DicomError) as error:
                note(f"{organs[one.name]} is unknown: {error}")
                continue
            fits.append(fit)
            shown, between = _shown_and_between(mask)
            if not shown:
                note(f"{one.name}: none of its contours shows on the CT's slices")
            elif shown > 2 and between >= shown - 1:  # at most every second slice was drawn
                note(
                    f"{organs[one.name]} is unknown: {one.name} is on {shown} slices, and not on {between} between "
                    "them; interpolate it where it was drawn, and export it again"
                )
            else:
                masks[organs[one.name]] = mask
                if between:
                    note(
                        f"{one.name}: nothing on {between} slice(s) between its first and last; taken as it is"
                    )
    _tell_fits(fits, note)
    return masks


def _rasterised(roi: Roi, grid: Grid, note: Callable[[str], None]) -> tuple[Mask, _Fit]:
    contours = roi.contours(lambda finding: note(words(finding)))
    beyond = sum(grid.slice_at(contour.z_mm) is None for contour in contours)
    if 0 < beyond < len(contours):
        note(
            f"{roi.name}: {beyond} of {len(contours)} contours lie on no slice; is the CT complete?"
        )
    mask = rasterise(contours, grid)
    on_slice = planes_by_slice(contours, grid)
    empty = len(on_slice) - np.count_nonzero(mask[list(on_slice)].any(axis=(1, 2)))
    if 0 < empty < len(on_slice):
        note(
            f"{roi.name}: empty on {empty} slice(s) with contours, which erase one another or are less than a pixel"
        )
    nearest_mm = np.array(
        [abs(height_mm(near) - grid.slice_z_mm[index]) for index, (near, *_) in on_slice.items()]
    )
    is_off = nearest_mm > OFF_SLICE * grid.slice_thickness_mm[list(on_slice)]
    return mask, _Fit(
        sum(map(len, on_slice.values())), len(on_slice), tuple(nearest_mm[is_off].tolist())
    )


def _tell_fits(fits: Sequence[_Fit], note: Callable[[str], None]) -> None:
    """Note planes that do not count or lie off their slices, of all organs together."""
    count, taken = sum(fit.planes for fit in fits), sum(fit.taken for fit in fits)
    off_mm = [far for fit in fits for far in fit.off_mm]
    if taken < count:
        note(
            f"{count - taken} of {count} planes of contours are left out: another is nearer to the slice"
        )
    if off_mm:
        note(
            f"{len(off_mm)} of {taken} planes of contours lie off their slices, typically by {np.median(off_mm):.2f} mm"
        )


def _shown_and_between(mask: Mask) -> tuple[int, int]:
    """How many slices show an organ, and how many between its first and last do not."""
    shown = np.flatnonzero(mask.any(axis=(1, 2)))
    return len(shown), int(np.ptp(shown)) + 1 - len(shown) if len(shown) else 0


def _add(
    cohort: Cohort,
    case_id: str,
    scan: Scan,
    masks: Mapping[str, Mask],
    source: StructureSetFile,
    patient: str | None,
) -> bool:
    """Store a case; whether it was not there, since another import may have added it meanwhile."""
    try:
        source_hash = _hash(source.sop_instance_uid)
        cohort.add(
            case_id,
            scan.hu,
            scan.grid,
            masks,
            source_hash,
            is_draft=source.is_draft,
            patient=patient,
        )
    except (CohortError, OutputError):
        if case_id not in cohort:
            raise
        return False
    return True


def _why(reason: str, structures: Sequence[Roi | Segment], said: Sequence[str]) -> str:
    """Why a patient has no organ, with what there is to map and what was noted of it;

    for the screen only.
    """
    drawn = [one.name for one in structures if one.is_drawn]
    more = ", ..." if len(drawn) > NAMES_SHOWN else ""
    has = [f"it has {', '.join(drawn[:NAMES_SHOWN])}{more}"] if drawn else []
    told = "; ".join([*has, *said])
    return f"{reason} ({told})" if told else reason


def _most(report: ImportReport) -> str:
    """The most common reasons of what was left out, each as it was first seen."""
    first: dict[str, str] = {}
    for found in report.left_out:
        first.setdefault(found.reason, found.why)
    counts = Counter(found.reason for found in report.left_out)
    return " | ".join(
        f"{count} x {first[reason]}" for reason, count in counts.most_common(REASONS_SHOWN)
    )


def _remove_empty(cohort: Path) -> None:
    """Remove a cohort without cases; one to which another import adds meanwhile stays."""
    with suppress(OSError):
        (cohort / "cases").rmdir()
        for name in (
            "names.csv",
            "left_out.csv",
            "cohort.json",
        ):  # it is a cohort until nothing else is there
            (cohort / name).unlink(missing_ok=True)
        cohort.rmdir()


def _hash(uid: str) -> str:
    return hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()[
        :16
    ]  # a path may hold what is no text


def _pseudonym(found: Unused, dicom_dir: Path, centre: str) -> str:
    """What a series or file goes by in the cohort folder."""
    return (
        case_id_of(centre, found.series_uid)
        if found.series_uid
        else _file_id(found.path, dicom_dir)
    )


def _file_id(path: Path, dicom_dir: Path) -> str:
    return f"file {_hash(str(path.relative_to(dicom_dir)))[:8]}"


def _reason(error: RecontourError, pair: Pair, dicom_dir: Path) -> str:
    """An error without the paths it names;

    where it could still name the patient, only what kind of error it is.
    """
    reason = str(error)
    files = (*pair.series.files, pair.structure_set.path)
    for file in sorted(map(str, files), key=len, reverse=True):
        reason = re.sub(rf"(?<![\w./]){re.escape(file)}(?!\w)", "(file)", reason)
    folders = {
        str(place) for file in files for place in file.parents if place.is_relative_to(dicom_dir)
    }
    for folder in sorted(folders, key=len, reverse=True):
        follows = (
            "" if os.sep in folder else "(?=[/:])"
        )  # a lone name may be a word, so not wherever it stands
        reason = re.sub(rf"(?<![\w./]){re.escape(folder)}{follows}", "(file)", reason)
    reason = _fixed_words(reason)
    if (
        isinstance(error, CohortError)
        or pair.structure_set.names_patient(reason)
        or DATE.search(reason)
    ):
        return (type(error).__doc__ or "").partition("\n")[0]
    return reason


def _fixed_words(reason: str) -> str:
    """A reason without what it quotes:

    text of a file, which may be anything, stands in single quotes.
    """
    return QUOTED.sub("'...'", reason)


def _without_free_text(row: NameRow) -> NameRow:
    """A row as it may be kept:

    a name that is no organ's is free text, and may hold the patient's name or a date.
    """
    return (
        row
        if row.status == "mapped" or is_vocabulary(row.roi_name)
        else replace(row, roi_name=HIDDEN_NAME)
    )


def _save_names(cohort: Cohort, names: Iterable[tuple[NameRow, int]]) -> None:
    """What became of each name in the last import that met it."""
    new = [
        _cells(row.roi_name, row.tg263 or "", row.status, stored_words(row.reason), str(count))
        for row, count in names
    ]
    met = {row[0] for row in new}

    def merged(old: Rows) -> Rows:
        return [*new, *(row for row in old if row[0] not in met)]

    _update_csv(cohort.path / "names.csv", merged)


def _save_left_out(cohort: Cohort, report: ImportReport, archive: Archive) -> None:
    """What is still left out: of this archive now, of others what has not been imported since."""
    folder = _hash(str(archive.folder.resolve()))[:8]
    what_and_why = dict.fromkeys((found.what, found.reason) for found in report.left_out)
    new = [_cells(what, reason, folder) for what, reason in what_and_why]
    settled = {found.what for found in report.left_out}

    def merged(old: Rows) -> Rows:
        others = [row for row in old if row[2] != folder]
        return [*(row for row in others if row[0] not in settled and row[0] not in cohort), *new]

    _update_csv(cohort.path / "left_out.csv", merged)


def _cells(*words: str) -> list[str]:
    """A row as a table can have it, and give it back: a lone carriage return would end it."""
    return [printable(cell) for cell in words]


def _update_csv(path: Path, merged: Callable[[Rows], Rows]) -> None:
    """Bring a table up to date; no row is lost to another import that does so at the same time."""
    header = TABLES[path.name]
    with locked_folder(path.parent):
        for _ in range(TRIES):
            rows = merged(_read_csv(path, header))
            _write_csv(path, header, rows)
            if (
                _read_csv(path, header) == rows
            ):  # where there are no locks, another may have come in between
                return


def _read_csv(path: Path, header: Sequence[str]) -> Rows:
    """The rows of a table as we write it; none where there is no such table.

    Raises: CohortError: it cannot be read, and so its rows would be lost. FaultError: the machine
        failed.
    """
    try:
        first, *rows = csv_rows(read_text(path, MOST_TABLE_BYTES))
    except FileNotFoundError:
        return []
    except UnreadableError as error:
        raise CohortError(f"{path} cannot be read ({error}), and {NEW_TABLE}") from error
    except (ValueError, csv.Error) as error:
        raise CohortError(
            f"{path} is no table that recontour wrote ({error}); {NEW_TABLE}"
        ) from error
    if first != list(header) or any(len(row) != len(header) for row in rows):
        raise CohortError(
            f"{path} is no table that recontour wrote ({', '.join(header)}); {NEW_TABLE}"
        )
    return rows


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    write_text(path, csv_text([header, *rows]), replace=True)
