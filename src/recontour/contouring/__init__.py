"""From a CT to contours."""

from recontour.contouring.contourer import Contourer

__all__ = ["Contourer"]
