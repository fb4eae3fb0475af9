"""How far contours lie from others by direction, as a picture: two small panels per organ.

Ends differ by much more than sides do, and less surely, so each kind has a scale of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from recontour.evaluation.differences import Difference
from recontour.evaluation.measure_words import measure_name
from recontour.evaluation.plotting import default_settings, svg_of
from recontour.geometry.offsets import DIRECTIONS, ENDS, SIDES, Measure

# Loading Matplotlib takes half a second.
if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORGANS_PER_ROW = 4
MOST_TICKS = 6
KINDS = (SIDES, ENDS)  # of directions, each in a panel of its own
STATED = "#D55E00"
OTHERS = "#777777"
LEAST_REACH_MM = 4.0  # of the axis, to either side
MARGIN = 1.08  # of the axis beyond the longest interval


@dataclass(frozen=True, slots=True)
class Mark:
    """A mean in mm with its 95 % interval, in one direction of an organ.

    low, high: NaN if there is none. lower_by: how far below the direction's line it is drawn, where
    1 is the next direction's line.
    """

    organ: str
    measure: Measure
    mean: float
    low: float
    high: float
    colour: str
    lower_by: float = 0.0


def difference_panels(found: Iterable[Difference]) -> str:
    """Draw two centres' differences in mm by direction as SVG. Stated ones are coloured.

    >>> difference_panels([]).startswith("<svg")
    True
    """
    marks = []
    for one in found:
        colour = STATED if one.is_stated else OTHERS
        marks.append(Mark(one.organ, one.measure, one.mean, one.low, one.high, colour))
    return direction_panels(marks, "mm further out than at the model's centre")


@default_settings()
def direction_panels(marks: Iterable[Mark], label: str) -> str:
    """Draw means in mm by direction as SVG: of each organ a panel of sides, and one of ends below.

    All sides are on one scale, and all ends on another.

    label: of the axis. What is not in mm by direction, such as the volume, is left out.

    >>> direction_panels([], "mm").startswith("<svg")
    True
    """
    from matplotlib.figure import Figure

    in_mm = [one for one in marks if one.measure in DIRECTIONS]
    organs = list(dict.fromkeys(one.organ for one in in_mm))
    rows = max(1, -(-len(organs) // ORGANS_PER_ROW))
    figure = Figure(figsize=(7.4, 2.2 * rows + 0.3), layout="constrained")
    heights = [len(kind) for kind in KINDS]
    panels = figure.subplots(
        len(KINDS) * rows,
        ORGANS_PER_ROW,
        sharey="row",
        squeeze=False,
        height_ratios=heights * rows,
    )
    for number, directions in enumerate(KINDS):
        of_kind = [one for one in in_mm if one.measure in directions]
        own_panels = panels[number :: len(KINDS)].ravel().tolist()
        _draw_kind(own_panels, directions, organs, of_kind)
    for panel, organ in zip(panels[0 :: len(KINDS)].ravel(), organs, strict=False):
        panel.set_title(organ, fontsize=8, parse_math=False)
    figure.supxlabel(label, fontsize=8)
    return svg_of(figure)


def _draw_kind(
    panels: Sequence["Axes"],
    directions: Sequence[Measure],
    organs: Sequence[str],
    marks: Sequence[Mark],
) -> None:
    """Draw one kind of directions of all organs on one scale; the panels left over are hidden."""
    reach_mm = _reach_mm(marks)
    for panel, organ in zip(panels, organs, strict=False):
        _draw_panel(panel, directions, [one for one in marks if one.organ == organ])
        panel.set_xlim(-reach_mm, reach_mm)
    for panel in panels[len(organs) :]:
        panel.set_visible(False)


def _reach_mm(marks: Sequence[Mark]) -> float:
    """Return how far the axis reaches to either side: to the end of the longest interval."""
    ends_mm = [LEAST_REACH_MM]
    for one in marks:
        ends_mm += [abs(end) for end in (one.mean, one.low, one.high) if isfinite(end)]
    return MARGIN * max(ends_mm)


def _draw_panel(panel: "Axes", directions: Sequence[Measure], marks: Sequence[Mark]) -> None:
    """Draw the marks of one organ, one line per direction, from the first one down."""
    panel.axvline(0, color="black", linewidth=0.6)
    for one in marks:
        place = -directions.index(one.measure) - one.lower_by
        panel.plot([one.low, one.high], [place, place], color=one.colour, linewidth=1.4)
        panel.plot(one.mean, place, "o", color=one.colour, markersize=4)
    panel.set_yticks(
        [-place for place in range(len(directions))], list(map(measure_name, directions))
    )
    panel.set_ylim(0.6 - len(directions), 0.6)
    panel.locator_params(axis="x", nbins=MOST_TICKS, steps=(1, 2, 5, 10))
    panel.tick_params(labelsize=7)
    panel.grid(axis="x", linewidth=0.3, color="#cccccc")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
