#!/usr/bin/env python3
"""Train and score Model_S, Model_T and Model_ST on the phantom: 1 mm contours of twelve organs.

    .venv/bin/python benchmarks/phantom.py [--presets compact,accurate] [--seeds 0,1,2]
        [--fold validation] [--iterations 60,60,40] [--work DIR]
    .venv/bin/python benchmarks/phantom.py --decoder 64,48,32,24 [--name finer] --fold validation
    .venv/bin/python benchmarks/phantom.py --table
    .venv/bin/python benchmarks/phantom.py --pictures

The patients are those of the demo and some more, the same in every run. Model_S learns from 20 of
source, Model_T from 10 of target, and Model_ST adapts Model_S to the same 10, all by the preset's
defaults. Six other patients of target test them. A choice between candidates must not be made on
these six: `--fold validation` scores four others instead. Four of source show what the models
still know of it. `--decoder` tries `accurate` with another decoder, as channels at strides 16, 8, 4
and 2. `--iterations` are those of S, T and ST, to try the script.

Each model trains on one thread, two at a time. If it is interrupted, the same command continues;
models and scores are kept. Prints a table of DSC and surface DSC, and which bars hold, and writes
docs/results/phantom_PRESET.json and phantom_PRESET_scores.csv, from which --table makes the table
alone. `--pictures` draws the median and the worst test patient from the kept models, and writes
docs/explanation/what-contours-look-like.md from phantom_page.md and these results.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import torch

import raw_scores
from raw_scores import RawScore, mean_of, score_cases
from real_centres import HERE, RESULTS, MinutelyProgress, cpu_name
from recontour import workflows
from recontour.cohort import PHANTOM_NOTICE, Cohort
from recontour.network import UNet, load_model
from recontour.organs import organ_of
from recontour.phantom import SOURCE, TARGET, Centre, write_centre
from recontour.training.presets import PRESETS, Preset, preset_of
from recontour.transfer.models import precision_of
from recontour.workflows.learning import PresetName
from two_views import write_whole

MODELS = ("Model_S", "Model_T", "Model_ST")
# Cohort -> centre, and its patients by their numbers.
COHORTS: dict[str, tuple[Centre, range]] = {
    "source": (SOURCE, range(20)),
    "source-watched": (SOURCE, range(20, 24)),
    "target": (TARGET, range(10)),
    "target-test": (TARGET, range(10, 16)),
    "target-validation": (TARGET, range(16, 20)),
}
WATCHED = "source-watched"
FOLDS = {"test": "target-test", "validation": "target-validation"}  # of target -> cohort
MEASURES = {"dsc": "DSC", "surface_dsc": "surface DSC"}
# What Model_ST must reach: the least mean DSC of organs, with both sides, and of all twelve.
BARS = {"Lens": 0.70, "OpticNrv": 0.70, "Pituitary": 0.80, "Bone_Mandible": 0.90, "mean": 0.82}
JOBS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A preset, or one to be, and how long its models train. iterations: by model."""

    name: str
    preset: Preset
    iterations: dict[str, int]

    def folder(self, work: Path) -> Path:
        """Return where its models are kept; other settings have another folder."""
        settings = repr((self.preset, self.iterations))
        digest = hashlib.sha256(settings.encode()).hexdigest()[:8]
        return work / "models" / f"{self.name}-{digest}"


@dataclass(frozen=True, slots=True)
class Job:
    """One model of one seed."""

    candidate: Candidate
    model: str
    seed: int
    work: Path

    @property
    def path(self) -> Path:
        """Return the model file."""
        name = f"{self.candidate.name}-{self.model}-seed{self.seed}.safetensors"
        return self.candidate.folder(self.work) / name

    @property
    def minutes(self) -> Path:
        """Return the file that holds how long the training took."""
        return self.path.with_suffix(".minutes.json")

    def scores(self, cohort: str) -> Path:
        """Return the file that holds the scores on a cohort."""
        return self.path.with_suffix(f".{cohort}.json")


@dataclass(frozen=True, slots=True)
class Bar:
    """What Model_ST must reach in mean DSC, and what it did."""

    what: str
    at_least: float
    reached: float

    @property
    def holds(self) -> bool:
        """Return whether the bar holds."""
        return self.reached >= self.at_least

    def __str__(self) -> str:
        """Say it in a line."""
        verdict = "holds" if self.holds else "is not reached"
        return f"Model_ST, {self.what}: DSC {self.reached:.3f}; {self.at_least:.2f} {verdict}"


def make_cohorts(work: Path, fold: str) -> None:
    """Draw the patients as DICOM and import them, as far as that was not done before."""
    for name in ("source", "target", WATCHED, FOLDS[fold]):
        centre, numbers = COHORTS[name]
        dicom = work / "dicom" / name
        write_centre(dicom, centre, numbers)
        workflows.import_dicom(dicom, work / "cohorts" / name, notices=(PHANTOM_NOTICE,))
        print(f"{name}: {len(numbers)} patients", flush=True)


def candidate_of(name: str, preset: Preset, iterations: Sequence[int] | None) -> Candidate:
    """Return a candidate. iterations: of S, T and ST; None: the preset's own."""
    if iterations is None:
        sources, targets = [len(COHORTS[cohort][1]) for cohort in ("source", "target")]
        iterations = (
            preset.train_on(sources).iterations,
            preset.train_on(targets).iterations,
            preset.adapt_to(targets).iterations,
        )
    return Candidate(name, preset, dict(zip(MODELS, iterations, strict=True)))


def learn(job: Job) -> None:
    """Train or adapt a model by the functions of the command line, unless that is done."""
    if job.path.exists():
        return
    torch.set_num_threads(1)
    candidate = job.candidate
    # So that `train` and `adapt` know it, too, if it is only tried.
    PRESETS[candidate.name] = candidate.preset
    iterations = candidate.iterations[job.model]
    job.path.parent.mkdir(parents=True, exist_ok=True)
    is_resumed = job.path.with_name(job.path.name + ".run").exists()
    began = time.monotonic()
    if job.model == "Model_ST":
        parent = replace(job, model="Model_S")
        begin = partial(workflows.adapt, parent.path, job.work / "cohorts" / "target")
    else:
        cohort = "source" if job.model == "Model_S" else "target"
        preset = cast("PresetName", candidate.name)
        begin = partial(workflows.train, job.work / "cohorts" / cohort, preset=preset)
    begin(job.path, iterations=iterations, seed=job.seed, resume=True, progress=MinutelyProgress())
    minutes = None if is_resumed else round((time.monotonic() - began) / 60, 2)
    write_whole(job.minutes, json.dumps(minutes))


def scored(job: Job, fold: str) -> list[RawScore]:
    """Score a model on a fold of target and on the patients of source that it may have forgotten.

    What is scored is kept in files.
    """
    torch.set_num_threads(1)
    found = []
    for cohort in (FOLDS[fold], WATCHED):
        kept = job.scores(cohort)
        if not kept.exists():
            cases = Cohort.open(job.work / "cohorts" / cohort)
            scores = score_cases(load_model(job.path), cases, job.model, cohort, job.seed)
            write_whole(kept, json.dumps(raw_scores.to_json(scores)))
        found += raw_scores.of_json(json.loads(kept.read_text()))
    return found


def on_target(scores: Iterable[RawScore]) -> list[RawScore]:
    """Return the scores on the patients of target."""
    return [score for score in scores if score.part != WATCHED]


def mean_by_model(
    scores: Sequence[RawScore], measure: str, organs: Sequence[str] | None = None
) -> dict[str, float]:
    """Return the mean of a measure over some organs or all, by model."""
    means = {}
    for model in MODELS:
        of_model = raw_scores.chosen(scores, model)
        means[model] = mean_of(of_model, measure, organs)
    return means


def means_of(scores: Sequence[RawScore]) -> dict[str, Any]:
    """Return the means that the table shows: of each organ and of all, by measure and model."""
    target = on_target(scores)
    watched = [score for score in scores if score.part == WATCHED]
    organs = list(dict.fromkeys(score.organ for score in target))
    means: dict[str, Any] = {}
    for measure in MEASURES:
        by_organ = {organ: mean_by_model(target, measure, [organ]) for organ in organs}
        by_organ["mean"] = mean_by_model(target, measure)
        by_organ["mean, source"] = mean_by_model(watched, measure)
        means[measure] = by_organ
    return means


def table(means: dict[str, Any]) -> Iterator[str]:
    """Yield the table as Markdown. means: as `means_of` returns them."""
    columns = [f"{model}, {name}" for name in MEASURES.values() for model in MODELS]
    yield "| organ | " + " | ".join(columns) + " |"
    yield "|---" * (1 + len(columns)) + "|"
    for organ in means["dsc"]:
        cells = []
        for measure in MEASURES:
            cells += [f"{means[measure][organ][model]:.3f}" for model in MODELS]
        yield f"| {organ} | " + " | ".join(cells) + " |"


def bars(scores: Sequence[RawScore]) -> list[Bar]:
    """Return what Model_ST must reach on the patients of target, and what it did."""
    child = raw_scores.chosen(on_target(scores), "Model_ST")
    found = []
    for what, at_least in BARS.items():
        of_organ = [score for score in child if what in ("mean", organ_of(score.organ).group)]
        found.append(Bar(what, at_least, mean_of(of_organ, "dsc")))
    return found


def results_name(candidate: Candidate, options: argparse.Namespace) -> str:
    """Return what the files of results are called; trials have names of their own."""
    name = f"phantom_{candidate.name}"
    if options.fold != "test":
        name += f"_{options.fold}"
    if options.iterations:
        name += "_" + "_".join(map(str, options.iterations))
    return name


def scores_path(candidate: Candidate, options: argparse.Namespace) -> Path:
    """Return the CSV file with a row per model, seed, case and organ."""
    return RESULTS / f"{results_name(candidate, options)}_scores.csv"


def about(jobs: Sequence[Job]) -> dict[str, Any]:
    """Return how a candidate's models were made. Minutes: none if a training was resumed."""
    candidate = jobs[0].candidate
    minutes, precision = {}, {}
    for job in jobs:
        name = f"{job.model}, seed {job.seed}"
        minutes[name] = json.loads(job.minutes.read_text())
        precision[name] = precision_of(load_model(job.path))
    return {
        "cpu": cpu_name(),
        "patients": {name: len(numbers) for name, (_, numbers) in COHORTS.items()},
        "seeds": sorted({job.seed for job in jobs}),
        "iterations": candidate.iterations,
        "minutes": minutes,
        "precision": precision,
        "settings": asdict(candidate.preset),
    }


def say(name: str, scores: Sequence[RawScore]) -> None:
    """Print a candidate's table and its bars."""
    print(f"\n{name}")
    print("\n".join(table(means_of(scores))))
    print("\n".join(map(str, bars(scores))))


def keep(name: str, how: dict[str, Any], scores: Sequence[RawScore]) -> None:
    """Write a candidate's results. how: as `about` returns it."""
    raw_scores.write(RESULTS / f"{name}_scores.csv", scores)
    found = [asdict(bar) | {"holds": bar.holds} for bar in bars(scores)]
    result = how | {"means": means_of(scores), "bars": found}
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def channels(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def options_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default="compact,accurate")
    parser.add_argument("--decoder", type=channels, help="try `accurate` with these channels")
    parser.add_argument("--name", help="of what --decoder tries")
    parser.add_argument("--seeds", type=channels, default=(0, 1, 2))
    parser.add_argument("--iterations", type=channels, help="of S, T and ST; the preset's if none")
    parser.add_argument("--fold", choices=FOLDS, default="test", help="patients of target to score")
    parser.add_argument("--work", type=Path, default=HERE / "work" / "phantom")
    parser.add_argument(
        "--table", action="store_true", help="print the tables from docs/results, and stop"
    )
    parser.add_argument(
        "--pictures", action="store_true", help="draw the kept models' contours, write the page"
    )
    options = parser.parse_args()
    if options.iterations and len(options.iterations) != len(MODELS):
        parser.error("--iterations takes three numbers, of S, T and ST")
    if options.name in PRESETS:
        parser.error(f"--name {options.name} is a preset")
    return options


def candidates_of(options: argparse.Namespace) -> list[Candidate]:
    """Return what is to be trained and scored: presets, or one that is only tried."""
    if options.decoder:
        accurate = preset_of("accurate")
        architecture = replace(cast("UNet", accurate.architecture), decoder=options.decoder)
        name = options.name or "decoder-" + "-".join(map(str, options.decoder))
        tried = replace(accurate, architecture=architecture)
        return [candidate_of(name, tried, options.iterations)]
    names = options.presets.split(",")
    return [candidate_of(name, preset_of(name), options.iterations) for name in names]


def in_processes(function: Callable[[Job], Any], jobs: Sequence[Job]) -> list[Any]:
    """Call a function with each job, two at a time."""
    with ProcessPoolExecutor(JOBS_AT_ONCE, mp_context=get_context("spawn")) as pool:
        return list(pool.map(function, jobs))


def jobs_of(candidates: Sequence[Candidate], seeds: Sequence[int], work: Path) -> list[Job]:
    """Return every model of every seed: parents and the longest trainings first."""
    jobs = []
    for model in MODELS:
        for candidate in candidates:
            jobs += [Job(candidate, model, seed, work) for seed in seeds]
    return jobs


def main() -> None:
    options = options_of()
    candidates = candidates_of(options)
    if options.table:
        for candidate in candidates:
            say(candidate.name, raw_scores.read(scores_path(candidate, options)))
        return
    work = options.work.resolve()
    jobs = jobs_of(candidates, options.seeds, work)
    if options.pictures:
        show(candidates, jobs, options)
        return
    make_cohorts(work, options.fold)
    in_processes(learn, [job for job in jobs if job.model != "Model_ST"])
    in_processes(learn, [job for job in jobs if job.model == "Model_ST"])
    found = in_processes(partial(scored, fold=options.fold), jobs)
    for candidate in candidates:
        scores = []
        for job, of_job in zip(jobs, found, strict=True):
            if job.candidate == candidate:
                scores += of_job
        name = results_name(candidate, options)
        keep(name, about([job for job in jobs if job.candidate == candidate]), scores)
        say(name, scores)


def show(candidates: Sequence[Candidate], jobs: Sequence[Job], options: argparse.Namespace) -> None:
    """Draw the first seed's models on the median and the worst patient, and write the page."""
    import phantom_pictures

    missing = [job.path for job in jobs if not job.path.exists()]
    if missing:
        sys.exit(f"not trained yet: {missing[0]}; run the same command without --pictures first")
    results = {}
    for candidate in candidates:
        path = RESULTS / f"{results_name(candidate, options)}.json"
        scores = on_target(raw_scores.read(scores_path(candidate, options)))
        results[candidate.name] = (json.loads(path.read_text()), scores)
    first = [job for job in jobs if job.seed == options.seeds[0]]
    models = {}
    for job in first:
        models[job.candidate.name, job.model] = job.path
    cases = Cohort.open(options.work.resolve() / "cohorts" / FOLDS[options.fold])
    phantom_pictures.write(cases, models, results, options.seeds[0])


if __name__ == "__main__":
    main()
