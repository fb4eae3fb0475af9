"""Build the network, prepare a CT for it, and keep both in one file.

architecture    what determines its shape     layers       what stages are made of
unet            what a U-Net is made of       stages       the way of the maps
trunk, head     shared and own stages         network      one trunk and its heads
counting        layers as the paper counts them
preprocessing   a CT's slices -> a view       views        a slice's views -> masks on the CT
model           a network with everything needed to use it
check           what a cross-validation of an adaptation found
traits, ranges  what bodies and organs measure, and what they measured in training
card            what to know about a model    cost         what a network would take
paths           where a model is, TRUNK+HEAD included
model_file      save and load a model         container    the safetensors file as such
description     what a file says, checked     strict_json  JSON from elsewhere
findings        what can be wrong with a model file
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recontour.network.architecture import AnyArchitecture, Architecture, UNet
    from recontour.network.card import ModelCard
    from recontour.network.description import Provenance
    from recontour.network.model import HeadRecord, Model
    from recontour.network.model_file import load_model, save_head, save_model
    from recontour.network.network import Network
    from recontour.network.paths import name_of
    from recontour.network.preprocessing import Preprocessing

__all__ = [
    "AnyArchitecture",
    "Architecture",
    "HeadRecord",
    "Model",
    "ModelCard",
    "Network",
    "Preprocessing",
    "Provenance",
    "UNet",
    "load_model",
    "name_of",
    "save_head",
    "save_model",
]
_MODULE_OF = {
    "AnyArchitecture": "architecture",
    "Architecture": "architecture",
    "HeadRecord": "model",
    "Model": "model",
    "ModelCard": "card",
    "Network": "network",
    "Preprocessing": "preprocessing",
    "Provenance": "description",
    "UNet": "architecture",
    "load_model": "model_file",
    "name_of": "paths",
    "save_head": "model_file",
    "save_model": "model_file",
}


def __getattr__(name: str) -> Any:
    """Load a part, and torch with it if it needs that, only when it is asked for."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'recontour.network' has no attribute '{name}'")
    return getattr(import_module(f"recontour.network.{_MODULE_OF[name]}"), name)
