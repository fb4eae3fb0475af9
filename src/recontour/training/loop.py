"""The loop: it learns, and reports each iteration.

Its caller shows progress, saves and stops.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from recontour.errors import SettingsError
from recontour.network import Network
from recontour.processes import Unbroken
from recontour.training.ahead import prepared
from recontour.training.batches import Batch, Batches
from recontour.training.features import FeatureBatch, FeatureBatches
from recontour.training.loss import organ_loss
from recontour.training.recipe import Recipe
from recontour.validation import NotAChoice

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, slots=True)
class Step:
    """One finished iteration.

    iteration: counted from 1. learning_rate: the one that this step was made with.
    seconds: wall clock of the whole iteration. waited: its part that was spent waiting for data.
    features: its part that was spent computing features that were not in a frozen trunk's cache.
    """

    iteration: int
    loss: float
    learning_rate: float
    seconds: float
    waited: float
    features: float


def optimiser_of(network: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimiser for the layers that are not frozen.

    Raises: SettingsError: the recipe's optimiser is unknown.
    """
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return SGD(learning, rate, recipe.momentum, weight_decay=decay)
    if recipe.optimiser == "adamw":
        return AdamW(learning, rate, weight_decay=decay)
    known = ("sgd", "adamw")
    unknown = NotAChoice(name="optimiser", choices=known, seen=recipe.optimiser)
    raise SettingsError(unknown)


def learning_rate_at(iteration: int, recipe: Recipe) -> float:
    """Return the "poly" schedule's rate, after a linear rise; iterations are counted from 0."""
    rise = min(1.0, (iteration + 1) / (recipe.warm_up + 1))
    decay = (1 - iteration / recipe.iterations) ** recipe.power
    return float(recipe.learning_rate * rise * decay)


@dataclass(slots=True)
class Position:
    """How far a network has been trained.

    done: iterations. unbroken: holds signals back while weights change; if that was broken off,
    they lie between two iterations.
    """

    done: int
    unbroken: Unbroken = field(default_factory=Unbroken)


def learn(
    fabric: "Fabric",
    network: Network,
    optimiser: Optimizer,
    batches: Batches | FeatureBatches,
    position: Position,
    *,
    workers: int,
) -> Generator[Step]:
    """Train from a position to the recipe's end, and advance the position.

    network, optimiser: set up by the fabric. workers: processes that prepare batches.
    Frozen layers, whose parameters need no gradient, stay the same to the bit, and so do their
    normalisation statistics.
    """
    recipe = batches.recipe
    # On a processor an iteration may take seconds, and nobody else waits for its end.
    may_end_early = fabric.world_size == 1 and fabric.device.type == "cpu"
    with closing(prepared(batches, position.done, workers)) as coming:
        began = time.perf_counter()
        for iteration, prepared_batch in enumerate(coming, start=position.done):
            batch = fabric.to_device(prepared_batch)
            waited = time.perf_counter() - began
            rate = learning_rate_at(iteration, recipe)
            with _without_trace(network, position) if may_end_early else position.unbroken:
                loss, features = _gradients(
                    fabric, network, optimiser, batches, batch, iteration, rate
                )
                with position.unbroken:
                    optimiser.step()
                    position.done = iteration + 1
            seconds = time.perf_counter() - began
            yield Step(iteration + 1, float(loss), rate, seconds, waited, features)
            began = time.perf_counter()


@contextmanager
def _without_trace(network: nn.Module, position: Position) -> Iterator[None]:
    """Let an iteration that a signal ends, before it changes the weights, leave nothing behind.

    A pass through the network has changed the statistics of normalisation: they are put back.
    """
    done = position.done
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    except KeyboardInterrupt:
        if position.done == done:
            with position.unbroken:
                for buffer, kept in zip(network.buffers(), before, strict=True):
                    buffer.copy_(kept)
        raise


def _gradients(
    fabric: "Fabric",
    network: Network,
    optimiser: Optimizer,
    batches: Batches | FeatureBatches,
    batch: Any,
    iteration: int,
    rate: float,
) -> tuple[Tensor, float]:
    """Compute the gradients; return the loss, and the seconds that computing features took."""
    recipe = batches.recipe
    set_training_mode(network, frozen_statistics=recipe.frozen_statistics)
    for group in optimiser.param_groups:
        group["lr"] = rate
    began = time.perf_counter()
    # On a single device Fabric adds this only to `forward`, and cached features go past that.
    with fabric.autocast():
        given = batches.given(network, batch)
        features = time.perf_counter() - began
        logits_NKHW = batches.logits(network, given)
    loss = loss_of(logits_NKHW.float(), batch, recipe, iteration)
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    return loss.detach(), features


def set_training_mode(network: nn.Module, *, frozen_statistics: bool = False) -> None:
    """Set training mode for what learns, and evaluation mode for what is frozen.

    Normalisation in evaluation mode keeps its statistics.
    """
    network.train()
    for module in network.modules():
        if _is_frozen(module) or (frozen_statistics and isinstance(module, nn.BatchNorm2d)):
            module.eval()


def _is_frozen(module: nn.Module) -> bool:
    """Return whether a module has parameters of its own, and none of them learns."""
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)


def loss_of(
    logits_NKHW: Tensor, batch: Batch | FeatureBatch, recipe: Recipe, iteration: int
) -> Tensor:
    """Return the recipe's loss of a batch; iterations are counted from 0."""
    left = max(0.0, 1 - 2 * iteration / recipe.iterations)  # 0 from half-time on
    return organ_loss(
        logits_NKHW,
        batch.organs_NKHW,
        batch.known_NK,
        dice_weight=recipe.dice_weight,
        inside_weight=recipe.inside_weight * left,
    )
