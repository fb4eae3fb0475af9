"""Differences between two centres' contours as a picture: one small panel per organ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recontour.evaluation.differences import Difference
from recontour.evaluation.plotting import default_settings, svg_of
from recontour.geometry.offsets import MEASURES, Measure

# Loading Matplotlib takes half a second.
if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS_PER_ROW = 4
STATED = "#D55E00"
OTHERS = "#777777"
LEAST_REACH_MM = 4.0  # of the axis, to either side
MARGIN = 1.08  # of the axis beyond the longest interval
NAMES: dict[Measure, str] = {
    "right": "right",
    "left": "left",
    "anterior": "front",
    "posterior": "back",
    "cranial": "upper end",
    "caudal": "lower end",
}


@default_settings()
def difference_panels(found: Sequence[Difference]) -> str:
    """Draw the differences in mm by direction as SVG: the mean and its 95 % interval.

    One panel per organ, all on one scale. Stated differences are coloured.

    >>> difference_panels([]).startswith("<svg")
    True
    """
    from matplotlib.figure import Figure

    in_mm = [one for one in found if one.measure in NAMES]
    organs = list(dict.fromkeys(one.organ for one in in_mm))
    rows = max(1, -(-len(organs) // PANELS_PER_ROW))
    figure = Figure(figsize=(7.4, 1.7 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, PANELS_PER_ROW, sharey=True, sharex=True, squeeze=False).ravel()
    reach_mm = _reach_mm(in_mm)
    for panel, organ in zip(panels, organs, strict=False):
        _draw_panel(panel, organ, [one for one in in_mm if one.organ == organ])
        panel.set_xlim(-reach_mm, reach_mm)
    for panel in panels[len(organs) :]:
        panel.set_visible(False)
    figure.supxlabel("mm further out than at the model's centre", fontsize=8)
    return svg_of(figure)


def _reach_mm(found: Sequence[Difference]) -> float:
    """Return how far the axis reaches to either side: to the end of the longest interval."""
    ends_mm = [LEAST_REACH_MM]
    for one in found:
        ends_mm += [abs(one.low), abs(one.high)]
    return MARGIN * max(ends_mm)


def _draw_panel(panel: "Axes", organ: str, found: Sequence[Difference]) -> None:
    panel.axvline(0, color="black", linewidth=0.6)
    for one in found:
        place = -MEASURES.index(one.measure)
        colour = STATED if one.is_stated else OTHERS
        panel.plot([one.low, one.high], [place, place], color=colour, linewidth=1.4)
        panel.plot(one.mean, place, "o", color=colour, markersize=4)
    panel.set_title(organ, fontsize=8, parse_math=False)
    panel.set_yticks([-MEASURES.index(measure) for measure in NAMES], list(NAMES.values()))
    panel.tick_params(labelsize=7)
    panel.grid(axis="x", linewidth=0.3, color="#cccccc")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
