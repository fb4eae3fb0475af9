"""The network, how a CT is brought before it, and the file that holds both.

architecture    what determines its shape         layers    the six stages
trunk, head     what heads share, what they know  network   one trunk and its heads
preprocessing   from a CT's slices to the network's view, and back
model           a network with everything needed to use it; card: what to know about it
model_file      save and load; description, container: what a file says, checked first
cost            what a network would take
"""

from recontour.network.architecture import STAGES, Architecture
from recontour.network.card import ModelCard, card
from recontour.network.description import Provenance
from recontour.network.model import HeadRecord, Model
from recontour.network.model_file import load_model, name_of, save_head, save_model
from recontour.network.network import Network
from recontour.network.preprocessing import Preprocessing

__all__ = [
    "STAGES",
    "Architecture",
    "HeadRecord",
    "Model",
    "ModelCard",
    "Network",
    "Preprocessing",
    "Provenance",
    "card",
    "load_model",
    "name_of",
    "save_head",
    "save_model",
]
