"""What the user is told: tables and progress.

Everything passes through `say`, `table_of`, `add_row` and `Progress`: words from a file or of its
name are shown letter by letter, never as markup, an emoji or what steers a terminal.
"""

import csv
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
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column, Table
from rich.text import Text

from recontour import findings
from recontour.cohort import by_patient, with_one_ct
from recontour.cohort.patients import doubt
from recontour.errors import CohortError
from recontour.files import UnreadableError
from recontour.findings import words
from recontour.texts import csv_rows, read_text
from recontour.wording import plural, printable, size_in_words

if TYPE_CHECKING:
    from recontour.cohort import Case, Cohort
    from recontour.cohort.importing import ImportReport
    from recontour.cohort.store import DamagedCase
    from recontour.dicom.deidentify import Deidentified
    from recontour.evaluation import CaseScore
    from recontour.exchange.convert import Converted
    from recontour.exchange.export import Exported
    from recontour.network import Model
    from recontour.organs import NameRow
    from recontour.study.cells import Cell
    from recontour.study.estimate import Estimate
    from recontour.workflows import Contoured

out = Console(
    highlight=False, width=None if sys.stdout.isatty() else 200
)  # tables in a log are not squeezed
LOG = logging.getLogger("recontour")
MOST_SHOWN_BYTES, MOST_COLUMNS = 2**26, 20  # of a table that is shown
PLAIN_SECONDS = 30.0  # between two lines where there is no terminal to draw a bar on


def say(words: str) -> None:
    """Show a line: wrapped between words on a terminal, whole in a log."""
    out.print(plain(words), soft_wrap=not out.is_terminal)


def plain(words: str) -> Text:
    """Words as they are."""
    return Text(printable(words))


def table_of(title: str, *columns: str) -> Table:
    """A table without rows yet."""
    return Table(*(Column(plain(column)) for column in columns), title=plain(title))


def add_row(table: Table, *cells: str) -> None:
    """Add a row to a table."""
    table.add_row(*map(plain, cells))


class Progress(logging.Handler):
    """A bar on a terminal, in a log file a line now and then;

    between them, whole, what a person should know.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeElapsedColumn(
                table_column=Column(no_wrap=True, min_width=7)
            ),  # 0:00:00, whole on a narrow screen
            TextColumn("left", table_column=Column(min_width=4)),
            TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
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
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._bar.stop()
        LOG.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Say one line."""
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        self._bar.console.print(plain(f"{kind}: {record.getMessage()}"), soft_wrap=True)

    def __call__(self, what: str, done: int, total: int, words: str) -> None:
        """Show that `done` of `total` are done;

        where `done` falls or `total` changes, another step has begun.
        """
        what, words = printable(what), printable(words)
        if (what, total) != self._step or done < self._done or self._task is None:
            if self._task is not None:
                self._bar.stop_task(self._task)
            else:
                self._bar.start()
            self._task = self._bar.add_task(what, total=total, completed=done, words=words)
            self._step, self._began, self._first = (what, total), time.monotonic(), done
        self._done = done
        if self._bar.disable:
            self._tell(what, done, total, words)
        else:
            self._bar.update(self._task, completed=done, words=words)

    def _tell(self, what: str, done: int, total: int, words: str) -> None:
        now = time.monotonic()
        if not total:  # nothing to do: what is said afterwards tells why
            return
        if done < total and now - self._told < PLAIN_SECONDS:
            return
        self._told = now
        left = ""
        if self._first < done < total:
            left = f"; about {(now - self._began) * (total - done) / (done - self._first) / 60:.1f} min left"
        print(
            f"{what} {done}/{total}{f': {words}' if words else ''}{left}",
            file=sys.stderr,
            flush=True,
        )


def imported(report: "ImportReport", cohort: "Cohort") -> None:
    """What came into a cohort, what did not, and what became of each ROI name."""
    _names(report.names)
    if report.left_out:
        table = table_of("What was not imported", "left out", "where", "why")
        for left in report.left_out:
            add_row(table, left.what, str(left.place), words(left.finding))
        out.print(table)
    for note in report.notes:
        say(f"note: {words(note)}")
    for kind, count in report.passed_over:
        say(f"passed over: {count} x {kind}")
    added, there, left_out = (
        len(part) for part in (report.added, report.already_there, report.left_out)
    )
    say(
        f"{added} added, {there} there already, {left_out} left out: {cohort.path}, centre {cohort.centre}",
    )


def deidentified(written: "Deidentified", folder: Path) -> None:
    """What was written without its patients, what was not, and what a person must still look at."""
    _names(written.names)
    for left in written.left_out:
        say(f"left out: {findings.words(left.finding)}")
    for note in written.notes:
        say(f"note: {findings.words(note)}")
    for kind, count in written.passed_over:
        say(f"passed over: {count} x {kind}; only CT and structure sets are written")
    say(
        f"{written.series} CT series of {plural(written.patients, 'patient')}, "
        f"{plural(written.structure_sets, 'structure set')}, "
        f"{plural(written.dropped_rois, 'ROI')} without an organ's name dropped, "
        f"{len(written.left_out)} left out: {folder}",
    )
    say(
        "Pixels are as they were: look for text burned into them, and remember that a head CT can be rendered to a "
        "face. De-identified is not anonymous.",
    )


def _names(names: "Sequence[tuple[NameRow, int]]") -> None:
    """What became of each ROI name."""
    table = table_of("ROI names", "ROI name", "patients", "organ", "why")
    for row, patients in names:
        add_row(table, row.roi_name, str(patients), row.tg263 or row.status, words(row.reason))
    out.print(table)


def cohort(opened: "Cohort", sound: "Sequence[Case]") -> None:
    """What a cohort holds: its patients that can be used, its organs, what was left out and why."""
    for notice in opened.notices:
        say(notice)
    table = table_of(
        f"Centre {opened.centre}", "case", "slices", "matrix", "pixel mm", "slice mm", "organs: cc"
    )
    volumes: dict[str, list[float]] = {}
    for case in sound:
        slices, rows, columns = case.grid.shape
        steps = sorted({round(above - below, 2) for below, above in pairwise(case.grid.slice_z_mm)})
        organs = ", ".join(
            f"{organ} {volume:.1f}" for organ, volume in sorted(case.volumes_cc.items())
        )
        pixel = " x ".join(f"{step:.2f}" for step in case.grid.spacing_mm)
        add_row(
            table,
            case.id,
            str(slices),
            f"{rows} x {columns}",
            pixel,
            "/".join(map(str, steps)),
            organs,
        )
        for organ, volume in case.volumes_cc.items():
            volumes.setdefault(organ, []).append(volume)
    out.print(table)
    table = table_of("Organs", "organ", "patients", "median cc", "range cc")
    for organ, found in sorted(volumes.items()):
        add_row(
            table,
            organ,
            str(len(found)),
            f"{median(found):.2f}",
            f"{min(found):.2f} to {max(found):.2f}",
        )
    out.print(table)
    _patients(sound)
    if drafts := [case.id for case in sound if case.is_draft]:
        say(
            f"recontour's own contours, by which a model learns and proves nothing: {', '.join(drafts)}"
        )
    for name, title in (("names.csv", "ROI names"), ("left_out.csv", "What was not imported")):
        if (opened.path / name).exists():
            _csv(opened.path / name, title)


def _patients(sound: "Sequence[Case]") -> None:
    """Which cases are one patient's, and of whom it is not known."""
    for alike in with_one_ct(sound):
        names = ", ".join(case.id for case in alike)
        say(f"the same CT, to the voxel: {names}")
    for patient in by_patient(sound):
        if len(patient) > 1:
            say(f"CTs of one patient: {', '.join(case.id for case in patient)}")
    if doubtful := doubt(sound):
        say(words(doubtful))


def damaged(found: "Sequence[DamagedCase]") -> None:
    """The cases of a cohort that cannot be used, and why."""
    for case in found:
        out.print(plain(f"damaged: {case.id}: {words(case.finding)}"), soft_wrap=True)


def exported(written: "Exported", folder: Path) -> None:
    """What was written of a cohort, and what was not."""
    for reason in written.left_out:
        say(f"left out: {words(reason)}")
    for case, voxels in written.shared_voxels.items():
        say(
            f"{case}: {plural(voxels, 'voxel')} of several organs at once, given to the smallest of them"
        )
    say(f"{plural(len(written.cases), 'case')}, {len(written.left_out)} left out: {folder}")


def converted(written: "Converted", path: Path) -> None:
    """What labels became."""
    for name, volume in written.volumes_cc.items():
        say(f"{name:<20}{volume:8.2f} cc")
    for name in written.empty:
        say(f"{name:<20}no voxel is marked; left out")
    for note in written.notes:
        say(f"note: {words(note)}")
    say(f"written: {path}. Every contour must be reviewed.")


def learnt(model: "Model", path: Path) -> None:
    """What a model is, now that it is written."""
    p = model.provenance
    if p.retrained_layers:
        fresh, dropped = (
            ", ".join(organs) or "no organ" for organs in (p.fresh_organs, p.dropped_organs)
        )
        layers = "layer" if p.retrained_layers == 1 else f"{p.retrained_layers} layers"
        say(f"{p.lineage}: retrained the last {layers}; started fresh: {fresh}; dropped: {dropped}")
    organs = ", ".join(f"{organ} ({count})" for organ, count in p.cases_per_organ.items())
    say(f"trained on {plural(p.cases, 'patient')} of {p.centre}; organs (patients): {organs}")
    say(f"model: {path}")


def contoured(found: "Contoured", path: Path) -> None:
    """What was contoured on a CT."""
    for organ, volume in found.volumes_cc.items():
        say(f"{organ:<20}{volume:8.2f} cc")
    for organ in found.not_found:
        say(f"{organ:<20}not found on this CT")
    for warning in found.warnings:
        say(f"warning: {words(warning)}")
    say(f"written: {path}. A first draft: every contour must be reviewed.")


def scored(scores: Sequence["CaseScore"], folder: Path) -> None:
    """Mean DSC by organ and model, and where the report is."""
    from recontour.evaluation import common_organs, mean_over_organs
    from recontour.evaluation.numbers import number
    from recontour.evaluation.summary import counts

    models = list(dict.fromkeys(row.model for row in scores))
    organs: dict[str, list[CaseScore]] = {}
    for row in scores:
        organs.setdefault(row.organ, []).append(row)
    common = common_organs(scores)
    table = table_of("Mean DSC", "organ", "patients", *models)
    for organ, rows in organs.items():
        add_row(
            table,
            organ,
            counts(rows),
            *(number(mean_over_organs(rows, model, [organ]), 3) for model in models),
        )
    means = [number(mean_over_organs(scores, model, common), 3) for model in models]
    add_row(table, f"mean over {plural(len(common), 'organ')}", "", *means)
    out.print(table)
    if len(common) < len(organs):
        say("The mean is over the organs that every model has scored.")
    say(f"report: {folder / 'report.html'}")


def planned(cells: Sequence["Cell"], estimates: Mapping[str, "Estimate"], workers: int) -> None:
    """A study's cells, and what they will cost."""
    table = table_of("Cells, in the order of their start", "cell", "minutes", "MB")
    for cell in cells:
        cost = estimates[cell.id]
        add_row(table, cell.id, f"{cost.seconds / 60:.1f}", f"{cost.bytes / 1e6:.0f}")
    out.print(table)
    costs = [estimates[cell.id] for cell in cells]
    minutes = sum(cost.seconds for cost in costs) / 60
    size = size_in_words(sum(cost.bytes for cost in costs))
    passing = size_in_words(sum(sorted(cost.cache_bytes for cost in costs)[-workers:]))
    together = f", about {minutes / workers:.0f} min with {workers} workers" if workers > 1 else ""
    say(
        f"{len(cells)} cells: {minutes:.0f} min of training and scoring one by one{together}; {size} of disk, "
        f"and at most {passing} more while it runs"
    )


def studied(failed: Mapping[str, str], folder: Path) -> None:
    """How a study ended."""
    for name, why in failed.items():
        say(f"failed: {name}: {why}")
    say(f"report: {folder / 'report.html'}")


def _csv(path: Path, title: str) -> None:
    try:
        header, *rows = csv_rows(read_text(path, MOST_SHOWN_BYTES))
        if len(header) > MOST_COLUMNS:
            raise ValueError("too many columns")
    except UnreadableError as error:
        raise CohortError(
            f"{path} cannot be read ({error}); the cohort can be used without it"
        ) from error
    except (ValueError, csv.Error) as error:  # no line at all, or no table
        raise CohortError(
            f"{path} is damaged; move it away, the cohort can be used without it"
        ) from error
    table = table_of(title, *header)
    for row in rows:
        add_row(table, *row[: len(header)])
    if rows:
        out.print(table)
