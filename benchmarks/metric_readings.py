#!/usr/bin/env python3
"""Compare three readings of HD95 and surface DSC on bodies whose true values are known.

    .venv/bin/python benchmarks/metric_readings.py [--pairs 60]
        [--table docs/results/metric_readings.csv]

The readings differ in what a piece of a surface is, and how much it counts:

    faces      recontour: the faces between voxels, by area
    patches    DeepMind's surface-distance: marching-cubes patches on voxel corners, by area
    voxels     MedPy: the voxels at the border, all alike; both directions in one percentile

Islands: a small ball, and the same ball moved by up to 1 mm with an island of 1 to about 30 voxels,
12 to 25 mm away. The island's share of the true surface decides whether the true HD95 is the
island's distance.

Organs: two ellipsoids of an organ's size, the second one moved and of another size, for the surface
DSC on the pixels of OpenKBP (about 4 mm) and on finer ones.

Writes docs/results/metric_readings.csv, a row per pair, and prints the tables of docs/results.md.
With --table, the tables are made from that file alone.
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
ISLAND_PIXELS = (0.62, 0.9, 1.3, 1.9)  # radii; the first ball has one voxel's volume
ISLAND_SIZES = (
    ("1", 1, 1),
    ("2 to 4", 2, 4),
    ("5 to 12", 5, 12),
    ("13 and more", 13, 9999),
    ("all", 1, 9999),
)
FAR_MM = 6.0  # an HD95 above this is the island's distance: the balls are at most 2 mm apart
TOLERANCE_MM = 2.5
POINTS = 4000  # on the surface of one body


class Body:
    """Ellipsoids that do not touch; centres and radii are (n, 3) in mm: z, row, column."""

    def __init__(self, centres_mm: Floats, radii_mm: Floats) -> None:
        self.centres_mm = centres_mm
        self.radii_mm = radii_mm

    def mask(self, grid: Grid) -> Mask:
        """Return the voxels whose centres lie inside."""
        z = np.asarray(grid.slice_z_mm)[:, None, None]
        row = np.arange(grid.shape[1])[None, :, None] * grid.spacing_mm[0]
        column = np.arange(grid.shape[2])[None, None, :] * grid.spacing_mm[1]
        inside = np.zeros(grid.shape, dtype=bool)
        for centre, radii in zip(self.centres_mm, self.radii_mm, strict=True):
            in_z = ((z - centre[0]) / radii[0]) ** 2
            in_row = ((row - centre[1]) / radii[1]) ** 2
            in_column = ((column - centre[2]) / radii[2]) ** 2
            inside |= in_z + in_row + in_column <= 1
        return inside

    def surface(self) -> tuple[Floats, Floats]:
        """Return points on the surface, (n, 3), and the area in mm2 that each stands for."""
        # A Fibonacci lattice: points of equal area on the unit ball.
        index = np.arange(POINTS) + 0.5
        polar = np.arccos(1 - 2 * index / POINTS)
        around = np.pi * (1 + 5**0.5) * index
        row, column = np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)
        ball = np.stack([np.cos(polar), row, column], axis=1)
        points, areas = [], []
        for centre, radii in zip(self.centres_mm, self.radii_mm, strict=True):
            points.append(ball * radii + centre)
            areas.append(radii.prod() * np.linalg.norm(ball / radii, axis=1) * 4 * np.pi / POINTS)
        return np.concatenate(points), np.concatenate(areas)


def true_distances(body: Body, other: Body) -> tuple[Floats, Floats]:
    """Return each surface point's distance from the other body, and the area it stands for."""
    points, areas = body.surface()
    distances, _ = cKDTree(other.surface()[0]).query(points)
    return np.asarray(distances), areas


def true_hd95_mm(body: Body, other: Body) -> float:
    """Return the larger of the two directed 95th percentiles, weighted by area."""
    return max(directed_hd95_mm(body, other), directed_hd95_mm(other, body))


def directed_hd95_mm(body: Body, other: Body) -> float:
    distances, areas = true_distances(body, other)
    return float(np.percentile(distances, 95, weights=areas, method="inverted_cdf"))


def true_surface_dsc(body: Body, other: Body) -> float:
    """Return the share of both surfaces that lies within the tolerance of the other."""
    directions = [true_distances(body, other), true_distances(other, body)]
    distances, areas = np.concatenate(directions, axis=1)
    return float(areas[distances <= TOLERANCE_MM].sum() / areas.sum())


def patches(reference: Mask, predicted: Mask, grid: Grid) -> dict[str, Floats]:
    """Return surface-distance's pieces. That package still uses old namespaces of scipy."""
    slice_mm = grid.slice_z_mm[1] - grid.slice_z_mm[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found: dict[str, Floats] = surface_distance.compute_surface_distances(
            reference, predicted, (slice_mm, *grid.spacing_mm)
        )
    return found


def voxels_hd95_mm(reference: Mask, predicted: Mask, grid: Grid) -> float:
    """Return HD95 as medpy.metric.binary.hd95 does (checked against MedPy 0.5.2)."""
    return float(np.percentile(border_distances_mm(reference, predicted, grid), 95))


def voxels_surface_dsc(reference: Mask, predicted: Mask, grid: Grid) -> float:
    """Return the share of border voxels within the tolerance; all voxels count alike."""
    return float(np.mean(border_distances_mm(reference, predicted, grid) <= TOLERANCE_MM))


def border_distances_mm(reference: Mask, predicted: Mask, grid: Grid) -> Floats:
    """Return the distance of each mask's border voxels from the other mask's border."""
    spacing = (grid.slice_z_mm[1] - grid.slice_z_mm[0], *grid.spacing_mm)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (reference, predicted)]
    far = [ndimage.distance_transform_edt(~border, sampling=spacing) for border in borders]
    return np.concatenate([far[1][borders[0]], far[0][borders[1]]])


def make_grid(size_mm: Floats, pixel_mm: float, slice_mm: float) -> Grid:
    steps = np.array([slice_mm, pixel_mm, pixel_mm])
    slices, rows, columns = map(int, np.ceil(size_mm / steps).astype(int) + 1)
    heights_mm = tuple(k * slice_mm for k in range(slices))
    return Grid((slices, rows, columns), (pixel_mm, pixel_mm), heights_mm, (0.0, 0.0))


def islands(pairs: int) -> Iterator[dict[str, object]]:
    """Yield rows of small balls, one of each pair with a far island."""
    rng = np.random.default_rng(0)
    for pixel_mm, slice_mm in ((1.0, 1.0), (1.0, 3.0)):
        for organ_mm in (2.5, 4.0, 7.0, 12.0):
            for pair in range(pairs):
                yield from one_with_island(rng, pixel_mm, slice_mm, organ_mm, pair)


def one_with_island(
    rng: np.random.Generator, pixel_mm: float, slice_mm: float, organ_mm: float, pair: int
) -> Iterator[dict[str, object]]:
    """Yield a row, unless the island falls between the voxels or leaves the grid."""
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
    """Yield rows of ellipsoids of an organ's size.

    The second one is moved by some millimetres, and each radius is up to a fifth larger or smaller.
    """
    rng = np.random.default_rng(1)
    for pixel_mm, slice_mm in ((4.0, 2.5), (2.0, 2.5), (1.1, 2.5), (1.1, 1.1)):
        grid = make_grid(np.array([80.0, 80.0, 80.0]), pixel_mm, slice_mm)
        for pair in range(pairs):
            radii = rng.uniform(7, 22, 3)
            centre = 40 + rng.uniform(-2, 2, 3)
            reference = Body(centre[None], radii[None])
            moved = centre + rng.normal(0, 1.5, 3)
            resized = radii * rng.uniform(0.8, 1.2, 3)
            predicted = Body(moved[None], resized[None])
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
            writer.writerow({name: _written(cell) for name, cell in row.items()})


def _written(cell: object) -> object:
    return f"{cell:.5g}" if isinstance(cell, float) else cell


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def values(rows: Sequence[Row], name: str) -> Floats:
    return np.array([float(row[name]) for row in rows])


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the tables of docs/results.md, made from the rows alone."""
    yield from _island_table(rows)
    yield ""
    yield from _organ_table(rows)


def _island_table(rows: Sequence[Row]) -> Iterator[str]:
    with_island = [row for row in rows if row["kind"] == "island"]
    yield (
        "| island, voxels | pairs | true | faces | patches | voxels "
        "| mean error, mm: faces | patches | voxels |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, low, high in ISLAND_SIZES:
        some = [row for row in with_island if low <= int(row["island_voxels"]) <= high]
        if some:
            yield f"| {name} | {len(some)} | {' | '.join(_island_cells(some))} |"


def _organ_table(rows: Sequence[Row]) -> Iterator[str]:
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
        cells = [f"{pixel} x {slices}", f"{len(some)}", *means, f"{less:+.3f}", *_errors(some, 3)]
        yield f"| {' | '.join(cells)} |"


def _island_cells(rows: Sequence[Row]) -> list[str]:
    """Return how often the island decides, and each reading's mean error."""
    decided = [f"{(values(rows, name) > FAR_MM).sum()}" for name in ("true", *READINGS)]
    return [*decided, *_errors(rows, 1)]


def _errors(rows: Sequence[Row], digits: int) -> list[str]:
    """Return each reading's mean absolute error."""
    true = values(rows, "true")
    return [f"{np.abs(values(rows, name) - true).mean():.{digits}f}" for name in READINGS]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=60, help="per size of pixels and of organ")
    parser.add_argument("--table", type=Path, help="print the tables from this file, and stop")
    options = parser.parse_args()
    if not options.table:
        write(OUT, [*islands(options.pairs), *organs(options.pairs)])
    print("\n".join(tables(read(options.table or OUT))))


if __name__ == "__main__":
    main()
