"""Build the network, prepare a CT for it, and keep both in one file.

architecture    what determines its shape     layers       what stages are made of
unet            what a U-Net is made of       stages       the way of the maps
trunk, head     shared and own stages         network      one trunk and its heads
counting        layers as the paper counts them
body            where the body lies on a CT
preprocessing   a CT's slices -> a view       views        a slice's views -> masks on the CT
model           a network with everything needed to use it
check           what a cross-validation of an adaptation found
traits, ranges  what bodies and organs measure, and what they measured in training
image_traits    what a CT's image measures, whoever lies in it
acquired        how a centre's CTs were acquired, in counts of patients
baseline        what a centre's own patients measure beside its model; spread: mean and SD
card            what to know about a model    cost         what a network would take
paths           where a model is, TRUNK+HEAD included
model_file      save and load a model         container    the safetensors file as such
description     what a file says, checked     strict_json  JSON from elsewhere
findings        what can be wrong with a model file
"""

from typing import TYPE_CHECKING

from recontour.lazy import lazily

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
    "AnyArchitecture": "recontour.network.architecture",
    "Architecture": "recontour.network.architecture",
    "HeadRecord": "recontour.network.model",
    "Model": "recontour.network.model",
    "ModelCard": "recontour.network.card",
    "Network": "recontour.network.network",
    "Preprocessing": "recontour.network.preprocessing",
    "Provenance": "recontour.network.description",
    "UNet": "recontour.network.architecture",
    "load_model": "recontour.network.model_file",
    "name_of": "recontour.network.paths",
    "save_head": "recontour.network.model_file",
    "save_model": "recontour.network.model_file",
}

__getattr__ = lazily("recontour.network", _MODULE_OF)
