"""The report of a study:

one HTML file that needs nothing else, and every number in tables/*.csv.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from markupsafe import Markup

from recontour.evaluation import summary
from recontour.evaluation.figures import box_plots
from recontour.evaluation.numbers import number, signed
from recontour.evaluation.page import as_notice, render
from recontour.evaluation.patients import per_patient
from recontour.evaluation.verdicts import SIGNIFICANT, too_few_patients
from recontour.files import write_text
from recontour.study.cells import Plan
from recontour.study.csv_files import write_tables
from recontour.study.figures import COLOURS, cases_plot, curves_plot, depth_plot
from recontour.study.numbers import interval, percent, spread
from recontour.study.pictures import OverlayOf, pictured
from recontour.study.results import Result
from recontour.study.tables import (
    ALL,
    MODELS,
    PAIRS,
    PAPERS_DEPTH,
    ModelsTable,
    StudyTables,
    count_cells,
    organs_of,
    published,
    study_tables,
)
from recontour.study.words import headline, section_words, separately_words, verdict

FILTERS: Mapping[str, Callable[..., str]] = {
    "number": number,
    "signed": signed,
    "interval": interval,
    "percent": percent,
    "spread": spread,
}


@dataclass(frozen=True, slots=True)
class StudyHeader:
    """What was studied, for the report's head and foot."""

    name: str
    source: str  # centre
    target: str
    date: date
    preset: str
    settings: Mapping[str, str]  # every setting, recipe and version needed to repeat it
    split: Mapping[str, Mapping[str, int | str]]  # centre -> fold -> number of patients
    notices: Sequence[str]  # what a reader must know first, such as that the patients are synthetic
    repeat: str  # the command


def write_study_report(
    out: Path,
    plan: Plan,
    results: Mapping[str, Result],
    failed: Mapping[str, str],
    overlay_of: OverlayOf,
    about: StudyHeader,
) -> None:
    """Write out/report.html and out/tables/*.csv, each whole, over earlier ones; a table of nothing
    is not left there.

    results: of the finished cells. failed: why the others failed, by the cell's id. overlay_of:
        asked for one at a time.

    Raises: OutputError: a file cannot be written there.
    """
    tables = study_tables(plan, results)
    page = render(
        "recontour.study", "study.html", _contents(tables, failed, overlay_of, about), FILTERS
    )
    write_tables(out / "tables", tables)
    write_text(out / "report.html", page, replace=True)


def _contents(
    tables: StudyTables, failed: Mapping[str, str], overlay_of: OverlayOf, about: StudyHeader
) -> dict[str, object]:
    """Everything the template names; what belongs to a section, only if that is there."""
    main, kept = tables.models, tables.retention
    cells = tables.plan.cells
    few = too_few_patients(main.comparisons) if main else None
    sections = section_words(tables, about.source)
    contents: dict[str, object] = {
        "about": about,
        "tables": tables,
        "models": MODELS,
        "organs": organs_of(tables.plan),
        "pairs": PAIRS,
        "all": ALL,
        "colours": COLOURS,
        "papers_depth": PAPERS_DEPTH,
        "significant": SIGNIFICANT,
        "count": count_cells(tables.results, cells),
        "failed": failed,
        "missing": sorted({cell.id for cell in cells} - tables.results.keys() - failed.keys()),
        "headline": headline(main, about.source, about.target) if main else "",
        "verdict": verdict(main, sections, about.source, about.target),
        "power": as_notice(few) if few else "",
        "words": sections
        | {"separately": separately_words(tables.separately) if tables.separately else []},
        "published": published(),
        "curves_plot": Markup(curves_plot(tables.curves)) if tables.curves else "",
    }
    if tables.depth:
        levels = {model: main.mean(model) for model in ("Model_S", "Model_T")} if main else {}
        contents["depth_plot"] = Markup(depth_plot(tables.depth, levels, tables.times))
    if tables.cases:
        contents["cases_plot"] = Markup(cases_plot(tables.cases))
    if main:
        contents |= _main(main)
        contents["overlays"] = list(pictured(main, tables, overlay_of))
    if kept:
        changes = {
            (organ, b): row.difference
            for (organ, a, b), row in kept.differences.items()
            if a == "Model_S"
        }
        contents |= {"kept": kept.rows, "kept_change": changes}
    return contents


def _main(main: ModelsTable) -> dict[str, object]:
    """The tables and plots of Model_S, Model_T and Model_ST on the target's cases."""
    return {
        "measures": {
            table.measure: table for table in summary.tables(main.scores, MODELS, main.organs)
        },
        "tests": {
            (row.organ, row.model_a, row.model_b): summary.printed(row) for row in main.comparisons
        },
        "mean": main.rows,
        "gain": {key: row.difference for key, row in main.differences.items()},
        "box_plots": Markup(box_plots(per_patient(main.scores), MODELS)),
    }
