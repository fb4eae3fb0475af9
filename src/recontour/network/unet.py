"""The stages of the U-Net: an encoder that halves the resolution, a decoder that doubles it again.

Source: Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28, with the residual blocks of
ResNet-34 (He et al. 2016, doi:10.1109/CVPR.2016.90) in the encoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (the name that PyTorch's users know)

from recontour.network.architecture import DOWN, UP, UNet
from recontour.network.layers import Conv, Scores, interpolated


class Block(nn.Module):
    """Two layers of 3x3 and a connection past them; a stride acts in the first."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        norm: str,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.a = Conv(channels_in, channels, 3, norm, stride=stride)
        self.b = Conv(channels, channels, 3, norm, relu=False)
        self.connection: Conv | None = None
        if stride != 1 or channels_in != channels:
            self.connection = Conv(channels_in, channels, 1, norm, stride=stride, relu=False)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Turn (N, channels_in, H, W) into (N, channels, H / stride, W / stride)."""
        past = x_NCHW if self.connection is None else self.connection(x_NCHW)
        through = self.b(self.a(x_NCHW))
        return F.relu(past + through, inplace=True)


class Down(nn.Sequential):
    """A stage of the encoder: blocks, the first with stride 2. What it takes waits for an `Up`."""

    def __init__(
        self,
        channels_in: int,
        channels: int,
        blocks: int,
        norm: str,
    ) -> None:
        super().__init__(Block(channels_in, channels, norm, stride=2))
        self.channels_in = channels_in
        for _ in range(blocks - 1):
            self.append(Block(channels, channels, norm))


class Up(nn.Module):
    """A stage of the decoder: joins the map that waits to the coarser one; two layers of 3x3."""

    def __init__(
        self,
        channels_waiting: int,
        channels_coarse: int,
        channels: int,
        norm: str,
    ) -> None:
        super().__init__()
        self.channels_coarse = channels_coarse
        self.a = Conv(channels_coarse + channels_waiting, channels, 3, norm)
        self.b = Conv(channels, channels, 3, norm)

    def forward(self, waiting_NCHW: Tensor, coarse_NChw: Tensor) -> Tensor:
        """Turn a map and one of half its resolution into (N, channels, H, W)."""
        as_fine = interpolated(coarse_NChw, waiting_NCHW.shape[-2:])
        joined = torch.cat([as_fine, waiting_NCHW], dim=1)
        x_NCHW: Tensor = self.b(self.a(joined))
        return x_NCHW


def unet_stages(architecture: UNet, organs: int) -> dict[str, nn.Module]:
    """Build the stages, by their names in `UNet.strides`."""
    a = architecture
    stages: dict[str, nn.Module] = {"stem": Conv(a.slices, a.stem_channels, 5, a.norm, stride=2)}
    last = a.stem_channels
    waiting = []
    for stride, channels, blocks in zip(DOWN, a.widths, a.blocks, strict=True):
        stages[f"down{stride}"] = Down(last, channels, blocks, a.norm)
        waiting.append(last)
        last = channels
    for stride, channels in zip(UP, a.decoder, strict=False):
        stages[f"up{stride}"] = Up(waiting.pop(), last, channels, a.norm)
        last = channels
    stages["scores"] = Scores(last, organs)
    return stages
