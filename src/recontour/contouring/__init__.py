"""Contour a CT with a model.

contourer   a model that stays loaded and compiled
predict     a CT -> one mask per organ
seen        what the network sees of the CT, neighbours included
engine      what computes the scores: OpenVINO or PyTorch
finish      drop small islands
review      in which order to look at the contours
likeness    is a CT, or a contour, like those of training?
findings    what can go wrong
"""

from typing import TYPE_CHECKING

from recontour.lazy import lazily

if TYPE_CHECKING:
    from recontour.contouring.contourer import Contourer

__all__ = ["Contourer"]
_MODULE_OF = {"Contourer": "recontour.contouring.contourer"}

__getattr__ = lazily("recontour.contouring", _MODULE_OF)
