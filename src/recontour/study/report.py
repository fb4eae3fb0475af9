"""The report of a study: one HTML file that needs nothing else, and every number in tables/*.csv."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from importlib import resources
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from recontour.evaluation import summary
from recontour.evaluation.figures import Overlay, Picture, box_plots, draw
from recontour.evaluation.report import picture_cases
from recontour.evaluation.summary import NONE, SIGNIFICANT, number
from recontour.files import output_error, write_text
from recontour.study import tables
from recontour.study.cells import Cell, Grid
from recontour.study.figures import COLOURS, SOURCE_COLOUR, cases_plot, curves_plot, depth_plot
from recontour.study.results import Result
from recontour.study.tables import ALL, MODELS, PAIRS, PAPERS_DEPTH, SOURCE, TARGET, Estimate

PICTURED = ("Model_T", "Model_ST")  # as in the paper's figure 2


@dataclass(frozen=True, slots=True)
class About:
    """What was studied, for the report's head and foot."""

    name: str
    source: str  # centre
    target: str
    date: date
    preset: str
    settings: Mapping[str, str]  # every setting and version needed to repeat it
    split: Mapping[str, Mapping[str, int]]  # centre -> fold -> number of cases
    notices: Sequence[str]  # what a reader must know first, such as that the patients are synthetic
    repeat: str  # the command


@dataclass(frozen=True, slots=True)
class _Found:
    """Every section's numbers; None where nothing is finished."""

    main: tables.Main | None
    kept: tables.Main | None  # on the source's cases
    depth: tables.Depth | None
    cases: tables.Cases | None
    separately: tables.Separately | None
    normalisation: tables.Normalisation | None
    times: Sequence[tables.TimesRow]
    curves: Sequence[tables.CurveRow]
    scores: Sequence[tables.ScoreRow]


def write_study_report(
    out: Path,
    grid: Grid,
    results: Mapping[str, Result],
    failed: Mapping[str, str],
    overlay_of: Callable[[str, str, Mapping[str, Cell]], Overlay],
    about: About,
) -> None:
    """Write out/report.html and out/tables/*.csv, each whole, over earlier ones; a table of nothing is not left there.

    results: of the finished cells. failed: why the others failed, by the cell's id. overlay_of: (case, organ, model ->
    cell) -> an Overlay, asked for one at a time.

    Raises: OutputError: a file cannot be written there.
    """
    found = _Found(
        main=tables.main(grid, results),
        kept=tables.main(grid, results, SOURCE),
        depth=tables.depth(grid, results),
        cases=tables.cases(grid, results),
        separately=tables.separately(grid, results),
        normalisation=tables.normalisation(grid, results),
        times=tables.times(grid, results),
        curves=tables.curves(grid, results),
        scores=tables.every_score(grid, results),
    )
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, signed=signed, interval=interval, percent=percent)
    source = resources.files("recontour.study").joinpath("study.html").read_text(encoding="utf-8")
    contents = _contents(found, grid, results, failed, overlay_of, about)
    page = environment.from_string(source).render(contents)
    for name, rows in _csv_rows(found).items():
        _write_csv(out / "tables" / f"{name}.csv", rows)
    write_text(out / "report.html", page, replace=True)


def _contents(
    found: _Found,
    grid: Grid,
    results: Mapping[str, Result],
    failed: Mapping[str, str],
    overlay_of: Callable[[str, str, Mapping[str, Cell]], Overlay],
    about: About,
) -> dict[str, object]:
    """Everything the template names."""
    main, depth, cases = found.main, found.depth, found.cases
    levels = {model: main.mean(model) for model in MODELS} if main else {}
    cells = {cell.id for cell in grid.cells}
    return {
        "about": about,
        "found": found,
        "models": MODELS,
        "organs": grid.models[0].s.organs if grid.models else (),
        "pairs": PAIRS,
        "all": ALL,
        "colours": COLOURS,
        "source_colour": SOURCE_COLOUR,
        "papers_depth": PAPERS_DEPTH,
        "significant": SIGNIFICANT,
        "progress": tables.progress(results, grid.cells),
        "failed": failed,
        "missing": sorted(cells - results.keys() - failed.keys()),
        "headline": headline(main, about) if main else "",
        "verdict": list(_verdict(found, about)),
        "power": summary.power(main.comparisons) if main else "",
        "measures": {table.measure: table for table in summary.tables(main.scores, MODELS, main.organs)}
        if main
        else {},
        "tests": {(row.organ, row.model_a, row.model_b): summary.printed(row) for row in main.comparisons}
        if main
        else {},
        "published": tables.published(),
        "box_plots": Markup(box_plots(main.scores, MODELS)) if main else "",
        "overlays": list(_pictured(main, grid, results, overlay_of)) if main else [],
        "depth_plot": Markup(depth_plot(depth, levels, found.times)) if depth else "",
        "cases_plot": Markup(cases_plot(cases, levels)) if cases else "",
        "curves_plot": Markup(curves_plot(found.curves)) if found.curves else "",
        "kept": _by_organ(found.kept),
        "kept_change": {
            (row.organ, row.model_b): row.difference
            for row in (found.kept.differences if found.kept else ())
            if row.model_a == "Model_S"
        },
        "mean": _by_organ(main),
        "gain": {(row.organ, row.model_a, row.model_b): row.difference for row in (main.differences if main else ())},
        "words": {
            "cases": _cases_words(cases) if cases else "",
            "depth": _depth_words(depth) if depth else "",
            "kept": _kept_words(found.kept, about) if found.kept else "",
            "separately": _separately_words(found.separately) if found.separately else [],
            "normalisation": _normalisation_words(found.normalisation) if found.normalisation else "",
            "times": _times_words(found.times),
        },
    }


def _by_organ(main: tables.Main | None) -> dict[tuple[str, str], tables.ModelRow]:
    return {(row.organ, row.model): row for row in main.models} if main else {}


@dataclass(frozen=True, slots=True)
class _Shown:
    """One overlay and its caption."""

    organ: str
    case: str
    picture: Picture
    dsc: Mapping[str, str]  # by model


def _pictured(
    main: tables.Main,
    grid: Grid,
    results: Mapping[str, Result],
    overlay_of: Callable[[str, str, Mapping[str, Cell]], Overlay],
) -> Iterator[_Shown]:
    """Each organ's median case by the last model's DSC, one overlay in memory at a time."""
    cells = {
        model: next((cell for cell in tables.main_cells(grid)[model] if cell.id in results), None) for model in PICTURED
    }
    there = {model: cell for model, cell in cells.items() if cell}
    scores = {(row.organ, row.case, row.model): row for row in main.scores if row.model in there}
    for organ, ranks in picture_cases(scores.values(), list(there)).items():
        case = ranks.get("median") or ranks.get("worst") or ranks["only"]
        of_case = {model: scores[organ, case, model] for model in there if (organ, case, model) in scores}
        dsc = {model: "missed" if row.is_missed else number(row.dsc, 2) for model, row in of_case.items()}
        yield _Shown(organ, case, draw(overlay_of(case, organ, there)), dsc)


# In words


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, no sign for 0."""
    return ("+" if round(value, digits) > 0 else "") + number(value, digits)


def interval(value: Estimate, digits: int = 3, *, with_sign: bool = False) -> str:
    """An estimate's 95 % interval."""
    if np.isnan(value.low):
        return NONE
    one = signed if with_sign else number
    return f"{one(value.low, digits)} to {one(value.high, digits)}"


def percent(share: float) -> str:
    """A share as printed."""
    return NONE if np.isnan(share) else f"{number(100 * share, 0)} %"


def _gain(value: Estimate) -> str:
    return f"{signed(value.mean)}, 95 % interval {interval(value, with_sign=True)}"


def _side(value: Estimate) -> int:
    """1 if the whole interval is above 0, -1 if below, else 0."""
    return int(value.low > 0) - int(value.high < 0)


def _plural(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def headline(main: tables.Main, about: About) -> str:
    """The answer in one sentence."""
    over_s, over_t = main.gain("Model_S", "Model_ST"), main.gain("Model_T", "Model_ST")
    if np.isnan(over_s.mean):
        return "Not decided yet: Model_S and Model_ST are not both finished."
    against_s = {1: "made it better there", -1: "made it worse there", 0: "made no decided difference there"}
    against_t = {1: "better than", -1: "worse than", 0: "not decidedly different from"}
    answer = (
        f"Retraining the last layers of {about.source}'s model on {about.target}'s patients "
        f"{against_s[_side(over_s)]} ({_gain(over_s)})"
    )
    if np.isnan(over_t.mean):
        return answer + "."
    return (
        f"{answer}; the result is {against_t[_side(over_t)]} a model trained on {about.target} alone ({_gain(over_t)})."
    )


def _verdict(found: _Found, about: About) -> Iterator[str]:
    """What else the numbers say, a sentence each."""
    if found.main:
        yield _means_words(found.main, about)
        if by_organ := _organs_words(found.main):
            yield by_organ
    if found.cases:
        yield _cases_words(found.cases)
    if found.depth:
        yield _depth_words(found.depth)
    if found.kept:
        yield _kept_words(found.kept, about)


def _means_words(main: tables.Main, about: About) -> str:
    what = {
        "Model_S": f"{about.source}'s model as it is",
        "Model_T": f"trained on {about.target} alone",
        "Model_ST": "adapted",
    }
    means = [
        f"{number(mean, 3)} with {model} ({what[model]})"
        for model in MODELS
        if not np.isnan(mean := main.mean(model).mean)
    ]
    where = f"{_plural(main.patients, 'test patient')} of {about.target}, over {_plural(len(main.common), 'organ')}"
    return f"Mean DSC on {where}: {', '.join(means) or NONE}."


def _organs_words(main: tables.Main) -> str:
    """Which organs differ significantly between ST and the others."""
    parts = []
    for a, b in PAIRS[1:]:
        mine = [row for row in main.comparisons if (row.model_a, row.model_b) == (a, b) and row.n]
        if not mine:
            continue
        rows = [(row.organ, summary.printed(row)) for row in mine]
        better, worse = ([organ for organ, test in rows if test.direction == side] for side in (1, -1))
        words = [f"better than {a} in {', '.join(better) or 'no organ'}"]
        words += [f"worse in {', '.join(worse)}"] if worse else []
        parts.append(" and ".join(words))
    return f"By organ, Model_ST is significantly (Holm) {'; '.join(parts)}." if parts else ""


def _cases_words(cases: tables.Cases) -> str:
    last, first = cases.rows[-1], cases.caught_up
    if np.isnan(last.st_less_t.low):
        return "How many target cases suffice is not decided yet."
    if first is None:
        return (
            f"Even with {_plural(last.cases, 'target case')} Model_T does not catch up with Model_ST "
            f"({_gain(last.st_less_t)})."
        )
    at = next(row.st_less_t for row in cases.rows if row.cases == first)
    words = f"from {_plural(first, 'target case')} on Model_ST is no longer decidedly better ({_gain(at)} there)"
    if first == cases.rows[0].cases:
        return f"Model_T keeps up with Model_ST at every number of target cases: {words}."
    before = cases.rows[[row.cases for row in cases.rows].index(first) - 1]
    return (
        f"Model_T catches up with Model_ST: {words}; "
        f"with {_plural(before.cases, 'case')} it still was ({_gain(before.st_less_t)})."
    )


def _depth_words(depth: tables.Depth) -> str:
    best = depth.best
    papers = next((row for row in depth.curve if row.layers == PAPERS_DEPTH and row.target.patients), None)
    if not best:
        return "Which depth is best is not decided yet."
    words = f"Model_ST is best with {'all ' if best.all_layers else ''}{_plural(best.layers, 'retrained layer')} "
    words += f"(mean DSC {number(best.target.dsc.mean, 3)})"
    if best.layers == PAPERS_DEPTH:
        return f"{words}, the paper's number."
    if not papers:
        return f"{words}; the paper's {PAPERS_DEPTH} is not among those finished."
    surely = "" if _side(best.over_papers) else ", which is no decided difference"
    return (
        f"{words}, not with the paper's {PAPERS_DEPTH} ({number(papers.target.dsc.mean, 3)}): "
        f"{_gain(best.over_papers)}{surely}."
    )


def _kept_words(kept: tables.Main, about: About) -> str:
    change = kept.gain("Model_S", "Model_ST")
    if np.isnan(change.mean):
        return f"What Model_ST forgot of {about.source} is not known yet."
    what = {
        -1: f"Adapted, the model forgot some of {about.source}",
        1: f"Adapted, the model even gained on {about.source}",
        0: f"Adapted, the model did not decidedly forget {about.source}",
    }
    return (
        f"{what[_side(change)]}: on {_plural(kept.patients, 'test patient')} there Model_ST has "
        f"{number(kept.mean('Model_ST').mean, 3)} where Model_S has {number(kept.mean('Model_S').mean, 3)} "
        f"({_gain(change)})."
    )


def _separately_words(separately: tables.Separately) -> list[str]:
    overall = separately.rows[-1]
    judged = {1: "better", -1: "worse", 0: "neither decidedly better nor worse"}
    return [
        f"{model}: one network an organ is {judged[_side(gain)]} than one for all ({_gain(gain)})."
        for model, gain in overall.separately_less_jointly.items()
    ] or ["The joint models or some organs' own networks are not finished: nothing to compare yet."]


def _normalisation_words(normalisation: tables.Normalisation) -> str:
    """The best of each model on the target."""
    parts = []
    for model, name in (("Model_S", "s_target"), ("Model_ST", "st_target")):
        rows = [row for row in normalisation.rows if getattr(row, name).patients]
        if rows:
            best = max(rows, key=lambda row: float(getattr(row, name).dsc.mean))
            mean = number(getattr(best, name).dsc.mean, 3)
            parts.append(f"{model} with {best.norm} statistics and batch {best.batch} ({mean})")
    return f"Best on the target: {'; '.join(parts)}." if parts else "Nothing is scored on the target yet."


def _times_words(times: Sequence[tables.TimesRow]) -> str:
    by_model = {row.model: row for row in times}
    t, st = by_model.get("Model_T"), by_model.get("Model_ST")
    if not t or not st:
        return ""
    saved = 1 - st.seconds_per_iteration / t.seconds_per_iteration
    words = f"An iteration of Model_ST takes {percent(abs(saved))} {'less' if saved >= 0 else 'more'} time than one of "
    words += "Model_T (the paper: 33 % less)."
    if np.isinf(st.seconds_to_reach_t):
        return f"{words} Model_ST never reached Model_T's last DSC on the validation cases."
    if np.isnan(st.seconds_to_reach_t):
        return words
    return (
        f"{words} Model_ST reached Model_T's last DSC on the validation cases after "
        f"{number(st.seconds_to_reach_t / 60, 1)} minutes, {percent(st.share_of_t)} of Model_T's training time."
    )


# CSV


def _csv_rows(found: _Found) -> dict[str, list[dict[str, str]]]:
    """Every table's rows by the file's name."""
    published = tables.published()
    models = []
    for row in found.main.models if found.main else ():
        mean, sd = published.get(row.organ, {}).get(row.model, (np.nan, np.nan))
        models.append(_flat(row) | {"published_dsc_mean": _cell(mean), "published_dsc_sd": _cell(sd)})
    both = {TARGET: found.main, SOURCE: found.kept}
    separately = found.separately
    joint = (
        {
            f"joint_{name}": of
            for name, of in (("iterations", separately.joint_iterations), ("seconds", separately.joint_seconds))
        }
        if separately
        else {}
    )
    return {
        "models": models,
        "statistics": [
            {"fold": fold} | _flat(row) for fold, main in both.items() for row in (main.differences if main else ())
        ],
        "retention": [_flat(row) for row in (found.kept.models if found.kept else ())],
        "depth": [_flat(row) for row in (found.depth.rows if found.depth else ())],
        "cases": [_flat(row) for row in (found.cases.rows if found.cases else ())],
        "separately": [_flat(row) | _flat_mapping(joint) for row in (separately.rows if separately else ())],
        "normalisation": [_flat(row) for row in (found.normalisation.rows if found.normalisation else ())],
        "times": [_flat(row) for row in found.times],
        "curves": [_flat(row) for row in found.curves],
        "scores": [_flat(row) for row in found.scores],
    }


def _flat(row: object) -> dict[str, str]:
    """A row's cells by column; what is nested has its owner's name before its own."""
    return _flat_mapping({field.name: getattr(row, field.name) for field in fields(row)})  # type: ignore[arg-type]


def _flat_mapping(values: Mapping[str, object]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in values.items():
        if is_dataclass(value):
            inner = _flat(value)
        elif isinstance(value, Mapping):
            inner = _flat_mapping(value)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            inner = _flat_mapping({str(index): one for index, one in enumerate(value)})
        else:
            cells[name] = _cell(value)
            continue
        cells |= {f"{name}_{key}": cell for key, cell in inner.items()}
    return cells


def _cell(value: object) -> str:
    """Every digit; NaN is an empty cell."""
    if isinstance(value, float):
        return "" if np.isnan(value) else repr(float(value))
    return str(value)


def _write_csv(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    rows = list(rows)
    if not rows:
        try:
            path.unlink(missing_ok=True)  # what an earlier report had may no longer be true
        except OSError as error:
            raise output_error(path, error) from error
        return
    text = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue(), replace=True)
