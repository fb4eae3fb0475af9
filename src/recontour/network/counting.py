"""Layers as the paper counts them (Table 1): each has weights, and retrains as a whole or not.

SPP is one, each convolution of a bottleneck one, Conv1 one. In the same way, a U-Net's stem and
scores are one each, and each 3x3 convolution of a block or of the decoder is one. The connection
past a block is no layer of its own: it belongs to the block's first.
"""

from torch import nn

from recontour.network.layers import Bottleneck
from recontour.network.unet import Block, Up

Layer = tuple[str, list[nn.Module]]  # its name, and the modules it is made of


def layers_of(name: str, stage: nn.Module) -> list[Layer]:
    """Return a stage's layers, from input to output. name: the stage's."""
    title = "SPP" if name == "spp" else name.capitalize()
    if isinstance(stage, Up):
        return [(f"{title} 3x3", [stage.a]), (f"{title} 3x3 out", [stage.b])]
    if not _has_blocks(stage):
        return [(title, [stage])]
    found: list[Layer] = []
    for number, block in enumerate(stage.children(), start=1):
        found += _layers_of_block(f"{title}-b{number}", block)
    return found


def _has_blocks(stage: nn.Module) -> bool:
    return any(isinstance(module, Bottleneck | Block) for module in stage.children())


def _layers_of_block(name: str, block: nn.Module) -> list[Layer]:
    assert isinstance(block, Bottleneck | Block)
    first: list[nn.Module] = [block.a]
    if block.connection is not None:
        first.append(block.connection)
    if isinstance(block, Block):
        return [(f"{name} 3x3", first), (f"{name} 3x3 out", [block.b])]
    return [
        (f"{name} 1x1", first),
        (f"{name} 3x3", [block.b]),
        (f"{name} 1x1 out", [block.c]),
    ]
