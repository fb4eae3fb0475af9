"""Which layers retrain: the paper's depth, counted from the network's end.

Layers are counted as in the paper. "The last 10" of its network are therefore SPP and the nine of
Conv5; the last 7 of a U-Net that ends at stride 4 are its scores and its decoder.
"""

from recontour.errors import SettingsError
from recontour.network import Network
from recontour.network.counting import Layer, layers_of
from recontour.transfer.findings import ImpossibleDepth


def layers(network: Network) -> list[Layer]:
    """Return the layers that lead to the network's own scores, from input to output."""
    found: list[Layer] = []
    for name, stage in network.path.items():
        found += layers_of(name, stage)
    return found


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
