"""What a network would cost, from its shapes alone: asked before a file may take memory or time.

The limits are far above all presets (docs/decisions/029-model-limits.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from recontour.network.findings import TooCostlyNetwork
from recontour.network.network import Network
from recontour.network.unet import Down, Up
from recontour.network.views import VIEWS_OF_A_SLICE

MOST_PARAMETERS = 250_000_000
MOST_MULTIPLY_ADDS = 2_000_000_000_000  # per slice
MOST_MIB = 2048
SLICES_AT_ONCE = 8  # that go through the network together
SLICES_OF_A_CT = 300  # whose scores are kept until the last is made
LIVE_TENSORS = 3  # of one layer's size at a time: its input, its output, and what is added to it
BYTES = 4  # of a float32


@dataclass(frozen=True, slots=True)
class Cost:
    """What contouring with a network takes.

    multiply_adds: per slice, in all its views. mib: memory for what is computed, without the
    weights.
    """

    parameters: int
    multiply_adds: int
    mib: int

    def excess(self) -> TooCostlyNetwork | None:
        """Return the first limit that is exceeded, if any is."""
        limits = (
            ("million parameters", self.parameters, MOST_PARAMETERS, 10**6),
            ("billion multiply-adds per slice", self.multiply_adds, MOST_MULTIPLY_ADDS, 10**9),
            ("MiB of memory per CT", self.mib, MOST_MIB, 1),
        )
        for unit, amount, most, step in limits:
            if amount > most:
                return TooCostlyNetwork(
                    unit=unit,
                    amount=round(amount / step),
                    most=most // step,
                )
        return None


def cost_of(network: Network, crop_px: int) -> Cost:
    """Return what a network costs that sees slices of crop_px x crop_px pixels.

    Shapes are enough: it may lie on torch's meta device.
    """
    strides = network.architecture.strides
    multiply_adds_of_a_view = 0
    largest_layer = 0
    waiting = 0
    for name, stage in _stages(network):
        points = _side(crop_px, strides[name]) ** 2
        if isinstance(stage, Down):
            waiting += stage.channels_in * _side(crop_px, strides[name] // 2) ** 2
        if isinstance(stage, Up):
            multiply_adds_of_a_view += _interpolation(stage, _side(crop_px, strides[name]))
        for convolution in _convolutions(stage):
            multiply_adds_of_a_view += convolution.weight.numel() * points
            channels = max(convolution.in_channels, convolution.out_channels)
            largest_layer = max(largest_layer, channels * points)
    pixels = crop_px**2
    slices = network.architecture.slices
    largest_layer = max(largest_layer, slices * pixels)
    # A slice as the network sees it is kept while others may be seen with it: of a CT of thin
    # slices, all may be, though of one view at a time.
    kept_slices = SLICES_OF_A_CT * pixels if slices > 1 else 0
    *_, last_stride = strides.values()
    organs = network.own_head.last_layer.organs
    views_of_a_ct = SLICES_OF_A_CT * VIEWS_OF_A_SLICE
    kept_scores = organs * views_of_a_ct * _side(crop_px, last_stride) ** 2
    passing = SLICES_AT_ONCE * (LIVE_TENSORS * largest_layer + waiting)
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=VIEWS_OF_A_SLICE * multiply_adds_of_a_view,
        mib=BYTES * (passing + kept_scores + kept_slices) >> 20,
    )


def _stages(network: Network) -> Iterator[tuple[str, nn.Module]]:
    """Yield every stage of trunk and heads with its name."""
    yield from network.trunk.items()
    for head in network.heads:
        yield from head.named_children()


def _side(crop_px: int, stride: int) -> int:
    """Return the points along a side of the crop, after a stride."""
    return (crop_px - 1) // stride + 1


def _interpolation(stage: Up, side: int) -> int:
    """Return the multiply-adds of two products with matrices that double the resolution."""
    coarse = side // 2 + 1
    return stage.channels_coarse * coarse * side * (coarse + side)


def _convolutions(stage: nn.Module) -> Iterator[nn.Conv2d]:
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            yield module
