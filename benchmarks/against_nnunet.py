#!/usr/bin/env python3
"""Compare recontour with nnU-Net v2 (2d): the same cases and processor, equal and longer times.

    .venv/bin/python benchmarks/against_nnunet.py [--minutes 5] [--times 10] [--threads 2]
        [--only WAYS] [--work DIR]

Each way has two stages of so many minutes: it trains on source's training cases, then adapts to
target1's (nnU-Net with -pretrained_weights). It then contours target1's test cases once, and
recontour's evaluation scores all ways alike:

    recontour           train and adapt with `compact`, for the iterations that fit into the minutes
    nnU-Net             its own plan
    nnU-Net, batch 16   its own plan with a batch that a CPU can run
    ... longer          both again, with stages --times as long

nnU-Net can only use cases in which all organs are contoured. With all seven organs these would be 4
of source's training cases. So both tools learn the five organs that about half of the cases have;
recontour uses the other half too.

recontour's seconds are by the clock, from its first iteration to its last. nnU-Net's are processor
seconds per thread of its training process, so neither its augmentation nor other work on the
machine counts against it. It contours without mirroring, which would take four times as long.
nnU-Net gets an environment of its own below the work folder.

At the end, both commands contour one test patient in turns, start-up included: recontour from DICOM
to RTSTRUCT, nnU-Net from NIfTI to NIfTI, with and without mirroring. If it is interrupted, the same
command continues.

Prints a table, draws DSC against minutes on the validation patients (nnU-Net's is its own pseudo
Dice), and writes docs/results/against_nnunet.json, .png and against_nnunet_scores.csv, from which
--table makes the table's means alone. Makes its cohorts as real_centres.py does.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import raw_scores
from candidates import cases_of, dsc, means_of
from command_cost import Cost, cost_of, least, measured
from raw_scores import RawScore, chosen, mean_of, raw_score, rows_of, score_cases, to_json
from real_centres import HERE, MEASURES, RESULTS, cpu_name, with_cohorts
from recontour.assess.scoring import score_masks
from recontour.cohort import Case, Cohort, case_id_of
from recontour.dicom import read_scan
from recontour.evaluation.numbers import number
from recontour.exchange.export import export
from recontour.exchange.nifti import read_labels
from recontour.network import Model, load_model
from recontour.processes import cores
from recontour.study.diary import Diary
from recontour.training.presets import preset_of
from recontour.training.recipe import Recipe
from recontour.transfer.models import begin, fit, take_over

TARGET = "target1"
SCORES = RESULTS / "against_nnunet_scores.csv"
DATASETS = {"source": "Dataset001_Source", TARGET: "Dataset002_Target"}
ORGANS = ("Bone_Mandible", "Brainstem", "Parotid_L", "Parotid_R", "SpinalCord")
BATCH = 16  # of the plan that a CPU can run
PACKAGES = (  # later versions need torchvision
    "torch==2.13.0",
    "nnunetv2==2.5.2",
    "dynamic-network-architectures==0.3.1",
)
TRAINER = "nnUNetTrainerMinutes"
RETRAIN_LAST = 10
TIMED = 40  # iterations that are timed, to know how many fit into the minutes
SPARE = 0.95  # the share of the minutes to fill
LOOKS = 6  # how often a stage scores the validation patients
TURNS = 3  # how often one patient is contoured


@dataclass(frozen=True, slots=True)
class Way:
    """nnU-Net with one of its plans, for so many minutes a stage."""

    name: str
    plans: str
    minutes: float

    @property
    def title(self) -> str:
        """Return the name of its row."""
        return f"{self.name}, {self.minutes:g} min"


# ------------------------------------------------------------ recontour


def ours(work: Path, minutes: float) -> dict[str, Any]:
    """Train and adapt recontour; return what that took, and the model."""
    preset = preset_of("compact")
    folder = work / "against_nnunet" / f"recontour-{minutes:g}"
    source = Cohort.open(work / "cohorts" / "source")
    target = Cohort.open(work / "cohorts" / TARGET)
    there, here = cases_of(work, "source", "train"), cases_of(work, TARGET, "train")
    seen = [cases_of(work, role, "validation") for role in DATASETS]

    def begun(recipe: Recipe) -> Model:
        return begin(source, there, ORGANS, "compact", replace(preset, train=recipe), 0)

    def taken_over(recipe: Recipe) -> Model:
        return take_over(load_model(folder / "S"), target, here, ORGANS, recipe, RETRAIN_LAST, 0)

    first = stage(begun, there, preset.train, folder / "S", minutes, seen[0])
    second = stage(taken_over, here, preset.adapt, folder / "ST", minutes, seen[1])
    return {"cases": [len(there), len(here)], "stages": [first, second], "model": folder / "ST"}


def stage(
    new: Callable[[Recipe], Model],
    cases: list[Case],
    recipe: Recipe,
    out: Path,
    minutes: float,
    watched: list[Case],
) -> dict[str, Any]:
    """Train for the iterations that fit into the minutes; score the watched cases at times."""
    kept = out.with_name(f"{out.name}.iterations")
    number = iterations_within(minutes, new, cases, recipe, kept)
    recipe = replace(recipe, iterations=number)
    looks = {recipe.iterations * look // LOOKS for look in range(1, LOOKS + 1)}
    model = new(recipe)
    with Diary(out.with_name(f"{out.name}.diary.csv")) as diary:
        if not out.exists():
            for step in fit(model, cases, recipe, out, resume=True):
                diary.note(step)
                if step.iteration in looks:
                    diary.validate(step.iteration, lambda: dsc(model, watched)["mean"])
                    progress = f"{step.iteration}/{recipe.iterations}, {diary.seconds:.0f} s"
                    print(f"{out.name}: {progress}", flush=True)
        curve = [(round(point.seconds, 1), round(point.value, 4)) for point in diary.validation]
        return {"iterations": recipe.iterations, "seconds": round(diary.seconds, 1), "curve": curve}


def iterations_within(
    minutes: float,
    new: Callable[[Recipe], Model],
    cases: list[Case],
    recipe: Recipe,
    kept: Path,
) -> int:
    """Return how many iterations fit into the minutes, timed once and kept in a file."""
    if not kept.exists():
        with TemporaryDirectory() as scratch, Diary(Path(scratch) / "diary.csv") as diary:
            short = replace(recipe, iterations=TIMED)
            for step in fit(new(short), cases, short, Path(scratch) / "model", resume=False):
                diary.note(step)
            number = int(SPARE * 60 * minutes * TIMED / diary.seconds)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(str(number))
    return int(kept.read_text())


# ------------------------------------------------------------ nnU-Net


class NnUNet:
    """nnU-Net, in an environment and in folders of its own."""

    def __init__(self, work: Path, threads: int) -> None:
        self.folder = work / "against_nnunet"
        self.bin = self.folder / "environment" / "bin"
        self.threads = threads

    def settings(self, minutes: float) -> dict[str, str]:
        """Return nnU-Net's environment variables."""
        return {
            "nnUNet_raw": str(self.folder / "raw"),
            "nnUNet_preprocessed": str(self.folder / "preprocessed"),
            "nnUNet_results": str(self.folder / "results" / f"{minutes:g}"),
            "nnUNet_n_proc_DA": str(self.threads),
            "nnUNet_compile": "f",
            "NNUNET_MINUTES": f"{minutes:g}",
            "OMP_NUM_THREADS": str(self.threads),
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # its checkpoints hold numpy numbers
        }

    def run(self, command: str, *arguments: str | Path, minutes: float = 0) -> None:
        """Run one of nnU-Net's commands; its output goes into a log."""
        log = self.folder / "nnunet.log"
        with log.open("a") as file:
            done = subprocess.run(
                [self.bin / command, *arguments],
                env={**os.environ, **self.settings(minutes)},
                stdout=file,
                stderr=file,
                check=False,
            )
        if done.returncode:
            sys.exit(f"{command} failed; see {log}")

    def install(self) -> None:
        """Make the environment, and copy our trainer to where nnU-Net looks for trainers."""
        if not (self.bin / "nnUNetv2_train").exists():
            print("installing nnU-Net into an environment of its own", flush=True)
            subprocess.run([sys.executable, "-m", "venv", self.folder / "environment"], check=True)
            subprocess.run([self.bin / "pip", "install", "--quiet", *PACKAGES], check=True)
        package = next((self.folder / "environment").glob("lib/*/site-packages/nnunetv2"))
        shutil.copy(HERE / f"{TRAINER}.py", package / "training" / "nnUNetTrainer")

    def prepare(self, work: Path) -> None:
        """Export both centres and preprocess them with source's plans, for both batches."""
        ready = self.folder / "preprocessed" / "ready"
        if ready.exists():
            return
        shutil.rmtree(self.folder / "raw", ignore_errors=True)
        shutil.rmtree(self.folder / "preprocessed", ignore_errors=True)
        for role, dataset in DATASETS.items():
            raw = self.folder / "raw"
            raw.mkdir(exist_ok=True)
            export(work / "cohorts" / role, raw / dataset, format="nnunet", organs=ORGANS)
        self.run("nnUNetv2_plan_and_preprocess", "-d", "1", "-c", "2d", "-np", "1", "-npfp", "1")
        self.run("nnUNetv2_extract_fingerprint", "-d", "2", "-np", "1")
        plans_of_both = ("-s", "1", "-t", "2", "-sp", "nnUNetPlans", "-tp", "nnUNetPlans")
        self.run("nnUNetv2_move_plans_between_datasets", *plans_of_both)
        # nnU-Net copies this file only where it makes the plans itself.
        about = f"{DATASETS[TARGET]}/dataset.json"
        shutil.copy(self.folder / "raw" / about, self.folder / "preprocessed" / about)
        with_plans = ("-c", "2d", "-plans_name", "nnUNetPlans", "-np", "1")
        self.run("nnUNetv2_preprocess", "-d", "2", *with_plans)
        for role, dataset in DATASETS.items():
            folder = self.folder / "preprocessed" / dataset
            plans = json.loads((folder / "nnUNetPlans.json").read_text())
            plans["plans_name"] = "smallerBatch"
            plans["configurations"]["2d"]["batch_size"] = BATCH
            (folder / "smallerBatch.json").write_text(json.dumps(plans))
            split = {
                "train": self.usable(work, role, "train"),
                "val": self.usable(work, role, "validation"),
            }
            (folder / "splits_final.json").write_text(json.dumps([split]))
        ready.touch()

    def usable(self, work: Path, role: str, fold: str) -> list[str]:
        """Return the cases of a fold that nnU-Net can use."""
        labels = self.folder / "raw" / DATASETS[role] / "labelsTr"
        exported = {path.name for path in labels.iterdir()}
        return [case.id for case in cases_of(work, role, fold) if f"{case.id}.nii.gz" in exported]

    def results(self, way: Way, role: str) -> Path:
        """Return the folder of a stage's results."""
        place = self.folder / "results" / f"{way.minutes:g}" / DATASETS[role]
        return place / f"{TRAINER}__{way.plans}__2d" / "fold_0"

    def train(self, way: Way, role: str) -> dict[str, Any]:
        """Train one stage; the second starts from the first one's weights."""
        results = self.results(way, role)
        if not (results / "checkpoint_final.pth").exists():
            more: list[str | Path] = []
            if (results / "checkpoint_latest.pth").exists():
                more = ["--c"]
            elif role != "source":
                more = ["-pretrained_weights", self.results(way, "source") / "checkpoint_final.pth"]
            print(f"{way.title}: {role}{', continued' if more == ['--c'] else ''}", flush=True)
            number = str(list(DATASETS).index(role) + 1)
            options = ("-tr", TRAINER, "-p", way.plans, "-device", "cpu")
            self.run("nnUNetv2_train", number, "2d", "0", *options, *more, minutes=way.minutes)
        rows = curve_of(results / "curve.jsonl")
        curve = [(row["seconds"], row["pseudo dice"]) for row in rows]
        last = rows[-1]
        return {"iterations": last["iterations"], "seconds": last["seconds"], "curve": curve}

    def contour(self, way: Way, cases: Sequence[Case]) -> Path:
        """Contour cases with nnU-Net's defaults; return the folder of the label maps."""
        out = self.folder / "predicted" / f"{way.plans}-{way.minutes:g}"
        wanted = [case for case in cases if not (out / f"{case.id}.nii.gz").exists()]
        if wanted:
            with self.given(wanted) as given:
                options = (*self.prediction(way, given, out), "--disable_tta")
                self.run("nnUNetv2_predict", *options, minutes=way.minutes)
        return out

    @contextmanager
    def given(self, cases: Sequence[Case]) -> Iterator[Path]:
        """Provide a folder with the CT of these cases alone."""
        images = self.folder / "raw" / DATASETS[TARGET] / "imagesTr"
        with TemporaryDirectory() as folder:
            for case in cases:
                shutil.copy(images / f"{case.id}_0000.nii.gz", folder)
            yield Path(folder)

    def prediction(self, way: Way, given: Path, out: Path) -> tuple[str | Path, ...]:
        """Return the options of nnUNetv2_predict."""
        which = ("-d", "2", "-c", "2d", "-f", "0", "-tr", TRAINER, "-p", way.plans)
        return ("-i", given, "-o", out, *which, "-device", "cpu", "-npp", "1", "-nps", "1")


def theirs(nnunet: NnUNet, way: Way, work: Path) -> dict[str, Any]:
    """Train nnU-Net's both stages and contour the test cases; return what that took, and where."""
    stages = [nnunet.train(way, role) for role in DATASETS]
    cases = [len(nnunet.usable(work, role, "train")) for role in DATASETS]
    labels = nnunet.contour(way, cases_of(work, TARGET, "test"))
    return {"cases": cases, "stages": stages, "labels": labels}


def curve_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a stage's curve, without those that a resumed training repeated."""
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        while rows and rows[-1]["seconds"] >= row["seconds"]:
            rows.pop()
        rows.append(row)
    return rows


def score_labels(folder: Path, cases: Sequence[Case], name: str) -> list[RawScore]:
    """Score label maps as raw_scores.score_cases scores a model."""
    scores = []
    for case in cases:
        labels = read_labels(folder / f"{case.id}.nii.gz", case.grid)
        masks = ((organ, labels == number) for number, organ in enumerate(ORGANS, start=1))
        scores += [raw_score(row, name, "test", 0) for row, _ in score_masks(case, name, masks)]
    return scores


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Yield each way's mean DSC and surface DSC on the test cases."""
    for name in rows_of(scores):
        of_way = chosen(scores, name)
        means = []
        for measure, words in MEASURES.items():
            means.append(f"{words} {number(mean_of(of_way, measure), 3)}")
        yield f"{name:28} {', '.join(means)}"


def one_patient(nnunet: NnUNet, way: Way, work: Path, model: Path) -> dict[str, dict[str, float]]:
    """Contour one test patient with both tools in turns; return the least costs, with start-up."""
    ct = min((work / "dicom" / TARGET / "test").rglob("RS.dcm")).parent
    case_id = case_id_of(TARGET, read_scan(ct).source.series_instance_uid)
    case = Cohort.open(work / "cohorts" / TARGET)[case_id]
    costs: dict[str, list[Cost]] = {"recontour": [], "nnU-Net": [], "nnU-Net, mirroring": []}
    for _ in range(TURNS):
        with TemporaryDirectory() as scratch, nnunet.given([case]) as given:
            out = Path(scratch)
            threads = {"OMP_NUM_THREADS": str(nnunet.threads)}
            cost = measured("contour", model, ct, "--out", out / "RS.dcm", environment=threads)
            costs["recontour"].append(cost)
            options = nnunet.prediction(way, given, out / "labels")
            command = (nnunet.bin / "nnUNetv2_predict", *options)
            settings = nnunet.settings(way.minutes)
            costs["nnU-Net"].append(cost_of([*command, "--disable_tta"], settings))
            costs["nnU-Net, mirroring"].append(cost_of(command, settings))
    return {name: rounded(least(found)) for name, found in costs.items()}


def rounded(cost: Cost) -> dict[str, float]:
    """Return a cost for the JSON file."""
    return {name: round(value, 1) for name, value in cost._asdict().items()}


# ------------------------------------------------------------ the table and the picture


def picture(rows: Mapping[str, dict[str, Any]], out: Path) -> None:
    """Draw DSC on the validation patients against minutes, with one panel per stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    titles = ("trained on source", "adapted to target1")
    for index, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        for name, row in rows.items():
            seconds, values = zip(*row["stages"][index]["curve"], strict=True)
            minutes = [second / 60 for second in seconds]
            panel.plot(minutes, values, label=name, marker="." if len(values) < 9 else "")
        panel.set(title=title, xlabel="minutes of training", xscale="log", ylim=(0, 0.9))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("DSC, validation patients")
    panels[1].legend(fontsize="small")
    figure.savefig(out, dpi=130)


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5, help="per stage")
    parser.add_argument(
        "--times", type=float, default=10, help="how many times longer nnU-Net's long stages are"
    )
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument(
        "--only", default="recontour,own,smaller,own-longer,smaller-longer", help="some of these"
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="print the DSC from docs/results, and stop"
    )
    return parser.parse_args()


def ways_of(minutes: float, longer: float) -> dict[str, Way]:
    """Return nnU-Net's ways by their names for --only."""
    smaller = f"nnU-Net, batch {BATCH}"
    return {
        "own": Way("nnU-Net", "nnUNetPlans", minutes),
        "smaller": Way(smaller, "smallerBatch", minutes),
        "own-longer": Way("nnU-Net", "nnUNetPlans", longer),
        "smaller-longer": Way(smaller, "smallerBatch", longer),
    }


def measure(
    nnunet: NnUNet, way: Way | None, name: str, minutes: float, work: Path
) -> tuple[dict[str, Any], list[RawScore]]:
    """Run recontour, or one of nnU-Net's ways; return its row and its scores."""
    tests = cases_of(work, TARGET, "test")
    if way is None:
        row = ours(work, minutes)
        return row, score_cases(load_model(row.pop("model")), tests, name, "test", 0)
    nnunet.install()
    nnunet.prepare(work)
    row = theirs(nnunet, way, work)
    return row, score_labels(row.pop("labels"), tests, name)


def show(rows: Mapping[str, dict[str, Any]]) -> None:
    """Print the table."""
    print("way                          cases         iterations     min         mean DSC, test")
    for name, row in rows.items():
        cases = "/".join(map(str, row["cases"]))
        iterations = "/".join(str(stage["iterations"]) for stage in row["stages"])
        minutes = "/".join(f"{stage['seconds'] / 60:.1f}" for stage in row["stages"])
        print(f"{name:28} {cases:13} {iterations:14} {minutes:11} {row['test']['mean']:.3f}")


def main() -> None:
    options = options_of()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    work = with_cohorts(options.work, *DATASETS)
    torch.set_num_threads(options.threads)
    nnunet = NnUNet(work, options.threads)
    nnunet.folder.mkdir(exist_ok=True)
    ways = ways_of(options.minutes, options.minutes * options.times)
    kept = nnunet.folder / f"rows-{options.threads}.json"
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    for which in options.only.split(","):
        way = None if which == "recontour" else ways[which]
        name = way.title if way else f"recontour, {options.minutes:g} min"
        if "scores" in rows.get(name, {}):
            continue
        row, scores = measure(nnunet, way, name, options.minutes, work)
        row["test"] = means_of(scores, ORGANS)
        rows[name] = row | {"scores": to_json(scores)}
        kept.write_text(json.dumps(rows, indent=1))
    show(rows)
    raw_scores.write(SCORES, raw_scores.taken_from(rows.values()))
    about = {
        "cpu": cpu_name(),
        "threads": options.threads,
        "packages": PACKAGES,
        "organs": ORGANS,
        "rows": rows,
    }
    result = RESULTS / "against_nnunet.json"
    result.write_text(json.dumps(about, indent=1) + "\n")
    picture(rows, RESULTS / "against_nnunet.png")
    adapted = nnunet.folder / f"recontour-{options.minutes:g}" / "ST"
    if adapted.exists() and ways["smaller"].title in rows:
        costs = one_patient(nnunet, ways["smaller"], work, adapted)
        for name, cost in costs.items():
            print(f"one patient, {name:20} {cost['seconds']:6.1f} s {cost['peak_mib']:6.0f} MiB")
        result.write_text(json.dumps(about | {"one patient": costs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
