"""What an adapted network takes over from its parent: every layer, and the scores of their organs.

Afterwards the parent's head may stay beside the network's own, on the trunk that both share, and so
may the heads of sisters: models that were adapted from the same parent to some of the patients.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn

from recontour.network import Model, Network
from recontour.network.head import Head
from recontour.network.network import places, split


def inherit(parent: Model, organs: Sequence[str]) -> tuple[Network, tuple[str, ...]]:
    """Return a network for `organs` with the weights of the parent's own trunk and head.

    Score rows of organs that the parent has are copied; those of new organs are random.
    Returns: the network, and the new organs.
    """
    network = Network(parent.network.architecture, len(organs))
    own = nn.ModuleDict(network.path)
    weights = nn.ModuleDict(parent.network.path).state_dict()
    at = places(organs, parent.organs)
    scores = network.own_head.last_layer
    for name, fresh in own.named_parameters():
        if fresh is scores.weight or fresh is scores.bias:
            weights[name] = _rows_by_organ(weights[name], fresh.detach(), at)
    own.load_state_dict(weights)
    return network, lacking(organs, parent.organs)


def lacking(organs: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the organs that are not among the known ones.

    >>> lacking(["Lens_L", "Larynx"], ["Brainstem", "Lens_L"])
    ('Larynx',)
    """
    return tuple(organ for organ in organs if organ not in known)


def _rows_by_organ(
    old: Tensor,
    new: Tensor,
    at: Sequence[int | None],
) -> Tensor:
    """Return score rows, (2K, ...), in a new order.

    at: where each organ has its rows in `old`; None if they are those in `new`.
    """
    rows = []
    for place, old_place in enumerate(at):
        if old_place is None:
            rows.append(_rows_of(new, place))
        else:
            rows.append(_rows_of(old, old_place))
    return torch.cat(rows)


def _rows_of(scores: Tensor, place: int) -> Tensor:
    """Return an organ's two rows: background's and its own."""
    first = 2 * place
    return scores[first : first + 2]


def ask_parent(
    network: Network,
    parent: Model,
    shares: Mapping[str, float],
) -> None:
    """Add the parent's own head to the network, from the first stage that learns; see `ask`."""
    network.branch_at(network.first_that_learns)
    ask(network, parent, shares)


def ask(
    network: Network,
    relative: Model,
    shares: Mapping[str, float],
) -> None:
    """Add the own head of a parent or a sister to the network, from where its heads begin.

    shares: for each of the network's organs, in its order, the relative's part of the scores, 0 to
        1; it has none for an organ that it does not know.
    """
    _, last = split(relative.network.path, network.branch)
    known = places(list(shares), relative.organs)
    network.ask(Head(deepcopy(last)), known, list(shares.values()))
