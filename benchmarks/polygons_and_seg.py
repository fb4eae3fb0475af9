#!/usr/bin/env python3
"""Our own polygons against shapely, our own reading of SEG against highdicom.

    python benchmarks/polygons_and_seg.py polygons [--rtstructs FOLDER]
    python benchmarks/polygons_and_seg.py seg

polygons: pairs of outlines of one plane, from every RTSTRUCT under a folder, and made up: blobs
traced from masks, some with a copy (rounded, turned round) or moved a little. Which pairs are
copies?

seg: a binary SEG of 15 organs on 180 slices of 512 x 512, read and turned into masks organ by
organ, each way in a process of its own. On even slices, and on slices 3 mm and then 4 mm apart.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from scipy import ndimage

from recontour.dicom import (
    Authorship,
    ScanIdentity,
    read_archive,
    read_rois,
    read_segments,
    write_scan,
    write_segmentation,
)
from recontour.errors import RecontourError
from recontour.geometry import Grid, planes, polygons, trace
from recontour.geometry.arrays import Mask, Points

Pair = tuple[Points, Points]
BLOBS = 150
ORGANS = 15
SHAPE = (180, 512, 512)


def drawn_pairs(folder: Path) -> Iterator[Pair]:
    """Yield the pairs of outlines whose boxes overlap, plane by plane, of real RTSTRUCTs."""
    for archive in sorted(path for path in folder.iterdir() if path.is_dir()):
        for pair in read_archive(archive).pairs:
            for roi in read_rois(pair.structure_set.path, None):
                try:
                    contours = roi.contours()
                except RecontourError:
                    continue
                for plane in planes(contours):
                    yield from near([contour.points_mm for contour in plane])


def made_pairs() -> Iterator[Pair]:
    """Yield pairs of outlines of blobs, some of them copies, some moved."""
    noise = np.random.default_rng(1)
    for number in range(BLOBS):
        plane = ndimage.gaussian_filter(noise.normal(size=(1, 64, 64)), (0, 4, 4)) > 0.02
        grid = Grid((1, 64, 64), (0.9766, 0.9766), (0.0,), (-31.5, -31.5))
        outlines = [contour.points_mm for contour in trace(plane, grid)]
        changed = [
            [],
            [outlines[0].round(2)],
            [outlines[0] + noise.normal(0, 2, 2)],
            [np.roll(outlines[0][::-1], 3, axis=0)],
            [outlines[0].round(2)[::-1]],
        ]
        yield from near([*outlines, *changed[number % 5]])


def near(outlines: Sequence[Points]) -> Iterator[Pair]:
    for first, second in polygons._near(outlines):
        yield outlines[first], outlines[second]


def compare_polygons(folder: Path | None) -> None:
    def equal(one: Points, other: Points) -> bool:
        first, second = shapely.Polygon(one).normalize(), shapely.Polygon(other).normalize()
        return bool(first.equals_exact(second, polygons.ROUNDED_MM))

    def near_everywhere(one: Points, other: Points) -> bool:
        rings = shapely.LinearRing(one), shapely.LinearRing(other)
        return bool(shapely.hausdorff_distance(*rings) <= polygons.ROUNDED_MM)

    sets = {"made up": list(made_pairs())}
    if folder:
        sets["real"] = list(drawn_pairs(folder))
    for name, pairs in sets.items():
        copies, seconds = timed(polygons._are_alike, pairs)
        print(f"{name}: {len(pairs)} pairs, {sum(copies)} copies, ours {1e3 * seconds:.0f} ms")
        for way in (equal, near_everywhere):
            told(way, pairs, copies)


def timed(way: Callable[[Points, Points], bool], pairs: Sequence[Pair]) -> tuple[list[bool], float]:
    begin = time.perf_counter()
    return [way(*pair) for pair in pairs], time.perf_counter() - begin


def told(way: Callable[[Points, Points], bool], pairs: Sequence[Pair], ours: list[bool]) -> None:
    found, seconds = timed(way, pairs)
    differ = sum(mine != other for mine, other in zip(ours, found, strict=True))
    print(f"    shapely, {way.__name__}: {1e3 * seconds:.0f} ms, {differ} pairs differ")


def organ_masks(shape: tuple[int, int, int]) -> Iterator[tuple[str, Mask]]:
    """Yield cylinders of the size of organs."""
    drawn = np.random.default_rng(0)
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    for number in range(ORGANS):
        row, column = drawn.integers(150, 360, 2)
        radius, first, slices = drawn.integers((8, 10, 10), (30, 100, 70))
        mask = np.zeros(shape, dtype=bool)
        mask[first : first + slices] = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        yield f"organ {number}", mask


def read_ours(path: Path, grid: Grid) -> None:
    for segment in read_segments(path, grid, None):
        segment.mask()


def read_volumes(path: Path, _grid: Grid) -> None:
    import highdicom  # so that its loading does not count

    segmentation = highdicom.seg.segread(path)
    for number in range(1, ORGANS + 1):
        _ = segmentation.get_volume(segment_numbers=[number]).array


def read_by_source(path: Path, _grid: Grid) -> None:
    import highdicom  # so that its loading does not count

    segmentation = highdicom.seg.segread(path)
    uids = [uid for _, _, uid in segmentation.get_source_image_uids()]
    for number in range(1, ORGANS + 1):
        segmentation.get_pixels_by_source_instance(
            uids, segment_numbers=[number], assert_missing_frames_are_empty=True
        )


def cost_of(way: Callable[[Path, Grid], None], path: Path, grid: Grid) -> str:
    """Read a SEG in this process, and return what that took."""
    import highdicom  # noqa: F401  # so that its loading does not count

    before = peak_mb()
    begin = time.perf_counter()
    try:
        way(path, grid)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - begin
    return f"{seconds:.1f} s, {peak_mb() - before:.0f} MB"


def peak_mb() -> float:
    """Return the most memory that this process has held; ru_maxrss is inherited, this is not."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def compare_seg() -> None:
    steps = {"even": np.full(SHAPE[0] - 1, 3.0), "uneven": np.repeat([3.0, 4.0], [90, 89])}
    with tempfile.TemporaryDirectory() as folder:
        for name, gaps_mm in steps.items():
            heights_mm = tuple(np.concatenate([[0.0], np.cumsum(gaps_mm)]).tolist())
            grid = Grid(SHAPE, (0.9766, 0.9766), heights_mm, (-250.0, -250.0))
            scan = write_scan(
                Path(folder, name), np.zeros(SHAPE, np.int16), grid, ScanIdentity(name)
            )
            path = Path(folder, f"{name}.dcm")
            write_segmentation(path, organ_masks(SHAPE), scan, Authorship("benchmark"))
            for way in (read_ours, read_volumes, read_by_source):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    cost = pool.apply(cost_of, (way, path, grid))
                print(f"{name} slices, {way.__name__}: {cost}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("polygons", "seg"))
    parser.add_argument("--rtstructs", type=Path)
    given = parser.parse_args()
    if given.what == "polygons":
        compare_polygons(given.rtstructs)
    else:
        compare_seg()


if __name__ == "__main__":
    main()
