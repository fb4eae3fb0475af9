"""The report of an evaluation: one HTML file that needs nothing else, for the screen and for paper."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata, resources
from itertools import combinations
from pathlib import Path
from platform import python_version

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from recontour.evaluation.figures import Overlay, Picture, box_plots, colour_of, draw
from recontour.evaluation.tables import CaseScore, Comparison
from recontour.evaluation.tolerances import DEFAULT_MM, is_published
from recontour.files import write_text

Floats = npt.NDArray[np.float64]

NONE = "\N{EN DASH}"  # where there is nothing to measure
MINUS = "\N{MINUS SIGN}"

SIGNIFICANT = 0.05  # of a Holm-corrected p
PAIRS_BESIDE_SCORES = 3  # with more pairs of models, p gets a table of its own
PACKAGES = ("recontour", "numpy", "scipy", "contourpy", "matplotlib")  # whose versions decide the numbers and pictures


@dataclass(frozen=True, slots=True)
class About:
    """What was compared, for the report's head."""

    centre: str  # whose contours are the reference
    date: date
    models: Mapping[str, str]  # name -> one line about it, in the order of the tables; the first is the baseline
    repeat: str  # the command that makes this report again
    notices: Sequence[str] = ()  # what a reader must know first, such as that the patients are synthetic


def picture_cases(scores: Iterable[CaseScore], models: Sequence[str]) -> dict[str, dict[str, str]]:
    """The cases to show of each organ by the last model's DSC: organ -> {"worst", "median", "best": case}.

    Of an even number the lower middle is the median; of two cases there is none, and one is the "only" one.
    """
    ranked: dict[str, list[tuple[float, str]]] = {}
    for row in scores:
        if row.model == models[-1] and np.isfinite(row.dsc):
            ranked.setdefault(row.organ, []).append((row.dsc, row.case))
    return {organ: _worst_median_best([case for _, case in sorted(cases)]) for organ, cases in ranked.items()}


def _worst_median_best(cases: Sequence[str]) -> dict[str, str]:
    if len(cases) == 1:
        return {"only": cases[0]}
    if len(cases) == 2:
        return {"worst": cases[0], "best": cases[1]}
    return {"worst": cases[0], "median": cases[(len(cases) - 1) // 2], "best": cases[-1]}


def write_report(
    path: Path,
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    overlay_of: Callable[[str, str], Overlay],
    about: About,
) -> None:
    """Write report.html, whole or not at all, never over a file that exists.

    comparisons: every two models on every organ, as `compare` returns them. overlay_of: (case, organ) -> its Overlay;
    asked for one at a time, for the cases of `picture_cases`.

    Raises: OutputError: the file exists, or cannot be written there.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("recontour.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    write_text(path, environment.from_string(source).render(_contents(scores, comparisons, overlay_of, about)))


def _contents(
    scores: Sequence[CaseScore],
    comparisons: Sequence[Comparison],
    overlay_of: Callable[[str, str], Overlay],
    about: About,
) -> dict[str, object]:
    """Everything the template names."""
    models = list(about.models)
    organs = list(dict.fromkeys(row.organ for row in scores))
    pairs = list(combinations(models, 2))
    return {
        "about": about,
        "cases": len({row.case for row in scores}),
        "organs": organs,
        "colours": colour_of(models),
        "tiles": [_tile(scores, model) for model in models],
        "verdicts": [_verdict(scores, comparisons, models[0], model) for model in models[1:]],
        "power": _power(comparisons),
        "tables": _tables(scores, models, organs),
        "pairs": pairs,
        "pairs_beside_scores": len(pairs) <= PAIRS_BESIDE_SCORES,
        "tests": {(row.organ, row.model_a, row.model_b): _test(row) for row in comparisons},
        "differences": [(row, _test(row)) for row in comparisons],
        "box_plots": Markup(box_plots(scores, models)),
        "overlays": list(_pictured(scores, models, overlay_of)),
        "per_case": _per_case(scores),
        "tolerances": {row.organ: (f"{row.tolerance_mm:g}", is_published(row.organ)) for row in scores},
        "default_mm": DEFAULT_MM,
        "significant": SIGNIFICANT,
        "versions": {"Python": python_version()} | {name: metadata.version(name) for name in PACKAGES},
    }


# What the summary says


@dataclass(frozen=True, slots=True)
class _Tile:
    """One model at a glance."""

    model: str
    dsc: str
    surface_dsc: str
    hd95_mm: str
    missed: str


def _tile(scores: Sequence[CaseScore], model: str) -> _Tile:
    rows = [row for row in scores if row.model == model]
    with_reference = [row for row in rows if row.volume_bias_percent < np.inf]  # NaN, both empty, is left out too
    hd95_mm = _finite_or_infinite([row.hd95_mm for row in rows])
    return _Tile(
        model=model,
        dsc=_number(_mean_over_organs(rows, "dsc"), 3),
        surface_dsc=_number(_mean_over_organs(rows, "surface_dsc"), 3),
        hd95_mm=_number(float(np.median(hd95_mm)) if len(hd95_mm) else np.nan, 1),
        missed=f"{sum(row.is_missed for row in rows)} of {len(with_reference)}",
    )


def _mean_over_organs(rows: Sequence[CaseScore], measure: str) -> float:
    """The mean of the organs' means, so that each organ counts alike."""
    by_organ: dict[str, list[float]] = {}
    for row in rows:
        if np.isfinite(value := getattr(row, measure)):
            by_organ.setdefault(row.organ, []).append(value)
    return float(np.mean([np.mean(values) for values in by_organ.values()])) if by_organ else np.nan


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One model against the baseline, in words; each list holds an organ and its median difference."""

    baseline: str
    model: str
    mean_difference: str
    better: list[tuple[str, str]]
    worse: list[tuple[str, str]]
    lower: list[tuple[str, str]]  # than the baseline, but not significantly
    undecided: int  # the organs in no list


def _verdict(scores: Sequence[CaseScore], comparisons: Sequence[Comparison], baseline: str, model: str) -> _Verdict:
    mine = [row for row in comparisons if (row.model_a, row.model_b) == (baseline, model)]
    gain = _mean_over_organs([row for row in scores if row.model == model], "dsc") - _mean_over_organs(
        [row for row in scores if row.model == baseline], "dsc"
    )

    def named(rows: Iterable[Comparison]) -> list[tuple[str, str]]:
        return [(row.organ, _signed(row.median_difference, 3)) for row in rows]

    better = [row for row in mine if _direction(row) > 0]
    worse = [row for row in mine if _direction(row) < 0]
    lower = [row for row in mine if row not in worse and round(row.median_difference, 3) < 0]
    undecided = len(mine) - len(better) - len(worse) - len(lower)
    return _Verdict(baseline, model, _signed(gain, 3), named(better), named(worse), named(lower), undecided)


def _direction(row: Comparison) -> int:
    """1 if model b is significantly better, -1 if significantly worse, else 0; by the ranks, as the test is."""
    return int(np.sign(row.rank_biserial)) if row.p_holm < SIGNIFICANT else 0


def _power(comparisons: Sequence[Comparison]) -> str:
    """A warning where the cases are too few for any organ to reach significance; else empty."""
    tested = [row for row in comparisons if row.n]
    if not tested:
        return ""
    most = max(row.n for row in tested)
    organs = len({row.organ for row in tested})
    smallest = min(1.0, 2 * 0.5**most * organs)
    if smallest < SIGNIFICANT:
        return ""
    return (
        f"With {most} case{'s' if most > 1 else ''} and {organs} organ{'s' if organs > 1 else ''} the smallest "
        f"Holm-corrected p that a lone organ can reach is {_p(smallest)}: read the differences, not their significance."
    )


# The tables


@dataclass(frozen=True, slots=True)
class _Cell:
    """One model on one organ."""

    main: str
    small: str  # below it
    best: bool
    missed: int  # cases with an empty prediction


@dataclass(frozen=True, slots=True)
class _Row:
    """One organ, all models."""

    organ: str
    cases: int
    cells: list[_Cell]


@dataclass(frozen=True, slots=True)
class _Table:
    """One measure, all organs."""

    measure: str
    title: str
    rows: list[_Row]
    overall: list[str]  # the mean over organs of each model; empty if it would mean little


@dataclass(frozen=True, slots=True)
class _Measure:
    """How one measure is summed up and printed."""

    title: str
    digits: int
    by_median: bool  # median first, as infinite values then still count; else mean +- SD
    cost: Callable[[float], float]  # the model with the smallest is best


_MEASURES = {
    "dsc": _Measure("Dice similarity coefficient (DSC)", 2, by_median=False, cost=lambda value: -value),
    "surface_dsc": _Measure("Surface DSC at the organ's tolerance", 2, by_median=False, cost=lambda value: -value),
    "hd95_mm": _Measure("95 % Hausdorff distance (HD95), mm", 1, by_median=True, cost=lambda value: value),
    "volume_bias_percent": _Measure("Volume bias, %", 1, by_median=True, cost=abs),
}


def _tables(scores: Sequence[CaseScore], models: Sequence[str], organs: Sequence[str]) -> list[_Table]:
    """One table per measure, organs down and models across."""
    groups: dict[tuple[str, str], list[CaseScore]] = {}
    for row in scores:
        groups.setdefault((row.organ, row.model), []).append(row)
    tables = []
    for name, measure in _MEASURES.items():
        rows = [_row(organ, [groups.get((organ, model), []) for model in models], name, measure) for organ in organs]
        overall = (
            [_number(_mean_over_organs([row for row in scores if row.model == model], name), 2) for model in models]
            if not measure.by_median
            else []
        )
        tables.append(_Table(name, measure.title, rows, overall))
    return tables


def _row(organ: str, groups: Sequence[Sequence[CaseScore]], name: str, measure: _Measure) -> _Row:
    values = [_finite_or_infinite([getattr(row, name) for row in group]) for group in groups]
    costs = [_cost(of_model, measure) for of_model in values]
    best = min((cost for cost in costs if np.isfinite(cost)), default=np.nan)
    cells = [
        _Cell(
            main=_median(of_model, measure.digits) if measure.by_median else _mean_sd(of_model, measure.digits),
            small=f"mean {_mean_sd(of_model, measure.digits)}" if measure.by_median else "",
            best=len(groups) > 1 and cost == best,
            missed=sum(row.is_missed for row in group),
        )
        for group, of_model, cost in zip(groups, values, costs, strict=True)
    ]
    return _Row(organ, len({row.case for group in groups for row in group}), cells)


def _cost(values: Floats, measure: _Measure) -> float:
    """What ranks the models: of the printed number, so that what looks equal is equally bold."""
    if not len(values):
        return np.nan
    return measure.cost(round(float(np.median(values) if measure.by_median else np.mean(values)), measure.digits))


@dataclass(frozen=True, slots=True)
class _Test:
    """One comparison as printed."""

    p: str
    p_holm: str
    direction: int
    median_difference: str
    interval: str
    effect: str


def _test(row: Comparison) -> _Test:
    return _Test(
        p=_p(row.p),
        p_holm=_p(row.p_holm),
        direction=_direction(row),
        median_difference=_signed(row.median_difference, 3),
        interval=f"{_signed(row.median_low, 3)} to {_signed(row.median_high, 3)}" if row.n else NONE,
        effect=_signed(row.rank_biserial, 2),
    )


def _per_case(scores: Sequence[CaseScore]) -> list[tuple[str, str, dict[str, tuple[str, str, str, str]]]]:
    """Case, organ, and by model the four measures as printed."""
    found: dict[tuple[str, str], dict[str, tuple[str, str, str, str]]] = {}
    for row in scores:
        found.setdefault((row.case, row.organ), {})[row.model] = (
            _number(row.dsc, 3),
            _number(row.surface_dsc, 3),
            _number(row.hd95_mm, 1),
            _signed(row.volume_bias_percent, 1),
        )
    return [(case, organ, by_model) for (case, organ), by_model in sorted(found.items(), key=lambda item: item[0][0])]


# The overlays


@dataclass(frozen=True, slots=True)
class _Shown:
    """One overlay and its caption."""

    rank: str  # worst, median, best or only
    case: str
    picture: Picture
    dsc: dict[str, str]  # by model


def _pictured(
    scores: Sequence[CaseScore], models: Sequence[str], overlay_of: Callable[[str, str], Overlay]
) -> Iterable[tuple[str, list[_Shown]]]:
    """Organ by organ its worst, median and best case, one overlay in memory at a time."""
    rows = {(row.organ, row.case, row.model): row for row in scores}
    for organ, cases in picture_cases(scores, models).items():
        shown = []
        for rank, case in cases.items():
            of_case = {model: rows[organ, case, model] for model in models if (organ, case, model) in rows}
            dsc = {model: "missed" if row.is_missed else _number(row.dsc, 2) for model, row in of_case.items()}
            shown.append(_Shown(rank, case, draw(overlay_of(case, organ)), dsc))
        yield organ, shown


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
    return _number(float(finite.mean()), digits) + spread + infinite


def _median(values: Floats, digits: int) -> str:
    return _number(float(np.median(values)), digits) if len(values) else NONE


def _number(value: float, digits: int) -> str:
    if np.isnan(value):
        return NONE
    if np.isinf(value):
        return "∞"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def _signed(value: float, digits: int) -> str:
    """A number with its sign, no sign for 0."""
    return ("+" if round(value, digits) > 0 else "") + _number(value, digits)


def _p(p: float) -> str:
    if np.isnan(p):
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"
