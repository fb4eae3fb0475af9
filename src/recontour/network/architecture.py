"""The paper's network: Conv1, Conv2-4, cascaded atrous convolution (CAC), spatial pyramid pooling (SPP), interpolation.

Tensors carry their axes in the name: N slices, C channels, K organs, H rows, W columns.
Source: Chen et al. 2023, doi:10.3389/fphy.2023.1147900, Table 1 and figure 1. What the paper leaves open is a field
of `Architecture`, and its default is a reading, not a fact.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name all of PyTorch's users know)


@dataclass(frozen=True, slots=True)
class Architecture:
    """What determines the network's shape, apart from the organs. The defaults are Table 1's."""

    stem_channels: int = 64
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)  # channels inside the bottlenecks of Conv2, 3, 4, 5
    blocks: tuple[int, int, int] = (3, 4, 23)  # bottlenecks in Conv2, 3, 4; Conv5 (the CAC) always has three
    expansion: int = 4  # a bottleneck's output has that many times its width
    conv4_rate: int = 2  # Conv4 is not strided but atrous: the output stride stays 8
    cac_rates: tuple[int, int, int] = (4, 8, 16)
    spp_channels: int = 256
    spp_rates: tuple[int, int, int] = (6, 12, 18)
    norm: str = "batch"  # or "group"
    parent_head: bool = False  # beyond the paper: the parent's CAC and SPP stay beside the network's own, see Network


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
            nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(max(1, channels // 16), channels),
        )
        if relu:
            self.append(nn.ReLU(inplace=True))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a connection past them: three layers. A stride acts in the first, as Table 1's sizes say."""

    def __init__(self, channels_in: int, width: int, channels: int, norm: str, *, stride: int = 1, rate: int = 1):
        super().__init__()
        self.a = Conv(channels_in, width, 1, norm, stride=stride)
        self.b = Conv(width, width, 3, norm, rate=rate)
        self.c = Conv(width, channels, 1, norm, relu=False)
        projected = stride != 1 or channels_in != channels
        self.connection = Conv(channels_in, channels, 1, norm, stride=stride, relu=False) if projected else None

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels, H / stride, W / stride)."""
        past = x_NCHW if self.connection is None else self.connection(x_NCHW)
        return F.relu(past + self.c(self.b(self.a(x_NCHW))), inplace=True)


class PyramidPooling(nn.Module):
    """A 1x1 and three atrous 3x3 convolutions side by side, fused into two scores an organ: one layer."""

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
        """(N, channels_in, h, w) -> (N, 2K, h, w): background and foreground score of organ 0, of organ 1, ..."""
        scores_N2Khw: Tensor = self.scores(torch.cat([branch(x_NChw) for branch in self.branches], dim=1))
        return scores_N2Khw


class Network(nn.Module):
    """CT slices -> for every organ, independently of the others, how much organ beats background.

    A slice's sides must be 8n + 1 pixels, so that the interpolation by 8 meets the corners: 417 = 8 * 52 + 1.

    An adapted network may keep its parent's head beside its own. Both read the same trunk; when it does not learn, its
    scores are both heads' mean, weighed by `parent_share_K`. What learns is its own head alone, by its own scores.
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
        self.conv4 = _stage(a.blocks[2], channels[2], a.widths[2], channels[3], a.norm, rate=a.conv4_rate)
        self.conv5 = _cac(channels[3], channels[4], a)
        self.spp = PyramidPooling(channels[4], a, organs)
        self.parent_head: nn.Sequential | None = None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.spp.scores.weight, std=0.01)
        if a.parent_head:
            self.add_parent_head(a, organs)

    def add_parent_head(self, architecture: Architecture, organs: int) -> None:
        """Put a second head, whose weights are still to come, and which has no say yet, beside the network's own."""
        channels = architecture.widths[3] * architecture.expansion
        conv5 = _cac(self.feature_channels, channels, architecture)
        self.parent_head = nn.Sequential(OrderedDict(conv5=conv5, spp=PyramidPooling(channels, architecture, organs)))
        self.parent_share_K: Tensor
        self.register_buffer("parent_share_K", torch.zeros(organs))

    @property
    def trunk_is_frozen(self) -> bool:
        """Whether nothing of Conv1 to Conv4 learns."""
        trunk = (self.conv1, self.conv2, self.conv3, self.conv4)
        return not any(parameter.requires_grad for stage in trunk for parameter in stage.parameters())

    def features(self, ct_N1HW: Tensor) -> Tensor:
        """The trunk, Conv1 to Conv4: (N, 1, H, W) windowed CT -> (N, C, H / 8, W / 8)."""
        features_NChw: Tensor = self.conv4(self.conv3(self.conv2(self.pool1(self.conv1(ct_N1HW)))))
        return features_NChw

    def head(self, features_NChw: Tensor) -> Tensor:
        """CAC and SPP: the trunk's features -> (N, 2K, H / 8, W / 8) scores."""
        scores_N2Khw: Tensor = self.spp(self.conv5(features_NChw))
        if self.parent_head is None or self.training:
            return scores_N2Khw
        share_2K11 = self.parent_share_K.repeat_interleave(2)[:, None, None]
        parents_N2Khw: Tensor = self.parent_head(features_NChw)
        return scores_N2Khw * (1 - share_2K11) + parents_N2Khw * share_2K11

    def scores(self, ct_N1HW: Tensor) -> Tensor:
        """(N, 1, H, W) windowed CT -> the head's scores, coarse as they are."""
        return self.head(self.features(ct_N1HW))

    def logits(self, features_NChw: Tensor, size: Sequence[int]) -> Tensor:
        """The trunk's features -> (N, K, *size) logits: the organ's score minus the background's.

        The softmax of an organ's two scores is the sigmoid of their difference. The interpolation is linear, so the
        difference may be taken before it, which halves its cost and changes nothing.
        """
        scores_N2Khw = self.head(features_NChw)
        logits_NKhw = scores_N2Khw[:, 1::2] - scores_N2Khw[:, 0::2]
        return interpolated(logits_NKhw, size)

    def forward(self, ct_N1HW: Tensor) -> Tensor:
        """(N, 1, H, W) windowed CT -> (N, K, H, W) logits."""
        return self.logits(self.features(ct_N1HW), ct_N1HW.shape[-2:])


def interpolated(maps_NKhw: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear interpolation that meets the corners: (N, K, *size), contiguous.

    As two products with matrices, which costs half the time of PyTorch's own, forwards and backwards.
    """
    rows_Hh, columns_Ww = (_linear(side, long, maps_NKhw) for side, long in zip(maps_NKhw.shape[2:], size, strict=True))
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
    blocks: int, channels_in: int, width: int, channels: int, norm: str, *, stride: int = 1, rate: int = 1
) -> nn.Sequential:
    first = Bottleneck(channels_in, width, channels, norm, stride=stride, rate=rate)
    return nn.Sequential(first, *(Bottleneck(channels, width, channels, norm, rate=rate) for _ in range(blocks - 1)))
