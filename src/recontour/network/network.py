"""The network: one trunk, its own head, and heads of other centres that it asks, too."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from recontour.network.architecture import AnyArchitecture
from recontour.network.head import Head
from recontour.network.layers import interpolated
from recontour.network.stages import Maps, stages_of, through
from recontour.network.trunk import Trunk

Stages = Mapping[str, nn.Module]

LEAST_SHARE = 1e-6  # shares are float32


class Network(nn.Module):
    """CT slices -> per organ, independently of the others, how much it outweighs background.

    The way of the data: CT -> trunk -> a stack of maps -> a head -> scores -> logits.

    A slice's sides must be 8n + 1 pixels, so that the interpolation by 8 meets the corners:
    417 = 8 * 52 + 1. A U-Net, whose coarsest map has stride 32, needs 32n + 1: 225 = 32 * 7 + 1.

    S is `architecture.slices`, how many it sees at a time: the one whose organs it seeks, then that
    one's neighbours.

    heads: the first is the network's own, and the only one that learns, from its own scores alone.
    When the network does not learn, its scores are the mean over all heads, weighed by share_HK.

    >>> from recontour.network import Architecture
    >>> network = Network(Architecture(8, (8, 8, 8, 8), (1, 1, 1), 1, spp_channels=8), organs=2)
    >>> network(torch.zeros(1, 1, 33, 33)).shape
    torch.Size([1, 2, 33, 33])
    """

    share_HK: Tensor

    def __init__(self, architecture: AnyArchitecture, organs: int) -> None:
        super().__init__()
        self.architecture = architecture
        self._join(stages_of(architecture, organs), architecture.branch)
        # A network on the meta device has shapes, but no numbers to draw.
        if not self.own_head.last_layer.weight.is_meta:
            self._draw_weights()
        all_its_own_1K = torch.ones(1, organs, device="cpu")
        self.register_buffer("share_HK", all_its_own_1K, persistent=False)

    def _join(self, stages: Stages, branch: str) -> None:
        first, last = split(stages, branch)
        self.trunk = Trunk(first)
        self.heads = nn.ModuleList([Head(last)])

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.own_head.last_layer.weight, std=0.01)

    # Parts

    @property
    def own_head(self) -> Head:
        """Return the head that learns."""
        return self._heads()[0]

    @property
    def path(self) -> dict[str, nn.Module]:
        """Return the stages that lead to its own scores, by name."""
        return self.path_of(self.own_head)

    def path_of(self, head: Head) -> dict[str, nn.Module]:
        """Return the stages that lead to a head's scores, by name."""
        return dict(self.trunk.items()) | dict(head.items())

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of the trunk and its own head."""
        for stage in self.path.values():
            yield from stage.parameters()

    def _heads(self) -> list[Head]:
        heads = []
        for head in self.heads:
            assert isinstance(head, Head)
            heads.append(head)
        return heads

    # Where the head begins

    @property
    def branch(self) -> str:
        """Return the stage with which the heads begin."""
        return next(iter(self.own_head))

    def branch_at(self, stage: str) -> None:
        """Let the head begin with another stage; possible until other heads are asked."""
        if len(self.heads) > 1:
            raise ValueError("the heads that are asked begin where the network's own does")
        self._join(self.path, stage)

    # What learns

    @property
    def frozen_stages(self) -> tuple[str, ...]:
        """Return the first stages, as far as nothing in them learns."""
        frozen = []
        for name, stage in self.path.items():
            if _learns(stage):
                break
            frozen.append(name)
        return tuple(frozen)

    @property
    def first_that_learns(self) -> str:
        """Return the stage after the frozen ones."""
        return list(self.path)[len(self.frozen_stages)]

    @property
    def features_are_frozen(self) -> bool:
        """Return whether nothing learns that `features` runs."""
        first, _ = split(self.path, self.architecture.branch)
        return set(first) <= set(self.frozen_stages)

    # Other heads

    def ask(
        self,
        head: Head,
        organs: Sequence[int | None],
        shares: Sequence[float],
    ) -> None:
        """Add another head: it does not learn, but contributes a share of each answer.

        organs: where the head has each of the network's organs; None if it does not know it.
        shares: the head's part of each organ's scores, 0 to 1.
        """
        # For an organ that it does not know, a head's first organ stands in, with a share of 0.
        known_organs = []
        known_shares = []
        for organ, share in zip(organs, shares, strict=True):
            known_organs.append(organ or 0)
            known_shares.append(0.0 if organ is None else share)
        head.last_layer.answer_for(known_organs)
        head.requires_grad_(requires_grad=False)
        self.heads.append(head)
        share_1K = torch.tensor([known_shares], device="cpu")
        self.set_shares(torch.cat([self.share_HK[1:], share_1K]))

    def set_shares(self, given_HK: Tensor) -> None:
        """Set the other heads' shares, (heads, organs); the rest is its own.

        A rest that is a mere rounding error is none.
        """
        own_1K = 1 - given_HK.sum(dim=0, keepdim=True)
        own_1K[own_1K.abs() < LEAST_SHARE] = 0.0
        self.share_HK = torch.cat([own_1K, given_HK])

    # What it computes

    def features(self, ct_NSHW: Tensor) -> Maps:
        """Run the stages before the architecture's branch, wherever its heads begin.

        Turns a windowed CT (N, S, H, W) into a stack of maps.
        """
        first, _ = split(self.path, self.architecture.branch)
        return through(first.values(), (ct_NSHW,))

    def own_scores(self, features: Maps) -> Tensor:
        """Run the other stages: features -> (N, 2K, h, w) scores of its own head."""
        _, last = split(self.path, self.architecture.branch)
        *_, scores_N2Khw = through(last.values(), features)
        return scores_N2Khw

    def scores(self, ct_NSHW: Tensor) -> Tensor:
        """Turn a windowed CT (N, S, H, W) into scores (N, 2K, h, w).

        Other heads are asked only when the network does not learn.
        """
        maps = self.trunk(ct_NSHW)
        own, *others = self.heads
        scores_N2Khw: Tensor = own(maps)
        if self.training or not others:
            return scores_N2Khw
        share_H2K = self.share_HK.repeat_interleave(2, dim=1)
        own_share, *shares = share_H2K[..., None, None]
        scores_N2Khw = scores_N2Khw * own_share
        for head, share_2K11 in zip(others, shares, strict=True):
            scores_N2Khw = scores_N2Khw + head(maps) * share_2K11
        return scores_N2Khw

    def logits(self, features: Maps, size: Sequence[int]) -> Tensor:
        """Return what its own head says about features: (N, K, *size) logits."""
        return _logits(self.own_scores(features), size)

    def forward(self, ct_NSHW: Tensor) -> Tensor:
        """Turn a windowed CT (N, S, H, W) into logits (N, K, H, W)."""
        return _logits(self.scores(ct_NSHW), ct_NSHW.shape[-2:])


def split(stages: Stages, branch: str) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """Part stages into those before a stage, and that one with those after it."""
    at = list(stages).index(branch)
    ordered = list(stages.items())
    return dict(ordered[:at]), dict(ordered[at:])


def places(organs: Sequence[str], known: Sequence[str]) -> list[int | None]:
    """Return the index of each organ among the known ones; None for an unknown organ.

    >>> places(["Lens_L", "Larynx"], ["Brainstem", "Lens_L"])
    [1, None]
    """
    at = {organ: place for place, organ in enumerate(known)}
    return [at.get(organ) for organ in organs]


def _learns(stage: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in stage.parameters())


def _logits(scores_N2Khw: Tensor, size: Sequence[int]) -> Tensor:
    """Return logits, (N, K, *size): the organ's score less the background's.

    The softmax of an organ's two scores is the sigmoid of their difference. Interpolation is
    linear, so the difference may be taken before it, which halves its cost and changes nothing.
    """
    background_NKhw = scores_N2Khw[:, 0::2]
    organ_NKhw = scores_N2Khw[:, 1::2]
    return interpolated(organ_NKhw - background_NKhw, size)
