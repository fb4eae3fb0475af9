"""A frozen trunk's features, made once for every view of a slice and kept on disk while the run
lasts.

Keeping them changes no number: they are made slice by slice and rounded to float16, whether they
    are kept or not. From whole slices' features a step may see a window alone, which saves the
    layers that learn most of their work.
"""

import logging
import shutil
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from recontour.files import output_error
from recontour.network import Network
from recontour.training.batches import Batches, Drawn
from recontour.training.recipe import Recipe
from recontour.wording import printable, size_in_words

FREE_SHARE = 0.5  # of the free disk that features may take
log = logging.getLogger(__name__)


class FeatureBatch(NamedTuple):
    """N slices of K organs, each seen through a window;

    the trunk is still to see M of them, whole.
    """

    features_NhwC: Tensor  # float16, within the window; 0 where the trunk is still to see the slice
    organs_NKHW: Tensor  # bool, within the window
    known_NK: Tensor  # bool
    unseen_M: Tensor  # which of the N
    corners_M2: Tensor  # first row and column of their windows
    slots_M: Tensor  # where the store has them
    ct_M1HW: Tensor  # float32, windowed in HU
    organs_MKHW: Tensor  # bool


@dataclass(frozen=True)
class FeatureStore:
    """A sparse file with a record for every view of every slice: features, and the organs as that
    view shows them.

    One process writes. Others may read at the same time: a record counts only once it is marked as
    whole.
    """

    path: Path
    slots: int
    features_hwC: tuple[int, int, int]
    organs_KHW: tuple[int, int, int]

    @classmethod
    def planned(
        cls, path: Path, network: Network, slices: int, organs: int, crop_px: int, views: int
    ) -> Self:
        """The store of a run that sees so many slices of so many organs; there is no file yet."""
        cells = (crop_px - 1) // 8 + 1
        return cls(
            path,
            slices * views,
            (cells, cells, network.feature_channels),
            (organs, crop_px, crop_px),
        )

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        organs, height, width = self.organs_KHW
        bits = (organs, height, -(-width // 8))
        return np.dtype(
            [("features", "<f2", self.features_hwC), ("bits", "u1", bits), ("whole", "?")],
            align=True,
        )

    @property
    def _whole_at(self) -> int:
        """Where in a record its mark is."""
        fields = self._record.fields
        assert fields
        return int(fields["whole"][1])

    @property
    def record_bytes(self) -> int:
        """Of one view of one slice."""
        return self._record.itemsize

    def most_bytes(self, recipe: Recipe) -> int:
        """What the file may take in the end."""
        return self.record_bytes * min(self.slots, recipe.iterations * recipe.batch)

    def create(self) -> None:
        """Begin an empty file, whatever an earlier run left. Raises: OutputError, FaultError."""
        try:
            with self.path.open("wb") as file:
                file.truncate(self.slots * self.record_bytes)
        except OSError as error:
            raise output_error(self.path, error) from error

    def read(self, slot: int) -> tuple[Tensor, Tensor] | None:
        """A record: (h, w, C) features and (K, H, W) organs; None if it is not there."""
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

    def write(self, slot: int, features_hwC: Tensor, organs_KHW: Tensor) -> None:
        """Keep a record. Raises: FaultError: the disk is full."""
        record = np.zeros((), self._record)
        record["features"] = features_hwC.cpu().numpy()
        record["bits"] = np.packbits(organs_KHW.cpu().numpy(), axis=-1)
        start = slot * self.record_bytes
        try:
            with self.path.open("r+b") as file:
                file.seek(start)
                file.write(record.tobytes())
                file.flush()  # it fails where only a part could be written
                file.seek(start + self._whole_at)
                file.write(b"\x01")
        except OSError as error:
            raise output_error(self.path, error) from error


class FeatureBatches(Dataset[FeatureBatch]):
    """The same batches as `Batches` with fixed views, but of what a frozen trunk makes of them."""

    def __init__(
        self, batches: Batches, features_hwC: tuple[int, int, int], store: FeatureStore | None
    ) -> None:
        """store: None to make the features anew each time."""
        self.batches = batches
        self.recipe = batches.recipe
        self.store = store
        self._features_hwC = features_hwC
        before = np.cumsum([0, *(case.grid.shape[0] for case in batches.cases)])
        self._first: list[int] = before.tolist()  # slice of each case

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, iteration: int) -> FeatureBatch:
        """Draw a batch; read what is in the store, and prepare the CT of what is not."""
        drawn = self.batches.drawn(iteration)
        slots = [self._slot(one) for one in drawn]
        stored = [self.store.read(slot) if self.store else None for slot in slots]
        unseen = [n for n, record in enumerate(stored) if record is None]
        new = {n: self.batches.sample(drawn[n], self.batches.fixed_view(drawn[n])) for n in unseen}
        not_yet_hwC = torch.zeros(self._features_hwC, dtype=torch.float16)
        whole = [record or (not_yet_hwC, new[n][1]) for n, record in enumerate(stored)]
        windows = self._windows(iteration, [organs_KHW for _, organs_KHW in whole])
        side = self.batches.preprocessing.crop_px
        return FeatureBatch(
            features_NhwC=torch.stack(
                [window.of(one) for window, (one, _) in zip(windows, whole, strict=True)]
            ),
            organs_NKHW=torch.stack(
                [window.shows(one) for window, (_, one) in zip(windows, whole, strict=True)]
            ),
            known_NK=torch.stack([self.batches.known(one.case) for one in drawn]),
            unseen_M=torch.tensor(unseen, dtype=torch.int64),
            corners_M2=torch.tensor([windows[n][:2] for n in unseen], dtype=torch.int64),
            slots_M=torch.tensor([slots[n] for n in unseen], dtype=torch.int64),
            ct_M1HW=torch.stack([new[n][0] for n in unseen])
            if unseen
            else torch.zeros(0, 1, side, side),
            organs_MKHW=torch.stack([new[n][1] for n in unseen])
            if unseen
            else torch.zeros(0, dtype=torch.bool),
        )

    def given(self, network: Network, batch: FeatureBatch) -> Tensor:
        """The features of a batch, (N, C, h, w);

        those that were missing are made, and go to the store.
        """
        _, *size, _ = batch.features_NhwC.shape
        for m, n in enumerate(batch.unseen_M.tolist()):
            features_hwC = features_of(network, batch.ct_M1HW[m])
            batch.features_NhwC[n] = Window(*batch.corners_M2[m].tolist(), *size).of(features_hwC)
            if self.store:
                self.store.write(int(batch.slots_M[m]), features_hwC, batch.organs_MKHW[m])
        return batch.features_NhwC.permute(0, 3, 1, 2).float()  # channels-last

    def logits(self, network: Network, features_NChw: Tensor) -> Tensor:
        """What the network's head says of them: (N, K, H, W)."""
        return network.logits(
            features_NChw, [8 * (side - 1) + 1 for side in features_NChw.shape[2:]]
        )

    def _windows(self, iteration: int, organs: Sequence[Tensor]) -> list["Window"]:
        """What an iteration sees of its slices, whose organs are (K, H, W) each."""
        height, width, _ = self._features_hwC
        if iteration >= windowed(self.recipe):
            return [Window(0, 0, height, width)] * len(organs)
        rng = np.random.default_rng([self.batches.seed, self.batches.rank, iteration, 2])
        rows, columns = (
            min(pair) for pair in zip(self.recipe.window, (height, width), strict=True)
        )
        return [
            Window(
                begin_of(rows, height, shown_HW.any(dim=1), rng),
                begin_of(columns, width, shown_HW.any(dim=0), rng),
                rows,
                columns,
            )
            for shown_HW in (organs_KHW.any(dim=0) for organs_KHW in organs)
        ]

    def _slot(self, drawn: Drawn) -> int:
        return (self._first[drawn.case] + drawn.plane) * self.recipe.views + drawn.view


class Window(NamedTuple):
    """A rectangle of the features' cells, which lie 8 pixels apart."""

    row: int
    column: int
    rows: int
    columns: int

    def of(self, features_hwC: Tensor) -> Tensor:
        """Its cells: (rows, columns, C)."""
        return features_hwC[
            self.row : self.row + self.rows, self.column : self.column + self.columns
        ]

    def shows(self, organs_KHW: Tensor) -> Tensor:
        """The pixels from its first to its last cells: (K, 8 rows - 7, 8 columns - 7)."""
        top, left = 8 * self.row, 8 * self.column
        return organs_KHW[:, top : top + 8 * self.rows - 7, left : left + 8 * self.columns - 7]


def begin_of(side: int, cells: int, shown: Tensor, rng: np.random.Generator) -> int:
    """Where a window of a side begins, at random where it covers what is shown, or as much of it as
    it holds.

    shown: bool, by pixel along that side. Without any, all places are alike.
    """
    pixels = shown.nonzero()
    first, last = (int(pixels[0]) // 8, -(-int(pixels[-1]) // 8)) if len(pixels) else (0, cells - 1)
    low, high = sorted((first, last + 1 - side))
    return int(rng.integers(max(0, low), min(high, cells - side) + 1))


@torch.no_grad()
def features_of(network: Network, ct_1HW: Tensor) -> Tensor:
    """A frozen trunk's features of one slice: (h, w, C), float16.

    One by one: how many slices go through a network together may change the last bits.
    """
    ct_N1HW = ct_1HW[None].contiguous(memory_format=torch.channels_last)
    return network.features(ct_N1HW)[0].permute(1, 2, 0).half()


def learns_from_features(network: Network, recipe: Recipe) -> bool:
    """Whether views are fixed, and nothing before Conv5 learns."""
    return recipe.views > 0 and network.trunk_is_frozen


def windowed(recipe: Recipe) -> int:
    """How many iterations, the first ones, see a window alone."""
    return max(0, recipe.iterations - recipe.whole_iterations) if all(recipe.window) else 0


def share_seen(recipe: Recipe, cells: int) -> float:
    """Of the features of slices with so many cells a side, in the mean over a run's iterations."""
    rows, columns = (min(side, cells) for side in recipe.window)
    return 1 - windowed(recipe) / recipe.iterations * (1 - rows * columns / cells**2)


def for_learning(network: Network, batches: Batches, path: Path | None) -> Batches | FeatureBatches:
    """The batches as the layers that learn want them: features, where the trunk is frozen and views
    are fixed.

    path: of the file that keeps them if it fits on the disk, which is said; an earlier run's is
        replaced. None, where
        several processes train together: they are made anew each time.
    Raises: OutputError, FaultError: the file cannot be made.
    """
    recipe = batches.recipe
    if not learns_from_features(network, recipe):
        if recipe.views:
            _tell(batches, "no features are cached: layers before Conv5 retrain, too")
            batches = copy(batches)
            batches.recipe = replace(recipe, views=0)  # only a cache gains by views that come back
        return batches
    slices = sum(case.grid.shape[0] for case in batches.cases)
    side = batches.preprocessing.crop_px
    store = FeatureStore.planned(
        path or Path(), network, slices, len(batches.organs), side, recipe.views
    )
    if path is None:
        _tell(
            batches,
            "the frozen layers' features are computed anew each time: several processes train together",
        )
        return FeatureBatches(batches, store.features_hwC, None)
    path.unlink(missing_ok=True)
    most, free = store.most_bytes(recipe), shutil.disk_usage(path.parent).free
    if most > FREE_SHARE * free:
        _tell(
            batches,
            f"the frozen layers' features are computed anew each time: a cache takes {size_in_words(most)}, and "
            f"{path.parent} has {size_in_words(free)} free, of which it may take half",
        )
        return FeatureBatches(batches, store.features_hwC, None)
    _tell(
        batches,
        f"caching up to {size_in_words(most)} of the frozen layers' features in {path.parent} while it trains; "
        f"{size_in_words(free)} are free",
    )
    store.create()
    return FeatureBatches(batches, store.features_hwC, store)


def _tell(batches: Batches, words: str) -> None:
    if batches.rank == 0:
        log.info(printable(words))  # the folder may be called anything
