"""The report's pictures: box plots as SVG, overlays as a CT crop and contour lines in mm."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from recontour.evaluation.plotting import default_settings
from recontour.evaluation.tables import CaseScore
from recontour.geometry.arrays import Mask
from recontour.geometry.raster import rings

if TYPE_CHECKING:  # half a second, which contouring need not wait
    from matplotlib.axes import Axes


COLOURS = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#CC79A7",
    "#D55E00",
)  # Okabe and Ito: told apart by colour-blind eyes
WINDOW_HU = (-160.0, 240.0)  # soft tissue
SMALLEST_CROP_MM = 40.0
MARGIN_MM = 12.0  # around the organ
CROP_PIXELS = 300  # an enlarged crop has about this many, so that no viewer shows squares
PANELS_PER_ROW = 4


def colour_of(models: Sequence[str]) -> dict[str, str]:
    """Each model's colour in every figure; a sixth model begins again."""
    return {model: COLOURS[index % len(COLOURS)] for index, model in enumerate(models)}


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One axial plane of one case: the CT and every mask of one organ, all (row, column)."""

    hu: npt.NDArray[np.int16 | np.float32]
    z_mm: float
    spacing_mm: tuple[float, float]  # row step, column step
    reference: Mask
    predicted: Mapping[str, Mask]  # by model; a model that did not contour the case is left out


def slice_to_show(reference: Mask) -> int:
    """The slice (of slice, row, column) on which the reference is largest;

    of an empty one, the middle slice.
    """
    areas = np.count_nonzero(reference, axis=(1, 2))
    return int(np.argmax(areas)) if areas.any() else len(areas) // 2


def slices_to_show(reference: Mask, predicted: Mask) -> tuple[int, ...]:
    """The slice to show;

    after it the one on which the prediction differs in most voxels, if it differs less there.
    """
    differing = np.count_nonzero(reference != predicted, axis=(1, 2))
    first, most = slice_to_show(reference), int(np.argmax(differing))
    return (first, most) if differing[most] > differing[first] else (first,)


@dataclass(frozen=True, slots=True)
class Picture:
    """An overlay cut to its organ, ready to draw in mm from its upper left corner;

    left is the patient's right.
    """

    image: str  # data: URI of a PNG
    width_mm: float
    height_mm: float
    reference: str  # SVG path; empty if the mask is
    predicted: dict[str, str]  # by model
    scale_bar_mm: int
    z_mm: float
    absent: tuple[str, ...]  # the models that have nothing on this slice


def draw(overlay: Overlay) -> Picture:
    """Cut an overlay to its organ and outline its masks as `contour` writes them, but holes without
    their keyholes.
    """
    crop = _crop(overlay)
    row_mm, column_mm = overlay.spacing_mm
    hu = overlay.hu[crop]
    width_mm, height_mm = hu.shape[1] * column_mm, hu.shape[0] * row_mm
    return Picture(
        image=_png(hu),
        width_mm=width_mm,
        height_mm=height_mm,
        reference=_path(overlay.reference, crop, overlay.spacing_mm),
        predicted={
            model: _path(mask, crop, overlay.spacing_mm)
            for model, mask in overlay.predicted.items()
        },
        scale_bar_mm=20 if max(width_mm, height_mm) > 80 else 10,
        z_mm=overlay.z_mm,
        absent=tuple(model for model, mask in overlay.predicted.items() if not mask.any()),
    )


def _crop(overlay: Overlay) -> tuple[slice, slice]:
    """A square around the reference, or around the predictions if it is empty;

    the plane's middle if they are too.
    """
    shown = overlay.reference
    if not shown.any():
        shown = np.logical_or.reduce([shown, *overlay.predicted.values()])
    rows, columns = (
        np.nonzero(shown) if shown.any() else tuple(np.array([size // 2]) for size in shown.shape)
    )
    extents_mm = [
        np.ptp(at) * step for at, step in zip((rows, columns), overlay.spacing_mm, strict=True)
    ]
    side_mm = max(SMALLEST_CROP_MM, max(extents_mm) + 2 * MARGIN_MM)
    row, column = (
        _centred((at.min() + at.max()) / 2, side_mm / step, size)
        for at, step, size in zip((rows, columns), overlay.spacing_mm, shown.shape, strict=True)
    )
    return row, column


def _centred(centre: float, length: float, size: int) -> slice:
    """A stretch of a given length around a centre, pushed back into [0, size)."""
    pixels = min(round(length), size)
    start = min(max(round(centre - pixels / 2), 0), size - pixels)
    return slice(start, start + pixels)


@default_settings()
def _png(hu: npt.NDArray[np.int16 | np.float32]) -> str:
    """The window's greys as a data:

    URI, enlarged by interpolation; each pixel keeps its place, metal its size.
    """
    from matplotlib.image import imsave

    factor = max(1, round(CROP_PIXELS / max(hu.shape)))
    grey = ndimage.zoom(
        np.clip(hu.astype(np.float32), *WINDOW_HU), factor, order=1, mode="nearest", grid_mode=True
    )
    file = io.BytesIO()
    imsave(file, grey, format="png", cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1])
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def _path(plane: Mask, crop: tuple[slice, slice], spacing_mm: tuple[float, float]) -> str:
    """A mask's outlines as one SVG path in mm from the crop's corner;

    empty if nothing of the mask lies in the crop.
    """
    if not plane[crop].any():
        return ""
    corner = (
        np.array([of_axis.start for of_axis in crop[::-1]]) - 0.5
    )  # pixel 0 is centred half a pixel from it
    parts = rings(plane[None], lambda points: (points - corner) * spacing_mm[::-1])
    drawn = (ring for _, part in parts for ring in part)
    return " ".join("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in ring) + "Z" for ring in drawn)


@default_settings()
def box_plots(scores: Sequence[CaseScore], models: Sequence[str]) -> str:
    """DSC per organ as SVG:

    one panel per organ, one box per model, a dot per row, a line along each case's dots.
    """
    from matplotlib.figure import Figure

    organs = list(dict.fromkeys(row.organ for row in scores))
    dsc: dict[tuple[str, str], dict[str, float]] = {}  # organ and model, case
    for row in scores:
        if np.isfinite(row.dsc):
            dsc.setdefault((row.organ, row.model), {})[row.case] = row.dsc
    rows = max(1, -(-len(organs) // PANELS_PER_ROW))
    figure = Figure(figsize=(7.4, 1.75 * rows + 0.1), layout="constrained")
    panels = figure.subplots(rows, PANELS_PER_ROW, sharey=True, squeeze=False).ravel()
    for panel, organ in zip(panels, organs, strict=False):
        by_model = [dsc.get((organ, model), {}) for model in models]
        _draw_panel(panel, organ, by_model, list(colour_of(models).values()))
    for panel in panels[len(organs) :]:
        panel.set_visible(False)
    lowest = min((value for by_case in dsc.values() for value in by_case.values()), default=0.0)
    panels[0].set_ylim(max(np.floor(lowest * 10) / 10 - 0.02, -0.05), 1.02)
    for first_of_row in panels[::PANELS_PER_ROW]:
        first_of_row.set_ylabel("DSC", fontsize=8)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None}, transparent=True)
    return svg.getvalue()[svg.getvalue().index("<svg") :]


def _draw_panel(
    panel: "Axes", organ: str, by_model: Sequence[Mapping[str, float]], colours: Sequence[str]
) -> None:
    """One organ: by_model holds each model's DSC by case."""
    places = range(len(by_model))
    for case in dict.fromkeys(case for of_model in by_model for case in of_model):
        line = [(place, by_model[place][case]) for place in places if case in by_model[place]]
        panel.plot(*zip(*line, strict=True), color="#999999", linewidth=0.4, zorder=1)
    drawn = panel.boxplot(
        [list(values.values()) for values in by_model],
        positions=places,
        widths=0.55,
        showfliers=False,
        patch_artist=True,
        medianprops={"color": "black", "linewidth": 1.2},
        whiskerprops={"color": "#444444", "linewidth": 0.7},
        capprops={"color": "#444444", "linewidth": 0.7},
    )
    for place, (patch, values) in enumerate(zip(drawn["boxes"], by_model, strict=True)):
        patch.set(facecolor=colours[place], edgecolor="#444444", linewidth=0.7, alpha=0.75)
        panel.scatter(
            [place] * len(values),
            list(values.values()),
            s=7,
            color="black",
            linewidths=0,
            alpha=0.7,
            zorder=3,
        )
    panel.set_title(organ, fontsize=8, parse_math=False)
    panel.set_xlim(-0.6, len(by_model) - 0.4)
    panel.set_xticks([])
    panel.tick_params(labelsize=7)
    panel.grid(axis="y", linewidth=0.3, color="#cccccc")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
