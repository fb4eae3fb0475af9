"""The page and the tables of `recontour gain`: gains.csv, learnt_scores.csv and report.html."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from recontour.evaluation.gains import Advice, Gains, Step
from recontour.evaluation.intervals import Dsc, Interval
from recontour.evaluation.numbers import from_to, number, signed
from recontour.evaluation.page import as_notice, render
from recontour.evaluation.plotting import default_settings, svg_of
from recontour.evaluation.tables import cell_of
from recontour.files import write_text
from recontour.texts import csv_text
from recontour.wording import plural

if TYPE_CHECKING:  # loaded where a figure is drawn, with our own settings
    from matplotlib.axes import Axes

ALL = "mean over organs"  # in an organ's place
NEXT = "next"  # in a step's place
LAST = "measured"
GAIN_COLUMNS = ("organ", "step", "fewer", "more", "patients", "gain", "low", "high")
SCORE_COLUMNS = ("patient", "organ", "learnt_from", "dsc")
ADVICE_WORDS = {
    Advice.STOP: "Stop contouring further patients",
    Advice.GO_ON: "Go on contouring further patients",
    Advice.NOT_KNOWN: "Not known whether to contour further patients",
}
MEASURED, POSSIBLE = "#0072B2", "#E69F00"  # Okabe and Ito


@dataclass(frozen=True, slots=True)
class GainHeader:
    """What was measured, for the head and the foot of the page.

    centre: whose patients. lineage: of the model that was adapted. folds, iterations, seed: of the
    adaptations. notices: what a reader must know first.
    """

    centre: str
    date: date
    lineage: str
    preset: str
    folds: int
    iterations: int
    seed: int
    notices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PrintedStep:
    """A line of the page's table. what: the organ, or the numbers of patients."""

    what: str
    patients: str
    dsc: str
    gain: str
    interval: str


def write_gain_report(
    folder: Path,
    gains: Gains,
    dsc_by_number: Mapping[int, Dsc],
    header: GainHeader,
) -> None:
    """Write the two tables and the page into a folder. dsc_by_number: as for `gains_of`.

    Raises: OutputError: a file cannot be written there.
    """
    write_text(folder / "gains.csv", csv_text([GAIN_COLUMNS, *_gain_rows(gains)]))
    write_text(folder / "learnt_scores.csv", csv_text([SCORE_COLUMNS, *_score_rows(dsc_by_number)]))
    contents = _contents(gains, header)
    page = render("recontour.evaluation", "gains.html", contents)
    write_text(folder / "report.html", page)


def _gain_rows(gains: Gains) -> Iterator[Sequence[str | int | float]]:
    """Yield what each step brought, what the next one may bring, and the last one by organ."""
    for step in gains.steps:
        yield _gain_row(ALL, LAST, step.fewer, step.more, step.patients, step.gain)
    last = gains.last
    yield _gain_row(ALL, NEXT, last.more, gains.next_patients, last.patients, gains.next_gain)
    for organ, step in gains.organs.items():
        yield _gain_row(organ, LAST, step.fewer, step.more, step.patients, step.gain)


def _gain_row(
    organ: str,
    step: str,
    fewer: int,
    more: int,
    patients: int,
    gain: Interval,
) -> Sequence[str | int | float]:
    values = map(cell_of, (gain.mean, gain.low, gain.high))
    return (organ, step, fewer, more, patients, *values)


def _score_rows(dsc_by_number: Mapping[int, Dsc]) -> Iterator[Sequence[str | int | float]]:
    for learnt_from, dsc in dsc_by_number.items():
        for (patient, organ), value in sorted(dsc.items()):
            yield patient, organ, learnt_from, cell_of(value)


def _contents(gains: Gains, header: GainHeader) -> dict[str, object]:
    """Return everything that the template names."""
    little = gains.little_is_known()
    return {
        "header": header,
        "patients": gains.last.patients,
        "organs": len(gains.organs),
        "headline": ADVICE_WORDS[gains.advice],
        "advice": as_notice(gains.finding()),
        "little": as_notice(little) if little else "",
        "plot": Markup(gains_plot(gains)),
        "steps": list(printed_steps(gains)),
        "next": printed_next(gains),
        "by_organ": [_printed(organ, step, "") for organ, step in gains.organs.items()],
        "last": gains.last,
        "useful": number(gains.useful, 3),
    }


def printed_steps(gains: Gains) -> Iterator[PrintedStep]:
    """Yield a line for the fewest patients, and one for each step."""
    first = gains.steps[0].fewer
    yield PrintedStep(learnt_from(first), "", number(gains.dsc[first], 3), "", "")
    for step in gains.steps:
        yield _printed(learnt_from(step.more), step, number(gains.dsc[step.more], 3))


def learnt_from(patients: int) -> str:
    """Name a model by how many patients it learnt from.

    >>> learnt_from(0), learnt_from(6)
    ('none: the model as it was given', '6 patients')
    """
    return plural(patients, "patient") if patients else "none: the model as it was given"


def _printed(what: str, step: Step, dsc: str) -> PrintedStep:
    gain = step.gain
    interval = from_to(gain.low, gain.high)
    return PrintedStep(what, str(step.patients), dsc, signed(gain.mean), interval)


def printed_next(gains: Gains) -> PrintedStep:
    """Return the line of the next step, which nobody has measured."""
    following = gains.next_gain
    what = f"{gains.next_patients} patients, not measured"
    return PrintedStep(what, "", "", "0 if it stays", from_to(following.low, following.high))


@default_settings()
def gains_plot(gains: Gains) -> str:
    """Plot the mean DSC by number of patients, and the gain of each step beside the next one's.

    Returns: SVG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 2.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_dsc(left, gains)
    _draw_steps(right, gains)
    for panel in (left, right):
        panel.tick_params(labelsize=8)
        panel.grid(axis="y", linewidth=0.3, color="#cccccc")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return svg_of(figure)


def _draw_dsc(panel: "Axes", gains: Gains) -> None:
    numbers = list(gains.dsc)
    panel.plot(numbers, list(gains.dsc.values()), color=MEASURED, marker="o", markersize=5)
    panel.set_xticks(numbers)
    panel.margins(x=0.08, y=0.2)
    panel.set_xlabel("patients to learn from", fontsize=9)
    panel.set_ylabel("mean DSC", fontsize=9)


def _draw_steps(panel: "Axes", gains: Gains) -> None:
    """Draw what each step brought with its interval, and the range of the next one."""
    names = []
    for place, step in enumerate(gains.steps):
        gain = step.gain
        panel.plot([place, place], [gain.low, gain.high], color=MEASURED, linewidth=2)
        panel.plot(place, gain.mean, color=MEASURED, marker="o", markersize=6)
        names.append(f"{step.fewer} to {step.more}")
    following = gains.next_gain
    place = len(names)
    names.append(f"{gains.last.more} to {gains.next_patients}\nnot measured")
    panel.bar(
        place,
        following.high - following.low,
        bottom=following.low,
        width=0.35,
        color=POSSIBLE,
        alpha=0.45,
    )
    panel.axhline(0, color="black", linewidth=0.8)
    panel.axhline(gains.useful, color="#444444", linewidth=0.8, linestyle="--")
    panel.text(
        -0.45,
        gains.useful,
        f"worth it: {signed(gains.useful)}",
        fontsize=7,
        va="bottom",
        color="#444444",
    )
    panel.use_sticky_edges = False  # no bar ends at the frame
    panel.margins(y=0.1)
    panel.set_xlim(-0.5, place + 0.5)
    panel.set_xticks(range(len(names)), names)
    panel.set_xlabel("step in patients to learn from", fontsize=9)
    panel.set_ylabel("gain in mean DSC", fontsize=9)
