"""A network with everything needed to use it as it was trained."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from recontour.network.description import Provenance
from recontour.network.network import Network
from recontour.network.preprocessing import Preprocessing

PACKAGES = ("recontour", "torch", "numpy", "scipy", "lightning-fabric")


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """What is known about a head besides its weights.

    organs: TG-263 names, in the order of its outputs.
    """

    organs: tuple[str, ...]
    recipe: Mapping[str, Any]
    provenance: Provenance

    @property
    def name(self) -> str:
        """Return the head's name: its centre."""
        return self.provenance.centre


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network and everything needed to use it as it was trained.

    organs, recipe and provenance are those of its own head; organs are TG-263 names, in the order
    of the network's outputs. asked: the other heads, in the order in which the network has them.

    Examples:
        >>> import recontour
        >>> model = recontour.load_model("north.safetensors")
        >>> [head.organs for head in model.asked]
        [('Brainstem', 'Lens_L')]
    """

    network: Network
    organs: tuple[str, ...]
    preprocessing: Preprocessing
    recipe: Mapping[str, Any]
    provenance: Provenance
    asked: tuple[HeadRecord, ...] = ()

    def __post_init__(self) -> None:
        """Raise SettingsError if the network takes another number of slices than it is shown."""
        self.preprocessing.refuse_other_input(self.network.architecture)

    @property
    def heads(self) -> tuple[HeadRecord, ...]:
        """Return what is known about each head, the model's own first."""
        own = HeadRecord(self.organs, self.recipe, self.provenance)
        return (own, *self.asked)

    def share_of(self, head: int) -> dict[str, float]:
        """Return a head's part of the answer, by organ; organs with none are left out.

        head: its place in `heads`.
        """
        shares = self.network.share_HK[head].tolist()
        return {organ: share for organ, share in zip(self.organs, shares, strict=True) if share}


def versions() -> dict[str, str]:
    """Return the versions of what a model is made with now."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def sha256_of(network: Network) -> str:
    """Return a fingerprint of all weights."""
    return joint_sha256([part_sha256(network.trunk), *map(part_sha256, network.heads)])


def joint_sha256(parts: Sequence[str]) -> str:
    """Return the fingerprint of a network from those of its trunk and its heads."""
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def part_sha256(part: nn.Module) -> str:
    """Return a fingerprint of a trunk's or head's weights and normalisation statistics.

    It does not depend on the memory layout.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights_of(part).items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def weights_of(part: nn.Module) -> dict[str, Tensor]:
    """Return weights and statistics as a file holds them: on the CPU, contiguous."""
    weights = {}
    for name, tensor in part.state_dict().items():
        here = tensor.detach().cpu()
        weights[name] = here.contiguous(memory_format=torch.contiguous_format)
    return weights
