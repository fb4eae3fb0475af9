"""A cohort as one page to browse: every case with its contours, the unusual ones first."""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from recontour.assess.own_page import own_page_at, sealed
from recontour.assess.pictures import overlay_on
from recontour.cohort import Case, Cohort, notices_of, patient_names
from recontour.cohort.doubts import draft_warnings
from recontour.cohort.findings import (
    END_WORDS,
    CordCalledCanal,
    CordLikeCanal,
    DoubtfulSides,
    DraftContours,
    EarlyEnd,
    SharedSourceUid,
    ShortOrgan,
    UnusualSize,
)
from recontour.cohort.lengths import LengthDoubt, lengths_settled
from recontour.cohort.origins import mixed_origins
from recontour.cohort.partly import FEWEST_OTHERS
from recontour.cohort.patients import doubt
from recontour.cohort.sizes import (
    LARGEST_Z,
    Measure,
    OrganSummary,
    Sizes,
    Spread,
    organ_summaries,
    unusual_sizes,
)
from recontour.cohort.store import DamagedCase
from recontour.cohort.traits import (
    canals,
    doubtful_sides,
    notes_on_traits,
    shared_source_uids,
    too_few_to_compare,
    wide_cords,
)
from recontour.evaluation.figures import Picture, draw
from recontour.evaluation.page import as_notice, render
from recontour.evaluation.planes import AXES, VIEWS, Plane, View
from recontour.files import write_bytes
from recontour.findings import Finding
from recontour.geometry.arrays import Mask
from recontour.geometry.tracing import Box, box_of
from recontour.organs import organ_of
from recontour.progress import Progress, quiet
from recontour.wording import printable, short

# An organ counts as shown on a slice with this share of its largest area.
WELL_SHOWN = 0.8

Counts = npt.NDArray[np.int64]
Areas = Mapping[View, Counts]  # pixels of an organ on each plane of a view
# To look at a case.
Reason = (
    DoubtfulSides
    | SharedSourceUid
    | ShortOrgan
    | EarlyEnd
    | CordCalledCanal
    | CordLikeCanal
    | UnusualSize
    | DraftContours
)


@dataclass(frozen=True, slots=True)
class SizeRow:
    """One organ of a case in print.

    areas: SVG path of its area over the slices, from 0 to 1 along both axes. unusual: which of its
    numbers are.
    """

    organ: str
    slices: str
    extent_mm: str
    volume_cc: str
    usual_cc: str
    largest_cm2: str
    areas: str
    end: str
    unusual: frozenset[str]


@dataclass(frozen=True, slots=True)
class ShownCase:
    """One case of the page.

    reasons: why to look at it, in a few words. notes: the same in full. absent: organs that others
    have. pictures: of all organs together. close_ups: of each unusual organ.
    """

    id: str
    ct: str
    patient: str
    reasons: str
    notes: Sequence[str]
    rows: Sequence[SizeRow]
    absent: Sequence[str]
    pictures: Sequence[Picture]
    close_ups: Mapping[str, Sequence[Picture]]


def write_cohort_page(
    path: Path,
    cohort: Cohort,
    cases: Sequence[Case],
    damaged: Sequence[DamagedCase],
    sizes: Mapping[str, Sizes],
    lengths: Sequence[LengthDoubt],
    progress: Progress = quiet,
) -> None:
    """Write a page of every case with its contours, whole or not at all.

    It replaces the cohort's earlier page, unless somebody has edited it, and no other file. The
    page names no patient, folder or file. sizes: by case. lengths: as `length_doubts` gives.

    Raises: OutputError: another file exists, or the page cannot be written there.
    """
    reasons = _reasons(cases, sizes, lengths)
    summaries = organ_summaries(sizes)
    patients = patient_names(cases)
    shown = []
    ordered = _most_unusual_first(cases, reasons)
    for done, case in enumerate(ordered):
        progress("drawing", done, len(ordered), case.id)
        shown.append(_shown(case, sizes[case.id], reasons[case.id], summaries, patients))
    progress("drawing", len(ordered), len(ordered), "")
    too_few = too_few_to_compare(cases)
    contents = {
        "centre": cohort.centre,
        "date": datetime.datetime.now(datetime.UTC).date(),
        "version": metadata.version("recontour"),
        "patients": len(set(patients.values())),
        "notices": _notices(cohort, cases, damaged, lengths),
        "cases": shown,
        "summaries": summaries,
        "organs": list(summaries),
        "colours": {organ: _colour(organ) for organ in summaries},
        "ends": END_WORDS,
        "largest_z": LARGEST_Z,
        "fewest_others": FEWEST_OTHERS,
        "otherwise": too_few[0].brief() if too_few else "sizes as usual",
    }
    linked = _linking([case.id for case in ordered])
    filters: dict[str, Callable[..., str]] = {
        "spread": _spread,
        "linked": linked,
        "in_code": _in_code,
    }
    page = render("recontour.assess", "cohort.html", contents, filters)
    write_bytes(path, sealed(page, cohort.id), replace=own_page_at(path, cohort.id))


def _most_unusual_first(
    cases: Sequence[Case], reasons: Mapping[str, Sequence[Reason]]
) -> list[Case]:
    """Order cases: swapped sides, short contours, the largest z, then other reasons to look."""

    def rank(case: Case) -> tuple[bool, bool, float, bool]:
        why = reasons[case.id]
        is_short = any(isinstance(one, ShortOrgan | EarlyEnd) for one in why)
        zs = [abs(one.z_score) for one in why if isinstance(one, UnusualSize)]
        largest_z = max(zs, default=0.0)
        return not case.traits.has_doubtful_sides, not is_short, -largest_z, not why

    return sorted(cases, key=rank)


def _notices(
    cohort: Cohort,
    cases: Sequence[Case],
    damaged: Sequence[DamagedCase],
    lengths: Sequence[LengthDoubt],
) -> tuple[str, ...]:
    """Return what a reader must know first."""
    notices = list(notices_of(cohort.notices, cases))
    found: list[Finding | None] = [
        mixed_origins(cases),
        doubt(cases),
        *notes_on_traits(cases, cases, lengths),
        *too_few_to_compare(cases),
    ]
    notices += [as_notice(one) for one in found if one]
    for case in damaged:
        notices.append(as_notice(replace(case.finding, case=case.id)))
    return tuple(dict.fromkeys(notices))


def _linking(ids: Sequence[str]) -> Callable[[str], Markup]:
    """Return what makes each case's name in a sentence a link to the case. ids: as they are shown.

    >>> str(_linking(["north-1", "north-12"])("see north-12 & north-3"))
    'see <a href="#case-2">north-12</a> &amp; north-3'
    """
    places = {str(escape(name)): f"#case-{place}" for place, name in enumerate(ids, 1)}
    names = "|".join(map(re.escape, places))
    whole_name = re.compile(rf"(?<![\w-])(?:{names})(?![\w-])") if names else None

    def linked(sentence: str) -> Markup:
        text = str(_in_code(sentence))
        if whole_name:
            text = whole_name.sub(lambda name: f'<a href="{places[name[0]]}">{name[0]}</a>', text)
        return Markup(text)

    return linked


def _in_code(sentence: str) -> Markup:
    """Mark what stands between backticks in a sentence as code.

    >>> str(_in_code("run `recontour inspect` & look"))
    'run <code>recontour inspect</code> &amp; look'
    """
    text = str(escape(printable(sentence)))
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", text))


def _shown(
    case: Case,
    sizes: Sizes,
    reasons: Sequence[Reason],
    summaries: Mapping[str, OrganSummary],
    patients: Mapping[str, str],
) -> ShownCase:
    """Draw a case and put its numbers in print."""
    areas, shadows = _measured(case)
    overview = _overview(areas)
    odd = list(dict.fromkeys(one.organ for one in reasons if one.organ))
    close = {organ: _largest(areas[organ]) for organ in odd if organ in areas}
    planes = dict.fromkeys([*overview, *chain.from_iterable(close.values())])
    cuts = _cuts(case, planes)
    pictures = []
    for plane in overview:
        nothing = np.zeros_like(shadows[plane.view])
        overlay = overlay_on(case, plane, nothing, cuts[plane], shadows[plane.view])
        pictures.append(draw(overlay))
    close_ups = {}
    for organ, of_organ in close.items():
        overlays = [overlay_on(case, plane, cuts[plane][organ], cuts[plane]) for plane in of_organ]
        close_ups[organ] = list(map(draw, overlays))
    slices, rows, columns = case.grid.shape
    row_mm, column_mm = case.grid.spacing_mm
    return ShownCase(
        id=case.id,
        ct=f"{slices} slices of {rows} x {columns} pixels, {row_mm:.2f} x {column_mm:.2f} mm",
        patient="" if patients[case.id] == case.id else patients[case.id],
        reasons="; ".join(one.brief() for one in reasons),
        notes=[as_notice(replace(one, case=None)) for one in reasons],
        rows=_rows(sizes, reasons, summaries),
        absent=[organ for organ in summaries if organ not in sizes],
        pictures=pictures,
        close_ups=close_ups,
    )


def _reasons(
    cases: Sequence[Case],
    sizes: Mapping[str, Sizes],
    lengths: Sequence[LengthDoubt],
) -> dict[str, list[Reason]]:
    """Return why to look at each case, by case. sizes: by case."""
    reasons: dict[str, list[Reason]] = {case.id: [] for case in cases}
    for case in cases:
        reasons[case.id] += doubtful_sides([case])
        reasons[case.id] += shared_source_uids([case])
    for one in lengths:
        for case_id in one.cases:
            reasons[case_id].append(one.of_case(case_id))
    for case in cases:
        reasons[case.id] += canals([case])
        reasons[case.id] += wide_cords([case])
    for unusual in unusual_sizes(sizes, lengths_settled(cases, lengths)):
        assert unusual.case
        reasons[unusual.case].append(unusual)
    for case in cases:
        reasons[case.id] += draft_warnings([case])
    return reasons


def _rows(
    sizes: Sizes,
    reasons: Sequence[Reason],
    summaries: Mapping[str, OrganSummary],
) -> list[SizeRow]:
    """Print the organs of a case, in the order of the cohort's."""
    rows = []
    for organ, summary in summaries.items():
        if organ not in sizes:
            continue
        size = sizes[organ]
        row = SizeRow(
            organ=organ,
            slices=str(size.slices),
            extent_mm=short(size.extent_mm),
            volume_cc=short(size.volume_cc),
            usual_cc=short(summary.volume_cc.median),
            largest_cm2=short(size.largest_cm2),
            areas=_area_path(size.area_cm2),
            end=", ".join(END_WORDS[end] for end in size.cut),
            unusual=frozenset(_odd_numbers(organ, reasons)),
        )
        rows.append(row)
    return rows


def _odd_numbers(organ: str, reasons: Sequence[Reason]) -> Iterator[Measure]:
    """Yield which numbers of an organ are a reason to look at the case."""
    for one in reasons:
        if one.organ != organ:
            continue
        if isinstance(one, UnusualSize):
            yield one.measure
        elif isinstance(one, ShortOrgan | EarlyEnd):
            yield "extent"


def _area_path(area_cm2: Sequence[float]) -> str:
    """Return an SVG path of areas over the slices, within 0 to 1 along both axes.

    >>> _area_path([0.0, 2.0])
    'M0 1L0.00 1.00L1.00 0.00L1 1Z'
    """
    highest = max(area_cm2) or 1.0
    places = np.linspace(0, 1, len(area_cm2))
    points = []
    for place, area in zip(places, area_cm2, strict=True):
        points.append(f"{place:.2f} {1 - area / highest:.2f}")
    return f"M0 1L{'L'.join(points)}L1 1Z"


def _spread(spread: Spread) -> str:
    """Print a median and a range."""
    if spread.min == spread.max:
        return short(spread.median)
    return f"{short(spread.median)} ({short(spread.min)} to {short(spread.max)})"


def _colour(organ: str) -> str:
    red, green, blue = organ_of(organ).colour
    return f"#{red:02x}{green:02x}{blue:02x}"


# Which planes show a case


def _measured(case: Case) -> tuple[dict[str, Areas], dict[View, Mask]]:
    """Return the areas of each organ, and the shadow of all organs in the direction of each view.

    Of organs without a voxel there are none.
    """
    areas = {}
    shadows: dict[View, Mask] = {}
    for view in VIEWS:
        shadows[view] = np.zeros(np.delete(case.grid.shape, AXES[view]), dtype=bool)
    for organ in case.organs:
        mask = case.mask(organ)
        box = box_of(mask)
        if box is not None:
            areas[organ] = _areas(mask, box)
            for view, shadow in shadows.items():
                inside = np.logical_or.reduce(mask[box], axis=AXES[view])
                shadow[_without(box, AXES[view])] |= inside
    return areas, shadows


def _areas(mask: Mask, box: Box) -> Areas:
    """Count the pixels of a mask, (slice, row, column), on every plane. box: where it lies."""
    areas = {}
    for view, axis in AXES.items():
        areas[view] = np.zeros(mask.shape[axis], dtype=np.int64)
        others = tuple(other for other in range(3) if other != axis)
        areas[view][box[axis]] = np.count_nonzero(mask[box], axis=others)
    return areas


def _without(box: Box, axis: int) -> tuple[slice, ...]:
    return (*box[:axis], *box[axis + 1 :])


def _largest(areas: Areas) -> list[Plane]:
    """Return the plane of each view on which an organ is largest."""
    return [Plane(view, int(np.argmax(areas[view]))) for view in VIEWS]


def _overview(areas: Mapping[str, Areas]) -> list[Plane]:
    """Return axial planes that show every organ well, and one sagittal and one coronal plane.

    areas: by organ. The sagittal plane is that of the organs in the middle, if there are any. Axial
    planes come from the head down.
    """
    if not areas:
        return []
    planes = [Plane("axial", index) for index in reversed(_slices_that_show_all(areas))]
    middle = [of_organ for organ, of_organ in areas.items() if not organ_of(organ).side]
    everything = list(areas.values())
    planes.append(Plane("sagittal", _most_of_all(middle or everything, "sagittal")))
    planes.append(Plane("coronal", _most_of_all(everything, "coronal")))
    return planes


def _most_of_all(areas: Sequence[Areas], view: View) -> int:
    """Return the plane of a view that shows most of some organs; each counts the same."""
    shares = [of_organ[view] / of_organ[view].max() for of_organ in areas]
    return int(np.argmax(np.sum(shares, axis=0)))


def _slices_that_show_all(areas: Mapping[str, Areas]) -> list[int]:
    """Return a few slices that together show every organ well, in rising order.

    Each is the slice that shows most of the organs that no slice before it does.
    """
    shares = [of_organ["axial"] / of_organ["axial"].max() for of_organ in areas.values()]
    chosen = []
    while shares:
        shown_well = np.sum([share >= WELL_SHOWN for share in shares], axis=0)
        in_all = np.sum(shares, axis=0)
        best = int(np.lexsort((in_all, shown_well))[-1])
        chosen.append(best)
        shares = [share for share in shares if share[best] < WELL_SHOWN]
    return sorted(chosen)


def _cuts(case: Case, planes: Mapping[Plane, None]) -> dict[Plane, dict[str, Mask]]:
    """Cut planes from the masks of a case, one mask in memory at a time."""
    cuts: dict[Plane, dict[str, Mask]] = {plane: {} for plane in planes}
    for organ in case.organs:
        mask = case.mask(organ)
        for plane, by_organ in cuts.items():
            by_organ[organ] = plane.cut(mask).copy()
    return cuts
