"""Where voxels and contours lie in the patient, and how one becomes the other."""

from recontour.geometry.contours import Contour, Structure, StructureSet, height_mm, planes
from recontour.geometry.grid import Grid
from recontour.geometry.raster import planes_by_slice, rasterise
from recontour.geometry.tracing import trace, traced

__all__ = [
    "Contour",
    "Grid",
    "Structure",
    "StructureSet",
    "height_mm",
    "planes",
    "planes_by_slice",
    "rasterise",
    "trace",
    "traced",
]
