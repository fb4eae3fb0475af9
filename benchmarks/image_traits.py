#!/usr/bin/env python3
"""Measure the image of every patient of three centres, and of source patients changed on purpose.

    .venv/bin/python benchmarks/image_traits.py [--work DIR]

A trait of the image should differ where the images do, and by nothing else. So some of the
source's patients are measured as they are, blurred in the plane, brighter, noisier, and with bright
vessels: each trait's mean change is given, also in standard deviations of the source's patients.

Writes docs/results/image_traits.json.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from real_centres import DATA, HERE, RESULTS, with_cohorts
from recontour.cohort import Cohort
from recontour.geometry import Grid
from recontour.network.image_traits import ImageTrait, ImageTraits, image_traits

Voxels = npt.NDArray[Any]  # Hounsfield units, (slice, row, column)
Change = Callable[[Voxels], Voxels]
Values = Sequence[ImageTraits]  # by case
Move = tuple[str, Mapping[ImageTrait, Mapping[str, float | None]]]  # of a change, by trait

ROLES = ("source", "target1", "target2")
TRAITS: tuple[ImageTrait, ...] = get_args(ImageTrait)
VESSELS = 6
VESSEL_PX = 1.5  # radius
CHANGED = 30  # source cases, evenly spread
CLINICAL = (100, 512, 512)


def blurred(hu: Voxels, sigma_px: float) -> Voxels:
    """Return a CT blurred in the plane by a Gaussian."""
    return ndimage.gaussian_filter(hu.astype(np.float32), (0, sigma_px, sigma_px))


def brighter(hu: Voxels, by_hu: float) -> Voxels:
    """Return a CT with an offset."""
    return hu.astype(np.float32) + np.float32(by_hu)


def noisy(hu: Voxels, sd_hu: float, seed: int) -> Voxels:
    """Return a CT with white noise."""
    noise = np.random.default_rng(seed).standard_normal(hu.shape, dtype=np.float32)
    return hu.astype(np.float32) + np.float32(sd_hu) * noise


def contrasted(hu: Voxels, by_hu: float = 100, seed: int = 0, vessels: int = VESSELS) -> Voxels:
    """Return a CT with brighter tubes along the slices, like vessels with contrast medium.

    Only their voxels of 20 to 80 HU get brighter. Each begins at such a voxel of the middle slice.
    """
    is_soft = (hu > 20) & (hu < 80)
    places = np.argwhere(ndimage.binary_erosion(is_soft[len(hu) // 2], iterations=1))
    if not len(places):
        places = np.argwhere(is_soft[len(hu) // 2])
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[: hu.shape[1], : hu.shape[2]]
    tubes = np.zeros(hu.shape[1:], dtype=bool)
    for row, column in rng.choice(places, min(vessels, len(places)), replace=False):
        tubes |= np.hypot(rows - row, columns - column) <= VESSEL_PX
    return hu.astype(np.float32) + np.float32(by_hu) * (is_soft & tubes)


CHANGES: Mapping[str, Change] = {
    "blurred by 0.5 px": lambda hu: blurred(hu, 0.5),
    "blurred by 1.0 px": lambda hu: blurred(hu, 1.0),
    "brighter by 30 HU": lambda hu: brighter(hu, 30),
    "noise of 40 HU": lambda hu: noisy(hu, 40, seed=1),
    "contrast of 100 HU": lambda hu: contrasted(hu, 100),
}


def measured(cohort: Cohort) -> Values:
    """Measure each case's image."""
    return [image_traits(case.hu, case.grid) for case in cohort]


def known(values: Values, trait: ImageTrait) -> npt.NDArray[np.float64]:
    """Return a trait's values, as far as it could be measured."""
    return np.array([one[trait] for one in values if trait in one])


def summary(values: Values) -> dict[ImageTrait, Any]:
    """Return each trait's mean and SD over the cases."""
    found = {}
    for trait in TRAITS:
        numbers = known(values, trait)
        found[trait] = {
            "cases": len(numbers),
            "mean": round(float(numbers.mean()), 3),
            "sd": round(float(numbers.std(ddof=1)), 3),
        }
    return found


def changes_of(cohort: Cohort, sd: Mapping[ImageTrait, float]) -> Iterator[Move]:
    """Yield how each change moves each trait of some cases: the mean, and that in SD."""
    cases = list(cohort)
    chosen = [cases[index] for index in np.linspace(0, len(cases) - 1, CHANGED).round().astype(int)]
    plain = [image_traits(case.hu, case.grid) for case in chosen]
    for name, change in CHANGES.items():
        moved: dict[ImageTrait, Mapping[str, float | None]] = {}
        values = [image_traits(change(case.hu), case.grid) for case in chosen]
        for trait in TRAITS:
            pairs = zip(values, plain, strict=True)
            differences = [one[trait] - other[trait] for one, other in pairs]
            mean = float(np.mean(differences))
            in_sd = round(mean / sd[trait], 2) if sd[trait] else None
            moved[trait] = {"mean": round(mean, 3), "in_sd": in_sd}
        yield name, moved


def seconds_of(hu: Voxels, grid: Grid) -> float:
    """Return how long one CT takes on one core, whatever else the machine does."""
    began = time.process_time()
    image_traits(hu, grid)
    return round(time.process_time() - began, 2)


def clinical(hu: Voxels, grid: Grid) -> tuple[Voxels, Grid]:
    """Return a CT on as many voxels as a clinical one has."""
    slices, rows, _ = CLINICAL
    zoom = rows // hu.shape[1]
    planes = np.resize(np.arange(len(hu)), slices)
    larger = hu[planes].repeat(zoom, axis=1).repeat(zoom, axis=2)
    row_mm, column_mm = grid.spacing_mm
    heights_mm = tuple(3.0 * index for index in range(slices))
    spacing_mm = (row_mm / zoom, column_mm / zoom)
    return larger, Grid(larger.shape, spacing_mm, heights_mm, grid.origin_mm)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=HERE / "work" / "real_centres")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    work = with_cohorts(options.work, *ROLES, data=options.data)
    cohorts = {role: Cohort.open(work / "cohorts" / role) for role in ROLES}
    centres = {role: summary(measured(cohort)) for role, cohort in cohorts.items()}
    sd = {trait: found["sd"] for trait, found in centres["source"].items()}
    first = next(iter(cohorts["source"]))
    seconds = {
        "x".join(map(str, first.grid.shape)): seconds_of(first.hu, first.grid),
        "x".join(map(str, CLINICAL)): seconds_of(*clinical(first.hu, first.grid)),
    }
    changes = dict(changes_of(cohorts["source"], sd))
    about = {"centres": centres, "changes": changes, "seconds": seconds}
    (RESULTS / "image_traits.json").write_text(json.dumps(about, indent=1) + "\n")
    print("\n".join(table(about)))


def table(about: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line per trait: mean and SD by centre, then what changes do to it, in SD."""
    yield " | ".join(["trait", *about["centres"], *about["changes"]])
    for trait in TRAITS:
        means = []
        for found in about["centres"].values():
            means.append(f"{found[trait]['mean']} ± {found[trait]['sd']}")
        moves = [str(moved[trait]["in_sd"]) for moved in about["changes"].values()]
        yield " | ".join([trait, *means, *moves])
    yield f"seconds: {about['seconds']}"


if __name__ == "__main__":
    main()
