"""Which layers retrain: the paper's depth, counted from the network's end.

Layers are counted as in the paper (Table 1): SPP is one, each convolution of a bottleneck one,
Conv1 one. "The last 10" are therefore SPP and the nine of Conv5. A bottleneck's connection is no
layer of its own: it belongs to the bottleneck's first.
"""

from torch import nn

from recontour.errors import SettingsError
from recontour.network import STAGES, Network
from recontour.network.layers import Bottleneck
from recontour.transfer.findings import ImpossibleDepth

Layer = tuple[str, list[nn.Module]]  # its name, and the modules it is made of


def layers(network: Network) -> list[Layer]:
    """Return the layers that lead to the network's own scores, from input to output."""
    path = network.path
    found: list[Layer] = [("Conv1", [path["conv1"]])]
    for stage in STAGES[1:-1]:
        for number, block in enumerate(path[stage].children(), start=1):
            assert isinstance(block, Bottleneck)
            found += _layers_of(block, f"{stage.capitalize()}-b{number}")
    found.append(("SPP", [path["spp"]]))
    return found


def _layers_of(block: Bottleneck, name: str) -> list[Layer]:
    first: list[nn.Module] = [block.a]
    if block.connection is not None:
        first.append(block.connection)
    return [
        (f"{name} 1x1", first),
        (f"{name} 3x3", [block.b]),
        (f"{name} 1x1 out", [block.c]),
    ]


def freeze_all_but_last(network: Network, count: int) -> list[str]:
    """Freeze all but the last `count` layers.

    Returns: the names of the layers that retrain, from input to output.
    Raises: SettingsError: the network has fewer layers, or count is below 1.
    """
    named = layers(network)
    if not 1 <= count <= len(named):
        raise SettingsError(ImpossibleDepth(retrain_last=count, layers=len(named)))
    network.requires_grad_(requires_grad=False)
    names = []
    for name, modules in named[-count:]:
        names.append(name)
        for module in modules:
            module.requires_grad_(requires_grad=True)
    return names
