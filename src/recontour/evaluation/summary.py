"""What the report says, in words and rounded numbers.

tiles       one model at a glance
verdicts    one model against another
tables      one measure, organs down and models across
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.evaluation.means import common_organs, mean_over_organs
from recontour.evaluation.numbers import (
    NONE,
    mean_and_spread,
    middle,
    number,
    p_value,
    signed,
    without_nan,
)
from recontour.evaluation.patients import count_missed, patients_and_cts, per_patient
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.evaluation.verdicts import DIGITS, ModelVerdict, Verdict, direction
from recontour.geometry.arrays import Floats


@dataclass(frozen=True, slots=True)
class Tile:
    """One model at a glance."""

    model: str
    dsc: str
    surface_dsc: str
    hd95_mm: str
    missed: str


def tile(
    scores: Sequence[CaseScore],
    model: str,
    organs: Sequence[str],
) -> Tile:
    """Sum up one model over some organs and all patients; missed organs are counted everywhere."""
    rows = per_patient(row for row in scores if row.model == model)
    compared = [row.hd95_mm for row in rows if row.organ in organs]
    # NaN, where both masks are empty, fails this too.
    with_reference = [row for row in rows if row.volume_bias_percent < np.inf]
    return Tile(
        model=model,
        dsc=number(mean_over_organs(scores, model, organs), 3),
        surface_dsc=number(mean_over_organs(scores, model, organs, "surface_dsc"), 3),
        hd95_mm=middle(without_nan(compared), 1),
        missed=f"{count_missed(rows)} of {len(with_reference)}",
    )


# Verdicts

OrganAndChange = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """One model against a baseline, in words; each list holds organs and how they changed.

    organs: how many both models scored. lower: in median or mean, or missed more often, but not
    significantly worse. inconclusive, too_few, unfound: how many organs are in none of the lists;
    the last ones neither model found.
    """

    baseline: str
    model: str
    mean_difference: str
    organs: int
    better: list[OrganAndChange]
    worse: list[OrganAndChange]
    lower: list[OrganAndChange]
    inconclusive: int
    too_few: int
    unfound: int

    @property
    def names_organs(self) -> bool:
        """Return whether any organ is named."""
        return bool(self.better or self.worse or self.lower)


def in_words(verdict: ModelVerdict) -> VerdictWords:
    """Say what a model does better and worse than the baseline."""
    better: list[OrganAndChange] = []
    worse: list[OrganAndChange] = []
    lower: list[OrganAndChange] = []
    inconclusive = too_few = unfound = 0
    for organ in verdict.organs:
        change = (organ.organ, _change(organ.numbers))
        if organ.verdict is Verdict.FOUND_BY_NEITHER:
            unfound += 1
        elif organ.verdict is Verdict.BETTER:
            better.append(change)
        elif organ.verdict is Verdict.WORSE:
            worse.append(change)
        elif organ.is_lower:
            lower.append(change)
        elif organ.verdict is Verdict.TOO_FEW:
            too_few += 1
        else:
            inconclusive += 1
    return VerdictWords(
        baseline=verdict.baseline,
        model=verdict.model,
        mean_difference=signed(verdict.mean_difference),
        organs=len(verdict.organs),
        better=better,
        worse=worse,
        lower=lower,
        inconclusive=inconclusive,
        too_few=too_few,
        unfound=unfound,
    )


def _change(row: Comparison) -> str:
    """Print the median difference.

    The mean follows if its sign differs or more organs were missed; then the missed ones too.
    """
    more_missed = row.missed_b > row.missed_a
    mean_sign = np.sign(round(row.mean_difference, DIGITS))
    median_sign = np.sign(round(row.median_difference, DIGITS))
    words = [signed(row.median_difference)]
    if more_missed or mean_sign != median_sign:
        words.append(f"mean {signed(row.mean_difference)}")
    if more_missed:
        words.append(f"missed in {row.missed_b} of {row.n}, by {row.model_a} in {row.missed_a}")
    return ", ".join(words)


# Tables


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """One model on one organ. small: printed below main. missed: patients without a prediction."""

    main: str
    small: str
    best: bool
    missed: int


@dataclass(frozen=True, slots=True)
class OrganRow:
    """One organ, all models. patients: how many, and in brackets how many CTs if these are more."""

    organ: str
    patients: str
    cells: list[ScoreCell]


@dataclass(frozen=True, slots=True)
class MeasureTable:
    """One measure, all organs.

    overall: each model's mean over the common organs; empty where a mean would say little.
    """

    measure: str
    title: str
    rows: list[OrganRow]
    overall: list[str]


@dataclass(frozen=True, slots=True)
class _Measure:
    """How one measure is summed up and printed.

    by_median: median first, as infinite values then still count; otherwise mean and deviation.
    cost: the model with the smallest is best.
    """

    name: str
    title: str
    digits: int
    by_median: bool
    cost: Callable[[float], float]

    def values(self, rows: Sequence[CaseScore]) -> Floats:
        """Return this measure of some rows, without NaN."""
        return without_nan([getattr(row, self.name) for row in rows])

    def rank(self, values: Floats) -> float:
        """Return what ranks the models: of the printed number, so that equals are equally bold."""
        if not len(values):
            return np.nan
        middle_value = np.median(values) if self.by_median else np.mean(values)
        return self.cost(round(float(middle_value), self.digits))


def _negative(value: float) -> float:
    return -value


_MEASURES = (
    _Measure("dsc", "Dice similarity coefficient (DSC)", 2, False, _negative),
    _Measure("surface_dsc", "Surface DSC at the organ's tolerance", 2, False, _negative),
    _Measure("surface_dsc_1mm", "Surface DSC at 1 mm", 2, False, _negative),
    _Measure("surface_dsc_2mm", "Surface DSC at 2 mm", 2, False, _negative),
    _Measure("hd95_mm", "95 % Hausdorff distance (HD95), mm", 1, True, float),
    _Measure("apl_mm", "Added path length (APL) at the organ's tolerance, mm", 0, False, float),
    _Measure("volume_bias_percent", "Volume bias, %", 1, True, abs),
)


def tables(
    scores: Sequence[CaseScore],
    models: Sequence[str],
    organs: Sequence[str],
) -> list[MeasureTable]:
    """Return one table per measure, organs down and models across, over patients."""
    groups: dict[tuple[str, str], list[CaseScore]] = {}
    for row in per_patient(scores):
        groups.setdefault((row.organ, row.model), []).append(row)
    common = common_organs(scores)
    counted = _counts_by_organ(scores)
    found = []
    for measure in _MEASURES:
        rows = []
        for organ in organs:
            of_models = [groups.get((organ, model), []) for model in models]
            cells = _cells(of_models, measure)
            rows.append(OrganRow(organ, counted.get(organ, "0"), cells))
        means = [] if measure.by_median else _means(scores, models, common, measure)
        found.append(MeasureTable(measure.name, measure.title, rows, means))
    return found


def _means(
    scores: Sequence[CaseScore],
    models: Sequence[str],
    organs: Sequence[str],
    measure: _Measure,
) -> list[str]:
    means = [mean_over_organs(scores, model, organs, measure.name) for model in models]
    return [number(mean, measure.digits) for mean in means]


def _counts_by_organ(scores: Iterable[CaseScore]) -> dict[str, str]:
    rows_of: dict[str, list[CaseScore]] = {}
    for row in scores:
        rows_of.setdefault(row.organ, []).append(row)
    return {organ: counts(rows) for organ, rows in rows_of.items()}


def counts(scores: Iterable[CaseScore]) -> str:
    """Count the patients of some scores, and the CTs if there are more: "5 (6 CTs)"."""
    patients, cts = patients_and_cts(scores)
    return f"{patients} ({cts} CTs)" if cts > patients else str(patients)


def _cells(of_models: Sequence[Sequence[CaseScore]], measure: _Measure) -> list[ScoreCell]:
    """Print each model's scores of one organ; the best of several that found it is marked.

    None is marked where models have scored different numbers of patients.
    """
    ranks = []
    for rows in of_models:
        ranks.append(measure.rank(measure.values(rows)) if _is_found(rows) else np.nan)
    scored = list(filter(np.isfinite, ranks))
    patients = {len(rows) for rows in of_models if rows}
    can_compare = len(of_models) > 1 and len(patients) == 1
    best = min(scored) if scored and can_compare else np.nan
    cells = []
    for rows, rank in zip(of_models, ranks, strict=True):
        values = measure.values(rows)
        spread = mean_and_spread(values, measure.digits)
        cells.append(
            ScoreCell(
                main=middle(values, measure.digits) if measure.by_median else spread,
                small=f"mean {spread}" if measure.by_median else "",
                best=rank == best,
                missed=count_missed(rows),
            )
        )
    return cells


def _is_found(rows: Sequence[CaseScore]) -> bool:
    """Return whether a mean DSC above 0 is printed."""
    dsc = without_nan([row.dsc for row in rows])
    return len(dsc) > 0 and round(float(np.mean(dsc)), 2) > 0


# Single comparisons and cases


@dataclass(frozen=True, slots=True)
class PrintedComparison:
    """One comparison as printed. direction: 1 significantly better, -1 worse, 0 neither."""

    p: str
    p_holm: str
    direction: int
    median_difference: str
    interval: str
    effect: str


def printed(row: Comparison) -> PrintedComparison:
    """Round one comparison for print."""
    interval = NONE
    if np.isfinite(row.median_low):
        interval = f"{signed(row.median_low)} to {signed(row.median_high)}"
    return PrintedComparison(
        p=p_value(row.p),
        p_holm=p_value(row.p_holm),
        direction=direction(row),
        median_difference=signed(row.median_difference),
        interval=interval,
        effect=signed(row.rank_biserial, 2),
    )


FourMeasures = tuple[str, str, str, str]


def per_case(scores: Sequence[CaseScore]) -> list[tuple[str, str, dict[str, FourMeasures]]]:
    """Return each case and organ with the four measures of every model, as printed."""
    found: dict[tuple[str, str], dict[str, FourMeasures]] = {}
    for row in scores:
        by_model = found.setdefault((row.case, row.organ), {})
        by_model[row.model] = (
            number(row.dsc, 3),
            number(row.surface_dsc, 3),
            number(row.hd95_mm, 1),
            signed(row.volume_bias_percent, 1),
        )
    cases = [(case, organ, by_model) for (case, organ), by_model in found.items()]
    return sorted(cases, key=_case)


def _case(row: tuple[str, str, object]) -> str:
    return row[0]
