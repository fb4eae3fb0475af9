"""What the user is told: tables and progress."""

import csv
import io
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from recontour.cohort import by_patient, with_one_ct
from recontour.cohort.patients import doubt
from recontour.errors import CohortError
from recontour.files import printable, read_file

if TYPE_CHECKING:
    from recontour.cohort import Case, Cohort
    from recontour.cohort.converting import Converted
    from recontour.cohort.export import Exported
    from recontour.cohort.importing import ImportReport
    from recontour.cohort.store import Damaged
    from recontour.dicom import NameRow
    from recontour.dicom.deidentify import Deidentified
    from recontour.evaluation import CaseScore
    from recontour.network import Model
    from recontour.study.cells import Cell
    from recontour.study.estimate import Estimate
    from recontour.workflows import Contoured

out = Console(highlight=False, width=None if sys.stdout.isatty() else 200)  # tables in a log are not squeezed
LOG = logging.getLogger("recontour")
MOST_TABLE_BYTES = 1 << 26
PLAIN_SECONDS = 30.0  # between two lines where there is no terminal to draw a bar on


class Progress(logging.Handler):
    """A bar on a terminal, in a log file a line now and then; between them, whole, what a person should know."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._step = ("", 0)  # what, of how many: the one that goes on
        self._began, self._first, self._done = 0.0, 0, 0
        self._task: TaskID | None = None
        self._told = 0.0

    def __enter__(self) -> "Progress":
        LOG.setLevel(logging.INFO)
        LOG.addHandler(self)
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Say one line."""
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        self._bar.console.print(f"{kind}: {record.getMessage()}", markup=False, highlight=False, soft_wrap=True)

    def __call__(self, what: str, done: int, total: int, words: str) -> None:
        """Show that `done` of `total` are done; where `done` falls or `total` changes, another step has begun."""
        if (what, total) != self._step or done < self._done or self._task is None:
            if self._task is not None:
                self._bar.stop_task(self._task)
            self._task = self._bar.add_task(what, total=total, completed=done, words=words)
            self._step, self._began, self._first = (what, total), time.monotonic(), done
        self._done = done
        if self._bar.disable:
            self._tell(what, done, total, words)
        else:
            self._bar.update(self._task, completed=done, words=words)

    def _tell(self, what: str, done: int, total: int, words: str) -> None:
        now = time.monotonic()
        if done < total and now - self._told < PLAIN_SECONDS:
            return
        self._told = now
        left = ""
        if self._first < done < total:
            left = f"; about {(now - self._began) * (total - done) / (done - self._first) / 60:.1f} min left"
        print(f"{what} {done}/{total}{f': {words}' if words else ''}{left}", file=sys.stderr, flush=True)


def imported(report: "ImportReport", cohort: "Cohort") -> None:
    """What came into a cohort, what did not, and what became of each ROI name."""
    _names(report.names)
    if report.left_out:
        table = Table("left out", "where", "why", title="What was not imported")
        for left in report.left_out:
            table.add_row(*(escape(printable(words)) for words in (left.what, str(left.where), left.why)))
        out.print(table)
    for note in report.notes:
        out.print(f"note: {printable(note)}", markup=False)
    added, there, left_out = (len(part) for part in (report.added, report.already_there, report.left_out))
    out.print(
        f"{added} added, {there} there already, {left_out} left out: {cohort.path}, centre {cohort.centre}",
        markup=False,
    )


def deidentified(written: "Deidentified", folder: Path) -> None:
    """What was written without its patients, what was not, and what a person must still look at."""
    _names(written.names)
    for left in written.left_out:
        out.print(printable(f"left out: {left.path}: {left.why}"), markup=False)
    for path, note in written.notes:
        out.print(printable(f"note: {path}: {note}"), markup=False)
    for kind, count in written.passed_over:
        out.print(f"passed over: {count} x {kind}; only CT and structure sets are written", markup=False)
    out.print(
        f"{written.series} CT series of {written.patients} patients, {written.structure_sets} structure sets, "
        f"{written.dropped_rois} ROIs without an organ's name dropped, {len(written.left_out)} left out: {folder}",
        markup=False,
    )
    out.print(
        "Pixels are as they were: look for text burned into them, and remember that a head CT can be rendered to a "
        "face. De-identified is not anonymous.",
        markup=False,
    )


def _names(names: "Sequence[tuple[NameRow, int]]") -> None:
    """What became of each ROI name."""
    table = Table("ROI name", "patients", "organ", "why", title="ROI names")
    for row, patients in names:
        table.add_row(escape(row.roi_name), str(patients), row.tg263 or row.status, escape(row.reason))
    out.print(table)


def cohort(opened: "Cohort", sound: "Sequence[Case]") -> None:
    """What a cohort holds: its patients that can be used, its organs, what was left out and why."""
    for notice in opened.notices:
        out.print(notice, markup=False)
    table = Table("case", "slices", "matrix", "pixel mm", "slice mm", "organs: cc", title=f"Centre {opened.centre}")
    volumes: dict[str, list[float]] = {}
    for case in sound:
        slices, rows, columns = case.grid.shape
        steps = sorted({round(above - below, 2) for below, above in pairwise(case.grid.slice_z_mm)})
        organs = ", ".join(f"{organ} {volume:.1f}" for organ, volume in sorted(case.volumes_cc.items()))
        pixel = " x ".join(f"{step:.2f}" for step in case.grid.spacing_mm)
        table.add_row(case.id, str(slices), f"{rows} x {columns}", pixel, "/".join(map(str, steps)), organs)
        for organ, volume in case.volumes_cc.items():
            volumes.setdefault(organ, []).append(volume)
    out.print(table)
    table = Table("organ", "patients", "median cc", "range cc", title="Organs")
    for organ, found in sorted(volumes.items()):
        table.add_row(organ, str(len(found)), f"{median(found):.2f}", f"{min(found):.2f} to {max(found):.2f}")
    out.print(table)
    _patients(sound)
    if drafts := [case.id for case in sound if case.is_draft]:
        out.print(
            f"recontour's own contours, by which a model learns and proves nothing: {', '.join(drafts)}", markup=False
        )
    for name, title in (("names.csv", "ROI names"), ("left_out.csv", "What was not imported")):
        if (opened.path / name).exists():
            _csv(opened.path / name, title)


def _patients(sound: "Sequence[Case]") -> None:
    """Which cases are one patient's, and of whom it is not known."""
    for alike in with_one_ct(sound):
        names = ", ".join(case.id for case in alike)
        out.print(f"the same CT, to the voxel: {names}", markup=False)
    for patient in by_patient(sound):
        if len(patient) > 1:
            out.print(f"CTs of one patient: {', '.join(case.id for case in patient)}", markup=False)
    if words := doubt(sound):
        out.print(words, markup=False)


def damaged(found: "Sequence[Damaged]") -> None:
    """The cases of a cohort that cannot be used, and why."""
    for case in found:
        out.print(printable(f"damaged: {case.id}: {case.why}"), markup=False, soft_wrap=True)


def exported(written: "Exported", folder: Path) -> None:
    """What was written of a cohort, and what was not."""
    for case, why in written.left_out.items():
        out.print(f"left out: {case}: {why}", markup=False)
    for case, voxels in written.shared_voxels.items():
        out.print(f"{case}: {voxels} voxels lay in several organs and are the smallest one's", markup=False)
    out.print(f"{len(written.cases)} cases, {len(written.left_out)} left out: {folder}", markup=False)


def converted(written: "Converted", path: Path) -> None:
    """What labels became."""
    for name, volume in written.volumes_cc.items():
        out.print(f"{name:<20}{volume:8.2f} cc", markup=False)
    for name in written.empty:
        out.print(f"{name:<20}no voxel is marked; left out", markup=False)
    out.print(f"written: {path}. Every contour must be reviewed.", markup=False)


def learnt(model: "Model", path: Path) -> None:
    """What a model is, now that it is written."""
    p = model.provenance
    if p.retrained_layers:
        fresh, dropped = (", ".join(organs) or "no organ" for organs in (p.fresh_organs, p.dropped_organs))
        out.print(f"retrained: the last {p.retrained_layers} layers; started fresh: {fresh}; dropped: {dropped}")
    organs = ", ".join(f"{organ} ({count})" for organ, count in p.cases_per_organ.items())
    out.print(f"{p.cases} patients of {p.lineage}; organs (patients): {organs}", markup=False)
    out.print(f"model: {path}", markup=False)


def contoured(found: "Contoured", path: Path) -> None:
    """What was contoured on a CT."""
    for organ, volume in found.volumes_cc.items():
        out.print(f"{organ:<20}{volume:8.2f} cc", markup=False)
    for organ in found.not_found:
        out.print(f"{organ:<20}not found on this CT", markup=False)
    for warning in found.warnings:
        out.print(f"warning: {warning}", markup=False)
    out.print(f"written: {path}. A first draft: every contour must be reviewed.", markup=False)


def scored(scores: Sequence["CaseScore"], folder: Path) -> None:
    """Mean DSC by organ and model, and where the report is."""
    from recontour.evaluation import common_organs, mean_over_organs
    from recontour.evaluation.summary import counts, number

    models = list(dict.fromkeys(row.model for row in scores))
    organs: dict[str, list[CaseScore]] = {}
    for row in scores:
        organs.setdefault(row.organ, []).append(row)
    common = common_organs(scores)
    table = Table("organ", "patients", *map(escape, models), title="Mean DSC")
    for organ, rows in organs.items():
        table.add_row(organ, counts(rows), *(number(mean_over_organs(rows, model, [organ]), 3) for model in models))
    means = [number(mean_over_organs(scores, model, common), 3) for model in models]
    table.add_row(f"mean over {len(common)} organ{'' if len(common) == 1 else 's'}", "", *means)
    out.print(table)
    if len(common) < len(organs):
        out.print("The mean is over the organs that every model has scored.")
    out.print(f"report: {folder / 'report.html'}", markup=False)


def planned(cells: Sequence["Cell"], estimates: Mapping[str, "Estimate"], workers: int) -> None:
    """A study's cells, and what they will cost."""
    table = Table("cell", "minutes", "MB", title="Cells, in the order of their start")
    for cell in cells:
        cost = estimates[cell.id]
        table.add_row(escape(cell.id), f"{cost.seconds / 60:.1f}", f"{cost.bytes / 1e6:.0f}")
    out.print(table)
    costs = [estimates[cell.id] for cell in cells]
    minutes = sum(cost.seconds for cost in costs) / 60
    size = sum(cost.bytes for cost in costs) / 1e9
    passing = sum(sorted(cost.cache_bytes for cost in costs)[-workers:]) / 1e9
    together = f", about {minutes / workers:.0f} min with {workers} workers" if workers > 1 else ""
    out.print(
        f"{len(cells)} cells: {minutes:.0f} min of training and scoring one by one{together}; {size:.1f} GB of disk, "
        f"and at most {passing:.1f} GB more while it runs"
    )


def studied(failed: Mapping[str, str], folder: Path) -> None:
    """How a study ended."""
    for name, why in failed.items():
        out.print(f"failed: {name}: {why}", markup=False)
    out.print(f"report: {folder / 'report.html'}", markup=False)


def _csv(path: Path, title: str) -> None:
    try:
        text = read_file(path, MOST_TABLE_BYTES).decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text, newline=""))
    except OSError as error:
        raise CohortError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    except (ValueError, csv.Error) as error:  # no line at all, not UTF-8, or no plain file
        raise CohortError(f"{path} is damaged; delete it, the cohort can be used without") from error
    table = Table(*map(escape, header), title=title)
    for row in rows:
        table.add_row(*map(escape, row))
    if rows:
        out.print(table)
