#!/usr/bin/env python3
"""recontour against nnU-Net v2 (2d): the same cases, the same processor, the same minutes, and ten
times as many.

    .venv/bin/python benchmarks/against_nnunet.py [--minutes 5] [--times 10] [--threads 2] [--only
    WAYS] [--work DIR]

Each way has two stages of so many minutes: trained on source's training cases, then adapted to
target1's (nnU-Net by
-pretrained_weights); then it contours target1's test cases, once, and recontour's evaluation scores
all alike.

    recontour           train and adapt, `compact`; iterations so many that they fit into the
    minutes nnU-Net             the plan it makes by itself nnU-Net, batch 16   the same with a
    batch that a processor can run ... longer          that again, --times as long a stage

nnU-Net can only use cases with all organs contoured: with all seven organs that would be 4 of
source's training cases, so both learn the five that about half of them have, and recontour uses the
other half too. recontour's seconds are the clock's from its first iteration to its last; nnU-Net's
are processor seconds a thread of its training process alone, so that neither its augmentation nor
other work on the machine counts against it. It contours without mirroring, which would take four
times as long. nnU-Net is installed into an environment of its own below the work folder. In the end
one test patient is contoured by both commands in turns, start-up included, DICOM to RTSTRUCT by
recontour, NIfTI to NIfTI by nnU-Net, with and without its mirroring. Broken off at any moment, the
same command goes on where it was. Prints a table, draws DSC against minutes on the validation
patients (each tool's own measure: nnU-Net's is its pseudo Dice) and writes
docs/results/against_nnunet.json, .png and against_nnunet_scores.csv, of which alone
--table makes its DSC. Makes its cohorts as real_centres.py does.
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
from candidates import cases_of, dsc
from command_cost import Cost, cost_of, least, measured
from raw_scores import RawScore, chosen, mean_dsc, of_json, raw_score, rows_of, score_cases, to_json
from real_centres import HERE, RESULTS, cpu_name, with_cohorts
from recontour.assess.scoring import score_masks
from recontour.cohort import Case, Cohort, case_id_of
from recontour.dicom import read_scan
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
BATCH = 16  # of the plan that a processor can run
PACKAGES = (
    "torch==2.13.0",
    "nnunetv2==2.5.2",
    "dynamic-network-architectures==0.3.1",
)  # later ones need torchvision
TRAINER = "nnUNetTrainerMinutes"
RETRAIN_LAST = 10
TIMED = 40  # iterations, to know how many fit into the minutes
SPARE = 0.95  # of the minutes to be filled by that reckoning
LOOKS = 6  # at the validation patients, a stage
TURNS = 3  # of contouring one patient


@dataclass(frozen=True, slots=True)
class Way:
    """nnU-Net with one of its plans, for so many minutes a stage."""

    name: str
    plans: str
    minutes: float

    @property
    def title(self) -> str:
        """Its row's."""
        return f"{self.name}, {self.minutes:g} min"


# recontour


def ours(work: Path, minutes: float) -> dict[str, Any]:
    """train, then adapt."""
    preset, folder = preset_of("compact"), work / "against_nnunet" / f"recontour-{minutes:g}"
    source, target = (
        Cohort.open(work / "cohorts" / "source"),
        Cohort.open(work / "cohorts" / TARGET),
    )
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
    """Train for as many iterations as fit into the minutes, with a few looks at the validation
    patients.
    """
    reckoned = out.with_name(f"{out.name}.iterations")
    if not reckoned.exists():
        with TemporaryDirectory() as scratch, Diary(Path(scratch) / "diary.csv") as diary:
            short = replace(recipe, iterations=TIMED)
            for step in fit(new(short), cases, short, Path(scratch) / "model", resume=False):
                diary.note(step)
            number = int(SPARE * 60 * minutes * TIMED / diary.seconds)
        reckoned.parent.mkdir(parents=True, exist_ok=True)
        reckoned.write_text(str(number))
    recipe = replace(recipe, iterations=int(reckoned.read_text()))
    looks = {recipe.iterations * look // LOOKS for look in range(1, LOOKS + 1)}
    model = new(recipe)
    with Diary(out.with_name(f"{out.name}.diary.csv")) as diary:
        if not out.exists():
            for step in fit(model, cases, recipe, out, resume=True):
                diary.note(step)
                if step.iteration in looks:
                    diary.validate(step.iteration, lambda: dsc(model, watched)["mean"])
                    print(
                        f"{out.name}: {step.iteration}/{recipe.iterations}, {diary.seconds:.0f} s",
                        flush=True,
                    )
        curve = [(round(point.seconds, 1), round(point.value, 4)) for point in diary.validation]
        return {"iterations": recipe.iterations, "seconds": round(diary.seconds, 1), "curve": curve}


# nnU-Net


class NnUNet:
    """nnU-Net in an environment and in folders of its own."""

    def __init__(self, work: Path, threads: int) -> None:
        self.folder = work / "against_nnunet"
        self.bin = self.folder / "environment" / "bin"
        self.threads = threads

    def settings(self, minutes: float) -> dict[str, str]:
        """Environment variables."""
        return {
            "nnUNet_raw": str(self.folder / "raw"),
            "nnUNet_preprocessed": str(self.folder / "preprocessed"),
            "nnUNet_results": str(self.folder / "results" / f"{minutes:g}"),
            "nnUNet_n_proc_DA": str(self.threads),
            "nnUNet_compile": "f",
            "NNUNET_MINUTES": f"{minutes:g}",
            "OMP_NUM_THREADS": str(self.threads),
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # its checkpoints hold numpy's numbers
        }

    def run(self, command: str, *arguments: str | Path, minutes: float = 0) -> None:
        """One of nnU-Net's commands; what it says goes into a log."""
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
            sys.exit(f"{command} failed; its words are in {log}")

    def install(self) -> None:
        """Its environment, with our trainer where it looks for trainers."""
        if not (self.bin / "nnUNetv2_train").exists():
            print("installing nnU-Net into an environment of its own", flush=True)
            subprocess.run([sys.executable, "-m", "venv", self.folder / "environment"], check=True)
            subprocess.run([self.bin / "pip", "install", "--quiet", *PACKAGES], check=True)
        package = next((self.folder / "environment").glob("lib/*/site-packages/nnunetv2"))
        shutil.copy(HERE / f"{TRAINER}.py", package / "training" / "nnUNetTrainer")

    def prepare(self, work: Path) -> None:
        """Raw data of both centres, source's plans for both, with the own batch and with one for a
        processor.
        """
        ready = self.folder / "preprocessed" / "ready"
        if ready.exists():
            return
        shutil.rmtree(self.folder / "raw", ignore_errors=True)
        shutil.rmtree(self.folder / "preprocessed", ignore_errors=True)
        for role, dataset in DATASETS.items():
            (self.folder / "raw").mkdir(exist_ok=True)
            export(
                work / "cohorts" / role,
                self.folder / "raw" / dataset,
                format="nnunet",
                organs=ORGANS,
            )
        self.run("nnUNetv2_plan_and_preprocess", "-d", "1", "-c", "2d", "-np", "1", "-npfp", "1")
        self.run("nnUNetv2_extract_fingerprint", "-d", "2", "-np", "1")
        self.run(
            "nnUNetv2_move_plans_between_datasets",
            *("-s", "1", "-t", "2", "-sp", "nnUNetPlans", "-tp", "nnUNetPlans"),
        )
        about = (
            f"{DATASETS[TARGET]}/dataset.json"  # which it puts there only where it makes the plans
        )
        shutil.copy(self.folder / "raw" / about, self.folder / "preprocessed" / about)
        self.run(
            "nnUNetv2_preprocess", "-d", "2", "-c", "2d", "-plans_name", "nnUNetPlans", "-np", "1"
        )
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
        """The cases of a fold that nnU-Net can use."""
        exported = {
            path.name for path in (self.folder / "raw" / DATASETS[role] / "labelsTr").iterdir()
        }
        return [case.id for case in cases_of(work, role, fold) if f"{case.id}.nii.gz" in exported]

    def results(self, way: Way, role: str) -> Path:
        place = self.folder / "results" / f"{way.minutes:g}" / DATASETS[role]
        return place / f"{TRAINER}__{way.plans}__2d" / "fold_0"

    def train(self, way: Way, role: str) -> dict[str, Any]:
        """One stage; the second starts from the first one's weights."""
        results = self.results(way, role)
        if not (results / "checkpoint_final.pth").exists():
            more: list[str | Path] = []
            if (results / "checkpoint_latest.pth").exists():
                more = ["--c"]
            elif role != "source":
                more = ["-pretrained_weights", self.results(way, "source") / "checkpoint_final.pth"]
            print(f"{way.title}: {role}{', going on' if more == ['--c'] else ''}", flush=True)
            number = str(list(DATASETS).index(role) + 1)
            tell = ("-tr", TRAINER, "-p", way.plans, "-device", "cpu")
            self.run("nnUNetv2_train", number, "2d", "0", *tell, *more, minutes=way.minutes)
        rows = [json.loads(line) for line in (results / "curve.jsonl").read_text().splitlines()]
        rows = [
            row
            for at, row in enumerate(rows)
            if all(row["seconds"] < later["seconds"] for later in rows[at + 1 :])
        ]
        curve = [(row["seconds"], row["pseudo dice"]) for row in rows]
        return {
            "iterations": rows[-1]["iterations"],
            "seconds": rows[-1]["seconds"],
            "curve": curve,
        }

    def contour(self, way: Way, cases: Sequence[Case]) -> Path:
        """Label maps of cases, with nnU-Net's defaults."""
        out = self.folder / "predicted" / f"{way.plans}-{way.minutes:g}"
        wanted = [case for case in cases if not (out / f"{case.id}.nii.gz").exists()]
        if wanted:
            with self.given(wanted) as given:
                self.run(
                    "nnUNetv2_predict",
                    *self.prediction(way, given, out),
                    "--disable_tta",
                    minutes=way.minutes,
                )
        return out

    @contextmanager
    def given(self, cases: Sequence[Case]) -> Iterator[Path]:
        """A folder with the CT of these cases alone."""
        with TemporaryDirectory() as folder:
            for case in cases:
                shutil.copy(
                    self.folder / "raw" / DATASETS[TARGET] / "imagesTr" / f"{case.id}_0000.nii.gz",
                    folder,
                )
            yield Path(folder)

    def prediction(self, way: Way, given: Path, out: Path) -> tuple[str | Path, ...]:
        """What nnUNetv2_predict is told."""
        which = ("-d", "2", "-c", "2d", "-f", "0", "-tr", TRAINER, "-p", way.plans)
        return ("-i", given, "-o", out, *which, "-device", "cpu", "-npp", "1", "-nps", "1")


def theirs(nnunet: NnUNet, way: Way, work: Path) -> dict[str, Any]:
    """Both stages, and the test cases' label maps."""
    stages = [nnunet.train(way, role) for role in DATASETS]
    cases = [len(nnunet.usable(work, role, "train")) for role in DATASETS]
    return {
        "cases": cases,
        "stages": stages,
        "labels": nnunet.contour(way, cases_of(work, TARGET, "test")),
    }


def score_labels(folder: Path, cases: Sequence[Case], name: str) -> list[RawScore]:
    """As raw_scores.score_cases of a model, of label maps."""
    scores = []
    for case in cases:
        labels = read_labels(folder / f"{case.id}.nii.gz", case.grid)
        masks = ((organ, labels == number) for number, organ in enumerate(ORGANS, start=1))
        scores += [raw_score(row, name, "test", 0) for row, _ in score_masks(case, name, masks)]
    return scores


def table(scores: Sequence[RawScore]) -> Iterator[str]:
    """Each way's mean DSC on the test cases."""
    for name in rows_of(scores):
        yield f"{name:28} {mean_dsc(chosen(scores, name)):.3f}"


def one_patient(nnunet: NnUNet, way: Way, work: Path, model: Path) -> dict[str, dict[str, float]]:
    """What contouring one test patient takes either tool, start-up included:

    of each measure the least, in turns.
    """
    ct = min((work / "dicom" / TARGET / "test").rglob("RS.dcm")).parent
    case = Cohort.open(work / "cohorts" / TARGET)[
        case_id_of(TARGET, read_scan(ct).source.series_instance_uid)
    ]
    costs: dict[str, list[Cost]] = {"recontour": [], "nnU-Net": [], "nnU-Net, mirroring": []}
    for _ in range(TURNS):
        with TemporaryDirectory() as scratch, nnunet.given([case]) as given:
            out, threads = Path(scratch), {"OMP_NUM_THREADS": str(nnunet.threads)}
            costs["recontour"].append(
                measured("contour", model, ct, "--out", out / "RS.dcm", environment=threads)
            )
            told = (nnunet.bin / "nnUNetv2_predict", *nnunet.prediction(way, given, out / "labels"))
            settings = nnunet.settings(way.minutes)
            costs["nnU-Net"].append(cost_of([*told, "--disable_tta"], settings))
            costs["nnU-Net, mirroring"].append(cost_of(told, settings))
    return {
        name: {key: round(value, 1) for key, value in least(found)._asdict().items()}
        for name, found in costs.items()
    }


# The table and the picture


def picture(rows: Mapping[str, dict[str, Any]], out: Path) -> None:
    """DSC on the validation patients against minutes, a panel a stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    for index, (panel, title) in enumerate(
        zip(panels, ("trained on source", "adapted to target1"), strict=True)
    ):
        for name, row in rows.items():
            seconds, values = zip(*row["stages"][index]["curve"], strict=True)
            panel.plot(
                [second / 60 for second in seconds],
                values,
                label=name,
                marker="." if len(values) < 9 else "",
            )
        panel.set(title=title, xlabel="minutes of training", xscale="log", ylim=(0, 0.9))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("DSC, validation patients")
    panels[1].legend(fontsize="small")
    figure.savefig(out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5, help="a stage")
    parser.add_argument(
        "--times", type=float, default=10, help="how much longer nnU-Net may take in the end"
    )
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument(
        "--only", default="recontour,own,smaller,own-longer,smaller-longer", help="some of these"
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument(
        "--table", action="store_true", help="only the DSC, of the scores in docs/results"
    )
    options = parser.parse_args()
    if options.table:
        print("\n".join(table(raw_scores.read(SCORES))))
        return
    work = with_cohorts(options.work, *DATASETS)
    torch.set_num_threads(options.threads)
    nnunet = NnUNet(work, options.threads)
    nnunet.folder.mkdir(exist_ok=True)
    ways = {
        "own": Way("nnU-Net", "nnUNetPlans", options.minutes),
        "smaller": Way(f"nnU-Net, batch {BATCH}", "smallerBatch", options.minutes),
        "own-longer": Way("nnU-Net", "nnUNetPlans", options.minutes * options.times),
        "smaller-longer": Way(
            f"nnU-Net, batch {BATCH}", "smallerBatch", options.minutes * options.times
        ),
    }
    tests = cases_of(work, TARGET, "test")
    kept = nnunet.folder / f"rows-{options.threads}.json"
    rows: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    for which in options.only.split(","):
        name = f"recontour, {options.minutes:g} min" if which == "recontour" else ways[which].title
        if "scores" in rows.get(name, {}):
            continue
        if which == "recontour":
            row = ours(work, options.minutes)
            scores = score_cases(load_model(row.pop("model")), tests, name, "test", 0)
        else:
            nnunet.install()
            nnunet.prepare(work)
            row = theirs(nnunet, ways[which], work)
            scores = score_labels(row.pop("labels"), tests, name)
        row["test"] = {"mean": mean_dsc(scores)} | {
            organ: mean_dsc(scores, [organ]) for organ in ORGANS
        }
        rows[name] = row | {"scores": to_json(scores)}
        kept.write_text(json.dumps(rows, indent=1))
    print("way                          cases         iterations     min         mean DSC, test")
    for name, row in rows.items():
        cases = "/".join(map(str, row["cases"]))
        iterations = "/".join(str(stage["iterations"]) for stage in row["stages"])
        minutes = "/".join(f"{stage['seconds'] / 60:.1f}" for stage in row["stages"])
        print(f"{name:28} {cases:13} {iterations:14} {minutes:11} {row['test']['mean']:.3f}")
    raw_scores.write(
        SCORES, [one for row in rows.values() for one in of_json(row.pop("scores", ()))]
    )
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
