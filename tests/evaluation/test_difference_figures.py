"""Offsets by direction as a picture: sides and ends have scales of their own."""

from unittest.mock import patch

import pytest
from matplotlib.figure import Figure

from recontour.evaluation import difference_figures
from recontour.evaluation.difference_figures import MARGIN, Mark, direction_panels


def drawn(marks: list[Mark]) -> Figure:
    """Return the figure of which SVG is made."""
    with patch.object(difference_figures, "svg_of") as svg_of:
        direction_panels(marks, "mm")
    figure = svg_of.call_args.args[0]
    assert isinstance(figure, Figure)
    return figure


def test_a_wide_interval_of_an_end_does_not_hide_those_of_sides() -> None:
    marks = [
        Mark("SpinalCord", "left", 5.0, 4.0, 6.0, "red"),
        Mark("SpinalCord", "caudal", 10.0, -5.0, 25.0, "red"),
        Mark("Larynx", "posterior", 1.0, 0.0, 2.0, "red"),
    ]
    figure = drawn(marks)
    reaches = [panel.get_xlim()[1] for panel in figure.axes if panel.get_visible()]
    sides, ends = 6.0 * MARGIN, 25.0 * MARGIN
    assert reaches == pytest.approx([sides, sides, ends, ends])
    titles = [panel.get_title() for panel in figure.axes if panel.get_visible()]
    assert titles == ["SpinalCord", "Larynx", "", ""]


def test_directions_are_called_as_in_sentences() -> None:
    figure = drawn([Mark("Larynx", "anterior", 1.0, 0.0, 2.0, "red")])
    panels = [panel for panel in figure.axes if panel.get_visible()]
    names = [[label.get_text() for label in panel.get_yticklabels()] for panel in panels]
    assert names == [["right side", "left side", "front", "back"], ["upper end", "lower end"]]
