"""Where an iteration's time goes, measured on a copy of the network."""

import time
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass

import torch

from recontour.network import Network
from recontour.network.stages import Maps
from recontour.training.batches import Batch
from recontour.training.loop import loss_of, optimiser_of, set_training_mode
from recontour.training.recipe import Precision, Recipe

REPEATS = 3
TURNS = 5
ENOUGH_SECONDS = 4.0  # of processor time; after these, the turns so far must do
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """An iteration's time: the fastest of a few repeats.

    head: the part from where the head begins: its stages, the interpolation, the loss and the
    optimiser.
    """

    whole: float
    head: float

    @property
    def trunk(self) -> float:
        """Return the part in the stages before the head begins.

        It is forward and, as far as they learn, backward.
        """
        return max(0.0, self.whole - self.head)


class Trial:
    """Iterations with one batch on a copy of a network, as `loop.learn` makes them."""

    def __init__(
        self,
        network: Network,
        batch: Batch,
        recipe: Recipe,
    ) -> None:
        self.copy = deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        set_training_mode(self.copy, frozen_statistics=recipe.frozen_statistics)
        self.optimiser = optimiser_of(self.copy, recipe)
        self.recipe = recipe
        self.device = next(self.copy.parameters()).device
        self.batch = Batch(*(part.to(self.device) for part in batch))
        self.ct_NSHW = self.batch.ct_NSHW.contiguous(memory_format=torch.channels_last)

    def features(self, precision: Precision) -> Maps:
        """Return the trunk's features of the batch, through which nothing learns."""
        with torch.no_grad(), computing_in(precision, self.device.type):
            features: Maps = self.copy.features(self.ct_NSHW)
        return features

    def step(self, precision: Precision, given: Maps | None = None) -> None:
        """Make one iteration. given: the trunk's features; None: the trunk computes them."""
        with computing_in(precision, self.device.type):
            features = self.copy.features(self.ct_NSHW) if given is None else given
            logits_NKHW = self.copy.logits(features, self.ct_NSHW.shape[-2:])
        self.optimiser.zero_grad(set_to_none=True)
        loss = loss_of(logits_NKHW.float(), self.batch, self.recipe, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()  # wait until the device has finished


def computing_in(precision: Precision, device: str) -> AbstractContextManager[object]:
    """Return the context in which a network computes in a precision. device: such as "cpu"."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device, DTYPES[precision])


def time_step(
    network: Network,
    batch: Batch,
    recipe: Recipe,
    precision: Precision = "float32",
) -> StepSeconds:
    """Time an iteration with a batch, and the same with the trunk's features given."""
    trial = Trial(network, batch, recipe)
    kept = trial.features(precision)
    trial.step(precision)  # the first one allocates

    def seconds(given: Maps | None) -> float:
        began = time.perf_counter()
        trial.step(precision, given)
        return time.perf_counter() - began

    whole = min(seconds(None) for _ in range(REPEATS))
    head = min(seconds(kept) for _ in range(REPEATS))
    return StepSeconds(whole, min(whole, head))


def gain_of_bf16(
    network: Network,
    recipe: Recipe,
    organs: int,
    side_px: int,
) -> float:
    """Return how many times as long an iteration takes in float32 as in bf16, on a CPU.

    The two are timed in turns, on a batch that is always the same, of whole slices of `side_px`
    pixels. Neither the network nor any random generator changes. Processor time in turns, added up,
    is what a busy machine changes least. `compact` takes a second or two; a larger network takes
    two iterations of each.
    """
    batch = fixed_batch(recipe.batch, organs, side_px, seen=network.architecture.slices)
    trial = Trial(network, batch, recipe)
    precisions: tuple[Precision, Precision] = ("float32", "bf16")
    until = time.process_time() + ENOUGH_SECONDS
    for precision in precisions:
        trial.step(precision)  # the first one allocates
    spent: dict[Precision, float] = dict.fromkeys(precisions, 0.0)
    for _ in range(TURNS):
        for precision in precisions:
            began = time.process_time()
            trial.step(precision)
            spent[precision] += time.process_time() - began
        if time.process_time() > until:
            break
    return spent["float32"] / spent["bf16"]


def fixed_batch(
    slices: int,
    organs: int,
    side_px: int,
    *,
    seen: int = 1,
) -> Batch:
    """Return a batch that is always the same: a gradient, with all organs in its middle.

    seen: how many slices the network sees at a time.

    >>> fixed_batch(2, 3, 9).organs_NKHW.shape
    torch.Size([2, 3, 9, 9])
    """
    row_W = torch.linspace(-1, 1, side_px)
    ct_NSHW = row_W.expand(slices, seen, side_px, side_px).contiguous()
    organs_NKHW = torch.zeros(slices, organs, side_px, side_px, dtype=torch.bool)
    middle = slice(3 * side_px // 8, 5 * side_px // 8)
    organs_NKHW[:, :, middle, middle] = True
    known_NK = torch.ones(slices, organs, dtype=torch.bool)
    return Batch(ct_NSHW, organs_NKHW, known_NK)
