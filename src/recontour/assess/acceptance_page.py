"""The page that a physicist signs: decisions, what they rest on, and how to go back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from platform import python_version

import numpy as np
from markupsafe import Markup

from recontour.assess.acceptance import (
    Acceptance,
    Failure,
    MeanOffset,
    MeanOffsets,
    Span,
    limits,
    worst_cases,
)
from recontour.evaluation.difference_figures import Mark, direction_panels
from recontour.evaluation.figures import OverlaysOf, Picture, colour_of, draw
from recontour.evaluation.gate import ALPHA, ENOUGH_POWER, Decision, OrganGate, Shift
from recontour.evaluation.gate_words import how_many_more, why
from recontour.evaluation.measure_words import with_unit
from recontour.evaluation.numbers import NONE, from_to, number, p_value, signed
from recontour.evaluation.page import as_notice, render
from recontour.files import write_text
from recontour.geometry.offsets import MEASURES
from recontour.organs import organ_of

PACKAGES = ("recontour", "torch", "numpy", "scipy", "openvino", "contourpy")
APART = 0.17  # of the distance of two directions: how far a model is drawn from their line
MARKS = {Decision.PROMOTE: "better", Decision.KEEP: "worse", Decision.UNDECIDED: ""}


@dataclass(frozen=True, slots=True)
class OrganRow:
    """A row of the table of decisions, as printed. mark: the class of the decision's colour."""

    organ: str
    decision: str
    mark: str
    why: str
    patients: str
    dsc: tuple[str, ...]
    surface_dsc: tuple[str, ...]
    p_holm: str
    power: str
    missed: str
    more: str


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The planes of one organ of a case, and each model's DSC as printed."""

    case: str
    organ: str
    pictures: list[Picture]
    dsc: dict[str, str]


def write_acceptance_page(path: Path, found: Acceptance, overlays_of: OverlaysOf) -> None:
    """Write report.html, whole or not at all, never over a file that exists.

    overlays_of: from case and organ to the planes that are worth a picture.

    Raises: OutputError: the file exists, or cannot be written there.
    """
    names = [found.parent.name, found.candidate.name]
    colours = colour_of(names)
    tolerances_mm = {row.organ: row.tolerance_mm for row in found.scores}
    contents = {
        "found": found,
        "models": names,
        "colours": colours,
        "notices": [*map(as_notice, found.warnings), *found.notices],
        "rows": [_row(one) for one in found.organs],
        "groups": {one.value: organs for one, organs in found.by_decision.items()},
        "from_parent": found.from_parent,
        "offsets": _offset_rows(found),
        "panels": _panels(found, colours),
        "directions": list(map(with_unit, MEASURES)),
        "failures": _failures(found.failures),
        "worst": list(_pictured(found, overlays_of)),
        "images": _images(found),
        "limits": _limit_rows(found),
        "tolerances": [f"{organ} {mm:g} mm" for organ, mm in tolerances_mm.items()],
        "default_tolerances": [
            organ for organ in tolerances_mm if not organ_of(organ).has_own_tolerance
        ],
        "alpha": f"{ALPHA:g}",
        "enough": f"{100 * ENOUGH_POWER:g}",
        "versions": _versions(),
    }
    write_text(path, render("recontour.assess", "accept.html", contents))


def _row(one: OrganGate) -> OrganRow:
    shifts = one.shifts or {}
    return OrganRow(
        organ=one.organ,
        decision=one.decision.value,
        mark=MARKS[one.decision],
        why=why(one),
        patients=str(one.patients),
        dsc=_shift(shifts.get("dsc")),
        surface_dsc=_shift(shifts.get("surface_dsc")),
        p_holm=p_value(one.p_holm),
        power=NONE if np.isnan(one.power) else f"{100 * one.power:.0f} %",
        missed=f"{one.missed_parent} / {one.missed_candidate}" if shifts else NONE,
        more=how_many_more(one.needed),
    )


def _shift(shift: Shift | None) -> tuple[str, ...]:
    """Print the means of parent and candidate, their difference, and its interval."""
    if shift is None:
        return (NONE, NONE, NONE, "")
    interval = "" if np.isnan(shift.low) else from_to(shift.low, shift.high)
    return number(shift.parent, 3), number(shift.candidate, 3), signed(shift.mean), interval


def _offset_rows(found: Acceptance) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return for each organ and model the mean and the interval of each direction, as printed."""
    offsets = found.offsets
    rows = []
    for one in found.organs:
        for model in (found.parent.name, found.candidate.name):
            cells = [_offset(offsets.get((one.organ, model, measure))) for measure in MEASURES]
            if any(mean != NONE for mean, _ in cells):
                rows.append((one.organ, model, cells))
    return rows


def _panels(found: Acceptance, colours: Mapping[str, str]) -> Markup:
    """Draw the offsets of both models by direction, organ by organ; nothing if there are none."""
    offsets = found.offsets
    marks: list[Mark] = []
    for one in found.organs:
        marks += _marks(offsets, one.organ, found.parent.name, colours, -APART)
        marks += _marks(offsets, one.organ, found.candidate.name, colours, APART)
    label = "mm further out than the reference"
    return Markup(direction_panels(marks, label)) if marks else Markup("")


def _marks(
    offsets: MeanOffsets,
    organ: str,
    model: str,
    colours: Mapping[str, str],
    lower_by: float,
) -> list[Mark]:
    """Return a model's offsets of an organ as marks, each a bit below its direction's line."""
    marks = []
    for measure in MEASURES:
        one = offsets.get((organ, model, measure))
        if one:
            colour = colours[model]
            marks.append(Mark(organ, measure, one.mean, one.low, one.high, colour, lower_by))
    return marks


def _offset(offset: MeanOffset | None) -> tuple[str, str]:
    if offset is None:
        return NONE, ""
    mean = signed(offset.mean, 1)
    if np.isnan(offset.low):
        return mean, ""
    return mean, f"{number(offset.low, 1)} to {number(offset.high, 1)}"


def _failures(failures: Sequence[Failure]) -> list[tuple[str, str, str, str]]:
    rows = []
    for one in failures:
        what = f"{one.what}: {one.details}" if one.details else one.what
        rows.append((one.case, one.organ, one.model, what))
    return rows


def _pictured(found: Acceptance, overlays_of: OverlaysOf) -> Iterable[WorstCase]:
    """Yield the worst cases of each organ, one in memory at a time."""
    rows = {(row.case, row.organ, row.model): row for row in found.scores}
    for case, organ in worst_cases(found):
        dsc = {}
        for model in (found.parent.name, found.candidate.name):
            row = rows.get((case, organ, model))
            if row:
                dsc[model] = "missed" if row.is_missed else number(row.dsc, 2)
        pictures = list(map(draw, overlays_of(case, organ)))
        yield WorstCase(case, organ, pictures, dsc)


def _images(found: Acceptance) -> dict[str, str]:
    images = found.images
    return {
        "pixels": f"{_span(images.pixel_mm, 2)} mm",
        "distance between slices": f"{_span(images.slice_mm, 2)} mm",
        "slices": _span(images.slices, 0),
        "mean HU of tissue, by CT": _span(images.tissue_hu, 0),
        "scanners": ", ".join(images.scanners) or "unknown",
    }


def _span(span: Span, digits: int) -> str:
    low, high = number(span.low, digits), number(span.high, digits)
    return low if low == high else f"{low} to {high}"


def _limit_rows(found: Acceptance) -> list[tuple[str, list[str]]]:
    """Return by organ mean and SD of every measure, as printed."""
    organs = limits(found)["organs"]
    assert isinstance(organs, dict)
    rows = []
    for organ, measures in organs.items():
        cells = []
        for measure in ("dsc", "surface_dsc", *MEASURES):
            one = measures.get(measure)
            digits = 3 if measure in ("dsc", "surface_dsc") else 1
            text = f"{number(one['mean'], digits)} ± {one['sd']:.{digits}f}" if one else NONE
            cells.append(text)
        rows.append((organ, cells))
    return rows


def _versions() -> dict[str, str]:
    versions = {"Python": python_version()}
    for package in PACKAGES:
        versions[package] = metadata.version(package)
    return versions
