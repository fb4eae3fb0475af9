"""Contour every CT series of a folder, with one model that stays loaded.

`contours.json` in the output folder says which file belongs to which series, and by what they were
made. It is written before the first of them, and a file appears whole or not at all: a file that is
there is done, and a run that was interrupted goes on where it was.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from recontour.assess.caveats import patient_key
from recontour.cohort.patients import Salt
from recontour.contouring.contourer import Contourer
from recontour.dicom import Archive, CtSeries, read_archive, read_series
from recontour.dicom.findings import NoCtSeries
from recontour.dicom.pairing import are_parts
from recontour.errors import (
    FaultError,
    MixedSeriesError,
    NoSeriesError,
    OutputError,
    RecontourError,
)
from recontour.executors import DeadWorker, Place, answers, place_of
from recontour.files import ExistingOutput, is_name, make_folder, refuse_missing_folder
from recontour.findings import Finding
from recontour.organs import Template
from recontour.progress import Progress, quiet
from recontour.workflows.contour_list import ContourList, MadeBy, read_list, write_list
from recontour.workflows.contouring import (
    ABOUT_THE_MODEL,
    Contoured,
    ContourFormat,
    Job,
    note_lines_of_others,
    refuse_unknown_format,
    salt_beside,
)
from recontour.workflows.findings import MayBeParts
from recontour.workflows.model_elsewhere import ModelElsewhere
from recontour.workflows.paths import refuse_for_contouring

ENDINGS: Mapping[ContourFormat, str] = {"rtstruct": ".dcm", "seg": ".dcm", "nifti": ""}
KEY_DIGITS = 16  # of a series' hash
MOST_LETTERS = 40  # of a file's name that come from the place of its series
ODD_LETTERS = re.compile(r"[^\w.+~-]+")


@dataclass(frozen=True, slots=True)
class SeriesContoured:
    """What became of one CT series of many.

    Attributes:
        place: What to call the series by: its folder, or its first file. It may name a patient.
        out: Its contours; None if it has none.
        found: What was found; None if nothing was contoured, or it was done before.
        failure: Why it has no contours; None if it has.
        warnings: What a person should check. What holds for every CT of the model is in `found`
            alone.

    Examples:
        >>> import recontour
        >>> many = recontour.contour_all("north.safetensors", "dicom/north-train", "drafts-too")
        >>> [one.out.name for one in many]
        ['2_CT.dcm', '3_CT.dcm']
    """

    place: Path
    out: Path | None = None
    found: Contoured | None = None
    failure: Finding | None = None
    warnings: tuple[Finding, ...] = ()

    @property
    def was_done(self) -> bool:
        """Return whether an earlier run had contoured it."""
        return self.found is None and self.failure is None


def contour_all(
    model: Path | str,
    folder: Path | str,
    out: Path | str,
    *,
    organs: Sequence[str] | None = None,
    format: ContourFormat = "rtstruct",
    template: Template | None = None,
    anyway: bool = False,
    archive: Archive | None = None,
    on: str | None = None,
    progress: Progress = quiet,
) -> Generator[SeriesContoured, None, None]:
    """Contour every CT series of a folder tree, one after the other or side by side.

    A series that cannot be contoured does not stop the others. What the same model has contoured
    with the same options is not contoured again, so an interrupted run may be repeated.

    Args:
        model: A model file, or TRUNK+HEAD.
        folder: A folder with any number of CT series.
        out: A new folder, or one that this function filled before.
        organs: As for `contour`.
        format: As for `contour`; for "nifti" each series gets a folder.
        template: As for `contour`.
        anyway: As for `contour`.
        archive: What lies in `folder`, if it was read before.
        on: Where series are contoured, such as "local:4": four at a time, each in a process that
            loads the model once; None: here, one after the other. The contours are the same, if
            every process has the same number of threads and the same kind of processor.
        progress: Called with what is done, how many are done, of how many, and words.

    Yields:
        What became of each series, in the order of their places, as soon as it is known; at last
        the files that could not be read. Whoever stops early closes the generator.

    Raises:
        RecontourError: The model, the folder or the output cannot be used, there is no such place,
            or the machine failed.

    Examples:
        >>> import recontour
        >>> for one in recontour.contour_all("north.safetensors", "dicom/north-train", "drafts"):
        ...     print(one.out.name, list(one.found.volumes_cc))
        2_CT.dcm ['Brainstem', 'Lens_L']
        3_CT.dcm ['Brainstem', 'Lens_L']
    """
    model, folder, out = Path(model), Path(folder), Path(out)
    refuse_unknown_format(format)
    place = place_of(on) if on else None
    template = template or Template()
    if out.exists() and not out.is_dir():
        raise OutputError(ExistingOutput(path=out))
    refuse_missing_folder(out)
    refuse_for_contouring(model, folder)
    archive = archive or read_archive(folder)
    if not archive.series:
        raise NoSeriesError(NoCtSeries(path=folder, wanted="series", skipped=archive.skipped))
    contourer = Contourer.load(model)
    salt = salt_beside(model)
    salt_name = salt.name if salt else None
    job = Job.of(contourer, model, organs, format, template, anyway=anyway, salt_name=salt_name)
    note_lines_of_others(template, contourer)
    elsewhere = ModelElsewhere.of(model, contourer.model)
    made_by = MadeBy.of(elsewhere.sha256, job.wanted, format, template)
    outputs = _outputs(archive, out, made_by, ENDINGS[format])
    tasks = _tasks(archive, outputs, salt)
    if place is None:
        return _each(partial(_contoured, job), None, archive, tasks, progress)
    order = _Order(elsewhere, job.wanted, format, template, anyway, salt_name)
    return _each(partial(_contoured_elsewhere, order), place, archive, tasks, progress)


@dataclass(frozen=True, slots=True)
class _Task:
    """One series to contour.

    place: what to call it by. out: where its contours go. patient: the key; None if unknown.
    Another process learns no more of it than this: a `CtSeries` also says who the patient is, and
    a process on another machine may lack the salt.
    """

    files: tuple[Path, ...]
    place: Path
    out: Path
    clash: Finding | None
    patient: str | None


def _tasks(archive: Archive, outputs: Mapping[str, Path], salt: Salt | None) -> list[_Task]:
    """Return what to contour, in order. outputs: by the key of the series."""
    tasks = []
    for one in _in_order(archive.series):
        patient = patient_key(one.patient_id, salt)
        tasks.append(_Task(one.files, one.place, outputs[_key(one)], one.clash, patient))
    return tasks


def _each(
    contoured: Callable[[_Task], SeriesContoured],
    place: Place | None,
    archive: Archive,
    tasks: Sequence[_Task],
    progress: Progress,
) -> Generator[SeriesContoured, None, None]:
    several = _parts(archive.series)
    ordered = _in_order(archive.series)
    left = [task for task in tasks if not task.out.exists()]
    waiting = {task.out for task in left}
    with closing(answers(contoured, left, place, torch.cuda.device_count())) as answered:
        for done, (series, task) in enumerate(zip(ordered, tasks, strict=True)):
            progress("contouring", done, len(tasks), str(task.place.relative_to(archive.folder)))
            one = SeriesContoured(task.place, task.out)
            if task.out in waiting:
                one = _heard(next(answered), task)
            if series.uid in several and one.found:
                note = MayBeParts(series=several[series.uid])
                one = replace(one, warnings=(*one.warnings, note))
            yield one
    progress("contouring", len(tasks), len(tasks), "")
    for unreadable in archive.unreadable:
        yield SeriesContoured(unreadable.path, failure=unreadable.finding)


def _heard(answer: Callable[[], SeriesContoured], task: _Task) -> SeriesContoured:
    """Wait for what became of a series; one that kills its processes does not stop the others."""
    try:
        return answer()
    except FaultError as error:
        if isinstance(error.finding, DeadWorker):
            return SeriesContoured(task.place, failure=error.finding)
        raise  # a full disk, say: the others would fail, too


def _contoured(job: Job, task: _Task) -> SeriesContoured:
    if task.out.exists():
        return SeriesContoured(task.place, task.out)
    try:
        if task.clash:
            raise MixedSeriesError(task.clash)
        scan = read_series(task.files)
        found = job.contour(scan, task.patient, task.place, task.out, quiet)
    except FaultError:
        raise
    except RecontourError as error:
        return SeriesContoured(task.place, failure=error.finding)
    of_this_ct = [one for one in found.warnings if not isinstance(one, ABOUT_THE_MODEL)]
    return SeriesContoured(
        place=task.place,
        out=task.out,
        found=found,
        warnings=tuple(of_this_ct),
    )


# In another process


@dataclass(frozen=True, slots=True)
class _Order:
    """What to do with each series, for a process that has no model yet."""

    model: ModelElsewhere
    organs: tuple[str, ...]
    format: ContourFormat
    template: Template
    anyway: bool
    salt_name: str | None


def _contoured_elsewhere(order: _Order, task: _Task) -> SeriesContoured:
    return _contoured(_job(order), task)


def _job(order: _Order) -> Job:
    """Return an order with its model, which stays loaded for the next series."""
    return Job.of(
        order.model.loaded(),
        order.model.path,
        order.organs,
        order.format,
        order.template,
        anyway=order.anyway,
        salt_name=order.salt_name,
    )


def _parts(series: Sequence[CtSeries]) -> dict[str, int]:
    """Return of which series others may be parts of the same CT, by UID, and how many they are."""
    together: defaultdict[tuple[str, str], list[CtSeries]] = defaultdict(list)
    for one in series:
        together[one.patient_id, one.frame_of_reference_uid].append(one)
    found = {}
    for group in together.values():
        if are_parts(group):
            for one in group:
                found[one.uid] = len(group)
    return found


# Where the contours go


def _outputs(
    archive: Archive,
    out: Path,
    made_by: MadeBy,
    ending: str,
) -> dict[str, Path]:
    """Return where the contours of each series go, by its key, and write that down.

    Raises: OutputError: the folder was filled in another way, or cannot be written to.
    """
    listed = read_list(out, made_by)
    files = dict(listed.files)
    for series in _in_order(archive.series):
        key = _key(series)
        if key not in files:
            taken = {name.casefold() for name in files.values()}
            files[key] = _file_name(series, archive.folder, out, ending, taken)
    if files != listed.files:
        make_folder(out)
        write_list(out, ContourList(made_by=made_by, files=files))
    return {key: out / name for key, name in files.items()}


def _in_order(series: Sequence[CtSeries]) -> list[CtSeries]:
    return sorted(series, key=lambda one: (one.place, one.uid))


def _key(series: CtSeries) -> str:
    """Return a hash of a series and its images, so that one that has grown is another one."""
    uids = "\n".join((series.uid, *sorted(series.sop_instance_uids)))
    return hashlib.sha256(uids.encode()).hexdigest()[:KEY_DIGITS]


def _file_name(
    series: CtSeries,
    folder: Path,
    out: Path,
    ending: str,
    taken: set[str],
) -> str:
    """Return a name that is free: that of the series' place, if need be with its key."""
    parts = series.place.relative_to(folder).parts or (folder.resolve().name,)
    words = ODD_LETTERS.sub("_", "_".join(parts).removesuffix(".dcm")).strip("._")
    name = f"{words}{ending}"
    is_free = name.casefold() not in taken and not (out / name).exists()
    if is_free and is_name(name) and len(words) <= MOST_LETTERS:
        return name
    short = words[:MOST_LETTERS] or "CT"
    return f"{short}-{_key(series)}{ending}"
