"""What a network sees of a CT, a few slices at a time; no slice is resampled twice for a view."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from recontour.geometry import Grid
from recontour.network.body import PointMm, Voxels
from recontour.network.cost import SLICES_AT_ONCE
from recontour.network.preprocessing import Preprocessing, view


def seen_of(
    hu: Voxels,
    grid: Grid,
    centre_mm: PointMm,
    preprocessing: Preprocessing,
) -> Iterator[Tensor]:
    """Yield what the network sees of a CT's slices, in their order: (N, S, crop_px, crop_px).

    hu: Hounsfield units, (slice, row, column). centre_mm: of the view.
    What is yielded is windowed: each slice, then its S - 1 neighbours. A slice's view is kept only
    as long as another slice may be seen with it.
    """
    kept: dict[int, Tensor] = {}
    for first in range(0, len(hu), SLICES_AT_ONCE):
        last = min(first + SLICES_AT_ONCE, len(hu))
        planes_NS = [preprocessing.planes_seen(grid, plane) for plane in range(first, last)]
        needed = sorted(set(chain.from_iterable(planes_NS)))
        new = [plane for plane in needed if plane not in kept]
        kept = {plane: seen_HW for plane, seen_HW in kept.items() if plane >= needed[0]}
        kept.update(_viewed(new, hu, grid, centre_mm, preprocessing))
        yield torch.stack([_together(planes_S, kept) for planes_S in planes_NS])


def _viewed(
    planes: Sequence[int],
    hu: Voxels,
    grid: Grid,
    centre_mm: PointMm,
    preprocessing: Preprocessing,
) -> dict[int, Tensor]:
    """Return the views of some slices, windowed, (crop_px, crop_px), by the slices' indices."""
    seen: dict[int, Tensor] = {}
    for first in range(0, len(planes), SLICES_AT_ONCE):
        part = planes[first : first + SLICES_AT_ONCE]
        hu_NHW = torch.from_numpy(np.asarray(hu[part], dtype=np.float32))
        seen_NHW = preprocessing.windowed(view(hu_NHW, grid, centre_mm, preprocessing))
        seen.update(zip(part, seen_NHW, strict=True))
    return seen


def _together(planes_S: Sequence[int], seen: dict[int, Tensor]) -> Tensor:
    """Return a slice and its neighbours, (S, crop_px, crop_px)."""
    return torch.stack([seen[plane] for plane in planes_S])
