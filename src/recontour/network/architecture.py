"""What determines the network's shape: Conv1, Conv2 to Conv4, CAC (Conv5), SPP.

Source: Chen et al. 2023, doi:10.3389/fphy.2023.1147900, Table 1 and figure 1. What the paper leaves
open is a field of `Architecture`; its default is our reading of the paper.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, Strict

STAGES = ("conv1", "conv2", "conv3", "conv4", "conv5", "spp")
# The trunk ends and the head begins here, unless an adaptation learns from another stage on.
BRANCH = "conv5"

MOST_SLICES = 17  # that a model file may let a network see at a time

# Bounds for model files. `paper`, the largest preset, has 512 channels, 23 blocks, rates to 18 and
# expansion 4.
Channels = Annotated[int, Strict(), Field(ge=1, le=4096)]
Blocks = Annotated[int, Strict(), Field(ge=1, le=100)]
Rate = Annotated[int, Strict(), Field(ge=1, le=64)]
Expansion = Annotated[int, Strict(), Field(ge=1, le=16)]
Norm = Annotated[str, Strict(), Field(pattern="^(batch|group)$")]
Slices = Annotated[int, Strict(), Field(ge=1, le=MOST_SLICES)]
StageName = Annotated[str, Strict(), Field(pattern=f"^({'|'.join(STAGES)})$")]


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network's shape, apart from the organs. The defaults are those of Table 1.

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
