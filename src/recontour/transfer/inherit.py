"""What an adapted network takes over from its parent: every layer, and the scores of the organs that both have."""

from collections.abc import Sequence

import torch
from torch import Tensor

from recontour.network import Model, Network


def inherit(parent: Model, organs: Sequence[str]) -> tuple[Network, tuple[str, ...]]:
    """A network for `organs` with the parent's weights.

    Only the last convolution knows organs: two score rows each. Rows of an organ that the parent has are copied, those
    of a new organ start fresh.
    Returns: the network, and the organs that start fresh.
    """
    network = Network(parent.architecture, len(organs))
    weights = parent.network.state_dict()
    fresh = network.state_dict()
    for name in ("spp.scores.weight", "spp.scores.bias"):
        weights[name] = _rows_by_organ(weights[name], parent.organs, fresh[name], organs)
    network.load_state_dict(weights)
    return network, tuple(organ for organ in organs if organ not in parent.organs)


def _rows_by_organ(old: Tensor, old_organs: Sequence[str], new: Tensor, organs: Sequence[str]) -> Tensor:
    """Score rows, (2K, ...), in the new order."""
    pairs = [
        (old, old_organs.index(organ)) if organ in old_organs else (new, position)
        for position, organ in enumerate(organs)
    ]
    return torch.cat([rows[2 * k : 2 * k + 2] for rows, k in pairs])
