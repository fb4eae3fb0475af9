"""Model_S, Model_T and Model_ST: Table 2 of the paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from recontour.evaluation import CaseScore, Comparison, common_organs, compare, per_patient
from recontour.evaluation.patients import mean
from recontour.geometry.arrays import Floats
from recontour.study.cells import Plan
from recontour.study.tables.finished import (
    MODELS,
    CellCount,
    Results,
    by_model,
    count_cells,
    of_common_seeds,
    organs_of,
)
from recontour.study.tables.scores import (
    ALL,
    TARGET,
    Dsc,
    Interval,
    difference,
    dsc_of,
    interval_of,
    of_organs,
    patients,
    rows_of,
)

PAIRS = tuple(combinations(MODELS, 2))


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model on one organ, or on all."""

    organ: str
    model: str
    n: int
    dsc: Interval
    dsc_sd: float  # over patients; NaN for all organs
    surface_dsc: float
    surface_dsc_sd: float
    hd95_mm_median: float
    missed: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Two models on one organ, or on all:

    DSC of b minus DSC of a; for all organs there is no test.
    """

    organ: str
    model_a: str
    model_b: str
    n: int
    difference: Interval
    median_difference: float = np.nan
    p: float = np.nan  # Wilcoxon signed-rank, exact, two-sided
    p_holm: float = np.nan
    rank_biserial: float = np.nan
    cts: int = 0  # of the patients; for all organs not counted


@dataclass(frozen=True, slots=True)
class ModelsTable:
    """The three main models on one fold."""

    count: CellCount
    scores: Sequence[CaseScore]
    organs: Sequence[str]
    common: Sequence[str]  # that every model scored: what means are over
    comparisons: Sequence[Comparison]
    models: Mapping[tuple[str, str], ModelRow]  # by organ (the last: all) and model
    differences: Mapping[
        tuple[str, str, str], DifferenceRow
    ]  # by organ (the last: all), model a and model b

    @property
    def patients(self) -> int:
        """With any organ scored."""
        return patients(dsc_of(self.scores))

    def mean(self, model: str) -> Interval:
        """A model's mean DSC over the organs."""
        return self.models[ALL, model].dsc

    def gain(self, a: str, b: str) -> Interval:
        """Of b over a."""
        return self.differences[ALL, a, b].difference


def main_of(plan: Plan, results: Results, fold: str = TARGET) -> ModelsTable | None:
    """The main models on the target's cases;

    on the source's, what each kept of the source. None if none is scored.
    """
    asked = [cell for triple in plan.models for cell in triple]
    cells = {
        model: of_common_seeds(results, mine, asked)
        for model, mine in by_model(plan.models).items()
    }
    rows = {model: rows_of(results, cells[model], fold, model) for model in MODELS}
    order = {organ: place for place, organ in enumerate(organs_of(plan))}
    scores = sorted(
        (row for model in MODELS for row in rows[model]),
        key=lambda row: order.get(row.organ, len(order)),
    )
    if not scores:
        return None
    organs, common = list(dict.fromkeys(row.organ for row in scores)), common_organs(scores)
    dsc = {model: dsc_of(rows[model]) for model in MODELS}
    comparisons = compare(scores, MODELS)
    models = {
        (organ, model): _model_row(organ, model, rows[model])
        for organ in organs
        for model in MODELS
    }
    for model in MODELS:
        by_organ = [models[organ, model] for organ in common]
        models[ALL, model] = _overall_row(model, of_organs(dsc[model], common), by_organ)
    return ModelsTable(
        count=count_cells(results, asked),
        scores=scores,
        organs=organs,
        common=common,
        comparisons=comparisons,
        models=models,
        differences={
            (row.organ, row.model_a, row.model_b): row
            for row in _differences(comparisons, dsc, common)
        },
    )


def _model_row(organ: str, model: str, rows: Sequence[CaseScore]) -> ModelRow:
    mine = per_patient(row for row in rows if row.organ == organ)
    dsc = dsc_of(mine)
    surface = np.array([row.surface_dsc for row in mine if np.isfinite(row.surface_dsc)])
    hd95_mm = [row.hd95_mm for row in mine if not np.isnan(row.hd95_mm)]
    return ModelRow(
        organ=organ,
        model=model,
        n=len(dsc),
        dsc=interval_of(dsc, least=0.0),
        dsc_sd=_sd(np.array(list(dsc.values()))),
        surface_dsc=float(surface.mean()) if len(surface) else np.nan,
        surface_dsc_sd=_sd(surface),
        hd95_mm_median=float(np.median(hd95_mm)) if hd95_mm else np.nan,
        missed=sum(row.is_missed for row in mine),
    )


def _overall_row(model: str, dsc: Dsc, by_organ: Sequence[ModelRow]) -> ModelRow:
    return ModelRow(
        organ=ALL,
        model=model,
        n=patients(dsc),
        dsc=interval_of(dsc, least=0.0),
        dsc_sd=np.nan,
        surface_dsc=mean(row.surface_dsc for row in by_organ),
        surface_dsc_sd=np.nan,
        hd95_mm_median=np.nan,
        missed=sum(row.missed for row in by_organ),
    )


def _differences(
    comparisons: Sequence[Comparison], dsc: Mapping[str, Dsc], common: Sequence[str]
) -> Iterator[DifferenceRow]:
    for test in comparisons:
        a, b = test.model_a, test.model_b
        change = interval_of(of_organs(difference(dsc[a], dsc[b]), [test.organ]))
        tested = (test.median_difference, test.p, test.p_holm, test.rank_biserial, test.cts)
        yield DifferenceRow(test.organ, a, b, test.n, change, *tested)
    for a, b in PAIRS:
        overall = of_organs(difference(dsc[a], dsc[b]), common)
        yield DifferenceRow(ALL, a, b, patients(overall), interval_of(overall))


def _sd(values: Floats) -> float:
    """The sample standard deviation; NaN of fewer than two."""
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan
