"""What the report says, in words and rounded numbers:

how each model did, and against which other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from recontour.evaluation.patients import patients_and_cts, per_patient
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.geometry.arrays import Floats

NONE = "\N{EN DASH}"  # where there is nothing to measure
MINUS = "\N{MINUS SIGN}"

SIGNIFICANT = 0.05  # of a Holm-corrected p


@dataclass(frozen=True, slots=True)
class Tile:
    """One model at a glance."""

    model: str
    dsc: str
    surface_dsc: str
    hd95_mm: str
    missed: str


def common_organs(scores: Sequence[CaseScore]) -> list[str]:
    """The organs that every model scored:

    what means may be compared over. A model that scored nothing has no say.
    """
    models: dict[str, set[str]] = {}
    for row in scores:
        if np.isfinite(row.dsc):
            models.setdefault(row.organ, set()).add(row.model)
    everyone: set[str] = set().union(*models.values())
    return [organ for organ, of_organ in models.items() if of_organ == everyone]


def mean_over_organs(
    scores: Sequence[CaseScore], model: str, organs: Sequence[str], measure: str = "dsc"
) -> float:
    """The mean of the organs' means over patients, so that each organ counts alike;

    NaN if the model scored none.
    """
    mine = [row for row in scores if row.model == model and row.organ in organs]
    by_organ: dict[str, list[float]] = {}
    for row in per_patient(mine):
        if np.isfinite(value := getattr(row, measure)):
            by_organ.setdefault(row.organ, []).append(value)
    return float(np.mean([np.mean(values) for values in by_organ.values()])) if by_organ else np.nan


def tile(scores: Sequence[CaseScore], model: str, organs: Sequence[str]) -> Tile:
    """Sum one model up over some organs and all patients; organs are missed wherever they are."""
    rows = per_patient(row for row in scores if row.model == model)
    with_reference = [
        row for row in rows if row.volume_bias_percent < np.inf
    ]  # NaN, both empty, is left out too
    hd95_mm = _finite_or_infinite([row.hd95_mm for row in rows if row.organ in organs])
    return Tile(
        model=model,
        dsc=number(mean_over_organs(scores, model, organs), 3),
        surface_dsc=number(mean_over_organs(scores, model, organs, "surface_dsc"), 3),
        hd95_mm=number(float(np.median(hd95_mm)) if len(hd95_mm) else np.nan, 1),
        missed=f"{sum(row.is_missed for row in rows)} of {len(with_reference)}",
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One model against the baseline, in words; each list holds an organ and how it changed."""

    baseline: str
    model: str
    mean_difference: str
    organs: int  # that both scored: the mean is over these
    better: list[tuple[str, str]]
    worse: list[tuple[str, str]]
    lower: list[tuple[str, str]]  # in median or mean, or missed more often; not significantly worse
    undecided: int  # the compared organs in no list


def verdict(
    scores: Sequence[CaseScore], comparisons: Sequence[Comparison], baseline: str, model: str
) -> Verdict:
    """Say what a model does better and worse than the baseline, and how surely."""
    mine = [row for row in comparisons if (row.model_a, row.model_b) == (baseline, model)]
    organs = [row.organ for row in mine if row.n]
    gain = mean_over_organs(scores, model, organs) - mean_over_organs(scores, baseline, organs)

    def named(rows: Iterable[Comparison]) -> list[tuple[str, str]]:
        return [(row.organ, _change(row)) for row in rows]

    better = [row for row in mine if _direction(row) > 0]
    worse = [row for row in mine if _direction(row) < 0]
    lower = [row for row in mine if row not in worse and _is_lower(row)]
    undecided = sum(row.organ in organs and row not in better + worse + lower for row in mine)
    return Verdict(
        baseline,
        model,
        signed(gain, 3),
        len(organs),
        named(better),
        named(worse),
        named(lower),
        undecided,
    )


def _is_lower(row: Comparison) -> bool:
    """Whether model b lost anything, as printed:

    a few lost cases show in the mean, many small losses in the median.
    """
    is_less = any(round(value, 3) < 0 for value in (row.median_difference, row.mean_difference))
    return is_less or row.missed_b > row.missed_a


def _change(row: Comparison) -> str:
    """The median difference;

    the mean too if it points elsewhere, or misses became more; then these.
    """
    more_missed = row.missed_b > row.missed_a
    points_elsewhere = np.sign(round(row.mean_difference, 3)) != np.sign(
        round(row.median_difference, 3)
    )
    words = [signed(row.median_difference, 3)]
    if more_missed or points_elsewhere:
        words.append(f"mean {signed(row.mean_difference, 3)}")
    if more_missed:
        words.append(f"missed in {row.missed_b} of {row.n}, by {row.model_a} in {row.missed_a}")
    return ", ".join(words)


def _direction(row: Comparison) -> int:
    """1 if model b is significantly better, -1 if significantly worse, else 0;

    by the ranks, as the test is.
    """
    return int(np.sign(row.rank_biserial)) if row.p_holm < SIGNIFICANT else 0


def power(comparisons: Sequence[Comparison]) -> str:
    """A warning where the patients are too few for any organ to reach significance; else empty."""
    tested = [row for row in comparisons if row.n]
    if not tested:
        return ""
    most = max(row.n for row in tested)
    organs = len({row.organ for row in tested})
    smallest = min(1.0, 2 * 0.5**most * organs)
    if smallest < SIGNIFICANT:
        return ""
    few = f"With {most} patient{'s' if most > 1 else ''}"
    if 2 * 0.5**most >= SIGNIFICANT:
        return f"{few} no test is possible: not even a lone organ's p can fall below {_p(2 * 0.5**most)}."
    return (
        f"{few} and {organs} organ{'s' if organs > 1 else ''} the smallest "
        f"Holm-corrected p that a lone organ can reach is {_p(smallest)}: read the differences, not their significance."
    )


# The tables


@dataclass(frozen=True, slots=True)
class Cell:
    """One model on one organ."""

    main: str
    small: str  # below it
    best: bool
    missed: int  # patients with an empty prediction


@dataclass(frozen=True, slots=True)
class Row:
    """One organ, all models."""

    organ: str
    patients: str  # how many, and in brackets how many CTs where these are more
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """One measure, all organs."""

    measure: str
    title: str
    rows: list[Row]
    overall: list[str]  # the mean over common organs of each model; empty if it would mean little


@dataclass(frozen=True, slots=True)
class _Measure:
    """How one measure is summed up and printed."""

    title: str
    digits: int
    by_median: bool  # median first, as infinite values then still count; else mean +- SD
    cost: Callable[[float], float]  # the model with the smallest is best


_MEASURES = {
    "dsc": _Measure(
        "Dice similarity coefficient (DSC)", 2, by_median=False, cost=lambda value: -value
    ),
    "surface_dsc": _Measure(
        "Surface DSC at the organ's tolerance", 2, by_median=False, cost=lambda value: -value
    ),
    "hd95_mm": _Measure(
        "95 % Hausdorff distance (HD95), mm", 1, by_median=True, cost=lambda value: value
    ),
    "volume_bias_percent": _Measure("Volume bias, %", 1, by_median=True, cost=abs),
}


def tables(
    scores: Sequence[CaseScore], models: Sequence[str], organs: Sequence[str]
) -> list[Table]:
    """One table per measure, organs down and models across; over patients."""
    groups: dict[tuple[str, str], list[CaseScore]] = {}
    for row in per_patient(scores):
        groups.setdefault((row.organ, row.model), []).append(row)
    by_organ: dict[str, list[CaseScore]] = {}
    for row in scores:
        by_organ.setdefault(row.organ, []).append(row)
    common = common_organs(scores)
    tables = []
    for name, measure in _MEASURES.items():
        rows = []
        for organ in organs:
            of_models = [groups.get((organ, model), []) for model in models]
            rows.append(_row(organ, counts(by_organ.get(organ, [])), of_models, name, measure))
        overall = (
            [number(mean_over_organs(scores, model, common, name), 2) for model in models]
            if not measure.by_median
            else []
        )
        tables.append(Table(name, measure.title, rows, overall))
    return tables


def counts(scores: Iterable[CaseScore]) -> str:
    """How many patients there are scores of, and where they have several CTs how many of these:

    "5 (6 CTs)".
    """
    patients, cts = patients_and_cts(scores)
    return f"{patients} ({cts} CTs)" if cts > patients else str(patients)


def _row(
    organ: str, counted: str, groups: Sequence[Sequence[CaseScore]], name: str, measure: _Measure
) -> Row:
    values = [_finite_or_infinite([getattr(row, name) for row in group]) for group in groups]
    costs = [_cost(of_model, measure) for of_model in values]
    best = min((cost for cost in costs if np.isfinite(cost)), default=np.nan)
    cells = [
        Cell(
            main=_median(of_model, measure.digits)
            if measure.by_median
            else _mean_sd(of_model, measure.digits),
            small=f"mean {_mean_sd(of_model, measure.digits)}" if measure.by_median else "",
            best=len(groups) > 1 and cost == best,
            missed=sum(row.is_missed for row in group),
        )
        for group, of_model, cost in zip(groups, values, costs, strict=True)
    ]
    return Row(organ, counted, cells)


def _cost(values: Floats, measure: _Measure) -> float:
    """What ranks the models: of the printed number, so that what looks equal is equally bold."""
    if not len(values):
        return np.nan
    return measure.cost(
        round(float(np.median(values) if measure.by_median else np.mean(values)), measure.digits)
    )


@dataclass(frozen=True, slots=True)
class Printed:
    """One comparison as printed."""

    p: str
    p_holm: str
    direction: int
    median_difference: str
    interval: str
    effect: str


def printed(row: Comparison) -> Printed:
    """Round one comparison for print."""
    return Printed(
        p=_p(row.p),
        p_holm=_p(row.p_holm),
        direction=_direction(row),
        median_difference=signed(row.median_difference, 3),
        interval=f"{signed(row.median_low, 3)} to {signed(row.median_high, 3)}"
        if np.isfinite(row.median_low)
        else NONE,
        effect=signed(row.rank_biserial, 2),
    )


def per_case(
    scores: Sequence[CaseScore],
) -> list[tuple[str, str, dict[str, tuple[str, str, str, str]]]]:
    """Case, organ, and by model the four measures as printed."""
    found: dict[tuple[str, str], dict[str, tuple[str, str, str, str]]] = {}
    for row in scores:
        found.setdefault((row.case, row.organ), {})[row.model] = (
            number(row.dsc, 3),
            number(row.surface_dsc, 3),
            number(row.hd95_mm, 1),
            signed(row.volume_bias_percent, 1),
        )
    return [
        (case, organ, by_model)
        for (case, organ), by_model in sorted(found.items(), key=lambda item: item[0][0])
    ]


# Numbers as printed


def _finite_or_infinite(values: Sequence[float]) -> Floats:
    """The values that are numbers; NaN, both masks empty, is left out."""
    numbers = np.array(values, dtype=np.float64)
    return numbers[~np.isnan(numbers)]


def _mean_sd(values: Floats, digits: int) -> str:
    """Mean and sample standard deviation of the finite values, and how many were infinite."""
    finite = values[np.isfinite(values)]
    infinite = f" ({len(values) - len(finite)} ∞)" if len(finite) < len(values) else ""
    if not len(finite):
        return NONE + infinite
    spread = f" ± {finite.std(ddof=1):.{digits}f}" if len(finite) > 1 else ""
    return number(float(finite.mean()), digits) + spread + infinite


def _median(values: Floats, digits: int) -> str:
    return number(float(np.median(values)), digits) if len(values) else NONE


def number(value: float, digits: int) -> str:
    """A number as printed: rounded, with a real minus sign, a dash for NaN."""
    if np.isnan(value):
        return NONE
    if np.isinf(value):
        return "∞"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, no sign for 0."""
    return ("+" if round(value, digits) > 0 else "") + number(value, digits)


def _p(p: float) -> str:
    if np.isnan(p):
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"
