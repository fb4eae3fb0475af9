"""Say where voxels and contours lie in the patient, and turn one into the other.

grid       the voxels of one axial CT        contours   contours as plain data
raster     contours -> mask                  tracing    mask -> contours
polygons   outlines in one plane             arrays     the arrays that are passed on
offsets    how far apart two masks lie, by direction
findings   what may be wrong with them
"""

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
