"""The paper's network: Conv1, Conv2-4, cascaded atrous convolution (CAC), spatial pyramid pooling (SPP), interpolation.

Tensors carry their axes in the name: N slices, C channels, K organs, H rows, W columns.
Source: Chen et al. 2023, doi:10.3389/fphy.2023.1147900, Table 1 and figure 1. What the paper leaves open is a field
of `Architecture`, and its default is a reading, not a fact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    norm: str = "group"  # "batch" or "group"
    refine_channels: int = 0  # beyond the paper: join Conv2's features, at twice the resolution, to SPP; 0: do not


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
    """A 1x1 and three atrous 3x3 convolutions side by side, fused into two scores an organ: one layer.

    With a refinement, which the paper does not have, still one.
    """

    def __init__(self, channels_in: int, fine_channels: int, architecture: Architecture, organs: int) -> None:
        super().__init__()
        a, channels = architecture, architecture.spp_channels
        self.branches = nn.ModuleList(
            [
                Conv(channels_in, channels, 1, a.norm),
                *(Conv(channels_in, channels, 3, a.norm, rate=rate) for rate in a.spp_rates),
            ]
        )
        fused = channels * len(self.branches)
        self.refinement = Refinement(fused, fine_channels, a.refine_channels, a.norm) if a.refine_channels else None
        self.scores = nn.Conv2d(a.refine_channels or fused, 2 * organs, 1)

    def forward(self, x_NChw: Tensor, fine_NCHW: Tensor) -> Tensor:
        """(N, channels_in, h, w) -> (N, 2K, h, w): background and foreground score of organ 0, of organ 1, ...

        With a refinement at the size of fine_NCHW, which without one is not looked at.
        """
        fused_NChw = torch.cat([branch(x_NChw) for branch in self.branches], dim=1)
        scores_N2Khw: Tensor = self.scores(self.refinement(fused_NChw, fine_NCHW) if self.refinement else fused_NChw)
        return scores_N2Khw


class Refinement(nn.Module):
    """Coarse features, interpolated to the size of fine ones and convolved with them: as DeepLabv3+ decodes.

    Source: Chen, Zhu et al. 2018, doi:10.1007/978-3-030-01234-2_49. Not in the paper.
    """

    def __init__(self, coarse_channels: int, fine_channels: int, channels: int, norm: str) -> None:
        super().__init__()
        self.coarse = Conv(coarse_channels, channels, 1, norm)
        self.fine = Conv(fine_channels, channels // 2, 1, norm)
        self.joined = Conv(channels + channels // 2, channels, 3, norm)

    def forward(self, coarse_NChw: Tensor, fine_NCHW: Tensor) -> Tensor:
        """(N, coarse_channels, h, w), (N, fine_channels, H, W) -> (N, channels, H, W)."""
        coarse_NCHW = F.interpolate(
            self.coarse(coarse_NChw), size=fine_NCHW.shape[-2:], mode="bilinear", align_corners=True
        )
        joined_NCHW: Tensor = self.joined(torch.cat([coarse_NCHW, self.fine(fine_NCHW)], dim=1))
        return joined_NCHW


class Features(NamedTuple):
    """What the trunk gives the head."""

    coarse_NChw: Tensor  # Conv4's, at an eighth of the slice's resolution
    fine_NCHW: Tensor  # Conv2's, at a quarter


class Network(nn.Module):
    """CT slices -> for every organ, independently of the others, how much organ beats background.

    A slice's sides must be 8n + 1 pixels, so that the interpolation by 8 meets the corners: 417 = 8 * 52 + 1.
    """

    def __init__(self, architecture: Architecture, organs: int) -> None:
        super().__init__()
        a = architecture
        channels = [a.stem_channels, *(width * a.expansion for width in a.widths)]
        self.conv1 = Conv(1, a.stem_channels, 7, a.norm, stride=2)
        self.pool1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(a.blocks[0], channels[0], a.widths[0], channels[1], a.norm)
        self.conv3 = _stage(a.blocks[1], channels[1], a.widths[1], channels[2], a.norm, stride=2)
        self.conv4 = _stage(a.blocks[2], channels[2], a.widths[2], channels[3], a.norm, rate=a.conv4_rate)
        self.conv5 = nn.Sequential(
            *(
                Bottleneck(channels[3] if i == 0 else channels[4], a.widths[3], channels[4], a.norm, rate=rate)
                for i, rate in enumerate(a.cac_rates)
            )
        )
        self.spp = PyramidPooling(channels[4], channels[1], a, organs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.spp.scores.weight, std=0.01)

    def features(self, ct_N1HW: Tensor) -> Features:
        """The trunk, Conv1 to Conv4, of (N, 1, H, W) windowed CT."""
        fine_NCHW: Tensor = self.conv2(self.pool1(self.conv1(ct_N1HW)))
        return Features(self.conv4(self.conv3(fine_NCHW)), fine_NCHW)

    def head(self, features: Features) -> Tensor:
        """CAC and SPP: (N, 2K, H / 8, W / 8) scores; with a refinement (N, 2K, H / 4, W / 4)."""
        scores_N2Khw: Tensor = self.spp(self.conv5(features.coarse_NChw), features.fine_NCHW)
        return scores_N2Khw

    def scores(self, ct_N1HW: Tensor) -> Tensor:
        """(N, 1, H, W) windowed CT -> the head's scores, coarse as they are."""
        return self.head(self.features(ct_N1HW))

    def logits(self, features: Features, size: Sequence[int]) -> Tensor:
        """The trunk's features -> (N, K, *size) logits: the organ's score minus the background's.

        The softmax of an organ's two scores is the sigmoid of their difference. The interpolation is linear, so the
        difference may be taken before it, which halves its cost and changes nothing.
        """
        scores_N2Khw = self.head(features)
        logits_NKhw = scores_N2Khw[:, 1::2] - scores_N2Khw[:, 0::2]
        return F.interpolate(logits_NKhw, size=tuple(size), mode="bilinear", align_corners=True)

    def forward(self, ct_N1HW: Tensor) -> Tensor:
        """(N, 1, H, W) windowed CT -> (N, K, H, W) logits."""
        return self.logits(self.features(ct_N1HW), ct_N1HW.shape[-2:])


def _stage(
    blocks: int, channels_in: int, width: int, channels: int, norm: str, *, stride: int = 1, rate: int = 1
) -> nn.Sequential:
    first = Bottleneck(channels_in, width, channels, norm, stride=stride, rate=rate)
    return nn.Sequential(first, *(Bottleneck(channels, width, channels, norm, rate=rate) for _ in range(blocks - 1)))
