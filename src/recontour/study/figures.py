"""The study's curves as SVG.

Each model keeps its colour, marker and line in all figures, so that they read without colour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recontour.evaluation.figures import colour_of
from recontour.evaluation.numbers import MINUS
from recontour.evaluation.plotting import default_settings, svg_of
from recontour.geometry.arrays import Floats
from recontour.study.tables import (
    MODELS,
    CasesRow,
    CasesTable,
    CurveRow,
    DepthRow,
    DepthTable,
    Interval,
    Level,
    TimesRow,
)

if TYPE_CHECKING:  # loaded where a figure is drawn, with our own settings
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Style:
    """How a curve is drawn."""

    colour: str
    marker: str
    line: str


COLOURS = colour_of(MODELS)
STYLES = {
    "Model_S": Style(COLOURS["Model_S"], "o", ":"),
    "Model_T": Style(COLOURS["Model_T"], "s", "--"),
    "Model_ST": Style(COLOURS["Model_ST"], "^", "-"),
}
ON_SOURCE = Style("#CC79A7", "D", "-.")
GAIN = Style("#444444", "o", "-")
WIDTH_IN = 7.4
CONTROL_ROOM = 1.3  # between two controls, where 1 lies between two depths
SMOOTHED = 25  # a smoothed curve averages over 1/25 of its points
APART = 1.05  # factor by which draws are set off their curve, so that none is hidden


# How many layers to retrain


@default_settings()
def depth_plot(
    depth: DepthTable,
    levels: Mapping[str, Interval],
    times: Sequence[TimesRow],
) -> str:
    """Plot DSC on target and source, and seconds per iteration, by the number of retrained layers.

    levels: mean DSC on the target of the models to compare with, drawn as horizontal lines.
    """
    figure = _figure(3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1.75, 1))
    _draw_dsc_by_depth(left, depth, levels)
    _draw_seconds_by_depth(right, depth.curve, times)
    return svg_of(figure)


def _draw_dsc_by_depth(
    panel: "Axes",
    depth: DepthTable,
    levels: Mapping[str, Interval],
) -> None:
    curve, controls = depth.curve, depth.controls
    places = np.arange(len(curve), dtype=np.float64)
    aside = len(curve) + CONTROL_ROOM * np.arange(len(controls), dtype=np.float64)
    on_source = [row.source for row in curve]
    on_target = [row.target for row in curve]
    _band(panel, places, on_source, ON_SOURCE, "Model_ST, source's cases")
    _band(panel, places, on_target, STYLES["Model_ST"], "Model_ST, target's cases")
    for place, row in zip(aside, controls, strict=True):
        _whisker(panel, place, row.source.dsc, ON_SOURCE)
        _whisker(panel, place, row.target.dsc, STYLES["Model_ST"])
    for model, level in levels.items():
        _horizontal(panel, level, model, "target's cases")
    if controls and curve:
        panel.axvline(aside[0] - 0.5, color="#bbbbbb", linewidth=0.6)
    everywhere = [*places, *aside]
    panel.set_xticks(everywhere, [*map(_layers, curve), *map(_control, controls)])
    panel.set_xlim(-0.4, max(everywhere) + 0.5)
    _finish(panel, "retrained layers", "mean DSC")
    _legend(panel, columns=2)


def _draw_seconds_by_depth(
    panel: "Axes", curve: Sequence[DepthRow], times: Sequence[TimesRow]
) -> None:
    style = STYLES["Model_ST"]
    from_scratch = STYLES["Model_T"]
    seconds = [row.seconds_per_iteration for row in curve]
    panel.plot(
        seconds,
        color=style.colour,
        marker=style.marker,
        markersize=5,
    )
    for row in times:
        if row.model == "Model_T" and np.isfinite(row.seconds_per_iteration):
            panel.axhline(
                row.seconds_per_iteration,
                color=from_scratch.colour,
                linestyle=from_scratch.line,
                label="Model_T, all layers",
            )
            _legend(panel)
    panel.set_xticks(range(len(curve)), list(map(_layers, curve)))
    panel.set_ylim(bottom=0)
    _finish(panel, "retrained layers", "seconds per iteration")


def _layers(row: DepthRow) -> str:
    return f"{row.layers}\nall" if row.all_layers else str(row.layers)


def _control(row: DepthRow) -> str:
    first, second = row.control.split()
    return f"{first}\n{second},\n{_layers(row)}"


# How many cases suffice


@default_settings()
def cases_plot(cases: CasesTable) -> str:
    """Plot the DSC of T and ST, and their difference, by the number of target cases.

    Each draw is a dot beside its curve.
    """
    figure = _figure(3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    numbers = np.array([row.cases for row in cases.rows], dtype=np.float64)
    _draw_dsc_by_cases(left, numbers, cases)
    _draw_gain_by_cases(right, numbers, cases.rows)
    for panel in (left, right):
        panel.set_xscale("log")
        panel.set_xticks(numbers, [str(row.cases) for row in cases.rows])
        panel.minorticks_off()
    _finish(left, "target cases to train on (log scale)", "mean DSC")
    _finish(right, "target cases to train on (log scale)", f"Model_ST {MINUS} Model_T")
    return svg_of(figure)


def _draw_dsc_by_cases(panel: "Axes", numbers: Floats, cases: CasesTable) -> None:
    t = STYLES["Model_T"]
    st = STYLES["Model_ST"]
    _band(panel, numbers, [row.t for row in cases.rows], t, "Model_T")
    _band(panel, numbers, [row.st for row in cases.rows], st, "Model_ST")
    for row in cases.rows:
        _dots(panel, row.cases * APART, row.t_draws.values(), t, size=12)
        _dots(panel, row.cases / APART, row.st_draws.values(), st, size=12)
    _horizontal(panel, cases.s.dsc, "Model_S", "no target case")
    _legend(panel, columns=3)


def _draw_gain_by_cases(
    panel: "Axes",
    numbers: Floats,
    rows: Sequence[CasesRow],
) -> None:
    panel.axhline(0, color="black", linewidth=0.8)
    _curve(panel, numbers, [row.st_less_t for row in rows], GAIN, "")
    for row in rows:
        _dots(panel, row.cases * APART, row.st_less_t_draws.values(), GAIN, size=10)


# How training went


@default_settings()
def curves_plot(curves: Sequence[CurveRow]) -> str:
    """Plot the smoothed loss and the validation DSC against minutes, one line per seed."""
    figure = _figure(2.9)
    left, right = figure.subplots(1, 2)
    losses = [row for row in curves if row.curve == "loss"]
    validations = [row for row in curves if row.curve == "validation"]
    _draw_training(left, losses, smooth=True)
    _draw_training(right, validations, smooth=False)
    is_positive = all(row.value > 0 for row in losses)
    left.set_yscale("log" if is_positive else "linear")
    _finish(left, "minutes of training", "loss, smoothed")
    _finish(right, "minutes of training", "DSC, target's validation cases")
    _legend(left, columns=3)
    _legend(right, columns=3)
    return svg_of(figure)


def _draw_training(
    panel: "Axes",
    rows: Iterable[CurveRow],
    *,
    smooth: bool,
) -> None:
    """Draw one line per model, seed and fold; each model is named once."""
    lines: dict[tuple[str, int, int], list[CurveRow]] = {}
    for row in rows:
        lines.setdefault((row.model, row.seed, row.held_out), []).append(row)
    named = set()
    for (model, _, _), points in lines.items():
        style = STYLES[model]
        values = np.array([point.value for point in points])
        panel.plot(
            [point.seconds / 60 for point in points],
            smoothed(values) if smooth else values,
            color=style.colour,
            linestyle=style.line,
            linewidth=1.3,
            marker="" if smooth else style.marker,
            markersize=4,
            label="_" if model in named else model,
        )
        named.add(model)


def smoothed(values: Floats) -> Floats:
    """Return the running mean over 1/25 of the values, over fewer at the ends."""
    half = len(values) // (2 * SMOOTHED)
    window = np.ones(2 * half + 1)
    sums = np.convolve(values, window, mode="same")
    counts = np.convolve(np.ones_like(values), window, mode="same")
    return np.asarray(sums / counts)


# Marks


def _band(
    panel: "Axes",
    x: Floats,
    levels: Sequence[Level],
    style: Style,
    label: str,
) -> None:
    """Draw a curve of levels, unless no patient is scored."""
    if any(level.patients for level in levels):
        _curve(panel, x, [level.dsc for level in levels], style, label)


def _curve(
    panel: "Axes",
    x: Floats,
    intervals: Sequence[Interval],
    style: Style,
    label: str,
) -> None:
    """Draw a curve in its 95 % band."""
    low = [interval.low for interval in intervals]
    high = [interval.high for interval in intervals]
    panel.fill_between(
        x,
        low,
        high,
        color=style.colour,
        alpha=0.2,
        linewidth=0,
    )
    panel.plot(
        x,
        [interval.mean for interval in intervals],
        color=style.colour,
        marker=style.marker,
        linestyle=style.line,
        linewidth=1.3,
        markersize=5,
        label=label,
        zorder=3,
    )


def _whisker(
    panel: "Axes",
    x: float,
    one: Interval,
    style: Style,
) -> None:
    """Draw a point with its 95 % interval."""
    panel.plot([x, x], [one.low, one.high], color=style.colour, linewidth=1.2)
    panel.plot(
        [x],
        [one.mean],
        color=style.colour,
        marker=style.marker,
        markersize=5,
        linestyle="none",
    )


def _dots(
    panel: "Axes",
    x: float,
    values: Iterable[float],
    style: Style,
    size: int,
) -> None:
    """Draw open marks above one another."""
    heights = list(values)
    panel.scatter(
        [x] * len(heights),
        heights,
        s=size,
        marker=style.marker,
        facecolors="none",
        edgecolors=style.colour,
        linewidths=0.8,
        zorder=4,
    )


def _horizontal(
    panel: "Axes",
    level: Interval,
    model: str,
    where: str,
) -> None:
    if np.isfinite(level.mean):
        style = STYLES[model]
        panel.axhline(
            level.mean,
            color=style.colour,
            linestyle=style.line,
            linewidth=1.5,
            label=f"{model}, {where}",
        )


def _legend(panel: "Axes", columns: int = 1) -> None:
    """Put the legend above the panel, where it hides nothing."""
    if panel.get_legend_handles_labels()[0]:
        panel.legend(
            fontsize=6.5,
            frameon=False,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=columns,
        )


def _finish(panel: "Axes", x: str, y: str) -> None:
    panel.set_xlabel(x, fontsize=8)
    panel.set_ylabel(y, fontsize=8)
    panel.tick_params(labelsize=7)
    panel.grid(axis="y", linewidth=0.3, color="#cccccc")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _figure(height_in: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
