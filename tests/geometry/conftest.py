import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recontour.geometry import Grid
from recontour.geometry.arrays import Mask, Points


def make_grid(
    shape: tuple[int, int, int] = (1, 64, 64),
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    z_mm: tuple[float, ...] | None = None,
    origin_mm: tuple[float, float] = (-31.5, -31.5),
) -> Grid:
    """A grid whose slices lie every 3 mm unless z_mm says otherwise."""
    return Grid(shape, spacing_mm, z_mm or tuple(3.0 * k for k in range(shape[0])), origin_mm)


def ellipse(
    radii_mm: tuple[float, float], centre_mm: tuple[float, float] = (0.0, 0.0), corners: int = 720
) -> Points:
    """Return a polygon on an ellipse, (corners, 2) mm.

    At 720 corners its area is 1.3e-5 short of the ellipse's.
    """
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.column_stack([np.cos(angle), np.sin(angle)]) * radii_mm + centre_mm


def turned(points: Points, degrees: float) -> Points:
    """Points turned about the origin."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def winding(polygon: Points, points: Points) -> npt.NDArray[np.int64]:
    """How often a polygon winds round each point: the sum of the angles its edges subtend, over a
    full turn.

    Slow and independent of the rasteriser: no scan lines, no crossings. polygon (n, 2), points (m,
        2) -> (m,).
    """
    to_start = polygon[None] - points[:, None]
    to_end = np.roll(to_start, -1, axis=1)
    cross = to_start[..., 0] * to_end[..., 1] - to_start[..., 1] * to_end[..., 0]
    dot = (to_start * to_end).sum(axis=2)
    turns: npt.NDArray[np.int64] = np.rint(np.arctan2(cross, dot).sum(axis=1) / (2 * np.pi)).astype(
        np.int64
    )
    return turns


def distance_to_outline(polygon: Points, points: Points) -> Points:
    """Each point's distance to the nearest edge of a polygon: (n, 2) and (m, 2) -> (m,)."""
    edge = np.roll(polygon, -1, axis=0) - polygon
    length2 = np.maximum((edge**2).sum(axis=1), 1e-12)
    offset = points[:, None] - polygon[None]
    along = np.clip((offset * edge).sum(axis=2) / length2, 0, 1)
    return np.asarray(np.linalg.norm(offset - along[..., None] * edge, axis=2).min(axis=1))


def pixel_centres(shape: tuple[int, int]) -> Points:
    """The centres of a plane's pixels as (column, row), in the order of plane.ravel()."""
    row, col = np.indices(shape)
    return np.column_stack([col.ravel(), row.ravel()]).astype(np.float64)


def dice(a: Mask, b: Mask) -> float:
    """Dice overlap of two masks, of which one at least is not empty."""
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


@st.composite
def masks_on_grids(draw: st.DrawFn) -> tuple[Mask, Grid]:
    """Any mask, on any grid: anisotropic pixels, irregular z."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 10), st.integers(1, 10)))
    steps = draw(st.lists(st.floats(0.1, 10), min_size=shape[0], max_size=shape[0]))
    z_mm = tuple(np.cumsum(steps) + draw(st.floats(-1000, 1000)))
    spacing = draw(st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)))
    origin = draw(st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
    return draw(arrays(np.bool_, shape)), Grid(shape, spacing, z_mm, origin)


def area_mm2(polygon: Points) -> float:
    """By the shoelace formula; of a keyhole without its hole."""
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
