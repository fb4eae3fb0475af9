"""What an adapted network takes over from its parent:

every layer, and the scores of the organs that both have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from recontour.network import Model, Network

SCORES = ("spp.scores.weight", "spp.scores.bias")  # only these know organs: two score rows each


def inherit(parent: Model, organs: Sequence[str]) -> tuple[Network, tuple[str, ...]]:
    """A network for `organs` with the parent's weights.

    Score rows of an organ that the parent has are copied, those of a new organ start fresh.
    Returns: the network, and the organs that start fresh.
    """
    network = Network(replace(parent.architecture, parent_from=None), len(organs))
    network.load_state_dict(_weights(parent, organs, network.state_dict()))
    return network, tuple(organ for organ in organs if organ not in parent.organs)


def keep_parent(network: Network, parent: Model, shares: Mapping[str, float]) -> str:
    """Keep the parent's stages, which never learn, beside those of a network from the first one
    that learns on.

    shares: for each of the network's organs, in its order, what part of the scores the parent may
        have, 0 ... 1; of an organ that it does not know it has none.
    Returns: the first of these stages.
    """
    first = network.first_that_learns
    network.add_parent(first)
    weights = _weights(parent, tuple(shares), network.state_dict())
    network.parent.load_state_dict({name: weights[name] for name in network.parent.state_dict()})
    network.parent.requires_grad_(False)
    known = [share if organ in parent.organs else 0.0 for organ, share in shares.items()]
    network.parent_share_K.copy_(torch.tensor(known))
    return first


def _weights(
    parent: Model, organs: Sequence[str], fresh: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The parent's own weights with score rows for `organs`;

    of organs it does not know those of `fresh`.
    """
    weights = {
        name: tensor
        for name, tensor in parent.network.state_dict().items()
        if not name.startswith("parent")
    }
    rows = {
        name: _rows_by_organ(weights[name], parent.organs, fresh[name], organs) for name in SCORES
    }
    return weights | rows


def _rows_by_organ(
    old: Tensor, old_organs: Sequence[str], new: Tensor, organs: Sequence[str]
) -> Tensor:
    """Score rows, (2K, ...), in the new order."""
    pairs = [
        (old, old_organs.index(organ)) if organ in old_organs else (new, position)
        for position, organ in enumerate(organs)
    ]
    return torch.cat([rows[2 * k : 2 * k + 2] for rows, k in pairs])
