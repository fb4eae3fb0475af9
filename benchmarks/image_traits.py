#!/usr/bin/env python3
"""Measure the image of every patient of three centres, and of source patients changed on purpose.

    .venv/bin/python benchmarks/image_traits.py [--work DIR]

A trait of the image should differ where the images do, and by nothing else. So the source's
patients are measured as they are, blurred in the plane, brighter, noisier, and with bright vessels:
each trait's mean change is given in standard deviations of the source's patients.

Writes docs/results/image_traits.json.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from real_centres import DATA, HERE, RESULTS, with_cohorts
from scipy import ndimage

from recontour.cohort import Case, Cohort
from recontour.geometry import Grid
from recontour.network.image_traits import ImageTrait, ImageTraits, image_traits

Voxels = npt.NDArray[Any]  # Hounsfield units, (slice, row, column)
Change = Callable[[Voxels], Voxels]

ROLES = ("source", "target1", "target2")
VESSELS = 6
VESSEL_PX = 1.5  # radius
CHANGED = 30  # source patients, evenly spread


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
