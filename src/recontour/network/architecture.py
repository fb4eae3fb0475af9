"""The paper's network: Conv1, Conv2-4, cascaded atrous convolution (CAC), spatial pyramid pooling
(SPP), interpolation.

Tensors carry their axes in the name: N slices, C channels, K organs, H rows, W columns.
Source: Chen et al. 2023, doi:10.3389/fphy.2023.1147900, Table 1 and figure 1. What the paper leaves
    open is a field of `Architecture`, and its default is a reading, not a fact.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated, ClassVar

import torch
from pydantic import ConfigDict, Field, Strict
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5", "spp")
TRUNK = 4  # of these are the trunk, and the others the head

# What a model file may say. `paper`, the largest preset, has 512 channels, 23 blocks, rates to 18
# and expansion 4.
Channels = Annotated[int, Strict(), Field(ge=1, le=4096)]
Blocks = Annotated[int, Strict(), Field(ge=1, le=100)]
Rate = Annotated[int, Strict(), Field(ge=1, le=64)]
Norm = Annotated[str, Strict(), Field(pattern="^(batch|group)$")]
StageName = Annotated[str, Strict(), Field(pattern=f"^({'|'.join(STAGES)})$")]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What determines the network's shape, apart from the organs. The defaults are Table 1's.

    The bounds hold for what is read from a file; who builds an architecture in Python is free.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    stem_channels: Channels = 64
    # Inside the bottlenecks of Conv2, 3, 4 and 5.
    widths: tuple[Channels, Channels, Channels, Channels] = (64, 128, 256, 512)
    blocks: tuple[Blocks, Blocks, Blocks] = (
        3,
        4,
        23,
    )  # bottlenecks in Conv2, 3, 4; Conv5 (the CAC) always has three
    expansion: Annotated[int, Strict(), Field(ge=1, le=16)] = (
        4  # a bottleneck's output has that many times its width
    )
    conv4_rate: Rate = 2  # Conv4 is not strided but atrous: the output stride stays 8
    cac_rates: tuple[Rate, Rate, Rate] = (4, 8, 16)
    spp_channels: Channels = 256
    spp_rates: tuple[Rate, Rate, Rate] = (6, 12, 18)
    norm: Norm = "batch"
    parent_from: StageName | None = (
        None  # beyond the paper: from this stage on the parent's own stay, too, see Network
    )


class Conv(nn.Sequential):
    """A convolution, its normalisation and (mostly) a ReLU: what the paper counts as one layer."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        kernel: int,
        norm: str,
        *,
        stride: int = 1,
        rate: int = 1,
        relu: bool = True,
    ) -> None:
        padding = rate * (kernel // 2)
        super().__init__(
            nn.Conv2d(channels_in, channels, kernel, stride, padding, dilation=rate, bias=False),
            nn.BatchNorm2d(channels)
            if norm == "batch"
            else nn.GroupNorm(max(1, channels // 16), channels),
        )
        if relu:
            self.append(nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a connection past them:

    three layers. A stride acts in the first, as Table 1's sizes say.
    """

    def __init__(
        self,
        channels_in: int,
        width: int,
        channels: int,
        norm: str,
        *,
        stride: int = 1,
        rate: int = 1,
    ):
        super().__init__()
        self.a = Conv(channels_in, width, 1, norm, stride=stride)
        self.b = Conv(width, width, 3, norm, rate=rate)
        self.c = Conv(width, channels, 1, norm, relu=False)
        projected = stride != 1 or channels_in != channels
        self.connection = (
            Conv(channels_in, channels, 1, norm, stride=stride, relu=False) if projected else None
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels, H / stride, W / stride)."""
        past = x_NCHW if self.connection is None else self.connection(x_NCHW)
        return F.relu(past + self.c(self.b(self.a(x_NCHW))), inplace=True)


class PyramidPooling(nn.Module):
    """A 1x1 and three atrous 3x3 convolutions side by side, fused into two scores an organ:

    one layer.
    """

    def __init__(self, channels_in: int, architecture: Architecture, organs: int) -> None:
        super().__init__()
        a, channels = architecture, architecture.spp_channels
        self.branches = nn.ModuleList(
            [
                Conv(channels_in, channels, 1, a.norm),
                *(Conv(channels_in, channels, 3, a.norm, rate=rate) for rate in a.spp_rates),
            ]
        )
        self.scores = nn.Conv2d(channels * len(self.branches), 2 * organs, 1)

    def forward(self, x_NChw: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, 2K, h, w):

        background and foreground score of organ 0, of organ 1, ...
        """
        scores_N2Khw: Tensor = self.scores(
            torch.cat([branch(x_NChw) for branch in self.branches], dim=1)
        )
        return scores_N2Khw


class Network(nn.Module):
    """CT slices -> for every organ, independently of the others, how much organ beats background.

    A slice's sides must be 8n + 1 pixels, so that the interpolation by 8 meets the corners: 417 = 8
    * 52 + 1.

    An adapted network may keep its parent: beside its own stages the parent's, from the first one
        that learns on; those before are the same in both. When it does not learn, its scores are
        the mean of both, weighed by `parent_share_K`. What learns are its own stages alone, by
        their own scores.
    """

    def __init__(self, architecture: Architecture, organs: int) -> None:
        super().__init__()
        a = architecture
        channels = [a.stem_channels, *(width * a.expansion for width in a.widths)]
        self.feature_channels = channels[3]  # of the trunk
        self.conv1 = Conv(1, a.stem_channels, 7, a.norm, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(a.blocks[0], channels[0], a.widths[0], channels[1], a.norm)
        self.conv3 = _stage(a.blocks[1], channels[1], a.widths[1], channels[2], a.norm, stride=2)
        self.conv4 = _stage(
            a.blocks[2], channels[2], a.widths[2], channels[3], a.norm, rate=a.conv4_rate
        )
        self.conv5 = _cac(channels[3], channels[4], a)
        self.spp = PyramidPooling(channels[4], a, organs)
        self.parent = nn.ModuleDict()  # its stages, by the same names
        if not self.spp.scores.weight.is_meta:  # a network of shapes alone has nothing to draw
            self._draw_weights()
        if a.parent_from is not None:
            self.add_parent(a.parent_from)

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.spp.scores.weight, std=0.01)

    def add_parent(self, first: str) -> None:
        """Put a parent's stages, from `first` on, beside the own ones:

        copies of them, which have no say yet.
        """
        stages = self._own(STAGES.index(first))
        self.parent.update({name: deepcopy(stage) for name, stage in stages.items()})
        self.parent_share_K: Tensor
        self.register_buffer("parent_share_K", torch.zeros(self.spp.scores.out_channels // 2))

    @property
    def frozen_stages(self) -> tuple[str, ...]:
        """The first stages, as far as nothing of them learns."""
        stages = self._own().items()
        frozen = takewhile(
            lambda item: not any(p.requires_grad for p in item[1].parameters()), stages
        )
        return tuple(name for name, _ in frozen)

    @property
    def first_that_learns(self) -> str:
        """The stage after those."""
        return STAGES[len(self.frozen_stages)]

    @property
    def trunk_is_frozen(self) -> bool:
        """Whether nothing of Conv1 to Conv4 learns."""
        return "conv4" in self.frozen_stages

    def features(self, ct_N1HW: Tensor) -> Tensor:
        """The trunk, Conv1 to Conv4: (N, 1, H, W) windowed CT -> (N, C, H / 8, W / 8)."""
        return self._through(self._own(0, TRUNK), ct_N1HW)

    def head(self, features_NChw: Tensor) -> Tensor:
        """Its own CAC and SPP: the trunk's features -> (N, 2K, H / 8, W / 8) scores."""
        return self._through(self._own(TRUNK), features_NChw)

    def scores(self, ct_N1HW: Tensor) -> Tensor:
        """(N, 1, H, W) windowed CT -> (N, 2K, H / 8, W / 8) scores, the parent's among them unless
        it learns.
        """
        if self.training or not self.parent:
            return self.head(self.features(ct_N1HW))
        apart = len(STAGES) - len(self.parent)
        x_NChw = self._through(self._own(0, apart), ct_N1HW)
        own_N2Khw, parents_N2Khw = (
            self._through(stages, x_NChw) for stages in (self._own(apart), self.parent)
        )
        share_2K11 = self.parent_share_K.repeat_interleave(2)[:, None, None]
        return own_N2Khw * (1 - share_2K11) + parents_N2Khw * share_2K11

    def _own(self, first: int = 0, last: int | None = None) -> dict[str, nn.Module]:
        return {name: getattr(self, name) for name in STAGES[first:last]}

    def _through(self, stages: Mapping[str, nn.Module] | nn.ModuleDict, x_NChw: Tensor) -> Tensor:
        for name, stage in stages.items():
            x_NChw = stage(x_NChw)
            if name == "conv1":
                x_NChw = self.pool1(x_NChw)
        return x_NChw

    def logits(self, features_NChw: Tensor, size: Sequence[int]) -> Tensor:
        """What its own head says of the trunk's features: (N, K, *size) logits."""
        return _logits(self.head(features_NChw), size)

    def forward(self, ct_N1HW: Tensor) -> Tensor:
        """(N, 1, H, W) windowed CT -> (N, K, H, W) logits."""
        return _logits(self.scores(ct_N1HW), ct_N1HW.shape[-2:])


def _logits(scores_N2Khw: Tensor, size: Sequence[int]) -> Tensor:
    """Logits, (N, K, *size): the organ's score minus the background's.

    The softmax of an organ's two scores is the sigmoid of their difference. The interpolation is
    linear, so the difference may be taken before it, which halves its cost and changes nothing.
    """
    return interpolated(scores_N2Khw[:, 1::2] - scores_N2Khw[:, 0::2], size)


def interpolated(maps_NKhw: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation that meets the corners: (N, K, *size), contiguous.

    As two products with matrices, which costs half the time of PyTorch's own, forwards and
    backwards.
    """
    rows_Hh, columns_Ww = (
        _linear(side, long, maps_NKhw) for side, long in zip(maps_NKhw.shape[2:], size, strict=True)
    )
    return rows_Hh @ (maps_NKhw @ columns_Ww.T)


def _linear(short: int, long: int, like: Tensor) -> Tensor:
    """What `short` values in a row weigh in each of the `long` between them: (long, short)."""
    every_1ss = torch.eye(short, dtype=like.dtype, device=like.device)[None]
    return F.interpolate(every_1ss, size=long, mode="linear", align_corners=True)[0].T


def _cac(channels_in: int, channels: int, a: Architecture) -> nn.Sequential:
    """Conv5: bottlenecks of growing atrous rates, one after the other."""
    return nn.Sequential(
        *(
            Bottleneck(channels if i else channels_in, a.widths[3], channels, a.norm, rate=rate)
            for i, rate in enumerate(a.cac_rates)
        )
    )


def _stage(
    blocks: int,
    channels_in: int,
    width: int,
    channels: int,
    norm: str,
    *,
    stride: int = 1,
    rate: int = 1,
) -> nn.Sequential:
    first = Bottleneck(channels_in, width, channels, norm, stride=stride, rate=rate)
    return nn.Sequential(
        first, *(Bottleneck(channels, width, channels, norm, rate=rate) for _ in range(blocks - 1))
    )
