"""Implicit shapes: approximately the signed distance to a surface in mm, negative inside.

A position is the triple of arrays (u, v, w): mm to the phantom's left, back and head.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Position = tuple[Field, Field, Field]
Triple = tuple[float, float, float]

FAR_MM = 99.0


def triple(values: npt.NDArray[np.float64]) -> Triple:
    """Return the three numbers of an array as plain floats."""
    a, b, c = map(float, values)
    return a, b, c


def within(*shapes: Any) -> Any:
    """Return what lies within all shapes."""
    return reduce(np.maximum, shapes)


def joined(*shapes: Any) -> Any:
    """Return what lies within any of the shapes."""
    return reduce(np.minimum, shapes)


def slab(axis: Any, half_mm: float) -> Any:
    """Return the layer on both sides of the plane where a field is zero."""
    return np.abs(axis) - half_mm


def ellipsoid(at: Position, centre: Triple, radii: Triple) -> Field:
    """Return an ellipsoid: exact on its surface, first order near it."""
    near = np.zeros(at[0].shape, dtype=np.float32)
    steep = np.zeros(at[0].shape, dtype=np.float32)
    for axis, c, r in zip(at, centre, radii, strict=True):
        squared = ((axis - np.float32(c)) * np.float32(1 / r)) ** 2
        near += squared
        steep += squared * np.float32(1 / r**2)
    k = np.sqrt(near)
    return np.asarray(k * (k - 1) / np.sqrt(np.maximum(steep, 1e-8)), dtype=np.float32)


def tube(
    at: Position,
    points: Sequence[Triple],
    radii: Sequence[float],
) -> Field:
    """Return a chain of segments with round ends whose radius changes from point to point."""
    distance = np.full(at[0].shape, FAR_MM, dtype=np.float32)
    ends = list(zip(points, radii, strict=True))
    for (start, start_radius), (stop, stop_radius) in pairwise(ends):
        axis = np.subtract(stop, start, dtype=np.float32)
        offset = [p - np.float32(q) for p, q in zip(at, start, strict=True)]
        share = _dot(offset, axis) / np.float32(axis @ axis)
        share = np.clip(share, 0, 1)
        apart = sum((o - share * d) ** 2 for o, d in zip(offset, axis, strict=True))
        radius = start_radius + share * np.float32(stop_radius - start_radius)
        np.minimum(distance, np.sqrt(apart) - radius, out=distance)
    return distance


def _dot(fields: Sequence[Field], numbers: Field) -> Any:
    return sum(field * number for field, number in zip(fields, numbers, strict=True))


def column(
    at: Position,
    knots: Sequence[tuple[float, float, float, float]],
    grow_mm: float = 0.0,
) -> Field:
    """Return an upright column of elliptic sections.

    knots: (w, centre v, radius u, radius v), with ascending w. The column continues unchanged
    beyond the first and last knot.
    """
    u, v, w = at
    heights, centres_v, radii_u, radii_v = zip(*knots, strict=True)
    centre_v = between(w, heights, centres_v)
    radius_u = between(w, heights, radii_u) + grow_mm
    radius_v = between(w, heights, radii_v) + grow_mm
    su = u / radius_u
    sv = (v - centre_v) / radius_v
    k = np.sqrt(su**2 + sv**2)
    steep = np.hypot(su / radius_u, sv / radius_v)
    return np.asarray(k * (k - 1) / np.maximum(steep, 1e-4), dtype=np.float32)


def along(axis: Field, knots: Sequence[tuple[float, float]]) -> Field:
    """Return values interpolated between knots (place, value), with ascending places."""
    places, values = zip(*knots, strict=True)
    return between(axis, places, values)


def between(
    axis: Field,
    places: Sequence[float],
    values: Sequence[float],
) -> Field:
    """Return values interpolated between those at ascending places."""
    return np.asarray(np.interp(axis, places, values), dtype=np.float32)


def ramp(axis: Field, start: float, stop: float) -> Field:
    """Return 0 before start and 1 after stop, smooth between."""
    t = np.clip((axis - np.float32(start)) / np.float32(stop - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def bump(axis: Field, width: float) -> Field:
    """Return 1 at 0, with a Gaussian fall to both sides."""
    return np.asarray(np.exp(-((axis / np.float32(width)) ** 2)), dtype=np.float32)
