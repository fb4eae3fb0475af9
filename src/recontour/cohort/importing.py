"""A DICOM archive -> a cohort: every patient that can be used, and the reason for every one that cannot."""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recontour.cohort.store import Cohort, Mask, case_id_of
from recontour.dicom import (
    Archive,
    NameRow,
    NameTable,
    Pair,
    StructureSetFile,
    match_names,
    read_archive,
    read_series,
    read_structure_set,
    read_user_map,
)
from recontour.dicom import LeftOut as ArchiveLeftOut
from recontour.errors import DicomError, NoSeriesError
from recontour.files import write_text
from recontour.geometry import Grid, StructureSet, rasterise

STATUSES = ("mapped", "ambiguous", "ignored")
NO_ORGAN = "no known organ is contoured on its CT; if one goes by a name of its own, map it with --names"
DATE = re.compile(r"(19|20)\d\d[-./]?[01]\d[-./]?[0-3]\d")
HIDDEN_NAME = "(not shown: it may name the patient)"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not imported, and why.

    what: the case it would have been, or a hash of the file's place. where, why: for the screen only, since folders and
    ROI names may name a patient. reason: the same as why, fit for the cohort folder.
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
    names: tuple[tuple[NameRow, int], ...]  # what became of each ROI name, and in how many patients
    notes: tuple[str, ...]  # by case: what was dropped or chosen between, or has changed since it was imported


def import_dicom(
    dicom_dir: Path,
    cohort: Path,
    *,
    centre: str | None = None,
    names: Path | None = None,
    notices: Sequence[str] = (),
    progress: Callable[[str, int, int, str], None] = lambda what, done, total, words: None,
) -> ImportReport:
    """Read a DICOM archive into a cohort folder, adding to it what is not there yet.

    centre: the label that models and reports show; if None the cohort's, or of a new cohort its folder's name.
    names: a TOML file of the centre's own ROI names (docs/reference/names.md).
    notices: what everyone who uses a new cohort or its models must know; models and reports repeat them.
    Raises: NoSeriesError: no such folder, or no CT series in it; then no cohort is made. NamesError, CohortError.
    """
    user_map = read_user_map(names) if names else {}
    archive = read_archive(dicom_dir)
    if not archive.series:
        damaged = f" ({len(archive.unreadable)} damaged files)" if archive.unreadable else ""
        raise NoSeriesError(f"{dicom_dir}: no CT series in it{damaged}; give a folder of CT series with structure sets")
    if centre is None:
        centre = Cohort.open(cohort).centre if (cohort / "cohort.json").exists() else cohort.resolve().name
    return import_archive(archive, Cohort.open_or_create(cohort, centre, notices), user_map, progress)


def import_archive(
    archive: Archive,
    cohort: Cohort,
    user_map: Mapping[str, str] | None = None,
    progress: Callable[[str, int, int, str], None] = lambda what, done, total, words: None,
) -> ImportReport:
    """Import every CT series with a structure set that shows at least one known organ.

    One patient is in memory at a time. A case that is in the cohort stays as it is. What became of the names, and what
    was left out, is also saved in the cohort, without anything that names a patient; it replaces the last import's.
    user_map: as `read_user_map` gives.
    """
    added: list[str] = []
    already_there: list[str] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    for found in (*archive.unreadable, *archive.left_out):
        left_out.append(
            LeftOut(_pseudonym(found, archive.folder, cohort.centre), found.path, found.reason, found.reason)
        )
    counts: Counter[NameRow] = Counter()
    for done, pair in enumerate(archive.pairs):
        case_id = case_id_of(cohort.centre, pair.series.uid)
        progress("importing", done, len(archive.pairs), case_id)
        said = [pair.note] if pair.note else []
        try:
            if case_id in cohort:
                table = _names_of(read_structure_set(pair.structure_set.path, None, said.append), user_map)
                if cohort[case_id].source_hash != _hash(pair.structure_set.sop_instance_uid):
                    said.append("its structure set has changed since; delete the case's folder to import the new one")
                elif new := sorted(set(table.mapped.values()) - set(cohort[case_id].organs)):
                    said.append(f"now also has {', '.join(new)}; delete the case's folder to import them")
                already_there.append(case_id)
            else:
                scan = read_series(pair.series.files)
                structures = read_structure_set(pair.structure_set.path, scan, said.append)
                table = _names_of(structures, user_map)
                masks = _masks(structures, table, scan.grid, said.append)
                if masks:
                    cohort.add(case_id, scan.hu, scan.grid, masks, _hash(pair.structure_set.sop_instance_uid))
                    added.append(case_id)
                else:
                    left_out.append(LeftOut(case_id, pair.structure_set.path, NO_ORGAN, NO_ORGAN))
            counts.update({_without_identity(row, pair.structure_set) for row in table.rows})
            notes.extend(f"{case_id}: {line}" for line in said)
        except DicomError as error:
            left_out.append(
                LeftOut(case_id, pair.series.files[0].parent, str(error), _reason(error, pair, archive.folder))
            )
    progress("importing", len(archive.pairs), len(archive.pairs), "")
    names = tuple(sorted(counts.items(), key=lambda item: _order(item[0])))
    report = ImportReport(tuple(added), tuple(already_there), tuple(left_out), names, tuple(notes))
    _save(report, cohort)
    return report


def _order(row: NameRow) -> tuple[int, str, str]:
    return STATUSES.index(row.status), row.roi_name.casefold(), row.reason


def _names_of(structures: StructureSet, user_map: Mapping[str, str] | None) -> NameTable:
    """What became of a structure set's names; structures without contours are left aside before names can clash."""
    drawn = [structure.name for structure in structures.structures if structure.contours]
    empty = [structure.name for structure in structures.structures if not structure.contours]
    matched = match_names(drawn, user_map).rows
    return NameTable((*matched, *(NameRow(name, None, "ignored", "no contours") for name in empty)))


def _masks(structures: StructureSet, table: NameTable, grid: Grid, note: Callable[[str], None]) -> dict[str, Mask]:
    """The organs that are certain, by TG-263 name; one that shows on none of the CT's slices is unknown."""
    masks = {}
    organs = table.mapped
    for structure in structures.structures:
        if structure.contours and structure.name in organs:
            mask = rasterise(structure.contours, grid)
            if mask.any():
                masks[organs[structure.name]] = mask
            else:
                note(f"{structure.name}: none of its contours shows on the CT's slices")
    return masks


def _hash(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:16]


def _pseudonym(found: ArchiveLeftOut, dicom_dir: Path, centre: str) -> str:
    """What a series or file goes by in the cohort folder."""
    if found.series_uid:
        return case_id_of(centre, found.series_uid)
    return f"file {_hash(str(found.path.relative_to(dicom_dir)))[:8]}"


def _reason(error: DicomError, pair: Pair, dicom_dir: Path) -> str:
    """An error without the paths it names; where it could still name the patient, only what kind of error it is."""
    files = (*pair.series.files, pair.structure_set.path)
    places = {str(place) for file in files for place in (file, *file.parents) if place.is_relative_to(dicom_dir)}
    reason = str(error)
    for place in sorted(places, key=len, reverse=True):
        reason = reason.replace(place, "(file)")
    if pair.structure_set.names_patient(reason) or DATE.search(reason):
        return (type(error).__doc__ or "").partition("\n")[0]
    return reason


def _without_identity(row: NameRow, structure_set: StructureSetFile) -> NameRow:
    """A row as it may be kept: a name that is no organ's is free text, and may hold the patient's name or a date."""
    if row.status != "mapped" and (structure_set.names_patient(row.roi_name) or DATE.search(row.roi_name)):
        return replace(row, roi_name=HIDDEN_NAME)
    return row


def _save(report: ImportReport, cohort: Cohort) -> None:
    names = [(row.roi_name, row.tg263 or "", row.status, row.reason, count) for row, count in report.names]
    _write_csv(cohort.path / "names.csv", ("roi_name", "tg263", "status", "reason", "patients"), names)
    left_out = [(found.what, found.reason) for found in report.left_out]
    _write_csv(cohort.path / "left_out.csv", ("what", "reason"), left_out)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue(), replace=True)
