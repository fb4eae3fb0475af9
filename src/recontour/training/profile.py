"""What an iteration's time goes into, measured on a copy of the network."""

import time
from copy import deepcopy
from dataclasses import dataclass

import torch

from recontour.network import Network
from recontour.training.batches import Batch
from recontour.training.loop import loss_of, optimiser_of, set_training_mode
from recontour.training.recipe import Recipe

REPEATS = 3


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """The fastest of a few repeats."""

    whole: float
    head: float  # of which in the CAC, the SPP, the interpolation, the loss and the optimiser

    @property
    def trunk(self) -> float:
        """Of which in Conv1 to Conv4, forwards and, as far as they learn, backwards."""
        return max(0.0, self.whole - self.head)


def time_step(network: Network, batch: Batch, recipe: Recipe) -> StepSeconds:
    """Time an iteration with this batch, and the same with the trunk's features given."""
    copy = deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    set_training_mode(copy, frozen_statistics=recipe.frozen_statistics)
    optimiser = optimiser_of(copy, recipe)
    device = next(copy.parameters()).device
    batch = Batch(*(part.to(device) for part in batch))
    ct_N1HW = batch.ct_N1HW.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        kept = copy.features(ct_N1HW)

    def seconds(*, head_only: bool) -> float:
        began = time.perf_counter()
        features = kept if head_only else copy.features(ct_N1HW)
        logits_NKHW = copy.logits(features, ct_N1HW.shape[-2:])
        optimiser.zero_grad(set_to_none=True)
        loss_of(logits_NKHW, batch, recipe, 0).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()  # what was asked for is done
        return time.perf_counter() - began

    seconds(head_only=False)  # the first one allocates
    whole, head = (min(seconds(head_only=only) for _ in range(REPEATS)) for only in (False, True))
    return StepSeconds(whole, min(whole, head))
