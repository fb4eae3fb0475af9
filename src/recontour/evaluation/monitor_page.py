"""The page of `monitor`: a statement and small control charts per organ, in one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from recontour.evaluation.control_chart import ALL, RUN, SCORES, Chart
from recontour.evaluation.findings import Drifted, NotDrifted
from recontour.evaluation.measure_words import measure_name
from recontour.evaluation.page import as_notice, render
from recontour.evaluation.plotting import default_settings, svg_of
from recontour.files import write_text
from recontour.findings import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_PER_ROW = 4
INK, SOFT, ALARM, BASELINE = "#1c2430", "#5b6675", "#a61b1b", "#eef1f5"


@dataclass(frozen=True, slots=True)
class MonitorHeader:
    """What was watched.

    cases: the patients, in the order of time. baseline: how many of them say what is usual; 0 if
    that came from a file. unchanged: how many approved sets are the drafts. is_replay: a model's
    contours of cohorts stand for the drafts. notices: what a reader must know first. said_before:
    what the model and the cohorts say of themselves.
    """

    baseline: int
    cases: tuple[str, ...]
    unchanged: int | None
    is_replay: bool
    notices: Sequence[Finding] = ()
    said_before: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Section:
    """One organ of the page. picture: its charts as SVG."""

    organ: str
    has_drifted: bool
    statement: str
    picture: Markup


def write_monitor_page(
    path: Path,
    charts: Sequence[Chart],
    statements: Sequence[Drifted | NotDrifted],
    header: MonitorHeader,
) -> None:
    """Write the page, whole or not at all, never over a file that exists.

    statements: one per organ, in the order of the charts.

    Raises: OutputError: the file exists, or cannot be written there.
    """
    sections = []
    for statement in statements:
        of_organ = [chart for chart in charts if chart.organ == statement.organ]
        picture = Markup(_charts_svg(of_organ, header.cases))
        has_drifted = isinstance(statement, Drifted)
        said = as_notice(statement)
        sections.append(_Section(statement.organ or "", has_drifted, said, picture))
    contents = {
        "header": header,
        "notices": [*map(as_notice, header.notices), *header.said_before],
        "sections": sections,
        "drifted": [one for one in sections if one.has_drifted],
        "watched": len(header.cases) - header.baseline,
        "run": RUN,
        "all": ALL,
        "date": datetime.now(UTC).date().isoformat(),
        "version": metadata.version("recontour"),
    }
    write_text(path, render("recontour.evaluation", "monitor.html", contents))


def _charts_svg(charts: Sequence[Chart], cases: Sequence[str]) -> str:
    """Draw the charts of one organ side by side. cases: of all patients, in the order of time."""
    with default_settings():
        from matplotlib.figure import Figure

        rows = -(-len(charts) // PANELS_PER_ROW)
        figure = Figure(figsize=(9.2, 1.55 * rows + 0.1), layout="constrained")
        panels = figure.subplots(rows, PANELS_PER_ROW, sharex=True, squeeze=False).ravel()
        for panel, chart in zip(panels, charts, strict=False):
            _draw(panel, chart, cases)
        for panel in panels[len(charts) :]:
            panel.set_visible(False)
        return svg_of(figure)


def _draw(panel: "Axes", chart: Chart, cases: Sequence[str]) -> None:
    """Draw one chart: the values, the baseline, what is usual, and the limits."""
    place = {case: index for index, case in enumerate(cases, start=1)}
    at = [place[case] for case in chart.cases]
    if chart.baseline:
        panel.axvspan(0.5, at[chart.baseline - 1] + 0.5, color=BASELINE, linewidth=0)
    panel.axhline(chart.usual.mean, color=INK, linewidth=0.6)
    for limit in filter(isfinite, chart.limits()):
        panel.axhline(limit, color=ALARM, linewidth=0.6, linestyle=(0, (4, 2)))
    panel.plot(at, chart.values, color=SOFT, linewidth=0.6, zorder=2)
    signals: set[int] = set()
    for signal in chart.signals:
        signals.update(range(signal.first, signal.last + 1))
    colours = [ALARM if index in signals else INK for index in range(len(at))]
    panel.scatter(at, chart.values, s=9, c=colours, linewidths=0, zorder=3)
    far = chart.far
    panel.scatter(
        [at[index] for index in far],
        [chart.values[index] for index in far],
        s=34,
        facecolors="none",
        edgecolors=INK,
        linewidths=0.6,
        zorder=4,
    )
    unit = "" if chart.measure in SCORES else ", mm"
    title = f"{measure_name(chart.measure)}{unit}"
    colour = ALARM if signals else INK
    panel.set_title(title, fontsize=8, loc="left", color=colour)
    panel.set_xlim(0.5, len(cases) + 0.5)
    step = max(1, len(cases) // 6)
    panel.set_xticks(np.arange(step, len(cases) + 1, step))
    panel.tick_params(labelsize=6.5, length=2)
    panel.spines[["top", "right"]].set_visible(False)
