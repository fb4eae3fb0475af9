"""What a network would cost, from its shapes alone: asked before a model file may take memory or
time.

The limits are far above both presets (docs/decisions/029-model-limits.md).
"""

from dataclasses import dataclass

from torch import nn

from recontour.network.architecture import STAGES, Network

MOST_PARAMETERS = 250_000_000
MOST_MULTIPLY_ADDS = 1_000_000_000_000  # for one slice
MOST_MIB = 2048
SLICES_AT_ONCE = 8  # that go through the network together
SLICES_OF_A_CT = 300  # whose scores are kept until the last is made
LIVE_TENSORS = (
    3  # of one layer's size at a time: what goes in, what comes out, and what is added to it
)
STRIDES = {"conv1": 2, "conv2": 4}  # of a stage's output; all later ones have 8
LAST_STRIDE = 8
BYTES = 4  # of a float32


class CostError(Exception):
    """A network that takes more than any that is meant to be used."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes to contour with a network."""

    parameters: int
    multiply_adds: int  # of one slice
    mib: int  # of what is computed; the weights come on top

    def refuse_excess(self) -> None:
        """Raise CostError for what is beyond the limits."""
        if self.parameters > MOST_PARAMETERS:
            most = f"at most {MOST_PARAMETERS / 1e6:.0f} are accepted"
            raise CostError(
                f"its network has {self.parameters / 1e6:.0f} million parameters, {most}"
            )
        if self.multiply_adds > MOST_MULTIPLY_ADDS:
            most = f"at most {MOST_MULTIPLY_ADDS / 1e9:.0f} are accepted"
            raise CostError(
                f"a slice costs {self.multiply_adds / 1e9:.0f} billion multiply-adds, {most}"
            )
        if self.mib > MOST_MIB:
            raise CostError(f"a CT takes {self.mib} MiB of memory, at most {MOST_MIB} are accepted")


def cost_of(network: Network, crop_px: int) -> Cost:
    """The cost of a network that sees slices of crop_px x crop_px pixels;

    shapes are enough (torch's meta device).
    """
    multiply_adds = 0
    largest_layer = 0
    for name in STAGES:
        points = _side(crop_px, STRIDES.get(name, LAST_STRIDE)) ** 2
        stages = [getattr(network, name)]
        if name in network.parent:
            stages.append(network.parent[name])
        for convolution in _convolutions(stages):
            multiply_adds += convolution.weight.numel() * points
            channels = max(convolution.in_channels, convolution.out_channels)
            largest_layer = max(largest_layer, channels * points)
    organs = network.spp.scores.out_channels // 2
    kept_scores = organs * SLICES_OF_A_CT * _side(crop_px, LAST_STRIDE) ** 2
    passing = LIVE_TENSORS * SLICES_AT_ONCE * largest_layer
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=multiply_adds,
        mib=BYTES * (passing + kept_scores) >> 20,
    )


def _side(crop_px: int, stride: int) -> int:
    """Points along a side of 8n + 1 pixels, after a stride."""
    return (crop_px - 1) // stride + 1


def _convolutions(stages: list[nn.Module]) -> list[nn.Conv2d]:
    found: list[nn.Conv2d] = []
    for stage in stages:
        found += [module for module in stage.modules() if isinstance(module, nn.Conv2d)]
    return found
