"""Batches of slices, each a function of (seed, iteration) alone.

So a run that is resumed sees what it would have seen.
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
from recontour.network.body import body_centre_mm
from recontour.network.preprocessing import Preprocessing, Similarity, view
from recontour.training.recipe import Augmentation, Recipe


class Batch(NamedTuple):
    """N slices of K organs.

    ct_NSHW: float32, windowed: each slice, then its S - 1 neighbours. organs_NKHW: bool. known_NK:
    bool, whether it is known if the slice shows the organ: it was contoured in the patient, and the
    slice does not lie beyond a part that was drawn alone.
    """

    ct_NSHW: Tensor
    organs_NKHW: Tensor
    known_NK: Tensor


class SliceView(NamedTuple):
    """A slice of a case, and the number of its fixed view; 0 if each view is new."""

    case: int
    plane: int
    view: int


@dataclass(frozen=True, slots=True)
class _OrganSlices:
    """A case, and which of its slices show an organ."""

    case: int
    slices: tuple[int, ...]


class Batches(Dataset[Batch]):
    """Item i is the batch of iteration i.

    Access is random and leaves no state behind, so any number of workers may read ahead.
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
        self._known = list(map(self._known_of, self.cases))
        self._with_organ = list(map(self._slices_with, self.organs))

    def __len__(self) -> int:
        return self.recipe.iterations

    def __getitem__(self, iteration: int) -> Batch:
        """Draw and prepare one batch."""
        rng = self._rng(iteration)
        samples = []
        for _ in range(self.recipe.batch):
            chosen = self._draw(rng)
            view_rng = self.fixed_view(chosen) if self.recipe.views else rng
            samples.append(self.sample(chosen, view_rng))
        ct, organs, known = zip(*samples, strict=True)
        return Batch(torch.stack(ct), torch.stack(organs), torch.stack(known))

    def slice_views(self, iteration: int) -> list[SliceView]:
        """Return what item `iteration` is made of, if views are fixed."""
        rng = self._rng(iteration)
        return [self._draw(rng) for _ in range(self.recipe.batch)]

    def given(self, _network: Network, batch: Batch) -> Tensor:
        """Return the part of a batch that goes through the network: (N, S, H, W) CT."""
        return batch.ct_NSHW.contiguous(memory_format=torch.channels_last)

    def logits(self, network: Network, ct_NSHW: Tensor) -> Tensor:
        """Return the network's answer: (N, K, H, W)."""
        logits_NKHW: Tensor = network(ct_NSHW)
        return logits_NKHW

    def known(self, chosen: SliceView) -> Tensor:
        """Return of which organs it is known whether a slice shows them: bool, (K,)."""
        return self._known[chosen.case][chosen.plane]

    def _known_of(self, case: Case) -> Tensor:
        """Return the same for all slices of a case: bool, (slice, K)."""
        columns = [case.known_slices(organ) for organ in self.organs]
        return torch.from_numpy(np.stack(columns, axis=1))

    def fixed_view(self, chosen: SliceView) -> np.random.Generator:
        """Return the generator that draws one of a slice's fixed views, the same each time."""
        return np.random.default_rng([self.seed, *chosen, 1])

    def sample(
        self,
        chosen: SliceView,
        rng: np.random.Generator,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return one slice through a view that `rng` draws; its neighbours go through the same.

        Returns: (S, H, W) CT, float32; (K, H, W) organs and (K,) known, bool.
        """
        case = self.cases[chosen.case]
        known = self.known(chosen)
        seen_with = self.preprocessing.planes_seen(case.grid, chosen.plane)
        planes = [case.hu[plane] for plane in seen_with]
        contoured = []
        for k, organ in enumerate(self.organs):
            if known[k] and (mask := case.slice_mask(organ, chosen.plane)).any():
                planes.append(mask)
                contoured.append(k)
        transform, offset, gain = draw_view(self.recipe.augmentation, rng)
        seen = view(
            torch.from_numpy(np.stack(planes).astype(np.float32)),
            case.grid,
            self._centres[chosen.case],
            self.preprocessing,
            transform,
        )
        slices = len(seen_with)
        organs = torch.zeros((len(self.organs), *seen.shape[1:]), dtype=torch.bool)
        organs[contoured] = seen[slices:] > 0.5
        return self.preprocessing.windowed(seen[:slices] * gain + offset), organs, known

    def _slices_with(self, organ: str) -> list[_OrganSlices]:
        """Return the cases that have an organ, each with the slices that show it."""
        found = []
        for index, case in enumerate(self.cases):
            if organ in case.organs:
                slices = tuple(case.slices_with(organ))
                found.append(_OrganSlices(index, slices))
        return found

    def _rng(self, iteration: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.rank, iteration])

    def _draw(self, rng: np.random.Generator) -> SliceView:
        """Draw a slice, of a random organ or any, and one of its views."""
        case, plane = self._draw_slice(rng)
        views = self.recipe.views
        return SliceView(case, plane, int(rng.integers(views)) if views else 0)

    def _draw_slice(self, rng: np.random.Generator) -> tuple[int, int]:
        if rng.random() < self.recipe.organ_share:
            cases = self._with_organ[rng.integers(len(self.organs))]
            chosen = cases[rng.integers(len(cases))]
            return chosen.case, chosen.slices[rng.integers(len(chosen.slices))]
        case = int(rng.integers(len(self.cases)))
        return case, int(rng.integers(self.cases[case].grid.shape[0]))


def draw_view(
    augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Similarity, float, float]:
    """Draw a view at random.

    Returns: where it looks, an offset in HU, and a gain (1: none).
    """
    if augmentation.zooms:
        zoom = rng.choice(augmentation.zooms)
    else:
        zoom = np.exp(rng.uniform(*np.log(augmentation.zoom_range)))
    degrees = rng.uniform(-augmentation.degrees, augmentation.degrees)
    x, y = rng.uniform(-augmentation.shift_mm, augmentation.shift_mm, size=2)
    offset = rng.normal(0, augmentation.hu_offset)
    gain = 1 + rng.normal(0, augmentation.hu_gain)
    transform = Similarity(float(degrees), float(zoom), (float(x), float(y)))
    return transform, float(offset), float(gain)
