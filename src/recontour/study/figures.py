"""The study's curves as SVG.

Each model keeps its colour, marker and line in all of them: they read without colour.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from recontour.evaluation.figures import colour_of
from recontour.evaluation.numbers import MINUS
from recontour.evaluation.plotting import default_settings
from recontour.geometry.arrays import Floats
from recontour.study.tables import (
    MODELS,
    CasesTable,
    CurveRow,
    DepthRow,
    DepthTable,
    Interval,
    Level,
    TimesRow,
)

if TYPE_CHECKING:  # loaded where a figure is drawn: its settings are read then
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = colour_of(MODELS)
MARKERS = dict(zip(MODELS, "os^", strict=True))
LINES: Mapping[str, str] = dict(zip(MODELS, (":", "--", "-"), strict=True))
SOURCE_COLOUR = "#CC79A7"  # what is scored on the source's cases
GREY = "#444444"
WIDTH_IN = 7.4
CONTROL_ROOM = 1.3  # between two controls, where 1 lies between two depths
SMOOTHED = 25  # a smoothed curve averages over 1/25 of its points


@default_settings()
def depth_plot(depth: DepthTable, levels: Mapping[str, Interval], times: Sequence[TimesRow]) -> str:
    """DSC on target and source, and the seconds of an iteration, by the number of retrained layers."""
    figure = _figure(3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1.75, 1))
    curve, controls = depth.curve, depth.controls
    places = np.arange(len(curve), dtype=np.float64)
    aside = len(curve) + CONTROL_ROOM * np.arange(len(controls), dtype=np.float64)
    on_source, on_target = [row.source for row in curve], [row.target for row in curve]
    colour, marker = COLOURS["Model_ST"], MARKERS["Model_ST"]
    _band(left, places, on_source, SOURCE_COLOUR, "D", "-.", "Model_ST, source's cases")
    _band(left, places, on_target, colour, marker, "-", "Model_ST, target's cases")
    for place, row in zip(aside, controls, strict=True):
        _whisker(left, place, row.source.dsc, SOURCE_COLOUR, "D")
        _whisker(left, place, row.target.dsc, colour, marker)
    for model, level in levels.items():
        _horizontal(left, level, model, "target's cases")
    if controls and curve:
        left.axvline(aside[0] - 0.5, color="#bbbbbb", linewidth=0.6)
    names = [row.control.replace(" ", "\n") + f",\n{_layers(row)}" for row in controls]
    left.set_xticks([*places, *aside], [*map(_layers, curve), *names])
    left.set_xlim(-0.4, max([*places, *aside]) + 0.5)
    _finish(left, "retrained layers", "mean DSC")
    _legend(left, columns=2)
    right.plot(
        places,
        [row.seconds_per_iteration for row in curve],
        color=colour,
        marker=marker,
        markersize=5,
    )
    trained_anew = next(
        (row.seconds_per_iteration for row in times if row.model == "Model_T"), np.nan
    )
    if np.isfinite(trained_anew):
        right.axhline(
            trained_anew, color=COLOURS["Model_T"], linestyle="--", label="Model_T, all layers"
        )
        _legend(right)
    right.set_xticks(places, [_layers(row) for row in curve])
    right.set_ylim(bottom=0)
    _finish(right, "retrained layers", "seconds of an iteration")
    return _svg(figure)


def _layers(row: DepthRow) -> str:
    return f"{row.layers}\nall" if row.all_layers else str(row.layers)


@default_settings()
def cases_plot(cases: CasesTable) -> str:
    """DSC of T and ST by the number of target cases;

    a dot a draw, beside its curve so that none is hidden.
    """
    figure = _figure(3.1)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    numbers = np.array([row.cases for row in cases.rows], dtype=np.float64)
    for model, sides, draws, shift in (
        (
            "Model_T",
            [row.t for row in cases.rows],
            [[*row.t_draws.values()] for row in cases.rows],
            1.05,
        ),
        (
            "Model_ST",
            [row.st for row in cases.rows],
            [[*row.st_draws.values()] for row in cases.rows],
            1 / 1.05,
        ),
    ):
        _band(left, numbers, sides, COLOURS[model], MARKERS[model], LINES[model], model)
        for number, of_number in zip(numbers, draws, strict=True):
            left.scatter(
                [number * shift] * len(of_number), of_number, s=12, marker=MARKERS[model],
                facecolors="none", edgecolors=COLOURS[model], linewidths=0.8, zorder=4,
            )  # fmt: skip
    _horizontal(left, cases.s.dsc, "Model_S", "no target case")
    _legend(left, columns=3)
    gains = [row.st_less_t for row in cases.rows]
    right.axhline(0, color="black", linewidth=0.8)
    _curve(right, numbers, gains, GREY, "o", "-", "")
    for number, row in zip(numbers, cases.rows, strict=True):
        right.scatter(
            [number * 1.05] * len(row.st_less_t_draws), [*row.st_less_t_draws.values()], s=10,
            facecolors="none", edgecolors=GREY, linewidths=0.7,
        )  # fmt: skip
    for panel, name in ((left, "mean DSC"), (right, f"Model_ST {MINUS} Model_T")):
        panel.set_xscale("log")
        panel.set_xticks(numbers, [f"{number:g}" for number in numbers])
        panel.minorticks_off()
        _finish(panel, "target cases to train on (log scale)", name)
    return _svg(figure)


@default_settings()
def curves_plot(curves: Sequence[CurveRow]) -> str:
    """Loss, smoothed, and DSC on the target's validation cases, against minutes; a line a seed."""
    figure = _figure(2.9)
    panels = dict(zip(("loss", "validation"), figure.subplots(1, 2), strict=True))
    groups: dict[tuple[str, str, int], list[CurveRow]] = {}
    for row in curves:
        groups.setdefault((row.curve, row.model, row.seed), []).append(row)
    named: set[tuple[str, str]] = set()
    for (curve, model, _), rows in groups.items():
        minutes = [row.seconds / 60 for row in rows]
        values = np.array([row.value for row in rows])
        panels[curve].plot(
            minutes,
            smoothed(values) if curve == "loss" else values,
            color=COLOURS[model],
            linestyle=LINES[model],
            linewidth=1.3,
            marker=MARKERS[model] if curve == "validation" else None,
            markersize=4,
            label="_" if (curve, model) in named else model,
        )
        named.add((curve, model))
    panels["loss"].set_yscale(
        "log" if all(row.value > 0 for row in curves if row.curve == "loss") else "linear"
    )
    for curve, name in (
        ("loss", "loss, smoothed"),
        ("validation", "DSC, target's validation cases"),
    ):
        _finish(panels[curve], "minutes of training", name)
        _legend(panels[curve], columns=3)
    return _svg(figure)


def smoothed(values: Floats) -> Floats:
    """A running mean over 1/25 of the values, fewer at the ends."""
    window = np.ones(2 * (len(values) // (2 * SMOOTHED)) + 1)
    counts = np.convolve(np.ones(len(values)), window, mode="same")
    return np.asarray(np.convolve(values, window, mode="same") / counts)


def _band(
    panel: "Axes",
    x: Floats,
    levels: Sequence[Level],
    colour: str,
    marker: str,
    line: str,
    label: str,
) -> None:
    if any(level.patients for level in levels):
        _curve(panel, x, [level.dsc for level in levels], colour, marker, line, label)


def _curve(
    panel: "Axes",
    x: Floats,
    estimates: Sequence[Interval],
    colour: str,
    marker: str,
    line: str,
    label: str,
) -> None:
    """A curve in its 95 % band."""
    panel.fill_between(
        x,
        [e.low for e in estimates],
        [e.high for e in estimates],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
    panel.plot(
        x, [e.mean for e in estimates],
        color=colour, marker=marker, linestyle=line, linewidth=1.3, markersize=5, label=label, zorder=3,
    )  # fmt: skip


def _whisker(panel: "Axes", x: float, one: Interval, colour: str, marker: str) -> None:
    """A point with its 95 % interval."""
    panel.plot([x, x], [one.low, one.high], color=colour, linewidth=1.2)
    panel.plot([x], [one.mean], color=colour, marker=marker, markersize=5, linestyle="none")


def _horizontal(panel: "Axes", level: Interval, model: str, where: str) -> None:
    if np.isfinite(level.mean):
        panel.axhline(
            level.mean,
            color=COLOURS[model],
            linestyle=LINES[model],
            linewidth=1.5,
            label=f"{model}, {where}",
        )


def _legend(panel: "Axes", columns: int = 1) -> None:
    """Above the panel, where it hides nothing."""
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


def _svg(figure: "Figure") -> str:
    """The figure as an element of an HTML page, the same at every run."""
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None}, transparent=True)
    return svg.getvalue()[svg.getvalue().index("<svg") :]
