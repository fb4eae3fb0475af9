"""A DICOM archive -> the same without its patients: PS3.15's Basic Profile, and stricter.

Only CT series and their structure sets are written, with only the attributes that kept.toml names.
Private and retired attributes, curves, overlays, comments and what the standard will add tomorrow
do not get through. Pixels are decoded, so that nothing lies
beside them. Two options of the profile are used: Modified Dates, and Clean Descriptors for ROI
names, which become TG-263's. See docs/decisions/015-deidentification.md.

    clean_attributes    which attributes get through, and what becomes of their values
    clean_ct            a CT series
    clean_structures    a structure set
    identity            the pseudonyms
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from recontour.dicom.archive import Archive, read_archive
from recontour.dicom.clean_ct import write_series
from recontour.dicom.clean_structures import write_structures
from recontour.dicom.deidentify_findings import (
    KeyInOutput,
    NoRoiToCopy,
    NotAKey,
    NothingCopied,
    OnlyCtCopied,
    OutputInInput,
    SegNotCopied,
)
from recontour.dicom.findings import Kinds, NoCtSeries
from recontour.dicom.identity import Pseudonyms
from recontour.dicom.pairing import CtSeries, StructureSetFile
from recontour.errors import DicomError, NoSeriesError, OutputError, SettingsError
from recontour.files import UnreadableError, refuse_as_output, whole_folder, write_text
from recontour.findings import Finding
from recontour.organs import NameRow, notes_on_map, ordered, read_user_map
from recontour.progress import Progress, quiet
from recontour.texts import read_text

STRUCTURE_SET = "RTSTRUCT.dcm"
KEY_BYTES = 32
MOST_KEY_BYTES = 1000  # of a key file


@dataclass(frozen=True, slots=True)
class NotCopied:
    """A file, folder or series that was not written, and why."""

    path: Path
    finding: Finding


@dataclass(frozen=True, slots=True)
class Deidentified:
    """What `deidentify` wrote, and what it left out.

    Attributes:
        patients: How many patients were written.
        series: How many CT series were written.
        structure_sets: How many structure sets were written.
        names: What became of each ROI name, and in how many patients. It is for the screen only,
            since ROI names are free text.
        left_out: What was not written, each with the finding that says why.
        skipped: Kinds of objects that are never written, and how many there were.
        notes: What a person should know about the files that were written.

    Examples:
        >>> import recontour
        >>> written = recontour.deidentify("dicom/north-train", "north-to-send")
        >>> written.patients, written.structure_sets, written.dropped_rois
        (2, 2, 2)
    """

    patients: int
    series: int
    structure_sets: int
    names: tuple[tuple[NameRow, int], ...]
    left_out: tuple[NotCopied, ...]
    skipped: Kinds
    notes: tuple[Finding, ...]

    @property
    def dropped_rois(self) -> int:
        """Return how many ROIs were dropped because their names are not those of organs."""
        dropped = [count for row, count in self.names if row.status != "mapped"]
        return sum(dropped)


@dataclass(frozen=True, slots=True)
class _Task:
    """One CT series to write.

    structure_set: drawn on it, if any can be written. notes: on what was chosen between. alone: why
    the CT is written without a structure set, if that is to be reported.
    """

    series: CtSeries
    structure_set: StructureSetFile | None = None
    notes: tuple[Finding, ...] = ()
    alone: NotCopied | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one CT series and its structure set."""

    names: frozenset[NameRow] = frozenset()
    left_out: tuple[NotCopied, ...] = ()
    notes: tuple[Finding, ...] = ()


def deidentify(
    dicom_dir: Path | str,
    out: Path | str,
    *,
    names: Path | str | None = None,
    new_organs: Sequence[str] = (),
    key: Path | str | None = None,
    progress: Progress = quiet,
) -> Deidentified:
    """Write an archive's CT series and structure sets without what identifies the patients.

    The new folder, OUT/PATIENT/SERIES/*.dcm, appears whole or not at all. Pixels keep their
    values, and with them burned-in text and the face that a head CT can be rendered to. ROIs get
    TG-263 names; ROIs that are no organ's are dropped.

    Args:
        dicom_dir: A folder of DICOM files, nested and named in any way.
        out: The folder to write; it must not exist.
        names: A TOML file of the centre's own ROI names, as in `import_dicom`.
        new_organs: Names on its right side that TG-263 does not list, as in `import_dicom`.
        key: A file with the secret that pseudonyms, UIDs and dates are derived from; it is made if
            it does not exist. The same key gives a patient the same pseudonym again. If None, the
            secret is forgotten.
        progress: Called with what is done, how many are done, of how many, and words.

    Returns:
        What was written, what was not and why.

    Raises:
        NoSeriesError: There is no such folder, no CT series in it, or none that can be written.
        NamesError: The map of names cannot be used.
        SettingsError: The key is not one, or would lie in the output.
        OutputError: The output exists, cannot be made, or would lie within dicom_dir.

    Examples:
        >>> import recontour
        >>> written = recontour.deidentify("dicom/south", "to-send")
        >>> written.left_out
        ()
    """
    dicom_dir, out = Path(dicom_dir), Path(out)
    key = Path(key) if key else None
    refuse_as_output(out)
    if out.resolve().is_relative_to(dicom_dir.resolve()):
        raise OutputError(OutputInInput(path=out))
    user_map = read_user_map(Path(names) if names else None, new_organs)
    secret = _secret(key, out)
    archive = read_archive(dicom_dir)
    tasks = _tasks(archive)
    results = []
    with whole_folder(out) as folder:
        for done, task in enumerate(tasks):
            progress("de-identifying", done, len(tasks), "")
            results.append(_written(task, folder, secret, user_map))
        report = _report(archive, tasks, results, folder, user_map)
        if not report.series:
            raise NoSeriesError(_nothing_copied(archive, report))
        if key and not key.exists():
            write_text(key, secret.hex() + "\n", mode=0o600)
    progress("de-identifying", len(tasks), len(tasks), "")
    return report


def _secret(key: Path | None, out: Path) -> bytes:
    """Return the secret of a key file, or a new one if there is none."""
    if key is None:
        return secrets.token_bytes(KEY_BYTES)
    if not key.exists():
        if key.resolve().is_relative_to(out.resolve()):
            raise SettingsError(KeyInOutput(path=key, out=out))
        refuse_as_output(key)  # it does not exist: find out before the work whether it can be made
        return secrets.token_bytes(KEY_BYTES)
    try:
        secret = bytes.fromhex(read_text(key, MOST_KEY_BYTES))
    except (UnreadableError, OSError, ValueError) as error:
        raise SettingsError(NotAKey(path=key)) from error
    if len(secret) != KEY_BYTES:
        raise SettingsError(NotAKey(path=key))
    return secret


def _tasks(archive: Archive) -> list[_Task]:
    """Return the series that can be written, alone if need be."""
    tasks = {}
    for series in archive.series:
        if series.uid and not series.clash:
            tasks[series.uid] = _Task(series)
    for unused in archive.left_out:
        uid = unused.series_uid
        if uid in tasks:
            alone = _not_copied(unused.path, OnlyCtCopied(why=unused.finding))
            tasks[uid] = replace(tasks[uid], alone=alone)
    for pair in archive.pairs:
        if pair.series.uid not in tasks:
            continue
        path = pair.structure_set.path
        if pair.structure_set.is_segmentation:
            alone = _not_copied(path, OnlyCtCopied(why=SegNotCopied()))
            task = _Task(pair.series, alone=alone)
        else:
            notes = tuple(replace(note, path=path) for note in pair.notes)
            task = _Task(pair.series, pair.structure_set, notes)
        tasks[pair.series.uid] = task
    return list(tasks.values())


def _written(
    task: _Task,
    folder: Path,
    secret: bytes,
    user_map: Mapping[str, str],
) -> _Result:
    """Write one CT series and its structure set into the folder of their patient."""
    series = task.series
    try:
        pseudonyms = Pseudonyms.of(series, secret)
        place = folder / pseudonyms.pseudonym / pseudonyms.token("series", series.uid)
        notes = write_series(place, series, pseudonyms)
    except DicomError as error:
        failure = _not_copied(series.place, error.finding)
        return _Result(left_out=(failure,))
    if task.structure_set is None:
        alone = (task.alone,) if task.alone else ()
        return _Result(left_out=alone, notes=notes)
    path = task.structure_set.path
    target = place / STRUCTURE_SET
    lost: list[Finding] = []
    try:
        rows, misplaced = write_structures(
            target, task.structure_set, pseudonyms, user_map, lost.append
        )
    except DicomError as error:
        failure = _not_copied(path, error.finding)
        return _Result(left_out=(failure,), notes=notes)
    if target.exists():
        notes = (*notes, *task.notes, *(replace(note, path=path) for note in misplaced))
    else:
        lost.append(OnlyCtCopied(why=NoRoiToCopy()))
    left_out = tuple(_not_copied(path, finding) for finding in lost)
    return _Result(frozenset(rows), left_out, notes)


def _not_copied(path: Path, finding: Finding) -> NotCopied:
    """Return what was not written; a finding that names no file gets the path."""
    if finding.path is None:
        finding = replace(finding, path=path)
    return NotCopied(path, finding)


def _report(
    archive: Archive,
    tasks: Iterable[_Task],
    results: Iterable[_Result],
    folder: Path,
    user_map: Mapping[str, str],
) -> Deidentified:
    """Sum up what became of an archive. Patients of whom nothing was written lose their folder."""
    names: Counter[NameRow] = Counter()
    left_out = list(_unwritable(archive, tasks))
    notes: list[Finding] = []
    for result in results:
        names.update(result.names)
        left_out += result.left_out
        notes += result.notes
    notes += notes_on_map(user_map, [name.roi_name for name in names])
    for patient in folder.iterdir():
        with suppress(OSError):
            patient.rmdir()
    return Deidentified(
        patients=_count(folder, "*"),
        series=_count(folder, "*/*"),
        structure_sets=_count(folder, f"*/*/{STRUCTURE_SET}"),
        names=ordered(names),
        left_out=tuple(left_out),
        skipped=archive.skipped,
        notes=tuple(notes),
    )


def _count(folder: Path, pattern: str) -> int:
    return len(list(folder.glob(pattern)))


def _unwritable(archive: Archive, tasks: Iterable[_Task]) -> Iterator[NotCopied]:
    """Yield what of an archive cannot be written at all."""
    writable = {task.series.uid for task in tasks}
    for unused in archive.unreadable:
        yield _not_copied(unused.path, unused.finding)
    for unused in archive.left_out:
        if unused.series_uid not in writable:
            yield _not_copied(unused.path, unused.finding)


def _nothing_copied(archive: Archive, report: Deidentified) -> NothingCopied | NoCtSeries:
    """Return why nothing could be written."""
    first = report.left_out[0].finding if report.left_out else None
    if archive.series:
        return NothingCopied(path=archive.folder, first=first)
    return NoCtSeries(
        path=archive.folder,
        wanted="series",
        skipped=archive.skipped,
        unreadable=len(archive.unreadable),
        first=first,
    )
