"""The report's pictures: box plots as SVG, overlays as a CT crop with contour lines in mm."""

import base64
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recontour.evaluation.numbers import number
from recontour.evaluation.planes import View
from recontour.evaluation.plotting import default_settings, svg_of
from recontour.evaluation.tables import CaseScore
from recontour.geometry.arrays import Floats, Mask
from recontour.geometry.tracing import rings

# Loading Matplotlib takes half a second; `contour` does without.
if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which colour-blind readers can distinguish.
MODEL_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00")
# Soft tissue.
WINDOW_HU = (-160.0, 240.0)
SMALLEST_CROP_MM = 40.0
# Around the organ.
MARGIN_MM = 12.0
# An enlarged crop has about this many pixels, so that no viewer shows squares.
CROP_PIXELS = 300
PANELS_PER_ROW = 4
# What lies left and right in a picture.
SIDES: dict[View, tuple[str, str]] = {
    "axial": ("R", "L"),
    "sagittal": ("A", "P"),
    "coronal": ("R", "L"),
}
AXIS_NAMES: dict[View, str] = {"axial": "z", "sagittal": "x", "coronal": "y"}


def colour_of(models: Sequence[str]) -> dict[str, str]:
    """Return each model's colour in every figure; a sixth model starts over."""
    colours = {}
    for index, model in enumerate(models):
        colours[model] = MODEL_COLOURS[index % len(MODEL_COLOURS)]
    return colours


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One plane of one case: the CT and every mask of one organ, all (row, column) as drawn.

    An axial plane is seen from the feet, a coronal one from the front, both with the patient's
    right on the left; a sagittal one from the patient's left. The latter two have the head up.
    at_mm: z, x (sagittal) or y (coronal). spacing_mm: row step, column step. predicted: by model; a
    model that did not contour the case is left out. around: what the picture is cut to; None: the
    reference, or the predictions if it is empty. is_scored: whether scores count each row of the
    picture; None: they count all.
    """

    hu: npt.NDArray[np.int16 | np.float32]
    at_mm: float
    spacing_mm: tuple[float, float]
    reference: Mask
    predicted: Mapping[str, Mask]
    view: View = "axial"
    around: Mask | None = None
    is_scored: Mask | None = None


# From a case and an organ to the planes that are worth a picture.
OverlaysOf = Callable[[str, str], Iterable[Overlay]]


@dataclass(frozen=True, slots=True)
class Picture:
    """An overlay cut to its organ, ready to draw in mm from its upper left corner.

    image: data URI of a PNG. reference, predicted (by model): SVG paths; empty if the mask is.
    place: the plane's x, y or z. sides: letters of the patient's sides that are left and right.
    absent: the models that have nothing on this plane. not_scored_mm: the bands across the picture
    that no score counts, each from its upper to its lower edge.
    """

    view: View

    image: str
    width_mm: float
    height_mm: float
    reference: str
    predicted: dict[str, str]
    scale_bar_mm: int
    place: str
    sides: tuple[str, str]
    absent: tuple[str, ...]
    not_scored_mm: tuple[tuple[float, float], ...] = ()


def draw(overlay: Overlay) -> Picture:
    """Cut an overlay to its organ, and outline its masks as `contour` writes them.

    Holes are outlined without their keyholes.
    """
    crop = _crop(overlay)
    row_mm, column_mm = overlay.spacing_mm
    hu = overlay.hu[crop]
    width_mm, height_mm = hu.shape[1] * column_mm, hu.shape[0] * row_mm
    predicted = {}
    absent = []
    for model, mask in overlay.predicted.items():
        predicted[model] = _path(mask, crop, overlay.spacing_mm)
        if not mask.any():
            absent.append(model)
    return Picture(
        view=overlay.view,
        image=_png(hu, overlay.spacing_mm),
        width_mm=width_mm,
        height_mm=height_mm,
        reference=_path(overlay.reference, crop, overlay.spacing_mm),
        predicted=predicted,
        scale_bar_mm=20 if max(width_mm, height_mm) > 80 else 10,
        place=f"{AXIS_NAMES[overlay.view]} {number(overlay.at_mm, 1)} mm",
        sides=SIDES[overlay.view],
        absent=tuple(absent),
        not_scored_mm=_not_scored_mm(overlay, crop[0]),
    )


def _not_scored_mm(overlay: Overlay, rows: slice) -> tuple[tuple[float, float], ...]:
    """Return the bands of a crop that no score counts. rows: of the overlay that it shows."""
    if overlay.is_scored is None:
        return ()
    row_mm, _ = overlay.spacing_mm
    bands, count = ndimage.label(~overlay.is_scored[rows])
    edges_mm = []
    for band in range(1, count + 1):
        inside = np.flatnonzero(bands == band)
        edges_mm.append((float(inside[0]) * row_mm, float(inside[-1] + 1) * row_mm))
    return tuple(edges_mm)


def _crop(overlay: Overlay) -> tuple[slice, slice]:
    """Return a square around what the picture is cut to.

    If that is empty, the square lies in the middle of the plane.
    """
    shown = overlay.reference if overlay.around is None else overlay.around
    if not shown.any():
        shown = np.logical_or.reduce([shown, *overlay.predicted.values()])
    if shown.any():
        rows, columns = np.nonzero(shown)
    else:
        rows, columns = np.array([shown.shape[0] // 2]), np.array([shown.shape[1] // 2])
    row_mm, column_mm = overlay.spacing_mm
    extent_mm = max(np.ptp(rows) * row_mm, np.ptp(columns) * column_mm)
    side_mm = max(SMALLEST_CROP_MM, extent_mm + 2 * MARGIN_MM)
    return (
        _centred(rows, side_mm / row_mm, shown.shape[0]),
        _centred(columns, side_mm / column_mm, shown.shape[1]),
    )


def _centred(
    used: npt.NDArray[np.intp],
    length: float,
    size: int,
) -> slice:
    """Return a stretch of a given length around used indices, pushed back into [0, size)."""
    centre = (used.min() + used.max()) / 2
    pixels = min(round(length), size)
    start = min(max(round(centre - pixels / 2), 0), size - pixels)
    return slice(start, start + pixels)


def _png(hu: npt.NDArray[np.int16 | np.float32], spacing_mm: tuple[float, float]) -> str:
    """Return the window's greys as a data URI.

    The image is enlarged by interpolation; each pixel keeps its place, and metal its size.
    """
    from PIL import Image

    sides_mm = np.multiply(hu.shape, spacing_mm)
    pixels_per_mm = CROP_PIXELS / sides_mm.max()
    factors = [max(1, round(step_mm * pixels_per_mm)) for step_mm in spacing_mm]
    low, high = WINDOW_HU
    windowed = np.clip(hu.astype(np.float32), low, high)
    enlarged = ndimage.zoom(
        windowed,
        factors,
        order=1,
        mode="nearest",
        grid_mode=True,
    )
    grey = np.rint((enlarged - low) / (high - low) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, format="png", optimize=True)
    encoded = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/png;base64,{encoded}"


def _path(
    plane: Mask,
    crop: tuple[slice, slice],
    spacing_mm: tuple[float, float],
) -> str:
    """Return a mask's outlines as one SVG path in mm from the crop's corner.

    The path is empty if nothing of the mask lies in the crop.
    """
    if not plane[crop].any():
        return ""
    rows, columns = crop
    # The centre of pixel 0 lies half a pixel from its corner.
    corner = np.array([columns.start, rows.start]) - 0.5

    def to_mm(points: Floats) -> Floats:
        return np.asarray((points - corner) * spacing_mm[::-1])

    drawn: list[str] = []
    for _, part in rings(plane[None], to_mm):
        drawn += map(_ring_path, part)
    return " ".join(drawn)


def _ring_path(ring: Iterable[tuple[float, float]]) -> str:
    points = [f"{x:.2f} {y:.2f}" for x, y in ring]
    return "M" + "L".join(points) + "Z"


@default_settings()
def box_plots(scores: Sequence[CaseScore], models: Sequence[str]) -> str:
    """Draw DSC per organ as SVG.

    One panel per organ, one box per model, a dot per row, a line along each case's dots.
    """
    from matplotlib.figure import Figure

    organs = list(dict.fromkeys(row.organ for row in scores))
    finite = [row for row in scores if np.isfinite(row.dsc)]
    dsc: dict[tuple[str, str], dict[str, float]] = {}
    for row in finite:
        dsc.setdefault((row.organ, row.model), {})[row.case] = row.dsc
    rows = max(1, -(-len(organs) // PANELS_PER_ROW))
    figure = Figure(figsize=(7.4, 1.75 * rows + 0.1), layout="constrained")
    panels = figure.subplots(rows, PANELS_PER_ROW, sharey=True, squeeze=False).ravel()
    colours = list(colour_of(models).values())
    for panel, organ in zip(panels, organs, strict=False):
        by_model = [dsc.get((organ, model), {}) for model in models]
        _draw_panel(panel, organ, by_model, colours)
    for panel in panels[len(organs) :]:
        panel.set_visible(False)
    lowest = min((row.dsc for row in finite), default=0.0)
    panels[0].set_ylim(max(np.floor(lowest * 10) / 10 - 0.02, -0.05), 1.02)
    for first_of_row in panels[::PANELS_PER_ROW]:
        first_of_row.set_ylabel("DSC", fontsize=8)
    return svg_of(figure)


def _draw_panel(
    panel: "Axes",
    organ: str,
    by_model: Sequence[Mapping[str, float]],
    colours: Sequence[str],
) -> None:
    """Draw one organ. by_model: each model's DSC by case."""
    _draw_lines(panel, by_model)
    _draw_boxes(panel, by_model, colours)
    panel.set_title(organ, fontsize=8, parse_math=False)
    panel.set_xlim(-0.6, len(by_model) - 0.4)
    panel.set_xticks([])
    panel.tick_params(labelsize=7)
    panel.grid(axis="y", linewidth=0.3, color="#cccccc")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _draw_lines(panel: "Axes", by_model: Sequence[Mapping[str, float]]) -> None:
    """Draw a line along each case's dots."""
    cases: dict[str, list[tuple[int, float]]] = {}
    for place, values in enumerate(by_model):
        for case, dsc in values.items():
            cases.setdefault(case, []).append((place, dsc))
    for line in cases.values():
        panel.plot(
            *zip(*line, strict=True),
            color="#999999",
            linewidth=0.4,
            zorder=1,
        )


def _draw_boxes(
    panel: "Axes",
    by_model: Sequence[Mapping[str, float]],
    colours: Sequence[str],
) -> None:
    """Draw each model's box and dots."""
    values_of = [list(values.values()) for values in by_model]
    drawn = panel.boxplot(
        values_of,
        positions=range(len(values_of)),
        widths=0.55,
        showfliers=False,
        patch_artist=True,
        medianprops={"color": "black", "linewidth": 1.2},
        whiskerprops={"color": "#444444", "linewidth": 0.7},
        capprops={"color": "#444444", "linewidth": 0.7},
    )
    for place, (patch, values) in enumerate(zip(drawn["boxes"], values_of, strict=True)):
        patch.set(
            facecolor=colours[place],
            edgecolor="#444444",
            linewidth=0.7,
            alpha=0.75,
        )
        places = [place] * len(values)
        panel.scatter(
            places,
            values,
            s=7,
            color="black",
            linewidths=0,
            alpha=0.7,
            zorder=3,
        )
