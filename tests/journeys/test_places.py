"""`--on PLACE`: the same results from other processes, whatever happens to these."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from tests.conftest import fill
from tests.executors.conftest import two_nodes, workers_of
from tests.journeys.conftest import PATIENT_ID, Journey, write_patient
from tests.journeys.deaths import (
    die_at_one,
    import_apart_and_die_at_first,
    score_and_die_at_first,
)

import recontour
from recontour.assess.findings import IncomparableKeys, TrainedOnThisPatient
from recontour.cli import main
from recontour.cohort import Cohort, importing
from recontour.cohort.patients import salt_for
from recontour.contouring import seen
from recontour.contouring.contourer import Contourer
from recontour.dicom import read_scan
from recontour.errors import FaultError, ModelFileError
from recontour.evaluation import CaseScore
from recontour.executors import DeadWorker
from recontour.network import load_model, save_model
from recontour.network.body import body_centre_mm
from recontour.workflows import (
    SeriesContoured,
    contouring_many,
    evaluating_cases,
    model_elsewhere,
)
from recontour.workflows.contouring_many import _contoured_elsewhere, _Order, _Task
from recontour.workflows.evaluating_cases import ScoredCase
from recontour.workflows.findings import AnotherModel
from recontour.workflows.model_elsewhere import ModelElsewhere

SHOWN = 0.02  # of what the network sees, each organ takes that much
MANY = 8
WHOLE = "[!.]*/*.nii.gz"  # a partial folder begins with a dot


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes find this module, whose functions they call."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several patients, of whom one has a hole in the CT."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(MANY):
        write_patient(folder / f"{number}", number)
    slices = sorted((folder / "1" / "CT").iterdir())
    slices[2].unlink()
    return folder


@pytest.fixture(scope="module")
def finder(journey: Journey, many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that finds something everywhere; two steps of training find nothing."""
    model = load_model(journey.model_s)
    scan = read_scan(many / "0" / "CT")
    centre_mm = body_centre_mm(scan.hu, scan.grid)
    with torch.no_grad():
        seen_NSHW = list(seen.seen_of(scan.hu, scan.grid, centre_mm, model.preprocessing))
        scores_N2Khw = model.network.scores(torch.cat(seen_NSHW))
        logits_NKhw = scores_N2Khw[:, 1::2] - scores_N2Khw[:, 0::2]
        bias = model.network.own_head.last_layer.bias
        assert bias is not None
        bias[1::2] -= torch.quantile(logits_NKhw.transpose(0, 1).flatten(1), 1 - SHOWN, dim=1)
    path = tmp_path_factory.mktemp("finder") / "finder.safetensors"
    save_model(model, path)
    return path


def contour(model: Path, many: Path, out: Path, *more: str) -> list[str]:
    return ["contour", str(model), str(many), "--anyway", "--out", str(out), *more]


@pytest.fixture(scope="module")
def masks(finder: Path, many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is found without any `--on`, by file."""
    out = tmp_path_factory.mktemp("plain") / "out"
    assert main(contour(finder, many, out, "--format", "nifti")) == 2  # one has a hole
    return masks_in(out)


def masks_in(out: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(out.glob(WHOLE)):
        image = nibabel.load(path)
        assert isinstance(image, nibabel.Nifti1Image)
        found[str(path.relative_to(out))] = np.asarray(image.dataobj).tobytes()
    assert any(map(any, found.values()))
    return found


def told(capsys: pytest.CaptureFixture[str], out: Path) -> str:
    said = capsys.readouterr()
    return (said.out + said.err.splitlines()[-1]).replace(str(out), "OUT")


class Noted(Contourer):
    """Writes a line beside the model whenever it is loaded."""

    @classmethod
    def load(cls, path: Path | str) -> Self:
        with Path(path).with_suffix(".loads").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return super().load(path)


def notes_loading(order: _Order, task: _Task) -> SeriesContoured:
    model_elsewhere.Contourer = Noted  # type: ignore[attr-defined]
    return _contoured_elsewhere(order, task)


def test_contour_says_and_finds_the_same_on_two_processes_that_load_the_model_once(
    finder: Path,
    many: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(contouring_many, "_contoured_elsewhere", notes_loading)
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(contour(finder, many, here)) == 2
    plain = told(capsys, here)
    assert main(contour(finder, many, there, "--on", "local:2")) == 2
    assert told(capsys, there) == plain
    assert f"{MANY - 1} contoured, 0 done before, 1 failed" in plain
    assert names(there) == names(here)
    for path in here.glob("*.dcm"):
        assert drawn(there / path.name) == drawn(path)
    loads = finder.with_suffix(".loads").read_text().split()
    assert len(loads) == len(set(loads)) <= 2
    assert main(contour(finder, many, there, "--on", "local:2")) == 2
    assert f"0 contoured, {MANY - 1} done before, 1 failed" in told(capsys, there)


def contour_without_a_home(order: _Order, task: _Task) -> SeriesContoured:
    os.environ["XDG_DATA_HOME"] = str(task.out.parent)
    return _contoured_elsewhere(order, task)


def test_patients_of_the_training_are_recognised_by_a_process_that_lacks_the_salt(
    finder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two patients, the model knows one by the key; of another salt, nothing is known."""
    monkeypatch.setattr(contouring_many, "_contoured_elsewhere", contour_without_a_home)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    for number in (20, 21):
        write_patient(tmp_path / "dicom" / f"{number}", number)
    model = load_model(finder)
    salt = salt_for(tmp_path / "any")
    kinds = []
    for keys in ((salt.key(f"{PATIENT_ID}20"),), ("89abcdef-0000000000000000",)):
        known = replace(model.provenance, trained_on=(), trained_on_patients=keys)
        save_model(replace(model, provenance=known), tmp_path / f"{keys[0]}.safetensors")
        many = recontour.contour_all(
            tmp_path / f"{keys[0]}.safetensors",
            tmp_path / "dicom",
            tmp_path / keys[0],
            anyway=True,
            on="local:1",
        )
        for one in many:
            assert one.found
            about_patients = (TrainedOnThisPatient, IncomparableKeys)
            kinds.append([w for w in one.found.warnings if isinstance(w, about_patients)])
    by_id = TrainedOnThisPatient(known_by="PatientID")
    assert kinds == [[by_id], [], [IncomparableKeys()], [IncomparableKeys()]]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def drawn(path: Path) -> str:
    """Return a structure set without its own UIDs and times."""
    dataset = pydicom.dcmread(path)
    own = ("SOPInstanceUID", "SeriesInstanceUID")
    times = []
    for what in ("InstanceCreation", "Series", "StructureSet"):
        times += [f"{what}Date", f"{what}Time"]
    for keyword in (*own, *times):
        if keyword in dataset:
            delattr(dataset, keyword)
    return dataset.to_json()


def started(command: list[str]) -> subprocess.Popen[str]:
    whole = [sys.executable, "-m", "recontour", *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(whole, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def wait_until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not true():
        assert process.poll() is None
        time.sleep(0.01)


def test_a_series_whose_worker_is_killed_is_tried_again(
    finder: Path, many: Path, masks: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(contour(finder, many, out, "--format", "nifti", "--on", "local:2"))
    wait_until(lambda: workers_of(process.pid), process)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)  # it is loading, with a series in hand
    said, _ = process.communicate()
    assert f"{MANY - 1} contoured, 0 done before, 1 failed" in said
    assert masks_in(out) == masks


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on(
    finder: Path, many: Path, masks: dict[str, bytes], tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "out"
    command = contour(finder, many, out, "--format", "nifti", "--on", "local:1")
    process = started(command)
    wait_until(lambda: list(out.glob(WHOLE)), process)
    workers = workers_of(process.pid)
    process.send_signal(how)
    _, said = process.communicate()
    wait_until_gone(workers)
    if how is signal.SIGINT:
        assert "interrupted; nothing was left half written" in said
        assert not list(out.glob(".*.partial"))
    whole = len(masks_in(out))
    assert whole
    process = started(command)
    said, _ = process.communicate()
    counts = re.search(r"(\d+) contoured, (\d+) done before, 1 failed", said)
    assert counts
    assert int(counts[1]) + int(counts[2]) == MANY - 1
    assert int(counts[2])
    assert masks_in(out) == masks


def wait_until_gone(processes: list[int]) -> None:
    for process in processes:
        while Path("/proc", str(process)).exists():
            time.sleep(0.01)


def test_contour_finds_the_same_on_two_nodes_that_see_the_folder(
    finder: Path,
    many: Path,
    masks: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shutil.copytree(many, shared / "dicom")
    shutil.copy(finder, shared / "finder.safetensors")
    with two_nodes(tmp_path) as nodes:
        monkeypatch.chdir(shared)  # the nodes are elsewhere
        command = contour(Path("finder.safetensors"), Path("dicom"), Path("out"))
        assert main([*command, "--format", "nifti", "--on", nodes.address]) == 2
    assert masks_in(shared / "out") == masks


def test_a_series_that_kills_its_processes_fails_and_the_rest_goes_on(
    finder: Path,
    many: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(contouring_many, "_contoured_elsewhere", die_at_one)
    assert main(contour(finder, many, tmp_path / "out", "--on", "local:2")) == 2
    said = capsys.readouterr().out
    assert f"{many / '3' / 'CT'}: the worker process ended early 3 times (signal SIGKILL" in said
    assert f"0 contoured, {MANY - 1} done before, 1 failed" in said


def test_a_process_loads_a_model_once_and_refuses_one_that_was_exchanged(finder: Path) -> None:
    described = ModelElsewhere.of(finder, load_model(finder))
    assert described.loaded() is described.loaded()
    with pytest.raises(ModelFileError) as error:
        replace(described, sha256="0" * 64).loaded()
    assert error.value.finding == AnotherModel(path=finder)


def test_a_place_that_does_not_exist_is_refused_first(
    finder: Path, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(contour(finder, many, tmp_path / "out", "--on", "here")) == 2
    assert "no place to run jobs ('here')" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


SALT = f"recontour salt 1\n{'cd' * 32}\n"


def make_folder(folder: Path) -> None:
    """Make a folder for a cohort, with a fixed salt, so that patients' keys are always the same."""
    folder.mkdir()
    (folder / ".recontour-salt").write_text(SALT)
    (folder / ".recontour-salt").chmod(0o600)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies in a folder, hidden files, too; None stands for a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        found[str(path.relative_to(folder))] = path.read_bytes() if path.is_file() else None
    return found


def cohort_tree(path: Path) -> dict[str, bytes | None]:
    """Return all that lies in a cohort, but for its random id."""
    found = tree(path)
    about = found["cohort.json"]
    cohort_id = Cohort.open(path).id
    assert about
    assert cohort_id
    found["cohort.json"] = about.replace(cohort_id.encode(), b"ID")
    return found


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    """Patients of several kinds: sound ones, one with a hole, one whose names are not known."""
    dicom = tmp_path / "dicom"
    for number in range(4):
        names = ("XYZ 1", "XYZ 2") if number == 2 else ("Brain Stem", "Lens OS")
        write_patient(dicom / f"{number}", number, names)
    sorted((dicom / "1" / "CT").iterdir())[2].unlink()
    return dicom


def test_import_makes_the_same_cohort_to_the_byte_on_two_processes(
    unlike: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for the random id in cohort.json."""
    names = tmp_path / "map.toml"
    names.write_text('[names]\n"XYZ 1" = "Brainstem"\n"Lens OS" = "Lens_R"\n')
    commands: list[list[str]] = [
        [],
        ["--names", str(names)],
        ["--names", str(names), "--again"],
        ["--again"],
    ]
    said: dict[str, list[str]] = {"here": [], "there": []}
    made: dict[str, list[dict[str, bytes | None]]] = {"here": [], "there": []}
    for where, place in (("here", []), ("there", ["--on", "local:2"])):
        make_folder(tmp_path / where)
        cohort = tmp_path / where / "north"
        for options in commands:
            assert main(["import", str(unlike), str(cohort), *options, *place]) == 0
            said[where].append(capsys.readouterr().out.replace(str(cohort), "COHORT"))
            made[where].append(cohort_tree(cohort))
    assert said["there"] == said["here"]
    assert made["there"] == made["here"]
    cases = [sum(name.endswith("case.json") for name in files) for files in made["here"]]
    assert cases == [2, 3, 3, 3]
    assert made["here"][1] != made["here"][2]  # replaced


def test_patients_whose_process_dies_are_imported_again(
    unlike: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in ("here", "there"):
        make_folder(tmp_path / where)
    recontour.import_dicom(unlike, tmp_path / "here" / "north")
    monkeypatch.setattr(importing, "_import_apart", import_apart_and_die_at_first)
    report = recontour.import_dicom(unlike, tmp_path / "there" / "north", on="local:2")
    assert len(report.added) == 2
    there, here = (cohort_tree(tmp_path / where / "north") for where in ("there", "here"))
    assert there == here


def test_a_case_that_another_import_added_meanwhile_stays(
    unlike: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = tmp_path / "north"
    adopt = Cohort.adopt

    def too_late(self: Cohort, case_id: str, other: Cohort) -> None:
        if not len(self):
            shutil.copytree(other.path / "cases" / case_id, self.path / "cases" / case_id)
        adopt(self, case_id, other)

    monkeypatch.setattr(Cohort, "adopt", too_late)
    report = recontour.import_dicom(unlike, cohort, on="local:1")
    assert (len(report.added), len(report.already_there)) == (1, 1)
    assert len(Cohort.open(cohort)) == 2


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated: a model, and an observer who exchanged the sides of one case."""

    folder: Path

    @property
    def models(self) -> list[Path]:
        return [self.folder / "S.safetensors", self.folder / "finder.safetensors"]

    def command(self, out: Path, *more: str) -> list[str]:
        contours = ["--contours", f"Observer={self.folder / 'observer'}"]
        tolerances = ["--tolerances", str(self.folder / "tolerances.toml")]
        words = ["evaluate", str(self.folder / "north"), *map(str, self.models)]
        return [*words, *contours, *tolerances, "--out", str(out), *more]

    def run(self, out: Path, **how: object) -> list[CaseScore]:
        return recontour.evaluate(self.folder / "north", self.models, out, **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def evaluation(
    journey: Journey, finder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Evaluation:
    folder = tmp_path_factory.mktemp("evaluation")
    cohort = fill(Cohort.open_or_create(folder / "north", "north"), 3, without={1: "Lens_L"})
    observer = folder / "observer"
    recontour.export(cohort.path, observer, format="nifti")
    first = observer / cohort.case_ids[0] / "segmentations"
    left, right = first / "Lens_L.nii.gz", first / "Lens_R.nii.gz"
    left.rename(first / "left")
    right.rename(left)
    (first / "left").rename(right)
    shutil.copy(journey.model_s, folder / "S.safetensors")
    shutil.copy(finder, folder / "finder.safetensors")
    (folder / "tolerances.toml").write_text("Brainstem = 2.5\n")
    return Evaluation(folder)


def test_evaluate_says_and_writes_the_same_to_the_byte_on_two_processes_of_which_one_dies(
    evaluation: Evaluation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every process has as many threads as this one, and the same processor."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    monkeypatch.setattr(evaluating_cases, "_scored_elsewhere", score_and_die_at_first)
    said = []
    for place in ([], ["--on", "local:2"]):
        out = tmp_path / f"{len(place)}"
        assert main(evaluation.command(out, "--json", *place)) == 0
        answer = json.loads(capsys.readouterr().out.replace(str(out), "OUT"))
        for note in answer["notes"]:
            if note["kind"] == "planned_evaluation":
                del note["message"], note["facts"]["seconds"]  # measured
        said.append(answer)
    here, there = said
    assert there == here
    assert tree(tmp_path / "2") == tree(tmp_path / "0")
    assert (evaluation.folder / "one has died").exists()
    kinds = {found["kind"] for found in [*here["warnings"], *here["notes"]]}
    assert {"sides_exchanged", "given_tolerances"} <= kinds
    assert {row["model"] for row in here["result"]["scores"]} == {"S", "finder", "Observer"}


def test_an_evaluation_names_the_case_that_killed_its_processes_and_writes_nothing(
    evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = DeadWorker(times=3, exit_code=-signal.SIGKILL)

    def die() -> ScoredCase:
        raise FaultError(died)

    def dead(_function: object, tasks: Sequence[object], *_rest: object) -> Iterator[object]:
        for _ in tasks:
            yield die

    monkeypatch.setattr(evaluating_cases, "answers", dead)
    with pytest.raises(FaultError) as error:
        evaluation.run(tmp_path / "out", on="local:1")
    first = Cohort.open(evaluation.folder / "north").case_ids[0]
    assert error.value.finding == replace(died, case=first)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_evaluation_ends_its_processes_and_writes_nothing(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    def interrupt(what: str, done: int, total: int, words: str) -> None:
        if done:
            assert multiprocessing.active_children()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluation.run(tmp_path / "out", on="local:1", progress=interrupt)
    assert not multiprocessing.active_children()
    assert not list(tmp_path.iterdir())
