"""The network, how a CT is brought before it, and the file that holds both."""

from recontour.network.architecture import STAGES, Architecture, Network
from recontour.network.description import Provenance
from recontour.network.model_file import Model, load_model, save_model
from recontour.network.preprocessing import Preprocessing

__all__ = [
    "STAGES",
    "Architecture",
    "Model",
    "Network",
    "Preprocessing",
    "Provenance",
    "load_model",
    "save_model",
]
