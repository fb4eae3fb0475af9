"""A study, run: as many workers as it asks for take its cells one by one until none is left.

Workers agree through the study's folder alone: a cell is taken by holding its lock, and is finished
when its result is there. So the same command on another machine that sees the folder helps along,
and a kill at any moment costs at most what came after the last checkpoint.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from recontour.cohort import Cohort
from recontour.errors import FaultError, OutputError, RecontourError, SettingsError
from recontour.files import UnreadableError, output_error, write_text
from recontour.findings import log_finding, stored_words
from recontour.network import Network
from recontour.processes import HeldError, ended_by_signals, held, ignore_signals, script_left_out
from recontour.progress import Progress
from recontour.study.cells import Cell, Plan, plan_of
from recontour.study.perform import Workspace, perform, recipe_of
from recontour.study.results import cell_folder, is_finished, read_results
from recontour.study.settings import Study, threads_of
from recontour.study.split import (
    on_both_sides,
    patients_of,
    read_patients,
    read_split,
    refuse_edited,
    refuse_replaced,
    refuse_shared,
    split_of,
    write_split,
)
from recontour.syncing import make_folders
from recontour.texts import MOST_TOML_BYTES, open_own, read_given
from recontour.training.presets import preset_of
from recontour.transfer.depth import layers
from recontour.validation import first_mistake
from recontour.wording import printable

POLL_SECONDS = 1.0
GRACE_SECONDS = 60.0  # for a worker to finish an iteration and to clean up
MOST_WHY = 2000  # characters of the reason why a cell failed
BEGIN_AGAIN = "put a copy of it back, or begin the study in another --out"


# The folder


def prepare(study: Study, out: Path, *, resume: bool) -> None:
    """Write down what was declared, and the split; or check that what is there is the same study.

    A study may grow between two runs (more seeds, more depths): what stands keeps its place.
    Raises: OutputError, SettingsError.
    """
    if not is_study(out):
        if out.exists() and not out.is_dir():
            raise OutputError(f"{out} is a file, and a study is a folder; choose another --out")
        if out.exists() and {path.name for path in out.iterdir()} - {"split.csv"}:
            raise OutputError(f"{out} exists and is no study; choose a new folder")
        workspace = lay_out(study, out)
        write_split(out / "split.csv", workspace.splits, workspace.cohorts)
    elif not resume:
        raise OutputError(
            f"{out} holds a study; go on with it by --resume, or choose another --out"
        )
    else:
        workspace = go_on(study, out)
        _warn_of_another_recipe(workspace)
    for finding in on_both_sides(workspace.cohorts, workspace.splits):
        log_finding(logging.getLogger(__name__), logging.WARNING, finding)
    declared = TypeAdapter(Study).dump_json(workspace.study, indent=1).decode()
    write_text(out / "study.json", declared + "\n", replace=True)


def _warn_of_another_recipe(workspace: Workspace) -> None:
    now = recipe_of(workspace.study).items()
    trained_with = [
        result.trained_with
        for result in read_results(workspace.out, study_plan(workspace).cells).values()
    ]
    if others := sum(
        bool(with_what) and not now <= with_what.items() for with_what in trained_with
    ):
        logging.getLogger(__name__).warning(
            "finished cells of another recipe than this recontour's: %d; the report tells them apart",
            others,
        )


def is_study(out: Path) -> bool:
    """Whether a folder holds a study that was begun."""
    return (out / "study.json").exists()


def lay_out(study: Study, out: Path) -> Workspace:
    """What all cells of a study that is only declared will share. Nothing is written."""
    cohorts = _cohorts(study)
    splits = {
        name: split_of(name, getattr(study, name), cohort) for name, cohort in cohorts.items()
    }
    refuse_shared(cohorts, splits)
    patients = {name: patients_of(cohort, splits[name]) for name, cohort in cohorts.items()}
    workspace = Workspace(study, out, cohorts, splits, patients)
    refuse_impossible(workspace)
    organs = study_plan(workspace).models[0].s.organs  # patients imported later change nothing
    return replace(workspace, study=replace(study, organs=organs))


def go_on(study: Study, out: Path) -> Workspace:
    """What all cells of a study share that was begun, and grew in its file; what is fixed, as the
    folder keeps it.

    Nothing is written. Raises: SettingsError: it is another study, or its cases are others.
    """
    before = read_declared(out)
    if study.organs == "all":
        study = replace(study, organs=before.organs)
    fixed = ("source", "target", "preset", "organs", "retention_cases")
    if changed := [name for name in fixed if getattr(before, name) != getattr(study, name)]:
        raise SettingsError(
            f"{out} is a study with another {', '.join(changed)}; choose another --out for this one"
        )
    workspace = _kept_workspace(study, out)
    refuse_impossible(workspace)
    refuse_replaced(out / "split.csv", workspace.cohorts)
    for name, split in workspace.splits.items():
        refuse_edited(split, name, getattr(study, name), workspace.cohorts[name])
    return workspace


def read_declared(out: Path) -> Study:
    """The study that a folder holds."""
    try:
        return TypeAdapter(Study).validate_json(read_given(out / "study.json", MOST_TOML_BYTES))
    except OSError as error:
        raise SettingsError(
            f"{out} is no study (study.json: {error.strerror}); check the path, or run `recontour study` first"
        ) from error
    except ValidationError as error:
        raise SettingsError(
            f"{out}/study.json is damaged ({first_mistake(error, Study).sentence()}); {BEGIN_AGAIN}"
        ) from error
    except UnreadableError as error:
        raise SettingsError(f"{out}/study.json is damaged ({error}); {BEGIN_AGAIN}") from error


def open_workspace(out: Path) -> Workspace:
    """What all cells of a study that was begun share."""
    return _kept_workspace(read_declared(out), out)


def _kept_workspace(study: Study, out: Path) -> Workspace:
    cohorts = _cohorts(study)
    path = out / "split.csv"
    splits = {name: read_split(path, name, cohort) for name, cohort in cohorts.items()}
    patients = {
        name: read_patients(path, name, cohort, splits[name]) for name, cohort in cohorts.items()
    }
    return Workspace(study, out, cohorts, splits, patients)


def _cohorts(study: Study) -> dict[str, Cohort]:
    return {name: Cohort.open(getattr(study, name).cohort) for name in ("source", "target")}


def study_plan(workspace: Workspace) -> Plan:
    """The study's cells."""
    study = workspace.study
    organs = _learnable(workspace) if study.organs == "all" else study.organs
    patients = {
        workspace.patient_of("target", case) for case in workspace.splits["target"]["train"]
    }
    return plan_of(study, organs, _depth(study), len(patients))


def refuse_impossible(workspace: Workspace) -> None:
    """Raise SettingsError where no cell could be trained as declared:

    an organ, or a depth, that is not there.
    """
    study, there = workspace.study, _learnable(workspace)
    separately = study.separately.organs if study.separately else ()
    for key, declared in (("organs", study.organs), ("separately.organs", separately)):
        unknown = [organ for organ in declared if organ not in there] if declared != "all" else []
        if unknown or not there:
            raise SettingsError(
                f"{key}: patients to train on of both centres must have {', '.join(unknown) or 'one organ or more'}; "
                f"both have {', '.join(there) or 'none'}"
            )
    if study.models.retrain_last > (depth := _depth(study)):
        raise SettingsError(
            f"models.retrain_last is {study.models.retrain_last}: the network of preset {study.preset} has {depth} "
            f"layers; choose 1 (SPP alone) to {depth} (all), 10 for the paper's depth"
        )


def _learnable(workspace: Workspace) -> list[str]:
    """The organs that at least one patient to train on of each centre has, sorted."""
    source, target = (
        {organ for case in workspace.cases(centre, "train") for organ in case.organs}
        for centre in ("source", "target")
    )
    return sorted(source & target)


def _depth(study: Study) -> int:
    return len(layers(Network(preset_of(study.preset).architecture, 1)))


# The workers


def run(out: Path, progress: Progress) -> dict[str, str]:
    """Run all cells that are not finished.

    Returns: why cells failed, by id; the others are finished.
    Raises: FaultError: every worker died, as when the memory is full.
    """
    workspace = open_workspace(out)
    cells = study_plan(workspace).cells
    refuse_links(out, cells)
    for cell in cells:
        (cell_folder(out, cell) / "failed.txt").unlink(missing_ok=True)  # tried again
    with _workers(
        out, _workers_needed(out, workspace, cells), threads_of(workspace.study)
    ) as workers:
        while any(worker.is_alive() for worker in workers):
            if not all(is_finished(out, cell) for cell in cells):
                _tell(out, cells, progress)
            wait([worker.sentinel for worker in workers if worker.is_alive()], timeout=POLL_SECONDS)
    failed = failures(out, cells)
    if left := [cell.id for cell in cells if not is_finished(out, cell) and cell.id not in failed]:
        raise FaultError(
            f"{len(left)} cells are unfinished, as the processes that ran them died (is the memory full?), "
            f"the first is {left[0]}; go on with --resume, perhaps with fewer workers"
        )
    _tell(out, cells, progress)
    return failed


def _workers_needed(out: Path, workspace: Workspace, cells: Sequence[Cell]) -> int:
    """None where nothing is left to do."""
    left = sum(not is_finished(out, cell) for cell in cells)
    return min(workspace.study.workers, left)


def refuse_links(out: Path, cells: Sequence[Cell]) -> None:
    """Raise OutputError where a folder of the study is a link:

    a study that came from elsewhere writes nowhere else.
    """
    for folder in (out / "cells", out / "tables", *(cell_folder(out, cell) for cell in cells)):
        if folder.is_symlink():
            raise OutputError(
                f"{folder} is a link, and a study writes only into its own folder; put the folder itself there"
            )


def failures(out: Path, cells: Sequence[Cell]) -> dict[str, str]:
    """Why cells failed, by id, in a line each."""
    failed = [cell for cell in cells if _has_failed(out, cell)]
    return {cell.id: _first_line(cell_folder(out, cell) / "failed.txt") for cell in failed}


@contextmanager
def _workers(out: Path, count: int, threads: int) -> Iterator[Sequence[BaseProcess]]:
    """Processes that work for as long as this one lives."""
    fresh = multiprocessing.get_context(
        "spawn"
    )  # a fork would inherit PyTorch's threads in an unknown state
    workers = [fresh.Process(target=_work, args=(out, threads)) for _ in range(count)]
    gpus = torch.cuda.device_count()
    try:
        for number, worker in enumerate(workers):
            one_gpu = {"CUDA_VISIBLE_DEVICES": number % gpus} if gpus > 1 else {}
            with _environment(OMP_NUM_THREADS=threads, **one_gpu), script_left_out():
                worker.start()
        yield workers
    finally:
        _end([worker for worker in workers if worker.pid])


def _end(workers: Sequence[BaseProcess]) -> None:
    """Let workers keep what they have and clean up;

    those that take too long, or if we may not wait, are killed.
    """
    for worker in workers:
        worker.terminate()
    until = time.monotonic() + GRACE_SECONDS
    try:
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()


@contextmanager
def _environment(**values: int) -> Iterator[None]:
    """Variables for processes started meanwhile, which read them once, when they load their
    libraries.
    """
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _work(out: Path, threads: int) -> None:
    """A worker's life:

    take a cell, perform it, take the next; until it is asked to end, or its parent has ended.
    """
    ignore_signals()  # Ctrl-C and a closed terminal are for the process that the user started
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    multiprocessing.set_start_method(
        None, force=True
    )  # what loads data is started as in any other training
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    with suppress(KeyboardInterrupt), ended_by_signals():
        workspace = open_workspace(out)
        cells = study_plan(workspace).cells
        while open_cells := [
            cell for cell in cells if not (is_finished(out, cell) or _has_failed(out, cell))
        ]:
            if not any(_take(cell, workspace) for cell in open_cells):
                time.sleep(POLL_SECONDS)  # others are at what is left, or at what it waits for


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)  # the main thread keeps what it has, and cleans up
        time.sleep(GRACE_SECONDS)
        os._exit(1)


def _take(cell: Cell, workspace: Workspace) -> bool:
    """Perform a cell, if its parent is finished and nobody else is at it;

    say whether anything was done.
    """
    folder = cell_folder(workspace.out, cell)
    if cell.parent and _has_failed(workspace.out, cell.parent):
        _fail(folder, f"{cell.parent.id}, which it starts from, failed")
        return True
    if cell.parent and not is_finished(workspace.out, cell.parent):
        return False
    make_folders(folder)
    at = folder / "at"
    try:
        with held(folder / "lock"):
            if is_finished(workspace.out, cell) or _has_failed(workspace.out, cell):
                return True
            try:
                perform(cell, workspace, partial(_say, at))
            finally:
                at.unlink(missing_ok=True)
            (folder / "failed.txt").unlink(missing_ok=True)
    except HeldError:
        return False
    except RecontourError as error:
        _fail(folder, stored_words(error.finding))
    except Exception as error:  # the rest of the study goes on, whatever happened here
        _fail(folder, f"{type(error).__name__}: {error}", traceback.format_exc())
    return True


def _has_failed(out: Path, cell: Cell) -> bool:
    return (cell_folder(out, cell) / "failed.txt").exists()


def _fail(folder: Path, why: str, trace: str = "") -> None:
    text = (
        printable(" ".join(why.split())) + "\n" + trace.encode("utf-8", "replace").decode("utf-8")
    )
    write_text(folder / "failed.txt", text, replace=True)


def _tell(out: Path, cells: Sequence[Cell], progress: Progress) -> None:
    """Say how many cells are done, and what is going on."""
    done = sum(is_finished(out, cell) for cell in cells)
    failed = [cell for cell in cells if _has_failed(out, cell)]
    left = [cell for cell in cells if not is_finished(out, cell) and cell not in failed]
    going = {cell.id: cell_folder(out, cell) / "at" for cell in left}
    words = [f"{name} {_first_line(at)}" for name, at in going.items() if at.exists()]
    progress(
        "cells",
        done,
        len(cells),
        "; ".join([*([f"{len(failed)} failed"] if failed else []), *words]),
    )


def _say(at: Path, words: str) -> None:
    """Note what a cell is at, for the process that shows it."""
    try:
        with open_own(at, append=False) as file:
            file.write(words)
    except OSError as error:
        raise output_error(at, error) from error


def _first_line(path: Path) -> str:
    """Of a file that another process, or another person, wrote; empty where there is none."""
    try:
        text = read_given(path, MOST_TOML_BYTES).decode("utf-8", "replace")
    except OSError:  # it has just been finished
        return ""
    except UnreadableError as error:
        return f"{path.name} cannot be read: {error}"
    return printable(text.partition("\n")[0])[:MOST_WHY]
