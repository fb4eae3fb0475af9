"""Where voxels and contours lie in the patient, and how one becomes the other."""

from recontour.geometry.contours import Contour, Structure, StructureSet
from recontour.geometry.grid import Grid
from recontour.geometry.raster import rasterise, trace, traced

__all__ = ["Contour", "Grid", "Structure", "StructureSet", "rasterise", "trace", "traced"]
