"""A frozen trunk's features, made once for every view of a slice and kept on disk while the run lasts.

Keeping them changes no number: they are made slice by slice and rounded to float16, whether they are kept or not.
"""

import logging
import shutil
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from recontour.files import output_error
from recontour.network import Network
from recontour.training.batches import Batches, Drawn
from recontour.training.recipe import Recipe

FREE_SHARE = 0.5  # of the free disk that features may take
log = logging.getLogger(__name__)


class FeatureBatch(NamedTuple):
    """N slices of K organs, of which the trunk is still to see M."""

    features_NhwC: Tensor  # float16; 0 where the trunk is still to see the slice
    organs_NKHW: Tensor  # bool
    known_NK: Tensor  # bool
    slots_N: Tensor  # where the store has the slices
    unseen_M: Tensor  # which of the N
    ct_M1HW: Tensor  # float32, windowed


@dataclass(frozen=True)
class FeatureStore:
    """A sparse file with a record for every view of every slice: features, and the organs as that view shows them.

    One process writes. Others may read at the same time: a record counts only once it is marked as whole.
    """

    path: Path
    slots: int
    features_hwC: tuple[int, int, int]
    organs_KHW: tuple[int, int, int]

    @classmethod
    def planned(cls, path: Path, network: Network, slices: int, organs: int, crop_px: int, views: int) -> Self:
        """The store of a run that sees so many slices of so many organs; there is no file yet."""
        cells = (crop_px - 1) // 8 + 1
        return cls(path, slices * views, (cells, cells, network.feature_channels), (organs, crop_px, crop_px))

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: where the file is, not what was read."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        organs, height, width = self.organs_KHW
        bits = (organs, height, -(-width // 8))
        return np.dtype([("features", "<f2", self.features_hwC), ("bits", "u1", bits), ("whole", "?")], align=True)

    @property
    def record_bytes(self) -> int:
        """Of one view of one slice."""
        return self._record.itemsize

    def most_bytes(self, recipe: Recipe) -> int:
        """What the file may take in the end."""
        return self.record_bytes * min(self.slots, recipe.iterations * recipe.batch)

    @cached_property
    def _records(self) -> npt.NDArray[np.void]:
        return np.memmap(self.path, self._record, mode="r", shape=(self.slots,))

    def create(self) -> None:
        """Begin an empty file, whatever an earlier run left. Raises: OutputError, FaultError."""
        try:
            with self.path.open("wb") as file:
                file.truncate(self.slots * self.record_bytes)
        except OSError as error:
            raise output_error(self.path, error) from error

    def read(self, slot: int) -> tuple[Tensor, Tensor] | None:
        """A record: (h, w, C) features and (K, H, W) organs; None if it is not there."""
        record = self._records[slot]
        if not record["whole"]:
            return None
        bits = np.unpackbits(record["bits"], axis=-1, count=self.organs_KHW[2])
        return torch.from_numpy(record["features"].copy()), torch.from_numpy(bits.view(np.bool_))

    def write(self, slot: int, features_hwC: Tensor, organs_KHW: Tensor) -> None:
        """Keep a record. Raises: FaultError: the disk is full."""
        record = np.zeros((), self._record)
        record["features"] = features_hwC.cpu().numpy()
        record["bits"] = np.packbits(organs_KHW.cpu().numpy(), axis=-1)
        start = slot * self.record_bytes
        fields = self._record.fields
        assert fields
        try:
            with self.path.open("r+b", buffering=0) as file:
                file.seek(start)
                file.write(record.tobytes())
                file.seek(start + fields["whole"][1])
                file.write(b"\x01")
        except OSError as error:
            raise output_error(self.path, error) from error


class FeatureBatches(Dataset[FeatureBatch]):
    """The same batches as `Batches` with fixed views, but of what a frozen trunk makes of them."""

    def __init__(self, batches: Batches, features_hwC: tuple[int, int, int], store: FeatureStore | None) -> None:
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
        side = self.batches.preprocessing.crop_px
        not_yet_hwC = torch.zeros(self._features_hwC, dtype=torch.float16)
        return FeatureBatch(
            features_NhwC=torch.stack([record[0] if record else not_yet_hwC for record in stored]),
            organs_NKHW=torch.stack([record[1] if record else new[n][1] for n, record in enumerate(stored)]),
            known_NK=torch.stack([self.batches.known(one.case) for one in drawn]),
            slots_N=torch.tensor(slots),
            unseen_M=torch.tensor(unseen, dtype=torch.int64),
            ct_M1HW=torch.stack([new[n][0] for n in unseen]) if unseen else torch.zeros(0, 1, side, side),
        )

    def given(self, network: Network, batch: FeatureBatch) -> Tensor:
        """All features of a batch, (N, C, h, w); those that were missing are made, and go to the store."""
        for n, ct_1HW in zip(batch.unseen_M.tolist(), batch.ct_M1HW, strict=True):
            batch.features_NhwC[n] = features_of(network, ct_1HW)
            if self.store:
                self.store.write(int(batch.slots_N[n]), batch.features_NhwC[n], batch.organs_NKHW[n])
        return batch.features_NhwC.permute(0, 3, 1, 2).float()  # channels-last

    def logits(self, network: Network, features_NChw: Tensor) -> Tensor:
        """What the network's head says of them: (N, K, H, W)."""
        side = self.batches.preprocessing.crop_px
        return network.logits(features_NChw, (side, side))

    def _slot(self, drawn: Drawn) -> int:
        return (self._first[drawn.case] + drawn.plane) * self.recipe.views + drawn.view


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


def for_learning(network: Network, batches: Batches, path: Path | None) -> Batches | FeatureBatches:
    """The batches as the layers that learn want them: features, where the trunk is frozen and views are fixed.

    path: of the file that keeps them if it fits on the disk, which is said; an earlier run's is replaced. None, where
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
    store = FeatureStore.planned(path or Path(), network, slices, len(batches.organs), side, recipe.views)
    if path is None:
        _tell(batches, "the frozen layers' features are computed anew each time: several processes train together")
        return FeatureBatches(batches, store.features_hwC, None)
    path.unlink(missing_ok=True)
    gigabytes = store.most_bytes(recipe) / 1e9
    free = shutil.disk_usage(path.parent).free / 1e9
    if gigabytes > FREE_SHARE * free:
        _tell(
            batches,
            f"the frozen layers' features are computed anew each time: a cache takes {gigabytes:.1f} GB, and "
            f"{path.parent} has {free:.1f} GB free, of which it may take half",
        )
        return FeatureBatches(batches, store.features_hwC, None)
    _tell(
        batches,
        f"caching up to {gigabytes:.1f} GB of the frozen layers' features in {path.parent} while it trains; "
        f"{free:.1f} GB are free",
    )
    store.create()
    return FeatureBatches(batches, store.features_hwC, store)


def _tell(batches: Batches, words: str) -> None:
    if batches.rank == 0:
        log.info(words)
