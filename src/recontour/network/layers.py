"""The six stages of the paper's network, and the layers they are made of.

Tensors carry their axes in the name: N slices, each with S - 1 neighbours, C channels, K organs,
H rows, W columns; h and w are H and W after the strides.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name that PyTorch's users know)

from recontour.network.architecture import Architecture

GROUP_CHANNELS = 16  # of group normalisation


class Conv(nn.Sequential):
    """A convolution, its normalisation and usually a ReLU: one layer, as the paper counts."""

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
            _normalisation(channels, norm),
        )
        if relu:
            self.append(nn.ReLU(inplace=True))


def _normalisation(channels: int, norm: str) -> nn.Module:
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(max(1, channels // GROUP_CHANNELS), channels)


class Bottleneck(nn.Module):
    """Three layers, 1x1, 3x3 and 1x1, and a connection past them.

    A stride acts in the first layer, as the sizes in Table 1 say.
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
    ) -> None:
        super().__init__()
        self.a = Conv(channels_in, width, 1, norm, stride=stride)
        self.b = Conv(width, width, 3, norm, rate=rate)
        self.c = Conv(width, channels, 1, norm, relu=False)
        self.connection: Conv | None = None
        if stride != 1 or channels_in != channels:
            self.connection = Conv(channels_in, channels, 1, norm, stride=stride, relu=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Turn (N, channels_in, H, W) into (N, channels, H / stride, W / stride)."""
        past = x_NCHW if self.connection is None else self.connection(x_NCHW)
        through = self.c(self.b(self.a(x_NCHW)))
        return F.relu(past + through, inplace=True)


class Scores(nn.Conv2d):
    """A 1x1 convolution to two scores per organ, background first: all that knows organs.

    It answers for all its organs in its own order, unless `answer_for` changes that.
    """

    rows_2K: Tensor | None

    def __init__(self, channels_in: int, organs: int) -> None:
        super().__init__(channels_in, 2 * organs, 1)
        self.register_buffer("rows_2K", None, persistent=False)

    @property
    def organs(self) -> int:
        """Count the organs that it knows."""
        return self.out_channels // 2

    def answer_for(self, organs: Sequence[int]) -> None:
        """Answer for some of its organs in another order.

        organs: their places among its own.
        """
        rows = []
        for organ in organs:
            rows += [2 * organ, 2 * organ + 1]
        self.rows_2K = torch.tensor(rows, device="cpu")

    def forward(self, x_NChw: Tensor) -> Tensor:
        """Turn (N, channels_in, h, w) into (N, 2K, h, w)."""
        if self.rows_2K is None:
            return super().forward(x_NChw)
        assert self.bias is not None
        return F.conv2d(x_NChw, self.weight[self.rows_2K], self.bias[self.rows_2K])

    @torch.no_grad()
    def forget_other_organs(self) -> None:
        """Keep only what it answers with, for a copy that computes and is not saved."""
        if self.rows_2K is None:
            return
        assert self.bias is not None
        self.out_channels = len(self.rows_2K)
        self.weight = nn.Parameter(self.weight[self.rows_2K])
        self.bias = nn.Parameter(self.bias[self.rows_2K])
        self.rows_2K = None


class PyramidPooling(nn.Module):
    """A 1x1 and three atrous 3x3 convolutions side by side, fused into scores: one layer."""

    def __init__(
        self,
        channels_in: int,
        architecture: Architecture,
        organs: int,
    ) -> None:
        super().__init__()
        channels, norm = architecture.spp_channels, architecture.norm
        branches = [Conv(channels_in, channels, 1, norm)]
        for rate in architecture.spp_rates:
            branches.append(Conv(channels_in, channels, 3, norm, rate=rate))
        self.branches = nn.ModuleList(branches)
        self.scores = Scores(channels * len(branches), organs)

    def forward(self, x_NChw: Tensor) -> Tensor:
        """Turn (N, channels_in, h, w) into (N, 2K, h, w) scores."""
        fused_NChw = torch.cat([branch(x_NChw) for branch in self.branches], dim=1)
        scores_N2Khw: Tensor = self.scores(fused_NChw)
        return scores_N2Khw


def paper_stages(architecture: Architecture, organs: int) -> dict[str, nn.Module]:
    """Build the six stages, by their names in `Architecture.strides`."""
    a = architecture
    norm = a.norm
    stem = a.stem_channels
    conv2, conv3, conv4, conv5 = [width * a.expansion for width in a.widths]
    width2, width3, width4, width5 = a.widths
    blocks2, blocks3, blocks4 = a.blocks
    conv1 = Conv(a.slices, stem, 7, norm, stride=2)
    conv1.append(nn.MaxPool2d(3, stride=2, padding=1))
    return {
        "conv1": conv1,
        "conv2": _residual(stem, width2, conv2, norm, rates=[1] * blocks2),
        "conv3": _residual(conv2, width3, conv3, norm, rates=[1] * blocks3, stride=2),
        "conv4": _residual(conv3, width4, conv4, norm, rates=[a.conv4_rate] * blocks4),
        "conv5": _residual(conv4, width5, conv5, norm, rates=a.cac_rates),
        "spp": PyramidPooling(conv5, a, organs),
    }


def _residual(
    channels_in: int,
    width: int,
    channels: int,
    norm: str,
    *,
    rates: Sequence[int],
    stride: int = 1,
) -> nn.Sequential:
    """Build one bottleneck per atrous rate, one after another; a stride acts in the first."""
    first, *others = rates
    stage = nn.Sequential(Bottleneck(channels_in, width, channels, norm, stride=stride, rate=first))
    for rate in others:
        stage.append(Bottleneck(channels, width, channels, norm, rate=rate))
    return stage


def interpolated(maps_NKhw: Tensor, size: Sequence[int]) -> Tensor:
    """Interpolate bilinearly so that corners meet: (N, K, *size), contiguous.

    Two products with matrices take half the time of PyTorch's own function, forwards and backwards.
    """
    height, width = maps_NKhw.shape[2:]
    rows, columns = size
    rows_Hh = linear(height, rows, maps_NKhw.dtype, maps_NKhw.device)
    columns_Ww = linear(width, columns, maps_NKhw.dtype, maps_NKhw.device)
    return rows_Hh @ (maps_NKhw @ columns_Ww.T)


def linear(
    short: int,
    long: int,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Tensor:
    """Return the weight of each of `short` values in each of `long` values: (long, short)."""
    every_1ss = torch.eye(short, dtype=dtype, device=device)[None]
    weights_1sl = F.interpolate(
        every_1ss,
        size=long,
        mode="linear",
        align_corners=True,
    )
    return weights_1sl[0].T
