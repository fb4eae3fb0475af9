"""The report of a study: one self-contained HTML file, and every number in tables/*.csv."""

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
from recontour.study.cells import PAPERS_DEPTH, Plan
from recontour.study.csv_files import write_tables
from recontour.study.figures import COLOURS, cases_plot, curves_plot, depth_plot
from recontour.study.numbers import interval, percent, spread
from recontour.study.pictures import OverlaysOf, captioned_pictures
from recontour.study.results import Result
from recontour.study.tables import (
    ALL,
    MODELS,
    PAIRS,
    ModelsTable,
    StudyTables,
    count_cells,
    organs_of,
    published,
    study_tables,
)
from recontour.study.words import headline, section_words, summary_sentences

FILTERS: Mapping[str, Callable[..., str]] = {
    "number": number,
    "signed": signed,
    "interval": interval,
    "percent": percent,
    "spread": spread,
}
CONSTANTS: Mapping[str, object] = {
    "models": MODELS,
    "pairs": PAIRS,
    "all": ALL,
    "colours": COLOURS,
    "papers_depth": PAPERS_DEPTH,
    "significant": SIGNIFICANT,
}


@dataclass(frozen=True, slots=True)
class StudyHeader:
    """What was studied, for the report's head and foot.

    source, target: the centres' names. settings: every setting, recipe and version that is needed
    to repeat the study. split: number of patients by centre and fold. notices: what a reader must
    know first, for example that the patients are synthetic. repeat: the command.
    """

    name: str
    source: str
    target: str
    date: date
    preset: str
    settings: Mapping[str, str]
    split: Mapping[str, Mapping[str, int | str]]
    notices: Sequence[str]
    repeat: str


def write_study_report(
    out: Path,
    plan: Plan,
    results: Mapping[str, Result],
    failed: Mapping[str, str],
    overlays_of: OverlaysOf,
    header: StudyHeader,
) -> None:
    """Write out/report.html and out/tables/*.csv, each whole, over earlier ones.

    A table without rows is removed.

    results: of the finished cells. failed: why others failed, by the cell's id, in words that may
    be stored. overlays_of: called for one case and organ at a time.

    Raises: OutputError: a file cannot be written there.
    """
    tables = study_tables(plan, results)
    contents = {**CONSTANTS, **_whole_study(tables, failed, header)}
    contents |= _sections(tables, overlays_of)
    page = render("recontour.study", "study.html", contents, FILTERS)
    write_tables(out / "tables", tables)
    write_text(out / "report.html", page, replace=True)


def _whole_study(
    tables: StudyTables, failed: Mapping[str, str], header: StudyHeader
) -> dict[str, object]:
    """Return what the template names outside the sections."""
    cells = tables.plan.cells
    words = section_words(tables, header.source)
    unfinished = {cell.id for cell in cells} - tables.results.keys()
    few = too_few_patients(tables.models.comparisons) if tables.models else None
    return {
        "header": header,
        "tables": tables,
        "organs": organs_of(tables.plan),
        "count": count_cells(tables.results, cells),
        "failed": failed,
        "missing": sorted(unfinished - failed.keys()),
        "headline": headline(tables.models, header.source, header.target),
        "summary": summary_sentences(tables.models, words, header.source, header.target),
        "power": as_notice(few) if few else "",
        "words": words,
        "published": published(),
    }


def _sections(tables: StudyTables, overlays_of: OverlaysOf) -> dict[str, object]:
    """Return the plots, printed tables and pictures of those sections that are there."""
    sections: dict[str, object] = {}
    models, depth, cases = tables.models, tables.depth, tables.cases
    if models:
        sections |= _printed(models)
        sections["overlays"] = list(captioned_pictures(models, tables, overlays_of))
    if depth:
        levels = {}
        if models:
            levels["Model_S"] = models.mean("Model_S")
            levels["Model_T"] = models.mean("Model_T")
        sections["depth_plot"] = Markup(depth_plot(depth, levels, tables.times))
    if cases:
        sections["cases_plot"] = Markup(cases_plot(cases))
    if tables.curves:
        sections["curves_plot"] = Markup(curves_plot(tables.curves))
    return sections


def _printed(models: ModelsTable) -> dict[str, object]:
    """Return the tables and plots of Model_S, Model_T and Model_ST on the target's cases."""
    measures = {}
    for table in summary.tables(models.scores, MODELS, models.organs):
        measures[table.measure] = table
    tests = {}
    for row in models.comparisons:
        tests[row.organ, row.model_a, row.model_b] = summary.printed(row)
    plots = box_plots(per_patient(models.scores), MODELS)
    return {"measures": measures, "tests": tests, "box_plots": Markup(plots)}
