"""What determines a network's shape: the paper's (Conv1 to Conv4, CAC, SPP), or a U-Net's.

Source: Chen et al. 2023, doi:10.3389/fphy.2023.1147900, Table 1 and figure 1. What the paper leaves
open is a field of `Architecture`; its default is our reading of the paper.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, Strict

DOWN = (4, 8, 16, 32)  # strides of a U-Net's encoder, after its stem
UP = (16, 8, 4, 2)  # strides of its decoder
MOST_SLICES = 17  # that a model file may let a network see at a time

# Bounds for model files. `paper`, the largest preset, has 512 channels, 23 blocks, rates to 18 and
# expansion 4.
Channels = Annotated[int, Strict(), Field(ge=1, le=4096)]
Blocks = Annotated[int, Strict(), Field(ge=1, le=100)]
Rate = Annotated[int, Strict(), Field(ge=1, le=64)]
Expansion = Annotated[int, Strict(), Field(ge=1, le=16)]
Norm = Annotated[str, Strict(), Field(pattern="^(batch|group)$")]
Slices = Annotated[int, Strict(), Field(ge=1, le=MOST_SLICES)]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network's shape, apart from the organs. The defaults are those of Table 1.

    strides: of each stage, in order: how many pixels lie between the points that its convolutions
    compute. branch: the stage with which a head begins, unless an adaptation learns from another
    one on.

    stem_channels: of Conv1. widths: inside the bottlenecks of Conv2, 3, 4 and 5. blocks:
    bottlenecks in Conv2, 3 and 4; Conv5 always has three. expansion: a bottleneck's output has that
    many times its width. conv4_rate: Conv4 is atrous instead of strided, so the output stride stays
    8. norm: "batch" or "group". slices: that Conv1 takes: the one whose organs are sought, and the
    neighbours that it is seen with (`Preprocessing.neighbours_mm`).

    The bounds apply to what is read from a file, not to Python.

    >>> Architecture(norm="group").spp_rates
    (6, 12, 18)
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    strides: ClassVar[Mapping[str, int]] = MappingProxyType(
        {"conv1": 2, "conv2": 4, "conv3": 8, "conv4": 8, "conv5": 8, "spp": 8}
    )
    branch: ClassVar[str] = "conv5"

    stem_channels: Channels = 64
    widths: tuple[Channels, Channels, Channels, Channels] = (64, 128, 256, 512)
    blocks: tuple[Blocks, Blocks, Blocks] = (3, 4, 23)
    expansion: Expansion = 4
    conv4_rate: Rate = 2
    cac_rates: tuple[Rate, Rate, Rate] = (4, 8, 16)
    spp_channels: Channels = 256
    spp_rates: tuple[Rate, Rate, Rate] = (6, 12, 18)
    norm: Norm = "batch"
    slices: Slices = 1

    @property
    def feature_channels(self) -> int:
        """Return the channels of the one map with which the trunk ends at `branch`."""
        return self.widths[2] * self.expansion


@dataclass(frozen=True, slots=True, kw_only=True)
class UNet:
    """The shape of a U-Net, apart from the organs. The default is for crops of about 225 px.

    family: what a model file tells it from `Architecture` by. stem_channels: of the first layer, at
    stride 2. widths, blocks: channels and residual blocks of the encoder at strides 4, 8, 16 and
    32. decoder: channels at strides 16, 8, 4 and 2; with fewer numbers it ends earlier, and so do
    the scores. norm: "batch" or "group". slices: as in `Architecture`.

    The bounds apply to what is read from a file, not to Python.

    >>> list(UNet(decoder=(64, 48)).strides)
    ['stem', 'down4', 'down8', 'down16', 'down32', 'up16', 'up8', 'scores']
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    branch: ClassVar[str] = "up16"

    family: Literal["unet"] = "unet"
    stem_channels: Channels = 24
    widths: tuple[Channels, Channels, Channels, Channels] = (32, 64, 128, 160)
    blocks: tuple[Blocks, Blocks, Blocks, Blocks] = (1, 2, 2, 1)
    decoder: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=len(UP))] = (64, 48, 32)
    norm: Norm = "batch"
    slices: Slices = 1

    @property
    def strides(self) -> Mapping[str, int]:
        """Return the stride of each stage, in order, as `Architecture.strides`."""
        strides = {"stem": 2}
        for stride in DOWN:
            strides[f"down{stride}"] = stride
        ends = UP[: len(self.decoder)]
        for stride in ends:
            strides[f"up{stride}"] = stride
        strides["scores"] = ends[-1]
        return strides

    @property
    def feature_channels(self) -> None:
        """Return None: at `branch`, the trunk ends with several maps."""
        return


AnyArchitecture = Architecture | UNet
