"""Implicit shapes: about the signed distance to a surface in mm, negative inside.

A position is the triple of arrays (u, v, w): mm to the phantom's left, back and head.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
Position = tuple[Field, Field, Field]
Triple = tuple[float, float, float]

FAR_MM = 99.0


def triple(values: npt.NDArray[np.float64]) -> Triple:
    """Three numbers of an array as plain floats."""
    a, b, c = (float(value) for value in values)
    return a, b, c


def ellipsoid(at: Position, centre: Triple, radii: Triple) -> Field:
    """An ellipsoid; exact on its surface, first order near it."""
    near = np.zeros(at[0].shape, dtype=np.float32)
    steep = np.zeros(at[0].shape, dtype=np.float32)
    for axis, c, r in zip(at, centre, radii, strict=True):
        squared = ((axis - np.float32(c)) * np.float32(1 / r)) ** 2
        near += squared
        steep += squared * np.float32(1 / r**2)
    k = np.sqrt(near)
    return np.asarray(k * (k - 1) / np.sqrt(np.maximum(steep, 1e-8)), dtype=np.float32)


def tube(at: Position, points: Sequence[Triple], radii: Sequence[float]) -> Field:
    """A chain of segments with round ends whose radius runs from point to point."""
    distance = np.full(at[0].shape, FAR_MM, dtype=np.float32)
    for a, b, ra, rb in zip(points, points[1:], radii, radii[1:], strict=False):
        axis = np.subtract(b, a, dtype=np.float32)
        offset = [p - np.float32(q) for p, q in zip(at, a, strict=True)]
        along = sum(o * d for o, d in zip(offset, axis, strict=True)) / np.float32(axis @ axis)
        along = np.clip(along, 0, 1)
        apart = sum((o - along * d) ** 2 for o, d in zip(offset, axis, strict=True))
        np.minimum(distance, np.sqrt(apart) - (ra + along * np.float32(rb - ra)), out=distance)
    return distance


def column(
    at: Position, knots: Sequence[tuple[float, float, float, float]], grow_mm: float = 0.0
) -> Field:
    """An upright column of elliptic sections; knots, ascending: (w, centre v, radius u, radius v).

    It goes on beyond the first and last knot unchanged.
    """
    u, v, w = at
    centre_v, radius_u, radius_v = (along(w, [(k[0], k[i]) for k in knots]) for i in (1, 2, 3))
    radius_u, radius_v = radius_u + grow_mm, radius_v + grow_mm
    su, sv = u / radius_u, (v - centre_v) / radius_v
    k = np.sqrt(su**2 + sv**2)
    return np.asarray(
        k * (k - 1) / np.maximum(np.hypot(su / radius_u, sv / radius_v), 1e-4), dtype=np.float32
    )


def along(axis: Field, knots: Sequence[tuple[float, float]]) -> Field:
    """Values between knots (place, value), ascending in place."""
    places, values = zip(*knots, strict=True)
    return np.asarray(np.interp(axis, places, values), dtype=np.float32)


def ramp(axis: Field, start: float, stop: float) -> Field:
    """0 before start, 1 after stop, smooth between."""
    t = np.clip((axis - np.float32(start)) / np.float32(stop - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def bump(axis: Field, width: float) -> Field:
    """1 at 0, a Gaussian to either side."""
    return np.asarray(np.exp(-((axis / np.float32(width)) ** 2)), dtype=np.float32)
