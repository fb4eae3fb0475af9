"""The contours of one slice: rings as the page and RTSTRUCT have them, and the area they enclose.

A ring is a list of points [x, y] in mm, in the DICOM patient frame, each a multiple of 0.0001 mm as
in RTSTRUCT; the last point joins the first. The rings of a slice combine even-odd: one inside
another is a hole.

Rings that come from an area are valid: none crosses itself or another, none encloses less than a
hundredth of a pixel. A ring with a hole has a point where the keyhole of the written contour will
join it, so that what is approved is what the file says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

import numpy as np
import shapely
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from recontour.geometry import Contour, Grid, planes_by_slice
from recontour.geometry.arrays import Points
from recontour.geometry.polygons import keyhole

Ring = list[list[float]]
Rings = list[Ring]
Slices = Mapping[int, Rings]  # of one organ, by slice; a slice without rings is left out

DIGITS = 4  # of a millimetre, as RTSTRUCT has them
STEP_MM = 10.0**-DIGITS
LEAST_PIXELS = 0.01  # an area smaller than that is left out

NOTHING = MultiPolygon()


def area_of(rings: Iterable[Ring]) -> BaseGeometry:
    """Return the area that rings enclose, even-odd.

    >>> square = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
    >>> hole = [[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]]
    >>> area_of([square, hole]).area
    15.0
    """
    outlines = [Polygon(ring) for ring in rings if len(ring) >= 3]
    if len(outlines) == 1 and outlines[0].is_valid:
        return outlines[0]
    if not all(outline.is_valid for outline in outlines):
        return _even_odd(outlines)
    return reduce(shapely.symmetric_difference, outlines, NOTHING)


def _even_odd(outlines: Sequence[Polygon]) -> BaseGeometry:
    """Return what an odd number of outlines goes around; they may cross, and be keyholes."""
    inside = []
    for face in _faces(outlines):
        point = face.representative_point()
        around = sum(_winds_around(point, outline) for outline in outlines)
        if around % 2:
            inside.append(face)
    return shapely.union_all(inside) if inside else NOTHING


def _faces(outlines: Sequence[Polygon]) -> Iterator[Polygon]:
    """Yield the areas into which outlines divide the plane, but for the outermost."""
    lines = shapely.union_all([outline.exterior for outline in outlines])
    yield from shapely.polygonize([lines]).geoms


def _winds_around(point: shapely.Point, outline: Polygon) -> int:
    """Return how often a ray from a point to the right crosses an outline."""
    points = shapely.get_coordinates(outline.exterior)
    (x, y), (end_x, end_y) = points[:-1].T, points[1:].T
    is_crossed = (y > point.y) != (end_y > point.y)
    with np.errstate(divide="ignore", invalid="ignore"):
        met = x + (point.y - y) / (end_y - y) * (end_x - x)
    return int((is_crossed & (met > point.x)).sum())


def filled(points: Ring) -> BaseGeometry:
    """Return everything that a line drawn by hand goes around, however often it crosses itself.

    >>> filled([[0.0, 0.0], [2.0, 2.0], [2.0, 0.0], [0.0, 2.0]]).area
    2.0
    """
    return shapely.union_all(list(_faces([Polygon(points)])))


def rings_of(area: BaseGeometry, grid: Grid) -> Rings:
    """Return the rings of an area: each part's outer ring, then its holes.

    >>> grid = Grid((1, 9, 9), (1.0, 1.0), (0.0,), (0.0, 0.0))
    >>> rings_of(shapely.box(0, 0, 2, 1), grid)
    [[[2.0, 1.0], [2.0, 0.0], [0.0, 0.0], [0.0, 1.0]]]
    """
    least_mm2 = LEAST_PIXELS * grid.pixel_mm2
    rings: Rings = []
    for part in _polygons(shapely.set_precision(area, STEP_MM)):
        if part.area < least_mm2:
            continue
        holes = [hole for hole in map(Polygon, part.interiors) if hole.area >= least_mm2]
        if holes:
            rings += _with_doors(part.exterior, holes)
        else:
            rings.append(_ring(part.exterior))
    return rings


def _polygons(area: BaseGeometry) -> Iterator[Polygon]:
    """Yield the polygons of an area; lines and points, which enclose nothing, are left out."""
    for part in shapely.get_parts(area):
        if isinstance(part, Polygon):
            if not part.is_empty:
                yield part
        elif hasattr(part, "geoms"):
            yield from _polygons(part)


def _with_doors(outer: BaseGeometry, holes: Sequence[Polygon]) -> Rings:
    """Return the rings of a part with holes, with a point wherever its keyhole joins them."""
    inner = [_points(_ring(hole.exterior)) for hole in holes]
    joined = Polygon(np.round(keyhole(_points(_ring(outer)), inner), DIGITS))
    rings: Rings = []
    for part in _polygons(_even_odd([joined])):
        rings.append(_ring(part.exterior))
        rings += map(_ring, part.interiors)
    return rings


def _ring(line: BaseGeometry) -> Ring:
    """Return the points of a closed line from its rightmost one on, each once."""
    points = np.round(shapely.get_coordinates(line)[:-1], DIGITS) + 0.0  # no -0.0
    first = int(np.lexsort((points[:, 1], points[:, 0]))[-1])
    ring: Ring = np.roll(points, -first, axis=0).tolist()
    return ring


def _points(ring: Ring) -> Points:
    return np.array(ring, dtype=np.float64).reshape(-1, 2)


# Contours of a structure set


def slices_of(contours: Iterable[Contour], grid: Grid) -> dict[int, Rings]:
    """Return contours as rings by slice, as `rasterise` takes them; keyholes become holes."""
    slices: dict[int, Rings] = {}
    for index, on_slice in planes_by_slice(contours, grid).items():
        rings = [_rounded(contour.points_mm) for contour in on_slice[0]]
        are_plain = all(Polygon(ring).is_valid for ring in rings)
        slices[index] = rings if are_plain else rings_of(area_of(rings), grid)
    return {index: slices[index] for index in sorted(slices) if slices[index]}


def _rounded(points_mm: Points) -> Ring:
    ring: Ring = (np.round(points_mm, DIGITS) + 0.0).tolist()
    return ring


def contours_of(rings: Rings, z_mm: float) -> list[Contour]:
    """Return the rings of a slice as contours; a ring and its holes are one keyhole contour."""
    contours = []
    for part in _polygons(area_of(rings)):
        holes = [_points(_ring(hole)) for hole in part.interiors]
        ring = _points(_ring(part.exterior))
        points = np.round(keyhole(ring, holes), DIGITS) if holes else ring
        contours.append(Contour(points, z_mm))
    return contours


def as_plain(slices: Slices) -> dict[str, Rings]:
    """Return contours as JSON holds them.

    >>> as_plain({3: [[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]})
    {'3': [[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]}
    """
    return {str(index): rings for index, rings in slices.items()}


def from_plain(stored: Mapping[str, Rings]) -> dict[int, Rings]:
    """Return contours from JSON."""
    return {int(index): rings for index, rings in stored.items()}
