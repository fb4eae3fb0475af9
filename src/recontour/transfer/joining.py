"""A model that takes some organs from an adapted model and the others from its parent."""

from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from recontour.errors import SettingsError
from recontour.network import HeadRecord, Model, Network, Provenance
from recontour.network.description import MOST_HEADS
from recontour.network.head import Head
from recontour.network.model import part_sha256
from recontour.network.network import places, split
from recontour.network.trunk import Trunk
from recontour.transfer.findings import Unjoinable


def organ_by_organ(candidate: Model, parent: Model, from_parent: Collection[str]) -> Model:
    """Return a model that answers like the parent for some organs, and like the candidate else.

    The heads of both lie on the trunk that both share; of the parent's, only those that its organs
    need. Each organ has the shares of the model that
    it is taken from. The organs are the candidate's. What the candidate's file says of its own
    contours of an organ is left out if the organ is taken from the parent.

    from_parent: organs that both have.
    Raises: SettingsError: the models see CTs differently, or do not share a trunk.
    """
    _refuse_other_sight(candidate, parent)
    network = deepcopy(candidate.network)
    shares_HK = network.share_HK.clone()
    kept_K = [organ for organ, name in enumerate(candidate.organs) if name in from_parent]
    shares_HK[:, kept_K] = 0.0
    known = places(candidate.organs, parent.organs)
    nothing = [0.0] * len(candidate.organs)
    at = {part_sha256(head): place for place, head in enumerate(network.heads)}
    asked = list(candidate.asked)
    for place, (record, head) in enumerate(_heads_of(parent, network)):
        given_K = parent.network.share_HK[place]
        if not any(given_K[at_parent] for at_parent in map(known.__getitem__, kept_K)):
            continue  # a head of an earlier generation, which no organ needs any more
        sha256 = part_sha256(head)
        if sha256 not in at:
            network.ask(head, places(candidate.organs, record.organs), nothing)
            shares_HK = torch.cat([shares_HK, torch.zeros_like(shares_HK[:1])])
            at[sha256] = len(network.heads) - 1
            asked.append(record)
        _give(shares_HK[at[sha256]], given_K, kept_K, known)
    if len(network.heads) > MOST_HEADS:
        raise SettingsError(Unjoinable(why="heads", most=MOST_HEADS))
    network.share_HK = shares_HK
    provenance = _of_both(candidate.provenance, parent.provenance)
    return replace(
        candidate,
        network=network.eval(),
        asked=tuple(asked),
        provenance=_without(provenance, from_parent),
    )


def _refuse_other_sight(candidate: Model, parent: Model) -> None:
    if candidate.preprocessing != parent.preprocessing:
        raise SettingsError(Unjoinable(why="preprocessing"))
    if candidate.network.architecture != parent.network.architecture:
        raise SettingsError(Unjoinable(why="architecture"))


def _heads_of(parent: Model, network: Network) -> Iterator[tuple[HeadRecord, Head]]:
    """Yield the parent's heads as they go on from a network's trunk.

    Raises: SettingsError: the parent's layers before them are others.
    """
    trunk = part_sha256(network.trunk)
    for record, own in zip(parent.heads, parent.network.heads, strict=True):
        assert isinstance(own, Head)
        first, last = split(parent.network.path_of(own), network.branch)
        if part_sha256(Trunk(first)) != trunk:
            raise SettingsError(Unjoinable(why="trunk"))
        yield record, Head(deepcopy(last))


def _give(
    share_K: Tensor,
    of_parent_K: Tensor,
    kept_K: Collection[int],
    known: list[int | None],
) -> None:
    """Give a head, in place, the shares of the parent's for the organs taken from the parent."""
    for organ in kept_K:
        place = known[organ]
        assert place is not None  # only organs that the parent has are taken from it
        share_K[organ] = of_parent_K[place]


def _without(provenance: Provenance, organs: Collection[str]) -> Provenance:
    """Return a provenance that says nothing of the candidate's contours of some organs.

    The check goes as a whole: its totals are over organs.
    """
    if not organs:
        return provenance
    baseline = provenance.baseline
    if baseline:
        left = {organ: of for organ, of in baseline.offsets.items() if organ not in organs}
        baseline = replace(baseline, offsets=left) if left else None
    return replace(provenance, baseline=baseline, check=None)


def _of_both(candidate: Provenance, parent: Provenance) -> Provenance:
    """Return the candidate's provenance, with the patients of both."""
    if set(parent.trained_on) <= set(candidate.trained_on):
        return candidate
    ranges = candidate.ranges
    if ranges and parent.ranges:
        ranges = ranges.joined(parent.ranges)
    cts = {*candidate.trained_on, *parent.trained_on}
    patients = {*candidate.trained_on_patients, *parent.trained_on_patients}
    profiles = {*candidate.trained_on_tissue_hu, *parent.trained_on_tissue_hu}
    return replace(
        candidate,
        trained_on=tuple(sorted(cts)),
        trained_on_patients=tuple(sorted(patients)),
        trained_on_tissue_hu=tuple(sorted(profiles)),
        ranges=ranges,
    )
