"""What differs between a centre's contours and a model's centre, on one page."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from operator import attrgetter
from pathlib import Path

from markupsafe import Markup

from recontour.evaluation.consistency import Suspect
from recontour.evaluation.difference_figures import difference_panels
from recontour.evaluation.differences import Difference, PatientOffsets, values_by_organ
from recontour.evaluation.figures import OverlaysOf, Picture, colour_of, draw
from recontour.evaluation.findings import TRAIT_WORDS
from recontour.evaluation.images import ImageDifference
from recontour.evaluation.measure_words import DRAWN, with_unit
from recontour.evaluation.numbers import from_to, number, p_value, signed
from recontour.evaluation.page import as_notice, render
from recontour.files import write_text
from recontour.findings import Finding
from recontour.geometry.offsets import UNITS
from recontour.network.acquired import NOT_KEPT, Acquired, in_print

MOST_SUSPECTS = 30  # with a picture; all are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOf:
    """What a page of a comparison shows.

    centre: whose contours are compared; home: the model's centre. model: its name. statements,
    unlike_images, doubts: of the differences, the images and the suspects. acquired, home_acquired:
    how the CTs were acquired; home_acquired is None if nobody knows. rows: each contour's offsets.
    """

    centre: str
    home: str
    model: str
    differences: Sequence[Difference]
    statements: Sequence[Finding]
    images: Sequence[ImageDifference]
    unlike_images: Sequence[Finding]
    acquired: Acquired
    home_acquired: Acquired | None
    suspects: Sequence[Suspect]
    doubts: Sequence[Finding]
    rows: Sequence[PatientOffsets]
    warnings: Sequence[Finding]
    notices: Sequence[str]


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """A difference in print. is_stated: whether it is certain, and large enough to matter."""

    organ: str
    measure: str
    patients: int
    own: str
    home: str
    mean: str
    interval: str
    p: str
    is_stated: bool


@dataclass(frozen=True, slots=True)
class Pictured:
    """A contour beside the model's, and why it is shown."""

    organ: str
    case: str
    caption: str
    pictures: Sequence[Picture]


def write_protocol_page(path: Path, page: PageOf, overlays_of: OverlaysOf) -> None:
    """Write a page of what differs, whole or not at all.

    It names no patient, folder or file. overlays_of: from case and organ to the planes to show.

    Raises: OutputError: a file exists there, or it cannot be written.
    """
    patients = {row.patient for row in page.rows}
    contents = {
        "page": page,
        "patients": len(patients),
        "organs": len({row.organ for row in page.rows}),
        "date": datetime.datetime.now(datetime.UTC).date(),
        "version": metadata.version("recontour"),
        "notices": [*map(as_notice, page.warnings), *page.notices],
        "statements": list(map(as_notice, page.statements)),
        "images": list(map(_image_in_print, page.images)),
        "unlike_images": list(map(as_notice, page.unlike_images)),
        "acquired": in_print(page.acquired, page.home_acquired),
        "not_kept": NOT_KEPT,
        "doubts": list(map(as_notice, page.doubts)),
        "table": list(map(_in_print, page.differences)),
        "panels": Markup(difference_panels(page.differences)) if page.differences else "",
        "colours": colour_of([page.model]),
        "typical": _typical(page, overlays_of),
        "suspects": _suspects(page, overlays_of),
    }
    write_text(path, render("recontour.assess", "protocol.html", contents))


def _in_print(one: Difference) -> DifferenceRow:
    return DifferenceRow(
        organ=one.organ,
        measure=with_unit(one.measure),
        patients=one.patients,
        own=signed(one.own, 1),
        home=signed(one.home, 1),
        mean=signed(one.mean, 1),
        interval=from_to(one.low, one.high, 1),
        p=p_value(one.p_holm) if one.is_tested else "",
        is_stated=one.is_stated,
    )


@dataclass(frozen=True, slots=True)
class ImageRow:
    """A trait of the images in print."""

    trait: str
    own: str
    home: str
    home_sd: str
    z: str
    is_far: bool


def _image_in_print(one: ImageDifference) -> ImageRow:
    name, unit, digits = TRAIT_WORDS[one.trait]
    return ImageRow(
        trait=f"{name}, {unit}",
        own=number(one.own, digits),
        home=number(one.home, digits),
        home_sd=number(one.home_sd, digits),
        z=signed(one.z, 1),
        is_far=one.is_far,
    )


def _typical(page: PageOf, overlays_of: OverlaysOf) -> list[Pictured]:
    """Return the contour that shows each organ's most certain difference best.

    It is that of the patient whose own offset comes closest to the mean.
    """
    shown = []
    values = values_by_organ(page.rows)
    stated = [one for one in page.differences if one.is_stated]
    for organ in dict.fromkeys(one.organ for one in stated):
        of_organ = [one for one in stated if one.organ == organ]
        surest = min(of_organ, key=attrgetter("p"))
        of_patients = values[organ][surest.measure]
        from_mean = {who: abs(offset - surest.own) for who, offset in of_patients.items()}
        patient = min(from_mean, key=lambda who: from_mean[who])
        more, less = DRAWN[surest.measure]
        how = more if surest.mean > 0 else less
        excess = abs(of_patients[patient] - surest.home)
        caption = f"{excess:.1f} {UNITS[surest.measure]} {how} in this patient"
        shown.append(_pictured(organ, _case_of(page, patient, organ), caption, overlays_of))
    return shown


def _suspects(page: PageOf, overlays_of: OverlaysOf) -> list[Pictured]:
    shown = []
    for one in page.suspects[:MOST_SUSPECTS]:
        more, less = DRAWN[one.measure]
        how = more if one.excess_mm > 0 else less
        caption = f"{abs(one.excess_mm):.1f} mm {how} than in the others"
        case = _case_of(page, one.patient, one.organ)
        shown.append(_pictured(one.organ, case, caption, overlays_of))
    return shown


def _case_of(page: PageOf, patient: str, organ: str) -> str:
    """Return the first case of a patient that has an organ."""
    having = [row.case for row in page.rows if (row.patient, row.organ) == (patient, organ)]
    return having[0]


def _pictured(organ: str, case: str, caption: str, overlays_of: OverlaysOf) -> Pictured:
    return Pictured(organ, case, caption, list(map(draw, overlays_of(case, organ))))
