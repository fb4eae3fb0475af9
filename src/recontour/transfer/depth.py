"""Which layers retrain: the paper's depth, counted from the network's end.

Layers are counted as in the paper (Table 1): SPP is one, every convolution of a bottleneck one,
Conv1 one. "The last 10" are therefore SPP and the nine of Conv5. A bottleneck's connection is no
layer of its own: it retrains when the whole bottleneck does.
"""

from torch import nn

from recontour.errors import SettingsError
from recontour.network import STAGES, Network


def layers(network: Network) -> list[tuple[str, list[nn.Module]]]:
    """The trainable layers from input to output: name, and the modules that it is made of."""
    found: list[tuple[str, list[nn.Module]]] = [("Conv1", [network.conv1])]
    for stage in STAGES[1:-1]:
        for number, block in enumerate(getattr(network, stage), start=1):
            name = f"{stage.capitalize()}-b{number}"
            found.append(
                (
                    f"{name} 1x1",
                    [block.a] if block.connection is None else [block.a, block.connection],
                )
            )
            found.append((f"{name} 3x3", [block.b]))
            found.append((f"{name} 1x1 out", [block.c]))
    found.append(("SPP", [network.spp]))
    return found


def freeze_all_but_last(network: Network, count: int) -> list[str]:
    """Freeze all but the last `count` layers.

    Returns: the names of the layers that retrain, from input to output.
    Raises: SettingsError: the network has fewer layers, or count is below 1.
    """
    named = layers(network)
    if not 1 <= count <= len(named):
        raise SettingsError(
            f"--retrain-last {count}: this network has {len(named)} layers; "
            f"choose 1 (SPP alone) to {len(named)} (all), 10 for the paper's depth"
        )
    network.requires_grad_(False)
    for _, modules in named[-count:]:
        for module in modules:
            module.requires_grad_(True)
    return [name for name, _ in named[-count:]]
