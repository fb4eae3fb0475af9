"""The numbers of a study's report, computed from its finished cells. A row of a table here is a row of its CSV file.

Means are over the patients of each organ, then over the organs, so that each organ counts alike. Where a model was
trained with several seeds (or on several draws of cases), a patient's score is the mean over those. Intervals are 95 %
percentile bootstraps that resample patients, the same at every run.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

from recontour.evaluation import CaseScore, Comparison, common_organs, compare
from recontour.evaluation.statistics import RESAMPLES, SEED
from recontour.study.cells import Cell, Grid
from recontour.study.results import Point, Result

Floats = npt.NDArray[np.float64]
Results = Mapping[str, Result]  # by the cell's id
Dsc = Mapping[tuple[str, str], float]  # by case and organ

MODELS = ("Model_S", "Model_T", "Model_ST")
PAIRS = tuple(combinations(MODELS, 2))
TARGET, SOURCE = "target test", "source test"  # folds
ALL = "mean over organs"  # in an organ's place
PAPERS_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean DSC, or of differences in DSC, and its interval; NaN where there is nothing or one patient."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Level:
    """How well one model contours the cases of a fold."""

    dsc: Estimate
    patients: int
    organs: Mapping[str, float]  # mean DSC


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of an experiment is there."""

    finished: int
    asked: int


def progress(results: Results, cells: Iterable[Cell]) -> Progress:
    """Count cells, each once."""
    ids = {cell.id for cell in cells}
    return Progress(len(ids & results.keys()), len(ids))


# Scores


def rows_of(results: Results, cells: Iterable[Cell], fold: str, model: str = "") -> list[CaseScore]:
    """Several cells' scores as one model's: each case's and organ's measures averaged, NaN left out."""
    groups: dict[tuple[str, str], list[CaseScore]] = {}
    for cell in cells:
        for row in results[cell.id].scores.get(fold, ()) if cell.id in results else ():
            groups.setdefault((row.case, row.organ), []).append(row)
    return [
        CaseScore(
            case=case,
            organ=organ,
            model=model,
            dsc=_mean(row.dsc for row in rows),
            surface_dsc=_mean(row.surface_dsc for row in rows),
            tolerance_mm=rows[0].tolerance_mm,
            hd95_mm=_mean(row.hd95_mm for row in rows),
            volume_bias_percent=_mean(row.volume_bias_percent for row in rows),
        )
        for (case, organ), rows in groups.items()
    ]


def dsc_of(rows: Iterable[CaseScore]) -> dict[tuple[str, str], float]:
    """The finite DSC by case and organ."""
    return {(row.case, row.organ): row.dsc for row in rows if np.isfinite(row.dsc)}


def difference(a: Dsc, b: Dsc) -> dict[tuple[str, str], float]:
    """b - a where both are."""
    return {key: b[key] - a[key] for key in b if key in a}


def estimate(dsc: Dsc) -> Estimate:
    """The mean and its interval."""
    cases, organs = (sorted({key[axis] for key in dsc}) for axis in (0, 1))
    table = np.array([[dsc.get((case, organ), np.nan) for organ in organs] for case in cases], dtype=np.float64)
    if not table.size:
        return Estimate(np.nan, np.nan, np.nan)

    def mean(chosen: npt.NDArray[np.int64], axis: int = -1) -> Floats:
        return _mean_over(_mean_over(table[chosen], axis=-2), axis=-1)

    everyone = np.arange(len(cases))
    middle = float(mean(everyone))
    if len(cases) < 2:
        return Estimate(middle, np.nan, np.nan)
    interval = bootstrap(
        (everyone,), mean, n_resamples=RESAMPLES, method="percentile", random_state=np.random.default_rng(SEED)
    ).confidence_interval
    return Estimate(middle, float(interval.low), float(interval.high))


def level(rows: Sequence[CaseScore]) -> Level:
    """Sum one model up over a fold."""
    dsc = dsc_of(rows)
    by_organ = {
        organ: _mean(value for (_, of), value in dsc.items() if of == organ)
        for organ in dict.fromkeys(organ for _, organ in dsc)
    }
    return Level(estimate(dsc), len({case for case, _ in dsc}), by_organ)


def _level_of(results: Results, cells: Iterable[Cell], fold: str) -> Level:
    return level(rows_of(results, cells, fold))


def _mean(values: Iterable[float]) -> float:
    """The mean of the values that are not NaN; NaN if none is."""
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else np.nan


def _mean_over(values: Floats, axis: int) -> Floats:
    """The same along an axis: an organ may have no case among those drawn."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


# Model_S, Model_T and Model_ST


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model on one organ, or on all."""

    organ: str
    model: str
    n: int
    dsc: Estimate
    dsc_sd: float  # over patients; NaN for all organs
    surface_dsc: float
    surface_dsc_sd: float
    hd95_mm_median: float
    missed: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Two models on one organ, or on all: DSC of b minus DSC of a."""

    organ: str
    model_a: str
    model_b: str
    n: int
    difference: Estimate
    median_difference: float
    p: float  # Wilcoxon signed-rank, exact, two-sided; NaN for all organs
    p_holm: float
    rank_biserial: float


@dataclass(frozen=True, slots=True)
class Main:
    """The three main models on one fold."""

    progress: Progress
    scores: Sequence[CaseScore]
    organs: Sequence[str]
    common: Sequence[str]  # that every model scored: what means are over
    comparisons: Sequence[Comparison]
    models: Sequence[ModelRow]
    differences: Sequence[DifferenceRow]

    @property
    def patients(self) -> int:
        """With any organ scored."""
        return len({row.case for row in self.scores if np.isfinite(row.dsc)})

    def mean(self, model: str) -> Estimate:
        """A model's mean DSC over the organs."""
        return next(row.dsc for row in self.models if (row.organ, row.model) == (ALL, model))

    def gain(self, a: str, b: str) -> Estimate:
        """Of b over a."""
        return next(row.difference for row in self.differences if (row.organ, row.model_a, row.model_b) == (ALL, a, b))


def main_cells(grid: Grid) -> dict[str, list[Cell]]:
    """The cells of each main model, a seed each."""
    return {
        "Model_S": [triple.s for triple in grid.models],
        "Model_T": [triple.t for triple in grid.models],
        "Model_ST": [triple.st for triple in grid.models],
    }


def main(grid: Grid, results: Results, fold: str = TARGET) -> Main | None:
    """Table 2 of the paper; on the source's cases, what each model kept of the source. None if no case is scored."""
    cells = main_cells(grid)
    rows = {model: rows_of(results, cells[model], fold, model) for model in MODELS}
    order = {organ: place for place, organ in enumerate(organ for cell in cells["Model_S"] for organ in cell.organs)}
    scores = sorted((row for model in MODELS for row in rows[model]), key=lambda row: order.get(row.organ, len(order)))
    if not scores:
        return None
    organs = list(dict.fromkeys(row.organ for row in scores))
    common = common_organs(scores)
    dsc = {model: dsc_of(row for row in rows[model] if row.organ in common) for model in MODELS}
    comparisons = compare(scores, MODELS)
    return Main(
        progress=progress(results, (cell for of_model in cells.values() for cell in of_model)),
        scores=scores,
        organs=organs,
        common=common,
        comparisons=comparisons,
        models=[
            *(_model_row(organ, model, rows[model]) for organ in organs for model in MODELS),
            *(_overall_row(model, rows[model], common) for model in MODELS),
        ],
        differences=[
            *(_difference_row(row, dsc_of(rows[row.model_a]), dsc_of(rows[row.model_b])) for row in comparisons),
            *(_overall_difference(a, b, difference(dsc[a], dsc[b])) for a, b in PAIRS),
        ],
    )


def _model_row(organ: str, model: str, rows: Sequence[CaseScore]) -> ModelRow:
    mine = [row for row in rows if row.organ == organ]
    dsc = dsc_of(mine)
    surface = np.array([row.surface_dsc for row in mine if np.isfinite(row.surface_dsc)])
    hd95_mm = [row.hd95_mm for row in mine if not np.isnan(row.hd95_mm)]
    return ModelRow(
        organ=organ,
        model=model,
        n=len(dsc),
        dsc=estimate(dsc),
        dsc_sd=_sd(np.array(list(dsc.values()))),
        surface_dsc=float(surface.mean()) if len(surface) else np.nan,
        surface_dsc_sd=_sd(surface),
        hd95_mm_median=float(np.median(hd95_mm)) if hd95_mm else np.nan,
        missed=sum(row.is_missed for row in mine),
    )


def _overall_row(model: str, rows: Sequence[CaseScore], common: Sequence[str]) -> ModelRow:
    by_organ = [_model_row(organ, model, rows) for organ in common]
    rows = [row for row in rows if row.organ in common]
    return ModelRow(
        organ=ALL,
        model=model,
        n=len({case for case, _ in dsc_of(rows)}),
        dsc=estimate(dsc_of(rows)),
        dsc_sd=np.nan,
        surface_dsc=_mean(row.surface_dsc for row in by_organ),
        surface_dsc_sd=np.nan,
        hd95_mm_median=np.nan,
        missed=sum(row.missed for row in by_organ),
    )


def _difference_row(row: Comparison, a: Dsc, b: Dsc) -> DifferenceRow:
    of_organ = {key: value for key, value in difference(a, b).items() if key[1] == row.organ}
    return DifferenceRow(
        organ=row.organ,
        model_a=row.model_a,
        model_b=row.model_b,
        n=row.n,
        difference=estimate(of_organ),
        median_difference=row.median_difference,
        p=row.p,
        p_holm=row.p_holm,
        rank_biserial=row.rank_biserial,
    )


def _overall_difference(a: str, b: str, dsc: Dsc) -> DifferenceRow:
    n = len({case for case, _ in dsc})
    return DifferenceRow(ALL, a, b, n, estimate(dsc), np.nan, np.nan, np.nan, np.nan)


def _sd(values: Floats) -> float:
    """The sample standard deviation; NaN of fewer than two."""
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan


def published() -> dict[str, dict[str, tuple[float, float]]]:
    """The paper's Table 2: mean and SD of the DSC by organ and model."""
    text = resources.files("recontour.study").joinpath("published.toml").read_text(encoding="utf-8")
    return {
        organ: {model: (mean, sd) for model, (mean, sd) in by_model.items()}
        for organ, by_model in tomllib.loads(text).items()
    }


# Depth


@dataclass(frozen=True, slots=True)
class DepthRow:
    """Model_ST with some layers retrained; or a control."""

    control: str  # "" on the curve
    layers: int
    all_layers: bool
    retrained_parameters: int
    iterations: int
    seconds: float  # of all steps after Model_S
    seconds_per_iteration: float
    target: Level
    source: Level
    over_papers: Estimate  # the target's DSC less that of the paper's depth


@dataclass(frozen=True, slots=True)
class Depth:
    """The depth study."""

    progress: Progress
    rows: Sequence[DepthRow]

    @property
    def curve(self) -> list[DepthRow]:
        """Without the controls."""
        return [row for row in self.rows if not row.control]

    @property
    def controls(self) -> list[DepthRow]:
        """What gives the curve a meaning."""
        return [row for row in self.rows if row.control]

    @property
    def best(self) -> DepthRow | None:
        """The depth with the highest mean DSC on the target; of equals, that with the fewest layers."""
        scored = [row for row in self.curve if row.target.patients]
        return max(scored, key=lambda row: row.target.dsc.mean, default=None)


def depth(grid: Grid, results: Results) -> Depth | None:
    """DSC on target and source by the number of retrained layers."""
    asked = [*(("", cells) for cells in grid.depth.values()), *grid.controls.items()]
    papers = dsc_of(rows_of(results, grid.depth.get(PAPERS_DEPTH, ()), TARGET))
    rows = [
        _depth_row(results, control, there, papers)
        for control, cells in asked
        if (there := [cell for cell in cells if cell.id in results])
    ]
    return Depth(progress(results, (cell for _, cells in asked for cell in cells)), rows) if rows else None


def _depth_row(results: Results, control: str, cells: Sequence[Cell], papers: Dsc) -> DepthRow:
    training = results[cells[0].id].training
    steps = [step for cell in cells for step in cell.lineage if step.model == "ST" and step.id in results]
    target = rows_of(results, cells, TARGET)
    return DepthRow(
        control=control,
        layers=cells[0].retrain_last or 0,
        all_layers=training.retrained_parameters == training.parameters,
        retrained_parameters=training.retrained_parameters,
        iterations=training.iterations + sum(s.iterations for s in cells[0].lineage[:-1] if s.model == "ST"),
        seconds=sum(results[step.id].training.seconds for step in steps) / len(cells),
        seconds_per_iteration=_mean(results[cell.id].training.seconds_per_iteration for cell in cells),
        target=level(target),
        source=_level_of(results, cells, SOURCE),
        over_papers=estimate(difference(papers, dsc_of(target))),
    )


# Number of target cases


@dataclass(frozen=True, slots=True)
class CasesRow:
    """Model_T and Model_ST with so many of the target's cases."""

    cases: int
    draws: int  # finished, of either model
    t: Level
    st: Level
    st_less_t: Estimate
    t_draws: Sequence[float]  # mean DSC of each draw and seed
    st_draws: Sequence[float]
    st_less_t_draws: Sequence[float]


@dataclass(frozen=True, slots=True)
class Cases:
    """How many cases suffice."""

    progress: Progress
    rows: Sequence[CasesRow]

    @property
    def caught_up(self) -> int | None:
        """The fewest cases from which on the interval of ST - T is never above 0; None if there are none."""
        found = None
        for row in reversed([row for row in self.rows if np.isfinite(row.st_less_t.low)]):
            if row.st_less_t.low > 0:
                break
            found = row.cases
        return found


def cases(grid: Grid, results: Results) -> Cases | None:
    """T and ST by the number of target cases."""
    rows = [row for number, pairs in grid.cases.items() if (row := _cases_row(results, number, pairs)).draws]
    every = (cell for pairs in grid.cases.values() for pair in pairs for cell in pair)
    return Cases(progress(results, every), rows) if rows else None


def _cases_row(results: Results, number: int, pairs: Sequence[tuple[Cell, Cell]]) -> CasesRow:
    t, st = ([pair[side] for pair in pairs if pair[side].id in results] for side in (0, 1))
    both = [(a, b) for a, b in pairs if a.id in results and b.id in results]

    def gain(of: Sequence[tuple[Cell, Cell]]) -> Estimate:
        a, b = (dsc_of(rows_of(results, [pair[side] for pair in of], TARGET)) for side in (0, 1))
        return estimate(difference(a, b))

    return CasesRow(
        cases=number,
        draws=len({cell.draw for cell in (*t, *st)}),
        t=_level_of(results, t, TARGET),
        st=_level_of(results, st, TARGET),
        st_less_t=gain(both),
        t_draws=[_level_of(results, [cell], TARGET).dsc.mean for cell in t],
        st_draws=[_level_of(results, [cell], TARGET).dsc.mean for cell in st],
        st_less_t_draws=[gain([pair]).mean for pair in both],
    )


# Separately and jointly


@dataclass(frozen=True, slots=True)
class SeparatelyRow:
    """One organ, learnt by networks of its own and by the joint ones; by model, only those that are there."""

    organ: str  # or all: the mean DSC, the sum of iterations and seconds
    separately: Mapping[str, float]  # DSC
    jointly: Mapping[str, float]
    separately_less_jointly: Mapping[str, Estimate]
    iterations: Mapping[str, int]  # of the organ's own networks
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Separately:
    """One network an organ, as in the paper, against one for all."""

    progress: Progress
    rows: Sequence[SeparatelyRow]  # the last: all
    joint_iterations: Mapping[str, int]
    joint_seconds: Mapping[str, float]


def separately(grid: Grid, results: Results) -> Separately | None:
    """Organ by organ both ways, on the target's test cases; the joint models are the main ones."""
    alone: dict[str, dict[str, list[Cell]]] = {}  # organ, model
    for organ, triples in grid.separately.items():
        for model, cells in zip(MODELS, zip(*triples, strict=True), strict=True):
            if there := [cell for cell in cells if cell.id in results]:
                alone.setdefault(organ, {})[model] = there
    if not alone:
        return None
    joint = {
        model: there
        for model, cells in main_cells(grid).items()
        if (there := [cell for cell in cells if cell.id in results])
    }
    joint_dsc = {model: dsc_of(rows_of(results, cells, TARGET)) for model, cells in joint.items()}
    everywhere = [model for model in MODELS if all(model in of_organ for of_organ in alone.values())]
    rows = [_separately_row(results, organ, {organ: by_model}, joint_dsc) for organ, by_model in alone.items()]
    whole = {organ: {model: by_model[model] for model in everywhere} for organ, by_model in alone.items()}
    asked = (cell for triples in grid.separately.values() for triple in triples for cell in triple)
    return Separately(
        progress=progress(results, asked),
        rows=[*rows, _separately_row(results, ALL, whole, joint_dsc)],
        joint_iterations={model: cells[0].iterations for model, cells in joint.items()},
        joint_seconds={model: _seconds(results, cells) for model, cells in joint.items()},
    )


def _separately_row(
    results: Results, name: str, alone: Mapping[str, Mapping[str, Sequence[Cell]]], joint_dsc: Mapping[str, Dsc]
) -> SeparatelyRow:
    """One organ, or several as one row."""
    cells: dict[str, list[Sequence[Cell]]] = {}  # by model, of each organ
    for by_model in alone.values():
        for model, of_model in by_model.items():
            cells.setdefault(model, []).append(of_model)
    own = {
        model: dsc_of(row for group in of_model for row in rows_of(results, group, TARGET))
        for model, of_model in cells.items()
    }
    joint = {
        model: {key: value for key, value in dsc.items() if key[1] in alone}
        for model, dsc in joint_dsc.items()
        if model in own
    }
    return SeparatelyRow(
        organ=name,
        separately={model: estimate(dsc).mean for model, dsc in own.items()},
        jointly={model: estimate(dsc).mean for model, dsc in joint.items()},
        separately_less_jointly={model: estimate(difference(joint[model], own[model])) for model in joint},
        iterations={model: sum(group[0].iterations for group in of_model) for model, of_model in cells.items()},
        seconds={model: sum(_seconds(results, group) for group in of_model) for model, of_model in cells.items()},
    )


def _seconds(results: Results, cells: Sequence[Cell]) -> float:
    """Of training, a seed."""
    return _mean(results[cell.id].training.seconds for cell in cells)


# Normalisation


@dataclass(frozen=True, slots=True)
class NormalisationRow:
    """Model_S and Model_ST with one normalisation and batch."""

    norm: str
    batch: int
    iterations: int
    s_seconds_per_iteration: float
    st_seconds_per_iteration: float
    s_target: Level
    s_source: Level
    st_target: Level
    st_source: Level
    st_less_s: Estimate  # on the target


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Batch, group or frozen statistics."""

    progress: Progress
    rows: Sequence[NormalisationRow]


def normalisation(grid: Grid, results: Results) -> Normalisation | None:
    """By norm and batch, on target and source."""
    rows = []
    for (norm, batch), pairs in grid.normalisation.items():
        s, st = ([pair[side] for pair in pairs if pair[side].id in results] for side in (0, 1))
        if not (s or st):
            continue
        s_dsc, st_dsc = (dsc_of(rows_of(results, cells, TARGET)) for cells in (s, st))
        rows.append(
            NormalisationRow(
                norm=norm,
                batch=batch,
                iterations=pairs[0][0].iterations,
                s_seconds_per_iteration=_mean(results[cell.id].training.seconds_per_iteration for cell in s),
                st_seconds_per_iteration=_mean(results[cell.id].training.seconds_per_iteration for cell in st),
                s_target=_level_of(results, s, TARGET),
                s_source=_level_of(results, s, SOURCE),
                st_target=_level_of(results, st, TARGET),
                st_source=_level_of(results, st, SOURCE),
                st_less_s=estimate(difference(s_dsc, st_dsc)),
            )
        )
    every = (cell for pairs in grid.normalisation.values() for pair in pairs for cell in pair)
    return Normalisation(progress(results, every), rows) if rows else None


# Times and curves


@dataclass(frozen=True, slots=True)
class TimesRow:
    """What one main model cost, a seed."""

    model: str
    train_cases: int
    iterations: int
    seconds: float
    seconds_per_iteration: float
    waiting: float  # shares
    trunk: float
    head: float
    parameters: int
    retrained_parameters: int
    seconds_to_reach_t: float  # Model_T's last validation DSC; inf: not reached, NaN: nothing to reach
    share_of_t: float  # of Model_T's training time
    contouring_seconds_per_slice: float
    contouring_seconds_per_case: float


def times(grid: Grid, results: Results) -> list[TimesRow]:
    """The main models' cost, those that are there."""
    rows = []
    baselines = [results.get(triple.t.id) for triple in grid.models]
    for model, cells in main_cells(grid).items():
        there = [results[cell.id] for cell in cells if cell.id in results]
        if not there:
            continue
        reached = [
            _reached(results[cell.id], t) for cell, t in zip(cells, baselines, strict=True) if t and cell.id in results
        ]
        cost = [one.contouring for one in there]
        rows.append(
            TimesRow(
                model=model,
                train_cases=there[0].train_cases,
                iterations=there[0].training.iterations,
                seconds=_mean(one.training.seconds for one in there),
                seconds_per_iteration=_mean(one.training.seconds_per_iteration for one in there),
                waiting=_mean(one.training.waiting for one in there),
                trunk=_mean(one.training.trunk for one in there),
                head=_mean(one.training.head for one in there),
                parameters=there[0].training.parameters,
                retrained_parameters=there[0].training.retrained_parameters,
                seconds_to_reach_t=_mean(seconds for seconds, _ in reached),
                share_of_t=_mean(share for _, share in reached),
                contouring_seconds_per_slice=_mean(_each(one.seconds, one.slices) for one in cost),
                contouring_seconds_per_case=_mean(_each(one.seconds, one.cases) for one in cost),
            )
        )
    return rows


def _reached(result: Result, t: Result) -> tuple[float, float]:
    """After how many seconds a model's validation DSC was as high as Model_T's last, and their share of T's time."""
    if not t.training.validation or not result.training.validation:
        return np.nan, np.nan
    goal = t.training.validation[-1].value
    seconds = next((point.seconds for point in result.training.validation if point.value >= goal), np.inf)
    return seconds, _each(seconds, t.training.seconds)


def _each(seconds: float, number: float) -> float:
    return seconds / number if number else np.nan


@dataclass(frozen=True, slots=True)
class CurveRow:
    """A point of a main model's training curve."""

    model: str
    seed: int
    curve: str  # loss, validation
    iteration: int
    seconds: float
    value: float


def curves(grid: Grid, results: Results) -> list[CurveRow]:
    """Loss, and mean DSC on the target's validation cases, as training went on."""
    rows = []
    for model, cells in main_cells(grid).items():
        for cell in cells:
            if cell.id not in results:
                continue
            training = results[cell.id].training
            by_name: dict[str, Sequence[Point]] = {"loss": training.loss, "validation": training.validation}
            rows += [
                CurveRow(model, cell.seed, name, point.iteration, point.seconds, point.value)
                for name, points in by_name.items()
                for point in points
            ]
    return rows


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A cell's score of one organ of one case."""

    cell: str
    fold: str
    case: str
    organ: str
    dsc: float
    surface_dsc: float
    tolerance_mm: float
    hd95_mm: float
    volume_bias_percent: float


def every_score(grid: Grid, results: Results) -> list[ScoreRow]:
    """What everything here is computed from."""
    return [
        ScoreRow(
            cell=cell.id,
            fold=fold,
            case=row.case,
            organ=row.organ,
            dsc=row.dsc,
            surface_dsc=row.surface_dsc,
            tolerance_mm=row.tolerance_mm,
            hd95_mm=row.hd95_mm,
            volume_bias_percent=row.volume_bias_percent,
        )
        for cell in grid.cells
        if cell.id in results
        for fold, rows in results[cell.id].scores.items()
        for row in rows
    ]
