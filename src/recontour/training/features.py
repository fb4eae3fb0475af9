"""A frozen trunk's features, computed once for each view of a slice and cached on disk.

The cache lasts as long as the run, and changes no number: features are computed slice by slice and
rounded to float16, whether they are cached or not. From whole slices' features a step may see only
a window, which saves the layers that learn most of their work.
"""

import logging
import shutil
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from recontour.files import output_error
from recontour.findings import Finding, log_finding
from recontour.network import Network
from recontour.training.batches import Batches, SliceView
from recontour.training.findings import (
    CachingFeatures,
    FeaturesNotShared,
    NoRoomForFeatures,
)
from recontour.training.recipe import Recipe

FREE_SHARE = 0.5  # of the free disk that features may take
STRIDE = 8  # pixels from one cell of the features to the next
log = logging.getLogger(__name__)


class FeatureBatch(NamedTuple):
    """N slices of K organs, each seen through a window; M of them have not been through the trunk.

    features_NhwC: float16, within the window; 0 for the M slices.
    organs_NKHW: bool, within the window. known_NK: bool.
    unseen_M: which of the N they are. corners_M2: first row and column of their windows.
    slots_M: their places in the store. ct_MSHW: float32, windowed in HU, whole slices.
    organs_MKHW: bool, whole slices.
    """

    features_NhwC: Tensor
    organs_NKHW: Tensor
    known_NK: Tensor
    unseen_M: Tensor
    corners_M2: Tensor
    slots_M: Tensor
    ct_MSHW: Tensor
    organs_MKHW: Tensor


@dataclass(frozen=True)
class FeatureStore:
    """A sparse file with a record for each view of each slice: its features and organs.

    One process writes. Others may read at the same time: a record counts only once it is marked as
    whole.
    """

    path: Path
    slots: int
    features_hwC: tuple[int, int, int]
    organs_KHW: tuple[int, int, int]

    @classmethod
    def planned(
        cls,
        path: Path,
        network: Network,
        slices: int,
        organs: int,
        crop_px: int,
        views: int,
    ) -> Self:
        """Return the store of a run with so many slices and organs; its file is not made yet."""
        cells = (crop_px - 1) // STRIDE + 1
        channels = network.architecture.feature_channels
        assert channels is not None, "only one map can be stored"
        features_hwC = (cells, cells, channels)
        return cls(path, slices * views, features_hwC, (organs, crop_px, crop_px))

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        organs, height, width = self.organs_KHW
        bits = (organs, height, -(-width // 8))
        fields = [("features", "<f2", self.features_hwC), ("bits", "u1", bits), ("whole", "?")]
        return np.dtype(fields, align=True)

    @property
    def _whole_at(self) -> int:
        """Return the position of the mark in a record."""
        fields = self._record.fields
        assert fields
        return int(fields["whole"][1])

    @property
    def record_bytes(self) -> int:
        """Return the size of one view of one slice."""
        return self._record.itemsize

    def most_bytes(self, recipe: Recipe) -> int:
        """Return what the file may take in the end."""
        return self.record_bytes * min(self.slots, recipe.iterations * recipe.batch)

    def create(self) -> None:
        """Make an empty file, over an earlier run's. Raises: OutputError, FaultError."""
        try:
            with self.path.open("wb") as file:
                file.truncate(self.slots * self.record_bytes)
        except OSError as error:
            raise output_error(self.path, error) from error

    def read(self, slot: int) -> tuple[Tensor, Tensor] | None:
        """Return a record: (h, w, C) features and (K, H, W) organs; None if it is not there."""
        content = bytearray(self.record_bytes)
        with self.path.open("rb") as file:  # not mapped: some shares' files cannot be
            file.seek(slot * self.record_bytes + self._whole_at)
            if file.read(1) != b"\x01":
                return None
            file.seek(slot * self.record_bytes)
            if file.readinto(content) != len(content):
                return None
        (record,) = np.frombuffer(content, self._record)
        bits = np.unpackbits(record["bits"], axis=-1, count=self.organs_KHW[2])
        return torch.from_numpy(record["features"]), torch.from_numpy(bits.view(np.bool_))

    def write(
        self,
        slot: int,
        features_hwC: Tensor,
        organs_KHW: Tensor,
    ) -> None:
        """Keep a record. Raises: FaultError: the disk is full."""
        record = np.zeros((), self._record)
        record["features"] = features_hwC.cpu().numpy()
        record["bits"] = np.packbits(organs_KHW.cpu().numpy(), axis=-1)
        start = slot * self.record_bytes
        try:
            with self.path.open("r+b") as file:
                file.seek(start)
                file.write(record.tobytes())
                file.flush()  # fails if only a part could be written
                file.seek(start + self._whole_at)
                file.write(b"\x01")
        except OSError as error:
            raise output_error(self.path, error) from error


class Window(NamedTuple):
    """A rectangle of the features' cells, which lie 8 pixels apart."""

    row: int
    column: int
    rows: int
    columns: int

    def of(self, features_hwC: Tensor) -> Tensor:
        """Return its cells: (rows, columns, C)."""
        bottom = self.row + self.rows
        right = self.column + self.columns
        return features_hwC[self.row : bottom, self.column : right]

    def shows(self, organs_KHW: Tensor) -> Tensor:
        """Return the pixels from its first to its last cells: (K, 8 rows - 7, 8 columns - 7)."""
        top, left = STRIDE * self.row, STRIDE * self.column
        bottom = top + pixels_of(self.rows)
        right = left + pixels_of(self.columns)
        return organs_KHW[:, top:bottom, left:right]


def pixels_of(cells: int) -> int:
    """Return how many pixels lie from the first cell to the last, both included.

    >>> pixels_of(29)
    225
    """
    return STRIDE * (cells - 1) + 1


class _Unseen(NamedTuple):
    """A slice of a batch that the trunk has not seen. place: which of the batch's slices."""

    place: int
    slot: int
    ct_SHW: Tensor
    organs_KHW: Tensor


class FeatureBatches(Dataset[FeatureBatch]):
    """The batches of `Batches` with fixed views, as features that a frozen trunk computes."""

    def __init__(
        self,
        batches: Batches,
        features_hwC: tuple[int, int, int],
        store: FeatureStore | None,
    ) -> None:
        """Wrap batches. store: None to compute the features again each time."""
        self.batches = batches
        self.recipe = batches.recipe
        self.store = store
        self._features_hwC = features_hwC
        slices = [case.grid.shape[0] for case in batches.cases]
        self._first: list[int] = np.cumsum([0, *slices]).tolist()  # slice of each case

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, iteration: int) -> FeatureBatch:
        """Draw a batch; read what is in the store, and prepare the CT of what is not."""
        chosen = self.batches.slice_views(iteration)
        not_yet_hwC = torch.zeros(self._features_hwC, dtype=torch.float16)
        features: list[Tensor] = []
        organs: list[Tensor] = []
        unseen: list[_Unseen] = []
        for place, slice_view in enumerate(chosen):
            slot = self._slot(slice_view)
            record = self.store.read(slot) if self.store else None
            if record is None:
                rng = self.batches.fixed_view(slice_view)
                ct_SHW, organs_KHW, _ = self.batches.sample(slice_view, rng)
                unseen.append(_Unseen(place, slot, ct_SHW, organs_KHW))
                record = (not_yet_hwC, organs_KHW)
            features.append(record[0])
            organs.append(record[1])
        windows = self._windows(iteration, organs)
        known = [self.batches.known(slice_view) for slice_view in chosen]
        return FeatureBatch(
            torch.stack(list(map(Window.of, windows, features))),
            torch.stack(list(map(Window.shows, windows, organs))),
            torch.stack(known),
            *self._to_see(unseen, windows),
        )

    def given(self, network: Network, batch: FeatureBatch) -> Tensor:
        """Return the features of a batch, (N, C, h, w).

        Those that are missing are computed, and go to the store.
        """
        _, *size, _ = batch.features_NhwC.shape
        for m, n in enumerate(batch.unseen_M.tolist()):
            features_hwC = features_of(network, batch.ct_MSHW[m])
            window = Window(*batch.corners_M2[m].tolist(), *size)
            batch.features_NhwC[n] = window.of(features_hwC)
            if self.store:
                self.store.write(int(batch.slots_M[m]), features_hwC, batch.organs_MKHW[m])
        return batch.features_NhwC.permute(0, 3, 1, 2).float()  # channels-last

    def logits(self, network: Network, features_NChw: Tensor) -> Tensor:
        """Return the answer of the network's head: (N, K, H, W)."""
        height, width = features_NChw.shape[2:]
        return network.logits((features_NChw,), [pixels_of(height), pixels_of(width)])

    def _to_see(
        self,
        unseen: Sequence[_Unseen],
        windows: Sequence[Window],
    ) -> list[Tensor]:
        """Return the last five parts of a batch: what the trunk has not seen yet."""
        places = [one.place for one in unseen]
        corners = [windows[place][:2] for place in places]
        slots = [one.slot for one in unseen]
        if unseen:
            ct_MSHW = torch.stack([one.ct_SHW for one in unseen])
            organs_MKHW = torch.stack([one.organs_KHW for one in unseen])
        else:
            side = self.batches.preprocessing.crop_px
            ct_MSHW = torch.zeros(0, self.batches.preprocessing.slices, side, side)
            organs_MKHW = torch.zeros(0, dtype=torch.bool)
        numbers = [torch.tensor(one, dtype=torch.int64) for one in (places, corners, slots)]
        return [*numbers, ct_MSHW, organs_MKHW]

    def _windows(
        self,
        iteration: int,
        organs: Sequence[Tensor],
    ) -> list[Window]:
        """Return what an iteration sees of its slices. organs: (K, H, W) per slice."""
        height, width, _ = self._features_hwC
        if iteration >= windowed(self.recipe):
            return [Window(0, 0, height, width)] * len(organs)
        rng = np.random.default_rng([self.batches.seed, self.batches.rank, iteration, 2])
        rows = min(self.recipe.window[0], height)
        columns = min(self.recipe.window[1], width)
        windows = []
        for organs_KHW in organs:
            shown_HW = organs_KHW.any(dim=0)
            row = begin_of(rows, height, shown_HW.any(dim=1), rng)
            column = begin_of(columns, width, shown_HW.any(dim=0), rng)
            windows.append(Window(row, column, rows, columns))
        return windows

    def _slot(self, chosen: SliceView) -> int:
        plane = self._first[chosen.case] + chosen.plane
        return plane * self.recipe.views + chosen.view


def begin_of(
    side: int,
    cells: int,
    shown: Tensor,
    rng: np.random.Generator,
) -> int:
    """Draw where a window begins along one axis, so that it covers what is shown.

    If that is more than the window holds, the window lies within it. If nothing is shown, it may
    lie anywhere.
    side: the window's cells. cells: the features'. shown: bool, per pixel along this axis.
    """
    pixels = shown.nonzero()
    first, last = 0, cells - 1
    if len(pixels):
        first = int(pixels[0]) // STRIDE
        last = -(-int(pixels[-1]) // STRIDE)
    low, high = sorted((first, last + 1 - side))
    return int(rng.integers(max(0, low), min(high, cells - side) + 1))


@torch.no_grad()
def features_of(network: Network, ct_SHW: Tensor) -> Tensor:
    """Return a frozen trunk's features of one slice: (h, w, C), float16.

    Slices go through one by one: how many go together may change the last bits.
    """
    ct_NSHW = ct_SHW[None].contiguous(memory_format=torch.channels_last)
    (features_1Chw,) = network.features(ct_NSHW)
    return features_1Chw[0].permute(1, 2, 0).half()


def learns_from_features(network: Network, recipe: Recipe) -> bool:
    """Return whether views are fixed, and the trunk gives one map and does not learn."""
    gives_one_map = network.architecture.feature_channels is not None
    return recipe.views > 0 and gives_one_map and network.features_are_frozen


def recipe_used(network: Network, recipe: Recipe) -> Recipe:
    """Return what a network's training does of a recipe: fixed views serve only its features."""
    return recipe if learns_from_features(network, recipe) else recipe.with_new_views()


def windowed(recipe: Recipe) -> int:
    """Return how many iterations, the first ones, see only a window."""
    if not all(recipe.window):
        return 0
    return max(0, recipe.iterations - recipe.whole_iterations)


def share_seen(recipe: Recipe, cells: int) -> float:
    """Return the share of a slice's features that a step sees, averaged over a run's iterations.

    cells: the features' cells per side.
    """
    rows, columns = recipe.window
    window = min(rows, cells) * min(columns, cells) / cells**2
    return 1 - windowed(recipe) / recipe.iterations * (1 - window)


def for_learning(
    network: Network,
    batches: Batches,
    path: Path | None,
) -> Batches | FeatureBatches:
    """Return the batches as the layers that learn need them.

    If the trunk is frozen and views are fixed, they hold features. A log record says how these are
    cached.
    path: the file that caches them, if the disk has room for it; an earlier run's is replaced. None
        if several processes train together: features are then computed again each time.
    Raises: OutputError, FaultError: the file cannot be made.
    """
    if not learns_from_features(network, batches.recipe):
        renewed = copy(batches)
        renewed.recipe = recipe_used(network, batches.recipe)
        return renewed
    slices = sum(case.grid.shape[0] for case in batches.cases)
    side = batches.preprocessing.crop_px
    views = batches.recipe.views
    organs = len(batches.organs)
    store = FeatureStore.planned(path or Path(), network, slices, organs, side, views)
    if path is None:
        _report(batches, FeaturesNotShared())
        caches = False
    else:
        caches = _makes_room(store, batches)
    return FeatureBatches(batches, store.features_hwC, store if caches else None)


def _makes_room(store: FeatureStore, batches: Batches) -> bool:
    """Make the store's file, unless it would take too much of the disk; say whether it is there."""
    store.path.unlink(missing_ok=True)
    folder = store.path.parent
    most = store.most_bytes(batches.recipe)
    free = shutil.disk_usage(folder).free
    if most > FREE_SHARE * free:
        _report(
            batches,
            NoRoomForFeatures(
                path=folder,
                most_bytes=most,
                free_bytes=free,
            ),
        )
        return False
    _report(
        batches,
        CachingFeatures(
            path=folder,
            most_bytes=most,
            free_bytes=free,
        ),
    )
    store.create()
    return True


def _report(batches: Batches, finding: Finding) -> None:
    """Log a finding once, although several processes may train together."""
    if batches.rank == 0:
        log_finding(log, logging.INFO, finding)
