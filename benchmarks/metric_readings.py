#!/usr/bin/env python3
"""HD95 and surface DSC in three readings, on bodies whose true values are known.

    .venv/bin/python benchmarks/metric_readings.py [--pairs 60] [--table
    docs/results/metric_readings.csv]

What the pieces of a surface are, and how much each counts, is a choice. *faces*: recontour's, the
faces between voxels, by their areas. *patches*: DeepMind's surface-distance, marching-cubes patches
on voxel corners, by theirs. *voxels*: MedPy's, the voxels at the border, each alike, both
directions in one percentile.

Islands: a small ball, and the same ball moved by up to a millimetre with an island 12 to 25 mm
    away, which is one to some thirty voxels. What share of the second body's true surface is the
    island's decides whether the true HD95 is the island's distance. Organs: ellipsoids of an
    organ's size, the second one moved and grown, for the surface DSC on the pixels of OpenKBP
    (about 4 mm), and on finer ones.

Writes docs/results/metric_readings.csv, a row per pair, and prints the tables of docs/results.md;
with --table it makes them of that file alone.
"""

import argparse
import csv
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import surface_distance
from scipy import ndimage
from scipy.spatial import cKDTree

from recontour.evaluation import hd95_mm, surface_dice
from recontour.geometry import Grid
from recontour.geometry.arrays import Floats, Mask

Row = Mapping[str, str]

OUT = Path(__file__).resolve().parent.parent / "docs" / "results" / "metric_readings.csv"
READINGS = ("faces", "patches", "voxels")
COLUMNS = ("kind", "pixel_mm", "slice_mm", "organ_mm", "island_voxels", "pair", "true", *READINGS)
ISLAND_PIXELS = (0.62, 0.9, 1.3, 1.9)  # radii: the first is a ball of one voxel's volume
ISLAND_SIZES = (
    ("1", 1, 1),
    ("2 to 4", 2, 4),
    ("5 to 12", 5, 12),
    ("13 and more", 13, 9999),
    ("all", 1, 9999),
)
FAR_MM = 6.0  # an HD95 above this is the island's distance: the balls lie 2 mm apart at most
TOLERANCE_MM = 2.5
POINTS = 4000  # on the surface of one body


class Body:
    """Ellipsoids that do not touch: centres and radii in mm, (n, 3) as z, row, column."""

    def __init__(self, centres_mm: Floats, radii_mm: Floats) -> None:
        self.centres_mm = centres_mm
        self.radii_mm = radii_mm

    def mask(self, grid: Grid) -> Mask:
        """The voxels whose centres lie inside."""
        z = np.asarray(grid.slice_z_mm)[:, None, None]
        row = np.arange(grid.shape[1])[None, :, None] * grid.spacing_mm[0]
        column = np.arange(grid.shape[2])[None, None, :] * grid.spacing_mm[1]
        inside = np.zeros(grid.shape, dtype=bool)
        for centre, radii in zip(self.centres_mm, self.radii_mm, strict=True):
            parts = [
                ((at - c) / r) ** 2
                for at, c, r in zip((z, row, column), centre, radii, strict=True)
            ]
            inside |= parts[0] + parts[1] + parts[2] <= 1
        return inside

    def surface(self) -> tuple[Floats, Floats]:
        """Points on it, (n, 3), and the area in mm2 that each stands for."""
        index = (
            np.arange(POINTS) + 0.5
        )  # a Fibonacci lattice: points of equal area on the unit ball
        polar, around = np.arccos(1 - 2 * index / POINTS), np.pi * (1 + 5**0.5) * index
        ball = np.stack(
            [np.cos(polar), np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)], axis=1
        )
        points, areas = [], []
        for centre, radii in zip(self.centres_mm, self.radii_mm, strict=True):
            points.append(ball * radii + centre)
            areas.append(radii.prod() * np.linalg.norm(ball / radii, axis=1) * 4 * np.pi / POINTS)
        return np.concatenate(points), np.concatenate(areas)


def true_distances(body: Body, other: Body) -> tuple[Floats, Floats]:
    """How far each point of a body's surface lies from the other's, and the area it stands for."""
    points, areas = body.surface()
    distances, _ = cKDTree(other.surface()[0]).query(points)
    return np.asarray(distances), areas


def true_hd95_mm(body: Body, other: Body) -> float:
    directed = (true_distances(body, other), true_distances(other, body))
    return float(
        max(np.percentile(d, 95, weights=areas, method="inverted_cdf") for d, areas in directed)
    )


def true_surface_dsc(body: Body, other: Body) -> float:
    distances, areas = np.concatenate(
        [true_distances(body, other), true_distances(other, body)], axis=1
    )
    return float(areas[distances <= TOLERANCE_MM].sum() / areas.sum())


def patches(reference: Mask, predicted: Mask, grid: Grid) -> dict[str, Floats]:
    """surface-distance's pieces; that package still asks scipy for its old namespaces."""
    slice_mm = grid.slice_z_mm[1] - grid.slice_z_mm[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found: dict[str, Floats] = surface_distance.compute_surface_distances(
            reference, predicted, (slice_mm, *grid.spacing_mm)
        )
    return found


def voxels_hd95_mm(reference: Mask, predicted: Mask, grid: Grid) -> float:
    """As medpy.metric.binary.hd95 has it (checked against MedPy 0.5.2)."""
    spacing = (grid.slice_z_mm[1] - grid.slice_z_mm[0], *grid.spacing_mm)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (reference, predicted)]
    far = [ndimage.distance_transform_edt(~border, sampling=spacing) for border in borders]
    return float(np.percentile(np.concatenate([far[1][borders[0]], far[0][borders[1]]]), 95))


def voxels_surface_dsc(reference: Mask, predicted: Mask, grid: Grid) -> float:
    """Of the voxels at the border, each alike."""
    spacing = (grid.slice_z_mm[1] - grid.slice_z_mm[0], *grid.spacing_mm)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (reference, predicted)]
    far = [ndimage.distance_transform_edt(~border, sampling=spacing) for border in borders]
    return float(np.mean(np.concatenate([far[1][borders[0]], far[0][borders[1]]]) <= TOLERANCE_MM))


def make_grid(size_mm: Floats, pixel_mm: float, slice_mm: float) -> Grid:
    steps = np.array([slice_mm, pixel_mm, pixel_mm])
    slices, rows, columns = (int(count) for count in np.ceil(size_mm / steps).astype(int) + 1)
    return Grid(
        (slices, rows, columns),
        (pixel_mm, pixel_mm),
        tuple(k * slice_mm for k in range(slices)),
        (0.0, 0.0),
    )


def islands(pairs: int) -> Iterator[dict[str, object]]:
    """Small balls, one with a far island."""
    rng = np.random.default_rng(0)
    for pixel_mm, slice_mm in ((1.0, 1.0), (1.0, 3.0)):
        for organ_mm in (2.5, 4.0, 7.0, 12.0):
            for pair in range(pairs):
                yield from one_with_island(rng, pixel_mm, slice_mm, organ_mm, pair)


def one_with_island(
    rng: np.random.Generator, pixel_mm: float, slice_mm: float, organ_mm: float, pair: int
) -> Iterator[dict[str, object]]:
    """A row, unless a body falls between the voxels or touches the other."""
    grid = make_grid(np.array([80.0, 80.0, 80.0]), pixel_mm, slice_mm)
    centre = 40.0 + rng.uniform(-1.5, 1.5, 3)
    move, way = rng.normal(size=(2, 3))
    moved = centre + move / np.linalg.norm(move) * rng.uniform(0, 1)
    radius = float(rng.choice(ISLAND_PIXELS) * (slice_mm * pixel_mm**2) ** (1 / 3))
    island = centre + way / np.linalg.norm(way) * (organ_mm + radius + rng.uniform(12, 25))
    alone = Body(island[None], np.full((1, 3), radius))
    count = int(alone.mask(grid).sum())
    if not count or (island - radius < 1).any() or (island + radius > 79).any():
        return
    reference = Body(centre[None], np.full((1, 3), organ_mm))
    predicted = Body(np.stack([moved, island]), np.array([[organ_mm] * 3, [radius] * 3]))
    masks = (reference.mask(grid), predicted.mask(grid))
    theirs = patches(*masks, grid)
    yield {
        "kind": "island",
        "pixel_mm": pixel_mm,
        "slice_mm": slice_mm,
        "organ_mm": organ_mm,
        "island_voxels": count,
        "pair": pair,
        "true": true_hd95_mm(reference, predicted),
        "faces": hd95_mm(*masks, grid),
        "patches": surface_distance.compute_robust_hausdorff(theirs, 95),
        "voxels": voxels_hd95_mm(*masks, grid),
    }


def organs(pairs: int) -> Iterator[dict[str, object]]:
    """Ellipsoids of an organ's size, the second one moved by some millimetres and up to a fifth
    larger or smaller.
    """
    rng = np.random.default_rng(1)
    for pixel_mm, slice_mm in ((4.0, 2.5), (2.0, 2.5), (1.1, 2.5), (1.1, 1.1)):
        grid = make_grid(np.array([80.0, 80.0, 80.0]), pixel_mm, slice_mm)
        for pair in range(pairs):
            radii = rng.uniform(7, 22, 3)
            centre = 40 + rng.uniform(-2, 2, 3)
            reference = Body(centre[None], radii[None])
            predicted = Body(
                (centre + rng.normal(0, 1.5, 3))[None], (radii * rng.uniform(0.8, 1.2, 3))[None]
            )
            masks = (reference.mask(grid), predicted.mask(grid))
            yield {
                "kind": "organ",
                "pixel_mm": pixel_mm,
                "slice_mm": slice_mm,
                "organ_mm": float(radii.mean()),
                "island_voxels": 0,
                "pair": pair,
                "true": true_surface_dsc(reference, predicted),
                "faces": surface_dice(*masks, grid, TOLERANCE_MM),
                "patches": surface_distance.compute_surface_dice_at_tolerance(
                    patches(*masks, grid), TOLERANCE_MM
                ),
                "voxels": voxels_surface_dsc(*masks, grid),
            }


def write(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    name: f"{cell:.5g}" if isinstance(cell, float) else cell
                    for name, cell in row.items()
                }
            )


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def values(rows: Sequence[Row], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """The tables of docs/results.md, of the rows alone."""
    with_island = [row for row in rows if row["kind"] == "island"]
    yield "| island, voxels | pairs | true | faces | patches | voxels | mean error, mm: faces | patches | voxels |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, low, high in ISLAND_SIZES:
        some = [row for row in with_island if low <= int(row["island_voxels"]) <= high]
        if some:
            yield f"| {name} | {len(some)} | {' | '.join(_island_cells(some))} |"
    yield ""
    yield (
        "| pixel x slice, mm | pairs | true | faces | patches | voxels | faces less patches "
        "| mean error: faces | patches | voxels |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    bodies = [row for row in rows if row["kind"] == "organ"]
    sizes = dict.fromkeys((row["pixel_mm"], row["slice_mm"]) for row in bodies)
    for pixel, slices in sizes:
        some = [row for row in bodies if (row["pixel_mm"], row["slice_mm"]) == (pixel, slices)]
        means = [f"{values(some, name).mean():.3f}" for name in ("true", *READINGS)]
        less = (values(some, "faces") - values(some, "patches")).mean()
        yield f"| {pixel} x {slices} | {len(some)} | {' | '.join([*means, f'{less:+.3f}', *_errors(some, 3)])} |"


def _island_cells(rows: Sequence[Row]) -> list[str]:
    """How often the island decides, and how far each reading lies from the truth."""
    decided = [f"{(values(rows, name) > FAR_MM).sum()}" for name in ("true", *READINGS)]
    return [*decided, *_errors(rows, 1)]


def _errors(rows: Sequence[Row], digits: int) -> list[str]:
    true = values(rows, "true")
    return [f"{np.abs(values(rows, name) - true).mean():.{digits}f}" for name in READINGS]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=60, help="of each size of pixels and organ")
    parser.add_argument("--table", type=Path, help="make the tables of this file alone")
    options = parser.parse_args()
    if not options.table:
        write(OUT, [*islands(options.pairs), *organs(options.pairs)])
    print("\n".join(tables(read(options.table or OUT))))


if __name__ == "__main__":
    main()
