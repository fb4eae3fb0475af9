"""Draw what the phantom's models contour, beside each other, and write the page that shows it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

import raw_scores
from raw_scores import RawScore
from real_centres import HERE
from recontour.assess.scoring import contour_case
from recontour.cohort import Case, Cohort
from recontour.contouring.contourer import Contourer
from recontour.evaluation.figures import WINDOW_HU
from recontour.evaluation.plotting import default_settings
from recontour.geometry.arrays import Floats, Mask
from recontour.geometry.tracing import rings
from recontour.organs import organ_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOCS = HERE.parent / "docs"
IMAGES = DOCS / "images"
PAGE = DOCS / "explanation" / "what-contours-look-like.md"
TEMPLATE = HERE / "phantom_page.md"
MODELS = ("Model_S", "Model_T", "Model_ST")
PANEL_INCHES = 2.9  # wide
DPI = 130

Names = tuple[str, str]  # of candidate and model
Masks = Mapping[str, Mask]  # by organ, each (slice, row, column)
Crop = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Level:
    """A height to show. slice_of: finds it in a case. organs, margin_mm: what the crop holds."""

    name: str
    title: str
    organs: tuple[str, ...]
    margin_mm: float
    slice_of: Callable[[Case, Sequence[str]], int]


def most_of_all(case: Case, organs: Sequence[str]) -> int:
    """Return the slice that shows most of some organs, each compared with its largest area.

    The organ of which it shows least decides; of a paired organ, the side that it shows better. If
    none shows them all, or several show them equally, the sum over organs does.
    """
    share: dict[str, Floats] = {}
    total = np.zeros(case.grid.shape[0])
    for organ in organs:
        areas = np.count_nonzero(case.mask(organ), axis=(1, 2))
        of_largest = areas / areas.max()
        group = organ_of(organ).group
        share[group] = np.maximum(of_largest, share.get(group, 0.0))
        total += of_largest
    least = np.min(list(share.values()), axis=0)
    return int(np.lexsort((total, least))[-1])


def below_jaw(case: Case, organs: Sequence[str]) -> int:
    """Return the slice half way between the lowest of the mandible and the lowest of the organs."""
    lowest = [case.slices_with(organ)[0] for organ in ("Bone_Mandible", *organs)]
    return int(sum(lowest)) // len(lowest)


LEVELS = (
    Level(
        "lenses",
        "lenses and optic nerves",
        ("Lens_L", "Lens_R", "OpticNrv_L", "OpticNrv_R"),
        8.0,
        most_of_all,
    ),
    Level(
        "parotids",
        "parotids and mandible",
        ("Parotid_L", "Parotid_R", "Bone_Mandible"),
        8.0,
        most_of_all,
    ),
    Level("larynx", "larynx, below the mandible", ("SpinalCord",), 65.0, below_jaw),
)


def chosen_patients(scores: Sequence[RawScore]) -> dict[str, str]:
    """Return the worst and the median case by Model_ST's mean DSC over candidates and seeds.

    Of an even number the lower middle is the median.
    """
    child = raw_scores.chosen(scores, "Model_ST")
    means = {}
    for case in dict.fromkeys(score.case for score in child):
        means[case] = raw_scores.mean_dsc(score for score in child if score.case == case)
    ranked = sorted(means, key=lambda case: means[case])
    return {"median": ranked[(len(ranked) - 1) // 2], "worst": ranked[0]}


def crop_of(case: Case, level: Level) -> Crop:
    """Return the rows and columns around the reference of a level's organs on all slices."""
    shadow = np.zeros(case.grid.shape[1:], dtype=bool)
    for organ in level.organs:
        shadow |= case.mask(organ).any(axis=0)
    spans = []
    for axis, step_mm in enumerate(case.grid.spacing_mm):
        used = np.flatnonzero(shadow.any(axis=1 - axis))
        margin = round(level.margin_mm / step_mm)
        start = max(int(used[0]) - margin, 0)
        spans.append(slice(start, min(int(used[-1]) + 1 + margin, shadow.shape[axis])))
    rows, columns = spans
    return rows, columns


@dataclass(frozen=True, slots=True)
class Plane:
    """A part of one slice of a case: what one picture shows."""

    case: Case
    index: int
    crop: Crop

    @property
    def size_mm(self) -> tuple[float, float]:
        """Return width and height."""
        rows, columns = self.crop
        row_mm, column_mm = self.case.grid.spacing_mm
        return (columns.stop - columns.start) * column_mm, (rows.stop - rows.start) * row_mm

    def lines(self, mask: Mask) -> list[Floats]:
        """Return a mask's outlines, as `contour` writes them, in mm from the crop's corner.

        mask: (row, column).
        """
        rows, columns = self.crop
        # The centre of pixel 0 lies half a pixel from its corner.
        corner = np.array([columns.start, rows.start]) - 0.5
        step_mm = np.array(self.case.grid.spacing_mm[::-1])
        found = []
        for _, part in rings(mask[None], lambda points: (points - corner) * step_mm):
            for ring in part:
                found.append(np.vstack([ring, ring[:1]]))
        return found


def draw(panel: "Axes", plane: Plane, masks: Masks) -> set[str]:
    """Draw the CT, the case's own contours in white and a model's in the organs' colours.

    Returns: the organs of which something lies in the panel.
    """
    width_mm, height_mm = plane.size_mm
    low, high = WINDOW_HU
    panel.imshow(
        plane.case.hu[plane.index][plane.crop],
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=(0, width_mm, height_mm, 0),
        interpolation="nearest",
    )
    shown = set()
    for organ in plane.case.organs:
        reference = plane.case.slice_mask(organ, plane.index)
        model = masks[organ][plane.index]
        if (reference | model)[plane.crop].any():
            shown.add(organ)
        for line in plane.lines(reference):
            panel.plot(*line.T, color="black", linewidth=2.4)
            panel.plot(*line.T, color="white", linewidth=1.1)
        for line in plane.lines(model):
            panel.plot(*line.T, color=colour_of(organ), linewidth=1.3)
    panel.set(xlim=(0, width_mm), ylim=(height_mm, 0), xticks=[], yticks=[])
    return shown


def colour_of(organ: str) -> tuple[float, float, float]:
    """Return an organ's colour, as in the RTSTRUCT, from 0 to 1."""
    red, green, blue = organ_of(organ).colour
    return red / 255, green / 255, blue / 255


def mark(panel: "Axes", plane: Plane) -> None:
    """Mark the patient's sides, and draw a bar of 20 mm; all with a dark rim, for bone."""
    from matplotlib.patheffects import withStroke

    width_mm, height_mm = plane.size_mm
    inset_mm = 0.03 * width_mm
    end_mm, up_mm = inset_mm + 20, height_mm - inset_mm
    rim = [withStroke(linewidth=3, foreground="black")]
    words: dict[str, Any] = {"color": "white", "fontsize": 8, "path_effects": rim}
    panel.text(inset_mm, inset_mm, "R", ha="left", va="top", **words)
    panel.text(width_mm - inset_mm, inset_mm, "L", ha="right", va="top", **words)
    panel.text(end_mm + inset_mm / 2, up_mm, "20 mm", ha="left", va="center", **words)
    panel.plot([inset_mm, end_mm], [up_mm, up_mm], color="white", linewidth=2, path_effects=rim)


@default_settings()
def draw_level(
    path: Path,
    case: Case,
    level: Level,
    masks: Mapping[Names, Masks],
    dsc: Mapping[Names, float],
    title: str,
) -> None:
    """Draw one level of one case: candidates down, models across. dsc: of the case, as a title."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    index = level.slice_of(case, level.organs)
    plane = Plane(case, index, crop_of(case, level))
    candidates = list(dict.fromkeys(candidate for candidate, _ in masks))
    width_mm, height_mm = plane.size_mm
    panel_height = PANEL_INCHES * height_mm / width_mm + 0.25
    size = (PANEL_INCHES * len(MODELS), panel_height * len(candidates) + 0.8)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(len(candidates), len(MODELS), squeeze=False)
    shown: set[str] = set()
    for row, candidate in zip(panels, candidates, strict=True):
        for panel, model in zip(row, MODELS, strict=True):
            shown |= draw(panel, plane, masks[candidate, model])
            mark(panel, plane)
            mean = dsc[candidate, model]
            panel.set_title(f"{candidate}, {model}: mean DSC {mean:.2f}", fontsize=8)
    lines = [Line2D([], [], color="white", linewidth=1.5)]
    lines += [Line2D([], [], color=colour_of(organ), linewidth=1.5) for organ in sorted(shown)]
    figure.legend(
        lines,
        ["reference", *sorted(shown)],
        loc="outside lower center",
        ncols=5,
        fontsize=8,
        facecolor="black",
        framealpha=1,
        labelcolor="white",
    )
    z_mm = case.grid.slice_z_mm[index]
    figure.suptitle(f"{title}, z = {z_mm:.1f} mm: {level.title}", fontsize=9)
    figure.savefig(path)


def write(
    cohort: Cohort,
    models: Mapping[Names, Path],
    results: Mapping[str, tuple[dict[str, Any], list[RawScore]]],
    seed: int,
) -> None:
    """Write the pictures and the page.

    models: files of one seed. results: of each candidate what its JSON says, and its scores.
    """
    everything = []
    for _, scores in results.values():
        everything += scores
    sections = []
    for rank, case_id in chosen_patients(everything).items():
        case = cohort[case_id]
        dsc = {}
        for candidate, model in models:
            mine = raw_scores.chosen(results[candidate][1], model)
            of_case = [row for row in mine if (row.case, row.seed) == (case_id, seed)]
            dsc[candidate, model] = raw_scores.mean_dsc(of_case)
        masks = {}
        for names, path in models.items():
            masks[names] = dict(contour_case(Contourer.load(path), case))
        sections.append(f"## The {rank} patient")
        for level in LEVELS:
            name = f"phantom-{rank}-{level.name}.png"
            title = f"{rank.capitalize()} patient"
            draw_level(IMAGES / name, case, level, masks, dsc, title)
            sections.append(f"![{title}, {level.title}](../images/{name})")
        print(f"{rank}: {case_id}", flush=True)
    told = {name: of_json for name, (of_json, _) in results.items()}
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        table="\n".join(table(told)),
        seed=seed,
        pictures="\n\n".join(sections),
    )
    PAGE.write_text(page, encoding="utf-8")


def table(results: Mapping[str, dict[str, Any]]) -> Iterable[str]:
    """Yield the mean DSC per organ of every candidate's models, as Markdown."""
    columns = [(name, model) for name in results for model in MODELS]
    yield "| organ | " + " | ".join(f"`{name}`, {model}" for name, model in columns) + " |"
    yield "|---" * (1 + len(columns)) + "|"
    organs = next(iter(results.values()))["means"]["dsc"]
    for organ in organs:
        cells = [f"{results[name]['means']['dsc'][organ][model]:.3f}" for name, model in columns]
        yield f"| {organ} | " + " | ".join(cells) + " |"
