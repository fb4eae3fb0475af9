"""The stages of a network, and the way of the maps through them.

What goes from stage to stage is a stack of maps: the last is the one that the next stage takes, and
those before it wait for a later stage. The paper's network always has one. In a U-Net, what a stage
of the encoder takes stays on the stack, until a stage of the decoder takes it, too.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from torch import Tensor, nn

from recontour.network.architecture import AnyArchitecture, UNet
from recontour.network.layers import paper_stages
from recontour.network.unet import Down, Up, unet_stages

Maps = tuple[Tensor, ...]
Map = TypeVar("Map")


def stages_of(architecture: AnyArchitecture, organs: int) -> dict[str, nn.Module]:
    """Build a network's stages, by name, from the CT to the scores."""
    if isinstance(architecture, UNet):
        return unet_stages(architecture, organs)
    return paper_stages(architecture, organs)


def through(stages: Iterable[nn.Module], maps: Maps) -> Maps:
    """Pass a stack of maps through stages, one after another."""
    return passed(stages, maps, lambda stage, *given: stage(*given))


def passed(
    stages: Iterable[nn.Module],
    maps: tuple[Map, ...],
    compute: Callable[..., Map],
) -> tuple[Map, ...]:
    """Do the same with whatever stands for maps.

    compute: takes a stage and what goes into it, and returns what comes out.
    """
    for stage in stages:
        *waiting, last = maps
        if isinstance(stage, Down):
            maps = (*waiting, last, compute(stage, last))
        elif isinstance(stage, Up):
            joined = waiting.pop()
            maps = (*waiting, compute(stage, joined, last))
        else:
            maps = (*waiting, compute(stage, last))
    return maps
