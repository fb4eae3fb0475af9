"""What an adapted network takes over from its parent: every layer, and the scores of their organs.

Afterwards the parent's head may stay beside the network's own, on the trunk that both share.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from recontour.network import Model, Network
from recontour.network.head import Head
from recontour.network.network import places, split

# Only these know organs: two rows of scores each.
SCORES = ("spp.scores.weight", "spp.scores.bias")


def inherit(parent: Model, organs: Sequence[str]) -> tuple[Network, tuple[str, ...]]:
    """Return a network for `organs` with the weights of the parent's own trunk and head.

    Score rows of organs that the parent has are copied; those of new organs are random.
    Returns: the network, and the new organs.
    """
    network = Network(parent.architecture, len(organs))
    own = nn.ModuleDict(network.path)
    weights = nn.ModuleDict(parent.network.path).state_dict()
    at = places(organs, parent.organs)
    for name in SCORES:
        weights[name] = _rows_by_organ(weights[name], own.state_dict()[name], at)
    own.load_state_dict(weights)
    return network, tuple(organ for organ in organs if organ not in parent.organs)


def _rows_by_organ(old: Tensor, new: Tensor, at: Sequence[int | None]) -> Tensor:
    """Return score rows, (2K, ...), in a new order.

    at: where each organ has its rows in `old`; None if they are those in `new`.
    """
    rows = []
    for place, old_place in enumerate(at):
        if old_place is None:
            rows.append(new[2 * place : 2 * place + 2])
        else:
            rows.append(old[2 * old_place : 2 * old_place + 2])
    return torch.cat(rows)


def ask_parent(network: Network, parent: Model, shares: Mapping[str, float]) -> None:
    """Ask the parent's own head beside the network's, from the first stage that learns on.

    shares: for each of the network's organs, in its order, the parent's part of the scores, 0 to 1;
        it has none for an organ that it does not know.
    """
    network.branch_at(network.first_that_learns)
    _, last = split(parent.network.path, network.branch)
    head = Head(deepcopy(last))
    network.ask(head, places(tuple(shares), parent.organs), list(shares.values()))
