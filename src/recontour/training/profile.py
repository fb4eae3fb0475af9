"""Where an iteration's time goes, measured on a copy of the network."""

import time
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from recontour.network import Network
from recontour.training.batches import Batch
from recontour.training.loop import loss_of, optimiser_of, set_training_mode
from recontour.training.recipe import Recipe

REPEATS = 3


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """An iteration's time: the fastest of a few repeats.

    head: the part in the CAC, the SPP, the interpolation, the loss and the optimiser.
    """

    whole: float
    head: float

    @property
    def trunk(self) -> float:
        """Return the part in Conv1 to Conv4: forward and, as far as they learn, backward."""
        return max(0.0, self.whole - self.head)


def time_step(network: Network, batch: Batch, recipe: Recipe) -> StepSeconds:
    """Time an iteration with a batch, and the same with the trunk's features given."""
    copy = deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    set_training_mode(copy, frozen_statistics=recipe.frozen_statistics)
    optimiser = optimiser_of(copy, recipe)
    device = next(copy.parameters()).device
    batch = Batch(*(part.to(device) for part in batch))
    ct_N1HW = batch.ct_N1HW.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        kept = copy.features(ct_N1HW)

    def seconds(given: Tensor | None) -> float:
        """Time one iteration. given: the trunk's features; None: the trunk computes them."""
        began = time.perf_counter()
        features = copy.features(ct_N1HW) if given is None else given
        logits_NKHW = copy.logits(features, ct_N1HW.shape[-2:])
        optimiser.zero_grad(set_to_none=True)
        loss_of(logits_NKHW, batch, recipe, 0).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()  # wait until the device has finished
        return time.perf_counter() - began

    seconds(None)  # the first one allocates
    whole = min(seconds(None) for _ in range(REPEATS))
    head = min(seconds(kept) for _ in range(REPEATS))
    return StepSeconds(whole, min(whole, head))
