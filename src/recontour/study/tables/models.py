"""Model_S, Model_T and Model_ST: models.csv, statistics.csv and retention.csv."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np

from recontour.evaluation import CaseScore, Comparison, common_organs, compare, per_patient
from recontour.evaluation.findings import UnfoundOrgans
from recontour.evaluation.intervals import (
    Dsc,
    Interval,
    count_patients,
    difference,
    dsc_of,
    interval_of,
    of_organs,
)
from recontour.evaluation.numbers import without_nan
from recontour.evaluation.patients import mean
from recontour.evaluation.verdicts import unfound_organs
from recontour.geometry.arrays import Floats
from recontour.study.cells import Plan
from recontour.study.tables.finished import (
    MODELS,
    CellCount,
    Results,
    by_key,
    by_model,
    column,
    count_cells,
    flat,
    of_common_seeds,
    organs_of,
)
from recontour.study.tables.scores import ALL, TARGET, rows_of

PAIRS = tuple(combinations(MODELS, 2))
Rows = Mapping[str, Sequence[CaseScore]]  # by model


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model on one organ, or on all.

    dsc_sd, surface_dsc_sd: over patients; NaN for all organs. apl_mm: the mean over patients.
    """

    organ: str
    model: str
    n: int
    dsc: Interval
    dsc_sd: float
    surface_dsc: float
    surface_dsc_sd: float
    surface_dsc_1mm: float
    surface_dsc_2mm: float
    hd95_mm_median: float
    apl_mm: float
    missed: int


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """Two models on one organ, or on all: DSC of b minus DSC of a.

    p: exact two-sided Wilcoxon signed-rank test. For all organs there is no test, and CTs are not
    counted.
    """

    organ: str
    model_a: str
    model_b: str
    n: int
    difference: Interval
    median_difference: float = np.nan
    p: float = np.nan
    p_holm: float = np.nan
    rank_biserial: float = np.nan
    cts: int = 0


@dataclass(frozen=True, slots=True)
class ModelsTable:
    """The three main models on one fold.

    common: the organs that every model scored, which means are over. rows: by organ and model.
    differences: by organ, model a and model b. In both the last organ is `ALL`.
    """

    count: CellCount
    scores: Sequence[CaseScore]
    organs: Sequence[str]
    common: Sequence[str]
    comparisons: Sequence[Comparison]
    rows: Mapping[tuple[str, str], ModelRow]
    differences: Mapping[tuple[str, str, str], DifferenceRow]

    @property
    def unfound(self) -> UnfoundOrgans | None:
        """Return what to say of organs that no model found."""
        return unfound_organs(self.scores)

    @property
    def is_anything_found(self) -> bool:
        """Return whether any model found any organ."""
        return not self.unfound or self.unfound.others > 0

    @property
    def patients(self) -> int:
        """Return how many patients have any organ scored."""
        return count_patients(dsc_of(self.scores))

    def mean(self, model: str) -> Interval:
        """Return a model's mean DSC over the organs."""
        return self.rows[ALL, model].dsc

    def gain(self, a: str, b: str) -> Interval:
        """Return the mean difference in DSC of b over a."""
        return self.differences[ALL, a, b].difference


def models_table(
    plan: Plan,
    results: Results,
    fold: str = TARGET,
) -> ModelsTable | None:
    """Compare the main models on a fold; None: nothing is scored there.

    On the source's cases the table shows what each model kept of the source.
    """
    asked = flat(plan.models)
    rows: dict[str, list[CaseScore]] = {}
    for model, cells in by_model(plan.models).items():
        compared = of_common_seeds(results, cells, asked)
        rows[model] = rows_of(results, compared, fold, model)
    if any(triple.held_out for triple in plan.models):
        rows = _in_common(rows)
    scores = _in_order(chain.from_iterable(rows.values()), organs_of(plan))
    if not scores:
        return None
    common = common_organs(scores)
    comparisons = compare(scores, MODELS)
    organs = list(dict.fromkeys(column(scores, "organ")))
    return ModelsTable(
        count=count_cells(results, asked),
        scores=scores,
        organs=organs,
        common=common,
        comparisons=comparisons,
        rows=_model_rows(rows, organs, common),
        differences=_difference_rows(comparisons, by_key(dsc_of, rows), common),
    )


def _in_common(rows: Mapping[str, list[CaseScore]]) -> dict[str, list[CaseScore]]:
    """Keep the cases that all models with any score have one of.

    As long as some folds are not finished, Model_S alone has scores of their patients.
    """
    scored = [set(column(some, "case")) for some in rows.values() if some]
    common = set.intersection(*scored) if scored else set()
    kept = {}
    for model, some in rows.items():
        kept[model] = [row for row in some if row.case in common]
    return kept


def _in_order(rows: Iterable[CaseScore], organs: Sequence[str]) -> list[CaseScore]:
    """Sort scores by organ, in the study's order; unknown organs come last."""
    place = dict(zip(organs, range(len(organs)), strict=True))
    return sorted(rows, key=lambda row: place.get(row.organ, len(place)))


def _model_rows(
    scores: Rows, organs: Sequence[str], common: Sequence[str]
) -> dict[tuple[str, str], ModelRow]:
    rows: dict[tuple[str, str], ModelRow] = {}
    for organ in organs:
        for model in MODELS:
            mine = [row for row in scores[model] if row.organ == organ]
            rows[organ, model] = _model_row(organ, model, mine)
    for model in MODELS:
        by_organ = [rows[organ, model] for organ in common]
        dsc = of_organs(dsc_of(scores[model]), common)
        rows[ALL, model] = _overall_row(model, dsc, by_organ)
    return rows


def _model_row(
    organ: str,
    model: str,
    scores: Sequence[CaseScore],
) -> ModelRow:
    mine = per_patient(scores)
    dsc = dsc_of(mine)
    surface_dsc = _values(mine, "surface_dsc")
    hd95_mm = _values(mine, "hd95_mm")
    return ModelRow(
        organ=organ,
        model=model,
        n=len(dsc),
        dsc=interval_of(dsc, least=0.0),
        dsc_sd=_sd(np.array(list(dsc.values()))),
        surface_dsc=mean(surface_dsc),
        surface_dsc_sd=_sd(surface_dsc),
        surface_dsc_1mm=mean(column(mine, "surface_dsc_1mm")),
        surface_dsc_2mm=mean(column(mine, "surface_dsc_2mm")),
        hd95_mm_median=float(np.median(hd95_mm)) if len(hd95_mm) else np.nan,
        apl_mm=mean(column(mine, "apl_mm")),
        missed=sum(column(mine, "is_missed")),
    )


def _overall_row(
    model: str,
    dsc: Dsc,
    by_organ: Sequence[ModelRow],
) -> ModelRow:
    return ModelRow(
        organ=ALL,
        model=model,
        n=count_patients(dsc),
        dsc=interval_of(dsc, least=0.0),
        dsc_sd=np.nan,
        surface_dsc=mean(column(by_organ, "surface_dsc")),
        surface_dsc_sd=np.nan,
        surface_dsc_1mm=mean(column(by_organ, "surface_dsc_1mm")),
        surface_dsc_2mm=mean(column(by_organ, "surface_dsc_2mm")),
        hd95_mm_median=np.nan,
        apl_mm=mean(column(by_organ, "apl_mm")),
        missed=sum(column(by_organ, "missed")),
    )


def _difference_rows(
    comparisons: Sequence[Comparison],
    dsc: Mapping[str, Dsc],
    common: Sequence[str],
) -> dict[tuple[str, str, str], DifferenceRow]:
    rows: dict[tuple[str, str, str], DifferenceRow] = {}
    for test in comparisons:
        a, b = test.model_a, test.model_b
        change = of_organs(difference(dsc[a], dsc[b]), [test.organ])
        rows[test.organ, a, b] = _tested_row(test, interval_of(change))
    for a, b in PAIRS:
        change = of_organs(difference(dsc[a], dsc[b]), common)
        n, overall = count_patients(change), interval_of(change)
        rows[ALL, a, b] = DifferenceRow(ALL, a, b, n, overall)
    return rows


def _tested_row(test: Comparison, change: Interval) -> DifferenceRow:
    return DifferenceRow(
        organ=test.organ,
        model_a=test.model_a,
        model_b=test.model_b,
        n=test.n,
        difference=change,
        median_difference=test.median_difference,
        p=test.p,
        p_holm=test.p_holm,
        rank_biserial=test.rank_biserial,
        cts=test.cts,
    )


def _values(scores: Sequence[CaseScore], measure: str) -> Floats:
    """Return a measure of some scores; NaN is left out."""
    return without_nan(column(scores, measure))


def _sd(values: Floats) -> float:
    """Return the sample standard deviation; NaN for fewer than two values."""
    return float(values.std(ddof=1)) if len(values) > 1 else np.nan
