"""The loop: it learns, and says after each iteration how it went.

Who calls it shows, saves and stops.
"""

import time
from collections.abc import Generator
from contextlib import closing
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

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True, slots=True)
class Step:
    """One iteration, done."""

    iteration: int  # counted from 1
    loss: float
    learning_rate: float  # that this iteration's step was made with
    seconds: float  # wall clock of the whole iteration ...
    waited: float  # ... of which waiting for data ...
    features: float  # ... and of which making features that a frozen trunk's store did not have


def optimiser_of(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The recipe's optimiser for the layers that are not frozen."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if recipe.optimiser == "sgd":
        return SGD(
            learning, recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
        )
    if recipe.optimiser == "adamw":
        return AdamW(learning, recipe.learning_rate, weight_decay=recipe.weight_decay)
    raise SettingsError(f"optimiser '{recipe.optimiser}' is unknown; choose sgd or adamw")


def learning_rate_at(iteration: int, recipe: Recipe) -> float:
    """The "poly" schedule, after a linear rise over the warm-up, for an iteration counted from 0."""
    rise = min(1.0, (iteration + 1) / (recipe.warm_up + 1))
    return float(recipe.learning_rate * rise * (1 - iteration / recipe.iterations) ** recipe.power)


@dataclass(slots=True)
class Position:
    """How far a network has been trained."""

    done: int  # iterations
    unbroken: Unbroken = field(
        default_factory=Unbroken
    )  # an iteration; if it was broken off, the weights lie between


def learn(
    fabric: "Fabric",
    network: Network,
    optimiser: Optimizer,
    batches: Batches | FeatureBatches,
    position: Position,
    *,
    workers: int,
) -> Generator[Step]:
    """Train from a position, which goes with it, to the recipe's end.

    network and optimiser were set up by the fabric. Frozen layers, those whose parameters need no
    gradient, stay as they are to the bit, normalisation statistics included.
    """
    recipe = batches.recipe
    with closing(prepared(batches, position.done, workers)) as coming:
        began = time.perf_counter()
        for iteration, prepared_batch in enumerate(coming, start=position.done):
            batch = fabric.to_device(prepared_batch)
            waited = time.perf_counter() - began
            rate = learning_rate_at(iteration, recipe)
            with position.unbroken:
                loss, features = _iterate(
                    fabric, network, optimiser, batches, batch, iteration, rate
                )
                position.done = iteration + 1
            yield Step(iteration + 1, loss, rate, time.perf_counter() - began, waited, features)
            began = time.perf_counter()


def _iterate(
    fabric: "Fabric",
    network: Network,
    optimiser: Optimizer,
    batches: Batches | FeatureBatches,
    batch: Any,
    iteration: int,
    rate: float,
) -> tuple[float, float]:
    """One step with a batch: the loss, and the seconds that making features took."""
    recipe = batches.recipe
    set_training_mode(network, frozen_statistics=recipe.frozen_statistics)
    for group in optimiser.param_groups:
        group["lr"] = rate
    featuring = time.perf_counter()
    given = batches.given(network, batch)
    features = time.perf_counter() - featuring
    loss = loss_of(batches.logits(network, given), batch, recipe, iteration)
    return _step(fabric, optimiser, loss), features


def set_training_mode(network: nn.Module, *, frozen_statistics: bool = False) -> None:
    """Training mode for what learns, evaluation mode for what is frozen, so that its statistics
    stay.
    """
    network.train()
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        frozen = own and not any(parameter.requires_grad for parameter in own)
        if frozen or (frozen_statistics and isinstance(module, nn.BatchNorm2d)):
            module.eval()


def _step(fabric: "Fabric", optimiser: Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    optimiser.step()
    return float(loss.detach())


def loss_of(
    logits_NKHW: Tensor, batch: Batch | FeatureBatch, recipe: Recipe, iteration: int
) -> Tensor:
    """The recipe's loss of a batch, in an iteration counted from 0."""
    return organ_loss(
        logits_NKHW,
        batch.organs_NKHW,
        batch.known_NK,
        dice_weight=recipe.dice_weight,
        inside_weight=recipe.inside_weight * max(0.0, 1 - 2 * iteration / recipe.iterations),
    )
