"""Batches of slices, each a function of (seed, iteration) alone:

a run that is resumed sees what it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from recontour.cohort import Case
from recontour.network import Network
from recontour.network.preprocessing import Preprocessing, Similarity, body_centre_mm, view
from recontour.training.recipe import Augmentation, Recipe


class Batch(NamedTuple):
    """N slices of K organs."""

    ct_N1HW: Tensor  # float32, windowed
    organs_NKHW: Tensor  # bool
    known_NK: Tensor  # bool: the organ was contoured in that slice's patient


class Drawn(NamedTuple):
    """Which slice, and which of its fixed views; 0 where every view is new."""

    case: int
    plane: int
    view: int


@dataclass(frozen=True, slots=True)
class _Shown:
    """A case, and which of its slices show an organ."""

    case: int
    slices: tuple[int, ...]


class Batches(Dataset[Batch]):
    """Item i is the batch of iteration i.

    Random access, no state: any number of workers may read ahead.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        organs: Sequence[str],
        preprocessing: Preprocessing,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.cases = tuple(cases)
        self.organs = tuple(organs)
        self.preprocessing = preprocessing
        self.recipe = recipe
        self.seed = seed
        self.rank = 0  # of this process among those that train together
        self._centres = [body_centre_mm(case.hu, case.grid) for case in self.cases]
        self._shown = [
            [
                _Shown(i, tuple(case.slices_with(organ)))
                for i, case in enumerate(self.cases)
                if organ in case.organs
            ]
            for organ in self.organs
        ]

    def __len__(self) -> int:
        return self.recipe.iterations

    def __getitem__(self, iteration: int) -> Batch:
        """Draw and prepare one batch."""
        rng = self._rng(iteration)
        samples = []
        for _ in range(self.recipe.batch):
            drawn = self._draw(rng)
            samples.append(self.sample(drawn, self.fixed_view(drawn) if self.recipe.views else rng))
        return Batch(*(torch.stack(parts) for parts in zip(*samples, strict=True)))

    def drawn(self, iteration: int) -> list[Drawn]:
        """What item `iteration` is made of, where views are fixed."""
        rng = self._rng(iteration)
        return [self._draw(rng) for _ in range(self.recipe.batch)]

    def given(self, _network: Network, batch: Batch) -> Tensor:
        """What of a batch goes through the network: (N, 1, H, W) CT."""
        return batch.ct_N1HW.contiguous(memory_format=torch.channels_last)

    def logits(self, network: Network, ct_N1HW: Tensor) -> Tensor:
        """What the network says of it: (N, K, H, W)."""
        logits_NKHW: Tensor = network(ct_N1HW)
        return logits_NKHW

    def known(self, case: int) -> Tensor:
        """Which of the organs were contoured in a case: (K,)."""
        return torch.tensor([organ in self.cases[case].organs for organ in self.organs])

    def fixed_view(self, drawn: Drawn) -> np.random.Generator:
        """What draws one of a slice's fixed views, the same one each time."""
        return np.random.default_rng([self.seed, *drawn, 1])

    def sample(self, drawn: Drawn, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """One slice through a view that rng draws: (1, H, W) CT, (K, H, W) organs, (K,) known."""
        case = self.cases[drawn.case]
        known = self.known(drawn.case)
        masks = {
            k: case.slice_mask(organ, drawn.plane)
            for k, organ in enumerate(self.organs)
            if known[k]
        }
        masks = {k: mask for k, mask in masks.items() if mask.any()}
        planes = np.stack([case.hu[drawn.plane], *masks.values()]).astype(np.float32)
        transform, offset, gain = draw_view(self.recipe.augmentation, rng)
        seen = view(
            torch.from_numpy(planes),
            case.grid,
            self._centres[drawn.case],
            self.preprocessing,
            transform,
        )
        organs = torch.zeros((len(self.organs), *seen.shape[1:]), dtype=torch.bool)
        for layer, k in enumerate(masks, start=1):
            organs[k] = seen[layer] > 0.5
        return self.preprocessing.windowed(seen[:1] * gain + offset), organs, known

    def _rng(self, iteration: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.rank, iteration])

    def _draw(self, rng: np.random.Generator) -> Drawn:
        """A slice, of a random organ or any, and one of its views."""
        case, plane = self._draw_slice(rng)
        return Drawn(case, plane, int(rng.integers(self.recipe.views)) if self.recipe.views else 0)

    def _draw_slice(self, rng: np.random.Generator) -> tuple[int, int]:
        if rng.random() < self.recipe.organ_share:
            shown = self._shown[rng.integers(len(self.organs))]
            where = shown[rng.integers(len(shown))]
            return where.case, where.slices[rng.integers(len(where.slices))]
        case = int(rng.integers(len(self.cases)))
        return case, int(rng.integers(self.cases[case].grid.shape[0]))


def draw_view(
    augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Similarity, float, float]:
    """A random view, HU offset and HU gain."""
    a = augmentation
    zoom = rng.choice(a.zooms) if a.zooms else np.exp(rng.uniform(*np.log(a.zoom_range)))
    degrees = rng.uniform(-a.degrees, a.degrees)
    shift = rng.uniform(-a.shift_mm, a.shift_mm, size=2)
    transform = Similarity(float(degrees), float(zoom), (float(shift[0]), float(shift[1])))
    return transform, float(rng.normal(0, a.hu_offset)), float(1 + rng.normal(0, a.hu_gain))
