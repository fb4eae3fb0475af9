"""The main job, step by step: the only place that knows every stage.

Each function is one command of the command line and one function of the Python API. Paths in, files
out; `progress` is told what goes on (nobody, unless given); what a person should know goes to the
log `recontour`.
"""

import datetime
import logging
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recontour.assess.caveats import draft_warnings, trained_on_warnings
from recontour.assess.scoring import contour_case, overlay_of, score_masks
from recontour.cohort import Case, Cohort, patient_names
from recontour.cohort.importing import import_dicom
from recontour.cohort.patients import doubt
from recontour.contouring.predict import chosen_organs, predict
from recontour.dicom import (
    Authorship,
    Scan,
    read_scan,
    refuse_without_uids,
    write_segmentation,
    write_structure_set,
)
from recontour.errors import ModelFileError, OrganError, SettingsError
from recontour.evaluation import CaseScore, compare, write_scores, write_statistics
from recontour.evaluation.figures import Overlay, slice_to_show, slices_to_show
from recontour.evaluation.page import as_notice
from recontour.evaluation.plotting import refuse_unplottable
from recontour.evaluation.report import ReportHeader, write_report
from recontour.exchange.nifti import affine_ras, write_nifti
from recontour.files import refuse_existing, whole_folder
from recontour.findings import log_finding, words
from recontour.geometry import traced
from recontour.geometry.arrays import Mask
from recontour.network import Model, load_model
from recontour.organs import sides_swapped
from recontour.progress import Progress, quiet
from recontour.training.presets import PRESETS, Preset, preset_of
from recontour.training.recipe import Recipe
from recontour.training.run import is_first_process
from recontour.transfer.models import begin, fit, take_over
from recontour.wording import printable, shown

__all__ = ["Contoured", "Progress", "adapt", "contour", "evaluate", "import_dicom", "train"]

log = logging.getLogger(__name__)
MOST_ITERATIONS = 10_000_000  # `paper` has 200 000
PATIENTS_TO_CHECK = (
    3  # at the end of a training: of an organ not found before; at most a few seconds in all
)


def train(
    cohort: Path,
    out: Path,
    *,
    preset: str = "compact",
    organs: Sequence[str] | None = None,
    iterations: int | None = None,
    seed: int = 0,
    deterministic: bool = False,
    resume: bool = False,
    progress: Progress = quiet,
) -> Model:
    """Train a model from scratch on a cohort: the paper's Model_S or Model_T.

    organs: TG-263 names; all that the cohort has if None. deterministic: the same bits on the same
        GPU again, slower.
    """
    refuse_existing(out)
    settings = preset_of(preset)
    opened = Cohort.open(cohort)
    learnt = _organs_to_learn(opened, organs)
    settings = replace(settings, train=_recipe(settings.train, iterations))
    cases = opened.cases_with(learnt)
    model = begin(opened, cases, learnt, preset, settings, seed)
    return _learn(
        model,
        cases,
        settings.train,
        out,
        resume=resume,
        deterministic=deterministic,
        progress=progress,
    )


def adapt(
    model: Path,
    cohort: Path,
    out: Path,
    *,
    retrain_last: int = 10,
    organs: Sequence[str] | None = None,
    iterations: int | None = None,
    seed: int = 0,
    deterministic: bool = False,
    resume: bool = False,
    progress: Progress = quiet,
) -> Model:
    """Retrain a model's last layers on another centre's cohort: the paper's Model_ST.

    retrain_last: layers, counted as in the paper; 10 are SPP and Conv5.
    organs: those of the model that the cohort has if None. One that the model does not have starts
        fresh; one of the model's that is not among them is dropped, since nobody could say how well
        it is still contoured.
    """
    refuse_existing(out)
    _refuse_swapped(model, cohort, "MODEL COHORT")
    parent = load_model(model)
    opened = Cohort.open(cohort)
    present = opened.organs  # read from every case: asked once
    if organs is None and (new := [organ for organ in present if organ not in parent.organs]):
        everything = " ".join([*(organ for organ in parent.organs if organ in present), *new])
        unknown = f"{model} does not know {', '.join(new)}, which {cohort} has"
        log.info(printable(f"{unknown}; to learn them too: --organs {everything}"))
    learnt = _organs_to_learn(
        opened, organs or [organ for organ in parent.organs if organ in present]
    )
    recipe = _recipe(_preset_of_parent(parent, model).adapt, iterations)
    cases = opened.cases_with(learnt)
    child = take_over(parent, opened, cases, learnt, recipe, retrain_last, seed)
    return _learn(
        child, cases, recipe, out, resume=resume, deterministic=deterministic, progress=progress
    )


@dataclass(frozen=True, slots=True)
class Contoured:
    """What `contour` found:

    volume by organ, organs it did not find, and what a person should look at.
    """

    volumes_cc: Mapping[str, float]
    not_found: tuple[str, ...]
    warnings: tuple[str, ...]


def contour(
    model: Path,
    ct_dir: Path,
    out: Path,
    *,
    organs: Sequence[str] | None = None,
    format: str = "rtstruct",
    progress: Progress = quiet,
) -> Contoured:
    """Contour one CT series.

    format: "rtstruct" or "seg": one DICOM file that references the CT. "nifti": a new folder with
        ORGAN.nii.gz, a mask of its own for every organ, since organs may overlap.
    Nothing is written if anything fails, or if no organ is found.
    """
    if format not in WRITERS:
        raise SettingsError(f"--format {format}: one of {', '.join(WRITERS)} is expected")
    refuse_existing(out)
    _refuse_swapped(model, ct_dir, "MODEL CT_DIR")
    loaded = load_model(model)
    wanted = chosen_organs(loaded, organs)
    scan = read_scan(ct_dir)
    volumes: dict[str, float] = {}
    middles: dict[str, float] = {}

    def found() -> Iterator[tuple[str, Mask]]:
        """What shows, organ by organ, as it is written:

        no format but SEG needs all masks at once.
        """
        for organ, mask in predict(loaded, scan.hu, scan.grid, wanted):
            progress("contouring", len(volumes), len(wanted), organ)
            if mask.any():
                volumes[organ] = scan.grid.volume_cc(mask)
                middles[organ] = scan.grid.middle_x_mm(mask)
                yield organ, mask
        if not volumes:
            raise OrganError(
                f"{ct_dir}: none of {', '.join(wanted)} found; "
                "is this the region the model was trained on, and was it trained long enough?"
            )

    WRITERS[format](out, found(), scan, Authorship(model=_title(loaded, model)))
    progress("contouring", len(wanted), len(wanted), "")
    warnings = list(map(words, [*scan.notes, *sides_swapped(middles)]))
    not_found = tuple(organ for organ in wanted if organ not in volumes)
    if len(not_found) > len(volumes):
        warnings.append(
            "most organs were not found, so what was found may be none: is this the region it was trained on?"
        )
    return Contoured(volumes, not_found, tuple(warnings))


def _write_rtstruct(
    path: Path, masks: Iterable[tuple[str, Mask]], scan: Scan, made_by: Authorship
) -> None:
    refuse_without_uids(path, scan.source)  # before the masks are made, not after
    write_structure_set(path, traced(masks, scan.grid), scan, made_by)


def _write_nifti(
    folder: Path, masks: Iterable[tuple[str, Mask]], scan: Scan, _made_by: Authorship
) -> None:
    affine_ras(
        scan.grid
    )  # raises where slices are not evenly spaced: before the work, not after it
    with whole_folder(folder) as partial:
        for organ, mask in masks:
            write_nifti(partial / f"{organ}.nii.gz", mask, scan.grid)


WRITERS = {"rtstruct": _write_rtstruct, "seg": write_segmentation, "nifti": _write_nifti}


def evaluate(
    cohort: Path, models: Sequence[Path], out: Path, *, progress: Progress = quiet
) -> list[CaseScore]:
    """Score models on a cohort's own contours: scores.csv, statistics.csv and report.html in a new
    folder.

    Means and tests are over patients, of whom each may have several CTs.
    Models are named by their files. An organ that a patient's structure set does not have is not
    scored.
    """
    refuse_existing(out)
    refuse_unplottable()
    _refuse_swapped(models[0], cohort, "COHORT MODEL")
    opened = Cohort.open(cohort)
    loaded = _by_name(models)
    cases = _cases_to_score(opened, loaded)
    warnings = [*draft_warnings(cases), *trained_on_warnings(loaded, cases)]
    for warning in warnings:
        log_finding(log, logging.WARNING, warning)
    known = [as_notice(warning) for warning in warnings]
    unknown = [as_notice(doubtful)] if (doubtful := doubt(cases)) else []
    scores: list[CaseScore] = []
    pictures: dict[
        tuple[str, str], dict[int, dict[str, npt.NDArray[np.uint8]]]
    ] = {}  # case, organ, slice, model: bits
    jobs = [
        (case, name) for case in cases for name in reversed(loaded)
    ]  # the last model says what is worth a picture
    for done, (case, name) in enumerate(jobs):
        progress("contouring", done, len(jobs), f"{case.id} with {name}")
        for row, mask in score_masks(case, name, contour_case(loaded[name], case)):
            scores.append(row)
            if (case.id, row.organ) not in pictures:
                slices = slices_to_show(case.mask(row.organ), mask)
                pictures[case.id, row.organ] = {index: {} for index in slices}
            for index, bits in pictures[case.id, row.organ].items():
                bits[name] = np.packbits(mask[index], axis=-1)
    patients = patient_names(cases)
    scores = [replace(row, patient=patients[row.case]) for row in scores]
    scores.sort(key=lambda row: (row.case, list(loaded).index(row.model)))
    comparisons = compare(scores, list(loaded))

    def overlays(case_id: str, organ: str) -> Iterator[Overlay]:
        case = opened[case_id]
        for index, bits in pictures[case_id, organ].items():
            yield overlay_of(
                case, organ, index, {name: case.unpacked(plane) for name, plane in bits.items()}
            )

    progress("reporting", len(jobs), len(jobs), "report.html")
    header = ReportHeader(
        centre=opened.centre,
        date=datetime.datetime.now(datetime.UTC).date(),
        models={
            name: f"{model.provenance.lineage}; preset {model.provenance.preset}"
            for name, model in loaded.items()
        },
        repeat=shlex.join(
            [
                "recontour",
                "evaluate",
                "COHORT",
                *(printable(path.name) for path in models),
                "--out",
                "OUT",
            ]
        ),
        notices=tuple(
            dict.fromkeys(
                [
                    *known,
                    *unknown,
                    *opened.notices,
                    *(n for m in loaded.values() for n in m.provenance.notices),
                ]
            )
        ),
    )
    with whole_folder(out) as folder:
        write_scores(folder / "scores.csv", scores)
        write_statistics(folder / "statistics.csv", comparisons)
        write_report(folder / "report.html", scores, comparisons, overlays, header)
    return scores


def _refuse_swapped(model: Path, folder: Path, order: str) -> None:
    if model.is_dir() and folder.is_file():
        raise SettingsError(f"{model} is a folder and {folder} a file; the order is {order}")


def _organs_to_learn(cohort: Cohort, organs: Sequence[str] | None) -> tuple[str, ...]:
    """The organs to train on; each must be contoured in at least one case."""
    wanted = cohort.chosen_organs(organs)
    if not wanted:
        present = ", ".join(cohort.organs)
        raise OrganError(
            f"the model's organs are not in {cohort.path}, which has {present}; name --organs"
        )
    return wanted


def _preset_of_parent(parent: Model, path: Path) -> Preset:
    """How a model is adapted: its file names a preset, which another recontour may have had."""
    name = parent.provenance.preset
    if name not in PRESETS:
        known = " and ".join(sorted(PRESETS))
        raise ModelFileError(
            f"{path} was made with preset '{name}', and this recontour has {known}; adapt it with the recontour that "
            "made it, or update"
        )
    return PRESETS[name]


def _recipe(recipe: Recipe, iterations: int | None) -> Recipe:
    if iterations is None:
        return recipe
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise SettingsError(
            f"--iterations {shown(iterations)}: at least 1 and at most {MOST_ITERATIONS} are needed"
        )
    return replace(recipe, iterations=iterations)


def _learn(
    model: Model,
    cases: Sequence[Case],
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    deterministic: bool,
    progress: Progress,
) -> Model:
    """Fit a model and write its file, telling how it goes."""
    for warning in draft_warnings(cases):
        log_finding(log, logging.WARNING, warning)
    with closing(
        fit(model, cases, recipe, out, resume=resume, deterministic=deterministic)
    ) as steps:
        for step in steps:
            words = f"loss {step.loss:.3f}, learning rate {step.learning_rate:.2e}"
            progress(f"training {out.stem}", step.iteration, recipe.iterations, words)
    if is_first_process() and (never := _never_found(model, cases)):
        log.warning(
            f"not found on the patients it was trained on: {', '.join(never)}; give more --iterations"
        )
    return model


def _never_found(model: Model, cases: Sequence[Case]) -> list[str]:
    """The organs of which a model finds nothing on a few patients it was trained on, where they are
    largest.
    """
    looked: Counter[str] = Counter()
    never = list(model.organs)
    for case in cases:
        sought = [
            organ for organ in never if organ in case.organs and looked[organ] < PATIENTS_TO_CHECK
        ]
        if sought:
            looked.update(sought)
            indices = sorted({slice_to_show(case.mask(organ)) for organ in sought})
            shape, z_mm = (
                (len(indices), *case.grid.shape[1:]),
                tuple(case.grid.slice_z_mm[index] for index in indices),
            )
            few = replace(case.grid, shape=shape, slice_z_mm=z_mm)
            found = {
                organ for organ, mask in predict(model, case.hu[indices], few, sought) if mask.any()
            }
            never = [organ for organ in never if organ not in found]
    return never


def _title(model: Model, path: Path) -> str:
    return f"{path.stem} ({model.provenance.lineage})"


def _by_name(models: Sequence[Path]) -> dict[str, Model]:
    """Models by their files' names, in the order given; bytes that are no text become U+FFFD."""
    names = [printable(path.stem) for path in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(
            f"two models are called {', '.join(twice)}; rename the files, the report names models so"
        )
    return {name: load_model(path) for name, path in zip(names, models, strict=True)}


def _cases_to_score(cohort: Cohort, models: Mapping[str, Model]) -> list[Case]:
    organs = {organ for model in models.values() for organ in model.organs}
    cases = cohort.cases_with(organs)
    if not cases:
        raise OrganError(
            f"{cohort.path} has contours of {', '.join(cohort.organs) or 'nothing'}; "
            f"the models know {', '.join(sorted(organs))}: nothing to score"
        )
    return cases
